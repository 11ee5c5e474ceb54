"""Bring an engine's result into the reference simulator's form, and say where two results differ."""

import math
from collections.abc import Iterable
from typing import Any

from oracle import OracleResult

from backtest.model import Result
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS, NO_TIME, REJECTION_REASONS

ROW_KINDS = ("enter", "exit", "amend", "resize")
COMPARED_COUNTS = (
    "ambiguous_bars",
    "cross_extremes_coincide",
    "funding_inside_bar",
    "marked_at_last_close",
    "mark_is_last",
)
MEMO = "slippage"


def as_oracle(result: Result) -> OracleResult:
    """Return an engine's result in the form of the reference simulator's."""
    names = result.symbols
    t, book, refused = result.trades_table, result.ledger_table, result.rejections_table
    trades = [
        {
            "trade": int(t.trade[k]),
            "symbol": names[int(t.symbol[k])],
            "side": 1 if int(t.side[k]) == 1 else -1,
            "quantity": float(t.quantity[k]),
            "entry_time": int(t.entry_time[k]),
            "entry_price": float(t.entry_price[k]),
            "exit_time": None if int(t.exit_time[k]) == NO_TIME else int(t.exit_time[k]),
            "exit_price": float(t.exit_price[k]),
            "pnl": float(t.pnl[k]),
            "fees": float(t.fees[k]),
            "funding": float(t.funding[k]),
            "slippage": float(t.slippage[k]),
            "reason": EXIT_REASONS[int(t.reason[k])],
        }
        for k in range(len(t))
    ]
    ledger = [
        {
            "time": int(book.time[k]),
            "symbol": names[int(book.symbol[k])],
            "trade": int(book.trade[k]),
            "kind": LEDGER_KINDS[int(book.kind[k])],
            "amount": float(book.amount[k]),
            "position": float(book.position[k]),
            "price": float(book.price[k]),
        }
        for k in range(len(book))
    ]
    rejections = [
        {
            "row": int(refused.row[k]),
            "bar": int(refused.bar[k]),
            "symbol": names[int(refused.symbol[k])],
            "kind": ROW_KINDS[int(refused.kind[k])],
            "time": int(refused.time[k]),
            "reason": REJECTION_REASONS[int(refused.reason[k])],
        }
        for k in range(len(refused))
    ]
    equity = [float(e) for e in result.equity_values]
    return OracleResult(equity, float(result.final_wallet), trades, ledger, rejections, dict(result.assumptions))


def initial_cash(result: OracleResult) -> float:
    """The cash at the start, as the wallet and the ledger imply it."""
    return max(result.wallet - sum(row["amount"] for row in result.ledger if row["kind"] != MEMO), 1.0)


def differences(a: OracleResult, b: OracleResult, tolerance: float = 1e-9) -> list[str]:
    """Return the first differences of each part as sentences; nothing when the results agree."""
    money = tolerance * initial_cash(a)
    found = rows_differ("ledger row", a.ledger, b.ledger, money, tolerance)
    found += rows_differ("trade", by(a.trades, "trade"), by(b.trades, "trade"), money, tolerance)
    order = ("time", "row", "reason")
    found += rows_differ("rejection", by(a.rejections, *order), by(b.rejections, *order), money, tolerance)
    found += equity_differs(a.equity, b.equity, money)
    if not math.isclose(a.wallet, b.wallet, rel_tol=0, abs_tol=money):
        found.append(f"wallet: {a.wallet!r} against {b.wallet!r}")
    for name in COMPARED_COUNTS:
        if a.assumptions.get(name, 0) != b.assumptions.get(name, 0):
            found.append(f"{name}: {a.assumptions.get(name, 0)} against {b.assumptions.get(name, 0)}")
    return found


def by(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: tuple(row[name] for name in names))


def rows_differ(
    what: str, a: list[dict[str, Any]], b: list[dict[str, Any]], money: float, tolerance: float
) -> list[str]:
    """The first row that differs, with its unequal fields, and unequal numbers of rows."""
    found = []
    for k, (x, y) in enumerate(zip(a, b, strict=False)):
        unequal = [name for name in x if not same(name, x[name], y.get(name), money, tolerance)]
        if unequal:
            found.append(f"{what} {k}: {', '.join(unequal)} differ: {x} against {y}")
            break
    if len(a) != len(b):
        longer = a if len(a) > len(b) else b
        extra = longer[min(len(a), len(b))]
        found.append(f"{what}s: {len(a)} against {len(b)}; the first without a partner in number: {extra}")
    return found


MONEY = frozenset({"amount", "pnl", "fees", "funding", "slippage"})


def same(name: str, x: Any, y: Any, money: float, tolerance: float) -> bool:
    if not isinstance(x, float) or not isinstance(y, int | float):
        return bool(x == y)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return math.isclose(x, y, rel_tol=tolerance, abs_tol=money if name in MONEY else tolerance)


def equity_differs(a: Iterable[float], b: Iterable[float], money: float) -> list[str]:
    x, y = list(a), list(b)
    if len(x) != len(y):
        return [f"equity: {len(x)} bars against {len(y)}"]
    for k, (v, w) in enumerate(zip(x, y, strict=True)):
        if not math.isclose(v, w, rel_tol=0, abs_tol=money):
            return [f"equity at scored bar {k}: {v!r} against {w!r}"]
    return []
