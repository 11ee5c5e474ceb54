"""The rows of a plan as a desk reads them, and the orders that they become."""

from typing import NamedTuple

from backtest.model import Market, Plan
from backtest.model.plan_rules import AMEND, ENTER, EXIT, RESIZE

__all__ = ["AMEND", "ENTER", "EXIT", "RESIZE", "Brackets", "Entry", "PlanRow", "plan_rows"]

NAN = float("nan")


class PlanRow(NamedTuple):
    """One row of a sorted plan: its number, the bar it was decided in, the market's column, and what it asks for."""

    row: int
    bar: int
    j: int
    kind: int
    exposure: float
    limit: float
    trigger: float
    valid_bars: int
    stop: float
    stop_fraction: float
    close_stop: float
    target: float
    target_fraction: float
    trail: float
    max_bars: int


def plan_rows(market: Market, plan: Plan) -> list[PlanRow]:
    """Return all rows of a plan in its order, with the market's columns in place of the plan's."""
    columns = [market.position(symbol) for symbol in plan.symbols]
    values = [
        range(len(plan)),
        plan.bar.tolist(),
        [columns[k] for k in plan.symbol.tolist()],
        *(getattr(plan, name).tolist() for name in PlanRow._fields[3:]),
    ]
    return list(map(PlanRow._make, zip(*values, strict=True)))


class Entry:
    """An order to enter, until it fills or comes to nothing.

    price: of its limit or trigger, NaN at the market; until: the last bar it lives; the levels may be amended meanwhile.
    """

    __slots__ = (
        *("row", "j", "side", "price", "is_limit", "is_trigger", "until", "max_bars"),
        *("stop", "stop_fraction", "close_stop", "target", "target_fraction", "trail"),
    )

    def __init__(self, row: PlanRow) -> None:
        self.row, self.j = row, row.j
        self.side = 1 if row.exposure > 0 else -1
        self.is_limit, self.is_trigger = row.limit == row.limit, row.trigger == row.trigger
        self.price = row.limit if self.is_limit else row.trigger
        self.until = row.bar + row.valid_bars
        self.max_bars = row.max_bars
        self.stop, self.stop_fraction = row.stop, row.stop_fraction
        self.target, self.target_fraction = row.target, row.target_fraction
        self.close_stop, self.trail = row.close_stop, row.trail

    def amend(self, row: PlanRow) -> bool:
        """Take the levels that an amend gives; False, and nothing taken, where one lies at or beyond the entry's price."""
        side, price = self.side, self.price
        if side * (price - row.stop) <= 0 or side * (price - row.close_stop) <= 0 or side * (row.target - price) <= 0:
            return False
        if row.stop == row.stop:
            self.stop, self.stop_fraction = row.stop, NAN
        if row.target == row.target:
            self.target, self.target_fraction = row.target, NAN
        if row.close_stop == row.close_stop:
            self.close_stop = row.close_stop
        if row.trail == row.trail:
            self.trail = row.trail
        return True


class Brackets:
    """What waits to close a position.

    level, reason: the tighter of stop and trail and its name, NaN where there is neither; best: the best close since the entry,
    which is counted unslipped; leaving: an exit was read; reversed: an entry of the other side was; closed_beyond: a close went
    through the close_stop; carried: the target before this open's amends, if amended.
    """

    __slots__ = (
        *("side", "stop", "close_stop", "target", "trail", "last_bar", "best", "level", "reason"),
        *("leaving", "reversed", "closed_beyond", "amended", "carried"),
    )

    def __init__(self, entry: Entry, price: float, bar: int) -> None:
        self.side = side = entry.side
        by_fraction = entry.stop_fraction == entry.stop_fraction
        self.stop = price * (1 - side * entry.stop_fraction) if by_fraction else entry.stop
        by_fraction = entry.target_fraction == entry.target_fraction
        self.target = price * (1 + side * entry.target_fraction) if by_fraction else entry.target
        self.close_stop, self.trail, self.best = entry.close_stop, entry.trail, price
        self.last_bar = bar + entry.max_bars if entry.max_bars else None
        self.leaving = self.reversed = self.closed_beyond = self.amended = False
        self.carried = NAN
        self.tighten()

    def amend(self, row: PlanRow) -> None:
        """Take the levels that an amend gives; a NaN keeps what is."""
        if row.target == row.target:
            if not self.amended:
                self.amended, self.carried = True, self.target
            self.target = row.target
        if row.stop == row.stop:
            self.stop = row.stop
        if row.close_stop == row.close_stop:
            self.close_stop = row.close_stop
        if row.trail == row.trail:
            self.trail = row.trail
        self.tighten()

    def follow(self, close: float) -> None:
        """Let the trail and the close_stop see a close."""
        if self.side * (close - self.best) > 0:
            self.best = close
            if self.trail == self.trail:
                self.tighten()
        if self.side * (close - self.close_stop) < 0:
            self.closed_beyond = True

    def tighten(self) -> None:
        """Take the tighter of stop and trail, the stop where they are equal."""
        self.level, self.reason = self.stop, "stop"
        if self.trail == self.trail:
            trail = self.best * (1 - self.side * self.trail)
            if not self.side * (trail - self.stop) <= 0:
                self.level, self.reason = trail, "trail"
