"""The page of a sweep: its best points, maps of its figures over any two axes, what choosing is worth, and what failed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backtest.report import words
from backtest.report.heat import DIVERGING, axis_name, figure_name, kind_of, root_of, sentences
from backtest.report.html import top
from backtest.report.html.pack import packed, packed_whole
from backtest.report.html.page import document, own_script, page
from backtest.report.html.parts import NOTHING, items, named, section
from backtest.report.html.tags import Content, Markup, el, joined, table
from backtest.report.html.write import replace_file
from backtest.report.sweep import SHOWN, SweepView, order_words, shown

__all__ = ["render_sweep", "write_sweep_report"]

DIGITS = 6  # of a cell: more than its text shows
MOST_REASONS = 30
LONGEST_REASON = 400
SCRIPTS = ("data.js", "heat.js")


def write_sweep_report(path: Path, view: SweepView) -> Path:
    """Write the page of a sweep in one step and return its path; an older one stays as it was where that fails."""
    replace_file(path, render_sweep(view))
    return path


def render_sweep(view: SweepView) -> str:
    """Return the page of a sweep as one HTML file that makes no request."""
    name = " and ".join(map(named, view.strategies[:3])) + (" and others" if len(view.strategies) > 3 else "")
    title = f"Sweep of {name}"
    parts = [
        data_and_assumptions(view),
        best(view),
        heat_section(view),
        overfitting(view),
        failures(view),
        axes(view),
    ]
    head = joined([top.heading(title, view.summaries), *(el("p", line, class_="facts") for line in view.facts())])
    body = page(head, banner(view), parts)
    return document(f"{title} on {', '.join(view.markets[:3])}", body, heat_data(view), [own_script(SCRIPTS)])


def banner(view: SweepView) -> Markup | None:
    simulated = [market for market, passport in view.passports.items() if passport.grade == "D"]
    if not simulated:
        return None
    which = f" ({', '.join(simulated)})" if len(view.passports) > 1 else ""
    what = f"prices or other series were made by a generator{which}; the figures say nothing about the past."
    return el("p", el("strong", "SIMULATED MARKET"), " ", what, class_="banner", role="note")


def data_and_assumptions(view: SweepView) -> Markup:
    """Return what to believe: of the best points' runs where there are some, else how the data of the market stand."""
    passports, symbols = list(view.passports.values()), list(view.symbols)
    if view.summaries:
        both = top.assumptions(view.summaries), top.data(view.summaries, passports, symbols)
        return el("div", *both, class_="pair")
    if not passports:
        return section("passport", "Passport of the data", el("p", "The market could not be loaded any more."))
    stand = [piece for one in passports[:1] for piece in (top.stands(one, symbols), top.detail(one))]
    grades = [el("p", top.grade_of(one.grade), class_="grade") for one in passports[:1]]
    return section("passport", "Passport of the data", *grades, *stand)


# --- best points -------------------------------------------------------------------------------------------------


def best(view: SweepView) -> Markup:
    """Return the best points, each with its figures and, where the order inside a bar was open, return with both orders."""
    if not view.rows:
        return section("best", "Best points", el("p", view.without_rows()))
    open_order = any(order_words(row) for row in view.rows)
    figures = list(dict.fromkeys((view.by, *SHOWN)))
    headers = ["point", *map(axis_name, view.axes), *map(figure_name, figures)]
    headers += ["return, worst to best order"] * open_order + ["run"]
    rows = [best_row(view, row, figures, open_order) for row in view.rows]
    note = f"The best {len(view.rows):,} of {view.done:,} points by {figure_name(view.by)}: lucky before they are good."
    if view.ambiguous:
        note += f" In {view.ambiguous:,} points the order of two events inside a bar was open."
    whole = table(headers, rows, caption="Best points", left=(len(headers) - 1,), tall=len(rows) > 12)
    return section("best", "Best points", whole, note=note)


def best_row(view: SweepView, row: Mapping[str, Any], figures: Sequence[str], open_order: bool) -> list[Content]:
    cells: list[Content] = [f"{row['point']:,}", *(shown(name, row[name]) for name in view.axes)]
    cells += [shown(name, row[name]) for name in figures]
    if open_order:
        cells.append(order_words(row) or NOTHING)
    return [*cells, el("code", row["run"])]


# --- heat maps ---------------------------------------------------------------------------------------------------


