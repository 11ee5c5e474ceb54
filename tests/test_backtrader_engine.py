"""The broker as a strategy of backtrader sees it: cash, positions, sizes, notifications; and strategies that order at random."""

import io
from collections import Counter, defaultdict
from dataclasses import fields

import backtrader as bt
import numpy as np
import pytest
from cases import random_case
from hypothesis import example, given, settings
from hypothesis import strategies as st
from law import F, at, flat, instrument, market, venue
from wild import Wild

from backtest.engines.bt import execute_strategy, make_cerebro
from backtest.engines.bt.feeds import make_feeds
from backtest.errors import FundingHoleError
from backtest.model import Instrument, Venue
from backtest.model.result import LEDGER_KINDS

KIND = {kind: code for code, kind in enumerate(LEDGER_KINDS)}
ENDS = {
    "Margin": ("insufficient_margin", "leverage_above_tier", "would_liquidate", "ruined"),
    "Expired": ("expired",),
    "Rejected": ("below_minimum", "not_trading", "no_position", "end_of_data"),
}
LIVES = [["Submitted", *accepted, *part, end] for accepted in ([], ["Accepted"]) for part in ([], ["Partial"])
         for end in ("Completed", "Canceled", "Expired", "Margin", "Rejected")]  # fmt: skip


class Acts(bt.Strategy):
    """Does what it is told by bar number, and writes down what it hears."""

    params = (("acts", None),)

    def __init__(self):
        self.orders, self.trades, self.cashvalues, self.seen = [], [], [], []

    def next(self):
        act = self.p.acts.get(len(self) - 1)
        if act is not None:
            self.seen.append(act(self))

    def notify_order(self, order):
        self.orders.append((len(self) - 1, order))

    def notify_trade(self, trade):
        self.trades.append((len(self) - 1, trade))

    def notify_cashvalue(self, cash, value):
        self.cashvalues.append((cash, value))


def play(m, acts, v=None, **settings):
    """Run `acts`, by bar number a function of the strategy; the strategy after the run, and the result."""
    cerebro = make_cerebro(m, v or venue(), **settings)
    cerebro.addstrategy(Acts, acts=acts)
    (strategy,) = cerebro.run()
    return strategy, cerebro.result()


def filled(strategy):
    """(bar, size, price) of each completed order."""
    done = [(bar, o.executed) for bar, o in strategy.orders if o.status == bt.Order.Completed]
    return [(bar, e.size, e.price) for bar, e in done]


def statuses(strategy):
    return [(bar, order.getstatusname()) for bar, order in strategy.orders]


