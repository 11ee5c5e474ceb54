"""What a strategy, a detector or a signal said, as rows that each belong to the bar at whose close they were decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from backtest.errors import ConfigError
from backtest.model import Market, Plan
from backtest.model.arrays import BoolArray, Int64
from backtest.model.plan_rules import KINDS

__all__ = ["NOTHING", "Change", "Observed", "first_change", "observe"]

TOLERANCE = 1e-9
"""Of a number a fraction of itself: windows summed over arrays of another length may differ in the last digits."""

NOTHING = "no such row"

Value = float | str


@dataclass(frozen=True, eq=False)
class Observed:
    """Rows of one thing: `what` ("plan", "orders", ...); bar: (k,) sorted, the bar at whose close a row was decided.

    columns: name -> (k,) values; NaN equals NaN. identity: the columns that say which row it is, beside the bar.
    """

    what: str
    bar: Int64
    columns: Mapping[str, Any]
    identity: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.bar.size)

    def before(self, bar: int) -> int:
        """Return how many rows were decided at earlier bars."""
        return int(np.searchsorted(self.bar, bar))

    def text(self, row: int) -> str:
        rest = [name for name in self.columns if name not in self.identity]
        given = {name: plain(self.columns[name][row]) for name in (*self.identity, *rest)}
        shown = (v if isinstance(v, str) else f"{k} {v:.10g}" for k, v in given.items() if used(k, v))
        return " ".join(shown) if given else "row"


@dataclass(frozen=True)
class Change:
    """The first row that is not the same: its bar, its symbol ("" for none), the column and both values."""

    what: str
    bar: int
    symbol: str
    column: str
    first: Value
    second: Value


def used(name: str, value: Value) -> bool:
    """Return whether a value is no default of a row's."""
    unused = 1.0 if name == "valid_bars" else 0.0
    return bool(value) if isinstance(value, str) else value == value and value != unused


def plain(value: Any) -> Value:
    return str(value) if isinstance(value, str) else float(value)


def observe(outcome: Any, market: Market, what: str = "value") -> tuple[Observed, ...]:
    """Return what was said on a market as rows by bar.

    outcome: a Plan; an array with one value (or row of values) a bar; a table of levels, each at the first bar that may see
    it; breaks, bounces or anything else with a `bar` a row; or a mapping or tuple of these. Anything else is a ConfigError.
    """
    if isinstance(outcome, Plan):
        return (plan_rows(outcome),)
    if isinstance(outcome, Mapping):
        return tuple(found for name, part in outcome.items() for found in observe(part, market, str(name)))
    if isinstance(outcome, (tuple, list)) and any(not np.isscalar(part) for part in outcome):
        parts = ((f"{what} {i + 1}", part) for i, part in enumerate(outcome))
        return tuple(found for name, part in parts for found in observe(part, market, name))
    if hasattr(outcome, "known_at") and hasattr(outcome, "price"):
        return level_rows(outcome, market, what)
    if is_dataclass(outcome) and hasattr(outcome, "bar"):
        return (table_rows(outcome),)
    if is_dataclass(outcome) and not isinstance(outcome, type):
        return observe({f.name: getattr(outcome, f.name) for f in array_fields(outcome, len(market))}, market)
    return (dense_rows(outcome, market, what),)


def plan_rows(plan: Plan) -> Observed:
    names = np.array(plan.symbols, dtype=object)
    columns = {c.name: getattr(plan, c.name) for c in fields(plan)[1:] if c.name != "bar"}
    columns["symbol"] = names[plan.symbol] if len(plan) else np.empty(0, dtype=object)
    columns["kind"] = np.array(KINDS, dtype=object)[plan.kind]
    return Observed("plan", plan.bar, columns, ("kind", "symbol"))


def level_rows(levels: Any, market: Market, what: str) -> tuple[Observed, ...]:
    """Rows of a table of levels, and of those that were superseded; what is known only after the last bar is not said yet."""
    columns = {name: getattr(levels, name) for name in ("price", "half_width", "formed_at", "known_at")}
    columns = {"kind": np.array(levels.kind, dtype=object), **columns}
    known = timed_rows(f"{what}: levels", levels.known_at, columns, market)
    until = getattr(levels, "until", None)
    return (known,) if until is None else (known, timed_rows(f"{what}: ends of levels", until, columns, market))


