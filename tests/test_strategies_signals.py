"""The strategies that trade on signals: their rows on markets worked by hand, and what they say when something is missing."""

import ast
from dataclasses import replace

import numpy as np
import pytest
from signal_markets import DAY, START, days, drawn
from strategy_rows import ENTER, EXIT, RESIZE, panel, planned, refused, rows, without

from backtest import run
from backtest.errors import ConfigError, MarketError, StrategyError
from backtest.places import shipped
from backtest.plugins import describe_strategy, load_strategy
from backtest.testing import assert_conforms, assert_no_foresight

# What makes each of them act on the drawn markets: two coins around 100, bars of 8 hours, 106 days.
ON_DRAWN = {
    "liquidation_exhaustion": {"history": 10, "within": 30, "hold": 1, "burst": 1, "calm": 0.5},
    "recovery_long": {"history": 20, "days": 10, "enter": 0.6},
    "contagion_short": {"levels": (130.0, 120.0, 110.0, 100.0, 90.0, 80.0, 70.0), "days": 20},
    "risk_off_hedge": {"hedged": -0.5, "clear": 0.5},
    "funding_carry": {"days": 1, "rebalance_bars": 3},
}
every = pytest.mark.parametrize("name", ON_DRAWN)


# --- liquidation_exhaustion ------------------------------------------------------------------------------------------

# Of the four days before, bar 5: median 2.5, MAD 1, so 40 stands at z = 37.5 / 1.4826 = 25.29; bar 6: 3.5, 1, so 3 is at
# -0.34; bar 7: 3.5, 0.5, so 2 is at -2.02; bar 8: 3.5, 1, so 1 is at -1.69.
BURST = [1, 1, 2, 3, 4, 40, 3, 2, 1]
FALL = [100, 100, 100, 100, 100, 80, 84, 85, 86]
SHORT = {"history": 4, "within": 3, "hold": 1}


def burst(liquidated=BURST, price=FALL, interest=(1000,) * 9):
    feeds = {"BTCUSDT.long_liquidations": ("usd", liquidated), "BTCUSDT.open_interest": ("usd", interest)}
    return days(len(price), feeds, price)


def test_exhaustion_buys_once_the_burst_has_faded_and_the_low_holds():
    # At bar 6 the low of 80 is the bar before's; at bar 7 the bar before stayed above it, and bar 8 says the same again.
    plan = planned("liquidation_exhaustion", burst(), **SHORT)
    columns = ("stop", "target_fraction", "max_bars", "target", "close_stop")
    assert rows(plan, *columns) == [(7, ENTER, 1.0, 79.76, 0.06, 168, None, None)]


@pytest.mark.parametrize(
    ("parameters", "bars"),
    [
        ({"burst": 25.2}, [7]),
        ({"burst": 25.4}, []),
        ({"calm": -2.0}, [7]),
        ({"calm": -2.1}, []),
        ({"hold": 2, "within": 4}, [8]),
        ({"within": 2}, [7]),  # the burst is two bars before
    ],
)
def test_exhaustion_asks_for_size_quiet_and_time(parameters, bars):
    assert planned("liquidation_exhaustion", burst(), **SHORT | parameters).bar.tolist() == bars


@pytest.mark.parametrize(
    ("changed", "bars"),
    [
        ({"liquidated": [1, 1, 2, 3, 4, 40, 3, 3, 1]}, [8]),  # at bar 7 the share is as high as the day before
        (
            {"price": [100, 100, 100, 100, 100, 80, 84, 79.9, 86]},
            [],
        ),  # a lower low at bar 7, which bar 8 sees beside it
        ({"price": [100, 100, 100, 100, 100, 80, 84, 80, 86]}, []),  # as low is not above
        ({"interest": (1000,) * 2}, []),  # stale from bar 5 on
        ({"price": [100, 100, 100, 100, np.nan, 80, 84, 85, 86]}, [8]),  # bar 4 is in the window of bar 7
    ],
)
def test_exhaustion_does_nothing_while_something_is_not_so_or_not_known(changed, bars):
    assert planned("liquidation_exhaustion", burst(**changed), **SHORT).bar.tolist() == bars


