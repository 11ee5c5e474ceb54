"""A progress bar that appears only where one waits for more than two seconds, on a terminal, on stderr."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from backtest.model.config import RunConfig
from backtest.report.words import printable

__all__ = ["progress", "shown_late"]

PATIENCE = 2.0
FIRST = "preparing; the first run ever compiles the engine"


@contextmanager
def progress(runs: int, console: Console | None = None) -> Iterator[Callable[[RunConfig], None]]:
    """Give a function to call with the configuration before each run; the bar is gone at the end."""
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(FIRST, total=runs)
    started = 0

    def advance(config: RunConfig) -> None:
        nonlocal started
        if started:
            bar.update(task, completed=started, description=escape(printable(config.strategy)))
        started += 1

    with shown_late(bar):
        yield advance


@contextmanager
def shown_late(bar: Progress, patience: float | None = None) -> Iterator[None]:
    """Show a bar once one has waited for `patience` seconds, on a terminal only; it is gone at the end."""
    late = threading.Timer(PATIENCE if patience is None else patience, bar.start)
    late.daemon = True
    if bar.console.is_terminal:
        late.start()
    try:
        yield
    finally:
        late.cancel()
        if late.ident is not None:
            late.join()
        if bar.live.is_started:
            bar.stop()
