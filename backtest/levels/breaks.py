"""Breaks: the bars at which an intact support gives way, and where that leaves the ladder of levels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError, did_you_mean
from backtest.levels.checks import fraction, spaced, visible_from, whole_bars
from backtest.levels.table import Levels, check_levels
from backtest.model.arrays import BoolArray, Float, Int64, frozen_array
from backtest.model.market import Bars

__all__ = ["RULES", "Break", "Breaks", "breaks", "states"]


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
    is none; close: (k,) the bar's close; row: (k,) position of `level` in the table of levels. Prices in quote units.
    """

    bar: Int64
    time: Int64
    level: Float
    next_level: Float
    close: Float
    row: Int64
    rule: str

    def __post_init__(self) -> None:
        for name in ("bar", "time", "row"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))
        for name in ("level", "next_level", "close"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    def __len__(self) -> int:
        return int(self.bar.size)

    def __getitem__(self, i: int) -> Break:
        prices = float(self.level[i]), float(self.next_level[i]), float(self.close[i])
        return Break(int(self.bar[i]), int(self.time[i]), *prices, self.rule)

    def __iter__(self) -> Iterator[Break]:
        return (self[i] for i in range(len(self)))


def wick(bars: Bars, floor: float) -> BoolArray:
    return bars.low < floor


def close(bars: Bars, floor: float) -> BoolArray:
    return bars.close < floor


RULES: dict[str, Callable[[Bars, float], BoolArray]] = {"wick": wick, "close": close}
"""Name -> which bars go through the floor, level - level * buffer."""


def breaks(bars: Bars, levels: Levels, rule: str = "close", buffer: float = 0.003, quiet_bars: int = 24) -> Breaks:
    """Return the bars at which a support broke; each row uses nothing later than its bar's close.

    rule: "close" (a close below the level by more than the buffer) or "wick" (a low below it by more than the
    buffer); buffer: fraction of the level [D]; quiet_bars: a level has at most one event in that many bars [D: 24 on
    hourly bars, 5 on daily ones], counted from its last event; a break in between breaks the level all the same,
    without an event.

    A level is intact once a bar that saw it closed at or above it: a support above the price when it becomes known
    starts broken, without an event. An event is the first later bar with price < level * (1 - buffer), equality is
    none. The level is intact again after a close > level * (1 + buffer), the reclaim; under "wick" that may be the
    close of the same bar. On one level the first event of "wick" is never later than that of "close". When two levels
    break in one bar, the deepest counts. The next level is the next rung of the ladder: known, intact, and below the
    price, so that a short from the break can reach it. Bars that did not trade (NaN) change nothing.

    Errors (ConfigError): an unknown rule, a buffer outside [0, 1), quiet_bars below 1, prices that are not `Levels`.
    Source: life cycle and rules of support as in Osler, FRBNY Economic Policy Review 6(2), 2000; the buffer, the
    quiet time and the reclaim threshold are this project's [D].
    """
    histories = level_histories(bars, levels, rule, buffer)
    quiet = whole_bars("quiet_bars", quiet_bars)
    events = [spaced(history.broken, quiet) for history in histories]
    bar, row = deepest(events, levels.price)
    level, last = levels.price[row], bars.close[bar]
    active = np.array([history.active_at(bar) for history in histories], dtype=np.bool_).reshape(len(levels), bar.size)
    below = active & (levels.price[:, None] < np.minimum(level, last))
    rung = np.where(below, levels.price[:, None], -np.inf).max(axis=0, initial=-np.inf)
    return Breaks(bar, bars.known_at[bar], level, np.where(np.isfinite(rung), rung, np.nan), last, row, rule)


def states(bars: Bars, levels: Levels, rule: str = "close", buffer: float = 0.003) -> tuple[str, ...]:
    """Return each level's state after the last bar, in the table's order: "unknown" (yet), "active" or "broken".

    The rules and errors are those of `breaks`; a level known but never closed above counts as broken.
    """
    histories = level_histories(bars, levels, rule, buffer)
    last = np.array([len(bars) - 1])
    known = levels.known_at <= (int(bars.known_at[-1]) if len(bars) else np.iinfo(np.int64).min)
    active = [len(bars) > 0 and bool(history.active_at(last)[0]) for history in histories]
    return tuple(
        "active" if a else "broken" if k and len(bars) else "unknown" for a, k in zip(active, known, strict=True)
    )


@dataclass(frozen=True, eq=False)
class History:
    """One level: `broken`, the bars at which it went from intact to broken; `changed`, at which its state was set."""

    broken: Int64
    changed: Int64
    intact: BoolArray

    def active_at(self, bar: Int64) -> BoolArray:
        """Return whether the level was intact after the close of each bar."""
        if self.changed.size == 0:
            return np.zeros(bar.shape, np.bool_)
        before = np.searchsorted(self.changed, bar, side="right") - 1
        return np.where(before >= 0, self.intact[np.maximum(before, 0)], False)


def level_histories(bars: Bars, levels: Levels, rule: str, buffer: float) -> list[History]:
    check_levels(levels)
    if rule not in RULES:
        raise ConfigError(f"No break rule named {rule!r}.{did_you_mean(str(rule), RULES)}")
    delta = fraction("buffer", buffer)
    starts = visible_from(bars, levels)
    return [history(bars, p, int(v), rule, delta) for p, v in zip(levels.price.tolist(), starts, strict=True)]


def history(bars: Bars, price: float, start: int, rule: str, buffer: float) -> History:
    """Follow one level from the first bar that sees it; the close comes after the low, so a reclaim outlasts a wick."""
    held = bars.close[start:] >= price
    if not held.any():
        return History(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))
    armed = start + int(np.argmax(held))
    through = RULES[rule](bars, price - price * buffer)[armed + 1 :]
    reclaimed = bars.close[armed + 1 :] > price + price * buffer
    changes = np.flatnonzero(through | reclaimed)
    intact = np.concatenate(([True], reclaimed[changes]))
    breaking = through[changes] & intact[:-1]
    return History(changes[breaking] + armed + 1, np.concatenate(([armed], changes + armed + 1)), intact)


def deepest(events: list[Int64], price: Float) -> tuple[Int64, Int64]:
    """Return the bars with an event, increasing, and the row of the lowest level that broke at each."""
    bar = np.concatenate([np.empty(0, np.int64), *events])
    row = np.repeat(np.arange(len(events)), np.array([e.size for e in events], np.int64))
    order = np.lexsort((price[row], bar))
    first = np.concatenate(([True], np.diff(bar[order]) > 0))[: bar.size]
    return bar[order][first], row[order][first]
