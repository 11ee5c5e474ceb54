"""Contagion: statistics on samples worked by hand, and the same over a market, from the bars before."""

import math

import numpy as np
import pytest
from signal_markets import DAY, START

from backtest import Market, Passport, load_market
from backtest.errors import ConfigError, MarketError
from backtest.model import Funding
from backtest.signals import beta, delta_covar, downside_beta, downside_test, lead_lag, tail_dependence
from backtest.signals.dependence import (
    downside_difference,
    quantile_line,
    sample_beta,
    sample_delta_covar,
    sample_downside_beta,
    sample_lead_lag,
    sample_tail,
    student_tail,
)

NAN = float("nan")


def pair(leader, other, step=DAY):
    """Return a market of BTC and ETH whose log returns are given, from the second bar on."""
    close = 100 * np.exp(np.cumsum(np.column_stack(([0.0, *leader], [0.0, *other])), axis=0))
    n = len(close)
    funding = Funding.empty(none=frozenset(["BTCUSDT", "ETHUSDT"]))
    time = START + step * np.arange(n)
    return Market(time, step, ("BTCUSDT", "ETHUSDT"), *[close] * 4, np.ones((n, 2)), funding, Passport(()))


# --- samples ---


def test_beta_and_downside_beta_by_hand():
    b = np.array([-3.0, -2, -1, -1, -1, 8])
    a = np.array([-6.0, -4, -2, -2, -2, 4])
    # The mean of b is 0. Of all: sum ab = 18 + 8 + 2 + 2 + 2 + 32 = 64, less 6 * 0 * mean; sum bb = 9 + 4 + 3 + 64 = 80.
    assert sample_beta(a, b) == pytest.approx(64 / 80)
    assert sample_downside_beta(a, b) == pytest.approx(2.0)


def test_too_little_says_nothing():
    assert math.isnan(sample_beta(np.ones(2), np.arange(2.0)))
    assert math.isnan(sample_beta(np.arange(5.0), np.ones(5)))
    assert math.isnan(sample_downside_beta(np.arange(8.0), np.arange(8.0)))  # four below the mean
    assert math.isnan(sample_tail(np.arange(99.0), np.arange(99.0), 0.03))
    assert math.isnan(sample_delta_covar(np.arange(99.0), np.arange(99.0), 0.05))
    assert all(math.isnan(x) for x in quantile_line(np.arange(5.0), np.ones(5), 0.5))
    assert math.isnan(downside_difference(np.arange(4.0), np.arange(4.0)).p)


def test_under_a_normal_the_difference_is_nothing_and_a_planted_one_is_found():
    chance = np.random.default_rng(7)
    b = chance.standard_normal(4000)
    noise = chance.standard_normal(4000)
    none = downside_difference(1.5 * b + noise, b, samples=300)
    assert none.low < 0 < none.high
    assert none.p > 0.05
    planted = downside_difference(np.where(b < 0, 2.5, 1.5) * b + noise, b, samples=300)
    assert planted.downside == pytest.approx(2.5, abs=0.15)
    assert 0 < planted.low < planted.difference < planted.high
    assert planted.p == pytest.approx(2 / 301)


def test_the_bootstrap_repeats_itself():
    chance = np.random.default_rng(1)
    a, b = chance.standard_normal((2, 200))
    assert downside_difference(a, b, 50, seed=3) == downside_difference(a, b, 50, seed=3)
    assert downside_difference(a, b, 50, seed=3) != downside_difference(a, b, 50, seed=4)


def test_tail_dependence_by_hand():
    b = np.arange(100.0)
    a = b.copy()
    a[[0, 1]] = [99.5, 98.5]  # two of the worst five of b are among the best of a
    # The worst five of b are 0..4. Of a they hold 99.5, 98.5, 2, 3 and 4; the worst five of a are 2, 3, 4, 5 and 6.
    assert sample_tail(a, b, 0.05) == pytest.approx(0.6)
    assert sample_tail(b, b, 0.05) == 1.0
    assert sample_tail(-b, b, 0.05) == 0.0


def test_perfect_and_normal_dependence_are_the_ends_of_a_students():
    assert student_tail(3, 1.0) == pytest.approx(1.0, abs=1e-12)
    assert student_tail(10_000, 0.5) < 1e-6
    # One more degree of freedom than one: T_2(-sqrt(2)) = (1 - sqrt(2 / (2 + 2))) / 2, by hand for nu = 1, rho = 0.
    assert student_tail(1, 0.0) == pytest.approx(1 - math.sqrt(0.5), abs=1e-12)


def test_quantile_lines_by_hand():
    b = np.arange(1.0, 6)
    assert quantile_line(np.array([1.0, 2, 3, 4, 100]), b, 0.5)[1] == pytest.approx(1.0, abs=1e-6)
    # A fan: the a of each b are b, 2b and 3b. The lowest lie on slope 1, the middle on 2, the highest on 3.
    fan, spread = np.tile(np.arange(1.0, 11), 3), np.repeat([1.0, 2, 3], 10)
    for q, slope in ((0.1, 1.0), (0.5, 2.0), (0.9, 3.0)):
        assert quantile_line(fan * spread, fan, q)[1] == pytest.approx(slope, abs=1e-6)


def test_delta_covar_by_hand():
    # On the line a = 2b the slope is 2; the 5% quantile of 0..100 is 5, the median 50: 2 * (5 - 50).
    b = np.arange(101.0)
    assert sample_delta_covar(2 * b + 1, b, 0.05) == pytest.approx(-90, abs=1e-6)


