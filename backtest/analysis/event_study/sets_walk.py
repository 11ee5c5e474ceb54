"""The walk of whole sets of levels, real or placebo, through what happens on their lines, compiled: what each set comes to.

Numba keeps what it compiled beside this file and looks at this file alone to see whether that is stale, so nothing of another
file may be called from here. `count.py_func` and its like are the plain source.
"""

from typing import NamedTuple

import numpy as np

from backtest.model.arrays import Float, Int64
from backtest.model.compile import compiled

__all__ = ["BREAK", "LOST", "RECLAIM", "TOUCH", "Ground", "Notes", "Rows", "Tally", "count_sets"]

TOUCH, BREAK, LOST, RECLAIM = range(4)
"""What happens on a line: a touch, an event of the rule, the end of its being intact, and that it is intact (again)."""

# Columns of a set's totals before those of the moves: sums and numbers.
TOUCHES, BOUNCES, BREAKS, FALSE, NEXT, HITS, CHANCE, KEPT, MOVES = range(9)


class Ground(NamedTuple):
    """What happens on every line of every symbol, and the bars, one symbol after the other.

    first: (l + 1,) where each line's events start; price: (l,) quote units; bar: (e,) of its symbol, increasing on a line;
    kind: (e,) TOUCH ... RECLAIM; outcome: (e,) of a touch 1 bounced, 0 broken, of a break 1 false, 0 not, -1 undecided;
    delta, low_close: (e,) of a break, quote units: the margin, and the lowest close after it before the reclaim;
    back: (e,) whether there was a reclaim. offset: (m,) where each symbol's bars start; close, sigma: (n,) quote units;
    moves: (n, v) what prices did after each bar, NaN unknown.
    """

    first: Int64
    price: Float
    bar: Int64
    kind: Int64
    outcome: Int64
    delta: Float
    low_close: Float
    back: Int64
    offset: Int64
    close: Float
    sigma: Float
    moves: Float


class Rows(NamedTuple):
    """Levels by symbol and start, (k,) each: the first and the end of the bars of their lives, and the returns that end them.

    cells_from, cells: (m,) each, the first cell of each symbol's ladder of prices and how many it has.
    """

    symbol: Int64
    start: Int64
    end: Int64
    trips: Int64
    cells_from: Int64
    cells: Int64


class Tally(NamedTuple):
    """Settings: least bars between breaks of a level, cells within which levels are one, cells looked through for the next.

    overshoot: of the martingale; cell: height of a cell, in logs; bottom: (m,) of each ladder, quote units; since: the first
    bar that is scored.
    """

    quiet: int
    merge: int
    reach: int
    overshoot: float
    cell: float
    bottom: Float
    since: int


class Set(NamedTuple):
    """One set of levels, (k,) each: its lines, and its cells, -1 where the price is beyond the ladder."""

    lines: Int64
    cells: Int64


class Scratch(NamedTuple):
    """What is known of the set at hand: until when cells are taken, (k,) ends of its levels, the levels by cell.

    first: where each cell's levels start in `ladder`; told: (4,) of the break at hand whether it was false, the next level,
    whether that came first, and the chance of that.
    """

    taken: Int64
    first: Int64
    ends: Int64
    ladder: Int64
    told: Float


class Notes(NamedTuple):
    """Room for single events: (e, 4) level, event, kind and bar; (e, 4) facts of breaks. Placebo sets need none."""

    event: Int64
    facts: Float


@compiled
def position(ground: Ground, line: int, bar: int) -> int:
    """Return the first event of a line at or after a bar."""
    low, high = int(ground.first[line]), int(ground.first[line + 1])
    while low < high:
        middle = (low + high) // 2
        if ground.bar[middle] < bar:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def intact_before(ground: Ground, line: int, event: int) -> bool:
    """Return whether the line was intact just before one of its events."""
    e = event - 1
    while e >= ground.first[line]:
        if ground.kind[e] == RECLAIM:
            return True
        if ground.kind[e] == LOST:
            return False
        e -= 1
    return False


@compiled
def over(ground: Ground, line: int, start: int, end: int, trips: int) -> int:
    """Return the bar at which a level is over: its end, or the return that is one too many."""
    e = position(ground, line, start + 1)
    left = trips if intact_before(ground, line, e) else trips + 1  # being held for the first time is no return
    while left > 0 and e < ground.first[line + 1] and ground.bar[e] < end:
        if ground.kind[e] == RECLAIM:
            left -= 1
            if left == 0:
                return int(ground.bar[e] + 1)
        e += 1
    return end


@compiled
def merged(rows: Rows, tally: Tally, row: int, cell: int, taken: Int64) -> bool:
    """Return whether a level lies within the width of one that was known before and still lives."""
    low = rows.cells_from[rows.symbol[row]]
    high = low + rows.cells[rows.symbol[row]]
    near = taken[max(low, cell - tally.merge) : min(high, cell + tally.merge + 1)]
    return bool(near.max() > rows.start[row])


