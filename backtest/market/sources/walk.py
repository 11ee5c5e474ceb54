"""Asking for a span until it is full: venues give fewer rows than asked, from either end, and have holes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ask", "Rows", "Span", "join", "snap", "walk"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of an answer: time (k,) int64 ns UTC, sorted and unique; values (k, c) float64, NaN where there is none.

    dropped: rows left out since they stand on no grid; full: the answer had as many rows as one may have, so more may
    lie beyond it.
    """

    time: NDArray[np.int64]
    values: NDArray[np.float64]
    dropped: int = 0
    full: bool = False


Span = tuple[int, int]
Ask = Callable[[int, int], Rows]  # [start, end) ns -> the rows of it that the venue gave, perhaps not all


def walk(ask: Ask, start: int, end: int, *, longest: int, shortest: int, newest_first: bool) -> tuple[Rows, list[Span]]:
    """Ask for [start, end) until no answer brings anything new; return the rows and the spans that stayed empty.

    longest, shortest: ns within which the next row must, and before which it can't follow (both a bar's interval; for
    funding 8 hours and a second). newest_first: a full answer lacks the oldest rows of its span, not the newest. An
    answer that starts late or ends early is asked again from its first and its last row, since venues cut pages short
    under load. Each call either brings rows or finds a hole, so it ends.
    """
    found: list[Rows] = []
    empty: list[Span] = []
    waiting = [(start, end)]
    while waiting:
        low, high = waiting.pop()
        rows = ask(low, high)
        if rows.time.size == 0:
            empty.append((low, high))
            continue
        found.append(rows)
        first, last = int(rows.time[0]), int(rows.time[-1])
        if first - low >= (shortest if rows.full and newest_first else longest):
            waiting.append((low, first))
        if high - last > (shortest if rows.full and not newest_first else longest):
            waiting.append((last + shortest, high))
    return join(found), sorted(empty)


def join(parts: list[Rows]) -> Rows:
    """Return the rows of several answers as one, sorted; of two rows of one time the first that came is kept."""
    if not parts:
        return Rows(np.empty(0, np.int64), np.empty((0, 0)))
    time, first = np.unique(np.concatenate([p.time for p in parts]), return_index=True)
    return Rows(time, np.concatenate([p.values for p in parts])[first], sum(p.dropped for p in parts))


def snap(time: NDArray[np.int64], grid: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times moved to the nearest point of a grid (ns), and which were nearer to it than a tenth of its step.

    Venues' stamps jitter by milliseconds; what is further off is no bar of this grid.

    >>> moved, near = snap(np.array([3_600_000_000_007, 5_400_000_000_000]), 3_600_000_000_000)
    >>> int(moved[0]), near.tolist()
    (3600000000000, [True, False])
    """
    moved = (time + grid // 2) // grid * grid
    return moved, np.abs(time - moved) * 10 < grid
