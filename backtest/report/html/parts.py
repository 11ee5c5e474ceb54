"""Pieces that several sections share: headings, figures in tiles, bars of amounts, times and prices as text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backtest.model.arrays import DAY, HOUR, SECOND, utc_text
from backtest.model.result import NO_TIME
from backtest.report import words
from backtest.report.html.tags import Content, Markup, el, joined

__all__ = ["NOTHING", "amount_bars", "clock", "duration", "items", "named", "part_of", "price", "section", "signed"]

NOTHING = words.NOTHING


def section(identity: str, title: str, *content: Content, note: str | None = None) -> Markup:
    """Return a section of the page with its heading, and a note below it in small type."""
    told = el("p", note, class_="note") if note else None
    return el(
        "section",
        el("h2", title, id=f"{identity}-title"),
        told,
        *content,
        id=identity,
        aria_labelledby=f"{identity}-title",
    )


def items(lines: Iterable[Content], class_: str | None = None) -> Markup:
    return el("ul", *(el("li", line) for line in lines), class_=class_)


def part_of(thing: Any, name: str, default: Any = None) -> Any:
    """Return a part of plain data or of an object; the default where it has none."""
    if isinstance(thing, Mapping):
        return thing.get(name, default)
    return getattr(thing, name, default)


def named(strategy: str) -> str:
    """Return a strategy's name without its folder: "ideas/mine.py:Break" is "mine:Break"."""
    from backtest.report.terminal import strategy_name

    return strategy_name(strategy)


def clock(time: int | None) -> str:
    """Return a time in ns UTC as a date and minutes; a dash where there is none.

    >>> clock(1_770_138_000_000_000_000), clock(None)
    ('2026-02-03 17:00', '–')
    """
    return NOTHING if time is None or time == NO_TIME else utc_text(time).replace("T", " ").rstrip("Z")


def duration(span: int) -> str:
    """Return a span in ns in its two largest units.

    >>> duration(90 * HOUR), duration(2 * HOUR), duration(90 * SECOND)
    ('3d 18h', '2h', '1m 30s')
    """
    units = ((DAY, "d"), (HOUR, "h"), (60 * SECOND, "m"), (SECOND, "s"))
    told, rest = [], max(0, int(span))
    for unit, letter in units:
        if rest >= unit:
            told.append(f"{rest // unit}{letter}")
            rest %= unit
    return " ".join(told[:2]) or "0s"


def price(value: float) -> str:
    """Return a price with six digits or its whole units, without trailing zeros; a dash where there is none.

    >>> price(67_490.04), price(1.37274), price(0.5), price(float("nan"))
    ('67,490', '1.37274', '0.5', '–')
    """
    if not math.isfinite(value):
        return NOTHING
    digits = max(0, min(12, 5 - math.floor(math.log10(abs(value))))) if value else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: float, text: str) -> Markup:
    """Return the text of a number, marked as a gain or a loss."""
    return el("span", text, class_="gain" if value > 0 else "loss" if value < 0 else None)


def amount_bars(amounts: Mapping[str, float], caption: str, total: str | None = None) -> Markup:
    """Return a table of amounts with a bar each, to the left of a common zero where they are negative."""
    known = {name: value for name, value in amounts.items() if math.isfinite(value)}
    low, high = min(0.0, *known.values(), 0.0), max(0.0, *known.values(), 0.0)
    (cells,) = words.same_digits([list(known.values())])
    rows = [
        el(
            "tr",
            el("th", name, scope="row", class_="l"),
            el("td", bar(value, low, high), class_="bar"),
            el("td", signed(value, text), class_="n"),
            class_="total" if name == total else None,
        )
        for (name, value), text in zip(known.items(), cells, strict=True)
    ]
    return el("table", el("caption", caption), el("tbody", *rows), class_="bars")


def bar(value: float, low: float, high: float) -> Markup:
    """Return a picture of one amount between the lowest and the highest; it widens with its cell."""
    span = high - low
    if span <= 0:
        return Markup("")
    zero, end = (200 * (x - low) / span for x in (0.0, value))
    left, width = min(zero, end), max(abs(end - zero), 0.6 if value else 0.0)
    shape = el("rect", x=f"{left:.2f}", y=2, width=f"{width:.2f}", height=8, class_="gain" if value > 0 else "loss")
    axis = el("rect", x=f"{min(zero, 199.5):.2f}", y=0, width="0.5", height=12, class_="axis")
    return picture(200, 12, shape, axis)


def picture(width: int, height: int, *shapes: Content, class_: str | None = None) -> Markup:
    """Return a drawing that stretches to its frame and says nothing that the text beside it does not."""
    box = f"0 0 {width} {height}"
    return el("svg", joined(shapes), viewBox=box, preserveAspectRatio="none", aria_hidden="true", class_=class_)


def sums(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the names of the columns that are not 0 in every row, in their order."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if any(row.get(name) for row in rows)]
