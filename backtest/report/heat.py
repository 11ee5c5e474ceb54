"""A heat map in the terminal: numbers on colours, the plateau in brackets, and what the map is made of in sentences."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from backtest.model.arrays import Float
from backtest.report import words
from backtest.report.levels import short
from backtest.report.terminal import bullet, line, title

__all__ = ["DIVERGING", "figure_name", "fitted", "kind_of", "print_heat", "sentences", "told"]

PERCENT = frozenset(("total_return", "cagr", "max_drawdown", "win_rate", "exposure", "volatility"))
COUNTS = frozenset(("trades", "liquidations", "open_trades"))
MONEY = frozenset(("funding_paid", "fees", "final_equity", "unrealised"))
DIVERGING = frozenset(("total_return", "cagr", "sharpe", "sortino", "calmar", "unrealised", "funding_paid"))
NAMES = {"total_return": "return", "cagr": "CAGR", "sharpe": "Sharpe", "sortino": "Sortino", "calmar": "Calmar"}
NAMES |= {"max_drawdown": "max drawdown", "fees": "fees paid"}
HOLE, FAILED = "\N{MIDDLE DOT}", "x"
LONGEST = 16  # of the names of rows
SHORTEST = 4  # that a name is clipped to
ENDLESS = 10_000  # a width at which nothing is clipped
GAIN, LOSS, PAPER = (43, 113, 153), (180, 83, 26), (236, 238, 236)
INK, WHITE = "#14171a", "#ffffff"


def root_of(metric: str) -> str:
    return metric.removesuffix("_worst").removesuffix("_best")


def figure_name(metric: str) -> str:
    """Return a figure as it is called in running text.

    >>> figure_name("total_return_worst"), figure_name("sharpe")
    ('return, worst order', 'Sharpe')
    """
    root = root_of(metric)
    order = metric.removeprefix(root).removeprefix("_")
    return NAMES.get(root, root.replace("_", " ")) + (f", {order} order" if order else "")


def kind_of(metric: str) -> str:
    """Return how a figure is written: percent, count, money or ratio."""
    root = root_of(metric)
    groups = (("percent", PERCENT), ("count", COUNTS), ("money", MONEY))
    return next((kind for kind, names in groups if root in names), "ratio")


def told(metric: str, value: float) -> str:
    """Return a value of a figure.

    >>> told("total_return", -0.1234), told("sharpe", 1.5), told("trades", 12.5), told("fees", 1234.5)
    ('-12.3%', '1.50', '12.5', '1.23k')
    """
    if not math.isfinite(value):
        return words.NOTHING
    kind = kind_of(metric)
    if kind == "percent":
        return words.percent(value)
    if kind == "count":
        return f"{value:,.1f}".removesuffix(".0")
    return amount(value) if kind == "money" else words.ratio(value)


def amount(value: float) -> str:
    return short(value) if value >= 0 else f"-{short(-value)}"


# --- sentences ---------------------------------------------------------------------------------------------------


def sentences(found: Any) -> list[str]:
    """Return what the cells of a map are, where its plateau is, and how far its peak can be believed."""
    return [
        said for said in (of_cells(found), of_bins(found), of_plateau(found), of_peak(found), of_trades(found)) if said
    ]


def of_cells(found: Any) -> str:
    points, failed, scored = (int(getattr(found, name).sum()) for name in ("points", "failed", "scored"))
    most = int(found.points.max(initial=0))
    kind = {"median": "the median of its points", "best": "the best of its points"}[found.over]
    across = f" over {joined_names(found.others)}" if found.others else ""
    told_by = f"Each cell is {kind}{across}, up to {most:,}" if most > 1 else "Each cell is one point"
    held = f", at {', '.join(f'{axis_name(n)}={value}' for n, value in found.held)}" if found.held else ""
    left = [f"{points:,} points"]
    left += [f"{failed:,} failed"] if failed else []
    left += [f"{points - failed - scored:,} without this figure"] if points > failed + scored else []
    left += [f"{found.outside:,} more of strategies without such a parameter"] if found.outside else []
    return f"{told_by}{held}. {', '.join(left)}."


def joined_names(names: Sequence[str]) -> str:
    """Return the names of axes in a row.

    >>> joined_names(["lookback", "set_exposure", "stop"])
    'lookback, exposure and stop'
    """
    shown = list(map(axis_name, names))
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def axis_name(column: str) -> str:
    """Return the name that an axis is set by; its column may have "set_" before it."""
    return column.removeprefix("set_")


def of_bins(found: Any) -> str:
    some = [one for one in (found.x, found.y) if one.binned]
    told_of = [f"{axis_name(one.name)}: {one.values:,} values in {len(one)} bins." for one in some]
    thin = ["The points that were drawn are too few for a cell a value."] * any(one.thin for one in some)
    return " ".join([*told_of, *thin])


def of_plateau(found: Any) -> str:
    if found.plateau is None:
        return "No cell has a value."
    cell = found.plateau
    name = figure_name(found.metric)
    low, high = sorted((found.lowest[cell], found.highest[cell]))
    near = (
        f"it and its neighbours {told(found.metric, low)} to {told(found.metric, high)}, "
        if found.around[cell] > 1
        else ""
    )
    few = "" if not found.thin else " That is too few to tell anything; no cell among neighbours has 30."
    lone = " It has few neighbours with a value." if found.sparse else ""
    return (
        f"Plateau, in brackets: {place(found, cell)}: {name} {told(found.metric, found.value[cell])}, {near}"
        f"{trades(found, cell)}.{few}{lone}{edge(found, cell)}"
    )


def of_peak(found: Any) -> str:
    if found.peak is None or found.peak == found.plateau:
        return "It is the peak, too." if found.peak is not None else ""
    cell, where = found.peak, place(found, found.peak)
    value = told(found.metric, found.value[cell])
    if max(abs(cell[0] - found.plateau[0]), abs(cell[1] - found.plateau[1])) <= 1:
        return f"Peak, marked ^: {where}: {value}, beside the plateau's middle."
    if math.isnan(found.above):
        return f"Peak, marked ^: {where}: {value}, with no neighbour that has a value: likely luck."
    better = told(found.metric, abs(found.above))
    return f"Peak, marked ^: {where}: {value}, {better} better than the median of its neighbours: likely luck."


def place(found: Any, cell: tuple[int, int]) -> str:
    row, column = cell
    down = f", {axis_name(found.y.name)} {found.y.labels[row]}" if found.y.name else ""
    return f"{axis_name(found.x.name)} {found.x.labels[column]}{down}"


def trades(found: Any, cell: tuple[int, int]) -> str:
    median, least = found.trades[cell], found.fewest[cell]
    told_of = f"{told('trades', median)} trade{'' if median == 1 else 's'}"
    return told_of if median == least else f"{told_of} in the median, {told('trades', least)} at least"


def edge(found: Any, cell: tuple[int, int]) -> str:
    """Say where the plateau lies at the end of a numeric side: what is beyond was not looked at."""
    sides = [(found.x, cell[1])] + ([(found.y, cell[0])] if found.y.name else [])
    ends = [one.name for one, at in sides if len(one) > 2 and at in (0, len(one) - 1) and numeric(one.ends)]
    return f" It lies at the end of {joined_names(ends)}: what is beyond was not swept." if ends else ""


def numeric(ends: Sequence[tuple[str, str]]) -> bool:
    try:
        return all(math.isfinite(float(low)) for low, _ in ends)
    except ValueError:
        return False


def of_trades(found: Any) -> str:
    there = np.isfinite(found.value)
    if not there.any():
        return ""
    low, high = found.trades[there].min(), found.trades[there].max()
    spread = float(np.median(found.spread[there]))
    few = int((found.trades[there] < 30).sum())
    barred = "" if found.thin else ", too few for a plateau"
    less = f" ({few:,} of {int(there.sum()):,} cells have less than 30{barred})" if few else ""
    span = told("trades", low) if low == high else f"{told('trades', low)} to {told('trades', high)}"
    return (
        f"Trades a cell: {span}{less}. A cell and its neighbours are {told(found.metric, spread)} apart, in the median."
    )


# --- the map -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """What a map can show in its cells: (rows, columns) values, how they are written, whether they are the figure itself."""

    title: str
    values: Float
    write: Callable[[float], str]
    marked: bool = False

    def texts(self, found: Any) -> list[list[str]]:
        """Return what stands in each cell, the figure's with its mark."""
        rows, columns = map(range, self.values.shape)
        plain = [[cell_text(found, self.values, r, c, self.write) for c in columns] for r in rows]
        longest = max(len(text) for row in plain for text in row)
        mark = marks if self.marked else lambda _, __, text: f" {text} "
        return [[mark(found, (r, c), f"{plain[r][c]:>{longest}}") for c in columns] for r in rows]


