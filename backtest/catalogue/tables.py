"""The tables of a run as Arrow tables, ready for Parquet: codes as names, times as UTC timestamps, no time as null."""

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
        values = getattr(rows, column.name)
        names = rows.symbols if column.name == "symbol" else rows.codes.get(column.name)
        if names is not None:
            # A side is +1 or -1, and -1 counts from the end of ("", "long", "short").
            codes: Any = pa.array(np.asarray(values, dtype=np.int64) % len(names))
            columns[column.name] = pa.array(names, pa.string()).take(codes)
        elif column.name in rows.times:
            columns[column.name] = times(values)
        else:
            columns[column.name] = pa.array(values)
    return pa.table(columns)


def equity_table(result: Result) -> pa.Table:
    """Return time, equity and each symbol's signed position at the close of each scored bar ("position_SYMBOL")."""
    positions = result.positions
    held = {f"position_{symbol}": pa.array(positions[:, j]) for j, symbol in enumerate(result.symbols)}
    return pa.table({"time": times(result.time), "equity": pa.array(result.equity), **held})


def times(values: Any) -> Any:
    stamps = np.asarray(values, dtype=np.int64)
    return pa.array(stamps, pa.int64(), mask=stamps == NO_TIME).cast(UTC_TIME)
