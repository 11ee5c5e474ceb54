"""What choosing the best of many points is worth: overfitting, the deflated Sharpe ratio, in sample beside out of sample."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backtest.analysis import metrics
from backtest.analysis.summary import as_plain
from backtest.errors import ConfigError, LevelbreakError
from backtest.model import Market, Result, RunConfig
from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.result import EXIT_REASONS

if TYPE_CHECKING:
    from backtest.analysis.significance import Luck, Overfit, Trials
    from backtest.sweep.point import Scorer

__all__ = [
    "MOST",
    "Overfitting",
    "PointReturns",
    "chosen_points",
    "judge_choice",
    "longest_holding",
    "point_returns",
    "yearly_sharpe",
]

MOST = 2_000
"""Points whose daily returns are looked at, [D]: two thousand over ten years take 30 MB."""
BLOCKS = 16
"""Parts of the cross-validation that the source recommends; fewer where there are not two days a part."""
LEARNT = 0.75
"""Share of the days that choose where a sweep has no days of its own to judge, [D]."""
DAYS_A_YEAR = 365.0
OPEN = EXIT_REASONS.index("open")

Each = Callable[[int, Result], None]


@dataclass(frozen=True, eq=False)
class PointReturns:
    """The daily returns of points of a sweep, run in full.

    points: (k,) those that ran; days: (n,) ns UTC, the start of each; returns: (n, k) float32, fractions; trades: (k,)
    closed ones; longest: (k,) bars of the longest holding time; failed: point -> its sentence; said: how many were run of
    how many, and why not all.
    """

    points: tuple[int, ...]
    days: Int64
    returns: NDArray[np.float32]
    trades: Int64
    longest: Int64
    failed: Mapping[int, str] = field(default_factory=dict)
    said: str = ""

    def column(self, point: int) -> Float:
        """Return (n,) the daily returns of a point."""
        return self.returns[:, self.points.index(point)].astype(np.float64)

    def sharpes(self) -> Float:
        """Return (k,) the Sharpe ratio per day of each, NaN where it has none."""
        return sharpes_of(self.returns)


def sharpes_of(returns: NDArray[Any], days: BoolArray | slice = slice(None)) -> Float:
    """Return (k,) mean / deviation of columns of daily returns on some of the days; NaN where one does not vary."""
    some = np.asarray(returns[days], dtype=np.float64)
    if some.shape[0] < 2:
        return np.full(some.shape[1], np.nan)
    mean, spread = some.mean(axis=0), some.std(axis=0, ddof=1)
    least = np.maximum(metrics.ROUNDING, 1e-7 * np.abs(mean))  # what float32 knows of a spread
    ratios: Float = np.full(mean.size, np.nan)
    np.divide(mean, spread, out=ratios, where=spread > least)
    return ratios


def yearly_sharpe(earned: Float) -> float:
    """Return the Sharpe ratio of daily returns, yearly; NaN where there is none.

    >>> round(yearly_sharpe(np.array([0.01, 0.03])), 6)   # mean 0.02, deviation 0.0141421, a year of 365 days
    27.018512
    """
    return metrics.sharpe(earned, DAYS_A_YEAR)


def chosen_points(points: Sequence[int], most: int = MOST, seed: int = 0) -> tuple[tuple[int, ...], str]:
    """Return the points whose daily returns are looked at, in order, and a sentence that says how many and why.

    points: all there are, a range is not written out; up to `most` of them all are, else so many drawn with the seed.

    >>> chosen_points(range(3), most=5)
    ((0, 1, 2), 'All 3 points were run in full for their daily returns.')
    """
    count = len(points)
    if count <= most:
        return tuple(points), f"All {count:,} points were run in full for their daily returns."
    drawn = tuple(sorted(random.Random(seed).sample(points, most)))
    return drawn, (
        f"{most:,} of {count:,} points, drawn with seed {seed}, were run in full for their daily returns: "
        "overfitting is measured on those, all of them count as trials."
    )


def point_returns(
    market: Market,
    config_of: Callable[[int], RunConfig],
    points: Sequence[int],
    *,
    said: str = "",
    each: Each | None = None,
    progress: Callable[[int], None] | None = None,
    time_limit: float | None = None,
    failed: Mapping[int, str] | None = None,
) -> PointReturns:
    """Run points in full on one market and return their daily returns; a point that fails is told in `failed`.

    config_of: the configuration of a point; each: called with a point and its result, which is not kept; progress: with the
    number of points done; time_limit: seconds a point; failed: points that failed before, with their sentences, which are not
    run again. Where every point fails, the first sentence is raised.
    """
    rows: list[tuple[int, Float, int, int]] = []
    days, broken = np.empty(0, np.int64), dict[int, str]()
    for done, (point, result) in enumerate(runs(market, config_of, points, time_limit, failed or {}), 1):
        if isinstance(result, str):
            broken[point] = result
        else:
            curve = result.time, result.interval, result.equity_values, result.venue.cash
            days, earned = metrics.daily_returns(*curve)
            closed = int(np.count_nonzero(np.asarray(result.trades_table.reason) != OPEN))
            rows.append((point, earned.astype(np.float32), closed, longest_holding(result, len(market))))
            if each is not None:
                each(point, result)
        if progress is not None:
            progress(done)
    if not rows:
        raise ConfigError(next(iter(broken.values()), "There is no point to run."))
    if broken:
        said += f" {len(broken):,} of them failed, the first: {next(iter(broken.values()))}"
    ran, returns, trades, longest = zip(*rows, strict=True)
    counts = np.array(trades, np.int64), np.array(longest, np.int64)
    return PointReturns(ran, days, np.column_stack(returns), *counts, broken, said.strip())


def runs(
    market: Market,
    config_of: Callable[[int], RunConfig],
    points: Sequence[int],
    time_limit: float | None,
    failed: Mapping[int, str],
) -> Iterator[tuple[int, Result | str]]:
    """Give each point with its result, or with the sentence that says why it has none."""
    from backtest.sweep.scoring import scorer_on

    with scorer_on(market, time_limit) as (scorer, note):
        for point in points:
            if point in failed:
                yield point, failed[point]
                continue
            config = config_of(point)
            note(config)
            yield point, run_or_sentence(scorer, config)


def run_or_sentence(scorer: "Scorer", config: RunConfig) -> Result | str:
    """Run a configuration in full, or return why it can't be run."""
    from backtest.sweep.limit import LateError

    try:
        with scorer.clock.running():
            return full_run(scorer, config)
    except LevelbreakError as mistake:
        return str(mistake)
    except LateError:
        return (
            f"It took longer than {scorer.clock.seconds:g} s; give it more with --time-limit, or leave the point out."
        )


