"""A walk-forward in the terminal: its folds, what they make together, and whether that is more than luck."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from backtest.analysis.summary import Summary, analyze
from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.luck import print_luck
from backtest.report.terminal import bullet, line, print_assumptions, print_data, print_figures, print_headings, title

if TYPE_CHECKING:
    from backtest.analysis import Assessment
    from backtest.model import Result

__all__ = ["chosen", "figure", "print_forward", "print_overfitting"]

RATES = ("total_return", "cagr", "max_drawdown", "win_rate", "exposure", "volatility")


class Told(Protocol):
    """What says itself in sentences, as the overfitting figures do."""

    def sentences(self) -> tuple[str, ...]: ...


class Walked(Protocol):
    """A walk-forward, as `backtest.sweep.forward` makes it; this part does not know that one."""

    @property
    def result(self) -> "Result": ...
    @property
    def assessment(self) -> "Assessment": ...
    @property
    def overfitting(self) -> Told: ...
    @property
    def stability(self) -> Sequence[Any]: ...
    @property
    def cross(self) -> Any: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def walk(self) -> Any: ...
    def fold_rows(self) -> list[dict[str, Any]]: ...


def print_forward(found: Walked, console: Console, paths: Sequence[Path] = ()) -> None:
    """Print a walk-forward: folds, the stitched run like any run, stability, overfitting, and where the files are."""
    summary = analyze(found.result)
    print_headings([summary], console)
    print_folds(found, console)
    print_stitched(summary, found, console)
    print_luck(found.assessment.luck, console)
    title("Do the folds agree?", console)
    for one in found.stability:
        bullet(one.sentence(), console)
    print_overfitting(found.overfitting, console, found.cross)
    print_assumptions([summary], console)
    print_data([summary], console)
    print_paths(paths, console)


def print_folds(found: Walked, console: Console) -> None:
    walk, rows = found.walk, found.fold_rows()
    kept = f", keeping {' and '.join(map(str, walk.constraints))}" if walk.constraints else ""
    title(
        f"Folds, {'anchored' if walk.anchored else 'rolling'}: the best {walk.metric} of each training{kept}", console
    )
    name = Column("fold", [str(row["fold"]) for row in rows], ["bold"] * len(rows))
    spans = [
        Column(
            "training", [f"{day(row['train_start'])} to {day(row['train_end'])}" for row in rows], left=True, whole=True
        ),
        Column("purge", [f"{row['purge']:,}" for row in rows], spare=True),
        Column("test", [f"{day(row['test_start'])} to {day(row['test_end'])}" for row in rows], left=True, whole=True),
    ]
    told = [
        *chosen([row["values"] for row in rows]),
        Column("in", [figure(walk.metric, row["in_sample"]) for row in rows]),
        Column("out", [figure(walk.metric, row["out_of_sample"]) for row in rows]),
        Column("return", [words.percent(row["return"], sign=True) for row in rows]),
        Column("trades", [f"{row['trades']:,}" for row in rows]),
    ]
    for i, table in enumerate(packed(name, [spans, told], console)):
        if i:
            console.print()
        console.print(table)


def day(time: str) -> str:
    """Return a time without its hour where it is midnight.

    >>> day("2026-02-03T00:00Z"), day("2026-02-03T05:00Z")
    ('2026-02-03', '2026-02-03T05:00Z')
    """
    return time.removesuffix("T00:00Z")


def chosen(points: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return a column for each setting that was chosen, by the name that it is set by; a dash where nothing was.

    >>> [(c.header, c.cells) for c in chosen([{"lookback": 24, "set_exposure": 0.5}, {}])]
    [('lookback', ['24', '–']), ('exposure', ['0.5', '–'])]
    """
    names = dict.fromkeys(name for point in points for name in point)
    cells = {n: [short(point[n]) if n in point else words.NOTHING for point in points] for n in names}
    return [Column(name.removeprefix("set_"), texts) for name, texts in cells.items()]


def short(value: Any) -> str:
    """Return a value as one would set it, with four digits.

    >>> short(0.0067211808), short((75000.0, 70000.0))
    ('0.006721', '75000,70000')
    """
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 1000 else words.value_words(value)


def figure(name: str, value: Any) -> str:
    """Return a figure as it is usually written: a rate in percent, a ratio with two digits.

    >>> figure("total_return", 0.123), figure("sharpe", 1.5), figure("calmar", None)
    ('12.3%', '1.50', '–')
    """
    number = math.nan if value is None else float(value)
    return words.percent(number) if name in RATES else words.ratio(number)


def print_stitched(summary: Summary, found: Walked, console: Console) -> None:
    title("The tests put together, out of sample throughout", console)
    print_figures([summary], console)
    for note in found.notes:
        line(Text(words.printable(note), style="dim"), console)


def print_overfitting(found: Told, console: Console, cross: Any = None) -> None:
    """Print what choosing is worth."""
    title("Is choosing the best worth anything?", console)
    for sentence in found.sentences():
        bullet(sentence, console)
    if cross is not None:
        bullet(cross.sentence(), console)


def print_paths(paths: Sequence[Path], console: Console) -> None:
    if paths:
        title("Files: the figures, and the equity of the tests", console)
    for path in paths:
        console.print(Text(f"  {words.printable(path)}"), no_wrap=True, crop=False, soft_wrap=True)
