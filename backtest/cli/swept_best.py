"""The best points of a sweep, run in full, kept, and set beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.cli.swept import Asked, rows_of
from backtest.errors import LevelbreakError

if TYPE_CHECKING:
    from backtest.cli.keeping import Beside, Kept
    from backtest.sweep import Sweep

__all__ = ["Compared", "compare_best"]


@dataclass(frozen=True, eq=False)
class Compared:
    """The best points as runs: those that were kept, what failed by point, and the page that sets them beside each other.

    note: why there is none of them.
    """

    kept: "Sequence[Kept]" = ()
    failed: dict[str, str] = field(default_factory=dict)
    beside: "Beside | None" = None
    note: str = ""


def compare_best(found: "Sweep", asked: Asked, results: Path | None) -> Compared:
    """Run the best points in full, each run once, and keep them with their reports and the page that compares them."""
    from backtest.cli.keeping import beside, keep_runs
    from backtest.cli.runs import progress_bar
    from backtest.report.heat import figure_name
    from backtest.runner import run_each

    points = distinct(found, asked)
    if not points:
        return Compared(note=f"There is nothing to compare: no point has the figure {figure_name(asked.by)}.")
    configs = [found.space.config(point) for point in points]
    with progress_bar(len(configs)) as advance:
        outcomes = dict(zip(points, run_each(configs, advance), strict=True))
    done = {point: one for point, one in outcomes.items() if not isinstance(one, LevelbreakError)}
    named = [(found.space.config(point).strategy, one) for point, one in done.items()]
    every: dict[int, Any] = outcomes | dict(zip(done, keep_runs(named, results) if named else [], strict=True))
    failed = {f"point {point}": str(one) for point, one in every.items() if isinstance(one, LevelbreakError)}
    kept = [one for one in every.values() if not isinstance(one, LevelbreakError)]
    return Compared(kept, failed, beside(kept, results) if len(kept) > 1 else None)


def distinct(found: "Sweep", asked: Asked) -> list[int]:
    """Return the best points, of those that are the same run the first."""
    count = asked.top
    while True:
        points = found.best(asked.by, count)
        runs = {row["run"]: row["point"] for row in reversed(rows_of(found, points))}
        once = [point for point in points if point in set(runs.values())]
        if len(once) >= asked.top or len(points) < count:
            return once[: asked.top]
        count *= 2
