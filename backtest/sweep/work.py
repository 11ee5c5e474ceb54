"""What a worker does, wherever it runs: it gets plain data, loads strategies itself, and gives back rows."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backtest.catalogue.runs import version
from backtest.errors import ConfigError, LevelbreakError, MarketError, StrategyError, VenueError
from backtest.model import Funding, Market, Passport, Plan
from backtest.model.arrays import HOUR
from backtest.plugins import find_strategy
from backtest.plugins.load import load_maker
from backtest.plugins.native import is_backtrader
from backtest.sweep.identity import market_facts
from backtest.sweep.limit import Clock, clock
from backtest.sweep.point import Row, Scorer
from backtest.sweep.space import Space
from backtest.venues import load_venue

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NOBODY", "Chunk", "ChunkDone", "Executor", "Task", "Worker", "enter", "place", "venue_hash"]

NOBODY = -1  # no point: what a worker notes that is at none


@dataclass(frozen=True)
class Chunk:
    """Points that go to one worker together."""

    indexes: Sequence[int]


@dataclass(frozen=True, eq=False)
class ChunkDone:
    """What came of a chunk: its points, their rows as a table, and the seconds that they took."""

    indexes: Sequence[int]
    rows: "pa.Table"
    seconds: float


Executor = Callable[[Iterable[Chunk]], Iterator[ChunkDone]]


@dataclass(frozen=True)
class Task:
    """What every worker of a sweep is told: plain data, nothing that a user wrote.

    space: what is asked; sources: the SHA-256 of each strategy's file; markets: the hash of each market's data; version: of this
    package; time_limit: seconds for one point, None for none; folder: the folder that relative paths start from; id: the sweep's;
    venue: the hash of its venue's numbers. An empty hash is not compared.
    """

    id: str
    space: Space
    sources: tuple[str, ...]
    markets: tuple[str, ...]
    version: str
    time_limit: float | None
    folder: str
    venue: str = ""


class Worker:
    """Scores points of a task, one market at a time; refuses by name what differs from the task.

    name: what it calls itself when it refuses, None for its host and process.
    """

    def __init__(self, task: Task, market_of: Callable[[int], Market], name: str | None = None) -> None:
        self.task = task
        self.market_of = market_of
        self.name = name or place()
        self.at = -1
        self.scorer: Scorer | None = None
        check_worker(task, self.name)
        warm(task)

    def row(self, index: int, ticking: Clock) -> Row:
        """Return the row of a point."""
        scorer = self.ready(index)
        scorer.clock = ticking
        return scorer.row(self.task.space.config(index))

    def ready(self, index: int, note: Callable[[int], None] | None = None) -> Scorer:
        """Return what scores a point, its market opened; that is none of the point's time, and is noted as nobody's."""
        market = self.task.space.locate(index)[0]
        if self.scorer is None or market != self.at:
            self.scorer = None  # the market and the memo before it go first
            if note is not None:
                note(NOBODY)
            self.scorer, self.at = Scorer(self.market(market)), market
        return self.scorer

    def market(self, position: int) -> Market:
        """Return a market of the task; one with other data than the sweep began with is a MarketError."""
        market, wanted = self.market_of(position), self.task.markets[position]
        if wanted and hashlib.sha256(repr(market_facts(market)).encode()).hexdigest() != wanted:
            raise MarketError(
                f"The worker {self.name} has other data of {self.task.space.markets[position]} than the sweep began with; start "
                "the sweep again."
            )
        return market

    def rows(self, indexes: Sequence[int], note: Callable[[int], None] | None = None) -> ChunkDone:
        """Return what came of some points; note: called with each before it starts."""
        (done,) = self.until_stopped(indexes, note)
        return done

    def until_stopped(self, indexes: Sequence[int], note: Callable[[int], None] | None = None) -> Iterator[ChunkDone]:
        """Give what came of some points; on Ctrl-C first what is finished of them."""
        found: list[Row] = []
        start = time.perf_counter()
        done = partial(self.done, indexes, found, start)
        with clock(self.task.time_limit) as ticking:
            try:
                for index in indexes:
                    self.ready(index, note)
                    if note is not None:
                        note(index)
                    found.append(self.row(index, ticking))
            except KeyboardInterrupt:
                yield done()
                raise
        yield done()

    def done(self, indexes: Sequence[int], found: list[Row], start: float) -> ChunkDone:
        from backtest.sweep.rows import table_of

        mine = indexes[: len(found)]
        return ChunkDone(mine, table_of(self.task.space, mine, found), time.perf_counter() - start)


def check_worker(task: Task, name: str) -> None:
    """Raise where this process has another version of the package, of a strategy or of the venue, or lacks one's file."""
    here = version("levelbreak")
    if here != task.version:
        raise ConfigError(
            f"The worker {name} has version {here} of levelbreak, the sweep {task.version}; install the same."
        )
    for strategy, sha256 in zip(task.space.strategies, task.sources, strict=True):
        try:
            find_strategy(strategy)
            found = load_maker(strategy).sha256
        except StrategyError as error:
            raise StrategyError(f"The worker {name} can't load {strategy}: {error}{elsewhere(task)}") from error
        if found != sha256:
            raise StrategyError(
                f"The worker {name} has another text of {strategy} than the sweep began with; copy the file there, or start the "
                "sweep again if you have changed it."
            )
    if task.venue:
        check_venue(task, name)


def check_venue(task: Task, name: str) -> None:
    venue = task.space.base.venue
    try:
        found = venue_hash(venue)
    except LevelbreakError as error:
        raise VenueError(f"The worker {name} can't load the venue {venue}: {error}{elsewhere(task)}") from error
    if found != task.venue:
        raise VenueError(
            f"The worker {name} has other numbers of the venue {venue} than the sweep began with; copy the file there."
        )


def venue_hash(name: str) -> str:
    """Return the hash of a venue's numbers."""
    return hashlib.sha256(repr(load_venue(name)).encode()).hexdigest()


HOME = os.getcwd()  # where this process began


def enter(task: Task) -> None:
    """Go to the folder that relative paths start from, or, where this machine has none, back to where this process began."""
    if os.getcwd() != task.folder:
        os.chdir(task.folder if Path(task.folder).is_dir() else HOME)


def warm(task: Task) -> None:
    """Have the engine compiled, or loaded, before the time of the first point runs; on a new machine it takes a minute."""
    makers = (load_maker(name) for name in task.space.strategies)
    if task.space.base.engine == "backtrader" or all(is_backtrader(maker.cls) for maker in makers):
        return
    from backtest.engines.fast import score

    four = np.full(4, 100.0)
    times, funding = np.arange(4) * HOUR, Funding.empty(frozenset(("FLAT",)))
    flat = Market(times, HOUR, ("FLAT",), four, four, four, four, four, funding, Passport(()))
    score(flat, Plan.short("FLAT", at=[1], stop_fraction=0.5), load_venue("paper"))


def elsewhere(task: Task) -> str:
    """Return what to do about it in a process that works in another folder than the sweep."""
    if os.getcwd() == task.folder:
        return ""
    return f" Relative paths start from {task.folder}, where the sweep was started, and there is no such folder here; make it."


def place() -> str:
    """Return where this process runs, for messages."""
    import platform

    return f"{platform.node() or 'here'}:{os.getpid()}"
