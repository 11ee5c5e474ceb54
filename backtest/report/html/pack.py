"""Arrays as text for a page: whole numbers in differences, a byte or three each, base64; `unpack` in app.js is the way back."""

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.model.arrays import SECOND, Float, Int64

__all__ = ["decimals", "json_text", "packed", "packed_times", "packed_whole", "unpacked"]


def packed(values: Sequence[float] | Float, digits: int = 7) -> dict[str, Any]:
    """Return numbers as {n, d, gaps, b}, right to `digits` digits of the largest.

    d: decimals kept, negative where whole tens are left out; gaps: [first, count] of the stretches without a number; b: base64
    of the differences between neighbours of round(value * 10**d), a stretch without a number repeating the one before it.

    >>> packed([100.0, 100.5, math.nan, 99.5])
    {'n': 4, 'd': 1, 'gaps': [[2, 1]], 'b': '0A8KABM='}
    """
    array = np.asarray(values, dtype=np.float64)
    there = np.isfinite(array)
    d = decimals(array, digits)
    last = np.maximum.accumulate(np.where(there, np.arange(array.size), -1)) if array.size else np.empty(0, np.int64)
    filled = np.where(last >= 0, array[np.maximum(last, 0)], 0.0) if array.size else array
    whole = np.rint(filled * 10.0**d).astype(np.int64)
    return {"n": int(array.size), "d": d, "gaps": stretches(~there), "b": text_of(np.diff(whole, prepend=0))}


def packed_whole(values: Sequence[int] | Int64) -> dict[str, Any]:
    """Return whole numbers in the same form, exactly."""
    whole = np.asarray(values, dtype=np.int64)
    return {"n": int(whole.size), "d": 0, "gaps": [], "b": text_of(np.diff(whole, prepend=0))}


def packed_times(time: Int64, interval: int) -> dict[str, Any]:
    """Return bars' open times as {n, start, step, jumps}, seconds UTC; jumps: [bar, seconds more than a step before it]."""
    seconds = np.asarray(time, dtype=np.int64) // SECOND
    step = interval // SECOND
    more = np.diff(seconds) - step
    jumps = [[int(i) + 1, int(more[i])] for i in np.flatnonzero(more)]
    return {"n": int(seconds.size), "start": int(seconds[0]) if seconds.size else 0, "step": int(step), "jumps": jumps}


def decimals(values: Float, digits: int) -> int:
    """Return how many decimals to keep: `digits` digits of the largest value, fewer where all values have fewer.

    >>> decimals(np.array([67_490.0, 70_000.5]), 7), decimals(np.array([2.4e10]), 5), decimals(np.array([1 / 3]), 4)
    (1, -6, 4)
    """
    there = np.abs(values[np.isfinite(values)])
    largest = float(there.max()) if there.size else 0.0
    if largest == 0:
        return 0
    most = max(-300, min(300, digits - 1 - math.floor(math.log10(largest))))
    for d in range(min(0, most), most):
        scaled = there * 10.0**d
        if np.all(np.abs(np.rint(scaled) - scaled) < 1e-9 * min(1.0, largest * 10.0**d)):
            return d
    return most


def stretches(flags: Any) -> list[list[int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [[int(a), int(b - a)] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def text_of(steps: Int64) -> str:
    return base64.b64encode(written(steps)).decode("ascii")


def written(steps: Int64) -> bytes:
    """Return whole numbers as bytes, seven bits in each, the lowest first, the eighth bit set where more follow.

    The sign is in the lowest bit (0, -1, 1, -2 are 0, 1, 2, 3), as in Protocol Buffers' sint64.
    """
    plain = ((steps << 1) ^ (steps >> 63)).astype(np.uint64)
    columns: list[Any] = []
    more: list[Any] = []
    rest = plain
    while True:
        following = rest >> np.uint64(7)
        columns.append(((rest & np.uint64(127)) | np.where(following > 0, 128, 0).astype(np.uint64)).astype(np.uint8))
        more.append(rest > 0 if more else np.ones(rest.size, np.bool_))
        rest = following
        if not rest.any():
            break
    return bytes(np.column_stack(columns)[np.column_stack(more)].tobytes())


def unpacked(column: dict[str, Any]) -> Float:
    """Return the numbers of `packed`, as the page reads them: NaN in the gaps."""
    values, total, shift, number = [], 0, 0, 0
    for byte in base64.b64decode(column["b"]):
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            total += (number >> 1) ^ -(number & 1)
            values.append(total / 10.0 ** column["d"])
            shift = number = 0
    found = np.array(values, dtype=np.float64)
    for first, count in column["gaps"]:
        found[first : first + count] = np.nan
    return found


def json_text(data: Any) -> str:
    """Return plain data as JSON that can stand in a script element: no "<", ">" or "&", no line separators of Unicode.

    A number that JSON does not have is a ValueError.

    >>> json_text({"a": "</script>&"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u0026"}'
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
