"""Breaks of levels by close and by wick: when, how often, and what the next level is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets_made import HOUR, START, bars_of, candles, closes, walks

from backtest.errors import ConfigError
from backtest.levels import Levels, breaks, fixed


def rows(found):
    return list(zip(found.bar.tolist(), found.level.tolist(), strict=True))


# With the level 100 and a buffer of 0.01 a close breaks below 99 and reclaims above 101.
LIFE = [102, 99.0, 98.9, 100.5, 98, 101.0, 98, 101.5, 98, 102, 97, 98, 101.5, 97]


def test_a_level_breaks_is_reclaimed_and_breaks_again():
    # 1: 99.0 is not below 99. 2: broken. 5: 101.0 is not above 101. 7: reclaimed. 8: broken. 9: reclaimed.
    # 10: broken two bars after the last event, silently. 12: reclaimed. 13: broken.
    bars = bars_of(closes(LIFE))
    assert breaks(bars, fixed([100.0]), buffer=0.01, quiet_bars=3).bar.tolist() == [2, 8, 13]
    assert breaks(bars, fixed([100.0]), buffer=0.01, quiet_bars=2).bar.tolist() == [2, 8, 10, 13]
    assert breaks(bars, fixed([100.0]), buffer=0.01, quiet_bars=24).bar.tolist() == [2]
    assert breaks(bars, fixed([100.0]), buffer=0.01, quiet_bars=11).bar.tolist() == [2, 13]


def test_equality_is_neither_a_break_nor_a_reclaim():
    # 75,000 with 0.003: 74,775 and 75,225.
    broken = breaks(bars_of(closes([75_000, 74_775, 74_774.99, 75_225, 74_000])), fixed([75_000]), quiet_bars=1)
    assert broken.bar.tolist() == [2]
    broken = breaks(bars_of(closes([75_000, 74_000, 75_225.01, 74_000])), fixed([75_000]), quiet_bars=1)
    assert broken.bar.tolist() == [1, 3]


def test_a_support_above_the_price_starts_broken_without_an_event():
    bars = bars_of(closes([95, 94, 90]))
    assert len(breaks(bars, fixed([100.0]))) == 0


def test_a_close_at_the_level_is_enough_to_hold_it():
    assert breaks(bars_of(closes([95, 100.0, 99])), fixed([100.0])).bar.tolist() == [2]
    assert breaks(bars_of(closes([95, 99.99, 99])), fixed([100.0])).bar.tolist() == []


def test_closes_before_a_level_was_known_do_not_count():
    bars = bars_of(closes([105, 105, 98, 97, 100, 98]))
    late = fixed([100.0], known_from=START + 3 * HOUR)  # the close of bar 2, already below
    assert rows(breaks(bars, late)) == [(5, 100.0)]
    in_time = fixed([100.0], known_from=START + 2 * HOUR)  # the close of bar 1
    assert rows(breaks(bars, in_time)) == [(2, 100.0)]
    never = fixed([100.0], known_from=START + 100 * HOUR)
    assert rows(breaks(bars, never)) == []


def test_two_levels_broken_in_one_bar_count_as_the_deepest():
    broken = breaks(bars_of(closes([115, 98])), fixed([110.0, 100.0, 90.0]))
    assert rows(broken) == [(1, 100.0)]
    assert broken.next_level.tolist() == [90.0]
    assert broken.row.tolist() == [1]


def test_the_next_level_lies_below_the_close_and_is_intact():
    # With 0.01: 99.5 breaks below 98.505, so at 98.7 it is passed and not broken: no target for a short.
    broken = breaks(bars_of(closes([102, 98.7])), fixed([100.0, 99.5, 90.0]), buffer=0.01)
    assert broken.next_level.tolist() == [90.0]
    broken = breaks(bars_of(closes([102, 98.7])), fixed([100.0, 99.5]), buffer=0.01)
    assert np.isnan(broken.next_level).all()
    # 90 becomes known only later.
    later = fixed([100.0]) + fixed([90.0], known_from=START + 3 * HOUR)
    assert np.isnan(breaks(bars_of(closes([102, 98, 97])), later).next_level).all()


def test_a_rung_that_was_not_reclaimed_is_no_target():
    # 96 breaks at 95 and its reclaim asks for more than 96.96; 96.5 is first held at 96.5 and breaks at 95.2.
    levels = fixed([96.5, 96.0], known_from=None)
    bars = bars_of(closes([96.2, 95, 96.5, 95.2]))
    broken = breaks(bars, levels, buffer=0.01, quiet_bars=1)
    assert rows(broken) == [(1, 96.0), (3, 96.5)]
    assert np.isnan(broken.next_level).all()


def test_the_ladder_of_the_report():
    bars = bars_of(closes([95_000, 78_000, 74_000, 71_000, 69_000, 67_490]))
    levels = fixed([75_000, 70_000, 65_000])
    broken = breaks(bars, levels)
    assert rows(broken) == [(2, 75_000.0), (4, 70_000.0)]
    assert broken.next_level.tolist() == [70_000.0, 65_000.0]
    assert broken.close.tolist() == [74_000.0, 69_000.0]
    assert broken.time.tolist() == [START + 3 * HOUR, START + 5 * HOUR]
    assert next(iter(broken)).next_level == 70_000.0


def test_a_wick_breaks_where_a_close_does_not():
    bars = bars_of(candles([(102, 103, 101, 102), (102, 102, 98, 100.5), (100.5, 101, 98.4, 98.5)]))
    assert breaks(bars, fixed([100.0]), rule="wick", buffer=0.01).bar.tolist() == [1]
    assert breaks(bars, fixed([100.0]), rule="close", buffer=0.01).bar.tolist() == [2]


def test_a_wick_that_closes_above_the_reclaim_leaves_the_level_intact():
    bars = bars_of(candles([(102, 103, 101, 102), (102, 102, 98, 101.5), (101.5, 102, 98, 100)]))
    assert breaks(bars, fixed([100.0]), rule="wick", buffer=0.01, quiet_bars=1).bar.tolist() == [1, 2]


def test_the_bar_that_first_holds_a_level_does_not_break_it():
    bars = bars_of(candles([(102, 103, 90, 102)]))
    assert len(breaks(bars, fixed([100.0]), rule="wick")) == 0


def test_bars_that_did_not_trade_change_nothing():
    nothing = (np.nan,) * 4
    bars = bars_of(candles([nothing, (102, 102, 102, 102), nothing, (98, 98, 98, 98), nothing]))
    assert breaks(bars, fixed([100.0])).bar.tolist() == [3]


def test_no_bars_and_no_levels_have_no_breaks():
    nothing = Levels([], [], (), [], [], ())
    assert len(breaks(bars_of(closes([])), fixed([100.0]))) == 0
    assert len(breaks(bars_of(closes([102, 98])), nothing)) == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rule": "clsoe"}, "No break rule named 'clsoe'. Did you mean 'close'?"),
        ({"rule": None}, "No break rule named None."),
        ({"buffer": 1.0}, "`buffer` must be a fraction from 0 to below 1, not percent, got 1.0."),
        ({"buffer": -0.1}, "`buffer` must be a fraction from 0 to below 1, not percent, got -0.1."),
        ({"buffer": math.nan}, "`buffer` must be a fraction from 0 to below 1, not percent, got nan."),
        ({"buffer": "0.3%"}, "`buffer` must be a fraction from 0 to below 1, not percent, got '0.3%'."),
        ({"quiet_bars": 0}, "`quiet_bars` must be a whole number of bars from 1, got 0."),
        ({"quiet_bars": 1.5}, "`quiet_bars` must be a whole number of bars from 1, got 1.5."),
        (
            {"levels": (75_000.0,)},
            "`levels` must be a table of levels, got (75000.0,); turn prices into one with `fixed`.",
        ),
    ],
)
def test_settings_of_breaks_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(ConfigError) as error:
        breaks(**({"bars": bars_of(closes([102, 98])), "levels": fixed([100.0])} | settings))
    assert str(error.value).startswith(sentence)


LADDER = fixed([103.0, 100.0, 98.0]) + fixed([99.0, 101.0], known_from=START + 20 * HOUR)


def told(found, names):
    return [tuple(repr(float(getattr(found, name)[i])) for name in names) for i in range(len(found))]


@given(walks(), st.sampled_from(["close", "wick"]), st.sampled_from([0.0, 0.003, 0.01]), st.integers(1, 30))
def test_breaks_are_the_same_on_every_earlier_market(market, rule, buffer, quiet):
    names = ("bar", "time", "level", "next_level", "close", "row")
    whole = told(breaks(bars_of(market), LADDER, rule, buffer, quiet), names)
    for t in range(len(market)):
        early = told(breaks(bars_of(market.head(t)), LADDER, rule, buffer, quiet), names)
        assert early == [row for row in whole if float(row[0]) < t]


@given(walks(), st.floats(0, 0.02))
def test_the_first_wick_is_never_later_than_the_first_close(market, buffer):
    for level in (99.0, 100.0, 101.0):
        wicks = breaks(bars_of(market), fixed([level]), "wick", buffer).bar
        ends = breaks(bars_of(market), fixed([level]), "close", buffer).bar
        assert not len(ends) or wicks[0] <= ends[0]


@given(walks(), st.sampled_from([0.0, 0.003, 0.01]), st.integers(1, 30))
def test_breaks_are_those_of_a_walk_bar_by_bar(market, buffer, quiet):
    bars = bars_of(market)
    expected = {}
    for level in LADDER:
        intact, seen, last = False, False, -1000
        for t in range(len(bars)):
            close = bars.close[t]
            if bars.time[t] + HOUR < level.known_at or math.isnan(close):
                continue
            if intact and close < level.price - level.price * buffer:
                intact = False
                if t - last >= quiet:
                    last = t
                    expected[t] = min(level.price, expected.get(t, math.inf))
            elif not intact and (close > level.price + level.price * buffer if seen else close >= level.price):
                intact = seen = True
    assert rows(breaks(bars, LADDER, "close", buffer, quiet)) == sorted(expected.items())


def test_a_planted_crossing_is_found_at_its_bar():
    rng = np.random.default_rng(5)
    above = 102 + rng.uniform(-1, 1, 500)
    below = 97 + rng.uniform(-1, 1, 500)
    assert rows(breaks(bars_of(closes([*above, *below])), fixed([100.0]))) == [(500, 100.0)]
