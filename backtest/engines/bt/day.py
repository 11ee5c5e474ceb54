"""The order of events in a bar: funding, margin, the open, funding inside, the inside, the close."""

from typing import Any, Protocol

from backtest.engines.bt.account import Account, Listener
from backtest.engines.bt.book import Rejection
from backtest.engines.bt.plans import PlanDesk, PlanRow, plan_rows
from backtest.engines.bt.tape import Columns, Tape
from backtest.model import Market, Plan, Venue

__all__ = ["Day", "Desk", "run_plan"]


class Desk(Protocol):
    """Who holds the orders of an account, and does with them what the law says in each step of a bar.

    rejections: (row, bar, symbol, kind, time, reason) of whatever came to nothing.
    """

    rejections: list[Rejection]

    def idle(self) -> bool:
        """Whether a bar in which nothing is held may be passed over."""

    def liquidated(self, columns: list[int]) -> None:
        """Hear what step 2 liquidated: these columns' positions, in cross margin the account."""

    def at_open(self, first: bool) -> None:
        """Step 3; first: at the market's own bar's open, not at a later finer bar's."""

    def inside(self) -> None:
        """Steps 5 and 6: what fills and what leaves inside the bar."""

    def at_close(self) -> None:
        """Step 7, once a bar of the market's own."""

    def finish(self) -> None:
        """The data has ended."""


class Day:
    """An account and a desk, walked bar by bar: `bar(i)` for each bar from the market's start on, then `finish()`.

    desk_class: called with the account; equity: one value for each bar walked, never below zero.
    """

    def __init__(self, market: Market, venue: Venue, desk_class: Any, listener: Listener | None = None) -> None:
        self.market, self.venue = market, venue
        self.tape = Tape(market, fine=venue.intrabar == "fine")
        self.account = Account(market, venue, self.tape, listener)
        self.desk: Any = desk_class(self.account)
        self.equity: list[float] = []
        self.walked = -1
        self.finished = False

    def bar(self, i: int) -> None:
        """Walk bar i, in its finer bars where the market has them and the venue's rule wants them."""
        account, desk = self.account, self.desk
        self.walked = i
        if not account.positions and desk.idle():
            self.equity.append(max(account.wallet, 0.0))
            return
        if self.tape.fine is not None and self.tape.fine_bars(i):
            self.walk_fine(i, self.tape.fine)
        else:
            if account.seg.times is not self.tape.columns.times:
                account.seg.turn_to(self.tape.columns)
            self.walk(i, i, True)
        desk.at_close()
        self.equity.append(max(account.close_bar(i), 0.0))

    def walk_fine(self, i: int, columns: Columns) -> None:
        """The finer bars of bar i, one after the other."""
        lines = self.tape.fine_bars(i)
        self.account.seg.turn_to(columns)
        for k in lines:
            self.walk(i, k, k == lines.start)
            self.account.close_fine(columns, k)

    def walk(self, i: int, k: int, first: bool) -> None:
        """One bar or finer bar, steps 1 to 6."""
        account, desk = self.account, self.desk
        account.begin(i, k, first)
        account.fund_at_open()
        gone = account.margin_at_open()
        if gone:
            desk.liquidated(gone)
        desk.at_open(first)
        account.fund_inside()
        desk.inside()
        account.credit_inside()

    def free_at_close(self) -> float:
        """The balance that new margin could be taken of, at the close of the last bar walked."""
        return self.account.wallet if self.walked < 0 else self.account.free_at_close(self.walked)

    def finish(self) -> None:
        """Close the books at the end of the data; what is open stays open."""
        self.desk.finish()
        self.account.finish()
        self.finished = True


def run_plan(market: Market, plan: Plan, venue: Venue) -> Day:
    """Walk a plan through a market at a venue, bar by bar, and return the day with its books closed."""
    day = Day(market, venue, PlanDesk)
    by_bar: dict[int, list[PlanRow]] = {}
    for row in plan_rows(market, plan):
        by_bar.setdefault(min(row.bar, len(market) - 1), []).append(row)
    for i in range(market.start_bar, len(market)):
        if i - 1 in by_bar:
            day.desk.read(by_bar[i - 1])
        day.bar(i)
    day.desk.never_read(by_bar.get(len(market) - 1, []))
    day.finish()
    return day
