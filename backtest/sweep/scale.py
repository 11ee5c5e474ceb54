"""The rows of a sweep as arrays, and what stands along the side of a map: the values of an axis in order, or bins of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backtest.errors import ConfigError, did_you_mean
from backtest.model.arrays import BoolArray, Float, Int64
from backtest.sweep.columns import integers, lengths, numbers
from backtest.sweep.point import FIGURES
from backtest.sweep.space import Space
from backtest.sweep.store import Sweep, known_figure

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Points", "Scale", "label", "labels_of", "named", "names_of"]

DIGITS = (4, 6, 10, 17)
FULL = 4  # points in a bin of samples, on average, at least
MOST_BINS = 12  # of a span


def names_of(space: Space) -> tuple[str, ...]:
    """Return the columns that can be sides of a map: market and strategy where there are several, then the axes."""
    several = ["market"] * (len(space.markets) > 1) + ["strategy"] * (len(space.strategies) > 1)
    return (*several, *space.columns)


def named(space: Space, text: str) -> str:
    """Return the column that a name means: an axis as it is set, or its column; else a ConfigError."""
    known = dict(zip((axis.name for axis in space.axes), space.columns, strict=True))
    known |= {name: name for name in names_of(space)}
    name = text.strip()
    if name not in known:
        raise ConfigError(f"The sweep has no axis {name!r}.{did_you_mean(name, known) or ' It has none.'}")
    return known[name]


@dataclass(frozen=True, eq=False)
class Scale:
    """One side of a map: its steps in order, and the step of every point.

    ends: (k,) first and last value of each step as text, the same where it is one value; codes: (n,) the step of each point,
    -1 where its strategy has no such parameter; values: how many different ones there are; span: drawn from a span, so that
    the steps are bins of equal width (in the logarithm where the axis is one of those); thin: of a grid's values, put into
    bins because the points drawn from it are too few for all of them.
    """

    name: str
    ends: tuple[tuple[str, str], ...]
    codes: NDArray[np.int32]
    values: int
    span: bool = False
    thin: bool = False

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def binned(self) -> bool:
        """Whether a step may hold several values."""
        return self.span or self.values > len(self.ends)

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each step: its value, or the first and the last of its bin."""
        return tuple(low if low == high else f"{low}..{high}" for low, high in self.ends)


