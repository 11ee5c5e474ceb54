"""The files of Binance's archive as columns: a CSV with or without a header, stamps in ms or us, rows in any order."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backtest.market.sources.base import Request
from backtest.market.sources.binance_layout import MINUTE
from backtest.market.sources.dates import day_text, day_time
from backtest.market.sources.http import UnreadableError
from backtest.market.sources.rows import Rows, Values, tidy
from backtest.market.validate import count
from backtest.model.arrays import DAY, HOUR, SECOND, Int64, utc_text

__all__ = ["FIVE", "MEASURED", "reader_of", "sampled"]

FIVE = 5 * MINUTE
# The rows of metrics bear the END of their five minutes in files up to this day, and their START from it on: taken as they
# are, the newer ones would be known five minutes before they were.
START_STAMPS = day_time("2026-06-25")
WHOLE = 280  # rows of a day's file that has nearly all of its 288
DOUBTFUL = (
    "Metrics whose stamps may be the starts of their five minutes rather than the ends, since a whole day of them begins at "
    "00:00, are taken as known five minutes later."
)
JITTER = 30 * SECOND  # rows of metrics are written some seconds late; later than this they are known later, too

KLINES = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
          "taker_buy_volume", "taker_buy_quote_volume", "ignore")  # fmt: skip
FUNDING = ("calc_time", "funding_interval_hours", "last_funding_rate")
METRICS = ("create_time", "symbol", "sum_open_interest", "sum_open_interest_value", "count_toptrader_long_short_ratio",
           "sum_toptrader_long_short_ratio", "count_long_short_ratio", "sum_taker_long_short_vol_ratio")  # fmt: skip
SNAPSHOT = ("time", "side", "order_type", "time_in_force", "original_quantity", "price", "average_price", "order_status",
            "last_fill_quantity", "accumulated_fill_quantity")  # fmt: skip
MEASURED = {
    "open_interest": {"coins": "sum_open_interest", "usd": "sum_open_interest_value"},
    "long_short_ratio": {"value": "count_long_short_ratio"},
    "taker_ratio": {"value": "sum_taker_long_short_vol_ratio"},
}


def reader_of(request: Request, date: str) -> Callable[[bytes], Rows]:
    """Return what reads the CSV of a kind's file of a day or month; UnreadableError for one that is not as documented."""
    if request.kind == "funding":
        return lambda raw: funding_of(raw, request.symbol)
    if request.kind in MEASURED:
        return lambda raw: metrics_of(raw, MEASURED[request.kind], day_time(date))
    if request.kind == "liquidations":
        return lambda raw: liquidations_of(raw, request.interval, day_time(date))
    wanted = ("open", "high", "low", "close", *(("volume",) if request.kind == "bars" else ()))
    return lambda raw: klines_of(raw, wanted)


def table(raw: bytes, names: Sequence[str], texts: Sequence[str], wanted: Sequence[str]) -> Values:
    """Return the wanted columns of a CSV; numbers as float64, NaN where empty, `texts` as str, the first column as text.

    names: the columns in their order, for a file without a header line; one that has a header is read by its own names.
    """
    import pyarrow as pa
    import pyarrow.csv

    raw = raw.removeprefix(b"\xef\xbb\xbf")
    head, _, rest = raw.partition(b"\n")
    if head[:1].isalpha():
        names, raw = [cell.strip().strip('"').lower() for cell in head.decode("utf-8", "replace").split(",")], rest
    if lost := [name for name in wanted if name not in names]:
        raise UnreadableError(f"no column {', '.join(lost)}; it has {', '.join(names)}")
    if not raw.strip():
        return {name: np.array([], dtype=object if name in texts else np.float64) for name in wanted}
    types = {name: pa.string() if name in texts else pa.float64() for name in wanted}
    options = pa.csv.ConvertOptions(column_types=types, include_columns=list(wanted))
    try:
        found = pa.csv.read_csv(io.BytesIO(raw), pa.csv.ReadOptions(column_names=list(names), use_threads=False),
                                convert_options=options)  # fmt: skip
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UnreadableError(f"its CSV can't be read: {str(error).splitlines()[0][:120]}") from None
    return {name: unboxed(found.column(name)) for name in wanted}


def unboxed(column: Any) -> npt.NDArray[Any]:
    """Return an Arrow column of texts or numbers; its own `to_numpy` would import pandas, half a second and 50 MB."""
    array = column.combine_chunks()
    kind = np.float64 if str(array.type) == "double" else object
    if kind is object or array.null_count:
        return np.array(array.to_pylist(), dtype=kind)
    return np.frombuffer(array.buffers()[1], np.float64, len(array), 8 * array.offset)


