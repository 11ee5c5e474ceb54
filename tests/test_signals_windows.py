import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_markets import DAY, HOUR

from backtest.errors import ConfigError
from backtest.model import Feed
from backtest.signals.median_walk import slide
from backtest.signals.series import every, flag, some
from backtest.signals.windows import (
    LONG,
    log_change,
    median_and_mad,
    past_median,
    robust_z,
    slide_short,
    still_known,
    window_sum,
)

NAN = float("nan")


def times(*hours):
    return np.array([round(h * HOUR) for h in hours], np.int64)


def same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0)


# --- robust z ---


def test_robust_z_by_hand():
    # Days 0..4 hold 1, 2, 3, 4, 10: median 3, distances 2, 1, 0, 1, 7, MAD 1. Day 5: (6 - 3) / 1.4826.
    z = robust_z(np.array([1.0, 2, 3, 4, 10, 6]), DAY * np.arange(6), days=5)
    same(z, [NAN] * 5 + [3 / 1.4826])


def test_the_window_moves_and_ends_before_the_bar():
    # Day 4 sees 5, 1, 3, 2: median 2.5, distances 2.5, 1.5, 0.5, 0.5, MAD 1. Day 5 sees 1, 3, 2, 8: the same median, MAD 1.
    median, mad = median_and_mad(np.array([5.0, 1, 3, 2, 8, 2.5]), DAY * np.arange(6), days=4)
    same(median, [NAN] * 4 + [2.5, 2.5])
    same(mad, [NAN] * 4 + [1.0, 1.0])
    same(robust_z(np.array([5.0, 1, 3, 2, 8, 2.5]), DAY * np.arange(6), days=4)[4:], [5.5 / 1.4826, 0.0])


def test_a_window_without_spread_says_nothing():
    assert np.isnan(robust_z(np.array([1.0, 1, 1, 1, 9]), DAY * np.arange(5), days=4)).all()


def test_unknown_values_are_left_out_until_too_few_are_left():
    values = np.array([1.0, NAN, 3, NAN, NAN, 7])
    # Day 4 sees 1 and 3, half of four; day 5 sees 3 alone of four.
    same(past_median(values, DAY * np.arange(6), days=4), [NAN] * 4 + [2.0, NAN])
    same(past_median(values, DAY * np.arange(6), days=4, share=0.25), [NAN] * 4 + [2.0, 3.0])


def test_history_counts_from_the_first_known_value():
    values = np.array([NAN, NAN, 1.0, 2, 3, 4])
    same(past_median(values, DAY * np.arange(6), days=3), [NAN] * 5 + [2.0])


@given(st.lists(st.integers(-5, 5), min_size=9, max_size=40), st.integers(2, 8))
def test_median_and_mad_are_those_of_numpy(numbers, days):
    values = np.array(numbers, np.float64)
    median, mad = median_and_mad(values, DAY * np.arange(values.size), days=days)
    for t in range(days, values.size):
        window = values[t - days : t]
        assert median[t] == np.median(window)
        assert mad[t] == np.median(np.abs(window - np.median(window)))


def of_numpy(window):
    """Return median and MAD of a window's known values."""
    known = window[np.isfinite(window)]
    return np.median(known), np.median(np.abs(known - np.median(known)))


@pytest.mark.parametrize("walk", [slide, slide_short])
@settings(deadline=None)  # the first call compiles
@given(
    numbers=st.lists(
        st.sampled_from([NAN, np.inf, -np.inf, -0.0]) | st.integers(-4, 4) | st.floats(-9, 9), max_size=70
    ),
    length=st.integers(1, 40),
    share=st.sampled_from([0.01, 0.5, 1.0]),
)
def test_the_compiled_window_is_the_plain_one_and_that_of_numpy(walk, numbers, length, share):
    values = np.array(numbers, np.float64)
    at = np.arange(values.size)
    first, ready = np.maximum(at - length, 0), at >= length
    median, mad = walk(values, first, ready, share)
    for t in range(values.size):
        window = values[first[t] : t]
        if ready[t] and np.isfinite(window).sum() >= max(1.0, share * window.size):
            same([median[t], mad[t]], of_numpy(window))
        else:
            assert np.isnan(median[t])
            assert np.isnan(mad[t])


def drawn_series(n):
    """A walk with jumps, stretches of equal values and holes: what moves the place of the nearest values about."""
    chance = np.random.default_rng(3)
    values = np.cumsum(np.round(chance.standard_t(2, n), 1) * (chance.random(n) < 0.5))
    values[chance.random(n) < 0.02] = NAN
    return values


def test_a_long_series_is_the_same_to_the_last_bit():
    values, at = drawn_series(LONG + 500), np.arange(LONG + 500)
    times, day = HOUR * at, 24
    compiled = median_and_mad(values, times, days=90)
    plain = slide_short(values, np.maximum(at - 90 * day, 0), at >= 90 * day, 0.5)
    assert np.isfinite(compiled[1]).sum() == LONG + 500 - 90 * day
    for got, expected in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(got, expected)
    for t in (90 * day, 30_000, LONG + 499):
        same([compiled[0][t], compiled[1][t]], of_numpy(values[t - 90 * day : t]))


