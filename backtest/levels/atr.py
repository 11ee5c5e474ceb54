"""The average true range: the unit in which distances between prices are measured."""

from itertools import accumulate

import numpy as np

from backtest.levels.detector import check_bars, whole
from backtest.levels.periods import Periods, periods
from backtest.model.arrays import Float
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["atr", "average_true_range", "daily_atr"]

BLOCK = 256
BLOCKS = 64  # smoothed together: they fit in the cache


@memoised
def atr(bars: Bars, n: int = 14) -> Float:
    """Return (len(bars),) the average true range of n bars at each bar's close, quote units, NaN in the first n - 1.

    A bar that did not trade keeps the last value and counts for nothing: the next true range spans the halt. `n`
    below 1 or not whole is a ConfigError. Formula: (ATR[t-1] * (n - 1) + TR[t]) / n from the mean of the first n, with
    TR = max(high, close before) - min(low, close before). Source: J. W. Wilder, "New Concepts in Technical Trading
    Systems", 1978.
    """
    check_bars(bars)
    return average_true_range(bars.high, bars.low, bars.close, whole("n", n))


@memoised
def average_true_range(high: Float, low: Float, close: Float, n: int = 14) -> Float:
    """Return (k,) Wilder's average true range of prices (k,); the rules are those of `atr`."""
    there = np.isfinite(close)
    if there.all():
        return wilder(true_range(high, low, close), n)
    traded = np.flatnonzero(there)
    smooth = wilder(true_range(high[traded], low[traded], close[traded]), n)
    lengths = np.diff(np.concatenate(([0], traded, [close.size])))
    return np.repeat(np.concatenate(([np.nan], smooth)), lengths)


def true_range(high: Float, low: Float, close: Float) -> Float:
    """Return (k,) the range of each bar and the gap before it."""
    ranges, bottom = high.copy(), low.copy()
    np.maximum(high[1:], close[:-1], out=ranges[1:])
    np.minimum(low[1:], close[:-1], out=bottom[1:])
    ranges -= bottom
    return ranges


@memoised
def daily_atr(bars: Bars, n: int = 14) -> tuple[Periods, Float, Float]:
    """Return the completed UTC days that traded, and at the end of each (k,) the ATR of n days and the close."""
    days, high, low, close = periods(bars, "day").traded(bars)
    return days, average_true_range(high, low, close, n), close


def wilder(values: Float, n: int) -> Float:
    """Return Wilder's smoothing, block by block: inside a block it is a running sum of values scaled by decay**-i."""
    smooth = values.copy()
    smooth[: n - 1] = np.nan
    if values.size < n or n == 1:
        return smooth
    smooth[n - 1] = before = float(values[:n].mean())
    powers = (1 - 1 / n) ** np.arange(1, BLOCK + 1)
    whole_block = float(powers[-1])
    for start in range(n, values.size, BLOCKS * BLOCK):
        part = values[start : start + BLOCKS * BLOCK]
        own = np.zeros((-(-part.size // BLOCK), BLOCK))
        own.ravel()[: part.size] = part
        own /= powers
        np.cumsum(own, axis=1, out=own)
        own *= powers / n
        *carried, before = accumulate(own[:, -1].tolist(), lambda b, last: b * whole_block + last, initial=before)
        own += np.array(carried)[:, None] * powers
        smooth[start : start + part.size] = own.ravel()[: part.size]
    return smooth
