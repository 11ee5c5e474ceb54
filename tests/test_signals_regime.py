"""The regime, the recovery score, large holders and the world outside: by hand, and on the simulated deleveraging."""

from dataclasses import replace

import numpy as np
import pytest
from markets_made import candles
from signal_markets import DAY, START, days

from backtest import load_market
from backtest.errors import ConfigError, MarketError
from backtest.model import Feed
from backtest.signals import (
    Holding,
    deleveraging,
    funding_z,
    holders_unrealised,
    liquidations,
    open_interest_change,
    realised_volatility,
    recovery,
    risk_off,
    unrealised_from_realised_price,
)
from backtest.signals.recovery import lowest_since, price_over_low_vwap, turned_up
from backtest.signals.regime import hysteresis

BTC = "BTCUSDT"
NAN = float("nan")


def same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0)


@pytest.fixture(scope="module")
def simulated():
    return load_market("deleveraging-2026")


def bar(market, when):
    """The first bar that closes at or after a time."""
    return int(np.searchsorted(market.known_at, np.datetime64(when, "ns").astype(np.int64)))


# --- regime ---


def test_hysteresis_by_hand():
    enter = np.array([NAN, 0, 0, 1, 0, NAN, 0, 1, 1, 0, NAN])
    leave = np.array([1.0, 1, 0, 0, 0, 1, NAN, 1, 1, 1, 1])
    # On at bar 3. Bar 5 may leave but nobody knows whether to enter; bars 7 and 8 enter; bar 9 leaves.
    same(hysteresis(enter, leave), [NAN, 0, 0, 1, 1, 1, 1, 1, 1, 0, NAN])


def calm_market(interest, price=(), long=()):
    """Daily bars: volatility falls throughout, liquidations of 2, 1, 2, 1, ... of longs, of which each second is low."""
    n = len(interest)
    moves = [0.1 * 0.97**k for k in range(n)]
    prices = price or list(100 * np.exp(np.cumsum([m * (-1) ** k for k, m in enumerate(moves)])))
    feeds = {
        f"{BTC}.open_interest_coins": ("coins", interest),
        f"{BTC}.long_liquidations": ("usd", long or [2.0 - k % 2 for k in range(n)]),
        f"{BTC}.short_liquidations": ("usd", [0.0] * n),
    }
    return days(n, feeds, prices)


def test_the_regime_is_on_from_a_fall_of_ten_percent_until_all_is_calm():
    interest = [100.0] * 40 + [90.5, 89.5] + [89.5] * 60
    state = deleveraging(calm_market(interest), BTC, window=30)
    # Known from bar 31 on: 30 days of the sums that start with bar 1. 90.5 at bar 40 is no fall of 10%, 89.5 is.
    assert np.isnan(state[:31]).all()
    same(state[31:41], np.zeros(10))
    same(state[41:71], np.ones(30))
    # Bar 70 looks back on 90.5, but its liquidations of 2 are above their median of 1.5; those of bar 71 are not.
    same(state[71:], np.zeros(31))


def test_a_fall_of_exactly_the_threshold_counts():
    state = deleveraging(calm_market([100.0] * 31 + [50.0]), BTC, fall=0.5, window=30)
    assert state[-1] == 1.0
    assert deleveraging(calm_market([100.0] * 31 + [50.5]), BTC, fall=0.5, window=30)[-1] == 0.0


def test_a_sudden_fall_needs_forced_longs():
    steps = [100.0 + k % 3 for k in range(99)]
    longs = [1.0 + k % 3 for k in range(99)]
    # The last day's open interest falls by 9%, many times the usual day's 1 to 2%, and longs of 90 are liquidated.
    assert deleveraging(calm_market([*steps, 93.0], long=[*longs, 90.0]), BTC)[-1] == 1.0
    assert deleveraging(calm_market([*steps, 93.0], long=[*longs, 2.0]), BTC)[-1] == 0.0
    assert deleveraging(calm_market([*steps, 103.0], long=[*longs, 90.0]), BTC)[-1] == 0.0


