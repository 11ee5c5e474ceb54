"""What turns counts into statements: intervals, events needed, p-values of a set among sets, and what many of them are worth."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from backtest.model.arrays import Float, Int64

__all__ = [
    "benjamini_hochberg",
    "day_interval",
    "effect_of_means",
    "events_needed",
    "holm",
    "p_above",
    "p_two_sided",
    "wilson",
]

NORMAL = NormalDist()


def wilson(hits: int, events: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share of independent events, fractions; NaN without an event.

    Formula: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n). Source: E. B. Wilson, JASA 22 (1927).

    >>> [round(end, 4) for end in wilson(5, 10)]
    [0.2366, 0.7634]
    """
    if events <= 0:
        return math.nan, math.nan
    z, p = NORMAL.inv_cdf(0.5 + confidence / 2), hits / events
    middle, spread = p + z * z / (2 * events), z * math.sqrt(p * (1 - p) / events + z * z / (4 * events**2))
    scale = 1 + z * z / events
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def day_interval(
    values: Float, days: Int64, seed: int = 0, draws: int = 2_000, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a mean when whole days are drawn anew, each with all its events; NaN below two days.

    values: (k,) one an event, NaN is left out; days: (k,) the day of each, any numbering. Events of one day are one
    piece of news, so the days are the sample and not the events. Percentiles of `draws` bootstrap means. Source: B.
    Efron & R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 8 (groups as units).
    """
    there = np.isfinite(values)
    _, place = np.unique(days[there], return_inverse=True)
    size = int(place.max()) + 1 if place.size else 0
    if size < 2:
        return math.nan, math.nan
    sums, counts = np.bincount(place, values[there]), np.bincount(place)
    random, means = np.random.default_rng(seed), np.empty(draws)
    for i in range(draws):
        picked = random.integers(0, size, size)
        means[i] = sums[picked].sum() / counts[picked].sum()
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def events_needed(effect: float, base: float = 0.5, power: float = 0.8, size: float = 0.05) -> int:
    """Return the events in each arm from which a difference of two shares is found with that power, two-sided.

    effect: the difference, a fraction; base: the share in the other arm. Formula: (z[1-size/2] + z[power])² *
    (p(1-p) + q(1-q)) / effect², q = p + effect. Source: J. L. Fleiss, "Statistical Methods for Rates and Proportions",
    2nd ed. 1981, ch. 3, without the correction for continuity; the 56.2% and 60.8% of Osler, FRBNY EPR 6(2), 2000:

    >>> events_needed(0.046, base=0.562)
    1798
    """
    z = NORMAL.inv_cdf(1 - size / 2) + NORMAL.inv_cdf(power)
    other = min(1.0, base + effect)
    return math.ceil(z * z * (base * (1 - base) + other * (1 - other)) / effect**2)


def effect_of_means(events: int, power: float = 0.8, size: float = 0.05) -> float:
    """Return the difference of two means, in standard deviations, that so many events in each arm find, two-sided.

    Formula: (z[1-size/2] + z[power]) * sqrt(2 / events). Source: as `events_needed`.

    >>> round(effect_of_means(1847), 3)
    0.092
    """
    return (NORMAL.inv_cdf(1 - size / 2) + NORMAL.inv_cdf(power)) * math.sqrt(2 / events)


def p_above(value: float, sets: Float) -> float:
    """Return the one-sided p-value of a statistic among those of random sets: (1 + #{T* >= T}) / (1 + N).

    sets: (N,) the statistic of each set, NaN where a set has none, which is left out; NaN without a set or a value.

    >>> p_above(3.0, np.array([1.0, 2.0, 3.0, 4.0]))
    0.6
    """
    there = sets[np.isfinite(sets)]
    if not there.size or not math.isfinite(value):
        return math.nan
    near = 1e-12 * max(1.0, abs(value))  # a sum in another order is no difference
    return float((1 + np.count_nonzero(there >= value - near)) / (1 + there.size))


def p_two_sided(value: float, sets: Float) -> float:
    """Return twice the smaller of both one-sided p-values, at most 1.

    >>> p_two_sided(4.5, np.array([1.0, 2.0, 3.0, 4.0]))
    0.4
    """
    return min(1.0, 2 * min(p_above(value, sets), p_above(-value, -sets)))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the chance of any false finding among them is kept; NaN stays and is not counted.

    Formula: max over j <= i of min(1, (m - j) p(j)), p sorted, j from 0. Source: S. Holm, Scand. J. Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [0.03, 0.06, 0.06, 0.02]
    """
    order, m = ranked(p)
    adjusted, worst = [math.nan] * len(p), 0.0
    for j, i in enumerate(order):
        worst = max(worst, min(1.0, (m - j) * p[i]))
        adjusted[i] = worst
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the share of false ones among the findings is kept; NaN stays and is not counted.

    Formula: min over j >= i of min(1, p(j) m / j), p sorted, j from 1. Source: Y. Benjamini & Y. Hochberg, J. Royal
    Statistical Society B 57 (1995).

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.005])
    [0.02, 0.04, 0.04, 0.02]
    """
    order, m = ranked(p)
    adjusted, least = [math.nan] * len(p), 1.0
    for j in range(m - 1, -1, -1):
        least = min(least, p[order[j]] * m / (j + 1))
        adjusted[order[j]] = least
    return adjusted


def ranked(p: Sequence[float]) -> tuple[list[int], int]:
    order = sorted((i for i, value in enumerate(p) if math.isfinite(value)), key=lambda i: p[i])
    return order, len(order)
