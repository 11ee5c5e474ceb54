"""The rows of a stored series: made canonical, cut into months or years, merged, and turned into bytes and back.

Equal rows have equal bytes, whatever pages they came in: that makes a file's checksum the checksum of its rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.errors import MarketError, did_you_mean
from backtest.market.read import buffer
from backtest.market.sources.base import COLUMNS
from backtest.market.store.spans import Spans, inside
from backtest.model.arrays import DAY, BoolArray, Int64

__all__ = ["Overlap", "Rows", "canonical", "decode", "encode", "holes", "merge", "split", "tidy"]

Rows = dict[str, NDArray[Any]]  # time first, int64 ns; the kind's columns, float64; then what is optional

OPTIONAL = {"funding": ("mark",), "liquidations": ("long_coins", "short_coins")}
KNOWN = "known_at"


@dataclass(frozen=True)
class Overlap:
    """What a merge met: rows that were stored already and are the same, rows with other numbers, and by how much.

    largest: the largest |new - old| / |old| of those, a fraction (1 where old is 0, or one of them is not finite);
    columns: those that differ; vanished: stored rows that the page should have and hasn't.
    """

    repeated: int = 0
    revised: int = 0
    largest: float = 0.0
    columns: tuple[str, ...] = ()
    vanished: int = 0


def names_of(kind: str) -> tuple[str, ...]:
    """Return every column that a kind may have, in the order of its files."""
    if kind not in COLUMNS:
        raise MarketError(f"There is no kind of series named {kind!r}.{did_you_mean(kind, COLUMNS)}")
    return ("time", *COLUMNS[kind], *OPTIONAL.get(kind, ()), KNOWN)


def tidy(label: str, kind: str, columns: Mapping[str, NDArray[Any]]) -> tuple[Rows, int]:
    """Return a page's rows sorted by time, and how many stood there twice; the last of those is kept.

    MarketError where a column is missing, unknown or of another length than `time`.
    """
    names = names_of(kind)
    wrong = [f"no column `{n}`" for n in ("time", *COLUMNS[kind]) if n not in columns]
    wrong += [f"a column `{n}` that {kind} don't have" for n in columns if n not in names]
    sizes = {name: np.size(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        wrong.append(f"columns of different lengths ({', '.join(f'{k} {v}' for k, v in sizes.items())})")
    if wrong:
        raise MarketError(f"{label}: the page has {' and '.join(wrong)}.")
    time = np.asarray(columns["time"], np.int64)
    order = np.argsort(time, kind="stable")
    last = np.append(np.diff(time[order]) > 0, True)[: time.size]
    kept = order[last]
    rows = {n: column_of(n, columns[n])[kept] for n in names if n in columns}
    return rows, int(time.size - kept.size)


def column_of(name: str, values: Any) -> NDArray[Any]:
    """Return a column in its type; every NaN is the same one and -0.0 is 0.0, so that equal rows have equal bytes."""
    if name in ("time", KNOWN):
        return np.asarray(values, np.int64)
    numbers = np.asarray(values, np.float64)
    return np.where(np.isnan(numbers), np.nan, numbers) + 0.0


def split(time: Int64, interval: int) -> Iterator[tuple[str, slice]]:
    """Return the parts of sorted times: "2025-07" for bars of less than a day, "2025" for others and for stamps."""
    unit = "M" if 0 < interval < DAY else "Y"
    parts = time.view("datetime64[ns]").astype(f"datetime64[{unit}]")
    edges = [0, *(np.flatnonzero(parts[1:] != parts[:-1]) + 1).tolist(), time.size] if time.size else []
    for a, b in pairwise(edges):
        yield str(parts[a]), slice(a, b)


def merge(old: Rows, new: Rows, interval: int) -> tuple[Rows, Overlap]:
    """Return the rows of both, the new ones where both have a time, and how these differ."""
    names = list(dict.fromkeys((*old, *new)))
    place = np.searchsorted(old["time"], new["time"])
    again = place < old["time"].size
    again[again] = old["time"][place[again]] == new["time"][again]
    before = {n: of(old, n, interval)[place[again]] for n in names}
    after = {n: of(new, n, interval)[again] if n in new or n == KNOWN else before[n] for n in names}
    times = np.concatenate([old["time"], new["time"][~again]])
    order = np.argsort(times, kind="stable")
    rows: Rows = {}
    for name in names:
        kept = of(old, name, interval).copy()
        kept[place[again]] = after[name]
        rows[name] = np.concatenate([kept, of(new, name, interval)[~again]])[order]
    return rows, compare(before, after)


def of(rows: Rows, name: str, interval: int) -> NDArray[Any]:
    """Return a column, or what its absence means: known at the bar's end; no number."""
    if name in rows:
        return rows[name]
    return rows["time"] + interval if name == KNOWN else np.full(rows["time"].size, np.nan)


