"""Orders of a backtrader strategy as the desk keeps them: what waits, for what, and whose partner it is."""

import math
from typing import Any

import backtrader as bt

from backtest.errors import StrategyError

__all__ = ["Ticket", "check_numbers"]

Order = bt.Order
STOP_LIMITS = (Order.StopLimit, Order.StopTrailLimit)
TRAILS = (Order.StopTrail, Order.StopTrailLimit)
STOPS = (Order.Stop, Order.StopTrail, *STOP_LIMITS)
EXIT_REASONS = {
    Order.Limit: "target", Order.Stop: "stop", Order.StopLimit: "stop", Order.StopTrail: "trail",
    Order.StopTrailLimit: "trail",
}  # fmt: skip


class Ticket:
    """One order on its way.

    number: its place in the order of submission; bar: the market's bar that it was decided in; side: +1 buys, -1 sells;
    quantity: what is left of it, base units, not yet floored to the lot; stop, limit: prices, as far as the kind has them;
    group: tickets of which the first to fill cancels the others; family: a parent and its children; sent: it was transmitted;
    sleeping: it waits for its parent; rested: it waited before this open; since: how the parent filled that woke it inside this
    bar, "" else; reached: a stop-limit that is a limit now; held_back: reached inside this bar, and a limit from the next on.
    """

    __slots__ = (
        *(
            "alive",
            "bar",
            "family",
            "group",
            "held_back",
            "j",
            "kind",
            "limit",
            "number",
            "order",
            "parent",
            "quantity",
        ),
        *("reached", "reduce_only", "rested", "sent", "side", "since", "sleeping", "stop", "valid"),
    )

    def __init__(self, order: Any, j: int, number: int, bar: int, parent: "Ticket | None") -> None:
        self.order = order
        self.j = j
        self.number = number
        self.bar = bar
        self.parent = parent
        self.kind: int = order.exectype
        self.side = 1 if order.isbuy() else -1
        self.quantity = abs(float(order.size))
        self.family: list[Ticket] = [] if parent is None else parent.family
        self.group: list[Ticket] = next((t.group for t in self.family if t.parent is not None), [])
        self.family.append(self)
        self.group.append(self)
        self.alive = True
        self.sent = False
        self.sleeping = parent is not None
        self.rested = self.reached = self.held_back = False
        self.since = ""
        self.valid = math.inf
        self.reduce_only = parent is not None or bool(order.info.get("reduce_only"))
        self.read_prices()

    def read_prices(self) -> None:
        """Take the prices from the order, where a trailing one keeps them."""
        created = self.order.created
        self.stop = float(created.price)
        self.limit = float(created.pricelimit if self.kind in STOP_LIMITS else created.price)

    def join(self, other: "Ticket") -> None:
        """Make the partners of both each other's partners."""
        if self.group is not other.group:
            other.group.extend(self.group)
            for ticket in self.group:
                ticket.group = other.group

    @property
    def awake(self) -> bool:
        """It can fill."""
        return self.alive and not self.sleeping

    @property
    def is_limit(self) -> bool:
        """It waits as a limit."""
        return self.kind == Order.Limit or (self.reached and not self.held_back)

    @property
    def is_stop(self) -> bool:
        """It waits for its stop."""
        return self.kind in STOPS and not self.reached

    @property
    def is_stop_limit(self) -> bool:
        return self.kind in STOP_LIMITS

    @property
    def is_trail(self) -> bool:
        return self.kind in TRAILS

    @property
    def exit_reason(self) -> str:
        """The reason of a trade that it closes."""
        return EXIT_REASONS.get(self.kind, "exit")


def check_numbers(order: Any) -> None:
    """Refuse an order with a size or a price that is no number; a venue would not take it."""
    created = order.created
    figures = {
        "size": order.size, "price": created.price if order.exectype not in TRAILS else 0.0, "plimit": created.pricelimit,
        "trailamount": order.trailamount, "trailpercent": order.trailpercent,
    }  # fmt: skip
    for name, value in figures.items():
        if value is not None and not math.isfinite(value):
            raise StrategyError(
                f"An order has the {name} {value}; wait until the indicator behind it has a value, or leave it out."
            )
    if order.exectype in TRAILS and not (order.trailamount or order.trailpercent):
        raise StrategyError("A trailing stop needs `trailamount` or `trailpercent`.")
    if order.exectype == Order.Historical:
        raise StrategyError("Historical orders belong to a broker that knows what happened; use the other kinds.")
