"""Fractals: a low that is lower than its neighbours on both sides, known once those on the right have closed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest.levels.detector import Detector, check_bars, chosen, whole
from backtest.levels.donchian import sliding_min
from backtest.levels.table import Levels
from backtest.model.arrays import BoolArray, Float
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["Fractal", "fractal", "fractal_lows"]


@dataclass(frozen=True)
class Fractal(Detector):
    """Lows (or highs) that stick out of k neighbours on each side; each is known at the close of the k-th bar after.

    k: bars on each side; side: "low", or "high" for former resistances. Equal neighbours make none, and a bar beside
    one that did not trade is none. The price is the low's, the half-width 0. k below 1 or an unknown side is a
    ConfigError.

    Formula: low[i] < low[j] for all j in [i-k, i+k], j != i; formed at the close of i, known at the close of i+k.
    Source: B. Williams, "Trading Chaos", 1995, with k = 2. At the bar itself it is not known: on a random walk buying
    there "earns" 1.28 sigma in 5 bars, at i+k nothing.
    """

    k: int = 2
    side: Literal["low", "high"] = "low"

    def __post_init__(self) -> None:
        whole("k", self.k)
        chosen("side", self.side, ("low", "high"))

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        price = bars.low if self.side == "low" else bars.high
        i = np.flatnonzero(fractal_lows(price if self.side == "low" else -price, self.k))
        formed, known = bars.known_at[i], bars.known_at[i + self.k]
        params = (("k", self.k),) if self.side == "low" else (("k", self.k), ("side", "high"))
        return Levels(price[i], np.zeros(i.size), ("fractal",) * i.size, formed, known, (params,) * i.size)


@memoised
def fractal_lows(values: Float, k: int = 2) -> BoolArray:
    """Return (n,) whether each value lies strictly below its k neighbours on both sides; pass -values for highs.

    False in the first and last k, and where one of them is NaN; k below 1 is a ConfigError. Whether i is one is known at
    i+k, not before.

    >>> fractal_lows(np.array([5.0, 4, 3, 4, 5, 5]), 2).tolist()
    [False, False, True, False, False, False]
    """
    k, found = whole("k", k), np.zeros(values.size, np.bool_)
    if values.size > 2 * k:
        beside = sliding_min(values, k)
        centre = values[k:-k]
        found[k:-k] = (centre < beside[: centre.size]) & (centre < beside[k + 1 :])
    return found


fractal = Fractal
