"""The strategies that trade one coin for what another does: their rows on markets worked by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from markets_made import closes
from signal_markets import DAY, START
from strategy_rows import ENTER, EXIT, RESIZE, panel, planned, refused, rows, without

from backtest.errors import ConfigError, MarketError, StrategyError

# --- contagion_short -------------------------------------------------------------------------------------------------

# Twelve bars that fall by other amounts each time, then the break of 100; a coin that is the leader to the power of b has a
# downside beta of b.
SWINGS = [110, 112, 109, 113, 108, 114, 107, 115, 106, 116, 105, 117]
LEVELS = {"levels": "100,90", "days": 10}


def followers(*after, **powers):
    leader = np.array([*SWINGS, *after], np.float64)
    return panel({"BTCUSDT": leader} | {coin: 50 * (leader / 110) ** power for coin, power in powers.items()})


COINS = {"XRPUSDT": 0.5, "SOLUSDT": 2.0, "ETHUSDT": 1.5}


def test_contagion_shorts_the_coin_that_falls_most_until_the_level_is_taken_back():
    # 99 is below 99.7; 100.2 is not above 100.3, and 100.4 is.
    plan = planned("contagion_short", followers(99, 98, 100.2, 100.4, **COINS), **LEVELS)
    assert rows(plan, "symbol", "stop_fraction", "max_bars", "stop", "target") == [
        (12, ENTER, -1.0, "SOLUSDT", 0.05, 168, None, None),
        (15, EXIT, None, "SOLUSDT", None, 0, None, None),
    ]


def test_contagion_takes_candidates_and_each_rung_of_the_ladder():
    # 91 is above 90.27, the second level's, and 101 above the first's as well.
    market = followers(99, 89, 91, 101, **COINS)
    plan = planned("contagion_short", market, **LEVELS, candidates="XRPUSDT,ETHUSDT", leverage=2, max_bars=0)
    found = [(12, ENTER, -2.0), (13, ENTER, -2.0), (14, EXIT, None), (15, EXIT, None)]
    assert rows(plan, "symbol", "max_bars") == [(*row, "ETHUSDT", 0) for row in found]


def test_contagion_leaves_once_where_two_levels_are_taken_back_together():
    plan = planned("contagion_short", followers(99, 89, 101, **COINS), **LEVELS)
    assert rows(plan, "symbol") == [
        (12, ENTER, -1.0, "SOLUSDT"),
        (13, ENTER, -1.0, "SOLUSDT"),
        (14, EXIT, None, "SOLUSDT"),
    ]


def test_contagion_leaves_out_coins_whose_beta_is_not_known_or_that_do_not_trade():
    market = followers(99, 98, **COINS)
    young = without(market, "SOLUSDT", slice(0, 4))
    halted = without(market, "SOLUSDT", slice(12, 13))
    for other in (young, halted):
        assert rows(planned("contagion_short", other, **LEVELS), "symbol") == [(12, ENTER, -1.0, "ETHUSDT")]
    assert rows(planned("contagion_short", market, levels="100,90", days=90)) == []
    assert rows(planned("contagion_short", followers(99, 98, ETHUSDT=-1.0), **LEVELS)) == []
    assert rows(planned("contagion_short", followers(99.8, 99.8, **COINS), **LEVELS)) == []


def test_contagion_needs_a_leader_and_another_coin():
    told = refused(StrategyError, "contagion_short", closes([76_000.0, 74_000.0]))
    assert told.startswith(
        "contagion_short failed while it planned: ValueError: contagion needs a coin beside BTCUSDT, and the market market "
        "holds no other (strategies/contagion_short.py, line "
    )
    told = refused(MarketError, "contagion_short", closes([76_000.0], symbol="ETHUSDT"))
    assert told == "No symbol named 'BTCUSDT' in the market market. Did you mean 'ETHUSDT'?"
    told = refused(MarketError, "contagion_short", followers(99, **COINS), candidates="SOLUSD")
    assert told == "No symbol named 'SOLUSD' in the market market. Did you mean 'SOLUSDT'?"


def test_contagion_says_of_a_level_what_levels_say():
    told = refused(ConfigError, "contagion_short", followers(99, **COINS), levels="75000,-1")
    assert told == "A level must be a price above 0, got -1.0."


# --- funding_carry ---------------------------------------------------------------------------------------------------

# Funding of a day in hundredths of a percent: 10 and -4 are 365 * 0.0014 = 51.1% a year apart, 10 and 2 are 29.2%.
THREE = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
STEADY = [10, 10, 10, 10, 2, 2], [2, 2, 2, 2, 1, 1], [-4, -4, -4, -4, 1, 1]
EQUAL = {"weights": "notional", "days": 1, "rebalance_bars": 2, "threshold": 0.5}


def paying(*rates, trade_from=None):
    names = THREE[: len(rates)]
    flat = {name: [100.0] * len(rates[0]) for name in names}
    return panel(flat, {n: [r / 1e4 for r in day] for n, day in zip(names, rates, strict=True)}, trade_from)


def test_carry_shorts_the_highest_funding_and_holds_the_lowest():
    plan = planned("funding_carry", paying(*STEADY), **EQUAL)
    assert rows(plan, "symbol") == [
        (0, ENTER, -0.5, "BTCUSDT"),
        (0, ENTER, 0.5, "SOLUSDT"),
        (2, RESIZE, -0.5, "BTCUSDT"),  # back to the size that prices have moved it from
        (2, RESIZE, 0.5, "SOLUSDT"),
        (4, EXIT, None, "BTCUSDT"),
        (4, EXIT, None, "SOLUSDT"),
    ]


def test_carry_turns_round_and_takes_the_size():
    plan = planned("funding_carry", paying([10, 10, -4], [2, 2, 2], [-4, -4, 10]), **EQUAL, gross=3)
    assert rows(plan, "symbol") == [
        (0, ENTER, -1.5, "BTCUSDT"),
        (0, ENTER, 1.5, "SOLUSDT"),
        (2, ENTER, 1.5, "BTCUSDT"),
        (2, ENTER, -1.5, "SOLUSDT"),
    ]


def test_carry_asks_for_more_than_the_threshold():
    market = paying(*STEADY)
    assert rows(planned("funding_carry", market, **EQUAL | {"threshold": 0.52})) == []
    assert rows(planned("funding_carry", market, **EQUAL | {"symbols": "BTCUSDT,ETHUSDT"})) == []
    found = planned("funding_carry", market, **EQUAL | {"symbols": "BTCUSDT,ETHUSDT", "threshold": 0.29})
    assert rows(found, "symbol")[:2] == [(0, ENTER, -0.5, "BTCUSDT"), (0, ENTER, 0.5, "ETHUSDT")]
    two_days = EQUAL | {"symbols": "BTCUSDT,ETHUSDT", "days": 2}  # twice the days, the same a year
    assert rows(planned("funding_carry", market, **two_days | {"threshold": 0.30})) == []
    assert rows(planned("funding_carry", market, **two_days | {"threshold": 0.29}))[0] == (2, ENTER, -0.5)
    same = paying([1, 1, 1], [1, 1, 1])
    assert rows(planned("funding_carry", same, **EQUAL | {"threshold": 0})) == []


def test_carry_chooses_from_the_start_on():
    plan = planned("funding_carry", paying(*STEADY, trade_from=START + 2 * DAY), **EQUAL)
    assert plan.bar.tolist() == [1, 1, 3, 3, 5, 5]


def test_carry_leaves_out_what_is_not_known_and_keeps_what_it_holds():
    halted = without(paying(*STEADY), "SOLUSDT", slice(0, 1))
    assert rows(planned("funding_carry", halted, **EQUAL))[0][0] == 2
    none = float("nan")
    hole = paying([10, 10, 10, 10, 10], [-4, -4, none, -4, -4])
    found = rows(planned("funding_carry", hole, **EQUAL), "symbol")
    assert [(row[0], row[1], row[3]) for row in found] == [
        (0, ENTER, "BTCUSDT"),
        (0, ENTER, "ETHUSDT"),
        (4, RESIZE, "BTCUSDT"),
        (4, RESIZE, "ETHUSDT"),
    ]
    assert rows(planned("funding_carry", paying(*STEADY), **EQUAL | {"weights": "beta"})) == []  # betas need 90 days


def test_carry_weighs_the_legs_by_beta():
    # The second coin is the first one squared, a beta of 2: a third of the second against two thirds of the first.
    leader = np.array([100.0, 101.0, 99.0] * 31)
    rates = {"BTCUSDT": [-0.0004] * 93, "ETHUSDT": [0.001] * 93}
    market = panel({"BTCUSDT": leader, "ETHUSDT": leader**2}, rates)
    plan = planned("funding_carry", market, days=1, rebalance_bars=1)
    assert rows(plan, "symbol") == [
        (91, ENTER, 0.666666667, "BTCUSDT"),
        (91, ENTER, -0.333333333, "ETHUSDT"),
        (92, RESIZE, 0.666666667, "BTCUSDT"),
        (92, RESIZE, -0.333333333, "ETHUSDT"),
    ]


def test_carry_needs_two_symbols():
    told = refused(StrategyError, "funding_carry", paying([10, 10]))
    assert told.startswith(
        "funding_carry failed while it planned: ValueError: carry needs two perpetuals, and the market market holds BTCUSDT "
        "(strategies/funding_carry.py, line "
    )


UNKNOWN = float("nan")
funding = st.lists(
    st.lists(st.sampled_from([-9, -1, 0, 1, 9, UNKNOWN]), min_size=6, max_size=6), min_size=3, max_size=3
)


@given(funding)
def test_the_legs_of_carry_are_of_one_size_and_never_alone(rates):
    rates = [[1, *one[1:]] for one in rates]  # a first stamp says that there is funding
    plan = planned("funding_carry", paying(*rates), **EQUAL | {"rebalance_bars": 1, "threshold": 0.1})
    held = dict.fromkeys(THREE, 0.0)
    for bar in range(6):
        for _, kind, exposure, coin in [row for row in rows(plan, "symbol") if row[0] == bar]:
            held[coin] = 0.0 if kind == EXIT else exposure
        assert sorted(held.values()) in ([0.0, 0.0, 0.0], [-0.5, 0.0, 0.5])