class Points:
    """The finished rows of a sweep as arrays; each column is read once."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.space = sweep.space
        self.figures: dict[str, Float] = {}
        self.orders: dict[str, NDArray[np.int32]] = {}
        self.scales: dict[tuple[str, int], Scale] = {}
        self.distinct: dict[str, tuple[list[Any], NDArray[np.int32]]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that can be sides."""
        return names_of(self.space)

    @cached_property
    def numbers(self) -> Int64:
        """(n,) the number of each point."""
        return integers(self.column("point"))

    @cached_property
    def sides(self) -> tuple[str, ...]:
        """Those of the columns that have two values or more."""
        return tuple(name for name in self.names if len(self.values(name)[0]) > 1)

    @cached_property
    def failed(self) -> BoolArray:
        """(n,) whether each point has a reason instead of figures."""
        return lengths(self.column("error")) > 0

    @cached_property
    def open_bars(self) -> Float:
        """(n,) the bars of each point in which the order of two events was open, NaN where it failed."""
        return numbers(self.column("ambiguous_bars"))

    def column(self, name: str) -> "pa.ChunkedArray[Any]":
        return self.sweep.table([name])[name]

    def figure(self, name: str) -> Float:
        """Return (n,) a figure of every point; NaN where it failed or does not define it."""
        if name not in self.figures:
            known_figure(name, FIGURES)
            found = numbers(self.column(name))
            self.figures[name] = np.where(self.failed | ~np.isfinite(found), np.nan, found)
        return self.figures[name]

    def ordered(self, name: str) -> NDArray[np.int32]:
        """Return (k,) the rows that have a figure, from its least value to its largest, equal ones as they stand."""
        if name not in self.orders:
            figure = self.figure(name)
            order = np.argsort(figure, kind="stable")
            self.orders[name] = order[: int(np.isfinite(figure).sum())].astype(np.int32)
        return self.orders[name]

    def named(self, text: str) -> str:
        """Return the column that a name means: an axis as it is set, or its column; else a ConfigError."""
        return named(self.space, text)

    def values(self, name: str) -> tuple[list[Any], NDArray[np.int32]]:
        """Return the different values of a column in order, numbers as numbers, and the position of each point's, -1 for none."""
        if name not in self.distinct:
            column = self.column(name)
            numeric = str(column.type) in ("int64", "double")
            self.distinct[name] = of_numbers(column) if numeric else of_words(column, self.asked(name))
        return self.distinct[name]

    def asked(self, name: str) -> Sequence[Any]:
        """Return the values of a column in the order in which they were asked for."""
        if name in ("market", "strategy") and name not in self.space.columns:
            return self.space.markets if name == "market" else self.space.strategies
        return self.space.axes[self.space.columns.index(name)].values

    def scale(self, name: str, most: int) -> Scale:
        """Return a column as the side of a map with at most so many steps."""
        if (name, most) not in self.scales:
            self.scales[name, most] = self.scaled(name, most)
        return self.scales[name, most]

    def scaled(self, name: str, most: int) -> Scale:
        values, codes = self.values(name)
        axis = None if name not in self.space.columns else self.space.axes[self.space.columns.index(name)]
        if axis is not None and axis.span is not None and len(values) > 1:
            return spanned(name, values, codes, axis.log, min(most, self.bins_of_span))
        thin = self.bins_of_span < len(values) and self.thin(name)
        return parted(name, values, codes, min(most, self.bins_of_span) if thin else most, thin)

    def thin(self, name: str) -> bool:
        """Return whether the points were drawn and are fewer than the cells of this axis of numbers and the longest other one."""
        if self.space.sample is None or not all(map(numeric, self.values(name)[0])):
            return False
        longest = max((len(self.values(other)[0]) for other in self.sides if other != name), default=1)
        return self.failed.size < len(self.values(name)[0]) * longest

    @property
    def bins_of_span(self) -> int:
        """How many bins a span is cut into, so that a cell of two spans holds four points on average: sqrt(n / 4), 2 to 12."""
        return max(2, min(MOST_BINS, math.isqrt(self.failed.size // FULL)))


def numeric(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def parted(name: str, values: list[Any], codes: NDArray[np.int32], most: int, thin: bool = False) -> Scale:
    """Return values as steps, of more than so many each stretch of neighbours as one."""
    labels = labels_of(values)
    if len(values) <= most:
        return Scale(name, tuple((one, one) for one in labels), codes, len(values))
    parts = np.array_split(np.arange(len(values)), most)
    ends = tuple((labels[part[0]], labels[part[-1]]) for part in parts)
    step = np.concatenate([np.full(part.size, k, np.int32) for k, part in enumerate(parts)])
    return Scale(name, ends, np.where(codes < 0, np.int32(-1), step[np.maximum(codes, 0)]), len(values), thin=thin)


def spanned(name: str, values: list[Any], codes: NDArray[np.int32], log: bool, bins: int) -> Scale:
    """Return values drawn from a span in bins of equal width; those of a whole axis with few values are steps themselves."""
    if len(values) <= bins and all(isinstance(value, int) for value in values):
        return Scale(name, tuple((one, one) for one in labels_of(values)), codes, len(values))
    place = np.log(values) if log else np.asarray(values, np.float64)
    edges = np.linspace(place[0], place[-1], bins + 1)
    step = np.clip(np.searchsorted(edges, place, side="right") - 1, 0, bins - 1).astype(np.int32)
    marks = labels_of([float(edge) for edge in (np.exp(edges) if log else edges)], least=3)
    ends = tuple(pairwise(marks))
    return Scale(name, ends, np.where(codes < 0, np.int32(-1), step[np.maximum(codes, 0)]), len(values), True)


def of_numbers(column: "pa.ChunkedArray[Any]") -> tuple[list[Any], NDArray[np.int32]]:
    found = numbers(column)
    there = np.isfinite(found)
    values, codes = np.unique(found[there], return_inverse=True)
    whole = str(column.type) == "int64"
    placed = np.full(found.size, -1, np.int32)
    placed[there] = codes.astype(np.int32)
    return [int(v) if whole else float(v) for v in values], placed


def of_words(column: "pa.ChunkedArray[Any]", asked: Sequence[Any]) -> tuple[list[Any], NDArray[np.int32]]:
    """Return the words of a column in the order asked for; what was asked as a mixture of words and numbers stands as text."""
    seen: dict[Any, int] = {}
    codes = np.empty(len(column), np.int32)
    for i, value in enumerate(column.to_pylist()):
        kept = tuple(value) if isinstance(value, list) else value
        codes[i] = -1 if kept is None else seen.setdefault(kept, len(seen))
    order = {label(value): i for i, value in enumerate(asked)}
    values = sorted(seen, key=lambda value: order.get(label(value), len(order)))
    if values and all(isinstance(value, bool) for value in values):
        values.sort()
    to = np.array([values.index(value) for value in seen] or [0], np.int32)
    return values, np.where(codes < 0, np.int32(-1), to[np.maximum(codes, 0)])


# --- words -------------------------------------------------------------------------------------------------------


def labels_of(values: Sequence[Any], least: int = 4) -> tuple[str, ...]:
    """Return values as text, numbers with as few digits as tell them apart, four at least.

    >>> labels_of([0.0067211808, 0.01]), labels_of([24, 240]), labels_of([(75000.0, 70000.0), (80000.0,)])
    (('0.006721', '0.01'), ('24', '240'), ('75000,70000', '80000'))
    """
    for digits in (least, *DIGITS):
        found = tuple(label(value, digits) for value in values)
        if len(set(found)) == len(found):
            break
    return found


def label(value: Any, digits: int = 10) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(label(one, 10) for one in value)
    if isinstance(value, float):
        short = float(f"{value:.{digits}g}")
        return f"{short:.0f}" if short.is_integer() and abs(short) < 1e15 else f"{short:.{digits}g}"
    return str(value)
