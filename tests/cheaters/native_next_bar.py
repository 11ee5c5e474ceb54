"""Cheats: backtrader keeps the whole series in memory, and an index above 0 is a bar that has not been."""

import backtrader as bt


class NativeNextBar(bt.Strategy):
    params = (("share", 0.5),)  # notional, multiples of the equity

    def next(self):
        if len(self.data) >= self.data.buflen():
            return
        falls = self.data.close[1] < self.data.close[0] * 0.995
        if falls and not self.position:
            self.sell(size=self.p.share * self.broker.getvalue() / self.data.close[0])
        elif not falls and self.position:
            self.close()
