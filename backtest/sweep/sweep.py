"""The sweep itself: points go out in chunks, rows come back, and each is on the disk before the next is asked for."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from backtest.catalogue.runs import version
from backtest.errors import ConfigError
from backtest.model import Market, RunConfig
from backtest.model.arrays import DAY
from backtest.plugins import load_maker
from backtest.runner import market_of
from backtest.sweep.cluster import check_address, cluster
from backtest.sweep.columns import lengths
from backtest.sweep.identity import data_hash, market_facts
from backtest.sweep.limit import sensible
from backtest.sweep.local import in_process, local
from backtest.sweep.pack import open_market, pack_market
from backtest.sweep.space import MOST_POINTS, Space
from backtest.sweep.store import Store, Sweep, open_store
from backtest.sweep.trials import Tally
from backtest.sweep.work import Chunk, Executor, Task, Worker, venue_hash
from backtest.venues import load_venue

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TIME_LIMIT", "Pace", "Progress", "make_task", "sweep"]

TIME_LIMIT = 60.0  # seconds for one point
CHUNK = 0.5  # seconds of work that go to a worker at once
SHORTEST = 0.1  # and at least, towards the end: a chunk costs the process that writes it some milliseconds
LARGEST = 1024  # points in one chunk


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: points finished (those of earlier starts included) of all, failed ones among them since this start,
    points a second, and the seconds that are left at that rate."""

    done: int
    total: int
    failed: int
    rate: float
    left: float


Report = Callable[[Progress], None]


def sweep(
    space: Space,
    results: str | os.PathLike[str] | None = None,
    *,
    jobs: int = 1,
    time_limit: float | None = TIME_LIMIT,
    progress: Report | None = None,
    executor: Executor | None = None,
    dask: str | None = None,
    yes: bool = False,
) -> Sweep:
    """Score every point of a space and return the opened folder of rows.

    results: the folder of runs; jobs: processes; time_limit: seconds for one point, None for none; progress: called as rows
    come in; executor: what takes the chunks instead of this machine's processes; dask: address of the scheduler of a Dask
    cluster whose workers take them; yes: also run more than 10 million points.

    The folder is named by what was asked: the same call goes on where an earlier one was stopped. A point that fails is a row
    with its reason; one that was over its time is run again where there is more of it. Memory does not grow with the points but
    by a byte for each. Errors: those of the configuration, the markets and the strategies as sentences, before anything runs.
    """
    check_size(space, yes)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise ConfigError(f"`jobs` must be a number of processes from 1, got {jobs!r}.")
    if dask is not None:
        check_dask(dask, jobs)
    if time_limit is not None and not time_limit > 0:
        raise ConfigError(f"The time limit of a point must be above 0 s, got {time_limit:g}; leave it out for none.")
    time_limit = sensible(time_limit)
    stock = Stock(space, keep=jobs == 1 and executor is None and dask is None and len(space.markets) == 1)
    task = make_task(space, time_limit, stock)
    with open_store(results, space, task.id) as store, ExitStack() as stack:
        store.forget_late(time_limit)
        tally = Tally(results, space, stock.trials, store)
        stack.callback(tally.close)
        if not store.marks.all():
            there = local_executor(task, stock, store, jobs) if dask is None else cluster(dask, task, stock.market)
            run = executor or stack.enter_context(there)
            pace = Pace(store.space.count - int(store.marks.sum()), lambda: getattr(run, "threads", jobs))
            go(store, run, tally, pace, progress)
        return store.sweep


def check_dask(address: str, jobs: int) -> None:
    if jobs != 1:
        raise ConfigError(f"The workers of the cluster {address} do the work; leave --jobs {jobs} out.")
    check_address(address)


def check_size(space: Space, yes: bool) -> None:
    if space.count > MOST_POINTS and not yes:
        raise ConfigError(
            f"These are {space.count:,} points, more than {MOST_POINTS:,}; sample some with --random N or --latin N, or say --yes "
            "to run them all."
        )


def make_task(space: Space, time_limit: float | None = TIME_LIMIT, stock: "Stock | None" = None) -> Task:
    """Return what the workers of a sweep are told; its markets and strategies are loaded to be hashed."""
    sources = tuple(load_maker(name).sha256 for name in space.strategies)
    stock = Stock(space, keep=False) if stock is None else stock
    venue = load_venue(space.base.venue)
    here = version("levelbreak")
    asked = repr((space, sources, stock.hashes, repr(venue), here))
    identity = hashlib.sha256(asked.encode()).hexdigest()[:10]
    return Task(identity, space, sources, stock.hashes, here, time_limit, os.getcwd(), venue_hash(space.base.venue))


