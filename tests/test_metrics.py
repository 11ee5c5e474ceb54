"""The metrics against numbers worked by hand, and the compiled pass against the metrics."""

import doctest
import inspect
import json
import math
import pkgutil
import time
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_result import HOUR, START, make_result, make_trades, make_venue

from backtest.analysis import Summary, analyze, kernels, metrics
from backtest.model.result import EXIT_REASONS

NAN = math.nan


@pytest.mark.parametrize("name", ["growth", "risk", "drawdown", "held", "trades"])
def test_every_example_of_the_docstrings_holds(name):
    found = doctest.testmod(import_module(f"backtest.analysis.metrics.{name}"))
    assert (found.failed, found.attempted > 2) == (0, True)


def test_the_package_has_every_metric_of_its_modules():
    modules = [import_module(f"backtest.analysis.metrics.{m.name}") for m in pkgutil.iter_modules(metrics.__path__)]
    assert sorted(metrics.__all__) == sorted(name for module in modules for name in module.__all__)


def test_every_metric_has_an_example():
    functions = [f for f in (getattr(metrics, name) for name in metrics.__all__) if inspect.isfunction(f)]
    assert [f.__name__ for f in functions if ">>>" not in f.__doc__] == []


def test_returns_start_from_the_initial_cash():
    assert metrics.returns([110.0, 55.0, 66.0], 100.0) == pytest.approx([0.10, -0.5, 0.2], abs=1e-15)


def test_after_ruin_nothing_is_earned_and_from_nothing_is_undefined():
    assert metrics.returns([50.0, 0.0, 0.0], 100.0).tolist() == [-0.5, -1.0, 0.0]
    assert math.isnan(metrics.returns([0.0, 5.0], 100.0)[1])


