"""Fetching side by side: a lane a source, its pages asked by as many threads as the source allows, written by one."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, Full, Queue
from typing import Any, Protocol

import numpy as np

from backtest.errors import LevelbreakError, SourceError
from backtest.market.fetching.needs import SeriesId
from backtest.market.sources.base import Page, Request, Source
from backtest.market.sources.limits import HALT
from backtest.model.arrays import DAY

__all__ = ["Job", "Keeper", "Progress", "lingering", "plan_pages", "run_lanes"]

# What stops every series of a source, not only the one that met it; offline only where nothing came from it yet.
SHARED = ("geo_blocked", "needs_key", "needs_extra")
PATIENCE = 10.0  # seconds that a stop waits for pages that have arrived to be written
GRACE = 3.0  # seconds that it waits for those under way to be read
BEAT = 0.1
WAITING = 2  # pages, for each that may be asked at once, that wait to be written
TICK = 0.01
ASKING, WRITING = "ask", "write"  # how the names of the threads begin that wait for a source, and for the disk
ROWS = 24  # how many stored rows are asked again where a series grows: a source that has revised them is noticed


class Keeper(Protocol):
    """What a lane needs of a series in the store: see `backtest.market.store.Entry`."""

    def missing(self, start: int, end: int) -> list[tuple[int, int]]: ...

    def write(self, page: Page, *, closed_before: int) -> Any: ...

    def read(self, start: int, end: int) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Progress:
    """How far a source is: pages done of those planned, 0 while it still plans, rows so far, series that failed."""

    source: str
    done: int
    total: int
    rows: int
    failed: int


@dataclass(eq=False)
class Job:
    """One series to be fetched, and what came of it so far.

    of: the keys of the market file that ask for it; start, end: ns UTC, end exclusive; lead: what may be missing of the
    beginning, ns; entry: where it is kept; again: ask for what is stored, too; pages: still to be asked; asked, done: how
    many there were and are;
    added, duplicates, strangers, vanished, revised, largest: see `backtest.market.store.merging.Written`; error: why it stopped.
    """

    of: tuple[str, ...]
    series: SeriesId
    start: int
    end: int
    lead: int
    entry: Keeper
    again: bool = False
    pages: deque[Request] = field(default_factory=deque)
    asked: int = 0
    done: int = 0
    added: int = 0
    duplicates: int = 0
    strangers: int = 0
    vanished: int = 0
    revised: int = 0
    largest: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: LevelbreakError | None = None

    def spans(self) -> list[tuple[int, int]]:
        """Return what has to be asked for: what is missing, or all of it."""
        return [(self.start, self.end)] if self.again else self.entry.missing(self.start, self.end)

    def fail(self, error: LevelbreakError) -> None:
        """Stop asking; what is there stays."""
        self.error = self.error or error
        self.pages.clear()

    def take_in(self, n: int, page: Page, written: Any) -> None:
        """Count what n pages, joined to one, brought."""
        self.done += n
        self.added += written.added
        self.duplicates += written.duplicates
        self.strangers += written.strangers
        self.vanished += written.vanished
        self.revised += written.revised
        self.largest = max(self.largest, written.largest)
        self.notes += [note for note in page.notes if note not in self.notes]


def plan_pages(source: Source, job: Job) -> list[Request]:
    """Return the pages that a series still needs, in the order of time; SourceError for what can't be given.

    Where it grows, the rows next to it that are stored are asked for once more: where the source has revised them, the new
    ones would not fit. A hole within is only filled.
    """
    pages = list[Request]()
    for start, end in job.spans():
        before = overlap(job, start, -1) if end == job.end and not job.again else 0
        after = overlap(job, end, 1) if start == job.start and not job.again else 0
        pages += plan_span(source, job, (start, end), (start - before, end + after))
    return pages


def overlap(job: Job, edge: int, way: int) -> int:
    """Return how far beyond an edge of a missing span rows are asked for again, ns: 0 where nothing is stored there.

    A day of them, at most `ROWS`; three of those that are longer.
    """
    interval = job.series.interval
    length = max(3 * interval, min(ROWS * interval, DAY)) if interval else DAY
    low, high = (edge - length, edge) if way < 0 else (edge, edge + length)
    gone = job.entry.missing(low, high)
    if not gone:
        return length
    return edge - gone[-1][1] if way < 0 else gone[0][0] - edge


def plan_span(source: Source, job: Job, missing: tuple[int, int], wide: tuple[int, int]) -> list[Request]:
    """Return the pages of a missing span, and of the stored rows around it.

    Where what is stored, or the lead, is older than what the source has, those of the rest.
    """
    request = Request(*job.series, *wide)
    try:
        return source.plan(request)
    except SourceError as error:
        needed = job.start + job.lead
        if error.cause == "too_old" and wide[0] < missing[0]:
            return plan_span(source, job, missing, (missing[0], wide[1]))
        if error.cause != "too_old" or missing[0] >= needed:
            raise
        return source.plan(replace(request, start=needed)) if missing[1] > needed else []


class Lane:
    """The fetching of one source: one thread plans and then writes, `source.concurrency` threads ask.

    Pages that arrived and wait to be written are never more than a few times those being asked, so memory does not grow
    with the span; while some are written the next ones are on their way.
    """

    def __init__(self, source: Source, jobs: Sequence[Job], closed_before: int, tell: Callable[[Progress], None]):
        self.source, self.jobs, self.closed_before, self.tell = source, jobs, closed_before, tell
        self.turns: deque[Job] = deque()
        self.in_a_row = self.came = 0
        self.arrived: Queue[tuple[Job, Page]] = Queue(maxsize=max(1, WAITING * source.concurrency))
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.crash: BaseException | None = None
        self.blocked: LevelbreakError | None = None  # what stopped the source as a whole
        self.threads: list[threading.Thread] = []
        self.writer = threading.Thread(
            target=self.guarded, args=(self.run,), daemon=True, name=f"{WRITING} {source.name}"
        )

    def run(self) -> None:
        """Plan every series, start the asking, write what arrives until nobody asks any more."""
        for job in self.jobs:
            if self.stop.is_set():
                return
            self.plan(job)
        self.turns.extend(job for job in self.jobs if job.pages)
        self.report()
        self.threads = [
            threading.Thread(
                target=self.guarded, args=(self.ask,), daemon=True, name=f"{ASKING} {self.source.name} {i}"
            )
            for i in range(max(1, self.source.concurrency))
        ]
        for thread in self.threads:
            thread.start()
        while any(thread.is_alive() for thread in self.threads) and not self.stop.is_set():
            self.write(wait=BEAT)
        while not self.arrived.empty():
            self.write(wait=0.0)

    def guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; an error that is no mistake of source or user stops the lane and is raised at the end."""
        try:
            work()
        except BaseException as error:
            self.crash = self.crash or error
            self.stop.set()

    def plan(self, job: Job) -> None:
        try:
            if self.blocked is not None and job.spans():
                raise self.blocked
            job.pages.extend(plan_pages(self.source, job))
        except LevelbreakError as error:
            self.failed(job, error)
        job.asked = len(job.pages)

    def ask(self) -> None:
        """Ask page after page, of each series in turn."""
        while (turn := self.next_page()) is not None:
            job, request = turn
            try:
                page = self.source.page(request)
            except LevelbreakError as error:
                self.failed(job, error)
            else:
                self.hand_over(job, page)

    def next_page(self) -> tuple[Job, Request] | None:
        """Return the next page: a few of one series, which are then written together, then a few of the next."""
        with self.lock:
            while self.turns and not self.stop.is_set():
                job = self.turns[0]
                self.in_a_row += 1
                if not job.pages or self.in_a_row > self.source.concurrency:
                    self.in_a_row = 0
                    self.turns.rotate(-1) if job.pages else self.turns.popleft()
                    continue
                return job, job.pages.popleft()
        return None

    def hand_over(self, job: Job, page: Page) -> None:
        """Give a page to the writer, and wait while it has enough of them."""
        self.came += 1
        while not self.stop.is_set():
            try:
                self.arrived.put((job, page), timeout=BEAT)
            except Full:
                continue
            return

    def gather(self, wait: float) -> dict[Job, list[Page]]:
        """Return what arrives within a while, by series; no longer than somebody asks."""
        batches: dict[Job, list[Page]] = {}
        deadline, taken = time.monotonic() + wait, 0
        while taken < self.arrived.maxsize:
            patient = time.monotonic() < deadline and any(thread.is_alive() for thread in self.threads)
            try:
                job, page = self.arrived.get(timeout=TICK) if patient else self.arrived.get_nowait()
            except Empty:
                if not patient:
                    break
                continue
            batches.setdefault(job, []).append(page)
            taken += 1
        return batches

    def write(self, wait: float) -> None:
        """Write what arrives within a while; pages of a series that follow one another cost the disk as much as one."""
        for job, pages in self.gather(wait).items():
            try:
                for n, page in joined(pages):
                    job.take_in(n, page, job.entry.write(page, closed_before=self.closed_before))
            except LevelbreakError as error:
                self.failed(job, error)
            self.report()

    def failed(self, job: Job, error: LevelbreakError) -> None:
        """Stop a series; where the cause is the source's, all of its series that still wait."""
        with self.lock:
            job.fail(error)
            cause = getattr(error, "cause", "")
            if cause in SHARED or (cause == "offline" and not self.came):
                self.blocked = error
                for other in self.jobs:
                    if other.pages:
                        other.fail(error)
        self.report()

    def report(self) -> None:
        done = sum(job.done for job in self.jobs)
        total = sum(job.done if job.error else job.asked for job in self.jobs)
        rows, failed = sum(job.added for job in self.jobs), sum(job.error is not None for job in self.jobs)
        self.tell(Progress(self.source.name, done, total, rows, failed))


