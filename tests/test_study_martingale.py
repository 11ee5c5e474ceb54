"""The chance of the next level before the reclaim, by hand and on walks."""

import math

import numpy as np
import pytest
from bars_made import random_bars
from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis.event_study import next_level_probability
from backtest.analysis.event_study.martingale import bar_sigma, martingale_test

nan = math.nan


def test_the_chance_by_hand():
    # two down and one up: optional stopping of Brownian motion gives 1/3; with sigma 1 both ends lie 0.5826 further off
    assert next_level_probability(reclaim=101.0, close=100.0, gap=3.0) == pytest.approx(1 / 3)
    assert next_level_probability(101.0, 100.0, 3.0, sigma=1.0) == pytest.approx(1.5826 / 4.1652)
    assert next_level_probability(102.0, 100.0, 3.0) == 2 / 3


def test_arrays_give_arrays_and_what_is_unknown_stays_so():
    found = next_level_probability(np.array([101.0, 101.0]), 100.0, np.array([3.0, nan]), 0.0)
    assert found[0] == pytest.approx(1 / 3)
    assert math.isnan(found[1])
    assert next_level_probability(reclaim=104.0, close=100.0, gap=3.0) == 1.0  # the close is below the next level


@given(st.floats(0.01, 5), st.floats(5.01, 50), st.floats(0, 5))
def test_a_chance_is_one_and_moves_towards_a_half_with_sigma(depth, gap, sigma):
    plain, seen = (next_level_probability(100 + depth, 100.0, gap, s) for s in (0.0, sigma))
    assert 0 <= seen <= 1
    assert abs(seen - 0.5) <= abs(plain - 0.5) + 1e-12


@pytest.mark.parametrize(("depth", "gap"), [(0.5, 4.0), (1.0, 6.0), (2.0, 9.0)])
def test_the_chance_on_walks_that_are_seen_at_closes(depth, gap):
    random, paths = np.random.default_rng(5), 40_000
    price, open_, low = np.zeros(paths), np.ones(paths, np.bool_), 0
    while open_.any():
        price[open_] += random.standard_normal(int(open_.sum()))
        low += int((open_ & (price <= depth - gap)).sum())
        open_ &= (price > depth - gap) & (price <= depth)
    chance = next_level_probability(depth, 0.0, gap, sigma=1.0)
    assert low / paths == pytest.approx(chance, abs=0.011)  # four standard errors, and what the correction leaves
    if depth == 0.5:
        assert 0.06 < chance - depth / gap < 0.13  # what is told without the correction is too low by that much


def test_sigma_uses_the_changes_before_the_bar():
    close = np.array([100.0, 103.0, 99.0, 99.0, 150.0, 151.0])
    found = bar_sigma(close, 2)
    assert np.isnan(found[:3]).all()
    # before bar 3 the changes 3 and -4: sqrt((9 + 16) / 2); before bar 4 -4 and 0; before bar 5 0 and 51
    assert found[3:] == pytest.approx([math.sqrt(12.5), math.sqrt(8.0), math.sqrt(51**2 / 2)])


def test_sigma_is_unmoved_by_what_comes_later():
    bars = random_bars(3, 300)
    whole, part = bar_sigma(bars.close, 50), bar_sigma(bars.close[:200], 50)
    np.testing.assert_array_equal(whole[:200], part)


def test_the_test_by_hand():
    # one event waits from the close of bar 1 to that of bar 3; its chance falls by 0.1 a unit: steps 0.1 * 2 and 0.1 * 3
    close = np.array([10.0, 9.0, 11.0, 14.0, 20.0])
    z, p = martingale_test(
        *(np.array([v]) for v in (0.0, 0.4, 0.1)), np.array([1]), np.array([3]), np.array([0]), [close]
    )
    assert z == pytest.approx(-0.4 / math.sqrt(0.2**2 + 0.3**2))
    assert p == pytest.approx(math.erfc(0.4 / math.sqrt(0.13) / math.sqrt(2)))


def test_events_that_wait_together_share_their_steps():
    close = np.array([10.0, 9.0, 11.0, 14.0, 20.0])
    one = [np.array([v]) for v in (0.0, 0.4, 0.1)], (np.array([1]), np.array([3]))
    twice = [np.repeat(a, 2) for a in one[0]], [np.repeat(a, 2) for a in one[1]]
    z = martingale_test(*one[0], *one[1], np.array([0]), [close])[0]
    assert martingale_test(*twice[0], *twice[1], np.array([0, 0]), [close])[0] == pytest.approx(z)
    # on two symbols that move alike they do, too; a bar that did not trade moves nothing
    assert martingale_test(*twice[0], *twice[1], np.array([0, 1]), [close, close + 5])[0] == pytest.approx(z)
    halted = np.array([10.0, 9.0, nan, 14.0, 20.0])
    assert martingale_test(*one[0], *one[1], np.array([0]), [halted])[0] == pytest.approx(-0.4 / 0.5)


def test_no_event_no_test():
    none, bars = np.empty(0), np.empty(0, np.int64)
    assert all(math.isnan(v) for v in martingale_test(none, none, none, bars, bars, bars, [np.ones(3)]))
