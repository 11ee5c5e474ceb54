"""What a run came to, in the terminal: figures, where the money went, what was assumed, and what the data are worth."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from backtest.analysis.summary import Summary
from backtest.model.arrays import utc_text
from backtest.report import words
from backtest.report.columns import Column, packed

if TYPE_CHECKING:
    from backtest.analysis.significance import Luck

__all__ = ["order_words", "print_report"]

WIDEST_TEXT = 110
SHOWN_FINDINGS = 5
SHOWN_TIERS = 6
KIND_NAMES = {"trade_pnl": "trade PnL", "fee": "fees"}


def print_report(
    summaries: Sequence[Summary],
    folders: Sequence[Path | None],
    console: Console,
    failures: Mapping[str, str] | None = None,
    luck: "Luck | None" = None,
) -> None:
    """Print one or several runs: what they ran on, figures, PnL by kind, luck, assumptions, data, refused rows, folders."""
    from backtest.report.luck import print_luck  # it needs this module

    if summaries:
        print_headings(summaries, console)
        print_figures(summaries, console)
        print_pnl(summaries, console)
        print_luck(luck, console)
        print_assumptions(summaries, console)
        print_data(summaries, console)
        print_rejections(summaries, console)
        print_folders(folders, console)
    print_failures(failures or {}, console)


def print_failures(failures: Mapping[str, str], console: Console) -> None:
    """Print the strategies that were not run, and why."""
    if failures:
        title("Not run", console)
    for name, sentence in failures.items():
        bullet(Text.assemble((words.printable(name), "bold red"), f": {words.printable(sentence)}"), console)


def title(text: str, console: Console) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def line(text: Text | str, console: Console, first: str = "") -> None:
    """Print running text, wrapped at a width that can be read and indented below its first line."""
    body = text if isinstance(text, Text) else Text(words.printable(text))
    for i, part in enumerate(body.wrap(console, min(console.width, WIDEST_TEXT) - len(first))):
        part.rstrip()
        console.print(Text.assemble(first if i == 0 else " " * len(first), part), no_wrap=True, crop=False)


def bullet(text: Text | str, console: Console) -> None:
    line(text, console, "  · ")


def tables(columns: Sequence[Sequence[Column]], summaries: Sequence[Summary], console: Console) -> None:
    """Print the columns in as many tables as the width needs, each led by the names of the strategies."""
    for i, table in enumerate(packed(names_of(summaries), columns, console)):
        if i:
            console.print()
        console.print(table)


# --- what was run -----------------------------------------------------------------------------------------------


def print_headings(summaries: Sequence[Summary], console: Console) -> None:
    simulated = sorted({s.market for s in summaries if s.grade == "D"})
    if simulated:
        banner = Text.assemble(
            (" SIMULATED MARKET ", "bold black on yellow"), " prices or other series were made by a "
        )
        line(banner.append("generator; the figures say nothing about the past."), console)
    for heading in dict.fromkeys(market_words(s) for s in summaries):
        facts(heading, " · ", console)
    for heading in venue_headings(summaries):
        facts(heading, " · ", console, "dim")
    if len(summaries) == 1 and summaries[0].parameters:
        pairs = [f"{k}={words.value_words(v)}" for k, v in summaries[0].parameters.items()]
        facts(pairs, "  ", console, "dim")


def facts(parts: Iterable[str], between: str, console: Console, style: str = "") -> None:
    """Print short facts in a row, broken between two of them where they are too many for one line."""
    row = ""
    for part in map(words.printable, parts):
        longer = f"{row}{between}{part}" if row else part
        if row and len(longer) > min(console.width, WIDEST_TEXT):
            line(Text(row, style=style), console)
            longer = part
        row = longer
    line(Text(row, style=style), console)


def market_words(s: Summary) -> tuple[str, ...]:
    names = ", ".join(s.symbols[:6]) + (f" and {len(s.symbols) - 6} more" if len(s.symbols) > 6 else "")
    bars = f"{s.bars:,} bars of {words.interval_words(s.interval)}"
    return s.market, names, words.span_words(utc_text(s.start), utc_text(s.end)), bars


def venue_headings(summaries: Sequence[Summary]) -> list[tuple[str, ...]]:
    """Return what the runs had in common in venue and account, once, with the engines that ran."""
    engines: dict[tuple[str, ...], dict[str, None]] = {}
    for s in summaries:
        used = engines.setdefault(venue_words(s), {})
        used |= {str(s.settings["engine"]): None} if s.settings.get("engine") else {}
    said = {len(used): "engine" if len(used) == 1 else "engines" for used in engines.values()}
    return [(*k, f"{said[len(used)]} {', '.join(sorted(used))}") if used else k for k, used in engines.items()]


def venue_words(s: Summary) -> tuple[str, ...]:
    v: dict[str, Any] = {"venue": "venue", "margin_mode": "cross", "intrabar": "worst", **s.settings}
    leverage = v.get("leverage")
    rates = " ".join(
        f"{name} {100 * v[name]:.4g}%" for name in ("maker", "taker", "slippage") if v.get(name) is not None
    )
    margin = "no leverage limit" if leverage is None or math.isinf(leverage) else f"{leverage:g}x {v['margin_mode']}"
    parts = (str(v["venue"]), f"cash {s.cash:,.10g}", margin, rates, f"intrabar {v['intrabar']}")
    return (*parts, f"seed {v['seed']}") if v.get("seed") is not None else parts


# --- figures ----------------------------------------------------------------------------------------------------


def print_figures(summaries: Sequence[Summary], console: Console) -> None:
    """Print the comparison, a row a strategy; below it the runs whose return hangs on the order of events inside bars."""
    console.print()
    tables(figure_columns(summaries), summaries, console)
    for s in summaries:
        told = order_words(s)
        if told:
            name = f"{strategy_name(s.strategy)}: " if len(summaries) > 1 else ""
            line(f"{name}{told}", console)


def order_words(s: Summary) -> str:
    """Return what the return is with the worse and with the better order of events inside bars; "" where it is the same."""
    if not s.worst or not s.best or s.worst == s.best:
        return ""
    low, high = (words.percent(order["total_return"], sign=True) for order in (s.worst, s.best))
    count = s.assumptions.get("ambiguous_bars", 0)
    bars = f", open in {words.count(count)} bar{'' if count == 1 else 's'}" if count else ""
    return f"The order of events inside bars{bars}: return {low} with the worse, {high} with the better."


def names_of(summaries: Sequence[Summary]) -> Column:
    names = [strategy_name(s.strategy) for s in summaries]
    return Column("strategy", names, ["bold"] * len(names), left=True)


def strategy_name(strategy: str) -> str:
    """Return a strategy's name without its folder: "ideas/mine.py:Break" is "mine:Break"."""
    return strategy.replace("\\", "/").rsplit("/", 1)[-1].replace(".py", "")


