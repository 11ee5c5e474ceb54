"""The rules of a break beyond the close: wicks, several closes, ATR buffers, volume, retests, false breaks, moving levels."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets_made import HOUR, START, bars_of, candles, closes, walks

from backtest.errors import ConfigError
from backtest.levels import RULES, Donchian, Levels, break_events, breaks, fixed
from backtest.levels.break_walk import LARGE, walk

LEVEL = fixed([100.0])


def events(found):
    """Return (bar, first bar, bar of the break, reclaim) of each."""
    columns = (found.bar, found.first_bar, found.broke_bar, found.reclaim_bar)
    return list(zip(*(column.tolist() for column in columns), strict=True))


# Floor 99, reclaim above 101. Bar 2 pierces and closes above the floor; 4, 5, 6 close below it; 7 comes back to 100.2 and
# closes below again; 9 closes above 101.
STORY = [
    (103, 104, 102, 103),
    (103, 103, 100, 100.5),
    (100.5, 100.6, 98.5, 99.5),
    (99.5, 100.8, 99.2, 100.2),
    (100.2, 100.3, 98, 98.6),
    (98.6, 99, 97.5, 98.2),
    (98.2, 98.8, 97, 97.4),
    (97.4, 100.2, 97.2, 98.8),
    (98.8, 100.9, 98.5, 100.9),
    (100.9, 102, 100.5, 101.5),
    (101.5, 102, 98.9, 99.6),
]


def story(rule, **settings):
    return break_events(bars_of(candles(STORY)), LEVEL, rule, 0.01, **settings)


@pytest.mark.parametrize(
    ("rule", "settings", "expected"),
    [
        ("wick", {}, [(2, 2, 2, 9), (10, 10, 10, -1)]),
        ("close", {}, [(4, 2, 4, 9)]),
        ("n_closes", {}, [(5, 2, 5, 9)]),
        ("n_closes", {"closes": 3}, [(6, 2, 6, 9)]),
        ("n_closes", {"closes": 4}, [(7, 2, 7, 9)]),
        ("n_closes", {"closes": 5}, []),
        ("n_closes", {"closes": 1}, [(4, 2, 4, 9)]),
        ("retest", {}, [(7, 2, 4, 9)]),
        ("retest", {"within": 3}, [(7, 2, 4, 9)]),
        ("retest", {"within": 2}, []),
        ("reclaim", {}, [(9, 2, 4, 9)]),
        ("reclaim", {"within": 5}, [(9, 2, 4, 9)]),
        ("reclaim", {"within": 4}, []),
    ],
)
def test_each_rule_on_one_story(rule, settings, expected):
    assert events(story(rule, **settings)) == expected


def test_a_row_says_what_waiting_cost_and_where_the_stop_of_a_reclaim_belongs():
    found = breaks(bars_of(candles(STORY)), fixed([100.0, 95.0]), "reclaim", 0.01)
    assert (found.bar.tolist(), found.first_bar.tolist(), found.low.tolist()) == ([9], [2], [97.0])
    assert found.next_level.tolist() == [95.0]
    assert found.delta.tolist() == [1.0]
    assert found[0].rule == "reclaim"
    assert breaks(bars_of(candles(STORY)), LEVEL, "close", 0.01).low.tolist() == [98.0]


def test_closes_in_a_row_are_in_a_row():
    # Floor 99: 98, 99.5, 98, 97: the close of 99.5 begins the count anew.
    found = break_events(bars_of(closes([102, 98, 99.5, 98, 97])), LEVEL, "n_closes", 0.01)
    assert events(found) == [(4, 1, 4, -1)]


def test_a_bar_without_trading_does_not_interrupt_the_closes():
    nothing = (math.nan,) * 4
    rows = [(102, 102, 102, 102), (98, 98, 98, 98), nothing, (98, 98, 98, 98)]
    assert events(break_events(bars_of(candles(rows)), LEVEL, "n_closes", 0.01)) == [(3, 1, 3, -1)]


def test_the_episode_begins_anew_after_a_close_above_the_reclaim():
    # 98.5 is a wick below 99; 100.9 is not above 101, so the episode goes on; 101.1 ends it.
    rows = [(102, 102, 102, 102), (102, 102, 98.5, 100), (100, 101, 100, 100.9), (100, 100, 98, 98)]
    assert events(break_events(bars_of(candles(rows)), LEVEL, "close", 0.01)) == [(3, 1, 3, -1)]
    rows[2] = (100, 101.1, 100, 101.1)
    assert events(break_events(bars_of(candles(rows)), LEVEL, "close", 0.01)) == [(3, 3, 3, -1)]


def test_a_retest_that_is_reclaimed_is_none():
    # Floor 99: broken by 98, back at 100, then closed at 101.5: reclaimed. The close of 98 after that is a new break.
    found = break_events(bars_of(closes([102, 98, 100, 101.5, 98])), LEVEL, "retest", 0.01)
    assert events(found) == []


def test_a_level_is_retested_once_in_a_break():
    # Broken by 98 (bar 1), 100 and 98 again and again: told once, at bar 3, until it was reclaimed by 102 and broken anew.
    found = break_events(bars_of(closes([102, 98, 100, 98, 100, 98, 102, 98, 100, 97])), LEVEL, "retest", 0.01)
    assert events(found) == [(3, 1, 1, 6), (9, 7, 7, -1)]


def test_a_retest_comes_near_in_units_of_the_atr():
    # 14 bars of a range of 2 make an ATR of 2: the zone of 0.15 is 0.3 deep. A high of 99.7 is a retest, 99.6 is none.
    calm = [(103, 104, 102, 103)] * 13 + [(103, 103, 101, 103)]
    fall = [(103, 103, 101, 101), (100, 100, 98, 98)]  # the true range of the last is 3
    # ATR at the bar of the retest: 13 bars of 2, then 2, 3 and 1.7 by Wilder: 2 -> 2 + 1/14 -> about 2.045.
    near = 100 - 0.15 * ((2 + 1 / 14) * 13 + 1.7) / 14
    for high, expected in ((near + 1e-9, [(16, 15, 15, -1)]), (near - 1e-3, [])):
        rows = [*calm, *fall, (98, high, high - 1.7, 98.5)]
        found = break_events(bars_of(candles(rows)), LEVEL, "retest", 0.01)
        assert events(found) == expected


def test_a_buffer_in_atrs_counts_where_it_is_wider():
    # ATR 2 after 14 bars of a range of 2; a quarter of it is 0.5, wider than 0.1% of the level. The close of 99.6 makes a
    # true range of 3.4 and an ATR of 2.1, so the floor is 99.475; that of 99.4 makes one of 2.1143 and 99.4714.
    calm = [(103, 104, 102, 103)] * 14
    for close, expected in ((99.6, []), (99.4, [14])):
        bars = bars_of(candles([*calm, (103, 103, close, close)]))
        found = breaks(bars, LEVEL, "close", 0.001, buffer_atr=0.25)
        assert found.bar.tolist() == expected
        assert breaks(bars, LEVEL, "close", 0.001).bar.tolist() == [14]
    assert found.delta.tolist() == [pytest.approx(0.25 * (2 * 13 + 3.6) / 14, rel=1e-12)]


def loud(volumes, values, **settings):
    bars = replace(bars_of(closes(values)), volume=np.array(volumes, float))
    return breaks(bars, LEVEL, "close", 0.01, volume=2.0, volume_bars=3, **settings).bar.tolist()


def test_a_break_needs_its_volume():
    # The median of the three bars before is 10; twice that is 20.
    assert loud([10, 5, 50, 20], [102, 102, 102, 98]) == [3]
    assert loud([10, 5, 50, 19.9], [102, 102, 102, 98]) == []
    # A quiet bar below leaves the level intact; the next one with the volume breaks it (median of 5, 50, 19 is 19).
    assert loud([10, 5, 50, 19, 38], [102, 102, 102, 98, 97]) == [4]


def test_without_so_many_bars_before_there_is_no_volume_to_compare():
    assert loud([10, 10, 1000], [102, 102, 98]) == []


def replaced(price, bar):
    """Return a level in whose place another one comes at the close of a bar."""
    times = np.array([0], np.int64)
    return Levels(np.array([price]), np.zeros(1), ("prior",), times, times, ((),), np.array([START + (bar + 1) * HOUR]))


def test_a_level_breaks_in_the_bar_that_replaces_it_and_not_after():
    assert breaks(bars_of(closes([102, 98])), replaced(100.0, 1)).bar.tolist() == [1]
    assert breaks(bars_of(closes([102, 102, 98])), replaced(100.0, 2)).bar.tolist() == [2]
    assert breaks(bars_of(closes([102, 102, 98])), replaced(100.0, 1)).bar.tolist() == []


def test_a_level_that_is_replaced_in_a_bar_is_no_rung_after_its_close():
    found = breaks(bars_of(closes([102, 98])), LEVEL + replaced(95.0, 1))
    assert np.isnan(found.next_level).all()
    assert breaks(bars_of(closes([102, 98])), LEVEL + replaced(95.0, 2)).next_level.tolist() == [95.0]


def test_the_low_of_the_last_bars_breaks():
    # The lowest of the two lows before is 100, then 99; the bar that closes at 97 is the first below it by 1%.
    bars = bars_of(candles([(101, 102, 100, 101), (101, 102, 100, 101), (101, 101, 99, 100), (100, 100, 97, 97.5)]))
    found = breaks(bars, Donchian(2).find(bars), "close", 0.01)
    assert (found.bar.tolist(), found.level.tolist()) == ([3], [99.0])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rule": "n_close"}, "No break rule named 'n_close'. Did you mean 'n_closes'?"),
        ({"rule": 3}, "No break rule named 3."),
        ({"closes": 0}, "`closes` must be a whole number of bars from 1, got 0."),
        ({"closes": 1.5}, "`closes` must be a whole number of bars from 1, got 1.5."),
        ({"buffer_atr": -0.1}, "`buffer_atr` must be a number from 0, got -0.1."),
        ({"buffer_atr": math.nan}, "`buffer_atr` must be a number from 0, got nan."),
        ({"volume": -1}, "`volume` must be a number from 0, got -1."),
        ({"volume_bars": 0}, "`volume_bars` must be a whole number of bars from 1, got 0."),
        ({"zone": math.inf}, "`zone` must be a number from 0, got inf."),
        ({"within": 0}, "`within` must be a whole number of bars from 1, got 0."),
        ({"buffer": 1.0}, "`buffer` must be a fraction from 0 to below 1, not percent, got 1.0."),
        ({"quiet_bars": 0}, "`quiet_bars` must be a whole number of bars from 1, got 0."),
        ({"life_days": -1}, "`life_days` must be a number from 0 or None, got -1."),
        ({"round_trips": 0}, "`round_trips` must be a whole number"),
    ],
)
@pytest.mark.parametrize("function", [breaks, break_events])
def test_settings_that_make_no_sense_are_refused(function, settings, sentence):
    with pytest.raises(ConfigError) as error:
        function(bars_of(candles(STORY)), LEVEL, **settings)
    assert str(error.value).startswith(sentence)


def test_a_level_has_one_event_in_24_bars_and_on_daily_ones_in_5():
    # Floor 99.7, reclaim above 100.3: broken at 1, 5, 7 and 26, and taken back at 2, 6 and 8.
    prices = [101.0, 99, 101, 101, 101, 99, 101, 99, *[101] * 18, 99]
    hourly = bars_of(closes(prices))
    daily = replace(hourly, interval=24 * HOUR, time=START + 24 * HOUR * np.arange(len(prices)))
    assert breaks(hourly, LEVEL).bar.tolist() == [1, 26]
    assert breaks(daily, LEVEL).bar.tolist() == [1, 7, 26]
    assert break_events(hourly, LEVEL).bar.tolist() == break_events(daily, LEVEL).bar.tolist() == [1, 5, 7, 26]


def lasting(price, known=START + HOUR):
    """Return a level of a kind that retires, known at the first close."""
    times = np.array([known], np.int64)
    return Levels(np.array([price]), np.zeros(1), ("fractal",), times, times, ((("k", 2),),))


def test_a_level_is_given_up_with_its_second_return():
    # Floor 99.7, reclaim above 100.3: broken at 1, 3 and 5, taken back at 2 and 4.
    bars = bars_of(closes([101.0, 99, 101, 99, 101, 99]))
    assert break_events(bars, lasting(100.0)).bar.tolist() == [1, 3]
    assert break_events(bars, lasting(100.0), "reclaim").bar.tolist() == [2, 4]
    assert break_events(bars, lasting(100.0), round_trips=1).bar.tolist() == [1]
    assert break_events(bars, lasting(100.0), round_trips=None).bar.tolist() == [1, 3, 5]
    assert break_events(bars, LEVEL).bar.tolist() == [1, 3, 5]  # given prices are never given up


def test_a_level_is_given_up_with_age():
    # Known at the first close: four hours later, at the close of bar 4, it is no longer watched.
    for fall, old, ever in ((3, [3], [3]), (4, [], [4])):
        bars = bars_of(closes([101.0] * fall + [99.0]))
        assert break_events(bars, lasting(100.0), life_days=4 / 24).bar.tolist() == old
        assert break_events(bars, lasting(100.0), life_days=None).bar.tolist() == ever


def test_a_level_that_was_given_up_is_no_rung():
    # 95 is broken and taken back twice by bar 5; at bar 7 the price breaks 100 and 95 is the next one, or nothing is.
    bars = bars_of(closes([101.0, 96, 94, 96, 94, 101, 101, 99]))
    both = fixed([100.0]) + lasting(95.0)
    given_up, kept = (breaks(bars, both, quiet_bars=1, round_trips=trips) for trips in (2, None))
    assert given_up.bar.tolist() == kept.bar.tolist() == [1, 2, 4, 7]
    np.testing.assert_array_equal(given_up.next_level, [95.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(kept.next_level, [95.0, np.nan, np.nan, 95.0])


# --- the same by a walk that looks at every bar ---


def by_hand(bars, price, start, end, rule, buffer, closes, zone, loud, trips=math.inf):
    """Follow one level bar by bar, plainly: (bar, kind) of what happens, kinds as in the walk; reclaim `trips` ends it."""
    found, held, lost, run, near, told = [], False, False, 0, False, False
    for t in range(start, min(end, len(bars))):
        low, high, close = bars.low[t], bars.high[t], bars.close[t]
        if math.isnan(close):
            continue
        if not held:
            held = bool(close >= price)
            continue
        floor, top = price - price * buffer, price + price * buffer
        if not lost:
            run = run + 1 if close < floor else 0
            if (low < floor if rule == "wick" else run >= closes) and loud[t]:
                found.append((t, "broken"))
                lost, near, told = True, False, False
            else:
                continue
        elif high >= price - zone:
            near = True
        if close > top:
            found.append((t, "reclaimed"))
            lost, run = False, 0
            if sum(what == "reclaimed" for _, what in found) >= trips:
                break
        elif near and not told and close < floor:
            found.append((t, "retested"))
            told = True
    return found


@settings(max_examples=150, deadline=None)
@given(
    market=walks(largest=400),
    rule=st.sampled_from(RULES),
    buffer=st.sampled_from([0.0, 0.003, 0.01]),
    closes=st.integers(1, 3),
    price=st.sampled_from([97.0, 99.0, 100.0, 101.5]),
    over=st.integers(0, 400),
    trips=st.sampled_from([None, 1, 2, 3]),
)
def test_events_are_those_of_a_walk_bar_by_bar(market, rule, buffer, closes, price, over, trips):
    bars = bars_of(market)
    known = np.array([START], np.int64)
    until = np.array([START + HOUR * (over + 1)], np.int64)
    level = Levels(np.array([price]), np.zeros(1), ("x",), known, known, ((),), until)
    found = break_events(bars, level, rule, buffer, closes=closes, zone=0.0, within=10_000, round_trips=trips)
    loud, several = np.ones(len(bars), bool), closes if rule == "n_closes" else 1
    told = by_hand(bars, price, 0, over + 1, rule, buffer, several, 0.0, loud, trips or math.inf)
    kind = {"retest": "retested", "reclaim": "reclaimed"}.get(rule, "broken")
    assert found.bar.tolist() == [t for t, what in told if what == kind]
    for bar, reclaim in zip(found.bar.tolist(), found.reclaim_bar.tolist(), strict=True):
        assert reclaim == next((t for t, what in told if what == "reclaimed" and t >= bar), -1)
    for bar, broke in zip(found.bar.tolist(), found.broke_bar.tolist(), strict=True):
        assert broke == max(t for t, what in told if what == "broken" and t <= bar)


@settings(max_examples=60, deadline=None)
@given(market=walks(), rule=st.sampled_from(RULES), buffer=st.sampled_from([0.0, 0.01]), volume=st.sampled_from([0, 1]))
def test_what_was_told_is_told_by_every_earlier_market(market, rule, buffer, volume):
    names = ("bar", "time", "level", "next_level", "close", "row", "first_bar", "low", "delta")
    given_levels = fixed([101.0, 100.0, 99.0, 97.0])

    def told(part):
        found = breaks(bars_of(part), given_levels, rule, buffer, 3, buffer_atr=0.5, volume=volume, volume_bars=5)
        return [tuple(map(str, row)) for row in zip(*(getattr(found, n).tolist() for n in names), strict=True)]

    whole = told(market)
    for t in range(0, len(market), 3):
        assert told(market.head(t)) == [row for row in whole if int(row[0]) < t]


@given(market=walks(), buffer=st.floats(0, 0.02), closes=st.integers(1, 4))
def test_a_wick_comes_no_later_than_a_close_and_that_no_later_than_several(market, buffer, closes):
    for price in (99.0, 100.0, 101.0):
        first = [
            break_events(bars_of(market), fixed([price]), rule, buffer, closes=closes).bar[:1].tolist() or [10**9]
            for rule in ("wick", "close", "n_closes")
        ]
        assert first == sorted(first)


def long_walk(n, seed):
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.004, n)))
    first = np.append(100.0, close[:-1])
    wick = 0.1 * random.random((2, n))
    return candles(
        np.column_stack((first, np.maximum(first, close) + wick[0], np.minimum(first, close) - wick[1], close))
    )


@pytest.mark.parametrize("rule", RULES)
def test_what_lies_clear_of_a_level_is_passed_without_loss(rule):
    bars = bars_of(long_walk(8 * LARGE + 77, 3))
    prices = np.quantile(bars.close, [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999]).round(2)
    found = break_events(bars, fixed(prices), rule, 0.001, zone=0.0, within=10_000)
    kind = {"retest": "retested", "reclaim": "reclaimed"}.get(rule, "broken")
    expected = []
    for row, price in enumerate(sorted(prices, reverse=True)):
        told = by_hand(
            bars, price, 0, len(bars), rule, 0.001, 2 if rule == "n_closes" else 1, 0.0, np.ones(len(bars), bool)
        )
        expected += [(row, t) for t, what in told if what == kind]
    assert len(expected) > 20
    assert list(zip(found.row.tolist(), found.bar.tolist(), strict=True)) == expected


def test_the_compiled_walk_is_the_plain_one(monkeypatch):
    bars, table = bars_of(long_walk(2_000, 5)), fixed([96.0, 98.0, 100.0, 102.0, 104.0])
    compiled = [events(break_events(bars, table, rule, 0.002)) for rule in RULES]
    plain = plain_walk()
    monkeypatch.setattr("backtest.levels.break_walk.walk", plain)
    assert [events(break_events(bars, table, rule, 0.002)) for rule in RULES] == compiled
    assert sum(map(len, compiled)) > 50


def plain_walk():
    """Return the walk and all that it calls as plain Python."""
    names = dict(walk.py_func.__globals__)
    for name in ("note", "clear_bars", "come_back", "held", "lost", "live", "walk"):
        function = names[name].py_func
        names[name] = type(function)(function.__code__, names, name)
    return names["walk"]
