"""Files that are whole at every moment: written beside, synced, put in place; one writer of a folder at a time."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backtest.errors import MarketError

__all__ = ["LOCK", "TEMPORARY", "locked", "put", "remove", "saving", "sync"]

LOCK = ".lock"
TEMPORARY = ".tmp"  # the ending of a file that is not in place yet; what a killed writer leaves behind has it
PATIENCE = 120.0  # seconds to wait for another writer, which holds a series for the length of one page
POLL = 0.005  # seconds between two attempts
FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def put(path: Path, data: bytes) -> None:
    """Write a file so that its name stands for the old bytes or the new ones, never for a part of them."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{TEMPORARY}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def sync(folder: Path) -> None:
    """Make the names in a folder outlast a power cut; what was put there before comes before what is put after."""
    if os.name == "nt":  # folders can't be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file if that can be done; what stays is deleted by a later writer."""
    with suppress(OSError):
        os.unlink(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other writers, of this process and of others; the lock of a killed one is free at once."""
    import filelock

    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / LOCK, timeout=PATIENCE, poll_interval=POLL):
        yield


@contextmanager
def saving(label: str, folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence on the series, with the way on."""
    try:
        yield
    except TimeoutError:
        raise MarketError(
            f"{label}: another process has been writing it for {PATIENCE:.0f} s; let it finish, then fetch again."
        ) from None
    except OSError as error:
        raise MarketError(f"{label} could not be stored: {refusal(error, folder)}") from None


def refusal(error: OSError, folder: Path) -> str:
    """Return why a folder could not be written to, and what to do."""
    if error.errno in FULL:
        return (
            f"the disk of {folder} is full. What was stored before is intact; free some space or choose another "
            "folder (--data DIR), then fetch again."
        )
    if error.errno in DENIED:
        return f"{folder} may not be written to; choose another folder (--data DIR), then fetch again."
    return f"{error.strerror or error} ({folder}). What was stored before is intact; fetch again."
