"""Worst, best and truth inside a bar, in the terminal. What is printed is plain data, as in its JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.analysis.summary import Summary
from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.forward import short
from backtest.report.terminal import (
    SHOWN_FINDINGS,
    bullet,
    facts,
    line,
    print_assumptions,
    print_data,
    print_failures,
    strategy_name,
    title,
)

__all__ = ["print_intrabar"]

Told = Mapping[str, Any]
SIDES = ("worst", "truth", "best")
MOST_ROWS = 15
MOST_RUNS = 5
NARROW = "--grid stop_fraction=0.002:0.006:0.002 --set target_fraction=0.004"
FIGURES = {"total_return": "return", "max_drawdown": "max DD", "liquidations": "liq.", "trades": "trades"}
CAUSES = {
    "trades": "an earlier event went another way, after which another trade was open, or none",
    "fills": "a fill beyond both, such as through a gap between two finer bars",
    "sizes": "the same trades, one of them larger or smaller than under both, on an equity that was another by then",
    "funding": "the same trades, with funding due inside a bar at whose end one of them was gone, or not yet",
    "other": "another reason: a trade that ended in a third way, or one as under worst and the next as under best",
}
REASONS = {
    "range": "the finer bars do not make up the bar",
    "gap": "a fill through a gap between two finer bars",
    "funding": "funding was due inside the bar",
    "size": "the entry was sized on another equity",
    "extremes": "the extremes of several symbols did not coincide",
    "mark": "mark and last price came in another order",
    "other": "another reason",
}


def print_intrabar(told: Told, console: Console) -> None:
    """Print the market, the figures of whole runs, the ambiguous events, where the truth lies outside and why, and what to believe.

    told: `comparisons`, each with its `summary`, `label` and `values`; `total`; `failed`: strategy, values and error of each.
    """
    found, total = told["comparisons"], told["total"]
    heading(found[0], console)
    print_figures(found, console)
    print_events(found, total, console)
    print_runs(found, total, console)
    print_belief(found, console)
    print_failures({named(one["strategy"], one): one["error"] for one in told["failed"]}, console)


def heading(one: Told, console: Console) -> None:
    if one["grade"] == "D":
        banner = Text.assemble(
            (" SIMULATED MARKET ", "bold black on yellow"), " prices or other series were made by a "
        )
        line(banner.append("generator; the figures say nothing about the past."), console)
    span = words.span_words(one["whole"]["start"], one["whole"]["end"])
    coarse, fine = (words.interval_words(one[name]) for name in ("coarse", "fine"))
    bars = f"{one['bars']['coarse']:,} bars of {coarse}", f"{one['bars']['fine']:,} finer ones of {fine}"
    varied = (strategy_name(one["label"]),) if one["values"] else ()
    facts((one["market"], ", ".join(one["symbols"]), span, *bars, *varied), " · ", console)
    if one["drawn"]:
        drawn = f"The finer bars are simulated: walks drawn inside the bars of {coarse}, to their highs and lows."
        line(Text(drawn, style="dim"), console)


# --- whole runs side by side --------------------------------------------------------------------------------------


def print_figures(found: Sequence[Told], console: Console) -> None:
    """Print a row for each comparison; of several, those that no order makes another are named in one line."""
    alike = [one for one in found if settled(one["whole"])]
    alike = alike if len(alike) > 1 else []
    parted = [one for one in found if one not in alike]
    rows = widest(parted)
    for table in packed(name_column(rows), columns(rows), console) if rows else ():
        console.print()
        console.print(table)
    if len(rows) < len(parted):
        line(Text(f"the {len(rows)} of {len(parted):,} with the widest span; --json has them all", "dim"), console)
    if alike:
        names = [cell(one) if one["values"] else strategy_name(one["label"]) for one in alike]
        more = f" and {len(names) - MOST_ROWS:,} more" if len(names) > MOST_ROWS else ""
        console.print()
        same = f"{len(names):,} without an ambiguous bar, the same as worst, truth and best: "
        line(f"{same}{'; '.join(names[:MOST_ROWS])}{more}", console)


def settled(run: Told) -> bool:
    """Whether a run has no ambiguous bar, and the same figures under worst, best and on the finer bars."""
    return not run["ambiguous"]["worst"] and all(run[side] == run["worst"] for side in SIDES)


def widest(found: Sequence[Told]) -> Sequence[Told]:
    """Return the comparisons to show: all, or of many those whose returns span most, the widest first."""
    if len(found) <= MOST_ROWS:
        return found
    return sorted(found, key=lambda one: -spread(one["whole"], "total_return"))[:MOST_ROWS]


def spread(run: Told, figure: str) -> float:
    return float(abs(run["best"][figure] - run["worst"][figure]))


def name_column(rows: Sequence[Told]) -> Column:
    """Return what tells the rows apart: the strategy, or the settings that were varied."""
    cells = [cell(one) or strategy_name(one["label"]) for one in rows]
    header = ", ".join(name.removeprefix("set_") for name in rows[0]["values"]) or "strategy"
    return Column(header, cells, ["bold"] * len(rows), left=True)


def cell(one: Told) -> str:
    return ", ".join(map(short, one["values"].values()))


def named(label: str, one: Told) -> str:
    """Return a strategy's name, with what was varied.

    >>> named("ideas/mine.py:Break", {"values": {"lookback": 6}})
    'mine:Break lookback=6'
    """
    values = " ".join(f"{name}={words.value_words(value)}" for name, value in one["values"].items())
    return f"{strategy_name(label)} {values}".strip()


def columns(rows: Sequence[Told]) -> list[list[Column]]:
    names = {side: f"{FIGURES['total_return']} {side}" if side == "worst" else side for side in SIDES}
    returns = [Column(names[side], shares(rows, side, "total_return", True)) for side in SIDES]
    counted = [count_column(rows, figure) for figure in ("trades", "liquidations")]
    names["worst"] = f"{FIGURES['max_drawdown']} worst"
    falls = [Column(names[side], shares(rows, side, "max_drawdown")) for side in SIDES]
    return [[*returns, *counted], falls]


def shares(rows: Sequence[Told], side: str, figure: str, sign: bool = False) -> list[str]:
    return [words.percent(one["whole"][side][figure], sign=sign) for one in rows]


def count_column(rows: Sequence[Told], figure: str) -> Column:
    cells = [counts(one["whole"], figure) for one in rows]
    which = f" {'/'.join(SIDES)}" if any("/" in text for text in cells) else ""
    return Column(f"{FIGURES[figure]}{which}", cells)


def counts(run: Told, figure: str) -> str:
    """Return a count of worst, truth and best; once where they are the same.

    >>> counts({"worst": {"trades": 4}, "truth": {"trades": 5}, "best": {"trades": 5}}, "trades")
    '4/5/5'
    """
    found = [words.count(run[side][figure]) for side in SIDES]
    return found[0] if len(set(found)) == 1 else "/".join(found)


# --- events -------------------------------------------------------------------------------------------------------


def print_events(found: Sequence[Told], total: Told, console: Console) -> None:
    title("Ambiguous events, each taken from the same state under worst, best and truth", console)
    if not total["events"]:
        bullet("none: no bar held two events whose order matters, so worst, best and truth are one", console)
        bullet("a narrow bracket makes some: with --set or --grid on one strategy, such as " + NARROW, console)
        return
    a = total["answers"]
    ways = f"{a['worst']:,} as worst says, {a['best']:,} as best, {a['between']:,} between the two"
    bullet(f"{things(total['events'], 'event')}: {ways}, {a['outside']:,} outside", console)
    if total["unsettled"]:
        fine = words.interval_words(found[0]["fine"])
        open_ = f"{total['unsettled']:,} of them both fall into one bar of {fine}, where the truth takes the worse"
        bullet(open_, console)
    for reason, number in total["reasons"].items():
        bullet(f"outside, {number:,}: {REASONS[reason]}", console)


def things(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- runs outside -------------------------------------------------------------------------------------------------


def print_runs(found: Sequence[Told], total: Told, console: Console) -> None:
    title("Whole runs: does the truth end between worst and best?", console)
    each = len(found[0]["windows"])
    which = f", each plan over the whole span and over {each} parts of it" if each else ""
    bullet(f"{things(total['runs'], 'run')}{which}; {total['ambiguous_runs']:,} had an ambiguous bar", console)
    print_causes("return", total["figures"]["total_return"], total["beyond"]["total_return"], total["causes"], console)
    if total["figures"]["max_drawdown"]:
        fallen = total["figures"]["max_drawdown"], total["beyond"]["max_drawdown"]
        print_causes("max drawdown", *fallen, total["drawdown_causes"], console)
    others = [f"{FIGURES[name]} {total['figures'][name]:,}" for name in ("liquidations", "trades")]
    others = [told for told in others if not told.endswith(" 0")]
    if others:
        bullet(f"runs with another figure outside: {', '.join(others)}", console)
    outside = [(one, run) for one in found for run in (one["whole"], *one["windows"]) if run["cause"]]
    for one, run in outside[:MOST_RUNS]:
        print_outside(one, run, console)
    if len(outside) > MOST_RUNS:
        line(Text(f"and {len(outside) - MOST_RUNS:,} more, in --json", "dim"), console)


def print_causes(figure: str, number: int, most: float, causes: Told, console: Console) -> None:
    """Print in how many runs a figure lies outside, by how much at most, and why."""
    far = f", by {'up to ' if number > 1 else ''}{points(most)}" if number else ""
    where = f"the {figure} of {things(number, 'run')} lies outside{far}"
    bullet(Text(where, style="yellow" if number else ""), console)
    for cause, count in causes.items():
        if count:
            bullet(f"{count:,}: {CAUSES[cause]}", console)


def points(share: float) -> str:
    """Return a distance between two shares, two digits of it.

    >>> points(-0.018838), points(3e-6)
    ('1.9 percentage points', '0.0003 percentage points')
    """
    return f"{100 * abs(share):.2g} percentage points"


def print_outside(one: Told, run: Told, console: Console) -> None:
    """Print one run that ends outside: its figures, where its path left both orders, and what was another trade then."""
    name, span = words.printable(named(one["label"], one)), words.span_words(run["start"], run["end"])
    console.print()
    line(Text.assemble((name, "bold"), f", {span}: {beside(run, 'total_return', 'below', 'above')}"), console)
    if "max_drawdown" in run["beyond"]:
        bullet(f"max drawdown: {beside(run, 'max_drawdown', 'deeper than', 'less than')}", console)
    for left in run["left"]:
        trade = (
            f"the {left['side']} of {left['symbol']}: {left['there']} under {left['order']}, {left['truth']} in truth"
        )
        bullet(f"left {left['order']} at {left['time']}, {words.printable(trade)}", console)
    if run["since"]:
        bullet(f"then: {words.printable(run['since'])}", console)


def beside(run: Told, figure: str, under: str, over: str) -> str:
    """Return a figure of truth, worst and best, and by how much the first lies outside."""
    sign = figure == "total_return"
    sides = ", ".join(f"{side} {words.percent(run[side][figure], sign=sign)}" for side in ("truth", "worst", "best"))
    far = run["beyond"].get(figure, 0.0)
    return f"{sides}; {points(far)} {under if far < 0 else over} both" if far else sides


# --- what to believe ----------------------------------------------------------------------------------------------


def print_belief(found: Sequence[Told], console: Console) -> None:
    """Print what the runs under worst assume, how the data stand, and what the comparison can't see."""
    summaries = [Summary.from_dict(one["summary"]) for one in found]
    print_assumptions(summaries, console)
    findings = list(dict.fromkeys(f for s in summaries for f in s.findings))
    shown = tuple(findings[:SHOWN_FINDINGS])
    print_data([replace(s, findings=shown) for s in summaries], console)
    if len(findings) > len(shown):
        bullet(f"and {len(findings) - len(shown):,} more findings, in --json", console)
    for note in dict.fromkeys(note for one in found for note in one["notes"]):
        bullet(Text(words.printable(note), style="yellow"), console)
