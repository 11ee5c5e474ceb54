"""Walk-forward: choose the best point of each training, trade it in the test behind, and judge what the tests make together."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.analysis import metrics
from backtest.analysis.summary import as_plain
from backtest.errors import ConfigError
from backtest.model import Market, Plan, Result, RunConfig
from backtest.model.arrays import Float, utc_text
from backtest.sweep.cross import GROUPS, TESTED, CrossValidation, cross_validate, days_of_bars
from backtest.sweep.folds import Fold, anchored, bars_of, check_groups, purged, rolling, window
from backtest.sweep.objectives import Constraint, objective_named, satisfied, worth
from backtest.sweep.overfit import (
    MOST,
    Overfitting,
    PointReturns,
    chosen_points,
    judge_choice,
    longest_holding,
    point_returns,
)
from backtest.sweep.scoring import prepare, rows_on, run_in_time, scored
from backtest.sweep.stability import Stability, stability
from backtest.sweep.stitch import closed_out, stitch
from backtest.sweep.tried import Known, TrialBook

if TYPE_CHECKING:
    from backtest.analysis import Assessment
    from backtest.sweep.axes import Axis
    from backtest.sweep.space import Space

__all__ = ["NOTE", "Forward", "Progress", "Step", "Walk", "best_point", "walk_forward"]

NOTE = (
    "Each fold starts flat with the venue's cash and ends flat, what is still open closed at the last close; its returns are "
    "multiplied onto those before it, so lots, tiers and least notionals are those of the starting cash."
)
LEAST = 0.25
"""Share of a training that has to be left before the longest holding time, [D]; a gap that is stated may leave less."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, eq=False)
class Step:
    """A fold walked: what was chosen and what came of it.

    purge: bars left out before the test; point: None where no point could be chosen, and the fold stays flat; values: of the
    axes; in_sample, out_of_sample: the metric in training and in the test; learnt: daily returns of the point in its training;
    result: of the test.
    """

    fold: Fold
    purge: int
    point: int | None
    values: Mapping[str, Any]
    in_sample: float
    out_of_sample: float
    learnt: Float
    result: Result


