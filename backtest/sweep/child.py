"""What a worker of a Dask cluster does: it hands a chunk to a process of its own and gives back the rows.

The process is a worker of this machine like those of `local`: in its main thread an alarm can end a point, it ends itself when a
point hangs where no alarm reaches it, and when it dies the cluster's worker lives on. It maps the market from a file into its
memory and keeps it, with what the points share, from one chunk to the next.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from backtest.sweep.local import IDLE, set_out, work
from backtest.sweep.pack import pack_plain
from backtest.sweep.watch import NOBODY, given_up, noted
from backtest.sweep.work import Chunk, ChunkDone, Task, place

__all__ = ["serve"]

KEPT = 2  # markets whose files are kept
LOOK = 0.5  # seconds between two looks whether anybody still waits for the rows
TRIES = 3  # processes that may die before they begin

Stopped = Callable[[], bool]


def serve(task: Task, position: int, market: dict[str, Any], indexes: Sequence[int]) -> ChunkDone:
    """Score points on a market, given as plain data; Dask calls this in a thread of a worker.

    A point of which the process dies is tried once more, alone; when it dies again, the point is a row with the reason.
    """
    files = ("",) * position + (str(market_file(task, position, market)),)
    parts = list(finished(task, files, indexes, is_called_off()))
    return parts[0] if len(parts) == 1 else together(parts)


def finished(task: Task, files: tuple[str, ...], indexes: Sequence[int], stopped: Stopped) -> Iterator[ChunkDone]:
    """Give what comes of points on the last of the markets' files, in pieces where a process died."""
    todo, died = deque([(indexes, False)]), 0
    while todo:
        points, alone = todo.popleft()
        began = time.monotonic()
        with note_file(Path(files[-1]).parent) as note, borrowed() as child:
            found = child.ask((task, files, Chunk(points), str(note), place()), stopped)
            at = noted(note)
        if found is not None:
            yield found
        elif at == NOBODY:
            died += 1
            if died == TRIES:
                raise RuntimeError("the process that scores the points dies before it begins")
            todo.append((points, alone))
        elif alone:
            yield given_up(task, at, time.monotonic() - began)
        else:
            rest = [index for index in points if index != at]
            todo.extend([(rest, False)] if rest else [])
            todo.append(([at], True))


def together(parts: Sequence[ChunkDone]) -> ChunkDone:
    """Return several pieces of a chunk as one."""
    import pyarrow as pa

    indexes = [index for part in parts for index in part.indexes]
    return ChunkDone(indexes, pa.concat_tables([part.rows for part in parts]), sum(part.seconds for part in parts))


def is_called_off() -> Stopped:
    """Return what tells whether the chunk that this thread works on is wanted no more; outside Dask it always is."""
    import distributed

    try:
        worker = distributed.get_worker()
    except ValueError:
        return lambda: False
    key = worker.get_current_task()

    def stopped() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled" or worker.status.name in ("closing", "closed", "failed")

    return stopped


# --- the market's file ----------------------------------------------------------------------------------------------


FILES: OrderedDict[tuple[str, int], Path] = OrderedDict()
LOCK = threading.Lock()


def market_file(task: Task, position: int, market: dict[str, Any]) -> Path:
    """Return the file of a market, written when it is asked for first."""
    with LOCK:
        if (task.id, position) not in FILES:
            folder = Path(tempfile.mkdtemp(prefix="levelbreak-", dir=space_for_files()))
            pack_plain(market, folder / f"market-{position}")
            FILES[task.id, position] = folder / f"market-{position}"
        FILES.move_to_end((task.id, position))
        while len(FILES) > KEPT:
            shutil.rmtree(FILES.popitem(last=False)[1].parent, ignore_errors=True)
        return FILES[task.id, position]


def space_for_files() -> str | None:
    """Return the folder that Dask empties when its worker is gone; None for the system's outside Dask."""
    import distributed

    try:
        return str(distributed.get_worker().local_directory)
    except ValueError:
        return None


@contextmanager
def note_file(folder: Path) -> Iterator[Path]:
    """Give the place where a process notes the point that it is at."""
    handle, name = tempfile.mkstemp(prefix="at-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


# --- the process, seen from the worker --------------------------------------------------------------------------------


WAITING: list["Child"] = []


@contextmanager
def borrowed() -> Iterator["Child"]:
    """Give a process that waits for work, or a new one; one that lives is there for the next chunk."""
    with LOCK:
        child = WAITING.pop() if WAITING else None
    if child is None or not child.lives:
        if child is not None:
            child.end()
        child = Child()
    try:
        yield child
    finally:
        if child.lives:
            with LOCK:
                WAITING.append(child)


BEGIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from backtest.sweep.child import main; main(int(sys.argv[2]))"


class Child:
    """A process that scores chunks one after another; it ends with this one, and by itself when there is nothing to do."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", BEGIN, json.dumps([os.path.abspath(p) for p in sys.path]), str(os.getpid())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.said = self.process.stdin, self.process.stdout
        self.answers: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self.listen, daemon=True).start()

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def listen(self) -> None:
        """Take what it answers, and None when it is gone."""
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                self.answers.put(pickle.load(self.said))
        self.process.wait()
        self.answers.put(None)

    def ask(self, question: tuple[Any, ...], stopped: Stopped) -> ChunkDone | None:
        """Return what it answers, None when it died; when it refuses that is raised. It is ended when nobody waits any more."""
        with suppress(OSError):
            pickle.dump(question, self.questions)
            self.questions.flush()
        while True:
            try:
                answer = self.answers.get(timeout=LOOK)
                break
            except Empty:
                if stopped():
                    self.end()
                    raise InterruptedError("nobody waits for these points any more") from None
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            self.end()
        found: ChunkDone | None = answer
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.questions, self.said):
            with suppress(OSError):
                pipe.close()


# --- the process itself -------------------------------------------------------------------------------------------------


def main(parent: int) -> None:
    """Answer each question with what came of it; what a strategy prints goes where its complaints go."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    set_out(parent)
    while True:
        bored = threading.Timer(IDLE, os._exit, (0,))
        bored.daemon = True
        bored.start()
        try:
            question = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        bored.cancel()
        pickle.dump(answered(question), answers)
        answers.flush()


def answered(question: tuple[Any, ...]) -> ChunkDone | Exception:
    """Return the rows of a question, or why there are none."""
    try:
        return work(*question)
    except Exception as error:
        return error
