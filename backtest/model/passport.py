"""The passport: for each series of a market, whether it is real, where it came from and what is wrong with it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Grade", "Origin", "Passport", "Series"]

Origin = Literal["real", "proxy", "assumed", "simulated", "missing"]
Grade = Literal["A", "B", "C", "D"]

GRADE_MEANING = {
    "A": "all real: price, funding and what liquidation depends on come from the venue",
    "B": "another series stands in for one that is missing",
    "C": "a series was assumed instead of measured",
    "D": "simulated",
}


@dataclass(frozen=True)
class Series:
    """One series: `name` is "SYMBOL.bars", "SYMBOL.funding", "SYMBOL.open_interest", "vix", ...; span in ns UTC.

    findings are sentences for the reader; sha256 is of the series as loaded; rows counts its values; gaps counts what is missing
    in it, filled those of them that were filled with the value before.
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


@dataclass(frozen=True)
class Passport:
    """What is known about a market's data; goes into every result and report."""

    series: tuple[Series, ...]

    @property
    def grade(self) -> Grade:
        """A: all real. B: a proxy among them. C: an assumption among them. D: something simulated.

        >>> Passport((Series("BTC.bars", "real", "a file"), Series("BTC.funding", "assumed", "0.0001"))).grade
        'C'
        """
        origins = {s.origin for s in self.series}
        grades: tuple[tuple[Origin, Grade], ...] = (("simulated", "D"), ("assumed", "C"), ("proxy", "B"))
        return next((grade for origin, grade in grades if origin in origins), "A")

    @property
    def findings(self) -> tuple[str, ...]:
        """Every finding of every series, in order."""
        return tuple(f for s in self.series for f in s.findings)
