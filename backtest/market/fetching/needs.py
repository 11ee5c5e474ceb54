"""What a declared market needs from the store: which series of which source, from when to when."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backtest.errors import MarketError
from backtest.market.declare import Declaration, grid_offset_of
from backtest.market.declare_series import Role, Source
from backtest.market.sources.base import COLUMNS
from backtest.model.arrays import DAY, SECOND

__all__ = ["Need", "SeriesId", "Stored", "lead_of", "needs_of", "reach", "stored"]

MINUTE = 60 * SECOND
# A feed's key -> the kind of series that it is kept as, and the column that it is; {unit} is the declared unit.
FEEDS: dict[str, tuple[str, str]] = {
    "open_interest": ("open_interest", "{unit}"),
    "long_liquidations": ("liquidations", "long_{unit}"),
    "short_liquidations": ("liquidations", "short_{unit}"),
    "long_short_ratio": ("long_short_ratio", "value"),
    "taker_ratio": ("taker_ratio", "value"),
    "premium": ("premium", "close"),
}
USUAL = {"bars": "close", "mark": "close", "premium": "close", "funding": "rate"}


class SeriesId(NamedTuple):
    """A series of the store: its source, the symbol as the source spells it, its kind, its interval in ns (funding 0)."""

    source: str
    symbol: str
    kind: str
    interval: int


@dataclass(frozen=True)
class Need:
    """A series that a market file asks for, from `start` to `end` (exclusive), ns UTC.

    of: the key that asks, "BTCUSDT.bars"; lead: how much of the beginning only serves the first values and may be
    missing where the source has nothing so old, ns.
    """

    series: SeriesId
    start: int
    end: int
    of: str
    lead: int = 0


class Stored(NamedTuple):
    """A declared series as the store keeps it, and the column that a feed takes of it ("" where all are taken)."""

    series: SeriesId
    column: str = ""


def stored(role: Role, name: str, source: Source, interval: int) -> Stored:
    """Return which series of the store a declared one is.

    name: "BTCUSDT.bars", "vix"; source: with a `store`; interval: the market's, ns. What the market file leaves out
    follows from the key: the symbol is the market's own, long_liquidations is the column long_usd of liquidations.

    >>> stored("feed", "BTCUSDT.long_liquidations", Source(store="coinalyze"), 3_600_000_000_000).column
    'long_usd'
    """
    own, _, key = name.rpartition(".")
    kind, column = (source.series or role, "") if role != "feed" else feed_series(key, source)
    spacing = 0 if kind == "funding" else source.interval or interval
    return Stored(SeriesId(source.store or "", source.symbol or own or key, kind, spacing), column)


def feed_series(key: str, source: Source) -> tuple[str, str]:
    """Return the kind and the column of a feed's series."""
    kind, column = FEEDS.get(key, ("", ""))
    column = column.format(unit="coins" if source.unit == "coins" else "usd")
    if source.series is not None and source.series != kind:
        kind, column = source.series, USUAL.get(source.series, "value" if "value" in COLUMNS[source.series] else "")
    if not kind:
        kind, column = ("bars", "close") if source.column in COLUMNS["bars"] or source.symbol else ("value", "value")
    column = source.column or source.columns.get("value") or column
    if not column:
        has = ", ".join(COLUMNS[kind])
        raise MarketError(f"`{key}` takes one column of {kind}; say which: column = ... ({has}).")
    return kind, column


def lead_of(role: Role, interval: int) -> int:
    """Return how long before the first bar a series is needed: a feed's last value before it is in force at it.

    A week for daily values, over a weekend with holidays; a day for those within a day.
    """
    if role != "feed":
        return 0
    return max(7 * DAY, interval) if interval >= DAY or not interval else DAY


def reach(role: Role, series: SeriesId, start: int, end: int) -> tuple[int, int]:
    """Return the span, ns UTC, that a market from `start` to `end` takes of a series, on the series' own grid.

    Funding due at the very end still counts, a few milliseconds late as venues stamp it.
    """
    start -= lead_of(role, series.interval)
    if not series.interval:
        return start, end + MINUTE
    past = grid_offset_of(end, series.interval)
    return start - grid_offset_of(start, series.interval), end + (series.interval - past if past else 0)


def needs_of(declaration: Declaration) -> list[Need]:
    """Return what a market has to be given by `fetch`: a need for each series that the file takes from a store.

    Files, scenarios, assumptions and what is derived from other series need nothing. MarketError where such a market
    says no span and its scenario has none.
    """
    if not any(source.store is not None for _, _, source in declared(declaration)):
        return []
    d = with_span(declaration)
    needs: list[Need] = []
    for role, name, source in declared(d):
        if source.store is not None:
            interval = (d.fine_interval if name.endswith(".fine") else d.interval) or 0
            series = stored(role, name, source, interval).series
            needs.append(need_of(d, role, name, series))
            if source.check is not None:
                other, _, symbol = source.check.partition(":")
                needs.append(need_of(d, role, f"{name}.check", SeriesId(other, symbol, "bars", DAY)))
    return needs


def need_of(d: Declaration, role: Role, name: str, series: SeriesId) -> Need:
    """Return the need of one key."""
    start, end = reach(role, series, d.start or 0, d.end or 0)
    return Need(series, start, end, name, lead_of(role, series.interval))


def declared(d: Declaration) -> Iterator[tuple[Role, str, Source]]:
    """Give every declared series with its role and its key, in the file's order; finer bars as "SYMBOL.fine"."""
    for symbol, series in d.series.items():
        panel: tuple[tuple[Role, Source | None], ...]
        panel = (("bars", series.bars), ("mark", series.mark), ("funding", series.funding))
        yield from ((role, f"{symbol}.{role}", source) for role, source in panel if source is not None)
        yield from (("feed", f"{symbol}.{key}", source) for key, source in series.feeds.items())
    yield from (("feed", name, source) for name, source in d.feeds.items())
    yield from (("bars", f"{symbol}.fine", source) for symbol, source in d.fine.items())


def with_span(d: Declaration) -> Declaration:
    """Return the declaration with a span and an interval, those of its scenario where the file says none."""
    if d.scenario is None or (d.start is not None and d.end is not None and d.interval is not None):
        return d
    from backtest.market.load import filled_in
    from backtest.market.obtain import Sources

    return filled_in(Sources(Path(d.path).parent, d.name), d, d.scenario)
