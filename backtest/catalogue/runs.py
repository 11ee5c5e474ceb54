"""The runs under results/: one folder each, written whole, listed and found again."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.catalogue.folders import complete_folder
from backtest.catalogue.toml import config_from_toml, config_to_toml
from backtest.errors import ResultsError, did_you_mean
from backtest.model.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd

    from backtest.model.result import Result

__all__ = [
    "BrokenRun",
    "RunEntry",
    "SavedRun",
    "list_runs",
    "load_run",
    "results_folder",
    "run_id",
    "save_run",
    "scan_runs",
]

ID_LENGTH = 10
SHOWN = 8  # runs that a message names


@dataclass(frozen=True)
class RunEntry:
    """A run in the list: where it is, when it was made (ISO 8601, UTC), and its summary.json."""

    path: Path
    id: str
    created: str
    strategy: str
    market: str
    grade: str
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class BrokenRun:
    """A folder under results/ that is no readable run, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class SavedRun(RunEntry):
    """A run read back: its configuration, and its tables when asked for."""

    config: RunConfig

    @cached_property
    def ledger(self) -> "pd.DataFrame":
        """Every change of money, in order."""
        return self.table("ledger")

    @cached_property
    def trades(self) -> "pd.DataFrame":
        """The round trips; an open one has no exit time."""
        return self.table("trades")

    @cached_property
    def equity(self) -> "pd.DataFrame":
        """Time, equity and the signed position of each symbol, a row a bar."""
        return self.table("equity")

    @cached_property
    def rejections(self) -> "pd.DataFrame":
        """The rows of the plan that came to nothing, and why."""
        return self.table("rejections")

    def table(self, name: str) -> "pd.DataFrame":
        """Return one of the Parquet tables; a missing or damaged file is a ResultsError."""
        import pandas as pd

        try:
            return pd.read_parquet(self.path / f"{name}.parquet")
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise ResultsError(f"The run {self.path.name} has no readable {name}.parquet: {error}.") from error


