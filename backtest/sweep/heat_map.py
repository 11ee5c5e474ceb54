"""Maps of a figure over two axes of a sweep: what each cell is, how far its neighbours agree, and where a plateau lies."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backtest.analysis.summary import as_plain
from backtest.errors import ConfigError
from backtest.model.arrays import BoolArray, Float, Int64
from backtest.sweep.scale import Points, Scale, label, named, names_of
from backtest.sweep.space import Space
from backtest.sweep.store import LOWER, Sweep

__all__ = ["ENOUGH", "HeatMap", "check_sides", "heat", "lower_is_better"]

ENOUGH = 30
"""Trades below which a cell can't be the plateau, as a run with fewer can't be told from luck, [D]."""
FLOOR = 3
"""The worst of nine that is a block's floor, [D]: two bad neighbours are forgiven, as at the corner of a plateau."""
Cell = tuple[int, int]
Codes = NDArray[np.int32]
Over = Literal["median", "best"]


def lower_is_better(metric: str) -> bool:
    """Return whether less of a figure is better.

    >>> lower_is_better("fees_worst"), lower_is_better("max_drawdown")   # a drawdown is a fraction below 0
    (True, False)
    """
    return metric.removesuffix("_worst").removesuffix("_best") in LOWER


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A figure over two axes of a sweep; arrays are (rows, columns), rows along `y`, columns along `x`.

    value: the figure, NaN where no point of the cell has it: a hole, never a 0; points, failed, scored: how many points the
    cell has, how many of them failed, how many the value is made of; trades, fewest: median and least trades of those;
    around: how many cells of the cell's block have a value, the block being the cell and up to eight that touch it;
    middle, lowest, highest: of the block's values; spread: highest - lowest; floor: the third worst of the block's nine, where
    what has no value or lies beyond the edge counts like the worst that has one: of k values, sorted from the worst, number
    max(1, k - 6).

    plateau: the cell of which the worse of its own value and its floor is best, so that both it and its neighbours are good.
    Of equals it is the one of which the worse of its own value and its middle is best, then the one with more neighbours, then
    the better value, then the first. Only cells with `ENOUGH` trades in the median, and with values in more than half of
    their block (the part of it that lies on the map), may be it; where no cell has both the trades are not asked for
    (`thin`), then the neighbours are not (`sparse`), then neither. peak: the best cell, however lonely, of equals the plateau,
    then the first; above: by how much it is better than the median of its neighbours without itself, NaN where it has none.
    None on a map without a value.

    over: what stands for the points of a cell that differ in `others`, the axes that are no side, not held, and of which the
    points on the map have two values; held: axis -> its only value on the map; outside: points whose strategy lacks a side's
    parameter; again: makes the same map with at most so many columns.
    """

    metric: str
    x: Scale
    y: Scale
    value: Float
    points: Int64
    failed: Int64
    scored: Int64
    trades: Float
    fewest: Float
    around: Int64
    middle: Float
    lowest: Float
    highest: Float
    floor: Float
    plateau: Cell | None
    peak: Cell | None
    above: float
    thin: bool
    sparse: bool
    over: Over = "median"
    others: tuple[str, ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    outside: int = 0
    again: "Callable[[int], HeatMap] | None" = field(default=None, repr=False)

    @property
    def spread(self) -> Float:
        return self.highest - self.lowest

    @property
    def lower(self) -> bool:
        return lower_is_better(self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Return the map as plain data for JSON: NaN as None."""
        sides = {
            side: {"axis": one.name, "steps": list(one.labels), "values": one.values, "bins": one.binned}
            for side, one in (("x", self.x), ("y", self.y))
        }
        names = ("value", "points", "failed", "scored", "trades", "fewest", "middle", "spread", "floor")
        cells = {name: np.asarray(getattr(self, name)).tolist() for name in names}
        told = {"over": self.over, "others": list(self.others), "held": dict(self.held), "outside": self.outside}
        found: dict[str, Any] = as_plain(
            {"figure": self.metric, **sides, **told, **cells, **self.marks(), "peak_above_neighbours": self.above}
        )
        return found

    def marks(self) -> dict[str, Any]:
        """Return where plateau and peak are, as rows and columns and as steps."""
        return {name: None if cell is None else self.place(cell) for name, cell in self.marked.items()}

    @property
    def marked(self) -> dict[str, Cell | None]:
        return {"plateau": self.plateau, "peak": self.peak}

    def place(self, cell: Cell) -> dict[str, Any]:
        row, column = cell
        steps = {self.x.name: self.x.labels[column]} | ({self.y.name: self.y.labels[row]} if self.y.name else {})
        return {"row": row, "column": column, "at": steps}


