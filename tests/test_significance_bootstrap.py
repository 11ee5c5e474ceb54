"""The bootstrap against `arch`, draw by draw, against the metrics, and against what is known of the coverage."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.analysis import metrics
from backtest.analysis import significance as sig
from backtest.analysis.significance import walk


def dependent(n, phi, seed):
    e = np.random.default_rng(seed).standard_normal(n)
    for i in range(1, n):
        e[i] += phi * e[i - 1]
    return e


# --- the block length ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(20, 3000), st.floats(-0.9, 0.95), st.integers(0, 10**6))
def test_the_block_length_is_that_of_arch(n, phi, seed):
    from arch.bootstrap import optimal_block_length

    values = dependent(n, phi, seed)
    theirs = float(optimal_block_length(values)["stationary"].iloc[0])
    assert sig.block_length(values) == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_what_is_too_short_or_still_has_no_block_length():
    assert math.isnan(sig.block_length(np.arange(8.0)))
    assert math.isnan(sig.block_length(np.full(100, 0.01)))
    assert math.isnan(sig.block_length([]))


# --- the draws -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "block"), [(2, 1), (7, 3), (500, 1), (500, 4), (500, 60), (5, 50)])
def test_the_drawn_days_are_those_of_arch(n, block):
    from arch.bootstrap import StationaryBootstrap

    theirs = [data[0][0] for data in StationaryBootstrap(block, np.arange(n), seed=3).bootstrap(5)]
    generator = np.random.default_rng(3)
    for days in theirs:
        assert sig.stationary_days(n, block, generator).tolist() == days.tolist()


def test_blocks_have_their_mean_length_and_every_day_its_chance():
    days = sig.stationary_days(200_000, 5.0, np.random.default_rng(1))
    assert np.mean(np.diff(days) != 1) == pytest.approx(1 / 5, abs=0.004)
    assert np.mean(days) == pytest.approx(100_000, rel=0.02)


def test_the_compiled_loops_do_what_their_source_does():
    r = np.random.default_rng(2).normal(0, 0.05, 300)
    days = np.random.default_rng(3).integers(300, size=300)
    again, chances = days.copy(), np.random.default_rng(4).random(300)
    walk.walk_days(days, chances, 0.3)
    walk.walk_days_python(again, chances, 0.3)
    assert days.tolist() == again.tolist()
    logs = np.log1p(r)
    assert walk.sums(r, logs, 0.001, days) == pytest.approx(walk.sums_python(r, logs, 0.001, days), rel=1e-12)


# --- the figures -----------------------------------------------------------------------------------------------------

daily = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60)


@settings(deadline=None)
@given(daily)
def test_the_estimates_are_the_metrics_of_the_daily_returns(changes):
    r = np.array(changes)
    equity, years = np.cumprod(1 + r), r.size / 365
    deepest = metrics.max_drawdown(equity, 1.0)
    found = sig.figures_of_days(r)
    assert found["total_return"] == pytest.approx(metrics.total_return(equity, 1.0), rel=1e-9, abs=1e-12)
    assert found["cagr"] == pytest.approx(metrics.cagr(equity, 1.0, years), rel=1e-7, abs=1e-9)
    assert found["volatility"] == pytest.approx(metrics.volatility(r, 365), rel=1e-9, abs=1e-14)
    assert found["max_drawdown"] == pytest.approx(deepest, rel=1e-9, abs=1e-12)
    if metrics.volatility(r, 1) > 1e-12:
        assert found["sharpe"] == pytest.approx(metrics.sharpe(r, 365), rel=1e-7, abs=1e-9)
    if metrics.downside_deviation(r) > 1e-12:
        assert found["sortino"] == pytest.approx(metrics.sortino(r, 365), rel=1e-7, abs=1e-9)
    if deepest < -1e-9:
        assert found["calmar"] == pytest.approx(metrics.calmar(found["cagr"], deepest), rel=1e-5, abs=1e-9)


def test_the_figures_of_three_days_worked_by_hand():
    # +10%, -50%, +20%: 1.1, 0.55, 0.66; mean -1/15; losses 0.25 over three days
    found = sig.figures_of_days([0.1, -0.5, 0.2])
    assert found["total_return"] == pytest.approx(-0.34, rel=1e-12)
    assert found["max_drawdown"] == pytest.approx(-0.5, rel=1e-12)
    assert found["cagr"] == pytest.approx(0.66 ** (365 / 3) - 1, rel=1e-12)
    assert found["sortino"] == pytest.approx(-math.sqrt(365) / 15 / math.sqrt(0.25 / 3), rel=1e-12)
    assert found["calmar"] == pytest.approx((0.66 ** (365 / 3) - 1) / 0.5, rel=1e-12)


def test_the_replicates_are_the_figures_of_the_drawn_days():
    r = np.random.default_rng(5).normal(0.001, 0.02, 90)
    found, generator = sig.bootstrap(r, replicates=4, seed=11, block=3.0), np.random.default_rng(11)
    for i in range(4):
        of_days = sig.figures_of_days(r[sig.stationary_days(90, 3.0, generator)])
        assert {name: values[i] for name, values in found.replicates.items()} == pytest.approx(of_days, rel=1e-9)


def test_the_same_seed_gives_the_same_intervals():
    r = np.random.default_rng(6).normal(0, 0.01, 200)
    first, again, other = (sig.bootstrap(r, replicates=200, seed=s).intervals() for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_an_interval_is_what_lies_between_the_percentiles():
    replicates = {"sharpe": np.arange(1.0, 1001.0)}
    found = sig.Bootstrap({"sharpe": 500.0}, replicates, 1.0)
    assert found.interval("sharpe") == (25.0, 975.0)
    assert found.interval("sharpe", confidence=0.9) == (50.0, 950.0)


def test_an_interval_of_what_is_mostly_undefined_is_undefined():
    values = np.array([1.0, 2.0, math.nan, math.nan, math.nan])
    assert all(math.isnan(end) for end in sig.Bootstrap({"calmar": 1.0}, {"calmar": values}, 1.0).interval("calmar"))


@pytest.mark.parametrize(("undefined", "told"), [(50, True), (51, False)])
def test_an_interval_is_told_while_no_more_replicates_are_undefined_than_its_tails_hold(undefined, told):
    values = np.r_[np.full(undefined, math.nan), np.linspace(1.0, 2.0, 1000 - undefined)]
    low, _ = sig.Bootstrap({"sharpe": 1.5}, {"sharpe": values}, 1.0).interval("sharpe")
    assert (not math.isnan(low)) == told


def test_a_replicate_without_a_trade_has_no_ratio_and_no_spread():
    """Nine days of trades in 105: the sums of a replicate that misses them all leave nothing but rounding."""
    r = np.zeros(105)
    r[20:29] = [-0.0211, -0.0234, -0.028, 0.0295, -0.0213, -0.0271, -0.0174, -0.0233, -0.0195]
    found = sig.bootstrap(r, block=12.0).replicates
    still = found["total_return"] == 0.0
    assert still.any()
    assert np.isnan(found["sharpe"][still]).all()
    assert np.isnan(found["sortino"][still]).all()
    assert (found["volatility"][still] == 0.0).all()
    assert (found["volatility"][~still] > 0.005).all()


def test_ruin_is_ruin_in_every_replicate_that_meets_it():
    r = np.full(200, 0.01)
    r[50] = -1.0
    found = sig.bootstrap(r, replicates=300, seed=1)
    whole, deepest = found.replicates["total_return"], found.replicates["max_drawdown"]
    ruined = whole == -1.0
    assert 0.3 < np.mean(ruined) < 0.95
    assert (deepest[ruined] == -1.0).all()
    assert np.isnan(found.replicates["calmar"][~ruined]).all()


@pytest.mark.parametrize("r", [[], [0.01], [0.01, math.nan, 0.02]])
def test_too_little_gives_no_figure(r):
    found = sig.bootstrap(r, replicates=10)
    assert all(math.isnan(value) for value in found.estimates.values())
    assert all(math.isnan(end) for ends in found.intervals().values() for end in ends)


def test_returns_that_do_not_vary_have_no_ratio():
    found = sig.bootstrap(np.full(100, 0.001), replicates=50)
    assert math.isnan(found.estimates["sharpe"])
    assert math.isnan(found.intervals()["sharpe"][0])
    assert found.intervals()["total_return"] == pytest.approx((1.001**100 - 1,) * 2, rel=1e-9)


@pytest.mark.parametrize("phi", [0.0, 0.3])
def test_the_intervals_hold_the_truth_about_as_often_as_they_say(phi):
    # 95% by percentiles; somewhat less in finite samples, most of all where days depend on each other
    held, true = 0, 0.05 * math.sqrt(365)
    for world in range(200):
        e = dependent(700, phi, world)[200:]
        r = 0.01 * (0.05 * math.sqrt(1 / (1 - phi**2)) + e)
        low, high = sig.bootstrap(r, replicates=300, seed=world).interval("sharpe")
        held += low <= true <= high
    assert 0.88 <= held / 200 <= 0.99


def test_a_thousand_replicates_of_a_million_hourly_bars_take_less_than_three_seconds():
    days = np.random.default_rng(1).normal(0.0005, 0.02, 1_000_000 // 24 + 1)
    sig.bootstrap(days[:100], replicates=2)
    seconds = math.inf
    for _ in range(3):
        before = time.perf_counter()
        sig.bootstrap(days, replicates=1000)
        seconds = min(seconds, time.perf_counter() - before)
    assert seconds < 3.0  # 0.7 s, on a machine that was busy
