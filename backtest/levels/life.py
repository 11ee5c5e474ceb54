"""The life of levels: when each holds, is tested, breaks, comes back or turns into resistance, and which of them one sees."""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from backtest.errors import ConfigError, did_you_mean
from backtest.levels.atr import atr
from backtest.levels.break_rule import false_break_bars
from backtest.levels.checks import fraction, over_from, replaced_at, visible_from, whole_bars
from backtest.levels.detector import check_bars
from backtest.levels.spans import by_blocks, nearest_below
from backtest.levels.table import Levels, check_levels, numbers
from backtest.model.arrays import DAY, BoolArray, Float, Int64, frozen_array
from backtest.model.market import Bars
from backtest.model.memo import memoised

if TYPE_CHECKING:
    from backtest.levels.life_walk import Tape

__all__ = ["STATES", "Life", "LifeRules", "Visible", "life"]

STATES = ("unknown", "formed", "active", "tested", "broken", "reclaimed", "flipped", "retired")
"""The states of a level, by code; an event of a code says that the level entered the state."""

UNKNOWN, FORMED, ACTIVE, TESTED, BROKEN, RECLAIMED, FLIPPED, RETIRED = range(8)
NEVER = 1 << 60


@dataclass(frozen=True)
class LifeRules:
    """What counts as a touch, a bounce, a break and an end; all of it this project's [D].

    A margin called delta, max(`buffer_atr` ATR, `buffer` * level), stands around the level for breaks and reclaims.
    """

    rule: str = "close"  # what breaks a level: "close" below level - delta, or "wick", a low below it
    buffer: float = 0.003  # least delta, fraction of the level
    buffer_atr: float = 0.25  # least delta, ATRs
    zone: float = 0.15  # a touch comes this near, ATRs; the level's own half-width where that is wider
    away: float = 0.5  # ... after a close this far from the level, ATRs
    leave: float = 1.0  # a close this far from the level ends a touch as a bounce, ATRs
    quiet_bars: int = 6  # least bars from touch to touch
    reclaim_bars: int | None = None  # a return this soon is a false break; None: 5 daily bars, else 24
    life_days: float | None = 180.0  # days from becoming known to retirement; None: never
    round_trips: int | None = 2  # returns after a break that retire a level; None: never
    permanent: tuple[str, ...] = ("fixed", "round")  # kinds that never retire: given by hand, or by the grid of prices
    atr_bars: int = 14  # window of the ATR

    def __post_init__(self) -> None:
        if self.rule not in ("close", "wick"):
            raise ConfigError(f"No break rule named {self.rule!r}.{did_you_mean(str(self.rule), ('close', 'wick'))}")
        fraction("buffer", self.buffer)
        for name in ("buffer_atr", "zone", "away", "leave", "life_days"):
            positive(name, getattr(self, name), allow_none=name == "life_days")
        if not (self.zone <= self.away and self.zone < self.leave):
            raise ConfigError(f"`zone` {self.zone} must be at most `away` {self.away} and below `leave` {self.leave}.")
        for name in ("quiet_bars", "atr_bars", "reclaim_bars", "round_trips"):
            if getattr(self, name) is not None or name in ("quiet_bars", "atr_bars"):
                whole_bars(name, getattr(self, name))
        if not isinstance(self.permanent, tuple) or not all(isinstance(kind, str) for kind in self.permanent):
            raise ConfigError(f"`permanent` must be kinds of levels like ('fixed', 'round'), got {self.permanent!r}.")


def positive(name: str, value: float | None, allow_none: bool = False) -> None:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not (allow_none and value is None) and not (number and 0 <= float(value or 0) < math.inf):
        raise ConfigError(f"`{name}` must be a number from 0{' or None' if allow_none else ''}, got {value!r}.")


@dataclass(frozen=True, eq=False)
class Visible:
    """The levels that are known at the close of a bar, in the table's order, and what has become of them.

    row: (j,) position in the table of levels; price: (j,) quote units; state: j names out of `STATES`; intact: (j,)
    whether it is a support: active, tested or reclaimed, not broken or flipped; touches, bounces, round_trips: (j,) so
    far; age: (j,) ns since the level became known; strength: (j,) min(bounces, 4) * exp(-age / tau); distance: (j,)
    price / the bar's close - 1, how far the price would have to go, NaN where the bar did not trade.
    """

    row: Int64
    price: Float
    state: tuple[str, ...]
    intact: BoolArray
    touches: Int64
    bounces: Int64
    round_trips: Int64
    age: Int64
    strength: Float
    distance: Float

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "state":
                values = getattr(self, field.name)
                object.__setattr__(self, field.name, frozen_array(values, values.dtype))

    def __len__(self) -> int:
        return int(self.row.size)


