"""Feeds: series beside the prices, each value with the time at which it became known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import MarketError, did_you_mean
from backtest.market.bars import Span
from backtest.market.calendars import absent_rows
from backtest.market.certify import certify
from backtest.market.clock import interval_text
from backtest.market.declare import Source
from backtest.market.fetching.needs import reach
from backtest.market.kept import Kept, keep
from backtest.market.obtain import Sources
from backtest.market.read import Columns, integers
from backtest.market.sources import SOURCES
from backtest.market.validate import Finding, count, feed_findings, order_findings, sift, usual_spacing
from backtest.model.arrays import Int64, utc_text
from backtest.model.market import Feed
from backtest.model.passport import Origin, Series

__all__ = ["LoadedFeed", "load_feeds"]


@dataclass(frozen=True, eq=False)
class LoadedFeed:
    """A feed, None where nothing of it is known in the span, and its passport line."""

    feed: Feed | None
    series: Series


def load_feeds(sources: Sources, declared: Mapping[str, Source], span: Span) -> dict[str, LoadedFeed]:
    """Return the declared feeds by name, a symbol's own as "SYMBOL.name"; those they borrow from come first."""
    own = {name: load_feed(sources, name, source, span) for name, source in declared.items() if not borrows(source)}
    return {name: own[name] if name in own else borrowed(name, source, own) for name, source in declared.items()}


def borrows(source: Source) -> bool:
    """Whether the feed is another feed of the same market."""
    return source.proxy is not None and source.file is None and source.store is None


def load_feed(sources: Sources, name: str, source: Source, span: Span) -> LoadedFeed:
    """Return one feed with what became known up to the end of the span; values before its start are kept."""
    if source.assume is not None:
        feed = Feed(name, np.array([span.start]), np.array([source.assume]), source.unit or "")
        note = f"{name} is an assumption: {source.assume:g} from {utc_text(span.start)} on, 1 value."
        return passed(feed, "assumed", f"{source.assume:g}", (note,))
    if source.scenario is not None:
        simulated = sources.simulated_feed(source.scenario, name)
        kept = replace(simulated.until(span.end), name=name, unit=source.unit or simulated.unit)
        return passed(kept, "simulated", f"scenario:{source.scenario}", ())
    symbol, _, key = name.rpartition(".")
    place = interval_text(source.interval) if source.interval else ""
    entry = "_".join(part for part in (symbol, key, place) if part)
    try:
        mine = keep("feed", name, source, span.interval, entry, sources.market, (span.start, span.end))
        if mine is not None:
            return stored_feed(sources, mine, source, span)
        read = sources.feed(source, entry)
    except MarketError as error:
        raise MarketError(f"{name}: {error}") from None
    return checked(name, source, read, span)


def stored_feed(sources: Sources, kept: Kept, source: Source, span: Span) -> LoadedFeed:
    """Return a feed of the store: the column that its key stands for, known when the store says that it was, or later.

    Of a fetched series only what this market reaches back for is taken, so that another market's fetch changes nothing here.
    """
    table, explicit = sources.table(source, kept.path), "known_at" in source.model_fields_set
    interval = kept.series.interval or None
    known = "open" if interval is None and not explicit else source.known_at
    column = kept.column if kept.column in table.data.column_names else source.column
    unit = source.unit or unit_of(kept)
    source = source.model_copy(update={"interval": interval, "known_at": known, "column": column, "unit": unit})
    read = sources.feed(source, kept.path)
    kept_at = integers(table.data.column("known_at")) if "known_at" in table.data.column_names else None
    known_at, findings = known_when(kept, source, read.time, kept_at) if explicit else (kept_at, [])
    if kept.manifest is not None and kept.series.source in SOURCES:
        start, end = reach("feed", kept.series, span.start, span.end)
        inside = (read.time >= start) & (read.time < end)
        read, known_at = read.take(inside), None if known_at is None else known_at[inside]
    notes = [finding.text for finding in kept.unfetched("feed", span.start, span.end, sources.market)]
    read = replace(read, findings=(*read.findings, *findings, *notes))
    return checked(kept.name, source, read, span, known_at, bool(notes))


def known_when(kept: Kept, source: Source, time: Int64, kept_at: Int64 | None) -> tuple[Int64, list[str]]:
    """Return when values of the store are known where the market file declares it, and a finding where that is too early.

    What is declared may delay a value, never advance it: the store knows when a session ended, and a fetched value that is not
    its bar's open is not there before the bar's end.
    """
    closed = time + (source.interval or 0)
    declared = closed if source.known_at == "close" else time
    fetched = kept.series.source in SOURCES and source.column != "open"
    earliest = kept_at if kept_at is not None else closed if fetched else declared
    early = declared < earliest
    if not early.any():
        return declared, []
    what = f'{kept.name}: known_at = "{source.known_at}" is before {count(int(early.sum()), "value")} could be known'
    first = f"the first, of {utc_text(int(time[early][0]))}, at {utc_text(int(earliest[early][0]))}"
    return np.maximum(declared, earliest), [f"{what} ({first}); they count from then on."]


