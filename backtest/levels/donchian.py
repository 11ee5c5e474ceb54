"""The lowest low of the bars before: a support that moves."""

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import Float
from backtest.model.market import Bars

__all__ = ["donchian"]


def donchian(bars: Bars, n: int = 20) -> Float:
    """Return (len(bars),) the lowest low of the n bars before each bar, the bar itself excluded, in quote units.

    NaN in the first n bars, and wherever one of the n bars did not trade. `n` below 1 or not whole is a ConfigError.

    Formula: min(low[t-n..t-1]), by doubling the window: about log2(n) passes over the data, whatever n is. Source:
    the channel of R. Donchian; as the "trading range break" in Brock, Lakonishok & LeBaron, J. Finance 47(5), 1992.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ConfigError(f"The lookback of a Donchian channel must be a whole number of bars from 1, got {n!r}.")
    support = np.full(len(bars), np.nan)
    if n < len(bars):
        support[n:] = sliding_min(bars.low[:-1], int(n))
    return support


def sliding_min(values: Float, n: int) -> Float:
    lowest, width = values, 1
    while 2 * width <= n:
        lowest = np.minimum(lowest[:-width], lowest[width:])
        width *= 2
    rest = n - width
    return np.minimum(lowest[:-rest], lowest[rest:]) if rest else lowest