def heat(
    sweep: Sweep | Points,
    x: str,
    y: str = "",
    metric: str = "sharpe",
    *,
    at: Mapping[str, Any] | None = None,
    over: Over = "median",
    cells: tuple[int, int] = (40, 40),
) -> HeatMap:
    """Return the map of a figure over two axes: parameters or settings of the account, "strategy", "market".

    sweep: opened, or its points; y: "" for a map of one row; metric: one of `FIGURES`; at: values at which other axes are
    held; over: what stands for the points of a cell that the rest of the axes tell apart, their median or the best of them;
    cells: most columns and rows. An axis with more values is cut into as many stretches of neighbouring values, a span that
    was sampled into bins of equal width. Unknown names, the same axis twice and one with a single value are ConfigErrors.
    """
    points = sweep if isinstance(sweep, Points) else Points(sweep)
    if over not in ("median", "best"):
        raise ConfigError(f"The points of a cell are told by their 'median' or the 'best' of them, not {over!r}.")
    across, down = side(points, x), side(points, y) if y else ""
    if across == down:
        raise ConfigError(f"A map needs two different axes, got {x!r} twice.")
    held, kept = held_at(points, at or {}, (across, down))
    columns = points.scale(across, cells[0])
    rows = points.scale(down, cells[1]) if down else Scale("", (("", ""),), np.zeros_like(columns.codes), 1)
    there = kept & (columns.codes >= 0) & (rows.codes >= 0)
    code = np.where(there, rows.codes * np.int32(len(columns)) + columns.codes, np.int32(-1))
    rest = (n for n in points.sides if n not in (across, down) and n not in dict(held))
    others = tuple(n for n in rest if varies(points.values(n)[1][there]))
    found = filled(points, metric, code, (len(rows), len(columns)), over)
    outside = int(np.count_nonzero(kept & ~there))

    def again(most: int) -> HeatMap:
        return heat(points, x, y, metric, at=at, over=over, cells=(most, cells[1]))

    return HeatMap(
        metric, columns, rows, **found, **judged(found, metric),
        over=over, others=others, held=held, outside=outside, again=again,
    )  # fmt: skip


def varies(codes: Codes) -> bool:
    """Return whether some points have two values or more; those without the parameter, -1, have none."""
    some = codes[codes >= 0]
    return bool(some.size and (some != some[0]).any())


def side(points: Points, text: str) -> str:
    """Return the column of an axis that can be a side."""
    name = points.named(text)
    values, _ = points.values(name)
    if len(values) < 2:
        raise one_value(text, values)
    return name


def check_sides(space: Space, sides: Sequence[str], at: Mapping[str, Any]) -> None:
    """Raise a ConfigError for sides that no map of such a sweep can have, before any point is run."""
    columns = [named(space, text) for text in sides]
    for text, wanted in at.items():
        name = named(space, text)
        if name in columns:
            raise a_side(text)
        axis = space.axes[space.columns.index(name)] if name in space.columns else None
        if axis is not None and axis.span is None and not any(same(value, wanted) for value in axis.values):
            raise never_at(text, wanted, axis.values)
    if len(set(columns)) < len(columns):
        raise ConfigError(f"A map needs two different axes, got {sides[0]!r} twice.")
    for text, name in zip(sides, columns, strict=True):
        axis = space.axes[space.columns.index(name)] if name in space.columns else None
        if axis is not None and axis.span is None and len(axis) < 2:
            raise one_value(text, axis.values)
    if len(columns) == 1 and len(names_of(space)) > 1:
        others = ", ".join(name for name in names_of(space) if name != columns[0])
        raise ConfigError(
            f"A map is over two axes, got {sides[0]!r} alone; add one of {others}: --heat {sides[0]},NAME."
        )