def test_the_time_grows_little_faster_than_the_series():
    def seconds(n):
        values, start = drawn_series(n), time.process_time()
        median_and_mad(values, HOUR // 60 * np.arange(n), days=n / 3000)  # windows of half the series
        return time.process_time() - start

    seconds(LONG)  # compiles
    short, long = min(seconds(LONG) for _ in range(3)), seconds(8 * LONG)
    assert long < 30 * short, (
        "eight times the values; with windows searched and shifted one by one it would be 64 times the time"
    )


@pytest.mark.parametrize("days", [0, -1, NAN, "90", True])
def test_a_window_is_a_number_of_days(days):
    with pytest.raises(ConfigError, match=r"`days` must be a number of days above 0, got"):
        robust_z(np.ones(3), DAY * np.arange(3), days=days)


@pytest.mark.parametrize("share", [0, 1.5])
def test_share_is_a_fraction(share):
    with pytest.raises(ConfigError, match="`share` must be a fraction"):
        robust_z(np.ones(3), DAY * np.arange(3), share=share)


# --- sums ---


def test_sums_over_irregular_stamps_by_hand():
    stamps, at = times(8, 16, 20, 24, 32), times(23, 24, 28, 32, 36)
    # A window of 16 h at 24 h is (8, 24]: 2 + 4 + 8; at 28 h it is (12, 28], the same; at 32 h (16, 32]: 4 + 8 + 16;
    # at 36 h (20, 36]: 8 + 16.
    sums = window_sum(stamps, np.array([1.0, 2, 4, 8, 16]), at, 16 * HOUR, 12 * HOUR)
    same(sums, [1 + 2 + 4, 14, 14, 28, 24])


def test_a_sum_waits_until_the_whole_window_is_covered():
    # The stamp at 8 h covers from 0 h on, as the next comes 8 h later.
    stamps = times(8, 16, 24, 32)
    sums = window_sum(stamps, np.ones(4), times(8, 16, 23, 24, 31, 32), 24 * HOUR)
    same(sums, [NAN, NAN, NAN, 3, 3, 3])


def test_one_stamp_says_nothing():
    assert np.isnan(window_sum(times(8), np.ones(1), times(8, 9, 90), HOUR)).all()


def test_a_hole_is_not_zero():
    stamps = times(1, 2, 3, 4, 10, 11, 12)
    sums = window_sum(stamps, np.ones(7), times(3, 4, 6, 7, 8, 11, 12, 13), 2 * HOUR)
    # At 6 h and at 7 h the window holds no stamp, at 8 h the last one is too old; the six hours to 10 h are too many for
    # two-hour windows that hold the stamp at 10 h.
    same(sums, [2, 2, NAN, NAN, NAN, NAN, 2, 2 - 1])


def test_values_that_are_no_number_are_a_hole():
    values = np.array([1.0, 1, NAN, NAN, NAN, 1, 1, 1])
    sums = window_sum(times(*range(1, 9)), values, times(2, 6, 8), 2 * HOUR)
    same(sums, [2, NAN, 2])


def test_sums_of_zeros_are_exactly_zero():
    stamps = times(*range(1, 8))
    values = np.array([0.1, 0.2, 0.3, 0.7, 0.0, 0.0, 0.0])
    assert window_sum(stamps, values, times(7), 3 * HOUR)[0] == 0.0


# --- the last value ---


def test_a_value_that_is_old_is_unknown():
    feed = Feed("x", times(0, 1, 2, 3), np.array([1.0, 2, 3, 4]))
    same(still_known(feed, times(-1, 0, 1.5, 3, 6, 6.1)), [NAN, 1, 2, 4, 4, NAN])
    same(still_known(feed, times(6.1, 9, 10), 6 * HOUR), [4, 4, NAN])


def test_an_assumption_lasts_and_a_nan_is_skipped():
    same(still_known(Feed("x", times(0), np.array([7.0])), times(10_000)), [7])
    same(still_known(Feed("x", times(0, 1, 2), np.array([1.0, 2, NAN])), times(2)), [2])


def test_log_change_by_hand():
    feed = Feed("x", times(0, 24, 48, 72), np.array([100.0, 50, 0, 100]))
    same(log_change(feed, times(24, 48, 72), DAY), [np.log(0.5), NAN, NAN])


# --- truth ---


def test_truth_of_what_is_not_known():
    yes, no, unknown = np.array([1.0]), np.array([0.0]), np.array([NAN])
    same(every(yes, unknown), [NAN])
    same(every(no, unknown), [0])
    same(some(yes, unknown), [1])
    same(some(no, unknown), [NAN])
    same(flag(np.array([True]), unknown), [NAN])


def test_a_day_without_the_stamp_of_the_day_is_no_zero():
    # Daily stamps with that of day 4 missing: a window of a day that ends then holds no stamp, one of two days holds one.
    stamps = np.array([1, 2, 3, 5, 6]) * DAY
    at = np.array([3, 4, 5, 6]) * DAY
    assert str(window_sum(stamps, np.ones(5), at, DAY).tolist()) == "[1.0, nan, 1.0, 1.0]"
    assert window_sum(stamps, np.ones(5), at, 2 * DAY).tolist() == [2.0, 1.0, 1.0, 2.0]
    # A window shorter than the time between two stamps may hold none.
    assert window_sum(stamps, np.ones(5), np.array([int(2.5 * DAY)]), DAY // 4).tolist() == [0.0]
