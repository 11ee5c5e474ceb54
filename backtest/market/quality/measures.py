"""What can be measured on a stored series: missing, repeated, stale and impossible rows, jumps and stray wicks.

Pure functions of columns (see `sources.base.COLUMNS`): `time` (k,) int64 ns UTC, the others (k,) float64, NaN where the
source gave no number. Nothing is repaired here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.market.calendars import Calendar, absent_rows, calendar_of
from backtest.market.validate import CLOSE_ENOUGH, RATE_LIMIT
from backtest.model.arrays import BoolArray, Float, Int64

__all__ = [
    "BadRows",
    "Calendar",
    "Duplicates",
    "Jumps",
    "Missing",
    "Stale",
    "Wicks",
    "bad_rows",
    "calendar_of",
    "duplicates_of",
    "jumps_of",
    "missing_of",
    "robust_sigma",
    "stale_of",
    "wicks_of",
]

Columns = Mapping[str, Any]

PRICES = ("open", "high", "low", "close")
MAD_TO_SIGMA = (
    1.4826  # 1 / the 75% point of a standard normal: makes the MAD of normal returns their standard deviation
)
LIMIT = (
    20.0  # robust sigmas: the hourly perpetuals of 2019 to 2026 have 7 (SOL) to 29 (XRP) such bars, all of real events
)
STALE = 3  # repeats before equal bars are suspicious
BACK = 0.2  # a jump whose next return leaves less than this share of it was undone


@dataclass(frozen=True)
class Missing:
    """Rows that should be there: gaps between neighbours, the rows missing in all, the last time before the first gap,
    and the longest gap with the time before it (ns UTC, None without a gap). calendar: what was expected.
    """

    gaps: int
    rows: int
    first: int | None
    longest: int
    longest_at: int | None
    calendar: Calendar


@dataclass(frozen=True)
class Duplicates:
    """Rows whose time stands there already, and the first such time (ns UTC, None without any)."""

    rows: int
    first: int | None


@dataclass(frozen=True)
class Jumps:
    """Returns beyond `limit` robust sigmas.

    sigma: of one bar's return; times: ns UTC of the bars that closed after the jump; largest: the largest in sigmas; size:
    as a fraction of the value before, or as a difference where `relative` is False; at: its time; undone: jumps that the next bar
    took back (a bad tick). NaN and None where nothing was measured.
    """

    limit: float
    sigma: float
    times: tuple[int, ...]
    largest: float
    size: float
    at: int | None
    undone: int
    relative: bool = True

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.times)


@dataclass(frozen=True)
class Wicks:
    """Bars whose high or low leaves its own body and both neighbours by more than `limit` robust sigmas.

    times: ns UTC; largest: the largest in sigmas, NaN where nothing was measured; at: its time.
    """

    limit: float
    times: tuple[int, ...]
    largest: float
    at: int | None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.times)


@dataclass(frozen=True)
class Stale:
    """Runs of rows that repeat the row before: how many runs, repeats in all, the longest and when it began (ns UTC)."""

    runs: int
    rows: int
    longest: int
    at: int | None


@dataclass(frozen=True)
class BadRows:
    """Rows that contradict themselves: how many, the first time (ns UTC), and (year, rows) of each year that has some.

    partial: rows without all of their numbers, counted apart.
    """

    rows: int
    first: int | None
    years: tuple[tuple[int, int], ...]
    partial: int


def missing_of(time: Int64, interval: int) -> Missing:
    """Return the gaps of a sorted series of unique times; interval 0 for stamps (funding) whose distance may change.

    >>> hours = np.array([0, 1, 2, 5, 6, 9]) * 3_600_000_000_000
    >>> missing_of(hours, 3_600_000_000_000).gaps, missing_of(hours, 3_600_000_000_000).rows
    (2, 4)
    """
    calendar = calendar_of(time, interval)
    absent = absent_rows(time, interval)
    holes = np.flatnonzero(absent)
    if not holes.size:
        return Missing(0, 0, None, 0, None, calendar)
    longest = int(np.argmax(absent))
    return Missing(
        int(holes.size),
        int(absent.sum()),
        int(time[holes[0]]),
        int(absent[longest]),
        int(time[longest]),
        calendar,
    )


def duplicates_of(time: Int64) -> Duplicates:
    """Return the rows whose time is repeated; the times need not be sorted."""
    unique, seen = np.unique(time, return_counts=True)
    repeated = seen > 1
    return Duplicates(int(time.size - unique.size), int(unique[repeated][0]) if repeated.any() else None)


def robust_sigma(values: Float) -> float:
    """Return 1.4826 times the median absolute deviation from the median; NaN without values or spread.

    Where most values are equal (a MAD of 0, but for rounding), the mean absolute deviation times sqrt(pi / 2) stands in, which
    is the same for normal values.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return float("nan")
    off = np.abs(finite - np.median(finite))
    median, mean = float(np.median(off)), float(np.mean(off))
    sigma = MAD_TO_SIGMA * median if median > CLOSE_ENOUGH * mean else float(np.sqrt(np.pi / 2)) * mean
    return sigma if sigma > 0 else float("nan")


