"""Orders, trades and liquidations as a strategy of backtrader is told of them."""

import backtrader as bt
import pytest
from backtrader_acts import FALL, RISE, near, play, statuses
from law import F, flat, instrument, market, venue

from backtest.engines.bt import make_cerebro
from backtest.engines.bt.feeds import make_feeds
from backtest.model import Instrument

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
