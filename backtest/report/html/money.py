"""Where the money came from and when: attribution, months, and the returns of trades."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from backtest.model.arrays import SECOND, Float
from backtest.report import words
from backtest.report.html.parts import NOTHING, amount_bars, items, part_of, picture, section, signed, sums
from backtest.report.html.tags import Markup, el, table
from backtest.report.html.view import RunView
from backtest.report.terminal import KIND_NAMES

__all__ = ["attribution", "distribution", "month_returns", "months", "pnl_parts"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
GROUPS = ("symbol", "side", "level", "rung", "month", "regime", "crisis")
ALWAYS = ("price", "fees", "funding", "trade PnL")
SHADES = (0.005, 0.02, 0.06)  # of a month's return: where a deeper colour starts


# --- attribution ------------------------------------------------------------------------------------------------


def attribution(view: RunView) -> Markup:
    """Return the change of equity by what it was made of, and by symbol, level, month, regime and crisis where that is known."""
    parts = pnl_parts(view)
    shown = {name: value for name, value in parts.items() if value or name in ALWAYS}
    shown["= total"] = sum(v for v in parts.values() if math.isfinite(v))
    bars = amount_bars(shown, "Change of equity, quote units; to the left is paid or lost", total="= total")
    found = part_of(view.assessment, "attribution")
    groups = [group(part_of(found, f"by_{label}", {}) or {}, label) for label in GROUPS]
    slippage = view.summary.memo.get("slippage", 0.0)
    note = None
    if found is None and slippage:
        note = f"Slippage cost {words.money([-slippage])[0]}; it is inside the prices of the fills, so it is no part of the sum."
    notes = part_of(found, "notes") or ()
    told = items(notes, class_="notes") if notes else None
    return section("attribution", "Where the money came from", bars, *groups, told, note=note)


def pnl_parts(view: RunView) -> dict[str, float]:
    """Return part -> amount that together are the change of equity: of the attribution, else of the ledger's kinds."""
    found = part_of(part_of(view.assessment, "attribution"), "total")
    if found:
        return {str(name).replace("_", " "): as_number(value) for name, value in found.items()}
    kinds = {KIND_NAMES.get(k, k.replace("_", " ")): v for k, v in view.summary.pnl_by_kind.items()}
    return {**kinds, "unrealised": view.summary.unrealised}


def as_number(value: Any) -> float:
    return math.nan if value is None else float(value)


def group(of: Mapping[Any, Mapping[str, Any]], label: str) -> Markup | None:
    """Return one breakdown as a table, folded away: a row a symbol, level, month, ..."""
    rows = {str(name): {str(k): as_number(v) for k, v in parts.items()} for name, parts in of.items()}
    columns = sums(list(rows.values()))
    if not rows or not columns:
        return None
    amounts = [[row.get(c, 0.0) for row in rows.values()] for c in columns]
    amounts.append([math.fsum(v for v in row.values() if math.isfinite(v)) for row in rows.values()])
    written = words.same_digits(amounts)
    cells = [
        [name, *(signed(amounts[j][i], written[j][i]) for j in range(len(amounts)))] for i, name in enumerate(rows)
    ]
    headers = [label, *(c.replace("_", " ") for c in columns), "total"]
    whole = table(headers, cells, caption=f"Change of equity by {label}, quote units", tall=True)
    return el("details", el("summary", f"By {label} ({len(rows)})"), whole)


# --- months -----------------------------------------------------------------------------------------------------


def months(view: RunView) -> Markup:
    """Return the returns of the months as a grid of colours, a row a year."""
    found = month_returns(view)
    if not found:
        return section("months", "Months", el("p", "No month: the run has no bars."))
    by_year: dict[int, dict[int, float]] = {}
    for (year, month), value in found.items():
        by_year.setdefault(year, {})[month] = value
    rows = []
    for year, values in sorted(by_year.items()):
        whole = math.prod(1 + v for v in values.values()) - 1
        rows.append([str(year), *(month_cell(values.get(m)) for m in range(1, 13)), month_cell(whole)])
    grid = table(["year", *MONTHS, "year"], rows, caption="Return of each UTC month", class_="months")
    return section("months", "Months", grid, note="A month that the run covers in part counts with that part.")