def heat_section(view: SweepView) -> Markup:
    """Return the frame of the maps: what to choose, where the script puts the map, and what it says beneath."""
    if not view.maps:
        return section("heat", "Heat maps", el("p", view.no_map))
    first = view.maps[0][0]
    figures = [el("option", capital(figure_name(m.metric)), value=k) for k, m in enumerate(view.maps[0])]
    sides = [
        el("label", f"{name} ", el("select", id=f"heat-{key}"), class_="choice")
        for key, name in (("x", "across"), ("y", "down"))
        if first.y.name or key == "x"
    ]
    swap = el("button", "Swap", type="button", id="heat-swap", aria_label="Swap the two axes") if first.y.name else None
    chooser = el("label", "figure ", el("select", *figures, id="heat-figure"), class_="choice")
    return section(
        "heat",
        "Heat maps",
        el("div", chooser, layer_choice(), *sides, swap, class_="controls heat-controls"),
        el("div", id="heat-map", class_="frame heat", role="region", aria_label="Heat map"),
        el("noscript", el("p", "The maps need JavaScript; the tables do not.")),
        legend(),
        el("p", "", id="said", class_="said", role="status"),
        el("ul", *(el("li", one) for one in sentences(first)), id="heat-told"),
        el("p", "Arrow keys move from cell to cell.", class_="note hint"),
        note=view.map_note or None,
    )


def layer_choice() -> Markup:
    """Return the choice of what the cells show: the figure, how far its neighbours agree, or how many trades it is made of."""
    names = (("value", "the figure"), ("spread", "spread of neighbours"), ("trades", "trades"))
    options = [el("option", told, value=name) for name, told in names]
    return el("label", "cells show ", el("select", *options, id="heat-layer"), class_="choice")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def legend() -> Markup:
    marks = [
        el("li", el("span", "", class_="key plateau"), "plateau: a good cell among good neighbours"),
        el("li", el("span", "", class_="key around"), "its neighbours"),
        el("li", el("span", "", class_="key peak"), "peak"),
        el("li", el("span", "", class_="key hole"), "no value"),
        el(
            "li",
            el("span", "", id="heat-low"),
            el("span", "", id="heat-scale", class_="scale"),
            el("span", "", id="heat-high"),
        ),
    ]
    return el("ul", *marks, class_="legend")


def heat_data(view: SweepView) -> dict[str, Any]:
    """Return what the script draws from: for each pair of axes the cells of every figure."""
    if not view.maps:
        return {"kind": "sweep", "figures": [], "sides": {}, "pairs": []}
    figures = [
        {
            "name": words.printable(figure_name(one.metric)),
            "kind": kind_of(one.metric),
            "lower": bool(one.lower),
            "diverging": root_of(one.metric) in DIVERGING and not one.lower,
        }
        for one in view.maps[0]
    ]
    sides = {one.name: list(map(words.printable, one.labels)) for maps in view.maps for one in (maps[0].x, maps[0].y)}
    return {"kind": "sweep", "figures": figures, "sides": sides, "pairs": [pair_data(maps) for maps in view.maps]}


def pair_data(maps: Sequence[Any]) -> dict[str, Any]:
    first = maps[0]
    counts = {name: packed_whole(getattr(first, name).ravel()) for name in ("points", "failed")}
    return {"x": first.x.name, "y": first.y.name, **counts, "maps": [map_data(one, first) for one in maps]}


def map_data(found: Any, first: Any) -> dict[str, Any]:
    """Return one map; its trades only where they are not those of the pair's first."""
    same = found is not first and all(
        np.array_equal(getattr(found, n), getattr(first, n), equal_nan=True) for n in ("trades", "fewest")
    )
    traded = {} if same else {n: packed(getattr(found, n).ravel(), DIGITS) for n in ("trades", "fewest")}
    place = {name: None if cell is None else list(map(int, cell)) for name, cell in found.marked.items()}
    lines = [
        words.printable(one.replace("Plateau, in brackets", "Plateau").replace(", marked ^", ""))
        for one in sentences(found)
    ]
    return {"v": packed(found.value.ravel(), DIGITS), **traded, **place, "told": lines}


# --- the rest ----------------------------------------------------------------------------------------------------


def overfitting(view: SweepView) -> Markup:
    return section("overfitting", "Is choosing the best worth anything?", items(view.choice()))


def failures(view: SweepView) -> Markup | None:
    """Return how many points failed, reason by reason, the most frequent first."""
    if not view.failures:
        return None
    some = list(view.failures.items())[:MOST_REASONS]
    rows: list[list[Content]] = [[f"{count:,}", clipped(reason)] for reason, count in some]
    left = len(view.failures) - len(some)
    note = f"{view.failed:,} of {view.done:,} points failed."
    more = f" {left:,} more reasons are in the rows." if left else ""
    whole = table(["points", "reason"], rows, caption="Failures", left=(1,), class_="reasons", tall=len(rows) > 12)
    return section("failures", "Failures", whole, note=note + more)


def clipped(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"


def axes(view: SweepView) -> Markup:
    """Return what was swept and what was held, and where the rows are."""
    rows = [[one.name, f"{one.values:,}" if one.values else NOTHING, one.told] for one in view.swept]
    whole = (
        table(["axis", "values", "which"], rows, caption="What was swept", left=(0, 2), class_="reasons")
        if rows
        else None
    )
    held = [f"{name} = {value}" for name, value in view.held.items()]
    return section(
        "axes",
        "What was swept",
        whole,
        el("p", "Held: ", ", ".join(held), ".") if held else None,
        el("p", "The rows: ", el("code", view.folder.name), ", a Parquet file a part.", class_="note"),
    )
