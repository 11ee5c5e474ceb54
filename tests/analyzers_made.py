"""Runs with backtrader's analyzers and observers, for their tests."""

import math

import backtrader as bt
import numpy as np
from law import market, venue

from backtest.analysis import metrics
from backtest.engines.bt import make_cerebro

DAILY = {"timeframe": bt.TimeFrame.Days, "compression": 1}
HOURLY = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}


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


def by_day(result):
    """The return of each UTC day, the first one from the cash."""
    return metrics.returns(result.equity.groupby(lambda time: time.date()).last(), result.venue.cash)


def line(observer, name):
    values = getattr(observer.lines, name)
    return np.array(values.get(size=len(values)))


def observer_of(strategy, name):
    """The last one added: the first Broker is the one that comes with the Cerebro."""
    return [o for o in strategy.observers if type(o).__name__ == name][-1]


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


def hours(*analyzers, **more):
    return play(HOURS, COSTS, turns(120, 7, 12.0), *analyzers, **more)