def timed_rows(what: str, times: Int64, columns: Mapping[str, Any], market: Market) -> Observed:
    """Rows at the first bar whose close is no earlier than their time; of one bar in the order of their prices."""
    bar = np.searchsorted(market.known_at, times, side="left").astype(np.int64)
    rows = np.lexsort((columns["kind"], columns["formed_at"], columns["price"], bar))
    rows = rows[bar[rows] < len(market)]
    return Observed(what, bar[rows], {name: values[rows] for name, values in columns.items()}, ("kind",))


def array_fields(table: Any, size: int) -> Iterator[Any]:
    for column in fields(table):
        values = getattr(table, column.name)
        if isinstance(values, np.ndarray) and values.shape[:1] == (size,):
            yield column


def table_rows(table: Any) -> Observed:
    """Rows of a table with a `bar` a row; `row`, a position in a table of levels that may grow, is no fact of its own."""
    order = np.argsort(table.bar, kind="stable")
    kept = [f.name for f in array_fields(table, table.bar.size) if f.name not in ("bar", "row")]
    columns = {name: getattr(table, name)[order] for name in kept}
    return Observed(type(table).__name__.lower(), np.asarray(table.bar, np.int64)[order], columns)


def dense_rows(outcome: Any, market: Market, what: str) -> Observed:
    values = np.asarray(outcome)
    n = len(market)
    if values.dtype.kind not in "biufUSM" or values.shape[:1] != (n,):
        got = f"an array of shape {values.shape}" if isinstance(outcome, np.ndarray) else type(outcome).__name__
        raise ConfigError(
            f"A prefix test needs a Plan, levels, a table with `bar`, or one value a bar ({n} bars), got {got}."
        )
    wide = values.reshape(n, int(np.prod(values.shape[1:], dtype=np.int64)))
    one = wide.shape[1] == 1
    columns = {what if one else f"{what}[{j}]": wide[:, j] for j in range(wide.shape[1])}
    return Observed(what, np.arange(n), columns)


def first_change(a: Observed, b: Observed, cut: int) -> Change | None:
    """Return the earliest row decided before the bar `cut` that differs between two tables, None where none does."""
    n, m = a.before(cut), b.before(cut)
    k = min(n, m)
    same_rows = a.bar[:k] == b.bar[:k]
    for name in a.identity:
        same_rows &= equal(a.columns[name][:k], b.columns[name][:k])
    same = {name: equal(values[:k], b.columns[name][:k]) for name, values in a.columns.items() if name in b.columns}
    every = same_rows & np.all([np.ones(k, np.bool_), *same.values()], axis=0)
    i = int(np.argmin(every)) if not every.all() else k
    if i < k and same_rows[i]:
        column = next(name for name, values in same.items() if not values[i])
        values = (plain(t.columns[column][i]) for t in (a, b))
        return Change(a.what, int(a.bar[i]), symbol_of(a, i), column, *values)
    return lone_row(a, b, i, n, m) if i < max(n, m) else None


def lone_row(a: Observed, b: Observed, i: int, n: int, m: int) -> Change:
    """Return the change at a row that only one of the tables has, the earlier of the two."""
    bars = [int(t.bar[i]) if i < size else None for t, size in ((a, n), (b, m))]
    bar = min(x for x in bars if x is not None)
    texts = [t.text(i) if x == bar else NOTHING for t, x in zip((a, b), bars, strict=True)]
    owner = a if bars[0] == bar else b
    return Change(a.what, bar, symbol_of(owner, i), "row", *texts)


def symbol_of(table: Observed, row: int) -> str:
    return str(table.columns["symbol"][row]) if "symbol" in table.columns else ""


def equal(x: Any, y: Any) -> BoolArray:
    if x.dtype.kind == "f" and y.dtype.kind == "f":
        return np.asarray(np.isclose(x, y, rtol=TOLERANCE, atol=0.0, equal_nan=True), dtype=np.bool_)
    return np.asarray(x == y, dtype=np.bool_).reshape(x.shape)
