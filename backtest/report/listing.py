"""Lists of what there is: markets, strategies, venues. Rows are plain data, or say the "error" of a wrong file."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from backtest.report.columns import Column, fitted
from backtest.report.words import printable, span_words, value_words

__all__ = ["print_markets", "print_strategies", "print_strategy", "print_venues"]

Row = Mapping[str, Any]
NARROW = 100
WIDEST = 140


def sound(rows: Sequence[Row], kind: str, console: Console) -> list[Row]:
    """Return the rows without an error, and print the others."""
    for row in rows:
        if "error" in row:
            console.print(Text.assemble((printable(row["name"]), "bold red"), f" {printable(row['error'])}"))
    if not rows:
        console.print(f"There are no {kind}.")
    return [row for row in rows if "error" not in row]


def entries(rows: Sequence[tuple[str, str, str]], console: Console, more: Sequence[str] = ()) -> None:
    """Print each name, with a sentence and a dim line of facts below it; more: a further line for each, or ""."""
    for i, (name, sentence, facts) in enumerate(rows):
        console.print(Text(printable(name), style="bold"))
        for text, style in ((sentence, ""), (facts, "dim"), (more[i] if more else "", "yellow")):
            if text:
                body = Padding(Text(printable(text), style=style), (0, 0, 0, 2), expand=False)
                console.print(body, width=min(console.width, WIDEST))


def print_markets(rows: Sequence[Row], console: Console) -> None:
    """Print each market with its symbols, its span and what its series are."""
    found, wanting = [], []
    for row in sound(rows, "markets", console):
        span = span_words(row["start"], row["end"]) if row["start"] and row["end"] else ""
        traded = f"traded from {row['trade_from'].removesuffix('T00:00Z')}" if row["trade_from"] else ""
        facts = [", ".join(row["symbols"]), row["interval"] or "", span, traded, ", ".join(row["origins"])]
        found.append((row["name"], row["description"], " · ".join(fact for fact in (*facts, held_words(row)) if fact)))
        wanting.append(wanting_words(row))
    entries(found, console, wanting)


def held_words(row: Row) -> str:
    """Return that everything a market takes from the store is here, if so."""
    series = row.get("series", ())
    return "all data here" if series and not row["fetch"] else ""


def wanting_words(row: Row) -> str:
    """Return which of a market's series are not here, and the command that gets them; "" where all are, or none is needed."""
    if row.get("problem"):
        return str(row["problem"])
    needed = [s for s in row.get("series", ()) if not s["of"].endswith(".check")]  # a second source is not run on
    names = [s["of"] for s in needed if s["state"] in ("part", "missing")]
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"not here: {shown} ({len(names)} of {len(needed)} series); get them with `{row['fetch']}`"


def print_strategies(rows: Sequence[Row], console: Console) -> None:
    """Print each strategy with its first sentence."""
    entries([(row["name"], row["title"], "") for row in sound(rows, "strategies", console)], console)


def print_strategy(row: Row, console: Console) -> None:
    """Print what a strategy does, where it stands, and its parameters with defaults and meaning."""
    console.print(Text(printable(row["name"]), style="bold"))
    for paragraph in row["doc"].split("\n\n"):
        console.print(Padding(Text(paragraph_text(paragraph)), (0, 0, 1, 0)), width=min(console.width, WIDEST))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    table.add_column("parameter", style="bold", no_wrap=True)
    table.add_column("default", overflow="fold")
    if console.width >= NARROW:
        table.add_column("type", style="dim", overflow="fold")
    table.add_column("meaning", overflow="fold", ratio=1)
    for p in row["parameters"]:
        cells = [p["name"], value_words(p["default"]), p["type"], p["meaning"]]
        table.add_row(*(Text(printable(c)) for i, c in enumerate(cells) if i != 2 or console.width >= NARROW))
    if row["parameters"]:
        console.print(table, width=min(console.width, WIDEST))
    else:
        console.print("It has no parameters.")
    console.print(Text(printable(row["path"]), style="dim"), soft_wrap=True)


def paragraph_text(paragraph: str) -> str:
    """Return a paragraph as one running line; one with indented or listed lines as it is."""
    lines = [printable(line) for line in paragraph.splitlines()]
    running = not any(line.startswith((" ", "-", "*", ">")) for line in lines)
    return (" " if running else "\n").join(lines)


def print_venues(rows: Sequence[Row], console: Console) -> None:
    """Print each venue with its fees and the account's defaults."""
    good = sound(rows, "venues", console)
    if not good:
        return
    rates = [
        Column(name, [f"{100 * row[name]:.4g}%" for row in good], spare=name == "slippage")
        for name in ("maker", "taker", "slippage")
    ]
    columns = [
        Column("venue", [row["name"] for row in good], ["bold"] * len(good), left=True),
        *rates,
        Column("cash", [f"{row['cash']:,.10g}" for row in good]),
        Column("leverage", ["no limit" if math.isinf(row["leverage"]) else f"{row['leverage']:g}x" for row in good]),
        Column("margin", [row["margin_mode"] for row in good], left=True),
        Column("intrabar", [row["intrabar"] for row in good], left=True, spare=True),
        Column("own tiers for", [", ".join(row["symbols"]) for row in good], left=True, spare=True, whole=True),
    ]
    console.print(fitted(columns, console))