def test_exhaustion_forgets_a_burst_that_is_too_old():
    # Only at bar 9 is the share lower than the day before; the burst of bar 5 is four bars back.
    market = burst([1, 1, 2, 3, 4, 40, 3, 3, 4, 1], [*FALL, 87], (1000,) * 10)
    assert len(planned("liquidation_exhaustion", market, **SHORT)) == 0
    assert planned("liquidation_exhaustion", market, **SHORT | {"within": 4}).bar.tolist() == [9]


def test_exhaustion_waits_for_its_history():
    assert len(planned("liquidation_exhaustion", burst(), **SHORT | {"history": 90})) == 0


# --- recovery_long ---------------------------------------------------------------------------------------------------

# Liquidations below their median of four days: known from bar 5 on, there at bars 6, 7 and 10. Sentiment five points above
# the lower one of this day and the day before: bars 2, 7 and 8. The score from bar 5 on: 0, 0.5, 1, 0.5, 0, 0.5.
LIQUIDATED = [1, 1, 2, 3, 4, 40, 3, 2, 9, 9, 1]
MOOD = [10, 10, 20, 20, 20, 20, 20, 25, 31, 31, 31]
TWO = {"components": "liquidations,sentiment", "days": 2, "history": 4}


def healing(liquidated=LIQUIDATED, mood=MOOD, n=11, **changed):
    feeds = {"BTCUSDT.long_liquidations": ("usd", liquidated), "sentiment": ("index", mood)}
    price = [100.0] * 5 + [80.0, 84.0] + [90.0] * (n - 7)
    return replace(days(n, feeds, price), **changed)


def test_recovery_buys_at_a_high_score_and_leaves_at_a_low_one():
    plan = planned("recovery_long", healing(), **TWO)
    assert rows(plan, "stop", "target", "max_bars") == [(7, ENTER, 1.0, 79.76, None, 0), (9, EXIT, None, None, None, 0)]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"enter": 1}, [(7, ENTER), (9, EXIT)]),  # at or above
        ({"leave": 0.5}, [(7, ENTER), (9, EXIT)]),  # below
        ({"leave": 0.6}, [(7, ENTER), (8, EXIT)]),
        ({"enter": 0.5}, [(6, ENTER), (9, EXIT), (10, ENTER)]),
        ({"components": "sentiment", "enter": 1, "leave": 0.5}, [(2, ENTER), (3, EXIT), (7, ENTER), (9, EXIT)]),
        ({"history": 90}, []),
    ],
)
def test_recovery_takes_thresholds_and_components(parameters, found):
    assert [row[:2] for row in rows(planned("recovery_long", healing(), **TWO | parameters))] == found


def test_recovery_holds_on_while_the_score_is_not_known():
    # The last liquidations are those of bar 7: three days later they are stale, and what follows is no score of 0.
    market = healing(LIQUIDATED[:8], [*MOOD, 31, 31, 31], 14)
    assert [row[:2] for row in rows(planned("recovery_long", market, **TWO))] == [(7, ENTER)]


def test_recovery_buys_nothing_where_it_knows_no_low_for_the_stop():
    assert rows(planned("recovery_long", without(healing(), "BTCUSDT", slice(5, 6)), **TWO)) == []


def test_recovery_starts_where_trading_starts():
    begun = {"trade_from": START + 8 * DAY}, {"trade_from": START + 9 * DAY}
    assert [row[:2] for row in rows(planned("recovery_long", healing(**begun[0]), **TWO))] == [(7, ENTER), (9, EXIT)]
    assert rows(planned("recovery_long", healing(**begun[1]), **TWO)) == []
    found = rows(planned("recovery_long", healing(**begun[1]), **TWO, enter=0.5))
    assert [row[:2] for row in found] == [(8, ENTER), (9, EXIT), (10, ENTER)]


# --- risk_off_hedge --------------------------------------------------------------------------------------------------

