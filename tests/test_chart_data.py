"""The lives and breaks of levels as a report draws them, and how runs move together; expected values are worked by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from markets_made import HOUR, START, bars_of, closes

from backtest import RunConfig
from backtest.analysis.chart_data import (
    BreakRow,
    LevelLine,
    break_rows,
    break_rule,
    correlations,
    daily_equity,
    level_lines,
    named_levels,
    watched_levels,
)
from backtest.levels import fixed
from backtest.levels.break_rule import BreakRule

DAY = 24 * HOUR
# Support at 100: known from the first bar, broken at bar 3, back above at bar 5, broken again at bar 7 for good.
PRICES = (103, 102, 101, 98, 97, 102, 101, 96, 95, 94)


def at(bar):
    """The close of a bar."""
    return START + HOUR * (bar + 1)


@pytest.fixture
def bars():
    return bars_of(closes(PRICES))


def test_a_level_is_drawn_in_stretches_of_one_state(bars):
    lines, left_out = level_lines(bars, fixed((100.0,)), START)
    assert left_out == 0
    stretches = (
        (at(0), at(3), "active"),
        (at(3), at(5), "broken"),
        (at(5), at(7), "reclaimed"),
        (at(7), at(9), "broken"),
    )
    assert lines == (LevelLine(100.0, "fixed", stretches),)


def test_what_was_before_the_scored_bars_is_cut_away(bars):
    ((line,), _) = level_lines(bars, fixed((100.0,)), at(4))
    assert line.stretches == ((at(4), at(5), "broken"), (at(5), at(7), "reclaimed"), (at(7), at(9), "broken"))


def test_the_highest_level_comes_first_and_those_left_out_are_counted(bars):
    lines, left_out = level_lines(bars, fixed((50.0, 100.0, 200.0)), START, most=2)
    assert [line.price for line in lines] == [200.0, 100.0]  # most happened to 100; of equals, the first of the table
    assert left_out == 1


def test_no_levels_and_no_bars_draw_nothing(bars):
    assert level_lines(bars, fixed((1.0,)), at(20)) == ((), 0)
    assert level_lines(bars_of(closes([])), fixed((100.0,)), START) == ((), 0)


def test_breaks_say_what_came_of_them(bars):
    assert break_rows(bars, fixed((100.0,)), START) == (
        BreakRow(100.0, "fixed", at(3), 98.0, 97.0, at(5), 2, "false break"),
        BreakRow(100.0, "fixed", at(7), 96.0, 94.0, None, 2, "not reclaimed"),
    )


def test_a_reclaim_that_comes_late_is_no_false_break(bars):
    first, _ = break_rows(bars, fixed((100.0,)), START, BreakRule(within=1))
    assert first.outcome == "reclaimed"


def test_breaks_before_the_scored_bars_are_not_listed(bars):
    assert [row.time for row in break_rows(bars, fixed((100.0,)), at(4))] == [at(7)]


def test_a_wider_buffer_breaks_later(bars):
    rule = break_rule(RunConfig("s", parameters=(("buffer", 0.025), ("rule", "close"))))
    assert (rule.rule, rule.buffer) == ("close", 0.025)
    assert [row.time for row in break_rows(bars, fixed((100.0,)), START, rule)] == [at(4)]  # 97 < 97.5; 102 < 102.5


@pytest.mark.parametrize("parameters", [(), (("rule", "nonsense"), ("buffer", "wide")), (("buffer", 2.0),)])
def test_parameters_that_are_no_rule_leave_the_default(parameters):
    assert break_rule(RunConfig("s", parameters=parameters)) == BreakRule()
    assert break_rule(None) == BreakRule()


def test_every_setting_of_a_rule_that_a_strategy_names_is_read():
    named = {"rule": "retest", "buffer_atr": 0.5, "closes": 3, "volume": 1.5, "max_wait": 12, "zone": 0.4}
    asked = break_rule(RunConfig("s", parameters=tuple(named.items())))
    assert asked == BreakRule("retest", buffer_atr=0.5, closes=3, volume=1.5, within=12)
    assert break_rule(RunConfig("s", parameters=(("max_wait", "none"), ("closes", 0)))) == BreakRule()


def test_levels_come_from_the_strategy_or_from_its_parameters():
    market, table = closes(PRICES), fixed((100.0,))
    alone = SimpleNamespace(symbol="BTCUSDT", watched=lambda market: table)
    several = SimpleNamespace(watched=lambda market: {"BTCUSDT": table})
    config = RunConfig("s", parameters=(("levels", (100.0, 90.0)), ("symbol", "BTCUSDT")))
    assert watched_levels(alone, market) == {"BTCUSDT": table}
    assert watched_levels(several, market) == {"BTCUSDT": table}
    assert watched_levels(SimpleNamespace(), market) == {}
    assert watched_levels(SimpleNamespace(), market, config)["BTCUSDT"].price.tolist() == [100.0, 90.0]


@pytest.mark.parametrize("levels", [None, "fractal", (), ("a",), (-1.0,), (5.0, 5.0)])
def test_parameters_that_are_no_prices_name_no_levels(levels):
    assert named_levels(RunConfig("s", parameters=(("levels", levels),)), ("BTCUSDT",)) == {}
    assert named_levels(RunConfig("s", parameters=(("levels", (5.0,)), ("symbol", "OTHER"))), ("BTCUSDT",)) == {}


def test_the_equity_of_a_day_is_that_of_the_bar_that_closes_in_it():
    time = 20_000 * DAY + HOUR * np.array(
        [22, 23, 24, 25]
    )  # the bar of 23:00 closes at midnight, and is of the old day
    days, equity = daily_equity(time, HOUR, np.array([1.0, 2.0, 3.0, 4.0]))
    assert days.tolist() == [20_000, 20_001]
    assert equity.tolist() == [2.0, 4.0]
    assert [x.size for x in daily_equity(time[:0], HOUR, np.empty(0))] == [0, 0]


def test_correlations_of_daily_returns():
    time = DAY * np.arange(5)
    up = np.array([100.0, 110.0, 99.0, 118.8, 118.8])  # +10%, -10%, +20%, 0
    down = np.array([100.0, 90.0, 99.0, 79.2, 79.2])  # the same with the other sign
    flat, ruined = np.full(5, 100.0), np.array([100.0, 50.0, 0.0, 0.0, 0.0])
    found = correlations([(time, DAY, equity) for equity in (up, down, flat, ruined)])
    np.testing.assert_allclose(found[:2, :2], [[1.0, -1.0], [-1.0, 1.0]], atol=1e-12)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[3]).all()  # two returns before the ruin are too few


def test_runs_without_common_days_have_no_correlation():
    time, equity = DAY * np.arange(5), np.array([100.0, 110.0, 99.0, 118.8, 118.8])
    found = correlations([(time, DAY, equity), (time + 900 * DAY, DAY, equity)])
    assert math.isnan(found[0, 1])
    assert found[0, 0] == pytest.approx(1.0)
