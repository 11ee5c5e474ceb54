"""A report as one HTML file: what it is made of as data, then as a page that asks nobody for anything."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backtest.analysis.compare import Comparison, compare
from backtest.analysis.summary import Summary
from backtest.errors import ConfigError
from backtest.model.market import Market
from backtest.report.html import lists, money, top, versus
from backtest.report.html.pack import json_text
from backtest.report.html.parts import items, named, section
from backtest.report.html.payload import comparison_data, run_data
from backtest.report.html.series import Chart, charts_of
from backtest.report.html.tags import Markup, el, escaped, joined
from backtest.report.html.view import RunView
from backtest.report.words import interval_words

__all__ = ["Report", "document", "own_script", "page", "render", "report_of"]

FOLDER = Path(__file__).parent
SCRIPTS = ("data.js", "draw.js", "app.js")
CHARTS = "vendor/lightweight-charts.standalone.production.js"
SECTIONS = {
    "assumptions": "Assumptions",
    "passport": "Data",
    "verdict": "Verdict",
    "best": "Best points",
    "heat": "Heat maps",
    "overfitting": "Overfitting",
    "failures": "Failures",
    "figures": "Figures",
    "ranking": "Ranking",
    "chart": "Chart",
    "trades": "Trades",
    "differences": "Differences",
    "attribution": "Attribution",
    "months": "Months",
    "distribution": "Distribution",
    "drawdowns": "Drawdowns",
    "breaks": "Breaks",
    "correlations": "Correlations",
    "configuration": "Make it again",
    "axes": "What was swept",
}
TRADE_STEPS = ("before", "next")  # the script shows them where there are trades
STROKES = {
    "active": "known, not yet tested",
    "tested": "tested",
    "broken": "broken",
    "reclaimed": "reclaimed",
    "flipped": "flipped to resistance",
}


@dataclass(frozen=True, eq=False)
class Report:
    """What is on a page: one run with its charts, or several runs to compare, the best first."""

    runs: tuple[RunView, ...]
    charts: tuple[Chart, ...] = ()
    compared: Comparison | None = None


def report_of(runs: Sequence[RunView], market: Market | None = None, compared: Comparison | None = None) -> Report:
    """Return the report of one run, with its market's charts, or the comparison of several; of none it is a ConfigError.

    compared: what `compare` made of the same views, where it is at hand; else they are compared here, without its tests.
    """
    if not runs:
        raise ConfigError("A report needs at least one run.")
    if len(runs) == 1:
        return Report(tuple(runs), charts_of(runs[0], market))
    found = compare(runs, superior=False) if compared is None else compared
    return Report(tuple(view_with(runs, summary) for summary in found.summaries), (), found)


def view_with(runs: Sequence[RunView], summary: Summary) -> RunView:
    return next(view for view in runs if view.summary is summary)


def render(report: Report) -> str:
    """Return the page: HTML with its styles, scripts and data inside, under a policy that allows no request."""
    body, data, title = (
        comparison_page(report.runs, report.compared) if report.compared is not None else run_page(report)
    )
    return document(title, body, data, [asset(CHARTS), own_script()])


def document(title: str, body: Markup, data: Mapping[str, Any], scripts: Sequence[str]) -> str:
    """Return a page of its body, what its scripts draw from, and those, under a policy that lets in nothing else."""
    style = asset("style.css")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(source_hash, scripts))}; style-src {source_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    places = {
        "policy": policy,
        "title": str(escaped(title)),
        "style": style,
        "body": str(body),
        "data": json_text(data),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        "version": str(escaped(own_version())),
    }
    return filled(asset("template.html"), places)


def filled(template: str, places: Mapping[str, str]) -> str:
    """Return the template with each {{place}} replaced, once: what is put in is not looked at again.

    >>> filled("{{a}} and {{b}}", {"a": "{{b}}", "b": "c"})
    '{{b}} and c'
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda found: places[found[1]], template)


def own_script(names: Sequence[str] = SCRIPTS) -> str:
    return "\n".join(["(() => {", '"use strict";', *map(asset, names), "})();"])


def own_version() -> str:
    try:
        return version("levelbreak")
    except PackageNotFoundError:
        return ""


@cache
def asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def source_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# --- pages ------------------------------------------------------------------------------------------------------


def run_page(report: Report) -> tuple[Markup, dict[str, Any], str]:
    (view,), charts = report.runs, report.charts
    title = named(view.summary.strategy)
    parts = [
        el(
            "div",
            top.assumptions([view.summary]),
            top.data([view.summary], [view.passport], view.symbols),
            class_="pair",
        ),
        top.verdict(view),
        top.figures(view),
        chart_section(view, charts),
        lists.trades(view, charted=bool(charts)),
        money.attribution(view),
        money.months(view),
        lists.drawdowns(view),
        money.distribution(view),
        lists.breaks(view, charts),
        lists.configuration([view]),
    ]
    head = top.heading(title, [view.summary])
    return page(head, top.banner([view.summary]), parts), run_data(view, charts), f"{title} on {view.summary.market}"


def comparison_page(views: Sequence[RunView], found: Comparison) -> tuple[Markup, dict[str, Any], str]:
    summaries = [view.summary for view in views]
    passports = list({tuple(view.passport.series): view.passport for view in views}.values())
    symbols = list(dict.fromkeys(symbol for view in views for symbol in view.symbols))
    parts = [
        el("div", top.assumptions(summaries), top.data(summaries, passports, symbols), class_="pair"),
        versus.verdicts(found, views),
        versus.ranking(found, views),
        equity_section(found.names, any(len(view.time) for view in views)),
        versus.differences(found),
        versus.money_table(found, views),
        versus.likeness(found),
        lists.configuration(views),
    ]
    title = f"{len(views)} runs compared"
    return page(top.heading(title, summaries), top.banner(summaries), parts), comparison_data(views, found.names), title


