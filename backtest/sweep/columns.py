"""Columns of rows as arrays, from their buffers: `to_numpy` would import pandas, which takes longer than all of this."""

from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.model.arrays import Float, Int64

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["integers", "lengths", "numbers"]


def integers(column: "pa.ChunkedArray[Any]") -> Int64:
    """Return a column of whole numbers without holes."""
    pieces = [np.frombuffer(whole(c), np.int64, len(c), 8 * c.offset) for c in column.chunks if len(c)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def whole(chunk: "pa.Array[Any]") -> Any:
    """Return the memory that a chunk's values lie in."""
    return chunk.buffers()[1]


def numbers(column: "pa.ChunkedArray[Any]") -> Float:
    """Return a column of numbers, NaN where there is none."""
    pieces = [numbers_of(chunk, str(column.type) == "double") for chunk in column.chunks if len(chunk)]
    return np.concatenate(pieces) if pieces else np.empty(0)


def numbers_of(chunk: Any, fractions: bool) -> Float:
    valid, data = chunk.buffers()
    dtype: Any = np.float64 if fractions else np.int64
    found = np.frombuffer(data, dtype, len(chunk), 8 * chunk.offset).astype(np.float64)
    if chunk.null_count and valid is not None:
        bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
        found[bits[chunk.offset : chunk.offset + len(chunk)] == 0] = np.nan
    return found


def lengths(column: "pa.ChunkedArray[Any]") -> Int64:
    """Return the number of bytes of each text of a column."""
    chunks: list[Any] = [chunk for chunk in column.chunks if len(chunk)]
    ends = [np.frombuffer(one.buffers()[1], np.int32, len(one) + 1, 4 * one.offset) for one in chunks]
    pieces = [np.diff(one.astype(np.int64)) for one in ends]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)
