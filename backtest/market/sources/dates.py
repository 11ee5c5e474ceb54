"""Days and months in UTC, as the names of files and sentences have them."""

import numpy as np

__all__ = ["day_text", "day_time", "month_start", "month_text", "next_month"]


def day_time(text: str) -> int:
    """Return the ns UTC at which a day begins."""
    return int(np.datetime64(text, "ns").astype(np.int64))


def day_text(time: int) -> str:
    """Return the day of a time.

    >>> day_text(day_time("2024-03-01") - 1)
    '2024-02-29'
    """
    return str(np.datetime64(time, "ns").astype("M8[D]"))


def month_text(time: int) -> str:
    """Return the month of a time."""
    return day_text(time)[:7]


def month_start(time: int) -> int:
    """Return the ns UTC at which a time's month begins."""
    return int(np.datetime64(time, "ns").astype("M8[M]").astype("M8[ns]").astype(np.int64))


def next_month(time: int) -> int:
    """Return the ns UTC at which the month after a time's begins."""
    return int((np.datetime64(time, "ns").astype("M8[M]") + 1).astype("M8[ns]").astype(np.int64))
