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

from backtest.sweep.point import FAILED
from backtest.sweep.work import ChunkDone, Task

if TYPE_CHECKING:
    from backtest.sweep.store import Store

__all__ = ["NOBODY", "Noting", "given_up", "noted", "watched"]

GRACE = 2.0, 5.0  # seconds after its time is over in which a point may still end by itself, at least and at most
NOBODY = -1
AT = ".at"  # the point that this process is at
LATE = ".late"  # what the watch wrote as it ended the process; empty as long as it had no reason to

Note = Callable[[int], None]


def patience(limit: float) -> float:
    """Return the seconds after which a process is ended that is still at a point: its time, and as much again, within `GRACE`."""
    return limit + min(max(limit, GRACE[0]), GRACE[1])


class Noting:
    """Notes each point where another process can read it, and ends this one when a point is over its time and hangs.

    file: what the watch writes to as it ends the process, None for nowhere.
    """

    def __init__(self, path: str, limit: float | None, file: Any = None) -> None:
        self.limit = limit
        self.file = file
        self.armed = -2.0
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(handle, 8)
        self.page = mmap.mmap(handle, 8)
        os.close(handle)
        self(NOBODY)

    def __call__(self, index: int) -> None:
        self.page[:8] = index.to_bytes(8, "little", signed=True)
        now = time.monotonic()
        if self.limit is not None and now - self.armed > 1.0:
            self.armed = now
            faulthandler.dump_traceback_later(patience(self.limit), exit=True, file=self.file or silence())

    def __enter__(self) -> "Noting":
        return self

    def __exit__(self, *problem: object) -> None:
        faulthandler.cancel_dump_traceback_later()
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
    error = "Its worker died of it twice: it crashed, or needed more memory than there is."
    if limit is not None and seconds > limit:
        error = f"It took longer than {limit:g} s, in code that can't be interrupted; give it more with --time-limit."
    row = {**FAILED, "seconds": seconds, "error": error}
    return ChunkDone([index], table_of(task.space, [index], [row]), seconds)


# --- the process that sweeps itself -------------------------------------------------------------------------------


@contextmanager
def watched(task: Task, store: "Store | None") -> Iterator[tuple[list[ChunkDone], Note | None]]:
    """Give the point of which an earlier start of this sweep ended, as a row, and what notes the points of this one.

    Nothing is watched without a store, without a time limit, or in a thread that no alarm reaches: there a point that takes
    long would end the process though it could be waited for.
    """
    main = threading.current_thread() is threading.main_thread()
    if store is None or task.time_limit is None or not main:
        yield [], None
        return
    note, late = store.folder / AT, store.folder / LATE
    found = [] if not hung(late) else [i for i in [noted(note)] if 0 <= i < task.space.count and not store.marks[i]]
    began = [replace(given_up(task, index, patience(task.time_limit)), seconds=0.0) for index in found]
    try:
        with (
            late.open("w") as file,
            herald(note, late, task.time_limit),
            Noting(str(note), task.time_limit, file) as noting,
        ):
            yield began, noting
    finally:
        for path in (late, note):
            path.unlink(missing_ok=True)


def hung(late: Path) -> bool:
    """Whether the watch ended the process that wrote this."""
    try:
        return late.stat().st_size > 0
    except OSError:
        return False


HERALD = """
import os, sys
note, late, sentence = sys.argv[1:]
sys.stdin.buffer.read()
try:
    if os.path.getsize(late):
        with open(note, "rb") as file:
            point = int.from_bytes(file.read(8), "little", signed=True)
        sys.stderr.write(sentence.format(point))
except (OSError, ValueError):
    pass
"""
SAID = (
    "Point {{}} took longer than {limit:g} s in code that can't be interrupted, so this process had to end; what is finished is "
    "kept, and the same command makes that point a row with its reason and goes on.\n"
)


@contextmanager
def herald(note: Path, late: Path, limit: float) -> Iterator[None]:
    """Keep a small process that says, when this one is ended by its watch, what happened: this one can't any more."""
    command = [sys.executable, "-I", "-S", "-c", HERALD, str(note), str(late), SAID.format(limit=limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()
