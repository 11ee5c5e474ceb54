"""Series files to columns: Parquet and CSV by path, columns in any case, times of any usual kind, all in ns UTC."""

import io
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from backtest.errors import MarketError, did_you_mean
from backtest.market.sources import SOURCES
from backtest.market.times import epoch_ns, iso_ns
from backtest.market.validate import count, refuse
from backtest.model.arrays import Float, Int64

__all__ = [
    "ALIASES",
    "Columns",
    "Table",
    "columns_of",
    "open_table",
    "read_columns",
    "store_entry",
    "store_folders",
    "value_columns",
]

# Names under which the usual sources keep a column; compared in lower case, blanks and dashes as underscores.
ALIASES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "date", "open_time", "opentime", "ts", "t", "funding_time", "fundingtime",
             "calc_time", "index", "__index_level_0__", ""),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "price": ("price", "mark_price", "markprice", "mark", "close"),
    "rate": ("funding_rate", "fundingrate", "rate", "funding", "last_funding_rate"),
    "mark": ("mark", "mark_price", "markprice"),
    "value": ("value",),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Columns:
    """One series as read: time (k,) int64 ns UTC, in the file's order; values: (k,) float64 each, NaN where empty.

    source: the file's name, a store entry or a scenario; findings: sentences about the file that do not stop the run.
    """

    time: Int64
    values: Mapping[str, Float]
    source: str
    findings: tuple[str, ...] = ()

    def take(self, rows: Any) -> "Columns":
        """Return the rows that a mask, slice or index selects."""
        if isinstance(rows, np.ndarray) and rows.dtype == np.bool_ and rows.all():
            return self  # the usual case, without a copy of every column
        return Columns(self.time[rows], {k: v[rows] for k, v in self.values.items()}, self.source, self.findings)


@dataclass(frozen=True, eq=False)
class Table:
    """A file as it is: its name, the columns of an Arrow table and what was noticed while reading."""

    name: str
    data: Any
    findings: tuple[str, ...] = ()


def read_columns(
    path: Path,
    wanted: Iterable[str],
    *,
    optional: Iterable[str] = (),
    named: Mapping[str, str] | None = None,
    tz: str | None = None,
) -> Columns:
    """Return the wanted columns of a Parquet or CSV file with their times in ns UTC.

    wanted, optional: keys of `ALIASES`; named: the file's own names for some of them; tz: the zone of times that carry
    none (UTC by default). Nothing is sorted, filled or dropped. MarketError for a file that is missing, empty, cut off
    or of an unknown kind, a missing or ambiguous column, text among numbers, and times that are not times.
    """
    return columns_of(open_table(path), wanted, optional=optional, named=named, tz=tz)


def columns_of(
    table: Table,
    wanted: Iterable[str],
    *,
    optional: Iterable[str] = (),
    named: Mapping[str, str] | None = None,
    tz: str | None = None,
) -> Columns:
    """Return the wanted columns of a table that was opened before; see `read_columns`."""
    wanted, optional, named, problems = tuple(wanted), tuple(optional), dict(named or {}), list[str]()
    places = {
        key: locate(table, key, named.get(key), problems, key in optional) for key in ("time", *wanted, *optional)
    }
    refuse(table.name, problems)
    values: dict[str, Float] = {}
    for key in (*wanted, *optional):
        if (place := places[key]) is not None:
            values[key] = numbers(table.data.column(place), table.data.column_names[place], problems)
    column = table.data.column_names[places["time"] or 0]
    time, noted = times(table.data.column(places["time"] or 0), column, tz, problems)
    refuse(table.name, problems)
    return Columns(time, values, table.name, table.findings + noted)


def plain(name: str) -> str:
    """Return a column's name as it is compared."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def locate(table: Table, key: str, own: str | None, problems: list[str], optional: bool) -> int | None:
    """Return a column's position, by its declared name or one of the usual ones; None, and a problem, without it."""
    names: list[str] = table.data.column_names
    if own is not None and own in names and names.count(own) == 1:
        return names.index(own)
    for name in ALIASES.get(key, (key,)) if own is None else (own,):
        found = [i for i, n in enumerate(names) if plain(n) == plain(name)]
        if len(found) > 1:
            problems.append(
                f"the columns {', '.join(repr(names[i]) for i in found)} could all be `{key}`; declare which is"
            )
        if found:
            return found[0]
    if key == "time" and own is None and (stamps := stamped(table)) is not None:
        return stamps
    if not optional or own is not None:
        near = did_you_mean(own, names) if own is not None else ""
        called = f"`{key}` named {own!r}" if own is not None else f"`{key}`"
        problems.append(f"it has no column {called}; found: {', '.join(names)}.{near}".removesuffix("."))
    return None


def stamped(table: Table) -> int | None:
    """Return the only column whose type is a time, or None."""
    found = [i for i, field in enumerate(table.data.schema) if str(field.type).startswith(("timestamp", "date"))]
    return found[0] if len(found) == 1 else None


