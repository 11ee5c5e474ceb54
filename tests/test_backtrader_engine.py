"""The broker as a strategy of backtrader sees it: cash, positions, sizes; and the ways of running it."""

import io

import backtrader as bt
import pytest
from backtrader_acts import FALL, RISE, Acts, bytes_of, lived, near, play, statuses
from cases import random_case
from law import F, at, flat, instrument, market, venue
from wild import Wild

from backtest.engines.bt import execute_strategy, make_cerebro
from backtest.model import Instrument, Venue


def filled(strategy):
    """(bar, size, price) of each completed order."""
    done = [(bar, o.executed) for bar, o in strategy.orders if o.status == bt.Order.Completed]
    return [(bar, e.size, e.price) for bar, e in done]


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
