"""Which rows a series should have: every one, those of weekdays, those of sessions, or stamps whose distance may change."""

from typing import Literal

import numpy as np

from backtest.model.arrays import DAY, Int64

__all__ = ["Calendar", "absent_rows", "calendar_of"]

Calendar = Literal["every", "weekdays", "sessions", "stamps"]

LONG_GAP = 1.5  # a pause between stamps this much longer than both neighbouring ones is a gap
THURSDAY = 3  # 1970-01-01 in weeks that start on Mondays
SATURDAY = 5


def calendar_of(time: Int64, interval: int) -> Calendar:
    """Return which rows a sorted series should have.

    "stamps" without an interval; "weekdays" (days) or "sessions" (shorter) for a series of eight days or more without a
    single row on a Saturday, as exchanges of stocks keep; "every" otherwise, as crypto does.
    """
    if not interval:
        return "stamps"
    if interval > DAY or time.size < 2 or int(time[-1] - time[0]) < 8 * DAY:
        return "every"
    if bool(np.any((time // DAY + THURSDAY) % 7 == SATURDAY)):
        return "every"
    return "weekdays" if interval == DAY else "sessions"


def absent_rows(time: Int64, interval: int) -> Int64:
    """Return how many rows that the series' own calendar asks for are missing between each row and the next, (k - 1,)."""
    return np.maximum(absent_after(time, interval, calendar_of(time, interval)), 0)


def absent_after(time: Int64, interval: int, calendar: Calendar) -> Int64:
    """Return how many rows are missing between each row and the next, (k - 1,)."""
    steps = np.diff(time)
    if calendar == "stamps":
        return absent_stamps(steps)
    if calendar == "weekdays":
        days = (time // DAY).astype("datetime64[D]")
        return np.asarray(np.busday_count(days[:-1], days[1:]), dtype=np.int64) - 1
    absent = np.asarray(steps // interval - 1, dtype=np.int64)
    if calendar == "sessions":  # the night between two sessions is no gap
        absent[np.diff(time // DAY) > 0] = 0
    return absent


def absent_stamps(steps: Int64) -> Int64:
    """Return the stamps missing in each step: those that the larger neighbouring step would have fitted in.

    Funding intervals change (8h to 4h to 1h), so no fixed grid can be asked for.
    """
    if steps.size < 2:
        return np.zeros(steps.size, dtype=np.int64)
    usual = np.maximum(np.concatenate(([steps[1]], steps[:-1])), np.concatenate((steps[1:], [steps[-2]])))
    usual = np.maximum(usual, 1)
    absent = np.rint(steps / usual).astype(np.int64) - 1
    return np.where(steps > LONG_GAP * usual, np.maximum(absent, 1), 0)