def test_thresholds_make_sense():
    with pytest.raises(ConfigError, match=r"`fall` must be above 0 and below 1, got 10"):
        deleveraging(calm_market([1.0] * 3), BTC, fall=10)
    with pytest.raises(ConfigError, match=r"`z_interest` must be above 0, got -3"):
        deleveraging(calm_market([1.0] * 3), BTC, z_interest=-3)


def test_realised_volatility_by_hand():
    market = days(4, price=[100, 110, 121, 121])
    # Two moves of log 1.1, then none; the first bar has no move, the first move covers the second day.
    same(realised_volatility(market, BTC, 2), [NAN, NAN, np.log(1.1) * np.sqrt(2), np.log(1.1)])


def test_the_simulated_market_deleverages_in_its_fall(simulated):
    state = deleveraging(simulated, BTC)
    calm, broken, end = bar(simulated, "2026-01-20"), bar(simulated, "2026-02-01"), len(simulated) - 1
    assert set(np.unique(state[np.isfinite(state)])) == {0.0, 1.0}
    assert (state[bar(simulated, "2025-12-01") : calm] == 0).all()
    assert (state[broken:] == 1).all()  # on from the break of 75,000 until the end
    assert state[bar(simulated, "2025-10-11")] == 1.0
    assert funding_z(simulated, BTC)[end] < 0
    # Published: BTC longs of 237M a day, 2.16B a week and 4.4B a month in all.
    assert liquidations(simulated, BTC, 1, "long")[end] == 237e6
    for span, total in ((7, 2.16e9), (30, 4.4e9)):
        assert sum(liquidations(simulated, s, span, "long")[end] for s in simulated.symbols) == pytest.approx(
            total, abs=1
        )
    # The price takes more of the open interest in USD than holders close in coins.
    assert (
        open_interest_change(simulated, BTC, 30, "usd")[end]
        < open_interest_change(simulated, BTC, 30)[end]
        < np.log(0.9)
    )


# --- recovery ---


def test_turned_up_needs_to_have_been_below():
    z = np.array([0.5, -0.1, 0.0, 0.2, 0.2, NAN])
    same(turned_up(z, DAY * np.arange(6), 2), [NAN, 0, 1, 1, 0, NAN])


def test_turned_up_is_not_told_while_a_bar_before_is_unknown():
    # Above 0 all the while: of 3 and 4 a bar of the two days before is unknown; 7 was below at 6, whatever 5 was.
    z = np.array([NAN, 0.5, NAN, 0.5, 0.5, 0.5, -0.1, 0.2])
    same(turned_up(z, DAY * np.arange(8), 2), [NAN, NAN, NAN, NAN, NAN, 0, 0, 1])
    same(turned_up(np.empty(0), np.empty(0, np.int64), 2), [])


def test_lowest_since_by_hand():
    values = np.array([3.0, 1, 2, 1, NAN, 5, 4])
    same(lowest_since(values, np.arange(7), 3), [0, 1, 1, 3, 3, 3, 6])
    same(lowest_since(np.array([NAN, 2.0]), np.arange(2), 3), [-1, 1])


def test_price_over_the_vwap_from_the_low():
    # Hourly, a window of three bars, volume 1. The low of 90 at bar 2: its typical price is (100 + 90 + 95) / 3 = 95, so
    # its close of 95 is not above it; then (96 + 94 + 95) / 3 = 95 with a close of 95 against a mean of 95; then the typical
    # price of 97.67 lifts the mean to 95.89, under the close of 98.
    rows = [(100, 101, 99, 100), (100, 101, 98, 100), (100, 100, 90, 95), (95, 96, 94, 95), (95, 99, 96 - 1, 98)]
    same(price_over_low_vwap(candles(rows), BTC, 3 / 24), [NAN, NAN, 0, 0, 1])


def test_sentiment_off_its_low():
    market = days(6, {"sentiment": ("index", [50, 20, 24, 25, 10, 14])})
    got = recovery(market, BTC, components=("sentiment",), days=3)
    same(got.score, [NAN, NAN, 0, 1, 0, 0])
    same(got["sentiment"], got.score)


def test_the_score_is_the_share_of_its_components(simulated):
    got = recovery(simulated, BTC)
    assert tuple(got.components) == ("price", "liquidations", "funding", "open_interest", "sentiment")
    rows = [0, 2500, 5000, len(simulated) - 1]
    for row in rows:
        flags = [float(got[name][row]) for name in got.components]
        assert got.score[row] == sum(flags) / 5 if not np.isnan(flags).any() else np.isnan(got.score[row])
    assert got["liquidations"][-1] == 0.0
    assert got["open_interest"][-1] == 0.0


