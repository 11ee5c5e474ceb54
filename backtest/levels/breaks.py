"""Breaks: the bars at which an intact support gives way, by a rule, and where that leaves the ladder of levels."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from backtest.levels.break_rule import RULES, BreakEvents, BreakRule, Walked, false_break_bars
from backtest.levels.checks import visible_from, whole_bars
from backtest.levels.detector import check_bars
from backtest.levels.life import LifeRules, retirement
from backtest.levels.spans import nearest_below
from backtest.levels.table import Levels, check_levels
from backtest.model.arrays import Float, Int64, frozen_array
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["RULES", "Break", "BreakEvents", "Breaks", "break_events", "breaks"]


@dataclass(frozen=True)
class Break:
    """One break: the bar, when it was known (ns UTC), the level, the next one below (NaN for none) and the close."""

    bar: int
    time: int
    level: float
    next_level: float
    close: float
    rule: str


@dataclass(frozen=True, eq=False)
class Breaks:
    """Breaks by bar, at most one row a bar, ready to be handed to a Plan.

    bar: (k,) increasing; time: (k,) ns UTC, the bar's close, when the break is known; level: (k,) the deepest level
    that broke at the bar; next_level: (k,) the highest active level below both `level` and `close`, NaN where there
    is none; close: (k,) the bar's close; row: (k,) position of `level` in the table of levels; first_bar: (k,) the bar
    whose low first went below the floor, since the last close above the reclaim; low: (k,) the lowest low since then;
    broke_bar: (k,) the bar that broke the level, earlier than `bar` for a retest or a reclaim;
    delta: (k,) the margin around the level at the bar: floor = level - delta, reclaim = level + delta. Quote units.
    """

    bar: Int64
    time: Int64
    level: Float
    next_level: Float
    close: Float
    row: Int64
    first_bar: Int64
    low: Float
    delta: Float
    broke_bar: Int64
    rule: str

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "rule":
                kind = np.int64 if field.type == Int64 else np.float64
                object.__setattr__(self, field.name, frozen_array(getattr(self, field.name), kind))

    def __len__(self) -> int:
        return int(self.bar.size)

    def __getitem__(self, i: int) -> Break:
        prices = float(self.level[i]), float(self.next_level[i]), float(self.close[i])
        return Break(int(self.bar[i]), int(self.time[i]), *prices, self.rule)

    def __iter__(self) -> Iterator[Break]:
        return (self[i] for i in range(len(self)))


@memoised
def breaks(
    bars: Bars,
    levels: Levels,
    rule: str = "close",
    buffer: float = 0.003,
    quiet_bars: int | None = None,
    *,
    buffer_atr: float = 0.0,
    closes: int = 2,
    volume: float = 0.0,
    volume_bars: int = 168,
    zone: float = 0.15,
    within: int | None = None,
    life_days: float | None = 180.0,
    round_trips: int | None = 2,
) -> Breaks:
    """Return the bars at which a support broke; each row uses nothing later than its bar's close.

    rule: what a break is, with delta = max(`buffer` * level, `buffer_atr` * ATR of 14 bars at the bar):
      "wick"      a low below level - delta
      "close"     a close below level - delta
      "n_closes"  `closes` of them in a row; the last is the break
      "retest"    after a close below, a later bar with a high at or above level - `zone` ATRs and, then or later, a close
                  below level - delta again, before a reclaim; at most `within` bars after the break (None: any number)
      "reclaim"   the false break: after a close below, a close above level + delta, at most `within` bars after it (None:
                  24, on daily bars 5 [D])
    buffer: fraction of the level [D]; quiet_bars: a level has at most one event in that many bars (None: 24, on daily bars 5
    [D]), counted from its last event; a break in between breaks the level all the same, without an event.
    volume: the breaking bar trades at least so many times the median of the `volume_bars` bars before it, and none breaks
    before there are so many; 0 asks for nothing. A bar that lacks the volume leaves the level intact.
    life_days, round_trips: a level is given up so many days after it became known, and with so many reclaims after a break
    (None: never) [D], as in `life`; given prices and round numbers never are.

    A level is intact once a bar that saw it closed at or above it: a support above the price when it becomes known
    starts broken, without an event. An event is the first later bar that meets the rule, equality is none. The level is
    intact again after a close > level + delta, the reclaim; under "wick" that may be the close of the same bar. On one level
    the first event of "wick" is never later than that of "close", nor that than that of "n_closes". A level that a newer one
    of its kind replaces (`until`) can still break in the bar that replaces it, and is over after that. When two levels break
    in one bar, the deepest counts. The next level is the next rung of the ladder: known, intact, and below the price, so that
    a short from the break can reach it. Bars that did not trade (NaN) change nothing; before there is an ATR the parts of
    delta and zone that need it are 0.

    Errors (ConfigError): an unknown rule, a buffer outside [0, 1), counts below 1, negative widths, prices that are not
    `Levels`. Source: life cycle and rules of support as in Osler, FRBNY Economic Policy Review 6(2), 2000; the buffer, the
    quiet time and the reclaim threshold are this project's [D].
    """
    asked = BreakRule(rule, buffer, buffer_atr, closes, volume, volume_bars, zone, within)
    walked, over = walked_by(asked, bars, levels, life_days, round_trips)
    found = spaced_events(walked.events(), false_break_bars(bars) if quiet_bars is None else quiet_bars)
    order = deepest(found.bar, levels.price[found.row])
    bar, row, first, broke = (column[order] for column in (found.bar, found.row, found.first_bar, found.broke_bar))
    level, close = levels.price[row], bars.close[bar]
    rung = nearest_below(bar, np.minimum(level, close), *walked.intact_spans(over))
    low = lowest(bars.low, first, bar)
    return Breaks(bar, bars.known_at[bar], level, rung, close, row, first, low, found.delta[order], broke, rule)


@memoised
def break_events(
    bars: Bars,
    levels: Levels,
    rule: str = "close",
    buffer: float = 0.003,
    quiet_bars: int = 1,
    *,
    buffer_atr: float = 0.0,
    closes: int = 2,
    volume: float = 0.0,
    volume_bars: int = 168,
    zone: float = 0.15,
    within: int | None = None,
    life_days: float | None = 180.0,
    round_trips: int | None = 2,
) -> BreakEvents:
    """Return every break of every level, whatever else breaks in the bar; settings, rules and errors are those of `breaks`.

    The work: while price stays clear of a level, 32 or 1,024 bars are passed at once, so that a level costs the bars that it
    meets and not those of the market.
    """
    asked = BreakRule(rule, buffer, buffer_atr, closes, volume, volume_bars, zone, within)
    walked, _ = walked_by(asked, bars, levels, life_days, round_trips)
    return spaced_events(walked.events(), quiet_bars)


def walked_by(
    asked: BreakRule, bars: Bars, levels: Levels, life_days: float | None, round_trips: int | None
) -> tuple[Walked, Int64]:
    """Return what happens to the levels, and (k,) the bar at whose close each is over, by age or by a newer one."""
    check_bars(bars)
    check_levels(levels)
    ends, own, trips = retirement(bars, levels, LifeRules(life_days=life_days, round_trips=round_trips))
    return asked.walk(bars, levels.price, visible_from(bars, levels), ends + own, trips), ends


def spaced_events(found: BreakEvents, quiet_bars: int) -> BreakEvents:
    gap = whole_bars("quiet_bars", quiet_bars)
    if gap == 1 or not len(found):
        return found
    from backtest.levels.break_walk import keep_apart  # imported late: it imports numba

    kept = keep_apart(found.row, found.bar, gap)
    return BreakEvents(*(getattr(found, field.name)[kept] for field in fields(found)))


def deepest(bar: Int64, price: Float) -> Int64:
    """Return the positions of the lowest price of each bar, by bar."""
    order = np.lexsort((price, bar))
    return order[np.concatenate(([True], np.diff(bar[order]) > 0))[: bar.size]]


def lowest(low: Float, first: Int64, last: Int64) -> Float:
    """Return (k,) the lowest low from each first bar to each last one; bars that did not trade have none."""
    if first.size == 0:
        return np.empty(0)
    ends = np.column_stack((first, last + 1)).ravel()
    return np.asarray(np.fmin.reduceat(np.append(low, np.nan), ends)[::2], np.float64)
