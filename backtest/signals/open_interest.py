"""Open interest: how much leverage is on, in coins as well as in USD, and how fast it leaves."""

import numpy as np

from backtest.errors import MarketError
from backtest.model.arrays import Float
from backtest.model.market import Feed, Market
from backtest.model.memo import memoised
from backtest.signals.series import choice, is_there, own_feed, price_at
from backtest.signals.windows import log_change, robust_z, span, still_known

__all__ = [
    "open_interest",
    "open_interest_change",
    "open_interest_to_market_cap",
    "open_interest_weighted_price",
    "open_interest_z",
]

UNITS = ("coins", "usd")


@memoised
def open_interest(market: Market, symbol: str, unit: str = "coins") -> Float:
    """Return (n,) the open interest known at each bar's close, in coins or in USD.

    Reads "SYMBOL.open_interest_coins" or "SYMBOL.open_interest", whose unit must be "usd" or "coins"; where only the
    other unit is there, each value is converted at the last close known at its own stamp, never at a later price.
    NaN before the first value and once the last is stale (three usual gaps). No such feed is a MarketError.
    """
    return still_known(interest(market, symbol, unit), market.known_at)


def interest(market: Market, symbol: str, unit: str) -> Feed:
    """Return the feed of open interest in a unit, converted where it is only there in the other."""
    choice("unit", unit, UNITS)
    feed = stated(market, symbol, unit)
    if feed.unit == unit:
        return feed
    price = price_at(market, symbol, feed.known_at)
    value = feed.value / price if unit == "coins" else feed.value * price
    return Feed(feed.name, feed.known_at, value, unit)


def stated(market: Market, symbol: str, unit: str) -> Feed:
    """Return a feed of open interest as it was declared, one in the wanted unit first."""
    if is_there(market, symbol, "open_interest_coins"):
        coins = market.feeds[f"{symbol}.open_interest_coins"]
        if unit == "coins" or not is_there(market, symbol, "open_interest"):
            return Feed(coins.name, coins.known_at, coins.value, "coins")
    feed = own_feed(market, symbol, "open_interest", "Open interest")
    if feed.unit not in UNITS:
        raise MarketError(
            f"The feed {feed.name!r} has the unit {feed.unit!r}; declare `unit` as 'usd' or 'coins', since a fall of the "
            f"price changes only one of them."
        )
    return feed


@memoised
def open_interest_change(market: Market, symbol: str, days: float = 1.0, unit: str = "coins") -> Float:
    """Return (n,) the log change of open interest over the last days (1, 7, 30): log(OI_t / OI_{t-days}).

    In coins by default: a price 25% lower makes an open interest that fell by 34% in USD one that fell by 12% in
    coins. NaN until the feed reaches back so far, where it is stale or not above 0. Errors as `open_interest`.
    """
    return log_change(interest(market, symbol, unit), market.known_at, span("days", days))


@memoised
def open_interest_z(market: Market, symbol: str, days: float = 1.0, unit: str = "coins", window: float = 90.0) -> Float:
    """Return (n,) the robust z of the log change over `days` against the `window` days before; NaN until then.

    Errors as `open_interest`; the formula is that of `robust_z`. It needs `days` + `window` days of history.
    """
    return robust_z(open_interest_change(market, symbol, days, unit), market.time, window)


@memoised
def open_interest_to_market_cap(market: Market, symbol: str) -> Float:
    """Return (n,) open interest in USD as a fraction of the coin's market capitalisation, feed "SYMBOL.market_cap" (USD).

    NaN where either is unknown or the capitalisation is not above 0; a missing feed is a MarketError.
    """
    cap = still_known(own_feed(market, symbol, "market_cap", "Open interest to market cap"), market.known_at)
    return open_interest(market, symbol, "usd") / np.where(cap > 0, cap, np.nan)


def open_interest_weighted_price(price: Float, interest: Float) -> float:
    """Return the mean price weighted by open interest, over venues or bars; NaN where no interest is open.

    Formula: sum(price * OI) / sum(OI).

    >>> open_interest_weighted_price(np.array([100.0, 110.0]), np.array([10.0, 30.0]))
    107.5
    """
    total = float(np.sum(interest))
    return float(np.sum(np.asarray(price) * interest)) / total if total > 0 else float("nan")
