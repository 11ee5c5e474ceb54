"""What the equity earned: by bar, by UTC day, by month, in all and a year."""

import math

import numpy as np
from numpy.typing import ArrayLike

from backtest.model.arrays import DAY, Float, Int64

__all__ = ["YEAR", "cagr", "daily_returns", "growth", "monthly_returns", "periods_a_year", "returns", "total_return"]

YEAR = 365 * DAY


def periods_a_year(interval: int) -> float:
    """Return how many bars of the interval (ns) a year of 365 days has.

    >>> periods_a_year(3_600_000_000_000)
    8760.0
    """
    return YEAR / interval


def returns(equity: ArrayLike, cash: float) -> Float:
    """Return the simple return of each bar, the first one from the initial cash.

    equity: (n,) quote units at each bar's close; gives (n,) fractions, e[i]/e[i-1] - 1. After ruin (0 to 0) nothing
    is earned or lost: 0. From 0 to something is undefined: NaN.

    >>> returns([110.0, 99.0, 99.0], cash=100.0).round(12).tolist()
    [0.1, -0.1, 0.0]
    """
    now = np.asarray(equity, dtype=np.float64)
    before = np.concatenate(([float(cash)], now[:-1]))[: now.size]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = now / before - 1.0
    change[(now == 0) & (before == 0)] = 0.0
    change[(now != 0) & (before == 0)] = np.nan
    return change


def daily_returns(time: ArrayLike, interval: int, equity: ArrayLike, cash: float) -> tuple[Int64, Float]:
    """Return the start of each UTC day (ns) and the simple return of the day, from the first day of the run to the last.

    time: (n,) ns UTC, the bars' open times, rising; interval: ns; equity: (n,) quote units at each bar's close. A bar
    belongs to the day in which it closes (a close at midnight to the day that ends). A day's return is its last equity
    over that of the day before, the first day's over the cash; a day in which no bar closes earns 0, so that a year
    has 365 of them whatever the interval and the gaps. No bar, no day. After ruin as in `returns`.

    >>> twelve_hours = 43_200_000_000_000
    >>> days, earned = daily_returns([0, twelve_hours, 2 * twelve_hours], twelve_hours, [105.0, 110.0, 99.0], 100.0)
    >>> (days // 86_400_000_000_000).tolist(), earned.round(12).tolist()
    ([0, 1], [0.1, -0.1])
    """
    last = np.asarray(time, dtype=np.int64) + (interval - 1)
    if last.size == 0:
        return np.empty(0, np.int64), np.empty(0)
    days = np.arange(last[0] // DAY, last[-1] // DAY + 1, dtype=np.int64) * DAY
    until = np.searchsorted(last, days + DAY, side="left") - 1  # the first day holds the first bar
    return days, returns(np.asarray(equity, dtype=np.float64)[until], cash)


def monthly_returns(time: ArrayLike, interval: int, equity: ArrayLike, cash: float) -> list[tuple[int, int, float]]:
    """Return (year, month, simple return) of each UTC month of the run; months, gaps and ruin as the days of `daily_returns`.

    >>> day = 86_400_000_000_000
    >>> monthly_returns([30 * day, 31 * day], day, [110.0, 99.0], 100.0)[1][:2]   # 31 January and 1 February 1970
    (1970, 2)
    """
    last = np.asarray(time, dtype=np.int64) + (interval - 1)
    if last.size == 0:
        return []
    first, final = (int(np.datetime64(int(t), "ns").astype("datetime64[M]").astype(np.int64)) for t in last[[0, -1]])
    months = np.arange(first, final + 1)
    ends = (months + 1).astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    until = np.searchsorted(last, ends, side="left") - 1
    earned = returns(np.asarray(equity, dtype=np.float64)[until], cash)
    return [(1970 + m // 12, m % 12 + 1, r) for m, r in zip(months.tolist(), earned.tolist(), strict=True)]


def total_return(equity: ArrayLike, cash: float) -> float:
    """Return what became of the initial cash: last equity / cash - 1, a fraction. NaN without a bar.

    >>> total_return([90.0, 125.0], cash=100.0)
    0.25
    """
    values = np.asarray(equity, dtype=np.float64)
    return float(values[-1]) / cash - 1.0 if values.size else math.nan


def cagr(equity: ArrayLike, cash: float, years: float) -> float:
    """Return the constant yearly growth that ends where the run ended: (last equity / cash)^(1/years) - 1.

    years: time covered in years of 365 days, the last bar included. NaN without a bar or without time; -1 after ruin;
    infinite where a short run's growth, made yearly, exceeds every float.

    >>> round(cagr([100.0, 121.0], cash=100.0, years=2.0), 12)
    0.1
    """
    values = np.asarray(equity, dtype=np.float64)
    return growth(float(values[-1]) / cash, years) if values.size else math.nan


def growth(factor: float, years: float) -> float:
    """Return factor^(1/years) - 1, the yearly growth behind a factor; NaN without time or for a factor below 0.

    >>> growth(4.0, years=2.0)
    1.0
    """
    if not years > 0 or not factor >= 0:
        return math.nan
    try:
        return float(factor ** (1.0 / years)) - 1.0
    except OverflowError:
        return math.inf
