"""The verdict on a run in plain words: better than luck, not distinguishable from luck, or not enough trades."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from backtest.analysis.significance.sharpe import (
    expected_maximum,
    min_track_record,
    moments,
    probabilistic_sharpe,
    trials_variance,
)
from backtest.errors import ConfigError
from backtest.model.trials import Trials

__all__ = ["BETTER", "CONFIDENCE", "FEW", "LUCK", "MIN_DAYS", "MIN_TRADES", "Luck", "Verdict", "judge"]

Verdict = Literal["better than luck", "not distinguishable from luck", "not enough trades"]
BETTER: Verdict = "better than luck"
LUCK: Verdict = "not distinguishable from luck"
FEW: Verdict = "not enough trades"

# [D] The usual level; what a mean, a skewness and a kurtosis are commonly held to take at least.
CONFIDENCE = 0.95
MIN_TRADES = 30
MIN_DAYS = 30
YEARLY = math.sqrt(365.0)
A_CENTURY = 36_500


@dataclass(frozen=True)
class Luck:
    """How much of a run luck explains.

    days, trades: that were judged, trades closed ones; trials: runs and sweep points of the strategy on this market, this one
    included; sharpe, sharpe_benchmark: yearly, of the daily returns and of the best of that many trials without an edge;
    psr: probability that the true Sharpe ratio is above 0, dsr: above the benchmark; min_track_record: days it takes to
    tell with 95% confidence, NaN where none would do; unearned: share of the replicates that earn nothing; block: mean length
    of their blocks, days; estimates, intervals: headline figure of the daily returns -> its value, its 95% interval. NaN
    where a figure is undefined.
    """

    verdict: Verdict
    sentence: str
    days: int
    trades: int
    trials: int
    sharpe: float
    sharpe_benchmark: float
    psr: float
    dsr: float
    min_track_record: float
    skew: float
    kurtosis: float
    unearned: float
    block: float
    replicates: int
    seed: int
    estimates: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the judgement as plain data for JSON: NaN and infinite as None."""
        plain = {f.name: finite(getattr(self, f.name)) for f in fields(self)}
        plain["estimates"] = {name: finite(value) for name, value in self.estimates.items()}
        plain["intervals"] = {name: [finite(low), finite(high)] for name, (low, high) in self.intervals.items()}
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Luck":
        """Return the judgement that `to_dict` wrote; None is NaN again. A missing field is a KeyError."""
        values: dict[str, Any] = {f.name: known(data[f.name]) for f in fields(cls)}
        values["estimates"] = {name: known(value) for name, value in data["estimates"].items()}
        values["intervals"] = {name: (known(low), known(high)) for name, (low, high) in data["intervals"].items()}
        return cls(**values)


def finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def known(value: Any) -> Any:
    return math.nan if value is None else value


def judge(
    daily_returns: ArrayLike,
    *,
    trades: int,
    trials: Trials | None = None,
    seed: int = 0,
    replicates: int = 1000,
) -> Luck:
    """Return whether daily returns are better than luck, given how many trades made them and how often one has tried.

    daily_returns: (n,) fractions, one a UTC day; trades: closed ones; trials: every trial of the strategy on the market,
    this one included, None for the first. Better than luck: the deflated Sharpe ratio is at least 95%, and at most 5% of
    the replicates, which keep what a day has of the days before it, earn nothing. [D] Not enough trades: fewer than 30
    closed ones, or fewer than 30 days. A ruined account is never better than luck. A single trial is held against 0.
    A return that is not finite is a ConfigError.
    """
    from backtest.analysis.significance.resample import bootstrap

    r = np.asarray(daily_returns, dtype=np.float64)
    if not np.isfinite(r).all():
        raise ConfigError(
            f"Daily returns must be numbers; day {int(np.argmin(np.isfinite(r))) + 1} of {r.size} has none."
        )
    tried, found = max(1, trials.count if trials else 1), moments(r)
    expected = expected_maximum(tried, variance_of(trials, r.size))
    shape = found.skew, found.kurtosis
    drawn = bootstrap(r, replicates=replicates, seed=seed)
    verdict, sentence = without_weighing(r, trades)
    luck = Luck(
        verdict,
        sentence,
        days=int(r.size),
        trades=int(trades),
        trials=tried,
        sharpe=found.sharpe * YEARLY,
        sharpe_benchmark=expected * YEARLY,
        psr=probabilistic_sharpe(found.sharpe, 0.0, found.n, *shape),
        dsr=probabilistic_sharpe(found.sharpe, expected, found.n, *shape),
        min_track_record=min_track_record(found.sharpe, expected, *shape, confidence=CONFIDENCE),
        skew=found.skew,
        kurtosis=found.kurtosis,
        unearned=unearned(drawn.replicates["sharpe"], drawn.replicates["total_return"]),
        block=drawn.block,
        replicates=replicates,
        seed=seed,
        estimates=drawn.estimates,
        intervals=drawn.intervals(),
    )
    if sentence:
        return luck
    verdict, sentence = weighed(luck)
    return replace(luck, verdict=verdict, sentence=sentence)


