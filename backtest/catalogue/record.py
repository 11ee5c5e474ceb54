"""The files of the record of trials: `results/trials.parquet` takes what is new, and full ones go aside into `results/trials/`.

What lies aside never changes again, so a batch costs what it holds and at most what the open file holds, however long the
record is. It is not looked up there first: a trial that was written twice is read once. All is read a group of rows at a time.
"""

import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backtest.catalogue.folders import reason, to_disk
from backtest.errors import ResultsError
from backtest.model.arrays import Float, Int64

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

__all__ = [
    "ASIDE",
    "FULL",
    "LOCK",
    "NUMBERS",
    "TEXTS",
    "TRIALS",
    "Known",
    "append",
    "groups",
    "is_there",
    "latest_keys",
    "of_strategy",
]

TRIALS = "trials.parquet"
ASIDE = "trials"  # the folder of full files
LOCK = ".trials.lock"
FULL = 20_000  # rows of a file, and of a group that is read at once
PART = re.compile(r"part-\d{6}-.*\.parquet")
PATIENCE = 60.0  # seconds to wait for other writers, each of which takes a fraction of one
KEY = ["strategy", "market_hash", "identity"]
TEXTS = (*KEY, "kind", "created")
NUMBERS = {"sharpe": "float64", "periods": "int64", "bars": "int64"}
REPEATED = ["strategy", "market_hash", "kind", "created"]  # alike in many rows

Names = NDArray[np.bytes_]


def schema() -> "pa.Schema":
    """Return the columns of the record and their types."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in TEXTS]
    return pa.schema([*texts, *((name, pa.from_numpy_dtype(np.dtype(kind))) for name, kind in NUMBERS.items())])


# --- writing -----------------------------------------------------------------------------------------------------


def append(results: Path, new: "pa.Table") -> None:
    """Add rows to the record; what the open file has already stays as it is.

    Writers in other processes wait for each other. At every moment each file is the old one or the new one. A record that
    can't be read is a ResultsError and stays as it is.
    """
    import pyarrow as pa

    with alone(results):
        path = results / TRIALS
        old = read_open(path, FULL - new.num_rows)
        rows = first_ones(new, old)
        if rows:
            put(path, pa.concat_tables([*old, rows_of(new, rows)]).combine_chunks())


def read_open(path: Path, most: int) -> list["pa.Table"]:
    """Return the open file's table, if there is a file; one with more rows than that goes aside instead."""
    if not path.exists():
        return []
    with opened(path) as file:
        if file.metadata.num_rows <= most:
            return [full(file.read(use_threads=False))]
    put_aside(path)
    return []


def put_aside(path: Path) -> None:
    """Move the open file to the full ones; its number says when, and the rest of its name lets folders be copied together."""
    folder = path.with_name(ASIDE)
    folder.mkdir(exist_ok=True)
    last = max((int(part.name.split("-")[1]) for part in full_files(path.parent)), default=0)
    os.rename(path, folder / f"part-{last + 1:06d}-{uuid.uuid4().hex[:8]}.parquet")
    to_disk(folder)


def first_ones(new: "pa.Table", old: Iterable["pa.Table"]) -> list[int]:
    """Return the rows of a table that are not in the others, each key once."""
    seen = {key for table in old for key in keys(table)}
    found = []
    for row, key in enumerate(keys(new)):
        if key not in seen:
            found.append(row)
            seen.add(key)
    return found


def keys(table: "pa.Table") -> Iterator[tuple[str, str, str]]:
    """Return what makes each row the same trial as another: strategy, hash of the data, id."""
    strategies, hashes, identities = (table[name].to_pylist() for name in KEY)
    return zip(strategies, hashes, identities, strict=True)  # type: ignore[arg-type]


def rows_of(table: "pa.Table", rows: Sequence[int]) -> "pa.Table":
    """Return some rows of a table, in ascending order; `take` would import all of Arrow's functions."""
    import pyarrow as pa

    pieces = [table.slice(first, count) for first, count in stretches(rows)]
    return pa.concat_tables(pieces) if pieces else table.slice(0, 0)


