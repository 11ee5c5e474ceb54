"""The passport's line on one series: origin, source, span, gaps, checksum and findings."""

import hashlib

import numpy as np

from backtest.market.read import Columns
from backtest.model.arrays import Float, Int64
from backtest.model.passport import Origin, Series

__all__ = ["certify", "digest"]


def certify(
    name: str, origin: Origin, columns: Columns, findings: tuple[str, ...], gaps: int = 0, interval: int = 0
) -> Series:
    """Return the passport's line on a series as loaded; the span ends one interval after the last time, ns UTC."""
    time = columns.time
    start, end = (int(time[0]), int(time[-1]) + interval) if time.size else (0, 0)
    checksum = digest(time, *columns.values.values())
    return Series(name, origin, columns.source, start, end, int(time.size), gaps, checksum, findings)


def digest(time: Int64, *values: Float) -> str:
    """Return the SHA-256 of a series: its times as little-endian int64, then each column as little-endian float64.

    Every NaN counts as the same one and -0.0 as 0.0, so that equal series have equal checksums on every machine.
    """
    checksum = hashlib.sha256(np.ascontiguousarray(time, dtype="<i8").tobytes())
    for column in values:
        canonical = np.where(np.isnan(column), np.nan, column) + 0.0
        checksum.update(np.ascontiguousarray(canonical, dtype="<f8").tobytes())
    return checksum.hexdigest()
