"""What luck explains of runs, in the terminal: a sentence for one, a table for several."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.terminal import bullet, line, title

if TYPE_CHECKING:
    from backtest.analysis.significance import Luck

__all__ = ["print_luck", "print_verdicts"]

COLOURS = {"better than luck": "green", "not distinguishable from luck": "yellow", "not enough trades": "yellow"}
SHOWN = {"total_return": "return", "sharpe": "Sharpe", "max_drawdown": "max DD"}


def print_luck(luck: "Luck | None", console: Console) -> None:
    """Print the verdict on one run, its sentence, and the intervals of the headline figures."""
    if luck is None:
        return
    title("Better than luck?", console)
    bullet(Text(words.printable(luck.sentence), style=COLOURS.get(luck.verdict, "")), console)
    spans = [f"{name} {span(luck, figure)}" for figure, name in SHOWN.items() if figure in luck.intervals]
    if spans:
        bullet(f"95% intervals by {luck.replicates:,} draws of days: {' · '.join(spans)}", console)


def span(luck: "Luck", figure: str) -> str:
    low, high = luck.intervals[figure]
    if not (low == low and high == high):
        return words.NOTHING
    return f"{amount(low, figure)} to {amount(high, figure)}"


def amount(value: float, figure: str) -> str:
    return words.ratio(value) if figure == "sharpe" else words.percent(value, sign=figure == "total_return")


def print_verdicts(names: Sequence[str], lucks: "Sequence[Luck | None]", console: Console) -> None:
    """Print a row a run: the verdict, the interval of the return, and how often the strategy was tried."""
    rows = [(name, luck) for name, luck in zip(names, lucks, strict=True) if luck is not None]
    if not rows:
        return
    found = [luck for _, luck in rows]
    verdicts = Column(
        "verdict",
        [one.verdict for one in found],
        [COLOURS.get(one.verdict, "") for one in found],
        left=True,
        whole=True,
    )
    spans = [
        Column(f"{SHOWN[f]}, 95%", [span(one, f) for one in found], spare=f == "sharpe")
        for f in ("total_return", "sharpe")
    ]
    trials = Column("trials", [f"{one.trials:,}" for one in found])
    name = Column("run", [name for name, _ in rows], ["bold"] * len(rows), left=True)
    for i, table in enumerate(packed(name, [[verdicts, *spans, trials]], console)):
        if i:
            console.print()
        console.print(table)
    said = "intervals by drawing days anew; trials: runs of the strategy on these data so far, by which the verdict is deflated"
    line(Text(said, style="dim"), console)
