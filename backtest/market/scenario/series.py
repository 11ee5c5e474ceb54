"""The few operations from which every simulated series is made: streams, bridges, memory, rounding.

All of them work element by element or by running sums, whose order is fixed: no matrix product and no library sum,
whose order depends on the machine. What comes out is rounded, so that the last bits of exp and log don't matter either.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

import numpy as np

from backtest.errors import MarketError
from backtest.model.arrays import SECOND, Float, Int64

Places = list[int] | Int64
Values = list[float] | Float

__all__ = ["Clock", "bridge", "interpolate", "kernel", "memory", "rounded", "since", "stream", "total"]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of one series: they depend on the seed and the name, and on no other series."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))))


@dataclass(frozen=True)
class Clock:
    """The grid: n bars of `interval` ns from `start` (ns UTC). Point k is the instant start + k*interval, k = 0..n.

    Bar i opens at point i and closes at point i + 1.
    """

    start: int
    interval: int
    n: int

    @property
    def points(self) -> Float:
        """(n + 1,) the numbers of the points."""
        return np.arange(self.n + 1, dtype=np.float64)

    @property
    def time(self) -> Int64:
        """(n,) open times of the bars, ns UTC."""
        return self.start + self.interval * np.arange(self.n, dtype=np.int64)

    @property
    def known_at(self) -> Int64:
        """(n,) close times of the bars, ns UTC."""
        return self.time + self.interval

    def bars(self, hours: float) -> int:
        """Return how many bars cover so many hours."""
        return round(hours * 3600 * SECOND / self.interval)

    def point(self, moment: datetime) -> int:
        """Return the point at a moment; a moment outside the span or between two points is an error."""
        offset = round(moment.timestamp()) * SECOND - self.start
        if offset % self.interval or not 0 <= offset <= self.n * self.interval:
            raise MarketError(f"{moment:%Y-%m-%dT%H:%MZ} is not on the bars of the scenario, or outside its span.")
        return offset // self.interval


def bridge(path: Float, points: Places, targets: Values) -> Float:
    """Return the path, led through the targets at the points by a correction that is linear between them.

    The correction is spread over all bars between two points, so no bar jumps; before the first point and after the
    last it is constant.

    >>> bridge(np.array([0.0, 1.0, 0.0]), [0, 2], [0.0, 4.0])
    array([0., 3., 4.])
    """
    missing = np.asarray(targets, dtype=np.float64) - path[np.asarray(points)]
    return path + interpolate(path.size, points, missing)


def interpolate(size: int, points: Places, values: Values) -> Float:
    """Return (size,) values, linear between the points and constant outside."""
    grid = np.arange(size, dtype=np.float64)
    return np.interp(grid, np.asarray(points, dtype=np.float64), np.asarray(values, dtype=np.float64))


def memory(shocks: Float, share: float) -> Float:
    """Return (k,) x_t = share*x_(t-1) + sqrt(1 - share^2)*shock_t: unit shocks give a series of unit variance."""
    scaled = (shocks * float(np.sqrt(1.0 - share * share))).tolist()
    return np.array(list(accumulate(scaled, lambda last, shock: share * last + shock)))


def since(size: int, point: int) -> Float:
    """Return (size,) the number of steps since the point, infinite before it."""
    steps = np.arange(size, dtype=np.float64) - point
    return np.where(steps >= 0, steps, np.inf)


def kernel(steps: Float, peak: float, life: float) -> Float:
    """Return a push that grows to 1 at `peak` steps, reverts, and is exactly 0 from `life` steps on."""
    x = np.minimum(steps, life) / peak
    return x * np.exp(1.0 - x) * (1.0 - np.minimum(steps, life) / life)


def rounded(values: Any, decimals: int) -> Float:
    """Return the values on the grid of so many decimals, each the double nearest to its decimal text."""
    grid = 10.0**decimals
    return np.asarray(np.rint(np.asarray(values, dtype=np.float64) * grid) / grid + 0.0, dtype=np.float64)  # no -0.0


def total(values: Float) -> float:
    """Return the sum, added in the array's order."""
    return float(np.cumsum(values)[-1]) if values.size else 0.0