def open_table(path: Path) -> Table:
    """Return a Parquet or CSV file as an Arrow table; MarketError for one that is missing, empty or broken."""
    if not path.is_file():
        raise MarketError(f"{path.name}: there is no such file in {path.parent.resolve()}.")
    if path.stat().st_size == 0:
        raise MarketError(f"{path.name}: the file is empty.")
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise MarketError(f"{path.name}: only .parquet and .csv files can be read.")
    try:
        table = open_parquet(path) if suffix == ".parquet" else open_csv(path)
    except OSError as error:
        what = "the Parquet file is cut off or broken" if suffix == ".parquet" else "the file can't be read"
        raise MarketError(f"{path.name}: {what} ({str(error).splitlines()[0]}).") from None
    if table.data.num_rows == 0:
        raise MarketError(f"{path.name}: the file holds no rows.")
    return table


def open_parquet(path: Path) -> Table:
    """Return a Parquet file; a footer that is not there means that the file was cut off."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = pq.ParquetFile(path).read()
        data.validate(full=True)
        names = data.column_names  # decoded here: a damaged name is no text
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise MarketError(
            f"{path.name}: the Parquet file is cut off or broken ({(str(error) or 'no memory').splitlines()[0]})."
        ) from None
    if not names:
        raise MarketError(f"{path.name}: the file holds no columns.")
    return Table(path.name, data)


def open_csv(path: Path) -> Table:
    """Return a CSV file with a header line; a row with another number of fields means that the file was cut off."""
    import pyarrow as pa
    import pyarrow.csv

    raw = path.read_bytes()
    first, ended = edges(path.name, raw)
    delimiter = max(",;\t", key=first.count)
    if all(re.fullmatch(r"[-+0-9.eE:TZ ]*", cell.strip('" ')) for cell in first.split(delimiter)):
        raise MarketError(f"{path.name}: the first line must name the columns; it is {first[:60]!r}.")
    broken: list[Any] = []

    def note(row: Any) -> Literal["skip"]:
        broken.append(row)
        return "skip"

    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note)
    try:
        data = pyarrow.csv.read_csv(io.BytesIO(raw), pyarrow.csv.ReadOptions(use_threads=False), parse)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise MarketError(f"{path.name}: the CSV file can't be read ({str(error).splitlines()[0]}).") from None
    refuse(path.name, [
        f"line {row.number} has {count(row.actual_columns, 'field')} where the header has {row.expected_columns}; "
        "the file seems to be cut off or damaged" for row in broken
    ])  # fmt: skip
    return Table(
        path.name, data, () if ended else (f"{path.name} does not end with a line end; its last row may be cut off.",)
    )


def edges(name: str, raw: bytes) -> tuple[str, bool]:
    """Return the first line of a file's bytes, and whether the last one ends; MarketError where they are no UTF-8 text."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise MarketError(f"{name}: line {line} is not UTF-8 text; the file is damaged or of another kind.") from None
    return raw.split(b"\n", 1)[0].decode("utf-8-sig").rstrip("\r"), raw.endswith((b"\n", b"\r"))


def numbers(column: Any, name: str, problems: list[str]) -> Float:
    """Return a column as float64, NaN where empty; text in it is a problem that names the row and the value."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return floats(column)
    values = np.full(len(column), np.nan)
    wrong: list[tuple[int, Any]] = []
    for i, value in enumerate(column.to_pylist()):
        try:
            values[i] = np.nan if value is None or value == "" else float(value if isinstance(value, str) else "text")
        except ValueError:
            wrong.append((i, value))
    if wrong:
        rest = f" ({count(len(wrong), 'such row')})" if len(wrong) > 1 else ""
        problems.append(f"row {wrong[0][0] + 1} of `{name}` holds {str(wrong[0][1])[:40]!r}, not a number{rest}")
    return values


def floats(column: Any) -> Float:
    """Return a column of numbers as float64, NaN where empty."""
    import pyarrow as pa

    if column.num_chunks == 1 and pa.types.is_float64(column.type) and not column.null_count:
        return np.asarray(buffer(column.chunk(0), np.float64))
    joined = column.cast(pa.float64(), safe=False).combine_chunks()
    filled = joined.fill_null(float("nan")) if joined.null_count else joined
    values: Float = buffer(filled, np.float64)
    return values


def integers(column: Any) -> Int64:
    """Return a column of whole numbers or times without empty cells as int64."""
    import pyarrow as pa

    alike = pa.types.is_int64(column.type) or pa.types.is_timestamp(
        column.type
    )  # 8 bytes each, which a cast would leave
    values: Int64 = buffer((column if alike else column.cast(pa.int64())).combine_chunks(), np.int64)
    return values


def buffer(joined: Any, kind: Any) -> Any:
    """Return the numbers of an Arrow array; its own `to_numpy` imports pandas, which takes longer than the file."""
    if not len(joined):
        return np.empty(0, kind)
    return np.frombuffer(joined.buffers()[1], dtype=kind)[joined.offset : joined.offset + len(joined)]


def times(column: Any, name: str, tz: str | None, problems: list[str]) -> tuple[Int64, tuple[str, ...]]:
    """Return a column of times as int64 ns UTC and what was noticed; what is not a time is a problem."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        problems.append(f"{count(column.null_count, 'row')} of `{name}` have no time")
        return np.empty(0, np.int64), ()
    aware = pa.types.is_timestamp(column.type) and column.type.tz is not None
    try:
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            wanted = pa.timestamp("ns", "UTC" if aware else None)
            if column.type != wanted:  # a cast to the same type would import `pyarrow.compute` for nothing
                column = column.cast(wanted)
            time = integers(column)
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            whole = pa.types.is_integer(column.type)
            time, aware = epoch_ns(integers(column) if whole else floats(column)), True
        else:
            time, aware = iso_ns([str(value) for value in column.to_pylist()])
        if tz is None:
            return time, ()
        if aware:
            return time, (f"`{name}` says its zone itself; the declared tz {tz!r} was not needed.",)
        return in_zone(time, tz), ()
    except (ValueError, pa.ArrowException) as error:
        problems.append(f"`{name}`: {str(error).splitlines()[0]}")
        return np.empty(0, np.int64), ()


