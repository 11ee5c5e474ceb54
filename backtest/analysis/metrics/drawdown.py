"""How far the equity fell from its peaks, for how long, and what was earned for it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from backtest.model.arrays import BoolArray, Float, Int64

__all__ = [
    "Drawdowns",
    "calmar",
    "dollar_drawdowns",
    "drawdowns",
    "longest_under_water",
    "martin",
    "max_drawdown",
    "time_under_water",
    "ulcer",
    "underwater",
]


@dataclass(frozen=True, eq=False)
class Drawdowns:
    """The falls of an equity curve from a peak until the peak is reached again, in the order of time.

    start: (d,) the bar of the peak, -1 for the starting cash; trough: (d,) the first bar of the lowest equity; recovery:
    (d,) the first bar back at the peak or above, -1 where there is none; depth: (d,) fractions from -1 to 0, lowest /
    peak - 1; fall: (d,) quote units, peak - lowest; end: of the run, the bar behind the last.
    """

    start: Int64
    trough: Int64
    recovery: Int64
    depth: Float
    fall: Float
    end: int

    def __len__(self) -> int:
        return int(self.start.size)

    @property
    def bars(self) -> Int64:
        """(d,) bars at whose close the equity was below the peak."""
        return np.where(self.recovery < 0, self.end, self.recovery) - self.start - 1

    def deepest(self, most: int) -> "Drawdowns":
        """Return the deepest ones, the deepest first; of equal depth the first in time."""
        rows = np.argsort(self.depth, kind="stable")[:most]
        columns = (self.start[rows], self.trough[rows], self.recovery[rows], self.depth[rows], self.fall[rows])
        return Drawdowns(*columns, self.end)


def peaks_of(equity: Float, cash: float) -> Float:
    return np.maximum(np.maximum.accumulate(equity), cash) if equity.size else equity


def underwater(equity: ArrayLike, cash: float) -> Float:
    """Return (n,) how far each bar's equity lies below the highest so far, fractions from -1 to 0; the cash is the first peak.

    >>> underwater([80.0, 160.0, 120.0], cash=100.0).round(12).tolist()
    [-0.2, 0.0, -0.25]
    """
    values = np.asarray(equity, dtype=np.float64)
    return values / peaks_of(values, cash) - 1.0


def max_drawdown(equity: ArrayLike, cash: float) -> float:
    """Return the deepest fall from a peak, a fraction from -1 to 0; the starting cash is the first peak.

    min over i of e[i] / max(cash, e[0..i]) - 1. NaN without a bar.

    >>> max_drawdown([80.0, 160.0, 120.0], cash=100.0)
    -0.25
    >>> max_drawdown([60.0, 90.0], cash=100.0)
    -0.4
    """
    values = np.asarray(equity, dtype=np.float64)
    if not values.size:
        return math.nan
    return min(0.0, float(np.min(values / peaks_of(values, cash))) - 1.0)


def drawdowns(equity: ArrayLike, cash: float) -> Drawdowns:
    """Return every drawdown of an equity curve, (n,) quote units at each bar's close; the cash is the first peak.

    >>> found = drawdowns([80.0, 160.0, 120.0, 140.0], cash=100.0)
    >>> found.start.tolist(), found.trough.tolist(), found.recovery.tolist(), found.fall.tolist()
    ([-1, 1], [0, 2], [1, -1], [20.0, 40.0])
    """
    values = np.asarray(equity, dtype=np.float64)
    peaks = peaks_of(values, cash)
    under = values < peaks
    first, after = runs(under)
    if not first.size:
        none = np.empty(0, np.int64)
        return Drawdowns(none, none, none, np.empty(0), np.empty(0), values.size)
    lowest = np.minimum.reduceat(values[under], np.cumsum(after - first) - (after - first))
    lowest_at = np.flatnonzero(under)[values[under] == np.repeat(lowest, after - first)]
    trough = lowest_at[np.searchsorted(lowest_at, first)]
    recovery = np.where(after < values.size, after, -1)
    return Drawdowns(first - 1, trough, recovery, lowest / peaks[first] - 1.0, peaks[first] - lowest, values.size)


def runs(mask: BoolArray) -> tuple[Int64, Int64]:
    """Return the first bar of each stretch of True, and the bar behind its last."""
    padded = np.concatenate(([False], mask, [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[::2], edges[1::2]


def dollar_drawdowns(equity: ArrayLike, cash: float) -> Float:
    """Return (d,) the fall of every drawdown in quote units, peak - lowest, in the order of time.

    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), 14.5.

    >>> dollar_drawdowns([110.0, 90.0, 100.0, 120.0, 100.0], cash=100.0).tolist()
    [20.0, 20.0]
    """
    return drawdowns(equity, cash).fall


def time_under_water(equity: ArrayLike, cash: float) -> float:
    """Return the fraction of bars at whose close the equity is below its highest so far. NaN without a bar.

    >>> time_under_water([110.0, 90.0, 100.0, 120.0], cash=100.0)
    0.5
    """
    values = np.asarray(equity, dtype=np.float64)
    return float(np.mean(values < peaks_of(values, cash))) if values.size else math.nan


def longest_under_water(equity: ArrayLike, cash: float) -> int:
    """Return the largest number of bars in a row at whose close the equity is below its highest so far.

    >>> longest_under_water([110.0, 90.0, 100.0, 120.0, 119.0], cash=100.0)
    2
    """
    values = np.asarray(equity, dtype=np.float64)
    first, after = runs(values < peaks_of(values, cash))
    return int(np.max(after - first, initial=0))


def calmar(yearly_growth: float, drawdown: float) -> float:
    """Return CAGR / |max drawdown|. NaN where there was no drawdown. Source: Young, Futures 20 (1991).

    >>> calmar(0.5, -0.25)
    2.0
    """
    return yearly_growth / abs(drawdown) if drawdown < 0 else math.nan


def ulcer(equity: ArrayLike, cash: float) -> float:
    """Return the Ulcer index: sqrt(mean(d^2)), d the distance of each bar below the highest so far, a fraction.

    Of a window of prices: the prices of the window, with its first as `cash`. NaN without a bar. Source: Martin &
    McCann, The Investor's Guide to Fidelity Funds (1989).

    >>> ulcer([100.0, 60.0, 70.0, 100.0], cash=100.0)   # sqrt((0.4^2 + 0.3^2) / 4)
    0.25
    """
    d = underwater(equity, cash)
    return math.sqrt(float(np.mean(d * d))) if d.size else math.nan


def martin(earned: float, ulcer_index: float) -> float:
    """Return the Martin ratio (Ulcer performance index): what was earned / Ulcer index, both fractions.

    earned: of a run, its yearly growth; any mean return that the index stands beside. NaN where the index is 0. Source:
    Martin & McCann (1989).

    >>> martin(0.5, 0.25)
    2.0
    """
    return earned / ulcer_index if ulcer_index > 0 else math.nan
