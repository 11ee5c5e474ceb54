"""One symbol's bars or marks: read, snapped to the grid, cut to the span, validated, with their passport line."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import MarketError
from backtest.market.certify import begin_digest, certify
from backtest.market.clock import grid_offset, interval_text, regular
from backtest.market.declare import Gaps, Source
from backtest.market.kept import keep
from backtest.market.obtain import PRICES, Sources
from backtest.market.read import Columns
from backtest.market.validate import (
    Finding,
    count,
    first,
    order_findings,
    price_findings,
    sift,
    spacing_findings,
    usual_spacing,
)
from backtest.model.arrays import SECOND, utc_text
from backtest.model.passport import Series

__all__ = ["Loaded", "Span", "load_bars", "load_mark"]

TREATMENT = {
    "forward_fill": "filled with flat bars at the last close",
    "drop": "their rows are dropped for all symbols",
    "halt": "kept as times without trading",
}
ALLOW = 'complete the file or allow gaps with gaps = "forward_fill", "drop" or "halt"'


@dataclass(frozen=True)
class Span:
    """What is loaded: bars whose open lies in [start, end), ns UTC, every `interval` ns."""

    start: int
    end: int
    interval: int


@dataclass(frozen=True, eq=False)
class Loaded:
    """Validated columns inside the span, only rows with prices; the passport line; how gaps are to be treated."""

    columns: Columns
    series: Series
    gaps: Gaps


def load_bars(sources: Sources, symbol: str, source: Source, span: Span, gaps: Gaps, kind: str = "bars") -> Loaded:
    """Return a symbol's bars in the span; MarketError with every fatal finding of the series.

    gaps: the declared policy; a simulated symbol's missing bars are always times without trading.
    """
    label, entry = f"{symbol} {interval_text(span.interval)}", f"{symbol}_{interval_text(span.interval)}"
    try:
        kept = keep("bars", f"{symbol}.{kind}", source, span.interval, entry, sources.market, (span.start, span.end))
        read = sources.bars(symbol, source, kept.path if kept else entry)
    except MarketError as error:
        raise MarketError(f"{symbol}.{kind}: {error}") from None
    gaps = "halt" if source.scenario is not None else gaps
    inside, findings = in_span(label, read, span)
    findings += kept.unfetched("bars", span.start, span.end, sources.market) if kept else ()
    unpriced = np.logical_or.reduce([np.isnan(inside.values[k]) for k in PRICES])
    priced = whole(inside.take(~unpriced))
    checksum = begin_digest(priced)
    findings += price_findings(label, inside.time, inside.values)
    if unpriced.any() and source.scenario is None:
        told = f"{label} has {count(int(unpriced.sum()), 'bar')} without a price (NaN)"
        told += f", the first at {first(inside.time, unpriced)}; {TREATMENT.get(gaps, ALLOW)}"
        findings.append(Finding(told, fatal=gaps == "error"))
    timed = inside if gaps == "error" else priced  # a bar without a price was named above
    if np.all(np.diff(timed.time) > 0):  # in another order, gaps mean nothing
        findings += gap_findings(label, timed, span, gaps)
    if source.proxy is not None:
        findings.append(Finding(f"{label} stands in from {source.proxy}.", fatal=False))
    notes = read.findings + sift(read.source, findings)
    missing = missing_bars(priced, span.interval)
    line = certify(f"{symbol}.{kind}", source.origin, priced, notes, missing, span.interval, checksum.result())
    return Loaded(priced, replace(line, filled=missing if gaps == "forward_fill" else 0), gaps)


def load_mark(sources: Sources, symbol: str, source: Source, span: Span) -> Loaded:
    """Return a symbol's mark prices in the span; bars without one are noted, and stay NaN."""
    label, entry = f"{symbol} mark {interval_text(span.interval)}", f"{symbol}_mark_{interval_text(span.interval)}"
    try:
        place = keep("mark", f"{symbol}.mark", source, span.interval, entry, sources.market, (span.start, span.end))
        read = sources.mark(symbol, source, place.path if place else entry)
    except MarketError as error:
        raise MarketError(f"{symbol}.mark: {error}") from None
    inside, findings = in_span(label, read, span)
    findings += price_findings(label, inside.time, inside.values)
    unfetched = list(place.unfetched("mark", span.start, span.end, sources.market)) if place else []
    findings += unfetched
    kept = whole(inside.take(~np.any(np.isnan([inside.values[k] for k in PRICES]), axis=0)))
    missing = (span.end - span.start) // span.interval - kept.time.size
    if missing > 0:
        findings.append(
            Finding(f"{label} misses {count(missing, 'bar')} of the span; they count as without a mark.", False)
        )
    notes = read.findings + sift(read.source, findings)
    line = certify(
        f"{symbol}.mark", source.origin, kept, notes, max(missing, 0), span.interval, partial=bool(unfetched)
    )
    return Loaded(kept, line, "halt")


