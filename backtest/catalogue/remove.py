"""Remove runs: whole folders of results/, and nothing else."""

import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backtest.catalogue.find import find_run
from backtest.catalogue.index import Index, read_index
from backtest.catalogue.runs import results_folder
from backtest.errors import ResultsError

__all__ = ["Doomed", "find_doomed", "remove_runs"]

REMOVED = ".removed-"
OURS = ("config.toml", "ledger.parquet")  # what a folder whose summary is lost still shows that it is a run by


@dataclass(frozen=True)
class Doomed:
    """A run that is to go: its folder, how many files it holds, and their bytes."""

    path: Path
    files: int
    size: int


def find_doomed(names: Sequence[str], results: str | os.PathLike[str] | None = None) -> list[Doomed]:
    """Return the runs of these names, each once; a name that is none, and what must not be removed, is a ResultsError."""
    index = read_index(results)
    paths = dict.fromkeys(path_of(name, index, results_folder(results)) for name in names)
    return [measured(path) for path in paths]


def path_of(name: str, index: Index, results: Path) -> Path:
    broken = [b for b in index.broken if name.rstrip("/\\") in (b.path.name, str(b.path))]
    path = broken[0].path if broken else find_run(name, index, results).path
    if path.is_symlink():
        raise ResultsError(f"{path} is a link to another folder; remove the link itself.")
    if broken and not all((path / file).is_file() for file in OURS):
        raise ResultsError(f"{path} is no run ({broken[0].problem}) and was left as it is.")
    return path


def measured(path: Path) -> Doomed:
    files = [Path(at) / file for at, _, names in os.walk(path) for file in names]
    return Doomed(path, len(files), sum(file.lstat().st_size for file in files if os.path.lexists(file)))


def remove_runs(doomed: Sequence[Doomed]) -> None:
    """Remove these folders, each gone from its name at once; a link inside one goes, what it leads to stays.

    What the system refuses is a ResultsError; what was begun is taken up by the next removal.
    """
    for run in doomed:
        aside = run.path.with_name(f"{REMOVED}{uuid.uuid4().hex}")
        try:
            os.rename(run.path, aside)
        except FileNotFoundError as error:
            raise ResultsError(f"{run.path} is gone already.") from error
        except OSError as error:
            raise ResultsError(f"{run.path} can't be removed: {error.strerror}.") from error
        clear(run.path.parent)
        if aside.exists():
            raise ResultsError(f"{run.path} is no run any more, but some of its files can't be deleted: {aside}.")


def clear(results: Path) -> None:
    """Delete what was set aside, now or by a removal that was interrupted."""
    for path in results.glob(f"{REMOVED}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
