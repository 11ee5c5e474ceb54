"""How a backtrader strategy's orders fill: at the open, inside the bar, and at the close."""

import math
from collections.abc import Iterator

import backtrader as bt

from backtest.engines.bt.account import HELD, LIMIT, TRIGGER, Piece, Position, Standing
from backtest.engines.bt.cross import forced_closes
from backtest.engines.bt.fills import ROUNDING, Fills
from backtest.engines.bt.tickets import Ticket

__all__ = ["OrderDesk"]

Market, Close = bt.Order.Market, bt.Order.Close
LIQUIDATION = "liquidation"
WORST, BEST = "worst", "best"


class OrderDesk(Fills):
    """Reads the orders of a strategy against each bar's prices, in the order of events of the accounting law."""

    # --- at the open

    def idle(self) -> bool:
        """Nothing waits."""
        return not self.waiting and not self.fresh

    def at_open(self, first: bool) -> None:
        """Market orders in the order of submission, then whatever waits and the open has passed."""
        self.accept()
        if first:
            self.expire()
        for ticket in list(self.waiting):
            if ticket.awake and ticket.kind == Market:
                self.market_order(ticket)
        while self.sweep():
            pass

    def market_order(self, t: Ticket) -> None:
        if self.account.halted(t.j):
            if not self.reduces(t):
                self.end(t, "not_trading")
            return
        price = self.account.seg.opens[t.j][self.account.seg.k]
        self.deal(t, price, self.account.slipped(price, t.side), self.account.taker, HELD)

    def sweep(self) -> bool:
        """Fill the waiting orders that the open has passed, once through; whether there was one."""
        found = False
        for ticket in list(self.waiting):
            if ticket.awake and ticket.kind not in (Market, Close) and not self.account.halted(ticket.j):
                price = self.account.seg.opens[ticket.j][self.account.seg.k]
                if self.passed(ticket, price):
                    found = True
                    self.take_open(ticket, price)
        return found

    def passed(self, t: Ticket, price: float) -> bool:
        """Whether the open has passed an order; a limit that rested must be traded through."""
        if t.is_stop:
            return t.stop > 0 and t.side * (price - t.stop) >= 0
        if t.is_limit:
            beyond = t.side * (t.limit - price)
            return beyond > 0 or (beyond == 0 and not t.rested)
        return False

    def take_open(self, t: Ticket, price: float) -> None:
        account = self.account
        if t.is_stop and t.is_stop_limit:
            t.reached, t.rested = True, False
        elif t.is_stop:
            self.deal(t, price, account.slipped(price, t.side), account.taker, HELD)
        elif t.rested:
            self.deal(t, t.limit, t.limit, account.maker, HELD, rested=True)
            self.margin_after_gap(t.j)
        else:
            slipped = account.slipped(price, t.side)
            self.deal(t, price, min(slipped, t.limit) if t.side > 0 else max(slipped, t.limit), account.taker, HELD)

    def margin_after_gap(self, j: int) -> None:
        """A limit that rested and filled through a gap may have opened what the open liquidates at once."""
        account = self.account
        p = account.positions.get(j)
        if p is None:
            return
        gone = ([j] if account.margin_at_open_of(p) else []) if account.isolated else account.account_at_open()
        self.liquidated(gone)

    # --- inside the bar

    def inside(self) -> None:
        """Adverse events, then entries, then favourable ones; under "best" the favourable ones first."""
        rule = self.account.rule
        self.added.clear()
        for ticket in self.waiting:
            if ticket.awake:
                ticket.rested = True
        unclear = {p.j for p in self.account.positions.values() if self.is_ambiguous(p)}
        if rule == BEST:
            self.favourable(rule)
        self.adverse(rule)
        for ticket in list(self.waiting):
            if self.is_entry(ticket) and self.enter_inside(ticket):
                p = self.account.positions.get(ticket.j)
                if p is not None and self.is_ambiguous(p):
                    unclear.add(ticket.j)
                if rule == BEST:
                    self.favourable(rule, ticket.j)
                self.adverse(rule)
        if rule == WORST:
            self.favourable(rule)
        self.account.counts["ambiguous_bars"] += len(unclear)

    def is_entry(self, t: Ticket) -> bool:
        """It adds to what is held, or opens (where it is only to reduce, it finds nothing to)."""
        return t.awake and not self.reduces(t) and not self.account.halted(t.j)

    def enter_inside(self, t: Ticket) -> bool:
        """Fill an entry that the bar reaches; whether it did."""
        account = self.account
        favourable, adverse = account.extremes(t.j, t.side)
        if t.is_limit and t.side * (t.limit - adverse) > 0:
            return self.entered(t, t.limit, t.limit, account.maker, LIMIT, rested=True)
        if not t.is_stop or not t.stop > 0 or t.side * (favourable - t.stop) < 0:
            return False
        if t.is_stop_limit:
            t.reached = t.held_back = True
            if not self.closes_beyond(t.j, -t.side, t.limit):
                return False
            return self.entered(t, t.limit, t.limit, account.maker, LIMIT, rested=True)
        return self.entered(t, t.stop, account.slipped(t.stop, t.side), account.taker, TRIGGER)

    def entered(self, t: Ticket, price: float, fill: float, fee_rate: float, how: str, rested: bool = False) -> bool:
        before = self.held_quantity(t)
        self.deal(t, price, fill, fee_rate, how, rested)
        p = self.account.positions.get(t.j)
        added = self.held_quantity(t) - before
        if p is None or added <= 0:
            return False
        self.account.pay_inside(p, added)
        self.added[t.j] = how
        return True

    def held_quantity(self, t: Ticket) -> float:
        p = self.account.positions.get(t.j)
        return p.quantity if p is not None and p.side == t.side else 0.0

    def closes_beyond(self, j: int, side: int, price: float) -> bool:
        """Whether the close lies strictly beyond a price on a side."""
        return side * (self.account.seg.closes[j][self.account.seg.k] - price) > 0

    # --- favourable events

    def favourable(self, rule: str, j: int | None = None) -> None:
        """Limits against what is held, the nearer to its first price first."""
        for p in list(self.account.positions.values()):
            if j is None or p.j == j:
                for ticket in self.targets(p, rule):
                    if ticket.awake and self.reduces(ticket):
                        self.deal(ticket, ticket.limit, ticket.limit, self.account.maker, LIMIT, rested=True)

    def targets(self, p: Position, rule: str) -> list[Ticket]:
        """The limits against a position that are traded through, as far as the rule lets them."""
        if self.account.halted(p.j):
            return []
        favourable, _ = self.account.extremes(p.j, p.side)
        found = [
            t for t in self.against(p)
            if t.is_limit and p.side * (favourable - t.limit) > 0 and (rule == BEST or self.target_certain(t, p))
        ]  # fmt: skip
        return sorted(found, key=lambda t: abs(t.limit - p.first))

    def target_certain(self, t: Ticket, p: Position) -> bool:
        return (t.since or p.how) != LIMIT or self.closes_beyond(p.j, p.side, t.limit)

    def against(self, p: Position) -> Iterator[Ticket]:
        return (t for t in self.waiting if t.j == p.j and t.side != p.side and t.awake)

    # --- adverse events

    def adverse(self, rule: str) -> None:
        """Stops against what is held, and liquidation; the nearer first."""
        if self.account.isolated:
            for p in list(self.account.positions.values()):
                self.adverse_isolated(p, rule)
        elif self.account.positions:
            self.adverse_cross(rule)

    def adverse_isolated(self, p: Position, rule: str) -> None:
        account = self.account
        while account.positions.get(p.j) is p:
            stop = next(iter(self.stops(p, rule)), None)
            if self.liquidates(p, rule) and (stop is None or self.nearer(p, stop)):
                account.liquidate(p)
                self.liquidated([p.j])
            elif stop is not None:
                self.fire(stop, p)
            else:
                return

    def liquidates(self, p: Position, rule: str) -> bool:
        """Isolated: whether the mark reaches the liquidation price, with certainty where the rule asks for it."""
        account = self.account
        star = account.liquidation_price(p)
        if star <= 0 or p.side * (account.adverse_mark(p) - star) > 0:
            return False
        return rule == WORST or self.how_of(p) != TRIGGER or p.side * (account.mark_close(p.j) - star) < 0

    def nearer(self, p: Position, stop: Ticket) -> bool:
        """Whether the liquidation price is as near to the first price as a stop."""
        return abs(p.first - self.account.liquidation_price(p)) <= abs(p.first - stop.stop)

    def stops(self, p: Position, rule: str) -> list[Ticket]:
        """The stops against a position that the bar reaches, the nearer to its first price first."""
        if self.account.halted(p.j):
            return []
        _, adverse = self.account.extremes(p.j, p.side)
        found = [
            t for t in self.against(p)
            if t.is_stop and t.stop > 0 and p.side * (adverse - t.stop) <= 0 and (rule == WORST or self.stop_certain(t, p))
        ]  # fmt: skip
        return sorted(found, key=lambda t: abs(t.stop - p.first))

    def stop_certain(self, t: Ticket, p: Position) -> bool:
        return (t.since or p.how) != TRIGGER or self.closes_beyond(p.j, -p.side, t.stop)

    def fire(self, t: Ticket, p: Position) -> None:
        """A stop is reached: it sells (buys) at the worse of its price and the position's first price."""
        account = self.account
        if not t.is_stop_limit:
            price = self.stop_price(t, p)
            self.deal(t, price, account.slipped(price, t.side), account.taker, TRIGGER)
            return
        t.reached = t.held_back = True
        if self.closes_beyond(p.j, p.side, t.limit):
            self.deal(t, t.limit, t.limit, account.maker, LIMIT, rested=True)

    def adverse_cross(self, rule: str) -> None:
        """The account as a whole at its adverse prices; where it holds, the stops, symbol by symbol."""
        account = self.account
        self.fire_parts(rule)
        standings = [self.standing(p, rule) for p in account.positions.values()]
        if standings and account.cross_breach(standings):
            if len(standings) > 1:
                account.counts["cross_extremes_coincide"] += 1
            account.liquidate_account(forced_closes(account, standings, account.wallet))
            self.cancel_everything()
            return
        for p in list(account.positions.values()):
            for ticket in self.stops(p, rule):
                if ticket.awake and account.positions.get(p.j) is p:
                    self.fire(ticket, p)

    def fire_parts(self, rule: str) -> None:
        """Stops for a part of a position come first, while the account holds at their prices: what they sell needs no margin."""
        for p in list(self.account.positions.values()):
            while (stop := next(iter(self.stops(p, rule)), None)) is not None and not self.covers(stop, p):
                price = self.stop_price(stop, p)
                others = [self.standing(q, rule) for q in self.account.positions.values() if q is not p]
                if self.account.cross_breach([*others, Standing(p, [Piece(p.quantity, price, price, 0.0, False)])]):
                    break
                self.fire(stop, p)

    def covers(self, stop: Ticket, p: Position) -> bool:
        """Whether a stop takes the whole position."""
        return stop.quantity >= p.quantity * (1 - ROUNDING)

    def stop_price(self, stop: Ticket, p: Position) -> float:
        """The worse of a stop and the position's first price."""
        return min(stop.stop, p.first) if p.side > 0 else max(stop.stop, p.first)

    def standing(self, p: Position, rule: str) -> Standing:
        """What a position counts at: the fill of the stop that takes it where that is reached, else the mark's extreme."""
        account = self.account
        stop = next(iter(self.stops(p, rule)), None)
        if stop is not None and not stop.is_stop_limit and self.covers(stop, p):
            price = self.stop_price(stop, p)
            return Standing(p, [Piece(p.quantity, account.slipped(price, stop.side), price, account.taker, True)])
        price = account.adverse_mark(p)
        if rule == BEST and self.how_of(p) == TRIGGER:
            close = account.mark_close(p.j)
            price = min(p.entry, close) if p.side > 0 else max(p.entry, close)
        return Standing(p, [Piece(p.quantity, price, price, 0.0, False)])

    def how_of(self, p: Position) -> str:
        """How the latest part of a position was entered inside the bar."""
        return self.added.get(p.j, p.how)

    def is_ambiguous(self, p: Position) -> bool:
        """Whether the two rules give a position another first event."""
        return self.first_event(p, WORST) != self.first_event(p, BEST)

    def first_event(self, p: Position, rule: str) -> tuple[str, float] | None:
        target = next(((t.exit_reason, t.limit) for t in self.targets(p, rule)), None)
        stop = next(iter(self.stops(p, rule)), None)
        account = self.account
        if account.isolated:
            forced = self.liquidates(p, rule) and (stop is None or self.nearer(p, stop))
        else:
            forced = account.cross_breach([self.standing(q, rule) for q in account.positions.values()])
        adverse = (LIQUIDATION, 0.0) if forced else (stop.exit_reason, stop.stop) if stop is not None else None
        return (target or adverse) if rule == BEST else (adverse or target)

    # --- at the close

    def at_close(self) -> None:
        """Orders at the close fill, and trailing stops move for the next bar."""
        account = self.account
        for ticket in [t for t in self.waiting if t.kind == Close or t.is_trail]:
            close = account.tape.columns.closes[ticket.j][account.seg.bar]
            if not ticket.awake:
                continue
            if ticket.kind == Close:
                self.close_order(ticket, close)
            elif ticket.is_stop and not math.isnan(close):
                ticket.order.trailadjust(close)
                ticket.read_prices()

    def close_order(self, t: Ticket, close: float) -> None:
        """An order at the close; without a price what would open is refused, and what reduces waits."""
        if not math.isnan(close):
            self.deal(t, close, self.account.slipped(close, t.side), self.account.taker, TRIGGER)
        elif not self.reduces(t):
            self.end(t, "not_trading")

    def finish(self) -> None:
        """The data end: nothing that waits will ever fill."""
        for ticket in (*self.waiting, *self.fresh):
            self.end(ticket, "end_of_data")
