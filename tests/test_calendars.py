"""Which rows a series should have: a weekend of an exchange is no gap, a missing Wednesday is one."""

import numpy as np

from backtest.market.calendars import absent_rows, calendar_of
from backtest.market.validate import feed_findings
from backtest.model.arrays import DAY

# 2026-01-05, a Monday, to Friday 2026-01-16
WEEKDAYS = 1_767_571_200_000_000_000 + DAY * np.array([0, 1, 2, 3, 4, 7, 8, 9, 10, 11])
WITHOUT_WEDNESDAY = np.delete(WEEKDAYS, 7)


def sentences(time: np.ndarray) -> list[str]:
    return [finding.text for finding in feed_findings("vix", time, np.ones(time.size), DAY)]


def test_a_weekend_of_an_exchange_is_no_gap() -> None:
    assert calendar_of(WEEKDAYS, DAY) == "weekdays"
    assert absent_rows(WEEKDAYS, DAY).tolist() == [0] * 9
    assert sentences(WEEKDAYS) == []


def test_a_missing_wednesday_is_one() -> None:
    assert absent_rows(WITHOUT_WEDNESDAY, DAY).tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    assert sentences(WITHOUT_WEDNESDAY) == [
        "vix misses 1 value in 1 gap, the first after 2026-01-13T00:00Z; the last known value stands in them."
    ]


def test_a_series_that_knows_saturdays_misses_its_sunday() -> None:
    every = np.append(WEEKDAYS, WEEKDAYS[4] + DAY)
    every.sort()
    assert calendar_of(every, DAY) == "every"
    assert absent_rows(every, DAY).sum() == 1
