import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets_made import HOUR, START, bars_of, candles, closes, walks

from backtest.errors import ConfigError
from backtest.levels import Level, Levels, bounces, breaks, donchian, fixed


def rows(found):
    return list(zip(found.bar.tolist(), found.level.tolist(), strict=True))


# --- tables of levels ---


def test_fixed_prices_make_a_ladder_from_the_top():
    table = fixed([70_000, 75_000])
    assert table.price.tolist() == [75_000.0, 70_000.0]
    assert table[1] == Level(70_000.0, 0.0, "fixed", -(2**63), -(2**63))
    assert len(table) == 2
    assert [level.price for level in table] == [75_000.0, 70_000.0]


@pytest.mark.parametrize(
    ("given_time", "ns"),
    [
        ("2026-02-03", START),
        ("2026-02-03T00:00Z", START),
        ("2026-02-03T01:00+01:00", START),
        (START, START),
    ],
)
def test_fixed_prices_are_known_from_a_time(given_time, ns):
    assert fixed([100.0], known_from=given_time).known_at.tolist() == [ns]


@pytest.mark.parametrize(
    ("prices", "sentence"),
    [
        ([], "`levels` is empty; give at least one price, like (75000.0, 70000.0)."),
        ([75_000.0, math.nan], "A level must be a price above 0, got nan."),
        ([math.inf], "A level must be a price above 0, got inf."),
        ([0.0], "A level must be a price above 0, got 0.0."),
        ([-5], "A level must be a price above 0, got -5."),
        (["75000"], "A level must be a price above 0, got '75000'."),
        ([True], "A level must be a price above 0, got True."),
        ("75000", "`levels` must be a list of prices like (75000.0, 70000.0), got '75000'."),
        (75_000.0, "`levels` must be a list of prices like (75000.0, 70000.0), got 75000.0."),
        ([70_000, 75_000, 70_000.0], "The level 70000.0 stands twice."),
    ],
)
def test_prices_that_are_none_are_refused(prices, sentence):
    with pytest.raises(ConfigError) as error:
        fixed(prices)
    assert str(error.value) == sentence


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="`known_from` must be a date like '2026-01-15' or ns UTC, got 'soon'"):
        fixed([100.0], known_from="soon")


def test_tables_add_and_show_only_what_was_known():
    both = fixed([100.0]) + fixed([90.0, 95.0], known_from="2026-02-03")
    assert both.price.tolist() == [100.0, 95.0, 90.0]
    assert both.known(START - 1).price.tolist() == [100.0]
    assert both.known(START).price.tolist() == [100.0, 95.0, 90.0]


def test_a_table_is_frozen():
    table = fixed([100.0])
    with pytest.raises(FrozenInstanceError):
        table.price = np.array([1.0])
    with pytest.raises(ValueError, match="read-only"):
        table.price[0] = 1.0


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (([100.0], [0.0, 0.0], ("x",), [0], [0], ((),)), "A table of 1 levels needs that many values in every column."),
        (([100.0], [-1.0], ("x",), [0], [0], ((),)), "A level's half-width must be at least 0, got -1.0."),
        (([100.0], [math.nan], ("x",), [0], [0], ((),)), "A level's half-width must be at least 0, got nan."),
        (([100.0], [0.0], ("x",), [5], [4], ((),)), "The level 100.0 is known before it formed."),
        (([math.nan], [0.0], ("x",), [0], [0], ((),)), "A level must be a price above 0, got nan."),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(columns, sentence):
    with pytest.raises(ConfigError) as error:
        Levels(*columns)
    assert str(error.value) == sentence


# --- donchian ---


def test_donchian_is_the_lowest_low_before_the_bar():
    bars = bars_of(candles([(9, 9, low, 9) for low in (5, 3, 4, 6, 2, 7)]))
    np.testing.assert_array_equal(donchian(bars, 1), [np.nan, 5, 3, 4, 6, 2])
    np.testing.assert_array_equal(donchian(bars, 2), [np.nan, np.nan, 3, 3, 4, 2])
    np.testing.assert_array_equal(donchian(bars, 3), [np.nan, np.nan, np.nan, 3, 3, 2])
    np.testing.assert_array_equal(donchian(bars, 5), [np.nan, np.nan, np.nan, np.nan, np.nan, 2])
    np.testing.assert_array_equal(donchian(bars, 6), [np.nan] * 6)
    np.testing.assert_array_equal(donchian(bars, 20), [np.nan] * 6)


def test_donchian_is_nan_where_a_bar_of_the_window_did_not_trade():
    bars = bars_of(candles([(9, 9, 5, 9), (np.nan,) * 4, (9, 9, 4, 9), (9, 9, 6, 9), (9, 9, 2, 9)]))
    np.testing.assert_array_equal(donchian(bars, 2), [np.nan, np.nan, np.nan, np.nan, 4])


def test_donchian_of_no_bars_is_empty():
    assert donchian(bars_of(closes([])), 3).size == 0


@pytest.mark.parametrize("n", [0, -1, 2.0, "20", True, None])
def test_donchian_refuses_a_window_that_is_none(n):
    with pytest.raises(
        ConfigError, match="The lookback of a Donchian channel must be a whole number of bars from 1, got"
    ):
        donchian(bars_of(closes([1.0, 2.0])), n)


@given(walks(), st.integers(1, 130))
def test_donchian_is_the_plain_minimum_of_each_window(market, n):
    bars = bars_of(market)
    plain = [np.nan if t < n else bars.low[t - n : t].min() for t in range(len(bars))]
    np.testing.assert_array_equal(donchian(bars, n), plain)


# --- breaks ---

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
    assert len(bounces(bars_of(closes([102, 98])), nothing)) == 0


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


# --- bounces ---

