"""How often each strategy was tried on each market: `results/trials.parquet`, which only grows.

Every run and every point of a sweep is a row, and stays one when its folder is removed: luck has had that chance all
the same. A row counts once by strategy, data and id, so the same run again is no new trial.
"""

import hashlib
import math
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from backtest.catalogue.folders import reason, to_disk
from backtest.catalogue.runs import RunEntry, config_of, results_folder, run_id
from backtest.errors import ResultsError
from backtest.model.passport import Passport
from backtest.model.trials import Trials

if TYPE_CHECKING:
    import pyarrow as pa

    from backtest.model.result import Result

__all__ = [
    "TRIALS",
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

TRIALS = "trials.parquet"
LOCK = ".trials.lock"
PATIENCE = 60.0  # seconds to wait for other writers, each of which takes a fraction of one
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


COLUMNS = tuple(f.name for f in fields(Trial))
NUMBERS = {"sharpe": np.float64, "periods": np.int64, "bars": np.int64}
KEY = ("strategy", "market_hash", "identity")


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


def record_trial(results: str | os.PathLike[str] | None, trial: Trial) -> int:
    """Add one trial; see `record_trials`."""
    return record_trials(results, [trial])


def record_trials(results: str | os.PathLike[str] | None, trials: Iterable[Trial]) -> int:
    """Add trials to the file and return how many of them are new; one that is there already stays as it is.

    Writers in other processes wait for each other and lose nothing; the file is the old one or the new one at every
    moment. A file that can't be read is a ResultsError and stays as it is.
    """
    return append(results_folder(results), table_of(list(trials)))


def merge_trials(results: str | os.PathLike[str] | None, other: str | os.PathLike[str]) -> int:
    """Add the trials of another file, or of another results folder, and return how many of them are new."""
    path = Path(other).expanduser()
    path = path / TRIALS if path.is_dir() else path
    if not path.is_file():
        raise ResultsError(f"There are no trials to merge at {path}.")
    return append(results_folder(results), read_table(path))


def merge_runs(results: str | os.PathLike[str] | None, runs: Iterable[RunEntry]) -> int:
    """Add the saved runs that the file lacks, and return how many; one that does not say what a trial needs is left out."""
    path, found = results_folder(results) / TRIALS, []
    for run in runs:
        with suppress(ResultsError):
            found.append(trial_of_entry(run))
    seen = set(keys(read_table(path))) if path.is_file() else set()
    new = [trial for trial in found if trial.key not in seen]
    return record_trials(results, new) if new else 0


def load_trials(results: str | os.PathLike[str] | None, strategy: str, market_hash: str) -> Trials:
    """Return every trial of a strategy (a name or a path) on the market of that hash; none where there is no file."""
    name, path = strategy_name(strategy), results_folder(results) / TRIALS
    if not path.is_file():
        return Trials(np.empty(0), (), name, market_hash)
    table = read_table(path)
    mine = [(i, key[2]) for i, key in enumerate(keys(table)) if key[:2] == (name, market_hash)]
    sharpes = table["sharpe"].to_pylist()  # `to_numpy` would import pandas, which takes longer than all of this
    return Trials(
        np.array([sharpes[i] for i, _ in mine], np.float64), tuple(identity for _, identity in mine), name, market_hash
    )


def read_trials(results: str | os.PathLike[str] | None = None) -> list[Trial]:
    """Return every trial on record, in the order in which they were added."""
    path = results_folder(results) / TRIALS
    return [Trial(**row) for row in read_table(path).to_pylist()] if path.is_file() else []


def append(results: Path, new: "pa.Table") -> int:
    import pyarrow as pa

    with alone(results):
        path = results / TRIALS
        old = read_table(path) if path.exists() else table_of([])
        seen = set(keys(old))
        fresh = []
        for i, key in enumerate(keys(new)):
            if key not in seen:
                fresh.append(i)
                seen.add(key)
        if fresh:
            pieces = [old, *(new.slice(first, count) for first, count in stretches(fresh))]
            put(path, pa.concat_tables(pieces).combine_chunks())
        return len(fresh)


def keys(table: "pa.Table") -> Iterator[tuple[str, str, str]]:
    strategies, hashes, identities = (table[name].to_pylist() for name in KEY)
    return zip(strategies, hashes, identities, strict=True)  # type: ignore[arg-type]


def stretches(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Return rows in ascending order as stretches without a gap: first and count.

    >>> list(stretches([0, 1, 2, 5, 7, 8]))
    [(0, 3), (5, 1), (7, 2)]
    """
    cuts = [0, *(i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1), len(rows)]
    return ((rows[a], b - a) for a, b in pairwise(cuts))


def table_of(trials: list[Trial]) -> "pa.Table":
    from backtest.catalogue.tables import numbers, table, texts

    columns: dict[str, Any] = {}
    for name in COLUMNS:
        values = [getattr(trial, name) for trial in trials]
        kind = NUMBERS.get(name)
        columns[name] = numbers(np.array(values, kind)) if kind else texts(values, np.arange(len(values)))
    return table(columns)


def read_table(path: Path) -> "pa.Table":
    """Return the table of a file of trials; what is none is a ResultsError, and the file stays as it is."""
    from pyarrow import ArrowException, parquet

    try:
        found = parquet.ParquetFile(path, page_checksum_verification=True).read()
        if tuple(found.column_names) != COLUMNS or found.schema.types != table_of([]).schema.types:
            raise ValueError(f"its columns are {', '.join(found.column_names)}")
        if any(found[name].null_count for name in COLUMNS):
            raise ValueError("it has rows with holes")
    except (OSError, ValueError, ArrowException) as error:
        why = str(error).splitlines()[0]
        raise ResultsError(
            f"{path} can't be read as the record of trials ({why}); it was left as it is. "
            "Put back a copy of it, or move it away and build the catalogue again: what runs remain are counted."
        ) from error
    return found


@contextmanager
def alone(results: Path) -> Iterator[None]:
    """Hold the record against other writers; what the system refuses is a ResultsError."""
    import filelock

    try:
        results.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(results / LOCK, timeout=PATIENCE, poll_interval=0.01):
            yield
    except TimeoutError as error:
        raise ResultsError(
            f"Another process has been writing {results / TRIALS} for {PATIENCE:.0f} s; try again."
        ) from error
    except OSError as error:
        raise ResultsError(reason(error, results)) from error


def put(path: Path, table: "pa.Table") -> None:
    """Write the record so that its name stands for the old one or the new one, never for a part."""
    from pyarrow import parquet

    draft = path.with_name(f".writing-{uuid.uuid4().hex}")
    try:
        parquet.write_table(table, draft, compression="zstd", write_page_checksum=True)
        to_disk(draft)
        os.replace(draft, path)
        to_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)
