"""The life of orders at the venue: sent, accepted, cancelled, expired, refused; brackets and one-cancels-other groups."""

import math
from datetime import timedelta
from typing import Any

import backtrader as bt

from backtest.engines.bt.account import Account
from backtest.engines.bt.feeds import day_number_of
from backtest.engines.bt.tickets import Ticket, check_numbers

__all__ = ["OrderBook"]

MARGIN = ("insufficient_margin", "leverage_above_tier", "would_liquidate", "ruined")


class OrderBook:
    """Every order that waits, in the order of submission, and what becomes of them but for their fills.

    rejections: (number, bar, symbol, kind, time, reason); added: how a position was last added to inside the bar being walked.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.venue = account.venue
        self.waiting: list[Ticket] = []
        self.fresh: list[Ticket] = []
        self.tickets: dict[int, Ticket] = {}
        self.rejections: list[tuple[int, int, int, int, int, str]] = []
        self.numbers = 0
        self.added: dict[int, str] = {}
        self.broker: Any = None

    def connect(self, broker: Any) -> None:
        """Take the broker that hears of each status, and knows the bar that a strategy decides in."""
        self.broker = broker

    # --- what a strategy asks

    def submit(self, order: bt.Order, j: int) -> None:
        """Take an order; a bracket goes out together, with its last part (`transmit`)."""
        check_numbers(order)
        parent = self.tickets.get(order.parent.ref) if order.parent is not None else None
        ticket = Ticket(order, j, self.numbers, self.broker.bar, parent)
        self.numbers += 1
        self.tickets[order.ref] = ticket
        ticket.valid = self.validity(order)
        partner = self.tickets.get(order.oco.ref) if order.oco is not None else None
        if partner is not None:
            ticket.join(partner)
        if order.transmit:
            for member in list(ticket.family):
                if not member.sent:
                    self.send(member)
        elif self.too_early():
            self.send(ticket)

    def send(self, ticket: Ticket) -> None:
        ticket.sent = True
        ticket.order.submit(self.broker)
        self.broker.announce(ticket.order)
        if self.too_early():
            self.end(ticket, "not_trading")
        elif not ticket.alive or any(not t.alive and not t.order.executed.size for t in ticket.group):
            self.end(ticket, "cancelled", noted=False)
        else:
            ticket.sleeping = ticket.parent is not None and ticket.parent.alive
            self.fresh.append(ticket)

    def too_early(self) -> bool:
        """The order would act before the part of the market that is traded."""
        return bool(self.broker.bar + 1 < self.broker.start_bar)

    def validity(self, order: bt.Order) -> float:
        """The last open at which it may act, as backtrader's days; a day order lives for the UTC day of its first open."""
        asked = order.p.valid
        if asked is None:
            return math.inf
        if (isinstance(asked, timedelta) and not asked) or (isinstance(asked, int | float) and not asked):
            return math.floor(day_number_of(self.broker.next_open())) + 1 - 1e-9
        return float(order.valid)

    def cancel(self, order: bt.Order) -> bool:
        """Cancel an order before the next open; one that is done stays as it is."""
        ticket = self.tickets.get(order.ref)
        if ticket is None or not ticket.alive:
            return False
        self.end(ticket, "cancelled")
        return True

    def nothing_to_close(self, j: int) -> None:
        """Take note of a close where nothing is held; a venue answers it with a refusal."""
        self.refuse_row(self.numbers, self.broker.bar, j, 1, "no_position")
        self.numbers += 1

    def resting(self) -> list[bt.Order]:
        """The orders that wait."""
        return [t.order for t in (*self.waiting, *self.fresh) if t.alive]

    # --- what becomes of orders

    def accept(self) -> None:
        """Accept what was sent since the last bar; what waited before has rested."""
        waiting = []
        for ticket in self.waiting:
            if ticket.alive:
                ticket.rested = not ticket.sleeping
                ticket.held_back = False
                ticket.since = ""
                waiting.append(ticket)
        for ticket in self.fresh:
            if ticket.alive:
                ticket.order.accept(self.broker)
                self.broker.announce(ticket.order)
                waiting.append(ticket)
        self.waiting = waiting
        self.fresh = []

    def expire(self) -> None:
        """End the orders whose time is over at this open."""
        if any(t.valid != math.inf for t in self.waiting):
            now = day_number_of(self.account.seg.time)
            for ticket in list(self.waiting):
                if ticket.alive and now > ticket.valid and ticket.kind != bt.Order.Market:
                    self.end(ticket, "expired")

    def complete(self, ticket: Ticket, how: str) -> None:
        """The order is filled: its partners are gone, its children are in force at once."""
        ticket.alive = False
        ticket.order.completed()
        self.broker.announce(ticket.order)
        self.cancel_partners(ticket)
        if ticket.parent is None:
            for child in ticket.family:
                if child is not ticket and child.alive:
                    child.sleeping = False
                    child.since = how

    def end(self, ticket: Ticket, reason: str, noted: bool = True) -> None:
        """The order comes to nothing, or to no more; what depends on it goes with it.

        noted: it is a row of the rejections; not so a partner of what filled or failed, whose own row says why.
        """
        if not ticket.alive:
            return
        ticket.alive = False
        order = ticket.order
        if reason == "cancelled":
            order.cancel()
        elif reason == "expired":
            order.status = bt.Order.Expired
        elif reason in MARGIN:
            order.margin()
        else:
            order.reject(self.broker)
        self.broker.announce(order)
        if noted:
            self.refuse_row(ticket.number, ticket.bar, ticket.j, 0, reason)
        self.cancel_partners(ticket)
        if ticket.parent is None and not order.executed.size:
            for child in ticket.family:
                self.end(child, "cancelled", noted=False)

    def refuse_row(self, number: int, bar: int, j: int, kind: int, reason: str) -> None:
        self.rejections.append((number, bar, j, kind, self.broker.time_now(), reason))

    def cancel_partners(self, ticket: Ticket) -> None:
        for partner in list(ticket.group):
            if partner is not ticket:
                self.end(partner, "cancelled", noted=False)

    def cancel_symbol(self, j: int) -> None:
        """After a liquidation nothing is left to wait for."""
        for ticket in (*self.waiting, *self.fresh):
            if ticket.j == j:
                self.end(ticket, "cancelled", noted=ticket.parent is None)

    def cancel_everything(self) -> None:
        """After the account's liquidation."""
        for ticket in (*self.waiting, *self.fresh):
            self.end(ticket, "cancelled", noted=ticket.parent is None)

    def cancel_brackets(self, j: int) -> None:
        """With nothing held, a take-profit or stop-loss has nothing to close."""
        for ticket in self.waiting:
            if ticket.j == j and ticket.parent is not None and ticket.awake:
                self.end(ticket, "cancelled", noted=False)