@compiled
def keep(ground: Ground, rows: Rows, tally: Tally, set_: Set, own: Scratch) -> int:
    """Decide which levels of a set count and when each is over, and put them on the ladder; return their number."""
    own.taken[:] = 0
    own.first[:] = 0
    kept = 0
    for row in range(len(set_.lines)):
        line, cell = set_.lines[row], set_.cells[row]
        own.ends[row] = 0
        if cell >= 0 and not merged(rows, tally, row, cell, own.taken):
            own.ends[row] = over(ground, line, rows.start[row], rows.end[row], rows.trips[row])
            own.taken[cell] = max(own.taken[cell], own.ends[row])
            own.first[cell + 2] += 1
            kept += 1
    for c in range(2, len(own.first)):
        own.first[c] += own.first[c - 1]
    for row in range(len(set_.lines)):
        if own.ends[row] > 0:
            at = set_.cells[row] + 1
            own.ladder[own.first[at]] = row
            own.first[at] += 1
    return kept


@compiled
def stands(ground: Ground, rows: Rows, set_: Set, own: Scratch, row: int, bar: int) -> bool:
    """Return whether a level of the set is known and intact after a bar."""
    if not rows.start[row] <= bar < own.ends[row]:
        return False
    line = set_.lines[row]
    return intact_before(ground, line, position(ground, line, bar + 1))


@compiled
def next_level(
    ground: Ground, rows: Rows, tally: Tally, set_: Set, own: Scratch, s: int, bar: int, floor: float
) -> float:
    """Return the highest level of the set below a price that stands after a bar; NaN for none."""
    if not floor > tally.bottom[s]:
        return np.nan
    bottom = rows.cells_from[s]
    top = bottom + min(int(np.log(floor / tally.bottom[s]) / tally.cell), rows.cells[s] - 1)
    for c in range(top, max(bottom, top - tally.reach) - 1, -1):
        best = 0.0
        for i in range(own.first[c], own.first[c + 1]):
            price = ground.price[set_.lines[own.ladder[i]]]
            if best < price < floor and stands(ground, rows, set_, own, own.ladder[i], bar):
                best = price
        if best > 0:
            return best
    return np.nan


@compiled
def settle(ground: Ground, tally: Tally, s: int, e: int, level: float, rung: float, told: Float, total: Float) -> None:
    """Count one break: whether it was false, whether the next level came first, and what prices did."""
    bar = ground.bar[e] + ground.offset[s]
    told[:] = np.nan
    if ground.outcome[e] >= 0:
        told[0] = ground.outcome[e]
        total[BREAKS] += 1
        total[FALSE] += told[0]
    sigma, b = ground.sigma[bar], tally.overshoot * ground.sigma[bar]
    if rung > 0 and sigma >= 0:
        told[1] = rung
        hit = ground.low_close[e] <= rung
        if hit or ground.back[e] == 1:
            reclaim = level + ground.delta[e]
            chance = (reclaim - ground.close[bar] + b) / (reclaim - rung + 2 * b)
            told[2], told[3] = 1.0 if hit else 0.0, min(1.0, max(0.0, chance))
            total[NEXT] += 1
            total[HITS] += told[2]
            total[CHANCE] += told[3]
    for v in range(ground.moves.shape[1]):
        move = ground.moves[bar, v]
        if move == move:
            total[MOVES + 2 * v] += move
            total[MOVES + 2 * v + 1] += 1


@compiled
def count_level(
    ground: Ground, rows: Rows, tally: Tally, set_: Set, own: Scratch, row: int, notes: Notes, size: int, total: Float
) -> int:
    """Count the touches and breaks of one level, and note them where there is room; return how many are noted by then."""
    line, s, last = set_.lines[row], rows.symbol[row], -(1 << 60)
    level = ground.price[line]
    for e in range(position(ground, line, max(rows.start[row] + 1, tally.since)), ground.first[line + 1]):
        bar, kind = ground.bar[e], ground.kind[e]
        if bar >= own.ends[row]:
            break
        if kind > BREAK or (kind == BREAK and bar - last < tally.quiet):
            continue
        if kind == BREAK:
            last = bar
            floor = min(level, ground.close[bar + ground.offset[s]])
            rung = next_level(ground, rows, tally, set_, own, s, bar, floor)
            settle(ground, tally, s, e, level, rung, own.told, total)
        elif ground.outcome[e] >= 0:
            total[TOUCHES] += 1
            total[BOUNCES] += ground.outcome[e]
        if size < len(notes.event):
            note = notes.event[size]
            note[0], note[1], note[2], note[3] = row, e, kind, bar
            notes.facts[size] = own.told
        size += 1
    return size


@compiled
def count_sets(
    ground: Ground, rows: Rows, tally: Tally, lines: Int64, cells: Int64, totals: Float, notes: Notes
) -> int:
    """Count sets of levels, (sets, k) lines and cells each, into totals (sets, columns); return the events of the last."""
    number, k = rows.cells_from[-1] + rows.cells[-1], len(rows.start)
    own = Scratch(
        np.empty(number, np.int64),
        np.empty(number + 2, np.int64),
        np.empty(k, np.int64),
        np.empty(k, np.int64),
        np.empty(4),
    )
    size = 0
    totals[:] = 0.0
    for i in range(len(lines)):
        size, set_ = 0, Set(lines[i], cells[i])
        totals[i, KEPT] = keep(ground, rows, tally, set_, own)
        for row in range(k):
            if own.ends[row] > 0:
                size = count_level(ground, rows, tally, set_, own, row, notes, size, totals[i])
    return size