def near(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


RISE = market([F, F, flat(110), flat(120)])


# --- cash and value


def test_before_and_after_a_run_the_broker_says_what_there_is():
    cerebro = make_cerebro(RISE, venue())
    broker = cerebro.broker
    assert (broker.getcash(), broker.getvalue(), broker.startingcash, broker.get_cash(), broker.get_value()) == (
        1000.0,
    ) * 5
    cerebro.addstrategy(Acts, acts={0: lambda s: s.buy(size=10)})
    cerebro.run()
    assert (broker.getvalue(), broker.getcash(), broker.startingcash) == (1200.0, 1080.0, 1000.0)


def test_the_strategy_can_ask_before_the_first_bar():
    class Asks(bt.Strategy):
        def __init__(self):
            assert (self.broker.getcash(), self.broker.getvalue(), self.position.size) == (1000.0, 1000.0, 0)

        start = __init__

    execute_strategy(RISE, Asks, {}, venue())


@pytest.mark.parametrize(
    ("mode", "cash"),
    [("cross", [1000.0, 500.0, 950.0, 1400.0]), ("isolated", [1000.0, 500.0, 500.0, 500.0])],
)
def test_cash_is_what_margin_can_be_taken_of_and_value_is_the_equity(mode, cash):
    # 50 at 100; cross: 1000 + 50*10 - 50*110/10, 1000 + 50*20 - 50*120/10; isolated: 1000 - 50*100/10
    acts = {0: lambda s: s.buy(size=50)}
    strategy, result = play(RISE, acts, venue(margin_mode=mode))
    assert strategy.cashvalues == [(c, v) for c, v in zip(cash, [1000.0, 1000.0, 1500.0, 2000.0], strict=True)]
    assert result.equity_values.tolist() == [1000.0, 1000.0, 1500.0, 2000.0]


def test_the_value_of_datas_is_the_signed_notional():
    m = market([F, F, flat(110)], [flat(50)] * 3)

    def values(s):
        broker = s.broker
        return [broker.getvalue([s.data0]), broker.getvalue([s.data1]), broker.getvalue(s.datas), broker.get_leverage()]

    acts = {0: lambda s: (s.buy(s.data0, size=20), s.sell(s.data1, size=10)) and values(s), 1: values, 2: values}
    strategy, _ = play(m, acts)
    assert strategy.seen == [[0, 0, 0, 0.0], [2000.0, -500.0, 1500.0, 2.5], [2200.0, -500.0, 1700.0, 2700 / 1200]]


# --- positions


def test_the_position_has_the_signed_size_and_the_average_price():
    m = market([F, F, flat(110), flat(110), flat(90), flat(90)])
    acts = {
        0: lambda s: s.buy(size=10),
        1: lambda s: s.buy(size=10),  # at 110
        2: lambda s: s.sell(size=5),
        3: lambda s: s.sell(size=20),  # at 90, 15 close and 5 open
        4: lambda s: s.close(),
    }
    for bar, act in list(acts.items()):
        acts[bar] = lambda s, act=act: act(s) and look(s)
    acts[5] = look
    strategy, _ = play(m, acts)
    assert strategy.seen == [(0, 0.0, False), (10, 100.0, True), (20, 105.0, True), (15, 105.0, True), (-5, 90.0, True),
                             (0, 0.0, False)]  # fmt: skip


def look(s):
    assert s.position.size == s.getposition().size == s.getpositionbyname(s.data._name).size
    return s.position.size, s.position.price, bool(s.position)


def test_a_position_that_is_kept_stays_what_it_was():
    kept = []
    acts = {0: lambda s: kept.append(s.position) or s.buy(size=10), 1: lambda s: kept.append(s.position) or s.close()}
    play(RISE, acts)
    assert [(p.size, p.price) for p in kept] == [(0, 0.0), (10, 100.0)]


def test_the_positions_of_all_datas():
    m = market([F, F, F], [F, F, F])
    acts = {0: lambda s: s.sell(s.data1, size=3), 1: lambda s: {n: p.size for n, p in s.getpositionsbyname().items()}}
    strategy, _ = play(m, acts)
    assert strategy.seen[1] == {"A": 0, "B": -3}


# --- sizes


TARGETS = {
    "order_target_size": (1.23456, 1.234),
    "order_target_value": (333.0, 3.297),  # 333/101 = 3.29702...
    "order_target_percent": (0.5, 4.95),  # 500/101 = 4.9504...
}


@pytest.mark.parametrize("how", TARGETS)
@pytest.mark.parametrize("side", [1, -1])
def test_a_target_is_floored_to_the_lot(how, side):
    target, size = TARGETS[how]
    m = market([flat(101)] * 3)
    strategy, result = play(m, {0: lambda s: getattr(s, how)(target=side * target)})
    assert filled(strategy) == [(1, near(side * size), 101.0)]
    assert result.positions[-1].tolist() == [near(side * size)]


def test_targets_move_the_position_by_the_difference():
    m = market([F] * 8)
    acts = {
        0: lambda s: s.order_target_size(target=3),
        1: lambda s: s.order_target_size(target=-2),
        2: lambda s: s.order_target_value(target=-1000.0),  # 200 are held short
        3: lambda s: s.order_target_value(target=500.0),
        4: lambda s: s.order_target_percent(target=0.5),  # is there
        5: lambda s: s.order_target_percent(target=0.0),
        6: lambda s: s.order_target_size(target=0),  # is there
    }
    strategy, result = play(m, acts)
    assert [size for _, size, _ in filled(strategy)] == [3, -5, -8, 15, -5]
    assert result.positions[:, 0].tolist() == [0, 3, -2, -10, 5, 5, 0, 0]
    assert [strategy.seen[k] for k in (4, 6)] == [None, None]
    assert len(result.rejections_table) == 0


def test_the_size_is_floored_to_the_lot_of_the_symbol():
    lots = {"A": instrument(), "B": Instrument(0.5, 0.0, instrument().tables)}
    v = Venue("by hand", instrument(), lots, cash=1000.0, maker=0.0, taker=0.0, leverage=10.0)
    m = market([F] * 3, [F] * 3)
    acts = {0: lambda s: (s.buy(s.data0, size=1.7777), s.buy(s.data1, size=1.7777))}
    assert play(m, acts, v)[1].positions[-1].tolist() == near([1.777, 1.5])
    acts = {0: lambda s: (s.order_target_percent(s.data0, 0.177777), s.order_target_percent(s.data1, 0.177777))}
    assert play(m, acts, v)[1].positions[-1].tolist() == near([1.777, 1.5])


def test_a_size_below_the_lot_is_refused():
    strategy, result = play(RISE, {0: lambda s: s.buy(size=0.0009)})
    assert [status for _, status in statuses(strategy)] == ["Submitted", "Accepted", "Rejected"]
    assert result.rejections_table.to_frame().reason.tolist() == ["below_minimum"]


SIZERS = [
    (None, {}, 1),
    (bt.sizers.FixedSize, {"stake": 2.5}, 2.5),
    (bt.sizers.PercentSizer, {"percents": 30}, 3),
    (bt.sizers.AllInSizer, {}, 10),
    (bt.sizers.AllInSizerInt, {"percents": 55}, 5),
]


@pytest.mark.parametrize(("sizer", "given", "size"), SIZERS)
def test_an_order_without_a_size_gets_it_of_the_sizer(sizer, given, size):
    cerebro = make_cerebro(RISE, venue())
    if sizer is not None:
        cerebro.addsizer(sizer, **given)
    cerebro.addstrategy(Acts, acts={0: lambda s: s.buy(), 1: lambda s: s.sell()})
    (strategy,) = cerebro.run()
    assert [size for _, size, _ in filled(strategy)] == [size, -size]


def test_a_close_takes_all_or_the_size_that_it_is_given():
    m = market([F] * 5, [F] * 5)
    acts = {
        0: lambda s: (s.buy(s.data0, size=3), s.sell(s.data1, size=5)),
        1: lambda s: (s.close(size=1), s.close("B", size=2)),
        2: lambda s: (s.close(s.data0), s.close(s.data1)),
    }
    _, result = play(m, acts)
    assert result.positions.tolist() == [[0, 0], [3, -5], [2, -3], [0, 0], [0, 0]]
    assert result.trades_table.to_frame().reason.tolist() == ["exit", "exit"]


# --- orders


COSTLY = venue(taker=0.001, slippage=0.01)


def test_an_order_is_told_from_submission_to_its_fill():
    strategy, _ = play(RISE, {0: lambda s: s.buy(size=10)}, COSTLY)
    assert statuses(strategy) == [(1, "Submitted"), (1, "Accepted"), (1, "Completed")]
    submitted, _, done = (order for _, order in strategy.orders)
    assert not submitted.executed.size
    e = done.executed
    # 100*1.01; 10*101*0.001; 10*101
    assert (e.size, e.price, e.comm, e.pnl, e.value, e.remsize) == (10, 101.0, near(1.01), 0.0, 1010.0, 0)
    assert e.margin == 101.0
    assert (e.psize, e.pprice) == (10, 101.0)
    assert bt.num2date(e.dt) == bt.datetime.datetime(2023, 11, 15, 1)


def test_a_close_is_told_with_its_profit():
    strategy, result = play(RISE, {0: lambda s: s.buy(size=10), 1: lambda s: s.close()}, COSTLY)
    e = strategy.orders[-1][1].executed
    # 110*0.99 = 108.9; 10*108.9*0.001; 10*(108.9 - 101); the value of what was closed, 10*101
    assert (e.size, e.price, e.comm, e.pnl, e.value) == (-10, 108.9, near(1.089), near(79.0), 1010.0)
    assert (e.psize, e.pprice) == (0, 0.0)
    assert result.final_wallet == near(1000 + 79 - 1.01 - 1.089)


def test_an_order_that_turns_the_position_round_is_told_in_parts():
    strategy, result = play(RISE, {0: lambda s: s.buy(size=10), 1: lambda s: s.sell(size=25)}, venue(taker=0.001))
    assert statuses(strategy)[3:] == [(2, "Submitted"), (2, "Accepted"), (2, "Partial"), (2, "Completed")]
    part, done = (order.executed for _, order in strategy.orders[-2:])
    assert (part.size, part.remsize, part.comm, part.pnl, part.psize) == (-10, -15, near(1.1), near(100.0), 0)
    assert (done.size, done.remsize, done.comm, done.pnl, done.psize) == (-25, 0, near(2.75), near(100.0), -15)
    assert [trade.size for _, trade in strategy.trades] == [10, 0, -15]
    assert result.trades_table.to_frame().reason.tolist() == ["reverse", "open"]


REFUSED = {
    "insufficient_margin": (lambda s: s.buy(size=101), "Margin"),
    "would_liquidate": (lambda s: s.buy(size=100), "Margin"),
    "below_minimum": (lambda s: s.buy(size=0.0001), "Rejected"),
    "no_position": (lambda s: s.sell(size=1, reduce_only=True), "Rejected"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refusal_is_told_and_is_a_row_of_the_rejections(reason):
    act, status = REFUSED[reason]
    v = venue(instrument(mmr=(0.12,))) if reason == "would_liquidate" else None
    strategy, result = play(RISE, {0: act}, v)
    assert statuses(strategy) == [(1, "Submitted"), (1, "Accepted"), (1, status)]
    (row,) = result.rejections_table.to_frame().to_dict("records")
    assert (row["row"], row["bar"], row["kind"], row["reason"]) == (0, 0, "enter", reason)
    assert not strategy.position


def test_orders_that_rest_are_listed_and_can_be_cancelled():
    def first(s):
        s.limit = s.buy(size=1, exectype=bt.Order.Limit, price=90.0)
        s.market = s.buy(size=1)

    def second(s):
        (waiting,) = s.broker.get_orders_open()
        (copied,) = s.broker.get_orders_open(safe=True)
        assert waiting is s.limit
        assert copied is not s.limit
        assert copied == s.limit
        s.cancel(s.market)  # is done
        s.cancel(None)
        s.cancel(s.limit)
        s.cancel(s.limit)
        assert s.broker.get_orders_open() == []

    strategy, result = play(RISE, {0: first, 1: second})
    assert statuses(strategy)[-1] == (2, "Canceled")
    assert strategy.market.status == bt.Order.Completed
    assert result.rejections_table.to_frame().reason.tolist() == ["cancelled"]


def test_an_order_knows_what_it_was_given():
    order = play(RISE, {0: lambda s: s.buy(size=1, exectype=bt.Order.Limit, price=90.0, why="support")})[0].orders[0][1]
    assert (order.created.size, order.created.price, order.info.why, order.getordername()) == (
        1,
        90.0,
        "support",
        "Limit",
    )


def test_what_rests_at_the_end_is_rejected():
    acts = {0: lambda s: s.buy(size=1, exectype=bt.Order.Limit, price=90.0), 3: lambda s: s.buy(size=1)}
    strategy, result = play(RISE, acts)
    assert [order.getstatusname() for order in strategy.seen] == ["Rejected", "Rejected"]
    assert result.rejections_table.to_frame().reason.tolist() == ["end_of_data", "end_of_data"]


# --- trades


def test_a_trade_is_told_when_it_opens_and_when_it_closes():
    strategy, result = play(RISE, {0: lambda s: s.buy(size=10), 1: lambda s: s.close()}, COSTLY)
    (opened_at, opened), (closed_at, closed) = strategy.trades
    assert (opened_at, opened.justopened, opened.isopen, opened.size, opened.price) == (1, True, True, 10, 101.0)
    assert (opened.value, opened.commission, opened.pnl, opened.pnlcomm) == (1010.0, near(1.01), 0.0, near(-1.01))
    assert (closed_at, closed.isclosed, closed.size, closed.price, closed.long) == (2, True, 0, 101.0, True)
    assert (closed.commission, closed.pnl, closed.pnlcomm) == (near(2.099), near(79.0), near(76.901))
    assert (closed.baropen, closed.barclose, closed.barlen) == (2, 3, 1)
    assert result.trades_table.pnl.tolist() == [near(76.901)]


def test_funding_is_not_in_a_trade_of_backtraders():
    m = market([F, F, flat(110), flat(120)], funding=[(2.0, 0.01)])
    strategy, result = play(m, {0: lambda s: s.buy(size=10), 2: lambda s: s.close()})
    assert strategy.trades[-1][1].pnlcomm == near(200.0)
    assert result.trades_table.pnl.tolist() == [near(200.0 - 11.0)]  # 10*110*0.01


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_pyramid_of_odd_sizes_closes_exactly(side):
    v = venue(Instrument(0.1, 0.0, instrument().tables))
    sizes = [0.1, 0.2, 0.3, 0.7, 1.1, 0.1]
    other = "sell" if side == "buy" else "buy"
    acts = {i: lambda s, q=q: getattr(s, side)(size=q) for i, q in enumerate(sizes)}
    acts |= {6: lambda s: getattr(s, other)(size=0.4), 7: lambda s: getattr(s, other)(size=0.3), 8: lambda s: s.close()}
    strategy, result = play(market([F] * 11), acts, v)
    assert [(trade.isclosed, trade.size) for _, trade in strategy.trades][-1] == (True, 0.0)
    assert len(strategy.trades) == 2
    assert strategy.position.size == 0
    assert result.positions[-1].tolist() == [0.0]
    assert result.trades_table.quantity.tolist() == [near(2.5)]
    assert result.trades_table.to_frame().reason.tolist() == ["exit"]


def test_trades_of_two_ids_are_kept_apart():
    m = market([F, F, flat(110), flat(120), flat(120)])
    acts = {
        0: lambda s: (s.buy(size=10, tradeid=1), s.buy(size=5, tradeid=2)),
        1: lambda s: s.sell(size=10, tradeid=1),
        2: lambda s: s.sell(size=5, tradeid=2),
    }
    strategy, result = play(m, acts)
    closed = [(bar, t.tradeid, t.pnl) for bar, t in strategy.trades if t.isclosed]
    assert closed == [(2, 1, 100.0), (3, 2, 100.0)]
    assert result.trades_table.pnl.tolist() == [200.0]  # one position, one trade at the venue


# --- liquidation

# cross: P* = (95*100 - 1000)/(95*0.99) = 90.3774..., 95*(100 - P*) = 914.14...
FALL = market([F, F, (100, 100, 80, 85), flat(85)])
STAR = 8500 / 94.05


def test_a_liquidation_is_heard_of_as_an_order():
    def orders(s):
        return s.buy(size=95), s.sell(size=95, exectype=bt.Order.Limit, price=130.0, reduce_only=True)

    strategy, result = play(FALL, {0: orders})
    bar, forced = strategy.orders[-2]
    assert (bar, forced.getstatusname(), forced.info.reason) == (2, "Completed", "liquidation")
    assert forced.issell()
    e = forced.executed
    assert (e.size, e.price, e.pnl, e.comm) == (-95, near(STAR), near(95 * (STAR - 100)), 0.0)
    assert statuses(strategy)[-1] == (2, "Canceled")  # the limit goes with it
    assert forced.ref not in {order.ref for order in strategy.seen[0]}
    assert not strategy.position
    assert [t.pnl for _, t in strategy.trades if t.isclosed] == [near(95 * (STAR - 100))]
    assert result.trades_table.to_frame().reason.tolist() == ["liquidation"]
    assert result.final_wallet == near(1000 + 95 * (STAR - 100))


def test_an_order_of_ones_own_has_no_reason():
    strategy, _ = play(RISE, {0: lambda s: s.buy(size=1), 1: lambda s: s.close()})
    assert {order.info.get("reason") for _, order in strategy.orders} == {None}


def test_a_liquidation_closes_the_trades_of_every_id():
    def orders(s):
        return s.buy(size=40, tradeid=1), s.buy(size=55, tradeid=7)

    strategy, _ = play(FALL, {0: orders})
    closed = [(t.tradeid, t.size, t.pnl) for _, t in strategy.trades if t.isclosed]
    assert closed == [(1, 0, near(40 * (STAR - 100))), (7, 0, near(55 * (STAR - 100)))]
    assert [o.executed.size for _, o in strategy.orders if o.info.get("reason")] == [-40, -55]


def test_a_liquidation_leaves_what_offset_each_other_as_it_is():
    def orders(s):
        return s.buy(size=100, tradeid=1), s.sell(size=5, tradeid=2)

    strategy, result = play(FALL, {0: orders}, venue(leverage=20))
    assert [(o.tradeid, o.executed.size) for _, o in strategy.orders if o.info.get("reason")] == [(1, -95)]
    assert result.positions[-1].tolist() == [0]


def test_backtraders_own_broker_lets_the_equity_run_below_zero_and_recover():
    # 240 at 100 with 1,000: at 90 there are 1000 - 2400; P* = (24000 - 1000)/(240*0.99) = 96.80...
    m = market([F, F, (100, 100, 90, 90), flat(120), flat(120)])

    class Long(bt.Strategy):
        def __init__(self):
            self.values = []

        def next(self):
            self.values.append(self.broker.getvalue())
            if len(self) == 1:
                self.buy(size=240)

    plain = bt.Cerebro(stdstats=False)
    plain.adddata(make_feeds(m)[0])
    plain.broker.setcash(1000.0)
    plain.broker.setcommission(leverage=25.0)
    plain.addstrategy(Long)
    ours = make_cerebro(m, venue(leverage=25.0))
    ours.addstrategy(Long)
    (theirs,), (mine,) = plain.run(), ours.run()
    assert theirs.values == [1000.0, 1000.0, -1400.0, 5800.0, 5800.0]
    left = 1000 - 240 * (100 - 23000 / 237.6)
    assert mine.values == [1000.0, 1000.0, near(left), near(left), near(left)]
    assert left == pytest.approx(232.323, abs=1e-3)
    assert ours.result().trades_table.to_frame().reason.tolist() == ["liquidation"]


# --- the part of the market that is traded


def test_orders_before_the_start_are_refused():
    class Early(Acts):
        def prenext(self):
            self.seen.append((len(self) - 1, self.buy(size=1)))

    m = market([F] * 6, trade_from=at(3))
    cerebro = make_cerebro(m, venue())
    cerebro.addstrategy(Early, acts={2: lambda s: s.buy(size=2)})
    (strategy,) = cerebro.run()
    result = cerebro.result()
    assert [(bar, order.getstatusname()) for bar, order in strategy.seen[:2]] == [(0, "Rejected"), (1, "Rejected")]
    assert result.rejections_table.to_frame()[["bar", "reason"]].to_numpy().tolist() == [
        [0, "not_trading"],
        [1, "not_trading"],
    ]
    assert filled(strategy) == [(3, 2, 100.0)]
    assert result.time.tolist() == [at(3), at(4), at(5)]
    assert result.positions[:, 0].tolist() == [2, 2, 2]


def test_indicators_warm_up_before_the_start():
    means = []

    class Mean(bt.Strategy):
        def __init__(self):
            self.mean = bt.indicators.SMA(period=3)

        def next(self):
            means.append((len(self) - 1, self.mean[0]))

    execute_strategy(market([flat(100 + i) for i in range(6)], trade_from=at(4)), Mean, {}, venue())
    assert means == [(3, 102.0), (4, 103.0), (5, 104.0)]  # the first whose orders act in the traded part


# --- ways of running


def bytes_of(result):
    """All that a result says, as bytes."""
    tables = (result.ledger_table, result.trades_table, result.rejections_table)
    columns = [getattr(t, f.name) for t in tables for f in fields(t)[1:]]
    arrays = (*columns, result.equity_values, result.position_bar, result.position_symbol, result.position_quantity)
    return b"".join(a.tobytes() for a in arrays), result.final_wallet, dict(result.assumptions)


def test_the_same_cerebro_run_twice_comes_to_the_same():
    cerebro = make_cerebro(FALL, venue(taker=0.001))
    cerebro.addstrategy(Acts, acts={0: lambda s: s.buy(size=90), 2: lambda s: s.sell(size=1)})
    cerebro.run()
    first = bytes_of(cerebro.result())
    (strategy,) = cerebro.run()
    assert bytes_of(cerebro.result()) == first
    assert len(strategy.seen) == 2


@pytest.mark.parametrize(
    "settings",
    [{"runonce": False}, {"preload": False}, {"exactbars": -1}, {"exactbars": 1}, {"stdstats": True}, {"quicknotify": True},
     {"tradehistory": True}, {"live": True}],
    ids=str,
)  # fmt: skip
def test_the_result_does_not_depend_on_how_backtrader_runs(settings):
    compared = 0
    for seed in range(40):
        m = random_case(seed)[0]
        if m.has_halts and settings.get("exactbars") == 1:
            continue
        if settings.get("quicknotify") or settings.get("exactbars") == 1:
            first, second = (lived(seed, Deaf, **s) for s in ({}, settings))
        else:
            first, second = lived(seed), lived(seed, **settings)
        if first is not None and second is not None:
            compared += 1
            assert bytes_of(first[3]) == bytes_of(second[3]), seed
    assert compared >= 15


def test_signals_without_a_strategy_trade():
    class Up(bt.Indicator):
        lines = ("signal",)

        def __init__(self):
            self.lines.signal = self.data.close - 105.0

    cerebro = make_cerebro(RISE, venue())
    cerebro.add_signal(bt.SIGNAL_LONG, Up)
    cerebro.run()
    assert cerebro.result().positions[:, 0].tolist() == [0, 0, 0, 1]


def test_a_signal_strategy_trades():
    class Up(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONGSHORT, self.data.close - 105.0)

    result = execute_strategy(market([F, F, flat(110), flat(110)]), Up, {}, venue())
    assert result.positions[:, 0].tolist() == [0, -1, -1, 1]


def test_a_writer_writes():
    out = io.StringIO()
    cerebro = make_cerebro(RISE, venue())
    cerebro.addwriter(bt.WriterFile, csv=True, out=out)
    cerebro.addstrategy(Acts, acts={0: lambda s: s.buy(size=10)})
    cerebro.run()
    text = out.getvalue()
    assert text.count("2023-11-15 0") >= 4
    assert "Begin: 1000.0" in text
    assert "End: 1200.0" in text


# --- strategies that order at random


class Deaf(Wild):
    """One whose orders do not hang on when and in which order it hears of something."""

    def notify_order(self, order):
        pass


def lived(seed, strategy=Wild, **settings):
    """What a random strategy lived through on a random market at a random venue; None where it met a hole in the funding."""
    m, _, v = random_case(seed)
    cerebro = make_cerebro(m, v, **settings)
    cerebro.addstrategy(strategy, seed=seed, leverage=min(v.leverage, 20.0))
    try:
        (made,) = cerebro.run()
    except FundingHoleError:
        return None
    return m, v, made, cerebro.result()


def check_money(v, result, turnover):
    """Cash and every row of the ledger but the memo make the wallet; the equity is never below zero."""
    amounts = money_of(result)
    assert v.cash + amounts.sum() == pytest.approx(result.final_wallet, rel=1e-9, abs=1e-9 * (v.cash + turnover))
    assert np.isfinite(result.equity_values).all()
    assert (result.equity_values >= 0).all()


def money_of(result):
    return np.where(result.ledger_table.kind == KIND["slippage"], 0.0, result.ledger_table.amount)


def check_trades(v, result, turnover):
    """Each trade is the sum of its rows of the ledger."""
    t, rows = result.trades_table, result.ledger_table
    assert sorted(t.trade) == list(range(1, len(t) + 1))
    of_trade = {"pnl": None, "fees": ("fee", "liquidation_fee"), "funding": ("funding",), "slippage": ("slippage",)}
    paid = (rows.kind != KIND["slippage"]) & (rows.kind != KIND["insurance"])
    for name, kinds in of_trade.items():
        chosen = paid if kinds is None else np.isin(rows.kind, [KIND[k] for k in kinds])
        sums = np.bincount(rows.trade[chosen], rows.amount[chosen], minlength=len(t) + 1)
        assert getattr(t, name) == pytest.approx(sums[t.trade], rel=1e-9, abs=1e-9 * (v.cash + turnover)), name


def check_positions(m, v, strategy, result):
    """What the broker said at each bar is what the result has there, and at the end what the ledger has."""
    held = result.positions
    for bar, value, sizes in strategy.said:
        if bar >= m.start_bar:
            i = bar - m.start_bar
            assert sizes == tuple(held[i])
            assert value == result.equity_values[i] or (result.equity_values[i] == 0 and value < 1e-20)
    for j, data in enumerate(strategy.datas):
        at_end = held[-1, j]
        assert strategy.broker.getposition(data).size == at_end
        rows = result.ledger_table.symbol == j
        if rows.any() and v.maker and v.taker and v.liquidation_fee:  # else a fill may leave no row
            assert result.ledger_table.position[rows][-1] == at_end


def check_orders(m, strategy, result):
    """Every order comes to an end: filled, cancelled, or with one row in the rejections that says why."""
    refused = result.rejections_table.to_frame()
    assert refused.row.is_unique
    for order in strategy.sent:
        assert not order.alive(), order.getstatusname()
    entered = Counter(refused[refused.kind == "enter"].reason)
    ends = Counter(order.getstatusname() for order in strategy.sent)
    for status, reasons in ENDS.items():
        assert sum(entered[reason] for reason in reasons) == ends[status], status
    assert entered["cancelled"] <= ends["Canceled"]  # a partner of what filled or failed has no row of its own
    if (result.trades_table.to_frame().reason == "liquidation").sum() > len(strategy.forced):
        return  # one in a halt at the end, which no bar tells of any more
    orders = [*strategy.sent, *strategy.forced]
    for j, data in enumerate(strategy.datas):
        sizes = [o.executed.size for o in orders if o.data is data]
        assert sum(sizes) == pytest.approx(result.positions[-1, j], abs=1e-6)


def check_what_was_heard(strategy):
    """Each order is heard of in the order of its life, once a status, but for parts and for what came after the last bar."""
    heard = defaultdict(list)
    for ref, status in strategy.heard:
        heard[ref].append(status)
    for order in strategy.sent:
        mine = heard[order.ref]
        assert mine in [life[:k] for life in LIVES for k in range(len(life) + 1)], mine


def check_trades_heard(v, strategy, result, turnover):
    """What backtrader counts of each closed trade is the trade's of the result, but for its funding."""
    if (result.ledger_table.kind == KIND["insurance"]).any():
        return
    t = result.trades_table
    for j, data in enumerate(strategy.datas):
        mine = [trade for trade in strategy.closed if trade.data is data]
        ours = np.flatnonzero((t.symbol == j) & (t.exit_bar >= 0))
        ours = ours[np.argsort(t.trade[ours])][: len(mine)]
        assert len(ours) == len(mine)
        close = {"rel": 1e-9, "abs": 1e-9 * (v.cash + turnover)}
        assert [trade.size for trade in mine] == [0] * len(mine)
        assert [trade.commission for trade in mine] == pytest.approx(list(-t.fees[ours]), **close)
        assert [trade.pnlcomm for trade in mine] == pytest.approx(list((t.pnl - t.funding)[ours]), **close)


def check_life(life):
    m, v, strategy, result = life
    turnover = float(np.nansum(np.abs(result.trades_table.quantity * result.trades_table.entry_price)))
    check_money(v, result, turnover)
    check_trades(v, result, turnover)
    check_positions(m, v, strategy, result)
    check_orders(m, strategy, result)
    check_what_was_heard(strategy)
    check_trades_heard(v, strategy, result, turnover)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(4620)  # liquidated in a halt that lasts to the end
def test_whatever_a_strategy_orders_the_books_are_right(seed):
    life = lived(seed)
    if life is not None:
        check_life(life)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_same_orders_come_to_the_same_bytes(seed):
    first, second = lived(seed), lived(seed)
    if first is None or second is None:
        assert first is second
    else:
        assert bytes_of(first[3]) == bytes_of(second[3])
