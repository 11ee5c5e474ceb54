"""The comparison as a notebook shows it."""

import math
from typing import TYPE_CHECKING

from backtest.model.notebook import SIMULATED

if TYPE_CHECKING:
    from backtest.analysis.compare import Comparison

__all__ = ["comparison_rows"]

SHOWN = {
    "total_return": ("return", "{:+.1%}"),
    "cagr": ("CAGR", "{:+.1%}"),
    "sharpe": ("Sharpe", "{:.2f}"),
    "sortino": ("Sortino", "{:.2f}"),
    "max_drawdown": ("max DD", "{:.1%}"),
    "calmar": ("Calmar", "{:.2f}"),
    "trades": ("trades", "{:,.0f}"),
    "win_rate": ("win rate", "{:.1%}"),
    "exposure": ("exposure", "{:.1%}"),
    "funding_paid": ("funding paid", "{:,.2f}"),
    "fees": ("fees", "{:,.2f}"),
    "liquidations": ("liq.", "{:,.0f}"),
}


def comparison_rows(found: "Comparison") -> tuple[list[str], list[list[str]], str, list[str]]:
    """Return headers, rows, caption and notes: the figures, and each run's return beside the best's with its interval."""
    headers = ["run", "rank", *(header for header, _ in SHOWN.values()), f"return above {found.names[0]}'s"]
    lead = {one.run: one for one in found.to_best if one.figure == "total_return"}
    rows = []
    for i, name in enumerate(found.names):
        cells = [marked(found, figure, i, form) for figure, (_, form) in SHOWN.items()]
        one = lead.get(name)
        told = "" if one is None else f"{shown(one.value, '{:+.1%}')}{between(one.low, one.high)}"
        rows.append([name, found.rank_words(i), *cells, told])
    simulated = [SIMULATED] if any(s.grade == "D" for s in found.summaries) else []
    caption = f"{len(found)} runs, ranked by {found.sort.replace('_', ' ')}; * is the best of its column"
    return headers, rows, caption, [*simulated, *found.notes, *found.sentences()]


def marked(found: "Comparison", figure: str, row: int, form: str) -> str:
    text = shown(found.figures[figure][row], form)
    return f"{text}*" if row in found.best.get(figure, ()) else text


def between(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f" ({low:+.1%} to {high:+.1%})"


def shown(value: float, form: str) -> str:
    return "\N{EN DASH}" if math.isnan(value) else form.format(value)
