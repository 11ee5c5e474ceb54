"""Liquidations: forced closes by side. What a venue streams is at most one order a symbol a second, so a lower bound."""

import numpy as np

from backtest.errors import MarketError
from backtest.model.arrays import DAY, Float
from backtest.model.market import Feed, Market
from backtest.model.memo import memoised
from backtest.signals.open_interest import interest
from backtest.signals.series import choice, own_feed, price_at
from backtest.signals.windows import robust_z, span, still_known, window_sum

__all__ = [
    "forced_fraction",
    "forced_share",
    "imbalance",
    "liquidation_imbalance",
    "liquidation_intensity",
    "liquidation_z",
    "liquidations",
]

SIDES = ("long", "short", "both")


@memoised
def liquidations(market: Market, symbol: str, days: float = 1.0, side: str = "both") -> Float:
    """Return (n,) USD force-closed over the last days (1, 7, 30), of longs, of shorts or of both.

    Reads "SYMBOL.long_liquidations" and "SYMBOL.short_liquidations"; a feed in coins is valued at the last close known
    at each stamp. NaN until the feed covers the whole window and while the window holds a hole (`window_sum`).
    A missing feed is a MarketError; an unknown side or days of 0 or less are a ConfigError.
    """
    choice("side", side, SIDES)
    length = span("days", days)
    if side == "both":
        return liquidations(market, symbol, days, "long") + liquidations(market, symbol, days, "short")
    feed = in_usd(market, symbol, own_feed(market, symbol, f"{side}_liquidations", "Liquidations"))
    return window_sum(feed.known_at, feed.value, market.known_at, length)


def in_usd(market: Market, symbol: str, feed: Feed) -> Feed:
    if feed.unit == "coins":
        return Feed(feed.name, feed.known_at, feed.value * price_at(market, symbol, feed.known_at), "usd")
    if feed.unit != "usd":
        raise MarketError(f"The feed {feed.name!r} has the unit {feed.unit!r}; declare `unit` as 'usd' or 'coins'.")
    return feed


@memoised
def liquidation_z(market: Market, symbol: str, days: float = 1.0, side: str = "long", window: float = 90.0) -> Float:
    """Return (n,) the robust z of the sum over `days` against the `window` days before; NaN and errors as `liquidations`.

    It needs `days` + `window` days of history.
    """
    return robust_z(liquidations(market, symbol, days, side), market.time, window)


@memoised
def liquidation_intensity(market: Market, symbol: str, side: str = "both") -> Float:
    """Return (n,) the share of the open interest of a day ago that was force-closed since: LIQ_24h / OI_{t-24h}, USD.

    NaN where either is unknown or nothing was open; a missing feed is a MarketError.
    """
    before = still_known(interest(market, symbol, "usd"), market.known_at - DAY)
    return liquidations(market, symbol, 1.0, side) / np.where(before > 0, before, np.nan)


def imbalance(long: Float, short: Float) -> Float:
    """Return how one-sided liquidations are: (L - S) / (L + S), 1 all longs, -1 all shorts, NaN where there were none.

    >>> imbalance(np.array([30.0, 0.0]), np.array([10.0, 0.0])).tolist()
    [0.5, nan]
    """
    total = np.asarray(long, np.float64) + short
    return (long - short) / np.where(total > 0, total, np.nan)


@memoised
def liquidation_imbalance(market: Market, symbol: str, days: float = 1.0) -> Float:
    """Return (n,) the imbalance of the last days' liquidations, from -1 to 1; NaN and errors as `liquidations`."""
    return imbalance(liquidations(market, symbol, days, "long"), liquidations(market, symbol, days, "short"))


@memoised
def forced_share(market: Market, symbol: str, days: float = 1.0, side: str = "both", unit: str = "usd") -> Float:
    """Return (n,) liquidations as a share of the fall of open interest over the last days: LIQ / |dOI|.

    A fall of open interest is not liquidation: most of that of 2025-10-10 was not forced. `unit` is that in which the
    fall is measured: "usd", as published figures are, or "coins", valued at the price of the start, which leaves out
    what the price alone did. NaN where open interest did not fall, and where an input is unknown. It may exceed 1, as
    positions are opened while others are force-closed. Errors as `liquidations` and `open_interest`.
    """
    source, length = interest(market, symbol, unit), span("days", days)
    start = market.known_at - length
    change = still_known(source, market.known_at) - still_known(source, start)
    if unit == "coins":
        change = change * price_at(market, symbol, start)
    return forced_fraction(liquidations(market, symbol, days, side), change)


def forced_fraction(liquidated: Float, change: Float) -> Float:
    """Return liquidations as a share of a fall of open interest, both in one unit; NaN where open interest did not fall.

    >>> forced_fraction(np.array([1.0, 1.0]), np.array([-4.0, 4.0])).tolist()
    [0.25, nan]
    """
    change = np.asarray(change, np.float64)
    return liquidated / np.where(change < 0, -change, np.nan)
