"""Bounces off levels, worked by hand in ATRs; on one level they are those that `life` counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets_made import HOUR, START, bars_of, candles, closes, walks

from backtest.errors import ConfigError
from backtest.levels import Levels, LifeRules, bounces, fixed, life

# Bars of a range of 2 that hold the close before them, so that the ATR is 2 throughout. With the level at 100 the zone goes from
# 99.7 to 100.3, a touch comes after a close above 101, a bounce closes above 102, and the level breaks below 99.5.
QUIET = [(105.0, 106.0, 104.0, 105.0)] * 14
DOWN = [(103.0, 103.5), (101.5, 102.0)]  # lows and closes of bars 14 and 15


def story(*steps, before=DOWN):
    """Return the quiet bars, and those of the lows and closes given, each 2 high; from the first on they are bars 14, 15, ..."""
    prices = list(QUIET)
    for low, close in [*before, *steps]:
        prices.append((prices[-1][3], low + 2.0, low, close))
    return bars_of(candles(prices))


def told(bars, levels=None, **asked):
    """Return (bar, bar of the touch, level) of each bounce."""
    found = bounces(bars, fixed([100.0]) if levels is None else levels, **asked)
    return list(zip(found.bar.tolist(), found.touch_bar.tolist(), found.level.tolist(), strict=True))


DIP = [(100.2, 101.8), (100.4, 102.1)]  # into the zone, and the close that is a bounce
HELD = story((100.2, 101.0), (100.5, 102.3))


def test_a_touched_level_that_holds_is_a_bounce():
    found = bounces(HELD, fixed([100.0]))
    assert (found.bar.tolist(), found.touch_bar.tolist(), found.level.tolist()) == ([17], [16], [100.0])
    assert found.close.tolist() == [102.3]
    assert found.time.tolist() == [START + 18 * HOUR]
    assert (found[0].bar, found[0].touch_bar, found[0].close) == (17, 16, 102.3)


def test_the_margin_is_a_quarter_of_the_atr_or_a_fraction_where_that_is_wider():
    assert bounces(HELD, fixed([100.0])).delta.tolist() == [0.5]
    assert bounces(HELD, fixed([100.0]), buffer=0.01).delta.tolist() == [1.0]
    assert bounces(HELD, fixed([100.0]), buffer_atr=0.0).delta.tolist() == pytest.approx([0.3])


def test_widths_are_in_atrs_of_the_bar():
    assert told(HELD, leave=1.1) == [(17, 16, 100.0)]  # above 102.2
    assert told(HELD, leave=1.15) == []  # 102.3 is not above 102.3
    assert told(HELD, zone=0.05) == []  # the zone ends at 100.1
    again = story(*DIP * 2)  # from 16 on down, up, down, up; between the touches the highest close is 102.1
    assert [touch for _, touch, _ in told(again, quiet_bars=2, away=1.04)] == [16, 18]
    assert [touch for _, touch, _ in told(again, quiet_bars=2, away=1.05)] == [16]
    far = [tuple(10 * price for price in row) for row in zip(HELD.open, HELD.high, HELD.low, HELD.close, strict=True)]
    assert told(bars_of(candles(far)), fixed([1000.0])) == [(17, 16, 1000.0)]


def test_a_low_just_above_the_zone_is_no_touch():
    assert told(story((100.3, 101.0), (100.5, 102.3))) == [(17, 16, 100.0)]
    assert told(story((100.31, 101.0), (100.5, 102.3))) == []


def test_a_bar_wholly_below_the_zone_is_no_touch():
    # Bar 16 gaps below: its high of 99.65 does not reach 99.7. With a buffer of 1% it does not break the level either.
    prices = [
        *QUIET,
        (105, 105, 103, 103.5),
        (103.5, 103.5, 101.5, 102),
        (99.6, 99.65, 99.2, 99.6),
        (102.5, 104, 102.5, 104),
    ]
    assert told(bars_of(candles(prices)), buffer=0.01) == []
    reaching = [*prices[:16], (99.6, 99.71, 99.2, 99.6), *prices[17:]]
    assert told(bars_of(candles(reaching)), buffer=0.01, buffer_atr=0.0) == [(17, 16, 100.0)]


def test_a_hammer_touches_and_holds_in_one_bar():
    hammer = (102.0, 103.0, 99.0, 103.0)
    assert told(bars_of(candles([*rows_of(story()), hammer]))) == [(16, 16, 100.0)]


def rows_of(bars):
    return list(zip(bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True))


def test_a_close_below_the_floor_comes_before_the_bounce():
    assert told(story((100.2, 101.0), (99.4, 99.5), (98.8, 100.6), (100.5, 102.4))) == [
        (19, 16, 100.0)
    ]  # 99.5 is not below
    broken = story((100.2, 101.0), (99.3, 99.4), (98.8, 100.6), (100.5, 102.4))
    assert told(broken) == []


def test_a_price_that_was_never_away_touches_nothing():
    near = bars_of(candles([(100.9, 101.9, 99.9, 100.9)] * 20 + [(100.9, 102.9, 100.9, 102.9)]))
    assert told(near) == []


def test_a_level_reached_from_below_is_no_support():
    assert told(bars_of(closes([95.0, 94.0] * 10 + [97.0, 99.0, 100.0, 102.0, 103.0]))) == []


def test_without_an_atr_there_is_no_touch():
    hammer = (105.0, 106.0, 100.0, 105.0)
    for at, expected in (
        (12, []),
        (13, []),
        (14, [(14, 14, 100.0)]),
    ):  # bar 13 is the first with an ATR: away only after it
        prices = [*QUIET[:1] * at, hammer, *QUIET[:1] * 3]
        assert told(bars_of(candles(prices)), leave=0.9) == expected


@pytest.mark.parametrize(("quiet", "expected"), [(6, [16, 22]), (4, [16, 20]), (2, [16, 18, 20, 22]), (7, [16])])
def test_touches_keep_their_distance(quiet, expected):
    touched = [touch for _, touch, _ in told(story(*DIP * 4), quiet_bars=quiet)]
    assert touched == expected


def test_touches_keep_their_distance_across_a_break():
    # Touched at 16, broken at 17, back at 18; in the zone at 20, four bars after the touch.
    back = story((99.6, 99.7), (98.2, 98.9), (98.8, 100.7), (100.5, 101.5), (100.1, 101.8), (101.7, 103.0), before=[
        (103.0, 103.5), (101.5, 101.6)])  # fmt: skip
    assert told(back) == []
    assert told(back, quiet_bars=4) == [(21, 20, 100.0)]


def test_of_two_levels_that_hold_the_highest_counts():
    assert told(HELD, fixed([100.2, 100.0])) == [(17, 16, 100.2)]
    assert told(HELD, fixed([100.0, 100.2])) == [(17, 16, 100.2)]


def test_a_level_that_is_not_known_yet_does_not_bounce():
    for bar, expected in (
        (15, [(17, 16, 100.0)]),
        (16, []),
        (99, []),
    ):  # known at the close of bar 16 it was not left since
        assert told(HELD, fixed([100.0], known_from=START + (bar + 1) * HOUR)) == expected


def level(kind="fractal", width=0.0, until=2**63 - 1):
    times = np.array([START], np.int64)
    return Levels(np.array([100.0]), np.array([width]), (kind,), times, times, ((),), np.array([until]))


def test_a_level_bounces_in_the_bar_that_replaces_it_and_not_after():
    assert told(HELD, level(until=START + 17 * HOUR)) == []
    assert told(HELD, level(until=START + 18 * HOUR)) == [(17, 16, 100.0)]


def test_a_wide_level_is_touched_at_its_edge():
    assert told(story((100.61, 101.3), (100.9, 102.6)), level(width=0.6)) == []
    assert told(story((100.6, 101.3), (100.9, 102.6)), level(width=0.6)) == [(17, 16, 100.0)]


# Touched at 16, broken at 17 and taken back at 18: one return. Then a touch at 22 and its bounce at 23.
RETURNED = story((99.6, 99.7), (98.2, 98.9), (98.8, 100.7), (100.5, 102.0), (101.0, 102.0), (101.0, 101.9), (100.2, 101.0),
                 (100.5, 102.3), before=[(103.0, 103.5), (101.5, 101.6)])  # fmt: skip


def test_retired_levels_do_not_bounce():
    # A level is known from the close of bar 0: a day later, at the close of bar 24, it is given up.
    late = bars_of(candles([*QUIET, *[QUIET[0]] * 7, *rows_of(HELD)[14:]]))  # the bounce comes at bar 24
    assert told(late, level(), life_days=1.0) == []
    assert told(late, level(), life_days=1.05) == told(late, level(), life_days=None) == [(24, 23, 100.0)]
    assert told(late, level("fixed"), life_days=1.0) == [(24, 23, 100.0)]
    assert told(RETURNED, level(), round_trips=1) == []
    assert told(RETURNED, level(), round_trips=2) == told(RETURNED, level(), round_trips=None) == [(23, 22, 100.0)]


def test_no_bars_and_no_levels_have_no_bounces():
    nothing = Levels([], [], (), [], [], ())
    assert len(bounces(bars_of(closes([])), fixed([100.0]))) == 0
    assert len(bounces(bars_of(closes([102, 98])), nothing)) == 0


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"zone": 0.6}, "`zone` 0.6 must be at most `away` 0.5 and below `leave` 1.0."),
        ({"leave": 0.15}, "`zone` 0.15 must be at most `away` 0.5 and below `leave` 0.15."),
        ({"leave": "1"}, "`leave` must be a number from 0, got '1'."),
        ({"buffer": 3}, "`buffer` must be a fraction from 0 to below 1, not percent, got 3."),
        ({"buffer_atr": -1}, "`buffer_atr` must be a number from 0, got -1."),
        ({"quiet_bars": True}, "`quiet_bars` must be a whole number of bars from 1, got True."),
        ({"life_days": -1}, "`life_days` must be a number from 0 or None, got -1."),
        ({"levels": [1.0]}, "`levels` must be a table of levels, got [1.0]; turn prices into one with `fixed`."),
    ],
)
def test_settings_of_bounces_that_make_no_sense_are_refused(asked, sentence):
    with pytest.raises(ConfigError) as error:
        bounces(**({"bars": bars_of(closes([102, 98])), "levels": fixed([100.0])} | asked))
    assert str(error.value) == sentence


# --- properties ---

LADDER = fixed([103.0, 100.0, 98.0]) + fixed([101.0, 99.0], known_from=START + 20 * HOUR)
EASY = {"zone": 0.5, "away": 0.5, "leave": 0.6, "buffer": 0.0}


@settings(deadline=None)
@given(walks(), st.integers(1, 30), st.sampled_from([{}, EASY]))
def test_bounces_are_the_same_on_every_earlier_market(market, quiet, asked):
    names = ("bar", "time", "touch_bar", "level", "close", "row", "delta")

    def plain(bars):
        found = bounces(bars, LADDER, quiet_bars=quiet, **asked)
        return [tuple(repr(float(getattr(found, name)[i])) for name in names) for i in range(len(found))]

    whole = plain(bars_of(market))
    for t in range(len(market)):
        assert plain(bars_of(market.head(t))) == [row for row in whole if float(row[0]) < t]


@settings(deadline=None)
@given(
    walks(), st.integers(1, 8), st.sampled_from([{}, EASY]), st.sampled_from(["fractal", "fixed"]), st.integers(0, 2)
)
def test_on_one_level_they_are_the_bounces_of_its_life(market, quiet, asked, kind, half):
    bars, one = bars_of(market), level(kind, width=0.3 * half)
    asked = {**asked, "quiet_bars": quiet, "life_days": 3.0}
    lived = life(bars, one, LifeRules(**asked))
    assert bounces(bars, one, **asked).bar.tolist() == lived.bar[np.diff(lived.bounces, prepend=0) > 0].tolist()
