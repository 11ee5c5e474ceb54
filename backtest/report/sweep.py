"""A sweep in the terminal: how far it is while it runs, and its best points when it is done."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from backtest.report.progress import shown_late
from backtest.report.words import printable

__all__ = ["SHOWN", "print_sweep", "rate_words", "sweep_progress", "time_words"]

SHOWN = ("total_return", "sharpe", "max_drawdown", "calmar", "trades", "win_rate", "liquidations")
FRACTIONS = frozenset(("total_return", "cagr", "max_drawdown", "win_rate", "exposure", "volatility"))
QUIET = 10.0  # seconds between lines where there is no terminal


@contextmanager
def sweep_progress(total: int, console: Console | None = None) -> Iterator[Callable[[Any], None]]:
    """Give a function to call as rows come in, with `done`, `failed`, `rate` and `left`; on a terminal it moves a bar."""
    console = console or Console(stderr=True)
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("preparing", total=total)
    said = time.monotonic()

    def advance(now: Any) -> None:
        nonlocal said
        failed = f", {now.failed:,} failed" if now.failed else ""
        words = f"{rate_words(now.rate)}, {time_words(now.left)} left{failed}"
        bar.update(task, completed=now.done, description=words)
        if not console.is_terminal and time.monotonic() - said > QUIET:
            said = time.monotonic()
            console.print(f"{now.done:,} of {total:,} points, {words}")

    with shown_late(bar, 1.0):
        yield advance


def rate_words(rate: float) -> str:
    """Return points a second in words.

    >>> rate_words(1840.2), rate_words(0.25)
    ('1,840 points/s', '0.25 points/s')
    """
    return f"{rate:,.0f} points/s" if rate >= 10 else f"{rate:.2g} points/s"


def time_words(seconds: float) -> str:
    """Return a time in words.

    >>> time_words(4.2), time_words(75), time_words(7260)
    ('4 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def print_sweep(
    rows: Sequence[Mapping[str, Any]],
    axes: Sequence[str],
    by: str,
    counts: Mapping[str, int],
    failures: Mapping[str, int],
    folder: Path,
    console: Console,
) -> None:
    """Print the best points of a sweep, how many failed and why, and where the rows are.

    rows: the best first, each with the axes' columns and the figures; by: the figure that they are ranked by; counts:
    "points", "done", "failed", "ambiguous"; failures: reason -> points.
    """
    table = Table(title=f"best of {counts['done']:,} points by {by}", title_justify="left", box=None, pad_edge=False)
    names = ["point", *axes, *dict.fromkeys((by, *SHOWN))]
    for name in names:
        table.add_column(name.replace("_", " ") if name not in axes else printable(name), justify="right")
    for row in rows:
        table.add_row(*(shown(name, row[name]) for name in names))
    console.print(table if rows else "No point gave figures.")
    if counts["ambiguous"]:
        console.print(
            f"In {counts['ambiguous']:,} points the order of two events inside a bar was open; total return with the worst and "
            "with the best order:"
        )
        for row in rows:
            if row["total_return_worst"] != row["total_return_best"]:
                worst, best = (shown("total_return", row[f"total_return_{order}"]) for order in ("worst", "best"))
                console.print(f"  point {row['point']}: {worst} to {best}")
    for sentence, count in failures.items():
        console.print(f"{count:,} failed: {printable(sentence)}", style="yellow")
    console.print(f"\nRows: {printable(str(folder))}")
    console.print(f"Each point is one trial; the best of {counts['done']:,} is lucky before it is good.", style="dim")


def shown(name: str, value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, (list, tuple)):
        return ";".join(shown("", one) for one in value)
    if name in FRACTIONS:
        return f"{value:.1%}"
    return f"{value:,.3g}" if isinstance(value, float) and name in SHOWN else printable(str(value))
