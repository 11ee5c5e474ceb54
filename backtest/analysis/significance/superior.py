"""Several strategies against one benchmark: whether the best of them is better than luck makes the best of so many."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backtest.analysis.significance.resample import block_length

__all__ = ["Superior", "superior_ability"]

Float = NDArray[np.float64]
PASSING = 0.05
LEAST_DAYS = 3


@dataclass(frozen=True)
class Superior:
    """What Hansen's test of superior predictive ability says of some strategies and a benchmark.

    p: probability that the best of equally good strategies leads as much or more (Hansen's consistent one), between
    p_lower and p_upper; best: index of the strategy with the surest lead, the largest in units of its error, which need not be
    the one that earned most, -1 where none differs from the benchmark; lead: its mean daily return above the benchmark's;
    block: days; NaN where none differs.
    """

    p: float
    p_lower: float
    p_upper: float
    best: int
    lead: float
    strategies: int
    days: int
    block: int
    replicates: int

    def sentence(self, names: tuple[str, ...], benchmark: str) -> str:
        """Return the verdict in words; `benchmark` as in "flat" or "buy-and-hold".

        >>> Superior(0.01, 0.01, 0.02, 1, 0.001, 2, 500, 3, 1000).sentence(("a", "b"), "flat")
        'b is better than flat: the best of 2 does so by luck with a probability of 1.0%.'
        """
        if self.days < LEAST_DAYS:
            days = "1 day is" if self.days == 1 else f"{self.days} days are"
            return f"{days} too few to tell whether any strategy is better than {benchmark}."
        if self.best < 0:
            return f"No strategy differs from {benchmark} on these {self.days} days."
        alone, name = self.strategies == 1, names[self.best]
        if self.lead <= 0:
            who = f"{name} has not" if alone else f"None of {self.strategies} strategies"
            # Who earns less on the average day may still end with more, unless the other one stays flat.
            daily = "" if benchmark == "flat" else " on the average day"
            return f"{who} earned more{daily} than {benchmark} in {self.days} days."
        chance = f"{self.p:.1%}" if self.p < 0.1 else f"{self.p:.0%}"
        chance = chance if self.p > 0 else f"less than {1 / self.replicates:.1%}"
        luck = f"{'it' if alone else f'the best of {self.strategies}'} does so by luck with a probability of {chance}"
        if self.p < PASSING:
            return f"{name} is better than {benchmark}: {luck}."
        if alone:
            return f"{name} is not distinguishable from {benchmark}: it leads, and {luck}."
        # The surest lead, in units of its error, need not be that of the strategy that earned most.
        luck = f"the best of {self.strategies} has one as sure by luck with a probability of {chance}"
        none = f"None of {self.strategies} strategies is distinguishable from {benchmark}"
        return f"{none}: {name} has the surest lead, and {luck}."


def superior_ability(
    returns: ArrayLike,
    benchmark: ArrayLike | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Superior:
    """Return how likely luck alone makes the best of k strategies lead the benchmark as it does.

    returns: (n, k) daily fractions, a column a strategy; benchmark: (n,) of the same days, None for flat (0 every day);
    block: mean length in days, the longest `block_length` of the leads unless given. Two things that `arch` leaves out are
    as Hansen has them: every lead is divided by its long-run deviation, as otherwise the wildest strategy would decide,
    and p is 1 where none leads. Sources: Hansen, A Test for Superior Predictive Ability, Journal of Business & Economic
    Statistics 23 (2005); Politis & Romano (1994).
    """
    import arch.bootstrap

    columns = np.asarray(returns, dtype=np.float64)
    columns = columns[:, None] if columns.ndim == 1 else columns
    n, k = columns.shape
    leads = columns if benchmark is None else columns - np.asarray(benchmark, dtype=np.float64)[:, None]
    differs = np.flatnonzero(np.ptp(leads, axis=0) > 0) if n else np.empty(0, dtype=np.int64)
    nan = float("nan")
    if not differs.size or n < LEAST_DAYS or not np.isfinite(leads).all():
        return Superior(nan, nan, nan, -1, nan, k, n, 0, replicates)
    leads = leads[:, differs]
    length = block or longest_block(leads)
    units = leads / long_run_deviation(leads, length)
    best = int(np.argmax(units.mean(axis=0)))
    about = int(differs[best]), float(leads[:, best].mean()), k, n, length, replicates
    if about[1] <= 0:
        return Superior(1.0, 1.0, 1.0, *about)
    test = arch.bootstrap.SPA(np.zeros(n), -units, block_size=length, reps=replicates, seed=seed)
    test.compute()
    low, middle, high = (float(test.pvalues[name]) for name in ("lower", "consistent", "upper"))
    return Superior(middle, low, high, *about)


def longest_block(leads: Float) -> int:
    """Return the longest of the columns' block lengths, in whole periods, at least 1."""
    return int(np.ceil(np.nanmax([1.0, *(block_length(column) for column in leads.T)])))


def long_run_deviation(values: Float, block: int) -> Float:
    """Return sqrt(gamma_0 + 2 sum_i k_i gamma_i) of each column, with the weights of the stationary bootstrap.

    k_i = (1 - i/n) (1 - 1/b)^i + (i/n) (1 - 1/b)^(n-i), b the mean length of a block: what n times the variance of a
    replicate's mean is. Source: Politis & Romano (1994), lemma 1.

    >>> long_run_deviation(np.array([[1.0], [-1.0], [1.0], [-1.0]]), 1).tolist()   # blocks of one day: the deviation
    [1.0]
    """
    n = values.shape[0]
    deviations = values - values.mean(axis=0)
    spectrum = np.abs(np.fft.rfft(deviations, 2 * n, axis=0)) ** 2
    covariances = np.fft.irfft(spectrum, 2 * n, axis=0)[:n] / n
    i = np.arange(1, n)
    keep = 1.0 - 1.0 / block
    weights = (1.0 - i / n) * keep**i + (i / n) * keep ** (n - i)
    variance = covariances[0] + 2.0 * weights @ covariances[1:]
    # Rounding of a spectrum may leave nothing of a column that all but repeats itself.
    result: Float = np.sqrt(np.where(variance > 0, variance, covariances[0]))
    return result