def unit_of(kept: Kept) -> str | None:
    """Return the unit that a stored column has by its kind, None where that doesn't say."""
    if kept.column.endswith(("usd", "coins")):
        return kept.column.rpartition("_")[2]
    return {"funding": "fraction", "premium": "fraction", "long_short_ratio": "ratio", "taker_ratio": "ratio"}.get(
        kept.series.kind
    )


def checked(
    name: str, source: Source, read: Columns, span: Span, stated: Int64 | None = None, partial: bool = False
) -> LoadedFeed:
    """Return a feed that was read, once nothing fatal was found in it.

    stated: when each value became known, if kept; partial: part of it was never fetched.
    """
    findings = list(order_findings(name, "value", read.time))
    usual, interval = usual_spacing(read.time), source.interval
    if interval is not None and not findings and usual not in (0, interval):
        apart = f"{interval_text(usual)} apart, not {interval_text(interval)} as declared"
        since = f"from {utc_text(int(read.time[0]))} on ({count(read.time.size, 'value')})"
        findings.append(Finding(f"{name} has values {apart}, {since}"))
    known_at = read.time + (interval or 0 if source.known_at == "close" else 0) if stated is None else stated
    known_at = known_at + source.lag
    inside = (known_at >= span.start) & (known_at <= span.end)
    value = read.values["value"]
    findings += feed_findings(name, read.time[inside], value[inside], interval)
    findings += coverage(name, known_at, span)
    if source.proxy is not None:
        findings.append(Finding(f"{name} stands in from {source.proxy}.", False))
    notes = read.findings + sift(read.source, findings)
    kept = (known_at <= span.end) & np.isfinite(value)
    feed = Feed(name, known_at[kept], value[kept], source.unit or "")
    gaps = int(absent_rows(read.time[inside], interval).sum()) if interval is not None else 0
    loaded = passed(feed, source.origin, read.source, notes, gaps)
    return replace(loaded, series=replace(loaded.series, partial=partial))


def coverage(name: str, known_at: np.ndarray[tuple[int], np.dtype[np.int64]], span: Span) -> Iterator[Finding]:
    """A feed that starts after the first bar's close, or ends longer before the span's end than its longest pause."""
    if not known_at.size:
        return
    began, ended = int(known_at.min()), int(known_at.max())
    pause = int(np.diff(np.sort(known_at)).max()) if known_at.size > 1 else span.interval
    if began > span.start + span.interval:
        yield Finding(
            f"{name} starts late: its first of {count(known_at.size, 'value')} is known at {utc_text(began)}.", False
        )
    if ended + pause < span.end:
        yield Finding(
            f"{name} ends early: its last of {count(known_at.size, 'value')} is known at {utc_text(ended)}.", False
        )


def passed(feed: Feed, origin: Origin, source: str, notes: tuple[str, ...], gaps: int = 0) -> LoadedFeed:
    """Return a feed with its passport line; one of which nothing is known in the span is missing."""
    columns = Columns(feed.known_at, {"value": feed.value}, source)
    if feed.value.size:
        return LoadedFeed(feed, certify(feed.name, origin, columns, notes, gaps))
    return LoadedFeed(None, certify(feed.name, "missing", columns, (*notes, f"{feed.name} has 0 values in the span.")))


def borrowed(name: str, source: Source, own: Mapping[str, LoadedFeed]) -> LoadedFeed:
    """Return another feed under this name: a symbol's feed of the same key, or a feed by its full name."""
    symbol, _, key = name.rpartition(".")
    lender = f"{source.proxy}.{key}" if symbol and f"{source.proxy}.{key}" in own else source.proxy or ""
    if lender not in own:
        raise MarketError(f"`{name}.proxy` names {source.proxy!r}, which has no such feed.{did_you_mean(lender, own)}")
    lent = own[lender]
    origin: Origin = "proxy" if lent.series.origin == "real" else lent.series.origin
    if lent.feed is None:
        return LoadedFeed(
            None, replace(lent.series, name=name, findings=(f"{name} stands in from {lender}, which has 0 values.",))
        )
    note = f"{name} stands in from {lender}: {count(lent.feed.value.size, 'value')}."
    return passed(replace(lent.feed, name=name), origin, lender, (note,), lent.series.gaps)
