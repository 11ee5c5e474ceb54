"""Folds: where training ends and testing begins, and what a market shows of the time behind them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from choices_made import made_market
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import ConfigError
from backtest.model import Funding
from backtest.model.market import Feed
from backtest.sweep.folds import (
    Fold,
    anchored,
    bars_of,
    combinatorial,
    groups_of,
    path_count,
    paths_of,
    purged,
    rolling,
    window,
)

HOUR = 3_600_000_000_000


def spans(folds):
    return [(fold.train, fold.test) for fold in folds]


def test_rolling_folds_are_those_drawn_by_hand():
    assert spans(rolling(2, 14, train=5, test=3)) == [
        (((2, 7),), ((7, 10),)),
        (((5, 10),), ((10, 13),)),
        (((8, 13),), ((13, 14),)),
    ]


def test_anchored_folds_start_at_the_first_bar():
    assert spans(anchored(2, 14, train=5, test=3)) == [
        (((2, 7),), ((7, 10),)),
        (((2, 10),), ((10, 13),)),
        (((2, 13),), ((13, 14),)),
    ]


def test_purge_and_embargo_are_taken_off_the_end_of_a_training():
    assert spans(rolling(0, 12, train=6, test=3, purge=2, embargo=1)) == [
        (((0, 3),), ((6, 9),)),
        (((3, 6),), ((9, 12),)),
    ]


def test_the_combinations_of_four_groups_two_at_a_time():
    folds = combinatorial(0, 20, groups=4, tested=2, purge=1, embargo=1)
    assert [fold.test for fold in folds] == [
        ((0, 5), (5, 10)),
        ((0, 5), (10, 15)),
        ((0, 5), (15, 20)),
        ((5, 10), (10, 15)),
        ((5, 10), (15, 20)),
        ((10, 15), (15, 20)),
    ]
    assert [fold.train for fold in folds] == [
        ((12, 20),),  # bars 10 and 11 lie within purge + embargo behind the test
        ((7, 9), (17, 20)),  # 5 and 6 behind the first test, 9 before the second, 15 and 16 behind it
        ((7, 14),),
        ((0, 4), (17, 20)),
        ((0, 4), (12, 14)),
        ((0, 9),),
    ]


def test_six_groups_two_at_a_time_are_fifteen_folds_and_five_paths():
    # Lopez de Prado (2018), figure 12.1 and 12.2: phi[6, 2] = 5
    assert len(combinatorial(0, 600)) == 15
    assert path_count(6, 2) == 5
    assert paths_of(6, 2) == (
        (1, 1, 2, 3, 4, 5),
        (2, 6, 6, 7, 8, 9),
        (3, 7, 10, 10, 11, 12),
        (4, 8, 11, 13, 13, 14),
        (5, 9, 12, 14, 15, 15),
    )


@given(st.integers(2, 8), st.data())
def test_every_test_of_every_fold_is_on_exactly_one_path(groups, data):
    tested = data.draw(st.integers(1, groups - 1))
    folds = combinatorial(0, 10 * groups, groups, tested)
    bounds = groups_of(0, 10 * groups, groups)
    paths = paths_of(groups, tested)
    assert len(paths) == path_count(groups, tested)
    used = {(number, group) for path in paths for group, number in enumerate(path)}
    assert used == {(fold.number, bounds.index(first)) for fold in folds for first, _ in fold.test}
    assert len(used) == len(paths) * groups


def bars(spans_):
    return {bar for first, last in spans_ for bar in range(first, last)}


@given(st.integers(2, 7), st.integers(0, 6), st.integers(0, 6), st.integers(20, 90), st.data())
def test_no_training_bar_lies_within_the_purge_of_a_test_bar(groups, purge, embargo, n, data):
    tested = data.draw(st.integers(1, groups - 1))
    for fold in combinatorial(0, n, groups, tested, purge, embargo):
        train, test = bars(fold.train), bars(fold.test)
        assert not train & test
        for t in train:
            assert not {b for b in test if 0 < b - t <= purge}
            assert not {b for b in test if 0 < t - b <= purge + embargo}
        left_out = set(range(n)) - train - test
        near = {t for t in left_out if any(0 < b - t <= purge or 0 < t - b <= purge + embargo for b in test)}
        assert left_out == near  # and nothing else is thrown away


@given(st.integers(5, 40), st.integers(1, 20), st.integers(0, 4), st.integers(60, 200), st.booleans())
def test_the_tests_of_a_walk_cover_all_bars_behind_the_first_training_once(train, test, purge, n, from_first):
    folds = (anchored if from_first else rolling)(0, n, train, test, purge)
    covered = [bar for fold in folds for bar in sorted(bars(fold.test))]
    assert covered == list(range(train, n))
    for fold in folds:
        assert max(bars(fold.train)) + purge < min(bars(fold.test))
        assert fold.train[0][0] == (0 if from_first else min(bars(fold.test)) - train)


def test_what_is_purged_in_the_middle_leaves_two_spans():
    fold = Fold(1, ((0, 20),), ((8, 10),))
    assert purged(fold, before=3, behind=4).train == ((0, 5), (14, 20))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda: rolling(0, 10, 10, 2),
            "A training of 10 bars leaves nothing to test: there are 10 bars in all; give a shorter --train, or a longer market.",
        ),
        (lambda: rolling(0, 10, 0, 2), "`train` must be at least 1 bar, got 0."),
        (lambda: rolling(0, 10, 4, 2, purge=-1), "`purge` must be at least 0 bars, got -1."),
        (
            lambda: anchored(0, 10, 4, 2, purge=3, embargo=1),
            "Purge and embargo, 3 + 1 bars, leave nothing of a training of 4",
        ),
        (lambda: combinatorial(0, 10, 1), "`groups` must be at least 2 and at most the 10 there are to cut, got 1."),
        (lambda: combinatorial(0, 10, 4, 4), "Of 4 groups at least 1 and at most 3 can be tested at a time, got 4."),
        (
            lambda: bars_of("soon", HOUR, "train"),
            "`train` must be a number of bars, or a time such as 90d or 36h; got 'soon'.",
        ),
        (lambda: bars_of("90m", HOUR, "test"), "`test` of '90m' is no whole number of bars of 1 h."),
    ],
)
def test_what_makes_no_sense_is_a_sentence(made, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        made()


def test_a_length_is_bars_or_a_time():
    assert [bars_of(text, HOUR, "train") for text in (30, "30", "30h", "2d", "1w", "120m")] == [30, 30, 30, 48, 168, 2]


# --- what a market shows ---------------------------------------------------------------------------------------------


def whole_market():
    market = made_market(100)
    feed = Feed("fear", market.time[::10] + HOUR // 2, np.arange(10.0))
    funding = Funding(market.time[::8], np.zeros(13, np.int32), np.full(13, 0.0001), np.full(13, np.nan))
    return replace(market, feeds={"fear": feed}, funding=funding, fine=replace(made_market(100), name="fine"))


def test_a_window_ends_where_its_last_bar_closes():
    market = whole_market()
    seen = window(market, 40, 60)
    end = int(market.time[59]) + HOUR
    assert (len(seen), seen.start_bar, seen.trade_from) == (60, 40, int(market.time[40]))
    assert seen.funding.time.max() <= end
    assert seen.feeds["fear"].known_at.max() <= end
    assert len(seen.fine) == 60
    np.testing.assert_array_equal(seen.close, market.close[:60])


def test_a_window_knows_nothing_of_another_future():
    market = whole_market()
    close = np.array(market.close)
    close[60:] *= 2.0
    feed = Feed("fear", market.feeds["fear"].known_at, np.where(np.arange(10) < 6, np.arange(10.0), -1.0))
    other = replace(market, close=close, high=np.maximum(close, market.high), feeds={"fear": feed})
    a, b = window(market, 40, 60), window(other, 40, 60)
    np.testing.assert_array_equal(a.close, b.close)
    np.testing.assert_array_equal(a.high, b.high)
    np.testing.assert_array_equal(a.feed("fear"), b.feed("fear"))


@pytest.mark.parametrize(("first", "last"), [(5, 50), (40, 40), (50, 101)])
def test_a_window_outside_the_scored_bars_is_refused(first, last):
    market = made_market(100)
    market = replace(market, trade_from=int(market.time[10]))
    with pytest.raises(
        ConfigError, match=f"The bars {first} to {last - 1} are no part of what the market walks trades, 10 to 99"
    ):
        window(market, first, last)


@pytest.mark.parametrize(("groups", "tested"), [(40, 20), (10**9, 5 * 10**8), (10_001, 1), (16, 8)])
def test_more_folds_than_can_be_walked_are_a_sentence(groups, tested):
    sentence = (
        f"There are more than 10,000 ways to test {tested:,} of {groups:,} groups, and each is a fold; give fewer"
    )
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        path_count(groups, tested)
    path_count(16, 6)  # 8,008
    path_count(10_000, 1)