def in_zone(time: Int64, tz: str) -> Int64:
    """Return local times of a zone as UTC; an hour that the clocks skip or repeat is an error."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        ZoneInfo(tz)
    except (ValueError, OSError, KeyError):
        raise ValueError(f'the declared tz {tz!r} is not a known zone, such as "Europe/Paris"') from None
    local: Any = pa.array(time, pa.timestamp("ns"))
    try:
        zoned = pc.assume_timezone(local, tz, ambiguous="raise", nonexistent="raise")
    except pa.ArrowInvalid as error:
        told = str(error).splitlines()[0]
        raise ValueError(f"the clocks of {tz} skip or repeat some of these times ({told}); use UTC times") from None
    return integers(pa.chunked_array([zoned]))


def value_columns(table: Table) -> list[str]:
    """Return the columns of a table that are not times."""
    return [
        field.name for field in table.data.schema
        if plain(field.name) not in ALIASES["time"] and not str(field.type).startswith(("timestamp", "date"))
    ]  # fmt: skip


def store_folders() -> tuple[Path, ...]:
    """Return where stored series may lie: first where they are written to, then in the working folder's data, in the
    user's own.
    """
    import platformdirs

    from backtest.market.store.entry import store_root

    others = (Path("data"), platformdirs.user_data_path("levelbreak"))
    return tuple(dict.fromkeys((store_root(), *(folder / "store" for folder in others))))


def store_entry(
    source: str, name: str, market: str, fetched: str = "", span: tuple[int | None, int | None] | None = None
) -> Path:
    """Return where a store entry such as ("binance", "BTCUSDT_1h") lies: the folder of a series that was fetched or
    imported, else a single file that was placed by hand; MarketError when there is neither.

    Of several folders of the store the one that covers most counts, the first where they cover alike. fetched: the folder's
    name where it is not the file's; market: the market's name, to say how to fetch it; span: of the market, ns UTC.
    """
    safe = [re.sub(r"[^A-Za-z0-9._-]", "_", part) for part in (source, name)]
    if not source or safe[0] != source or source.startswith("."):
        raise MarketError(f"{source!r} can't be the name of a store; use letters, digits, dashes and underscores.")
    file = safe[1].lstrip(".")
    found = [
        place for folder in store_folders()
        if (place := placed(folder / source / (fetched or file), folder / source / f"{file}.parquet")) is not None
    ]  # fmt: skip
    if found:
        return found[0] if len(found) == 1 else max(found, key=lambda place: held(place, span))
    entry = f"{source}/{safe[1]}"
    fetch = f"run `backtest fetch {shlex.quote(market)}`, " if source in SOURCES and market else ""
    raise MarketError(
        f"The store has no entry {entry}; {fetch}save it as data/store/{entry}.parquet or give a path instead."
    )


def placed(folder: Path, file: Path) -> Path | None:
    """Return which of a series' two places in one store is taken; MarketError where that can't be seen."""
    try:
        return folder if (folder / "manifest.json").is_file() else file if file.is_file() else None
    except OSError as error:
        raise MarketError(f"{folder} can't be read ({error.strerror or error}).") from None


def held(place: Path, span: tuple[int | None, int | None] | None) -> int:
    """Return how much of a span a place of the store covers, ns; a file that was placed by hand counts as all of it."""
    if not place.is_dir():
        return 2**63
    from backtest.market.store.manifest import read_manifest
    from backtest.market.store.spans import inside

    start, end = span or (None, None)
    try:
        manifest = read_manifest(place)
    except MarketError:
        return -1  # whoever reads it is told why, unless there is another one
    if manifest is None or not manifest.rows:
        return -1
    covered = inside(manifest.covered, -(2**63) if start is None else start, 2**63 if end is None else end)
    return sum(b - a for a, b in covered)
