"""Bounces: a support is touched from above and holds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.checks import fraction, over_from, spaced, visible_from, whole_bars
from backtest.levels.detector import check_bars
from backtest.levels.table import Levels, check_levels
from backtest.model.arrays import BoolArray, Float, Int64, frozen_array
from backtest.model.market import Bars

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
    (k,) position of `level` in the table of levels. Prices in quote units.
    """

    bar: Int64
    time: Int64
    touch_bar: Int64
    level: Float
    close: Float
    row: Int64

    def __post_init__(self) -> None:
        for name in ("bar", "time", "touch_bar", "row"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))
        for name in ("level", "close"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    def __len__(self) -> int:
        return int(self.bar.size)

    def __getitem__(self, i: int) -> Bounce:
        bars = int(self.bar[i]), int(self.time[i]), int(self.touch_bar[i])
        return Bounce(*bars, float(self.level[i]), float(self.close[i]))

    def __iter__(self) -> Iterator[Bounce]:
        return (self[i] for i in range(len(self)))


def bounces(
    bars: Bars,
    levels: Levels,
    zone: float = 0.002,
    away: float = 0.005,
    margin: float = 0.008,
    buffer: float = 0.003,
    quiet_bars: int = 6,
) -> Bounces:
    """Return the bars at which a touched support has held; each row uses nothing later than its bar's close.

    Touch: a low at or below level * (1 + zone), or the level's own half-width where that is wider, after an earlier
    close above level * (1 + away) since the last bar that was that low; at least quiet_bars after the level's last
    touch. Bounce: the first close > level * (1 + margin) from the touch on, its own bar included, before a close <
    level * (1 - buffer). When two levels hold in one bar, the highest counts: its stop is the nearest.

    zone, away, margin, buffer: fractions of the level [D: on hourly bars of a major coin about 0.15, 0.5 and 1 ATR,
    and the buffer of a break], with zone <= away and zone < margin; quiet_bars: [D]. A level that a newer one of its
    kind replaces (`until`) can still bounce in the bar that replaces it, and is over after that. Bars that did not trade
    (NaN) change nothing.

    Errors (ConfigError): a fraction outside [0, 1) or out of that order, quiet_bars below 1, prices that are not
    `Levels`. Source: hits and bounces as in Osler, FRBNY Economic Policy Review 6(2), 2000, with this project's
    thresholds.
    """
    check_bars(bars)
    check_levels(levels)
    widths = [fraction(*given) for given in (("zone", zone), ("away", away), ("margin", margin), ("buffer", buffer))]
    if not (widths[0] <= widths[1] and widths[0] < widths[2]):
        raise ConfigError(f"`zone` {zone} must be at most `away` {away} and below `margin` {margin}.")
    quiet = whole_bars("quiet_bars", quiet_bars)
    seen = [slice(*ends) for ends in zip(visible_from(bars, levels), over_from(bars, levels), strict=True)]
    found = [level_bounces(bars, levels, row, seen[row], widths, quiet) for row in range(len(levels))]
    bar = np.concatenate([np.empty(0, np.int64), *(b for b, _ in found)])
    touch = np.concatenate([np.empty(0, np.int64), *(t for _, t in found)])
    row = np.repeat(np.arange(len(levels)), np.array([b.size for b, _ in found], np.int64))
    order = np.lexsort((-levels.price[row], bar))
    order = order[np.concatenate(([True], np.diff(bar[order]) > 0))[: bar.size]]
    bar, touch, row = bar[order], touch[order], row[order]
    return Bounces(bar, bars.known_at[bar], touch, levels.price[row], bars.close[bar], row)


def level_bounces(
    bars: Bars, levels: Levels, row: int, seen: slice, widths: list[float], quiet: int
) -> tuple[Int64, Int64]:
    """Return the bars that confirm a bounce of one level, and the touch before each."""
    price, (zone, away, margin, buffer) = float(levels.price[row]), widths
    top = max(price + price * zone, price + float(levels.half_width[row]))
    close, low = bars.close[seen], bars.low[seen]
    touch = spaced(touches(low <= top, close > max(price + price * away, top)), quiet)
    decided = np.flatnonzero((close > max(price + price * margin, top)) | (close < price - price * buffer))
    position = np.searchsorted(decided, touch, side="left")
    touch, position = touch[position < decided.size], position[position < decided.size]
    last = np.concatenate((np.diff(position) > 0, [True]))[: position.size]
    bar, touch = decided[position[last]], touch[last]
    held = close[bar] > price
    return bar[held] + seen.start, touch[held] + seen.start


def touches(inside: BoolArray, away: BoolArray) -> Int64:
    """Return the bars inside the zone that follow a close away from it, no earlier than the last bar inside."""
    inside_bars = np.flatnonzero(inside)
    seen = np.concatenate(([0], np.cumsum(away)))
    before = np.concatenate(([0], inside_bars[:-1]))[: inside_bars.size]
    return inside_bars[seen[inside_bars] > seen[before]].astype(np.int64)