@dataclass(frozen=True, eq=False)
class Forward:
    """A walk-forward: its folds, the tests put together as one run, and what that is worth.

    market: the one that was walked; walk: how; result: the stitched run, which is summarised and assessed like any; identity:
    of the space, the data and the settings; cross: the combinatorial cross-validation, None where the days do not suffice;
    notes: sentences.
    """

    market: Market
    walk: "Walk"
    steps: tuple[Step, ...]
    result: Result
    assessment: "Assessment"
    overfitting: Overfitting
    stability: tuple[Stability, ...]
    cross: CrossValidation | None
    identity: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the walk-forward as plain data for JSON: NaN as None, times as text."""
        from backtest.analysis import analyze

        plain: dict[str, Any] = as_plain(
            {
                "id": self.identity,
                "anchored": self.walk.anchored,
                "metric": self.walk.metric,
                "constraints": [str(one) for one in self.walk.constraints],
                "folds": self.fold_rows(),
            }
        )
        return {
            **plain,
            "stitched": analyze(self.result).to_dict(),
            "assessment": self.assessment.to_dict(),
            "overfitting": self.overfitting.to_dict(),
            "stability": [one.to_dict() for one in self.stability],
            "cross_validation": None if self.cross is None else self.cross.to_dict(),
            "notes": list(self.notes),
        }

    def fold_rows(self) -> list[dict[str, Any]]:
        """Return the folds as plain data, in order."""
        return [self.fold_of(step) for step in self.steps]

    def fold_of(self, step: Step) -> dict[str, Any]:
        """Return a fold as plain data."""
        times = np.append(self.market.time, self.market.time[-1] + self.market.interval)
        spans = {
            f"{name}_{end}": utc_text(int(times[bar]))
            for name, spans in (("train", step.fold.train), ("test", step.fold.test))
            for end, bar in (("start", spans[0][0]), ("end", spans[-1][1]))
        }
        result, cash = step.result, step.result.venue.cash
        earned = metrics.total_return(result.equity_values, cash)
        return {
            "fold": step.fold.number,
            **spans,
            "purge": step.purge,
            "point": step.point,
            "values": dict(step.values),
            "in_sample": step.in_sample,
            "out_of_sample": step.out_of_sample,
            "return": earned,
            "trades": len(result.trades_table),
        }


@dataclass(frozen=True)
class Walk:
    """How a space is walked.

    train, test: bars, or times such as "90d"; anchored: each training starts at the first scored bar, else it is the `train`
    before its test; purge: bars before each test that are not learnt from, None for the longest holding time that any point
    shows before that test; embargo: more of them, None for none here and for as many as the purge behind a test of the
    cross-validation; metric: what is sought in training, of `OBJECTIVES`; constraints: what a point must keep there; groups,
    tested: of the cross-validation; seed: of draws; most: points whose daily returns are looked at; time_limit: seconds a point;
    jobs: processes that score the points of a training.
    """

    train: int | str
    test: int | str
    anchored: bool = False
    purge: int | str | None = None
    embargo: int | str | None = None
    metric: str = "sharpe"
    constraints: tuple[Constraint, ...] = ()
    groups: int = GROUPS
    tested: int = TESTED
    seed: int = 0
    most: int = MOST
    time_limit: float | None = None
    jobs: int = 1


def walk_forward(
    space: "Space",
    market: Market | None = None,
    train: int | str = "90d",
    test: int | str = "30d",
    *,
    results: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    yes: bool = False,
    **settings: Any,
) -> Forward:
    """Walk a space of points forward through a market: choose in each training, trade in the test behind it.

    market: None for the one that the space names; results: the folder with the record of trials, to which all points and the
    walk itself are added, None for the usual one; yes: also walk more than 10 million points; settings: those of `Walk`. A
    point is chosen on a market that ends where its training ends, and traded on one that ends where its test ends, with every
    bar before the test as warm-up. What can't be done is a ConfigError.
    """
    from backtest.sweep.sweep import check_size

    check_size(space, yes)
    config, walk = single(space), Walk(train, test, **settings)
    walk = replace(walk, metric=objective_named(walk.metric), constraints=tuple(walk.constraints))
    if market is None:
        from backtest.runner import market_of

        market = market_of(config)
    plain = folds_of(market, walk)
    check_groups(walk.groups, walk.tested)
    prepare(space)
    found, others, held = returns_and_holding(market, space, plain, walk, progress)
    purges = held if walk.purge is None else [bars_of(walk.purge, market.interval, "purge")] * len(plain)
    gap = 0 if walk.embargo is None else bars_of(walk.embargo, market.interval, "embargo")
    folds = [gapped(fold, width, gap, walk.purge is None) for fold, width in zip(plain, purges, strict=True)]
    steps = tuple(
        walked(market, space, fold, width, walk, progress, len(folds))
        for fold, width in zip(folds, purges, strict=True)
    )
    return judged(market, space, walk, steps, found, others, results)


def single(space: "Space") -> RunConfig:
    """Return the configuration of the first point; a space of several strategies or markets is a ConfigError."""
    for name, several in (("strategy", space.strategies), ("market", space.markets)):
        if len(several) > 1:
            raise ConfigError(f"This takes one {name} at a time, got {len(several)}: {', '.join(several)}.")
    return space.config(0)


def folds_of(market: Market, walk: Walk) -> tuple[Fold, ...]:
    make = anchored if walk.anchored else rolling
    train, test = (bars_of(getattr(walk, name), market.interval, name) for name in ("train", "test"))
    return make(market.start_bar, len(market), train, test)


def returns_and_holding(
    market: Market,
    space: "Space",
    folds: Sequence[Fold],
    walk: Walk,
    progress: Progress | None,
) -> tuple[PointReturns, dict[int, Known], list[int]]:
    """Return the points' daily returns, what is known of the others, and by fold the longest holding time that they show in it."""
    points, said = chosen_points(range(len(space)), walk.most, walk.seed)
    held = [0] * len(folds)

    def look(point: int, result: Result) -> None:
        for k, fold in enumerate(folds):
            held[k] = max(held[k], longest_holding(result, fold.test[0][0], fold.train[0][0]))

    done, limit = stage(progress, "every point once", len(space)), walk.time_limit
    others, failed = scored(space, market, frozenset(points), done, limit, walk.jobs)
    done = stage(progress, "daily returns", len(points))
    found = point_returns(
        market, space.config, points, said=said, each=look, progress=done, time_limit=limit, failed=failed
    )
    return found, others, held


def stage(progress: Progress | None, name: str, count: int) -> Callable[[int], None] | None:
    """Return the progress of one stage."""
    return None if progress is None else lambda done: progress(name, done, count)


def gapped(fold: Fold, purge: int, embargo: int, found: bool) -> Fold:
    """Return the fold with its gap; one that leaves no training, or too little before a gap that was found, is a ConfigError."""
    (first, last), cut = fold.train[0], purged(fold, purge + embargo, 0)
    left = sum(b - a for a, b in cut.train)
    if left and not (found and left < LEAST * (last - first)):
        return cut
    whose = "the longest holding time of its trades, " if found else ""
    raise ConfigError(
        f"Fold {fold.number} has a training of {last - first:,} bars, of which purge and embargo ({whose}{purge:,} + {embargo:,} "
        f"bars) leave {left:,}; give a longer --train, or state the gap with --purge."
    )


def walked(
    market: Market, space: "Space", fold: Fold, purge: int, walk: Walk, progress: Progress | None, folds: int
) -> Step:
    """Choose in the fold's training, trade in its test."""
    done = stage(progress, f"fold {fold.number} of {folds}", len(space))
    learnt = window(market, *fold.train[0])
    point, value = best_point(space, learnt, walk.metric, walk.constraints, done, walk.time_limit, walk.jobs)
    first, last = fold.test[0]
    result = closed_out(traded(window(market, first, last), space, point, walk.time_limit), last - 1)
    return Step(
        fold=fold,
        purge=purge,
        point=point,
        values={} if point is None else space.values(point),
        in_sample=value,
        out_of_sample=figure_of(result, walk.metric),
        learnt=days_of(traded(learnt, space, point, walk.time_limit)),
        result=result,
    )


