"""What the trades were worth: wins, losses, and how far price went for and against them."""

import math

import numpy as np
from numpy.typing import ArrayLike

from backtest.model.arrays import Float

__all__ = ["average_loss", "average_win", "excursions", "expectancy", "payoff", "profit_factor", "win_rate"]


def win_rate(pnl: ArrayLike) -> float:
    """Return the fraction of closed trades whose net PnL (fees and funding inside) is above 0. NaN without a trade.

    pnl: (k,) quote units, one a closed trade.

    >>> win_rate([5.0, -1.0, 0.0, 2.0])
    0.5
    """
    values = np.asarray(pnl, dtype=np.float64)
    return float(np.mean(values > 0)) if values.size else math.nan


def average_win(pnl: ArrayLike) -> float:
    """Return the mean net PnL of the trades above 0, quote units. NaN without one.

    >>> average_win([5.0, -1.0, 0.0, 2.0])
    3.5
    """
    values = np.asarray(pnl, dtype=np.float64)
    wins = values[values > 0]
    return float(np.mean(wins)) if wins.size else math.nan


def average_loss(pnl: ArrayLike) -> float:
    """Return the mean net PnL of the trades below 0, quote units, negative. NaN without one.

    >>> average_loss([5.0, -1.0, 0.0, -2.0])
    -1.5
    """
    return -average_win(-np.asarray(pnl, dtype=np.float64))


def payoff(pnl: ArrayLike) -> float:
    """Return the average win over the average loss, without sign. NaN without a win or without a loss.

    >>> payoff([5.0, -1.0, 0.0, -1.5])   # 5 / 1.25
    4.0
    """
    return average_win(pnl) / -average_loss(pnl)


def profit_factor(pnl: ArrayLike) -> float:
    """Return the sum of the wins over the sum of the losses, without sign. NaN without a loss.

    >>> profit_factor([5.0, -1.0, 0.0, -1.5])
    2.0
    """
    values = np.asarray(pnl, dtype=np.float64)
    lost = -float(np.sum(values[values < 0]))
    return float(np.sum(values[values > 0])) / lost if lost > 0 else math.nan


def expectancy(pnl: ArrayLike) -> float:
    """Return what a trade brings on average: mean net PnL, quote units. NaN without a trade.

    win rate * average win + rate of losses * average loss; trades of exactly 0 count among all.

    >>> expectancy([5.0, -1.0, 0.0, -2.0])
    0.5
    """
    values = np.asarray(pnl, dtype=np.float64)
    return float(np.mean(values)) if values.size else math.nan


def excursions(
    side: ArrayLike,
    entry_price: ArrayLike,
    exit_price: ArrayLike,
    entry_bar: ArrayLike,
    exit_bar: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
) -> tuple[Float, Float]:
    """Return (t,) MAE and (t,) MFE: how far price went against and for each trade, fractions of its entry price, 0 or above.

    side: +1 or -1; entry_bar, exit_bar: (t,) rows of low, high: (n,), one symbol's bars, NaN where it did not trade. The
    range is that of the bars from the entry's to the one before the exit's, and the exit price: what the exit's bar did
    after the exit is left out, so that the two are exact for exits at an open or a stop and at least that for others.
    The whole bar of an entry counts, also for one that filled inside it. An open trade has `exit_bar` = n and the last
    close as its exit price. Source: Sweeney, Maximum Adverse Excursion (1997).

    >>> mae, mfe = excursions([1], [100.0], [105.0], [0], [2], low=[98.0, 96.0, 90.0], high=[101.0, 110.0, 120.0])
    >>> mae.round(12).tolist(), mfe.round(12).tolist()
    ([0.04], [0.1])
    """
    first, last = np.asarray(entry_bar, dtype=np.int64), np.asarray(exit_bar, dtype=np.int64)
    s, entry, out = (np.asarray(x, dtype=np.float64) for x in (side, entry_price, exit_price))
    if not first.size:
        return np.empty(0), np.empty(0)
    lowest = np.fmin(within(low, first, last, np.fmin), np.fmin(entry, out))
    highest = np.fmax(within(high, first, last, np.fmax), np.fmax(entry, out))
    up, down = highest / entry - 1.0, 1.0 - lowest / entry
    return np.where(s > 0, down, up), np.where(s > 0, up, down)


def within(values: ArrayLike, first: np.ndarray, last: np.ndarray, extreme: np.ufunc) -> Float:
    """Return (t,) the extreme of values[first:last], NaN where that is empty."""
    bounds = np.column_stack((first, last)).ravel()
    found = extreme.reduceat(np.append(np.asarray(values, dtype=np.float64), np.nan), bounds)[::2]
    return np.where(last > first, found, np.nan)
