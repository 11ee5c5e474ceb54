"""Intervals and times as text: "1h" and "2026-02-03T17:00Z" to nanoseconds UTC, and the grid on which bars stand."""

import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from backtest.model.arrays import DAY, HOUR, SECOND

__all__ = ["grid_offset", "interval_text", "parse_interval", "parse_time", "regular"]

MINUTE = 60 * SECOND
WEEK = 7 * DAY
MONDAY = (
    4 * DAY
)  # 1970-01-05, the first Monday of the epoch: weekly bars open on Mondays, all others on the epoch's grid
UNITS = {"w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(1970, 2262)  # what int64 ns can hold


def parse_interval(text: object) -> int:
    """Return the ns of an interval such as "15m", "1h", "8h", "1d" or "1w"; ValueError for anything else.

    >>> parse_interval("8h") // HOUR
    8
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'must be an interval like "15m", "1h" or "1d", got {text!r}')
    return int(match[1]) * UNITS[match[2]]


def interval_text(span: int) -> str:
    """Return a length of time in ns as text, in the largest unit that divides it.

    >>> interval_text(90 * MINUTE), interval_text(DAY), interval_text(5_000_000)
    ('90m', '1d', '5ms')
    """
    for unit, size in UNITS.items():
        if unit != "w" and span and span % size == 0:
            return f"{span // size}{unit}"
    return f"{span / 1e6:g}ms"


def parse_time(value: object) -> int:
    """Return the ns UTC of an ISO text, a TOML date or a TOML time; a time without a zone is UTC. ValueError otherwise.

    >>> parse_time("2025-07-01T02:00+02:00") == parse_time("2025-07-01")
    True
    """
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if not isinstance(moment, datetime) or moment.year not in YEARS:
        raise ValueError(f'must be a time like "2025-07-01" or "2025-07-01T08:00Z", got {value!r}')
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def grid_offset(times: npt.NDArray[np.int64], interval: int) -> npt.NDArray[np.int64]:
    """Return how far past the interval's grid each time stands, in [0, interval) ns."""
    return (times - (MONDAY if interval % WEEK == 0 else 0)) % interval


def regular(times: npt.NDArray[np.int64], interval: int) -> bool:
    """Whether times are the neighbouring ones of the interval's grid; found out without a division for each.

    >>> regular(np.array([0, 1, 2]) * HOUR, HOUR), regular(np.array([0, 2]) * HOUR, HOUR)
    (True, False)
    """
    return not grid_offset(times[:1], interval).any() and bool(np.all(np.diff(times) == interval))
