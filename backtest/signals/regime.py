"""The deleveraging regime: on when leverage leaves fast or is thrown out, off only when all is calm again."""

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import DAY, BoolArray, Float
from backtest.model.market import Feed, Market
from backtest.model.memo import memoised
from backtest.signals.liquidations import liquidation_intensity, liquidation_z
from backtest.signals.open_interest import open_interest_change, open_interest_z
from backtest.signals.series import current, every, flag, some
from backtest.signals.windows import past_median, real, span, still_known, window_sum

__all__ = ["deleveraging", "hysteresis", "realised_volatility"]


@memoised
def deleveraging(
    market: Market,
    symbol: str,
    fall: float = 0.10,
    z_interest: float = 3.0,
    z_liquidations: float = 3.0,
    window: float = 90.0,
) -> Float:
    """Return (n,) 1.0 where the deleveraging regime is on, 0.0 where it is off, NaN where that is not known.

    On [D]: open interest in coins is down by `fall` (fraction) or more over 30 days, or it fell over a day at a robust z
    of -`z_interest` or less while liquidations of longs stand at `z_liquidations` or more.
    Off [D], once on: open interest in coins is no lower than 7 days ago, the liquidation intensity is below its median
    of the `window` days before, the 7-day realised volatility is lower than a day ago, and what turned it on is over.
    It stays on while an input of the way out is unknown. It is NaN while off and an input that could turn it on is
    unknown: for the first 91 days, unless 30 days of falling open interest say enough.
    A missing feed (open interest, liquidations) is a MarketError, thresholds of 0 or less are a ConfigError.
    """
    for name, value in (("fall", fall), ("z_interest", z_interest), ("z_liquidations", z_liquidations)):
        if not real(value) > 0 or (name == "fall" and value >= 1):
            raise ConfigError(f"`{name}` must be above 0{' and below 1' if name == 'fall' else ''}, got {value!r}.")
    month, change_z = open_interest_change(market, symbol, 30.0), open_interest_z(market, symbol, 1.0, window=window)
    longs = liquidation_z(market, symbol, 1.0, "long", window)
    sudden = every(flag(change_z <= -z_interest, change_z), flag(longs >= z_liquidations, longs))
    return hysteresis(some(flag(month <= np.log1p(-fall), month), sudden), calm(market, symbol, window))


def calm(market: Market, symbol: str, window: float) -> Float:
    """Return (n,) 1.0 where all of the way out holds, 0.0 where some of it does not, NaN where that is not known."""
    week = open_interest_change(market, symbol, 7.0)
    intensity = liquidation_intensity(market, symbol)
    usual = past_median(intensity, market.time, window)
    swings = realised_volatility(market, symbol, 7.0)
    before = still_known(Feed("volatility", market.known_at, swings), market.known_at - DAY)
    return every(
        flag(week >= 0, week),
        flag(intensity < usual, intensity, usual),
        flag(swings < before, swings, before),
    )


def hysteresis(enter: Float, leave: Float) -> Float:
    """Return (n,) a state that goes on at `enter` = 1 and off only at `leave` = 1 while `enter` is 0.

    enter, leave: (n,) 1.0, 0.0 or NaN for unknown. Off and `enter` unknown is NaN; on and `leave` or `enter` unknown
    stays on.

    >>> hysteresis(np.array([np.nan, 0, 1, 0, 0]), np.array([0, 0, 0, np.nan, 1.0])).tolist()
    [nan, 0.0, 1.0, 1.0, 0.0]
    """
    start: BoolArray = enter == 1
    stop: BoolArray = (enter == 0) & (leave == 1)
    changes = np.flatnonzero(start | stop)
    last = np.searchsorted(changes, np.arange(enter.size), side="right") - 1
    on = np.zeros(enter.size, np.bool_) if changes.size == 0 else (last >= 0) & start[changes[np.maximum(last, 0)]]
    return np.where(on, 1.0, np.where(np.isnan(enter), np.nan, 0.0))


@memoised
def realised_volatility(market: Market, symbol: str, days: float = 7.0) -> Float:
    """Return (n,) the root of the summed squared log returns of the last days: the volatility of that span, a fraction.

    NaN until the bars cover the span, and where it holds a hole (halts longer than three bars).
    """
    close = current(market, symbol)
    moves = np.diff(np.log(close), prepend=np.nan)
    return np.sqrt(window_sum(market.known_at, moves**2, market.known_at, span("days", days)))
