"""Who is long: accounts, top traders and takers, three different series that are not to be mixed."""

from backtest.model.arrays import Float
from backtest.model.market import Market
from backtest.model.memo import memoised
from backtest.signals.series import own_feed
from backtest.signals.windows import robust_z, still_known

__all__ = ["long_short_ratio", "ratio_z", "taker_ratio", "top_trader_ratio"]


@memoised
def long_short_ratio(market: Market, symbol: str) -> Float:
    """Return (n,) accounts that are long per account that is short, feed "SYMBOL.long_short_ratio".

    Small accounts dominate it: it counts heads, not money. NaN before the first value and once the last is stale
    (three usual gaps); a missing feed is a MarketError.
    """
    return still_known(own_feed(market, symbol, "long_short_ratio", "The long/short ratio"), market.known_at)


@memoised
def top_trader_ratio(market: Market, symbol: str) -> Float:
    """Return (n,) long per short of the venue's largest accounts, feed "SYMBOL.top_trader_ratio"; NaN, errors as above."""
    return still_known(own_feed(market, symbol, "top_trader_ratio", "The top-trader ratio"), market.known_at)


@memoised
def taker_ratio(market: Market, symbol: str) -> Float:
    """Return (n,) volume bought per volume sold by takers, feed "SYMBOL.taker_ratio"; NaN and errors as above."""
    return still_known(own_feed(market, symbol, "taker_ratio", "The taker ratio"), market.known_at)


@memoised
def ratio_z(market: Market, values: Float, window: float = 90.0) -> Float:
    """Return (n,) the robust z of a ratio against the `window` days before, NaN for the first `window` days."""
    return robust_z(values, market.time, window)
