"""What every run says of its data: how price, mark, funding, open interest, liquidations, tiers and macro stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from backtest.model.arrays import utc_text
from backtest.model.passport import Origin, Passport, Series
from backtest.model.venue import TierTable, Venue

__all__ = ["SUBJECTS", "Standing", "standing", "tier_lines"]

SUBJECTS = ("price", "mark", "funding", "open interest", "liquidations", "tiers", "macro")
WORST: tuple[Origin, ...] = ("simulated", "missing", "assumed", "proxy", "real")


@dataclass(frozen=True)
class Standing:
    """How one subject stands for one symbol ("" for macro): the worst origin of its series, with names, sources and hashes.

    series: the passport's lines, none where the origin is "missing" because nothing was declared.
    """

    symbol: str
    subject: str
    origin: Origin
    series: tuple[Series, ...]


def standing(passport: Passport, symbols: Iterable[str], tiers: Iterable[Series] = ()) -> tuple[Standing, ...]:
    """Return how every subject stands for every symbol, and macro once; what is not declared is "missing".

    passport: of the market; tiers: the lines of `tier_lines`, where they are not in the passport.
    """
    lines = {s.name: s for s in (*passport.series, *tiers)}
    symbols = tuple(symbols)
    found = []
    for symbol in symbols:
        own = [s for name, s in lines.items() if name.startswith(f"{symbol}.")]
        found += [of(symbol, subject, [s for s in own if subject_of(s.name) == subject]) for subject in SUBJECTS[:-1]]
    shared = [s for name, s in lines.items() if name.rpartition(".")[0] not in symbols]
    return (*found, of("", "macro", shared))


def subject_of(name: str) -> str:
    """Return the subject of a passport line, its key where it is none of them.

    >>> subject_of("BTCUSDT.bars"), subject_of("BTCUSDT.long_liquidations"), subject_of("BTCUSDT.basis")
    ('price', 'liquidations', 'basis')
    """
    key = name.rpartition(".")[2]
    if key in ("bars", "fine"):
        return "price"
    for word in ("open_interest", "liquidations"):
        if word in key:
            return word.replace("_", " ")
    return key


def of(symbol: str, subject: str, series: list[Series]) -> Standing:
    """Return the standing of a subject's lines."""
    origins = {s.origin for s in series}
    return Standing(symbol, subject, next((o for o in WORST if o in origins), "missing"), tuple(series))


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
