"""The runs under results/: one folder each, written whole and read again."""

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.catalogue.folders import complete_folder
from backtest.catalogue.notes import keep_note, read_note
from backtest.catalogue.record import ASIDE
from backtest.catalogue.toml import config_to_toml
from backtest.errors import ResultsError
from backtest.model.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd

    from backtest.model.passport import Series
    from backtest.model.result import Result
    from backtest.model.venue import Venue

__all__ = [
    "ASSESSMENT",
    "REPORT",
    "BrokenRun",
    "RunEntry",
    "RunLine",
    "SavedRun",
    "list_runs",
    "read_entry",
    "results_folder",
    "run_id",
    "save_run",
    "scan_runs",
]

ID_LENGTH = 10
PACKAGES = ("numpy", "numba", "pandas", "pyarrow", "ta", "backtrader")  # whose versions may change a figure
LARGEST = sys.float_info.max
ASSESSMENT, REPORT = "assessment.json", "report.html"
SWEEP = "sweep.toml"  # what a sweep keeps in its folder, which is no run


@dataclass(frozen=True)
class RunLine:
    """A run as a line of the list: where it is, when it was made (ISO 8601, UTC), the user's note, its figures.

    market_hash: of the data, "" where the run does not say; metrics: name -> number, None where it is undefined.
    """

    path: Path
    id: str
    created: str
    strategy: str
    market: str
    grade: str
    note: str = ""
    market_hash: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class RunEntry(RunLine):
    """A run with all of its summary.json."""

    summary: Mapping[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class BrokenRun:
    """A folder under results/ that is no readable run, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class SavedRun(RunEntry):
    """A run read back: its configuration, and its tables when asked for."""

    config: RunConfig = field(kw_only=True)

    @cached_property
    def ledger(self) -> "pd.DataFrame":
        """Every change of money by its time, in order."""
        return self.indexed("ledger", "time")

    @cached_property
    def trades(self) -> "pd.DataFrame":
        """The round trips by entry time; the exit time of an open one is NaT."""
        return self.indexed("trades", "entry_time")

    @cached_property
    def equity(self) -> "pd.Series[float]":
        """Equity at each bar's close, by the bars' open times; `table("equity")` has the signed positions, too."""
        return self.indexed("equity", "time", "equity")["equity"]

    @cached_property
    def rejections(self) -> "pd.DataFrame":
        """The rows of the plan that came to nothing, by the time at which they failed."""
        return self.indexed("rejections", "time")

    @cached_property
    def assessment(self) -> Mapping[str, Any] | None:
        """What the run is worth, as plain data; None where it was kept without. A damaged file is a ResultsError."""
        try:
            data = json.loads((self.path / ASSESSMENT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ResultsError(f"The run {self.path.name} has no readable {ASSESSMENT}: {error}.") from error
        return data if isinstance(data, dict) else None

    def table(self, name: str) -> "pd.DataFrame":
        """Return one of the Parquet tables as it is in the file; a missing or damaged file is a ResultsError."""
        import pandas as pd

        try:
            return pd.read_parquet(self.path / f"{name}.parquet")
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise ResultsError(f"The run {self.path.name} has no readable {name}.parquet: {error}.") from error

    def indexed(self, name: str, time: str, *needed: str) -> "pd.DataFrame":
        """Return one of the tables by a column of times; a file without it, or what else is needed, is a ResultsError."""
        table = self.table(name)
        for column in (time, *needed):
            if column not in table:
                raise ResultsError(f"{name}.parquet of the run {self.path.name} has no column {column}; run it again.")
        return table.set_index(time)


def results_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of runs: the one given, else $BACKTEST_RESULTS, else ./results."""
    return Path(chosen or os.environ.get("BACKTEST_RESULTS") or "results").expanduser()


def run_id(result: "Result", source: str) -> str:
    """Return the id of a run: a hash of its configuration, the strategy's source, the data and the venue's numbers.

    source: the strategy's source or its digest. A result that does not say its engine counts as one of the fast engine.
    """
    config = config_of(result)
    ground = ground_text(result.passport.series, result.venue)
    return id_of(replace(config, engine=config.engine or "fast"), source, ground)


def id_of(config: RunConfig, source: str, ground: str) -> str:
    """Return the id of the run of a configuration that names its engine and every parameter; ground: of `ground_text`."""
    return hashlib.sha256(f"{config!r}\n{source!r}\n{ground}".encode()).hexdigest()[:ID_LENGTH]


def ground_text(series: "Iterable[Series]", venue: "Venue") -> str:
    """Return what an id rests on besides the configuration and the source: the data, not when they were fetched, and the venue."""
    data = [(s.name, s.origin, s.sha256) for s in series]
    return f"{data!r}\n{venue_numbers(venue)!r}"


def config_of(result: "Result") -> RunConfig:
    return result.config or RunConfig("plan", market=result.market_name, venue=result.venue.name)


def venue_numbers(venue: "Venue") -> list[tuple[str, Any]]:
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
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a run's folder and return it; it appears under its name only when it is complete and on the disk.

    summary: the run in figures, plain data for JSON; source: the digest of the strategy's source, for the id; files: name ->
    text of what else belongs into the folder, such as its report. The name holds the id and no time: the same run again
    replaces its folder, and keeps the note. Where nothing can be written: ResultsError, and nothing is left behind.
    """
    config, identity = config_of(result), run_id(result, source)
    final = results_folder(results) / folder_name(config.strategy, result.market_name, identity)
    made = (created or datetime.now(UTC)).isoformat(timespec="milliseconds")
    head = {"id": identity, "created": made, "version": version("levelbreak"), "source_sha256": source}
    text = json.dumps({**head, **summary, **facts(result)}, indent=2, allow_nan=False)
    toml = config_to_toml(config)
    with complete_folder(final) as draft:
        write_tables(result, draft)
        (draft / "config.toml").write_text(toml, encoding="utf-8")
        (draft / "summary.json").write_text(text + "\n", encoding="utf-8")
        for name, content in (files or {}).items():
            (draft / name).write_text(content, encoding="utf-8", newline="\n")
        keep_note(final, draft)
    return final


def write_tables(result: "Result", folder: Path) -> None:
    from pyarrow import parquet

    from backtest.catalogue.tables import equity_table, named_table

    tables = {name: named_table(getattr(result, f"{name}_table")) for name in ("ledger", "trades", "rejections")}
    for name, table in (tables | {"equity": equity_table(result)}).items():
        parquet.write_table(table, folder / f"{name}.parquet", compression="zstd")


def facts(result: "Result") -> dict[str, Any]:
    """Return what the figures rest on: the data, the venue's numbers and the versions, which a rerun compares."""
    from backtest.catalogue.trials import market_hash

    series = [asdict(s) for s in result.passport.series]
    return {
        "passport": {"grade": result.passport.grade, "series": series},
        "tier_tables": list(result.tier_tables),
        "market_hash": market_hash(result.passport),
        "venue": venue_facts(result),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def venue_facts(result: "Result") -> dict[str, Any]:
    """Return the venue's numbers for the run's symbols, and the hash of all that it has."""
    venue, numbers = result.venue, venue_numbers(result.venue)
    plain = {name: value for name, value in numbers if name not in ("instruments", "default")}
    plain = {k: str(v) if isinstance(v, float) and not is_number(v) else v for k, v in plain.items()}
    of = {symbol: venue.instruments.get(symbol, venue.default) for symbol in result.symbols}
    lots = {symbol: [i.lot, i.minimum_notional] for symbol, i in of.items()}
    return {**plain, "lots": lots, "sha256": hashlib.sha256(repr(numbers).encode()).hexdigest()}


def version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
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
        return sorted(p for p in results.iterdir() if p.is_dir() and is_named_as_run(p.name) and not is_sweep(p))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsError(f"{results} can't be read: {error.strerror}.") from error


def is_named_as_run(name: str) -> bool:
    """Return whether a folder of that name is meant to be a run: not on its way in or out, nor the record of trials."""
    return not name.startswith(".") and name != ASIDE


def is_sweep(path: Path) -> bool:
    return (path / SWEEP).is_file()


def read_entry(path: Path) -> RunEntry:
    """Return a folder's run; a folder that is none is a ResultsError, which says why in half a sentence."""
    try:
        data = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        names = {k: str(data[k]) for k in ("id", "created", "strategy", "market", "grade")}
        metrics = plain_metrics(data.get("metrics"))
        return RunEntry(path, **names, note=read_note(path), market_hash=hash_in(data), metrics=metrics, summary=data)
    except FileNotFoundError as error:
        raise ResultsError("it has no summary.json") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultsError(f"its summary.json can't be read ({type(error).__name__}: {error})") from error


def plain_metrics(found: Any) -> dict[str, float | None]:
    """Return the figures that a summary holds; what is no finite number is None."""
    if not isinstance(found, Mapping):
        return {}
    return {name: value if is_number(value) else None for name, value in found.items()}


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def hash_in(summary: Mapping[str, Any]) -> str:
    """Return the hash of the data that a summary names, or that of the passport in an older one; "" without either."""
    from backtest.catalogue.trials import hash_of

    if isinstance(summary.get("market_hash"), str):
        return str(summary["market_hash"])
    try:
        return hash_of((s["name"], s["origin"], s["sha256"]) for s in summary["passport"]["series"])
    except (KeyError, TypeError):
        return ""
