"""How the entries of a plan come to a position: sizes, refusals, fills at the open and inside the bar."""

import math
from collections.abc import Callable

from backtest.engines.bt.account import HELD, LIMIT, TRIGGER, Account, Position
from backtest.engines.bt.plan_rows import Brackets, Entry, PlanRow

__all__ = ["Entries"]

LOT_TOLERANCE = 1e-9
Refuse = Callable[[PlanRow, str], None]


class Entries:
    """Fills entries and resizes of an account; `refuse` hears of each row that comes to nothing."""

    def __init__(self, account: Account, brackets: dict[int, Brackets], refuse: Refuse) -> None:
        self.account = account
        self.brackets = brackets
        self.refuse = refuse

    def fills_at_open(self, entry: Entry, rested: bool) -> bool:
        """Whether the open fills the entry; one that rested must be traded through, any other is passed at its price."""
        if not (entry.is_limit or entry.is_trigger):
            return True
        beyond = entry.side * (self.account.last_open(entry.j) - entry.price)
        if entry.is_trigger:
            return beyond >= 0
        return beyond < 0 if rested else beyond <= 0

    def at_open(self, entry: Entry, rested: bool) -> Position | None:
        """Fill an entry that the open fills; None where it is refused."""
        account, side = self.account, entry.side
        opened = account.last_open(entry.j)
        if entry.is_limit and rested:
            return self.fill(entry, entry.price, entry.price, account.maker, HELD, may_liquidate=False)
        if side * (opened - entry.stop) <= 0:
            self.refuse(entry.row, "stop_passed")
            return None
        if side * (opened - entry.target) > 0:
            self.refuse(entry.row, "target_passed")
            return None
        price = account.slipped(opened, side)
        if entry.is_limit:
            price = min(price, entry.price) if side > 0 else max(price, entry.price)
        return self.fill(entry, price, opened, account.taker, HELD)

    def inside(self, entry: Entry) -> Position | None:
        """Fill an entry that the bar reaches; None where it is refused."""
        account, price = self.account, entry.price
        if entry.is_limit:
            p = self.fill(entry, price, price, account.maker, LIMIT, may_liquidate=False)
        else:
            p = self.fill(entry, account.slipped(price, entry.side), price, account.taker, TRIGGER)
        if p is not None:
            account.pay_inside(p)
        return p

    def reached_inside(self, entry: Entry) -> bool:
        """Whether the bar trades through a limit, or touches a trigger."""
        favourable, adverse = self.account.extremes(entry.j, entry.side)
        if entry.is_limit:
            return entry.side * (adverse - entry.price) < 0
        return entry.side * (favourable - entry.price) >= 0

    def fill(
        self, entry: Entry, price: float, unslipped: float, fee_rate: float, how: str, *, may_liquidate: bool = True
    ) -> Position | None:
        """Open the position that an entry asks for, at a price; None where it is refused."""
        account, j = self.account, entry.j
        exposure = abs(entry.row.exposure)
        wanted = exposure * account.equity_now() / (price * (1 + exposure * fee_rate))
        quantity = in_lots(wanted, account.lots[j])
        fee = quantity * price * fee_rate
        reason = account.refusal(j, entry.side, quantity, price, fee, how, may_liquidate=may_liquidate)
        if reason is not None:
            self.refuse(entry.row, reason)
            return None
        p = account.open(j, entry.side, quantity, price, unslipped, fee_rate, how)
        self.brackets[j] = Brackets(entry, unslipped, account.seg.bar)
        return p

    # --- resizes

    def resize(self, row: PlanRow) -> None:
        """Trade a position to what a row wants, at the open."""
        account = self.account
        if account.halted(row.j):
            self.refuse(row, "not_trading")
            return
        p = account.positions.get(row.j)
        if p is None or p.side * row.exposure < 0:
            self.refuse(row, "no_position")
            return
        opened = account.last_open(row.j)
        change = abs(row.exposure) * account.equity_now() / opened - p.quantity
        reason = self.grow(p, change, opened) if change > 0 else self.shrink(p, -change, opened)
        if reason is not None:
            self.refuse(row, reason)

    def grow(self, p: Position, change: float, opened: float) -> str | None:
        account = self.account
        quantity, fill = in_lots(change, account.lots[p.j]), account.slipped(opened, p.side)
        fee = quantity * fill * account.taker
        reason = account.refusal(p.j, p.side, quantity, fill, fee, held=p)
        if reason is None:
            account.add(p, quantity, fill, opened, account.taker)
        return reason

    def shrink(self, p: Position, change: float, opened: float) -> str | None:
        account = self.account
        quantity = min(in_lots(change, account.lots[p.j]), p.quantity)
        fill = account.slipped(opened, -p.side)
        if quantity <= 0 or quantity * fill < account.minimums[p.j]:
            return "below_minimum"
        account.reduce(p, quantity, fill, opened, account.taker)
        return None


def in_lots(quantity: float, lot: float) -> float:
    """A quantity floored to whole lots, where less than a lot's rounding is missing to the next."""
    return math.floor(quantity / lot + LOT_TOLERANCE) * lot
