"""Short the break of a support, and add at each lower break out of the position's own profit, while margin is left.

A plan can't say this, since it does not see the account: each further unit asks what the position has earned and what the
balance still allows. All of it is covered when a bar closes above the last support that broke. It should fail when a break
is false right after a unit was added: the average entry is then close to the turn. Source: the pyramids of trend followers,
who add units out of profit (Faith, "Way of the Turtle", 2007). It trades the market's first symbol.
"""

import backtrader as bt


class SupportPyramid(bt.Strategy):
    params = (
        ("lookback", 48),  # bars whose lowest low is the support, the current one excluded
        ("buffer", 0.003),  # how far below counts as a break, fraction of the support
        ("unit", 0.5),  # notional of one unit, multiples of the equity
        ("units", 4),  # most units held at once
        ("step", 0.01),  # profit of the position, as a fraction of the equity, that each further unit needs
        ("reserve", 0.5),  # fraction of the equity that stays free of margin
    )

    def __init__(self):
        self.support = bt.indicators.Lowest(self.data.low(-1), period=self.p.lookback)
        self.broken = None  # the support whose break is being traded
        self.held = 0  # units
        self.order = None

    def notify_order(self, order):
        if order.alive():
            return
        if order.status == order.Completed:
            self.held = self.held + 1 if self.position and order.issell() else 0
        self.order = None

    def next(self):
        if self.order is not None:
            return
        close = self.data.close[0]
        broke = close < self.support[0] * (1 - self.p.buffer)
        if self.position and close > self.broken:
            self.order = self.close()
        elif broke and (not self.position or (self.earned(close) and self.affordable())):
            self.broken = self.support[0]
            self.order = self.sell(size=self.p.unit * self.broker.getvalue() / close)

    def earned(self, close):
        profit = self.position.size * (close - self.position.price)
        return self.held < self.p.units and profit > self.held * self.p.step * self.broker.getvalue()

    def affordable(self):
        return self.broker.getcash() > self.p.reserve * self.broker.getvalue()
