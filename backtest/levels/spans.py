"""Stretches of bars: extremes by blocks of them, and the nearest of the levels that stand at a bar."""

import numpy as np

from backtest.model.arrays import Float, Int64

__all__ = ["by_blocks", "nearest_below"]


def by_blocks(values: Float, size: int, reach: np.ufunc, none: float) -> Float:
    """Return the extreme of each `size` values; those that are NaN have none."""
    padded = np.full(-(-values.size // size) * size, none)
    padded[: values.size] = np.where(np.isnan(values), none, values)
    return np.asarray(reach.reduce(padded.reshape(-1, size), axis=1), np.float64)


def nearest_below(bar: Int64, price: Float, levels: Float, first: Int64, end: Int64) -> Float:
    """Return (j,) the highest of the levels (s,) below each price (j,), among those that stand at its bar, NaN for none.

    A level stands from its bar `first` up to, not including, its bar `end`. Each such stretch lies in about 2 log2(n)
    blocks of bars, and each question asks the blocks around its bar, so that the work grows as (j + s) * log(n).
    """
    ladder, rung = np.unique(levels, return_inverse=True)
    rank = np.searchsorted(ladder, price, side="left")  # the rungs below the price; NaN counts as above all
    best, k = np.full(price.size, -1, np.int64), ladder.size + 1
    first, end, depth = first.copy(), end.copy(), 0
    while first.size:
        at_first, at_end = (first & 1 == 1), (end & 1 == 1)
        keys = np.concatenate(((first * k + rung)[at_first], ((end - 1) * k + rung)[at_end]))
        if keys.size:
            keys, block = np.sort(keys), (bar >> depth) * k
            found = np.searchsorted(keys, block + rank, side="left") - 1
            mine = np.where(found >= 0, keys[np.maximum(found, 0)] - block, -1)
            best = np.maximum(best, mine)  # a key of an earlier block is below 0
        first, end, depth = (first + 1) >> 1, end >> 1, depth + 1
        left = first < end
        first, end, rung = first[left], end[left], rung[left]
    nearest = ladder[np.maximum(best, 0)] if ladder.size else np.full(price.size, np.nan)
    return np.where((best >= 0) & np.isfinite(price), nearest, np.nan)
