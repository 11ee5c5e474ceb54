"""A map of levels and a matrix of break rules in the terminal. Both are plain data, as in their JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

from rich.console import Console
from rich.text import Text

from backtest.model.arrays import DAY
from backtest.report import words
from backtest.report.columns import Column, fits, fitted, packed
from backtest.report.terminal import bullet, facts, line, title

__all__ = ["print_breaks", "print_levels", "short"]

Row = Mapping[str, Any]
GLYPHS = {"active": "-", "tested": "o", "reclaimed": "^", "broken": "x", "flipped": "v", "retired": "."}
STYLES = {
    "active": "green",
    "tested": "green",
    "reclaimed": "green",
    "broken": "red",
    "flipped": "red",
    "retired": "dim",
}
FLOWS = ("opened", "longs", "shorts")
WIDEST = 110
LONGEST_BAR = 30
SHOWN_BREAKS = 10
UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def print_levels(found: Row, console: Console) -> None:
    """Print a map: what it is of, the ladder, the table, what was left out and what is not known."""
    heading(found, console)
    console.print()
    for one in ladder(found, min(console.width, WIDEST)):
        console.print(one, no_wrap=True, crop=False)
    console.print()
    if found["rows"]:
        console.print(fitted(columns(found), console))
        console.print()
    for sentence in remarks(found):
        line(Text(sentence, "dim"), console)
    for note in found["notes"]:
        bullet(Text(words.printable(note), "yellow"), console)


def heading(found: Row, console: Console) -> None:
    """Print what a map is of; one of a simulated market says so first."""
    if found["grade"] == "D":
        line(
            Text.assemble((" SIMULATED MARKET ", "bold black on yellow"), " its prices were made by a generator."),
            console,
        )
    price = f"{words.printable(found['symbol'])} {priced(found['price'], found['price'])}"
    atr = "" if found["atr"] is None else f"ATR {priced(found['atr'], found['price'])}"
    bars = f"bars of {words.interval_words(found['interval'])}"
    facts(filter(None, (price, found["time"], words.printable(found["market"]), bars, atr)), " · ", console, "bold")


def remarks(found: Row) -> list[str]:
    told = []
    if found["left_out"]:
        more = "1 more level is" if found["left_out"] == 1 else f"{found['left_out']:,} more levels are"
        told.append(f"{more} known, weaker or farther away; --all draws everything.")
    if set(FLOWS) - set(found["missing"]) and found["rows"]:
        told.append(
            f"OI opened, longs, shorts: open interest opened and positions force-closed, USD, in the bars that came within "
            f"{words.percent(found['near'])} of a level since it is known, {found['days']:g} days back at most; measured."
        )
    return told


# --- the ladder ---------------------------------------------------------------------------------------------------


def ladder(found: Row, width: int) -> list[Text]:
    """Return the levels from the highest to the lowest, a line each, with the price between them.

    A line has the price, a sign and a word for the state, the kind, and bars of what happened around the level: longs
    force-closed to the left of the middle, shorts to its right, open interest opened behind them. A colon is a gap.
    """
    rows, price = found["rows"], found["price"]
    below = next((i for i, row in enumerate(rows) if row["price"] <= price), len(rows))
    labels = aligned([priced(row["price"], price) for row in rows] + [priced(price, price)])
    kinds = [kind_words(row) for row in rows]
    kind = max(map(len, kinds), default=0)
    told = [flow for flow in FLOWS if flow not in found["missing"]]
    before = len(labels[0]) + kind + 15
    chart = Chart(rows, told, width - before - 1)
    lines = [Text(f"{'':{before}} {chart.header()}".rstrip(), "dim")] if told and rows else []
    gaps = empty_lines([row["price"] for row in rows[:below]] + [price] + [row["price"] for row in rows[below:]])
    for place in range(len(rows) + 1):
        i = place if place < below else place - 1
        if place == below:
            mark = f"{labels[-1]} > "
            lines.append(Text(mark + "=" * (min(before + 1 + chart.width, width) - len(mark)), "bold"))
        else:
            row = rows[i]
            sign, style = GLYPHS.get(row["state"], "?"), STYLES.get(row["state"], "")
            state = (f"{sign} {words.printable(row['state']):<9}", style)
            name = f"{labels[i]} ", state, f" {kinds[i]:<{kind}} "
            lines.append(Text.assemble(*name, *chart.bars(row)))
        lines += [Text(f"{'':{len(labels[0])}} :", "dim")] * gaps[place]
    for one in lines:
        one.rstrip()
    return lines


class Chart:
    """Bars of characters, as wide as there is room: longs | shorts of one scale, then open interest of its own."""

    def __init__(self, rows: Sequence[Row], told: Sequence[str], room: int) -> None:
        self.told = told
        self.sides = "longs" in told or "shorts" in told
        third = min(LONGEST_BAR, max(4, (room - 3) // max(1, 2 * self.sides + ("opened" in told))))
        self.side = third if self.sides else 0
        self.open = third if "opened" in told else 0
        self.most_closed = most(rows, ("longs", "shorts"))
        self.most_opened = most(rows, ("opened",))

    @property
    def width(self) -> int:
        return (2 * self.side + 1 if self.sides else 0) + (2 if self.sides and self.open else 0) + self.open

    def header(self) -> str:
        closed = (
            "liquidated" if self.side >= len("shorts liquidated") else "liq." if self.side >= len("shorts liq.") else ""
        )
        sides = (
            f"{f'longs {closed}'.strip():>{self.side}}|{f'shorts {closed}'.strip():<{self.side}}" if self.sides else ""
        )
        return f"{sides}{'  ' if sides and self.open else ''}{'OI opened' if self.open else ''}"

    def bars(self, row: Row) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        if self.sides:
            longs, shorts = (bar(row[name], self.most_closed, self.side) for name in ("longs", "shorts"))
            found = [(f"{longs:>{self.side}}", "red"), ("|", "dim"), (f"{shorts:<{self.side}}", "green")]
        if self.open:
            found += [("  " if found else "", ""), (bar(row["opened"], self.most_opened, self.open, "+"), "cyan")]
        return found


def most(rows: Sequence[Row], names: Sequence[str]) -> float:
    return max((row[name] for row in rows for name in names if row[name] is not None), default=0.0)


def bar(value: float | None, largest: float, width: int, sign: str = "#") -> str:
    """Return a bar of characters, one at least for what is not zero; a question mark for what is unknown.

    >>> bar(5.0, 10.0, 8), bar(1e-9, 10.0, 8), bar(0.0, 10.0, 8), bar(None, 10.0, 8)
    ('####', '#', '', '?')
    """
    if value is None:
        return "?"
    return sign * max(1, round(width * value / largest)) if value > 0 else ""


def empty_lines(prices: Sequence[float]) -> list[int]:
    """Return how many empty lines follow each price: none for a gap of the usual size, up to two for a wide one."""
    gaps = [a - b for a, b in pairwise(prices)]
    usual = median(gaps) if gaps else 0.0
    return [min(2, max(0, round(gap / usual) - 1)) if usual > 0 else 0 for gap in gaps] + [0]


# --- the table ----------------------------------------------------------------------------------------------------


def columns(found: Row) -> list[Column]:
    rows, price = found["rows"], found["price"]
    sides = ["green" if row["intact"] else "red" for row in rows]
    flows = {name: amounts(found, name) for name in FLOWS}
    return [
        Column("level", [priced(row["price"], price) for row in rows], ["bold"] * len(rows)),
        Column("kind", [kind_words(row) for row in rows], left=True, spare=True),
        Column("state", [row["state"] for row in rows], sides, left=True),
        Column("age", [age(row["age_days"]) for row in rows]),
        Column("touch", [words.count(row["touches"]) for row in rows]),
        Column("held", [words.count(row["bounces"]) for row in rows], spare=True),
        Column("away", [words.percent(row["distance"], sign=True) for row in rows]),
        Column("OI opened", flows["opened"]),
        Column("longs", flows["longs"]),
        Column("shorts", flows["shorts"]),
        Column("ATRs", [tens(row["atrs"]) for row in rows], spare=True),
        Column("also", [", ".join(row["found_by"][1:]) for row in rows], ["dim"] * len(rows), left=True, spare=True),
    ]


def amounts(found: Row, name: str) -> list[str]:
    if name in found["missing"]:
        return ["no feed"] * len(found["rows"])
    return [short(row[name]) for row in found["rows"]]


def kind_words(row: Row) -> str:
    return words.printable(f"{'major ' if row['major'] and row['kind'] == 'round' else ''}{row['kind']}")


def priced(value: float, around: float) -> str:
    """Return a price with the digits that one of the size of `around` is written with, five that count.

    >>> priced(75_884.175, 67_490.0), priced(1.4, 1.3727), priced(80.256, 80.26)
    ('75,884', '1.4000', '80.256')
    """
    digits = max(0, 4 - math.floor(math.log10(around))) if around > 0 else 0
    return f"{value:,.{digits}f}"


def aligned(texts: Sequence[str]) -> list[str]:
    width = max(map(len, texts))
    return [f"{text:>{width}}" for text in texts]


def short(value: float | None) -> str:
    """Return an amount of money in three digits or so; None as a dash.

    >>> short(1.234e9), short(45.6e6), short(320_400.0), short(12.0), short(0.0), short(None)
    ('1.23B', '45.6M', '320k', '12', '0', '–')
    """
    if value is None:
        return words.NOTHING
    for unit, letter in UNITS:
        if value >= 0.9995 * unit:
            scaled = value / unit
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{letter}"
    return f"{value:.0f}"


def age(days: float) -> str:
    """Return an age in days, of less than two in hours.

    >>> age(399.6), age(1.5)
    ('400d', '36h')
    """
    return f"{days:,.0f}d" if days >= 2 else f"{24 * days:.0f}h"


def tens(value: float | None) -> str:
    return words.NOTHING if value is None else f"{value:+.1f}"


# --- the matrix ---------------------------------------------------------------------------------------------------


def print_breaks(found: Row, console: Console) -> None:
    """Print what each rule made of the breaks of the levels, and of the last ones each rule's time and price."""
    heading(found, console)
    if not found["breaks"]:
        line("None of these levels has broken.", console)
        return
    title("Every break of these levels, by rule", console)
    rules = rule_columns(found)
    console.print(fitted(rules, console))
    console.print()
    if not fits(rules, console):
        meant = "; ".join(f"{rule['name']}: {rule['meaning']}" for rule in found["rules"])
        line(Text(words.printable(f"{meant}."), "dim"), console)
    line(Text(rule_note(found), "dim"), console)
    shown, every = found["breaks"][-SHOWN_BREAKS:], len(found["breaks"])
    last = f"The last {len(shown)} of {every:,} breaks" if len(shown) < every else "The breaks"
    title(f"{last}: when each rule confirmed it (UTC), and the price given up by then", console)
    names = Column("rule", [words.printable(rule["name"]) for rule in found["rules"]], ["bold"] * len(found["rules"]))
    for i, table in enumerate(packed(replace(names, left=True), [[column_of(found, one) for one in shown]], console)):
        console.print(*([""] if i else []), table, sep="\n")


