"""Be long while the fast moving average is above the slow one: the classic first strategy of backtrader's users.

It should fail when the price goes sideways: each crossing costs two fees, and the averages turn after the move. Source: the
crossing of moving averages as in Brock, Lakonishok and LeBaron, "Simple technical trading rules and the stochastic properties
of stock returns", Journal of Finance 47(5), 1992. It trades the market's first symbol.
"""

import backtrader as bt


class MaCross(bt.Strategy):
    params = (
        ("fast", 24),  # bars of the fast average
        ("slow", 96),  # bars of the slow average
        ("share", 0.95),  # of the equity, as a notional
    )

    def __init__(self):
        fast = bt.indicators.SMA(period=self.p.fast)
        slow = bt.indicators.SMA(period=self.p.slow)
        self.crossover = bt.indicators.CrossOver(fast, slow)

    def next(self):
        if not self.position:
            if self.crossover > 0:
                self.order_target_percent(target=self.p.share)
        elif self.crossover < 0:
            self.close()
