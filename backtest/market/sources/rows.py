"""Rows of a series as they came, and what is done to them before they are a page: sorted, and each time once."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from backtest.market.validate import count
from backtest.model.arrays import utc_text

__all__ = ["Rows", "Values", "tidy"]

Values = dict[str, npt.NDArray[Any]]


class Rows(NamedTuple):
    """Columns, `time` among them, and sentences about it."""

    columns: Values
    notes: tuple[str, ...] = ()


def tidy(columns: Values) -> Rows:
    """Return rows sorted by time, each time once: the last of several; rows that are there twice are told from others."""
    order = np.argsort(columns["time"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    time = columns["time"]
    again = np.append(False, time[1:] == time[:-1]) if time.size else np.zeros(0, dtype=bool)
    if not again.any():
        return Rows(columns)
    same = np.logical_and.reduce([equal(values) for values in columns.values()])
    kept = np.append(~again[1:], True)
    differ = int((again & ~same).sum())
    first = utc_text(int(time[again][0]))
    said = f"The source repeats {count(int(again.sum()), 'row')}, first at {first}"
    said += f"; {differ:,} of them differ, and the last is kept." if differ else "; they are the same."
    return Rows({name: values[kept] for name, values in columns.items()}, (said,))


def equal(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each value is that of the row before, NaN like NaN."""
    same = (values[1:] == values[:-1]) | ((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    return np.append(False, same)
