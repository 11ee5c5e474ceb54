"""A user's own CSV or Parquet file into the store: read by the rules of all files, kept like what was fetched."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from backtest.errors import MarketError, did_you_mean
from backtest.market.clock import interval_text
from backtest.market.read import Columns, Table, columns_of, open_table, plain, value_columns
from backtest.market.sources import SOURCES
from backtest.market.sources.base import COLUMNS, Page
from backtest.market.store.entry import open_entry, store_root
from backtest.market.store.manifest import Asked
from backtest.market.store.merging import Written
from backtest.market.store.partitions import OPTIONAL, names_of
from backtest.market.validate import Finding, count, order_findings, refuse, sift, usual_spacing

__all__ = ["import_file"]

PRICES = ("open", "high", "low", "close")
# Columns that a file of the kind may lack: they become NaN, which says that the source gives no number.
BLANK = {"bars": ("volume",), "open_interest": ("coins", "usd")}


def import_file(
    path: Path,
    source: str,
    symbol: str,
    kind: str,
    interval: int,
    columns: Mapping[str, str] | None = None,
    root: Path | None = None,
    *,
    tz: str | None = None,
    unit: str | None = None,
    now: int | None = None,
) -> Written:
    """Store a user's CSV or Parquet file as a series, and return what became of its rows; see `Entry.write`.

    source, symbol: the names under which markets find it; kind: one of `KINDS`; interval: ns, 0 for stamps that are each
    known at their time; columns: ours -> the file's own (`{"usd": "oi_close"}`), time included; root: the store's folder;
    tz: the zone of times that carry none; unit: "percent" for funding in percent; now: ns UTC, bars that are open then are
    left out. Imported again, a file that grew adds its new rows, and changed ones count as revised.
    MarketError for a name of a source that is fetched, a file that can't be read, times out of order or twice, and another
    interval than the declared one.
    """
    if source in SOURCES:
        raise MarketError(
            f"What is called {source} comes from there by `backtest fetch`; choose another name, such as mine."
        )
    moment = time.time_ns() if now is None else now
    named = dict(columns or {})
    check_names(kind, named, unit)
    entry = open_entry(store_root() if root is None else root, source, symbol, kind, interval)
    table = open_table(path)
    read, notes = taken(table, kind, named, tz)
    check_times(read, kind, interval)
    scale = 100.0 if unit == "percent" else 1.0
    rows = {"time": read.time} | {n: c / scale if n == "rate" else c for n, c in read.values.items()}
    start, end = int(read.time[0]), int(read.time[-1]) + max(interval, 1)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    notes = (f"Imported from {path.name} (SHA-256 {checksum}).", *notes, *read.findings)
    request = Asked(start=start, end=end, file=path.name, columns=named)
    page = Page(rows, start, end, notes)
    return entry.write(page, closed_before=moment, retrieved_at=moment, request=request)


def check_names(kind: str, named: Mapping[str, str], unit: str | None) -> None:
    """Refuse names of columns that a kind does not have, and a unit that means nothing."""
    known = [n for n in names_of(kind) if n != "known_at"] + (["price"] if kind == "mark" else [])
    for name in named:
        if name not in known:
            raise MarketError(f"{name!r} is not a column of {kind}.{did_you_mean(name, known)}")
    if unit not in (None, "fraction", "percent") or (unit == "percent" and kind != "funding"):
        raise MarketError(f'The unit of {kind} can\'t be {unit!r}; only funding can be in "percent".')


def taken(table: Table, kind: str, named: Mapping[str, str], tz: str | None) -> tuple[Columns, tuple[str, ...]]:
    """Return the columns of a kind from a file, and what was noted."""
    there = {plain(name) for name in table.data.column_names} | set(named)
    if kind == "mark" and not {"open", "high", "low"} <= there:
        single = columns_of(table, ("price",), named=named, tz=tz)
        flat = dict.fromkeys(PRICES, single.values["price"])
        return Columns(single.time, flat, single.source, single.findings), ("One price a bar, taken for all of it.",)
    blank = BLANK.get(kind, ())
    wanted = tuple(n for n in COLUMNS[kind] if n not in blank)
    own = dict(named)
    if wanted == ("value",) and "value" not in own and len(others := value_columns(table)) == 1:
        own["value"] = others[0]
    read = columns_of(table, wanted, optional=(*blank, *OPTIONAL.get(kind, ())), named=own, tz=tz)
    absent = [n for n in blank if n not in read.values and n in COLUMNS[kind]]
    if len(absent) == len(COLUMNS[kind]):
        refuse(table.name, [f"it has none of the columns {', '.join(absent)}; name one: {absent[-1]}=COLUMN"])
    empty = {n: np.full(read.time.size, np.nan) for n in absent}
    notes = (f"The file has no {' and no '.join(absent)}.",) if absent else ()
    return Columns(read.time, {**read.values, **empty}, read.source, read.findings), notes


def check_times(read: Columns, kind: str, interval: int) -> None:
    """Refuse times out of order or twice, and bars of another length than the declared one."""
    findings = list(order_findings(kind, "row", read.time))
    usual = usual_spacing(read.time)
    if interval and not findings and usual not in (0, interval):
        apart = f"rows {interval_text(usual)} apart, not {interval_text(interval)} as declared"
        findings.append(Finding(f"{kind} has {apart} ({count(read.time.size, 'row')})"))
    sift(read.source, findings)
