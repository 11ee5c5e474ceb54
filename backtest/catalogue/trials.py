"""How often each strategy was tried on each market: a record beside the runs, which only grows; see `record` for its files.

Every run and every point of a sweep is a row, and stays one when its folder is removed: luck has had that chance all
the same. A row counts once by strategy, data and id, so the same run again is no new trial.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from backtest.catalogue.record import (
    NUMBERS,
    TEXTS,
    Known,
    append,
    groups,
    is_there,
    latest_keys,
    of_strategy,
)
from backtest.catalogue.runs import RunEntry, config_of, results_folder, run_id
from backtest.errors import ResultsError
from backtest.model.passport import Passport
from backtest.model.trials import Trials

if TYPE_CHECKING:
    import pyarrow as pa

    from backtest.model.result import Result

__all__ = [
    "Known",
    "Trial",
    "Trials",
    "hash_of",
    "load_trials",
    "market_hash",
    "merge_runs",
    "merge_trials",
    "read_trials",
    "record_trial",
    "record_trials",
    "strategy_name",
    "trial_of",
    "trial_of_entry",
]

LONGEST = 64  # characters of an id; a longer one was not made here
YEARLY = math.sqrt(365.0)
DAY = 86_400_000_000_000


@dataclass(frozen=True)
class Trial:
    """One trial: a run or a point of a sweep.

    strategy: its name without a folder; market_hash: of the data; identity: the id that it has, or would have, as a run;
    created: ISO 8601, UTC; sharpe: per day, of the daily returns, NaN where there is none; periods: days; bars: scored ones.
    """

    strategy: str
    market_hash: str
    identity: str
    kind: Literal["run", "sweep"] = "run"
    created: str = ""
    sharpe: float = math.nan
    periods: int = 0
    bars: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same trial as another."""
        return self.strategy, self.market_hash, self.identity


def market_hash(passport: Passport) -> str:
    """Return the SHA-256 of what a market's data are: name, origin and hash of each series, as in a run's id."""
    return hash_of((s.name, s.origin, s.sha256) for s in passport.series)


def hash_of(series: Iterable[tuple[str, str, str]]) -> str:
    """Return the SHA-256 of series, each given by its name, origin and hash."""
    return hashlib.sha256(repr(list(series)).encode()).hexdigest()


def strategy_name(strategy: str) -> str:
    """Return the name under which a strategy's trials are counted, wherever its file lies.

    >>> strategy_name("./my ideas/break.py"), strategy_name("break")
    ('break', 'break')
    """
    return re.sub(r"\.py$", "", re.split(r"[/\\]", strategy)[-1])


def trial_of(
    result: "Result",
    sharpe: float,
    days: int,
    *,
    source: str = "",
    kind: Literal["run", "sweep"] = "run",
    created: str = "",
) -> Trial:
    """Return the trial that a result is: sharpe is of its daily returns, per day; source as in `run_id`."""
    name, identity = strategy_name(config_of(result).strategy), run_id(result, source)
    return Trial(name, market_hash(result.passport), identity, kind, created, sharpe, days, len(result))


def trial_of_entry(entry: RunEntry) -> Trial:
    """Return the trial that a saved run is, from its summary: what a rebuild adds to the file where it lacks it.

    The Sharpe ratio per day is the one that was judged, and for a run without it the yearly one over sqrt(365). A summary
    that does not say its data is a ResultsError.
    """
    summary = entry.summary
    try:
        series = [(s["name"], s["origin"], s["sha256"]) for s in summary["passport"]["series"]]
        days = round((summary["end"] - summary["start"]) / DAY)
        luck = summary.get("luck") or (summary.get("assessment") or {}).get("luck") or {}
        yearly = luck.get("sharpe", summary["metrics"]["sharpe"])
        f"{entry.strategy}{entry.id}{entry.created}".encode()  # what is no text can't be in the file
        if len(entry.id) > LONGEST:
            raise ValueError(f"its id has {len(entry.id)} characters")
        return Trial(
            strategy_name(entry.strategy),
            hash_of(series),
            entry.id,
            created=entry.created,
            sharpe=math.nan if yearly is None else float(yearly) / YEARLY,
            periods=int(luck.get("days", days)),
            bars=int(summary["bars"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"The run {entry.path.name} does not say what a trial needs: {error!r}.") from error


def record_trial(results: str | os.PathLike[str] | None, trial: Trial) -> None:
    """Add one trial; see `record_trials`."""
    record_trials(results, [trial])


def record_trials(results: str | os.PathLike[str] | None, trials: Iterable[Trial], known: Known | None = None) -> None:
    """Add trials to the record; one that is there already counts once all the same, and stays as it is.

    known: leave out what it holds; without it nothing but the open file is looked at, and a batch takes as long as it is large,
    however long the record is. Writers in other processes wait for each other and lose nothing. A record that can't be read is
    a ResultsError and stays as it is.
    """
    table = table_of(list(trials))
    append(results_folder(results), table if known is None else known.lacking(table))


def merge_trials(results: str | os.PathLike[str] | None, other: str | os.PathLike[str]) -> int:
    """Add the trials of another results folder, or of one file of a record, and return how many of them are new."""
    place, path, count = results_folder(results), Path(other).expanduser(), 0
    if not is_there(path):
        raise ResultsError(f"There are no trials to merge at {path}.")
    known = Known(place)
    for table in groups(path):
        new = known.lacking(table)
        append(place, new)
        count += new.num_rows
    return count


def merge_runs(results: str | os.PathLike[str] | None, runs: Iterable[RunEntry]) -> None:
    """Add the saved runs that the record lacks; one that does not say what a trial needs is left out."""
    place, found = results_folder(results), []
    for run in runs:
        with suppress(ResultsError):
            found.append(trial_of_entry(run))
    latest = latest_keys(place)  # where most of them are; the rest of the record is read only for others
    older = [trial for trial in found if trial.key not in latest]
    if older:
        record_trials(place, older, Known(place))


def load_trials(results: str | os.PathLike[str] | None, strategy: str, market_hash: str) -> Trials:
    """Return every trial of a strategy (a name or a path) on the market of that hash; none where there is no record."""
    name = strategy_name(strategy)
    identities, sharpes = of_strategy(results_folder(results), name, market_hash)
    return Trials(sharpes, tuple(one.decode() for one in identities), name, market_hash)


def read_trials(results: str | os.PathLike[str] | None = None) -> list[Trial]:
    """Return every trial on record, in the order in which they were added."""
    found = (Trial(**row) for table in groups(results_folder(results)) for row in table.to_pylist())
    once: dict[tuple[str, str, str], Trial] = {}
    for trial in found:
        once.setdefault(trial.key, trial)
    return list(once.values())


def table_of(trials: list[Trial]) -> "pa.Table":
    from backtest.catalogue.tables import numbers, table, texts

    rows = np.arange(len(trials))
    columns: dict[str, Any] = {name: texts([getattr(t, name) for t in trials], rows) for name in TEXTS}
    for name, kind in NUMBERS.items():
        columns[name] = numbers(np.array([getattr(t, name) for t in trials], kind))
    return table(columns)
