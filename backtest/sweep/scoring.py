"""All points of a space scored on a market that is at hand, such as a part of one: in this process, or in several."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from backtest.errors import ConfigError
from backtest.model import Market
from backtest.sweep.point import Row, Scorer

if TYPE_CHECKING:
    from backtest.sweep.space import Space

__all__ = ["rows_on"]

CHUNK = 64
"""Points that go to a process at once, at most."""


def rows_on(
    space: "Space", market: Market, time_limit: float | None = None, jobs: int = 1
) -> Iterator[tuple[int, Row]]:
    """Give each point of a space with its row on a market; with several jobs in the order in which they come back."""
    from backtest.sweep.limit import clock

    if isinstance(jobs, bool) or jobs < 1:
        raise ConfigError(f"`jobs` must be a number of processes from 1, got {jobs!r}.")
    if jobs > 1:
        yield from rows_of_workers(space, market, time_limit, jobs)
        return
    with clock(time_limit) as ticking:
        scorer = Scorer(market, ticking)
        for point in range(len(space)):
            yield point, scorer.row(space.config(point))


def rows_of_workers(space: "Space", market: Market, time_limit: float | None, jobs: int) -> Iterator[tuple[int, Row]]:
    """Give the rows of this machine's processes, which map the market into their memory."""
    from backtest.catalogue.runs import version
    from backtest.plugins import load_maker
    from backtest.sweep.local import local
    from backtest.sweep.pack import pack_market
    from backtest.sweep.work import Chunk, Task

    sources = tuple(load_maker(name).sha256 for name in space.strategies)
    size = max(1, min(CHUNK, len(space) // (4 * jobs)))
    with TemporaryDirectory(prefix="backtest-") as folder:
        file = Path(folder) / "market-0"
        pack_market(market, file)
        task = Task(folder, space, sources, ("",), version("levelbreak"), time_limit, os.getcwd())
        chunks = (Chunk(range(i, min(i + size, len(space)))) for i in range(0, len(space), size))
        for done in local(task, (file,), jobs)(chunks):
            rows = done.rows.to_pylist()
            yield from ((int(row["point"]), row) for row in rows)
