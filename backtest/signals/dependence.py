"""How two series of returns hang together, measured on one sample: slopes, tails, quantiles and who moves first."""

import math
from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import Float, Int64

__all__ = [
    "Difference",
    "LeadLag",
    "downside_difference",
    "quantile_line",
    "sample_beta",
    "sample_delta_covar",
    "sample_downside_beta",
    "sample_lead_lag",
    "sample_tail",
    "student_tail",
]

LEAST = 5  # fewer values than this in a tail say nothing
CHUNK = 2_000_000  # values drawn at once by the bootstrap


def sample_beta(a: Float, b: Float) -> float:
    """Return the slope of a on b, cov(a, b) / var(b); NaN for fewer than three values or where b does not move."""
    if b.size < 3:
        return math.nan
    x, y = b - b.mean(), a - a.mean()
    spread = float(x @ x)
    return float(x @ y) / spread if spread > 0 else math.nan


def sample_downside_beta(a: Float, b: Float) -> float:
    """Return the slope of a on b among the values in which b is below its mean.

    Formula: cov(a, b | b < mean(b)) / var(b | b < mean(b)). NaN for fewer than five such values.
    Source: Ang, Chen & Xing, "Downside Risk", Review of Financial Studies 19(4), 2006.

    >>> sample_downside_beta(np.array([-6.0, -4.0, -2.0, -2.0, -2.0, 4.0]), np.array([-3.0, -2.0, -1.0, -1.0, -1.0, 8.0]))
    2.0
    """
    low = b < b.mean() if b.size else np.zeros(0, np.bool_)
    return sample_beta(a[low], b[low]) if int(low.sum()) >= LEAST else math.nan


@dataclass(frozen=True)
class Difference:
    """Downside beta against beta: both, their difference, its interval, and the two-sided p-value of no difference."""

    beta: float
    downside: float
    difference: float
    low: float
    high: float
    p: float


def downside_difference(
    a: Float, b: Float, samples: int = 1000, block: int = 24, confidence: float = 0.95, seed: int = 0
) -> Difference:
    """Return whether a falls with b more than it moves with b, with a bootstrap of the difference.

    Under a joint normal distribution the downside beta equals beta, so a high downside beta alone says nothing: the
    interval of the difference has to leave 0 out. Circular block bootstrap (Politis & Romano, 1992) over pairs in
    blocks of `block` values [D]; percentile interval; p = 2 * min(share <= 0, share >= 0), with (1 + hits) / (1 + N).
    NaN where a beta is. samples or block below 1, or confidence outside (0, 1), are a ConfigError.
    """
    for name, value in (("samples", samples), ("block", block)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ConfigError(f"`{name}` must be a whole number from 1, got {value!r}.")
    if not 0 < confidence < 1:
        raise ConfigError(f"`confidence` must be a fraction between 0 and 1, got {confidence!r}.")
    beta, downside = sample_beta(a, b), sample_downside_beta(a, b)
    if math.isnan(downside):
        return Difference(beta, downside, math.nan, math.nan, math.nan, math.nan)
    drawn = resampled(a, b, int(samples), min(int(block), a.size), seed)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (1 + tail) / (1 + drawn.size))
    return Difference(beta, downside, downside - beta, float(low), float(high), p)


