"""Equity and drawdown of a run, drawn in the terminal with characters, in a pipe too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.text import Text

from backtest.catalogue.runs import SavedRun
from backtest.model.arrays import DAY, BoolArray, Float, Int64, utc_text
from backtest.report import words
from backtest.report.html.view import RunView, view_of
from backtest.report.terminal import line, title

__all__ = ["plot_run", "print_plot"]

EQUITY_ROWS = 12
DRAWDOWN_ROWS = 6
WIDEST = 160
NARROWEST = 12
BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a character: four rows of two
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def plot_run(saved: SavedRun | RunView, console: Console) -> None:
    """Draw the equity and the drawdown of a run, as wide as the console."""
    view = saved if isinstance(saved, RunView) else view_of(saved)
    print_plot(view.time, view.equity, view.drawdown, view.summary.cash, console)


def print_plot(time: Int64, equity: Float, drawdown: Float, cash: float, console: Console) -> None:
    """Draw equity (quote units) and drawdown (fractions from -1 to 0), (n,) each, over the bars' open times (ns UTC)."""
    if len(equity) == 0:
        console.print()
        line("There is no bar to draw.", console)
        return
    above = Panel(np.asarray(equity), EQUITY_ROWS, *span_of(equity, cash))
    below = Panel(np.asarray(drawdown), DRAWDOWN_ROWS, float(min(np.min(drawdown), -1e-4)), 0.0)
    money = dict(zip(above.ticks, words.money(above.ticks), strict=True))
    shares = {tick: words.percent(tick) for tick in below.ticks}
    gutter = max(len(text) for text in (*money.values(), *shares.values()))
    columns = max(NARROWEST, min(console.width, WIDEST) - gutter - 2)
    plain = console.options.ascii_only
    title("Equity, quote units; dotted: the cash it began with", console)
    draw(above.dots(columns, cash), above, money, gutter, plain, console)
    title("Drawdown from the highest equity so far", console)
    draw(below.filled(columns), below, shares, gutter, plain, console)
    axis(time, columns, gutter, plain, console)


def span_of(values: Float, cash: float) -> tuple[float, float]:
    """Return the lowest and the highest of values and cash, a little apart where they are the same."""
    low, high = float(min(np.min(values), cash)), float(max(np.max(values), cash))
    apart = max(abs(high) * 0.005, 0.005)
    return (low, high) if high - low > 1e-9 * max(abs(high), 1.0) else (low - apart, high + apart)


@dataclass(frozen=True, eq=False)
class Panel:
    """Values over so many rows of characters, from low to high; each row has four dots."""

    values: Float
    rows: int
    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """Round values between low and high, one every two rows or fewer, the highest first.

        >>> Panel(np.array([5800.0, 10_900.0]), 12, 5800.0, 10_900.0).ticks
        [10000.0, 9000.0, 8000.0, 7000.0, 6000.0]
        """
        least = (self.high - self.low) / max(2, self.rows / 2)
        power = 10.0 ** math.floor(math.log10(least))
        step = next(s * power for s in STEPS if s * power >= least * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(k * step) for k in range(last, first - 1, -1)]

    def height(self, values: Float) -> Int64:
        """Return the row of dots of each value, 0 at the top."""
        share = (self.high - np.asarray(values)) / (self.high - self.low)
        return np.clip(np.rint(share * (4 * self.rows - 1)), 0, 4 * self.rows - 1).astype(np.int64)

    def row_of(self, value: float) -> int:
        return int(self.height(np.array([value]))[0]) // 4

    def groups(self, columns: int) -> tuple[Float, Float, Float]:
        """Return lowest, highest and last value of the bars in each column of dots, two a character."""
        n, width = len(self.values), 2 * columns
        starts = np.arange(width) * n // width
        ends = np.maximum(np.append(starts[1:], n), starts + 1)
        cut = [self.values[a:b] for a, b in zip(starts, ends, strict=True)]
        return np.array([c.min() for c in cut]), np.array([c.max() for c in cut]), np.array([c[-1] for c in cut])

    def dots(self, columns: int, dotted: float) -> BoolArray:
        """Return a line through the values, no extreme lost, and a dotted one at a value."""
        low, high, last = self.groups(columns)
        top, bottom, left = self.height(high), self.height(low), self.height(last)
        before = np.append(left[0], left[:-1])
        row = np.arange(4 * self.rows)[:, None]
        found = (row >= np.minimum(top, before)) & (row <= np.maximum(bottom, before))
        found[self.height(np.array([dotted]))[0], ::4] = True
        return np.asarray(found, np.bool_)

    def filled(self, columns: int) -> BoolArray:
        """Return the area between the top and the lowest value of each column; where that is the top, nothing."""
        low, _, _ = self.groups(columns)
        row = np.arange(4 * self.rows)[:, None]
        return np.asarray((row <= self.height(low)) & (low < 0), np.bool_)


