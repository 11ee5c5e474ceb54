"""The tables of a run as Arrow tables, ready for Parquet: codes as names, times as UTC timestamps, no time as null.

The columns are made from buffers: `pyarrow.array` would import pandas, a quarter of a second, to see whether it was
given any, and `take` would import all of Arrow's functions.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from backtest.model.result import NO_TIME, Ledger, Rejections, Result, Trades

__all__ = ["equity_table", "named_table"]

UTC_TIME = pa.timestamp("ns", tz="UTC")


def named_table(rows: Ledger | Trades | Rejections) -> pa.Table:
    """Return a ledger, trades or rejections with the columns of the model, names in place of codes."""
    columns: dict[str, Any] = {}
    for column in fields(rows)[1:]:
        values = np.asarray(getattr(rows, column.name))
        names = rows.symbols if column.name == "symbol" else rows.codes.get(column.name)
        if names is not None:
            # A side is +1 or -1, and -1 counts from the end of ("", "long", "short").
            columns[column.name] = texts(names, values.astype(np.int64) % max(1, len(names)))
        else:
            columns[column.name] = times(values) if column.name in rows.times else numbers(values)
    return table(columns)


def equity_table(result: Result) -> pa.Table:
    """Return time, equity and each symbol's signed position at the close of each scored bar ("position_SYMBOL")."""
    positions = result.positions
    held = {f"position_{symbol}": numbers(positions[:, j]) for j, symbol in enumerate(result.symbols)}
    return table({"time": times(result.time), "equity": numbers(result.equity_values), **held})


def table(columns: dict[str, Any]) -> pa.Table:
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def numbers(values: Any) -> Any:
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), values.size, [None, buffer(values)])


def times(values: Any) -> Any:
    stamps = np.ascontiguousarray(values, dtype=np.int64)
    known = np.packbits(stamps != NO_TIME, bitorder="little")
    return pa.Array.from_buffers(UTC_TIME, stamps.size, [buffer(known), buffer(stamps)])


def texts(names: Sequence[str], codes: Any) -> Any:
    """Return the name of each code."""
    encoded = [name.encode() for name in names]
    sizes = np.array([len(name) for name in encoded], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum(sizes[codes])]).astype(np.int32)
    joined = b"".join([encoded[code] for code in codes.tolist()])
    return pa.Array.from_buffers(pa.string(), codes.size, [None, buffer(ends), buffer(joined)])


def buffer(values: Any) -> Any:
    return pa.py_buffer(values)
