"""Risk and drawdown figures against hand-worked numbers, published examples and the library empyrical-reloaded."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.analysis import metrics

NAN = math.nan
LOSSES = [-0.05, -0.04, -0.03, -0.02, -0.01]


@pytest.fixture(scope="module")
def empyrical():
    """The library, with the one name that it still looks for in numpy 1."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(np, "NINF", -np.inf, raising=False)
        import empyrical

        yield empyrical


def drawn(seed, n):
    return np.random.default_rng(seed).standard_t(4, n) * 0.02


# --- the library, where the definition is the same -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_ratios_are_those_of_empyrical(empyrical, seed):
    r = drawn(seed, 200)
    assert metrics.sharpe(r, 365.0) == pytest.approx(empyrical.sharpe_ratio(r, annualization=365), rel=1e-12)
    assert metrics.sortino(r, 365.0) == pytest.approx(empyrical.sortino_ratio(r, annualization=365), rel=1e-12)
    assert metrics.omega(r) == pytest.approx(empyrical.omega_ratio(r), rel=1e-12)
    volatility = empyrical.annual_volatility(r, annualization=365)
    assert metrics.volatility(r, 365.0) == pytest.approx(volatility, rel=1e-12)
    downside = empyrical.downside_risk(r, annualization=365)
    assert metrics.downside_deviation(r) * math.sqrt(365) == pytest.approx(downside, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_growth_and_drawdown_are_those_of_empyrical(empyrical, seed):
    r = drawn(seed, 200)
    equity = 1000.0 * np.cumprod(1 + r)
    yearly, deepest = metrics.cagr(equity, 1000.0, 200 / 365), metrics.max_drawdown(equity, 1000.0)
    assert metrics.total_return(equity, 1000.0) == pytest.approx(empyrical.cum_returns_final(r), rel=1e-11)
    assert yearly == pytest.approx(empyrical.cagr(r, annualization=365), rel=1e-11)
    assert deepest == pytest.approx(empyrical.max_drawdown(r), rel=1e-11)
    assert metrics.calmar(yearly, deepest) == pytest.approx(empyrical.calmar_ratio(r, annualization=365), rel=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_the_tail_is_that_of_empyrical_where_it_is_whole(empyrical, seed):
    # It interpolates its value at risk and rounds the number of its worst: with 21 and with 200 returns neither shows.
    few, many = drawn(seed, 21), drawn(seed, 200)
    assert metrics.value_at_risk(few, 0.05) == pytest.approx(empyrical.value_at_risk(few, 0.05), rel=1e-12)
    tail = empyrical.conditional_value_at_risk(many, 0.05)
    assert metrics.conditional_value_at_risk(many, 0.05) == pytest.approx(tail, rel=1e-12)


def test_months_are_those_of_empyrical(empyrical):
    days = pd.date_range("2025-11-20", periods=120, tz="UTC")
    r = drawn(3, 120)
    expected = empyrical.aggregate_returns(pd.Series(r, days), "monthly")
    time = days.as_unit("ns").asi8
    found = metrics.monthly_returns(time, 86_400_000_000_000, 1000.0 * np.cumprod(1 + r), 1000.0)
    assert {(year, month): pytest.approx(value) for year, month, value in found} == dict(expected.items())


# --- worked by hand --------------------------------------------------------------------------------------------------


def test_value_at_risk_is_one_of_the_returns():
    assert metrics.value_at_risk(LOSSES, 0.2) == -0.05  # 1 of 5
    assert metrics.value_at_risk(LOSSES, 0.21) == -0.04  # F(-0.05) = 0.2 is not enough
    assert metrics.value_at_risk(LOSSES, 1.0) == -0.01
    assert metrics.value_at_risk(LOSSES, 0.001) == -0.05


def test_the_tail_mean_takes_the_fraction_of_the_next_one():
    assert metrics.conditional_value_at_risk(LOSSES, 0.4) == pytest.approx(-0.045)  # two of five
    assert metrics.conditional_value_at_risk(LOSSES, 0.5) == pytest.approx((-0.05 - 0.04 - 0.5 * 0.03) / 2.5)
    assert metrics.conditional_value_at_risk(LOSSES, 0.1) == pytest.approx(-0.05)  # half of the worst is its mean
    assert metrics.conditional_value_at_risk(LOSSES, 1.0) == pytest.approx(-0.03)


def test_a_share_that_is_a_whole_number_of_periods_is_not_rounded_up():
    r = -np.arange(1, 101) / 1000  # 0.07 * 100 is 7.000000000000001 in floats
    assert metrics.value_at_risk(r, 0.07) == -0.094
    assert metrics.conditional_value_at_risk(r, 0.07) == pytest.approx(-0.097)


def test_omega_is_one_at_the_mean():
    r = drawn(1, 50)
    assert metrics.omega(r, float(np.mean(r))) == pytest.approx(1.0)
    assert metrics.omega([0.02, -0.01], threshold=0.01) == pytest.approx(0.01 / 0.02)


def test_lo_scales_by_the_autocorrelations():
    # deviations 2, -1, -1, 2, -1, -1 (times 0.01): rho_1 = (-2 + 1 - 2 - 2 + 1)/12 = -1/3; q = 3
    r = np.array([0.03, 0.0, 0.0, 0.03, 0.0, 0.0])
    assert metrics.autocorrelations(r, 2) == pytest.approx([-1 / 3, -5 / 12])  # (-2 - 2 + 1 - 2)/12
    expected = metrics.sharpe(r, 1.0) * 3 / math.sqrt(3 + 2 * (2 * -1 / 3))
    assert metrics.sharpe_lo(r, periods=3.0, lags=1) == pytest.approx(expected)
    assert metrics.sharpe_lo(r, periods=3.0, lags=0) == pytest.approx(metrics.sharpe(r, 3.0))


def test_momentum_lowers_the_sharpe_ratio_of_lo():
    rng = np.random.default_rng(0)
    shocks = rng.normal(0.0005, 0.01, 2000)
    r = shocks + 0.5 * np.concatenate(([0.0], shocks[:-1]))
    assert 0.6 < metrics.sharpe_lo(r, 365.0) / metrics.sharpe(r, 365.0) < 0.85  # sqrt(1.25)/1.5 = 0.745


def test_the_ulcer_index_of_published_prices():
    closes = [
        257.72,
        259.01,
        258.93,
        254.15,
        249.16,
        248.89,
        245.16,
        241.17,
        236.23,
        229.99,
        241.61,
        243.46,
        243.15,
        245.28,
    ]
    assert 100 * metrics.ulcer(closes, cash=closes[0]) == pytest.approx(5.7255, abs=5e-5)  # Stock.Indicators


def test_the_falls_in_money_of_a_published_curve():
    equity = [100.0, 110.0, 90.0, 100.0, 120.0, 130.0, 100.0, 120.0, 140.0, 130.0]
    assert metrics.dollar_drawdowns(equity, cash=100.0).tolist() == [20.0, 30.0, 10.0]  # mlfinlab


def test_drawdowns_have_start_trough_and_recovery():
    found = metrics.drawdowns([110.0, 105.0, 99.0, 99.0, 110.0, 120.0, 90.0], cash=100.0)
    assert found.start.tolist() == [0, 5]
    assert found.trough.tolist() == [2, 6]  # of two bars at the bottom the first
    assert found.recovery.tolist() == [4, -1]  # back at the peak is recovered
    assert found.depth == pytest.approx([-0.1, -0.25])
    assert found.fall.tolist() == [11.0, 30.0]
    assert found.bars.tolist() == [3, 1]
    assert found.deepest(1).start.tolist() == [5]
    assert len(found.deepest(9)) == 2


def test_the_cash_is_the_first_peak():
    found = metrics.drawdowns([90.0, 95.0], cash=100.0)
    assert (found.start.tolist(), found.trough.tolist(), found.bars.tolist()) == ([-1], [0], [2])
    assert metrics.time_under_water([90.0, 95.0], cash=100.0) == 1.0


def test_ruin_on_the_first_bar():
    equity = np.zeros(5)
    found = metrics.drawdowns(equity, cash=100.0)
    assert (found.depth.tolist(), found.fall.tolist(), found.recovery.tolist()) == ([-1.0], [100.0], [-1])
    assert metrics.ulcer(equity, cash=100.0) == 1.0


def test_undefined_is_nan():
    undefined = [
        metrics.omega([0.01, 0.02]),
        metrics.omega([]),
        metrics.value_at_risk([]),
        metrics.value_at_risk([0.1], share=0.0),
        metrics.conditional_value_at_risk([]),
        metrics.conditional_value_at_risk([0.1], share=1.5),
        metrics.sharpe_lo([], 365.0),
        metrics.sharpe_lo(np.zeros(40), 365.0),
        metrics.sharpe_lo([0.01, -0.01] * 40, 365.0),  # a year of these has no variance
        metrics.ulcer([], 100.0),
        metrics.martin(0.1, 0.0),
        metrics.time_under_water([], 100.0),
    ]
    assert [math.isnan(value) for value in undefined] == [True] * len(undefined)
    assert (len(metrics.drawdowns([], 100.0)), metrics.longest_under_water([], 100.0)) == (0, 0)
    assert np.isnan(metrics.autocorrelations(np.ones(5), 2)).all()


# --- what must hold for every curve ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_drawdowns_agree_with_a_walk_along_the_curve(levels):
    equity, peak, start, expected = [float(x) for x in levels], 5.0, -1, []
    for bar, value in enumerate(equity):
        if value < peak:
            if not expected or expected[-1][2] >= 0:
                expected.append([start, bar, -1])
            elif value < equity[expected[-1][1]]:
                expected[-1][1] = bar
        else:
            if expected and expected[-1][2] < 0:
                expected[-1][2] = bar
            peak, start = value, bar
    found = metrics.drawdowns(equity, cash=5.0)
    assert np.column_stack((found.start, found.trough, found.recovery)).tolist() == expected
    under = metrics.underwater(equity, 5.0)
    assert metrics.max_drawdown(equity, 5.0) == pytest.approx(min(found.depth, default=0.0))
    assert int(found.bars.sum()) == np.count_nonzero(under < 0)
    assert metrics.longest_under_water(equity, 5.0) == max(found.bars, default=0)


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=40), st.floats(0.001, 1.0))
def test_the_tail_mean_is_no_better_than_the_value_at_risk(r, share):
    tail, limit = metrics.conditional_value_at_risk(r, share), metrics.value_at_risk(r, share)
    assert min(r) - 1e-9 <= tail <= limit + 1e-9
