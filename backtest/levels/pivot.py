"""Floor-trader pivots: supports computed from the last completed day, week or month."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.detector import Detector, check_bars, chosen, stepped
from backtest.levels.periods import PERIODS, Periods, periods
from backtest.levels.table import NEVER, Levels
from backtest.model.arrays import Float
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["Pivot", "pivot", "pivot_points"]

NAMES = ("pp", "s1", "s2", "s3", "r1", "r2", "r3")


@memoised
def pivot_points(high: Float, low: Float, close: Float) -> dict[str, Float]:
    """Return the pivot and its supports and resistances, by name, in the shape and unit of the prices.

    Formula: pp = (H+L+C)/3, s1 = 2pp-H, s2 = pp-(H-L), s3 = L-2(H-pp), r1 = 2pp-L, r2 = pp+(H-L), r3 = H+2(pp-L).
    Source: the floor trader's pivots, as in Person, "A Complete Guide to Technical Trading Tactics", 2004.

    >>> {name: float(value) for name, value in pivot_points(np.float64(12), np.float64(6), np.float64(9)).items()}
    {'pp': 9.0, 's1': 6.0, 's2': 3.0, 's3': 0.0, 'r1': 12.0, 'r2': 15.0, 'r3': 18.0}
    """
    pp, span = (high + low + close) / 3, high - low
    below = {"s1": 2 * pp - high, "s2": pp - span, "s3": low - 2 * (high - pp)}
    above = {"r1": 2 * pp - low, "r2": pp + span, "r3": high + 2 * (pp - low)}
    return {"pp": pp, **below, **above}


@dataclass(frozen=True)
class Pivot(Detector):
    """The pivots of the last completed UTC day, ISO week or month as levels; known at its end, until the next's.

    names: which of pp, s1, s2, s3, r1, r2, r3. One row a name for each completed period in which a bar traded, the
    `params` say which; none where the formula gives no price above 0. An unknown period or name, or no name at all, is
    a ConfigError. Source: as `pivot_points`.
    """

    period: Literal["day", "week", "month"] = "day"
    names: tuple[str, ...] = ("pp", "s1", "s2", "s3")

    def __post_init__(self) -> None:
        chosen("period", self.period, PERIODS)
        if not isinstance(self.names, tuple) or not self.names or len(set(self.names)) < len(self.names):
            raise ConfigError(f"`names` must be different names of pivots like ('pp', 's1'), got {self.names!r}.")
        for name in self.names:
            chosen("names", name, NAMES)

    def find(self, bars: Bars) -> Levels:
        done, points = self.points(bars)
        price = np.column_stack([points[name] for name in self.names]).ravel()
        end = np.repeat(done.end, len(self.names))
        until = np.repeat(np.append(done.end[1:], NEVER)[: done.end.size], len(self.names))
        each = tuple((("period", self.period), ("name", name)) for name in self.names)
        size = price.size
        levels = Levels(
            np.where(price > 0, price, 1.0),
            np.zeros(size),
            ("pivot",) * size,
            end,
            end,
            each * done.end.size,
            until,
        )
        return levels if (price > 0).all() else levels.take(np.flatnonzero(price > 0))

    def lines(self, bars: Bars) -> dict[str, Float]:
        """Return by name (len(bars),) the pivot in force at each bar's close, quote units; NaN before the first."""
        done, points = self.points(bars)
        return {name: stepped(bars, done.end, points[name]) for name in self.names}

    def points(self, bars: Bars) -> tuple[Periods, dict[str, Float]]:
        check_bars(bars)
        done, *prices = periods(bars, self.period).traded(bars)
        return done, pivot_points(*prices)


pivot = Pivot