def one_value(text: str, values: Sequence[Any]) -> ConfigError:
    only = f" ({label(values[0])})" if values else ""
    return ConfigError(f"`{text}` has one value in this sweep{only}; a map needs an axis with two or more.")


def a_side(text: str) -> ConfigError:
    return ConfigError(f"`{text}` is a side of the map; hold another axis at a value, or none.")


def never_at(text: str, wanted: Any, values: Sequence[Any]) -> ConfigError:
    some = ", ".join(label(value) for value in values[:6]) + (", ..." if len(values) > 6 else "")
    return ConfigError(f"No point of this sweep has `{text}` at {wanted}; it has {some}.")


def held_at(
    points: Points, at: Mapping[str, Any], sides: tuple[str, str]
) -> tuple[tuple[tuple[str, str], ...], BoolArray]:
    """Return which axes are held at which values, and which points those are."""
    kept = np.ones(points.failed.size, np.bool_)
    held: dict[str, str] = {}
    for text, wanted in at.items():
        name = points.named(text)
        if name in sides:
            raise a_side(text)
        values, codes = points.values(name)
        place = next((i for i, value in enumerate(values) if same(value, wanted)), None)
        if place is None:
            raise never_at(text, wanted, values)
        held[name] = label(values[place])
        kept &= codes == place
    return tuple(held.items()), kept


def same(value: Any, wanted: Any) -> bool:
    """Return whether a value is the one that a text, or a value, means.

    >>> same(0.001, "1e-3"), same((75000.0, 70000.0), "75000;70000"), same(True, "true")
    (True, True, True)
    """
    if value == wanted or label(value) == str(wanted).strip().replace(";", ","):
        return True
    try:
        return not isinstance(value, (str, tuple, bool)) and float(value) == float(wanted)
    except (TypeError, ValueError):
        return False


# --- cells -------------------------------------------------------------------------------------------------------


def filled(points: Points, metric: str, code: Codes, shape: Cell, over: Over) -> dict[str, Any]:
    """Return what the cells hold; code: (n,) the cell of each point, -1 for none."""
    size = shape[0] * shape[1]
    figure, trades = points.figure(metric), points.figure("trades")
    scored = np.where(np.isfinite(figure), code, -1)
    if over == "best":
        which = best_in(scored, points.ordered(metric), size, lower_is_better(metric))
        value, median = (np.where(which >= 0, column[which], np.nan) for column in (figure, trades))
        fewest = median
    else:
        value = quantiles(scored, figure, points.ordered(metric), size, (0.5,))[0]
        median, fewest = quantiles(scored, trades, points.ordered("trades"), size, (0.5, 0.0))
    counts = {
        "points": np.bincount(code[code >= 0], minlength=size),
        "failed": np.bincount(code[(code >= 0) & points.failed], minlength=size),
        "scored": np.bincount(scored[scored >= 0], minlength=size),
    }
    cells = {"value": value, "trades": median, "fewest": fewest, **counts}
    return {name: column.reshape(shape) for name, column in cells.items()}


def quantiles(code: Codes, values: Float, order: Codes, size: int, shares: Sequence[float]) -> list[Float]:
    """Return quantiles of the values of each cell, (size,) each, between two values in proportion; NaN of no value.

    code: (n,) the cell of each, -1 for none; order: the rows with a value by value.
    """
    cells = code[order]
    rows = order[cells >= 0]
    cells = cells[cells >= 0].astype(np.int32 if size > 32_767 else np.int16)  # the short ones are sorted in one pass
    ordered = values[rows[np.argsort(cells, kind="stable")]]  # by cell, within it by value
    counts = np.bincount(cells, minlength=size)
    first, full = np.cumsum(counts) - counts, counts > 0
    found = []
    for share in shares:
        place = share * (counts[full] - 1)
        low = np.floor(place).astype(np.int64)
        a, b = ordered[first[full] + low], ordered[first[full] + np.minimum(low + 1, counts[full] - 1)]
        one = np.full(size, np.nan)
        one[full] = np.where(place == low, a, a + (place - low) * (b - a))
        found.append(one)
    return found


