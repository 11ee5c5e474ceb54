"""All points of a space scored on a market that is at hand, such as a part of one: in this process, or in several."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from backtest.errors import ConfigError
from backtest.model import Market, Result, RunConfig
from backtest.sweep.guard import Note, guarded, words
from backtest.sweep.point import Row, Scorer
from backtest.sweep.tried import Known

if TYPE_CHECKING:
    from backtest.sweep.space import Space

__all__ = ["prepare", "rows_on", "run_in_time", "scored", "scorer_on"]

CHUNK = 64
"""Points that go to a process at once, at most."""


def prepare(space: "Space") -> None:
    """Have the engine compiled before the time of the first point runs."""
    from backtest.sweep.work import Task, warm

    warm(Task("", space, (), (), "", None, os.getcwd()))


@contextmanager
def scorer_on(market: Market, limit: float | None, late: Path | None = None) -> Iterator[tuple[Scorer, Note]]:
    """Give what scores points on a market in so many seconds each, and what is to be called with each before; see `guarded`."""
    from backtest.sweep.limit import clock

    with guarded(limit, late) as note, clock(limit) as ticking:
        yield Scorer(market, ticking), note


def run_in_time(market: Market, config: RunConfig, limit: float | None) -> Result:
    """Return a configuration's run on a market; one that takes longer is a ConfigError."""
    from backtest.runner import run_on
    from backtest.sweep.limit import LateError, clock

    with guarded(limit) as note, clock(limit) as ticking:
        note(config)
        try:
            with ticking.running():
                return run_on(market, config)
        except LateError:
            raise ConfigError(
                f"The point {words(config)} took longer than {limit:g} s when it was run in full; give it more with "
                "--time-limit, or leave the point out."
            ) from None


def rows_on(
    space: "Space", market: Market, time_limit: float | None = None, jobs: int = 1
) -> Iterator[tuple[int, Row]]:
    """Give each point of a space with its row on a market; with several jobs in the order in which they come back."""
    if isinstance(jobs, bool) or jobs < 1:
        raise ConfigError(f"`jobs` must be a number of processes from 1, got {jobs!r}.")
    if jobs > 1:
        yield from rows_of_workers(space, market, time_limit, jobs)
        return
    with scorer_on(market, time_limit) as (scorer, note):
        for point in range(len(space)):
            config = space.config(point)
            note(config)
            yield point, scorer.row(config)


def scored(
    space: "Space",
    market: Market,
    looked: Collection[int],
    progress: Callable[[int], None] | None = None,
    time_limit: float | None = None,
    jobs: int = 1,
) -> tuple[dict[int, Known], dict[int, str]]:
    """Score every point on a whole market: return what is known of those that aren't looked at in full, and why others failed.

    looked: points that are run in full anyway. Where those are all of them, and in this process, nothing is scored before.
    """
    known: dict[int, Known] = {}
    failed: dict[int, str] = {}
    if len(looked) == len(space) and jobs == 1:
        return known, failed
    for done, (point, row) in enumerate(rows_on(space, market, time_limit, jobs), 1):
        if row["error"]:
            failed[point] = str(row["error"])
        elif point not in looked:
            known[point] = Known(float(row["sharpe"]), str(row["run"]))
        if progress is not None:
            progress(done)
    return known, failed


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
