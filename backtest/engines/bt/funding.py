"""Funding stamp by stamp: those due at an open, and those that fall inside a bar."""

from typing import TYPE_CHECKING

from backtest.engines.bt.position import Position
from backtest.engines.bt.tape import Stamps

if TYPE_CHECKING:
    from backtest.engines.bt.account import Account

__all__ = ["FundingClock"]


class FundingClock:
    """A hand that moves over the stamps, each of which it passes once.

    inside: the stamps strictly inside the bar being walked; receipts: stamp, position and quantity of what is to be credited
    at its end; met: the positions that such a stamp found.
    """

    __slots__ = ("account", "hand", "inside", "met", "receipts", "stamps")

    def __init__(self, account: "Account", stamps: Stamps) -> None:
        self.account = account
        self.stamps = stamps
        self.hand = 0
        self.inside = range(0)
        self.receipts: list[tuple[int, Position, float]] = []
        self.met: list[Position] = []

    def pass_open(self, time: int) -> None:
        """Settle what is due at an open, on what was carried into the bar; of nothing held, nothing."""
        times = self.stamps.times
        hand = self.hand
        if times[hand] > time:
            return
        held = self.account.positions
        while times[hand] <= time:
            p = held.get(self.stamps.symbols[hand]) if held else None
            if p is not None:
                self.account.fund(p, hand, p.quantity)
            hand += 1
        self.hand = hand

    def pass_inside(self, end: int) -> None:
        """Take payments of what is held at the stamps inside the bar; keep receipts for its end."""
        times = self.stamps.times
        hand = self.hand
        if times[hand] >= end:
            if self.inside:
                self.inside = range(0)
            return
        while times[hand] < end:
            hand += 1
        self.inside = range(self.hand, hand)
        self.hand = hand
        for n in self.inside:
            p = self.account.positions.get(self.stamps.symbols[n])
            if p is None:
                continue
            if p not in self.met:
                self.met.append(p)
            if p.side * self.stamps.rates[n] > 0:
                self.account.fund(p, n, p.quantity)
            else:
                self.receipts.append((n, p, p.quantity))

    def pay(self, p: Position, quantity: float) -> None:
        """Take the payments of a quantity entered inside the bar; whether it stood at a stamp, the bar cannot say."""
        for n in self.inside:
            if self.stamps.symbols[n] == p.j:
                self.account.count_once("funding_inside_bar", p.j)
                if p.side * self.stamps.rates[n] > 0:
                    self.account.fund(p, n, quantity)

    def credit(self) -> None:
        """Credit the receipts of positions that still stand; count those that met a stamp and have gone."""
        held = self.account.positions
        for n, p, quantity in self.receipts:
            if held.get(p.j) is p:
                self.account.fund(p, n, min(quantity, p.quantity))
        for p in self.met:
            if held.get(p.j) is not p:
                self.account.count_once("funding_inside_bar", p.j)
        self.receipts.clear()
        self.met.clear()
