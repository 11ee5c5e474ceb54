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
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from backtest.errors import LevelbreakError
from backtest.sweep.local import IDLE, set_out, work
from backtest.sweep.pack import pack_plain
from backtest.sweep.watch import NOBODY, given_up, noted
from backtest.sweep.work import Chunk, ChunkDone, Task, place

__all__ = ["serve"]

KEPT = 2  # markets whose files are kept when nobody uses them
LOOK = 0.5  # seconds between two looks whether anybody still waits for the rows
TRIES = 3  # processes that may die before they begin

Stopped = Callable[[], bool]


def serve(asked: tuple[dict[str, Any], int, Sequence[int]]) -> ChunkDone:
    """Score points of a market; Dask calls this in a thread of a worker.

    asked: the pickled task and the market as plain data, the position of the market, and the points. A point of which the
    process dies is tried once more, alone; when it dies again, the point is a row with the reason. An OSError of this machine is
    a LevelbreakError that names the worker; an InterruptedError says that nobody waits any more.
    """
    parcel, position, indexes = asked
    task = pickle.loads(parcel["task"])
    try:
        with market_file(task, position, parcel["market"]) as file:
            parts = list(finished(task, ("",) * position + (str(file),), indexes, is_called_off()))
    except InterruptedError:
        raise
    except OSError as error:
        raise LevelbreakError(f"The worker {place()} can't go on: {error}.") from error
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
USERS: Counter[tuple[str, int]] = Counter()  # threads that work on each file
LOCK = threading.Lock()


@contextmanager
def market_file(task: Task, position: int, market: dict[str, Any]) -> Iterator[Path]:
    """Give the file of a market, written when it is asked for first; it stays at least as long as somebody uses it."""
    key = task.id, position
    with LOCK:
        if key not in FILES:
            FILES[key] = new_file(position, market)
        FILES.move_to_end(key)
        USERS[key] += 1
        file = FILES[key]
    try:
        yield file
    finally:
        with LOCK:
            USERS[key] -= 1
            tidy_up()


def new_file(position: int, market: dict[str, Any]) -> Path:
    """Return the file of a market, written in a folder of its own; nothing of it stays when that fails."""
    folder = Path(tempfile.mkdtemp(prefix="levelbreak-", dir=space_for_files()))
    try:
        pack_plain(market, folder / f"market-{position}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / f"market-{position}"


def tidy_up() -> None:
    """Keep `KEPT` of the files that nobody uses, those that were asked for last."""
    for key in [key for key in FILES if not USERS[key]][:-KEPT]:
        del USERS[key]
        shutil.rmtree(FILES.pop(key).parent, ignore_errors=True)


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
        self.answers: SimpleQueue[Any] = SimpleQueue()
        begun: Future[subprocess.Popen[bytes]] = Future()
        threading.Thread(target=self.attend, args=(begun,), daemon=True).start()
        self.process = begun.result()
        assert self.process.stdin is not None
        self.questions = self.process.stdin

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def attend(self, begun: "Future[subprocess.Popen[bytes]]") -> None:
        """Start it and take what it answers, and None when it is gone: the system ends it with the thread that started it, and
        a thread of Dask's may go earlier."""
        command = [sys.executable, "-c", BEGIN, json.dumps([os.path.abspath(p) for p in sys.path]), str(os.getpid())]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except BaseException as error:
            begun.set_exception(error)
            return
        begun.set_result(process)
        assert process.stdout is not None
        with process.stdout as said, suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                self.answers.put(pickle.load(said))
        process.wait()
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
        with suppress(OSError):
            self.questions.close()


# --- the process itself -------------------------------------------------------------------------------------------------


def main(parent: int) -> None:
    """Answer each question with what came of it; what a strategy prints goes where its complaints go."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    set_out(parent, tied=True)
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