def resampled(a: Float, b: Float, samples: int, block: int, seed: int) -> Float:
    """Return (samples,) downside beta - beta of samples drawn in blocks that wrap around."""
    n, chance = a.size, np.random.default_rng(seed)
    found: list[Float] = []
    for first in range(0, samples, max(1, CHUNK // n)):
        count = min(max(1, CHUNK // n), samples - first)
        starts = chance.integers(0, n, (count, math.ceil(n / block)))
        rows = ((starts[:, :, None] + np.arange(block)) % n).reshape(count, -1)[:, :n]
        x, y = b[rows], a[rows]
        low = x < x.mean(axis=1, keepdims=True)
        found.append(slopes(x, y, low.astype(np.float64)) - slopes(x, y, np.ones_like(x)))
    return np.concatenate(found)


def slopes(x: Float, y: Float, weight: Float) -> Float:
    """Return the slope of y on x in each row, of the values whose weight is 1; NaN where x does not move."""
    count = weight.sum(axis=1, keepdims=True)
    apart = weight * (x - (weight * x).sum(axis=1, keepdims=True) / np.maximum(count, 1.0))
    spread = (apart * x).sum(axis=1)
    slope: Float = (apart * y).sum(axis=1) / np.where((spread > 0) & (count[:, 0] >= LEAST), spread, np.nan)
    return slope


def sample_tail(a: Float, b: Float, q: float = 0.05) -> float:
    """Return the share of b's worst moments that are also a's worst: P(a <= Q_a(q) | b <= Q_b(q)).

    q itself where the two are independent, 1 where they are one. NaN where fewer than five moments are in b's tail.
    """
    if not 0 < q < 1:
        raise ConfigError(f"`q` must be a fraction between 0 and 1, got {q!r}.")
    if b.size == 0:
        return math.nan
    worst = b <= np.quantile(b, q)
    if int(worst.sum()) < LEAST:
        return math.nan
    return float((a[worst] <= np.quantile(a, q)).mean())


def student_tail(freedom: float, correlation: float) -> float:
    """Return the tail dependence of a Student t copula: the limit of P(a <= Q_a(q) | b <= Q_b(q)) as q goes to 0.

    Formula: 2 * T(-sqrt((nu + 1) * (1 - rho) / (1 + rho))), T the distribution function of Student's t with nu + 1
    degrees of freedom. A normal copula has none, whatever the correlation. freedom not above 0, or a correlation outside
    (-1, 1], is a ConfigError. Source: Embrechts, Lindskog & McNeil, 2003.

    >>> round(student_tail(4, 0.5), 2)
    0.25
    """
    if not freedom > 0 or not -1 < correlation <= 1:
        raise ConfigError(
            f"Student's tail needs freedom above 0 and a correlation above -1 up to 1, got {freedom!r} and {correlation!r}."
        )
    return 2 * student_below(-math.sqrt((freedom + 1) * (1 - correlation) / (1 + correlation)), freedom + 1)


def student_below(x: float, freedom: float) -> float:
    """Return P(T <= x), x <= 0: with t = sqrt(nu) * tan(angle) the density becomes cos(angle)^(nu - 1), which is smooth."""
    node, weight = np.polynomial.legendre.leggauss(64)
    low, high = math.atan(-x / math.sqrt(freedom)), math.pi / 2
    angle = (high - low) / 2 * node + (high + low) / 2
    area = (high - low) / 2 * float(weight @ np.cos(angle) ** (freedom - 1))
    return math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi) * area


def sample_delta_covar(a: Float, b: Float, q: float = 0.05) -> float:
    """Return what b in distress adds to a's bad outcome: slope * (Q_b(q) - Q_b(0.5)), a return, below 0 for a loss.

    The slope is that of the q-quantile regression of a on b (`quantile_line`). NaN where the tail holds fewer than five
    values or b does not move. Source: Adrian & Brunnermeier, "CoVaR", American Economic Review 106(7), 2016.
    """
    if not 0 < q < 1:
        raise ConfigError(f"`q` must be a fraction between 0 and 1, got {q!r}.")
    if min(q, 1 - q) * b.size < LEAST:
        return math.nan
    slope = quantile_line(a, b, q)[1]
    return slope * float(np.quantile(b, q) - np.median(b))


def quantile_line(a: Float, b: Float, q: float) -> tuple[float, float]:
    """Return intercept and slope of the line that a share q of the values of a lies below, given b; NaN if b stands still.

    Formula: min over both of sum(rho_q(a - intercept - slope * b)), rho_q(u) = u * (q - [u < 0]). For a slope the best
    intercept is the q-quantile of what is left, and the loss is then convex in the slope alone: a search between
    bounds narrows it by the golden section until nothing is left to gain. Source: Koenker & Bassett, 1978.
    """
    if b.size < 2 or float(np.ptp(b)) == 0.0:
        return math.nan, math.nan
    x = b - np.median(b)
    scale = (float(np.ptp(a)) or 1.0) / float(np.ptp(x))
    middle, reach = sample_beta(a, b) if b.size > 2 else 0.0, scale
    while (
        min(loss(middle - reach, a, x, q), loss(middle + reach, a, x, q)) <= loss(middle, a, x, q)
        and reach < 1e9 * scale
    ):
        reach *= 2
    slope = golden(middle - reach, middle + reach, a, x, q)
    return float(intercept(a - slope * b, q)), slope


def intercept(left: Float, q: float) -> float:
    k = min(left.size - 1, math.ceil(q * left.size) - 1 if q * left.size > 1 else 0)
    return float(np.partition(left, k)[k])


def loss(slope: float, a: Float, x: Float, q: float) -> float:
    left = a - slope * x
    left = left - intercept(left, q)
    return float(np.sum(left * (q - (left < 0))))


def golden(low: float, high: float, a: Float, x: Float, q: float) -> float:
    ratio = (math.sqrt(5) - 1) / 2
    c, d = high - ratio * (high - low), low + ratio * (high - low)
    at_c, at_d = loss(c, a, x, q), loss(d, a, x, q)
    for _ in range(80):
        if at_c <= at_d:
            high, d, at_d = d, c, at_c
            c = high - ratio * (high - low)
            at_c = loss(c, a, x, q)
        else:
            low, c, at_c = c, d, at_d
            d = low + ratio * (high - low)
            at_d = loss(d, a, x, q)
        if high - low <= 1e-12 * max(1.0, abs(low)):
            break
    return (low + high) / 2


@dataclass(frozen=True, eq=False)
class LeadLag:
    """Correlation of a with b some steps earlier: lags (above 0: b moves first), correlation at each, and the peak.

    error: 1/sqrt(n), what a correlation of two unrelated series comes out at; a peak within two of it says nothing.
    """

    lags: Int64
    correlation: Float
    peak_lag: int
    peak: float
    error: float


def sample_lead_lag(a: Float, b: Float, most: int = 6) -> LeadLag:
    """Return the correlation of a_t with b_{t-k} for k from -most to most, and where it is largest in size.

    Of equal peaks the lag nearest to 0 counts. Correlations are NaN, and the peak (0, NaN), where a series does not
    move or is shorter than `most` + 3. most below 0 is a ConfigError.
    """
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 0:
        raise ConfigError(f"`most` must be a whole number from 0, got {most!r}.")
    lags = np.arange(-int(most), int(most) + 1)
    found = np.array([lagged(a, b, int(k)) for k in lags])
    if np.isnan(found).all():
        return LeadLag(lags, found, 0, math.nan, math.nan)
    order = np.argsort(np.abs(lags), kind="stable")
    peak = order[int(np.nanargmax(np.abs(found[order])))]
    return LeadLag(lags, found, int(lags[peak]), float(found[peak]), 1 / math.sqrt(a.size))


def lagged(a: Float, b: Float, k: int) -> float:
    late, early = (a[k:], b[: b.size - k]) if k >= 0 else (a[:k], b[-k:])
    if late.size < 3:
        return math.nan
    x, y = early - early.mean(), late - late.mean()
    size = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / size if size > 0 else math.nan
