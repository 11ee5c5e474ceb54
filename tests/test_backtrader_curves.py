"""Backtrader's analyzers of the curve of equity: drawdowns, returns and ratios beside ours."""

import math

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from analyzers_made import COSTS, DAILY, HOURLY, by_day, hours, line, observer_of, play, turns, wander

from backtest.analysis import analyze, metrics
from backtest.engines.bt.feeds import make_feeds


def series(result):
    """The equity by bar, after the cash that it started from."""
    return np.concatenate(([result.venue.cash], result.equity_values))


DAYS = wander(60, step=24.0)  # 2023-11-15 to 2024-01-13


def days(*analyzers, **more):
    return play(DAYS, COSTS, turns(60, 4, 6.0), *analyzers, **more)


@pytest.mark.parametrize("run", [hours, days])
def test_drawdown_is_ours_in_percent(run):
    (deepest, timed), strategy, result = run(("DrawDown", {}), ("TimeDrawDown", {}), observers=[("DrawDown", {})])
    equity = series(result)
    falls = 1 - equity / np.maximum.accumulate(equity)
    assert -deepest.max.drawdown / 100 == pytest.approx(analyze(result).max_drawdown, rel=1e-12)
    assert deepest.max.drawdown > 1
    assert deepest.max.moneydown == pytest.approx((np.maximum.accumulate(equity) - equity).max())
    assert deepest.max.len == max(map(len, "".join("x" if fall else " " for fall in falls).split()))
    assert timed["maxdrawdown"] == pytest.approx(deepest.max.drawdown, rel=1e-12)
    seen = observer_of(strategy, "DrawDown")
    assert line(seen, "drawdown") == pytest.approx(100 * falls[1:], abs=1e-10)
    assert line(seen, "maxdrawdown") == pytest.approx(100 * np.maximum.accumulate(falls)[1:], abs=1e-10)


def test_time_drawdown_of_a_longer_timeframe_sees_only_the_first_bar_of_each_period():
    (timed,), _, result = hours(("TimeDrawDown", DAILY))
    seen = result.equity_values[::24]
    assert timed["maxdrawdown"] == pytest.approx(100 * (1 - seen / np.maximum.accumulate(seen)).max(), rel=1e-12)
    assert timed["maxdrawdown"] < -100 * analyze(result).max_drawdown


def test_time_returns_compound_to_the_equity():
    (daily, hourly), _, result = hours(("TimeReturn", DAILY), ("TimeReturn", HOURLY))
    assert list(daily) == list(pd.date_range("2023-11-15", periods=5, freq="D"))
    assert list(daily.values()) == pytest.approx(by_day(result), abs=1e-14)
    assert math.prod(1 + r for r in daily.values()) == pytest.approx(result.equity_values[-1] / 1000.0, rel=1e-12)
    assert list(hourly.values()) == pytest.approx(metrics.returns(result.equity_values, 1000.0), abs=1e-14)


OURS = {"riskfreerate": 0.0, "annualize": True, "stddev_sample": True}


@pytest.mark.parametrize(("run", "frame", "factor"), [(days, DAILY, 365), (hours, HOURLY, 8760)])
def test_the_sharpe_ratio_is_ours_with_five_settings(run, frame, factor):
    (found, other), _, result = run(
        ("SharpeRatio", {**frame, **OURS, "factor": factor}),
        ("SharpeRatio_A", {**frame, **OURS, "factor": factor}),
    )
    assert found["sharperatio"] == pytest.approx(analyze(result).sharpe, rel=1e-12)
    assert other["sharperatio"] == found["sharperatio"]


@pytest.mark.parametrize(
    ("change", "scale"),
    [
        ({"factor": None}, math.sqrt(252 / 365)),
        ({"annualize": False}, 1 / math.sqrt(365)),
        ({"stddev_sample": False}, math.sqrt(60 / 59)),
    ],
    ids=lambda change: str(change)[:20],
)
def test_a_default_of_the_sharpe_ratio_scales_it(change, scale):
    (found,), _, result = days(("SharpeRatio", {**DAILY, **OURS, "factor": 365, **change}))
    assert found["sharperatio"] == pytest.approx(analyze(result).sharpe * scale, rel=1e-12)


def test_the_risk_free_rate_of_the_sharpe_ratio_is_one_percent_a_year():
    (found,), _, result = days(("SharpeRatio", {**DAILY, **OURS, "factor": 365, "riskfreerate": 0.01}))
    r = by_day(result)
    expected = (r.mean() - (1.01 ** (1 / 365) - 1)) / r.std(ddof=1) * math.sqrt(365)
    assert found["sharperatio"] == pytest.approx(expected, rel=1e-12)
    assert found["sharperatio"] != pytest.approx(analyze(result).sharpe, rel=1e-3)


def test_the_sharpe_ratio_without_convertrate_compounds_each_return_to_a_year():
    (found,), _, result = days(("SharpeRatio", {**DAILY, **OURS, "factor": 365, "convertrate": False}))
    yearly = (1 + by_day(result)) ** 365 - 1
    assert found["sharperatio"] == pytest.approx(yearly.mean() / yearly.std(ddof=1), rel=1e-9)


