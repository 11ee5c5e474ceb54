"""Lines: prices that are watched through the whole history, with all that happens on each. A level is a stretch of a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtest.analysis.event_study.martingale import bar_sigma
from backtest.analysis.event_study.moves import moves
from backtest.analysis.event_study.sets_walk import BREAK, LOST, RECLAIM, TOUCH, Ground
from backtest.analysis.event_study.settings import Settings
from backtest.analysis.event_study.touch_walk import BLOCK, Spans, TouchTape, follow_touches
from backtest.levels import atr
from backtest.levels.break_rule import BreakRule
from backtest.levels.break_walk import ARMED, BROKEN, RECLAIMED
from backtest.levels.spans import by_blocks
from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.market import Bars

__all__ = ["Path", "ground"]


@dataclass(frozen=True, eq=False)
class Path:
    """One symbol's bars with what every line on them needs, computed once."""

    bars: Bars
    settings: Settings

    @cached_property
    def span(self) -> Float:
        """(n,) the average true range, quote units, NaN while it is not known."""
        return atr(self.bars, self.settings.atr_bars)

    @cached_property
    def sigma(self) -> Float:
        """(n,) deviation of the changes from close to close before each bar, quote units."""
        return bar_sigma(self.bars.close, self.settings.sigma_bars)

    @cached_property
    def moves(self) -> Float:
        """(n, v) what prices did after each bar."""
        asked, interval = self.settings, self.bars.interval
        horizons = tuple(asked.bars(hours, interval) for hours in asked.horizons(interval))
        return moves(self.bars, self.span, horizons, asked.bars(asked.excursion_hours, interval))

    @cached_property
    def rule(self) -> BreakRule:
        return self.settings.break_rule

    @cached_property
    def tape(self) -> TouchTape:
        zone = np.nan_to_num(self.settings.zone * self.span)
        away, leave = (
            np.where(np.isnan(self.span), np.inf, f * self.span) for f in (self.settings.away, self.settings.leave)
        )
        lows = by_blocks(self.bars.low - zone, BLOCK, np.fmin, np.inf)
        highs = by_blocks(self.bars.high + zone, BLOCK, np.fmax, -np.inf)
        columns = (self.bars.low, self.bars.high, self.bars.close, zone, away, leave, lows, highs)
        return TouchTape(*(np.ascontiguousarray(column) for column in columns))

    def events(self, price: Float, width: Float) -> "Events":
        """Return what happens on lines (l,) that are watched from the first bar to the last."""
        n, size = len(self.bars), price.size
        walked = self.rule.walk(self.bars, price, np.zeros(size, np.int64), np.full(size, n))
        row, bar, kind, *_ = walked.found
        steps = np.isin(kind, (ARMED, BROKEN, RECLAIMED))
        row, bar, lost = row[steps], bar[steps], kind[steps] == BROKEN
        broken = walked.events()
        parts = [
            self.touches(price, width, row, bar, lost),
            self.breaks(price, broken.row, broken.bar, broken.reclaim_bar, broken.delta),
            Events.plain(row[lost], bar[lost], LOST),
            Events.plain(row[~lost], bar[~lost], RECLAIM),
        ]
        return Events.sorted(parts)

    def touches(self, price: Float, width: Float, row: Int64, bar: Int64, lost: BoolArray) -> "Events":
        """Return the touches of lines while they are intact; before it is held for the first time a line counts as lost."""
        held_first = np.unique(row)
        row = np.concatenate((held_first, row))
        order = np.argsort(row, kind="stable")  # the stretch from the first bar on comes before the others of its line
        row, bar = row[order], np.concatenate((np.zeros(held_first.size, np.int64), bar))[order]
        intact = np.concatenate((np.zeros(held_first.size, np.bool_), ~lost))[order]
        follows = np.append(row[1:] == row[:-1], False)[: row.size]
        end = np.where(follows, np.append(bar[1:], 0)[: row.size], len(self.bars))
        spans = Spans(row, price[row], width[row], intact, bar, end, follows)
        span, at, outcome = follow_touches(self.tape, spans, self.settings.touch_bars)
        return Events.plain(row[span], at, TOUCH).replaced(outcome=outcome)

    def breaks(self, price: Float, row: Int64, bar: Int64, reclaim: Int64, delta: Float) -> "Events":
        """Return the events of the rule, with what the closes did after each.

        Whether a break was false is known of those that have the whole reclaim time after them: near the end of the data
        only the quick ones have shown themselves.
        """
        n, soon = len(self.bars), self.settings.reclaim_bars(self.bars.interval)
        false = (reclaim >= 0) & (reclaim - bar <= soon)
        outcome = np.where(bar + soon < n, false.astype(np.int64), -1)
        until = np.where(reclaim >= 0, reclaim, n)
        low = lowest_between(self.bars.close, bar + 1, until)
        return Events.plain(row, bar, BREAK).replaced(
            outcome=outcome, delta=delta, low_close=low, back=(reclaim >= 0).astype(np.int64)
        )