def rule_note(found: Row) -> str:
    floor, within = f"{100 * found['buffer']:g}%", found["within"]
    return (
        f"Medians. Waiting: from the first low through the floor, {floor} below the level. Given up: from the level to the "
        f"next open, below it; for who buys a reclaim, above it. False: of the breaks more than {within} bars ago, those "
        f"that closed back above the level within {within}. The levels are those known now: compare the rules with each other."
    )


def rule_columns(found: Row) -> list[Column]:
    rules = found["rules"]
    return [
        Column("rule", [words.printable(rule["name"]) for rule in rules], ["bold"] * len(rules), left=True),
        Column("breaks", [words.count(rule["events"]) for rule in rules]),
        Column("waiting", [bars_words(rule["wait"], found["interval"]) for rule in rules]),
        Column("given up", [percent(rule["given_up"]) for rule in rules]),
        Column(
            "ATRs", [words.NOTHING if rule["given_up_atr"] is None else f"{rule['given_up_atr']:.2f}" for rule in rules]
        ),
        Column("false", [false_words(rule) for rule in rules]),
        Column(
            "what confirms it", [words.printable(rule["meaning"]) for rule in rules], left=True, spare=True, whole=True
        ),
    ]


def false_words(rule: Row) -> str:
    return words.NOTHING if rule["false"] is None else f"{100 * rule['false']:.0f}% of {rule['judged']:,}"