@pytest.mark.parametrize(
    ("equity", "years", "expected"),
    [
        ([121.0], 2.0, 0.1),
        ([50.0], 1.0, -0.5),
        ([0.0], 0.5, -1.0),
        ([150.0], 1e-6, math.inf),
        ([150.0], 0.0, NAN),
        ([], 1.0, NAN),
    ],
)
def test_cagr(equity, years, expected):
    assert metrics.cagr(equity, 100.0, years) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_year_has_365_days_of_24_hours():
    assert metrics.periods_a_year(HOUR) == 8760
    assert metrics.periods_a_year(24 * HOUR) == 365
    assert metrics.periods_a_year(HOUR // 60) == 525_600


def test_sharpe_of_returns_worked_by_hand():
    # mean 0.01; deviations 0.01, -0.03, 0.02; squares sum to 0.0014; variance 0.0007; sqrt(9) = 3
    assert metrics.sharpe([0.02, -0.02, 0.03], periods=9.0) == pytest.approx(3 * 0.01 / math.sqrt(0.0007), rel=1e-14)


def test_sortino_counts_all_periods():
    # mean 0.01; losses -0.02 only; squares sum to 0.0004 over FOUR periods: downside 0.01; sqrt(365)
    assert metrics.sortino([0.02, -0.02, 0.03, 0.01], periods=365.0) == pytest.approx(math.sqrt(365), rel=1e-14)


def test_volatility_is_yearly():
    assert metrics.volatility([0.02, -0.02, 0.03], periods=4.0) == pytest.approx(2 * math.sqrt(0.0007), rel=1e-14)


def test_drawdown_includes_the_starting_equity():
    assert metrics.max_drawdown([90.0, 95.0, 99.0], cash=100.0) == pytest.approx(-0.10, rel=1e-14)
    assert metrics.max_drawdown([100.0, 200.0, 150.0, 250.0, 0.0], cash=100.0) == -1.0
    assert metrics.max_drawdown([101.0, 102.0], cash=100.0) == 0.0


def test_undefined_is_nan():
    flat = np.zeros(10)
    assert math.isnan(metrics.sharpe(flat, 365.0))
    assert math.isnan(metrics.sharpe([0.01], 365.0))
    assert math.isnan(metrics.sharpe([0.001] * 1000, 365.0))  # a spread of rounding is none
    assert math.isnan(metrics.sortino([0.01, 0.02], 365.0))
    assert math.isnan(metrics.sortino([], 365.0))
    assert math.isnan(metrics.volatility([0.01], 365.0))
    assert math.isnan(metrics.calmar(0.1, 0.0))
    assert math.isnan(metrics.max_drawdown([], 100.0))
    assert math.isnan(metrics.win_rate([]))
    assert math.isnan(metrics.total_return([], 100.0))
    assert math.isnan(metrics.exposure([], [], [], 0))
    assert math.isnan(metrics.downside_deviation([]))


def test_exposure_counts_a_bar_once_whatever_is_held():
    # symbol 0 held at the closes of bars 1..4, symbol 1 of 3..6 and 8..9: six bars and two
    share = metrics.exposure(
        bar=[1, 3, 5, 7, 8, 8], symbol=[0, 1, 0, 1, 1, 0], quantity=[1.0, -2.0, 0.0, 0.0, 1.0, 0.0], bars=10
    )
    assert share == 0.8


def test_exposure_of_a_trade_inside_one_bar_is_nothing():
    assert metrics.exposure(bar=[4, 4], symbol=[0, 0], quantity=[1.0, 0.0], bars=10) == 0.0
    assert metrics.exposure(bar=[], symbol=[], quantity=[], bars=10) == 0.0


@settings(deadline=None, max_examples=200)
@given(
    changes=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=40),
    copies=st.integers(1, 120),
    ruin=st.booleans(),
)
def test_the_compiled_pass_says_what_the_metrics_say(changes, copies, ruin):
    equity = 1000.0 * np.cumprod(1 + np.resize(changes, len(changes) * copies) * 0.01)
    if ruin:
        equity[len(equity) // 2 :] = 0.0
    assert_same_moments(equity, 1000.0)


def assert_same_moments(equity, cash):
    r = metrics.returns(equity, cash)
    for kernel in (kernels.equity_moments, kernels.equity_moments_python):
        mean, squares, losses, worst = kernel(equity, cash)
        assert mean == pytest.approx(np.mean(r), rel=1e-9, abs=1e-16)
        assert squares == pytest.approx(np.var(r) * r.size, rel=1e-9, abs=1e-25)
        assert losses == pytest.approx(metrics.downside_deviation(r) ** 2 * r.size, rel=1e-9, abs=1e-25)
        assert min(0.0, worst - 1.0) == pytest.approx(metrics.max_drawdown(equity, cash), rel=1e-12, abs=1e-15)


def test_the_compiled_pass_keeps_the_digits_of_a_small_spread_around_a_large_mean():
    r = 0.01 + 1e-9 * np.sin(np.arange(5000))
    equity = 1e-20 * np.cumprod(1 + r)
    squares = kernels.equity_moments(equity, 1e-20)[1]
    assert squares == pytest.approx(np.sum((r - r.mean()) ** 2), rel=1e-5)  # what eps / 1e-9 leaves


def test_from_nothing_to_something_is_undefined_in_the_compiled_pass_too():
    assert math.isnan(kernels.equity_moments(np.array([0.0, 5.0]), 100.0)[0])


def test_a_million_bars_are_summed_up_in_milliseconds():
    n = 1_000_000
    equity = 1000.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-4, n)))
    bars = START + HOUR * np.arange(n, dtype=np.int64)
    result = make_result(time=bars, equity_values=equity, final_wallet=float(equity[-1]))
    analyze(result)
    fastest = math.inf
    for _ in range(5):
        before = time.perf_counter()
        analyze(result)
        fastest = min(fastest, time.perf_counter() - before)
    assert fastest < 0.05  # about 0.003 on an idle machine


# --- the summary -------------------------------------------------------------------------------------------------


