"""The analyzers and observers of backtrader on the perpetual broker: their figures against ours, and against hand-made ones.

What the README says of each of them is a test here. An analyzer's figures are never worked out by its own code: they come from
the result's equity, its ledger and its trades, or they are literals.
"""

import math
import statistics
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from law import F, flat, market, venue

from backtest import load_market, load_venue
from backtest.analysis import analyze, metrics
from backtest.engines.bt import make_cerebro
from backtest.engines.bt.feeds import make_feeds
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS
from backtest.plugins import load_strategy

STRATEGIES = Path(__file__).parent.parent / "strategies"
DAILY = {"timeframe": bt.TimeFrame.Days, "compression": 1}
HOURLY = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
WHOLE = {"timeframe": bt.TimeFrame.NoTimeFrame}
ANALYZERS = (
    *("TradeAnalyzer", "DrawDown", "TimeDrawDown", "SharpeRatio", "SharpeRatio_A", "TimeReturn", "Returns", "Calmar"),
    *("SQN", "VWR", "AnnualReturn", "PeriodStats", "PyFolio", "Transactions", "PositionsValue", "GrossLeverage"),
    "LogReturnsRolling",
)
OBSERVERS = ("Trades", "BuySell", "DrawDown", "TimeReturn", "Benchmark", "Value", "Cash", "LogReturns", "DataTrades")
TIMED = ("SharpeRatio_A", "TimeReturn", "Returns", "VWR", "PeriodStats", "LogReturnsRolling")  # asked for by day


class Orders(bt.Strategy):
    """Market orders by bar: (signed size, number of the data)."""

    params = (("orders", None), ("tradeid", 0))

    def next(self):
        for size, j in self.p.orders.get(len(self) - 1, ()):
            (self.buy if size > 0 else self.sell)(data=self.datas[j], size=abs(size), tradeid=self.p.tradeid)


def play(m, v, orders, *analyzers, observers=(), tradeid=0, **settings):
    """The analyses asked for, in order, and the strategy and its result; analyzers, observers: (name, parameters)."""
    cerebro = make_cerebro(m, v, **settings)
    cerebro.addstrategy(
        Orders, orders={bar: [(*o, 0)[:2] for o in given] for bar, given in orders.items()}, tradeid=tradeid
    )
    return finish(cerebro, analyzers, observers)


def finish(cerebro, analyzers, observers=()):
    for name, parameters in analyzers:
        cerebro.addanalyzer(getattr(bt.analyzers, name), **parameters)
    for name, parameters in observers:
        cerebro.addobserver(getattr(bt.observers, name), **parameters)
    (strategy,) = cerebro.run()
    return [a.get_analysis() for a in strategy.analyzers], strategy, cerebro.result()


def booked(result, *kinds):
    """What the ledger says of each closed trade, by id."""
    closed = result.trades_table.trade[result.trades_table.reason != EXIT_REASONS.index("open")]
    mine = np.isin(result.ledger_table.kind, [LEDGER_KINDS.index(kind) for kind in kinds])
    sums = np.bincount(
        result.ledger_table.trade[mine], result.ledger_table.amount[mine], minlength=len(result.trades_table) + 1
    )
    return sums[closed]


def series(result):
    """The equity by bar, after the cash that it started from."""
    return np.concatenate(([result.venue.cash], result.equity_values))


def by_day(result):
    """The return of each UTC day, the first one from the cash."""
    return metrics.returns(result.equity.groupby(lambda time: time.date()).last(), result.venue.cash)


def line(observer, name):
    values = getattr(observer.lines, name)
    return np.array(values.get(size=len(values)))


def observer_of(strategy, name):
    """The last one added: the first Broker is the one that comes with the Cerebro."""
    return [o for o in strategy.observers if type(o).__name__ == name][-1]


# ---------------------------------------- a day that is worked out by hand