def page(head: Markup, banner: Markup | None, parts: Sequence[Markup | None]) -> Markup:
    inside = joined(parts)
    there = [(name, text) for name, text in SECTIONS.items() if f'<section id="{name}"' in inside]
    links = el("nav", *(el("a", text, href=f"#{name}") for name, text in there), aria_label="Sections")
    return joined([el("header", head, banner, links), el("main", inside, id="main", tabindex=-1)])


# --- charts -----------------------------------------------------------------------------------------------------


def chart_section(view: RunView, charts: Sequence[Chart]) -> Markup:
    """Return the frame of the chart with its controls, its legend and what is not in it."""
    if not len(view.time):
        return section("chart", "Chart", el("p", "There is no bar to draw."))
    if not charts:
        told = el("p", "The market was not at hand, so only the equity is drawn.")
        return section("chart", "Chart", told, plot("Equity and drawdown", None, short=True))
    matter = [c for c in charts if c.symbol in view.levels or view.traded.get(c.symbol) or not c.priced] or charts[:1]
    notes = [note for chart in matter for note in chart.notes]
    notes += [
        f"{chart.symbol} is drawn in bars of {interval_words(chart.interval)}, to keep the file small."
        for chart in charts
        if chart.step > 1
    ]
    notes += [
        f"{chart.symbol}: the {len(chart.levels)} levels to which most happened are drawn, {chart.levels_left_out:,} more are not."
        for chart in charts
        if chart.levels_left_out
    ]
    names = [el("option", chart.symbol, value=k) for k, chart in enumerate(charts)]
    chooser = el("label", "Symbol ", el("select", *names, id="symbol")) if len(charts) > 1 else None
    return section(
        "chart",
        "Chart",
        plot("Price, levels, trades, open interest, funding, liquidations, equity and drawdown", chooser),
        legend(bool(view.levels)),
        items(dict.fromkeys(notes), class_="notes") if notes else None,
    )


def equity_section(names: Sequence[str], drawn: bool) -> Markup:
    if not drawn:
        return section("chart", "Equity and drawdown", el("p", "There is no bar to draw."))
    switches = [
        el("label", el("input", type="checkbox", checked=True, data_run=k), versus.swatch(k), " ", name)
        for k, name in enumerate(names)
    ]
    told = plot("Equity and drawdown of each run", None, short=True)
    note = "Equity as a multiple of the starting cash, and its distance from the highest so far."
    return section("chart", "Equity and drawdown", told, el("div", *switches, class_="switches"), note=note)


def plot(label: str, chooser: Markup | None, short: bool = False) -> Markup:
    """Return the frame that the script draws into; short: with two panes only."""
    buttons = [
        el("button", text, type="button", data_view=name, aria_label=told, hidden=name in TRADE_STEPS)
        for text, name, told in (
            ("All", "all", "Show the whole span"),
            ("\N{MINUS SIGN}", "out", "Zoom out"),
            ("+", "in", "Zoom in"),
            ("←", "back", "Earlier"),
            ("→", "on", "Later"),
            ("Trade before", "before", "Show the trade before"),
            ("Next trade", "next", "Show the next trade"),
        )
    ]
    trades = "" if short else ", N and P go from trade to trade"
    told = f"Arrow keys move, plus and minus zoom, Home shows all{trades}."
    frame = el("div", id="plot", tabindex=0, role="group", aria_label=f"Chart. {label}. {told}")
    script = "The chart needs JavaScript; tables and figures do not."
    return el(
        "figure",
        el("div", chooser, el("div", *buttons, class_="buttons"), class_="controls"),
        el("p", id="readout", class_="readout"),
        frame,
        el("noscript", el("p", script)),
        el("p", id="said", class_="said", role="status"),
        el("p", told, " The wheel zooms once the chart has been clicked.", class_="note hint"),
        el("p", "Chart: ", credit(), class_="note credit"),
        class_="chart short" if short else "chart",
    )


def credit() -> Markup:
    """Return the notice that the licence of the charts asks for."""
    name, rights = asset("vendor/NOTICE").strip().split("\n")
    words, _, link = rights.rpartition(" ")
    return joined([name, ", ", words, ", ", el("a", link, href=link, rel="noreferrer noopener", target="_blank")])


def legend(levels: bool) -> Markup:
    marks = {
        "long": ("entry, long", "M6 1 L11 11 L1 11 Z"),
        "short": ("entry, short", "M6 11 L11 1 L1 1 Z"),
        "exit": ("exit", "M6 2 A4 4 0 1 0 6.01 2 Z"),
        "stop": ("stop", "M2 2 H10 V10 H2 Z"),
        "liquidation": ("liquidation", "M2 2 L10 10 M10 2 L2 10"),
    }
    shown = [
        el("li", el("svg", el("path", d=d, class_=f"mark-{name}"), viewBox="0 0 12 12", aria_hidden="true"), text)
        for name, (text, d) in marks.items()
    ]
    if levels:
        shown += [
            el(
                "li",
                el(
                    "svg",
                    el("line", x1=0, y1=6, x2=36, y2=6, class_=f"level-{state}"),
                    viewBox="0 0 36 12",
                    aria_hidden="true",
                ),
                f"level {text}",
            )
            for state, text in STROKES.items()
        ]
    return el("ul", *shown, class_="legend")