def figure_columns(summaries: Sequence[Summary]) -> list[list[Column]]:
    gains = [s.total_return for s in summaries]
    colours = ["green" if g > 0 else "red" if g < 0 else "" for g in gains]
    performance = [
        Column("return", [words.percent(g, sign=True) for g in gains], colours),
        Column("CAGR", [words.percent(s.cagr, sign=True) for s in summaries]),
        Column("Sharpe", [words.ratio(s.sharpe) for s in summaries]),
        Column("Sortino", [words.ratio(s.sortino) for s in summaries]),
        Column("max DD", [words.percent(s.max_drawdown) for s in summaries]),
        Column("Calmar", [words.ratio(s.calmar) for s in summaries]),
    ]
    trading = [
        Column("trades", [words.count(s.trades) for s in summaries]),
        Column("win rate", [words.percent(s.win_rate) for s in summaries]),
        Column("exposure", [words.percent(s.exposure) for s in summaries]),
        Column("funding paid", words.money([s.funding_paid for s in summaries])),
        Column("fees", words.money([s.fees for s in summaries])),
        Column(
            "liq.",
            [words.count(s.liquidations) for s in summaries],
            ["red" if s.liquidations else "" for s in summaries],
        ),
    ]
    return [performance, trading]


def print_pnl(summaries: Sequence[Summary], console: Console) -> None:
    """Print where the money came from and went, by ledger kind; kinds without a row in any run are left out."""
    title("PnL by ledger kind, quote units; negative is paid or lost", console)
    amounts = {}
    for kind in summaries[0].pnl_by_kind:
        of_kind = [s.pnl_by_kind.get(kind, 0.0) for s in summaries]
        if any(of_kind) or kind in ("trade_pnl", "fee", "funding"):
            amounts[KIND_NAMES.get(kind, kind.replace("_", " "))] = of_kind
    if any(s.unrealised for s in summaries):
        amounts["unrealised"] = [s.unrealised for s in summaries]
    amounts["= total"] = [s.final_equity - s.cash for s in summaries]
    amounts["(slippage)"] = [s.memo.get("slippage", 0.0) for s in summaries]
    styles = {"= total": "bold", "(slippage)": "dim"}
    columns = [
        Column(name, cells, [styles.get(name, "")] * len(cells), spare=name == "(slippage)")
        for name, cells in zip(amounts, words.same_digits(list(amounts.values())), strict=True)
    ]
    tables([columns], summaries, console)
    if any(amounts["(slippage)"]):
        costs = words.money(sorted(-cost for cost in amounts["(slippage)"]))
        span = " to ".join(dict.fromkeys((costs[0], costs[-1])))
        told = f"slippage cost {span}; it is inside the prices of the fills, so it is no part of the sum"
        line(Text(told, style="dim"), console)