# Fees 0.1%. Long 2 from 100 to 110: +20, fees 0.2 + 0.22. Short 3 from 110 to 105: +15, fees 0.33 + 0.315. Long 4 from 105 to
# 100: -20, fees 0.42 + 0.4, turned round into a short of 1 to 104: -4, fees 0.1 + 0.104. Long 2 at 104 and 2 at 106 (105), 1 out
# at 108 and 3 at 102: 3 - 9, fees 0.208 + 0.212 + 0.108 + 0.306; while it holds 4 at 106 it pays 1% of 424. A long of 1 stays.
PRICES = (100, 100, 110, 110, 105, 105, 100, 100, 104, 104, 104, 106, 108, 102, 102, 102)
HAND = market([flat(float(p)) for p in PRICES], funding=[(3.5, 0.0), (11.5, 0.01)])
SIZES = (2, -2, -3, 3, 4, -5, 0, 1, 0, 2, 2, -1, -3, 0, 1)
TRADED = {bar: [(float(size),)] for bar, size in enumerate(SIZES) if size}
FEES = venue(taker=0.001)


def test_trade_analyzer_counts_and_sums_the_trades():
    (found,), _, result = play(HAND, FEES, TRADED, ("TradeAnalyzer", {}))
    assert (found.total.total, found.total.closed, found.total.open) == (6, 5, 1)
    assert found.pnl.gross.total == pytest.approx(20 + 15 - 20 - 4 - 6)
    assert found.pnl.net.total == pytest.approx(5 - 0.42 - 0.645 - 0.82 - 0.204 - 0.834)
    assert (found.won.total, found.lost.total) == (2, 3)
    assert (found.won.pnl.total, found.lost.pnl.total) == (pytest.approx(33.935), pytest.approx(-31.858))
    assert (found.long.total, found.long.won, found.long.lost) == (3, 1, 2)
    assert (found.short.total, found.short.won, found.short.lost) == (2, 1, 1)
    assert (found.long.pnl.total, found.short.pnl.total) == (pytest.approx(-8.074), pytest.approx(10.151))
    assert (found.streak.won.longest, found.streak.lost.longest) == (2, 3)
    assert found.len.total == 1 + 1 + 1 + 2 + 3
    assert analyze(result).trades == 6
    assert analyze(result).win_rate == 2 / 5


def test_funding_is_not_in_the_pnl_of_a_trade():
    (found, sqn), _, result = play(HAND, FEES, TRADED, ("TradeAnalyzer", {}), ("SQN", {}))
    assert result.trades_table.pnl[:5].sum() == pytest.approx(found.pnl.net.total - 4.24)
    assert result.trades_table.pnl[4] == pytest.approx(-6.834 - 4.24)
    nets = [19.58, 14.355, -20.82, -4.204, -6.834]
    assert (sqn.trades, sqn.sqn) == (5, pytest.approx(math.sqrt(5) * 0.4154 / statistics.pstdev(nets)))


def test_a_trade_that_funding_makes_a_loss_is_won_for_the_trade_analyzer():
    m = market([F] * 5, funding=[(1.5, 0.01)])
    (found,), _, result = play(m, venue(), {0: [(1.0,)], 2: [(-1.0,)]}, ("TradeAnalyzer", {}))
    assert (found.won.total, found.lost.total) == (1, 0)
    assert result.trades_table.pnl.tolist() == [-1.0]
    assert analyze(result).win_rate == 0.0


def test_a_liquidation_is_a_lost_trade():
    """A: 50 at 100, margin 500, gone at 90; B: short 2 from 200 to 190."""
    m = market([F, F, (100, 100, 85, 86), flat(86)], [flat(200), flat(200), flat(195), flat(190)])
    orders = {0: [(50.0, 0), (-2.0, 1)], 2: [(2.0, 1)]}
    asked = (("TradeAnalyzer", {}), ("Transactions", {}))
    (found, fills), _, result = play(m, venue(margin_mode="isolated"), orders, *asked)
    assert (found.total.closed, found.long.lost, found.short.won) == (2, 1, 1)
    assert (found.lost.pnl.total, found.won.pnl.total) == (-500.0, 20.0)
    assert booked(result, "liquidation_loss").tolist() == [-500.0, 0.0]
    assert [row[:2] for row in list(fills.values())[1]] == [[-50.0, 90.0]]


def test_a_liquidation_closes_the_trade_of_its_own_tradeid():
    m = market([F, F, (100, 100, 85, 86), flat(86)])
    (found,), _, _ = play(m, venue(margin_mode="isolated"), {0: [(50.0,)]}, ("TradeAnalyzer", {}), tradeid=7)
    assert (found.total.total, found.total.closed, found.pnl.gross.total) == (1, 1, -500.0)


