"""The catalogue: `results/catalogue.sqlite`, what the folders of the runs say, kept so that a long list is quick.

It holds nothing of its own. Every reading compares it with the folders first: new, changed and gone ones are noticed
by their files' times and sizes, so a folder that was copied here is in the list, and the file may be deleted at any time.
"""

import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from backtest.catalogue.notes import NOTE
from backtest.catalogue.runs import (
    BrokenRun,
    RunEntry,
    RunLine,
    is_named_as_run,
    is_sweep,
    plain_metrics,
    read_entry,
    results_folder,
)
from backtest.catalogue.trials import merge_runs
from backtest.errors import ResultsError

__all__ = ["CATALOGUE", "Index", "read_index"]

CATALOGUE = "catalogue.sqlite"
SUMMARY = "summary.json"
APPLICATION = 0x6C62726B  # "lbrk", in the head of the file: it is ours, and may be made again
FORMAT = 1
PATIENCE = 2.0  # seconds to wait for another process
TEXTS = ("id", "created", "strategy", "market", "grade", "note", "market_hash")
COLUMNS = ("folder", "stamp", *TEXTS, "metrics", "problem")
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)


@dataclass(frozen=True)
class Index:
    """The runs, oldest first, the folders that are none, and a sentence where the catalogue's file was of no use."""

    runs: tuple[RunLine, ...] = ()
    broken: tuple[BrokenRun, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Row:
    """What is kept of a folder; stamp: by which a change is noticed; problem: why it is no run; kept: worth keeping.

    entry: the run with its summary, where that was just read.
    """

    folder: str
    stamp: str
    line: RunLine
    problem: str = ""
    kept: bool = True
    entry: RunEntry | None = None


class NotOursError(Exception):
    """A database of somebody else's under the catalogue's name."""


def read_index(results: str | os.PathLike[str] | None = None) -> Index:
    """Return what is under results/, with the catalogue's file brought up to date.

    A damaged file is made again; one that is locked, can't be written or is somebody else's is left alone, and what it
    lacks is read from the folders. `problem` says so in a sentence. Runs that are new here are counted as trials, too.
    """
    place = results_folder(results)
    path = place / CATALOGUE
    known, sentence, usable = rows_in(path) if os.path.lexists(path) else ({}, "", True)
    rows = rows_now(place, known)
    changed = [row for name, row in rows.items() if row.kept and row is not known.get(name)]
    gone = known.keys() - rows.keys()
    if usable and (changed or gone) and (known or not all(row.problem for row in changed)):
        sentence = keep(path, changed, gone) or sentence
    sentence = sentence or uncounted(place, rows.values())
    runs = sorted((r.line for r in rows.values() if not r.problem), key=lambda run: (run.created, run.path.name))
    broken = [BrokenRun(row.line.path, row.problem) for name, row in sorted(rows.items()) if row.problem]
    return Index(tuple(runs), tuple(broken), sentence)


def uncounted(results: Path, rows: Iterable[Row]) -> str:
    """Add the runs that were just read to the record of trials where it lacks them; return why that failed, else ""."""
    read = [row.entry for row in rows if row.entry is not None]
    if not read:
        return ""
    try:
        merge_runs(results, read)
    except ResultsError as error:
        return str(error)
    return ""


def rows_now(results: Path, known: Mapping[str, Row]) -> dict[str, Row]:
    """Return a row for each folder: the one known where nothing changed, else what its files say."""
    found = {}
    for name, stamp in stamps_of(results).items():
        row = known.get(name)
        if row is None or row.stamp != stamp:
            row = fresh_row(results / name, stamp)
        if not row.problem or row.line.path.exists():  # or it went meanwhile
            found[name] = row
    return found


# --- the folders -------------------------------------------------------------------------------------------------


def stamps_of(results: Path) -> dict[str, str]:
    """Return the name of each folder with its stamp: the times, sizes and numbers of its summary and its note."""
    try:
        with os.scandir(results) as entries:
            names = [e.name for e in entries if is_named_as_run(e.name) and e.is_dir()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ResultsError(f"{results} can't be read: {error.strerror}.") from error
    stamps = {n: f"{stamp(f'{results}/{n}/{SUMMARY}')} {stamp(f'{results}/{n}/{NOTE}')}" for n in names}
    return {n: found for n, found in stamps.items() if not (found.startswith("-") and is_sweep(results / n))}


def stamp(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError as error:
        return f"-{error.errno}"
    return f"{found.st_mtime_ns}.{found.st_ctime_ns}.{found.st_size}.{found.st_ino}"


def fresh_row(path: Path, stamp: str) -> Row:
    """Return a folder's row from its files; what the system would not read now is not kept, and tried again."""
    try:
        entry = read_entry(path)
    except ResultsError as error:
        if (
            isinstance(error.__cause__, FileNotFoundError) and (path / SUMMARY).exists()
        ):  # a run was just put in its place
            return fresh_row(path, stamp)
        refused = isinstance(error.__cause__, OSError)
        line = RunLine(path, "", "", "", "", "")
        return Row(path.name, stamp, line, str(error), kept=not refused and is_text(path.name))
    line = RunLine(**{f.name: getattr(entry, f.name) for f in fields(RunLine)})
    return Row(path.name, stamp, line, kept=is_text(path.name), entry=entry)


def is_text(name: str) -> bool:
    """Return whether a folder's name is text that a database can hold: a name of stray bytes is none."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- the file ----------------------------------------------------------------------------------------------------


def rows_in(path: Path) -> tuple[dict[str, Row], str, bool]:
    """Return the rows of the file, a sentence where they are no use, and whether the file may be written."""
    try:
        with connected(path) as base:
            return {row.folder: row for row in rows_of(base, path.parent)}, "", True
    except NotOursError:
        return {}, f"{path} is no catalogue of runs and was left as it is; the list was read from the folders.", False
    except (sqlite3.Error, ValueError, TypeError) as error:
        if is_damaged(error) and remove_damaged(path):
            return {}, f"{path} was damaged and has been made again from the folders.", True
        return {}, unusable(path, error), False


def rows_of(base: sqlite3.Connection, results: Path) -> Iterator[Row]:
    if not is_ours(base):
        return
    for values in base.execute(f"SELECT {', '.join(COLUMNS)} FROM runs"):
        if not all(isinstance(value, str) for value in values):
            raise ValueError("a value is no text")
        row = dict(zip(COLUMNS, values, strict=True))
        metrics = plain_metrics(json.loads(row["metrics"]))
        line = RunLine(results / row["folder"], **{name: row[name] for name in TEXTS}, metrics=metrics)
        yield Row(row["folder"], row["stamp"], line, row["problem"])


def is_ours(base: sqlite3.Connection) -> bool:
    """Return whether the file is a catalogue of this format; an empty one or one of another format has no rows."""
    (application,), (form,) = base.execute("PRAGMA application_id"), base.execute("PRAGMA user_version")
    if application[0] != APPLICATION and base.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise NotOursError
    return (application[0], form[0]) == (APPLICATION, FORMAT)


def keep(path: Path, changed: Iterable[Row], gone: Iterable[str]) -> str:
    """Write the rows that changed and take out those of folders that are gone; return a sentence where that failed."""
    try:
        with connected(path) as base:
            base.execute("BEGIN IMMEDIATE")
            if not is_ours(base):
                make_table(base)
            base.executemany("DELETE FROM runs WHERE folder = ?", [(name,) for name in gone])
            holes = ", ".join("?" * len(COLUMNS))
            base.executemany(f"INSERT OR REPLACE INTO runs VALUES ({holes})", map(values_of, changed))
            base.execute("COMMIT")
    except (sqlite3.Error, NotOursError) as error:
        if is_damaged(error) and remove_damaged(path):
            return f"{path} was damaged; the next command makes it again."
        return unusable(path, error)
    return ""


def make_table(base: sqlite3.Connection) -> None:
    base.execute("DROP TABLE IF EXISTS runs")
    columns = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS[1:])
    base.execute(f"CREATE TABLE runs (folder TEXT PRIMARY KEY NOT NULL, {columns})")
    base.execute(f"PRAGMA application_id = {APPLICATION}")
    base.execute(f"PRAGMA user_version = {FORMAT}")


def values_of(row: Row) -> tuple[str, ...]:
    texts = [getattr(row.line, name) for name in TEXTS]
    found = (row.folder, row.stamp, *texts, json.dumps(dict(row.line.metrics)), row.problem)
    return tuple(text.encode("utf-8", "replace").decode() for text in found)


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as base:
        yield base


def is_damaged(error: Exception) -> bool:
    """Return whether an error is the file's own: said by SQLite, or, without a code of its, of a value that it held."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error):
        return code is None or code & 0xFF in DAMAGED
    return isinstance(error, (ValueError, TypeError))


def remove_damaged(path: Path) -> bool:
    """Take a damaged file out of the way, with the journal that would be played back into the next; return whether it is."""
    aside = path.with_name(f".damaged-{uuid.uuid4().hex}")
    try:
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        os.rename(path, aside)
        aside.unlink()
    except OSError:
        return False
    return True


def unusable(path: Path, error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in BUSY:
        return f"{path} is in use by another process; the list was read from the folders."
    return f"{path} can't be used ({error}); the list was read from the folders."
