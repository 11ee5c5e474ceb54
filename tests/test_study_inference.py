"""Intervals, p-values and waits, against published numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis.event_study.assumptions import assumptions
from backtest.analysis.event_study.inference import (
    benjamini_hochberg,
    day_interval,
    effect_of_means,
    events_needed,
    holm,
    p_above,
    p_two_sided,
    wilson,
)
from backtest.analysis.event_study.settings import Settings
from backtest.analysis.event_study.survival import kaplan_meier

nan = math.nan


# R. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
@pytest.mark.parametrize(
    ("hits", "events", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_of_wilson_as_published(hits, events, low, high):
    assert wilson(hits, events) == pytest.approx((low, high), abs=5e-5)


def test_no_event_has_no_interval():
    assert all(math.isnan(end) for end in wilson(0, 0))


def test_what_so_many_events_find_in_means():
    # J. Cohen, Statistical Power Analysis, 2nd ed. 1988, table 2.4.1 at 5% two-sided and 80%: 393 and 64 in each group
    assert effect_of_means(393) == pytest.approx(0.20, abs=0.0005)
    assert effect_of_means(64) == pytest.approx(0.50, abs=0.006)
    assert effect_of_means(1847) == pytest.approx((1.959964 + 0.841621) * math.sqrt(2 / 1847), rel=1e-6)


def test_it_is_said_what_enough_events_find_of_shares_and_of_means():
    assert assumptions(Settings(), 3_600_000_000_000)[-1] == (
        "Enough events: to find a difference of 4.6 points between shares near a half with power 80% at 5%, about 1,847 in each"
        " arm. As many find a difference of 9.2% of a standard deviation between means."
    )


# Y. Benjamini & Y. Hochberg (1995), section 4.2: 15 tests, of which their procedure finds 4 at 5% and Bonferroni 3
PUBLISHED = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0
]  # fmt: skip


def test_adjusted_p_values_as_published():
    assert sum(p < 0.05 for p in benjamini_hochberg(PUBLISHED)) == 4
    assert sum(p < 0.05 for p in holm(PUBLISHED)) == 3
    assert holm(PUBLISHED)[:4] == pytest.approx([0.0015, 0.0056, 0.0247, 0.114])
    assert benjamini_hochberg(PUBLISHED)[:4] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625])


def test_a_test_that_was_not_made_is_not_counted():
    assert holm([0.02, nan, 0.03])[::2] == pytest.approx([0.04, 0.04])
    assert benjamini_hochberg([0.02, nan, 0.03])[::2] == pytest.approx([0.03, 0.03])
    assert math.isnan(holm([0.02, nan])[1])
    assert math.isnan(benjamini_hochberg([nan])[0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusting_never_makes_smaller_and_keeps_the_order(raw):
    for adjusted in (holm(raw), benjamini_hochberg(raw)):
        assert all(raw[i] - 1e-12 <= adjusted[i] <= 1 for i in range(len(raw)))
        order = np.argsort(raw, kind="stable")
        assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert all(h >= b - 1e-12 for h, b in zip(holm(raw), benjamini_hochberg(raw), strict=True))


def test_events_needed_as_osler_says():
    assert events_needed(0.046, base=0.562) == 1798  # "about 1,800 hits an arm"
    # Fleiss 1981, table A.3 without the correction: (1.96 + 0.8416)² (0.3*0.7 + 0.5*0.5) / 0.04 = 90.3
    assert events_needed(0.2, base=0.3) == 91


def test_p_values_count_ties_and_the_real_set_itself():
    sets = np.array([1.0, 2.0, 3.0, nan])
    assert p_above(2.0, sets) == 3 / 4
    assert p_above(4.0, sets) == 1 / 4
    assert p_two_sided(0.0, sets) == 0.5
    assert p_two_sided(2.0, sets) == 1.0
    assert math.isnan(p_above(nan, sets))
    assert math.isnan(p_above(1.0, np.array([nan])))


def test_days_are_drawn_and_not_events():
    values, days = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, nan]), np.array([7, 7, 9, 9, 9, 9, 11])
    # two days: a quarter of the draws holds the first twice, a quarter the second twice, else the mean is 4/6
    assert day_interval(values, days) == (0.0, 1.0)
    low, high = day_interval(np.tile([0.0, 1.0], 400), np.repeat(np.arange(400), 2))
    assert (low, high) == (0.5, 0.5)  # every day is alike, whatever its events do
    assert all(math.isnan(end) for end in day_interval(values[:2], days[:2]))
    # 100 days of one event each: the deviation of the mean is sqrt(0.25 / 100) = 0.05
    low, high = day_interval(np.tile([0.0, 1.0], 50), np.arange(100), seed=3)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05), abs=0.015)


# E. Freireich et al., Blood 21 (1963): weeks of remission under 6-MP, + censored; the estimates in D. Collett, "Modelling
# Survival Data in Medical Research", and in every course
WEEKS = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"


def test_kaplan_and_meier_as_published():
    time = np.array([float(w.rstrip("+")) for w in WEEKS.split()])
    found = kaplan_meier(time, np.array([not w.endswith("+") for w in WEEKS.split()]))
    assert found.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert found.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert found.waiting == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert found.error == pytest.approx([0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], abs=5e-5)
    assert found.median == 23
    assert found.reached(12.0) == pytest.approx((0.2471, 0.2471 - 1.96 * 0.0963, 0.2471 + 1.96 * 0.0963), abs=2e-4)
    assert found.reached(5.0) == (0.0, 0.0, 0.0)


def test_nothing_that_happened_leaves_all_waiting():
    found = kaplan_meier(np.array([3.0, 5.0]), np.array([False, False]))
    assert math.isnan(found.median)
    assert found.reached(4.0) == (0.0, 0.0, 0.0)
    assert math.isnan(kaplan_meier(np.empty(0), np.empty(0, np.bool_)).median)