# --- what to believe --------------------------------------------------------------------------------------------


def print_assumptions(summaries: Sequence[Summary], console: Console) -> None:
    """Print every assumption in force, in plain words, with how often it was."""
    title("Assumptions in force", console)
    found = list(dict.fromkeys(name for s in summaries for name, n in s.assumptions.items() if n))
    if not found:
        bullet("none", console)
    for name in found:
        counts = [s.assumptions[name] for s in summaries if s.assumptions.get(name)]
        often = words.times(name, counts, len(summaries))
        bullet(Text.assemble(words.assumption(name), (f"  {often}" if often else "", "dim")), console)


def print_data(summaries: Sequence[Summary], console: Console) -> None:
    """Print the grade of the passport, and the first things that are wrong with the data."""
    title("Data", console)
    for grade in dict.fromkeys(s.grade for s in summaries):
        bullet(Text(words.grade_words(grade), style="yellow" if grade in "CD" else ""), console)
    for told in dict.fromkeys(words.standing_words(s.standing) for s in summaries if s.standing):
        bullet(told, console)
    findings = list(dict.fromkeys(f for s in summaries for f in s.findings))
    for finding in findings[:SHOWN_FINDINGS]:
        bullet(finding, console)
    if len(findings) > SHOWN_FINDINGS:
        bullet(f"and {len(findings) - SHOWN_FINDINGS} more findings, in summary.json", console)
    tiers = list(dict.fromkeys(t for s in summaries for t in s.tier_tables))
    if tiers:
        more = f" and {len(tiers) - SHOWN_TIERS} more" if len(tiers) > SHOWN_TIERS else ""
        venue = tiers[0].partition(" ")[0]
        one = venue[-1:].isalnum() and all(tier.startswith(f"{venue} ") for tier in tiers)
        names = [tier.removeprefix(f"{venue} ") if one else tier for tier in tiers[:SHOWN_TIERS]]
        bullet(f"margin tiers{f' of {venue}' if one else ''}: {', '.join(names)}{more}", console)


def print_rejections(summaries: Sequence[Summary], console: Console) -> None:
    """Print how many rows of each plan came to nothing, and why, and which plan had no row at all."""
    told = [(s, nothing_words(s)) for s in summaries]
    if any(reasons for _, reasons in told):
        title("Orders that came to nothing", console)
    for s, reasons in told:
        if reasons:
            name = words.printable(strategy_name(s.strategy))
            bullet(Text.assemble((name, "bold"), f": {words.printable(reasons)}"), console)


def nothing_words(s: Summary) -> str:
    if s.rejections:
        return ", ".join(f"{reason.replace('_', ' ')} {words.TIMES}{n:,}" for reason, n in s.rejections.items())
    return "" if s.trades else "no trade: nothing on this market met its rule; do its parameters suit these prices?"


def print_folders(folders: Sequence[Path | None], console: Console) -> None:
    """Print where the files are, each path on a line of its own, uncut, so that it can be copied."""
    paths = [path for path in folders if path is not None]
    if not paths:
        return
    title("Folders, each with a report.html for a browser", console)
    for path in paths:
        console.print(Text(f"  {words.printable(path)}"), no_wrap=True, crop=False, soft_wrap=True)
