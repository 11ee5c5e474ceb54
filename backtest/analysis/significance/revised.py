"""The statistics of the Sharpe ratio as its authors revised them in 2026, under names of their own.

What differs: the error of the ratio is taken where the hypothesis puts it, not where the data do; n takes the place of
n - 1; returns may follow each other with a first-order autocorrelation rho. Ratios are per period, kurtosis is 3 for a
normal law, undefined is NaN. Source of all: Lopez de Prado, Lipton & Zoonekynd, How to Use the Sharpe Ratio (2026).
"""

import math

from backtest.analysis.significance.normal import below, maximum_deviation, quantile
from backtest.analysis.significance.sharpe import expected_maximum

__all__ = [
    "deflated_sharpe_2026",
    "min_track_record_2026",
    "miss_rate_2026",
    "observed_false_discovery",
    "planned_false_discovery",
    "probabilistic_sharpe_2026",
    "sharpe_error_2026",
]


def variance_of_one(sharpe: float, skew: float, kurtosis: float, rho: float) -> float:
    """Return n times the variance of an estimated Sharpe ratio: a - b * skew * SR + c * (kurtosis - 1)/4 * SR^2."""
    if not -1.0 < rho < 1.0:
        return math.nan
    once, twice = rho / (1.0 - rho), rho * rho / (1.0 - rho * rho)  # sums of rho^k and of rho^2k over the lags
    a, b, c = 1.0 + 2.0 * once, 1.0 + once + twice, 1.0 + 2.0 * twice
    return a - b * skew * sharpe + c * (kurtosis - 1.0) / 4.0 * sharpe * sharpe


def sharpe_error_2026(sharpe: float, n: float, skew: float = 0.0, kurtosis: float = 3.0, rho: float = 0.0) -> float:
    """Return the standard error of a Sharpe ratio of n returns that are neither normal nor independent.

    sqrt((a - b * skew * SR + c * (kurtosis - 1)/4 * SR^2) / n), a = 1 + 2 rho/(1 - rho), b = 1 + rho/(1 - rho) +
    rho^2/(1 - rho^2), c = 1 + 2 rho^2/(1 - rho^2). NaN without a period and for moments that no returns have.

    >>> sharpe_error_2026(0.0, 24, rho=0.2)   # sqrt((1 + 2 * 0.25) / 24)
    0.25
    """
    variance = variance_of_one(sharpe, skew, kurtosis, rho)
    return math.sqrt(variance / n) if n > 0 and variance > 0 else math.nan


def probabilistic_sharpe_2026(
    sharpe: float, benchmark: float, n: float, skew: float = 0.0, kurtosis: float = 3.0, rho: float = 0.0
) -> float:
    """Return how far a Sharpe ratio lies above a benchmark, as a probability: Phi((SR - SR0) / error at SR0).

    >>> round(probabilistic_sharpe_2026(0.5, 0.0, 24, rho=0.2), 6)   # Phi(0.5 / 0.25)
    0.97725
    """
    error = sharpe_error_2026(benchmark, n, skew, kurtosis, rho)
    return below((sharpe - benchmark) / error)


def min_track_record_2026(
    sharpe: float,
    benchmark: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    rho: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Return how many periods it takes until a Sharpe ratio beats a benchmark with a confidence.

    Variance at SR0 times (z_confidence / (SR - SR0))^2. NaN where SR is not above SR0: no number would do.

    >>> round(min_track_record_2026(0.1, 0.0), 2)   # (1.6449 / 0.1)^2
    270.55
    """
    variance = variance_of_one(benchmark, skew, kurtosis, rho)
    if not (sharpe > benchmark and variance > 0 and 0.5 < confidence < 1.0):
        return math.nan
    return variance * (quantile(confidence) / (sharpe - benchmark)) ** 2


def miss_rate_2026(
    benchmark: float,
    true: float,
    n: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    rho: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Return the probability (beta) that a strategy whose true Sharpe ratio is `true` fails the test against a benchmark.

    Phi((c - SR1) / error at SR1), the critical ratio c = SR0 + z_confidence * error at SR0.

    >>> round(miss_rate_2026(0.0, 0.16449, 100), 2)   # the critical ratio is as high as the true one
    0.5
    """
    critical = benchmark + quantile(confidence) * sharpe_error_2026(benchmark, n, skew, kurtosis, rho)
    return below((critical - true) / sharpe_error_2026(true, n, skew, kurtosis, rho))


def planned_false_discovery(skilled: float, false_alarm: float, miss_rate: float) -> float:
    """Return the share of passing strategies that have no edge, before any is seen.

    skilled: the share of tried strategies that have one; false_alarm: alpha; miss_rate: beta.
    alpha (1 - p) / (alpha (1 - p) + (1 - beta) p). NaN where none passes.

    >>> round(planned_false_discovery(0.1, 0.05, 0.5), 4)   # 0.045 / (0.045 + 0.05)
    0.4737
    """
    wrong, right = false_alarm * (1.0 - skilled), (1.0 - miss_rate) * skilled
    return wrong / (wrong + right) if wrong + right > 0 else math.nan


def observed_false_discovery(
    sharpe: float,
    n: float,
    benchmark: float,
    true: float,
    skilled: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    rho: float = 0.0,
) -> float:
    """Return the probability that a strategy with such a Sharpe ratio or a higher one has no edge.

    Bayes with P(at least SR | SR0) and P(at least SR | SR1), and the share of skilled strategies as the prior.

    >>> round(observed_false_discovery(0.25, 24, 0.0, 0.25, skilled=0.5, rho=0.2), 4)   # 0.1587 / (0.1587 + 0.5)
    0.2409
    """
    by_luck = 1.0 - probabilistic_sharpe_2026(sharpe, benchmark, n, skew, kurtosis, rho)
    by_skill = 1.0 - probabilistic_sharpe_2026(sharpe, true, n, skew, kurtosis, rho)
    return planned_false_discovery(skilled, by_luck, 1.0 - by_skill)


def deflated_sharpe_2026(sharpe: float, trials: int, variance: float) -> float:
    """Return how far a Sharpe ratio lies above the best of so many trials without an edge, as a probability.

    Phi((SR - expected maximum) / (sqrt(variance) * deviation of the maximum of `trials` normal values)). NaN where the
    trials do not differ.

    >>> round(deflated_sharpe_2026(0.2, 1, 0.01), 5)   # Phi(0.2 / 0.1)
    0.97725
    """
    deviation = math.sqrt(variance) * maximum_deviation(trials) if variance > 0 else math.nan
    return below((sharpe - expected_maximum(trials, variance)) / deviation) if deviation > 0 else math.nan
