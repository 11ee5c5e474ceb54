"""Confidence intervals of a run's figures, by the stationary bootstrap of its daily returns.

The block length and the drawn days are those of the library `arch`, to the last digit and draw by draw (tests hold them
together). They are written here because importing that library takes longer than a thousand replicates do.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backtest.analysis.metrics import ROUNDING

__all__ = ["DAYS_A_YEAR", "FIGURES", "Bootstrap", "block_length", "bootstrap", "figures_of_days", "stationary_days"]

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]

DAYS_A_YEAR = 365.0
LOST_DIGITS = 8 * float(np.finfo(np.float64).eps)  # of each term of a sum of squares
FIGURES = ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar")


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """The figures of daily returns, and of so many replicates of them.

    estimates: figure -> its value on the returns themselves; replicates: figure -> (replicates,), NaN where one does not
    define it; block: mean length of the blocks, days. Fractions and yearly ratios, a year has 365 days.
    """

    estimates: Mapping[str, float]
    replicates: Mapping[str, Float]
    block: float

    def interval(self, figure: str, confidence: float = 0.95) -> tuple[float, float]:
        """Return the figure's interval by percentiles; NaN where more replicates do not define it than its tails hold.

        A run of few trades has replicates without one, and no ratio there: what is left of them would look too sure.
        """
        values = self.replicates[figure]
        known = values[~np.isnan(values)]
        tail = round((1.0 - confidence) / 2.0, 12)  # 0.95 is not quite 0.95
        if not known.size or values.size - known.size > 2 * tail * values.size or math.isnan(self.estimates[figure]):
            return math.nan, math.nan
        # Without interpolation: the growth of a short run, made yearly, may be infinite.
        low, high = np.quantile(known, (tail, 1.0 - tail), method="inverted_cdf")
        return float(low), float(high)

    def intervals(self, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return every figure's interval."""
        return {name: self.interval(name, confidence) for name in self.estimates}


def block_length(values: ArrayLike) -> float:
    """Return the mean block length with which the stationary bootstrap keeps the dependence of a series, in periods.

    values: (n,). (2 g^2 n / d)^(1/3), g = sum of lambda(k/m) |k| gamma_k over the lags up to m in both directions,
    d = 2 (sum of lambda(k/m) gamma_k)^2, lambda a flat-top window, m twice the first lag behind which max(5, log10 n)
    autocorrelations lie within 2 sqrt(log10(n) / n); at most 3 sqrt(n) or n/3. NaN below nine values and where they do
    not vary; below 1 for what hardly depends on its past. Sources: Politis & White, Econometric Reviews 23 (2004);
    Patton, Politis & White, Econometric Reviews 28 (2009).

    >>> block_length([1.0] * 100)
    nan
    """
    x = np.asarray(values, dtype=np.float64)
    n = x.size
    if n < 9 or not float(np.ptp(x)) > 0:
        return math.nan
    deviations = x - float(np.mean(x))
    consecutive = max(5, int(math.log10(n)))
    longest = min(math.ceil(math.sqrt(n)) + consecutive, n - 2)
    covariances, correlations = lagged(deviations, longest)
    m = min(2 * max(last_dependent(correlations, consecutive, n), 1), longest)
    k = np.arange(1, m + 1)
    weighted = 2.0 * np.where(2 * k <= m, 1.0, 2.0 * (1.0 - k / m)) * covariances[1 : m + 1]
    g, long_run = float(np.sum(weighted * k)), float(covariances[0] + np.sum(weighted))
    if long_run == 0.0:
        return math.nan
    most = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    return min(float((g * g / long_run**2) ** (1 / 3) * n ** (1 / 3)), float(most))


def lagged(deviations: Float, longest: int) -> tuple[Float, Float]:
    """Return the autocovariances at the lags 0 to `longest`, and how strong each is next to what it is a product of."""
    n = deviations.size
    products = np.array([float(np.sum(deviations[k:] * deviations[: n - k])) for k in range(longest + 1)])
    squares = np.concatenate(([0.0], np.cumsum(deviations * deviations)))
    k = np.arange(1, longest + 2)
    scale = np.sqrt((squares[n] - squares[k]) * squares[n - k])
    strength = np.divide(np.abs(products), scale, out=np.zeros_like(products), where=scale > 0)
    return products / n, strength


