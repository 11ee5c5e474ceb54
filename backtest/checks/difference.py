"""Where two results of one plan part: the first difference in time, with its rule and both values.

A bar's differences come in the order of their causes: a refused row, money, a trade, a position, the equity at the close.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.model import Plan, Result
from backtest.model.arrays import BoolArray
from backtest.model.plan_rules import ENTER
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS, NO_TIME, REJECTION_REASONS

__all__ = ["TOLERANCE", "Difference", "first_difference", "largest_differences"]

TOLERANCE = 1e-9
"""Of money a fraction of the cash; of prices and quantities a fraction of themselves."""

COUNTS = ("ambiguous_bars", "cross_extremes_coincide", "funding_inside_bar", "marked_at_last_close", "mark_is_last")
NOTHING = "none"


@dataclass(frozen=True)
class Difference:
    """One place at which the engines differ.

    bar: number of the market's bar; time: ns UTC, its open; symbol: "" for the whole account; rule: the part of the accounting
    that it falls under, such as "funding", "stop", "limit entry", "equity at the close"; what: the figure; fast, backtrader:
    its values, numbers or text.
    """

    bar: int
    time: int
    symbol: str
    rule: str
    what: str
    fast: float | str
    backtrader: float | str


@dataclass(frozen=True)
class Pair:
    """Two results of one plan; start: number of the market's bar that is the first scored one."""

    a: Result
    b: Result
    plan: Plan | None
    start: int

    def bar_of(self, time: int) -> int:
        """Return the scored bar at a time; what falls between two bars belongs to the later one."""
        times = self.a.time
        k = max(int(np.searchsorted(times, time, side="right")) - 1, 0)
        return k + 1 if time >= int(times[k]) + self.a.interval and k + 1 < len(times) else k

    def money(self) -> float:
        return TOLERANCE * self.a.venue.cash

    def at(self, bar: int, symbol: int | None, rule: str, what: str, fast: Any, backtrader: Any) -> Difference:
        name = "" if symbol is None else self.a.symbols[symbol]
        bar = min(bar, len(self.a) - 1)
        return Difference(self.start + bar, int(self.a.time[bar]), name, rule, what, fast, backtrader)


def first_difference(fast: Result, backtrader: Result, plan: Plan | None = None, start: int = 0) -> Difference | None:
    """Return the first difference of two results of one plan, None where they agree to the tolerance.

    plan: tells limit, trigger and market entries apart; start: number of the market's bar at which scoring starts.
    """
    pair = Pair(fast, backtrader, plan, start)
    found = [next(finder(pair), None) for finder in FINDERS]
    return min((d for d in found if d is not None), key=lambda d: d.bar, default=None)


def largest_differences(fast: Result, backtrader: Result) -> tuple[float, float]:
    """Return the largest differences of equity and of the ledger's amounts, quote units.

    The ledgers are compared as far as their rows are of the same moment, symbol and kind.
    """
    n = min(len(fast), len(backtrader))
    a, b = fast.ledger_table, backtrader.ledger_table
    rows = min(len(a), len(b))
    apart = np.flatnonzero(~same_event(a, b, rows))
    rows = int(apart[0]) if apart.size else rows
    return largest(fast.equity_values[:n], backtrader.equity_values[:n]), largest(a.amount[:rows], b.amount[:rows])


def largest(x: Any, y: Any) -> float:
    return float(np.max(np.abs(x - y))) if x.size else 0.0


def close(x: Any, y: Any, allowed: float) -> BoolArray:
    return np.asarray(np.isclose(x, y, rtol=TOLERANCE, atol=allowed, equal_nan=True), dtype=np.bool_)


# --- rows that came to nothing ------------------------------------------------------------------------------------


def rejections(pair: Pair) -> Iterator[Difference]:
    """Give the first rejection that only one engine has, or has for another reason."""
    rows = [
        sorted(zip(*(getattr(r.rejections_table, c).tolist() for c in REFUSED), strict=True)) for r in (pair.a, pair.b)
    ]
    for k in range(max(map(len, rows))):
        x, y = (r[k] if k < len(r) else None for r in rows)
        if x == y:
            continue
        time = min(row[0] for row in (x, y) if row is not None)
        x, y = (row if row is not None and (row[0] == time) else None for row in (x, y))
        row = x or y
        assert row is not None
        reasons = [NOTHING if r is None else REJECTION_REASONS[r[2]].replace("_", " ") for r in (x, y)]
        yield pair.at(pair.bar_of(time), row[3], "rejection", f"reason of row {row[1]} of the plan", *reasons)


REFUSED = ("time", "row", "reason", "symbol", "bar", "kind")


# --- money --------------------------------------------------------------------------------------------------------


def same_event(a: Any, b: Any, rows: int) -> BoolArray:
    same = np.ones(rows, np.bool_)
    for name in ("time", "symbol", "kind"):
        same &= getattr(a, name)[:rows] == getattr(b, name)[:rows]
    return same


