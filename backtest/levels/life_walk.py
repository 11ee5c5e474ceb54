"""The walk of levels through the bars, compiled: `life` says what its steps mean. Everything it calls stands in this file.

Numba keeps what it compiled beside this file and looks at this file alone to see whether that is stale, so nothing of another
file may be called from here. `step.py_func` and its like are the plain source.
"""

from typing import NamedTuple

import numpy as np

from backtest.model.arrays import Float, Int64
from backtest.model.compile import compiled

__all__ = ["LARGE", "SMALL", "Ladder", "Tape", "Thresholds", "follow"]

SMALL, LARGE = 32, 1024  # bars that are passed at once while price stays clear of a level

UNKNOWN, FORMED, ACTIVE, TESTED, BROKEN, RECLAIMED, FLIPPED, RETIRED = range(8)
# What is known of the level at hand: its state, counts, whether it was ever intact, whether a close left its zone since the
# last bar in it, whether a touch is open, the bar of the last touch from whatever side, and the bar of the break.
STATE, TOUCHES, BOUNCES, TRIPS, ARMED, APART, OPEN, TOUCHED, BROKEN_AT, BROKE = range(10)
LONG_AGO = -(1 << 60)


class Tape(NamedTuple):
    """The bars, (n,) each: what has to go through a level, prices, widths in quote units, and extremes by blocks of bars."""

    through: Float
    low: Float
    high: Float
    close: Float
    buffer: Float
    zone: Float
    away: Float
    leave: Float
    low_zone: Float
    low_bare: Float
    high_zone: Float
    high_bare: Float
    low_zone_large: Float
    low_bare_large: Float
    high_zone_large: Float
    high_bare_large: Float


class Ladder(NamedTuple):
    """The levels, (k,) each: first bar that knows it, bar that retires it, whether it still lives in that, returns that do."""

    price: Float
    half_width: Float
    start: Int64
    end: Int64
    own: Int64
    trips: Int64


class Thresholds(NamedTuple):
    """Least delta as a fraction, least bars between touches, bars in which a return makes a break a false one."""

    buffer: float
    quiet: int
    soon: int


def follow(tape: Tape, ladder: Ladder, rules: Thresholds) -> Int64:
    """Return (7, e) row, bar, state, touches, bounces, returns and whether it is a break, for each event of each level."""
    tape = Tape(*(np.ascontiguousarray(column) for column in tape))
    events = np.empty((8 * ladder.price.size + 64, 7), np.int64)
    size = walk(tape, ladder, rules, events)
    if size > len(events):  # counted on the first walk, written on the second
        events = np.empty((size, 7), np.int64)
        walk(tape, ladder, rules, events)
    return np.ascontiguousarray(events[:size].T)


@compiled
def note(events: Int64, size: int, row: int, bar: int, now: Int64) -> int:
    """Write what is known now as an event where there is room, and count it."""
    if size < len(events):
        out = events[size]
        out[0], out[1], out[2], out[3] = row, bar, now[STATE], now[TOUCHES]
        out[4], out[5], out[6] = now[BOUNCES], now[TRIPS], now[BROKE]
    now[BROKE] = 0
    return size + 1


@compiled
def clear_bars(tape: Tape, now: Int64, level: float, width: float, t: int) -> int:
    """Return how many bars from t on stay so clear of the level that nothing can happen in them; 0 where some may."""
    if t % SMALL != 0 or now[APART] == 0 or now[OPEN] == 1:
        return 0
    above = now[STATE] != BROKEN and now[STATE] != FLIPPED
    b, c = t // SMALL, t // LARGE
    if above:
        if t % LARGE == 0 and tape.low_zone_large[c] > level and tape.low_bare_large[c] > level + width:
            return LARGE
        return SMALL if tape.low_zone[b] > level and tape.low_bare[b] > level + width else 0
    if t % LARGE == 0 and tape.high_zone_large[c] < level and tape.high_bare_large[c] < level - width:
        return LARGE
    return SMALL if tape.high_zone[b] < level and tape.high_bare[b] < level - width else 0


@compiled
def touched(now: Int64, inside: bool, t: int, quiet: int) -> bool:
    """Return whether a bar in the zone is a touch; it ends the time apart in any case."""
    if not inside:
        return False
    first = bool(now[APART] == 1 and t - now[TOUCHED] >= quiet)
    now[APART] = 0
    if first:
        now[TOUCHED], now[OPEN] = t, 1
    return first


@compiled
def retested(now: Int64, inside: bool, t: int, quiet: int) -> None:
    """Let a bar that comes into the zone from below open a retest, however soon; where it is late enough it is a touch, too."""
    if inside and now[APART] == 1:
        now[OPEN] = 1
        if t - now[TOUCHED] >= quiet:
            now[TOUCHED] = t
    if inside:
        now[APART] = 0


