"""What backtrader asks of a contract: its fee, the margin it takes, and how many units a sum of money buys."""

import math

import backtrader as bt

__all__ = ["PerpetualCommission"]


class PerpetualCommission(bt.CommInfoBase):
    """A linear perpetual contract: sizes in base units by the lot, values as signed notionals, fees on the notional.

    It serves sizers, `order_target_value`, `order_target_percent`, trades and analyzers; the broker books by its own account.
    """

    params = (
        ("lot", 1.0),
        ("commission", 0.0),
        ("leverage", 1.0),
        ("percabs", True),
        ("commtype", bt.CommInfoBase.COMM_PERC),
    )

    def getsize(self, price: float, cash: float) -> float:
        """The size of a notional of `cash`, floored to the lot (backtrader's own would floor to whole coins)."""
        return math.floor(cash / price / self.p.lot + 1e-9) * self.p.lot

    def getvaluesize(self, size: float, price: float) -> float:
        """The signed notional."""
        return size * price

    def getvalue(self, position: bt.Position, price: float) -> float:
        """The signed notional of a position."""
        return position.size * price

    def getoperationcost(self, size: float, price: float) -> float:
        """The initial margin that opening the size takes."""
        return abs(size) * price / self.p.leverage

    def get_margin(self, price: float) -> float:
        """The initial margin of one unit."""
        return price / self.p.leverage

    def cashadjust(self, size: float, price: float, newprice: float) -> float:
        """Nothing: gains stay unrealised until they are closed."""
        return 0.0