def ledger(pair: Pair) -> Iterator[Difference]:
    """Give the first ledger row that differs: a figure of it, or the whole row where one engine has none like it."""
    a, b = pair.a.ledger_table, pair.b.ledger_table
    n = min(len(a), len(b))
    figures = {
        "position": close(a.position[:n], b.position[:n], TOLERANCE),
        "price": close(a.price[:n], b.price[:n], TOLERANCE),
        "amount": close(a.amount[:n], b.amount[:n], pair.money()),
        "trade": a.trade[:n] == b.trade[:n],
    }
    events = same_event(a, b, n)
    wrong = np.flatnonzero(~(events & np.all(list(figures.values()), axis=0)))
    k = int(wrong[0]) if wrong.size else n
    if k < n and events[k]:
        what = next(name for name, same in figures.items() if not same[k])
        values = [getattr(table, what)[k].item() for table in (a, b)]
        rule = rule_of(pair.a, pair.plan, pair.start, k)
        kind = LEDGER_KINDS[int(a.kind[k])].replace("_", " ")
        yield pair.at(pair.bar_of(int(a.time[k])), int(a.symbol[k]), rule, f"{what} of the ledger row {kind}", *values)
    elif k < max(len(a), len(b)):
        yield lone_row(pair, k)


def lone_row(pair: Pair, k: int) -> Difference:
    """Return the difference at a row that has no partner: the earlier of the two, or both where they are of one bar."""
    results = [(pair.bar_of(int(r.ledger_table.time[k])), r) for r in (pair.a, pair.b) if k < len(r.ledger_table)]
    bar, first = min(results, key=lambda found: found[0])
    texts = [
        row_text(r, k) if k < len(r.ledger_table) and pair.bar_of(int(r.ledger_table.time[k])) == bar else NOTHING
        for r in (pair.a, pair.b)
    ]
    return pair.at(
        bar, int(first.ledger_table.symbol[k]), rule_of(first, pair.plan, pair.start, k), "ledger row", *texts
    )


def row_text(result: Result, k: int) -> str:
    book = result.ledger_table
    kind, symbol = LEDGER_KINDS[int(book.kind[k])].replace("_", " "), result.symbols[int(book.symbol[k])]
    return f"{kind} {book.amount[k]:.10g} of {symbol}, position {book.position[k]:.10g}"


def rule_of(result: Result, plan: Plan | None, start: int, k: int) -> str:
    """Return the rule behind a ledger row, in the words of its kind, of its trade's entry or of its exit reason."""
    book = result.ledger_table
    kind = LEDGER_KINDS[int(book.kind[k])]
    if kind not in ("trade_pnl", "fee", "slippage"):
        return {"liquidation_loss": "liquidation", "liquidation_fee": "liquidation"}.get(kind, kind)
    index = np.flatnonzero(result.trades_table.trade == book.trade[k])
    if not index.size:
        return kind.replace("_", " ")
    i = int(index[0])
    if book.position[k] == 0:
        return EXIT_REASONS[int(result.trades_table.reason[i])].replace("_", " ")
    entry = kind != "trade_pnl" and book.time[k] == result.trades_table.entry_time[i]
    return entry_rule(result, plan, i) if entry else "resize"


def entry_rule(result: Result, plan: Plan | None, i: int) -> str:
    """Return how a trade was entered: the last row of the plan that was in force for its symbol and side."""
    if plan is None or len(plan) == 0:
        return "entry"
    trades = result.trades_table
    names = np.array(plan.symbols, dtype=object)[plan.symbol]
    bar = int(trades.entry_bar[i])
    side = np.sign(plan.exposure) == np.sign(int(trades.side[i]))
    alive = (plan.bar < bar) & (plan.bar + plan.valid_bars >= bar)
    rows = np.flatnonzero((plan.kind == ENTER) & (names == result.symbols[int(trades.symbol[i])]) & side & alive)
    if not rows.size:
        return "entry"
    row = rows[-1]
    how = "limit" if not np.isnan(plan.limit[row]) else "trigger" if not np.isnan(plan.trigger[row]) else "market"
    return f"{how} entry"


# --- trades -------------------------------------------------------------------------------------------------------

AT_ENTRY = ("symbol", "side", "entry_time", "entry_price")
AT_EXIT = (
    "exit_time",
    "reason",
    "exit_price",
    "quantity",
    "pnl",
    "fees",
    "funding",
    "slippage",
    "entry_bar",
    "exit_bar",
)
MONEY = ("pnl", "fees", "funding", "slippage")


