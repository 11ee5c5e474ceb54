"""A run made again, in the terminal: identical, or what changed and by how much."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.catalogue import Again, Change
from backtest.report import words
from backtest.report.columns import Column, table_of
from backtest.report.terminal import bullet, line, title

__all__ = ["print_again"]

DIGITS = 12  # of a hash
SHOWN = 12  # changes that are named


def print_again(name: str, again: Again, console: Console) -> None:
    """Print whether a run came out the same; where not, what it rests on that changed, and its figures before and now."""
    line(verdict(name, again), console)
    if again.first:
        bullet(f"ledger: {again.first}", console)
    if again.changes:
        title("What changed, without an effect" if again.identical else "What changed", console)
        for change in again.changes[:SHOWN]:
            bullet(change_words(change), console)
        if len(again.changes) > SHOWN:
            bullet(f"and {len(again.changes) - SHOWN} more; `--json` names them all", console)
    elif not again.identical:
        title("What changed", console)
        bullet(unexplained(again), console)
    if again.unknown and not again.identical:
        bullet(f"not recorded by the first run, so it may have changed: {', '.join(again.unknown)}", console)
    if again.figures:
        title("Figures that differ", console)
        console.print(table_of(figure_columns(again)))


def verdict(name: str, again: Again) -> Text:
    parts = {
        kind: [t for t, same in again.tables.items() if same == kind] for kind in ("bytes", "content", "different")
    }
    name = words.printable(name)
    if parts["different"]:
        told = f"{listed(parts['different'])} of {name} {'is' if len(parts['different']) == 1 else 'are'} not the same."
        return Text.assemble(("different", "bold red"), f": {told}")
    if not parts["content"]:
        return Text.assemble(("identical", "bold green"), f": {listed(parts['bytes'])} of {name}, byte for byte.")
    before, now = again.writers
    why = f", as they were written by {before} and {now}" if before != now else ""
    rest = f"; {listed(parts['bytes'])} byte for byte" if parts["bytes"] else ""
    told = f": every row of {listed(parts['content'])} of {name}; the bytes differ{words.printable(why)}{rest}."
    return Text.assemble(("identical", "bold green"), told)


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def unexplained(again: Again) -> str:
    if again.unknown:
        return "nothing of what the first run recorded"
    return (
        "nothing of what a run records: the program itself did, a module that the strategy imports, or the strategy "
        "does not plan the same twice (`backtest check` tells)"
    )


def change_words(change: Change) -> Text:
    before, now = (short(value) for value in (change.before, change.now))
    return Text.assemble((words.printable(change.what), "bold"), f": was {before}, is {now}")


def short(value: Any) -> str:
    """Return a value in a few words, a hash by its first digits.

    >>> short("real " + "ab" * 32), short(None), short(0.0005)
    ('real abababababab', 'nothing', '0.0005')
    """
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return " ".join(p[:DIGITS] if len(p) == 64 else p for p in words.printable(value).split(" ")) or "nothing"
    return words.value_words(value)


def figure_columns(again: Again) -> list[Column]:
    names = list(again.figures)
    befores, nows = zip(*again.figures.values(), strict=True)
    return [
        Column("figure", [name.replace("_", " ") for name in names], left=True),
        Column("before", [figure(v) for v in befores]),
        Column("now", [figure(v) for v in nows]),
        Column("change", [change(b, n) for b, n in again.figures.values()]),
    ]


def figure(value: Any) -> str:
    return words.NOTHING if value is None else f"{value:,.6g}" if abs(value) < 100_000 else f"{value:,.0f}"


def change(before: Any, now: Any) -> str:
    """Return the difference of two figures with its sign; a dash where one is undefined."""
    difference = math.nan if before is None or now is None else now - before
    return words.NOTHING if math.isnan(difference) else f"{difference:+,.3g}"