@compiled
def turn(now: Int64, state: int, apart: bool) -> None:
    """Enter a state on the other side of the level: no touch is open; the bar of the last one stays."""
    now[STATE], now[APART], now[OPEN] = state, apart, 0


@compiled
def come_back(now: Int64, apart: bool, t: int, soon: int) -> None:
    """Make a broken level a support again, a first time without counting it as a return."""
    false_break = now[STATE] == BROKEN and now[ARMED] == 1 and t - now[BROKEN_AT] <= soon
    now[TRIPS] += now[ARMED]
    now[ARMED] = 1
    turn(now, RECLAIMED if false_break else ACTIVE, apart)


@compiled
def held(
    tape: Tape, rules: Thresholds, level: float, width: float, row: int, t: int, now: Int64, events: Int64, size: int
) -> int:
    """Take an intact level through a bar: touch, then break, then bounce."""
    price, delta = tape.close[t], max(tape.buffer[t], rules.buffer * level)
    zone = max(tape.zone[t], width)
    far = max(tape.away[t], zone)
    if touched(now, tape.low[t] <= level + zone and tape.high[t] >= level - zone, t, rules.quiet):
        now[STATE] = TESTED
        now[TOUCHES] += 1
        size = note(events, size, row, t, now)
    if tape.through[t] < level - delta:
        turn(now, BROKEN, price < level - far)
        now[BROKEN_AT], now[BROKE] = t, 1
        size = note(events, size, row, t, now)
        if price > level + delta:  # a wick that closed above again
            come_back(now, price > level + far, t, rules.soon)
            size = note(events, size, row, t, now)
        return size
    if now[OPEN] == 1 and price > level + max(tape.leave[t], zone):
        now[OPEN] = 0
        now[BOUNCES] += 1
        size = note(events, size, row, t, now)
    if price > level + far:
        now[APART] = 1
    return size


@compiled
def lost(
    tape: Tape, rules: Thresholds, level: float, width: float, row: int, t: int, now: Int64, events: Int64, size: int
) -> int:
    """Take a broken level through a bar: return, or touch from below and rejection."""
    price, delta = tape.close[t], max(tape.buffer[t], rules.buffer * level)
    zone = max(tape.zone[t], width)
    far = max(tape.away[t], zone)
    if price > level + delta if now[ARMED] == 1 else price >= level:
        come_back(now, price > level + far, t, rules.soon)
        return note(events, size, row, t, now)
    retested(now, tape.low[t] <= level + zone and tape.high[t] >= level - zone, t, rules.quiet)
    if now[OPEN] == 1 and price < level - max(tape.leave[t], zone):
        now[OPEN] = 0
        if now[STATE] == BROKEN:
            now[STATE] = FLIPPED
            size = note(events, size, row, t, now)
    if price < level - far:
        now[APART] = 1
    return size


@compiled
def met(tape: Tape, level: float, width: float, row: int, t: int, now: Int64, events: Int64, size: int) -> int:
    """Look at a level for the first time: a support above the price starts broken, without a break."""
    price, far = tape.close[t], max(tape.away[t], tape.zone[t], width)
    now[ARMED] = price >= level
    if now[ARMED] == 1:
        turn(now, ACTIVE, price > level + far)
    else:
        turn(now, BROKEN, price < level - far)
    return note(events, size, row, t, now)


@compiled
def live(tape: Tape, ladder: Ladder, rules: Thresholds, row: int, now: Int64, events: Int64, size: int) -> int:
    """Follow one level from the bar that knows it to the bar that retires it."""
    level, width, n = ladder.price[row], ladder.half_width[row], len(tape.close)
    now[:] = 0
    now[TOUCHED] = LONG_AGO
    t, end = ladder.start[row], min(ladder.end[row], n)
    stop = min(end + ladder.own[row], n)
    while t < stop:
        clear = clear_bars(tape, now, level, width, t)
        if clear > 0:
            t += clear
            continue
        if tape.close[t] > 0:  # NaN where the bar did not trade
            state = now[STATE]
            if state == UNKNOWN:
                size = met(tape, level, width, row, t, now, events, size)
            elif state in (BROKEN, FLIPPED):
                size = lost(tape, rules, level, width, row, t, now, events, size)
            else:
                size = held(tape, rules, level, width, row, t, now, events, size)
            if now[TRIPS] >= ladder.trips[row]:
                end = stop = t
        t += 1
    if end < n and now[STATE] != UNKNOWN:
        now[STATE] = RETIRED
        size = note(events, size, row, end, now)
    return size


@compiled
def walk(tape: Tape, ladder: Ladder, rules: Thresholds, events: Int64) -> int:
    """Follow every level; return how many events there are, more than fit in the table or not."""
    now, size = np.zeros(10, np.int64), 0
    for row in range(len(ladder.price)):
        size = live(tape, ladder, rules, row, now, events, size)
    return size