# With the level 100: zone up to 100.2, away above 100.5, held above 100.8, broken below 99.7.
AWAY = (102, 102, 101, 102)


def test_a_touched_level_that_holds_is_a_bounce():
    held = bounces(
        bars_of(candles([AWAY, (102, 102, 100.2, 100.3), (100.3, 100.9, 100.25, 100.8), (100.8, 101, 100.7, 100.81)])),
        fixed([100.0]),
    )
    assert (held.bar.tolist(), held.touch_bar.tolist(), held.level.tolist()) == ([3], [1], [100.0])
    assert held.close.tolist() == [100.81]
    assert held.time.tolist() == [START + 4 * HOUR]
    assert held[0].touch_bar == 1


def test_a_hammer_touches_and_holds_in_one_bar():
    held = bounces(bars_of(candles([AWAY, (102, 102, 99.0, 101)])), fixed([100.0]))
    assert (held.bar.tolist(), held.touch_bar.tolist()) == ([1], [1])


def test_the_close_of_a_hammer_is_away_for_the_next_touch():
    bars = bars_of(candles([AWAY, (102, 102, 100, 101), (101, 101, 100, 101)]))
    assert bounces(bars, fixed([100.0]), quiet_bars=1).bar.tolist() == [1, 2]
    assert bounces(bars, fixed([100.0]), quiet_bars=2).bar.tolist() == [1]


def test_a_low_just_above_the_zone_is_no_touch():
    assert len(bounces(bars_of(candles([AWAY, (102, 102, 100.21, 101)])), fixed([100.0]))) == 0


def test_a_close_below_the_level_comes_before_the_bounce():
    broken = candles([AWAY, (102, 102, 100.1, 100.3), (100.3, 100.3, 99, 99.6), (99.6, 102, 99.6, 102)])
    assert len(bounces(bars_of(broken), fixed([100.0]))) == 0
    held = candles([AWAY, (102, 102, 100.1, 100.3), (100.3, 100.3, 99, 99.7), (99.7, 102, 99.7, 102)])
    assert bounces(bars_of(held), fixed([100.0])).bar.tolist() == [3]


def test_a_price_that_was_never_away_touches_nothing():
    assert len(bounces(bars_of(candles([(100.1, 100.5, 100, 100.5), (100.5, 101, 100, 101)])), fixed([100.0]))) == 0


def test_a_level_reached_from_below_is_no_support():
    assert len(bounces(bars_of(closes([95, 97, 99, 100, 102, 103])), fixed([100.0]))) == 0


def test_touches_keep_their_distance():
    hammer = (101, 101, 100, 101)
    bars = bars_of(candles([AWAY, hammer, AWAY, AWAY, hammer, AWAY, AWAY, hammer, AWAY]))
    assert bounces(bars, fixed([100.0])).bar.tolist() == [1, 7]
    assert bounces(bars, fixed([100.0]), quiet_bars=3).bar.tolist() == [1, 4, 7]


def test_of_two_levels_that_hold_the_highest_counts():
    held = bounces(bars_of(candles([AWAY, (102, 102, 99.0, 102)])), fixed([99.0, 100.0]))
    assert rows(held) == [(1, 100.0)]


def test_a_level_that_is_not_known_yet_does_not_bounce():
    bars = bars_of(candles([AWAY, (101, 101, 100, 101), AWAY]))
    assert len(bounces(bars, fixed([100.0], known_from=START + 2 * HOUR))) == 0
    assert len(bounces(bars, fixed([100.0], known_from=START + HOUR))) == 1


def test_a_level_bounces_in_the_bar_that_replaces_it_and_not_after():
    times, story = np.array([0], np.int64), [AWAY, (102, 102, 100.2, 100.3), (100.3, 101, 100.25, 101)]
    for until, expected in ((START + 2 * HOUR, []), (START + 3 * HOUR, [2])):
        level = Levels(np.array([100.0]), np.zeros(1), ("prior",), times, times, ((),), np.array([until]))
        assert bounces(bars_of(candles(story)), level).bar.tolist() == expected


def test_a_wide_level_is_touched_at_its_edge():
    wide = Levels([100.0], [0.6], ("x",), [0], [0], ((),))
    assert bounces(bars_of(candles([AWAY, (102, 102, 100.6, 101)])), wide).bar.tolist() == [1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"zone": 0.006}, "`zone` 0.006 must be at most `away` 0.005 and below `margin` 0.008."),
        ({"margin": 0.002}, "`zone` 0.002 must be at most `away` 0.005 and below `margin` 0.002."),
        ({"margin": 2}, "`margin` must be a fraction from 0 to below 1, not percent, got 2."),
        ({"quiet_bars": True}, "`quiet_bars` must be a whole number of bars from 1, got True."),
        ({"levels": [1.0]}, "`levels` must be a table of levels, got [1.0]; turn prices into one with `fixed`."),
    ],
)
def test_settings_of_bounces_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(ConfigError) as error:
        bounces(**({"bars": bars_of(closes([102, 98])), "levels": fixed([100.0])} | settings))
    assert str(error.value) == sentence


@given(walks(), st.integers(1, 30))
def test_bounces_are_the_same_on_every_earlier_market(market, quiet):
    names = ("bar", "time", "touch_bar", "level", "close", "row")
    whole = told(bounces(bars_of(market), LADDER, quiet_bars=quiet), names)
    for t in range(len(market)):
        early = told(bounces(bars_of(market.head(t)), LADDER, quiet_bars=quiet), names)
        assert early == [row for row in whole if float(row[0]) < t]


@given(walks())
def test_donchian_is_the_same_on_every_earlier_market(market):
    whole = donchian(bars_of(market), 7)
    for t in range(len(market)):
        np.testing.assert_array_equal(donchian(bars_of(market.head(t)), 7), whole[:t])
