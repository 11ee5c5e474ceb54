"""The median and the MAD of a sliding window, compiled for long series: `windows` says what they mean.

Values are numbered by size beforehand; which of them are in the window stands in a tree of counts (Fenwick, Software: Practice
and Experience 24(3), 1994), where taking one in, letting one go and finding the k-th smallest cost log2(n) steps each. Everything
called here stands in this file: Numba looks at it alone to see whether what it keeps is stale.
"""

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.compile import compiled

__all__ = ["slide"]


def slide(values: Float, first: Int64, ready: BoolArray, share: float) -> tuple[Float, Float]:
    """Return (n,) each the median and the MAD of the known values in [first, t) at each t, NaN where it is not ready."""
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    rank = np.full(values.size, -1)
    rank[order] = np.arange(order.size)
    top = 1 << (max(order.size, 1) - 1).bit_length()
    found = np.full((2, values.size), np.nan)
    walk(values[order], rank, first, ready, share, np.zeros(top + 1, np.int64), found)
    return found[0], found[1]


@compiled
def put(tree: Int64, rank: int, change: int) -> None:
    """Count a value in or out."""
    i = rank + 1
    while i < tree.size:
        tree[i] += change
        i += i & -i


@compiled
def pick(tree: Int64, ordered: Float, k: int) -> float:
    """Return the value at place k, from 0, of the window's by size."""
    place, step = 0, (tree.size - 1) >> 1
    while step > 0:
        if tree[place + step] <= k:
            place += step
            k -= tree[place]
        step >>= 1
    return float(ordered[place])


@compiled
def far_enough(tree: Int64, ordered: Float, middle: float, k: int, i: int) -> bool:
    """Return whether of k neighbours from place i on the last is no nearer to the middle than the first."""
    return bool(pick(tree, ordered, i + k - 1) - middle >= middle - pick(tree, ordered, i))


@compiled
def start_of(tree: Int64, ordered: Float, middle: float, k: int, size: int, guess: int) -> int:
    """Return the first place that is far enough, `size` - k where none is: in growing steps from a guess, then by halving."""
    low, high, step = 0, size - k, 1
    i = min(guess, high - 1)
    while low < high and i >= 0:
        if far_enough(tree, ordered, middle, k, i):
            high = i
            i = max(i - step, low) if i <= guess else -1
        else:
            low = i + 1
            i = min(i + step, high - 1) if i >= guess else -1
        step *= 2
    while low < high:
        i = (low + high) // 2
        if far_enough(tree, ordered, middle, k, i):
            high = i
        else:
            low = i + 1
    return low


@compiled
def reach(tree: Int64, ordered: Float, middle: float, k: int, low: int) -> float:
    """Return the k-th smallest distance from the middle: k neighbours stand at `low`, or one place before."""
    here = max(pick(tree, ordered, low + k - 1) - middle, middle - pick(tree, ordered, low))
    if low == 0:
        return here
    before = max(pick(tree, ordered, low + k - 2) - middle, middle - pick(tree, ordered, low - 1))
    return min(here, before)


@compiled
def walk(ordered: Float, rank: Int64, first: Int64, ready: BoolArray, share: float, tree: Int64, found: Float) -> None:
    """Take every value through the window; write median and MAD into the two rows of `found`."""
    start, size, low = 0, 0, 0
    for t in range(rank.size):
        while start < first[t]:
            if rank[start] >= 0:
                put(tree, rank[start], -1)
                size -= 1
            start += 1
        if ready[t] and size >= max(1.0, share * (t - first[t])):
            half, odd = size // 2, size % 2 == 1
            middle = pick(tree, ordered, half)
            if not odd:
                middle = (pick(tree, ordered, half - 1) + middle) / 2
            low = start_of(tree, ordered, middle, half + 1, size, low)
            distance = reach(tree, ordered, middle, half + 1, low)
            if not odd:
                other = start_of(tree, ordered, middle, half, size, low)
                distance = (reach(tree, ordered, middle, half, other) + distance) / 2
            found[0, t], found[1, t] = middle, distance
        if rank[t] >= 0:
            put(tree, rank[t], 1)
            size += 1
