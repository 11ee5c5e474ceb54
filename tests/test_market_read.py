"""Reading series files: every usual kind of time and column, and what a file must not be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtest.errors import MarketError
from backtest.market import read_columns, store_entry

T0 = 1_709_251_200_000_000_000  # 2024-03-01T00:00Z
HOUR = 3_600_000_000_000
OHLCV = ("open", "high", "low", "close", "volume")


def csv(folder: Path, *rows: str, name: str = "btc.csv", end: str = "\n") -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + end, encoding="utf-8")
    return path


def parquet(folder: Path, name: str = "btc.parquet", **columns: object) -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def close_at(folder: Path, *stamps: str, header: str = "time", **options: object) -> list[int]:
    rows = [f"{stamp},{i + 1}" for i, stamp in enumerate(stamps)]
    return read_columns(csv(folder, f"{header},close", *rows), ["close"], **options).time.tolist()


@pytest.mark.parametrize(
    "stamps",
    [
        ("1709251200", "1709254800"),
        ("1709251200000", "1709254800000"),
        ("1709251200000000", "1709254800000000"),
        ("1709251200000000000", "1709254800000000000"),
        ("1709251200.0", "1709254800.0"),
        ("2024-03-01 00:00:00", "2024-03-01 01:00:00"),
        ("2024-03-01T00:00:00Z", "2024-03-01T01:00:00Z"),
        ("2024-03-01 00:00:00+00:00", "2024-03-01 01:00:00+00:00"),
        ("2024-03-01T05:30:00+05:30", "2024-03-01T06:30:00+05:30"),
        ("2024-03-01T01:00:00+01:00", "2024-03-01T03:00:00+02:00"),
        ("2024-03-01T00:00Z", "2024-03-01T01:00Z"),
    ],
)
def test_the_same_hour_in_every_usual_form(tmp_path, stamps):
    assert close_at(tmp_path, *stamps) == [T0, T0 + HOUR]


def test_a_date_is_midnight_utc_and_a_declared_zone_is_taken_off(tmp_path):
    assert close_at(tmp_path, "2024-03-01", "2024-03-02") == [T0, T0 + 24 * HOUR]
    assert close_at(tmp_path, "2024-03-01 05:30", "2024-03-01 06:30", tz="Asia/Kolkata") == [T0, T0 + HOUR]


@pytest.mark.parametrize(
    ("stamps", "options", "told"),
    [
        (("1709251200", "1709254800000"), {}, "mixed units: s from row 1, ms from row 2"),
        (("0", "1"), {}, "row 1 holds 0, which is no epoch time"),
        (("20240301", "20240302"), {}, "20240301, which is no epoch time"),
        (("2024-03-01T00:00Z", "2024-03-01 01:00"), {}, "some times have a zone and some have none"),
        (("01/03/2024", "02/03/2024"), {}, "row 1 holds '01/03/2024', not an ISO time"),
        (("2024-03-01T00:00Z", ""), {}, "1 row of `time` have no time"),
        (("2024-03-01", "2024-03-02"), {"tz": "Mars/Base"}, "'Mars/Base' is not a known zone"),
        (("2024-03-31 02:30", "2024-03-31 03:30"), {"tz": "Europe/Paris"}, "clocks of Europe/Paris skip or repeat"),
    ],
)
def test_times_that_are_not_times(tmp_path, stamps, options, told):
    with pytest.raises(MarketError) as error:
        close_at(tmp_path, *stamps, **options)
    assert told in str(error.value)
    assert str(error.value).startswith("btc.csv: ")


def test_a_declared_zone_that_was_not_needed_is_noted(tmp_path):
    read = read_columns(csv(tmp_path, "time,close", "2024-03-01T00:00Z,1"), ["close"], tz="Europe/Paris")
    assert read.time.tolist() == [T0]
    assert read.findings == ("`time` says its zone itself; the declared tz 'Europe/Paris' was not needed.",)


@pytest.mark.parametrize(
    "header",
    [
        "time,open,high,low,close,volume",
        "Time,Open,High,Low,Close,Volume",
        "TIMESTAMP,OPEN,HIGH,LOW,CLOSE,VOLUME",
        "open_time,o,h,l,c,v",
        " Open Time ,Open , High,Low,Close,Volume",
    ],
)
def test_columns_in_any_case(tmp_path, header):
    read = read_columns(csv(tmp_path, header, "1709251200,1,4,0.5,2,10"), OHLCV)
    assert {k: v.tolist() for k, v in read.values.items()} == {
        "open": [1.0], "high": [4.0], "low": [0.5], "close": [2.0], "volume": [10.0]
    }  # fmt: skip


def test_the_adjusted_close_is_left_alone_and_other_delimiters_are_read(tmp_path):
    rows = ("Date;Open;High;Low;Close;Adj Close;Volume", "2024-03-01;1;4;0.5;2;1.9;10")
    assert read_columns(csv(tmp_path, *rows), OHLCV).values["close"].tolist() == [2.0]


def test_declared_names_come_first(tmp_path):
    path = csv(tmp_path, "when,px,close", "1709251200,7,8")
    assert read_columns(path, ["close"], named={"time": "when", "close": "px"}).values["close"].tolist() == [7.0]


def test_parquet_with_a_time_index_a_nameless_one_and_decimals(tmp_path):
    when = pa.array([T0, T0 + HOUR], pa.timestamp("ns", "UTC"))
    for name in ("time", "__index_level_0__", "whatever"):
        path = parquet(tmp_path, close=pa.array([1.0, None]), **{name: when})
        read = read_columns(path, ["close"])
        assert read.time.tolist() == [T0, T0 + HOUR]
        assert read.values["close"][0] == 1.0
        assert np.isnan(read.values["close"][1])
    texts = parquet(tmp_path, time=pa.array(["2024-03-01", "2024-03-02"]), close=pa.array(["1.5", "2.5"]))
    assert read_columns(texts, ["close"]).values["close"].tolist() == [1.5, 2.5]


def test_a_pandas_frame_as_written_by_pandas(tmp_path):
    import pandas as pd

    index = pd.DatetimeIndex(["2024-03-01", "2024-03-02"], tz="UTC")
    pd.DataFrame({"Close": [1.0, 2.0]}, index=index).to_parquet(tmp_path / "frame.parquet")
    assert read_columns(tmp_path / "frame.parquet", ["close"]).time.tolist() == [T0, T0 + 24 * HOUR]
    pd.DataFrame({"Close": [1.0, 2.0]}, index=index).to_csv(tmp_path / "frame.csv")
    assert read_columns(tmp_path / "frame.csv", ["close"]).time.tolist() == [T0, T0 + 24 * HOUR]


def test_text_in_a_number_column_names_row_and_value(tmp_path):
    path = csv(tmp_path, "time,close", "1709251200,1", "1709254800,n.v.", "1709258400,-")
    with pytest.raises(MarketError, match=r"btc\.csv: row 2 of `close` holds 'n\.v\.', not a number \(2 such rows\)"):
        read_columns(path, ["close"])


def test_a_missing_column_lists_those_found(tmp_path):
    path = csv(tmp_path, "time,open,cls", "1709251200,1,2")
    with pytest.raises(MarketError) as error:
        read_columns(path, ["open", "high", "close"])
    assert str(error.value) == (
        "btc.csv: it has no column `high`; found: time, open, cls; it has no column `close`; found: time, open, cls."
    )
    with pytest.raises(MarketError, match="Did you mean 'cls'"):
        read_columns(path, ["close"], named={"close": "clse"})


def test_two_columns_of_one_name_must_be_told_apart(tmp_path):
    path = csv(tmp_path, "time,Close,CLOSE", "1709251200,1,2")
    with pytest.raises(MarketError, match="could all be `close`"):
        read_columns(path, ["close"])
    assert read_columns(path, ["close"], named={"close": "CLOSE"}).values["close"].tolist() == [2.0]


def test_missing_empty_headless_and_foreign_files(tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "empty.parquet").touch()
    csv(tmp_path, "time,close", name="header.csv")
    csv(tmp_path, "1709251200,1,2", "1709254800,1,2", name="headless.csv")
    csv(tmp_path, "x", name="book.xlsx")
    for name, told in (
        ("gone.csv", "there is no such file"),
        ("empty.csv", "the file is empty"),
        ("empty.parquet", "the file is empty"),
        ("header.csv", "the file holds no rows"),
        ("headless.csv", "the first line must name the columns"),
        ("book.xlsx", r"only \.parquet and \.csv"),
    ):
        with pytest.raises(MarketError, match=f"^{name}: .*{told}"):
            read_columns(tmp_path / name, ["close"])


def test_a_csv_cut_in_half(tmp_path):
    rows = [f"{1_709_251_200 + 3600 * i},1,2,0.5,1.5,10" for i in range(100)]
    whole = "\n".join(["time,open,high,low,close,volume", *rows])
    (tmp_path / "half.csv").write_text(whole[: len(whole) // 2], encoding="utf-8")
    assert len(whole[: len(whole) // 2].splitlines()[-1].split(",")) < 6
    with pytest.raises(MarketError, match=r"half\.csv: line \d+ has \d fields? where the header has 6; .*cut off"):
        read_columns(tmp_path / "half.csv", OHLCV)


def test_a_csv_cut_inside_its_last_number_is_noted(tmp_path):
    read = read_columns(csv(tmp_path, "time,close", "1709251200,67", end=""), ["close"])
    assert read.findings == ("btc.csv does not end with a line end; its last row may be cut off.",)


def test_a_parquet_file_cut_in_half(tmp_path):
    path = parquet(
        tmp_path, time=pa.array(np.arange(1000) + 1_709_251_200), close=pa.array(np.random.default_rng(1).random(1000))
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MarketError, match=r"btc\.parquet: the Parquet file is cut off or broken"):
        read_columns(path, ["close"])


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "junk.csv").write_bytes(b"time,close\n\xff\xfe\x00,\x80\x81\n")
    with pytest.raises(MarketError, match=r"junk\.csv: line 2 is not UTF-8 text"):
        read_columns(tmp_path / "junk.csv", ["close"])


def test_the_store_is_looked_for_in_its_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "elsewhere"))
    near = tmp_path / "data" / "store" / "binance" / "BTC_USDT_USDT_1h.parquet"
    near.parent.mkdir(parents=True)
    with pytest.raises(MarketError, match=r"save it as data/store/binance/BTC_USDT_USDT_1h.parquet"):
        store_entry("binance", "BTC/USDT:USDT_1h", "mine")
    near.touch()
    assert store_entry("binance", "BTC/USDT:USDT_1h", "mine").resolve() == near
    declared = tmp_path / "elsewhere" / "store" / "binance" / "BTC_USDT_USDT_1h.parquet"
    declared.parent.mkdir(parents=True)
    declared.touch()
    assert store_entry("binance", "BTC/USDT:USDT_1h", "mine") == declared
    for name in ("../up", "a/b", ".."):
        with pytest.raises(MarketError, match="can't be the name of a store"):
            store_entry(name, "BTC_1h", "mine")


def test_neither_the_import_nor_the_reading_needs_pandas(tmp_path):
    path = parquet(tmp_path, time=pa.array([T0], pa.timestamp("ns", "UTC")), close=pa.array([1.0]))
    code = (
        "import sys, pathlib; from backtest.market import read_columns; assert 'pyarrow' not in sys.modules;"
        f"read_columns(pathlib.Path({str(path)!r}), ['close']); assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