# --- characters -------------------------------------------------------------------------------------------------


def characters(dots: BoolArray, plain: bool) -> list[str]:
    """Return rows of characters for rows of dots, four to one and two beside each other; plain: ASCII only.

    >>> characters(np.array([[True, False], [True, False], [True, False], [True, True]]), plain=False)
    ['⣇']
    >>> characters(np.array([[True, False, False, False]] * 4), plain=True)
    ['* ']
    """
    rows, width = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(rows, 4, width, 2).transpose(0, 2, 1, 3)
    if plain:
        return ["".join("*" if cell.any() else " " for cell in row) for row in cells]
    codes = (cells * np.array(DOTS)).sum(axis=(2, 3))
    return ["".join(chr(BRAILLE + int(code)) if code else " " for code in row) for row in codes]


def draw(dots: BoolArray, panel: Panel, labels: dict[float, str], gutter: int, plain: bool, console: Console) -> None:
    at = {panel.row_of(value): text for value, text in labels.items()}
    tick, bar = ("+", "|") if plain else ("┤", "│")
    for row, text in enumerate(characters(dots, plain)):
        label = at.get(row, "").rjust(gutter)
        told = Text.assemble((f"{label} {tick if row in at else bar}", "dim"), text.rstrip())
        console.print(told, no_wrap=True, crop=False)


def axis(time: Int64, columns: int, gutter: int, plain: bool, console: Console) -> None:
    """Print the axis of time, with a date at both ends and as many between as there is room for."""
    span = int(time[-1] - time[0])
    size = len(dates([int(time[0])], span)[0])
    marks = (columns - 1) // (3 * size // 2 + 2) + 1
    marks = max(marks, 2 if columns > 2 * size else 1)
    places = [round(k * (columns - 1) / max(1, marks - 1)) for k in range(marks)]
    texts = dates([int(time[min(len(time) - 1, p * len(time) // (columns - 1))]) for p in places], span)
    rule, names = ["-" if plain else "─"] * columns, [" "] * max(columns, size)
    for place, text in zip(places, texts, strict=True):
        rule[place] = "+" if plain else "┬"
        first = max(0, min(columns - size, place - size // 2))
        names[first : first + size] = text
    margin = " " * gutter
    console.print(Text(f"{margin} {'+' if plain else '└'}{''.join(rule)}", style="dim"), no_wrap=True, crop=False)
    console.print(Text(f"{margin}  {''.join(names)} ".rstrip(), style="dim"), no_wrap=True, crop=False)


def dates(stamps: Sequence[int], span: int) -> list[str]:
    """Return times as dates, with the minute where the span is short.

    >>> dates([1_770_138_000_000_000_000], 30 * DAY), dates([1_770_138_000_000_000_000], DAY)
    (['2026-02-03'], ['2026-02-03 17:00'])
    """
    texts = [utc_text(stamp)[:16].replace("T", " ").removesuffix("Z") for stamp in stamps]
    return [text[:10] for text in texts] if span > 4 * DAY else texts
