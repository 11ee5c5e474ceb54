"""Series for the tests of the store: seeded bars, pages of them, and what a folder holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backtest.market.sources.base import Page

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
JULY = 1_751_328_000 * SECOND  # 2025-07-01T00:00Z
LATER = JULY + 3_650 * DAY  # a clock by which all of these bars are closed
NOW = 1_772_323_200 * SECOND  # 2026-03-01T00:00Z, when pages are said to have come


def bars(n: int, start: int = JULY, step: int = HOUR, seed: int = 1) -> dict[str, np.ndarray]:
    """Return n bars of a seeded random walk."""
    rng = np.random.default_rng(seed)
    close = 60_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, n)))
    opens = np.concatenate(([60_000.0], close[:-1]))
    return {
        "time": start + step * np.arange(n, dtype=np.int64),
        "open": opens,
        "high": np.maximum(opens, close) * 1.001,
        "low": np.minimum(opens, close) * 0.999,
        "close": close,
        "volume": rng.exponential(30.0, n),
    }


def cut(columns: Mapping[str, np.ndarray], start: int, end: int, notes: tuple[str, ...] = ()) -> Page:
    """Return the page that covers [start, end) of a series."""
    inside = (columns["time"] >= start) & (columns["time"] < end)
    return Page({k: v[inside] for k, v in columns.items()}, start, end, notes)


def pages(columns: Mapping[str, np.ndarray], step: int, rows: int) -> list[Page]:
    """Return a series as pages of so many rows."""
    first, last = int(columns["time"][0]), int(columns["time"][-1]) + step
    return [cut(columns, a, min(a + rows * step, last)) for a in range(first, last, rows * step)]


def files(folder: Path) -> dict[str, bytes]:
    """Return the Parquet files of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two series are the same, column by column."""
    return list(a) == list(b) and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)
