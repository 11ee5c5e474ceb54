"""Kaplan-Meier: how long something takes when some of it was still under way at the end."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64, frozen_array

__all__ = ["Survival", "kaplan_meier"]


@dataclass(frozen=True, eq=False)
class Survival:
    """The share still waiting after each time at which something happened.

    time: (k,) increasing; waiting: (k,) share in [0, 1] just after it; error: (k,) its standard error; at_risk: (k,)
    number that waited just before it.
    """

    time: Float
    waiting: Float
    error: Float
    at_risk: Int64

    def __post_init__(self) -> None:
        for name in ("time", "waiting", "error"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    @property
    def median(self) -> float:
        """The first time at which at most half still wait; NaN where more than half wait to the end."""
        half = np.flatnonzero(self.waiting <= 0.5)
        return float(self.time[half[0]]) if half.size else math.nan

    def reached(self, time: float, confidence: float = 0.95) -> tuple[float, float, float]:
        """Return the share reached by a time, and its interval (Greenwood, normal), fractions."""
        i = int(np.searchsorted(self.time, time, side="right")) - 1
        if i < 0:
            return 0.0, 0.0, 0.0
        share, spread = 1 - self.waiting[i], NormalDist().inv_cdf(0.5 + confidence / 2) * self.error[i]
        return float(share), float(max(0.0, share - spread)), float(min(1.0, share + spread))


def kaplan_meier(time: Float, happened: BoolArray) -> Survival:
    """Return the product-limit estimate of the share that still waits.

    time: (k,) how long each was watched, any unit; happened: (k,) whether it happened then, False where it was still
    waiting when the watching ended (censored); at equal times the censored still counted as waiting.

    Formula: S(t) = prod over t_i <= t of (1 - d_i / n_i); error S sqrt(sum d_i / (n_i (n_i - d_i))). Source: E. Kaplan & P.
    Meier, JASA 53 (1958); M. Greenwood, 1926, for the error.

    >>> kaplan_meier(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, True, False, True])).waiting.tolist()
    [0.75, 0.5, 0.0]
    """
    times = np.unique(time[happened])
    died = np.bincount(np.searchsorted(times, time[happened]), minlength=times.size)
    risk = time.size - np.searchsorted(np.sort(time), times, side="left")
    waiting = np.cumprod(1 - died / np.maximum(risk, 1))
    left = risk - died
    terms = np.divide(died, risk * left, out=np.zeros(times.size), where=left > 0)
    error = np.asarray(waiting * np.sqrt(np.cumsum(terms)), np.float64)
    return Survival(times, np.asarray(waiting, np.float64), error, risk.astype(np.int64))
