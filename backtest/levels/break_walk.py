"""The walk of levels through breaks, compiled: `breaks` says what its steps mean. Everything it calls stands in this file.

Numba keeps what it compiled beside this file and looks at this file alone to see whether that is stale, so nothing of another
file may be called from here. `step.py_func` and its like are the plain source.
"""

from typing import NamedTuple

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.compile import compiled

__all__ = [
    "ARMED",
    "BROKEN",
    "LARGE",
    "RECLAIMED",
    "RETESTED",
    "RETIRED",
    "SMALL",
    "Following",
    "Passing",
    "Watched",
    "follow_breaks",
    "keep_apart",
]

SMALL, LARGE = 32, 1024  # bars that are passed at once while price stays clear of a level

ARMED, BROKEN, RETESTED, RECLAIMED, RETIRED = range(5)
"""What happens to a level: held by a close for the first time, broken, retested from below and lost again, reclaimed, given
up after one reclaim too many."""

# What is known of the level at hand: whether it was ever held, whether it is broken, the first bar below the floor since the
# last close above delta, closes below in a row, bar of the break, whether price came back near it, whether the retest is told,
# and the reclaims so far.
HELD, LOST, FIRST, RUN, BROKE, NEAR, TOLD, TRIPS = range(8)


class Passing(NamedTuple):
    """The bars, (n,) each: prices, widths in quote units, whether the volume confirms, and extremes by blocks of bars."""

    low: Float
    high: Float
    close: Float
    buffer: Float
    zone: Float
    loud: BoolArray
    low_small: Float
    high_small: Float
    low_large: Float
    high_large: Float


class Watched(NamedTuple):
    """The levels, (k,) each: price, first bar that knows it, bar at which it is over, reclaims that end it."""

    price: Float
    start: Int64
    end: Int64
    trips: Int64


class Following(NamedTuple):
    """Whether a low is enough, else closes in a row that are; least delta as a fraction."""

    wick: bool
    closes: int
    buffer: float


def follow_breaks(tape: Passing, ladder: Watched, rule: Following) -> Int64:
    """Return (5, e) row, bar, kind, first bar below the floor and bar of the break, for each event of each level."""
    events = np.empty((4 * ladder.price.size + 64, 5), np.int64)
    size = walk(tape, ladder, rule, events)
    if size > len(events):  # counted on the first walk, written on the second
        events = np.empty((size, 5), np.int64)
        walk(tape, ladder, rule, events)
    return np.ascontiguousarray(events[:size].T)


@compiled
def note(events: Int64, size: int, row: int, bar: int, kind: int, now: Int64) -> int:
    """Write an event where there is room, and count it."""
    if size < len(events):
        out = events[size]
        out[0], out[1], out[2], out[3], out[4] = row, bar, kind, now[FIRST], now[BROKE]
    return size + 1


@compiled
def clear_bars(tape: Passing, now: Int64, level: float, t: int) -> int:
    """Return how many bars from t on stay so clear of the level that nothing can happen in them; 0 where some may."""
    if t % SMALL != 0:
        return 0
    b, c = t // SMALL, t // LARGE
    if now[HELD] == 1 and now[LOST] == 0:
        if now[FIRST] >= 0:
            return 0
        if t % LARGE == 0 and tape.low_large[c] > level:
            return LARGE
        return SMALL if tape.low_small[b] > level else 0
    if now[NEAR] == 1 and now[TOLD] == 0:
        return 0
    if t % LARGE == 0 and tape.high_large[c] < level:
        return LARGE
    return SMALL if tape.high_small[b] < level else 0


@compiled
def come_back(events: Int64, size: int, row: int, t: int, now: Int64) -> int:
    """Make a broken level a support again."""
    size = note(events, size, row, t, RECLAIMED, now)
    now[LOST], now[FIRST], now[RUN], now[NEAR], now[TOLD] = 0, -1, 0, 0, 0
    now[TRIPS] += 1
    return size


@compiled
def held(tape: Passing, rule: Following, level: float, row: int, t: int, now: Int64, events: Int64, size: int) -> int:
    """Take an intact level through a bar."""
    delta = max(tape.buffer[t], rule.buffer * level)
    floor, price = level - delta, tape.close[t]
    below = tape.low[t] < floor
    if below and now[FIRST] < 0:
        now[FIRST] = t
    now[RUN] = now[RUN] + 1 if price < floor else 0
    through = below if rule.wick else now[RUN] >= rule.closes
    if through and tape.loud[t]:
        now[LOST], now[BROKE] = 1, t
        size = note(events, size, row, t, BROKEN, now)
        if price > level + delta:  # a wick that closed above again: the close comes after the low
            size = come_back(events, size, row, t, now)
    elif price > level + delta:
        now[FIRST] = -1
    return size


@compiled
def lost(tape: Passing, rule: Following, level: float, row: int, t: int, now: Int64, events: Int64, size: int) -> int:
    """Take a broken level through a bar."""
    delta, price = max(tape.buffer[t], rule.buffer * level), tape.close[t]
    if price > level + delta:
        return come_back(events, size, row, t, now)
    if tape.high[t] >= level - tape.zone[t]:
        now[NEAR] = 1
    if now[NEAR] == 1 and now[TOLD] == 0 and price < level - delta:
        now[TOLD] = 1
        size = note(events, size, row, t, RETESTED, now)
    return size


@compiled
def live(tape: Passing, ladder: Watched, rule: Following, row: int, now: Int64, events: Int64, size: int) -> int:
    """Follow one level from the bar that knows it to the bar at which it is over."""
    level, t, end = ladder.price[row], ladder.start[row], min(ladder.end[row], len(tape.close))
    now[:] = 0
    now[FIRST] = now[BROKE] = -1
    while t < end:
        clear = clear_bars(tape, now, level, t)
        if clear > 0:
            t += clear
            continue
        if tape.close[t] > 0:  # NaN where the bar did not trade
            if now[HELD] == 0:
                if tape.close[t] >= level:
                    now[HELD] = 1
                    size = note(events, size, row, t, ARMED, now)
            elif now[LOST] == 0:
                size = held(tape, rule, level, row, t, now, events, size)
            else:
                size = lost(tape, rule, level, row, t, now, events, size)
            if now[TRIPS] >= ladder.trips[row]:
                return note(events, size, row, t, RETIRED, now)
        t += 1
    return size


@compiled
def walk(tape: Passing, ladder: Watched, rule: Following, events: Int64) -> int:
    """Follow every level; return how many events there are, more than fit in the table or not."""
    now, size = np.empty(8, np.int64), 0
    for row in range(len(ladder.price)):
        size = live(tape, ladder, rule, row, now, events, size)
    return size


@compiled
def keep_apart(row: Int64, bar: Int64, gap: int) -> BoolArray:
    """Return which events, sorted by row and bar, come at least `gap` bars after the last one kept of their row."""
    kept, last = np.zeros(len(row), np.bool_), 0
    for i in range(len(row)):
        if i == 0 or row[i] != row[i - 1] or bar[i] - last >= gap:
            kept[i], last = True, bar[i]
    return kept
