"""What a study of levels found, in the terminal. A study is plain data, as in its JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.model.arrays import utc_text
from backtest.report import words
from backtest.report.columns import Column, packed
from backtest.report.terminal import bullet, facts, line, title

__all__ = ["print_study"]

NULL_NAMES = {"placebo": "placebo levels", "martingale": "martingale"}


def print_study(found: Mapping[str, Any], console: Console) -> None:
    """Print what was studied, every statistic beside its null, the verdicts, the waits, the assumptions and the data."""
    print_heading(found, console)
    console.print()
    for i, table in enumerate(packed(name_column(found["findings"]), columns(found["findings"]), console)):
        if i:
            console.print()
        console.print(table)
    print_verdicts(found["findings"], console)
    print_waits(found["time_to_next_level"], console)
    title("Assumptions behind these numbers", console)
    for sentence in found["assumptions"]:
        bullet(sentence, console)
    print_data(found, console)


def print_heading(found: Mapping[str, Any], console: Console) -> None:
    if found["grade"] == "D":
        banner = Text.assemble(
            (" SIMULATED MARKET ", "bold black on yellow"), " prices or other series were made by a "
        )
        line(banner.append("generator; the figures say nothing about the past."), console)
    span = words.span_words(utc_text(found["start"]), utc_text(found["end"]))
    bars = f"{found['bars']:,} bars of {words.interval_words(found['interval'])}"
    facts((found["market"], ", ".join(found["symbols"]), span, bars), " · ", console)
    line(Text.assemble("levels ", (words.printable(found["levels"]), "bold")), console)
    s = found["settings"]
    counted = f"{found['kept']:,} levels ({found['placebo_kept']:,.0f} in a placebo set)"
    events = f"{found['touches']:,} touches", f"{found['breaks']:,} breaks by {s['rule']}"
    facts((counted, *events, f"{s['sets']:,} placebo sets", f"seed {s['seed']}"), " · ", console)


# --- the statistics ---------------------------------------------------------------------------------------------------


def name_column(findings: Sequence[Mapping[str, Any]]) -> Column:
    return Column("statistic", [short(f["name"]) for f in findings], ["bold"] * len(findings), left=True)


def short(name: str) -> str:
    """Return a name that fits a column: without what stands in brackets, and "less martingale" as a sign."""
    return (
        name.partition(" (")[0]
        .replace("next level before reclaim", "next before reclaim")
        .replace(", less martingale", " \N{MINUS SIGN} m.")
    )


def columns(findings: Sequence[Mapping[str, Any]]) -> list[list[Column]]:
    measured = [
        Column("real", [figure(f["value"], f["unit"]) for f in findings]),
        Column("95%", [between(f["low"], f["high"], f["unit"]) for f in findings]),
        Column("null", [NULL_NAMES[f["null"]] for f in findings], left=True),
        Column("null's", [figure(f["expected"], f["unit"]) for f in findings]),
        Column("95% of sets", [between(f["null_low"], f["null_high"], f["unit"]) for f in findings], spare=True),
    ]
    told = [
        Column("events", [f"{f['events']:,}" for f in findings]),
        Column("needed", [f"{f['needed']:,}" for f in findings]),
        Column("p (two-sided)", [p_words(f["p"]) for f in findings]),
        Column("Holm", [p_words(f["p_holm"]) for f in findings]),
        Column("BH", [p_words(f["p_bh"]) for f in findings]),
    ]
    return [measured, told]


def known(value: float | None) -> float:
    return math.nan if value is None else value


def figure(value: float | None, unit: str) -> str:
    """Return a value in its unit: a share in percent, a difference of shares in points, a move in ATRs."""
    number = known(value)
    if math.isnan(number):
        return words.NOTHING
    if unit == "share":
        return f"{100 * number:.1f}%"
    return f"{100 * number:+.1f} pt" if unit == "points" else f"{number:+.2f} ATR"


def between(low: float | None, high: float | None, unit: str) -> str:
    ends = known(low), known(high)
    if math.isnan(ends[0]):
        return words.NOTHING
    scale, digits = (100, 1) if unit in ("share", "points") else (1, 2)
    return " to ".join(f"{scale * end:{'' if unit == 'share' else '+'}.{digits}f}" for end in ends)


def p_words(value: float | None) -> str:
    """Return a p-value with three digits after the point.

    >>> p_words(0.0412), p_words(1e-9), p_words(None) == p_words(float("nan"))
    ('0.041', '<0.001', True)
    """
    p = known(value)
    return words.NOTHING if math.isnan(p) else "<0.001" if p < 0.0005 else f"{p:.3f}"


def print_verdicts(findings: Sequence[Mapping[str, Any]], console: Console) -> None:
    title("What that says", console)
    for f in findings:
        style = (
            "bold" if f["verdict"].startswith("different") else "yellow" if f["verdict"].startswith("not en") else ""
        )
        bullet(Text.assemble((f["name"], "bold"), ": ", (words.printable(f["verdict"]), style)), console)


def print_waits(wait: Mapping[str, Any], console: Console) -> None:
    if not wait["events"]:
        return
    title("Time to a close at the next level (Kaplan-Meier)", console)
    median = known(wait["median_hours"])
    half = "more than half still wait at the end" if math.isnan(median) else f"half are there after {median:,.4g} h"
    bullet(f"{wait['events']:,} breaks with a level below: {half}", console)
    told = [
        f"{hours_words(float(hours))} {100 * share:.1f}% ({100 * low:.1f} to {100 * high:.1f})"
        for hours, (share, low, high) in wait["reached"].items()
    ]
    bullet(f"there within {', '.join(told)}; intervals by Greenwood", console)


def hours_words(hours: float) -> str:
    return f"{hours / 24:g} d" if hours % 24 == 0 else f"{hours:g} h"


def print_data(found: Mapping[str, Any], console: Console) -> None:
    title("Data", console)
    bullet(Text(words.grade_words(found["grade"]), style="yellow" if found["grade"] in "CD" else ""), console)
    if found["standing"]:
        bullet(words.standing_words(found["standing"]), console)