def test_the_sharpe_ratio_by_default_takes_whole_years():
    (inside,), _, _ = hours(("SharpeRatio", {}))
    assert inside["sharperatio"] is None
    (two,), _, result = days(("SharpeRatio", {}))
    years = np.array(
        [result.equity_values[46] / 1000.0 - 1, result.equity_values[-1] / result.equity_values[46] - 1]
    )  # 2023-12-31 is day 46
    assert two["sharperatio"] == pytest.approx((years.mean() - 0.01) / years.std(), rel=1e-12)


def test_the_sharpe_ratio_of_days_on_hourly_bars_is_that_of_the_daily_returns():
    (found,), _, result = hours(("SharpeRatio", {**DAILY, **OURS, "factor": 365}))
    assert found["sharperatio"] == pytest.approx(metrics.sharpe(by_day(result), 365.0), rel=1e-12)
    assert found["sharperatio"] != pytest.approx(analyze(result).sharpe, rel=1e-2)


def test_returns_are_logarithms_and_annualised_by_252_days():
    (found, ours), _, result = days(("Returns", DAILY), ("Returns", {**DAILY, "tann": 365}))
    summary = analyze(result)
    assert math.expm1(found["rtot"]) == pytest.approx(summary.total_return, rel=1e-12)
    assert ours["rnorm"] == pytest.approx(summary.cagr, rel=1e-12)
    assert found["rnorm"] == pytest.approx((1 + summary.total_return) ** (252 / 60) - 1, rel=1e-12)


def test_returns_on_hourly_bars_are_not_annualised_without_tann():
    (found, ours), _, result = hours(("Returns", {}), ("Returns", {"tann": 8760}))
    assert found["rnorm"] == pytest.approx((1 + analyze(result).total_return) ** (1 / 120) - 1, rel=1e-9)
    assert ours["rnorm"] == pytest.approx(analyze(result).cagr, rel=1e-12)


def test_annual_return_works_without_the_standard_observers():
    (found,), strategy, result = days(("AnnualReturn", {}))
    assert line(strategy.stats.broker, "value").tolist() == result.equity_values.tolist()
    assert found == {
        2023: pytest.approx(result.equity_values[46] / 1000.0 - 1, rel=1e-12),
        2024: pytest.approx(result.equity_values[-1] / result.equity_values[46] - 1, rel=1e-12),
    }


def test_annual_return_fails_in_plain_backtrader_without_the_standard_observers():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(make_feeds(DAYS)[0])
    cerebro.addstrategy(bt.Strategy)
    cerebro.addanalyzer(bt.analyzers.AnnualReturn)
    with pytest.raises(AttributeError, match="broker"):
        cerebro.run()


def test_calmar_is_a_mean_logarithm_over_percent():
    """The period of 62 holds the cash, the 60 days and the end once more."""
    (found, monthly), _, result = days(("Calmar", {**DAILY, "period": 62}), ("Calmar", {}))
    summary = analyze(result)
    expected = math.log(result.equity_values[-1] / 1000.0) / 62 / (100 * -summary.max_drawdown)
    assert list(found.values())[-1] == pytest.approx(expected, rel=1e-9)
    assert abs(summary.calmar) > 1000 * abs(expected)
    assert all(math.isnan(value) for value in monthly.values())  # below 36 months


def test_vwr_punishes_the_way_from_the_mean_return():
    (found, ours), _, result = days(("VWR", DAILY), ("VWR", {**DAILY, "tann": 365}))
    equity = series(result)
    mean = math.log(equity[-1] / equity[0]) / 60
    off = np.std(equity[1:] / (equity[:-1] * np.exp(mean * np.arange(1, 61))) - 1, ddof=1)
    assert found["vwr"] == pytest.approx(100 * math.expm1(252 * mean) * (1 - (off / 2) ** 0.2), rel=1e-9)
    assert ours["vwr"] == pytest.approx(100 * analyze(result).cagr * (1 - (off / 2) ** 0.2), rel=1e-9)


def test_period_stats_are_those_of_the_days():
    (found,), _, result = hours(("PeriodStats", DAILY))
    r = by_day(result)
    assert (found["average"], found["stddev"]) == (pytest.approx(r.mean()), pytest.approx(r.std()))
    assert (found["best"], found["worst"]) == (pytest.approx(r.max()), pytest.approx(r.min()))
    assert (found["positive"], found["negative"], found["nochange"]) == ((r > 0).sum(), (r < 0).sum(), 0)


def test_rolling_log_returns_take_the_compression_as_their_window():
    (daily, hourly), _, result = hours(("LogReturnsRolling", DAILY), ("LogReturnsRolling", {}))
    assert list(daily.values()) == pytest.approx(np.log1p(by_day(result)), abs=1e-14)
    equity = series(result)  # bars of 60 minutes: over 60 bars, nothing before them
    assert list(hourly.values())[59:] == pytest.approx(np.log(equity[60:] / equity[:-60]), abs=1e-14)
    assert all(math.isnan(value) for value in list(hourly.values())[:59])