# Below the mean of two closes is below the one before: equities 0 1 0 1 0 0 from bar 1 on; VIX at 20 or above: 0 1 1 0 0 1.
# The score from bar 1 on: 0, 1, 0.5, 0.5, 0, 0.5.
WORLD = {
    "vix": ("index", [15, 15, 20, 25, 15, 15, 25]),
    "sp500": ("index", [100, 101, 100, 102, 101, 103, 104]),
}
BOTH = {"components": "volatility,equities", "sessions": 2}


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [(1, ENTER, 1.0), (2, EXIT, None), (5, ENTER, 1.0)]),
        ({"hedged": -0.5, "exposure": 2}, [(1, ENTER, 2.0), (2, ENTER, -0.5), (5, ENTER, 2.0)]),
        ({"hedged": 0.5}, [(1, ENTER, 1.0), (2, RESIZE, 0.5), (5, RESIZE, 1.0)]),
        ({"clear": 0.5}, [(1, ENTER, 1.0), (2, EXIT, None), (5, ENTER, 1.0)]),  # below, not at
        ({"clear": 0.6}, [(1, ENTER, 1.0), (2, EXIT, None), (3, ENTER, 1.0)]),
        ({"alarm": 0.5}, [(1, ENTER, 1.0), (2, EXIT, None), (5, ENTER, 1.0), (6, EXIT, None)]),
        ({"fear": 30}, [(1, ENTER, 1.0)]),
        ({"components": "volatility"}, [(0, ENTER, 1.0), (2, EXIT, None), (4, ENTER, 1.0), (6, EXIT, None)]),
    ],
)
def test_the_hedge_comes_at_the_alarm_and_goes_when_all_is_clear(parameters, found):
    assert rows(planned("risk_off_hedge", days(7, WORLD), **BOTH | parameters)) == found


def test_the_hedge_waits_for_a_price_and_for_the_start():
    found = rows(planned("risk_off_hedge", without(days(7, WORLD), "BTCUSDT", slice(2, 3)), **BOTH))
    assert found == [(1, ENTER, 1.0), (3, EXIT, None), (5, ENTER, 1.0)]
    for day, first in ((2, 1), (4, 5), (7, 6)):  # at the fourth day it is hedged by what came before
        market = replace(days(7, WORLD), trade_from=START + day * DAY)
        assert rows(planned("risk_off_hedge", market, **BOTH))[0] == (first, ENTER, 1.0)


def test_the_hedge_stays_as_it_is_while_the_score_is_not_known():
    # The VIX of bar 2 is stale after five days, at bar 8; a calm one at bar 10 ends the hedge.
    vix = [15, 15, 20, *[np.nan] * 7, 15]
    market = days(12, {"vix": ("index", vix)})
    assert rows(planned("risk_off_hedge", market, components="volatility")) == [
        (0, ENTER, 1.0),
        (2, EXIT, None),
        (10, ENTER, 1.0),
    ]
    assert rows(planned("risk_off_hedge", days(7, WORLD), components="equities", sessions=20)) == []


