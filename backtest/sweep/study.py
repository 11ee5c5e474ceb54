"""A study of Optuna: points of a space suggested by TPE, scored, and kept in a journal from which the same call goes on."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.analysis.summary import METRICS
from backtest.errors import ConfigError, ResultsError
from backtest.model import Market, RunConfig
from backtest.model.config import Value
from backtest.sweep.guard import late_points, words
from backtest.sweep.identity import data_hash
from backtest.sweep.objectives import Constraint, better_side, objective_named
from backtest.sweep.overfit import MOST
from backtest.sweep.tried import TrialBook

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

    from backtest.sweep.axes import Axis
    from backtest.sweep.guard import Note
    from backtest.sweep.point import Row, Scorer
    from backtest.sweep.space import Space

__all__ = [
    "Search",
    "configured",
    "finished",
    "late_path",
    "load_optuna",
    "open_study",
    "point_key",
    "study_path",
    "suggest",
]

KEPT = (*METRICS, "run", "error")
LATE = "It took longer than it may, in code that can't be interrupted, and ended its process; leave the point out."


class NoValueError(Exception):
    """A point that failed, or that does not define what is sought; Optuna keeps it as a failed trial."""


@dataclass(frozen=True)
class Search:
    """What is sought.

    trials: suggestions in all, those of earlier calls included; objectives: of `OBJECTIVES`, each to its better side;
    constraints: what the best must keep; holdout: share of the scored bars, the last ones, that no suggestion sees; purge: bars
    left out between the two parts, None for the longest holding time of any point tried; seed: of the suggestions; most: points
    whose daily returns are looked at; time_limit: seconds a point.
    """

    trials: int = 100
    objectives: tuple[str, ...] = ("sharpe",)
    constraints: tuple[Constraint, ...] = ()
    holdout: float = 0.25
    purge: int | str | None = None
    seed: int = 0
    most: int = MOST
    time_limit: float | None = None

    def checked(self) -> "Search":
        """Return the search with the names of its figures, or raise what makes no sense in it."""
        if self.trials < 1:
            raise ConfigError(f"`trials` must be at least 1, got {self.trials}.")
        if not 0 < self.holdout < 1:
            raise ConfigError(
                f"`holdout` must be a share above 0 and below 1, such as 0.25, got {self.holdout:g}: "
                "what is chosen has to be judged on bars that did not choose it."
            )
        names = tuple(objective_named(one) for one in self.objectives)
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"`objectives` must name each figure once, got {', '.join(self.objectives) or 'none'}.")
        return replace(self, objectives=names, constraints=tuple(self.constraints))


def load_optuna() -> Any:
    """Return the package optuna; ConfigError where it is not installed."""
    try:
        return import_module("optuna")
    except ImportError:
        raise ConfigError("Optimisation needs the package optuna: pip install 'levelbreak[optimize]'.") from None


def study_path(
    space: "Space", market: Market, search: Search, book: TrialBook, results: str | os.PathLike[str] | None
) -> tuple[Path, str]:
    """Return where the study is kept, and its id: of the space, the data, the strategy's source and what is sought."""
    from backtest.catalogue import results_folder
    from backtest.catalogue.runs import folder_name

    config = space.config(0)
    asked = (search.objectives, search.constraints, search.holdout, search.seed)
    source = book.scorer.maker(config.strategy).sha256
    told = repr((replace(space, sample=None), asked, source, data_hash(market, config), len(market)))
    identity = hashlib.sha256(told.encode()).hexdigest()[:10]
    folder = results_folder(results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder} can't be written to: {error.strerror}.") from error
    return folder / f"optimise_{folder_name(config.strategy, config.market, identity)}.journal", identity


def late_path(path: Path) -> Path:
    """Return where a guard writes the points of a study that ended their process."""
    return path.with_name(f".{path.stem}.late")


def open_study(package: Any, path: Path, identity: str, search: Search) -> "optuna.Study":
    """Return the study of a journal, a new one where there is none; a torn last line, as a kill leaves it, is dropped."""
    journal = import_module("optuna.storages.journal")
    mend(journal, path)
    directions = ["maximize" if better_side(one) > 0 else "minimize" for one in search.objectives]
    try:
        with quiet(package):
            storage = package.storages.JournalStorage(journal.JournalFileBackend(str(path)))
            study: optuna.Study = package.create_study(
                storage=storage, study_name=identity, load_if_exists=True, directions=directions
            )
    except (OSError, ValueError, KeyError) as error:
        raise ResultsError(f"The study {path} can't be read ({error!r}); move it away to begin anew.") from error
    done = len(study.get_trials(deepcopy=False))
    study.sampler = package.samplers.TPESampler(seed=(search.seed + 1_000_003 * done) % 2**32)
    return study


@contextmanager
def quiet(package: Any) -> Iterator[None]:
    """Keep the package from writing of each trial on stderr."""
    before = package.logging.get_verbosity()
    package.logging.set_verbosity(package.logging.ERROR)
    try:
        yield
    finally:
        package.logging.set_verbosity(before)


