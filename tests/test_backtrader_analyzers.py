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
from analyzers_made import COSTS, DAILY, HOURLY, HOURS, by_day, finish, hours, line, observer_of, play, turns, wander
from law import F, flat, market, venue

from backtest import load_market, load_venue
from backtest.analysis import analyze, metrics
from backtest.engines.bt import make_cerebro
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS
from backtest.plugins import load_strategy

STRATEGIES = Path(__file__).parent.parent / "strategies"
WHOLE = {"timeframe": bt.TimeFrame.NoTimeFrame}
ANALYZERS = (
    *("TradeAnalyzer", "DrawDown", "TimeDrawDown", "SharpeRatio", "SharpeRatio_A", "TimeReturn", "Returns", "Calmar"),
    *("SQN", "VWR", "AnnualReturn", "PeriodStats", "PyFolio", "Transactions", "PositionsValue", "GrossLeverage"),
    "LogReturnsRolling",
)
OBSERVERS = ("Trades", "BuySell", "DrawDown", "TimeReturn", "Benchmark", "Value", "Cash", "LogReturns", "DataTrades")
TIMED = ("SharpeRatio_A", "TimeReturn", "Returns", "VWR", "PeriodStats", "LogReturnsRolling")  # asked for by day


def booked(result, *kinds):
    """What the ledger says of each closed trade, by id."""
    closed = result.trades_table.trade[result.trades_table.reason != EXIT_REASONS.index("open")]
    mine = np.isin(result.ledger_table.kind, [LEDGER_KINDS.index(kind) for kind in kinds])
    sums = np.bincount(
        result.ledger_table.trade[mine], result.ledger_table.amount[mine], minlength=len(result.trades_table) + 1
    )
    return sums[closed]


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


PAIR = wander(5 * 24, symbols=2)


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
