"""The margin tiers of a venue as lines of the passport: published, standing in, or assumed."""

from collections.abc import Iterable
from hashlib import sha256

from backtest.model.arrays import utc_text
from backtest.model.passport import Origin, Series
from backtest.model.venue import TierTable, Venue

__all__ = ["tier_lines"]


def tier_lines(venue: Venue, symbols: Iterable[str], start: int, end: int) -> tuple[Series, ...]:
    """Return the passport line "SYMBOL.tiers" of each symbol: the venue's margin tiers in force between two times, ns UTC.

    "real" where all of them are published and dated before the start; "assumed" where one is not published or the symbol has none
    of its own and borrows the venue's default; "proxy" where the first is dated after the start, so that a later table stands
    in for one that is not known. source: the tables' names and origins; rows: their tiers; sha256: of their figures.
    """
    return tuple(tier_line(venue, symbol, start, end) for symbol in symbols)


def tier_line(venue: Venue, symbol: str, start: int, end: int) -> Series:
    """Return one symbol's line."""
    tables = in_force(venue.instrument(symbol).tables, start, end)
    name, notes = f"{symbol}.tiers", list[str]()
    origin: Origin = "real"
    if tables[0].date > start:
        origin = "proxy"
        when = f"which came into force on {utc_text(tables[0].date)[:10]}"
        notes.append(f"{name}: {tables[0].name}, {when}, stands in from {utc_text(start)[:10]} on.")
    made_up = [table.name for table in tables if table.assumed]
    if symbol not in venue.instruments:
        origin = "assumed"
        notes.append(f"{name}: {venue.name} has no table for {symbol}; its default ({tables[0].name}) is assumed.")
    elif made_up:
        origin = "assumed"
        notes.append(f"{name}: not published, assumed: {', '.join(made_up)}.")
    source = "; ".join(f"{table.name} ({table.origin})" for table in tables)
    rows = sum(len(table.floors) for table in tables)
    return Series(name, origin, source, start, end, rows, 0, digest(tables), tuple(notes))


def in_force(tables: tuple[TierTable, ...], start: int, end: int) -> tuple[TierTable, ...]:
    """Return the tables in force at some time in [start, end): the last one dated at or before the start, and later ones."""
    earlier = [table for table in tables if table.date <= start]
    later = [table for table in tables if start < table.date < end]
    return (*earlier[-1:], *later) or tables[:1]


def digest(tables: tuple[TierTable, ...]) -> str:
    """Return the SHA-256 of the figures: date, floors, rates and highest leverages, each as Python writes it."""
    figures = [(t.date, t.floors, t.mmr, t.max_leverage) for t in tables]
    return sha256(repr(figures).encode()).hexdigest()
