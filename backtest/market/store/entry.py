"""The store: what was fetched or imported, a folder a series, whole at every moment and checked whenever it is read.

STORE/SOURCE/ENTRY/ holds `manifest.json` and Parquet files named by part and content, `2025-07.1a2b3c4d5e6f.parquet`. A
write puts new files beside the old ones, then replaces the manifest, then deletes what it no longer names: a kill in
between leaves the old state or the new one, and at most a file that nobody names. Readers need no lock.
"""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from backtest.errors import MarketError
from backtest.market.clock import interval_text
from backtest.market.sources.base import COLUMNS, Page
from backtest.market.store.disk import TEMPORARY, locked, put, remove, saving, sync
from backtest.market.store.manifest import MANIFEST, Asked, Manifest, manifest_text, read_manifest
from backtest.market.store.merging import Merged, Written, merge_page
from backtest.market.store.partitions import Rows, names_of
from backtest.market.store.reading import lacking, name_of, read_part, read_steadily

__all__ = [
    "Entry",
    "Manifest",
    "Written",
    "entry_name",
    "file_name",
    "is_leftover",
    "list_entries",
    "open_entry",
    "read_entry",
    "store_root",
]

SAFE = re.compile(r"[^A-Za-z0-9._-]")
PART = re.compile(r"\d{4}(-\d{2})?\.[0-9a-f]{12}\.parquet")
LONGEST = 80  # characters of a symbol in a folder's name


def store_root() -> Path:
    """Return the folder that fetched data are written to.

    $BACKTEST_DATA/store where that is set, else ./data/store in a checkout, else the user's data folder.
    """
    import platformdirs

    if declared := os.environ.get("BACKTEST_DATA"):
        return Path(declared) / "store"
    if Path("data").is_dir() and Path("pyproject.toml").is_file():
        return Path("data") / "store"
    return platformdirs.user_data_path("levelbreak") / "store"


def entry_name(symbol: str, kind: str, interval: int) -> str:
    """Return the name of a series' folder, another one for every series.

    A symbol with signs that file names can't have, or that reads like another series' name, gets a few digits of its
    checksum. MarketError for no symbol, an unknown kind, and bars without an interval.

    >>> entry_name("BTCUSDT", "bars", 3_600_000_000_000), entry_name("BTCUSDT", "funding", 0)
    ('BTCUSDT_1h', 'BTCUSDT_funding')
    >>> entry_name("BTC/USDT:USDT", "mark", 3_600_000_000_000)
    'BTC_USDT_USDT-6c7cb41c_mark_1h'
    """
    names_of(kind)
    if not symbol:
        raise MarketError("A stored series needs a symbol; it is empty.")
    if interval < 0 or (interval == 0 and kind in ("bars", "mark", "premium")):
        raise MarketError(f'The {kind} of {symbol} need an interval, such as "1h".')
    safe = SAFE.sub("_", symbol)[:LONGEST]
    safe = f"_{safe[1:]}" if safe.startswith((".", "-")) else safe
    like_another = kind == "bars" and any(symbol.endswith(f"_{other}") for other in COLUMNS)
    if safe != symbol or like_another:
        safe += f"-{hashlib.sha256(symbol.encode()).hexdigest()[:8]}"
    return file_name(safe, kind, interval)


def file_name(symbol: str, kind: str, interval: int) -> str:
    """Return a series' name from its parts, as a file that is placed by hand has it, without its ending."""
    return "_".join([symbol, *([kind] if kind != "bars" else []), *([interval_text(interval)] if interval else [])])


def check_source(source: str) -> None:
    """Refuse a name of a source that can't be the name of a folder."""
    if not source or SAFE.search(source) or source.startswith("."):
        raise MarketError(f"{source!r} can't be the name of a store; use letters, digits, dashes and underscores.")


