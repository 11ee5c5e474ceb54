"""What an account holds, and what it tells of each fill."""

from typing import Any, NamedTuple

__all__ = ["HELD", "LIMIT", "TRIGGER", "Fill", "Piece", "Position", "Standing"]

HELD, LIMIT, TRIGGER = "held", "limit", "trigger"


class Position:
    """One open trade in one symbol.

    j: the market's column; side: +1 long, -1 short; quantity: base units; entry: average price, as filled; margin: what is
    posted (isolated); trade: id from 1; first: its first price in the bar (or finer bar) being walked, the open or the
    unslipped price of its entry there; how: held since that open, or entered inside by a limit or a trigger; fresh: entered in
    that bar; largest: quantity; pnl, fees, funding, slippage: sums of its ledger rows, pnl without fees and funding.
    """

    __slots__ = (
        *("j", "side", "quantity", "entry", "margin", "trade", "entry_bar", "entry_time", "first", "how", "fresh"),
        *("largest", "pnl", "fees", "funding", "slippage", "star", "star_version"),
    )

    def __init__(self, j: int, side: int, quantity: float, entry: float) -> None:
        self.j, self.side, self.quantity, self.entry = j, side, quantity, entry
        self.largest = quantity
        self.margin = self.pnl = self.fees = self.funding = self.slippage = 0.0
        self.trade = self.entry_bar = self.entry_time = 0
        self.first = entry
        self.how = HELD
        self.fresh = True
        self.star = 0.0
        self.star_version = -1

    @property
    def signed(self) -> float:
        """The quantity with the sign of the side."""
        return self.side * self.quantity

    def gain(self, price: float) -> float:
        """The unrealised PnL at a price."""
        return self.side * self.quantity * (price - self.entry)


class Fill(NamedTuple):
    """A change of a position, as it is booked.

    quantity: signed change; unslipped: the price before slippage; fee: money paid, negative for a rebate; closed, opened: the
    signed parts that reduced and that opened; pnl: realised by the closed part, before fees; reason: of the exit, "" for an
    opening; tag: what the order's desk handed in, None for brackets and forced closes; opened_margin: initial margin taken.
    """

    j: int
    time: int
    quantity: float
    price: float
    unslipped: float
    fee: float
    fee_rate: float
    closed: float
    opened: float
    pnl: float
    size_before: float
    price_before: float
    size_after: float
    price_after: float
    reason: str
    tag: Any
    opened_margin: float


class Piece(NamedTuple):
    """A part of a position and the price at which it counts: the mark's extreme, or the slipped fill of a stop."""

    quantity: float
    price: float
    unslipped: float
    fee_rate: float
    from_stop: bool


class Standing(NamedTuple):
    """A position as the account is judged: its pieces make up its quantity."""

    position: Position
    pieces: list[Piece]
