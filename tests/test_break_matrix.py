"""Breaks under every rule side by side: one fall worked by hand, and what holds on any bars."""

import math

import numpy as np
import pytest
from bars_made import bars_from, head, random_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.analysis.break_matrix import MATRIX_RULES, MatrixRule, break_matrix
from backtest.errors import ConfigError
from backtest.levels import fixed

# The level is 100, the floor 99.7, the reclaim above 100.3. There is no ATR yet, so the zone of a retest is 0 wide.
FALL = [
    (101.0, 101.5, 100.5, 101.0),
    (101.0, 101.0, 99.5, 99.9),  # 1: a low through the floor
    (99.85, 99.9, 99.5, 99.6),  # 2: a close
    (99.65, 99.9, 99.6, 99.8),  # 3: no second one in a row
    (99.75, 99.8, 99.4, 99.5),  # 4: a close on a high volume
    (99.55, 99.6, 99.3, 99.4),  # 5: two in a row
    (99.45, 99.5, 99.1, 99.2),  # 6: three in a row
    (99.25, 100.2, 99.2, 99.9),  # 7: back at the level
    (99.95, 100.0, 98.9, 99.0),  # 8: below the floor again
    (99.05, 100.6, 99.0, 100.5),  # 9: the reclaim
    (100.4, 101.0, 100.2, 100.8),
]
VOLUME = [1, 1, 1, 1, 5, 1, 1, 1, 1, 1, 1]
LOUD = MatrixRule("loud", "close", (("volume", 2.0), ("volume_bars", 3)), "a close below it at twice the volume")
RULES = tuple(LOUD if rule.name == "volume" else rule for rule in MATRIX_RULES)
NAMES = ["wick", "close", "close2", "close3", "loud", "retest", "reclaim"]


def fall(**options):
    return break_matrix(bars_from(FALL, VOLUME), fixed([100]), RULES, **options)


def test_each_rule_confirms_the_break_at_its_own_bar():
    found = fall()
    assert [rule.name for rule in found.rules] == NAMES
    assert (found.row.tolist(), found.first_bar.tolist(), found.level.tolist()) == ([0], [1], [100.0])
    assert found.bar.tolist() == [[1, 2, 5, 6, 4, 8, 9]]
    assert found.wait.tolist() == [[0, 1, 4, 5, 3, 7, 8]]
    assert found.reclaim_bar.tolist() == [[9, 9, 9, 9, 9, 9, 9]]


def test_waiting_gives_up_what_the_next_open_is_worse_than_the_level():
    found = fall()
    assert found.price.tolist() == [[99.85, 99.65, 99.45, 99.25, 99.55, 99.05, 100.4]]
    expected = [0.0015, 0.0035, 0.0055, 0.0075, 0.0045, 0.0095, 0.0040]  # who buys the reclaim pays more than the level
    np.testing.assert_allclose(found.given_up, [expected], rtol=1e-9)
    assert np.isnan(found.given_up_atr).all()


def test_in_atrs_it_is_measured_at_the_confirmation():
    flat = [(101.0, 102.0, 100.0, 101.0)] * 14  # an ATR of 2; the low of 99.5 makes it (2 * 13 + 2.5) / 14
    rows = [*flat, (101.0, 101.0, 99.0, 99.0), (98.5, 99.0, 98.0, 98.5)]
    found = break_matrix(bars_from(rows), fixed([100]), MATRIX_RULES[:2])
    assert found.bar.tolist() == [[14, 14]]
    np.testing.assert_allclose(found.given_up_atr, [[0.75, 0.75]])  # 1.5 of an ATR of 2


def test_a_break_is_false_where_it_is_reclaimed_soon():
    assert fall().false[0, :6].tolist() == [1.0] * 6
    assert math.isnan(fall().false[0, 6])
    soon = fall(within=3)
    assert soon.false[0, :6].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    assert soon.bar[0, 6] == -1  # seven bars after the break: no false break any more
    told = soon.summary()
    assert [rule["judged"] for rule in told] == [1, 1, 1, 1, 1, 0, 0]  # three bars after bar 8 are not over
    assert [rule["false"] for rule in told[:5]] == [0.0, 0.0, 0.0, 1.0, 0.0]
    assert math.isnan(told[5]["false"])


def test_while_neither_is_known_it_is_unknown():
    found = break_matrix(bars_from(FALL[:9]), fixed([100]), MATRIX_RULES[:2])
    assert np.isnan(found.false).all()
    assert found.summary()[0] | {"given_up": None, "given_up_atr": None, "false": None} == {
        "name": "wick",
        "rule": "wick",
        "settings": {},
        "meaning": "a low below the floor",
        "events": 1,
        "judged": 0,
        "wait": 0.0,
        "given_up": None,
        "given_up_atr": None,
        "false": None,
    }


def test_medians_are_over_the_breaks_of_all_levels():
    rows = [(101, 101, 101, 101), (101, 101, 98, 98), (97, 97, 95, 96), (96, 96, 94, 94), (90, 90, 90, 90)]
    found = break_matrix(bars_from(rows), fixed([100, 97]), MATRIX_RULES[:3])
    assert found.level.tolist() == [100.0, 97.0]
    assert found.bar.tolist() == [[1, 1, 2], [2, 2, 3]]
    wick, _, twice = found.summary()
    assert (wick["events"], wick["wait"], twice["wait"]) == (2, 0.0, 1.0)
    assert wick["given_up"] == pytest.approx((0.03 + 1 / 97) / 2)  # 97 for 100, 96 for 97
    assert twice["given_up"] == pytest.approx((0.04 + 7 / 97) / 2)  # 96 for 100, 90 for 97