def layers(found: Any, whole: bool) -> list[Layer]:
    """Return what is printed of a map: the figure; whole: also its trades and the spread among the neighbours."""
    name, metric = figure_name(found.metric), found.metric
    down = f", {axis_name(found.y.name)} down" if found.y.name else ""
    across = f"Heat map: {name}, {axis_name(found.x.name)} across{down}"
    write, spread = partial(told, metric), f"Spread of {name} among a cell and its neighbours, highest less lowest"
    trades = Layer("Its trades, in the median of a cell", found.trades, partial(told, "trades"))
    every = [Layer(across, found.value, write, True), trades, Layer(spread, found.spread, write)]
    return every if whole else every[:1]


def fitted(found: Any, width: int, whole: bool = False) -> Any:
    """Return a map, made again with fewer columns where its finished numbers and names are wider than the terminal."""
    while True:
        before, cell = max(widths(found, layer, ENDLESS) for layer in layers(found, whole))  # the names are the same
        columns = len(found.x)
        if before + 1 + columns * cell <= width or columns <= 2 or found.again is None:
            return found
        found = found.again(max(2, min(columns - 1, (width - before - 1) // cell)))


def widths(found: Any, layer: Layer, width: int) -> tuple[int, int]:
    """Return how wide the names of the rows and the cells are; in a narrow terminal names give way to numbers."""
    number = max(len(text) for row in layer.texts(found) for text in row)
    header = max(len(one) for line in header_lines(found.x) for one in line) + 1
    before = max(len(clipped(one)) for one in found.y.labels)
    most = (width - 1 - before) // len(found.x)
    cell = max(number, min(header, most))
    return min(before, max(SHORTEST, width - 1 - len(found.x) * cell)), cell


def print_heat(found: Any, console: Console, whole: bool = False) -> None:
    """Print a map and what it says, in as many columns as fit; whole: also its trades and the spread, each as a map."""
    found = fitted(found, console.width, whole)
    for layer in layers(found, whole):
        title(layer.title, console)
        print_map(found, layer, console)
        for sentence in sentences(found) if layer.marked else ():
            bullet(sentence, console)


def print_map(found: Any, layer: Layer, console: Console) -> None:
    before, cell = widths(found, layer, console.width)
    for header in header_lines(found.x):
        shown = "".join(f"{clipped(one, cell - 1):>{cell - 1}} " for one in header)
        console.print(Text(" " * (before + 1) + shown, "dim"), no_wrap=True, crop=False)
    paints = painted(found, layer, console)
    for name, texts, styles in zip(found.y.labels, layer.texts(found), paints, strict=True):
        row = Text.assemble((f"{clipped(name, min(before, LONGEST)):>{before}} ", "dim"))
        for text, style in zip(texts, styles, strict=True):
            row.append(f"{text:>{cell}}", style)
        console.print(row, no_wrap=True, crop=False)
    if layer.marked:
        line(Text(legend(found, layer.values), "dim"), console)


def cell_text(found: Any, values: Float, r: int, c: int, write: Callable[[float], str]) -> str:
    if math.isfinite(values[r, c]):
        return write(float(values[r, c]))
    return FAILED if found.points[r, c] and found.failed[r, c] == found.points[r, c] else HOLE


def marks(found: Any, cell: tuple[int, int], text: str) -> str:
    if cell == found.plateau:
        return f"[{text}]"
    return f" {text}^" if cell == found.peak else f" {text} "


def legend(found: Any, values: Float) -> str:
    told_of = ["[ ] plateau: a good cell among good neighbours", "^ peak"]
    holes = ~np.isfinite(values)
    told_of += (
        [f"{FAILED} every point failed"] if (holes & (found.failed > 0) & (found.failed == found.points)).any() else []
    )
    told_of += [f"{HOLE} no value"] if (holes & ((found.points == 0) | (found.failed < found.points))).any() else []
    return " · ".join(told_of) if found.plateau is not None else " · ".join(told_of[2:])


def header_lines(scale: Any) -> list[list[str]]:
    """Return the names of the columns in one line, of bins in two: where each begins, and where it ends."""
    ends = [(clipped(low), clipped(high)) for low, high in scale.ends]
    lows, highs = [low for low, _ in ends], ["" if low == high else f"..{high}" for low, high in ends]
    return [lows, highs] if any(highs) else [lows]


def clipped(text: str, longest: int = LONGEST) -> str:
    text = words.printable(text)
    return text if len(text) <= longest else f"{text[: max(0, longest - 1)]}…"


# --- colours -----------------------------------------------------------------------------------------------------


def painted(found: Any, layer: Layer, console: Console) -> list[list[str]]:
    """Return the style of each cell: deeper the better, of figures around 0 in two colours; spreads and trades the larger.

    A terminal of 16 colours has none in which the numbers can be read.
    """
    lower = layer.marked and found.lower
    around_zero = layer.marked and root_of(found.metric) in DIVERGING and not lower
    depth = depths(layer.values, around_zero)
    if console.color_system not in ("256", "truecolor"):
        return [["" if math.isfinite(d) else "dim" for d in row] for row in depth.tolist()]
    return [[paint(1 - d if lower and math.isfinite(d) else d) for d in row] for row in depth.tolist()]


def depths(values: Float, around_zero: bool) -> Float:
    """Return how deep each cell's colour is: from 0 to 1, around zero from -1 to 1; NaN of a hole.

    The scale ends at the 2nd and 98th percentile, so that one cell does not wash out all others.
    """
    there = np.isfinite(values)
    found = np.full(values.shape, np.nan)
    if not there.any():
        return found
    low, high = np.quantile(values[there], (0.02, 0.98))
    if around_zero:
        most = max(abs(low), abs(high))
        found[there] = np.clip(values[there] / most, -1.0, 1.0) if most > 0 else 0.0
    else:
        found[there] = np.clip((values[there] - low) / (high - low), 0.0, 1.0) if high > low else 0.5
    return found


def paint(depth: float) -> str:
    if not math.isfinite(depth):
        return "dim"
    towards = GAIN if depth >= 0 else LOSS
    mixed = [round(p + abs(depth) * (t - p)) for p, t in zip(PAPER, towards, strict=True)]
    ink = INK if abs(depth) < 0.6 else WHITE
    return f"{ink} on #{mixed[0]:02x}{mixed[1]:02x}{mixed[2]:02x}"
