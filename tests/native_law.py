"""Hand-worked cases of native backtrader orders, as data: what a strategy does bar by bar, and what must come of it.

As in law.py: bars of an hour, an order given in bar 0 acts at the open of bar 1; 1,000 in cash, cross margin, leverage
10, no fees, no slippage, one tier of 1%, lots of 0.001. This file plays the scripts and holds the cases of the open.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import backtrader as bt
import pytest
from compare import as_oracle
from law import F, Market, Venue, at, check, flat, market, refused, trade, venue

Action = tuple[Any, ...]
Script = Mapping[Any, Sequence[Action]]
NativeCase = tuple[str, Market, Script, Venue, dict[str, Any]]

CASES: list[NativeCase] = []


def case(name: str, m: Market, script: Script, v: Venue | None = None, **expected: Any) -> None:
    """Add a case; expected: what law.check takes, and `orders`, `notes`, `fills` (see check_native).

    A ledger row may go on after kind and amount with the position after it and its price.
    """
    CASES.append((name, m, script, v or venue(), expected))


def given(kind: str, **more: Any) -> Action:
    return (kind, more)


def buy(size: float, **more: Any) -> Action:
    return given("buy", size=size, **more)


def sell(size: float, **more: Any) -> Action:
    return given("sell", size=size, **more)


def cancel(name: str) -> Action:
    return ("cancel", name)


def bracket(size: float, stop: float | None, target: float | None, **more: Any) -> Action:
    """A long parent called `name`, its stop `name.stop` and its target `name.target`; None leaves a child out."""
    for child, price in (("stop", stop), ("limit", target)):
        more |= {f"{child}price": price} if price is not None or f"{child}args" in more else {f"{child}exec": None}
    return given("buy_bracket", size=size, **more)


class Scripted(bt.Strategy):
    """Plays a script: by bar number what `next` does, by (order name, status) what `notify_order` does on it.

    Every notification goes into `notes` as (bar, name, status), every execution into `fills` as name -> (size, price).
    """

    params = (("script", None), ("notes", None), ("fills", None), ("times", None))

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}
        self.names: dict[int, str] = {}

    def next(self) -> None:
        for action in self.p.script.get(self.bar(), ()):
            self.act(*action)

    def bar(self) -> int:
        """The market's number of the bar; a halted symbol's own bars may be fewer."""
        latest = max(data.datetime[0] for data in self.datas if len(data))
        now = bt.num2date(latest).replace(tzinfo=UTC).timestamp()
        return min(range(len(self.p.times)), key=lambda i: abs(self.p.times[i] / 1e9 - now))

    def notify_order(self, order: Any) -> None:
        name, status = self.names.get(order.ref, ""), order.getstatusname()
        self.p.notes.append((self.bar(), name, status))
        if order.executed.size:
            self.p.fills[name] = (order.executed.size, order.executed.price)
        for action in self.p.script.get((name, status), ()):
            self.act(*action)

    def act(self, kind: str, what: Any) -> None:
        if kind == "cancel":
            self.cancel(self.named[what])
            return
        options = dict(what)
        name = options.pop("name", "")
        if "data" in options:
            options["data"] = self.datas[options["data"]]
        for key in ("exectype", "stopexec", "limitexec"):
            if isinstance(options.get(key), str):
                options[key] = getattr(bt.Order, options[key])
        for key in ("oco", "parent"):
            if key in options:
                options[key] = self.named[options[key]]
        made = getattr(self, kind)(**options)
        if isinstance(made, list):
            for order, suffix in zip(made, ("", ".stop", ".target"), strict=True):
                self.remember(order, name + suffix)
        else:
            self.remember(made, name)

    def remember(self, order: Any, name: str) -> None:
        if order is not None and name:
            self.named[name] = order
            self.names[order.ref] = name


def play(m: Market, script: Script, v: Venue) -> tuple[Any, list[tuple[int, str, str]], dict[str, tuple[float, float]]]:
    """Run a script on the backtrader engine; the result, the notifications and the executions."""
    from backtest.engines.bt import execute_strategy

    notes: list[tuple[int, str, str]] = []
    fills: dict[str, tuple[float, float]] = {}
    parameters = {"script": script, "notes": notes, "fills": fills, "times": m.time.tolist()}
    result = execute_strategy(m, Scripted, parameters, v)
    return as_oracle(result), notes, fills


def check_native(played: tuple[Any, list[Any], dict[str, Any]], expected: dict[str, Any]) -> None:
    """Assert what law.check asserts, and of the orders named:

    orders: name -> the last statuses, in words ("Completed", "Partial Margin"); fills: name -> (signed size, price);
    notes: all the notifications of each order that it names.
    """
    result, notes, fills = played
    ledger = expected.get("ledger", ())
    check(result, {**expected, **({"ledger": [row[:2] for row in ledger]} if "ledger" in expected else {})})
    for row, wanted in zip(result.ledger, ledger, strict=False):
        for field, value in zip(("position", "price"), wanted[2:], strict=False):
            assert row[field] == pytest.approx(value, abs=1e-6, nan_ok=True), row
    for name, statuses in expected.get("orders", {}).items():
        words = statuses.split()
        seen = [status for _, of, status in notes if of == name]
        assert seen[-len(words) :] == words, (name, seen)
    for name, (size, price) in expected.get("fills", {}).items():
        assert fills.get(name) == pytest.approx((size, price), abs=1e-6), (name, fills)
    for named in {name for _, name, _ in expected.get("notes", ())}:
        assert [n for n in notes if n[1] == named] == [n for n in expected["notes"] if n[1] == named]
    check_conservation(result, expected)


def check_conservation(result: Any, expected: dict[str, Any]) -> None:
    """No case has an account that starts with anything but 1,000."""
    assert 1000.0 + sum(r["amount"] for r in result.ledger if r["kind"] != "slippage") == pytest.approx(result.wallet)
    assert all(equity >= 0 and math.isfinite(equity) for equity in result.equity)


# ---------------------------------------- market orders

# 102*1.01 = 103.02, fee 10*103.02*0.001, memo 10*1.02; 102*0.99 = 100.98: 4*(100.98 - 103.02) = -8.16,
# fee 4*100.98*0.001, memo 4*1.02; wallet 990.40588; 6*(102 - 103.02) = -6.12
case(
    "market orders fill at the next open, slipped, as taker, in the order of submission",
    market([F, flat(102)]),
    {0: [buy(10, name="a"), sell(4, name="b")]},
    venue(taker=0.001, slippage=0.01),
    ledger=[
        ("fee", -1.0302, 10.0, 103.02),
        ("slippage", -10.2, 10.0),
        ("trade_pnl", -8.16, 6.0, 100.98),
        ("fee", -0.40392, 6.0),
        ("slippage", -4.08, 6.0),
    ],
    equity=[1000.0, 984.28588],
    trades=[trade("open", side=1, quantity=10.0, entry_price=103.02, pnl=-9.59412)],
    rejections=[],
    fills={"a": (10.0, 103.02), "b": (-4.0, 100.98)},
)
# sell 4, then buy 10: the short of 4 ends, a long of 6 begins
case(
    "the other order of submission makes two trades",
    market([F, F, flat(103)]),
    {0: [sell(4), buy(10, name="b")]},
    trades=[
        trade("reverse", side=-1, quantity=4.0, exit_time=at(1)),
        trade("open", side=1, quantity=6.0),
    ],
    equity=[1000.0, 1000.0, 1018.0],
    orders={"b": "Completed"},
)
# 90: margin 900; 20 more need 200 > 100 free; 30 off: 600 posted; 20 more need 200 <= 400: 80 held
case(
    "each market order meets the margin that those before it have left",
    market([F, F, flat(101)]),
    {0: [buy(90, name="a"), buy(20, name="b"), sell(30, name="c"), buy(20, name="d")]},
    rejections=[{"row": 1, "bar": 0, "time": at(1), "kind": "enter", "reason": "insufficient_margin"}],
    orders={"a": "Completed", "b": "Margin", "c": "Completed", "d": "Completed"},
    equity=[1000.0, 1000.0, 1080.0],
)
# the market order's 60 take 600 of 1000; the limit of 60 needs 600 > 400
case(
    "market orders come before limits that the open has passed, whatever the order of submission",
    market([F, F]),
    {0: [buy(60, exectype="Limit", price=101.0, name="limit"), buy(60, name="market")]},
    rejections=refused((0, "insufficient_margin")),
    orders={"market": "Completed", "limit": "Margin"},
)
case(
    "notifications come in the bar in which they happen",
    market([F, F, (100, 100, 94, 96), F]),
    {
        0: [buy(1, exectype="Limit", price=95.0, name="a"), buy(1, exectype="Limit", price=80.0, name="b")],
        2: [cancel("b")],
    },
    notes=[
        (1, "a", "Submitted"),
        (1, "b", "Submitted"),
        (1, "a", "Accepted"),
        (1, "b", "Accepted"),
        (2, "a", "Completed"),
        (3, "b", "Canceled"),
    ],
    rejections=refused((1, "cancelled")),
)
# told of the fill in bar 1, the order acts at the open of bar 2: 10*(103 - 100)
case(
    "an order given on a notification acts from the next bar",
    market([F, (100, 110, 100, 102), flat(103)]),
    {0: [buy(10, name="a")], ("a", "Completed"): [sell(10, exectype="Limit", price=101.0, name="b")]},
    wallet=1030.0,
    trades=[trade("target", exit_price=103.0)],
)

# ---------------------------------------- limits

# 100*1.02 = 102 capped by 101, memo 10*1, fee 10*101*0.01; 100*1.02 is below 105, memo 10*2, fee 10*102*0.01
for limit, price in ((101.0, 101.0), (105.0, 102.0)):
    case(
        f"a limit of {limit:g} that the open has passed fills at the slipped open, capped by it, as taker",
        market([F, F]),
        {0: [buy(10, exectype="Limit", price=limit)]},
        venue(slippage=0.02, taker=0.01),
        ledger=[("fee", -price / 10, 10.0, price), ("slippage", -10 * (price - 100))],
        trades=[trade("open", entry_price=price)],
    )
# 100*0.98 = 98, not below 99
case(
    "a sell limit that the open has passed opens a short, capped by its price",
    market([F, F]),
    {0: [sell(10, exectype="Limit", price=99.0)]},
    venue(slippage=0.02),
    ledger=[("slippage", -10.0)],
    trades=[trade("open", side=-1, entry_price=99.0)],
)
# equal is passed
case(
    "a limit equal to the open is passed by it",
    market([F, F]),
    {0: [buy(10, exectype="Limit", price=100.0)]},
    venue(taker=0.01),
    ledger=[("fee", -10.0)],
)
# bar 1 only touches 95; bar 2 trades through: 10*95*0.001; marked at 96
case(
    "a limit rests until it is traded through, and fills at its price as maker",
    market([F, (100, 100, 95, 99), (99, 99, 94.9, 96)]),
    {0: [buy(10, exectype="Limit", price=95.0, name="a")]},
    venue(maker=0.001, taker=0.01, slippage=0.01),
    ledger=[("fee", -0.95, 10.0, 95.0)],
    equity=[1000.0, 1000.0, 1009.05],
    notes=[(1, "a", "Submitted"), (1, "a", "Accepted"), (2, "a", "Completed")],
)
# 10*(92 - 95)
case(
    "a limit that rested fills at its own price through a gap, as maker",
    market([F, F, (90, 93, 90, 92)]),
    {0: [buy(10, exectype="Limit", price=95.0)]},
    venue(slippage=0.01, taker=0.01, maker=0.001),
    ledger=[("fee", -0.95)],
    equity=[1000.0, 1000.0, 969.05],
    trades=[trade("open", entry_price=95.0)],
)
# target 105 resting, the open 110 is beyond: 10*5 - 10*105*0.001
case(
    "a reducing limit that rested fills at its own price through a gap, as maker",
    market([F, F, F, flat(110)]),
    {0: [buy(10)], 1: [sell(10, exectype="Limit", price=105.0)]},
    venue(maker=0.001),
    ledger=[("trade_pnl", 50.0, 0.0, 105.0), ("fee", -1.05, 0.0)],
    trades=[trade("target", exit_price=105.0)],
)
# fill 101; 110*0.99 = 108.9, not below 105: 10*(108.9 - 101)
case(
    "a reducing limit read at an open that has passed it fills at the slipped open, as taker",
    market([F, F, flat(110)]),
    {0: [buy(10)], 1: [sell(10, exectype="Limit", price=105.0)]},
    venue(slippage=0.01, maker=0.01),
    ledger=[("slippage", -10.0), ("trade_pnl", 79.0, 0.0, 108.9), ("slippage", -11.0)],
    trades=[trade("target", exit_price=108.9)],
)
# limits of 60 at 95 and at 96 in one bar: 95*60/10 = 570; 96*60/10 = 576 > 1000 - 570
case(
    "entries inside a bar fill in the order of submission, not of price",
    market([F, (100, 100, 94, 95)]),
    {0: [buy(60, exectype="Limit", price=95.0, name="a"), buy(60, exectype="Limit", price=96.0, name="b")]},
    orders={"a": "Completed", "b": "Margin"},
    rejections=refused((1, "insufficient_margin")),
    trades=[trade("open", entry_price=95.0, quantity=60.0)],
)

# ---------------------------------------- stops

# 105*1.01 = 106.05, memo 10*1.05, fee 10*106.05*0.001; 10*(107 - 106.05)
case(
    "a stop entry that is touched fills at its price, slipped, as taker",
    market([F, (100, 105, 100, 104), flat(107)]),
    {0: [buy(10, exectype="Stop", price=105.0)]},
    venue(slippage=0.01, taker=0.001, maker=0.01),
    ledger=[("fee", -1.0605, 10.0, 106.05), ("slippage", -10.5)],
    equity=[1000.0, 978.4395, 1008.4395],
)
# read at the open 108, or resting since bar 1: 108*1.01 = 109.08 either way
for name, bars in (("new", [F, flat(108)]), ("resting", [F, F, flat(108)])):
    case(
        f"a {name} stop entry that the open has passed fills at the slipped open",
        market(bars),
        {0: [buy(10, exectype="Stop", price=105.0)]},
        venue(slippage=0.01),
        ledger=[("slippage", -10.8)],
        trades=[trade("open", entry_price=109.08)],
    )
case(
    "a sell stop entry gaps too",
    market([F, F, flat(90)]),
    {0: [sell(10, exectype="Stop", price=95.0)]},
    trades=[trade("open", side=-1, entry_price=90.0)],
)
# read at an open that has passed it: 10*(94 - 100)
case(
    "a stop that the open has passed when it is read fills at that open",
    market([F, F, (94, 98, 94, 98)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0)]},
    wallet=940.0,
    trades=[trade("stop", exit_price=94.0, exit_time=at(2))],
)
# 10*95*0.001 received
case(
    "a maker fee below zero is a receipt",
    market([F, (100, 100, 94, 95)]),
    {0: [buy(10, exectype="Limit", price=95.0)]},
    venue(maker=-0.001),
    ledger=[("fee", 0.95)],
)
# 10*(90 - 100)
case(
    "a stop through a gap fills at the open",
    market([F, F, F, (90, 96, 90, 96)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0)]},
    wallet=900.0,
    trades=[trade("stop", exit_price=90.0)],
)
# entry 101; 95*0.99 = 94.05: 10*(94.05 - 101); fees 10*101*0.001 and 10*94.05*0.001
case(
    "a stop that is touched fills at its price, slipped, as taker",
    market([F, F, (100, 101, 95, 100)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0)]},
    venue(slippage=0.01, taker=0.001, maker=0.01),
    ledger=[("fee", -1.01), ("slippage", -10.0), ("trade_pnl", -69.5), ("fee", -0.9405), ("slippage", -9.5)],
    trades=[trade("stop", exit_price=94.05, pnl=-71.4505)],
)
# market: 10*(90 - 100) = -100, flat; then the stop, no position's own, opens a short of 10 at 90: 10*(90 - 88)
case(
    "a plain stop that finds no position left opens one",
    market([F, F, F, flat(90), flat(88)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0)], 2: [sell(10)]},
    trades=[trade("exit", exit_price=90.0), trade("open", side=-1, entry_price=90.0)],
    equity=[1000.0, 1000.0, 1000.0, 900.0, 920.0],
)
case(
    "a reduce-only stop that finds no position left is refused",
    market([F, F, F, flat(90), flat(88)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0, reduce_only=True, name="s")], 2: [sell(10)]},
    trades=[trade("exit", exit_price=90.0)],
    orders={"s": "Rejected"},
    rejections=refused((1, "no_position")),
)

# ---------------------------------------- orders at the close of a bar

# 102*1.01 = 103.02: 10*(102 - 103.02) - 10*103.02*0.001
case(
    "a Close order fills at the close of its first bar, slipped, as taker",
    market([F, (100, 105, 95, 102), flat(104)]),
    {0: [buy(10, exectype="Close", name="c")]},
    venue(slippage=0.01, taker=0.001),
    ledger=[("fee", -1.0302), ("slippage", -10.2)],
    equity=[1000.0, 988.7698, 1008.7698],
    notes=[(1, "c", "Submitted"), (1, "c", "Accepted"), (1, "c", "Completed")],
)
# the high 120 and the low 95 of bar 2 concern the long; at its close 110: 10*10
case(
    "a reducing Close order ends the trade at the close",
    market([F, F, (100, 120, 95, 110), flat(50)]),
    {0: [buy(10)], 1: [sell(10, exectype="Close")]},
    wallet=1100.0,
    trades=[trade("exit", exit_price=110.0)],
)
# stop: 10*(95 - 100) = -50; the Close order then sells short at 97: 10*(97 - 98) = -10
case(
    "a Close order comes after every event of its bar",
    market([F, F, (100, 100, 94, 97), flat(98)]),
    {0: [buy(10)], 1: [sell(10, exectype="Stop", price=95.0), sell(10, exectype="Close")]},
    trades=[trade("stop", exit_price=95.0), trade("open", side=-1, entry_price=97.0)],
    equity=[1000.0, 1000.0, 950.0, 940.0],
)
