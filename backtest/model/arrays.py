"""Array types that carry the dimension, and the few rules that every array of the model obeys."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "Float", "Int", "Int64", "frozen_array", "utc_text"]

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]
Int = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
SECOND = 1_000_000_000


def frozen_array(values: Any, dtype: Any) -> NDArray[Any]:
    """Return the values as a contiguous read-only array of the type, without a copy where they already are one."""
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def utc_text(time: int) -> str:
    """Return a time in ns UTC as text to the minute, or to the second where it has seconds.

    >>> utc_text(1_770_138_000_000_000_000)
    '2026-02-03T17:00Z'
    """
    seconds = np.datetime64(int(time) // SECOND, "s")
    text = str(seconds)
    return (text[:-3] if text.endswith(":00") else text) + "Z"
