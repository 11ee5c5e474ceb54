"""Optimisation: points suggested by Optuna on the first part of a market, the best of them judged on the rest."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.analysis.summary import METRICS, as_plain
from backtest.errors import ConfigError
from backtest.model import Market, Result, RunConfig
from backtest.sweep.folds import bars_of, window
from backtest.sweep.forward import Progress, days_of, single, stage
from backtest.sweep.objectives import better_side, satisfied
from backtest.sweep.overfit import Overfitting, PointReturns, chosen_points, judge_choice, point_returns
from backtest.sweep.scoring import prepare, run_in_time, scorer_on
from backtest.sweep.study import (
    Search,
    configured,
    finished,
    late_path,
    load_optuna,
    open_study,
    point_key,
    study_path,
    suggest,
)
from backtest.sweep.tried import Known, TrialBook

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from backtest.sweep.point import Row
    from backtest.sweep.space import Space

__all__ = ["Optimisation", "Search", "Tried", "optimise"]

FRONT = 20
"""Members of a front that are also scored on the rest of the market, [D]."""


@dataclass(frozen=True)
class Tried:
    """A point of the front: its trial's number, values of the axes, figures in sample, and on the rest of the market."""

    number: int
    values: Mapping[str, Any]
    in_sample: Mapping[str, Any]
    out_of_sample: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Optimisation:
    """What an optimisation came to.

    best: the front, the best by the first objective first; result: of that one on the rest of the market, None where nothing is
    left of it; trials, resumed: suggestions in the study, and those made before this call; tried: different points; failed:
    points without a value, and the first reason; refused: points that break a constraint; cut: the first bar that no suggestion
    saw, purge: bars left out behind it; path: of the study.
    """

    market: Market
    search: Search
    best: tuple[Tried, ...]
    config: RunConfig
    result: Result | None
    overfitting: Overfitting
    trials: int
    resumed: int
    tried: int
    failed: int
    reason: str
    refused: int
    cut: int
    purge: int
    path: Path
    identity: str

    def to_dict(self) -> dict[str, Any]:
        """Return the optimisation as plain data for JSON: NaN as None."""
        names = ("trials", "resumed", "tried", "failed", "reason", "refused", "cut", "purge", "identity")
        plain: dict[str, Any] = as_plain(
            {
                "objectives": list(self.search.objectives),
                "constraints": [str(one) for one in self.search.constraints],
                **{name: getattr(self, name) for name in names},
                "best": [vars(one) for one in self.best],
                "study": str(self.path),
            }
        )
        return {**plain, "overfitting": self.overfitting.to_dict()}


