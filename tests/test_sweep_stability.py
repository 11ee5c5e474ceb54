"""Whether folds choose alike: shares and spread, by hand."""

import math

import pytest

from backtest.sweep.stability import stability


def test_the_shares_and_the_spread_are_those_counted_by_hand():
    # steps of 1, 3 and 0 places on an axis of 4: (1 + 3 + 0) / 3 / 3
    found = stability("lookback", (24, 32, 40, 48), (40, 48, None, 24, 24))
    assert found.shares == {24: 0.5, 40: 0.25, 48: 0.25}
    assert next(iter(found.shares)) == 24
    assert found.spread == pytest.approx((1 + 3 + 0) / 3 / 3)
    assert found.chance == pytest.approx(5 / 12)
    assert found.sentence() == (
        "lookback: 24 in 2 of 4 folds; it wanders: from fold to fold by 44% of its range, where choices at random move by 42%."
    )


def test_one_that_settles_and_one_that_stays():
    near = stability("stop", tuple(range(11)), (5, 5, 6, 5))  # steps 0, 1, 1 of 10: 7%; at random 36%
    assert near.sentence() == (
        "stop: 5 in 3 of 4 folds; it settles: from fold to fold by 7% of its range, where choices at random move by 36%."
    )
    assert stability("stop", (0.1, 0.2), (0.2, 0.2)).sentence() == "stop: 0.2 in 2 of 2 folds; it stays."


def test_words_have_no_order():
    found = stability("rule", ("wick", "close", "retest"), ("wick", "retest", "retest"))
    assert (found.spread, found.chance) == (0.5, pytest.approx(2 / 3))


def test_where_there_is_nothing_to_tell():
    assert stability("a", (1, 2), (None, None)).sentence() == "a: no fold chose."
    assert stability("a", (1, 2), (2,)).sentence() == "a: 2 in 1 of 1 fold."
    assert math.isnan(stability("a", (1,), (1, 1)).spread)
    assert stability("a", (1,), (1, 1)).to_dict()["spread"] is None
