"""What a fetch does and came to, in the terminal: a bar a source while it runs, then a table a series, then what is wrong."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from backtest.report.columns import Column, fits, fitted, packed, table_of
from backtest.report.terminal import bullet, line, title
from backtest.report.words import printable, span_words

__all__ = ["print_fetch", "print_imported", "print_plan", "print_verified", "watch"]

SHOWN = 20
NOTHING = "\N{EN DASH}"
Row = Mapping[str, Any]


class Advance(Protocol):
    """How far a source is; see `backtest.market.fetching.lanes.Progress`."""

    @property
    def source(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def failed(self) -> int: ...


class Rate(ProgressColumn):
    """Pages a second, and rows so far."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        rate = f"{speed:.1f} pages/s" if speed else "starting"
        failed = f" {task.fields['failed']} failed" if task.fields["failed"] else ""
        return Text.assemble(f"{rate} {task.fields['rows']:,} rows", (failed, "red"))


@contextmanager
def watch(console: Console | None = None) -> Iterator[Callable[[Advance], None]]:
    """Give a function to call after each page; a bar a source, on a terminal only, on stderr, gone at the end."""
    console = console or Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    tasks: dict[str, Any] = {}
    lock = threading.Lock()

    def advance(step: Advance) -> None:
        with lock:
            if step.source not in tasks:
                tasks[step.source] = bar.add_task(step.source, total=None, rows=0, failed=0)
            bar.update(tasks[step.source], completed=step.done, total=step.total, rows=step.rows, failed=step.failed)

    with bar:
        yield advance


# --- what came of it --------------------------------------------------------------------------------------------


def print_fetch(report: Row, headers: Sequence[str], console: Console) -> None:
    """Print the table of what is stored, the sentences about it, and what failed."""
    rows = report["series"]
    if not rows:
        line(f"{report['market']} takes nothing from the store: there is nothing to fetch.", console)
        return
    if any("cells" in row for row in rows):
        for i, table in enumerate(quality_tables(rows, headers, console)):
            console.print(*([""] if i else []), table, sep="\n")
    if report["interrupted"]:
        title("Stopped", console)
        bullet("Interrupted; what had arrived is kept, and the same command goes on from there.", console)
    sentences(rows, console)
    failures(rows, console)
    for note in report["notes"]:
        bullet(note, console)
    added, pages = sum(row["added"] for row in rows), sum(row["arrived"] for row in rows)
    there = not any_error(rows) and not report["interrupted"] and any(row["start"] < row["end"] for row in rows)
    told = f"{added:,} new rows in {pages:,} pages" if pages else "nothing was missing" if there else ""
    if told:
        console.print()
        line(Text(f"{told}; kept in {printable(report['store'])}", style="dim"), console)


def any_error(rows: Sequence[Row]) -> bool:
    return any(row["error"] for row in rows)


def quality_tables(rows: Sequence[Row], headers: Sequence[str], console: Console) -> list[Table]:
    """Return the table of what is stored; where it is too wide, the second sources in one of their own.

    Then columns without a finding are left out, those of less use first, and what still is too wide goes on in a further table.
    """
    columns = quality_columns(rows, headers)
    agreed = [row for row in rows if row.get("quality", {}).get("agreement")]
    if fits(columns, console):
        return [table_of(columns)]
    told = [column for column in columns if column.header != "agreement"]
    needed = [column for column in told if not column.spare]
    tables = [fitted(told, console)] if fits(needed, console) else packed(needed[0], [needed[1:]], console)
    return [*tables, table_of(agreement_columns(agreed))] if agreed else tables


def quality_columns(rows: Sequence[Row], headers: Sequence[str]) -> list[Column]:
    """Return the columns of the table; those that say nothing may be left out where the terminal is narrow."""
    empty = [NOTHING] * (len(headers) - 1)
    cells = [list(row.get("cells") or [row["of"][0], *empty]) for row in rows]
    styles = ["red" if row["error"] else "" for row in rows]
    text, always = ("series", "span", "agreement"), ("series", "rows", "span", "gaps")
    return [
        Column(
            name,
            mine,
            styles,
            left=name in text,
            spare=name not in always and {*mine} <= {"0", NOTHING},
            whole=name in text,
        )
        for name, *mine in zip(headers, *cells, strict=True)
    ]