def last_dependent(correlations: Float, consecutive: int, n: int) -> int:
    """Return the lag before the first run of so many insignificant ones; the longest lag where there is no such run."""
    within = correlations < 2.0 * math.sqrt(math.log10(n) / n)
    for lag in range(consecutive, within.size):
        if within[lag - consecutive : lag].all():
            return lag - consecutive
    return int(within.size)


def stationary_days(n: int, block: float, generator: np.random.Generator) -> Int64:
    """Return n days drawn from n by the stationary bootstrap: blocks of geometric length that wrap around the end.

    A block begins at a random day, and ends before each next one with probability 1/block. Source: Politis & Romano,
    The Stationary Bootstrap, Journal of the American Statistical Association 89 (1994).

    >>> stationary_days(4, math.inf, np.random.default_rng(0)).tolist()   # one block, from a random day around the end
    [3, 0, 1, 2]
    """
    from backtest.analysis.significance.walk import walk_days

    days, chances = drawn(n, generator)
    walk_days(days, chances, 1.0 / block)
    return days


def drawn(n: int, generator: np.random.Generator) -> tuple[Int64, Float]:
    return generator.integers(n, size=n, dtype=np.int64), generator.random(n)


def bootstrap(
    daily_returns: ArrayLike, *, replicates: int = 1000, seed: int = 0, block: float | None = None
) -> Bootstrap:
    """Return the headline figures of daily returns and of their replicates: the same seed gives the same ones.

    daily_returns: (n,) fractions, one a UTC day; block: mean length of the blocks, days, `block_length` of the returns
    unless given, at least 1. NaN anywhere makes every figure NaN; so do fewer than two days.
    """
    from backtest.analysis.significance.walk import sums

    r = np.ascontiguousarray(daily_returns, dtype=np.float64)
    n = r.size
    chosen = block_length(r) if block is None else float(block)
    length = max(1.0, chosen) if chosen > 0 else 1.0
    if n < 2 or not np.isfinite(r).all():
        undefined = np.full(replicates, math.nan)
        return Bootstrap(dict.fromkeys(FIGURES, math.nan), dict.fromkeys(FIGURES, undefined), length)
    with np.errstate(divide="ignore"):
        logs = np.log1p(r)
    generator = np.random.default_rng(seed)
    centre = float(np.mean(r))
    rows = np.empty((replicates + 1, 5))
    rows[0] = sums(r, logs, centre, np.arange(n))
    for i in range(1, replicates + 1):
        rows[i] = sums(r, logs, centre, stationary_days(n, length, generator))
    found = figures_of_sums(rows, n, centre)
    return Bootstrap(
        {name: float(values[0]) for name, values in found.items()},
        {name: values[1:] for name, values in found.items()},
        length,
    )


def figures_of_days(daily_returns: ArrayLike) -> dict[str, float]:
    """Return the headline figures of daily returns, those of `FIGURES`; the bootstrap's estimates, without its replicates."""
    return dict(bootstrap(daily_returns, replicates=0, block=1.0).estimates)


def figures_of_sums(rows: Any, n: int, centre: float) -> dict[str, Float]:
    """Return the figures that follow from each row of sums, one array each."""
    total, squares, losses, growth, worst = rows.T
    mean = centre + total / n
    spread = squares - total * total / n
    spread[spread <= LOST_DIGITS * n * squares] = 0.0  # of days that are all alike nothing but rounding is left
    deviation = np.sqrt(spread / (n - 1))
    drawdown = worst - 1.0
    with np.errstate(over="ignore"):
        yearly = np.expm1(growth * (DAYS_A_YEAR / n))
        whole = np.expm1(growth)
    return {
        "total_return": whole,
        "cagr": yearly,
        "volatility": deviation * math.sqrt(DAYS_A_YEAR),
        "sharpe": over(mean, deviation) * math.sqrt(DAYS_A_YEAR),
        "sortino": over(mean, np.sqrt(losses / n)) * math.sqrt(DAYS_A_YEAR),
        "max_drawdown": drawdown,
        "calmar": over(yearly, -drawdown, least=0.0),
    }


def over(above: Float, below: Float, least: float = ROUNDING) -> Float:
    """Return a ratio, NaN where what is divided by is nothing but rounding."""
    return np.divide(above, below, out=np.full_like(above, math.nan), where=below > least)