def joined(pages: Sequence[Page]) -> Iterator[tuple[int, Page]]:
    """Give the pages with those joined that follow one another, and how many each was; those with notes stay alone."""
    n, last = 0, None
    for page in sorted(pages, key=lambda page: page.start):
        alike = last is not None and last.end == page.start and set(last.columns) == set(page.columns)
        if last is not None and alike and not last.notes and not page.notes:
            columns = {k: np.concatenate([last.columns[k], page.columns[k]]) for k in last.columns}
            n, last = n + 1, Page(columns, last.start, page.end)
            continue
        if last is not None:
            yield n, last
        n, last = 1, page
    if last is not None:
        yield n, last


def run_lanes(
    lanes: Sequence[tuple[Source, Sequence[Job]]], closed_before: int, tell: Callable[[Progress], None]
) -> bool:
    """Fetch the pages of all jobs, every source beside the others; return whether it was interrupted (Ctrl-C).

    What arrived before an interruption is written. closed_before: ns UTC, bars that close later are not kept.
    """
    running = [Lane(source, jobs, closed_before, tell) for source, jobs in lanes]
    try:
        for lane in running:
            lane.writer.start()
        while any(lane.writer.is_alive() for lane in running) and not any(lane.crash for lane in running):
            for lane in running:
                lane.writer.join(BEAT)
    except KeyboardInterrupt:
        end(running)
        return True
    crash = next((lane.crash for lane in running if lane.crash is not None), None)
    if crash is not None:
        end(running)
        raise crash
    return False


def end(running: Sequence[Lane]) -> None:
    """Ask nothing more, wait for no other try, and let what arrived be written; a request that hangs is left to itself.

    The threads that ask are waited for, since the interpreter can't end while one of them reads a page outside of Python.
    """
    HALT.set()
    try:
        for lane in running:
            lane.stop.set()
        deadline = time.monotonic() + PATIENCE
        for lane in running:
            if lane.writer.ident is not None:  # the interruption may have come before it was started
                lane.writer.join(max(0.0, deadline - time.monotonic()))
        deadline = min(deadline, time.monotonic() + GRACE)
        for thread in [thread for lane in running for thread in lane.threads]:
            thread.join(max(0.0, deadline - time.monotonic()))
    finally:
        HALT.clear()


def lingering() -> bool:
    """Whether a request that hangs has outlived its fetch: then a process should end without waiting for its threads."""
    return any(thread.name.startswith((f"{ASKING} ", f"{WRITING} ")) for thread in threading.enumerate())
