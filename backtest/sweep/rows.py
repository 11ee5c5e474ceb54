"""Rows of a sweep as tables: one column for each axis, then the figures."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from backtest.sweep.axes import Axis
from backtest.sweep.point import COUNTS, FIGURES, Row
from backtest.sweep.space import Space

__all__ = ["schema_of", "table_of"]

LAST: tuple[tuple[str, pa.DataType], ...] = (
    ("ambiguous_bars", pa.int64()),
    ("rejections", pa.int64()),
    ("run", pa.string()),
    ("seconds", pa.float64()),
    ("error", pa.string()),
)


def schema_of(space: Space) -> pa.Schema:
    """Return the columns of a sweep's rows and their types."""
    fields: list[tuple[str, pa.DataType]] = [("point", pa.int64())]
    fields += [("market", pa.string())] if len(space.markets) > 1 else []
    fields += [("strategy", pa.string())] if len(space.strategies) > 1 else []
    fields += [(column, type_of(axis)) for axis, column in zip(space.axes, space.columns, strict=True)]
    fields += [(name, pa.int64() if is_count(name) else pa.float64()) for name in FIGURES]
    return pa.schema([*fields, *LAST])


def is_count(name: str) -> bool:
    return name.removesuffix("_worst").removesuffix("_best") in COUNTS


def type_of(axis: Axis) -> pa.DataType:
    """Return the type of an axis's column: numbers as numbers, several at once as a list, anything mixed as text."""
    if axis.span is not None:
        return pa.int64() if axis.whole else pa.float64()
    kinds = {type(value) for value in axis.values}
    for kind, found in ((bool, pa.bool_()), (int, pa.int64())):
        if kinds == {kind}:
            return found
    if kinds <= {int, float}:
        return pa.float64()
    members = {type(member) for value in axis.values if isinstance(value, tuple) for member in value}
    if kinds == {tuple} and members <= {int, float}:
        return pa.list_(pa.float64())
    return pa.list_(pa.string()) if kinds == {tuple} and members <= {str} else pa.string()


def table_of(space: Space, indexes: Sequence[int], rows: Sequence[Row]) -> pa.Table:
    """Return the rows of some points as a table."""
    schema = schema_of(space)
    values = [space.values(index) for index in indexes]
    columns: list[list[Any]] = []
    for field in schema:
        if field.name == "point":
            columns.append(list(indexes))
        elif values and field.name in values[0]:
            columns.append([fitted(one[field.name], field.type) for one in values])
        else:
            columns.append([row[field.name] for row in rows])
    arrays = [column_of(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def column_of(values: list[Any], kind: pa.DataType) -> Any:
    """Return values, None where there is none, as a column; from buffers, since `pyarrow.array` would import pandas."""
    dtype = np.int64 if pa.types.is_integer(kind) else np.float64 if pa.types.is_floating(kind) else None
    if dtype is not None and None not in values:
        return from_buffers(kind, len(values), [None, np.array(values, dtype)])
    missing = [value is None for value in values]
    valid = [np.packbits(np.logical_not(missing), bitorder="little")] if any(missing) else [None]
    if pa.types.is_list(kind):
        members = [member for value in values if value is not None for member in value]
        children = [column_of(members, kind.value_type)]
        return from_buffers(kind, len(values), [*valid, ends(0 if v is None else len(v) for v in values)], children)
    if pa.types.is_string(kind):
        texts = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
        return from_buffers(kind, len(values), [*valid, ends(map(len, texts)), b"".join(texts)])
    if pa.types.is_boolean(kind):
        bits = np.packbits(np.array([bool(value) for value in values], np.bool_), bitorder="little")
        return from_buffers(kind, len(values), [*valid, bits])
    return from_buffers(kind, len(values), [*valid, np.array([0 if v is None else v for v in values], dtype)])


def ends(lengths: Iterable[int]) -> Any:
    """Return where each value begins and the last one ends."""
    return np.concatenate(([0], np.cumsum(np.fromiter(lengths, np.int64)))).astype(np.int32)


def from_buffers(kind: pa.DataType, size: int, buffers: list[Any], children: list[Any] | None = None) -> Any:
    made = [None if one is None else pa.py_buffer(one) for one in buffers]
    return pa.Array.from_buffers(kind, size, made, children=children)


def fitted(value: Any, kind: pa.DataType) -> Any:
    if kind == pa.string() and value is not None and not isinstance(value, str):
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return list(value) if isinstance(value, tuple) else value
