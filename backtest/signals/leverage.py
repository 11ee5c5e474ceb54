"""Estimated leverage: open interest per coin that the venues hold."""

import numpy as np

from backtest.errors import MarketError
from backtest.model.arrays import Float
from backtest.model.market import Market
from backtest.model.memo import memoised
from backtest.signals.open_interest import UNITS, open_interest
from backtest.signals.series import own_feed
from backtest.signals.windows import still_known

__all__ = ["estimated_leverage", "leverage_ratio"]


def leverage_ratio(interest: Float, reserve: Float) -> Float:
    """Return open interest / reserve; NaN where the reserve is not above 0.

    >>> float(leverage_ratio(np.float64(25_000.0), np.float64(100_000.0)))
    0.25
    """
    reserve = np.asarray(reserve, np.float64)
    return interest / np.where(reserve > 0, reserve, np.nan)


@memoised
def estimated_leverage(market: Market, symbol: str) -> Float:
    """Return (n,) the estimated leverage ratio: open interest / coins held by the venues, feed "SYMBOL.exchange_reserve".

    Both in the feed's unit, "coins" or "usd". NaN where either is unknown or stale; a missing feed, or one of another
    unit, is a MarketError. Source: CryptoQuant's Estimated Leverage Ratio.
    """
    reserve = own_feed(market, symbol, "exchange_reserve", "The estimated leverage ratio")
    if reserve.unit not in UNITS:
        raise MarketError(
            f"The feed {reserve.name!r} has the unit {reserve.unit!r}; declare `unit` as 'usd' or 'coins'."
        )
    return leverage_ratio(open_interest(market, symbol, reserve.unit), still_known(reserve, market.known_at))
