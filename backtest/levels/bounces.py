"""Bounces: a support is touched from above and holds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtest.levels.break_rule import BreakRule
from backtest.levels.life import LifeRules, life
from backtest.levels.table import Levels
from backtest.model.arrays import Float, Int64, frozen_array
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["Bounce", "Bounces", "bounces"]


@dataclass(frozen=True)
class Bounce:
    """One bounce: the bar whose close confirms it, when that was known (ns UTC), the bar of the touch, the level."""

    bar: int
    time: int
    touch_bar: int
    level: float
    close: float


@dataclass(frozen=True, eq=False)
class Bounces:
    """Bounces by bar, at most one row a bar, ready to be handed to a Plan.

    bar: (k,) increasing, the bar whose close confirms the bounce; time: (k,) ns UTC, that bar's close; touch_bar:
    (k,) the last touch before; level: (k,) the highest level that held at the bar; close: (k,) the bar's close; row:
    (k,) position of `level` in the table of levels; delta: (k,) the margin at the bar: a close below level - delta breaks
    the level. Prices and margins in quote units.
    """

    bar: Int64
    time: Int64
    touch_bar: Int64
    level: Float
    close: Float
    row: Int64
    delta: Float

    def __post_init__(self) -> None:
        for name in ("bar", "time", "touch_bar", "row"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))
        for name in ("level", "close", "delta"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    def __len__(self) -> int:
        return int(self.bar.size)

    def __getitem__(self, i: int) -> Bounce:
        bars = int(self.bar[i]), int(self.time[i]), int(self.touch_bar[i])
        return Bounce(*bars, float(self.level[i]), float(self.close[i]))

    def __iter__(self) -> Iterator[Bounce]:
        return (self[i] for i in range(len(self)))


@memoised
def bounces(
    bars: Bars,
    levels: Levels,
    zone: float = 0.15,
    away: float = 0.5,
    leave: float = 1.0,
    buffer: float = 0.003,
    buffer_atr: float = 0.25,
    quiet_bars: int = 6,
    *,
    life_days: float | None = 180.0,
    round_trips: int | None = 2,
) -> Bounces:
    """Return the bars at which a touched support has held; each row uses nothing later than its bar's close.

    They are the bounces that `life` counts. Touch: a bar that comes within `zone` ATRs of the level, or the level's own
    half-width where that is wider, after a close more than `away` ATRs above it since the last bar in the zone; at least
    `quiet_bars` bars after the level's last touch. Bounce: the first close more than `leave` ATRs above the level, from the
    touch on, its own bar included, before the break, a close below level - delta with delta = max(`buffer` * level,
    `buffer_atr` ATRs). A broken level has none until a close above level + delta, nor one that is above the price when it
    becomes known until a close at or above it. When two levels hold in one bar, the highest counts: its stop is the nearest.

    zone, away, leave, buffer_atr: ATRs of 14 bars at the bar at hand, with zone <= away and zone < leave; buffer: fraction
    of the level; quiet_bars: bars; life_days, round_trips: a level is given up so many days after it became known, and with
    so many returns after a break (None: never); given prices and round numbers never are. All of this is [D]. A level that a
    newer one of its kind replaces (`until`) can still bounce in the bar that replaces it, and is over after that. Without an
    ATR yet, in the first 13 bars, nothing is a touch; bars that did not trade (NaN) change nothing.

    Errors (ConfigError): widths that are negative or out of that order, a buffer outside [0, 1), quiet_bars below 1, prices
    that are not `Levels`. Source: hits and bounces as in Osler, FRBNY Economic Policy Review 6(2), 2000, with this
    project's thresholds.
    """
    asked = BreakRule(buffer=buffer, buffer_atr=buffer_atr)
    rules = LifeRules(
        buffer=buffer, buffer_atr=buffer_atr, zone=zone, away=away, leave=leave, quiet_bars=quiet_bars,
        life_days=life_days, round_trips=round_trips,
    )  # fmt: skip
    found = life(bars, levels, rules)
    at = np.flatnonzero(np.diff(found.bounces) > 0) + 1  # what a level tells just before a bounce is the touch
    at = at[np.lexsort((-levels.price[found.row[at]], found.bar[at]))]
    at = at[np.concatenate(([True], np.diff(found.bar[at]) > 0))[: at.size]]
    bar, row, level = found.bar[at], found.row[at], levels.price[found.row[at]]
    return Bounces(
        bar, bars.known_at[bar], found.bar[at - 1], level, bars.close[bar], row, asked.delta(bars, bar, level)
    )
