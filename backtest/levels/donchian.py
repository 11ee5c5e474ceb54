"""The lowest low of the bars before: a support that moves."""

from dataclasses import dataclass
from typing import overload

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.detector import Detector, changes, check_bars
from backtest.levels.table import Levels
from backtest.model.arrays import Float
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["Donchian", "donchian", "sliding_min"]


@dataclass(frozen=True)
class Donchian(Detector):
    """The lowest low of the last n bars as levels: one row for each stretch of bars in which it stays the same.

    n: bars, 20 or 55 by custom. A row is known at the close that made its low the lowest, and lasts until the low
    leaves the window or a lower one comes. No row while one of the n bars did not trade. `n` below 1 is a ConfigError.

    Formula: min(low[t-n..t-1]) is in force at bar t, so it is known at the close of t-1. Source: as `donchian`.
    """

    n: int = 20

    def __post_init__(self) -> None:
        lookback(self.n)

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        lows = sliding_min(bars.low, self.n) if self.n <= len(bars) else np.empty(0)
        return changes(lows, bars.known_at[len(bars) - lows.size :], "donchian", (("n", self.n),))


@overload
def donchian(bars: Bars, n: int = 20) -> Float: ...
@overload
def donchian(bars: int = 20) -> Donchian: ...
@memoised
def donchian(bars: Bars | int = 20, n: int = 20) -> Float | Donchian:
    """Return (len(bars),) the lowest low of the n bars before each bar, the bar itself excluded, in quote units.

    NaN in the first n bars, and wherever one of the n bars did not trade. `n` below 1 or not whole is a ConfigError.
    Without bars, `donchian(55)`, it is the detector `Donchian(n=55)`, to be combined with others.

    Formula: min(low[t-n..t-1]), by doubling the window: about log2(n) passes over the data, whatever n is. Source:
    the channel of R. Donchian; as the "trading range break" in Brock, Lakonishok & LeBaron, J. Finance 47(5), 1992.
    """
    if not isinstance(bars, Bars):
        return Donchian(bars)
    n = lookback(n)
    support = np.full(len(bars), np.nan)
    if n < len(bars):
        support[n:] = sliding_min(bars.low[:-1], n)
    return support


def lookback(n: object) -> int:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ConfigError(f"The lookback of a Donchian channel must be a whole number of bars from 1, got {n!r}.")
    return int(n)


def sliding_min(values: Float, n: int) -> Float:
    """Return (len(values) - n + 1,) the lowest of each n neighbours, NaN where one of them is."""
    lowest, width = values, 1
    while 2 * width <= n:
        lowest = np.minimum(lowest[:-width], lowest[width:])
        width *= 2
    rest = n - width
    return np.minimum(lowest[:-rest], lowest[rest:]) if rest else lowest