@dataclass(frozen=True, eq=False)
class Life:
    """What happens to each level of a table, as events sorted by row and bar; in a bar, in the order in which they happen.

    row: (e,) position in the table; bar: (e,) the bar whose close shows it; state: (e,) code in `STATES`, the state from
    then on; touches, bounces, round_trips: (e,) counts after it; broke: (e,) whether it is a break of a level that was
    intact (a support above the price when it becomes known starts broken without one). An event is never rewritten.
    """

    bars: Bars
    levels: Levels
    rules: LifeRules
    row: Int64
    bar: Int64
    state: Int64
    touches: Int64
    bounces: Int64
    round_trips: Int64
    broke: BoolArray

    def __post_init__(self) -> None:
        for name in ("row", "bar", "state", "touches", "bounces", "round_trips"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))
        object.__setattr__(self, "broke", frozen_array(self.broke, np.bool_))

    def __len__(self) -> int:
        return int(self.row.size)

    @property
    def time(self) -> Int64:
        """(e,) ns UTC, the close of each event's bar."""
        return np.asarray(self.bars.known_at[self.bar], np.int64)

    @cached_property
    def intact(self) -> BoolArray:
        """(e,) whether the level is a support after each event: active, tested or reclaimed."""
        return np.isin(self.state, (ACTIVE, TESTED, RECLAIMED))

    def last_event(self, rows: Int64, bar: int) -> Int64:
        """Return the last event of each row up to the bar; -1 where there is none."""
        found = (
            np.searchsorted(self.row * (len(self.bars) + 1) + self.bar, rows * (len(self.bars) + 1) + bar, "right") - 1
        )
        mine = (found >= 0) & (self.row[np.maximum(found, 0)] == rows) if len(self) else np.zeros(rows.size, np.bool_)
        return np.where(mine, found, -1).astype(np.int64)

    def states(self, bar: int = -1) -> tuple[str, ...]:
        """Return each level's state after the close of a bar (-1 is the last), in the table's order.

        "unknown" before it formed, "formed" until it is known: hindsight, which no strategy may use; then "active" (or
        "broken" where it is above the price), "tested", "broken", "reclaimed" (the break was false), "flipped" (came
        back from below and was rejected: resistance), "retired". A bar outside the market is a ConfigError.
        """
        t = self.checked(bar)
        event = self.last_event(np.arange(len(self.levels)), t)
        formed = np.where(self.levels.formed_at <= self.bars.known_at[t], FORMED, UNKNOWN)
        code = np.where(event >= 0, self.state[event], formed) if len(self) else formed
        return tuple(STATES[c] for c in code)

    def visible(self, bar: int = -1, tau_days: float = 90.0, retired: bool = False) -> Visible:
        """Return the levels that are known at the close of a bar (-1 is the last), with state, counts and strength.

        A level is seen from the first bar at or after its `known_at` that traded. tau_days: after which the strength
        has lost 63% [D]; retired: also the levels that are no longer watched. Errors (ConfigError): a bar outside the
        market, a tau of 0 or less. Source: bounces make levels stronger (Garzarelli et al., Sci. Rep. 4, 2014), age
        never does.
        """
        t = self.checked(bar)
        if not (isinstance(tau_days, (int, float)) and 0 < tau_days < math.inf):
            raise ConfigError(f"`tau_days` must be a number of days above 0, got {tau_days!r}.")
        event = self.last_event(np.arange(len(self.levels)), t)
        seen = np.flatnonzero(event >= 0)
        seen = seen if retired else seen[self.state[event[seen]] != RETIRED]
        e = event[seen]
        age = self.bars.known_at[t] - self.born[seen]
        strength = np.minimum(self.bounces[e], 4) * np.exp(-age / (tau_days * DAY))
        price = self.levels.price[seen]
        state = tuple(STATES[c] for c in self.state[e])
        counts = self.touches[e], self.bounces[e], self.round_trips[e]
        return Visible(seen, price, state, self.intact[e], *counts, age, strength, price / self.bars.close[t] - 1)

    @cached_property
    def born(self) -> Int64:
        """(k,) ns UTC, when each level became known, or the close of the first bar where that was earlier."""
        first = int(self.bars.known_at[0]) if len(self.bars) else 0
        return np.maximum(self.levels.known_at, first)

    def checked(self, bar: int) -> int:
        n = len(self.bars)
        whole = isinstance(bar, (int, np.integer)) and not isinstance(bar, bool)
        if not whole or not -n <= bar < n:
            raise ConfigError(f"`bar` must be one of the {n} bars of the market, got {bar!r}.")
        return int(bar) % n

    def support_below(self, price: Float | None = None) -> Float:
        """Return (n,) the highest level below a price that is intact after each bar's close; NaN where there is none.

        price: (n,) quote units, by default the closes; a NaN gives NaN. Intact: active, tested or reclaimed. All bars
        at once: each stretch in which a level is intact lies in about 2 log2(n) blocks of bars, and each bar asks the
        blocks around it, so that the work grows as (n + events) * log(n), however many levels there are. A price of
        another shape is a ConfigError.
        """
        asked = self.bars.close if price is None else numbers("price", price)
        if asked.shape != (len(self.bars),):
            raise ConfigError(f"`price` has the shape {asked.shape}; {len(self.bars)} bars need one price each.")
        return nearest_below(np.arange(len(self.bars)), asked, *self.intact_spans())

    def intact_spans(self) -> tuple[Float, Int64, Int64]:
        """Return prices, first bars and ends (exclusive) of the stretches in which a level is intact."""
        follows = np.append(self.row[1:] == self.row[:-1], False)[: len(self)]
        end = np.where(follows, np.append(self.bar[1:], 0)[: len(self)], len(self.bars))
        held = self.intact & (end > self.bar)
        return self.levels.price[self.row[held]], self.bar[held], end[held]


