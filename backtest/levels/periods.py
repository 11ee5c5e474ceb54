"""Completed UTC days, ISO weeks and months in bars: what the levels that move by the calendar stand on."""

from dataclasses import dataclass, replace

import numpy as np

from backtest.model.arrays import DAY, BoolArray, Float, Int64
from backtest.model.market import Bars

__all__ = ["PERIODS", "Periods", "periods"]

PERIODS = ("day", "week", "month")


@dataclass(frozen=True, eq=False)
class Periods:
    """Stretches of bars [first, stop), (k,) each, and the start and end of the UTC period that each fills, ns.

    A bar belongs to the period in which it closes (a close at midnight to the day that ends), so that a period's
    prices are all known at its end. complete: whether the period is whole: over by the last close, and its start seen.
    """

    first: Int64
    stop: Int64
    start: Int64
    end: Int64
    complete: BoolArray

    def completed(self) -> "Periods":
        """Return the completed periods only."""
        columns = (self.first, self.stop, self.start, self.end, self.complete)
        return Periods(*(column[self.complete] for column in columns))  # type: ignore[arg-type]  # by position

    def traded(self, bars: Bars) -> tuple["Periods", Float, Float, Float]:
        """Return the completed periods in which a bar traded, and (k,) high, low and close of each."""
        done = self.completed()
        high, low, close = done.prices(bars)
        there = np.isfinite(low)
        return replace(done, complete=there).completed(), high[there], low[there], close[there]

    def prices(self, bars: Bars) -> tuple[Float, Float, Float]:
        """Return (k,) high, low and close of each period, NaN where nothing traded; bars that did not are left out."""
        if self.first.size == 0:
            return np.empty(0), np.empty(0), np.empty(0)
        edges = np.column_stack((self.first, self.stop)).ravel()
        edges = edges[:-1] if edges[-1] == len(bars) else edges
        high, low = np.fmax.reduceat(bars.high, edges)[::2], np.fmin.reduceat(bars.low, edges)[::2]
        traded = np.flatnonzero(np.isfinite(bars.close))
        last = np.searchsorted(traded, self.stop, side="left") - 1
        close = np.full(self.first.size, np.nan)
        there = np.isfinite(low)
        close[there] = bars.close[traded[last[there]]]
        return high, low, close


def periods(bars: Bars, period: str) -> Periods:
    """Return the stretches of bars of each UTC "day", ISO "week" (from Monday) or "month" that has bars."""
    if len(bars) == 0:
        none = np.empty(0, np.int64)
        return Periods(none, none, none, none, np.empty(0, np.bool_))
    known_at = bars.known_at
    day = (known_at - 1) // DAY
    first = np.concatenate(([0], np.flatnonzero(day[1:] != day[:-1]) + 1))
    key = period_of(day[first], period)
    kept = np.concatenate(([True], key[1:] != key[:-1]))
    first, key = first[kept], key[kept]
    start, end = period_start(key, period), period_start(key + 1, period)
    complete = end <= known_at[-1]
    complete[0] &= bars.time[0] <= start[0]
    return Periods(first, np.append(first[1:], len(bars)), start, end, complete)


def period_of(day: Int64, period: str) -> Int64:
    """Return the number of the period that each day since 1970-01-01, a Thursday, lies in."""
    if period == "day":
        return day
    if period == "week":
        return (day + 3) // 7
    return day.astype("M8[D]").astype("M8[M]").astype(np.int64)


def period_start(key: Int64, period: str) -> Int64:
    """Return the ns UTC at which each period starts."""
    if period == "day":
        return key * DAY
    if period == "week":
        return (key * 7 - 3) * DAY
    return key.astype("M8[M]").astype("M8[D]").astype(np.int64) * DAY
