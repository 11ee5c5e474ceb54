"""The passport's line on one series: origin, source, span, gaps, checksum and findings."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from backtest.market.read import Columns
from backtest.model.arrays import Float, Int64
from backtest.model.passport import Origin, Series

__all__ = ["begin_digest", "certify", "digest"]

CHUNK = 32_768  # values that are hashed at once: their copy stays in the processor's cache


def certify(
    name: str,
    origin: Origin,
    columns: Columns,
    findings: tuple[str, ...],
    gaps: int = 0,
    interval: int = 0,
    checksum: str | None = None,
    partial: bool = False,
) -> Series:
    """Return the passport's line on a series as loaded; the span ends one interval after the last time, ns UTC.

    checksum: the series' digest where it is known already; partial: part of it was never fetched.
    """
    time = columns.time
    start, end = (int(time[0]), int(time[-1]) + interval) if time.size else (0, 0)
    checksum = digest(time, *columns.values.values()) if checksum is None else checksum
    return Series(name, origin, columns.source, start, end, int(time.size), gaps, checksum, findings, partial=partial)


def begin_digest(columns: Columns) -> "Future[str]":
    """Start the digest of a series on another core, while this one goes on with the series."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(digest, columns.time, *columns.values.values())
    pool.shutdown(wait=False)
    return future


def digest(time: Int64, *values: Float) -> str:
    """Return the SHA-256 of a series: its times as little-endian int64, then each column as little-endian float64.

    Every NaN counts as the same one and -0.0 as 0.0, so that equal series have equal checksums on every machine.
    """
    checksum = hashlib.sha256(np.ascontiguousarray(time, dtype="<i8").data)
    for column in values:
        for i in range(0, column.size, CHUNK):
            canonical = (column[i : i + CHUNK] + 0.0).astype("<f8", copy=False)
            canonical[np.isnan(canonical)] = np.nan
            checksum.update(canonical.data)
    return checksum.hexdigest()