def in_span(label: str, read: Columns, span: Span) -> tuple[Columns, list[Finding]]:
    """Return the bars of the span, sorted, and what is wrong with their times; a span without any is fatal."""
    findings = list(order_findings(label, "bar", read.time))
    snapped, late = snap(read, span.interval)
    inside = snapped.take((snapped.time >= span.start) & (snapped.time < span.end))
    if not inside.time.size:
        covers = (
            f"{utc_text(int(read.time.min()))} to {utc_text(int(read.time.max()))} ({count(read.time.size, 'bar')})"
        )
        wanted = f"{utc_text(span.start)} to {utc_text(span.end)}"
        findings.append(Finding(f"{label} has no bar in the span {wanted}; the source covers {covers}"))
    elif not findings:
        findings += spacing_findings(label, "bar", inside.time, span.interval)
    if late:
        findings.append(
            Finding(f"{label} has {count(late, 'bar')} with jitter in the time, snapped to the grid.", False)
        )
    return inside, findings


def whole(columns: Columns) -> Columns:
    """Return bars whose range holds their open and close exactly, where rounding left them a hair outside."""
    v = columns.values
    high, low = np.maximum(v["open"], v["close"]), np.minimum(v["open"], v["close"])
    np.maximum(v["high"], high, out=high)
    np.minimum(v["low"], low, out=low)
    return replace(columns, values={**v, "high": high, "low": low})


def snap(columns: Columns, interval: int) -> tuple[Columns, int]:
    """Return the bars with times up to a second off the grid put on it, and how many those were."""
    allowed = min(SECOND, interval // 10)
    if regular(columns.time, interval):
        return columns, 0
    past = grid_offset(columns.time, interval)
    shift = np.where(past <= allowed, -past, np.where(interval - past <= allowed, interval - past, 0))
    moved = int(np.count_nonzero(shift))
    return (replace(columns, time=columns.time + shift) if moved else columns), moved


def missing_bars(columns: Columns, interval: int) -> int:
    """Return how many bars are missing between the first and the last."""
    time = columns.time
    return int((time[-1] - time[0]) // interval + 1 - time.size) if time.size else 0


def gap_findings(label: str, columns: Columns, span: Span, gaps: Gaps) -> Iterator[Finding]:
    """Gaps between bars: fatal unless the market allows them. A symbol that starts late or ends early: noted."""
    time, interval = columns.time, span.interval
    if not time.size or usual_spacing(time) not in (0, interval):
        return
    steps = np.diff(time)
    holes = np.flatnonzero(steps > interval)
    if holes.size:
        sizes = steps[holes] // interval - 1
        told = f"{label} has a gap of {count(int(sizes[0]), 'bar')} after {utc_text(int(time[holes[0]]))}"
        told += (
            f", the first of {holes.size:,} gaps with {count(int(sizes.sum()), 'bar')} in all" if holes.size > 1 else ""
        )
        yield Finding(f"{told}; {TREATMENT.get(gaps, ALLOW)}.", fatal=gaps == "error")
    if late := int((time[0] - span.start) // interval):
        yield Finding(f"{label} starts {count(late, 'bar')} into the span, at {utc_text(int(time[0]))}.", fatal=False)
    if early := int((span.end - time[-1]) // interval) - 1:
        yield Finding(
            f"{label} ends {count(early, 'bar')} before the span, after {utc_text(int(time[-1]))}.", fatal=False
        )
