"""How sure a Sharpe ratio is: its error, its probability, the trials behind it and the days it takes.

Every ratio here is per period, never yearly: mean(r) / std(r, ddof=1) of the returns whose number is n. Undefined is NaN.
skew, kurtosis: of the returns, kurtosis 3 for a normal law (not the excess over it).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from backtest.analysis.metrics import ROUNDING
from backtest.analysis.significance.normal import EULER, below, quantile

__all__ = [
    "Moments",
    "deflated_sharpe",
    "expected_maximum",
    "lo_factor",
    "min_track_record",
    "moments",
    "probabilistic_sharpe",
    "sharpe_error",
    "trials_variance",
]


class Moments(NamedTuple):
    """What the statistics need of a series of returns: n, Sharpe ratio per period, skewness, kurtosis (normal: 3)."""

    n: int
    sharpe: float
    skew: float
    kurtosis: float


def moments(returns: ArrayLike) -> Moments:
    """Return the number of returns and their Sharpe ratio, skewness and kurtosis; NaN where they do not vary.

    Sharpe: mean / std(ddof=1). Skewness and kurtosis: the third and fourth central moment over the second's powers
    1.5 and 2, all with n below, as in the sources of this module.

    >>> m = moments([-0.01, 0.0, 0.04])   # deviations -0.02, -0.01, 0.03; squares sum to 0.0014, cubes to 18e-6
    >>> round(m.sharpe, 12) == round(0.01 / math.sqrt(0.0007), 12), round(m.skew, 6), round(m.kurtosis, 6)
    (True, 0.59517, 1.5)
    """
    r = np.asarray(returns, dtype=np.float64)
    if r.size < 2:
        return Moments(int(r.size), math.nan, math.nan, math.nan)
    mean = float(np.mean(r))
    d = r - mean
    second = float(np.mean(d * d))
    spread = math.sqrt(second * r.size / (r.size - 1))
    if not spread > ROUNDING:
        return Moments(int(r.size), math.nan, math.nan, math.nan)
    skew = float(np.mean(d**3)) / second**1.5
    return Moments(int(r.size), mean / spread, skew, float(np.mean(d**4)) / second**2)


def sharpe_error(sharpe: float, n: float) -> float:
    """Return the standard error of a Sharpe ratio of n independent normal returns: sqrt((1 + SR^2/2) / n).

    NaN without a period. Source: Lo, The Statistics of Sharpe Ratios, Financial Analysts Journal 58(4) (2002), eq. 9.

    >>> round(sharpe_error(0.5, 12), 3)
    0.306
    """
    return math.sqrt((1.0 + 0.5 * sharpe * sharpe) / n) if n > 0 else math.nan


def lo_factor(autocorrelations: ArrayLike, q: int) -> float:
    """Return what makes a Sharpe ratio per period one of q periods: q / sqrt(q + 2 * sum_k (q - k) * rho_k).

    autocorrelations: of the returns at the lags 1, 2, ...; those that are not given count as 0, so that without any
    it is sqrt(q). NaN below q = 1 and where the variance of q periods would not be positive. Source: Lo (2002), eq. 20.

    >>> lo_factor([], 9)
    3.0
    >>> lo_factor([0.5], 2)   # 2 / sqrt(2 + 2 * 1 * 0.5)
    1.1547005383792517
    """
    rho = np.asarray(autocorrelations, dtype=np.float64)[: max(0, q - 1)]
    variance = q + 2.0 * float(np.sum((q - np.arange(1, rho.size + 1)) * rho))
    return q / math.sqrt(variance) if q >= 1 and variance > 0 else math.nan


def spread(sharpe: float, skew: float, kurtosis: float) -> float:
    """Return 1 - skew * SR + (kurtosis - 1)/4 * SR^2: n - 1 times the variance of an estimated Sharpe ratio."""
    return 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe


def probabilistic_sharpe(sharpe: float, benchmark: float, n: float, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Return the probability that the true Sharpe ratio lies above a benchmark, from 0 to 1.

    Phi((SR - SR*) * sqrt(n - 1) / sqrt(1 - skew * SR + (kurtosis - 1)/4 * SR^2)), ratios per period. NaN below two
    periods and for moments that no returns have. Source: Bailey & Lopez de Prado, The Sharpe Ratio Efficient Frontier,
    Journal of Risk 15(2) (2012), eq. 9.

    >>> probabilistic_sharpe(0.1, 0.1, 500)
    0.5
    >>> probabilistic_sharpe(2.0, 0.0, 4, skew=1.5, kurtosis=3.0)   # 1 - 3 + 2 = 0: there are no such returns
    nan
    """
    variance = spread(sharpe, skew, kurtosis)
    if not (n > 1 and variance > 0):
        return math.nan
    return below((sharpe - benchmark) * math.sqrt((n - 1.0) / variance))


def min_track_record(
    sharpe: float, benchmark: float, skew: float = 0.0, kurtosis: float = 3.0, confidence: float = 0.95
) -> float:
    """Return how many periods it takes until a Sharpe ratio beats a benchmark with a confidence.

    1 + (1 - skew * SR + (kurtosis - 1)/4 * SR^2) * (z_confidence / (SR - SR*))^2, ratios per period; the number of
    periods at which `probabilistic_sharpe` reaches the confidence. NaN where SR is not above SR*: no number would do.
    Source: Bailey & Lopez de Prado (2012), eq. 11.

    >>> round(min_track_record(0.1, 0.0), 2)   # 1 + 1.005 * (1.6449 / 0.1)^2
    272.91
    """
    variance = spread(sharpe, skew, kurtosis)
    if not (sharpe > benchmark and variance > 0 and 0.5 < confidence < 1.0):
        return math.nan
    return 1.0 + variance * (quantile(confidence) / (sharpe - benchmark)) ** 2


def trials_variance(sharpes: ArrayLike) -> float:
    """Return the variance of the trials' Sharpe ratios, ddof=0; undefined ones do not count. NaN below two defined ones.

    >>> round(trials_variance([0.1, 0.3, math.nan]), 12)
    0.01
    """
    known = np.asarray(sharpes, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.var(known)) if known.size > 1 else math.nan


def expected_maximum(trials: float, variance: float) -> float:
    """Return the Sharpe ratio that the best of so many trials without any edge is expected to show.

    sqrt(V) * ((1 - g) * Phi^-1(1 - 1/N) + g * Phi^-1(1 - 1/(N e))), g Euler's constant, V the variance of the trials'
    ratios; 0 for a single trial, NaN below one. Source: Bailey & Lopez de Prado, The Deflated Sharpe Ratio, Journal of
    Portfolio Management 40(5) (2014), eq. 1.

    >>> round(expected_maximum(100, 0.002), 4)
    0.1132
    >>> expected_maximum(1, 0.002)
    0.0
    """
    if trials <= 1 or not variance >= 0:
        return 0.0 if trials == 1 else math.nan
    beyond = (1.0 - EULER) * quantile(1.0 - 1.0 / trials) + EULER * quantile(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * beyond


def deflated_sharpe(
    sharpe: float, n: float, trials: float, variance: float, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that a Sharpe ratio, the best of so many trials, is more than their luck.

    `probabilistic_sharpe` against `expected_maximum(trials, variance)`; of one trial that is against 0. It sees the
    number of trials, not look-ahead. Source: Bailey & Lopez de Prado (2014), eq. 2.

    >>> round(deflated_sharpe(2.5 / math.sqrt(250), 1250, trials=46, variance=0.002, skew=-3, kurtosis=10), 4)
    0.9505
    """
    return probabilistic_sharpe(sharpe, expected_maximum(trials, variance), n, skew, kurtosis)