def results_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of runs: the one given, else $BACKTEST_RESULTS, else ./results."""
    return Path(chosen or os.environ.get("BACKTEST_RESULTS") or "results").expanduser()


def run_id(result: "Result", source: str) -> str:
    """Return the id of a run: a hash of its configuration, the strategy's source, the data and the venue's numbers.

    source: the strategy's source or its digest. A result that does not say its engine counts as one of the fast engine.
    """
    config = config_of(result)
    data = [(s.name, s.origin, s.sha256) for s in result.passport.series]  # not when it was fetched
    parts = (replace(config, engine=config.engine or "fast"), source, data, venue_numbers(result))
    return hashlib.sha256("\n".join(repr(part) for part in parts).encode()).hexdigest()[:ID_LENGTH]


def config_of(result: "Result") -> RunConfig:
    return result.config or RunConfig("plan", market=result.market_name, venue=result.venue.name)


def venue_numbers(result: "Result") -> list[tuple[str, Any]]:
    venue = result.venue
    numbers = [(f.name, getattr(venue, f.name)) for f in fields(venue) if f.name != "instruments"]
    return [*numbers, ("instruments", sorted(venue.instruments.items()))]


def folder_name(strategy: str, market: str, identity: str) -> str:
    """Return a folder name that is safe on any system, from names or paths.

    >>> folder_name("./my ideas/break.py", "MARKETS/Crash 1.toml", "0123456789")
    'break_Crash-1_0123456789'
    """
    return "_".join([short_name(strategy), short_name(market), identity])


def short_name(name: str) -> str:
    stem = re.split(r"[/\\]", name)[-1]
    stem = re.sub(r"\.(py|toml)$", "", stem)
    return re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-._")[:40] or "run"


def save_run(
    result: "Result",
    summary: Mapping[str, Any],
    results: str | os.PathLike[str] | None = None,
    *,
    source: str = "",
    created: datetime | None = None,
) -> Path:
    """Write a run's folder and return it; it appears under its name only when it is complete and on the disk.

    summary: the run in figures, plain data for JSON; source: the digest of the strategy's source, for the id. The
    name holds the id and no time: the same run again replaces its folder. Where nothing can be written: ResultsError,
    and nothing is left behind.
    """
    config, identity = config_of(result), run_id(result, source)
    final = results_folder(results) / folder_name(config.strategy, result.market_name, identity)
    made = (created or datetime.now(UTC)).isoformat(timespec="milliseconds")
    head = {"id": identity, "created": made, "version": version()}
    text = json.dumps({**head, **summary, **facts(result)}, indent=2, allow_nan=False)
    toml = config_to_toml(config)
    with complete_folder(final) as draft:
        write_tables(result, draft)
        (draft / "config.toml").write_text(toml, encoding="utf-8")
        (draft / "summary.json").write_text(text + "\n", encoding="utf-8")
    return final


def write_tables(result: "Result", folder: Path) -> None:
    from pyarrow import parquet

    from backtest.catalogue.tables import equity_table, named_table

    tables = {name: named_table(getattr(result, name)) for name in ("ledger", "trades", "rejections")}
    for name, table in (tables | {"equity": equity_table(result)}).items():
        parquet.write_table(table, folder / f"{name}.parquet", compression="zstd")


def facts(result: "Result") -> dict[str, Any]:
    series = [asdict(s) for s in result.passport.series]
    return {"passport": {"grade": result.passport.grade, "series": series}, "tier_tables": list(result.tier_tables)}


def version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("levelbreak")
    except PackageNotFoundError:
        return "unknown"


def scan_runs(results: str | os.PathLike[str] | None = None) -> tuple[list[RunEntry], list[BrokenRun]]:
    """Return the runs, oldest first, and the folders that are none; where there is no such folder, neither."""
    runs: list[RunEntry] = []
    broken: list[BrokenRun] = []
    for path in run_folders(results_folder(results)):
        try:
            runs.append(read_entry(path))
        except ResultsError as error:
            broken.append(BrokenRun(path, str(error)))
    return sorted(runs, key=lambda run: (run.created, run.path.name)), broken


def list_runs(results: str | os.PathLike[str] | None = None) -> list[RunEntry]:
    """Return the readable runs under results/, oldest first."""
    return scan_runs(results)[0]


def run_folders(results: Path) -> list[Path]:
    try:
        return sorted(p for p in results.iterdir() if p.is_dir() and not p.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsError(f"{results} can't be read: {error.strerror}.") from error


def read_entry(path: Path) -> RunEntry:
    try:
        data = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        names = {k: str(data[k]) for k in ("id", "created", "strategy", "market", "grade")}
        return RunEntry(path, **names, summary=data)
    except FileNotFoundError as error:
        raise ResultsError("it has no summary.json") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"its summary.json can't be read ({type(error).__name__}: {error})") from error


def load_run(run: str, results: str | os.PathLike[str] | None = None) -> SavedRun:
    """Return the run whose id starts with `run`, or whose folder or path is `run`; "last" is the newest.

    An unknown one is a ResultsError with the nearest names, one that fits several names them all.
    """
    runs, broken = scan_runs(results)
    for bad in broken:
        if run == bad.path.name:
            raise ResultsError(f"The run {run} is broken: {bad.problem}.")
    entry = find_entry(run, runs, results_folder(results))
    try:
        config = config_from_toml((entry.path / "config.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"The run {entry.path.name} has no readable config.toml: {error}.") from error
    return SavedRun(**{f.name: getattr(entry, f.name) for f in fields(entry)}, config=config)


def find_entry(run: str, runs: list[RunEntry], results: Path) -> RunEntry:
    if not runs:
        raise ResultsError(f"There are no runs in {results}; make one with `backtest run`.")
    if run == "last":
        return runs[-1]
    name = run.rstrip("/\\")
    found = [r for r in runs if r.path.name == name or r.path.resolve() == Path(name).resolve()]
    found = found or [r for r in runs if name and r.id.startswith(name)]
    found = found or [r for r in runs if name and r.path.name.startswith(name)]
    if not found:
        newest = [n for r in runs[-SHOWN:] for n in (r.id, r.path.name)]
        raise ResultsError(f"No run named {run!r} in {results}.{did_you_mean(run, newest)}")
    if len(found) > 1:
        names = ", ".join(r.path.name for r in found[-SHOWN:])
        raise ResultsError(f"{run!r} fits {len(found)} runs: {names}. Give more of the id.")
    return found[0]
