"""One panel out of several symbols' bars, and the three ways to live with gaps in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backtest.errors import MarketError
from backtest.market.declare import Gaps
from backtest.market.read import Columns
from backtest.model.arrays import BoolArray, Float, Int64, utc_text
from backtest.model.market import Mark

__all__ = ["Panel", "align", "align_mark", "check_common_time"]

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, eq=False)
class Panel:
    """Aligned bars: time (n,) int64 ns UTC; values: open, high, low, close, volume, (n, m) each, NaN = not trading."""

    time: Int64
    values: Mapping[str, Float]


def align(bars: Sequence[Columns], interval: int, policies: Sequence[Gaps]) -> Panel:
    """Return the bars of all symbols on one grid, from the first bar of any to the last, gaps treated as declared.

    bars: one a symbol, times on the interval's grid and sorted; policies: one a symbol. A symbol's cells outside its
    own first and last bar stay NaN (not listed yet, delisted). Inside, "forward_fill" makes flat bars at the last close
    with zero volume, "drop" takes the rows away on all symbols, "halt" keeps NaN.
    """
    first = min(int(b.time[0]) for b in bars if b.time.size)
    last = max(int(b.time[-1]) for b in bars if b.time.size)
    time = np.arange(first, last + interval, interval, dtype=np.int64)
    values = {k: np.full((time.size, len(bars)), np.nan) for k in FIELDS}
    dropped = np.zeros(time.size, dtype=np.bool_)
    for j, (own, policy) in enumerate(zip(bars, policies, strict=True)):
        rows = (own.time - first) // interval
        for k in FIELDS:
            values[k][rows, j] = own.values[k]
        missing = missing_rows(rows, time.size)
        if policy == "drop":
            dropped |= missing
        elif policy == "forward_fill":
            fill(values, j, missing)
    return Panel(time[~dropped], {k: v[~dropped] for k, v in values.items()}) if dropped.any() else Panel(time, values)


def missing_rows(rows: Int64, n: int) -> BoolArray:
    """Return which of n rows lie between the first and the last of `rows` without being one of them."""
    missing = np.zeros(n, dtype=np.bool_)
    if rows.size:
        missing[int(rows[0]) : int(rows[-1])] = True
        missing[rows] = False
    return missing


def fill(values: Mapping[str, Float], j: int, missing: BoolArray) -> None:
    """Write flat bars at the last close, without volume, into the missing rows of symbol j."""
    known = np.maximum.accumulate(np.where(missing, 0, np.arange(missing.size)))
    flat = values["close"][known[missing], j]
    for k in FIELDS:
        values[k][missing, j] = 0.0 if k == "volume" else flat


def align_mark(marks: Sequence[Columns | None], time: Int64) -> Mark | None:
    """Return the mark prices on the panel's times, NaN where a symbol has none; None without any."""
    if all(mark is None for mark in marks):
        return None
    values = {k: np.full((time.size, len(marks)), np.nan) for k in ("open", "high", "low", "close")}
    for j, mark in enumerate(marks):
        if mark is not None and mark.time.size:
            rows = np.minimum(np.searchsorted(mark.time, time), mark.time.size - 1)
            here = mark.time[rows] == time
            for k, block in values.items():
                block[here, j] = mark.values[k][rows[here]]
    return Mark(**values)


def check_common_time(symbols: Sequence[str], bars: Sequence[Columns]) -> None:
    """Refuse two symbols that never trade at the same time."""
    for i, (a, first) in enumerate(zip(symbols, bars, strict=True)):
        for b, second in zip(symbols[i + 1 :], bars[i + 1 :], strict=True):
            if not np.intersect1d(first.time, second.time, assume_unique=True).size:
                raise MarketError(
                    f"{a} ({span_text(first.time)}, {first.time.size:,} bars) and {b} ({span_text(second.time)}, "
                    f"{second.time.size:,} bars) have no bar at a common time; load them as two markets."
                )


def span_text(time: Int64) -> str:
    """Return the first and last time as text."""
    return f"{utc_text(int(time[0]))} to {utc_text(int(time[-1]))}"