def trades(pair: Pair) -> Iterator[Difference]:
    """Give the differences of trades, the earliest first: at an entry, at an exit, or a trade without a partner."""
    orders = [np.argsort(r.trades_table.trade, kind="stable") for r in (pair.a, pair.b)]
    n = min(map(len, orders))
    columns: dict[str, Any] = {
        name: [getattr(r.trades_table, name)[order] for r, order in zip((pair.a, pair.b), orders, strict=True)]
        for name in (*AT_ENTRY, *AT_EXIT)
    }
    same = {name: equal(name, x[:n], y[:n], pair.money()) for name, (x, y) in columns.items()}
    wrong = np.flatnonzero(~np.all(list(same.values()), axis=0)).tolist()
    found = [differing_trade(pair, columns, same, k) for k in wrong]
    longer, order = max(zip((pair.a, pair.b), orders, strict=True), key=lambda one: len(one[1]))
    yield from sorted(found + [lone_trade(pair, longer, int(i)) for i in order[n:]], key=lambda d: d.bar)


def equal(name: str, x: Any, y: Any, money: float) -> BoolArray:
    if x.dtype.kind != "f":
        return np.asarray(x == y)
    return close(x, y, money if name in MONEY else TOLERANCE)


def differing_trade(pair: Pair, columns: dict[str, Any], same: dict[str, BoolArray], k: int) -> Difference:
    what = next(name for name in (*AT_ENTRY, *AT_EXIT) if not same[name][k])
    symbol = int(columns["symbol"][0][k])
    times = [int(t[k]) for t in columns["entry_time" if what in AT_ENTRY else "exit_time"] if t[k] != NO_TIME]
    bar = pair.bar_of(min(times)) if times else len(pair.a) - 1
    if what in AT_ENTRY:
        rule = entry_rule(pair.a, pair.plan, int(np.argsort(pair.a.trades_table.trade, kind="stable")[k]))
    else:
        rule = EXIT_REASONS[int(columns["reason"][0][k])].replace("_", " ")
    values = [trade_value(pair.a, what, column[k]) for column in columns[what]]
    return pair.at(bar, symbol, rule, f"{what.replace('_', ' ')} of trade {k + 1}", *values)


def lone_trade(pair: Pair, result: Result, i: int) -> Difference:
    """Return the difference at a trade that only one of the results has."""
    trades = result.trades_table
    text = f"trade {int(trades.trade[i])}, {trades.quantity[i]:.10g} at {trades.entry_price[i]:.10g}"
    values = [text if r is result else NOTHING for r in (pair.a, pair.b)]
    rule = entry_rule(result, pair.plan, i)
    return pair.at(pair.bar_of(int(trades.entry_time[i])), int(trades.symbol[i]), rule, "trade", *values)


def trade_value(result: Result, what: str, value: Any) -> float | str:
    """Return a figure of a trade as a number, or as the word or time that it stands for."""
    if what.endswith("_time"):
        return NOTHING if value == NO_TIME else str(np.datetime64(int(value), "ns").astype("datetime64[s]")) + "Z"
    if what == "reason":
        return EXIT_REASONS[int(value)].replace("_", " ")
    if what == "symbol":
        return result.symbols[int(value)]
    if what == "side":
        return "long" if value == 1 else "short"
    return float(value)


# --- what is left at a close --------------------------------------------------------------------------------------


def positions(pair: Pair) -> Iterator[Difference]:
    """Give the first position at a close that differs."""
    x, y = pair.a.positions, pair.b.positions
    n = min(len(x), len(y))
    for bar, symbol in np.argwhere(~close(x[:n], y[:n], TOLERANCE)).tolist():
        yield pair.at(bar, symbol, "position at the close", "quantity", float(x[bar, symbol]), float(y[bar, symbol]))


def equity(pair: Pair) -> Iterator[Difference]:
    """Give the first equity at a close that differs, or the first bar that only one of the results has."""
    x, y = pair.a.equity_values, pair.b.equity_values
    n = min(len(x), len(y))
    for bar in np.flatnonzero(~close(x[:n], y[:n], pair.money())).tolist():
        yield pair.at(bar, None, "equity at the close", "equity", float(x[bar]), float(y[bar]))
    if len(x) != len(y):
        yield pair.at(n, None, "equity at the close", "bars", float(len(x)), float(len(y)))


def at_the_end(pair: Pair) -> Iterator[Difference]:
    """Give differences of the final wallet, and of what was counted as an assumption."""
    last, a, b = len(pair.a) - 1, pair.a, pair.b
    if not close(a.final_wallet, b.final_wallet, pair.money()):
        yield pair.at(last, None, "wallet at the end", "wallet", float(a.final_wallet), float(b.final_wallet))
    for name in COUNTS:
        x, y = (int(r.assumptions.get(name, 0)) for r in (a, b))
        if x != y:
            yield pair.at(last, None, "assumptions", name.replace("_", " "), float(x), float(y))


FINDERS: tuple[Callable[[Pair], Iterator[Difference]], ...] = (
    rejections,
    ledger,
    trades,
    positions,
    equity,
    at_the_end,
)
