"""Zigzag: the lows from which the price has come back far enough, known when it has."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest.levels.atr import atr
from backtest.levels.detector import Detector, check_bars, chosen, number, whole
from backtest.levels.table import Levels
from backtest.levels.turning import turning_points
from backtest.model.arrays import Float
from backtest.model.market import Bars

__all__ = ["Zigzag", "zigzag"]


@dataclass(frozen=True)
class Zigzag(Detector):
    """Lows (or highs) confirmed by a close that has come back by theta; each is known at that close.

    theta: fraction of the low, at least [D: 3%]; atrs: theta is no less than this many ATRs of `n` bars at the
    confirming bar, as a fraction of its close [D: 2 and 14]; 0 leaves the ATR out, otherwise nothing is confirmed
    before it is known. side: "low", or "high" for former resistances. The price is the low's, the half-width 0.

    Formula: a low is confirmed when close >= low * (1 + theta), a high when close <= high * (1 - theta), in turn; the
    extremes are those of wicks, the confirmation is by closes, so that the order inside a bar never matters. The last
    turning point of a finished chart, which the usual zigzag draws, is none here: it is not confirmed. Errors
    (ConfigError): theta not in (0, 1), negative atrs, n below 1, an unknown side. Source: directional changes as in
    Guillaume et al., "From the bird's eye to the microscope", Finance and Stochastics 1(2), 1997.
    """

    theta: float = 0.03
    atrs: float = 2.0
    n: int = 14
    side: Literal["low", "high"] = "low"

    def __post_init__(self) -> None:
        number("theta", self.theta, 0, 0.99, above=True)
        number("atrs", self.atrs)
        whole("n", self.n)
        chosen("side", self.side, ("low", "high"))

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        bar, side, known = turning_points(bars.high, bars.low, bars.close, self.thresholds(bars))
        mine = side == (-1 if self.side == "low" else 1)
        bar, known = bar[mine], known[mine]
        price = (bars.low if self.side == "low" else bars.high)[bar]
        params = (("theta", self.theta), ("atrs", self.atrs), ("n", self.n))
        rows = (params if self.side == "low" else (*params, ("side", "high")),) * bar.size
        times = bars.known_at[bar], bars.known_at[known]
        return Levels(price, np.zeros(bar.size), ("zigzag",) * bar.size, *times, rows)

    def thresholds(self, bars: Bars) -> Float:
        """Return (n,) theta at each bar, NaN before the ATR is known."""
        if self.atrs == 0:
            return np.full(len(bars), self.theta)
        share = self.atrs * atr(bars, self.n)
        share /= bars.close
        return np.asarray(np.maximum(self.theta, share, out=share), np.float64)


zigzag = Zigzag
