"""What every signal reads: a symbol's feeds by name, its price at a moment, and truth that may be unknown."""

import numpy as np

from backtest.errors import ConfigError, MarketError, did_you_mean
from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.market import Feed, Market

__all__ = ["choice", "current", "every", "flag", "is_there", "own_feed", "price_at", "some", "some_feed"]


def own_feed(market: Market, symbol: str, name: str, signal: str) -> Feed:
    """Return a symbol's feed "SYMBOL.name"; a missing one is a MarketError that names feed, signal and what to do."""
    market.position(symbol)
    return some_feed(market, f"{symbol}.{name}", signal)


def some_feed(market: Market, name: str, signal: str) -> Feed:
    """Return a feed by its full name; a missing one is a MarketError that names feed, signal and what to do."""
    if name not in market.feeds:
        symbol, _, key = name.rpartition(".")
        where = f"`{key}` under [{symbol}]" if symbol else f"[feeds.{key}]"
        raise MarketError(
            f"{signal} needs the feed {name!r}, which the market {market.name} does not have: declare {where} "
            f"in the market file.{did_you_mean(name, (n for n in market.feeds if n.rpartition('.')[0] == symbol))}"
        )
    return market.feeds[name]


def is_there(market: Market, symbol: str, name: str) -> bool:
    """Whether the symbol has a feed of that name; an unknown symbol is a MarketError."""
    market.position(symbol)
    return f"{symbol}.{name}" in market.feeds


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return the value when it is one of the allowed words, else raise a ConfigError with the nearest."""
    if value not in allowed:
        raise ConfigError(f"`{name}` must be one of {', '.join(allowed)}, got {value!r}.")
    return value


def price_at(market: Market, symbol: str, times: Int64) -> Float:
    """Return the close of the last bar that was complete at each time, quote units; NaN before the first and in a halt."""
    close = market.close[:, market.position(symbol)]
    bar = np.searchsorted(market.known_at, times, side="right") - 1
    if close.size == 0:
        return np.full(np.shape(times), np.nan)
    return np.where(bar >= 0, close[np.maximum(bar, 0)], np.nan)


def flag(condition: BoolArray, *inputs: Float) -> Float:
    """Return 1.0 where the condition holds and 0.0 where it does not; NaN where one of its inputs is NaN.

    >>> flag(np.array([True, False, False]), np.array([1.0, 2.0, np.nan])).tolist()
    [1.0, 0.0, nan]
    """
    unknown = np.zeros(condition.shape, np.bool_)
    for values in inputs:
        unknown |= np.isnan(values)
    return np.where(unknown, np.nan, condition.astype(np.float64))


def every(*flags: Float) -> Float:
    """Return 1.0 where all flags are 1, 0.0 where one is 0 whatever the others are, NaN where that can't be told."""
    stacked = np.vstack(flags)
    return np.where((stacked == 0).any(axis=0), 0.0, np.where(np.isnan(stacked).any(axis=0), np.nan, 1.0))


def some(*flags: Float) -> Float:
    """Return 1.0 where one flag is 1 whatever the others are, 0.0 where all are 0, NaN where that can't be told."""
    return 1.0 - every(*(1.0 - one for one in flags))


def current(market: Market, symbol: str) -> Float:
    """Return (n,) the symbol's closes, quote units; NaN where it did not trade."""
    return np.array(market.close[:, market.position(symbol)])
