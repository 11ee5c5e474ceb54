"""Worst, best and truth inside a bar, in the terminal. What is printed is plain data, as in its JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.forward import short
from backtest.report.terminal import bullet, facts, line, print_failures, strategy_name, title

__all__ = ["print_intrabar"]

Told = Mapping[str, Any]
SIDES = ("worst", "truth", "best")
MOST_ROWS = 15
MOST_RUNS = 5
FIGURES = {"total_return": "return", "max_drawdown": "max DD", "liquidations": "liq.", "trades": "trades"}
CAUSES = {
    "trades": "an earlier event went another way, after which another trade was open, or none",
    "fills": "a fill beyond both, such as through a gap between two finer bars",
    "sizes": "the same trades in other sizes, on an equity that was another by then",
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
    """Print the market, the figures of whole runs, the ambiguous events one by one, and where the truth lies outside and why."""
    found, total = told["comparisons"], told["total"]
    heading(found[0], console)
    console.print()
    rows = widest(found)
    for i, table in enumerate(packed(name_column(rows), columns(rows), console)):
        if i:
            console.print()
        console.print(table)
    if len(rows) < len(found):
        line(Text(f"the {len(rows)} of {len(found):,} with the widest span; --json has them all", "dim"), console)
    print_events(found, total, console)
    print_runs(found, total, console)
    print_notes(found[0], console)
    print_failures({one["strategy"]: one["error"] for one in told["failed"]}, console)


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


def widest(found: Sequence[Told]) -> Sequence[Told]:
    """Return the comparisons to show: all, or of many those whose returns span most, the widest first."""
    if len(found) <= MOST_ROWS:
        return found
    return sorted(found, key=lambda one: -spread(one["whole"], "total_return"))[:MOST_ROWS]


def spread(run: Told, figure: str) -> float:
    return float(abs(run["best"][figure] - run["worst"][figure]))


def name_column(rows: Sequence[Told]) -> Column:
    """Return what tells the rows apart: the strategy, or the settings that were varied."""
    names = list(rows[0]["values"])
    cells = [", ".join(short(one["values"][name]) for name in names) or strategy_name(one["label"]) for one in rows]
    header = ", ".join(name.removeprefix("set_") for name in names) or "strategy"
    return Column(header, cells, ["bold"] * len(rows), left=True)


def columns(rows: Sequence[Told]) -> list[list[Column]]:
    names = {side: f"{FIGURES['total_return']} {side}" if side == "worst" else side for side in SIDES}
    returns = [Column(names[side], shares(rows, side, "total_return", True)) for side in SIDES]
    counted = [
        Column(FIGURES[figure], [counts(one["whole"], figure) for one in rows]) for figure in ("trades", "liquidations")
    ]
    names["worst"] = f"{FIGURES['max_drawdown']} worst"
    falls = [Column(names[side], shares(rows, side, "max_drawdown")) for side in SIDES]
    return [[*returns, *counted], falls]


def shares(rows: Sequence[Told], side: str, figure: str, sign: bool = False) -> list[str]:
    return [words.percent(one["whole"][side][figure], sign=sign) for one in rows]


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
    where = f"the return of {things(total['outside'], 'run')} lies outside"
    bullet(Text(where, style="yellow" if total["outside"] else ""), console)
    for cause, number in total["causes"].items():
        if number:
            bullet(f"{number:,}: {CAUSES[cause]}", console)
    others = [
        f"{FIGURES[name]} {number:,}" for name, number in total["figures"].items() if number and name != "total_return"
    ]
    if others:
        bullet(f"runs with another figure outside: {', '.join(others)}", console)
    outside = [(one, run) for one in found for run in (one["whole"], *one["windows"]) if run["cause"]]
    for one, run in outside[:MOST_RUNS]:
        print_outside(one, run, console)
    if len(outside) > MOST_RUNS:
        line(Text(f"and {len(outside) - MOST_RUNS:,} more, in --json", "dim"), console)


def print_outside(one: Told, run: Told, console: Console) -> None:
    """Print one run that ends outside: its returns, where its path left both orders, and what was another trade then."""
    values = " ".join(f"{name}={words.value_words(value)}" for name, value in one["values"].items())
    name = f"{strategy_name(one['label'])} {values}".strip()
    truth, worst, best = (words.percent(run[side]["total_return"], sign=True) for side in ("truth", "worst", "best"))
    console.print()
    span = words.span_words(run["start"], run["end"])
    line(
        Text.assemble((words.printable(name), "bold"), f", {span}: truth {truth}, worst {worst}, best {best}"), console
    )
    for left in run["left"]:
        trade = (
            f"the {left['side']} of {left['symbol']}: {left['there']} under {left['order']}, {left['truth']} in truth"
        )
        bullet(f"left {left['order']} at {left['time']}, {words.printable(trade)}", console)
    if run["since"]:
        bullet(f"then: {words.printable(run['since'])}", console)


def print_notes(one: Told, console: Console) -> None:
    for note in one["notes"]:
        line(Text(words.printable(note), style="yellow"), console)