def test_a_break_in_the_last_bar_has_no_price_yet_and_a_halt_is_waited_out():
    rows = [(101, 101, 101, 101), (101, 101, 98, 98)]
    assert np.isnan(break_matrix(bars_from(rows), fixed([100]), MATRIX_RULES[:1]).given_up).all()
    halted = [*rows, (math.nan,) * 4, (97, 97, 97, 97)]
    assert break_matrix(bars_from(halted), fixed([100]), MATRIX_RULES[:1]).price.tolist() == [[97.0]]


def test_each_return_above_the_level_starts_a_new_break():
    dip = [
        (101, 101, 99, 101),
        (101, 101, 101, 101),
    ]  # a low through the floor, closed above the reclaim in its own bar
    found = break_matrix(bars_from([(101, 101, 101, 101), *dip, *dip]), fixed([100]), MATRIX_RULES[:2])
    assert (found.first_bar.tolist(), found.bar.tolist()) == ([1, 3], [[1, -1], [3, -1]])
    assert found.wait[:, 0].tolist() == [0.0, 0.0]
    assert np.isnan(found.wait[:, 1]).all()


def test_as_plain_data_the_times_are_closes_and_what_is_unknown_is_none():
    told = fall().to_dict()
    assert {name: told[name] for name in ("symbol", "interval", "within")} == {
        "symbol": "TEST",
        "interval": 3_600_000_000_000,
        "within": 24,
    }
    (one,) = told["breaks"]
    assert (one["level"], one["kind"], one["row"], one["first"]) == (100.0, "fixed", 0, "2026-01-05T02:00Z")
    assert one["rules"]["close2"] == {
        "time": "2026-01-05T06:00Z",
        "wait": 4,
        "price": 99.45,
        "given_up": pytest.approx(0.0055),
        "given_up_atr": None,
        "false": True,
    }
    assert one["rules"]["reclaim"]["false"] is None
    assert fall(within=3).to_dict()["breaks"][0]["rules"]["reclaim"] is None
    assert told["rules"][4]["settings"] == {"volume": 2.0, "volume_bars": 3}


def test_without_a_break_there_is_an_empty_matrix():
    for rows in ([], [(101, 101, 101, 101)] * 3):
        found = break_matrix(bars_from(rows), fixed([100]))
        assert (len(found), found.bar.shape) == (0, (0, 7))
        assert found.to_dict()["breaks"] == []
        assert [rule["wait"] for rule in found.to_dict()["rules"]] == [None] * 7


def test_what_makes_no_sense_is_a_sentence():
    with pytest.raises(ConfigError, match="A matrix needs rules, each under a name of its own, got none"):
        break_matrix(bars_from(FALL), fixed([100]), ())
    with pytest.raises(ConfigError, match="each under a name of its own, got wick, wick"):
        break_matrix(bars_from(FALL), fixed([100]), MATRIX_RULES[:1] * 2)
    with pytest.raises(ConfigError, match="turn prices into one with `fixed`"):
        break_matrix(bars_from(FALL), [100.0])
    with pytest.raises(ConfigError, match="No break rule named 'wik'"):
        break_matrix(bars_from(FALL), fixed([100]), [MatrixRule("mine", "wik")])
    with pytest.raises(ConfigError, match="`within` must be a whole number of bars from 1, got 0"):
        break_matrix(bars_from(FALL), fixed([100]), MATRIX_RULES[:1], within=0)
    with pytest.raises(ConfigError, match=r"The rule 'mine' has no setting named 'closed'\. Did you mean 'closes'\?"):
        break_matrix(bars_from(FALL), fixed([100]), [MatrixRule("mine", "n_closes", (("closed", 2),))])


LADDER = fixed([66_000, 63_000, 60_000, 57_000, 54_000])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_a_stricter_rule_is_never_earlier_and_every_break_begins_with_a_wick(seed, n):
    found = break_matrix(random_bars(seed, n), LADDER)
    assert (found.bar[:, 0] == found.first_bar).all()
    for looser, stricter in ((0, 1), (1, 2), (2, 3), (1, 4), (1, 5), (1, 6)):
        there = found.bar[:, stricter] >= 0
        assert (found.bar[there, looser] >= 0).all()
        assert (found.bar[there, looser] <= found.bar[there, stricter]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.data())
def test_what_is_confirmed_by_a_bar_does_not_depend_on_later_bars(seed, n, data):
    bars = random_bars(seed, n)
    k = data.draw(st.integers(1, n))
    whole, part = break_matrix(bars, LADDER), break_matrix(head(bars, k), LADDER)
    begun = whole.first_bar < k
    assert part.first_bar.tolist() == whole.first_bar[begun].tolist()
    assert part.row.tolist() == whole.row[begun].tolist()
    assert part.bar.tolist() == np.where(whole.bar[begun] < k, whole.bar[begun], -1).tolist()
