"""The list of runs in the terminal, however long it is, and what is about to be removed from it.

A table of rich takes milliseconds a row to measure and print; here a row is one text.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style
from rich.text import Text

from backtest.catalogue import BrokenRun, Doomed, RunEntry, RunLine, SavedRun
from backtest.report import words
from backtest.report.columns import Column, clipped
from backtest.report.terminal import line, strategy_name

__all__ = ["print_doomed", "print_note", "print_runs"]

GAP = 2  # spaces between columns
NARROWEST = 8  # to which a text is cut where the terminal is narrow
BOLD, DIM = Style(bold=True), Style(dim=True)
FRACTIONS = ("total_return", "cagr", "volatility", "max_drawdown", "win_rate", "exposure")
AMOUNTS = ("final_equity", "unrealised", "funding_paid", "fees")
SHOWN = ("total_return", "sharpe", "max_drawdown", "trades")
FIRST_TO_GO = ("grade", "market", "return", "Sharpe")
CONTENT = ("id", "created", "strategy", "market", "grade", "note")


def print_runs(
    runs: Sequence[RunLine],
    broken: Sequence[BrokenRun],
    results: Path,
    console: Console,
    of: int | None = None,
    key: str = "created",
) -> None:
    """Print the runs in the order given, each note below its run, and name the folders that are none.

    of: how many runs there are, where these are only some; key: the figure that they are sorted by, which is shown.
    """
    if not runs and not of:
        said(f"There are no runs in {results} yet; make one with `backtest run`.", console)
    elif runs:
        notes = [run.note for run in runs]
        console.print(Segments(list(segments(fitting(run_columns(runs, key), console.width), notes, console.width))))
    if runs and of is not None and of > len(runs):
        said(f"{len(runs):,} of {of:,} runs", console, "dim")
    for bad in broken:
        said(f"skipped {bad.path}: {bad.problem}", console, "yellow")


def said(text: str, console: Console, style: str = "") -> None:
    console.print(Text(words.printable(text), style=style))


def run_columns(runs: Sequence[RunLine], key: str) -> list[Column]:
    """Return the columns of the list, their cells ready to print."""
    columns = [
        Column("run", [run.id for run in runs], left=True),
        Column("made (UTC)", [run.created[:16].replace("T", " ") for run in runs], left=True, spare=True),
        Column("made (UTC)", [run.created[:10] for run in runs], left=True, spare=True),
        Column("strategy", [strategy_name(run.strategy) for run in runs], left=True),
        Column("market", [run.market for run in runs], left=True),
        Column("return", figures(runs, "total_return")),
        Column("Sharpe", figures(runs, "sharpe")),
        Column("max DD", figures(runs, "max_drawdown"), spare=key != "max_drawdown"),
        Column("trades", figures(runs, "trades"), spare=key != "trades"),
        Column("grade", [run.grade for run in runs], left=True),
    ]
    if key not in (*SHOWN, *CONTENT):
        columns.insert(-1, Column(key.replace("_", " "), figures(runs, key)))
    return [replace(column, cells=[clipped(cell) for cell in column.cells]) for column in columns]


def figures(runs: Sequence[RunLine], key: str) -> list[str]:
    """Return a figure of each run as text, as the report writes it; one without a form of its own to four digits."""
    found = [run.metrics.get(key) for run in runs]
    values = [math.nan if value is None else float(value) for value in found]
    if key in FRACTIONS:
        return [words.percent(v, sign=key in ("total_return", "cagr")) for v in values]
    if key in AMOUNTS:
        return words.money(values)
    if key in ("sharpe", "sortino", "calmar"):
        return [words.ratio(v) for v in values]
    return [words.NOTHING if math.isnan(v) else f"{v:,.4g}" if v % 1 else f"{v:,.0f}" for v in values]


# --- rows --------------------------------------------------------------------------------------------------------


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns for which there is room: spare ones, the first ones first, and no header twice.

    On a very narrow terminal those of `FIRST_TO_GO` are left out, one after the other.
    """
    for header in FIRST_TO_GO:
        needed = [column for column in columns if not column.spare]
        if total(narrowed(needed, width)) > width:
            columns = [column for column in columns if column.header != header]
    sizes = [size_of(column) + GAP for column in columns]
    kept = {i for i, column in enumerate(columns) if not column.spare}
    for i, column in enumerate(columns):
        twice = any(columns[k].header == column.header for k in kept)
        if i not in kept and not twice and sum(sizes[k] for k in kept | {i}) - GAP <= width:
            kept.add(i)
    return [columns[i] for i in sorted(kept)]


