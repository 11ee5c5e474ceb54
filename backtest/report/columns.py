"""Tables that fit the terminal: columns too many for the width go on in a further table, never into a wrapped line."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from backtest.report.words import printable

__all__ = ["Column", "fits", "fitted", "packed", "table_of"]

LONGEST = 28


@dataclass(frozen=True)
class Column:
    """A header and its cells; left: text, else numbers; spare: may be left out where the terminal is narrow.

    whole: cells are never clipped.
    """

    header: str
    cells: Sequence[str]
    styles: Sequence[str] = ()
    left: bool = False
    spare: bool = False
    whole: bool = False

    def text(self, row: int) -> Text:
        cell = printable(self.cells[row]) if self.whole else clipped(self.cells[row])
        return Text(cell, style=self.styles[row] if self.styles else "", no_wrap=True)


def clipped(text: str) -> str:
    text = printable(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def table_of(columns: Sequence[Column], tight: bool = False) -> Table:
    """Return the columns as one table, names to the left and numbers to the right; tight: two blanks between them, not three."""
    padding = (0, 1, 0, 0) if tight else (0, 1)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding, header_style="dim")
    for column in columns:
        table.add_column(Text(column.header), justify="left" if column.left else "right", no_wrap=True)
    for row in range(len(columns[0].cells)):
        table.add_row(*(column.text(row) for column in columns))
    return table


def fits(columns: Sequence[Column], console: Console, tight: bool = False) -> bool:
    table = table_of(columns, tight)
    return Measurement.get(console, console.options.update(width=10_000), table).maximum <= console.width


def packed(name: Column, groups: Sequence[Sequence[Column]], console: Console) -> list[Table]:
    """Return the columns in tables that fit the width, each led by the name: one, else one a group, else more.

    Where one table would be too wide, spare columns are left out first; where a group is, its columns move together.
    """
    together = [column for group in groups for column in group]
    if fits([name, *together], console):
        return [table_of([name, *together])]
    kept = [[column for column in group if not column.spare] for group in groups]
    if kept != [list(group) for group in groups]:
        return packed(name, kept, console)
    if len(groups) > 1:
        return [table for group in groups for table in packed(name, [group], console)]
    if fits([name, *together], console, tight=True):
        return [table_of([name, *together], tight=True)]
    tables, row = [], [name]
    for column in together:
        if len(row) > 1 and not fits([*row, column], console):
            tables.append(table_of(row))
            row = [name]
        row.append(column)
    return [*tables, table_of(row)]


def fitted(columns: Sequence[Column], console: Console) -> Table:
    """Return one table, with those spare columns, the first ones first, for which there is room."""
    kept = {i for i, column in enumerate(columns) if not column.spare}
    for i in range(len(columns)):
        if fits([columns[k] for k in sorted(kept | {i})], console):
            kept.add(i)
    return table_of([columns[k] for k in sorted(kept)])
