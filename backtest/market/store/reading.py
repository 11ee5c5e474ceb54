"""The files of a stored series to columns: read once, checked byte for byte against the manifest, decoded side by side."""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from backtest.errors import MarketError
from backtest.market.sources.base import COLUMNS
from backtest.market.store.manifest import Manifest, Partition, read_manifest
from backtest.market.store.partitions import Rows, decode, names_of, of

__all__ = ["changed", "lacking", "name_of", "read_part", "read_rows", "read_steadily"]

READERS = 4  # files that are read and checked at once
TRIES = 20  # a reader starts again when a writer replaced the files that it was about to read
PAUSE = 0.01  # seconds, longer each time
AGAIN = "Delete the series' folder and fetch it again, or put the original file back"


def read_steadily(folder: Path, manifest: Manifest, start: int | None, end: int | None) -> tuple[Manifest, Rows]:
    """Return a series' rows from start to before end, and the manifest that they belong to, while others may write."""
    for attempt in range(TRIES):
        try:
            return manifest, read_rows(folder, manifest, start, end)
        except FileNotFoundError as error:
            fresh = read_manifest(folder)
            if fresh is None or fresh.partitions == manifest.partitions:
                raise MarketError(lacking(folder, Path(error.filename).name)) from None
            manifest = fresh
        except OSError as error:
            raise MarketError(f"{name_of(folder)} can't be read ({error.strerror or error}: {folder}).") from None
        time.sleep(PAUSE * attempt)
    raise MarketError(f"{name_of(folder)} is being written all the time; read it once the fetch is done.")


def read_rows(folder: Path, manifest: Manifest, start: int | None = None, end: int | None = None) -> Rows:
    """Return a series' rows from start to before end, ns UTC; FileNotFoundError where a file is not there."""
    low = -(2**63) if start is None else start
    high = 2**63 - 1 if end is None else end
    parts = sorted(manifest.partitions.items(), key=lambda item: item[1].start)
    rows = gather(folder, manifest, [(n, p) for n, p in parts if p.start < high and low < max(p.end, p.start + 1)])
    a, b = np.searchsorted(rows["time"], [low, high])
    return rows if b - a == rows["time"].size else {name: column[a:b] for name, column in rows.items()}


def gather(folder: Path, manifest: Manifest, parts: Sequence[tuple[str, Partition]]) -> Rows:
    """Return the rows of some files, one after the other; columns that not all of them have are filled."""
    edges = np.cumsum([0, *(p.rows for _, p in parts)])
    always = ("time", *COLUMNS[manifest.kind])
    rows: Rows = {n: np.empty(edges[-1], np.int64 if n == "time" else np.float64) for n in always}

    def fill(i: int) -> Rows:
        mine = read_part(folder, *parts[i])
        for name in always:
            rows[name][edges[i] : edges[i + 1]] = mine[name]
        return {n: c for n, c in mine.items() if n == "time" or n not in always}

    with ThreadPoolExecutor(max(1, min(READERS, len(parts)))) as pool:
        rest = list(pool.map(fill, range(len(parts))))
    for name in names_of(manifest.kind):
        if name not in rows and any(name in mine for mine in rest):
            rows[name] = np.concatenate([of(mine, name, manifest.interval) for mine in rest])
    return rows


def read_part(folder: Path, name: str, part: Partition) -> Rows:
    """Return the rows of one file whose bytes are those that were stored; MarketError for others."""
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise MarketError(changed(folder, name))
    return decode(data)


def changed(folder: Path, name: str) -> str:
    """Return what is wrong with a file that is not the one that was stored."""
    return (
        f"{name_of(folder)}: the file {name} of the series was changed after it was stored; its SHA-256 is not that of "
        f"the manifest. {AGAIN} ({folder})."
    )


def lacking(folder: Path, name: str) -> str:
    """Return what is wrong with a series that lacks a file."""
    return f"{name_of(folder)}: the file {name} of the series is missing. {AGAIN} ({folder})."


def name_of(folder: Path) -> str:
    """Return a series as messages name it: "binance/BTCUSDT_1h"."""
    return f"{folder.parent.name}/{folder.name}"