def best_in(code: Codes, order: Codes, size: int, lower: bool) -> Int64:
    """Return (size,) the row with the best value of each cell, -1 of none."""
    rows = order[::-1] if lower else order
    rows = rows[code[rows] >= 0]
    which = np.full(size, -1, np.int64)
    which[code[rows]] = rows  # the best of a cell is written last
    return which


# --- neighbours --------------------------------------------------------------------------------------------------


def blocks(value: Float) -> Float:
    """Return (9, rows, columns): each cell's own value and those of the eight around it, NaN beyond the edge; its own is [4]."""
    rows, columns = value.shape
    wide = np.full((rows + 2, columns + 2), np.nan)
    wide[1:-1, 1:-1] = value
    return np.stack([wide[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])


def judged(found: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return how far the neighbours of each cell agree, and where plateau and peak are."""
    sign = -1.0 if lower_is_better(metric) else 1.0
    value, trades = found["value"], found["trades"]
    block = blocks(sign * value)
    around = np.isfinite(block).sum(axis=0)
    on_map = np.isfinite(blocks(np.zeros_like(value))).sum(axis=0)
    there = np.isfinite(value)
    names = {"middle": 0.5, "lowest": 0.0 if sign > 0 else 1.0, "highest": 1.0 if sign > 0 else 0.0}
    told = {name: np.full(value.shape, np.nan) for name in names}
    for name, share in names.items():
        told[name][there] = sign * across(block[:, there], share)
    told["floor"] = np.full(value.shape, np.nan)
    told["floor"][there] = sign * floors(block[:, there])
    enough, near = there & (trades >= ENOUGH), there & (2 * around > on_map)
    may = next((some for some in (enough & near, near, enough) if some.any()), there)
    own, floor, middle = sign * value, sign * told["floor"], sign * told["middle"]
    plateau = first_best(may, (np.fmin(own, floor), np.fmin(own, middle), around, own))
    peak = plateau if plateau is not None and own[plateau] == own[there].max() else first_best(there, (own,))
    return {
        **told,
        "around": around,
        "plateau": plateau,
        "peak": peak,
        "above": lonely(block, peak),
        "thin": not (may & enough).any(),
        "sparse": not (may & near).any(),
    }


def across(columns: Float, share: float) -> Float:
    """Return (k,) a quantile of the numbers in each column, between two of them in proportion; every column has one."""
    ordered, count = np.sort(columns, axis=0), np.isfinite(columns).sum(axis=0)  # a NaN is sorted to the end
    place = share * (count - 1)
    low, k = np.floor(place).astype(np.int64), np.arange(count.size)
    a, b = ordered[low, k], ordered[np.minimum(low + 1, count - 1), k]
    found: Float = np.where(place == low, a, a + (place - low) * (b - a))
    return found


def floors(columns: Float) -> Float:
    """Return (k,) the third worst of nine in each column, more is better; what is missing counts like the worst."""
    ordered, count = np.sort(columns, axis=0), np.isfinite(columns).sum(axis=0)
    found: Float = ordered[np.maximum(0, count - len(columns) + FLOOR - 1), np.arange(count.size)]
    return found


def first_best(may: BoolArray, keys: tuple[Any, ...]) -> Cell | None:
    """Return the cell with the largest first key, of equals the largest next, of equals the first; None of no cell."""
    left = np.flatnonzero(may)
    for key in keys:
        own = key.ravel()[left]
        left = left[own == own.max()] if left.size else left
    if not left.size:
        return None
    row, column = divmod(int(left[0]), may.shape[1])
    return row, column


def lonely(block: Float, peak: Cell | None) -> float:
    """Return by how much the peak is better than the median of its neighbours."""
    if peak is None:
        return math.nan
    others = np.delete(block[:, peak[0], peak[1]], 4)
    others = others[np.isfinite(others)]
    return float(block[4, peak[0], peak[1]] - np.median(others)) if others.size else math.nan
