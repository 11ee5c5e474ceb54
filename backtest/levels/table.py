"""Levels: prices with a life. A table of them is what every kind of level returns and every rule takes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import BoolArray, Float, Int64, frozen_array

__all__ = ["ALWAYS", "Level", "Levels", "Params", "check_levels"]

Params = tuple[tuple[str, float | str], ...]

ALWAYS = int(np.iinfo(np.int64).min)
"""A `known_at` before every bar."""


@dataclass(frozen=True)
class Level:
    """One support price and its life.

    price, half_width: quote units, the zone is price ± half_width; kind: what found it ("fixed", ...); formed_at: ns
    UTC of the price action that made it; known_at: ns UTC from which a trader could know it; params: what the kind
    was asked for.
    """

    price: float
    half_width: float
    kind: str
    formed_at: int
    known_at: int
    params: Params = ()


@dataclass(frozen=True, eq=False)
class Levels:
    """A table of levels, in any order; tables add with `+`, so that kinds combine.

    price, half_width: (k,) quote units; kind: k names; formed_at, known_at: (k,) int64 ns UTC; params: k tuples. A
    level is visible at a bar when `known_at <= close time of the bar`. A price that is not a number above 0, a
    negative half-width, or a level known before it formed is a ConfigError.
    """

    price: Float
    half_width: Float
    kind: tuple[str, ...]
    formed_at: Int64
    known_at: Int64
    params: tuple[Params, ...]

    def __post_init__(self) -> None:
        for name in ("price", "half_width", "formed_at", "known_at"):
            kind = np.int64 if name.endswith("_at") else np.float64
            object.__setattr__(self, name, frozen_array(getattr(self, name), kind))
        sizes = {self.price.shape, self.half_width.shape, self.formed_at.shape, self.known_at.shape}
        if sizes != {(len(self.kind),)} or len(self.params) != len(self.kind):
            raise ConfigError(f"A table of {len(self.kind)} levels needs that many values in every column.")
        refuse(~(np.isfinite(self.price) & (self.price > 0)), "A level must be a price above 0, got {}.", self.price)
        refuse(~(self.half_width >= 0), "A level's half-width must be at least 0, got {}.", self.half_width)
        refuse(self.known_at < self.formed_at, "The level {} is known before it formed.", self.price)

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, row: int) -> Level:
        numbers = float(self.price[row]), float(self.half_width[row])
        return Level(*numbers, self.kind[row], int(self.formed_at[row]), int(self.known_at[row]), self.params[row])

    def __iter__(self) -> Iterator[Level]:
        return (self[row] for row in range(len(self)))

    def __add__(self, other: "Levels") -> "Levels":
        if not isinstance(other, Levels):
            return NotImplemented
        price, width = np.append(self.price, other.price), np.append(self.half_width, other.half_width)
        formed, known = np.append(self.formed_at, other.formed_at), np.append(self.known_at, other.known_at)
        return Levels(price, width, self.kind + other.kind, formed, known, self.params + other.params)

    def known(self, time: int) -> "Levels":
        """Return the levels that were known at a time (ns UTC), and none that became known later."""
        rows = np.flatnonzero(self.known_at <= time)
        kinds, params = tuple(self.kind[r] for r in rows), tuple(self.params[r] for r in rows)
        numbers = self.price[rows], self.half_width[rows]
        return Levels(*numbers, kinds, self.formed_at[rows], self.known_at[rows], params)


def refuse(bad: BoolArray, sentence: str, values: Float) -> None:
    if bad.any():
        raise ConfigError(sentence.format(float(values[int(np.argmax(bad))])))


def check_levels(levels: object) -> None:
    """Raise a ConfigError unless it is a table of levels; bare prices have to go through `fixed`."""
    if not isinstance(levels, Levels):
        raise ConfigError(f"`levels` must be a table of levels, got {levels!r}; turn prices into one with `fixed`.")
