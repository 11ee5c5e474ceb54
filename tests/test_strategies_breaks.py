"""The strategies of breaks: rows worked by hand, each filter on and off, and what they do when a signal is not known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from markets_made import candles, closes, walks
from signal_markets import DAY, HOUR, START, days
from test_strategies import planned, table

from backtest import run
from backtest.checks import check_foresight
from backtest.engines import get_engine
from backtest.errors import ConfigError, MarketError, StrategyError
from backtest.model import Funding
from backtest.testing import assert_conforms, assert_no_foresight
from backtest.venues import load_venue

NAMES = (
    "support_break", "break_retest", "false_break_reclaim", "support_bounce", "deleveraging_short", "crowded_long_break",
)  # fmt: skip
ENTER, AMEND = 0, 2
SHORT = ("bar", "kind", "exposure", "close_stop", "target")


# --- support_break: ladder, rules, filters ---------------------------------------------------------------------------

# 75,000 breaks below 74,775, 70,000 below 69,790, 65,000 below 64,805; 70,500 is above 70,210, the reclaim of 70,000.
DOWN = [76_000, 74_700, 72_000, 69_700, 68_000, 70_500, 69_000, 64_000]
RUNGS = "75000,70000,65000"


def test_a_ride_moves_the_stop_at_each_lower_break_and_enters_anew_once_it_is_out():
    plan = planned("support_break", closes(DOWN), levels=RUNGS, ladder="ride")
    assert table(plan, *SHORT) == [
        (1, ENTER, -1.0, 75_225.0, None),
        (3, ENTER, -1.0, 70_210.0, None),
        (3, AMEND, None, 70_210.0, None),
        (7, ENTER, -1.0, 65_195.0, None),
    ]


def test_a_ride_holds_through_the_next_level_and_leaves_on_its_reclaim():
    market = closes(DOWN)
    result = get_engine("fast")(
        market, planned("support_break", market, levels=RUNGS, ladder="ride"), load_venue("paper")
    )
    first = result.trades_table.to_frame().iloc[0]
    # Sold at the open of bar 2, 74,700; the close of bar 5 reclaims 70,000, so it leaves at the open of bar 6.
    assert (first.entry_time.hour, first.exit_time.hour, first.reason) == (2, 6, "close_stop")


def test_by_target_the_same_fall_is_taken_rung_by_rung():
    plan = planned("support_break", closes(DOWN), levels=RUNGS)
    assert table(plan, *SHORT) == [
        (1, ENTER, -1.0, 75_225.0, 70_000.0),
        (3, ENTER, -1.0, 70_210.0, 65_000.0),
        (7, ENTER, -1.0, 65_195.0, None),
    ]


def test_levels_by_kind_are_merged_to_the_given_ones():
    plan = planned("support_break", closes(DOWN), levels="75000", kinds="fixed(70000) | fixed(65000)")
    assert table(plan, "bar", "target") == [(1, 70_000.0), (3, 65_000.0), (7, None)]


def test_n_closes_waits_for_the_closes_in_a_row():
    market = closes([76_000, 74_700, 74_800, 74_700, 74_600, 74_500])  # 74,800 is not below 74,775
    assert table(planned("support_break", market, rule="n_closes"), "bar") == [(4,)]
    assert table(planned("support_break", market, rule="n_closes", closes=3), "bar") == [(5,)]


def test_the_buffer_may_be_a_part_of_the_average_range():
    # Every bar has a true range of 10, so the ATR is 10 and a quarter of it 2.5: the floor is 97.5, the reclaim 102.5.
    market = candles([(102, 107, 97, 102)] * 14 + [(102, 104, 94, 98), (98, 101, 91, 97)])
    assert table(planned("support_break", market, levels="100"), "bar", "close_stop") == [(14, 100.3)]
    wide = planned("support_break", market, levels="100", buffer_atr=0.25)
    assert table(wide, "bar", "close_stop") == [(15, 102.5)]


def test_a_break_may_have_to_trade_more_than_usual():
    market = closes([101.0] * 168 + [99.0])
    market = replace(market, volume=np.append(np.ones(168), 2.0))
    asked = {"levels": "100", "kinds": None}
    assert table(planned("support_break", market, volume=2, **asked), "bar") == [(168,)]
    assert len(planned("support_break", market, volume=2.1, **asked)) == 0
    assert len(planned("support_break", market.head(168), volume=2, **asked)) == 0


def test_a_break_may_have_to_lie_below_the_mean():
    # The mean of 90, 101, 99 is 96.7; that of 102, 103, 99 is 101.3.
    below, above = closes([101, 102, 103, 99]), closes([90, 90, 101, 99])
    assert table(planned("support_break", below, levels="100", trend_bars=3), "bar") == [(3,)]
    assert len(planned("support_break", above, levels="100", trend_bars=3)) == 0
    assert table(planned("support_break", above, levels="100"), "bar") == [(3,)]


def test_without_a_mean_yet_nothing_is_done():
    assert len(planned("support_break", closes([101, 102, 103, 99]), levels="100", trend_bars=5)) == 0


@settings(max_examples=40, deadline=None)
@given(market=walks(largest=80))
def test_a_ride_never_amends_what_is_not_held(market):
    assume(np.isfinite(market.close).all())  # an entry read in a halt is refused, which a plan can't see
    plan = planned("support_break", market, levels="103,101,100,98", ladder="ride", buffer=0.001)
    result = get_engine("fast")(market, plan, load_venue("paper"))
    assert "no_position" not in set(result.rejections_table.to_frame().reason)


# --- break_retest ----------------------------------------------------------------------------------------------------

# 100 breaks at bar 1 below 99.7, is tested at bar 3 with a high of 100.2, and lost again at bar 4.
RETEST = [
    (102, 102, 101, 101),
    (101, 101, 98, 99),
    (99, 99.5, 97, 98),
    (98, 100.2, 98, 99.8),
    (99.8, 99.9, 98.5, 99),
]
STOPPED = ("bar", "kind", "exposure", "stop", "target", "close_stop")


def test_a_failed_retest_is_shorted_with_the_stop_above_its_high():
    plan = planned("break_retest", candles(RETEST), levels="100,90")
    assert table(plan, *STOPPED) == [(4, ENTER, -1.0, 100.3002, 90.0, None)]  # 100.2 and a thousandth
    assert plan.max_bars.tolist() == [168]


def test_the_stop_is_no_lower_than_the_reclaim_of_the_level():
    assert table(planned("break_retest", candles(RETEST), levels="100", margin=0), "stop", "target") == [(100.3, None)]


def test_the_stop_is_that_of_the_retest_and_not_of_the_fall():
    # A wick below 99.7 at bar 1, back up to 103 and the break at bar 2: neither high is that of the retest.
    fall = [(102, 102, 101, 101), (101, 104, 99, 100), (100, 103, 98.5, 99.2), (99.2, 99.5, 97, 98), *RETEST[3:]]
    plan = planned("break_retest", candles(fall), levels="100,90")
    assert table(plan, *STOPPED) == [(5, ENTER, -1.0, 100.3002, 90.0, None)]


def test_a_break_that_is_not_tested_is_left_alone():
    untested = [*RETEST[:3], (98, 99.9, 98, 99.8), RETEST[4]]
    assert len(planned("break_retest", candles(untested), levels="100")) == 0


def test_a_retest_that_reclaims_the_level_is_no_failed_one():
    reclaimed = [*RETEST[:3], (98, 100.5, 98, 100.4), (100.4, 100.4, 98.5, 99)]
    assert len(planned("break_retest", candles(reclaimed), levels="100")) == 0


def test_a_retest_may_have_to_come_soon():
    assert len(planned("break_retest", candles(RETEST), levels="100", max_wait=2)) == 0
    assert len(planned("break_retest", candles(RETEST), levels="100", max_wait=3)) == 1
    assert len(planned("break_retest", candles(RETEST), levels="100", max_wait="none")) == 1


# --- false_break_reclaim ---------------------------------------------------------------------------------------------

# 100 breaks at bar 1, the low is 97 at bar 2, and bar 3 closes above 100.3.
FALSE = [(102, 102, 101, 101), (101, 101, 98, 99), (99, 99.5, 97, 98.5), (98.5, 101, 98, 100.4)]


def test_a_false_break_is_bought_with_the_stop_below_its_low():
    # The stop is 97 less a thousandth, 96.903; the risk from 100.4 is 3.497, twice that above is 107.394.
    plan = planned("false_break_reclaim", candles(FALSE), levels="105,100")
    assert table(plan, *STOPPED) == [(3, ENTER, 1.0, 96.903, 107.394, None)]
    assert plan.max_bars.tolist() == [168]
    assert table(planned("false_break_reclaim", candles(FALSE), levels="100", reward=1), "target") == [(103.897,)]


def test_its_target_may_be_the_next_level_above_where_there_is_one():
    plan = planned("false_break_reclaim", candles(FALSE), levels="110,105,100", target="level")
    assert table(plan, "target") == [(105.0,)]
    assert table(planned("false_break_reclaim", candles(FALSE), levels="100", target="level"), "target") == [(107.394,)]


def test_a_reclaim_may_have_to_come_soon():
    assert len(planned("false_break_reclaim", candles(FALSE), levels="100", max_wait=1)) == 0
    assert len(planned("false_break_reclaim", candles(FALSE), levels="100", max_wait=2)) == 1


# --- support_bounce --------------------------------------------------------------------------------------------------


def test_a_bounce_of_a_moving_level_counts_only_while_it_is_the_one():
    # Bars of a range of 2 that hold the close before them: the ATR is 2. The low of the first day, 100, is touched in the last
    # hour of the second, at 100.2, and the bounce, a close above 102, comes when that day's low has taken its place.
    at = [(103, 104, 102, 103)]
    fall, held = [(103, 103.5, 101.5, 102), (102, 102.2, 100.2, 101.5)], [(101.5, 102.6, 100.6, 102.3)]
    first = [(103, 103.5, 101.5, 102), (102, 102, 100, 101.6), (101.6, 103.2, 101.2, 103), *at * 21]
    market = candles([*first, *at * 22, *fall, *held])
    assert table(planned("support_bounce", market, levels="100"), "bar", "close_stop") == [(48, 99.5)]
    assert len(planned("support_bounce", market, levels="50", kinds="prior('day')")) == 0
    earlier = candles([*first, *at * 3, *fall, *held])
    assert table(planned("support_bounce", earlier, levels="50", kinds="prior('day')"), "bar") == [(29,)]


# --- deleveraging_short ----------------------------------------------------------------------------------------------


def flushed(interest=97.9, longs=5.0, length=96, broken=95):
    """Days at 101 with a break of 100 on day 95, on which open interest (before: 100) and liquidations are as given.

    Liquidations of 1 and 3 in turn have a median of 2 and a MAD of 1, so that 5 stands at z = 3 / 1.4826 = 2.02.
    """
    coins, liquidated = [100.0] * broken + [interest], [*([1.0, 3.0] * 50)[:broken], longs]
    feeds = {
        "BTCUSDT.open_interest_coins": ("coins", coins),
        "BTCUSDT.long_liquidations": ("usd", liquidated),
        "BTCUSDT.short_liquidations": ("usd", [1.0] * (broken + 1)),
    }
    return days(length, feeds, [101.0] * broken + [99.0] * (length - broken))


def test_a_break_with_forced_sellers_is_shorted():
    plan = planned("deleveraging_short", flushed(), levels="100,90")
    assert table(plan, *SHORT, "stop") == [(95, ENTER, -1.0, 100.3, 90.0, None)]
    assert plan.max_bars.tolist() == [72]


def test_both_the_fall_of_open_interest_and_the_liquidations_are_needed():
    assert len(planned("deleveraging_short", flushed(interest=98.1), levels="100")) == 0  # -1.9%
    assert len(planned("deleveraging_short", flushed(longs=4.9), levels="100")) == 0  # z = 1.96
    assert len(planned("deleveraging_short", flushed(98.1, 4.9), levels="100", fall=0.018, liquidations=1.9)) == 1


def test_the_regime_can_stand_for_them():
    # Open interest 11% lower than 30 days ago is the regime, 9% is not, whatever is liquidated.
    assert len(planned("deleveraging_short", flushed(89.0, 1.0), levels="100", signal="regime")) == 1
    assert len(planned("deleveraging_short", flushed(91.0, 1.0), levels="100", signal="regime")) == 0


ANY = {"levels": "100", "fall": 0, "liquidations": -99}


@pytest.mark.parametrize("name", ["BTCUSDT.open_interest_coins", "BTCUSDT.long_liquidations"])
def test_while_a_signal_of_force_is_not_known_nothing_is_done(name):
    market = flushed(100.0, 1.0)
    ended = replace(market, feeds=market.feeds | {name: market.feeds[name].until(START + 86 * DAY)})
    assert len(planned("deleveraging_short", market, **ANY)) == 1
    assert len(planned("deleveraging_short", ended, **ANY)) == 0
    assert len(planned("deleveraging_short", flushed(length=81, broken=80), **ANY)) == 0  # 90 days are needed


# --- crowded_long_break ----------------------------------------------------------------------------------------------


def crowd(interest=103.0, rate=0.00011, broken=107, missing=(), rates=None):
    """Days at 101 with a break of 100, funding every 8 hours, open interest of 100 and 102 in turn, but for day 105.

    The change over 7 days is ±ln 1.02, with a median of 0 and a MAD of 0.0198; from 100 on day 98 to 103 on day 105 it is
    0.0296, z = 0.0296 / (1.4826 * 0.0198) = 1.01.
    """
    coins = ([100.0, 102.0] * 60)[:110]
    coins[105] = interest
    market = days(110, {"BTCUSDT.open_interest_coins": ("coins", coins)}, [101.0] * broken + [99.0] * (110 - broken))
    stamps = np.array([k for k in range(1, 331) if k not in missing])
    paid = np.full(stamps.size, rate) if rates is None else rates
    funding = Funding(START + 8 * HOUR * stamps, np.zeros(stamps.size, np.int32), paid, np.full(stamps.size, np.nan))
    return replace(market, funding=funding)


RUNG = {"kinds": "fixed(100, 90)"}


def test_a_break_under_a_crowd_is_shorted():
    plan = planned("crowded_long_break", crowd(), **RUNG)
    assert table(plan, *SHORT, "stop") == [(107, ENTER, -1.0, 100.3, 90.0, None)]
    assert plan.max_bars.tolist() == [72]


def test_the_crowd_must_have_paid_and_have_added():
    assert len(planned("crowded_long_break", crowd(rate=0.0001), **RUNG)) == 0  # the neutral 0.1095 a year
    assert len(planned("crowded_long_break", crowd(rate=0.0001), funding=0.1, **RUNG)) == 1
    assert len(planned("crowded_long_break", crowd(interest=102.9), **RUNG)) == 0  # z = 0.97
    assert len(planned("crowded_long_break", crowd(interest=102.9), interest=0.9, **RUNG)) == 1


def test_the_crowd_must_have_been_there_shortly_before():
    assert len(planned("crowded_long_break", crowd(), crowd_bars=3, **RUNG)) == 1  # days 105, 106, 107
    assert len(planned("crowded_long_break", crowd(), crowd_bars=2, **RUNG)) == 0


def test_funding_may_have_to_be_unusual_too():
    # 0.00030 and 0.00036 a day in turn: median 0.00033, MAD 0.00003; 0.00048 on day 105 is z = 3.37.
    rates = np.repeat(([0.00010, 0.00012] * 60)[:110], 3)
    rates[315:318] = 0.00016
    assert len(planned("crowded_long_break", crowd(rates=rates), funding_unusual=3, **RUNG)) == 1
    assert len(planned("crowded_long_break", crowd(rates=rates), funding_unusual=3.5, **RUNG)) == 0
    assert len(planned("crowded_long_break", crowd(), funding_unusual=0, **RUNG)) == 0  # all the same: no z


def test_while_a_signal_of_the_crowd_is_not_known_nothing_is_done():
    assert len(planned("crowded_long_break", crowd(missing=range(316, 319)), crowd_bars=3, **RUNG)) == 0
    assert len(planned("crowded_long_break", crowd(broken=90).head(95), interest=-99, **RUNG)) == 0
    assert len(planned("crowded_long_break", crowd(broken=98).head(100), interest=-99, **RUNG)) == 1


# --- what holds for all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_trades_on_the_embedded_market(name):
    assert len(run(name).trades_table) > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_rules_and_does_not_look_ahead(name):
    assert_conforms(name)
    assert_no_foresight(name, cuts=8, walks=1, at_least=2)


VARIANTS = (
    ("support_break", {"ladder": "ride", "kinds": "fractal(1)"}),
    ("support_break", {"rule": "n_closes", "trend_bars": 4, "buffer_atr": 0.5}),
    ("support_break", {"rule": "retest", "max_wait": 6, "kinds": "donchian(3)"}),
    ("break_retest", {"kinds": "fractal(1)", "max_bars": 5}),
    ("false_break_reclaim", {"target": "level", "kinds": "fractal(1)"}),
    ("support_bounce", {"kinds": "prior('day') | fractal(1)", "max_bars": 5}),
)


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
@settings(max_examples=15, deadline=None)
@given(market=walks(largest=80))
def test_no_setting_makes_it_look_ahead_on_drawn_walks(name, parameters, market):
    parameters = {"levels": (103.0, 100.0, 98.0), **parameters}
    assert check_foresight(name, market, parameters, walks=0, cuts=16).passes


WITHOUT = "which the market market does not have: declare"


@pytest.mark.parametrize(
    ("name", "market", "sentence"),
    [
        (
            "deleveraging_short",
            closes([101.0, 99.0]),
            f"Open interest needs the feed 'BTCUSDT.open_interest', {WITHOUT} `open_interest` under [BTCUSDT] in the "
            "market file.",
        ),
        (
            "deleveraging_short",
            days(3, {"BTCUSDT.open_interest_coins": ("coins", [1.0, 1.0, 1.0])}),
            f"Liquidations needs the feed 'BTCUSDT.long_liquidations', {WITHOUT} `long_liquidations` under [BTCUSDT] in "
            "the market file. Did you mean 'BTCUSDT.open_interest_coins'?",
        ),
        (
            "crowded_long_break",
            closes([101.0, 99.0]),
            "Funding signals need the funding of BTCUSDT, which the market market declares to have none (spot).",
        ),
        (
            "crowded_long_break",
            replace(crowd(), feeds={}),
            f"Open interest needs the feed 'BTCUSDT.open_interest', {WITHOUT} `open_interest` under [BTCUSDT] in the "
            "market file.",
        ),
    ],
)
def test_a_missing_feed_is_named_and_never_zero(name, market, sentence):
    with pytest.raises(MarketError) as refused:
        planned(name, market)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        *((name, {"leverage": 0}, "leverage must be above 0, got 0.0") for name in NAMES),
        *((name, {"max_bars": -1}, "max_bars must be at least 0, got -1") for name in NAMES[1:]),
        ("support_break", {"trend_bars": -1}, "trend_bars must be at least 0, got -1"),
        ("break_retest", {"margin": 1}, "margin must be a fraction from 0 to below 1, not percent, got 1.0"),
        ("false_break_reclaim", {"margin": -0.1}, "margin must be a fraction from 0 to below 1, not percent, got -0.1"),
        ("false_break_reclaim", {"reward": 0}, "reward must be above 0, got 0.0"),
        ("deleveraging_short", {"fall": 2}, "fall must be a fraction from 0 to below 1, not percent, got 2.0"),
        ("crowded_long_break", {"crowd_bars": 0}, "crowd_bars must be at least 1, the bar of the break, got 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_in_a_sentence(name, parameters, words):
    with pytest.raises(StrategyError) as refused:
        planned(name, closes([101.0, 99.0]), **parameters)
    assert f"{name} refused its parameters: ValueError: {words} (" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("support_break", {"kinds": "round | fractl(3)"}, "No kind of level named 'fractl'. Did you mean 'fractal'?"),
        ("support_break", {"buffer_atr": -1}, "`buffer_atr` must be a number from 0, got -1.0."),
        ("break_retest", {"max_wait": 0}, "`within` must be a whole number of bars from 1, got 0."),
    ],
)
def test_what_the_levels_refuse_comes_in_their_words(name, parameters, sentence):
    with pytest.raises(ConfigError) as refused:
        planned(name, closes([101.0, 99.0]), **parameters)
    assert str(refused.value) == sentence
