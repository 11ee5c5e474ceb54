"""An optimisation in the terminal: the best points, in sample and on bars that none of them saw, and what choosing is worth."""

from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.analysis.summary import analyze
from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.forward import chosen, figure, print_overfitting
from backtest.report.terminal import bullet, line, print_assumptions, print_data, print_headings, title

__all__ = ["print_optimisation"]

SHOWN = ("sharpe", "total_return", "max_drawdown", "trades", "liquidations")
NAMES = {"total_return": "return", "max_drawdown": "max DD", "sharpe": "Sharpe", "liquidations": "liq."}


def print_optimisation(found: Any, console: Console) -> None:
    """Print an optimisation, as `backtest.sweep.optimisation` makes it; this part does not know that one."""
    summary = None if found.result is None else analyze(found.result)
    if summary is not None:
        print_headings([summary], console)
    print_counts(found, console)
    print_best(found, console)
    print_overfitting(found.overfitting, console)
    if summary is not None:
        print_assumptions([summary], console)
        print_data([summary], console)
    title("The study, with which the same command goes on", console)
    console.print(Text(f"  {words.printable(found.path)}"), no_wrap=True, crop=False, soft_wrap=True)


def print_counts(found: Any, console: Console) -> None:
    title(f"Sought: {' and '.join(found.search.objectives)}", console)
    before = f", {found.resumed:,} of them before" if found.resumed else ""
    bullet(f"{found.trials:,} suggestions{before}; {found.tried:,} different points", console)
    if found.search.constraints:
        kept = " and ".join(map(str, found.search.constraints))
        bullet(f"{found.refused:,} of them break {kept}, and none of those is chosen", console)
    if found.failed:
        why = f": {found.reason}" if found.reason else ""
        bullet(f"{found.failed:,} of them have no value of it{why}", console)


def print_best(found: Any, console: Console) -> None:
    best = found.best
    title("The best" if len(best) == 1 else f"The {len(best)} best, none of them worse in everything", console)
    shown = [*found.search.objectives, *(name for name in SHOWN if name not in found.search.objectives)]
    name = Column("trial", [f"{one.number:,}" for one in best], ["bold"] * len(best))
    groups = [chosen([one.values for one in best])] + [
        [Column(f"{NAMES.get(f, f)}, {side}", [told(f, getattr(one, key)) for one in best]) for f in shown]
        for side, key in (("in", "in_sample"), ("out", "out_of_sample"))
    ]
    for i, table in enumerate(packed(name, groups, console)):
        if i:
            console.print()
        console.print(table)
    line(Text("in: on the bars that chose; out: on those that no suggestion saw", style="dim"), console)


def told(name: str, row: Any) -> str:
    value = row.get(name)
    if name in ("trades", "liquidations") and value is not None and value == value:
        return words.count(float(value))
    return figure(name, value)