class Entry:
    """A series of the store. manifest: as last read or written; nothing is on the disk before the first write."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.turn = threading.Lock()  # threads of one process wait here; for the file lock they would have to poll

    @property
    def label(self) -> str:
        """The series as messages name it: "binance/BTCUSDT_1h"."""
        return name_of(self.folder)

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the spans of [start, end), ns UTC, that were not fetched yet: all of it where not a row came so far.

        An answer without a row may be a server's mistake; it is asked again until there is one.
        """
        if not self.manifest.rows:
            return [(start, end)] if start < end else []
        return self.manifest.uncovered(start, end)

    def read(self, start: int | None = None, end: int | None = None) -> Rows:
        """Return the rows from start to before end, ns UTC, all by default: time (k,) int64, values (k,) float64.

        Every file is checked against the manifest before it is used. MarketError, with the file and the series, for one
        that is missing or was changed.
        """
        self.manifest, rows = read_steadily(self.folder, self.manifest, start, end)
        return rows

    def write(
        self, page: Page, *, closed_before: int, retrieved_at: int | None = None, request: Asked | None = None
    ) -> Written:
        """Store a page and return what became of its rows; all of it is stored, or nothing.

        closed_before: rows that are not over and known by then, ns UTC, are not stored; retrieved_at: ns UTC, now by
        default; request: what the page answers, its own span by default. MarketError when the disk refuses, and when
        what is stored was changed.
        """
        when = time.time_ns() if retrieved_at is None else retrieved_at
        with self.turn, saving(self.label, self.folder), locked(self.folder):
            manifest = read_manifest(self.folder) or blank(self.manifest)
            part, server = self.part_of(manifest), stand_in(manifest.source)
            merged = merge_page(manifest, self.label, page, closed_before, part, when, request, server)
            self.save(merged)
            self.manifest = merged.manifest
        return merged.written

    def part_of(self, manifest: Manifest) -> Callable[[str], Rows]:
        """Return what gives the rows of one of a manifest's files."""

        def load(name: str) -> Rows:
            try:
                return read_part(self.folder, name, manifest.partitions[name])
            except FileNotFoundError:
                raise MarketError(lacking(self.folder, name)) from None

        return load

    def save(self, merged: Merged) -> None:
        """Put the files of a merge in place, then its manifest, then delete what it no longer names."""
        try:
            for name, data in merged.files.items():
                put(self.folder / name, data)
            sync(self.folder)
            put(self.folder / MANIFEST, manifest_text(merged.manifest))
        except Exception:
            self.take_back(merged.files)
            raise
        sync(self.folder)
        self.sweep(merged.manifest)

    def take_back(self, files: Iterable[str]) -> None:
        """Delete new files that never came to be named: on a full disk they would take the room."""
        with suppress(MarketError):
            manifest = read_manifest(self.folder) or blank(self.manifest)
            for name in set(files) - set(manifest.partitions):
                remove(self.folder / name)

    def sweep(self, manifest: Manifest) -> None:
        """Delete what a manifest no longer names and what killed writers left behind; the lock is held."""
        for path in self.folder.iterdir():
            if is_leftover(path.name, manifest):
                remove(path)


def stand_in(source: str) -> str:
    """Return the address of the server that is asked in place of a source's own, without user and password; "" for none."""
    address = os.environ.get(f"BACKTEST_URL_{source.upper().replace('-', '_')}", "")
    scheme, _, rest = address.rpartition("://")
    host = rest.rpartition("@")[2].partition("/")[0]
    return f"{scheme}://{host}" if scheme else host


def blank(manifest: Manifest) -> Manifest:
    """Return the manifest of the same series without anything in it."""
    m = manifest
    return Manifest(source=m.source, symbol=m.symbol, kind=m.kind, interval=m.interval)


def is_leftover(name: str, manifest: Manifest | None) -> bool:
    """Whether a file is one that a killed writer left behind: half written, or put there before its manifest."""
    named = manifest.partitions if manifest else {}
    return (name.startswith(".") and name.endswith(TEMPORARY)) or (bool(PART.fullmatch(name)) and name not in named)


def open_entry(root: Path, source: str, symbol: str, kind: str, interval: int) -> Entry:
    """Return a series of the store at `root`, there or not yet, to write or to read; interval in ns, 0 for stamps.

    What killed writers left in it is deleted. MarketError for names that can't be, a manifest that was changed, and a
    folder that is another series' (file systems that ignore case).
    """
    check_source(source)
    folder = root / source / entry_name(symbol, kind, interval)
    asked = Manifest(source=source, symbol=symbol, kind=kind, interval=interval)
    found = read_manifest(folder)
    if found is not None and blank(found) != asked:
        raise MarketError(f"{name_of(folder)} holds the {found.kind} of {found.symbol!r}, not those of {symbol!r}.")
    entry = Entry(folder, found or asked)
    if folder.is_dir() and any(is_leftover(path.name, found) for path in folder.iterdir()):
        with suppress(OSError), entry.turn, locked(folder):
            entry.manifest = read_manifest(folder) or asked
            entry.sweep(entry.manifest)
    return entry


def read_entry(folder: Path) -> Entry:
    """Return the series of a folder that has a manifest, to read it; MarketError without one."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise MarketError(f"{folder} holds no stored series; it has no {MANIFEST}.")
    return Entry(folder, manifest)


def entry_folders(root: Path) -> list[Path]:
    """Return the folders of a store that have a manifest, sorted."""
    return sorted(path.parent for path in root.glob(f"*/*/{MANIFEST}"))


def list_entries(root: Path) -> list[Manifest]:
    """Return the manifests of a store, by source and series; those that can't be read are left to `verify` to name."""
    found = []
    for folder in entry_folders(root):
        with suppress(MarketError):
            found.append(read_entry(folder).manifest)
    return found