def full_run(scorer: "Scorer", config: RunConfig) -> Result:
    """Return a configuration's result on the scorer's market, of what its points share."""
    from backtest.engines import get_engine, get_native_engine
    from backtest.plugins import BacktraderStrategy
    from backtest.runner import engine_of

    strategy = scorer.maker(config.strategy).make(dict(config.parameters))
    venue = scorer.place(config).venue
    if isinstance(strategy, BacktraderStrategy):
        return get_native_engine()(scorer.market, strategy.cls, strategy.parameters, venue, name=strategy.name)
    return get_engine(engine_of(strategy, config))(scorer.market, scorer.plan(strategy, config.strategy), venue)


def longest_holding(result: Result, until: int, first: int = 0) -> int:
    """Return the longest holding time from bar `first` on, in bars, as it is known at the open of bar `until`.

    A trade that is still open there counts with the bars that it has been held so far, one that was entered before `first`
    with those that it was held from there on.
    """
    entry, left = result.trades_table.entry_bar, result.trades_table.exit_bar
    ends = np.where((left < 0) | (left > until), until, left)
    return int(np.max(ends - np.maximum(entry, first), initial=0))


@dataclass(frozen=True)
class Overfitting:
    """The figures that an optimisation ends with.

    overfit: probability of overfitting with its interval; luck: the chosen one deflated by every trial; chosen: the point
    that was judged, None for a procedure; in_sample, out_of_sample: yearly Sharpe ratios of the daily returns, in so many
    days (of several parts, their means); how: what is in and what out of sample; said: how many points the figures are made of.
    """

    overfit: "Overfit"
    luck: "Luck"
    chosen: int | None
    in_sample: float
    out_of_sample: float
    in_days: int
    out_days: int
    how: str
    said: str = ""

    def sentences(self) -> tuple[str, ...]:
        """Return the figures in words."""
        return tuple(s for s in (self.overfit.sentence(), self.deflated(), self.sides(), self.said) if s)

    def deflated(self) -> str:
        luck = self.luck
        if math.isnan(luck.dsr):
            return f"No deflated Sharpe ratio: {luck.sentence[0].lower()}{luck.sentence[1:]}"
        count = f"{luck.trials:,} trial{'' if luck.trials == 1 else 's'}"
        return (
            f"Deflated Sharpe ratio {luck.dsr:.0%}: {luck.sharpe:.2f} a year, where the best of {count} without an edge "
            f"would show {luck.sharpe_benchmark:.2f}."
        )

    def sides(self) -> str:
        told = [
            f"{name} {'none' if math.isnan(value) else format(value, '.2f')} ({days:,} day{'' if days == 1 else 's'})"
            for name, value, days in (
                ("in sample", self.in_sample, self.in_days),
                ("out of sample", self.out_of_sample, self.out_days),
            )
        ]
        return f"Sharpe ratio {told[0]}, {told[1]}: {self.how}."

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data for JSON: NaN as None."""
        plain = {name: getattr(self, name) for name in ("chosen", "in_sample", "out_of_sample", "in_days", "out_days")}
        told = {"how": self.how, "said": self.said, "sentences": list(self.sentences())}
        found: dict[str, Any] = as_plain({"pbo": asdict(self.overfit), **plain, **told})
        return {**found, "luck": self.luck.to_dict()}


def judge_choice(
    found: PointReturns,
    trials: "Trials | None" = None,
    *,
    chosen: int | None = None,
    luck: "Luck | None" = None,
    in_sample: Sequence[Float] | None = None,
    out_of_sample: Float | None = None,
    how: str = "",
    seed: int = 0,
) -> Overfitting:
    """Return the overfitting figures of a choice among points.

    trials: every trial of the strategy on the data, these among them; chosen: the point that was chosen, else the one with the
    best Sharpe ratio; luck: of a procedure, judged already; in_sample, out_of_sample: the daily returns that chose, and those
    that judge. Without them the best point of the first three quarters of the days is looked at in the last quarter.
    """
    from backtest.analysis.significance import judge, overfitting

    if chosen is None and luck is None:
        chosen = found.points[best_of(found.sharpes())]
    if luck is None:
        assert chosen is not None
        column = found.points.index(chosen)
        luck = judge(found.column(chosen), trades=int(found.trades[column]), trials=trials, seed=seed)
    if in_sample is None or out_of_sample is None:
        in_sample, out_of_sample, how = quarters(found)
    n = found.days.size
    return Overfitting(
        overfit=overfitting(found.returns, blocks_for(n), seed=seed),
        luck=luck,
        chosen=chosen,
        in_sample=mean_sharpe(in_sample),
        out_of_sample=yearly_sharpe(out_of_sample),
        in_days=round(sum(part.size for part in in_sample) / max(1, len(in_sample))),
        out_days=out_of_sample.size,
        how=how,
        said=found.said,
    )


def best_of(values: Float) -> int:
    """Return the position of the largest, the first of equals; a NaN is never larger."""
    return int(np.argmax(np.where(np.isnan(values), -np.inf, values)))


def mean_sharpe(parts: Sequence[Float]) -> float:
    found = [value for part in parts if not math.isnan(value := yearly_sharpe(part))]
    return sum(found) / len(found) if found else math.nan


def quarters(found: PointReturns) -> tuple[list[Float], Float, str]:
    """Return the best point's days that chose it, its days behind them, and what that is in words."""
    cut = int(LEARNT * found.days.size)
    best = best_of(sharpes_of(found.returns, slice(0, cut)))
    column = found.column(found.points[best])
    return (
        [column[:cut]],
        column[cut:],
        f"the best point of the first {LEARNT:.0%} of the days, and that point behind them",
    )


def blocks_for(days: int) -> int:
    """Return into how many parts so many days are cut: 16, or fewer and even, so that each has two days.

    >>> blocks_for(365), blocks_for(20), blocks_for(3)
    (16, 10, 2)
    """
    return max(2, min(BLOCKS, days // 4 * 2))