def optimise(
    space: "Space",
    market: Market | None = None,
    trials: int = 100,
    *,
    results: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Optimisation:
    """Let Optuna's TPE suggest points of a space, and judge the best on bars that it never saw.

    market: None for the one that the space names; results: where the study and the record of trials are kept, None for the
    usual place; settings: those of `Search`. The study is a journal beside the runs: the same call goes on where the last one
    ended, and several processes may work on it at once. A space that is too small for the trials is tried to its end. What
    can't be done, and a study in which no point keeps the constraints, is a ConfigError.
    """
    package, config = load_optuna(), single(space)
    search = Search(trials, **settings).checked()
    if not space.axes:
        raise ConfigError("There is nothing to optimise; give what may vary, such as --grid lookback=24:240:8.")
    if market is None:
        from backtest.runner import market_of

        market = market_of(config)
    start, n = market.start_bar, len(market)
    cut = start + round((1.0 - search.holdout) * (n - start))
    if not start < cut < n:
        raise ConfigError(f"A hold-out of {search.holdout:g} leaves {cut - start} of {n - start} bars to learn from.")
    learnt, book = window(market, start, cut), TrialBook(market, results)
    path, identity = study_path(space, market, search, book, results)
    study = open_study(package, path, identity, search)
    resumed = len(finished(study))
    prepare(space)
    done = stage(progress, "trials", search.trials)
    points = suggest(package, study, space, learnt, search, done, late_path(path))
    return concluded(market, space, search, points, study, book, cut, resumed, path, identity, progress)


def concluded(
    market: Market,
    space: "Space",
    search: Search,
    points: "Mapping[int, FrozenTrial]",
    study: "optuna.Study",
    book: TrialBook,
    cut: int,
    resumed: int,
    path: Path,
    identity: str,
    progress: Progress | None,
) -> Optimisation:
    """Judge the best: overfitting among all that were tried, every trial on the record, and the bars that it never saw."""
    rows = {number: trial.user_attrs["row"] for number, trial in points.items()}
    front = front_of(study, points, search, rows)

    def config_of(number: int) -> RunConfig:
        return configured(space, points[number].user_attrs["values"])

    learnt = window(market, market.start_bar, cut)
    ran = [number for number, row in rows.items() if not row["error"]]
    if rows and not ran:
        raise ConfigError(next(str(row["error"]) for row in rows.values()))
    looked, said = chosen_points(ran, search.most, search.seed)
    looked = tuple(sorted({*looked, *front[:1]}))
    done, limit = stage(progress, "daily returns", len(looked)), search.time_limit
    found = point_returns(learnt, config_of, looked, said=said, progress=done, time_limit=limit)
    book.add_points(config_of, found, {number: Known(float(rows[number]["sharpe"])) for number in ran})
    if not front:  # what was tried was tried all the same
        raise ConfigError(nothing_found(search, rows))
    purge = int(found.longest.max()) if search.purge is None else bars_of(search.purge, market.interval, "purge")
    rest = window(market, cut + purge, len(market)) if cut + purge < len(market) else None
    config = config_of(front[0])
    result = None if rest is None else run_in_time(rest, config, limit)
    reasons = [str(row["error"]) for row in rows.values() if row["error"]]
    finished_trials = finished(study)
    return Optimisation(
        market=market,
        search=search,
        best=best_of_front(space, front[:FRONT], points, rows, rest, config_of, limit),
        config=config,
        result=result,
        overfitting=overfitting_of(found, front[0], result, book, config, cut, purge, search.seed),
        trials=len(finished_trials),
        resumed=resumed,
        tried=len(rows),
        failed=sum(not trial.values for trial in points.values()),
        reason=reasons[0] if reasons else "",
        refused=sum(not row["error"] and not satisfied(row, search.constraints) for row in rows.values()),
        cut=cut,
        purge=purge,
        path=path,
        identity=identity,
    )


def front_of(
    study: "optuna.Study", points: "Mapping[int, FrozenTrial]", search: Search, rows: "Mapping[int, Row]"
) -> list[int]:
    """Return the numbers of the best points that Optuna finds to keep all constraints, the best by the first objective first."""
    unique = {point_key(trial): number for number, trial in points.items()}
    try:
        best = study.best_trials if len(search.objectives) > 1 else [study.best_trial]
    except ValueError:
        best = []
    front = list(dict.fromkeys(unique[point_key(trial)] for trial in best))
    side = better_side(search.objectives[0])
    return sorted(front, key=lambda number: (-side * float(rows[number][search.objectives[0]]), number))


def nothing_found(search: Search, rows: "Mapping[int, Row]") -> str:
    kept = f" and keeps {' and '.join(map(str, search.constraints))}" if search.constraints else ""
    return (
        f"None of {len(rows):,} points has a value of {', '.join(search.objectives)}{kept}; loosen the constraints, "
        "widen the --grid, or give more --trials."
    )


def best_of_front(
    space: "Space",
    front: Iterable[int],
    points: "Mapping[int, FrozenTrial]",
    rows: "Mapping[int, Row]",
    rest: Market | None,
    config_of: Callable[[int], RunConfig],
    limit: float | None,
) -> tuple[Tried, ...]:
    behind = {} if rest is None else rows_behind(rest, {number: config_of(number) for number in front}, limit)
    told = []
    for number in front:
        values = dict(zip(space.columns, points[number].user_attrs["values"], strict=True))
        inside, outside = rows[number], behind.get(number, {})
        told.append(
            Tried(number, values, {m: inside[m] for m in METRICS}, {m: outside.get(m) for m in METRICS}),
        )
    return tuple(told)


def rows_behind(rest: Market, configs: Mapping[int, RunConfig], limit: float | None) -> "dict[int, Row]":
    """Return the rows of the front on the rest of the market."""
    found: dict[int, Row] = {}
    with scorer_on(rest, limit) as (scorer, note):
        for number, config in configs.items():
            note(config)
            found[number] = scorer.row(config)
    return found


def overfitting_of(
    found: PointReturns,
    best: int,
    result: Result | None,
    book: TrialBook,
    config: RunConfig,
    cut: int,
    purge: int,
    seed: int,
) -> Overfitting:
    from numpy import empty

    behind = "the point that was chosen, and that point on the bars that no suggestion saw"
    if result is None:
        behind = f"nothing is left to judge on: the longest holding time, {purge:,} bars, reaches beyond the last bar"
    elif purge:
        behind += f", from {purge:,} bars behind the last of those that chose on"
    return judge_choice(
        found,
        book.trials(config),
        chosen=best,
        in_sample=[found.column(best)],
        out_of_sample=empty(0) if result is None else days_of(result),
        how=behind,
        seed=seed,
    )
