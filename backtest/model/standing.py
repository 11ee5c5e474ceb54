"""What every run says of its data: how price, mark, funding, open interest, liquidations, tiers and macro stand."""

from collections.abc import Iterable
from dataclasses import dataclass

from backtest.model.passport import Origin, Passport, Series

__all__ = ["SUBJECTS", "Standing", "standing"]

SUBJECTS = ("price", "mark", "funding", "open interest", "liquidations", "tiers", "macro")
WORST: tuple[Origin, ...] = ("simulated", "missing", "assumed", "proxy", "real")


@dataclass(frozen=True)
class Standing:
    """How one subject stands for one symbol ("" for macro): the worst origin of its series, with names, sources and hashes.

    series: the passport's lines, none where the origin is "missing" because nothing was declared. The funding of spot, where
    none is due, is "real"; one that a perpetual does not have is "missing".
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