def lowest_between(close: Float, first: Int64, end: Int64) -> Float:
    """Return (k,) the lowest close from each first bar up to, not including, each end; infinite where there is none."""
    found = np.full(first.size, np.inf)
    there = np.flatnonzero(end > first)
    if there.size:
        pairs = np.column_stack((first[there], end[there])).ravel()
        padded = np.append(np.where(np.isfinite(close), close, np.inf), np.inf)
        found[there] = running_min(padded, pairs[::2], pairs[1::2])
    return found


def running_min(values: Float, first: Int64, end: Int64) -> Float:
    """Return the least of values[first:end] by a table of the least of every 2**j values."""
    length = end - first
    level = np.frexp(length.astype(np.float64))[1] - 1  # floor(log2(length))
    found, table = np.empty(first.size), values
    for j in range(int(level.max()) + 1):
        mine = np.flatnonzero(level == j)
        found[mine] = np.minimum(table[first[mine]], table[end[mine] - (1 << j)])
        table = np.minimum(table[: -(1 << j)], table[(1 << j) :]) if table.size > (1 << j) else table
    return found


@dataclass(frozen=True, eq=False)
class Events:
    """What happens on lines, (e,) each: the columns of `Ground`, with the line of each."""

    line: Int64
    bar: Int64
    kind: Int64
    outcome: Int64
    delta: Float
    low_close: Float
    back: Int64

    @classmethod
    def plain(cls, line: Int64, bar: Int64, kind: int) -> "Events":
        e = line.size
        return cls(line, bar, np.full(e, kind), np.full(e, -1), np.zeros(e), np.zeros(e), np.zeros(e, np.int64))

    def replaced(self, **columns: Float | Int64) -> "Events":
        return Events(**{**self.__dict__, **columns})

    @classmethod
    def sorted(cls, parts: Sequence["Events"]) -> "Events":
        """Return the parts by line and bar; in a bar touches come first, and the break before the reclaim."""
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__}
        order = np.lexsort((columns["kind"], columns["bar"], columns["line"]))
        return cls(**{name: column[order] for name, column in columns.items()})


def ground(paths: Sequence[Path], prices: Sequence[Float], widths: Sequence[Float]) -> Ground:
    """Return all that happens on the lines of every symbol, symbol by symbol."""
    found = [path.events(p, w) for path, p, w in zip(paths, prices, widths, strict=True)]
    counts = [np.bincount(f.line, minlength=p.size) for f, p in zip(found, prices, strict=True)]
    first = np.concatenate(([0], np.cumsum(np.concatenate(counts))))
    sizes = [len(path.bars) for path in paths]
    columns = {
        name: np.concatenate([getattr(f, name) for f in found])
        for name in ("bar", "kind", "outcome", "delta", "low_close", "back")
    }
    whole = ("bar", "kind", "outcome", "back")
    columns = {name: np.ascontiguousarray(c, np.int64 if name in whole else np.float64) for name, c in columns.items()}
    return Ground(
        first=first.astype(np.int64),
        price=np.concatenate(prices),
        **columns,
        offset=np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64),
        close=np.concatenate([path.bars.close for path in paths]),
        sigma=np.concatenate([path.sigma for path in paths]),
        moves=np.ascontiguousarray(np.concatenate([path.moves for path in paths])),
    )
