"""The loops of the bootstrap, compiled: plain functions on arrays, which can be stepped through as they are."""

import numpy as np
from numpy.typing import NDArray

from backtest.model.compile import compiled

__all__ = ["sums", "sums_python", "walk_days", "walk_days_python"]

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]


def walk_days_python(days: Int64, chances: Float, end: float) -> None:
    """Turn random days into blocks, in place: where a block goes on, the day is the one after the day before."""
    n = days.size
    day = days[0]
    for i in range(1, n):
        after = day + 1 if day + 1 < n else 0
        day = after if chances[i] > end else days[i]
        days[i] = day


def sums_python(returns: Float, logs: Float, centre: float, days: Int64) -> tuple[float, float, float, float, float]:
    """Return the sums over these days that the figures follow from, and the worst equity / peak.

    The sums are of the returns less `centre` and of their squares, of squared losses, and of log growth. A centre near
    the mean keeps the digits that the squares would lose.
    """
    total, squares, losses, growth, below, worst = 0.0, 0.0, 0.0, 0.0, 1.0, 1.0
    for day in days:
        r = returns[day]
        total += r - centre
        squares += (r - centre) ** 2
        losses += min(r, 0.0) ** 2
        growth += logs[day]
        below = min(below * (1.0 + r), 1.0)
        worst = min(worst, below)
    return total, squares, losses, growth, worst


walk_days = compiled(walk_days_python, nogil=True, error_model="numpy")
sums = compiled(sums_python, nogil=True, error_model="numpy")
