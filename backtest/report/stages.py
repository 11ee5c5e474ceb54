"""A progress bar for work in stages, where one waits for more than two seconds: on a terminal, on stderr, gone at the end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backtest.report.progress import PATIENCE
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

    late = threading.Timer(PATIENCE, bar.start)
    late.daemon = True
    if console.is_terminal:
        late.start()
    try:
        yield advance
    finally:
        late.cancel()
        if late.ident is not None:
            late.join()
        if bar.live.is_started:
            bar.stop()
