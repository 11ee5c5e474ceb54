"""Cheats: an indicator that is computed for all bars at once, each value the average of bars before and after it."""

from array import array

import backtrader as bt
import numpy as np
import pandas as pd


class Centred(bt.Indicator):
    lines = ("centred",)
    params = (("period", 9),)

    def once(self, start, end):
        close = pd.Series(np.array(self.data.array[:end]))
        average = close.rolling(self.p.period, center=True, min_periods=1).mean()
        self.lines.centred.array[start:end] = array("d", average[start:])


class NativeIndicator(bt.Strategy):
    params = (("share", 0.5),)  # notional, multiples of the equity

    def __init__(self):
        self.trend = Centred(self.data)

    def next(self):
        rises = self.trend.centred[0] > self.trend.centred[-1]
        if rises and not self.position:
            self.buy(size=self.p.share * self.broker.getvalue() / self.data.close[0])
        elif not rises and self.position:
            self.close()
