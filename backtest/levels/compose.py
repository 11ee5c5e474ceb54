"""Detectors combined: one table, levels that lie together merged, what found each kept."""

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.atr import atr
from backtest.levels.detector import Detector, check_bars, number
from backtest.levels.table import ALWAYS, Levels, Merged
from backtest.model.arrays import DAY, Float, Int64
from backtest.model.market import Bars

__all__ = ["MOVING", "Composed", "composed"]

MOVING = frozenset({"donchian", "prior", "pivot", "avwap", "profile", "cluster"})
"""Kinds whose levels are superseded by newer ones of the same detector; nothing lasting can be merged into them."""


@dataclass(frozen=True, repr=False)
class Composed(Detector):
    """Several detectors or tables as one; made by `fixed(...) | fractal(k=3) | round_numbers()`.

    A level within the width of one that was known before is merged into it: the older row stays as it is, price,
    width and times, and gains an origin, which has its own `known_at` (`Levels.merged`). So no row changes later. The
    width is the larger of `width` (fraction of the new level's price [D]) and `atrs` (multiples of the ATR of 14 bars
    at the new level's `known_at`, 0 where that is unknown; 0.5 is the width of a cluster [D]). The nearest takes it,
    the lower of two as near. A level older than `memory` days takes none [D: the age at which levels retire]; one
    that was always known is never too old. A level of a moving kind (`MOVING`) may be merged into a lasting one, but
    takes none itself, since it goes.

    Errors (ConfigError): a part that is no detector and no table, a negative or not finite width, `memory` of 0.
    """

    parts: tuple[Detector | Levels, ...]
    width: float = 0.003
    atrs: float = 0.0
    memory: float = 180.0

    def __post_init__(self) -> None:
        for part in self.parts:
            if not isinstance(part, (Detector, Levels)):
                raise ConfigError(f"Only levels and detectors combine with `|`, got {part!r}; prices need `fixed`.")
        number("width", self.width)
        number("atrs", self.atrs)
        number("memory", self.memory, above=True)

    def __repr__(self) -> str:
        parts = " | ".join("levels" if isinstance(part, Levels) else repr(part) for part in self.parts)
        return f"({parts}).within(width={self.width}, atrs={self.atrs}, memory={self.memory})"

    def within(self, width: float = 0.003, atrs: float = 0.0, memory: float = 180.0) -> "Composed":
        """Return the same detectors, merged within another width."""
        return replace(self, width=width, atrs=atrs, memory=memory)

    def find(self, bars: Bars) -> Levels:
        """Return the merged table, in the order in which the levels became known."""
        check_bars(bars)
        rows = self.parts[0].find(bars)
        for part in self.parts[1:]:
            rows = rows + part.find(bars)
        sources = rows if rows.merged is None else rows.merged.rows
        sources = sources.take(np.argsort(sources.known_at, kind="stable"))
        owner, kept = owners(sources, self.widths(bars, sources), int(self.memory * DAY))
        table = sources.take(kept)
        return replace(table, merged=Merged(owner, sources))

    def widths(self, bars: Bars, levels: Levels) -> Float:
        """Return (k,) the width within which each level is merged, quote units."""
        share = self.width * levels.price
        if self.atrs == 0 or len(bars) == 0:
            return share
        bar = np.searchsorted(bars.known_at, levels.known_at, side="right") - 1
        ranges = np.where(bar >= 0, atr(bars)[np.maximum(bar, 0)], np.nan)
        return np.fmax(share, self.atrs * ranges)


def composed(one: "Detector | Levels", other: "Detector | Levels") -> Composed:
    """Return two detectors or tables as one; the parts of a composed one are taken over, and the first one's width."""
    parts = [*(one.parts if isinstance(one, Composed) else (one,))]
    parts += other.parts if isinstance(other, Composed) else (other,)
    settings = one if isinstance(one, Composed) else other
    if isinstance(settings, Composed):
        return replace(settings, parts=tuple(parts))
    return Composed(tuple(parts))


def owners(rows: Levels, widths: Float, memory: int) -> tuple[Int64, Int64]:
    """Return (j,) the output row that each row goes into, and (k,) which rows stay; rows sorted by `known_at`."""
    owner = np.empty(len(rows), np.int64)
    kept: list[int] = []
    ladder = Ladder()
    columns = zip(rows.price.tolist(), rows.known_at.tolist(), widths.tolist(), rows.kind, strict=True)
    for row, (price, known, width, kind) in enumerate(columns):
        taker = ladder.nearest(price, max(ALWAYS + 1, known - memory), width)
        if taker is None:
            taker = len(kept)
            kept.append(row)
            if kind not in MOVING:
                ladder.add(price, known, taker)
        owner[row] = taker
    return owner, np.array(kept, np.int64)


class Ladder:
    """The lasting levels by price, from which those that are too old are dropped when they are met."""

    def __init__(self) -> None:
        self.prices: list[float] = []
        self.entries: list[tuple[int, int]] = []  # known_at, output row

    def add(self, price: float, known: int, row: int) -> None:
        at = bisect_left(self.prices, price)
        self.prices.insert(at, price)
        self.entries.insert(at, (known, row))

    def nearest(self, price: float, oldest: int, width: float) -> int | None:
        """Return the output row of the nearest level within the width, None where there is none."""
        at = bisect_left(self.prices, price)
        while at < len(self.prices) and self.prices[at] - price <= width and self.stale(at, oldest):
            self.drop(at)
        while at > 0 and price - self.prices[at - 1] <= width and self.stale(at - 1, oldest):
            at -= 1
            self.drop(at)
        above = self.prices[at] - price if at < len(self.prices) else np.inf
        below = price - self.prices[at - 1] if at > 0 else np.inf
        if min(above, below) > width:
            return None
        return self.entries[at - 1 if below <= above else at][1]

    def stale(self, at: int, oldest: int) -> bool:
        return ALWAYS < self.entries[at][0] < oldest

    def drop(self, at: int) -> None:
        del self.prices[at], self.entries[at]
