"""A sweep in the terminal: how far it is while it runs, and its best points when it is done."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from backtest.analysis.summary import METRICS, Summary
from backtest.model.passport import Passport
from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.heat import figure_name, print_heat
from backtest.report.heat import told as figure_words
from backtest.report.progress import shown_late
from backtest.report.terminal import bullet, line, print_assumptions, print_data, print_headings, title

__all__ = [
    "SHOWN",
    "SweepView",
    "Swept",
    "order_words",
    "print_sweep",
    "rate_words",
    "shown",
    "sweep_progress",
    "time_words",
]

SHOWN = ("total_return", "sharpe", "max_drawdown", "calmar", "trades", "win_rate", "liquidations")
FIGURES = frozenset(METRICS)
HEADERS = {"max_drawdown": "max DD", "liquidations": "liq."}
SHOWN_REASONS = 5
QUIET = 10.0  # seconds between lines where there is no terminal


@dataclass(frozen=True)
class Swept:
    """One axis: its name, how many values it has, 0 where it is a span, and which."""

    name: str
    values: int
    told: str


@dataclass(frozen=True, eq=False)
class SweepView:
    """What a report takes of a sweep; it does not know how one is made.

    by: the figure that ranks the points; rows: the best ones, the best first, each with the axes' columns and the figures;
    ambiguous: points in which the order inside a bar was open; failures: reason -> points, the most frequent first; swept,
    held: the axes, and the settings that were not swept; worth: what choosing the best is worth, in sentences; summaries: of
    the best point of each market, run in full; passports: market -> how its data stand; maps: of the page, pair of axes by
    pair of axes a map for each figure (`backtest.sweep.heat_map`), no_map: why there is none, map_note: what is not among them.
    """

    folder: Path
    strategies: tuple[str, ...]
    markets: tuple[str, ...]
    points: int
    done: int
    failed: int
    ambiguous: int
    by: str
    axes: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    failures: Mapping[str, int]
    swept: Sequence[Swept] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    sample: str = ""
    worth: Sequence[str] = ()
    summaries: Sequence[Summary] = ()
    passports: Mapping[str, Passport] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    maps: Sequence[Sequence[Any]] = ()
    no_map: str = ""
    map_note: str = ""

    def facts(self) -> list[str]:
        """Return what was asked, in words."""
        failed = f", {self.failed:,} of them failed" if self.failed else ""
        drawn = f", {self.sample}" if self.sample else ""
        kinds = (("strategies", self.strategies), ("markets", self.markets))
        several = [f"{len(of):,} {name}" for name, of in kinds if len(of) > 1]
        return [" · ".join([f"{self.done:,} points{drawn}{failed}", *several, f"ranked by {figure_name(self.by)}"])]

    def without_rows(self) -> str:
        """Return why there is no best point."""
        if self.failed == self.done:
            return "No point gave figures."
        return f"No point that ran has the figure {figure_name(self.by)}."

    def choice(self) -> list[str]:
        """Return what choosing the best is worth, and of what it is told."""
        if not self.rows:
            return [f"{self.without_rows().removesuffix('.')}, so there is nothing to choose."]
        if len(self.worth) < 2:  # nothing was judged, and a sentence says why
            return list(self.worth)
        several = len(self.strategies) * len(self.markets) > 1
        own = (
            "Only the points of that strategy on that market are judged; choosing among strategies and markets is not."
        )
        first, rest = list(self.worth[: int(several)]), list(self.worth[int(several) :])
        return [*first, *[own] * several, *[by_sharpe(self.by)] * (self.by != "sharpe"), *rest]


def by_sharpe(by: str) -> str:
    """Return what the overfitting figures choose by, where the points are ranked by something else."""
    name = figure_name(by)
    return (
        f"These figures choose by the Sharpe ratio of daily returns, not by {name}; "
        f"the deflated Sharpe ratio is that of the best point by {name}."
    )


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
    view: SweepView,
    console: Console,
    maps: Sequence[Any] = (),
    whole: bool = False,
    page: Path | None = None,
    followed: bool = False,
) -> None:
    """Print the best points of a sweep, maps, what choosing the best is worth, what failed, and where everything is.

    maps: those to print; whole: each with its trades and its spread; followed: by runs, which say themselves what is assumed.
    """
    summaries = [replace(one, parameters={}) for one in view.summaries]  # those of one point, no facts of the sweep
    if summaries:
        print_headings(summaries, console)
    print_best(view, console)
    for found in maps:
        print_heat(found, console, whole)
    title("Is choosing the best worth anything?", console)
    for sentence in view.choice():
        bullet(sentence, console)
    print_failed(view, console)
    if summaries and not followed:
        print_assumptions(summaries, console)
        print_data(summaries, console)
    console.print()
    for name, path in (("Rows", view.folder), ("Page", page)):
        if path is not None:
            console.print(Text(f"{name}: {words.printable(path)}"), no_wrap=True, crop=False, soft_wrap=True)
    if followed:
        title(f"The best of them, run in full{'' if len(view.rows) == 1 else ' and set beside each other'}", console)


def print_best(view: SweepView, console: Console) -> None:
    title(f"The best of {view.done:,} points by {figure_name(view.by)}", console)
    if not view.rows:
        line(view.without_rows(), console)
        return
    name = Column("point", [f"{row['point']}" for row in view.rows], ["bold"] * len(view.rows))
    settings = [Column(axis.removeprefix("set_"), [shown(axis, row[axis]) for row in view.rows]) for axis in view.axes]
    names = dict.fromkeys((view.by, *SHOWN))
    figures = [Column(HEADERS.get(one, figure_name(one)), [shown(one, row[one]) for row in view.rows]) for one in names]
    orders = [order_words(row) or words.NOTHING for row in view.rows]
    if view.ambiguous and set(orders) != {words.NOTHING}:
        figures.append(Column("worst to best", orders))
    for i, table in enumerate(packed(name, [[*settings, *figures]], console)):
        if i:
            console.print()
        console.print(table)
    if view.ambiguous:
        told = f"In {view.ambiguous:,} points the order of two events inside a bar was open: worst to best is the total return."
        line(Text(told, style="dim"), console)


def print_failed(view: SweepView, console: Console) -> None:
    if not view.failures:
        return
    title(f"{view.failed:,} of {view.done:,} points failed", console)
    for sentence, count in list(view.failures.items())[:SHOWN_REASONS]:
        bullet(Text(f"{count:,} failed: {words.printable(sentence)}", "yellow"), console)
    left = len(view.failures) - SHOWN_REASONS
    if left > 0:
        bullet(f"{left:,} more reasons", console)


def order_words(row: Mapping[str, Any]) -> str:
    """Return a point's total return with the worst and the best order of events inside bars; empty where they are the same."""
    worst, best = row["total_return_worst"], row["total_return_best"]
    return "" if worst == best or worst is None else f"{words.percent(worst)} to {words.percent(best)}"


def shown(name: str, value: Any) -> str:
    """Return the value of an axis as it is set, or a figure as it is usually written.

    >>> shown("lookback", 24), shown("buffer", 0.0015), shown("levels", [75000.0, 70000.0]), shown("total_return", 0.123)
    ('24', '0.0015', '75000,70000', '12.3%')
    """
    if value is None or value != value:
        return words.NOTHING
    root = name.removesuffix("_worst").removesuffix("_best")
    return figure_words(name, float(value)) if root in FIGURES else words.value_words(value)
