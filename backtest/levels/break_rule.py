"""The rules of a break: one family with a few settings, and what walking levels by one of them finds."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from backtest.errors import ConfigError, did_you_mean
from backtest.levels.atr import atr
from backtest.levels.checks import fraction, whole_bars
from backtest.levels.detector import check_bars, number
from backtest.levels.spans import by_blocks
from backtest.model.arrays import DAY, BoolArray, Float, Int64, frozen_array
from backtest.model.market import Bars
from backtest.model.memo import memoised

if TYPE_CHECKING:
    from backtest.levels.break_walk import Passing

__all__ = ["RULES", "BreakEvents", "BreakRule", "Walked", "false_break_bars"]

RULES = ("wick", "close", "n_closes", "retest", "reclaim")
"""What a break may be; on one level the first of "wick" is never later than of "close", nor that than of "n_closes"."""

ATR_BARS = 14
MANY = 1 << 60  # reclaims: none ends the level
FALSE_BREAK_BARS, FALSE_BREAK_BARS_DAILY = 24, 5
"""[D] A reclaim this soon makes a break a false one."""


def false_break_bars(bars: Bars) -> int:
    """Return R [D]: the bars in which a reclaim makes a break a false one, and in which a level has one event at most."""
    return FALSE_BREAK_BARS_DAILY if bars.interval >= DAY else FALSE_BREAK_BARS


@dataclass(frozen=True, eq=False)
class BreakEvents:
    """Every break of every level, sorted by level and bar: what is counted, where `Breaks` is what is traded.

    row: (e,) position in the table of levels; bar: (e,) the bar whose close shows it; first_bar: (e,) the bar whose low
    first went below the floor, since the last close above the reclaim; broke_bar: (e,) the bar that broke the level,
    earlier than `bar` for a retest or a reclaim; reclaim_bar: (e,) the first bar from `bar` on that closed above level +
    delta, -1 where none has before the level or the market ends; delta: (e,) quote units, at `bar`.
    """

    row: Int64
    bar: Int64
    first_bar: Int64
    broke_bar: Int64
    reclaim_bar: Int64
    delta: Float

    def __post_init__(self) -> None:
        for field in fields(self):
            kind = np.int64 if field.type == Int64 else np.float64
            object.__setattr__(self, field.name, frozen_array(getattr(self, field.name), kind))

    def __len__(self) -> int:
        return int(self.row.size)


@dataclass(frozen=True)
class BreakRule:
    """A rule and its settings; their meaning is that of `breaks`."""

    rule: str = "close"
    buffer: float = 0.003
    buffer_atr: float = 0.0
    closes: int = 2
    volume: float = 0.0
    volume_bars: int = 168
    zone: float = 0.15
    within: int | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(f"No break rule named {self.rule!r}.{did_you_mean(str(self.rule), RULES)}")
        fraction("buffer", self.buffer)
        for name in ("buffer_atr", "volume", "zone"):
            number(name, getattr(self, name))
        for name in ("closes", "volume_bars"):
            whole_bars(name, getattr(self, name))
        if self.within is not None:
            whole_bars("within", self.within)

    def delta(self, bars: Bars, bar: Int64, level: Float) -> Float:
        """Return (k,) the margin around levels (k,) at bars (k,), quote units."""
        share = self.buffer * level
        return (
            share
            if self.buffer_atr == 0
            else np.maximum(share, np.nan_to_num(self.buffer_atr * atr(bars, ATR_BARS)[bar]))
        )

    def soon(self, bars: Bars) -> int:
        """Return the bars in which a reclaim makes a break a false one."""
        return self.within or false_break_bars(bars)

    def walk(self, bars: Bars, price: Float, start: Int64, end: Int64, trips: Int64 | None = None) -> "Walked":
        """Return what happens to levels (k,), each seen from its bar `start` and over at its bar `end` or with reclaim `trips`."""
        check_bars(bars)
        from backtest.levels.break_walk import Following, Watched, follow_breaks  # imported late: it imports numba

        rule = Following(self.rule == "wick", self.closes if self.rule == "n_closes" else 1, float(self.buffer))
        most = np.full(price.size, MANY) if trips is None else trips
        ladder = Watched(*(np.ascontiguousarray(column) for column in (price, start, end, most)))
        return Walked(self, bars, price, follow_breaks(self.passing(bars), ladder, rule))

    @memoised
    def passing(self, bars: Bars) -> "Passing":
        from backtest.levels.break_walk import LARGE, SMALL, Passing

        needed = self.buffer_atr > 0 or self.rule == "retest"
        span = np.nan_to_num(atr(bars, ATR_BARS)) if needed else np.zeros(len(bars))
        zone = self.zone * span
        lows = (by_blocks(bars.low, size, np.fmin, np.inf) for size in (SMALL, LARGE))
        highs = (by_blocks(bars.high + zone, size, np.fmax, -np.inf) for size in (SMALL, LARGE))
        blocks = (block for pair in zip(lows, highs, strict=True) for block in pair)
        columns = (bars.low, bars.high, bars.close, self.buffer_atr * span, zone, self.loud(bars))
        return Passing(*(np.ascontiguousarray(column) for column in (*columns, *blocks)))

    def loud(self, bars: Bars) -> BoolArray:
        """Return (n,) whether each bar has the volume that a break needs; its own volume is not part of the median."""
        if self.volume == 0:
            return np.ones(len(bars), np.bool_)
        import pandas as pd

        traded = np.flatnonzero(np.isfinite(bars.close))
        usual = pd.Series(bars.volume[traded]).rolling(self.volume_bars).median().shift(1)
        loud = np.zeros(len(bars), np.bool_)
        loud[traded] = bars.volume[traded] >= self.volume * usual.to_numpy()  # a NaN median is exceeded by none
        return loud


@dataclass(frozen=True, eq=False)
class Walked:
    """What a walk by a rule found; `found` is (5, e): row, bar, kind, first bar below the floor and bar of the break."""

    asked: BreakRule
    bars: Bars
    price: Float
    found: Int64

    def intact_spans(self, over: Int64) -> tuple[Float, Int64, Int64]:
        """Return prices, first bars and ends (exclusive) of the stretches in which a level is intact, before its bar `over`."""
        from backtest.levels.break_walk import ARMED, BROKEN, RECLAIMED, RETIRED

        row, bar, kind, *_ = self.found[:, np.isin(self.found[2], (ARMED, BROKEN, RECLAIMED, RETIRED))]
        follows = np.append(row[1:] == row[:-1], False)[: row.size]
        last = np.minimum(over, len(self.bars))[row]
        end = np.where(follows, np.append(bar[1:], 0)[: row.size], last)
        stands = (kind != BROKEN) & (kind != RETIRED) & (end > bar)
        return self.price[row[stands]], bar[stands], end[stands]

    def events(self) -> BreakEvents:
        """Return the events that the rule asks for."""
        from backtest.levels.break_walk import BROKEN, RECLAIMED, RETESTED

        row, bar, kind, first, broke = self.found
        wanted = {"retest": RETESTED, "reclaim": RECLAIMED}.get(self.asked.rule, BROKEN)
        mine = kind == wanted
        longest = self.asked.soon(self.bars) if wanted == RECLAIMED else self.asked.within
        if wanted != BROKEN and longest is not None:
            mine &= bar - broke <= longest
        picked = np.flatnonzero(mine)
        row, bar, first, broke = (column[picked] for column in (row, bar, first, broke))
        return BreakEvents(
            row, bar, first, broke, self.reclaims(picked), self.asked.delta(self.bars, bar, self.price[row])
        )

    def reclaims(self, event: Int64) -> Int64:
        """Return the bar of the first reclaim from each event on, -1 for none: it is one of the next two of its level."""
        from backtest.levels.break_walk import RECLAIMED

        row, bar, kind, *_ = self.found
        found = np.full(event.size, -1, np.int64)
        for ahead in (2, 1, 0):
            at = np.minimum(event + ahead, max(row.size - 1, 0))
            mine = (row[at] == row[event]) & (kind[at] == RECLAIMED) if event.size else np.empty(0, np.bool_)
            found[mine] = bar[at[mine]]
        return found