def is_positive(value: Float) -> bool:
    """Whether every number of a series is above zero, so that its logarithm can be taken; NaN is passed over."""
    finite = value[np.isfinite(value)]
    return bool(finite.size) and bool(np.all(finite > 0))


def returns_of(time: Int64, value: Float, interval: int) -> Float:
    """Return each row's change from the row before, (k - 1,): logarithmic where every value is above zero.

    Across a gap of n bars it is divided by sqrt(n + 1), as a random walk would grow; NaN next to a missing value.
    """
    level = np.log(value) if is_positive(value) else value
    steps = np.maximum(np.diff(time) // interval, 1) if interval else np.ones(max(time.size - 1, 0))
    return np.asarray(np.diff(level) / np.sqrt(steps), dtype=np.float64)


def jumps_of(time: Int64, value: Float, interval: int, limit: float = LIMIT) -> Jumps:
    """Return the changes of a series that are larger than `limit` robust sigmas of all its changes."""
    change = returns_of(time, value, interval)
    sigma = robust_sigma(change)
    if not np.isfinite(sigma):
        return Jumps(limit, float("nan"), (), float("nan"), float("nan"), None, 0)
    size = np.nan_to_num(np.abs(change) / sigma, posinf=0.0)
    far, top = np.flatnonzero(size > limit), int(np.argmax(size))
    after = np.append(change[1:], np.nan)[far]
    undone = int(np.sum(np.abs(change[far] + after) < BACK * np.abs(change[far])))
    times, relative = tuple(int(t) for t in time[far + 1]), is_positive(value)
    whole = float(value[top + 1] / value[top] - 1.0 if relative else value[top + 1] - value[top])
    return Jumps(limit, sigma, times, float(size[top]), whole, int(time[top + 1]), undone, relative)


def wicks_of(time: Int64, columns: Columns, interval: int, limit: float = LIMIT) -> Wicks:
    """Return the bars whose high or low stands alone: far beyond its own open and close and both neighbours' extremes."""
    o, h, low, c = (np.asarray(columns[k], dtype=np.float64) for k in PRICES)
    sigma = robust_sigma(returns_of(time, c, interval))
    if time.size < 3 or not np.isfinite(sigma) or bool(np.any(low <= 0)):
        return Wicks(limit, (), float("nan"), None)
    tops = np.fmax.reduce([o[1:-1], c[1:-1], h[:-2], h[2:]])
    floors = np.fmin.reduce([o[1:-1], c[1:-1], low[:-2], low[2:]])
    alone = np.fmax(np.log(h[1:-1] / tops), np.log(floors / low[1:-1])) / sigma
    alone = np.nan_to_num(alone, nan=0.0)
    top = int(np.argmax(alone))
    times = tuple(int(t) for t in time[1:-1][alone > limit])
    return Wicks(limit, times, float(max(alone[top], 0.0)), int(time[top + 1]))


def stale_of(time: Int64, columns: Columns, least: int = STALE) -> Stale:
    """Return the runs of `least` repeats or more: all prices as in the row before, or its close again without volume.

    A series without prices repeats where all its values do.
    """
    names = [k for k in PRICES if k in columns] or [k for k in columns if k not in ("time", "known_at")]
    if time.size < 2 or not names:
        return Stale(0, 0, 0, None)
    same: BoolArray = np.all([np.diff(np.asarray(columns[k], dtype=np.float64)) == 0 for k in names], axis=0)
    if "volume" in columns and "close" in columns:
        same |= (np.diff(columns["close"]) == 0) & (np.asarray(columns["volume"])[1:] == 0)
    edges = np.diff(np.concatenate(([False], same, [False])).astype(np.int8))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths = ends - begins
    begins, lengths = begins[lengths >= least], lengths[lengths >= least]
    if not lengths.size:
        return Stale(0, 0, 0, None)
    longest = int(np.argmax(lengths))
    return Stale(int(lengths.size), int(lengths.sum()), int(lengths[longest]), int(time[begins[longest]]))


def bad_rows(kind: str, time: Int64, columns: Columns) -> BadRows:
    """Return the rows that can't be true for their kind, by year.

    Prices: not above zero (a premium may be), infinite, high below low, open or close outside low..high, volume below zero.
    Funding: a rate above 0.05 in size. Open interest, liquidations and ratios: below zero. Rows with some of their prices, or
    without the value, are partial.
    """
    if "close" in columns and "open" in columns:
        wrong, partial = bad_prices(columns, above_zero=kind != "premium")
    else:
        wrong, partial = bad_values(kind, columns)
    years, counts = np.unique(year_of(time[wrong]), return_counts=True)
    by_year = tuple((int(y), int(n)) for y, n in zip(years, counts, strict=True))
    return BadRows(int(wrong.sum()), int(time[wrong][0]) if wrong.any() else None, by_year, int(partial.sum()))


def bad_prices(columns: Columns, above_zero: bool) -> tuple[BoolArray, BoolArray]:
    """Return which bars contradict themselves, and which lack a price."""
    p = np.array([columns[k] for k in PRICES], dtype=np.float64).reshape(4, -1)
    o, h, low, c = p
    slack = CLOSE_ENOUGH * np.abs(p).max(axis=0, initial=0.0)
    top, floor = h + slack, low - slack
    wrong = np.any(np.isinf(p), axis=0) | (h < low) | (o > top) | (c > top) | (o < floor) | (c < floor)
    if above_zero:
        wrong |= np.any(p <= 0, axis=0)
    if "volume" in columns:
        wrong |= np.asarray(columns["volume"]) < 0
    return wrong, np.any(np.isnan(p), axis=0)


def bad_values(kind: str, columns: Columns) -> tuple[BoolArray, BoolArray]:
    """Return which rows have a value that can't be, and which have none at all."""
    names = ["rate"] if kind == "funding" else [k for k in columns if k not in ("time", "known_at")]
    p = np.array([columns[k] for k in names], dtype=np.float64).reshape(len(names), -1)
    wrong = np.isinf(p)
    if kind == "funding":
        wrong |= np.abs(p) > RATE_LIMIT
    elif kind != "value":
        wrong |= p < 0
    partial = np.all(np.isnan(p), axis=0) if kind == "open_interest" else np.any(np.isnan(p), axis=0)
    return np.any(wrong, axis=0), partial


def year_of(time: Int64) -> Int64:
    """Return the UTC year of each time."""
    return np.asarray(time.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970, dtype=np.int64)