class Stock:
    """The markets of a sweep: loaded one after another, hashed, and kept only where this process works on them itself."""

    def __init__(self, space: Space, keep: bool) -> None:
        self.space = space
        self.kept: Market | None = None
        self.hashes: tuple[str, ...] = ()
        self.trials: tuple[tuple[str, int, int], ...] = ()
        for name in space.markets:
            market = self.load(name)
            self.hashes += (hashlib.sha256(repr(market_facts(market)).encode()).hexdigest(),)
            self.trials += ((self.data_hash(market, name), *spans(market)),)
            self.kept = market if keep or len(space.markets) == 1 else None

    def data_hash(self, market: Market, name: str) -> str:
        """Return the hash under which runs of the base configuration on a market count as trials."""
        return data_hash(market, replace(self.space.base, market=name)) if len(market) > market.start_bar else ""

    def load(self, name: str) -> Market:
        base = self.space.base
        return market_of(RunConfig("", name, seed=base.seed, assume_funding=base.assume_funding))

    def market(self, position: int) -> Market:
        """Return a market by its position; the only one is kept."""
        return self.kept or self.load(self.space.markets[position])

    def packed(self, folder: Path) -> tuple[Path, ...]:
        """Write every market to a file; the one in memory goes."""
        files = []
        for position, name in enumerate(self.space.markets):
            files.append(folder / f"market-{position}")
            pack_market(self.kept or self.load(name), files[-1])
        self.kept = None
        return tuple(files)


def spans(market: Market) -> tuple[int, int]:
    """Return the UTC days and the bars on which a market is scored."""
    start = market.start_bar
    if start >= len(market):
        return 0, 0
    last = market.interval - 1
    first_day, last_day = (int(market.time[start]) + last) // DAY, (int(market.time[-1]) + last) // DAY
    return last_day - first_day + 1, len(market) - start


@contextmanager
def local_executor(task: Task, stock: Stock, store: Store, jobs: int) -> Iterator[Executor]:
    """Give the executor of this machine; several markets, and those of several processes, are mapped from files meanwhile."""
    import shutil

    market = stock.kept
    if jobs == 1 and market is not None:
        yield in_process(Worker(task, [market].__getitem__), store)
        return
    folder = store.folder / f".writing-{uuid4().hex}"
    folder.mkdir()
    try:
        files = stock.packed(folder)
        market = None
        yield (
            local(task, files, jobs)
            if jobs > 1
            else in_process(Worker(task, lambda position: open_market(files[position])), store)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Pace:
    """How many points go into the next chunk: what takes half a second at the cost measured so far, less towards the end.

    left: points to go; threads: says how many take chunks now, 0 counts as 1.
    """

    def __init__(self, left: int, threads: Callable[[], int]) -> None:
        self.left = left
        self.threads = threads
        self.cost = 0.0
        self.size = 4

    def measured(self, points: int, seconds: float) -> None:
        """Take note of a chunk that came back."""
        cost = seconds / max(points, 1)
        self.cost = cost if self.cost == 0.0 else 0.5 * self.cost + 0.5 * cost
        self.size = max(1, min(LARGEST, 4 * self.size, round(CHUNK / max(self.cost, 1e-9))))

    def take(self) -> int:
        """Return the size of the next chunk."""
        least = round(SHORTEST / self.cost) if self.cost else 1
        jobs = max(1, self.threads())
        share = self.left if jobs == 1 else max(least, self.left // (2 * jobs))
        size = max(1, min(self.size, share, self.left))
        self.left -= size
        return size


def chunks(store: Store, pace: Pace) -> Iterator[Chunk]:
    """Give the points that are not finished, in stretches; a stretch's length is decided when it is asked for."""
    todo = ~store.marks
    at = 0
    while at < todo.size:
        if not todo[at]:
            step = int(np.argmax(todo[at:]))
            if step == 0:
                return
            at += step
        size = min(pace.take(), todo.size - at)
        gap = todo[at : at + size]
        stop = at + (size if gap.all() else int(np.argmin(gap)))
        yield Chunk(range(at, stop))
        at = stop


def go(store: Store, run: Executor, tally: Tally, pace: Pace, progress: Report | None) -> None:
    """Send the chunks out and write what comes back."""
    total, before = store.space.count, int(store.marks.sum())
    start, new, failed = time.perf_counter(), 0, 0
    for done in run(chunks(store, pace)):
        store.add(done.rows)
        tally.add(done.rows)
        pace.measured(len(done.indexes), done.seconds)
        new += len(done.indexes)
        failed += failures(done.rows)
        if progress is not None:
            rate = new / max(time.perf_counter() - start, 1e-9)
            progress(Progress(before + new, total, failed, rate, (total - before - new) / rate))


def failures(rows: "pa.Table") -> int:
    return int(np.count_nonzero(lengths(rows["error"])))
