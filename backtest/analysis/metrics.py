"""The figures of a run: pure functions, arrays in, a float out.

The laws that hold for all of them: fractions, never percent; undefined is NaN, and no small number is ever added to a
denominator; returns start from the initial cash, so that the entry fee of the first bar counts; a year has 365 days,
and the periods of a year follow from the data's interval; the risk-free rate is 0.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "cagr",
    "calmar",
    "downside_deviation",
    "exposure",
    "max_drawdown",
    "periods_a_year",
    "returns",
    "sharpe",
    "sortino",
    "total_return",
    "volatility",
    "win_rate",
]

Float = NDArray[np.float64]

YEAR = 365 * 86_400 * 1_000_000_000
# A return e[i]/e[i-1] - 1 is known to about one rounding of 1; a spread of this size or less is rounding, not risk.
ROUNDING = 4 * float(np.finfo(np.float64).eps)


def periods_a_year(interval: int) -> float:
    """Return how many bars of the interval (ns) a year of 365 days has.

    >>> periods_a_year(3_600_000_000_000)
    8760.0
    """
    return YEAR / interval


def returns(equity: ArrayLike, cash: float) -> Float:
    """Return the simple return of each bar, the first one from the initial cash.

    equity: (n,) quote units at each bar's close; gives (n,) fractions, e[i]/e[i-1] - 1. After ruin (0 to 0) nothing
    is earned or lost: 0. From 0 to something is undefined: NaN.

    >>> returns([110.0, 99.0, 99.0], cash=100.0).round(12).tolist()
    [0.1, -0.1, 0.0]
    """
    now = np.asarray(equity, dtype=np.float64)
    before = np.concatenate(([float(cash)], now[:-1]))[: now.size]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = now / before - 1.0
    change[(now == 0) & (before == 0)] = 0.0
    change[(now != 0) & (before == 0)] = np.nan
    return change


def total_return(equity: ArrayLike, cash: float) -> float:
    """Return what became of the initial cash: last equity / cash - 1, a fraction. NaN without a bar.

    >>> total_return([90.0, 125.0], cash=100.0)
    0.25
    """
    values = np.asarray(equity, dtype=np.float64)
    return float(values[-1]) / cash - 1.0 if values.size else math.nan


def cagr(equity: ArrayLike, cash: float, years: float) -> float:
    """Return the constant yearly growth that ends where the run ended: (last equity / cash)^(1/years) - 1.

    years: time covered in years of 365 days, the last bar included. NaN without a bar or without time; -1 after ruin;
    infinite where a short run's growth, made yearly, exceeds every float.

    >>> round(cagr([100.0, 121.0], cash=100.0, years=2.0), 12)
    0.1
    """
    values = np.asarray(equity, dtype=np.float64)
    return growth(float(values[-1]) / cash, years) if values.size else math.nan


def growth(factor: float, years: float) -> float:
    if not years > 0 or not factor >= 0:
        return math.nan
    try:
        return float(factor ** (1.0 / years)) - 1.0
    except OverflowError:
        return math.inf


def volatility(bar_returns: ArrayLike, periods: float) -> float:
    """Return the yearly standard deviation: std(r, ddof=1) * sqrt(periods a year), a fraction. NaN below two bars.

    >>> round(volatility([0.01, -0.01], periods=4.0), 12)   # std = sqrt(2) * 0.01
    0.028284271247
    """
    r = np.asarray(bar_returns, dtype=np.float64)
    return float(np.std(r, ddof=1)) * math.sqrt(periods) if r.size > 1 else math.nan


def sharpe(bar_returns: ArrayLike, periods: float) -> float:
    """Return the yearly Sharpe ratio: mean(r) / std(r, ddof=1) * sqrt(periods a year), risk-free 0.

    NaN below two bars and where the returns do not vary. Scaled by the square root of time, which supposes returns
    without autocorrelation. Source: Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994).

    >>> sharpe([0.0, 0.0, 0.03, 0.01], periods=4.0) == 2 * 0.01 / math.sqrt(0.0002)
    True
    """
    r = np.asarray(bar_returns, dtype=np.float64)
    if r.size < 2:
        return math.nan
    return ratio(float(np.mean(r)), float(np.std(r, ddof=1)), periods)


def downside_deviation(bar_returns: ArrayLike) -> float:
    """Return sqrt(mean(min(r, 0)^2)) over ALL periods, a fraction per bar. NaN without a bar.

    >>> downside_deviation([0.5, -0.03, 0.0, -0.04]) == 0.05 / 2
    True
    """
    r = np.asarray(bar_returns, dtype=np.float64)
    return math.sqrt(float(np.mean(np.minimum(r, 0.0) ** 2))) if r.size else math.nan


def sortino(bar_returns: ArrayLike, periods: float) -> float:
    """Return the yearly Sortino ratio: mean(r) / downside deviation * sqrt(periods a year), target 0.

    The downside deviation is taken over all periods, not only over the losing ones. NaN where no bar loses.
    Source: Sortino & Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 3 (1994).

    >>> round(sortino([0.06, -0.02, 0.0, 0.0], periods=4.0), 12)   # mean 0.01, downside 0.01
    2.0
    """
    r = np.asarray(bar_returns, dtype=np.float64)
    return ratio(float(np.mean(r)), downside_deviation(r), periods) if r.size else math.nan


def ratio(mean: float, deviation: float, periods: float) -> float:
    return mean / deviation * math.sqrt(periods) if deviation > ROUNDING else math.nan


def max_drawdown(equity: ArrayLike, cash: float) -> float:
    """Return the deepest fall from a peak, a fraction from -1 to 0; the starting cash is the first peak.

    min over i of e[i] / max(cash, e[0..i]) - 1. NaN without a bar.

    >>> max_drawdown([80.0, 160.0, 120.0], cash=100.0)
    -0.25
    >>> max_drawdown([60.0, 90.0], cash=100.0)
    -0.4
    """
    values = np.asarray(equity, dtype=np.float64)
    if not values.size:
        return math.nan
    peaks = np.maximum(np.maximum.accumulate(values), cash)
    return min(0.0, float(np.min(values / peaks)) - 1.0)


def calmar(yearly_growth: float, drawdown: float) -> float:
    """Return CAGR / |max drawdown|. NaN where there was no drawdown. Source: Young, Futures 20 (1991).

    >>> calmar(0.5, -0.25)
    2.0
    """
    return yearly_growth / abs(drawdown) if drawdown < 0 else math.nan


def win_rate(pnl: ArrayLike) -> float:
    """Return the fraction of closed trades whose net PnL (fees and funding inside) is above 0. NaN without a trade.

    pnl: (k,) quote units, one a closed trade.

    >>> win_rate([5.0, -1.0, 0.0, 2.0])
    0.5
    """
    values = np.asarray(pnl, dtype=np.float64)
    return float(np.mean(values > 0)) if values.size else math.nan


def exposure(bar: ArrayLike, symbol: ArrayLike, quantity: ArrayLike, bars: int) -> float:
    """Return the fraction of bars at whose close a position in any symbol was held. NaN without a bar.

    bar, symbol, quantity: (k,) the signed quantity of a symbol after each change, in order of time; bars: of the run.

    >>> exposure(bar=[2, 6], symbol=[0, 0], quantity=[-1.5, 0.0], bars=10)   # held at the closes of 2, 3, 4, 5
    0.4
    """
    at, of = np.asarray(bar, dtype=np.int64), np.asarray(symbol)
    if bars <= 0:
        return math.nan
    held = (np.asarray(quantity, dtype=np.float64) != 0).astype(np.int64)
    step = held.copy()
    for code in np.unique(of):
        mine = np.flatnonzero(of == code)
        step[mine[1:]] -= held[mine[:-1]]
    until = np.append(at[1:], bars)
    return float(np.sum((until - at)[np.cumsum(step) > 0])) / bars