@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_the_fee_of_a_liquidation_is_in_the_net_pnl(mode):
    m = market([F, F, (100, 100, 85, 86), flat(86)])
    v = venue(margin_mode=mode, taker=0.001, liquidation_fee=0.005)
    (found,), _, result = play(m, v, {0: [(80.0,)]}, ("TradeAnalyzer", {}))
    assert analyze(result).liquidations == 1
    gross = booked(result, "trade_pnl", "liquidation_loss").sum()
    assert found.pnl.gross.total == pytest.approx(gross)
    assert found.pnl.net.total == pytest.approx(gross + booked(result, "fee", "liquidation_fee").sum())
    assert found.pnl.net.total == pytest.approx(result.trades_table.pnl.sum())


def test_a_trade_that_opens_and_closes_in_one_bar_is_no_transaction():
    class Bracket(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.buy_bracket(size=1.0, exectype=bt.Order.Market, stopprice=95.0, limitprice=200.0)

    cerebro = make_cerebro(market([F, (100, 101, 90, 98), flat(98)]), venue())
    cerebro.addstrategy(Bracket)
    (trades, fills), _, result = finish(cerebro, [("TradeAnalyzer", {}), ("Transactions", {})])
    assert (trades.total.closed, trades.pnl.gross.total, len(result.trades_table)) == (1, -5.0, 1)
    assert not fills


# ---------------------------------------- curves


def wander(n, step=1.0, symbols=1, seed=5):
    """A market of a few percent a day, with funding every 8 hours for A where its bars are hours."""
    rng = np.random.default_rng(seed)
    columns = []
    for _ in range(symbols):
        close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.006 * math.sqrt(step), n))), 2)
        opened = np.concatenate(([100.0], close[:-1]))
        columns.append(list(zip(opened, np.maximum(opened, close), np.minimum(opened, close), close, strict=True)))
    stamps = [(8.0 * k, rng.normal(0, 0.0005)) for k in range(n // 8 + 1)] if step == 1 else ()
    return market(*columns, funding=stamps, step=step)


def turns(n, every, size, symbols=1):
    """Longs, rests and shorts in turn, on each symbol."""
    return {
        k: [(size if (k // every + j) % 3 else -1.5 * size, j) for j in range(symbols)] for k in range(1, n - 3, every)
    }


COSTS = venue(taker=0.0005, slippage=0.0002)
HOURS = wander(5 * 24)
DAYS = wander(60, step=24.0)  # 2023-11-15 to 2024-01-13
PAIR = wander(5 * 24, symbols=2)


def hours(*analyzers, **more):
    return play(HOURS, COSTS, turns(120, 7, 12.0), *analyzers, **more)


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


# ---------------------------------------- what pyfolio reads


def pyfolio_of(strategy):
    returns, positions, transactions, leverage = strategy.analyzers.pyfolio.get_pf_items()
    for frame in (returns, positions, transactions, leverage):
        assert isinstance(frame.index, pd.DatetimeIndex)
        assert str(frame.index.tz) == "UTC"
        assert frame.index.is_monotonic_increasing
    return returns, positions, transactions, leverage


def test_pyfolio_gets_returns_positions_transactions_and_leverage():
    _, strategy, result = hours(("PyFolio", {}))
    returns, positions, transactions, leverage = pyfolio_of(strategy)
    opens = result.equity.index
    assert returns.to_numpy() == pytest.approx(by_day(result), abs=1e-14)
    assert list(returns.index) == list(opens[::24])

    held = result.positions[:, 0]
    notional = held * HOURS.close[:, 0]
    assert list(positions.columns) == ["A", "cash"]
    assert list(positions.index) == list(opens)
    assert positions["A"].to_numpy() == pytest.approx(notional, abs=1e-9)
    assert positions["cash"].to_numpy() == pytest.approx(result.equity_values - np.abs(notional) / 10, abs=1e-9)

    change = np.diff(np.concatenate(([0.0], held)))
    bars = np.flatnonzero(change)
    assert list(transactions.columns) == ["amount", "price", "sid", "symbol", "value"]
    assert list(transactions.index) == list(opens[bars])
    assert transactions["amount"].to_numpy() == pytest.approx(change[bars])
    fills = HOURS.open[bars, 0] * (1 + 0.0002 * np.sign(change[bars]))
    assert transactions["price"].to_numpy(dtype=float) == pytest.approx(fills)
    assert transactions["value"].to_numpy() == pytest.approx(-change[bars] * fills)
    assert set(transactions["symbol"]) == {"A"}
    assert set(transactions["sid"]) == {0}
    assert len(bars) > 10

    assert list(leverage.index) == list(opens)
    assert 10 * leverage.to_numpy() == pytest.approx(np.abs(notional) / result.equity_values, abs=1e-9)


def test_pyfolio_keeps_the_last_of_several_symbols_and_the_analyses_have_all():
    orders = turns(120, 7, 6.0, symbols=2)
    (found, values), strategy, result = play(PAIR, COSTS, orders, ("PyFolio", {}), ("PositionsValue", {"cash": True}))
    _, positions, transactions, leverage = pyfolio_of(strategy)
    notional = result.positions * PAIR.close
    cash = result.equity_values - np.abs(notional).sum(axis=1) / 10
    assert list(positions.columns) == ["B", "cash"]
    assert positions["B"].to_numpy() == pytest.approx(notional[:, 1], abs=1e-9)
    assert set(transactions["symbol"]) == {"A", "B"}
    rows = dict(found["positions"])
    assert rows.pop("Datetime") == ["A", "B", "cash"]
    assert np.array(list(rows.values())) == pytest.approx(np.column_stack([notional, cash]), abs=1e-9)
    assert list(rows.values()) == list(values.values())
    assert leverage.to_numpy() == pytest.approx((result.equity_values - cash) / result.equity_values, abs=1e-9)


def test_in_isolated_margin_the_cash_is_what_is_not_posted():
    """2 at 100 post 20; marked at 110 the equity is 1020, and 1000 - 20 are free."""
    m = market([F, (100, 110, 100, 110), flat(110)])
    (values, gross), _, _ = play(
        m, venue(margin_mode="isolated"), {0: [(2.0,)]}, ("PositionsValue", {"cash": True}), ("GrossLeverage", {})
    )
    assert list(values.values())[1] == [220.0, 980.0]
    assert list(gross.values())[1] == pytest.approx(40.0 / 1020.0)


# ---------------------------------------- observers


def test_cash_and_value_are_seen_by_bar():
    _, strategy, result = hours(observers=[("Broker", {}), ("Value", {}), ("Cash", {})])
    free = result.equity_values - np.abs(result.positions[:, 0] * HOURS.close[:, 0]) / 10
    for name, field, expected in (
        ("Broker", "value", result.equity_values),
        ("Value", "value", result.equity_values),
        ("Broker", "cash", free),
        ("Cash", "cash", free),
    ):
        assert line(observer_of(strategy, name), field) == pytest.approx(expected, abs=1e-9), name


def test_returns_are_observed_beside_a_benchmark():
    data = HOURS.close[:, 0]
    _, strategy, result = hours(observers=[("TimeReturn", WHOLE), ("Benchmark", WHOLE), ("LogReturns", DAILY)])
    for name in ("TimeReturn", "Benchmark"):
        assert line(observer_of(strategy, name), "timereturn") == pytest.approx(
            result.equity_values / 1000 - 1, abs=1e-12
        )
    assert line(observer_of(strategy, "Benchmark"), "benchmark") == pytest.approx(data / data[0] - 1, abs=1e-12)
    # of the data, not of the account: from the last close of the day before
    assert line(observer_of(strategy, "LogReturns"), "logret1")[24:48] == pytest.approx(np.log(data[24:48] / data[23]))


def test_trades_and_fills_are_observed_at_their_bars():
    _, strategy, _ = play(HAND, FEES, TRADED, observers=[("Trades", {}), ("BuySell", {})])
    trades, fills = observer_of(strategy, "Trades"), observer_of(strategy, "BuySell")
    plus, minus = line(trades, "pnlplus"), line(trades, "pnlminus")
    assert {k: round(plus[k], 9) for k in np.flatnonzero(~np.isnan(plus))} == {2: 19.58, 4: 14.355}
    assert {k: round(minus[k], 9) for k in np.flatnonzero(~np.isnan(minus))} == {6: -20.82, 8: -4.204, 13: -6.834}
    bought, sold = line(fills, "buy"), line(fills, "sell")
    assert {k: bought[k] for k in np.flatnonzero(~np.isnan(bought))} == dict(
        zip((1, 4, 5, 8, 10, 11, 15), (100.0, 105.0, 105.0, 104.0, 104.0, 106.0, 102.0), strict=True)
    )
    assert {k: sold[k] for k in np.flatnonzero(~np.isnan(sold))} == dict(
        zip((2, 3, 6, 12, 13), (110.0, 110.0, 100.0, 108.0, 102.0), strict=True)
    )


def test_the_standard_observers_come_with_stdstats():
    orders = {0: [(2.0, 0), (-1.0, 1)], 2: [(-2.0, 0), (1.0, 1)]}
    columns = [F, F, F, flat(110)], [flat(50), flat(50), flat(50), flat(45)]
    _, strategy, result = play(market(*columns), venue(), orders, stdstats=True)
    assert [type(o).__name__ for o in strategy.observers] == ["Broker", "DataTrades"]
    assert line(strategy.stats.broker, "value").tolist() == result.equity_values.tolist()
    assert [line(strategy.stats.datatrades, name)[3] for name in "AB"] == [20.0, 5.0]


# ---------------------------------------- ruin, halts, the other ways to run


def test_after_ruin_every_analyzer_still_answers():
    """25 times the cash, at 4% a move: nothing is left, and nothing is earned or lost from then on."""
    m = market([F, F, (100, 100, 40, 45), *[flat(45.0)] * 60])
    v = venue(margin_mode="isolated", leverage=25.0)
    asked = [(name, DAILY if name in TIMED else {}) for name in ANALYZERS]
    _, strategy, result = play(m, v, {0: [(250.0,)]}, *asked, observers=[(name, {}) for name in OBSERVERS])
    found = strategy.analyzers
    assert result.equity_values.tolist() == [1000.0, 1000.0] + [0.0] * 61
    assert strategy.broker.getvalue() == pytest.approx(0.0, abs=1e-20)
    assert list(found.timereturn.get_analysis().values()) == pytest.approx([-1.0, 0.0, 0.0])
    assert found.drawdown.get_analysis().max.drawdown == 100.0
    assert found.sharperatio_a.get_analysis()["sharperatio"] < 0
    assert found.returns.get_analysis()["rnorm"] == -1.0
    assert found.returns.get_analysis()["rtot"] == pytest.approx(math.log(1e-30))
    assert found.vwr.get_analysis()["vwr"] > 0  # the weight of a way so uneven is below zero, and so is the return
    assert found.annualreturn.get_analysis() == {2023: -1.0}
    assert set(list(found.grossleverage.get_analysis().values())[2:]) == {0.0}
    assert pyfolio_of(strategy)[0].iloc[0] == -1.0


def test_bars_of_a_halt_are_not_in_the_feed_and_so_in_no_return():
    halt = (math.nan,) * 4
    m = market([F, F, flat(102), halt, halt, flat(101), flat(104), flat(103)])
    (hourly, deepest), _, result = play(m, venue(), {0: [(5.0,)]}, ("TimeReturn", HOURLY), ("DrawDown", {}))
    kept = metrics.returns(result.equity_values, 1000.0)[[0, 1, 2, 5, 6, 7]]
    assert list(hourly.values()) == pytest.approx(kept, abs=1e-14)
    assert -deepest.max.drawdown / 100 == pytest.approx(analyze(result).max_drawdown, rel=1e-12)


@pytest.mark.parametrize("settings", [{"runonce": False}, {"preload": False}, {"stdstats": True}, {"exactbars": -1}])
def test_the_analyses_do_not_depend_on_how_backtrader_runs(settings):
    asked = [(name, DAILY if name in TIMED else {}) for name in ANALYZERS]
    plain, _, _ = hours(*asked)
    other, _, _ = hours(*asked, **settings)
    assert [repr(analysis) for analysis in other] == [repr(analysis) for analysis in plain]


# ---------------------------------------- the shipped market


@pytest.fixture(scope="module", params=[0.95, 9.0], ids=["share 0.95", "share 9, liquidated"])
def crossed(request):
    """ma_cross on deleveraging-2026, 160 days of warm-up before its 120 days."""
    cerebro = make_cerebro(load_market("deleveraging-2026"), load_venue("binance-usdm"))
    strategy = load_strategy(str(STRATEGIES / "ma_cross.py")).cls
    cerebro.addstrategy(strategy, share=request.param)
    asked = [(name, DAILY if name in TIMED else {}) for name in ANALYZERS]
    _, strategy, result = finish(cerebro, asked, [(name, {}) for name in OBSERVERS])
    return strategy, result, request.param


def test_on_the_shipped_market_the_trades_are_ours(crossed):
    strategy, result, share = crossed
    found, summary = strategy.analyzers.tradeanalyzer.get_analysis(), analyze(result)
    gross = booked(result, "trade_pnl", "liquidation_loss")
    net = gross + booked(result, "fee", "liquidation_fee")
    assert (found.total.total, found.total.open) == (summary.trades, summary.open_trades)
    assert (summary.liquidations > 0) == (share > 1)
    assert (found.won.total, found.lost.total) == ((net >= 0).sum(), (net < 0).sum())
    assert (found.long.total, found.short.total) == (found.total.closed, 0)
    assert found.pnl.gross.total == pytest.approx(gross.sum(), rel=1e-9)
    assert found.pnl.net.total == pytest.approx(net.sum(), rel=1e-9)
    assert found.pnl.net.total == pytest.approx(result.trades_table.pnl.sum() + summary.funding_paid, rel=1e-9)
    assert found.len.total == (result.trades_table.exit_bar - result.trades_table.entry_bar).sum()
    assert strategy.analyzers.sqn.get_analysis().trades == summary.trades
    score = math.sqrt(len(net)) * net.mean() / net.std()
    assert strategy.analyzers.sqn.get_analysis().sqn == pytest.approx(score, rel=1e-9)


def test_on_the_shipped_market_the_curve_is_ours(crossed):
    strategy, result, _ = crossed
    found, summary = strategy.analyzers, analyze(result)
    assert found.drawdown.get_analysis().max.drawdown / 100 == pytest.approx(-summary.max_drawdown, rel=1e-12)
    daily = np.array(list(found.timereturn.get_analysis().values()))
    assert daily[-120:] == pytest.approx(by_day(result)[-120:], abs=1e-12)
    assert np.prod(1 + daily) == pytest.approx(1 + summary.total_return, rel=1e-9)
    assert math.expm1(found.returns.get_analysis()["rtot"]) == pytest.approx(summary.total_return, rel=1e-12)
    assert line(observer_of(strategy, "Value"), "value")[-len(result) :] == pytest.approx(
        result.equity_values, abs=1e-20
    )


def test_analyzers_begin_with_the_result(crossed):
    """The 280 days of warm-up are not in them; the other settings are the defaults."""
    strategy, result, _ = crossed
    daily = np.array(list(strategy.analyzers.timereturn.get_analysis().values()))
    assert len(daily) == 120
    ours = by_day(result)
    expected = (ours.mean() - (1.01 ** (1 / 252) - 1)) / ours.std() * math.sqrt(252)
    assert strategy.analyzers.sharperatio_a.get_analysis()["sharperatio"] == pytest.approx(expected, rel=1e-9)


def test_on_the_shipped_market_pyfolio_reads_what_happened(crossed):
    strategy, result, _ = crossed
    returns, positions, transactions, leverage = pyfolio_of(strategy)
    opens = result.equity.index
    change = np.diff(np.concatenate(([0.0], result.positions[:, 0])))
    bars = np.flatnonzero(change)
    assert list(transactions.index) == list(opens[bars])
    assert transactions["amount"].to_numpy() == pytest.approx(change[bars])
    assert list(positions.index[-len(result) :]) == list(opens)
    assert len(returns) == 120
    marks = strategy.broker.market.mark_or_last[3][-len(result) :, 0]
    notional = np.abs(result.positions[:, 0]) * marks
    assert 10 * leverage.to_numpy()[-len(result) :] * result.equity_values == pytest.approx(notional, abs=1e-6)
