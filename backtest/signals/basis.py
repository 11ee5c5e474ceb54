"""Basis: how far the perpetual stands above its index, the price that leverage pays."""

import numpy as np

from backtest.model.arrays import Float
from backtest.model.market import Market
from backtest.model.memo import memoised
from backtest.signals.series import is_there, own_feed
from backtest.signals.windows import robust_z, still_known

__all__ = ["basis", "basis_of", "basis_z"]


def basis_of(mark: Float, index: Float) -> Float:
    """Return mark / index - 1, a fraction; NaN where the index is not above 0.

    >>> round(float(basis_of(np.float64(100.5), np.float64(100.0))), 12)
    0.005
    """
    index = np.asarray(index, np.float64)
    return mark / np.where(index > 0, index, np.nan) - 1.0


@memoised
def basis(market: Market, symbol: str) -> Float:
    """Return (n,) mark/index - 1 at each bar's close: the feed "SYMBOL.basis", or the mark price over "SYMBOL.index".

    NaN where either is unknown or stale. Without the feed "SYMBOL.basis", and without mark prices or without
    "SYMBOL.index", a MarketError. The last price does not stand in for a missing mark price.
    """
    if is_there(market, symbol, "basis") or market.mark is None:
        return still_known(own_feed(market, symbol, "basis", "The basis"), market.known_at)
    index = own_feed(market, symbol, "index", "The basis")
    return basis_of(market.mark.close[:, market.position(symbol)], still_known(index, market.known_at))


@memoised
def basis_z(market: Market, symbol: str, window: float = 90.0) -> Float:
    """Return (n,) the robust z of the basis against the `window` days before; NaN and errors as `basis`."""
    return robust_z(basis(market, symbol), market.time, window)