# --- what holds for all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "market", "sentence"),
    [
        (
            "liquidation_exhaustion",
            days(9),
            "Liquidations needs the feed 'BTCUSDT.long_liquidations', which the market market does not have: declare "
            "`long_liquidations` under [BTCUSDT] in the market file.",
        ),
        (
            "recovery_long",
            healing(),
            "Funding signals need the funding of BTCUSDT, which the market market declares to have none (spot).",
        ),
        (
            "risk_off_hedge",
            days(7, {"sp500": WORLD["sp500"], "dollar": ("index", [100] * 7)}),
            "Risk-off needs the feed 'vix', which the market market does not have: declare [feeds.vix] in the market file. "
            "There are: dollar, sp500.",
        ),
        (
            "funding_carry",
            panel({"BTCUSDT": [1, 1], "ETHUSDT": [1, 1]}),
            "Funding signals need the funding of BTCUSDT, which the market market declares to have none (spot).",
        ),
    ],
)
def test_what_is_missing_is_named(name, market, sentence):
    assert refused(MarketError, name, market) == sentence


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("liquidation_exhaustion", {"calm": 3}, "calm must be below burst, got 3.0 and 3.0"),
        ("liquidation_exhaustion", {"hold": 168}, "hold must be from 1 bar to below within, got 168 and 168"),
        ("liquidation_exhaustion", {"buffer": 1}, "buffer must be a fraction from 0 to below 1, got 1.0"),
        (
            "recovery_long",
            {"leave": 0.8},
            "leave and enter must be shares above 0 and up to 1, leave below enter, got 0.8 and 0.8",
        ),
        ("donchian_break", {"buffer": -1}, "buffer must be a fraction from 0 to below 1, not percent, got -1.0"),
        ("recovery_long", {"buffer": -0.1}, "buffer must be a fraction from 0 to below 1, got -0.1"),
        (
            "contagion_short",
            {"candidates": "BTCUSDT,ETHUSDT"},
            "candidates must be coins beside the leader BTCUSDT, got BTCUSDT, ETHUSDT",
        ),
        ("contagion_short", {"stop_fraction": 0}, "stop_fraction must be a fraction above 0, got 0.0"),
        (
            "risk_off_hedge",
            {"alarm": 0.1},
            "clear and alarm must be shares above 0 and up to 1, clear no higher than alarm, got 0.2 and 0.1",
        ),
        ("risk_off_hedge", {"hedged": 1}, "exposure must be above 0 and above hedged, got 1.0 and 1.0"),
        ("funding_carry", {"symbols": "BTCUSDT"}, "symbols must be two or more, each once, got BTCUSDT"),
        ("funding_carry", {"symbols": "A,A"}, "symbols must be two or more, each once, got A, A"),
        ("funding_carry", {"threshold": -1}, "threshold must be a fraction a year from 0, got -1.0"),
        ("funding_carry", {"rebalance_bars": 0}, "rebalance_bars must be a whole number from 1, got 0"),
        ("funding_carry", {"gross": 0}, "gross must be above 0, got 0.0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_with_the_value(name, parameters, sentence):
    with pytest.raises(StrategyError) as told:
        load_strategy(name, parameters)
    assert str(told.value).startswith(
        f"{name} refused its parameters: ValueError: {sentence} (strategies/{name}.py, line "
    )


@pytest.mark.parametrize(
    ("name", "market", "parameters", "sentence"),
    [
        (
            "recovery_long",
            healing(),
            {"components": "price,mood"},
            "`components` must be one of price, liquidations, funding, open_interest, sentiment, got 'mood'.",
        ),
        (
            "risk_off_hedge",
            days(7, WORLD),
            {"components": "gold"},
            "`components` must be one of equities, volatility, dollar, got 'gold'.",
        ),
    ],
)
def test_what_signals_refuse_is_said_in_their_words(name, market, parameters, sentence):
    assert refused(ConfigError, name, market, **parameters) == sentence


@every
def test_each_trades_on_the_embedded_market(name):
    trades = run(name).trades_table.to_frame()
    assert len(trades) >= 1
    if name == "funding_carry":  # both legs or none
        sides = trades.groupby("entry_time").side.agg(sorted).tolist()
        assert set(map(tuple, sides)) == {("long", "short")}


@every
def test_none_looks_ahead_where_prices_and_feeds_have_holes(name):
    for seed in (1, 2):
        assert_no_foresight(name, drawn(seed), ON_DRAWN[name], walks=0, cuts=24, at_least=2)


@every
def test_each_keeps_the_rules_where_prices_and_feeds_have_holes(name):
    assert_conforms(name, drawn(3), ON_DRAWN[name])


@every
def test_each_says_its_idea_when_it_should_fail_and_where_it_comes_from(name):
    info = describe_strategy(name)
    assert info.title.endswith(".")
    assert "should fail" in info.doc.replace("\n", " ")
    assert "Source:" in info.doc
    assert all(p.meaning and not p.required for p in info.parameters)


@every
def test_a_strategy_imports_only_what_strategies_may(name):
    tree = ast.parse((shipped("strategies") / f"{name}.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules <= {"dataclasses", "typing", "backtest", "backtest.levels", "backtest.signals", "numpy"}
