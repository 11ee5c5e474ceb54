"""A plan: what a strategy would do, as sparse rows, each decided at the close of a bar."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from backtest.errors import PlanError
from backtest.model.arrays import BoolArray, Float, Int, Int64, frozen_array
from backtest.model.plan_rules import AMEND, CHECKED, ENTER, EXIT, KINDS, RESIZE, check_plan, compiled_walk

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Plan"]

PRICES = ("limit", "trigger", "stop", "stop_fraction", "close_stop", "target", "target_fraction", "trail")
AMENDABLE = ("stop", "close_stop", "target", "trail")


@dataclass(frozen=True, eq=False)
class Plan:
    """Rows sorted by bar, in the given order within a bar; every column is (k,), NaN where a row does not use it.

    symbols: the names that `symbol` points into; bar: the row is decided at its close and acts from the next bar;
    kind: position in `KINDS`; exposure: signed multiple of equity; limit, trigger: the pending entry's price (neither: at the
    market); valid_bars: bars a pending entry lives; stop, target: prices inside the bar, or stop_fraction, target_fraction of
    the entry; close_stop: out at the next open once a bar closes beyond it; trail: fraction below (above) the best close;
    max_bars: bars after which the position leaves, 0 for never. An invalid plan is an error before the run.
    """

    symbols: tuple[str, ...]
    bar: Int64
    symbol: Int
    kind: Any
    exposure: Float
    limit: Float
    trigger: Float
    valid_bars: Int64
    stop: Float
    stop_fraction: Float
    close_stop: Float
    target: Float
    target_fraction: Float
    trail: Float
    max_bars: Int64

    def __post_init__(self) -> None:
        order = None
        bar = np.asarray(self.bar, dtype=np.int64)
        if bar.size and np.any(bar[1:] < bar[:-1]):
            order = np.argsort(bar, kind="stable")
        for name, kind in COLUMNS.items():
            values = np.asarray(getattr(self, name), dtype=kind)
            if values.shape != bar.shape or values.ndim != 1:
                raise PlanError(f"A plan has {bar.size} bars but `{name}` of shape {values.shape}.")
            object.__setattr__(self, name, frozen_array(values if order is None else values[order], values.dtype))
        check_plan(self)

    def __len__(self) -> int:
        return int(self.bar.size)

    def __add__(self, other: "Plan") -> "Plan":
        if not isinstance(other, Plan):
            return NotImplemented
        symbols = tuple(dict.fromkeys(self.symbols + other.symbols))
        position = np.array([symbols.index(s) for s in other.symbols] or [0], dtype=np.int32)
        columns = {c.name: np.concatenate((getattr(self, c.name), getattr(other, c.name))) for c in fields(self)[1:]}
        columns["symbol"] = np.concatenate((self.symbol, position[other.symbol]))
        return Plan(symbols, **columns)

    @classmethod
    def empty(cls) -> "Plan":
        """Return a plan that does nothing."""
        return replace(make_rows(ENTER, "", np.empty(0, np.int64)), symbols=())

    @classmethod
    def long(cls, symbol: str, at: ArrayLike, exposure: ArrayLike = 1.0, **brackets: ArrayLike) -> "Plan":
        """Return rows that buy `exposure` (> 0) times the equity; `at`: bars, or a mask with one value a bar.

        brackets: limit, trigger, valid_bars, stop, stop_fraction, close_stop, target, target_fraction, trail, max_bars, each
        a scalar, an array with one value a row, or (with a mask) one value a bar; NaN leaves it out.

        >>> Plan.long("BTCUSDT", at=[3], stop=95.0, target=110.0).to_frame()[["bar", "kind", "exposure", "stop"]].values.tolist()
        [[3, 'enter', 1.0, 95.0]]
        """
        return make_rows(ENTER, symbol, at, exposure=positive(exposure, "long"), **brackets)

    @classmethod
    def short(cls, symbol: str, at: ArrayLike, exposure: ArrayLike = 1.0, **brackets: ArrayLike) -> "Plan":
        """Return rows that sell short `exposure` (> 0) times the equity; the arguments are those of `long`."""
        return make_rows(ENTER, symbol, at, exposure=-positive(exposure, "short"), **brackets)

    @classmethod
    def exit(cls, symbol: str, at: ArrayLike) -> "Plan":
        """Return rows that close the position at the next open and cancel a pending entry."""
        return make_rows(EXIT, symbol, at)

    @classmethod
    def amend(cls, symbol: str, at: ArrayLike, **levels: ArrayLike) -> "Plan":
        """Return rows that set stop, close_stop, target or trail of the position or of the pending entry; NaN keeps."""
        return make_rows(AMEND, symbol, at, **levels)

    @classmethod
    def resize(cls, symbol: str, at: ArrayLike, exposure: ArrayLike) -> "Plan":
        """Return rows that trade the position of the same sign to `exposure` (signed) times the equity."""
        return make_rows(RESIZE, symbol, at, exposure=exposure)

    @classmethod
    def from_exposure(cls, symbol: str, exposure: ArrayLike) -> "Plan":
        """Return the rows that follow a dense series of wanted exposures, one a bar; NaN keeps what was wanted before.

        A change of sign enters the other side, a change of size resizes, zero exits; nothing is traded while it stays.

        >>> Plan.from_exposure("BTCUSDT", [0, 1, 1, 0.5, -1, 0]).to_frame()[["bar", "kind", "exposure"]].values.tolist()
        [[1, 'enter', 1.0], [3, 'resize', 0.5], [4, 'enter', -1.0], [5, 'exit', nan]]
        """
        wanted = carried_forward(np.asarray(exposure, dtype=np.float64))
        before = np.concatenate(([0.0], wanted[:-1]))
        changed = wanted != before
        same_side = wanted * before > 0
        enter = changed & (wanted != 0) & ~same_side
        resize = changed & same_side
        entries = make_rows(ENTER, symbol, enter, exposure=wanted)
        return entries + cls.resize(symbol, resize, wanted) + cls.exit(symbol, changed & (wanted == 0))

    @cached_property
    def records(self) -> Any:
        """The rows as read-only records of `ROW`, laid out once; `other` is the next row that is not the same entry again.

        A run of entries of one side of one symbol acts once while the position is held, so an engine may pass over it. Of a plan
        that `entries` made the columns are the fields of the records.
        """
        rows = np.empty(len(self), ROW)
        walk = compiled_walk(len(self))
        if walk is not None:
            walk.fill_rows(rows, *(getattr(self, name) for name in COLUMNS))
            rows.flags.writeable = False
            return rows
        for name in ROW.names or ():
            if name != "other":
                rows[name] = getattr(self, name)
        enters = self.kind == ENTER
        again = enters[:-1] & enters[1:] & (self.symbol[:-1] == self.symbol[1:])
        again &= np.sign(self.exposure[:-1]) == np.sign(self.exposure[1:])
        ends = np.append(np.flatnonzero(~again), len(self) - 1) + 1
        rows["other"] = ends[np.searchsorted(ends, np.arange(len(self)), side="right")] if len(self) else 0
        rows.flags.writeable = False
        return rows

    @cached_property
    def trails_late(self) -> bool:
        """Whether an amend sets a trail, which then counts from the entry."""
        return bool(np.any((self.kind == AMEND) & ~np.isnan(self.trail)))

    def to_frame(self) -> "pd.DataFrame":
        """Return the rows as a data frame, with the names of symbols and kinds."""
        import pandas as pd

        columns = {c.name: getattr(self, c.name) for c in fields(self)[1:]}
        columns["symbol"] = np.array(self.symbols, dtype=object)[self.symbol]
        columns["kind"] = np.array(KINDS, dtype=object)[self.kind]
        return pd.DataFrame(columns)


NUMBERS = ["exposure", "limit", "trigger", "stop", "stop_fraction", "close_stop", "target", "target_fraction", "trail"]
WHOLES = ["bar", "valid_bars", "max_bars", "other"]
ROW = np.dtype(
    [*((n, "f8") for n in NUMBERS), *((n, "i8") for n in WHOLES), ("symbol", "i4"), ("kind", "i1")], align=True
)

DTYPES: dict[str, Any] = {
    "bar": np.int64,
    "symbol": np.int32,
    "kind": np.int8,
    "valid_bars": np.int64,
    "max_bars": np.int64,
}

COLUMNS: dict[str, Any] = {column.name: DTYPES.get(column.name, np.float64) for column in fields(Plan)[1:]}


def blank_entry() -> Any:
    """Return one entry in which nothing is given."""
    row = np.zeros(1, ROW)
    for name in NUMBERS:
        row[name] = np.nan
    row["valid_bars"] = 1
    return row


BLANK = blank_entry()
ENTRY_COLUMNS = ("exposure", "valid_bars", "max_bars", *PRICES)


def carried_forward(values: Float) -> Float:
    given = np.where(np.isnan(values), -1, np.arange(values.size))
    last = np.maximum.accumulate(given) if values.size else given
    return np.where(last >= 0, values[np.maximum(last, 0)], 0.0)


def positive(exposure: ArrayLike, side: str) -> Float:
    values = np.asarray(exposure, dtype=np.float64)
    if (values < 0).any():
        raise PlanError(f"`exposure` of a {side} must be above 0, the side gives the sign; got {values.min()}.")
    return values


def entries(symbol: str, mask: BoolArray, given: dict[str, ArrayLike]) -> Plan | None:
    """Return the plan of entries at the bars of a mask, laid out as records at once; None where it takes the long way.

    The long way is that of `make_rows`, which also names what is wrong; this one is for plans that are made by the thousand.
    """
    bars = np.flatnonzero(mask)
    walk = compiled_walk(bars.size)
    apart = told_apart(given, mask.shape) if walk is not None and bars.size else None
    if apart is None:
        return None
    blank, by_bar = apart
    blank["other"] = bars.size  # entries of one side follow each other to the end
    rows = np.empty(bars.size, ROW)
    walk.lay_entries(bars, blank, rows)
    for name, values in by_bar.items():
        rows[name] = values[bars]
    if "exposure" in by_bar:
        walk.link_entries(rows)
    rows.flags.writeable = False
    told = rows[:1] if by_bar.keys() <= {"close_stop"} else rows  # no rule speaks of it, so one row tells of all
    if walk.is_suspect(1, *(frozen_array(told[name], COLUMNS[name]) for name in CHECKED)):
        return None
    plan = object.__new__(Plan)
    plan.__dict__.update({name: rows[name] for name in COLUMNS}, symbols=(symbol,), records=rows, trails_late=False)
    return plan


def told_apart(given: dict[str, ArrayLike], shape: tuple[int, ...]) -> tuple[Any, dict[str, Float]] | None:
    """Return what entries have in common as one record, and the columns with a value a bar; None where it is neither."""
    blank, by_bar = BLANK.copy(), {}
    for name, value in given.items():
        values = np.asarray(value, dtype=np.float64)
        if name not in ENTRY_COLUMNS or (name in DTYPES and (values.ndim or not float(values).is_integer())):
            return None
        if values.shape == shape:
            by_bar[name] = values
        elif values.ndim:
            return None
        else:
            blank[name] = values
    return blank, by_bar


def make_rows(kind: int, symbol: str, at: ArrayLike, **given: ArrayLike) -> Plan:
    mask = np.asarray(at)
    if kind == ENTER and mask.dtype == bool and mask.ndim == 1:
        quick = entries(symbol, mask, given)
        if quick is not None:
            return quick
    bars = (
        np.flatnonzero(mask) if mask.dtype == bool else whole("at", np.atleast_1d(mask).astype(np.float64), mask.size)
    )
    allowed = ENTRY_COLUMNS if kind == ENTER else AMENDABLE if kind == AMEND else ("exposure",)
    block = np.full((len(PRICES) + 1, bars.size), np.nan)
    columns: dict[str, Any] = dict(zip(("exposure", *PRICES), block, strict=True))
    columns["valid_bars"] = np.ones(bars.size, np.int64)
    columns["max_bars"] = np.zeros(bars.size, np.int64)
    for name, value in given.items():
        if name not in allowed:
            raise PlanError(f"`{KINDS[kind]}` takes no `{name}`; it takes {', '.join(allowed)}.")
        values = np.asarray(value, dtype=np.float64)
        if mask.dtype == bool and values.shape == mask.shape:
            values = values[bars]
        if values.ndim > 1 or (values.ndim == 1 and values.size not in (1, bars.size)):
            raise PlanError(f"`{name}` has {values.size} values for {bars.size} rows.")
        if name in DTYPES:
            columns[name] = whole(name, values, bars.size)
        else:
            columns[name][...] = values
    numbers: dict[str, Any] = {
        "bar": bars,
        "symbol": np.zeros(bars.size, np.int32),
        "kind": np.full(bars.size, kind, np.int8),
    }
    return Plan((symbol,), **numbers, **columns)


def whole(name: str, values: Float, rows: int) -> Int64:
    fill = 1.0 if name == "valid_bars" else 0.0
    filled = np.where(np.isnan(values), fill, values)
    if np.any(filled != np.floor(filled)):
        raise PlanError(f"`{name}` must be whole bars, got {filled[filled != np.floor(filled)].flat[0]}.")
    return np.broadcast_to(filled.astype(np.int64), rows)
