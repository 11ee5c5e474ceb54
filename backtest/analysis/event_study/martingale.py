"""What happens after a break when prices have no memory: the chance that the next level is reached before the reclaim."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from backtest.model.arrays import Float, Int64

__all__ = ["OVERSHOOT", "bar_sigma", "martingale_test", "next_level_probability"]

OVERSHOOT = 0.5826
"""-zeta(1/2) / sqrt(2 pi): how far beyond a barrier a walk with normal steps is found on the average, in its sigmas."""


def next_level_probability(reclaim: Any, close: Any, gap: Any, sigma: Any = 0.0) -> Any:
    """Return the chance that a price without memory reaches the next level before it is back at the reclaim.

    reclaim: the price above which a close takes the break back, quote units; close: of the bar that broke, at or below
    it; gap: how far the next level lies below the reclaim, quote units, above 0; sigma: standard deviation of the changes
    from close to close, quote units, 0 for a price that is watched at every moment. Numbers or arrays of one shape; NaN
    gives NaN. Both ends are watched at closes.

    Formula: (reclaim - close + b) / (gap + 2 b), b = 0.5826 sigma: optional stopping of a martingale between two barriers,
    each moved outwards by what a walk that is seen at closes overshoots. Without b the chance is 6 to 11 points too low
    where the break is a fraction of a sigma deep. Sources: S. Ross, "Stochastic Processes", 2nd ed. 1996, ch. 6; M. Broadie,
    P. Glasserman & S. Kou, "A continuity correction for discrete barrier options", Mathematical Finance 7 (1997).

    >>> next_level_probability(reclaim=102.0, close=100.0, gap=3.0)   # 2 up against 1 down
    0.6666666666666666
    """
    b = OVERSHOOT * sigma
    chance = np.clip((reclaim - close + b) / (gap + 2 * b), 0.0, 1.0)
    return float(chance) if np.ndim(chance) == 0 else chance


def bar_sigma(close: Float, bars: int = 168) -> Float:
    """Return (n,) the root mean square of the last `bars` changes from close to close before each bar, quote units.

    The change into the bar itself is left out, since the event chose it. NaN before a third of them is there [D] and
    where a bar did not trade; the mean change counts as 0, which is the null.
    """
    change = np.diff(close, prepend=np.nan)
    there = np.isfinite(change)
    squares = np.concatenate(([0.0], np.cumsum(np.where(there, change, 0.0) ** 2)))
    counts = np.concatenate(([0], np.cumsum(there)))
    end = np.arange(close.size)
    start = np.maximum(end - bars, 0)
    number = counts[end] - counts[start]
    mean = (squares[end] - squares[start]) / np.maximum(number, 1)
    return np.where((number >= max(2, bars // 3)) & np.isfinite(close), np.sqrt(np.maximum(mean, 0.0)), np.nan)


def martingale_test(
    hit: Float, chance: Float, slope: Float, start: Int64, done: Int64, path: Int64, closes: Sequence[Float]
) -> tuple[float, float]:
    """Return (z, two-sided p) of the hits against their chances; NaN without an event.

    hit: (k,) 1 where the next level was first, 0 where the reclaim was; chance: (k,) of each; slope: (k,) by how much the
    chance falls as the close rises by a quote unit; start, done: (k,) the bars of the break and of the decision; path: (k,)
    which of the closes (n,) each belongs to.

    While an event waits, its chance moves against the close, so the sum of all hits less chances is a sum of price changes,
    each times the slopes of what waits then: a martingale, whose variance is the sum of the squares of its steps. Events that
    wait together, on one symbol or on several, fall into the same step. Formula: z = sum(hit - chance) / sqrt(sum over t of
    (sum over paths of slopes[t-1] (close[t] - close[t-1]))²). Source: P. Hall & C. Heyde, "Martingale Limit Theory and Its
    Application", 1980, theorem 3.2. Days as clusters would miss what waits over several of them.
    """
    if not hit.size:
        return math.nan, math.nan
    steps = np.zeros(max(close.size for close in closes))
    for s, close in enumerate(closes):
        mine = path == s
        open_slopes = np.bincount(start[mine] + 1, slope[mine], close.size + 1)
        open_slopes -= np.bincount(done[mine] + 1, slope[mine], close.size + 1)
        weight = np.cumsum(open_slopes)[: close.size]
        steps[: close.size] += weight * np.nan_to_num(np.diff(forward_filled(close), prepend=np.nan))
    spread = math.sqrt(float(np.sum(steps**2)))
    if spread == 0:
        return math.nan, math.nan
    z = float(np.sum(hit - chance)) / spread
    return z, 2 * NormalDist().cdf(-abs(z))


def forward_filled(close: Float) -> Float:
    """Return the closes with the last one before it in place of each that is NaN."""
    last = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(close.size), 0))
    return close[last]
