"""What a notebook shows of our objects: one plain HTML table, everything in it escaped."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from backtest.model.arrays import utc_text
from backtest.model.result import EXIT_REASONS

if TYPE_CHECKING:
    from backtest.model.result import Result

__all__ = ["SIMULATED", "html_table", "result_html"]

SIMULATED = "SIMULATED MARKET: prices or other series were made by a generator; the figures say nothing about the past."


def html_table(
    headers: Sequence[object], rows: Sequence[Sequence[object]], caption: object = "", notes: Sequence[object] = ()
) -> str:
    """Return a table as HTML, the first cell of each row as its header, and notes as paragraphs below it.

    >>> html_table(["run", "return"], [["a<b", "+1.0%"]], notes=["simulated"])
    '<table><thead><tr><th>run</th><th>return</th></tr></thead><tbody><tr><th>a&lt;b</th><td>+1.0%</td></tr></tbody></table><p>simulated</p>'
    """
    head = "".join(tagged("th", text) for text in headers)
    body = "".join(
        f"<tr>{''.join(tagged('td' if i else 'th', cell) for i, cell in enumerate(row))}</tr>" for row in rows
    )
    parts = [
        tagged("caption", caption) if str(caption) else "",
        f"<thead><tr>{head}</tr></thead>" if headers else "",
        f"<tbody>{body}</tbody>",
    ]
    return f"<table>{''.join(parts)}</table>{''.join(tagged('p', note) for note in notes)}"


def tagged(tag: str, text: object) -> str:
    return f"<{tag}>{escape(str(text))}</{tag}>"


def result_html(result: "Result") -> str:
    """Return what a result came to as an HTML table: facts and sums; its figures are those of `analyze`."""
    config, reasons = result.config, np.asarray(result.trades_table.reason)
    equity, cash = np.asarray(result.equity_values), result.venue.cash
    last = float(equity[-1]) if equity.size else cash
    bars = np.asarray(result.time)
    span = f"{utc_text(int(bars[0]))} to {utc_text(int(bars[-1]) + result.interval)}, " if bars.size else ""
    assumptions = (f"{name} \N{MULTIPLICATION SIGN}{count:,}" for name, count in result.assumptions.items() if count)
    rows = [
        ("bars", f"{span}{bars.size:,}"),
        ("venue", result.venue.name),
        ("equity", f"{cash:,.2f} to {last:,.2f}"),
        ("return", f"{last / cash - 1:+.2%}"),
        ("trades", f"{reasons.size:,}, {np.count_nonzero(reasons == EXIT_REASONS.index('open')):,} of them open"),
        ("liquidations", f"{np.count_nonzero(reasons == EXIT_REASONS.index('liquidation')):,}"),
        ("fees paid", f"{0.0 - float(np.sum(result.trades_table.fees)):,.2f}"),
        ("funding paid", f"{0.0 - float(np.sum(result.trades_table.funding)):,.2f}"),
        ("rejections", f"{len(result.rejections_table):,}"),
        ("grade of the data", result.passport.grade),
        ("assumptions", ", ".join(assumptions) or "none"),
    ]
    parameters = config.parameters if config else ()
    caption = f"{config.strategy if config else 'plan'} on {result.market_name}"
    return html_table([], [*rows, *parameters], caption, [SIMULATED] if result.passport.grade == "D" else [])
