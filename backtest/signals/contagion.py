"""Contagion: how much of another coin's fall, BTC's by default, arrives in this one; every number from bars before."""

from collections.abc import Callable

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import DAY, Float
from backtest.model.market import Market
from backtest.model.memo import memoised
from backtest.signals.dependence import (
    Difference,
    downside_difference,
    sample_delta_covar,
    sample_downside_beta,
    sample_lead_lag,
    sample_tail,
)
from backtest.signals.series import current
from backtest.signals.windows import real, span

__all__ = ["beta", "delta_covar", "downside_beta", "downside_test", "lead_lag", "tail_dependence"]

LEADER = "BTCUSDT"


def returns(market: Market, symbol: str) -> Float:
    """Return (n,) log returns from close to close; NaN in the first bar and beside a halt."""
    return np.diff(np.log(current(market, symbol)), prepend=np.nan)


@memoised
def beta(market: Market, symbol: str, versus: str = LEADER, half_life: float = 30.0, history: float = 90.0) -> Float:
    """Return (n,) the beta of a symbol to another at each bar, from the returns of the bars before it.

    Formula: cov(a, b) / var(b) with weights that halve every `half_life` days, up to and with bar t-1. NaN until the
    returns reach back over `history` days, three half-lives [D], and where the other one does not move. Bars in which
    either did not trade are left out. An unknown symbol is a MarketError.
    """
    a, b = returns(market, symbol), returns(market, versus)
    known = np.flatnonzero(np.isfinite(a + b))
    ready = np.zeros(len(market), np.bool_)
    if known.size:
        ready = market.time - span("history", history) >= market.time[known[0]]
    fade = 0.5 ** (np.diff(market.time, append=market.time[-1:]) / span("half_life", half_life))
    return np.where(ready, weighted_slope(a, b, fade), np.nan)


def weighted_slope(a: Float, b: Float, fade: Float) -> Float:
    """Return (n,) the weighted slope of a on b before each bar; `fade` is what a weight keeps until the next bar."""
    slope = np.full(a.size, np.nan)
    weight = mean_a = mean_b = both = spread = 0.0
    for t, (x, y, keep) in enumerate(zip(b.tolist(), a.tolist(), fade.tolist(), strict=True)):
        if spread > 0:
            slope[t] = both / spread
        if x == x and y == y:
            # West's update of weighted means and products, which stays exact where sums of squares would cancel.
            total = weight + 1.0
            dx, dy = x - mean_b, y - mean_a
            both += dx * dy * weight / total
            spread += dx * dx * weight / total
            mean_b, mean_a, weight = mean_b + dx / total, mean_a + dy / total, total
        weight, both, spread = weight * keep, both * keep, spread * keep
    return slope


def estimated(
    market: Market, symbol: str, versus: str, days: float, statistic: Callable[[Float, Float], float]
) -> Float:
    """Return (n,) a statistic of both returns, measured anew at the first bar of each UTC day and kept until the next.

    It uses the bars of [time - days, time), never the bar itself. NaN until the returns reach back over `days`, and
    where fewer than half of the window's bars have both.
    """
    a, b, length = returns(market, symbol), returns(market, versus), span("days", days)
    good = np.isfinite(a + b)
    values = np.full(len(market), np.nan)
    if not good.any():
        return values
    begun = market.time[int(np.argmax(good))]
    day = market.time // DAY
    fresh = np.flatnonzero(np.diff(day, prepend=day[0] - 1) > 0)
    first = np.searchsorted(market.time, market.time[fresh] - length, side="left")
    for bar, low in zip(fresh.tolist(), first.tolist(), strict=True):
        there = good[low:bar]
        if market.time[bar] - length >= begun and 2 * int(there.sum()) >= bar - low > 0:
            values[bar] = statistic(a[low:bar][there], b[low:bar][there])
    return values[fresh][np.searchsorted(fresh, np.arange(len(market)), side="right") - 1]


@memoised
def downside_beta(market: Market, symbol: str, versus: str = LEADER, days: float = 90.0) -> Float:
    """Return (n,) the beta in the bars in which the other one was below its mean, over the `days` before.

    Measured anew each UTC day, kept in between; NaN for the first `days`. Whether it differs from beta is `downside_test`.
    Source: Ang, Chen & Xing, Review of Financial Studies 19(4), 2006.
    """
    return estimated(market, symbol, versus, days, sample_downside_beta)


@memoised
def tail_dependence(market: Market, symbol: str, versus: str = LEADER, q: float = 0.05, days: float = 90.0) -> Float:
    """Return (n,) P(this one is in its worst q | the other one is in its worst q), over the `days` before.

    Measured anew each UTC day; NaN for the first `days` and where fewer than five bars are in the tail (q = 0.01 needs
    about 500 bars). q outside (0, 1) is a ConfigError.
    """
    fraction(q)
    return estimated(market, symbol, versus, days, lambda a, b: sample_tail(a, b, q))


@memoised
def delta_covar(market: Market, symbol: str, versus: str = LEADER, q: float = 0.05, days: float = 90.0) -> Float:
    """Return (n,) what distress of the other one adds to this one's q-quantile return of a bar, below 0 for a loss.

    By quantile regression over the `days` before, measured anew each UTC day; NaN for the first `days`.
    Source: Adrian & Brunnermeier, "CoVaR", American Economic Review 106(7), 2016.
    """
    fraction(q)
    return estimated(market, symbol, versus, days, lambda a, b: sample_delta_covar(a, b, q))


@memoised
def lead_lag(
    market: Market, symbol: str, versus: str = LEADER, most: int = 6, days: float = 90.0
) -> tuple[Float, Float]:
    """Return (n,) each the lag at which the correlation peaks, in bars, and that correlation, over the `days` before.

    A lag above 0 says that the other one moved first, by so many bars; 0 that both move within a bar. Measured anew
    each UTC day; NaN for the first `days`. Bars without trading are left out. A peak within 2/sqrt(n) of 0 says nothing.
    """
    lag = estimated(market, symbol, versus, days, lambda a, b: peak_lag(a, b, most))
    return lag, estimated(market, symbol, versus, days, lambda a, b: sample_lead_lag(a, b, most).peak)


def peak_lag(a: Float, b: Float, most: int) -> float:
    found = sample_lead_lag(a, b, most)
    return float(found.peak_lag) if found.peak == found.peak else float("nan")


@memoised
def downside_test(
    market: Market, symbol: str, versus: str = LEADER, samples: int = 1000, block: int = 24, seed: int = 0
) -> Difference:
    """Return beta, downside beta and a bootstrap of their difference over the whole market: a statement, not a signal.

    It looks at every bar, so a strategy must not use it; `downside_difference` says how it is made.
    """
    a, b = returns(market, symbol), returns(market, versus)
    both = np.isfinite(a + b)
    return downside_difference(a[both], b[both], samples, block, seed=seed)


def fraction(q: float) -> None:
    if not 0 < real(q) < 1:
        raise ConfigError(f"`q` must be a fraction between 0 and 1, got {q!r}.")