@memoised
def life(bars: Bars, levels: Levels, rules: LifeRules | None = None) -> Life:
    """Return the life of each level of a table on the bars; each event uses nothing later than its bar's close.

    A level is met at the first bar that traded at or after its `known_at`: active where that bar closed at or above
    it, else broken without an event, until a close at or above it. Touch ("tested"): a bar in the zone, after a close
    more than `away` above it since the last bar in the zone, `quiet_bars` or more after the last touch, whatever
    became of the level in between and from whatever side that came. Bounce: a close more than `leave` above, from the
    touch on, before the break. Break: a close (or low) below level - delta. Return: a close above level + delta;
    within `reclaim_bars` of the break it is "reclaimed", a false break, and "active" later. A broken level that price
    comes to from below, by the same rules upside down but however soon, and leaves downwards is "flipped":
    resistance. "Retired": after `life_days`, after `round_trips` returns, or where a newer one of its kind took its
    place (`until`, in a bar that is still its own). A level that is touched and broken in one bar shows both, in this
    order.

    Without an ATR yet (the first `atr_bars` - 1 bars) delta is its fraction alone, and nothing counts as a touch. Bars
    that did not trade (NaN) change nothing. Errors (ConfigError): rules that contradict each other, prices that are not
    `Levels`. Source: hits, bounces and breaks as in Osler, FRBNY Economic Policy Review 6(2), 2000; thresholds [D].

    The work: while price stays clear of a level, 32 or 1,024 bars are passed at once, so that a level costs the bars
    that it meets and not those of the market.
    """
    check_bars(bars)
    check_levels(levels)
    rules = LifeRules() if rules is None else rules
    if not isinstance(rules, LifeRules):
        raise ConfigError(f"`rules` must be LifeRules(...), got {rules!r}.")
    if not (len(levels) and len(bars)):
        none = np.empty(0, np.int64)
        return Life(bars, levels, rules, none, none, none, none, none, none, none > 0)
    from backtest.levels.life_walk import Ladder, Thresholds, follow  # imported late: it imports numba

    ends, own, trips = retirement(bars, levels, rules)
    ladder = Ladder(levels.price, levels.half_width, visible_from(bars, levels), ends, own, trips)
    soon = rules.reclaim_bars if rules.reclaim_bars is not None else false_break_bars(bars)
    row, bar, state, touches, bounces, round_trips, broke = follow(
        tape(bars, rules), ladder, Thresholds(float(rules.buffer), int(rules.quiet_bars), int(soon))
    )
    return Life(bars, levels, rules, row, bar, state, touches, bounces, round_trips, broke > 0)


def retirement(bars: Bars, levels: Levels, rules: LifeRules) -> tuple[Int64, Int64, Int64]:
    """Return the bar that retires each level, whether (1) it still lives in that bar, and the returns that retire it.

    A level dies of age before the bar, but the bar at whose close a newer level takes its place is still its own.
    """
    known, lasting = bars.known_at, np.isin(np.array(levels.kind, dtype=str), rules.permanent)
    ends = trips = np.full(len(levels), NEVER)
    if rules.life_days is not None and known.size:
        born = np.maximum(levels.known_at, known[0])
        ends = np.searchsorted(known, born + int(min(rules.life_days * DAY, 2.0**62)), side="left")
    if rules.round_trips is not None:
        trips = np.full(len(levels), rules.round_trips)
    replaced = replaced_at(bars, levels)
    ends = np.minimum(np.where(lasting, NEVER, ends), replaced)
    own = (ends == replaced) & (over_from(bars, levels) > replaced)
    return ends.astype(np.int64), own.astype(np.int64), np.where(lasting, NEVER, trips).astype(np.int64)


def tape(bars: Bars, rules: LifeRules) -> "Tape":
    from backtest.levels.life_walk import LARGE, SMALL, Tape

    span = atr(bars, rules.atr_bars)
    zone = np.nan_to_num(rules.zone * span)
    away, leave = (np.where(np.isnan(span), np.inf, factor * span) for factor in (rules.away, rules.leave))
    extremes = [
        extreme
        for size in (SMALL, LARGE)
        for extreme in (
            by_blocks(bars.low - zone, size, np.fmin, np.inf),
            by_blocks(bars.low, size, np.fmin, np.inf),
            by_blocks(bars.high + zone, size, np.fmax, -np.inf),
            by_blocks(bars.high, size, np.fmax, -np.inf),
        )
    ]
    through = bars.low if rules.rule == "wick" else bars.close
    buffer = np.nan_to_num(rules.buffer_atr * span)
    return Tape(through, bars.low, bars.high, bars.close, buffer, zone, away, leave, *extremes)
