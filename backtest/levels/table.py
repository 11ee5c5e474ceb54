"""Levels: prices with a life. A table of them is what every kind of level returns and every rule takes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backtest.errors import ConfigError
from backtest.model.arrays import BoolArray, Float, Int64, frozen_array
from backtest.model.market import Bars

if TYPE_CHECKING:
    from backtest.levels.compose import Composed
    from backtest.levels.detector import Detector

__all__ = ["ALWAYS", "NEVER", "Level", "Levels", "Merged", "Params", "check_levels", "label", "numbers"]

Params = tuple[tuple[str, float | str], ...]

ALWAYS = int(np.iinfo(np.int64).min)
"""A `known_at` before every bar."""

NEVER = int(np.iinfo(np.int64).max)
"""An `until` after every bar: the level has not been superseded."""


FACTS = ("members", "major")
"""What `params` say of a single level, and not of what it was searched with."""


def label(kind: str, params: Params) -> str:
    """Return a level's origin in words: the kind and its settings, without what differs from row to row (`FACTS`).

    >>> label("fractal", (("k", 3),))
    'fractal(k=3)'
    """
    settings = ", ".join(f"{name}={value}" for name, value in params if name not in FACTS)
    return f"{kind}({settings})" if settings else kind


@dataclass(frozen=True)
class Level:
    """One support price and its life.

    price, half_width: quote units, the zone is price ± half_width; kind: what found it ("fixed", ...); formed_at: ns
    UTC of the price action that made it; known_at: ns UTC from which a trader could know it; params: what the kind
    was asked for; until: ns UTC at which a newer one of a moving kind took its place, NEVER where none has; origin:
    what found it, one label for each detector whose level was merged into this one.
    """

    price: float
    half_width: float
    kind: str
    formed_at: int
    known_at: int
    params: Params = ()
    until: int = NEVER
    origin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", (label(self.kind, self.params),))


@dataclass(frozen=True, eq=False)
class Levels:
    """A table of levels, in any order. Tables add with `+`; with `|` they merge with other tables and detectors.

    price, half_width: (k,) quote units; kind: k names; formed_at, known_at: (k,) int64 ns UTC; params: k tuples;
    until: (k,) int64 ns UTC, when the next level of a moving kind took the row's place, NEVER for one that stays;
    merged: the rows that were merged into these, None where none were. A level is visible at a bar when `known_at <=
    close time of the bar < until`. A price that is not a number above 0, a negative half-width, a level known before
    it formed or over before it was known is a ConfigError.
    """

    price: Float
    half_width: Float
    kind: tuple[str, ...]
    formed_at: Int64
    known_at: Int64
    params: tuple[Params, ...]
    until: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    merged: "Merged | None" = None

    def __post_init__(self) -> None:
        if np.size(self.until) == 0:
            object.__setattr__(self, "until", np.full(len(self.kind), NEVER))
        for name in ("price", "half_width", "formed_at", "known_at", "until"):
            kind = np.float64 if name in ("price", "half_width") else np.int64
            object.__setattr__(self, name, frozen_array(numbers(name, getattr(self, name), kind), kind))
        columns = (self.price, self.half_width, self.formed_at, self.known_at, self.until)
        if {column.shape for column in columns} != {(len(self.kind),)} or len(self.params) != len(self.kind):
            raise ConfigError(f"A table of {len(self.kind)} levels needs that many values in every column.")
        refuse(~(np.isfinite(self.price) & (self.price > 0)), "A level must be a price above 0, got {}.", self.price)
        refuse(~(self.half_width >= 0), "A level's half-width must be at least 0, got {}.", self.half_width)
        refuse(self.known_at < self.formed_at, "The level {} is known before it formed.", self.price)
        refuse(self.until < self.known_at, "The level {} is over before it is known.", self.price)

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, row: int) -> Level:
        numbers = float(self.price[row]), float(self.half_width[row])
        times, until = (int(self.formed_at[row]), int(self.known_at[row])), int(self.until[row])
        origin = () if self.merged is None else self.merged.origin(row % len(self))
        return Level(*numbers, self.kind[row], *times, self.params[row], until, origin)

    def __iter__(self) -> Iterator[Level]:
        return (self[row] for row in range(len(self)))

    def __add__(self, other: "Levels") -> "Levels":
        if not isinstance(other, Levels):
            return NotImplemented
        names = ("price", "half_width", "formed_at", "known_at", "until")
        columns = {name: np.append(getattr(self, name), getattr(other, name)) for name in names}
        merged = None
        if self.merged is not None or other.merged is not None:
            one, two = self.merged or Merged.alone(self), other.merged or Merged.alone(other)
            merged = Merged(np.append(one.owner, two.owner + len(self)), one.rows + two.rows)
        return Levels(kind=self.kind + other.kind, params=self.params + other.params, merged=merged, **columns)

    def __or__(self, other: "Levels | Detector") -> "Composed":
        from backtest.levels.compose import composed  # it needs this module

        return composed(self, other)

    @property
    def origin(self) -> tuple[tuple[str, ...], ...]:
        """k tuples of labels: what found each level, the first that knew it first."""
        return (self.merged or Merged.alone(self)).origins(len(self))

    def find(self, bars: Bars) -> "Levels":
        """Return the table itself, whatever the bars are: given levels are a detector that needs no search."""
        return self

    def take(self, rows: Int64) -> "Levels":
        """Return some rows, in the order given."""
        kinds, params = tuple(self.kind[r] for r in rows.tolist()), tuple(self.params[r] for r in rows.tolist())
        times = self.formed_at[rows], self.known_at[rows]
        merged = None if self.merged is None else self.merged.take(rows, len(self))
        return Levels(self.price[rows], self.half_width[rows], kinds, *times, params, self.until[rows], merged)

    def known(self, time: int) -> "Levels":
        """Return the levels that were known at a time (ns UTC), as they were known: nothing that came later shows."""
        seen = self.take(np.flatnonzero(self.known_at <= time))
        merged = None if seen.merged is None else seen.merged.known(time)
        until = np.where(seen.until > time, NEVER, seen.until)
        times = seen.formed_at, seen.known_at
        return Levels(seen.price, seen.half_width, seen.kind, *times, seen.params, until, merged)

    def visible(self, time: int) -> "Levels":
        """Return the levels that were known at a time (ns UTC) and not superseded by then."""
        seen = self.known(time)
        return seen.take(np.flatnonzero(seen.until == NEVER))


@dataclass(frozen=True, eq=False)
class Merged:
    """The rows that were merged into a table's: owner: (j,) the table's row that each went into; rows: j of them."""

    owner: Int64
    rows: Levels

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", frozen_array(self.owner, np.int64))

    @classmethod
    def alone(cls, levels: Levels) -> "Merged":
        """Return each row as its own and only origin."""
        return cls(np.arange(len(levels)), levels)

    def of(self, row: int) -> Levels:
        """Return the rows that were merged into one."""
        return self.rows.take(np.flatnonzero(self.owner == row))

    def origin(self, row: int) -> tuple[str, ...]:
        """Return the labels of what was merged into a row, each once, the first known first."""
        mine = np.flatnonzero(self.owner == row)
        mine = mine[np.argsort(self.rows.known_at[mine], kind="stable")].tolist()
        return tuple(dict.fromkeys(label(self.rows.kind[r], self.rows.params[r]) for r in mine))

    def origins(self, size: int) -> tuple[tuple[str, ...], ...]:
        """Return the labels of every owner in one pass."""
        found: list[dict[str, None]] = [{} for _ in range(size)]
        for r in np.argsort(self.rows.known_at, kind="stable").tolist():
            found[int(self.owner[r])][label(self.rows.kind[r], self.rows.params[r])] = None
        return tuple(tuple(labels) for labels in found)

    def take(self, rows: Int64, size: int) -> "Merged":
        """Return what belongs to some of the owners, numbered anew."""
        place = np.full(size, -1)
        place[rows] = np.arange(rows.size)
        kept = np.flatnonzero(place[self.owner] >= 0)
        return Merged(place[self.owner[kept]], self.rows.take(kept))

    def known(self, time: int) -> "Merged":
        """Return what was known at a time."""
        return Merged(self.owner[self.rows.known_at <= time], self.rows.known(time))


def refuse(bad: BoolArray, sentence: str, values: Float) -> None:
    if bad.any():
        raise ConfigError(sentence.format(float(values[int(np.argmax(bad))])))


def numbers(name: str, values: object, kind: Any = np.float64) -> NDArray[Any]:
    """Return a column as an array of numbers, else raise a ConfigError with what was given."""
    try:
        return np.asarray(values, kind)
    except (TypeError, ValueError, OverflowError):
        what = "numbers" if kind is np.float64 else "times in ns UTC"
        raise ConfigError(f"`{name}` must be {what}, got {values!r}.") from None


def check_levels(levels: object) -> None:
    """Raise a ConfigError unless it is a table of levels; bare prices have to go through `fixed`."""
    if not isinstance(levels, (Levels, str)) and hasattr(levels, "find"):
        raise ConfigError(f"`levels` must be a table of levels, got {levels!r}; apply it to bars with `.find(bars)`.")
    if not isinstance(levels, Levels):
        raise ConfigError(f"`levels` must be a table of levels, got {levels!r}; turn prices into one with `fixed`.")