def bars_words(bars: float | None, interval: int) -> str:
    """Return a number of bars as a time: 0h, 2.5h, 3d."""
    if bars is None:
        return words.NOTHING
    text = words.interval_words(interval)
    return f"{bars * int(text[:-1]):g}{text[-1]}"


def percent(value: float | None) -> str:
    return words.NOTHING if value is None else f"{100 * value:.2f}%".replace("-0.00%", "0.00%")


def column_of(found: Row, one: Row) -> Column:
    """Return one break as a column: level and first low through it, then by rule the confirmation and what it gave up."""
    date, _, clock = one["first"].removesuffix("Z").partition("T")
    header = "\n".join((priced(one["level"], found["price"]), date, *([] if found["interval"] >= DAY else [clock])))
    cells = [confirmed(one["first"], one["rules"][rule["name"]], found["interval"]) for rule in found["rules"]]
    return Column(header, cells)


def confirmed(first: str, rule: Row | None, interval: int) -> str:
    """Return when a rule confirmed a break, without the date where it is that of the first low, and what was given up."""
    if rule is None:
        return words.NOTHING
    date, _, clock = rule["time"].removesuffix("Z").partition("T")
    when = date[5:] if interval >= DAY else clock if date == first[:10] else f"{date[5:]} {clock}"
    return f"{when} {percent(rule['given_up']):>6}"
