"""The normal law, from the standard library: what the statistics of the Sharpe ratio take from it."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

__all__ = ["EULER", "below", "maximum_deviation", "quantile"]

EULER = 0.577_215_664_901_532_9  # Euler's and Mascheroni's constant
STANDARD = NormalDist()
REACH, STEP = 14.0, 0.005  # of the grid on which the maximum's moments are summed up


def below(z: float) -> float:
    """Return P(Z <= z) of a standard normal Z, exact in the lower tail too; NaN gives NaN.

    >>> below(0.0)
    0.5
    """
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def quantile(p: float) -> float:
    """Return the z with P(Z <= z) = p, for 0 < p < 1; minus and plus infinity at the ends, NaN beyond them.

    >>> round(quantile(0.95), 4)
    1.6449
    """
    if 0.0 < p < 1.0:
        return STANDARD.inv_cdf(p)
    return -math.inf if p == 0.0 else math.inf if p == 1.0 else math.nan


@lru_cache(maxsize=256)
def maximum_deviation(k: int) -> float:
    """Return the standard deviation of the maximum of k independent standard normal values; NaN below k = 1.

    From the moments of its density k * phi(x) * Phi(x)^(k-1), summed on a fine grid, which converges faster than any
    power of the step for such a density. Source: Lopez de Prado, Lipton & Zoonekynd, How to Use the Sharpe Ratio (2026).

    >>> round(maximum_deviation(2), 9) == round(math.sqrt(1 - 1 / math.pi), 9)
    True
    """
    if k < 1:
        return math.nan
    x = np.arange(-REACH, REACH + STEP, STEP)
    under = np.array([below(value) for value in x.tolist()])
    weight = k * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi) * under ** (k - 1) * STEP
    mean = float(np.sum(weight * x))
    return math.sqrt(float(np.sum(weight * (x - mean) ** 2)))