def stretches(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return rows in ascending order as stretches without a gap: first and count.

    >>> list(stretches([0, 1, 2, 5, 7, 8]))
    [(0, 3), (5, 1), (7, 2)]
    """
    cuts = [0, *(i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1), len(rows)]
    return ((rows[a], b - a) for a, b in pairwise(cuts) if b > a)


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
    """Write the open file so that its name stands for the old one or the new one, never for a part."""
    from pyarrow import parquet

    draft = path.with_name(f".writing-{uuid.uuid4().hex}")
    settings: dict[str, Any] = {"use_dictionary": REPEATED, "write_statistics": REPEATED, "write_page_checksum": True}
    try:
        parquet.write_table(table, draft, row_group_size=FULL, compression="zstd", **settings)
        to_disk(draft)
        os.replace(draft, path)
        to_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)


# --- reading -----------------------------------------------------------------------------------------------------


def is_there(place: Path) -> bool:
    """Return whether a results folder has any trials on record; place: the folder, or a file of trials."""
    return place.is_file() or (place / TRIALS).is_file() or bool(full_files(place))


def full_files(results: Path) -> list[Path]:
    """Return the files that were put aside, oldest first; a folder that can't be listed is a ResultsError."""
    folder = results / ASIDE
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ResultsError(f"{folder} with the record of trials can't be read: {error.strerror}.") from error
    return [folder / name for name in sorted(names) if PART.fullmatch(name)]


def groups(place: Path, columns: list[str] | None = None, about: tuple[str, str] | None = None) -> Iterator["pa.Table"]:
    """Give the rows of a record in groups, in the order in which they were added, none where there is no record.

    place: a results folder, or a file; columns: None for all; about: only groups that may hold trials of this strategy and hash.
    The open file is opened first, so that its rows are there even where it goes aside meanwhile, then twice. A file that can't
    be read is a ResultsError.
    """
    with ExitStack() as stack:
        latest = open_file(stack, place if place.is_file() else place / TRIALS)
        for path in full_files(place):
            with opened(path) as file:
                yield from groups_of(file, columns, about)
        if latest is not None:
            yield from groups_of(latest, columns, about)


def open_file(stack: ExitStack, path: Path) -> "parquet.ParquetFile | None":
    try:
        return stack.enter_context(opened(path))
    except ResultsError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def latest_keys(results: Path) -> set[tuple[str, str, str]]:
    """Return what makes the rows of the open file the same trials as others."""
    with ExitStack() as stack:
        file = open_file(stack, results / TRIALS)
        return set() if file is None else set(keys(full(file.read(KEY, use_threads=False))))


def groups_of(
    file: "parquet.ParquetFile", columns: list[str] | None, about: tuple[str, str] | None
) -> Iterator["pa.Table"]:
    import pyarrow as pa

    there = range(file.num_row_groups)
    wanted = [i for i in there if about is None or may_hold(file.metadata.row_group(i), about)]
    if wanted:
        for batch in file.iter_batches(FULL, row_groups=wanted, columns=columns, use_threads=False):
            yield full(pa.Table.from_batches([batch]))


def may_hold(group: Any, about: tuple[str, str]) -> bool:
    """Return whether a group of rows may hold trials of a strategy on data, by the least and the largest name in it."""
    ranges = [group.column(i).statistics for i in range(len(about))]
    return all(r is None or not r.has_min_max or r.min <= name <= r.max for r, name in zip(ranges, about, strict=True))


def full(table: "pa.Table") -> "pa.Table":
    if any(table[name].null_count for name in table.column_names):
        raise ValueError("it has rows with holes")
    return table


@contextmanager
def opened(path: Path) -> Iterator["parquet.ParquetFile"]:
    """Give a file of the record; what is none, then or while it is read, is a ResultsError, and the file stays as it is."""
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(schema()):
                raise ValueError(f"its columns are {', '.join(file.schema_arrow.names)}")
            yield file
    except (OSError, ValueError, ArrowException) as error:
        why = str(error).splitlines()[0]
        raise ResultsError(
            f"{path} can't be read as the record of trials ({why}); it was left as it is. "
            "Put back a copy of it, or move it away and build the catalogue again: what runs remain are counted."
        ) from error


def of_strategy(results: Path, strategy: str, market_hash: str) -> tuple[Names, Float]:
    """Return the ids and the Sharpe ratios of a strategy's trials on data, each id once, in the order of the record."""
    names, sharpes = [np.empty(0, "S1")], [np.empty(0)]
    for table in groups(results, [*KEY, "sharpe"], (strategy, market_hash)):
        mine = (bytes_of(table["strategy"]) == as_bytes(strategy)) & (
            bytes_of(table["market_hash"]) == as_bytes(market_hash)
        )
        names.append(bytes_of(table["identity"])[mine])
        sharpes.append(floats_of(table["sharpe"])[mine])
    found, ratios = np.concatenate(names), np.concatenate(sharpes)
    once = np.sort(np.unique(found, return_index=True)[1])
    return found[once], ratios[once]


def as_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def bytes_of(column: "pa.ChunkedArray[Any]") -> Names:
    """Return a column of texts as an array of their bytes, as wide as the longest; without an object for each."""
    texts: Any = column.combine_chunks()
    count = len(texts)
    if not count:
        return np.empty(0, "S1")
    _, ends, letters = texts.buffers()
    at = np.frombuffer(ends, np.int32, count + 1, 4 * texts.offset)
    sizes = np.diff(at)
    rows = np.zeros((count, max(1, int(sizes.max()))), np.uint8)
    if letters is not None:
        rows[np.arange(rows.shape[1]) < sizes[:, None]] = np.frombuffer(letters, np.uint8)[at[0] : at[-1]]
    return rows.view(f"S{rows.shape[1]}")[:, 0]


def floats_of(column: "pa.ChunkedArray[Any]") -> Float:
    numbers: Any = column.combine_chunks()
    count = len(numbers)
    return np.frombuffer(numbers.buffers()[1], np.float64, count, 8 * numbers.offset) if count else np.empty(0)


class Known:
    """What is on record, to leave out what is there already: eight bytes for each trial, read once."""

    def __init__(self, results: Path) -> None:
        hashes = [hashes_of(table) for table in groups(results, KEY)]
        self.hashes = np.unique(np.concatenate([np.empty(0, np.int64), *hashes]))

    def lacking(self, table: "pa.Table") -> "pa.Table":
        """Return the rows that are not known, each once, and know them from now on."""
        asked = hashes_of(table)
        first = np.unique(asked, return_index=True)[1]
        rows = np.sort(first[~np.isin(asked[first], self.hashes)])
        self.hashes = np.union1d(self.hashes, asked[rows])
        return rows_of(table, rows.tolist())


def hashes_of(table: "pa.Table") -> Int64:
    return np.fromiter(map(hash, keys(table)), np.int64, table.num_rows)