def test_a_follower_is_seen_two_bars_later():
    leader = np.random.default_rng(2).standard_normal(400)
    found = sample_lead_lag(np.concatenate(([0.0, 0.0], leader[:-2])), leader, 4)
    assert found.lags.tolist() == [-4, -3, -2, -1, 0, 1, 2, 3, 4]
    assert (found.peak_lag, round(found.peak, 9)) == (2, 1.0)
    assert found.error == 0.05
    assert sample_lead_lag(leader, np.concatenate(([0.0], leader[:-1])), 4).peak_lag == -1
    assert sample_lead_lag(-leader, leader, 4).peak == pytest.approx(-1.0)


def test_nothing_leads_what_stands_still():
    found = sample_lead_lag(np.zeros(50), np.arange(50.0), 3)
    assert found.peak_lag == 0
    assert math.isnan(found.peak)


# --- markets ---


def test_ewma_beta_by_hand():
    # Weights halve each day. Before bar 4 stand the returns of bars 1, 2, 3 with weights 1/4, 1/2, 1 (at bar 3).
    x, y = np.array([0.02, -0.04, 0.01, 0.03]), np.array([0.03, -0.02, 0.05, 0.0])
    got = beta(pair(x, y), "ETHUSDT", half_life=1, history=2)
    w = np.array([1 / 4, 1 / 2, 1]) / 1.75
    mx, my = w @ x[:3], w @ y[:3]
    assert np.isnan(got[:3]).all()
    assert got[4] == pytest.approx((w @ ((x[:3] - mx) * (y[:3] - my))) / (w @ (x[:3] - mx) ** 2))
    # One step with plain numbers, before bar 3: weights 1/3 and 2/3, differences 0.06 and 0.05.
    assert got[3] == pytest.approx((0.06 * 0.05) / 0.06**2)


def test_beta_of_twice_the_leader_is_two_and_ignores_its_own_bar():
    x = np.random.default_rng(5).standard_normal(200) * 0.01
    y = 2 * x
    y[150] = 0.5  # the return of bar 151
    got = beta(pair(x, y), "ETHUSDT", half_life=30, history=90)
    assert np.isnan(got[:91]).all()
    np.testing.assert_allclose(got[91:152], 2.0, rtol=1e-9)
    assert abs(got[152] - 2.0) > 0.01


def test_the_other_measures_on_a_market_where_eth_is_twice_btc():
    x = np.random.default_rng(6).standard_normal(200) * 0.01
    market = pair(x, 2 * x)
    down, tail = downside_beta(market, "ETHUSDT"), tail_dependence(market, "ETHUSDT", q=0.1)
    covar, (lag, peak) = delta_covar(market, "ETHUSDT", q=0.1), lead_lag(market, "ETHUSDT")
    for values, expected in ((down, 2.0), (tail, 1.0), (lag, 0.0), (peak, 1.0)):
        assert np.isnan(values[:91]).all()
        np.testing.assert_allclose(values[91:], expected, rtol=1e-9)
    window = x[9:99]  # the returns of bars 10 to 99, what bar 100 looks back on
    assert covar[100] == pytest.approx(2 * (np.quantile(window, 0.1) - np.median(window)), rel=1e-6)


def test_hourly_bars_are_measured_once_a_day():
    chance = np.random.default_rng(8)
    x = chance.standard_normal(24 * 6) * 0.01
    market = pair(x, x + 0.01 * chance.standard_normal(x.size), DAY // 24)
    got = downside_beta(market, "ETHUSDT", days=2)
    assert np.isnan(got[: 24 * 3]).all()  # the first return is of the second bar
    changed = np.flatnonzero(np.diff(got[24 * 3 :]) != 0) + 24 * 3 + 1
    assert changed.tolist() == [24 * 4, 24 * 5, 24 * 6]


def test_the_simulated_coins_fall_with_btc():
    market = load_market("deleveraging-2026")
    for coin in market.symbols[1:]:
        assert 1.0 < beta(market, coin)[-1] < 2.0
        assert 0.5 < tail_dependence(market, coin)[-1] < 1.0
        assert lead_lag(market, coin)[0][-1] == 0.0
    assert delta_covar(market, "ETHUSDT")[-1] < 0


def test_the_test_of_the_difference_takes_a_market():
    x = np.random.default_rng(9).standard_normal(60)
    found = downside_test(pair(x * 0.01, x * 0.02), "ETHUSDT", samples=20)
    assert found.beta == pytest.approx(2.0)
    assert found.difference == pytest.approx(0.0, abs=1e-9)


def test_what_is_wrong_is_said():
    market = pair([0.01] * 5, [0.01] * 5)
    with pytest.raises(MarketError, match="No symbol named 'ETH' in the market market"):
        beta(market, "ETH")
    for wrong in (0, 1, NAN):
        with pytest.raises(ConfigError, match="`q` must be a fraction between 0 and 1, got"):
            tail_dependence(market, "ETHUSDT", q=wrong)
    with pytest.raises(ConfigError, match="`half_life` must be a number of days above 0, got -1"):
        beta(market, "ETHUSDT", half_life=-1)
    with pytest.raises(ConfigError, match="`samples` must be a whole number from 1, got 0"):
        downside_difference(np.ones(9), np.ones(9), samples=0)
    with pytest.raises(ConfigError, match="`most` must be a whole number from 0, got -1"):
        sample_lead_lag(np.ones(9), np.ones(9), -1)