def stamps(texts: npt.NDArray[Any]) -> Int64:
    """Return stamps as ns UTC: epochs in ms, or in us as spot has them since 2025, each by its size; or dates as text."""
    if not texts.size:
        return np.array([], dtype=np.int64)
    try:
        if "-" in str(texts[0]):
            return np.array([str(t).strip() for t in texts], dtype="M8[ns]").astype(np.int64)
        values = texts.astype(np.int64)
    except (ValueError, TypeError, OverflowError):
        raise UnreadableError("a stamp that is no time") from None
    if ((values < 10**11) | (values >= 10**17)).any():
        raise UnreadableError(f"a stamp that is neither in ms nor in us: {int(values.min())}")
    return np.where(values < 10**14, values * 10**6, values * 10**3)


def klines_of(raw: bytes, wanted: Sequence[str]) -> Rows:
    """Return bars by their open times."""
    found = table(raw, KLINES, ("open_time",), ("open_time", *wanted))
    return tidy({"time": stamps(found["open_time"]), **{name: found[name] for name in wanted}})


def funding_of(raw: bytes, symbol: str) -> Rows:
    """Return the rates by their stamps, to the second: the venue's carry some ms of jitter."""
    found = table(raw, FUNDING, ("calc_time",), FUNDING)
    time = (stamps(found["calc_time"]) + SECOND // 2) // SECOND * SECOND
    rows = tidy({"time": time, "rate": found["last_funding_rate"], "hours": found["funding_interval_hours"]})
    hours = rows.columns.pop("hours")
    turns = np.flatnonzero(np.diff(hours) != 0) + 1
    said = [
        f"{symbol} is funded each {hours[i]:g} h from {utc_text(int(rows.columns['time'][i]))}, each {hours[i - 1]:g} h before."
        for i in turns
    ]
    return Rows(rows.columns, (*rows.notes, *said))


def metrics_of(raw: bytes, wanted: Mapping[str, str], day: int) -> Rows:
    """Return what is measured each five minutes, by the START of those, with `known_at` at their end.

    day: that of the file, by which it is known what its stamps mean (see `START_STAMPS`).
    """
    found = table(raw, METRICS, ("create_time",), ("create_time", *wanted.values()))
    written = stamps(found["create_time"]) + (FIVE if day >= START_STAMPS else 0)
    end = (written + FIVE // 2) // FIVE * FIVE
    known = np.where(np.abs(written - end) <= JITTER, end, np.maximum(written, end))
    # A whole day from 00:00 to 23:55 in an old file may be one that was written anew, with the newer stamps.
    doubtful = day < START_STAMPS and end.size >= WHOLE and day in end and day + DAY not in end
    known = known + FIVE if doubtful else known
    rows = tidy({"time": end - FIVE, **{name: found[column] for name, column in wanted.items()}, "known_at": known})
    return Rows(rows.columns, (*rows.notes, DOUBTFUL)) if doubtful else rows


def sampled(rows: Rows, interval: int) -> Rows:
    """Return five-minute measures as one a bar: the last in it, known when that was."""
    time = rows.columns["time"] // interval * interval
    last = np.flatnonzero(np.append(time[1:] != time[:-1], True)) if time.size else time
    return Rows({name: (time if name == "time" else values)[last] for name, values in rows.columns.items()}, rows.notes)


def liquidations_of(raw: bytes, interval: int, day: int) -> Rows:
    """Return the forced closes of each bar of a day, 0 where there were none: a SELL closes a long.

    A row that is there twice is one: files repeat some. The venue reports one order a second at most, so sums are a floor.
    """
    texts = ("time", "side")
    found = table(raw, SNAPSHOT, texts, (*texts, "average_price", "accumulated_fill_quantity"))
    time, coins, price = stamps(found["time"]), found["accumulated_fill_quantity"], found["average_price"]
    if not np.isfinite(coins * price).all():
        raise UnreadableError("a liquidation without a price or a quantity")
    sold = np.array([str(side).strip().upper() == "SELL" for side in found["side"]], dtype=bool)
    _, first = np.unique(np.column_stack([time, sold, coins, price]), axis=0, return_index=True)
    bins, n = (time[first] - day) // interval, 24 * HOUR // interval
    inside = (bins >= 0) & (bins < n)
    bins, first = bins[inside], first[inside]
    columns: Values = {"time": day + interval * np.arange(n, dtype=np.int64)}
    for side, mine in (("long", sold[first]), ("short", ~sold[first])):
        for unit, values in (("usd", (coins * price)[first]), ("coins", coins[first])):
            columns[f"{side}_{unit}"] = np.bincount(bins[mine], values[mine], minlength=n)
    repeated = time.size - int(inside.size)
    said = f"{day_text(day)} repeats {count(repeated, 'liquidation')}; each is counted once."
    return Rows(columns, (said,) if repeated else ())
