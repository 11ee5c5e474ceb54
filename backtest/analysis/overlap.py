"""How much the trades of several runs are the same bet: time held together, and trades that overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64
from backtest.model.result import NO_TIME, Trades

__all__ = ["Overlap", "overlap"]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Every run beside every other, (k, k) fractions from 0 to 1.

    together: share of the common time in which row and column both hold a position in anything, on the diagonal that of
    the row alone; trades: share of the row's trades during which the column held the same symbol; same_side: on the same
    side, too. NaN for a row without a trade, and where there is no common time.
    """

    together: Float
    trades: Float
    same_side: Float


@dataclass(frozen=True, eq=False)
class Held:
    """When a run held what: starts and ends in ns UTC, end exclusive, and symbol and side as one text."""

    start: Int64
    end: Int64
    symbol: tuple[str, ...]
    side: tuple[int, ...]

    def of(self, symbol: str, side: int | None) -> BoolArray:
        rows = zip(self.symbol, self.side, strict=True)
        return np.array([s == symbol and side in (None, d) for s, d in rows], np.bool_)


def overlap(trades: Sequence[Trades], start: int, end: int) -> Overlap:
    """Return how the trades of runs overlap between start and end (ns UTC, end exclusive).

    A trade is cut at both; one still open lasts to the end; one that entered and left at the same stamp, inside a bar,
    counts as a moment of it.
    """
    runs = [held(one, start, end) for one in trades]
    k = len(runs)
    together, any_side, same_side = (np.full((k, k), np.nan) for _ in range(3))
    for i, one in enumerate(runs):
        for j, two in enumerate(runs):
            together[i, j] = time_together(one, two) / (end - start) if end > start else np.nan
            any_side[i, j] = share_met(one, two, sides=False)
            same_side[i, j] = share_met(one, two, sides=True)
    return Overlap(together, any_side, same_side)


def held(trades: Trades, start: int, end: int) -> Held:
    entry = np.asarray(trades.entry_time, dtype=np.int64)
    leave = np.asarray(trades.exit_time, dtype=np.int64)
    leave = np.maximum(np.where(leave == NO_TIME, end, leave), entry + 1)
    kept = np.flatnonzero((entry < end) & (leave > start))
    return Held(
        np.maximum(entry[kept], start),
        np.minimum(leave[kept], end),
        tuple(trades.symbols[code] for code in np.asarray(trades.symbol)[kept]),
        tuple(int(side) for side in np.asarray(trades.side)[kept]),
    )


def time_together(one: Held, two: Held) -> int:
    """Return the ns in which both hold something."""
    edges = np.unique(np.concatenate([one.start, one.end, two.start, two.end]))
    both = holding(one, edges) & holding(two, edges)
    return int(np.sum(np.diff(edges)[both[:-1]])) if edges.size else 0


def holding(run: Held, times: Int64) -> BoolArray:
    begun = np.searchsorted(np.sort(run.start), times, side="right")
    ended = np.searchsorted(np.sort(run.end), times, side="right")
    return np.asarray(begun > ended, np.bool_)


def share_met(one: Held, two: Held, sides: bool) -> float:
    """Return the share of the first run's trades that meet one of the second's on the same symbol."""
    if not one.symbol:
        return float("nan")
    met = 0
    for symbol, side in set(zip(one.symbol, one.side if sides else [None] * len(one.symbol), strict=True)):
        mine, others = one.of(symbol, side), two.of(symbol, side)
        begun = np.searchsorted(np.sort(two.start[others]), one.end[mine], side="left")
        ended = np.searchsorted(np.sort(two.end[others]), one.start[mine], side="right")
        met += int(np.count_nonzero(begun > ended))
    return met / len(one.symbol)
