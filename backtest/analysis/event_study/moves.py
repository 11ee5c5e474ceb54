"""What prices do after a bar, from the open of the next one on, in average true ranges of the bar itself."""

import numpy as np

from backtest.model.arrays import Float
from backtest.model.market import Bars

__all__ = ["excursions", "forward_returns", "moves"]


def moves(bars: Bars, span: Float, horizons: tuple[int, ...], excursion: int) -> Float:
    """Return (n, h + 2) the forward returns, the farthest rise and the farthest fall after each bar, in ATRs."""
    returns = forward_returns(bars, span, horizons)
    return np.column_stack((returns, *excursions(bars, span, excursion)))


def forward_returns(bars: Bars, span: Float, horizons: tuple[int, ...]) -> Float:
    """Return (n, h) the change from the open of bar t + 1 to the close of bar t + h, in ATRs of bar t; up is positive.

    span: (n,) ATR, quote units. NaN beyond the end, where one of both bars did not trade and while there is no ATR.
    """
    n = len(bars)
    found = np.full((n, len(horizons)), np.nan)
    for j, h in enumerate(horizons):
        if h < n:
            found[: n - h, j] = (bars.close[h:] - bars.open[1 : n - h + 1]) / span[: n - h]
    return found


def excursions(bars: Bars, span: Float, ahead: int) -> tuple[Float, Float]:
    """Return (n,) how far prices rose above and fell below the open of bar t + 1 in the bars t + 1 to t + ahead, in ATRs.

    Both from 0 up; NaN where fewer bars are left, where bar t + 1 did not trade and while there is no ATR.
    """
    n = len(bars)
    rise, fall = np.full(n, np.nan), np.full(n, np.nan)
    if ahead < n:
        start = bars.open[1 : n - ahead + 1]
        high = np.fmax.reduce(np.lib.stride_tricks.sliding_window_view(bars.high[1:], ahead), axis=1)
        low = np.fmin.reduce(np.lib.stride_tricks.sliding_window_view(bars.low[1:], ahead), axis=1)
        rise[: n - ahead], fall[: n - ahead] = (high - start) / span[: n - ahead], (start - low) / span[: n - ahead]
    return rise, fall