def variance_of(trials: Trials | None, days: int) -> float:
    """Return the variance of the trials' ratios; where fewer than two have one, that of a ratio of 0 in so many days: 1/n."""
    found = trials_variance(trials.sharpes) if trials else math.nan
    return found if math.isfinite(found) else 1.0 / max(1, days)


def unearned(sharpes: Any, returns: Any) -> float:
    """Return the share of replicates that earn nothing: by their Sharpe ratio, by their return where all days are alike."""
    earned = np.where(np.isnan(sharpes), returns, sharpes)
    defined = earned[~np.isnan(earned)]
    return float(np.mean(defined <= 0.0)) if defined.size else math.nan


def without_weighing(r: Any, trades: int) -> tuple[Verdict, str]:
    """Return the verdict and its sentence where there is nothing to weigh; else an empty sentence."""
    ruined = np.flatnonzero(r <= -1.0)
    if ruined.size:
        return said(LUCK, f"the account was ruined on day {int(ruined[0]) + 1} of {r.size}.")
    if not trades and not np.any(r):
        return said(FEW, "it never traded.")
    if trades < MIN_TRADES:
        return said(FEW, f"{counted(trades, 'closed trade')}; it takes at least {MIN_TRADES} to judge.")
    if r.size < MIN_DAYS:
        return said(FEW, f"they are from {counted(r.size, 'day')}; it takes at least {MIN_DAYS} to judge.")
    if math.isnan(moments(r).sharpe):
        return said(LUCK, f"every one of {counted(r.size, 'day')} earned the same.")
    return LUCK, ""


def said(verdict: Verdict, because: str) -> tuple[Verdict, str]:
    return verdict, f"{verdict.capitalize()}: {because}"


def weighed(luck: Luck) -> tuple[Verdict, str]:
    """Return the verdict, and the sentence that gives the figures behind it."""
    shown = f"a Sharpe of {luck.sharpe:.2f} in {counted(luck.days, 'day')}"
    if not luck.sharpe > 0:
        return said(LUCK, f"it earned nothing, {shown}.")
    if math.isnan(luck.psr):
        return said(LUCK, f"{shown}, of returns that take two values only.")
    if luck.dsr >= CONFIDENCE and luck.unearned <= 1.0 - CONFIDENCE:
        doubtful = f"luck does that with a probability of {share(max(1.0 - luck.dsr, luck.unearned))}"
        return said(BETTER, f"{shown}; {noise(luck) + ', and ' if luck.trials > 1 else ''}{doubtful}.")
    return said(LUCK, f"{shown}; {noise(luck)}{doubt(luck)}.")


def noise(luck: Luck) -> str:
    """Return what luck alone would have shown."""
    if luck.trials == 1:
        return f"a strategy without an edge earns as much with a probability of {share(1.0 - luck.psr)}"
    return f"the best of {luck.trials:,} trials of noise would have shown {luck.sharpe_benchmark:.2f}"


def doubt(luck: Luck) -> str:
    """Return what is missing where the figure alone looks good."""
    if luck.dsr >= CONFIDENCE:
        return f", but {share(luck.unearned)} of its replicates in blocks of {luck.block:.0f} days earn nothing"
    if luck.min_track_record > A_CENTURY:
        return "; it takes more than a hundred years to tell"
    if luck.min_track_record > luck.days:
        return f"; it takes {counted(math.ceil(luck.min_track_record), 'day')} to tell"
    return ""


def share(value: float) -> str:
    """Return a probability in words.

    >>> share(0.324), share(0.0123), share(0.0002)
    ('32%', '1.2%', 'less than 0.1%')
    """
    if value < 0.001:
        return "less than 0.1%"
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "day"), counted(1200, "day")
    ('1 day', '1,200 days')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
