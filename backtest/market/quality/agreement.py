"""Whether two sources tell of the same market: bars of both on the coarser interval, compared by their closes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.errors import MarketError
from backtest.market.clock import grid_offset, interval_text
from backtest.model.arrays import BoolArray, Float, Int64

__all__ = ["TOLERANCE", "Agreement", "agreement", "resample"]

TOLERANCE = 0.005  # of the price: a perpetual and its spot close within 0.5% of each other on nearly every day
SHIFTED = 0.2  # correlation that another lag must win to be believed
ENOUGH = 10  # returns before a correlation is told
FOLD = {"high": np.maximum, "low": np.minimum, "volume": np.add}
Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Agreement:
    """How far the closes of a series are from those of a second source, both on bars of `interval` ns.

    other: the second source; compared: bars that both have; incomplete: bars left out since some of their finer bars are
    missing; beyond: bars that differ by more than `tolerance` (a fraction of the second's close); largest: the largest
    difference, at: its bar (ns UTC); correlation: of returns; lag: by how many bars the second source must be moved to fit best
    (0 unless another fits clearly better), lag_correlation: the correlation there. NaN and None where nothing was compared.
    """

    other: str
    interval: int
    compared: int
    incomplete: int
    tolerance: float
    beyond: int
    largest: float
    at: int | None
    correlation: float
    lag: int
    lag_correlation: float


def agreement(
    ours: Columns,
    our_interval: int,
    theirs: Columns,
    their_interval: int,
    other: str = "the second source",
    tolerance: float = TOLERANCE,
) -> Agreement:
    """Return how well two sources agree; MarketError where neither interval fits into the other.

    ours, theirs: `time` (k,) int64 ns UTC, sorted and unique, and `close` (k,) float64; rows without a price and bars that lack
    one of their finer bars are not compared. tolerance: fraction of the second source's close.
    """
    interval = max(our_interval, their_interval)
    (time, close, left), (their_time, their_close, also_left) = (
        closes(columns, own, interval) for columns, own in ((ours, our_interval), (theirs, their_interval))
    )
    common, i, j = np.intersect1d(time, their_time, assume_unique=True, return_indices=True)
    if not common.size:
        nan = float("nan")
        return Agreement(other, interval, 0, left + also_left, tolerance, 0, nan, None, nan, 0, nan)
    mine, second = close[i], their_close[j]
    apart = np.abs(mine / second - 1.0)
    top = int(np.argmax(apart))
    correlations = {lag: moved(common, mine, second, interval, lag) for lag in (-1, 0, 1)}
    best = max(correlations, key=lambda lag: (np.nan_to_num(correlations[lag], nan=-1.0), lag == 0))
    clear = np.nan_to_num(correlations[best], nan=-1.0) > np.nan_to_num(correlations[0], nan=0.0) + SHIFTED
    lag = best if clear else 0
    beyond = int(np.sum(apart > tolerance))
    return Agreement(
        other, interval, int(common.size), left + also_left, tolerance, beyond, float(apart[top]), int(common[top]),
        correlations[0], lag, correlations[lag],
    )  # fmt: skip


def closes(columns: Columns, own: int, interval: int) -> tuple[Int64, Float, int]:
    """Return times and closes of the complete bars of an interval that have a price, and how many were incomplete."""
    bars, complete = resample({"time": columns["time"], "close": columns["close"]}, own, interval)
    kept = complete & (bars["close"] > 0)
    return bars["time"][kept], bars["close"][kept], int(np.sum(~complete))


def resample(columns: Columns, interval: int, to: int) -> tuple[dict[str, Any], BoolArray]:
    """Return bars of a coarser interval on the grid of UTC, and which of them have all of their finer bars.

    columns: sorted; of open, high, low, close and volume those that are there. A bar's open is its first finer bar's,
    its close its last one's. MarketError where the intervals don't nest.

    >>> hour = 3_600_000_000_000
    >>> bars, complete = resample({"time": np.arange(26) * hour, "close": np.arange(26.0)}, hour, 24 * hour)
    >>> bars["close"], complete
    (array([23., 25.]), array([ True, False]))
    """
    if interval <= 0 or to % interval:
        raise MarketError(
            f"Bars of {interval_text(interval)} do not add up to bars of {interval_text(to)}; "
            "compare with a source whose interval is a multiple of theirs."
        )
    time = np.asarray(columns["time"], dtype=np.int64)
    if not time.size:
        return {k: np.asarray(v) for k, v in columns.items()}, np.zeros(0, dtype=np.bool_)
    begins, first, count = np.unique(time - grid_offset(time, to), return_index=True, return_counts=True)
    last = first + count - 1
    bars: dict[str, Any] = {"time": begins}
    for k in ("open", "high", "low", "close", "volume"):
        if k in columns:
            values = np.asarray(columns[k], dtype=np.float64)
            bars[k] = (
                values[last if k == "close" else first] if k in ("open", "close") else FOLD[k].reduceat(values, first)
            )
    return bars, count == to // interval


def moved(time: Int64, mine: Float, second: Float, interval: int, lag: int) -> float:
    """Return the correlation of our returns with the second source's, those moved by `lag` bars.

    Only returns between neighbouring bars count. NaN for too few of them, or without any spread.
    """
    whole = np.diff(time) == interval
    a = np.where(whole, np.diff(np.log(mine)), np.nan)
    b = np.where(whole, np.diff(np.log(second)), np.nan)
    if lag:  # a second source that stamps its bars by their close stands one bar late: lag -1 moves it back
        a, b = (a[:-1], b[1:]) if lag < 0 else (a[1:], b[:-1])
        steady = whole[1:] & whole[:-1]
        a, b = a[steady], b[steady]
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if a.size < ENOUGH or not a.std() > 0 or not b.std() > 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
