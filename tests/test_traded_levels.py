"""The level and the rung of each trade, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from made_result import make_venue
from markets_made import HOUR, START, closes

from backtest.analysis.traded_levels import NO_LEVEL, rungs, traded_levels, watched_levels
from backtest.engines import get_engine
from backtest.errors import ConfigError
from backtest.levels import BreakEvents, Levels, fixed
from backtest.levels.break_rule import BreakRule
from backtest.model import Plan, RunConfig

LADDER = fixed([100.0, 95.0, 90.0])


def run(prices, decided):
    """Shorts decided at the closes of some bars, each held for one bar."""
    market = closes(prices)
    plan = Plan.short("BTCUSDT", at=decided, exposure=0.1, max_bars=1)
    return get_engine("fast")(market, plan, make_venue()), market


def test_a_trade_is_about_the_level_that_broke_in_the_bar_of_its_decision():
    result, market = run([101, 101, 99, 99, 94, 80, 80, 80], decided=[2, 4, 5])
    found = traded_levels(result, market, LADDER)
    assert found.label == ("BTCUSDT fixed 100", "BTCUSDT fixed 95", "BTCUSDT fixed 90")
    assert found.row.tolist() == [0, 1, 2]
    assert found.rung.tolist() == [1, 2, 3]
    assert found.broken.tolist() == [1, 1, 1]


def test_of_two_levels_that_break_in_one_bar_the_deepest_counts():
    result, market = run([101, 101, 94, 94, 94], decided=[2])
    found = traded_levels(result, market, {"BTCUSDT": LADDER})
    assert (found.label, found.rung.tolist()) == (("BTCUSDT fixed 95",), [2])


def test_a_reclaim_begins_a_new_ladder():
    # 100 breaks in bar 2, is reclaimed in bar 3, breaks again in bar 4; then 95
    result, market = run([101, 101, 99, 102, 99, 94, 94, 94], decided=[2, 4, 5])
    assert traded_levels(result, market, LADDER).rung.tolist() == [1, 1, 2]


def test_without_a_break_it_is_the_nearest_level_within_the_width():
    # decided at 99.5 (no break: 99.7 is the floor's edge of 100, crossed in bar 2) and entered at the next open
    result, market = run([101, 101, 99, 99.5, 97, 97], decided=[3, 4])
    found = traded_levels(result, market, LADDER)
    assert found.label == ("BTCUSDT fixed 100", NO_LEVEL)  # 99.5 lies within 1% of 100, 97 of nothing
    assert found.rung.tolist() == [1, 0]  # 100 is broken, not reclaimed
    assert found.broken.tolist() == [0, 0]
    assert traded_levels(result, market, LADDER, width=0.03).label[1] == "BTCUSDT fixed 95"


def test_a_level_breaks_by_the_rule_of_the_strategy():
    # 100 breaks by the default 0.3% in bar 2, by 2% in bar 3, at whose close the trade was decided; 97 lies within 1% of nothing
    result, market = run([101, 101, 99, 97, 97, 97], decided=[3])
    assert traded_levels(result, market, LADDER).label == (NO_LEVEL,)
    for found in (
        traded_levels(replace(result, config=RunConfig("s", parameters=(("buffer", 0.02),))), market, LADDER),
        traded_levels(result, market, LADDER, rule=BreakRule(buffer=0.02)),
    ):
        assert (found.label, found.rung.tolist(), found.broken.tolist()) == (("BTCUSDT fixed 100",), [1], [1])


def test_a_bounce_off_an_unbroken_level_has_no_rung():
    result, market = run([101, 101, 100.2, 100.2, 101], decided=[2])
    found = traded_levels(result, market, LADDER)
    assert (found.label, found.rung.tolist()) == (("BTCUSDT fixed 100",), [0])


def test_a_level_that_is_not_known_yet_is_none():
    result, market = run([101, 101, 100.2, 100.2, 101], decided=[2])
    later = START + 4 * HOUR
    levels = replace(LADDER, formed_at=np.full(3, later), known_at=np.full(3, later))
    assert traded_levels(result, market, levels).label == (NO_LEVEL,)


def test_a_table_without_levels_and_a_run_without_trades():
    result, market = run([101, 101, 99, 99], decided=[2])
    assert traded_levels(result, market, LADDER.take(np.empty(0, np.int64))).label == (NO_LEVEL,)
    result, market = run([101, 101, 99, 99], decided=[])
    assert traded_levels(result, market, LADDER).label == ()


def test_a_table_alone_is_of_the_symbol_that_the_strategy_names():
    result, _ = run([101, 101], decided=[])
    two = replace(result, symbols=("BTCUSDT", "ETHUSDT"))
    assert list(watched_levels(two, LADDER)) == ["BTCUSDT"]
    told = replace(two, config=RunConfig("s", "m", (("symbol", "ETHUSDT"),)))
    assert list(watched_levels(told, LADDER)) == ["ETHUSDT"]


def test_levels_of_an_unknown_symbol_are_an_error():
    result, market = run([101, 101], decided=[])
    with pytest.raises(ConfigError, match=r"names the symbol 'BTCUSD', the run has none\. Did you mean"):
        traded_levels(result, market, {"BTCUSD": LADDER})


@pytest.mark.parametrize("width", [-0.1, 1.0, "near"])
def test_a_width_that_is_no_fraction_is_an_error(width):
    result, market = run([101, 101], decided=[])
    with pytest.raises(ConfigError, match="`width` must be a fraction"):
        traded_levels(result, market, LADDER, width=width)


def broken(rows, bar, back):
    """Events of some levels at some bars, with the bar of the reclaim."""
    zeros = np.zeros(len(rows))
    return BreakEvents(np.array(rows), np.array(bar), np.array(bar), np.array(bar), np.array(back), zeros)


def test_rungs_of_one_fall_and_of_the_next():
    # prices 100, 95, 90, 85: 100 at bar 1; 95 and 90 together at 3; 90 is reclaimed at 6; 85 at 8 begins anew
    price = [*LADDER.price.tolist(), 85.0]
    events = broken(rows=[0, 1, 2, 3], bar=[1, 3, 3, 8], back=[20, 9, 6, -1])
    assert rungs(events, np.array(price)).tolist() == [1, 2, 3, 1]


def test_a_higher_level_that_breaks_later_begins_anew():
    events = broken(rows=[0, 1], bar=[5, 1], back=[-1, -1])
    assert rungs(events, LADDER.price).tolist() == [1, 1]


def test_no_breaks_have_no_rungs():
    assert rungs(broken([], [], []), Levels.take(LADDER, np.empty(0, np.int64)).price).size == 0
