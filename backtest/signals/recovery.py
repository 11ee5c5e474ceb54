"""Recovery after a fall: five named signs that it is over, and the share of them that is there."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import BoolArray, Float, Int64, frozen_array
from backtest.model.market import Feed, Market
from backtest.model.memo import memoised
from backtest.signals.funding import funding_z
from backtest.signals.liquidations import liquidation_z
from backtest.signals.open_interest import open_interest_z
from backtest.signals.series import choice, current, flag, some_feed
from backtest.signals.windows import real, span, still_known

__all__ = ["RECOVERY", "Recovery", "lowest_since", "price_over_low_vwap", "recovery", "turned_up"]

RECOVERY = ("price", "liquidations", "funding", "open_interest", "sentiment")
"""The components of the recovery score."""


@dataclass(frozen=True, eq=False)
class Recovery:
    """The recovery score and what it is made of.

    score: (n,) the share of the components that hold, 0 to 1, NaN where one of them is unknown; components: name ->
    (n,) 1.0 holds, 0.0 does not, NaN unknown.
    """

    score: Float
    components: dict[str, Float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", frozen_array(self.score, np.float64))
        object.__setattr__(self, "components", {k: frozen_array(v, np.float64) for k, v in self.components.items()})

    def __getitem__(self, name: str) -> Float:
        return self.components[choice("component", name, tuple(self.components))]


@memoised
def recovery(
    market: Market,
    symbol: str,
    components: tuple[str, ...] = RECOVERY,
    days: float = 30.0,
    within: float = 7.0,
    rise: float = 5.0,
    window: float = 90.0,
) -> Recovery:
    """Return the recovery score of a symbol with its components, each 1, 0 or NaN at every bar's close.

    price: the close is above the volume-weighted price since the lowest low of the last `days`;
    liquidations: the robust z of the longs' 24-hour liquidations is below 0;
    funding: the robust z of the 24-hour funding is at least 0, and was below 0 in the `within` days before;
    open_interest: the same of its 7-day log change in coins;
    sentiment: the feed "sentiment" stands at least `rise` points above its lowest of the last `days`.
    All lengths are [D]. `components` picks some of them; only their feeds are needed, and a missing one is a MarketError
    that names it. Source: the conditions that the report of February 2026 names (price stabilisation, less
    liquidation, a turn of sentiment).
    """
    names = tuple(components)
    for name in names:
        choice("components", name, RECOVERY)
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"`components` must name some of {', '.join(RECOVERY)}, each once, got {components!r}.")
    if not np.isfinite(real(rise)):
        raise ConfigError(f"`rise` must be a number of points, got {rise!r}.")
    span("within", within)
    found = {name: component(market, symbol, name, days, within, rise, window) for name in names}
    return Recovery(np.mean(np.vstack(list(found.values())), axis=0), found)


def component(market: Market, symbol: str, name: str, days: float, within: float, rise: float, window: float) -> Float:
    if name == "price":
        return price_over_low_vwap(market, symbol, days)
    if name == "liquidations":
        z = liquidation_z(market, symbol, 1.0, "long", window)
        return flag(z < 0, z)
    if name == "funding":
        return turned_up(funding_z(market, symbol, window), market.time, within)
    if name == "open_interest":
        return turned_up(open_interest_z(market, symbol, 7.0, window=window), market.time, within)
    return off_its_low(some_feed(market, "sentiment", "The recovery score"), market, days, rise)


def turned_up(z: Float, time: Int64, days: float = 7.0) -> Float:
    """Return (n,) 1.0 where z is at least 0 and was below 0 at some bar in [time - days, time), else 0.0.

    NaN where z is, and where z is at least 0, was not seen below, and is not known at each bar of that span.

    >>> turned_up(np.array([1.0, -1.0, 0.5, 0.5]), np.arange(4) * 86_400_000_000_000, 1).tolist()
    [nan, 0.0, 1.0, 0.0]
    """
    start = time - span("days", days)
    first, index = np.searchsorted(time, start, side="left"), np.arange(z.size)
    below, unknown = (np.concatenate(([0], np.cumsum(x))) for x in (z < 0, np.isnan(z)))
    was_below = below[index] > below[first]
    told = (z < 0) | was_below | ((unknown[index] == unknown[first]) & (start >= time[:1]))
    return flag((z >= 0) & was_below, np.where(told, z, np.nan))


def price_over_low_vwap(market: Market, symbol: str, days: float = 30.0) -> Float:
    """Return (n,) 1.0 where the close is above the volume-weighted price since the lowest low of the last days, else 0.0.

    The low is that of the bars in (time - days, time], known at the bar itself; of equal lows the latest counts. At the
    low's own bar the volume-weighted price is that bar's. NaN for the first `days`, in a halt, and without volume.
    Formula: sum(tp * v) / sum(v) from the low on, tp = (high + low + close) / 3.
    """
    bars, close = market[symbol], current(market, symbol)
    low = lowest_since(bars.low, market.time, span("days", days))
    traded = np.isfinite(close) & np.isfinite(bars.volume)
    volume = np.where(traded, bars.volume, 0.0)
    typical = np.where(traded, (bars.high + bars.low + bars.close) / 3, 0.0)
    worth, coins = (np.concatenate(([0.0], np.cumsum(x))) for x in (typical * volume, volume))
    index = np.arange(len(bars))
    start = np.where(low >= 0, low, index)
    bought = coins[index + 1] - coins[start]
    price = (worth[index + 1] - worth[start]) / np.where(bought > 0, bought, np.nan)
    begun = market.time - span("days", days) >= (market.time[0] if len(bars) else 0) - market.interval
    price = np.where((low >= 0) & begun, price, np.nan)
    return flag(close > price, close, price)


def lowest_since(values: Float, time: Int64, length: int) -> Int64:
    """Return (n,) the position of the lowest value in (time - length, time], of equal ones the latest; -1 for none."""
    lowest, waiting = np.full(values.size, -1, np.int64), deque[int]()
    first = np.searchsorted(time, time - length, side="right").tolist()
    numbers = values.tolist()
    for t, value in enumerate(numbers):
        if value == value:
            while waiting and numbers[waiting[-1]] >= value:
                waiting.pop()
            waiting.append(t)
        while waiting and waiting[0] < first[t]:
            waiting.popleft()
        if waiting:
            lowest[t] = waiting[0]
    return lowest


def off_its_low(feed: Feed, market: Market, days: float, rise: float) -> Float:
    """Return (n,) 1.0 where the feed stands `rise` above its lowest of the last days, NaN until it reaches back so far."""
    values = still_known(feed, market.known_at)
    low = lowest_since(values, market.time, span("days", days))
    floor = np.where(low >= 0, values[np.maximum(low, 0)], np.nan) if values.size else values
    known = np.flatnonzero(np.isfinite(values))
    begun: BoolArray = np.zeros(values.size, np.bool_)
    if known.size:
        begun = market.time - span("days", days) >= market.time[known[0]] - market.interval
    return flag(values >= floor + rise, np.where(begun, values, np.nan), floor)
