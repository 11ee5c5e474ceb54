"""The walk of intact levels through touches, compiled. Everything it calls stands in this file.

Numba keeps what it compiled beside this file and looks at this file alone to see whether that is stale, so nothing of another
file may be called from here. `walk.py_func` and its like are the plain source.
"""

from typing import NamedTuple

import numpy as np

from backtest.levels.compile import compiled
from backtest.model.arrays import BoolArray, Float, Int64

__all__ = ["BLOCK", "Spans", "TouchTape", "follow_touches"]

BLOCK = 32  # bars that are passed at once while price stays clear of a level


class TouchTape(NamedTuple):
    """The bars, (n,) each: prices, the zone, how far away ends a touch's time and how far is a bounce, lows less zone by blocks."""

    low: Float
    high: Float
    close: Float
    zone: Float
    away: Float
    leave: Float
    low_zone: Float


class Spans(NamedTuple):
    """Stretches in which a level is intact, (s,) each: price, least zone, first bar, end (exclusive), whether a break ended it."""

    price: Float
    width: Float
    first: Int64
    end: Int64
    broken: BoolArray


def follow_touches(tape: TouchTape, spans: Spans, quiet: int) -> Int64:
    """Return (3, e) span, bar and outcome (1 bounced, 0 broken, -1 undecided) of every touch."""
    found = np.empty((4 * spans.price.size + 64, 3), np.int64)
    size = walk(tape, spans, quiet, found)
    if size > len(found):  # counted on the first walk, written on the second
        found = np.empty((size, 3), np.int64)
        walk(tape, spans, quiet, found)
    return np.ascontiguousarray(found[:size].T)


@compiled
def watch(tape: TouchTape, spans: Spans, quiet: int, s: int, found: Int64, size: int) -> int:
    """Follow one stretch: a touch needs a close away from the level before it, and ends with a bounce or the break.

    What comes into the zone again before the touch is decided is the same touch.
    """
    level, width, end = spans.price[s], spans.width[s], spans.end[s]
    t = spans.first[s]
    apart = tape.close[t] > level + max(tape.away[t], max(tape.zone[t], width))
    waiting, touched = False, -(1 << 60)
    last = end + 1 if spans.broken[s] else end  # the bar that breaks the level may touch it first
    t += 1
    while t < last:
        if apart and not waiting and t % BLOCK == 0 and tape.low_zone[t // BLOCK] > level + width:
            t += BLOCK
            continue
        price = tape.close[t]
        if price > 0:  # NaN where the bar did not trade
            zone = max(tape.zone[t], width)
            if tape.low[t] <= level + zone and tape.high[t] >= level - zone:
                if apart and t - touched >= quiet:
                    touched = t
                    if not waiting:
                        waiting = True
                        if size < len(found):
                            found[size, 0], found[size, 1], found[size, 2] = s, t, -1
                        size += 1
                apart = False
            if t < end and waiting and price > level + max(tape.leave[t], zone):
                waiting = False
                if size <= len(found):
                    found[size - 1, 2] = 1
            if price > level + max(tape.away[t], zone):
                apart = True
        t += 1
    if spans.broken[s] and waiting and size <= len(found):
        found[size - 1, 2] = 0
    return size


@compiled
def walk(tape: TouchTape, spans: Spans, quiet: int, found: Int64) -> int:
    """Follow every stretch; return how many touches there are, more than fit in the table or not."""
    size = 0
    for s in range(len(spans.price)):
        size = watch(tape, spans, quiet, s, found, size)
    return size
