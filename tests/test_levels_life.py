"""The life of levels, drawn by hand: what happens to them, and what one sees of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markets_made import HOUR, START, bars_of, candles, closes
from real_market import HISTORY, needs_history

from backtest import Bars
from backtest.errors import ConfigError
from backtest.levels import Levels, fixed
from backtest.levels.life import STATES, LifeRules, life
from backtest.levels.round_numbers import round_numbers
from backtest.levels.spans import nearest_below

nan = np.nan
DAY = 24 * HOUR


def table(prices, known=START, kind="fractal", width=0.0, formed=None):
    k = len(prices)
    known_at = np.broadcast_to(np.asarray(known, np.int64), k)
    formed_at = known_at if formed is None else np.full(k, formed)
    return Levels(np.asarray(prices, float), np.full(k, width), (kind,) * k, formed_at, known_at, ((),) * k)


def events(found):
    return [
        (int(b), STATES[s], int(t), int(h), int(r))
        for b, s, t, h, r in zip(
            found.bar, found.state, found.touches, found.bounces, found.round_trips, strict=True
        )
    ]  # fmt: skip


# --- a life drawn by hand: every bar has a range of 2 and holds the close before it, so that the ATR is 2 throughout ---

# low and close of the bars from 14 on; before them 14 bars from 104 to 106 that close at 105
DRAWN = [
    (103.0, 103.5), (101.5, 102.0),
    (100.2, 101.0),  # 16: into the zone, 100.3, after closes above 101
    (100.5, 102.3),  # 17: closes above 102: the bounce
    (100.4, 101.2),
    (99.9, 100.2),   # 19: in the zone again, 3 bars after the touch: none
    (98.5, 99.3),    # 20: closes below 99.5, level - delta: the break
    (98.8, 100.7),   # 21: closes above 100.5: it was a false one
    (100.5, 101.5),
    (100.1, 100.4),  # 23: a second touch
    (98.4, 98.6),    # 24: broken again
    (97.0, 98.0),
    (97.9, 98.5),    # 26: high 99.9, from below into the zone that starts at 99.7
    (96.9, 97.5),    # 27: closes below 98: rejected
    (97.2, 99.0),
    (98.9, 100.8),   # 29: back above for the second time: retired
    (99.5, 101.4), (99.9, 100.5),
]  # fmt: skip


def drawn_bars(steps=DRAWN):
    rows = [(105.0, 106.0, 104.0, 105.0)] * 14
    for low, close in steps:
        rows.append((rows[-1][3], low + 2.0, low, close))
    return bars_of(candles(rows))


def test_a_life_by_hand():
    found = life(drawn_bars(), table([100.0]))
    assert events(found) == [
        (0, "active", 0, 0, 0),
        (16, "tested", 1, 0, 0),
        (17, "tested", 1, 1, 0),
        (20, "broken", 1, 1, 0),
        (21, "reclaimed", 1, 1, 1),
        (23, "tested", 2, 1, 1),
        (24, "broken", 2, 1, 1),
        (27, "flipped", 2, 1, 1),
        (29, "active", 2, 1, 2),
        (29, "retired", 2, 1, 2),
    ]
    assert found.bar[found.broke].tolist() == [20, 24]
    assert found.time[0] == START + HOUR


def test_touches_keep_their_distance_across_a_break():
    # Touched at 16, broken at 17, back at 18: the bar in the zone at 20 comes four bars after the touch, that at 22 six.
    back = drawn_bars([(103.0, 103.5), (101.5, 101.6), (99.6, 99.7), (98.2, 98.9), (98.8, 100.7), (100.5, 101.5),
                       (100.1, 101.5), (101.0, 101.6), (100.2, 101.2)])  # fmt: skip
    begin = [(0, "active", 0, 0, 0), (16, "tested", 1, 0, 0), (17, "broken", 1, 0, 0), (18, "reclaimed", 1, 0, 1)]
    assert events(life(back, table([100.0]))) == [*begin, (22, "tested", 2, 0, 1)]
    assert events(life(back, table([100.0]), LifeRules(quiet_bars=4))) == [*begin, (20, "tested", 2, 0, 1)]
    assert events(life(back, table([100.0]), LifeRules(quiet_bars=7))) == begin


def test_a_retest_from_below_is_a_touch_for_the_next_and_needs_no_distance_itself():
    # Touched at 16 and broken at 17; at 22 from below in the zone, back at 23, in the zone at 25, three bars later.
    below = drawn_bars([(103.0, 103.5), (101.5, 101.6), (99.6, 99.7), (98.2, 98.9), (97.5, 98.0), (97.5, 98.5),
                        (97.0, 98.6), (97.2, 98.7), (98.0, 99.2), (99.0, 100.8), (100.4, 101.5), (100.1, 101.5)])  # fmt: skip
    begin = [(0, "active", 0, 0, 0), (16, "tested", 1, 0, 0), (17, "broken", 1, 0, 0), (23, "reclaimed", 1, 0, 1)]
    assert events(life(below, table([100.0]))) == begin
    assert events(life(below, table([100.0]), LifeRules(quiet_bars=3))) == [*begin, (25, "tested", 2, 0, 1)]
    # in the life by hand the retest at 26 comes three bars after the touch, and its rejection flips the level all the same
    assert (27, "flipped", 2, 1, 1) in events(life(drawn_bars(), table([100.0])))


def test_what_is_given_by_hand_does_not_retire():
    found = life(drawn_bars(), fixed([100.0]))
    assert events(found)[8:] == [(29, "active", 2, 1, 2), (31, "tested", 3, 1, 2)]
    retiring = life(drawn_bars(), fixed([100.0]), LifeRules(permanent=()))
    assert retiring.states() == ("retired",)


def test_a_return_after_the_time_is_no_false_break():
    found = life(drawn_bars(), table([100.0]), LifeRules(reclaim_bars=1))
    assert events(found)[4] == (21, "reclaimed", 1, 1, 1)
    early = life(drawn_bars(), table([97.8]), LifeRules(reclaim_bars=1, buffer_atr=0.0, buffer=0.0, round_trips=None))
    # touched by the low 97.0 of bar 25; closes 97.5 at bar 27, 99.0 at 28 (one bar later), and none below again
    assert events(early)[-2:] == [(27, "broken", 1, 0, 0), (28, "reclaimed", 1, 0, 1)]
    late = bars_of(closes([105.0] * 14 + [99.0, 99.0, 99.0, 104.0]))
    assert life(late, table([100.0]), LifeRules(reclaim_bars=2)).states() == ("active",)
    assert life(late, table([100.0]), LifeRules(reclaim_bars=3)).states() == ("reclaimed",)


def test_a_level_that_price_has_not_left_is_not_retested_from_below():
    rows = [(105.0, 106.0, 104.0, 105.0)] * 14
    for low, close in [
        (103.0, 103.5),
        (101.6, 101.7),
        (99.8, 100.2),
        (99.2, 99.3),
        (98.9, 99.4),
        (98.2, 99.05),
        (97.5, 98.1),
        (96.2, 96.3),
    ]:
        rows.append(
            (rows[-1][3], low + 2.0, low, close)
        )  # broken at 99.3; in the zone with no close below 99; then away
    assert life(bars_of(candles(rows)), table([100.0])).states() == ("broken",)


def test_daily_bars_have_five_to_take_a_break_back():
    hourly = bars_of(closes([105.0] * 14 + [99.0] * 6 + [106.0]))
    daily = replace(hourly, interval=DAY, time=START + DAY * np.arange(len(hourly)))
    assert life(hourly, table([100.0])).states() == ("reclaimed",)
    assert life(daily, table([100.0])).states() == ("active",)


def test_a_level_wider_than_the_zone_is_touched_at_its_edge():
    assert (14, "tested", 1, 0, 0) in events(life(drawn_bars(), table([100.0], width=3.2)))


def test_a_wick_that_closes_above_breaks_and_comes_back_in_one_bar():
    rows = [(105.0, 106.0, 104.0, 105.0)] * 14 + [(105.0, 105.0, 99.0, 104.0)]
    found = life(bars_of(candles(rows)), table([100.0]), LifeRules(rule="wick"))
    assert events(found) == [
        (0, "active", 0, 0, 0),
        (14, "tested", 1, 0, 0),
        (14, "broken", 1, 0, 0),
        (14, "reclaimed", 1, 0, 1),
    ]
    assert life(bars_of(candles(rows)), table([100.0])).states() == ("tested",)


def test_a_level_retires_by_age():
    bars = bars_of(closes([105.0] * 60))
    found = life(bars, table([100.0, 90.0], known=[START, START + 24 * HOUR]), LifeRules(life_days=1.0))
    # known from the close of bar 0 (the first there is) and of bar 23; a day later is the close of bars 24 and 47
    assert events(found) == [
        (0, "active", 0, 0, 0),
        (24, "retired", 0, 0, 0),
        (23, "active", 0, 0, 0),
        (47, "retired", 0, 0, 0),
    ]
    assert len(found.visible(46)) == 1
    assert len(found.visible(47)) == 0
    assert found.visible(47, retired=True).state == ("retired", "retired")


def test_a_level_retires_when_a_newer_one_takes_its_place():
    bars = bars_of(closes([105.0] * 9))
    moving = replace(fixed([100.0, 90.0], known_from=START), until=np.array([START + 5 * HOUR, 2**63 - 1]))
    found = life(bars, moving)
    assert events(found) == [(0, "active", 0, 0, 0), (4, "retired", 0, 0, 0), (0, "active", 0, 0, 0)]
    assert [found.visible(t).price.tolist() for t in (3, 4)] == [[100.0, 90.0], [90.0]]
    assert found.support_below()[3:5].tolist() == [100.0, 90.0]


def test_a_level_is_formed_before_it_is_known():
    bars = bars_of(closes([105.0] * 30))
    found = life(bars, table([100.0], known=START + 10 * HOUR, formed=START + 4 * HOUR))
    assert [found.states(t)[0] for t in (2, 3, 8, 9, -1)] == ["unknown", "formed", "formed", "active", "active"]
    assert [len(found.visible(t)) for t in (8, 9)] == [0, 1]


# --- what one sees ---


@needs_history
def test_the_breaks_of_the_winter_of_2026_fall_on_their_bars():
    frame = pd.read_parquet(HISTORY / "btcusdt_perp_1h_binance.parquet").loc["2026-01-01":]
    opens = frame.index.as_unit("ns").asi8
    columns = (frame[c].to_numpy(np.float64) for c in ("open", "high", "low", "close", "volume"))
    bars = Bars("BTCUSDT", HOUR, opens, *columns)
    found = life(bars, fixed([75_000, 70_000]), LifeRules(buffer=0.0, buffer_atr=0.0))
    first = [frame.index[found.bar[found.broke & (found.row == row)][0]] for row in (0, 1)]
    assert [str(bar) for bar in first] == ["2026-02-03 17:00:00+00:00", "2026-02-05 12:00:00+00:00"]
    grid = life(bars, fixed([75_000, 70_000, 65_000, 60_000]))
    at = int(np.flatnonzero(np.diff(frame["close"].to_numpy() < 67_490))[0]) + 1  # its first close below 67,490
    # on its way price came back to 75,000 from below and was rejected: broken, and resistance by then
    assert grid.states(at) == ("flipped", "broken", "active", "active")
    assert grid.visible(at).intact.tolist() == [False, False, True, True]
    assert grid.support_below()[at] == 65_000.0


def test_at_67490_both_broken_levels_are_broken_and_65000_is_next():
    path = [*np.linspace(80_000, 76_000, 20), 74_500, 73_000, 71_000, 69_500, 68_000, 67_490]
    found = life(bars_of(closes(path)), fixed([75_000, 70_000, 65_000]))
    assert found.states() == ("broken", "broken", "active")
    assert found.visible().state == ("broken", "broken", "active")
    assert found.visible().intact.tolist() == [False, False, True]
    below = found.support_below()
    assert below[-1] == 65_000.0
    assert below[0] == 75_000.0
    assert below[20:23].tolist() == [70_000.0, 70_000.0, 70_000.0]
    grid = life(bars_of(closes(path)), round_numbers().find(bars_of(closes(path))))
    assert grid.support_below()[-1] == 65_000.0
    # 75,000 and 70,000 given only when the price is there: broken without a break
    late = life(bars_of(closes(path[-3:])), fixed([75_000, 70_000, 65_000]))
    assert late.states() == ("broken", "broken", "active")
    assert not late.broke.any()


def test_a_level_above_the_price_becomes_a_support_when_a_close_reaches_it():
    found = life(bars_of(closes([95.0] * 20 + [100.0, 101.0, 99.0])), table([100.0]))
    # the last bar comes from 101, more than half an ATR (0.4) above, and goes through
    assert events(found)[:2] == [(0, "broken", 0, 0, 0), (20, "active", 0, 0, 0)]
    assert events(found)[2:] == [(22, "tested", 1, 0, 0), (22, "broken", 1, 0, 0)]
    assert found.broke.tolist() == [False, False, False, True]


def test_strength_counts_bounces_up_to_four_and_fades_with_age():
    found = life(drawn_bars(), fixed([100.0]))
    seen = found.visible(19, tau_days=1.0)
    assert (seen.touches.tolist(), seen.bounces.tolist(), seen.age.tolist()) == ([1], [1], [19 * HOUR])
    np.testing.assert_allclose(seen.strength, [0.453089], rtol=1e-5)  # exp(-19 / 24)
    np.testing.assert_allclose(seen.distance, [-0.2 / 100.2])  # 100 / 100.2 - 1: it would have to fall
    rows = [(110.0, 111.0, 109.0, 110.0)] * 14
    for _ in range(6):  # down to the level and up again, six times over
        rows += [(110.0, 110.0, 100.0, 102.0), (102.0, 110.0, 102.0, 110.0), *[(110.0, 111.0, 109.0, 110.0)] * 10]
    often = life(bars_of(candles(rows)), fixed([100.0])).visible(tau_days=1e9)
    assert often.bounces.tolist() == [6]
    np.testing.assert_allclose(often.strength, [4.0])


def test_support_below_a_given_price():
    found = life(bars_of(closes([105.0, 104.0, 103.0, 103.0])), fixed([100.0, 102.0]))
    np.testing.assert_array_equal(found.support_below(np.array([200.0, 102.0, 99.0, nan])), [102.0, 100.0, nan, nan])
    with pytest.raises(ConfigError, match=r"`price` has the shape \(2,\); 4 bars need one price each."):
        found.support_below(np.array([1.0, 2.0]))


def test_nearest_below_by_hand():
    price = np.array([10.0, 10.0, 10.0, 10.0, 10.0, nan])
    levels, first, end = np.array([5.0, 9.0, 10.0]), np.array([0, 1, 0]), np.array([6, 4, 6])
    np.testing.assert_array_equal(nearest_below(np.arange(6), price, levels, first, end), [5, 9, 9, 9, 5, nan])


def test_no_levels_and_no_bars():
    bars = bars_of(closes([105.0] * 3))
    none = table([])
    assert len(life(bars, none)) == 0
    assert np.isnan(life(bars, none).support_below()).all()
    assert len(life(bars, none).visible()) == 0
    empty = life(bars_of(closes([])), fixed([100.0]))
    assert empty.support_below().size == 0
    with pytest.raises(ConfigError, match="`bar` must be one of the 0 bars of the market, got -1"):
        empty.visible()
    assert life(bars, table([100.0], known=START + 99 * HOUR)).states() == ("unknown",)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"rule": "clos"}, "No break rule named 'clos'. Did you mean 'close'?"),
        ({"buffer": 1.5}, "`buffer` must be a fraction from 0 to below 1, not percent, got 1.5."),
        ({"zone": -0.1}, "`zone` must be a number from 0, got -0.1."),
        ({"zone": nan}, "`zone` must be a number from 0, got nan."),
        ({"away": None}, "`away` must be a number from 0, got None."),
        ({"zone": 0.6}, "`zone` 0.6 must be at most `away` 0.5 and below `leave` 1.0."),
        ({"quiet_bars": 0}, "`quiet_bars` must be a whole number of bars from 1, got 0."),
        ({"atr_bars": None}, "`atr_bars` must be a whole number of bars from 1, got None."),
        ({"life_days": -1}, "`life_days` must be a number from 0 or None, got -1."),
        ({"permanent": "fixed"}, "`permanent` must be kinds of levels like ('fixed', 'round'), got 'fixed'."),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules, sentence):
    with pytest.raises(ConfigError) as error:
        LifeRules(**rules)
    assert str(error.value) == sentence


def test_bare_prices_and_bad_bars_are_refused():
    with pytest.raises(ConfigError, match="turn prices into one with `fixed`"):
        life(bars_of(closes([1.0])), [100.0])
    found = life(bars_of(closes([1.0])), fixed([1.0]))
    for bar in (1, -2, 0.0, True):
        with pytest.raises(ConfigError, match="`bar` must be one of the 1 bars"):
            found.states(bar)
    with pytest.raises(ConfigError, match="`tau_days` must be a number of days above 0, got 0"):
        found.visible(tau_days=0)