def test_the_summary_of_a_result_worked_by_hand():
    s = analyze(make_result())
    assert (s.bars, s.start, s.end, s.interval) == (5, START, START + 5 * HOUR, HOUR)
    assert (s.cash, s.final_equity, s.trades, s.open_trades, s.liquidations) == (1000.0, 1015.085, 2, 1, 0)
    assert s.total_return == pytest.approx(0.015085, rel=1e-12)
    assert s.cagr == pytest.approx(1.015085 ** (8760 / 5) - 1, rel=1e-9)
    assert s.max_drawdown == pytest.approx(1015.085 / 1020.085 - 1, rel=1e-12)
    assert s.win_rate == 1.0
    assert s.exposure == 0.8
    assert s.unrealised == pytest.approx(-5.0)
    assert s.funding_paid == pytest.approx(-0.3)
    assert s.fees == pytest.approx(0.215)
    assert s.grade == "D"
    assert s.rejections == {"end_of_data": 1}
    assert s.assumptions == {"mark_is_last": 3, "simulated_data": 1}
    assert s.findings == ("2 bars look odd",)
    assert s.parameters["levels"] == (75_000.0, 70_000.0)


def test_sharpe_and_sortino_of_the_summary_are_those_of_the_metrics():
    result = make_result()
    s, r = analyze(result), metrics.returns(result.equity_values, 1000.0)
    assert s.sharpe == pytest.approx(metrics.sharpe(r, 8760.0), rel=1e-12)
    assert s.sortino == pytest.approx(metrics.sortino(r, 8760.0), rel=1e-12)
    assert s.volatility == pytest.approx(metrics.volatility(r, 8760.0), rel=1e-12)
    assert s.calmar == pytest.approx(s.cagr / -s.max_drawdown, rel=1e-12)


def test_pnl_by_kind_sums_to_the_change_of_the_wallet_and_slippage_is_a_memo():
    s = analyze(make_result())
    assert sum(s.pnl_by_kind.values()) == pytest.approx(20.085)
    assert s.pnl_by_kind["trade_pnl"] == 20.0
    assert s.memo == {"slippage": pytest.approx(-0.04)}
    assert "slippage" not in s.pnl_by_kind
    assert s.cash + sum(s.pnl_by_kind.values()) + s.unrealised == pytest.approx(s.final_equity)


def test_an_open_trade_has_no_win_and_a_liquidation_is_counted():
    trades = make_trades()
    trades.reason[0] = EXIT_REASONS.index("liquidation")
    trades.pnl[0] = 0.0
    s = analyze(make_result(trades_table=trades))
    assert (s.liquidations, s.win_rate) == (1, 0.0)


def test_a_year_with_missing_bars_is_still_a_year():
    result = make_result(time=START + HOUR * np.array([0, 1, 2, 3, 8759]))
    assert analyze(result).cagr == pytest.approx(0.015085, rel=1e-9)


def test_no_bars_at_all():
    empty = np.empty(0, np.int64)
    result = make_result(
        time=empty,
        equity_values=np.empty(0),
        final_wallet=1000.0,
        position_bar=empty,
        position_symbol=empty,
        position_quantity=empty,
    )
    s = analyze(result)
    assert math.isnan(s.sharpe)
    assert math.isnan(s.total_return)
    assert (s.bars, s.final_equity, s.unrealised) == (0, 1000.0, 0.0)


def test_the_dictionary_is_json_and_comes_back():
    s = analyze(make_result(venue=make_venue(leverage=math.inf)))
    text = json.dumps(s.to_dict(), allow_nan=False)
    back = Summary.from_dict(json.loads(text))
    assert back.to_dict() == s.to_dict()
    assert json.loads(text)["metrics"]["sharpe"] == s.sharpe


def test_undefined_becomes_null_in_json_and_nan_again():
    flat = make_result(equity_values=np.full(5, 1000.0))
    data = analyze(flat).to_dict()
    assert data["metrics"]["sharpe"] is None
    assert data["metrics"]["calmar"] is None
    assert math.isnan(Summary.from_dict(data).sharpe)
