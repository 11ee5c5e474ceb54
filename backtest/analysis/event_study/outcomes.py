"""What came of the events at real levels: one row an event, and the waits for the next level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtest.analysis.event_study.lines import Path
from backtest.analysis.event_study.martingale import OVERSHOOT
from backtest.analysis.event_study.placebo import Placement
from backtest.analysis.event_study.sets_walk import BREAK, RECLAIM, TOUCH, Ground
from backtest.analysis.event_study.survival import Survival, kaplan_meier
from backtest.model.arrays import DAY, HOUR, Float, Int64, frozen_array

__all__ = ["Events", "events_of", "waits"]


@dataclass(frozen=True, eq=False)
class Events:
    """The touches (t,) and breaks (e,) that were counted, by symbol, level and bar.

    touch_day, day: days since 1970 UTC of the bar's close; bounced: 1 bounced, 0 broken, NaN undecided; symbol, bar, level:
    of a break, its position, bar and price; false: 1 back above within the reclaim time, 0 not, NaN where the data end within
    it; next_level: quote units, NaN for none; hit: 1 next level first, 0 reclaim first, NaN undecided; chance: of that on a
    price without memory; slope: by how much the chance falls with a rise of the close of one quote unit; done: the bar that
    decided it, -1 undecided; moves: (e, v) forward returns, farthest rise and fall, ATRs.
    """

    touch_day: Int64
    bounced: Float
    day: Int64
    symbol: Int64
    bar: Int64
    level: Float
    false: Float
    next_level: Float
    hit: Float
    chance: Float
    slope: Float
    done: Int64
    moves: Float

    def __post_init__(self) -> None:
        for name, field in self.__dataclass_fields__.items():
            object.__setattr__(
                self, name, frozen_array(getattr(self, name), np.int64 if field.type == Int64 else np.float64)
            )


def events_of(paths: Sequence[Path], levels: Placement, land: Ground, noted: Int64, facts: Float) -> Events:
    """Return the events that a walk of the real levels noted: (e, 4) level, event, kind and bar, with (e, 4) facts."""
    row, event, kind, bar = noted.T
    touch, broke = kind == TOUCH, kind == BREAK
    outcome = land.outcome[event[touch]].astype(np.float64)
    day = (paths[0].bars.known_at[bar] - 1) // DAY
    symbol, row, event, bar, facts = levels.symbol[row[broke]], row[broke], event[broke], bar[broke], facts[broke]
    false, rung, hit, chance = facts.T
    sigma = land.sigma[bar + land.offset[symbol]]
    reclaim = levels.price[row] + land.delta[event]
    return Events(
        touch_day=day[touch],
        bounced=np.where(outcome < 0, np.nan, outcome),
        day=day[broke],
        symbol=symbol,
        bar=bar,
        level=levels.price[row],
        false=false,
        next_level=rung,
        hit=hit,
        chance=chance,
        slope=1 / (reclaim - rung + 2 * OVERSHOOT * sigma),
        done=decided(paths, land, symbol, bar, rung, hit, event),
        moves=land.moves[bar + land.offset[symbol]],
    )


def decided(
    paths: Sequence[Path], land: Ground, symbol: Int64, bar: Int64, rung: Float, hit: Float, event: Int64
) -> Int64:
    """Return the bar at which each break came to the next level or back, -1 where neither happened."""
    returns = np.flatnonzero(land.kind == RECLAIM)  # the next one after a break that came back is that of its line
    done = np.full(bar.size, -1, np.int64)
    for i in np.flatnonzero(np.isfinite(hit)).tolist():
        if hit[i] == 1:
            done[i] = first_at_or_below(paths[int(symbol[i])].bars.close, int(bar[i]) + 1, float(rung[i]))
        else:
            done[i] = land.bar[returns[np.searchsorted(returns, event[i])]]
    return done


def waits(paths: Sequence[Path], events: Events) -> Survival:
    """Return how many hours breaks wait for a close at or below the next level, whatever comes between.

    The end of the data censors what still waits; a reclaim does not, it only makes the wait longer.
    """
    time, happened = [], []
    for s, bar, rung in zip(events.symbol.tolist(), events.bar.tolist(), events.next_level.tolist(), strict=True):
        if rung > 0:
            close = paths[s].bars.close
            found = first_at_or_below(close, bar + 1, rung)
            time.append((min(found, close.size - 1) - bar) * paths[s].bars.interval / HOUR)
            happened.append(found < close.size)
    return kaplan_meier(np.array(time, np.float64), np.array(happened, np.bool_))


def first_at_or_below(close: Float, start: int, price: float) -> int:
    """Return the first bar from `start` on that closes at or below a price, the number of bars where none does."""
    at, size = start, 256
    while at < close.size:
        reached = close[at : at + size] <= price
        if reached.any():
            return at + int(np.argmax(reached))
        at, size = at + size, 2 * size
    return int(close.size)
