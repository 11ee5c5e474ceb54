"""How much was held and traded: exposure, turnover and holding time."""

import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["exposure", "mean_holding", "traded_notional", "turnover"]


def exposure(bar: ArrayLike, symbol: ArrayLike, quantity: ArrayLike, bars: int) -> float:
    """Return the fraction of bars at whose close a position in any symbol was held. NaN without a bar.

    bar, symbol, quantity: (k,) the signed quantity of a symbol after each change, in order of time; bars: of the run.
    Of one side only: with the quantities of the other side as 0.

    >>> exposure(bar=[2, 6], symbol=[0, 0], quantity=[-1.5, 0.0], bars=10)   # held at the closes of 2, 3, 4, 5
    0.4
    """
    at, of = np.asarray(bar, dtype=np.int64), np.asarray(symbol)
    if bars <= 0:
        return math.nan
    held = (np.asarray(quantity, dtype=np.float64) != 0).astype(np.int64)
    step = held.copy()
    for code in np.unique(of):
        mine = np.flatnonzero(of == code)
        step[mine[1:]] -= held[mine[:-1]]
    until = np.append(at[1:], bars)
    return float(np.sum((until - at)[np.cumsum(step) > 0])) / bars


def traded_notional(
    symbol: ArrayLike, quantity: ArrayLike, trade_symbol: ArrayLike, entry_price: ArrayLike, exit_price: ArrayLike
) -> float:
    """Return the notional of everything that was bought and sold, quote units.

    symbol, quantity: (k,) the signed quantity of a symbol after each change, in order of time; trade_symbol, entry_price,
    exit_price: (t,) of the round trips, in the order of their entries. What makes a position larger counts at the trade's
    average entry price, what makes it smaller at its exit price: exact for trades that are opened and closed at once.

    >>> traded_notional([0, 0], [2.0, 0.0], [0], [100.0], [110.0])   # 2 * 100 + 2 * 110
    420.0
    """
    of, now = np.asarray(symbol), np.asarray(quantity, dtype=np.float64)
    owner = np.asarray(trade_symbol)
    entry, out = (np.asarray(x, dtype=np.float64) for x in (entry_price, exit_price))
    total = 0.0
    for code in np.unique(of):
        held = now[of == code]
        before = np.concatenate(([0.0], held[:-1]))
        trade = np.flatnonzero(owner == code)[np.cumsum((before == 0) & (held != 0)) - 1]
        more = np.abs(held) - np.abs(before)
        total += float(np.sum(np.where(more > 0, more * entry[trade], -more * out[trade])))
    return total


def turnover(traded: float, mean_equity: float, years: float) -> float:
    """Return how often the equity is traded in a year: notional bought and sold / mean equity / years.

    traded: quote units, both sides of every trade. NaN without time or equity.

    >>> turnover(traded=4000.0, mean_equity=1000.0, years=0.5)
    8.0
    """
    return traded / mean_equity / years if mean_equity > 0 and years > 0 else math.nan


def mean_holding(entry_bar: ArrayLike, exit_bar: ArrayLike) -> float:
    """Return the mean number of bars from the bar of the entry to that of the exit. NaN without a trade.

    >>> mean_holding(entry_bar=[1, 5], exit_bar=[4, 6])
    2.0
    """
    first, last = np.asarray(entry_bar, dtype=np.float64), np.asarray(exit_bar, dtype=np.float64)
    return float(np.mean(last - first)) if first.size else math.nan
