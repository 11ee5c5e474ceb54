"""A progress bar for work in stages, where one waits for more than two seconds: on a terminal, on stderr, gone at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backtest.report.progress import shown_late
from backtest.report.words import printable

__all__ = ["stages"]


@contextmanager
def stages(console: Console | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function to call with the name of a stage, how much of it is done, and how much there is."""
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task, now = bar.add_task("preparing", total=None), ""

    def advance(stage: str, done: int, count: int) -> None:
        nonlocal now
        if stage != now:
            bar.reset(task, total=count, description=escape(printable(stage)))
            now = stage
        bar.update(task, completed=done)

    with shown_late(bar):
        yield advance
