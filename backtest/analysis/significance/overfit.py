"""The probability that choosing the best of a sweep is choosing noise: combinatorially symmetric cross-validation."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backtest.analysis.metrics import ROUNDING
from backtest.analysis.significance.normal import quantile
from backtest.analysis.significance.resample import block_length, stationary_days
from backtest.errors import ConfigError, did_you_mean

__all__ = ["MEASURES", "Overfit", "overfitting", "pbo", "splits"]

Float = NDArray[np.float64]
CELLS = 2_000_000  # split-by-configuration figures that are held at a time
SAMPLED = 400  # splits that stand for all of them in a matrix of noise: they add 2% to the spread
NOISES = 100
HALF_THE_DIGITS = 1e-7  # next to the mean: what a sum of squares still knows of a spread


def sharpes(sums: Float, squares: Float, n: int) -> Float:
    """Return mean / std (ddof=1) of each; 0 where a configuration did not vary, as of one that did not trade."""
    mean = sums / n
    deviation = np.sqrt(np.maximum(squares - sums * mean, 0.0) / (n - 1)) if n > 1 else np.zeros_like(mean)
    least = np.maximum(ROUNDING, HALF_THE_DIGITS * np.abs(mean))
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > least)


def means(sums: Float, squares: Float, n: int) -> Float:
    """Return the mean of each."""
    return sums / n


MEASURES: dict[str, Callable[[Float, Float, int], Float]] = {"sharpe": sharpes, "mean": means}


@dataclass(frozen=True)
class Overfit:
    """The probability of overfitting of a sweep, with an interval of 95%.

    pbo: share of the splits in which the best half-time configuration is in the lower half of the other half; noise_low,
    noise_high: where 95% of the sweeps of this shape lie that have no edge at all; splits: that were made.
    """

    pbo: float
    low: float
    high: float
    noise_low: float
    noise_high: float
    splits: int
    configurations: int
    periods: int

    def sentence(self) -> str:
        """Return the probability in words.

        >>> Overfit(0.0, 0.0, 0.27, 0.2, 0.8, 12870, 200, 1000).sentence()
        'The best of 200 configurations falls behind the middle one in 0% of other halves (0% to 27%): choosing it holds up.'
        """
        if math.isnan(self.pbo):
            counts = [
                f"{n:,} {name}{'' if n == 1 else 's'}"
                for n, name in ((self.configurations, "configuration"), (self.periods, "period"))
            ]
            return f"{' over '.join(counts)} are too few to tell overfitting."
        verdict = "choosing it holds up" if self.high < 0.5 else "choosing it is no better than chance"
        return (
            f"The best of {self.configurations:,} configurations falls behind the middle one in {self.pbo:.0%} of "
            f"other halves ({self.low:.0%} to {self.high:.0%}): {verdict}."
        )


def splits(blocks: int) -> int:
    """Return in how many ways an even number of blocks is cut into two halves: C(S, S/2).

    Source: Bailey, Borwein, Lopez de Prado & Zhu, The Probability of Backtest Overfitting, Journal of Computational
    Finance 20(4) (2017), eq. 2.3.

    >>> splits(4), splits(16)
    (6, 12870)
    """
    if blocks < 2 or blocks % 2:
        raise ConfigError(
            f"`blocks` must be even and at least 2, not {blocks}: half of them choose, half of them judge."
        )
    return math.comb(blocks, blocks // 2)


def pbo(returns: ArrayLike, blocks: int = 16, measure: str = "sharpe") -> float:
    """Return the probability of backtest overfitting of a sweep, from 0 to 1; noise has 0.5 on average.

    returns: (n, k) per period, a column a configuration, cut into `blocks` equal parts (the oldest n mod S rows are left
    out). For each half of the parts the best configuration there is ranked among all in the other half; the share of the
    halves where its relative rank, rank / (k + 1), is at most 1/2, equal ones sharing their ranks. One matrix of noise
    has a standard deviation of about 0.14: see `overfitting` for an interval. NaN below two configurations, below one row
    a part (two for the Sharpe ratio), and for values that are not finite. Source: Bailey et al. (2017), section 2.2.

    >>> pbo([[1, 0], [1, 0], [1, 0], [1, 0]], blocks=2, measure="mean")   # the first is best in both halves
    0.0
    """
    halves, score = halves_of(blocks), scorer(measure)
    matrix = np.asarray(returns, dtype=np.float64)
    n, k = matrix.shape
    rows = n // blocks
    if k < 2 or rows < (2 if measure == "sharpe" else 1) or not np.isfinite(matrix).all():
        return math.nan
    return behind(*part_sums(matrix[n - rows * blocks :], blocks), halves, score, rows * blocks // 2)


def scorer(measure: str) -> Callable[[Float, Float, int], Float]:
    if measure not in MEASURES:
        raise ConfigError(f"No measure named {measure!r}.{did_you_mean(measure, MEASURES)}")
    return MEASURES[measure]


def halves_of(blocks: int) -> Float:
    """Return (splits, blocks): 1 where a part chooses, 0 where it judges."""
    chosen = np.array(list(combinations(range(blocks), blocks // 2)), dtype=np.int64).reshape(splits(blocks), -1)
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    return halves


def part_sums(matrix: Float, blocks: int) -> tuple[Float, Float]:
    """Return (blocks, k): the sums of each part, and of its squares."""
    parts = matrix.reshape(blocks, -1, matrix.shape[1])
    return parts.sum(axis=1), (parts * parts).sum(axis=1)


def behind(
    sums: Float, squares: Float, halves: Float, score: Callable[[Float, Float, int], Float], periods: int
) -> float:
    """Return the share of the halves whose best configuration is in the lower half of the other half."""
    at_once = max(1, CELLS // sums.shape[1])
    found = [
        lower_half(score(part @ sums, part @ squares, periods), score((1 - part) @ sums, (1 - part) @ squares, periods))
        for part in (halves[i : i + at_once] for i in range(0, len(halves), at_once))
    ]
    return float(np.mean(np.concatenate(found)))


def lower_half(chosen_by: Float, judged_by: Float) -> NDArray[np.bool_]:
    """Return, by split, whether the best of one half ranks in the lower half of the other, the middle included."""
    best = np.argmax(chosen_by, axis=1)
    its = np.take_along_axis(judged_by, best[:, None], axis=1)
    less, same = (judged_by < its).sum(axis=1), (judged_by == its).sum(axis=1)
    rank = less + (same + 1) / 2
    lower: NDArray[np.bool_] = rank / (judged_by.shape[1] + 1) <= 0.5
    return lower


def overfitting(
    returns: ArrayLike, blocks: int = 16, measure: str = "sharpe", *, seed: int = 0, noises: int = NOISES
) -> Overfit:
    """Return the probability of overfitting of a sweep with its interval, and what noise of the same shape shows.

    The interval is pbo plus and minus 1.96 standard deviations of that probability over sweeps without an edge, within 0
    and 1. They are the sweep's own rows, every configuration less its mean, drawn anew by the stationary bootstrap, so
    that configurations that resemble each other still do. [D] An edge makes the spread smaller: the interval is wide
    rather than narrow. Each of the `noises` is judged by at most 400 of its splits.
    """
    value, matrix = pbo(returns, blocks, measure), np.asarray(returns, dtype=np.float64)
    n, k = matrix.shape
    if math.isnan(value):
        nan = math.nan
        return Overfit(nan, nan, nan, nan, nan, splits(blocks), k, n)
    generator, score = np.random.default_rng(seed), scorer(measure)
    halves = halves_of(blocks)
    if len(halves) > SAMPLED:
        halves = halves[generator.choice(len(halves), SAMPLED, replace=False)]
    rows = n // blocks * blocks
    edgeless = matrix[n - rows :] - matrix[n - rows :].mean(axis=0)
    block = block_length(edgeless.mean(axis=1))
    drawn = (stationary_days(rows, max(1.0, block) if block > 0 else 1.0, generator) for _ in range(noises))
    noise = [behind(*part_sums(edgeless[days], blocks), halves, score, rows // 2) for days in drawn]
    width = quantile(0.975) * float(np.std(noise, ddof=1))
    low, high = np.quantile(noise, (0.025, 0.975))
    return Overfit(
        value, max(0.0, value - width), min(1.0, value + width), float(low), float(high), splits(blocks), k, n
    )
