"""The walk of lines through touches, compiled. Everything it calls stands in this file.

Numba keeps what it compiled beside this file and looks at this file alone to see whether that is stale, so nothing of another
file may be called from here. `walk.py_func` and its like are the plain source.
"""

from typing import NamedTuple

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.compile import compiled

__all__ = ["BLOCK", "Spans", "TouchTape", "follow_touches"]

BLOCK = 32  # bars that are passed at once while price stays clear of a level


class TouchTape(NamedTuple):
    """The bars, (n,) each: prices, the zone, how far away ends a touch's time and how far is a bounce; by blocks of bars, lows
    less zone and highs plus zone.
    """

    low: Float
    high: Float
    close: Float
    zone: Float
    away: Float
    leave: Float
    low_zone: Float
    high_zone: Float


class Spans(NamedTuple):
    """Stretches in which a line is intact or lost, (s,) each, by line and time: the line, its price and least zone, whether it
    is intact, the first bar, the end (exclusive), and whether another stretch follows.
    """

    line: Int64
    price: Float
    width: Float
    intact: BoolArray
    first: Int64
    end: Int64
    follows: BoolArray


def follow_touches(tape: TouchTape, spans: Spans, quiet: int) -> Int64:
    """Return (3, e) stretch, bar and outcome (1 bounced, 0 broken, -1 undecided) of every touch of an intact line."""
    found = np.empty((4 * spans.price.size + 64, 3), np.int64)
    size = walk(tape, spans, quiet, found)
    if size > len(found):  # counted on the first walk, written on the second
        found = np.empty((size, 3), np.int64)
        walk(tape, spans, quiet, found)
    return np.ascontiguousarray(found[:size].T)


@compiled
def watch(tape: TouchTape, spans: Spans, quiet: int, s: int, now: Int64, found: Int64, size: int) -> int:
    """Follow a stretch in which the line is intact: a touch needs a close away from it before, and ends with bounce or break.

    What comes into the zone again before the touch is decided is the same touch. now: (1,) the bar of the line's last touch.
    """
    level, width, end = spans.price[s], spans.width[s], spans.end[s]
    t = spans.first[s]
    apart, waiting = tape.close[t] > level + max(tape.away[t], max(tape.zone[t], width)), False
    last = end + 1 if spans.follows[s] else end  # the bar that breaks the level may touch it first
    t += 1
    while t < last:
        if apart and not waiting and t % BLOCK == 0 and tape.low_zone[t // BLOCK] > level + width:
            t += BLOCK
            continue
        price = tape.close[t]
        if price > 0:  # NaN where the bar did not trade
            zone = max(tape.zone[t], width)
            if tape.low[t] <= level + zone and tape.high[t] >= level - zone:
                if apart and t - now[0] >= quiet:
                    now[0] = t
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
    if spans.follows[s] and waiting and size <= len(found):
        found[size - 1, 2] = 0
    return size


@compiled
def pass_below(tape: TouchTape, spans: Spans, quiet: int, s: int, now: Int64) -> None:
    """Follow a stretch in which the line is lost: touches from below are not counted, but the next one waits for their time."""
    level, width = spans.price[s], spans.width[s]
    t = spans.first[s]
    apart = tape.close[t] < level - max(tape.away[t], max(tape.zone[t], width))
    t += 1
    while t < spans.end[s]:
        if apart and t % BLOCK == 0 and tape.high_zone[t // BLOCK] < level - width:
            t += BLOCK
            continue
        if tape.close[t] > 0:
            zone = max(tape.zone[t], width)
            if tape.low[t] <= level + zone and tape.high[t] >= level - zone:
                if apart and t - now[0] >= quiet:
                    now[0] = t
                apart = False
            if tape.close[t] < level - max(tape.away[t], zone):
                apart = True
        t += 1


@compiled
def walk(tape: TouchTape, spans: Spans, quiet: int, found: Int64) -> int:
    """Follow every stretch; return how many touches there are, more than fit in the table or not."""
    now, size = np.empty(1, np.int64), 0
    for s in range(len(spans.price)):
        if s == 0 or spans.line[s] != spans.line[s - 1]:
            now[0] = -(1 << 60)
        if spans.intact[s]:
            size = watch(tape, spans, quiet, s, now, found, size)
        else:
            pass_below(tape, spans, quiet, s, now)
    return size