def best_point(
    space: "Space",
    market: Market,
    metric: str,
    constraints: Sequence[Constraint] = (),
    progress: Callable[[int], None] | None = None,
    time_limit: float | None = None,
    jobs: int = 1,
) -> tuple[int | None, float]:
    """Return the point that is best on a market by a metric, the first of equals, and its figure; (None, NaN) without one.

    A point that fails, does not define the metric or breaks a constraint is never chosen. Where every point fails, a sentence
    of one of them is raised.
    """
    best, highest, found, failed, sentence = None, -math.inf, math.nan, 0, ""
    for done, (point, row) in enumerate(rows_on(space, market, time_limit, jobs), 1):
        failed, sentence = failed + bool(row["error"]), sentence or str(row["error"])
        value = worth(row, metric)
        better = value > highest or (value == highest and best is not None and point < best)
        if math.isfinite(value) and better and satisfied(row, constraints):
            best, highest, found = point, value, float(row[metric])
        if progress is not None:
            progress(done)
    if failed == len(space):
        raise ConfigError(sentence)
    return best, found


def traded(market: Market, space: "Space", point: int | None, limit: float | None) -> Result:
    """Return a point's run, or without one that of a plan that does nothing."""
    from backtest.engines import get_engine
    from backtest.runner import venue_of

    if point is not None:
        return run_in_time(market, space.config(point), limit)
    return get_engine("fast")(market, Plan.empty(), venue_of(space.config(0), market))


def figure_of(result: Result, metric: str) -> float:
    from backtest.analysis import analyze

    return float(getattr(analyze(result), metric))


def days_of(result: Result) -> Float:
    return metrics.daily_returns(result.time, result.interval, result.equity_values, result.venue.cash)[1]


def judged(
    market: Market,
    space: "Space",
    walk: Walk,
    steps: tuple[Step, ...],
    found: PointReturns,
    others: Mapping[int, Known],
    results: str | os.PathLike[str] | None,
) -> Forward:
    """Put the folds together, count the trials, and judge."""
    from backtest.analysis import assess
    from backtest.market import load_crises
    from backtest.runner import venue_of

    config = fixed_part(space)
    result = stitch([step.result for step in steps], venue_of(config, market), config, market.name)
    earned = days_of(result)
    book = TrialBook(market, results)
    book.add_points(space.config, found, others)
    asked = "walk_forward", space, replace(walk, jobs=1, time_limit=None)  # how it is worked out is not asked
    identity = book.add_procedure(config, asked, earned, len(result))
    assessment = assess(result, market, None, load_crises(), trials=book.trials(config), seed=walk.seed)
    cross, note = crossed(found, market, walk)
    return Forward(
        market=market,
        walk=walk,
        steps=steps,
        result=result,
        assessment=assessment,
        overfitting=judge_choice(
            found,
            luck=assessment.luck,
            in_sample=[step.learnt for step in steps if step.point is not None],
            out_of_sample=earned,
            how="the mean of the points that the trainings chose, and those points in the tests behind them",
            seed=walk.seed,
        ),
        stability=tuple(stable(axis, column, steps) for axis, column in zip(space.axes, space.columns, strict=True)),
        cross=cross,
        identity=identity,
        notes=tuple(one for one in (NOTE, note) if one),
    )


def stable(axis: "Axis", column: str, steps: Sequence[Step]) -> Stability:
    chosen = [step.values.get(column) for step in steps]
    values = axis.values or tuple(sorted({value for value in chosen if value is not None}))
    return stability(axis.name, values, chosen)


def fixed_part(space: "Space") -> RunConfig:
    """Return what all points of a space have in common."""
    config, swept = space.config(0), {(axis.account, axis.setting) for axis in space.axes}
    return replace(
        config,
        parameters=tuple(pair for pair in config.parameters if (False, pair[0]) not in swept),
        account=tuple(pair for pair in config.account if (True, pair[0]) not in swept),
    )


def crossed(found: PointReturns, market: Market, walk: Walk) -> tuple[CrossValidation | None, str]:
    """Return the cross-validation, or why there is none."""
    bars = int(np.max(found.longest)) if walk.purge is None else bars_of(walk.purge, market.interval, "purge")
    behind = None if walk.embargo is None else bars_of(walk.embargo, market.interval, "embargo")
    purge = days_of_bars(bars, market.interval)
    embargo = None if behind is None else days_of_bars(behind, market.interval)
    try:
        return cross_validate(found, walk.groups, walk.tested, purge=purge, embargo=embargo), ""
    except ConfigError as error:
        return None, f"No cross-validation: {error}"
