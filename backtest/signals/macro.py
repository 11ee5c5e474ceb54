"""The world outside: equities falling, fear rising, the dollar bid; each a sign, and the share of them that is there."""

from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import DAY, Float, frozen_array
from backtest.model.market import Feed, Market
from backtest.model.memo import memoised
from backtest.signals.series import choice, flag, some_feed
from backtest.signals.windows import real, still_known

__all__ = ["RISKS", "RiskOff", "mean_of_last", "risk_off"]

RISKS = ("equities", "volatility", "dollar")
"""The components of risk-off."""
LONGEST_GAP = 5 * DAY
"""A daily value of an exchange is stale after so long: a long weekend and a day [D]."""
FEEDS = {"equities": "sp500", "volatility": "vix", "dollar": "dollar"}


@dataclass(frozen=True, eq=False)
class RiskOff:
    """Risk-off and what it is made of: score (n,), the share of the signs that hold, NaN where one is unknown."""

    score: Float
    components: dict[str, Float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", frozen_array(self.score, np.float64))
        object.__setattr__(self, "components", {k: frozen_array(v, np.float64) for k, v in self.components.items()})

    def __getitem__(self, name: str) -> Float:
        return self.components[choice("component", name, tuple(self.components))]


@memoised
def risk_off(market: Market, components: tuple[str, ...] = RISKS, sessions: int = 20, fear: float = 20.0) -> RiskOff:
    """Return the share of risk-off signs at every bar's close, with each sign by name (1.0, 0.0, NaN).

    equities: the last close of the feed "sp500" is below the mean of its last `sessions` closes, itself included;
    volatility: the feed "vix" is at `fear` or above; dollar: the feed "dollar" is above the mean of its last `sessions`.
    The numbers are [D]. A value counts from the time at which it became known until the next, at most five days. NaN
    until the feed holds `sessions` values. A missing feed is a MarketError that names it; `components` picks some.
    """
    names = tuple(components)
    for name in names:
        choice("components", name, RISKS)
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"`components` must name some of {', '.join(RISKS)}, each once, got {components!r}.")
    if isinstance(sessions, bool) or not isinstance(sessions, (int, np.integer)) or sessions < 2:
        raise ConfigError(f"`sessions` must be a whole number from 2, got {sessions!r}.")
    if not np.isfinite(real(fear)):
        raise ConfigError(f"`fear` must be a number, got {fear!r}.")
    found = {name: sign(market, name, int(sessions), fear) for name in names}
    return RiskOff(np.mean(np.vstack(list(found.values())), axis=0), found)


def sign(market: Market, name: str, sessions: int, fear: float) -> Float:
    feed = some_feed(market, FEEDS[name], "Risk-off")
    there = np.isfinite(feed.value)
    feed = Feed(feed.name, feed.known_at[there], feed.value[there], feed.unit)
    value = still_known(feed, market.known_at, LONGEST_GAP)
    if name == "volatility":
        return flag(value >= fear, value)
    usual = Feed(feed.name, feed.known_at, mean_of_last(feed.value, sessions))
    mean = still_known(usual, market.known_at, LONGEST_GAP)
    return flag(value < mean if name == "equities" else value > mean, value, mean)


def mean_of_last(values: Float, count: int) -> Float:
    """Return (k,) the mean of the last `count` values, the value itself included; NaN before there are so many.

    >>> mean_of_last(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [nan, 2.0, 4.0]
    """
    mean = np.full(values.size, np.nan)
    if values.size >= count:
        mean[count - 1 :] = np.lib.stride_tricks.sliding_window_view(values, count).mean(axis=1)
    return mean
