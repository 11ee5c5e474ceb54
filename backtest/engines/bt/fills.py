"""What happens to account and order when an order fills: it reduces what is held against it, and enters with the rest."""

import math

from backtest.engines.bt.account import HELD, Position
from backtest.engines.bt.orders import OrderBook
from backtest.engines.bt.tickets import Ticket

__all__ = ["ROUNDING", "Fills"]

ROUNDING = (
    1e-12  # relative: a size that was read off the position is the position, whatever the lot does to its last digits
)


class Fills(OrderBook):
    """Orders that fill, at prices that were found elsewhere."""

    def reduces(self, t: Ticket) -> bool:
        """Whether it is against what is held."""
        p = self.account.positions.get(t.j)
        return p is not None and p.side != t.side

    def deal(self, t: Ticket, price: float, fill: float, fee_rate: float, how: str, rested: bool = False) -> None:
        """Fill an order: it reduces what is held against it, and enters with the rest."""
        if not t.alive:
            return
        p = self.account.positions.get(t.j)
        if p is not None and p.side != t.side:
            self.reduce(t, p, price, fill, fee_rate, how, rested)
        elif t.reduce_only:
            self.end(t, "cancelled" if t.parent is not None else "no_position", noted=t.parent is None)
        else:
            self.enter(t, price, fill, fee_rate, how, rested)

    def reduce(
        self, t: Ticket, p: Position, price: float, fill: float, fee_rate: float, how: str, rested: bool
    ) -> None:
        account = self.account
        whole = t.quantity >= p.quantity * (1 - ROUNDING)
        quantity = p.quantity if whole else self.floored(t.j, t.quantity)
        rest = self.floored(t.j, t.quantity - p.quantity) if whole and not t.reduce_only else 0.0
        if not whole and (quantity <= 0 or quantity * fill < account.minimums[t.j]):
            self.end(t, "below_minimum")
            return
        t.order.executed.remsize = t.side * (quantity + rest)
        reason = "reverse" if rest else t.exit_reason
        account.reduce(p, quantity, fill, price, fee_rate, t.order, reason)
        if not t.order.executed.size:  # filled beyond the bankruptcy price: the venue was first
            self.liquidated([t.j])
        elif rest:
            t.quantity = rest
            self.broker.announce(t.order)
            self.enter(t, price, fill, fee_rate, how, rested)
        else:
            self.complete(t, how)
        if t.j not in account.positions:
            self.cancel_brackets(t.j)

    def floored(self, j: int, quantity: float) -> float:
        """A quantity in whole lots."""
        lot = self.account.lots[j]
        return math.floor(quantity / lot + 1e-9) * lot

    def enter(self, t: Ticket, price: float, fill: float, fee_rate: float, how: str, rested: bool) -> None:
        account = self.account
        quantity = self.floored(t.j, t.quantity)
        p = account.positions.get(t.j)
        fee = fee_rate * quantity * fill
        refused = "ruined" if account.ruined else account.refusal(
            t.j, t.side, quantity, fill, fee, how, may_liquidate=not rested, held=p
        )  # fmt: skip
        if refused:
            self.end(t, refused)
            return
        t.order.executed.remsize = t.side * quantity
        if p is None:
            account.open(t.j, t.side, quantity, fill, price, fee_rate, how, t.order)
        else:
            account.add(p, quantity, fill, price, fee_rate, t.order)
        self.complete(t, "" if how == HELD else how)

    def liquidated(self, symbols: list[int]) -> None:
        """Orders that are gone with a liquidation."""
        if symbols and not self.account.isolated:
            self.cancel_everything()
        for j in symbols:
            self.cancel_symbol(j)
