"""Returns by day and by month against calendars worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_result import HOUR, START

from backtest.analysis import metrics

DAY = 24 * HOUR


def test_a_day_ends_with_the_bar_that_closes_at_midnight():
    # hourly bars from 22:00: the closes of 23:00 and 24:00 are the first day's, that of 01:00 the second's
    days, earned = metrics.daily_returns(START + HOUR * np.array([22, 23, 24]), HOUR, [101.0, 110.0, 99.0], 100.0)
    assert days.tolist() == [START, START + DAY]
    assert earned == pytest.approx([0.1, -0.1], abs=1e-15)


def test_bars_across_midnight_belong_to_the_day_of_their_close():
    half = HOUR // 2
    days, earned = metrics.daily_returns(START + half + HOUR * np.array([22, 23]), HOUR, [110.0, 121.0], 100.0)
    assert days.tolist() == [START, START + DAY]  # 22:30-23:30 and 23:30-00:30
    assert earned == pytest.approx([0.1, 0.1], abs=1e-15)


def test_a_day_without_a_bar_earns_nothing_and_counts():
    days, earned = metrics.daily_returns(START + DAY * np.array([0, 3]), DAY, [110.0, 121.0], 100.0)
    assert ((days - START) // DAY).tolist() == [0, 1, 2, 3]
    assert earned == pytest.approx([0.1, 0.0, 0.0, 0.1], abs=1e-15)


def test_bars_of_three_days_earn_on_their_last_day():
    days, earned = metrics.daily_returns([START, START + 3 * DAY], 3 * DAY, [110.0, 121.0], 100.0)
    assert ((days - START) // DAY).tolist() == [2, 3, 4, 5]
    assert earned == pytest.approx([0.1, 0.0, 0.0, 0.1], abs=1e-15)


def test_ruin_on_the_first_day_is_a_loss_of_all_and_then_nothing():
    earned = metrics.daily_returns(START + DAY * np.arange(3), DAY, [0.0, 0.0, 0.0], 100.0)[1]
    assert earned.tolist() == [-1.0, 0.0, 0.0]


def test_without_a_bar_there_is_no_day_and_no_month():
    days, earned = metrics.daily_returns([], HOUR, [], 100.0)
    assert (days.size, earned.size, metrics.monthly_returns([], HOUR, [], 100.0)) == (0, 0, [])


def test_months_are_those_of_the_calendar():
    # days from 2026-01-01; closes of 31 January (day 30), 28 February (day 58) and 1 March (day 59)
    months = metrics.monthly_returns(START + DAY * np.array([0, 30, 58, 59]), DAY, [100.0, 110.0, 99.0, 198.0], 100.0)
    assert [(year, month) for year, month, _ in months] == [(2026, 1), (2026, 2), (2026, 3)]
    assert [r for *_, r in months] == pytest.approx([0.1, -0.1, 1.0], abs=1e-15)


def test_a_month_without_a_bar_and_the_turn_of_a_year():
    months = metrics.monthly_returns([START - DAY, START + 60 * DAY], DAY, [110.0, 99.0], 100.0)
    assert [(year, month) for year, month, _ in months] == [(2025, 12), (2026, 1), (2026, 2), (2026, 3)]
    assert [r for *_, r in months] == pytest.approx([0.1, 0.0, 0.0, -0.1], abs=1e-15)


@given(
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=80),
    hours=st.sampled_from([1, 4, 24, 72]),
    seed=st.integers(0, 2**32 - 1),
)
def test_days_and_months_compound_to_the_total_return(steps, hours, seed):
    time = START + hours * HOUR * np.cumsum(steps)
    equity = 1000.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.05, time.size)))
    whole = math.log1p(metrics.total_return(equity, 1000.0))
    days, earned = metrics.daily_returns(time, hours * HOUR, equity, 1000.0)
    assert np.diff(days).tolist() == [DAY] * (days.size - 1)
    assert np.log1p(earned).sum() == pytest.approx(whole, abs=1e-12)
    months = [r for *_, r in metrics.monthly_returns(time, hours * HOUR, equity, 1000.0)]
    assert np.log1p(months).sum() == pytest.approx(whole, abs=1e-12)
