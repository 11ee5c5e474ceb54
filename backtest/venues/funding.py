"""Funding: what a stamp pays, which stamps a position meets, and their sum."""

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64

__all__ = ["first_updates", "funding_payment", "funding_series", "funding_stamps"]


def funding_payment(side: int, notional: float, rate: float, share: float = 1.0) -> float:
    """Return the cash that a funding stamp brings: below 0 where the position pays.

    notional: at the mark of the stamp, `linear.notional` in quote units or `inverse.notional` in coin; rate: what longs
    pay to shorts; share: the part of the interval that the position was held, for venues that pay by time (Kraken). NaN
    gives NaN. Formula: -s * notional * rate * share.

    >>> funding_payment(-1, 20_000.0, 0.0001)
    2.0
    """
    return -side * notional * rate * share + 0.0  # no negative zero for a flat position


def funding_stamps(times: Int64, opened: int, closed: int, at_open: bool = False, grace: int = 0) -> BoolArray:
    """Return which stamps a position pays that was held from `opened` to `closed`; all times in ns UTC.

    The rule is (opened, closed]: opened at a stamp, it doesn't pay it; closed at a stamp, it does. Venues differ:
    `at_open` counts the stamp at the very opening too, and `grace` those less than that many ns before it (Binance
    charges entries within 15 seconds after a stamp).

    >>> funding_stamps(np.array([0, 8, 16]), 0, 16).tolist()
    [False, True, True]
    >>> funding_stamps(np.array([0, 8, 16]), 1, 8, at_open=True, grace=2).tolist()
    [True, True, False]
    """
    after = times >= opened if at_open else times > opened
    return (after | (opened - times < grace)) & (times <= closed)


def funding_series(side: int, notionals: Float, rates: Float, due: BoolArray) -> float:
    """Return the cash that the stamps of a holding brought together; 0 without any.

    notionals, rates: (k,), at each stamp; due: (k,), from `funding_stamps`. A NaN in a stamp that is due gives NaN: an
    unknown payment never counts as zero. Formula: sum of -s * notional * rate.

    >>> funding_series(+1, np.array([100.0, 200.0]), np.array([0.01, np.nan]), np.array([True, False]))
    -1.0
    """
    return -side * float(np.sum(notionals[due] * rates[due])) + 0.0


def first_updates(times: Int64) -> BoolArray:
    """Return which updates settle: the first of each stamp, so that a rate sent twice is paid once.

    >>> first_updates(np.array([0, 0, 8])).tolist()
    [True, False, True]
    """
    first = np.zeros(len(times), dtype=np.bool_)
    first[np.unique(times, return_index=True)[1]] = True
    return first
