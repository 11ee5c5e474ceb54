"""The store held against its manifests: what is as it was stored, what was changed, what is missing, what is foreign."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backtest.errors import MarketError
from backtest.market.store.disk import LOCK
from backtest.market.store.entry import entry_name, is_leftover
from backtest.market.store.manifest import MANIFEST, Manifest, read_manifest
from backtest.market.store.reading import changed, lacking, name_of
from backtest.market.validate import count

__all__ = ["Finding", "verify"]

State = Literal["ok", "changed", "missing", "foreign", "unverified", "leftover"]
TRIES = 5  # a series that is written meanwhile is looked at again


@dataclass(frozen=True)
class Finding:
    """What was found of a series, or of one of its files.

    state: "ok"; "changed" or "missing" for a file that is not as the manifest says; "foreign" for one that the store did
    not write; "unverified" for a series file that was placed by hand; "leftover" for what a killed write left, which the
    next one deletes. series: "binance/BTCUSDT_1h"; file: its name, "" for all of the series; text: a sentence.
    """

    series: str
    state: State
    file: str
    text: str

    @property
    def bad(self) -> bool:
        """Whether data are not what was stored."""
        return self.state in ("changed", "missing")


def verify(root: Path) -> list[Finding]:
    """Return what was found of every series below a store's folder, by name: one finding for each that is ok, and one for
    every file that is not as it should be. Every byte is read, nothing is changed. MarketError for what is no folder.
    """
    try:
        os.listdir(root)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MarketError(
            f"{root} can't be read as a store ({error.strerror}); name another folder (--data DIR)."
        ) from None
    found: list[Finding] = []
    for source in sorted(path for path in root.glob("*") if not path.name.startswith(".")):
        if not source.is_dir():
            found.append(foreign(source.name, source))
            continue
        for path in sorted(source.iterdir()):
            found += entry(path) if path.is_dir() else single(path)
    return found


def single(path: Path) -> Iterator[Finding]:
    """A file beside the series' folders: one that markets may read, or a foreign one."""
    name = f"{path.parent.name}/{path.name}"
    if path.suffix == ".parquet":
        told = f"{name} was placed there by hand: markets can read it, but nothing shows whether it was changed."
        yield Finding(name, "unverified", path.name, told)
    elif not path.name.startswith("."):
        yield foreign(name, path)


def entry(folder: Path) -> list[Finding]:
    """Return what was found of a series' folder, looked at again while somebody writes it."""
    for _ in range(TRIES):
        try:
            manifest = read_manifest(folder)
            found = list(held_against(folder, manifest))
            if read_manifest(folder) == manifest:
                break
        except MarketError as error:
            return [Finding(name_of(folder), "changed", MANIFEST, str(error))]
    return found


def held_against(folder: Path, manifest: Manifest | None) -> Iterator[Finding]:
    """The files of a folder held against its manifest."""
    name = name_of(folder)
    wrong = [*strangers(folder, manifest), *(damaged(folder, manifest) if manifest else [])]
    yield from wrong
    if manifest is None or any(f.bad for f in wrong):
        return
    if (manifest.source, entry_name(manifest.symbol, manifest.kind, manifest.interval)) != (
        folder.parent.name,
        folder.name,
    ):
        yield Finding(
            name, "foreign", MANIFEST, f"{name} holds the {manifest.kind} of {manifest.source}:{manifest.symbol}."
        )
        return
    files = count(len(manifest.partitions), "file")
    yield Finding(name, "ok", "", f"{name}: {count(manifest.rows, 'row')} in {files} are as they were stored.")


def strangers(folder: Path, manifest: Manifest | None) -> Iterator[Finding]:
    """The files of a folder that its manifest does not name."""
    named = manifest.partitions if manifest else {}
    for path in sorted(folder.iterdir()):
        if is_leftover(path.name, manifest):
            told = f"{name_of(folder)}: {path.name} was left by a write that did not end; the next one deletes it."
            yield Finding(name_of(folder), "leftover", path.name, told)
        elif path.name not in (MANIFEST, LOCK, *named):
            yield foreign(name_of(folder), path)


def damaged(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """The files of a manifest that are not there, or have other bytes."""
    for file, part in manifest.partitions.items():
        try:
            sha = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except FileNotFoundError:
            yield Finding(name_of(folder), "missing", file, lacking(folder, file))
            continue
        except OSError as error:
            yield Finding(name_of(folder), "changed", file, f"{folder / file} can't be read ({error.strerror}).")
            continue
        if sha != part.sha256:
            yield Finding(name_of(folder), "changed", file, changed(folder, file))


def foreign(series: str, path: Path) -> Finding:
    """Return the finding on a file that is none of the store's."""
    return Finding(series, "foreign", path.name, f"{path} is no file of the store; nothing reads it.")