def month_cell(value: float | None) -> Markup:
    if value is None:
        return el("td", "", class_="n")
    if not math.isfinite(value):
        return el("td", NOTHING, class_="n")
    depth = sum(abs(value) >= edge for edge in SHADES)
    side = "up" if value > 0 else "down"
    return el("td", words.percent(value), class_=f"n {side}{depth}" if depth else "n")


def month_returns(view: RunView) -> dict[tuple[int, int], float]:
    """Return (year, month) -> return, of the assessment, else of the equity at the end of each UTC month."""
    told = part_of(view.assessment, "months")
    if told:
        return {(int(year), int(month)): as_number(value) for year, month, value in told}
    found: dict[tuple[int, int], float] = {}
    last: dict[tuple[int, int], float] = {}
    ends = (view.time + view.summary.interval - 1) // SECOND
    stamps = ends.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    for i in np.flatnonzero(np.append(np.diff(stamps) > 0, True)) if stamps.size else ():
        moment = datetime.fromtimestamp(int(ends[i]), UTC)
        last[moment.year, moment.month] = float(view.equity[i])
    before = view.summary.cash
    for month, equity in last.items():
        found[month] = equity / before - 1 if before > 0 else math.nan
        before = equity
    return found


# --- trades -----------------------------------------------------------------------------------------------------


def distribution(view: RunView) -> Markup:
    """Return how the returns of the closed trades are spread."""
    returns = view.trade_returns[view.closed]
    returns = returns[np.isfinite(returns)]
    title, note = (
        "Returns of trades",
        "Net PnL as a fraction of what the position was worth at its entry; closed trades.",
    )
    if returns.size == 0:
        return section("distribution", title, el("p", "No closed trade, so there is nothing to spread out."))
    facts = items_of(returns)
    if returns.size == 1:
        return section("distribution", title, el("p", "One closed trade is no distribution."), facts, note=note)
    return section("distribution", title, histogram(returns), facts, note=note)


def items_of(returns: Float) -> Markup:
    pairs = {
        "closed trades": words.count(returns.size),
        "median": words.percent(float(np.median(returns)), sign=True),
        "mean": words.percent(float(returns.mean()), sign=True),
        "best": words.percent(float(returns.max()), sign=True),
        "worst": words.percent(float(returns.min()), sign=True),
        "gains": words.percent(float((returns > 0).mean())),
    }
    tiles = (el("div", el("dt", name), el("dd", value)) for name, value in pairs.items())
    return el("dl", *tiles, class_="tiles small")


def histogram(returns: Float) -> Markup:
    """Return a picture of how many returns lie in each bin; 0 is an edge of two bins."""
    edges = bin_edges(float(returns.min()), float(returns.max()))
    counts, _ = np.histogram(returns, edges)
    n, most = counts.size, int(counts.max())
    bars = [
        el(
            "rect",
            x=f"{10 * i + 0.4:.1f}",
            y=f"{100 - 96 * count / most:.2f}",
            width="9.2",
            height=f"{96 * count / most:.2f}",
            class_="gain" if edges[i] >= -1e-12 else "loss",
        )
        for i, count in enumerate(counts)
        if count
    ]
    base = el("rect", x=0, y="99.4", width=10 * n, height="0.6", class_="axis")
    drawn = picture(10 * n, 100, *bars, base, class_="histogram")
    labels = [words.percent(float(edges[k]), sign=True) for k in (0, n // 2, n)]
    axis = el("p", *(el("span", label) for label in labels), class_="axis-labels")
    width = words.percent(float(edges[1] - edges[0]))
    told = f"{n} bins of {width}; the highest holds {most} trade{'' if most == 1 else 's'}."
    return el("figure", drawn, axis, el("figcaption", told), class_="spread")


def bin_edges(low: float, high: float, about: int = 18) -> Sequence[float]:
    """Return edges of equal, round bins that cover low to high, 0 among their multiples.

    >>> [round(x, 3) for x in bin_edges(-0.02, 0.03, about=5)]
    [-0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.04]
    """
    span = max(high - low, abs(high) * 1e-3, 1e-6)
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw) + 1e-9)
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.floor(high / step + 1e-9) + 1
    return [k * step for k in range(first, last + 1)]
