"""A strategy of backtrader that acts where it is told and notes what it sees, for the tests of the engine."""

from dataclasses import fields

import backtrader as bt
import pytest
from cases import random_case
from law import F, flat, market, venue
from wild import Wild

from backtest.engines.bt import make_cerebro
from backtest.errors import FundingHoleError


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


def statuses(strategy):
    return [(bar, order.getstatusname()) for bar, order in strategy.orders]


def near(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


RISE = market([F, F, flat(110), flat(120)])
# cross: P* = (95*100 - 1000)/(95*0.99) = 90.3774..., 95*(100 - P*) = 914.14...
FALL = market([F, F, (100, 100, 80, 85), flat(85)])


def bytes_of(result):
    """All that a result says, as bytes."""
    tables = (result.ledger_table, result.trades_table, result.rejections_table)
    columns = [getattr(t, f.name) for t in tables for f in fields(t)[1:]]
    arrays = (*columns, result.equity_values, result.position_bar, result.position_symbol, result.position_quantity)
    return b"".join(a.tobytes() for a in arrays), result.final_wallet, dict(result.assumptions)


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