def size_of(column: Column) -> int:
    return max(cell_len(column.header), max(map(width_of, column.cells)))


def width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def segments(columns: Sequence[Column], notes: Sequence[str], width: int) -> Iterator[Segment]:
    """Return the table as pieces with a style, no line wider than the terminal: header, rule, and a line a run."""
    sizes = narrowed(columns, width)
    header = row_text([column.header for column in columns], columns, sizes)
    yield from (Segment(header[:width], DIM), Segment.line())
    yield from (Segment("─" * min(width, total(sizes))), Segment.line())
    first = sizes[0]
    for i, note in enumerate(notes):
        text = row_text([column.cells[i] for column in columns], columns, sizes)
        text = text.rstrip() if width_of(text) <= width else set_cell_size(text, width)
        yield from (Segment(text[:first], BOLD), Segment(text[first:]), Segment.line())
        if note:
            yield from (Segment(note_text(note, " " * (first + GAP), width), DIM), Segment.line())


def narrowed(columns: Sequence[Column], width: int) -> list[int]:
    """Return the columns' widths; where they are too wide together, texts after the first give way, the widest first."""
    sizes = [size_of(column) for column in columns]
    soft = [i for i, column in enumerate(columns) if i and column.left and sizes[i] > NARROWEST]
    while soft and total(sizes) > width:
        widest = max(soft, key=lambda i: sizes[i])
        if sizes[widest] <= NARROWEST:
            break
        sizes[widest] -= 1
    return sizes


def total(sizes: Sequence[int]) -> int:
    return sum(sizes) + GAP * (len(sizes) - 1)


def row_text(cells: Sequence[str], columns: Sequence[Column], sizes: Sequence[int]) -> str:
    parts = [padded(cell, size, column.left) for cell, size, column in zip(cells, sizes, columns, strict=True)]
    return (" " * GAP).join(parts)


def padded(cell: str, size: int, left: bool) -> str:
    room = size - width_of(cell)
    if room < 0:
        return set_cell_size(cell, size - 1) + "…"
    return cell + " " * room if left else " " * room + cell


def note_text(note: str, indent: str, width: int) -> str:
    text = words.printable(note)
    room = max(NARROWEST, width - len(indent))
    return indent + (text if width_of(text) <= room else set_cell_size(text, room - 1).rstrip() + "…")


# --- one run -----------------------------------------------------------------------------------------------------


def print_note(run: SavedRun | RunEntry, console: Console) -> None:
    """Print a run's note, if it has one, as running text."""
    if run.note:
        line(Text.assemble(("note  ", "dim"), words.printable(run.note)), console)


def print_doomed(doomed: Sequence[Doomed], console: Console) -> None:
    """Print the folders that are about to be removed, each path uncut, with how much they hold."""
    for run in doomed:
        files = f"{run.files:,} file" + ("" if run.files == 1 else "s")
        text = f"  {files}, {size_words(run.size)}  {words.printable(run.path)}"
        console.print(Text(text), no_wrap=True, crop=False, soft_wrap=True)


def size_words(size: int) -> str:
    """Return a number of bytes for a reader.

    >>> size_words(900), size_words(1_250_000)
    ('1 kB', '1.2 MB')
    """
    return f"{max(1, round(size / 1000)):,} kB" if size < 1_000_000 else f"{size / 1e6:,.1f} MB"
