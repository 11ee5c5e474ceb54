"""What is sought in a sweep and what rules a point out: figures with the side that is better, and limits on them."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backtest.analysis.summary import METRICS
from backtest.errors import ConfigError, did_you_mean

__all__ = ["OBJECTIVES", "Constraint", "better_side", "objective_named", "read_constraint", "satisfied", "worth"]

OBJECTIVES: Mapping[str, int] = {
    "total_return": 1, "cagr": 1, "sharpe": 1, "sortino": 1, "max_drawdown": 1, "calmar": 1, "win_rate": 1,
    "final_equity": 1, "volatility": -1, "fees": -1, "funding_paid": -1, "liquidations": -1, "exposure": -1,
}  # fmt: skip
"""Figures that can be sought: 1 where more is better, -1 where less is; a drawdown is a fraction below 0, so more is better."""

WORDS = {"return": "total_return", "drawdown": "max_drawdown"}
SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
FORM = re.compile(r"\s*([A-Za-z_]+)\s*(<=|>=|==|<|>|=)\s*(-?[\d.]+(?:[eE][+-]?\d+)?)(%?)\s*")


def objective_named(text: str) -> str:
    """Return a figure that can be sought, by its name or by "return" and "drawdown".

    >>> objective_named("return")
    'total_return'
    """
    name = WORDS.get(text.strip(), text.strip())
    if name not in OBJECTIVES:
        raise ConfigError(f"No figure {text!r} can be sought.{did_you_mean(name, OBJECTIVES)}")
    return name


def better_side(name: str) -> int:
    """Return 1 where more of a figure is better, -1 where less is."""
    return OBJECTIVES[objective_named(name)]


def worth(row: Mapping[str, Any], metric: str) -> float:
    """Return what a point is worth by a figure, more is better; -inf for one that failed or does not define it.

    >>> worth({"volatility": 0.5}, "volatility"), worth({"sharpe": None}, "sharpe")
    (-0.5, -inf)
    """
    value = row.get(metric)
    if row.get("error") or value is None or math.isnan(value):
        return -math.inf
    return float(value) * better_side(metric)


@dataclass(frozen=True)
class Constraint:
    """A limit on a figure that a point must keep: figure, sign, number; "drawdown" is the depth, from 0 to 1."""

    figure: str
    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.figure} {self.sign} {self.limit:g}"

    def value(self, row: Mapping[str, Any]) -> float:
        """Return the figure of a point; NaN where it has none."""
        name = "max_drawdown" if self.figure == "drawdown" else self.figure
        found = row.get(name)
        value = math.nan if found is None else float(found)
        return abs(value) if self.figure == "drawdown" else value

    def keeps(self, row: Mapping[str, Any]) -> bool:
        """Return whether a point keeps it; one that failed or has no such figure does not."""
        return not row.get("error") and SIGNS[self.sign](self.value(row), self.limit)

    def excess(self, row: Mapping[str, Any]) -> float:
        """Return by how much a point breaks the limit: above 0 where it does, at most 0 where it keeps it.

        >>> Constraint("drawdown", "<=", 0.25).excess({"max_drawdown": -0.5})
        0.25
        """
        if self.keeps(row):
            return 0.0 if self.sign == "=" else -self.distance(row)
        return self.distance(row) or 1e-12  # a strict limit that is met to the digit is broken all the same

    def distance(self, row: Mapping[str, Any]) -> float:
        value = self.value(row)
        return abs(value - self.limit) if math.isfinite(value) else 1.0


def satisfied(row: Mapping[str, Any], constraints: Iterable[Constraint]) -> bool:
    """Return whether a point keeps all limits."""
    return all(one.keeps(row) for one in constraints)


def read_constraint(text: str) -> Constraint:
    """Return a limit from text.

    >>> read_constraint("drawdown < 30%"), str(read_constraint("liquidations=0"))
    (Constraint(figure='drawdown', sign='<', limit=0.3), 'liquidations = 0')
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"A constraint is a figure, a sign and a number, such as liquidations=0 or drawdown<0.3; got {text!r}."
        )
    figure, sign, number, percent = found.groups()
    figure = "total_return" if figure == "return" else figure
    if figure not in (*METRICS, "drawdown"):
        raise ConfigError(
            f"No figure named {figure!r} to hold a point to.{did_you_mean(figure, (*METRICS, 'drawdown'))}"
        )
    try:
        limit = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        raise ConfigError(f"The limit of {text!r} is no number.") from None
    return checked(Constraint(figure, "=" if sign == "==" else sign, limit))


def checked(one: Constraint) -> Constraint:
    """Refuse limits on a drawdown that no point, or every point, keeps: its sign or scale was mistaken."""
    if one.figure == "drawdown" and not 0 <= one.limit <= 1:
        raise ConfigError(f"`drawdown` is a depth from 0 to 1, such as drawdown<0.3; got {one.limit:g}.")
    if one.figure == "max_drawdown" and not -1 <= one.limit <= 0:
        raise ConfigError(
            f"`max_drawdown` is a fraction from -1 to 0, such as max_drawdown>-0.3; got {one.limit:g}. "
            "Say drawdown<0.3 for its depth."
        )
    return one