def mend(journal: Any, path: Path) -> None:
    """Cut a torn last line off; under the journal's lock, where no other process is in the middle of writing one."""
    try:
        if path.is_file() and whole(path) < path.stat().st_size:
            lock = journal.JournalFileSymlinkLock(str(path))
            lock.acquire()
            try:
                os.truncate(path, whole(path))
            finally:
                with suppress(RuntimeError):  # taken away by a process that took this one for dead
                    lock.release()
    except OSError as error:
        raise ResultsError(f"The study {path} can't be read: {error.strerror}.") from error


def whole(path: Path) -> int:
    """Return the bytes up to the end of the last whole line."""
    return path.read_bytes().rfind(b"\n") + 1


def finished(study: "optuna.Study") -> "list[FrozenTrial]":
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def suggest(
    package: Any,
    study: "optuna.Study",
    space: "Space",
    market: Market,
    search: Search,
    progress: Callable[[int], None] | None,
    late: Path | None = None,
) -> "dict[int, FrozenTrial]":
    """Go on until as many trials are finished as asked, or no further point is left; return one trial a point, by its number.

    late: where points are written that end this process, and read that ended an earlier one. A trial that a killed process left
    behind is none that is finished; it stays as it is, since another process may be at it.
    """
    from backtest.sweep.scoring import scorer_on

    grid = math.inf if any(axis.span for axis in space.axes) else math.prod(len(axis) for axis in space.axes)
    seen = {point_key(trial): trial.user_attrs["row"] for trial in finished(study) if "row" in trial.user_attrs}

    def after(study: "optuna.Study", trial: "FrozenTrial") -> None:
        done = len(finished(study))
        if done >= search.trials or len(seen) >= grid:
            study.stop()
        if progress is not None:
            progress(done)

    with quiet(package), scorer_on(market, search.time_limit, late) as (scorer, note):
        objective = Objective(space, InTime(scorer, note, late), search, seen)
        left = search.trials - len(finished(study))
        if left > 0 and len(seen) < grid:
            study.optimize(objective, n_trials=left, catch=(NoValueError,), callbacks=[after])
    first: dict[Any, FrozenTrial] = {}
    for trial in finished(study):
        if "row" in trial.user_attrs:
            first.setdefault(point_key(trial), trial)
    return {trial.number: trial for trial in first.values()}


class InTime:
    """Scores a configuration, unless it ended the process that scored it before."""

    def __init__(self, scorer: "Scorer", note: "Note", late: Path | None) -> None:
        self.scorer, self.note = scorer, note
        self.late = frozenset[str]() if late is None else late_points(late)

    def row(self, config: RunConfig) -> "Row":
        from backtest.sweep.point import FAILED

        if words(config) in self.late:
            return {**FAILED, "error": LATE}
        self.note(config)
        return self.scorer.row(config)


class Objective:
    """Scores what a trial suggests; a point that was tried before is not run again."""

    def __init__(self, space: "Space", scorer: InTime, search: Search, seen: "dict[Any, Row]") -> None:
        self.space, self.scorer, self.search, self.seen = space, scorer, search, seen

    def __call__(self, trial: "Trial") -> tuple[float, ...]:
        values = [suggested(trial, axis) for axis in self.space.axes]
        key = repr(values)
        if key not in self.seen:
            row = self.scorer.row(configured(self.space, values))
            self.seen[key] = {name: row[name] for name in KEPT}
        row = self.seen[key]
        trial.set_user_attr("values", values)
        trial.set_user_attr("row", row)
        for one in self.search.constraints:
            trial.set_constraint(str(one), one.excess(row))
        found = tuple(row[name] for name in self.search.objectives)
        if row["error"] or any(value is None or math.isnan(value) for value in found):
            raise NoValueError
        return tuple(float(value) for value in found)


def point_key(trial: "FrozenTrial") -> str:
    return repr([as_value(value) for value in trial.user_attrs["values"]])


def as_value(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value


def suggested(trial: "Trial", axis: "Axis") -> Value:
    """Return a value of an axis: from its span, by its place where its values have an order, else as one of a kind."""
    name = axis.name
    if axis.span is not None:
        low, high = axis.span
        if axis.whole:
            return trial.suggest_int(name, int(low), int(high), log=axis.log)
        return trial.suggest_float(name, low, high, log=axis.log)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in axis.values):
        ordered = sorted(axis.values)
        return ordered[trial.suggest_int(name, 0, len(ordered) - 1)]
    return axis.values[trial.suggest_categorical(name, list(range(len(axis.values))))]


def configured(space: "Space", values: Sequence[Any]) -> RunConfig:
    """Return the configuration of values on the space's axes."""
    axes = [replace(axis, values=(as_value(v),), span=None) for axis, v in zip(space.axes, values, strict=True)]
    return replace(space, axes=tuple(axes), sample=None).config(0)
