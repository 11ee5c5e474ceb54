"""Bars drawn at random for the detectors of levels: long enough for windows of days, with wicks, gaps and volumes."""

import numpy as np
from hypothesis import strategies as st

from backtest import Bars

HOUR = 3_600_000_000_000
MONDAY = 1_767_571_200_000_000_000  # 2026-01-05T00:00Z


def bars_from(prices, volume=None, start=MONDAY, interval=HOUR):
    """Return bars of (open, high, low, close) rows, one after the other without gaps in time."""
    rows = np.array(prices, dtype=np.float64).reshape(-1, 4)
    columns = (np.ascontiguousarray(rows[:, k]) for k in range(4))
    n = len(rows)
    volumes = np.ones(n) if volume is None else np.array(volume, dtype=np.float64)
    return Bars("TEST", interval, start + interval * np.arange(n), *columns, volumes)


def head(bars, n):
    """Return the first n bars."""
    names = ("time", "open", "high", "low", "close", "volume")
    return Bars(bars.symbol, bars.interval, *(getattr(bars, name)[:n] for name in names))


def random_bars(seed, n, start=MONDAY, interval=HOUR, step=0.01):
    """Return n bars of a driftless walk; about one in fifty did not trade."""
    random = np.random.default_rng(seed)
    close = 60_000 * np.exp(np.cumsum(random.normal(0, step, n)))
    opened = np.concatenate(([60_000.0], close[:-1]))[:n]
    wick = np.abs(random.normal(0, step / 2, (2, n)))
    rows = np.column_stack(
        (opened, np.maximum(opened, close) * (1 + wick[0]), np.minimum(opened, close) * (1 - wick[1]), close)
    )
    volume = random.lognormal(0, 1, n)
    halted = random.random(n) < 0.02
    rows[halted], volume[halted] = np.nan, np.nan
    return bars_from(rows, volume, start, interval)


def walks_of(least, most):
    """Draw walks of bars of one or three hours that start at any hour of five weeks."""
    hours, sizes, seeds = st.integers(0, 24 * 35), st.integers(least, most), st.integers(0, 2**32 - 1)
    drawn = st.tuples(seeds, sizes, hours, st.sampled_from([HOUR, 3 * HOUR]))
    return drawn.map(lambda d: random_bars(d[0], d[1], MONDAY + HOUR * d[2], d[3]))


def columns(levels):
    """Return everything that a table of levels says, to be compared."""
    arrays = (levels.price, levels.half_width, levels.formed_at, levels.known_at, levels.until)
    return [a.tolist() for a in arrays] + [levels.kind, levels.params, levels.origin]
