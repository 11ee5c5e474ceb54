"""Time every detector of levels on a long random walk; the figures are the best of a few rounds.

    python tests/bench_levels.py

A million hourly bars, bound to stay below 50 ns a bar (donchian, prior, pivot, round numbers) and 30 ns (fractal, zigzag),
and a hundred thousand for the volume profile and the clusters, bound to stay below 2 s. What the walk is made of is
drawn once; what is timed is `find`, table included.
"""

import time

import numpy as np

from backtest import Bars
from backtest.levels import Detector, avwap, cluster, donchian, fractal, pivot, prior, profile, round_numbers, zigzag

HOUR = 3_600_000_000_000
ROUNDS = 5
MANY, FEW = 1_000_000, 100_000
LONG: list[tuple[Detector, float]] = [
    (donchian(20), 50),
    (donchian(55), 50),
    (prior("day"), 50),
    (prior("month"), 50),
    (pivot("day"), 50),
    (round_numbers(), 50),
    (fractal(2), 30),
    (fractal(5), 30),
    (zigzag(), 30),
    (avwap("month"), float("inf")),
]
SHORT: list[tuple[Detector, float]] = [(profile(), 2.0), (cluster(), 2.0)]
COMBINED = fractal(3) | round_numbers() | prior("week")


def walk(n: int, step: float = 0.004, seed: int = 1) -> Bars:
    """Return hourly bars that wander between about 20,000 and 200,000."""
    random = np.random.default_rng(seed)
    log, moves = np.empty(n), random.normal(0, step, n)
    log[:] = np.cumsum(moves)
    log = np.abs((log - np.log(3)) % (4 * np.log(3)) - 2 * np.log(3)) - np.log(
        3
    )  # folded, so that it stays in the span
    close = 60_000 * np.exp(log)
    opened = np.concatenate(([close[0]], close[:-1]))
    wick = np.abs(random.normal(0, step / 2, (2, n)))
    high, low = np.maximum(opened, close) * (1 + wick[0]), np.minimum(opened, close) * (1 - wick[1])
    hours = 1_577_836_800_000_000_000 + HOUR * np.arange(n)
    return Bars("WALK", HOUR, hours, opened, high, low, close, random.lognormal(0, 1, n))


def best(detector: Detector, bars: Bars) -> tuple[float, int]:
    """Return the shortest time, seconds, that a search took, and how many levels it found."""
    detector.find(bars)  # compiles what is compiled
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        levels = detector.find(bars)
        times.append(time.perf_counter() - began)
    return min(times), len(levels)


def main() -> int:
    late = 0
    many, few = walk(MANY), walk(FEW)
    for detector, bound in LONG:
        took, found = best(detector, many)
        late += 1e9 * took / MANY > bound
        print(f"{detector!s:60} {1e9 * took / MANY:8.1f} ns a bar (below {bound:g}) {found:>9,} levels")
    for detector, bound in SHORT:
        took, found = best(detector, few)
        late += took > bound
        print(f"{detector!s:60} {took:8.2f} s (below {bound:g}) {found:>16,} levels")
    took, found = best(COMBINED, few)
    print(f"{'merged, ' + f'{FEW:,} bars':60} {took:8.2f} s {found:>26,} levels")
    return int(late > 0)


if __name__ == "__main__":
    raise SystemExit(main())
