"""The passport: for each series of a market, whether it is real, where it came from and what is wrong with it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["GRADE_MEANING", "SPOT", "Grade", "Origin", "Passport", "Series"]

Origin = Literal["real", "proxy", "assumed", "simulated", "missing"]
Grade = Literal["A", "B", "C", "D"]

GRADE_MEANING = {
    "A": "all real: price, funding and what liquidation depends on come from the venue",
    "B": "a series of these is missing or incomplete, or another stands in for one",
    "C": "a series was assumed instead of measured",
    "D": "simulated",
}
SPOT = "spot"  # the source of a funding line that is empty because nothing is due, not because nothing is known


@dataclass(frozen=True)
class Series:
    """One series: `name` is "SYMBOL.bars", "SYMBOL.funding", "SYMBOL.open_interest", "vix", ...; span in ns UTC.

    findings are sentences for the reader; sha256 is of the series as loaded; rows counts its values; gaps counts what is missing
    in it, filled those of them that were filled with the value before; partial: part of it was never fetched.
    """

    name: str
    origin: Origin
    source: str
    start: int = 0
    end: int = 0
    rows: int = 0
    gaps: int = 0
    sha256: str = ""
    findings: tuple[str, ...] = ()
    filled: int = 0
    partial: bool = False


@dataclass(frozen=True)
class Passport:
    """What is known about a market's data; goes into every result and report."""

    series: tuple[Series, ...]

    @property
    def grade(self) -> Grade:
        """A: all real. B: a proxy among them, or less than that (`lacks`). C: an assumption. D: something simulated.

        >>> Passport((Series("BTC.bars", "real", "a file"), Series("BTC.funding", "assumed", "0.0001"))).grade
        'C'
        """
        origins = {s.origin for s in self.series}
        grades: tuple[tuple[Origin, Grade], ...] = (("simulated", "D"), ("assumed", "C"), ("proxy", "B"))
        found = next((grade for origin, grade in grades if origin in origins), None)
        return found or ("B" if self.lacks else "A")

    @property
    def lacks(self) -> tuple[str, ...]:
        """The series that keep real data from grade A: a perpetual's funding and mark where there is none, what was partly fetched.

        Without a mark the last price stands in for it, declared or not, so both are graded alike. Spot has neither.

        >>> Passport((Series("BTC.bars", "real", "a file"), Series("BTC.funding", "real", "a file"))).lacks
        ('BTC.mark',)
        """
        there = {s.name: s for s in self.series if s.origin != "missing"}
        symbols = [s.name.removesuffix(".bars") for s in self.series if s.name.endswith(".bars")]
        spot = {s for s in symbols if (line := there.get(f"{s}.funding")) is not None and line.source == SPOT}
        needed = [f"{s}.{key}" for s in symbols if s not in spot for key in ("funding", "mark")]
        partial = [s.name for s in self.series if s.partial]
        return tuple(dict.fromkeys([*(name for name in needed if name not in there), *partial]))

    @property
    def findings(self) -> tuple[str, ...]:
        """Every finding of every series, in order."""
        return tuple(f for s in self.series for f in s.findings)