def test_a_component_that_is_not_asked_for_needs_no_feed():
    market = candles([(100, 101, 99, 100)] * 3)
    assert np.isnan(recovery(market, BTC, components=("price",)).score).all()
    with pytest.raises(MarketError, match="The recovery score needs the feed 'sentiment'"):
        recovery(market, BTC, components=("sentiment",))
    for wrong in ((), ("price", "price")):
        with pytest.raises(ConfigError, match="`components` must name some of price"):
            recovery(market, BTC, components=wrong)
    with pytest.raises(ConfigError, match=r"`components` must be one of price, .*, got 'mood'"):
        recovery(market, BTC, components=("mood",))


# --- holders ---


def test_large_holders_of_report_a_lose_900_million(simulated):
    assert holders_unrealised(simulated, BTC, [Holding("large", 600_000, 68_990)])[-1] == -900e6


def test_holdings_count_from_when_they_are_known():
    market = days(4, price=[100, 90, 80, 120])
    rows = [
        Holding("a", 10, 100, START + 2 * DAY),  # known at the second close
        Holding("b", 1, 50, "2026-02-06"),  # at the third
        Holding("a", 0, 1, "2026-02-07T00:00:00+00:00"),  # sold by the fourth
    ]
    same(holders_unrealised(market, BTC, rows), [NAN, 10 * -10, 10 * -20 + 30, 70])


def test_unrealised_profit_against_the_realised_price():
    market = days(2, {f"{BTC}.realised_price": ("usd", [55_000, 54_000])}, [50_000, 60_000])
    same(unrealised_from_realised_price(market, BTC, 2), [-10_000, 12_000])


def test_holdings_make_sense():
    with pytest.raises(ConfigError, match="The coins of x must be a number from 0, got -1"):
        Holding("x", -1, 100)
    with pytest.raises(ConfigError, match="The average cost of x must be a price above 0, got 0"):
        Holding("x", 1, 0)
    with pytest.raises(ConfigError, match="`known_from` of x must be a date like '2026-01-15' or ns UTC, got 'soon'"):
        Holding("x", 1, 1, "soon")
    with pytest.raises(ConfigError, match="needs at least one `Holding`"):
        holders_unrealised(days(1), BTC, [])
    with pytest.raises(ConfigError, match="`coins` must be a number above 0, got 0"):
        unrealised_from_realised_price(days(1), BTC, 0)


# --- the world outside ---


def test_risk_off_by_hand():
    feeds = {"sp500": ("", [100, 100, 97, 103]), "vix": ("", [25, 19.9, 20, 15]), "dollar": ("", [100, 101, 100, 100])}
    got = risk_off(days(4, feeds), sessions=2)
    same(got["equities"], [NAN, 0, 1, 0])
    same(got["volatility"], [1, 0, 1, 0])
    same(got["dollar"], [NAN, 1, 0, 0])
    same(got.score, [NAN, 1 / 3, 2 / 3, 0])


def test_a_value_of_friday_counts_over_a_long_weekend_only():
    market = replace(days(8), feeds={"vix": Feed("vix", START + DAY * np.arange(1, 3), np.array([30.0, 30]))})
    same(risk_off(market, ("volatility",)).score, [1, 1, 1, 1, 1, 1, 1, NAN])


def test_risk_off_is_there_in_the_simulated_fall(simulated):
    got = risk_off(simulated)
    assert got["equities"][-1] == got["volatility"][-1] == 1.0
    assert got.score[-1] == 2 / 3


def test_risk_off_says_what_is_wrong():
    with pytest.raises(MarketError, match="Risk-off needs the feed 'sp500'"):
        risk_off(days(3))
    with pytest.raises(ConfigError, match="`sessions` must be a whole number from 2, got 1"):
        risk_off(days(3), sessions=1)
    with pytest.raises(ConfigError, match="`components` must be one of equities, volatility, dollar, got 'gold'"):
        risk_off(days(3), ("gold",))