def compare(before: Rows, after: Rows) -> Overlap:
    """Return how rows of the same times differ."""
    changed: BoolArray = np.zeros(before["time"].size, np.bool_)
    largest, columns = 0.0, []
    for name in before:
        differ = ~equal(before[name], after[name])
        if differ.any():
            columns.append(name)
            changed |= differ
            if name != KNOWN:
                largest = max(largest, float(relative(before[name][differ], after[name][differ]).max()))
    n = int(changed.sum())
    return Overlap(changed.size - n, n, largest, tuple(columns))


def equal(a: NDArray[Any], b: NDArray[Any]) -> BoolArray:
    """Whether numbers are the same, two NaNs included."""
    same: BoolArray = (a == b) | ((a != a) & (b != b))
    return same


def relative(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
    """Return |new - old| / |old|; 1 where that is no number."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sizes = np.abs(new - old) / np.abs(old)
    return np.where(np.isfinite(sizes), sizes, 1.0)


def canonical(rows: Rows, kind: str, interval: int) -> Rows:
    """Return rows with their columns in order, without optional ones that say nothing."""
    empty = {n for n in OPTIONAL.get(kind, ()) if n in rows and np.isnan(rows[n]).all()}
    if KNOWN in rows and np.array_equal(rows[KNOWN], rows["time"] + interval):
        empty.add(KNOWN)
    return {n: rows[n] for n in names_of(kind) if n in rows and n not in empty}


def encode(rows: Rows) -> bytes:
    """Return rows as the bytes of a Parquet file: prices by byte planes and times by steps, which pack best and fast."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    encodings = {n: "DELTA_BINARY_PACKED" if n in ("time", KNOWN) else "BYTE_STREAM_SPLIT" for n in rows}
    sink = pa.BufferOutputStream()
    pq.write_table(
        arrow(rows), sink, compression="zstd", use_dictionary=False, column_encoding=encodings, write_statistics=False
    )
    return bytes(sink.getvalue())


def arrow(rows: Rows) -> Any:
    """Return rows as an Arrow table over the same memory; times as UTC stamps, which any reader shows as such."""
    import pyarrow as pa

    def array(name: str, column: NDArray[Any]) -> Any:
        kind = pa.timestamp("ns", "UTC") if name in ("time", KNOWN) else pa.float64()
        return pa.Array.from_buffers(kind, column.size, [None, pa.py_buffer(np.ascontiguousarray(column).data)])

    return pa.table({name: array(name, column) for name, column in rows.items()})


def decode(data: bytes) -> Rows:
    """Return the rows of a Parquet file's bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    kinds = {n: np.int64 if n in ("time", KNOWN) else np.float64 for n in table.column_names}
    return {n: buffer(table.column(n).combine_chunks(), kinds[n]) for n in table.column_names}


def holes(time: Int64, interval: int, covered: Spans) -> tuple[int, int]:
    """Return the gaps between sorted times, and the bars that they would hold, where the source was asked for them."""
    if not interval or time.size < 2:
        return 0, 0
    wide = np.flatnonzero(np.diff(time) >= 2 * interval)
    sizes = [
        sum((b - a) // interval for a, b in inside(covered, start + interval, end))
        for start, end in zip(time[wide].tolist(), time[wide + 1].tolist(), strict=True)
    ]
    return sum(size > 0 for size in sizes), sum(sizes)
