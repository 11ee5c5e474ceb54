"""Buy when the RSI leaves the oversold zone, risk a fixed share of the equity on a stop of a few ATRs, take twice that.

It should fail in a cascade: oversold gets more oversold, and each rebound is sold into. RSI and ATR are those of the package
`ta`; the bars in which they are not warm yet, where `ta` may say 0.0, are never asked for. Source: RSI, its levels and the ATR
are Wilder's, "New Concepts in Technical Trading Systems", 1978. It trades the market's first symbol.
"""

from array import array

import backtrader as bt
import numpy as np
import pandas as pd
from ta.momentum import RSIIndicator
from ta.volatility import AverageTrueRange


class Technical(bt.Indicator):
    """RSI and ATR of `ta`, for all bars at once; each value looks back only."""

    lines = ("rsi", "atr")
    params = (("period", 14),)

    def __init__(self):
        self.addminperiod(self.p.period + 1)

    def once(self, start, end):
        columns = (self.data.high, self.data.low, self.data.close)
        high, low, close = (pd.Series(np.array(line.array[:end])) for line in columns)
        rsi = RSIIndicator(close, self.p.period).rsi()
        atr = AverageTrueRange(high, low, close, self.p.period).average_true_range()
        self.lines.rsi.array[start:end] = array("d", rsi[start:])
        self.lines.atr.array[start:end] = array("d", atr[start:])


class RsiRebound(bt.Strategy):
    params = (
        ("period", 14),  # bars of RSI and ATR
        ("oversold", 30.0),  # RSI that must be left upwards
        ("risk", 0.01),  # fraction of the equity lost at the stop
        ("stop", 2.0),  # distance of the stop, ATRs
        ("reward", 2.0),  # distance of the target, multiples of the stop's
        ("most", 2.0),  # largest notional, multiples of the equity
    )

    def __init__(self):
        self.technical = Technical(self.data, period=self.p.period)
        self.orders = []

    def notify_order(self, order):
        self.orders = [o for o in self.orders if o.ref != order.ref or order.alive()]

    def next(self):
        rsi, close = self.technical.rsi, self.data.close[0]
        if self.position or self.orders or not rsi[-1] < self.p.oversold <= rsi[0]:
            return
        distance = self.p.stop * self.technical.atr[0]
        equity = self.broker.getvalue()
        size = min(self.p.risk * equity / distance, self.p.most * equity / close)
        self.orders = self.buy_bracket(
            size=size,
            exectype=bt.Order.Market,
            stopprice=close - distance,
            limitprice=close + self.p.reward * distance,
        )
