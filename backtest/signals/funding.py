"""Funding: what longs pay for their leverage, summed over time whatever the venue's interval is."""

import numpy as np

from backtest.errors import ConfigError, MarketError
from backtest.model.arrays import Float
from backtest.model.market import Market
from backtest.model.memo import memoised
from backtest.signals.windows import real, robust_z, span, window_sum

__all__ = ["annualised", "funding_annualised", "funding_cumulative", "funding_sum", "funding_z"]

DAYS_A_YEAR = 365


def annualised(rate: float, per_day: float) -> float:
    """Return a funding rate as a fraction a year. Formula: rate * stamps a day * 365, without compounding.

    >>> round(annualised(0.0001, 3), 12)
    0.1095
    """
    return rate * per_day * DAYS_A_YEAR


@memoised
def funding_cumulative(market: Market, symbol: str, days: float = 7.0, longest_gap: int | None = None) -> Float:
    """Return (n,) the funding that a long paid over the last days, fraction of the notional, below 0 where it received.

    The sum of the rates stamped in (close - days, close], at any interval and across changes of it. NaN until the
    stamps reach back over the whole window, and while the window holds a hole: a gap longer than 1.5 times the larger of
    its neighbours, as for the engines, or where given longer than `longest_gap` (ns). An interval that grows, from 4 h
    to 8 h, is a hole until its second gap is over: only then is it known to be one.
    A symbol without funding is a MarketError; days or a longest gap of 0 or less are a ConfigError.
    """
    if longest_gap is not None and not real(longest_gap) > 0:
        raise ConfigError(f"`longest_gap` must be a number of ns above 0, got {longest_gap!r}.")
    market_funding, j, length = market.funding, market.position(symbol), span("days", days)
    if symbol in market_funding.none:
        raise MarketError(
            f"Funding signals need the funding of {symbol}, which the market {market.name} declares to have none (spot)."
        )
    mine = market_funding.symbol == j
    if not mine.any() and len(market) and not announced(market, symbol):
        raise MarketError(
            f"Funding signals need the funding of {symbol}, which the market {market.name} does not have: "
            f"declare `funding` under [{symbol}] in the market file."
        )
    stamps, rates = market_funding.time[mine], market_funding.rate[mine]
    return window_sum(stamps, rates, market.known_at, length, longest_gap, by_neighbours=True)


def announced(market: Market, symbol: str) -> bool:
    """Whether funding is there later than the market was cut: the passport is not cut with it."""
    return any(s.name == f"{symbol}.funding" and s.origin != "missing" for s in market.passport.series)


@memoised
def funding_sum(market: Market, symbol: str, hours: float = 24.0, longest_gap: int | None = None) -> Float:
    """Return (n,) the funding of the last 24 hours, fraction of the notional; NaN and errors as `funding_cumulative`."""
    if not real(hours) > 0:
        raise ConfigError(f"`hours` must be a number above 0, got {hours!r}.")
    return funding_cumulative(market, symbol, hours / 24, longest_gap)


@memoised
def funding_annualised(market: Market, symbol: str, longest_gap: int | None = None) -> Float:
    """Return (n,) the last 24 hours' funding as a fraction a year: 365 * sum. 0.01% every 8 h is 10.95% a year.

    NaN and errors as `funding_cumulative`.
    """
    return DAYS_A_YEAR * funding_sum(market, symbol, longest_gap=longest_gap)


@memoised
def funding_z(market: Market, symbol: str, window: float = 90.0) -> Float:
    """Return (n,) the robust z of the 24-hour funding against the `window` days before; NaN for the first 91 days.

    Errors as `funding_cumulative`; the formula is that of `robust_z`.
    """
    return robust_z(np.asarray(funding_sum(market, symbol)), market.time, window)
