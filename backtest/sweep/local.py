"""Workers on this machine: processes of loky that map the market into their memory and come back when one of them dies."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.errors import LevelbreakError
from backtest.sweep.pack import open_market
from backtest.sweep.watch import NOBODY, Noting, given_up, noted, watched
from backtest.sweep.work import Chunk, ChunkDone, Executor, Task, Worker, enter

if TYPE_CHECKING:
    from backtest.sweep.store import Store

__all__ = ["in_process", "local"]

IDLE = 60  # seconds for which workers wait for another sweep of this process
TRIES = 3  # pools that may be dead when a chunk is handed to them


def in_process(worker: Worker, store: "Store | None" = None) -> Executor:
    """Return an executor that works in this process; on Ctrl-C it gives what is finished first.

    store: of the sweep; with it a point that hangs where no alarm reaches it ends the process, and the next start makes
    it a row.
    """

    def execute(chunks: Iterable[Chunk]) -> Iterator[ChunkDone]:
        with watched(worker.task, store) as (late, note):
            yield from late
            for chunk in chunks:
                yield from worker.until_stopped(chunk.indexes, note)

    return execute


def local(task: Task, markets: tuple[Path, ...], jobs: int) -> Executor:
    """Return an executor that works in so many processes; markets: the file of each market, see `pack_market`.

    A worker that dies has its points retried: the one that it was at alone, and when the worker dies of it again, that point is a
    row with the reason.
    """

    def execute(chunks: Iterable[Chunk]) -> Iterator[ChunkDone]:
        crew = Crew(task, markets, jobs)
        try:
            yield from crew.run(iter(chunks))
        except BaseException:
            crew.end()
            raise

    return execute


@dataclass(frozen=True)
class Flight:
    """A chunk on its way: where its worker notes the point that it is at, and when it left."""

    chunk: Chunk
    note: Path
    since: float


class Crew:
    """The workers of one sweep, and what they have in hand."""

    def __init__(self, task: Task, markets: tuple[Path, ...], jobs: int) -> None:
        self.task = task
        self.markets = markets
        self.jobs = jobs
        self.waiting: deque[Chunk] = deque()
        self.suspects: deque[int] = deque()
        self.flying: dict[Future[ChunkDone], Flight] = {}
        self.sent = 0

    def run(self, chunks: Iterator[Chunk]) -> Iterator[ChunkDone]:
        """Give what comes of the chunks, in the order in which it comes."""
        while True:
            while len(self.flying) <= self.jobs and not self.suspects:
                chunk = self.waiting.popleft() if self.waiting else next(chunks, None)
                if chunk is None:
                    break
                self.send(chunk)
            if not self.flying and self.suspects:
                yield from self.alone(self.suspects.popleft())
            elif not self.flying:
                return
            else:
                yield from self.landed()

    def send(self, chunk: Chunk) -> None:
        """Send a chunk out; LevelbreakError where no process stays alive to take it."""
        note = self.markets[0].parent / f"at-{self.sent}"
        self.sent += 1
        future = self.submitted(chunk, note)
        self.flying[future] = Flight(chunk, note, time.monotonic())

    def submitted(self, chunk: Chunk, note: Path) -> "Future[ChunkDone]":
        from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError

        files = tuple(map(str, self.markets))
        for _ in range(TRIES):
            try:
                future: Future[ChunkDone] = self.pool().submit(work, self.task, files, chunk, str(note))
                return future
            except BrokenProcessPool:  # it died while it was idle
                self.end()
            except ShutdownExecutorError:  # a sweep in another thread has replaced it meanwhile
                continue
        raise LevelbreakError(
            f"The {self.jobs} processes that score the points die before they begin, {TRIES} times in a row; is there memory for "
            "them? With --jobs 1 none is needed."
        )

    def pool(self) -> Any:
        from joblib.externals.loky import get_reusable_executor

        # Only the main thread is sure to live as long as the workers that it starts: sweeps of other threads share theirs.
        told = os.getpid(), threading.current_thread() is threading.main_thread()
        return get_reusable_executor(max_workers=self.jobs, timeout=IDLE, initializer=set_out, initargs=told)

    def end(self) -> None:
        """End the workers, whatever they are at."""
        self.pool().shutdown(wait=True, kill_workers=True)

    def landed(self) -> Iterator[ChunkDone]:
        """Give what has come back; of a worker that died, find out what it was at."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        done, _ = wait(self.flying, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                found = future.result()
            except BrokenProcessPool:
                self.lost()
                return
            self.flying.pop(future).note.unlink(missing_ok=True)
            yield found

    def lost(self) -> None:
        """Take back everything that was on its way: a pool with a dead worker is a dead pool."""
        self.end()
        for future, flight in self.flying.items():
            if future.done() and future.exception() is None:
                self.waiting.append(flight.chunk)  # it came back in the same moment; it is made again
                continue
            at = noted(flight.note)
            if at == NOBODY:
                self.waiting.append(flight.chunk)
                continue
            self.suspects.append(at)
            rest = [index for index in flight.chunk.indexes if index != at]
            if rest:
                self.waiting.append(Chunk(rest))
        self.flying.clear()

    def alone(self, index: int) -> Iterator[ChunkDone]:
        """Give what comes of a point at which a worker died, with nothing else on its way."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        self.send(Chunk([index]))
        ((future, flight),) = self.flying.items()
        try:
            found = future.result()
        except BrokenProcessPool:
            self.end()
            found = given_up(self.task, index, time.monotonic() - flight.since)
        self.flying.clear()
        yield found


# --- inside a worker ----------------------------------------------------------------------------------------------


MINE: dict[tuple[str, ...], Worker] = {}


PR_SET_PDEATHSIG = 1  # of Linux' prctl: the signal that a process gets when the thread that started it is gone


def set_out(parent: int, tied: bool) -> None:
    """Leave Ctrl-C to the process that waits for the rows, and end when it is gone.

    tied: whether the thread that started this process lives as long as it is needed. Then the system ends it together with that
    thread; else a thread of this process looks for the parent, which has to wait while a point holds the interpreter.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if tied and sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=outlive, args=(parent,), daemon=True).start()


def outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def work(task: Task, files: tuple[str, ...], chunk: Chunk, note: str, name: str | None = None) -> ChunkDone:
    """Score a chunk in a worker, which keeps its market and what the points share from one chunk to the next.

    name: what the worker calls itself when it refuses.
    """
    key = (task.id, *files)
    if key not in MINE:
        MINE.clear()
        enter(task)
        MINE[key] = Worker(task, lambda market: open_market(Path(files[market])), name)
    with Noting(note, task.time_limit) as noting:
        return MINE[key].rows(chunk.indexes, noting)
