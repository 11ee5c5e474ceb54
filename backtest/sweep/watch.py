"""What ends a process in which a point hangs where no alarm reaches it, and what tells afterwards which point that was."""

import faulthandler
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.sweep.limit import late_words
from backtest.sweep.point import FAILED
from backtest.sweep.work import NOBODY, ChunkDone, Task

if TYPE_CHECKING:
    from backtest.sweep.store import Store

__all__ = ["NOBODY", "Noting", "given_up", "noted", "watched"]

GRACE = 2.0, 5.0  # seconds after its time is over in which a point may still end by itself, at least and at most
AT = ".at"  # the point that this process is at
LATE = ".late"  # what the watch wrote as it ended the process; empty as long as it had no reason to
DIED = ".died"  # the point at which the start before this one ended without the watch

Note = Callable[[int], None]


def patience(limit: float) -> float:
    """Return the seconds after which a process is ended that is still at a point: its time, and as much again, within `GRACE`."""
    return limit + min(max(limit, GRACE[0]), GRACE[1])


class Noting:
    """Notes each point where another process can read it, and ends this one when a point is over its time and hangs.

    While NOBODY is noted nothing is watched. file: what the watch writes to as it ends the process, None for nowhere.
    """

    def __init__(self, path: str, limit: float | None, file: Any = None) -> None:
        self.limit = limit
        self.file = file
        self.armed: float | None = None
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(handle, 8)
        self.page = mmap.mmap(handle, 8)
        os.close(handle)
        self(NOBODY)

    def __call__(self, index: int) -> None:
        self.page[:8] = index.to_bytes(8, "little", signed=True)
        if index == NOBODY:
            self.rest()
        elif self.limit is not None and (self.armed is None or time.monotonic() - self.armed > 1.0):
            self.armed = time.monotonic()
            faulthandler.dump_traceback_later(patience(self.limit), exit=True, file=self.file or silence())

    def rest(self) -> None:
        """Watch nothing until the next point."""
        if self.armed is not None:
            self.armed = None
            faulthandler.cancel_dump_traceback_later()

    def __enter__(self) -> "Noting":
        return self

    def __exit__(self, *problem: object) -> None:
        self.rest()
        self.page.close()


def noted(note: Path) -> int:
    """Return the point that a worker was at; NOBODY where it had not begun."""
    try:
        data = note.read_bytes()
    except OSError:
        return NOBODY
    return int.from_bytes(data[:8], "little", signed=True) if len(data) >= 8 else NOBODY


SILENCE: list[Any] = []


def silence() -> Any:
    """Return a file that swallows what the watch says as it ends the process."""
    if not SILENCE:
        SILENCE.append(open(os.devnull, "w"))  # noqa: SIM115 - it stays open as long as the process lives
    return SILENCE[0]


def given_up(task: Task, index: int, seconds: float) -> ChunkDone:
    """Return the row of a point whose process ended, after so many seconds, each time that it was at it."""
    from backtest.sweep.rows import table_of

    limit = task.time_limit
    error = "Its process died of it twice: it crashed, was killed, or needed more memory than there is."
    if limit is not None and seconds > limit:
        error = late_words(limit, stuck=True)
    row = {**FAILED, "seconds": seconds, "error": error}
    return ChunkDone([index], table_of(task.space, [index], [row]), seconds)


# --- the process that sweeps itself -------------------------------------------------------------------------------


@contextmanager
def watched(task: Task, store: "Store | None") -> Iterator[tuple[list[ChunkDone], Note | None]]:
    """Give the point of which earlier starts of this sweep ended, as a row, and what notes the points of this one.

    One start is enough where the watch ended it; where it ended by itself, killed by somebody perhaps, the same point has to be
    the last one of two starts in a row. Nothing is watched without a store, without a time limit, or in a thread that no alarm
    reaches: there a point that takes long would end the process though it could be waited for.
    """
    main = threading.current_thread() is threading.main_thread()
    if store is None or task.time_limit is None or not main:
        yield [], None
        return
    note, late = store.folder / AT, store.folder / LATE
    began = [replace(done, seconds=0.0) for done in ended(task, store, note, late, task.time_limit)]
    try:
        with (
            late.open("w") as file,
            herald(note, late, task.time_limit),
            Noting(str(note), task.time_limit, file) as noting,
        ):
            yield began, noting
    finally:
        for path in (late, note, store.folder / DIED):
            path.unlink(missing_ok=True)


def ended(task: Task, store: "Store", note: Path, late: Path, limit: float) -> Iterator[ChunkDone]:
    """Give the point that is given up, if there is one; else remember the one that the start before this ended at."""
    at, died = noted(note), store.folder / DIED
    if not 0 <= at < task.space.count or store.marks[at]:
        died.unlink(missing_ok=True)
    elif hung(late):
        yield given_up(task, at, patience(limit))
    elif noted(died) == at:
        died.unlink(missing_ok=True)
        yield given_up(task, at, 0.0)
    else:
        died.write_bytes(at.to_bytes(8, "little", signed=True))


def hung(late: Path) -> bool:
    """Whether the watch ended the process that wrote this."""
    try:
        return late.stat().st_size > 0
    except OSError:
        return False


HERALD = """
import os, sys
note, late, over, dead = sys.argv[1:]
sys.stdin.buffer.read()
try:
    with open(note, "rb") as file:
        point = int.from_bytes(file.read(8), "little", signed=True)
    if point >= 0:
        sys.stderr.write((over if os.path.getsize(late) else dead).format(point))
except (OSError, ValueError):
    pass
"""
SAID = (
    "Point {{}} took longer than {limit:g} s in code that can't be interrupted, so this process had to end; what is finished is "
    "kept, and the same command makes that point a row with its reason and goes on.\n"
)
DEAD = (
    "The process ended while it was at point {}; what is finished is kept, and the same command goes on. Should it end at that "
    "point again, the start after that makes it a row.\n"
)


@contextmanager
def herald(note: Path, late: Path, limit: float) -> Iterator[None]:
    """Keep a small process that says, when this one is ended by its watch, what happened: this one can't any more."""
    command = [sys.executable, "-I", "-S", "-c", HERALD, str(note), str(late), SAID.format(limit=limit), DEAD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()
