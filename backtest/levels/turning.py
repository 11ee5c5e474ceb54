"""Turning points of a price, each with the bar that confirms it: the walk that zigzag needs, compiled when it is long."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.detector import check_lengths
from backtest.model.arrays import Float, Int64
from backtest.model.memo import memoised

__all__ = ["turning_points"]

LONG = 20_000  # bars from which compiling pays


@memoised
def turning_points(high: Float, low: Float, close: Float, theta: Float) -> tuple[Int64, Int64, Int64]:
    """Return (k,) the bars of the turning points, their side (-1 low, 1 high), and the bars that confirm them.

    high, low, close: (n,) prices, NaN where a bar did not trade; theta: (n,) the fraction that the close must have come
    back from the extreme, NaN where it is not known: nothing is confirmed there. Lows and highs alternate, at most one
    is confirmed a bar. Of equal extremes the first counts.
    """
    check_lengths(high=high, low=low, close=close, theta=theta)
    if (theta <= 0).any():
        raise ConfigError(f"`theta` must be above 0, got {float(theta[theta <= 0][0])}.")
    columns = [high, low, close, theta]
    if high.size >= LONG:
        bar, side, known = (np.empty(high.size, np.int64) for _ in range(3))
        count = compiled_walk()(*columns, bar, side, known)
        return bar[:count].copy(), side[:count].copy(), known[:count].copy()
    lists = [[0] * high.size for _ in range(3)]
    count = walk_python(*(column.tolist() for column in columns), *lists)
    one, two, three = (np.array(values[:count], np.int64) for values in lists)
    return one, two, three


def walk_python(high: Any, low: Any, close: Any, theta: Any, bar: Any, side: Any, known: Any) -> int:
    """Write the turning points into `bar`, `side` and `known` and return their number.

    trend: 1 a high is sought, -1 a low, 0 whichever comes first. After a confirmation the extreme that is sought next
    starts behind the turning point: inside the turning point's own bar only the close is known to come later.
    """
    count, trend, top, bottom = 0, 0, 0, 0
    peak, trough = -np.inf, np.inf
    for t in range(len(close)):
        last = close[t]
        if last != last:
            continue
        if trend >= 0 and high[t] > peak:
            top, peak = t, high[t]
        if trend <= 0 and low[t] < trough:
            bottom, trough = t, low[t]
        if trend <= 0 and last >= trough * (1 + theta[t]):
            bar[count], side[count], known[count] = bottom, -1, t
            trend, top, peak = 1, t, last
            for s in range(bottom + 1, t + 1):
                if high[s] > peak or (s < top and high[s] == peak):
                    top, peak = s, high[s]
            count += 1
        elif trend >= 0 and last <= peak * (1 - theta[t]):
            bar[count], side[count], known[count] = top, 1, t
            trend, bottom, trough = -1, t, last
            for s in range(top + 1, t + 1):
                if low[s] < trough or (s < bottom and low[s] == trough):
                    bottom, trough = s, low[s]
            count += 1
    return count


@cache
def compiled_walk() -> Callable[..., int]:
    """Compile the walk, on first need; cached on disk where a folder can be written. It calls no other kernel."""
    from backtest.model.compile import compiled  # imported late: it imports numba

    return compiled(walk_python)