def agreement_columns(rows: Sequence[Row]) -> list[Column]:
    """Return how far the second sources agree, for the series that have one."""
    return [
        Column("series", [row["of"][0] for row in rows], left=True, whole=True),
        Column("second source", [row["quality"]["agreement"]["other"] for row in rows], left=True),
        Column("agreement", [row["cells"][-1] for row in rows], left=True, whole=True),
    ]


def sentences(rows: Sequence[Row], console: Console) -> None:
    """Print what is wrong with the data, and what the sources said."""
    found = [told for row in rows for told in (*row.get("quality", {}).get("findings", ()), *row["notes"])]
    found = list(dict.fromkeys(found))
    if found:
        title("What to know of these data", console)
    for told in found[:SHOWN]:
        bullet(told, console)
    if len(found) > SHOWN:
        bullet(f"and {len(found) - SHOWN} more; `--json` has them all", console)


def failures(rows: Sequence[Row], console: Console) -> None:
    """Print each reason once, with the series that it stopped."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["error"]:
            reasons.setdefault(row["error"], []).append(row["of"][0])
    if reasons:
        title("Not fetched", console)
    for reason, names in reasons.items():
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        bullet(Text.assemble((printable(shown), "bold red"), f": {printable(reason)}"), console)


def print_plan(report: Row, console: Console) -> None:
    """Print what a fetch would ask for: pages, spans and sources."""
    rows = report["series"]
    if not rows:
        line(f"{report['market']} takes nothing from the store: there is nothing to fetch.", console)
        return
    asked = [NOTHING if row["error"] else f"{row['pages']:,}" for row in rows]
    columns = [
        Column("series", [row["of"][0] for row in rows], left=True, whole=True),
        Column("source", [row["source"] for row in rows], left=True),
        Column("symbol", [row["symbol"] for row in rows], left=True),
        Column("kind", [row["kind"] for row in rows], left=True, spare=True),
        Column("interval", [row["interval"] or NOTHING for row in rows], left=True, spare=True),
        Column("pages", asked),
        Column("span", [span_words(row["start"], row["end"]) for row in rows], left=True, spare=True, whole=True),
    ]
    console.print(fitted(columns, console))
    failures(rows, console)
    for note in report["notes"]:
        bullet(note, console)
    console.print()
    pages = sum(row["pages"] for row in rows)
    line(Text(f"{pages:,} pages would be asked for; nothing was", style="dim"), console)


# --- the store --------------------------------------------------------------------------------------------------


def print_verified(rows: Sequence[Row], console: Console) -> None:
    """Print the state of every series of the store, and what is wrong in a sentence each."""
    if not rows:
        line("The store is empty; `backtest fetch MARKET` fills it.", console)
        return
    for row in rows:
        if row["state"] != "ok":
            colour = "red" if row["state"] in ("changed", "missing") else ""
            bullet(Text.assemble((f"{row['state']}: ", f"bold {colour}"), printable(row["text"])), console)
    good = sum(row["state"] == "ok" for row in rows)
    line(f"{good:,} of {len({row['series'] for row in rows}):,} series are as they were stored.", console)


def print_imported(told: Row, console: Console) -> None:
    """Print what an import brought."""
    line(f"{told['added']:,} new rows of {told['file']} are now {told['series']} in {told['store']}.", console)
    for key, meaning in (
        ("repeated", "were there already"),
        ("revised", "had other numbers before"),
        ("open", "are not over yet"),
    ):
        if told[key]:
            bullet(f"{told[key]:,} rows {meaning}{'; left out' if key == 'open' else ''}.", console)
