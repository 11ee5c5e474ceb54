"""What a worker does, wherever it runs: it gets plain data, loads strategies itself, and gives back rows."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from backtest.catalogue.runs import version
from backtest.errors import ConfigError, StrategyError
from backtest.model import Market
from backtest.plugins import find_strategy
from backtest.plugins.load import load_maker
from backtest.sweep.limit import Clock, clock
from backtest.sweep.point import Row, Scorer
from backtest.sweep.space import Space

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Chunk", "ChunkDone", "Executor", "Task", "Worker"]


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
    package; time_limit: seconds for one point, None for none; folder: the folder that relative paths start from; id: the sweep's.
    """

    id: str
    space: Space
    sources: tuple[str, ...]
    markets: tuple[str, ...]
    version: str
    time_limit: float | None
    folder: str


class Worker:
    """Scores points of a task, one market at a time; refuses by name what differs from the task."""

    def __init__(self, task: Task, market_of: Callable[[int], Market]) -> None:
        self.task = task
        self.market_of = market_of
        self.at = -1
        self.scorer: Scorer | None = None
        check_worker(task)

    def row(self, index: int, ticking: Clock) -> Row:
        """Return the row of a point."""
        market = self.task.space.locate(index)[0]
        if self.scorer is None or market != self.at:
            self.scorer = None  # the market and the memo before it go first
            self.scorer, self.at = Scorer(self.market_of(market), ticking), market
        self.scorer.clock = ticking
        return self.scorer.row(self.task.space.config(index))

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


def check_worker(task: Task) -> None:
    """Raise where this process has another version of the package or of a strategy, or lacks a strategy's file."""
    here = version("levelbreak")
    if here != task.version:
        raise ConfigError(
            f"The worker {place()} has version {here} of levelbreak, the sweep {task.version}; install the same."
        )
    for name, sha256 in zip(task.space.strategies, task.sources, strict=True):
        try:
            find_strategy(name)
            found = load_maker(name).sha256
        except StrategyError as error:
            raise StrategyError(f"The worker {place()} can't load {name}: {error}") from error
        if found != sha256:
            raise StrategyError(
                f"The worker {place()} has another text of {name} than the sweep began with; copy the file there, or start the "
                "sweep again if you have changed it."
            )


def place() -> str:
    """Return where this process runs, for messages."""
    import platform

    return f"{platform.node() or 'here'}:{os.getpid()}"
