"""What was risked for it: spread, losses and tails of the returns, and what was earned for each."""

import math

import numpy as np
from numpy.typing import ArrayLike

from backtest.model.arrays import Float

__all__ = [
    "ROUNDING",
    "autocorrelations",
    "conditional_value_at_risk",
    "downside_deviation",
    "omega",
    "ratio",
    "sharpe",
    "sharpe_lo",
    "sortino",
    "value_at_risk",
    "volatility",
]

# A return e[i]/e[i-1] - 1 is known to about one rounding of 1; a spread of this size or less is rounding, not risk.
ROUNDING = 4 * float(np.finfo(np.float64).eps)


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


def sharpe_lo(bar_returns: ArrayLike, periods: float, lags: int | None = None) -> float:
    """Return the yearly Sharpe ratio of returns that depend on their past: SR per period * q / sqrt(q + 2 sum (q - k) rho_k).

    q: the periods of a year, rounded; rho_k: the autocorrelations at k = 1..lags, behind that 0; lags: None for
    floor(4 (n/100)^(2/9)) of n returns [D], 0 for `sharpe`. Momentum in the returns lowers it, reversal raises it. NaN
    where `sharpe` is, and where the variance of a year would not be positive. Source: Lo, The Statistics of Sharpe
    Ratios, Financial Analysts Journal 58(4) (2002), eq. 20; the number of lags: Newey & West, Review of Economic
    Studies 61 (1994).

    >>> r = [0.01, 0.03, -0.01, 0.01]   # rho_1 = -0.5, so that the factor of 2 periods is 2 / sqrt(2 - 1)
    >>> round(sharpe_lo(r, periods=2.0, lags=1) / sharpe(r, periods=1.0), 12)
    2.0
    """
    from backtest.analysis.significance.sharpe import lo_factor  # imported late: significance uses the metrics

    r = np.asarray(bar_returns, dtype=np.float64)
    q = round(periods)
    if r.size < 2 or q < 1:
        return math.nan
    most = math.floor(4.0 * (r.size / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    rho = autocorrelations(r, min(most, r.size - 1, q - 1))
    return sharpe(r, 1.0) * lo_factor(rho, q)


def autocorrelations(values: ArrayLike, lags: int) -> Float:
    """Return (lags,) the correlation of a series with itself 1, 2, ... periods before.

    rho_k = sum over t > k of (x_t - m)(x_{t-k} - m), over sum of (x_t - m)^2, m the mean of all. NaN where the values do not vary.

    >>> autocorrelations([1.0, -1.0, 1.0, -1.0], 2).tolist()
    [-0.75, 0.5]
    """
    x = np.asarray(values, dtype=np.float64)
    d = x - np.mean(x) if x.size else x
    squares = float(d @ d)
    if not squares > 0:
        return np.full(max(lags, 0), np.nan)
    return np.array([float(d[k:] @ d[:-k]) / squares for k in range(1, lags + 1)])


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
    """Return mean / deviation * sqrt(periods); NaN where the deviation is rounding at most.

    >>> ratio(0.01, 0.02, periods=16.0), ratio(0.01, 0.0, periods=16.0)
    (2.0, nan)
    """
    return mean / deviation * math.sqrt(periods) if deviation > ROUNDING else math.nan


def omega(bar_returns: ArrayLike, threshold: float = 0.0) -> float:
    """Return what was earned above a return per bar over what was lost below it: sum(max(r - t, 0)) / sum(max(t - r, 0)).

    1 at the mean, whatever the law of the returns. NaN where nothing lies below. Source: Keating & Shadwick, A
    Universal Performance Measure, Journal of Performance Measurement 6(3) (2002).

    >>> omega([0.03, -0.01, 0.01, -0.01])
    2.0
    """
    r = np.asarray(bar_returns, dtype=np.float64) - threshold
    lost = float(np.sum(np.maximum(-r, 0.0)))
    return float(np.sum(np.maximum(r, 0.0))) / lost if lost > ROUNDING else math.nan


def value_at_risk(bar_returns: ArrayLike, share: float = 0.05) -> float:
    """Return the return that the worst `share` of the periods does not exceed: a fraction, negative for a loss.

    The smallest r with F(r) >= share, F the share of the returns at or below r; nothing is interpolated. NaN without a
    return and for a share outside (0, 1].

    >>> value_at_risk([-0.04, 0.01, -0.02, 0.03], share=0.5)
    -0.02
    """
    r, worst = np.asarray(bar_returns, dtype=np.float64), tail(np.size(bar_returns), share)
    if math.isnan(worst):
        return math.nan
    k = max(math.ceil(worst), 1) - 1
    return float(np.partition(r, k)[k])


def conditional_value_at_risk(bar_returns: ArrayLike, share: float = 0.05) -> float:
    """Return the mean of the worst `share` of the periods, exactly: a fraction, negative for a loss.

    The floor(share * n) worst count in full, the next one for the fraction that is left, over share * n. NaN as in
    `value_at_risk`. Source: Acerbi & Tasche, On the Coherence of Expected Shortfall, Journal of Banking & Finance 26
    (2002).

    >>> round(conditional_value_at_risk([-0.04, 0.01, -0.02, 0.03], share=0.375), 12)   # (-0.04 + 0.5 * -0.02) / 1.5
    -0.033333333333
    """
    r, worst = np.asarray(bar_returns, dtype=np.float64), tail(np.size(bar_returns), share)
    if math.isnan(worst):
        return math.nan
    whole = math.floor(worst)
    k = min(whole, r.size - 1)
    ordered = np.partition(r, k)
    return (float(np.sum(ordered[:whole])) + (worst - whole) * float(ordered[k])) / worst


def tail(n: int, share: float) -> float:
    """Return how many of n periods a share is; rounded to 1e-9, so that 5% of 60 are 3."""
    return round(share * n, 9) if n and 0 < share <= 1 else math.nan
