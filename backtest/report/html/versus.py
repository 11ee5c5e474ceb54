"""The page that compares several runs: ranked figures, differences, correlations, verdicts. All of it is `Comparison`'s."""

import math
from collections.abc import Sequence
from typing import Any

from backtest.analysis.compare import Comparison, Difference
from backtest.model.arrays import Float
from backtest.report import words
from backtest.report.compare import HEADERS, amount, interval, texts
from backtest.report.html.money import pnl_parts
from backtest.report.html.parts import NOTHING, items, section, signed, sums
from backtest.report.html.tags import Content, Markup, el, joined, table
from backtest.report.html.top import luck_of, sentences
from backtest.report.html.view import RunView

__all__ = ["differences", "likeness", "money_table", "ranking", "swatch", "verdicts"]

LINES = 8  # kinds of line that a reader can tell apart
RANKED = ("total_return", "cagr")


def swatch(k: int) -> Markup:
    """Return a piece of the line that a run has in the chart."""
    shape = el("line", x1=0, y1=6, x2=28, y2=6, class_=f"run-{k % LINES}")
    return el("svg", shape, viewBox="0 0 28 12", aria_hidden="true", class_="swatch")


def verdicts(found: Comparison, views: Sequence[RunView]) -> Markup:
    """Return what the test of the lot says, then run by run whether it is better than luck, and what limits it."""
    lines = []
    for view, name in zip(views, found.names, strict=True):
        limits = el("span", " ".join(sentences(view)), class_="dim")
        lines.append(el("div", el("dt", name), el("dd", luck_of(view), " ", limits)))
    told = items(found.sentences()) if found.superior else None
    return section("verdict", "Verdicts", told, el("dl", *lines, class_="verdicts"))


def ranking(found: Comparison, views: Sequence[RunView]) -> Markup:
    """Return the figures, a row a run, the best first, the best of a column in bold."""
    figures = [*HEADERS, *([found.sort] if found.sort not in HEADERS else [])]
    cells = {name: texts(name, found.figures[name]) for name in figures}
    rows: list[list[Content]] = []
    for k, view in enumerate(views):
        names = el("th", found.rank_words(k), " ", swatch(k), " ", found.names[k], scope="row", class_="l")
        rows.append([names, *(figure(found, name, k, cells[name][k]) for name in figures), view.summary.grade])
    headers = ["run", *(HEADERS.get(name, name.replace("_", " ")) for name in figures), "grade"]
    by = HEADERS.get(found.sort, found.sort.replace("_", " "))
    whole = table(headers, rows, caption=f"Runs by {by}", left=(0, len(headers) - 1))
    told = items(found.notes, class_="notes") if found.notes else None
    return section(
        "ranking", "Ranking", whole, told, note=f"By {by}; bold is the best of its column. A rank is no verdict."
    )


def figure(found: Comparison, name: str, k: int, text: str) -> Markup:
    shown = signed(found.figures[name][k], text) if name in RANKED else text
    return el("strong", shown) if k in found.best.get(name, ()) else joined([shown])


def differences(found: Comparison) -> Markup | None:
    """Return how far the others are from the best, and all from buying and holding, with their intervals."""
    against = [(found.to_best, found.names[0])]
    if found.to_hold and found.hold != found.names[0]:
        against.append((found.to_hold, found.hold))
    tables = [difference_table(rows, other) for rows, other in against if rows]
    if not tables:
        return None
    note = "95% intervals from days drawn alike for both; in bold where 0 lies outside."
    return section("differences", "Differences", *tables, note=note)


def difference_table(rows: Sequence[Difference], other: str) -> Markup:
    runs = dict.fromkeys(one.run for one in rows)
    of = {(one.run, one.figure): one for one in rows}
    cells = [
        [run, *(shown for name in ("total_return", "sharpe") for shown in difference(of[run, name]))] for run in runs
    ]
    headers = [f"against {other}", "return", "95% interval", "Sharpe", "95% interval"]
    return table(headers, cells, caption=f"Differences to {other}")


def difference(one: Difference) -> tuple[Markup, Markup]:
    value, span = amount(one.value, one.figure), interval(one)
    return (el("strong", value), el("strong", span)) if one.clear else (joined([value]), joined([span]))


def money_table(found: Comparison, views: Sequence[RunView]) -> Markup:
    """Return what each run's change of equity was made of."""
    parts = [pnl_parts(view) for view in views]
    columns = sums(parts)
    amounts = [[one.get(c, 0.0) for one in parts] for c in columns]
    amounts.append([math.fsum(v for v in one.values() if math.isfinite(v)) for one in parts])
    written = words.same_digits(amounts)
    rows: list[list[Any]] = [
        [name, *(signed(a[i], w[i]) for a, w in zip(amounts, written, strict=True))]
        for i, name in enumerate(found.names)
    ]
    whole = table(["run", *columns, "total"], rows, caption="Change of equity, quote units; negative is paid or lost")
    return section("attribution", "Where the money came from", whole)


def likeness(found: Comparison) -> Markup:
    """Return how the runs move together, and how far their trades are the same bet."""
    headers = ["run", *(str(i + 1) for i in range(len(found)))]
    whole = table(headers, matrix(found, found.correlation), caption="Correlation of daily returns", class_="shaded")
    note = "Over the days that two runs have in common; a dash where they share fewer than three, or one never moved."
    more = [
        ("together", "Share of the time in which both hold a position"),
        ("trades", "Share of the row's trades during which the column held the same symbol"),
        ("same_side", "Share of the row's trades during which the column held the same symbol on the same side"),
    ]
    shares = [
        el(
            "details",
            el("summary", told),
            table(headers, matrix(found, getattr(found.overlap, name), True), caption=told),
        )
        for name, told in more
    ]
    return section("correlations", "Correlations", whole, *shares, note=note)


def matrix(found: Comparison, values: Float, share: bool = False) -> list[list[Content]]:
    names = [el("th", f"{i + 1}  {name}", scope="row", class_="l") for i, name in enumerate(found.names)]
    write = words.percent if share else None
    return [
        [names[i], *(write(float(x)) if write else shaded(float(x)) for x in values[i])]
        for i in range(len(found.names))
    ]


def shaded(value: float) -> Markup:
    """Return a correlation, deeper in colour the further it is from 0."""
    if not math.isfinite(value):
        return el("td", NOTHING, class_="n")
    depth = sum(abs(value) >= edge for edge in (0.2, 0.5, 0.8))
    side = "up" if value > 0 else "down"
    return el("td", words.ratio(value), class_=f"n {side}{depth}" if depth else "n")
