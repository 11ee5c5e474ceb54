"""Folders that appear under their final name only when they are complete and on the disk."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backtest.errors import ResultsError

__all__ = ["complete_folder"]

ATTEMPTS = 20


@contextmanager
def complete_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder to write into, beside `final`; on success it takes that name, replacing what was there.

    On any failure, an interruption included, the temporary folder is removed and what was there stays. What the
    system refuses (no right to write, disk full) is a ResultsError.
    """
    parent = final.parent
    draft = parent / f".writing-{uuid.uuid4().hex}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        yield draft
        for path in (*sorted(draft.iterdir()), draft):
            to_disk(path)
        put_in_place(draft, final)
        to_disk(parent)
    except OSError as error:
        raise ResultsError(reason(error, parent)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_in_place(draft: Path, final: Path) -> None:
    """Rename the draft to its final name; an older folder of that name steps aside, and comes back if that fails."""
    for _ in range(ATTEMPTS):
        aside = final.parent / f".replaced-{uuid.uuid4().hex}"
        try:
            os.rename(final, aside)
        except FileNotFoundError:
            aside = final
        try:
            os.rename(draft, final)
        except OSError as error:
            if aside != final and not final.exists():
                os.rename(aside, final)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            if aside != final:
                remove(aside)
            return
        if aside != final:
            remove(aside)
    raise ResultsError(f"{final} is being written by other runs; try again.")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # a folder has no handle to flush there
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reason(error: OSError, results: Path) -> str:
    """Return the sentence for what the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No result was written: the disk of {results} is full. Free some space, or choose another `--results`."
    why = "it is a file" if results.is_file() else error.strerror or str(error)
    return f"No result was written: {results} is not writable ({why}). Choose another `--results`."
