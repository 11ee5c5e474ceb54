"""A result and a saved run as pandas objects with a UTC index."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_result import SYMBOLS, make_result
from pandas.testing import assert_frame_equal, assert_series_equal

from backtest.catalogue import load_run, save_run
from backtest.errors import ResultsError
from backtest.model import Ledger, Rejections, Trades


def hours(*numbers):
    return pd.DatetimeIndex([pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=n) for n in numbers])


def none(table):
    return table(SYMBOLS, **{name: np.empty(0, np.int64) for name in table.__dataclass_fields__ if name != "symbols"})


def test_the_equity_is_a_series_by_the_bars_open_times():
    equity = make_result().equity
    assert equity.index.equals(hours(0, 1, 2, 3, 4))
    assert (str(equity.index.tz), equity.index.name, equity.name) == ("UTC", "time", "equity")
    assert equity.tolist() == [1000.0, 999.9, 1010.2, 1020.085, 1015.085]
    assert equity.resample("2h").last().tolist() == [999.9, 1020.085, 1015.085]


def test_the_trades_are_a_frame_by_entry_time_and_an_open_one_has_no_exit_time():
    trades = make_result().trades
    assert (trades.index.name, str(trades.index.tz)) == ("entry_time", "UTC")
    assert trades.index.equals(hours(1, 3))
    assert trades["exit_time"].iloc[0] == pd.Timestamp("2026-01-01T03:00Z")
    assert trades["exit_time"].isna().tolist() == [False, True]
    assert trades[["symbol", "side", "reason"]].to_numpy().tolist() == [
        ["BTCUSDT", "short", "target"],
        ["ETHUSDT", "long", "open"],
    ]
    assert trades["pnl"].tolist() == [20.11, -0.025]


def test_the_ledger_is_a_frame_by_time_in_order():
    ledger = make_result().ledger
    assert (ledger.index.name, str(ledger.index.tz)) == ("time", "UTC")
    assert ledger.index.equals(hours(1, 1, 2, 3, 3, 3))
    assert ledger["kind"].tolist() == ["fee", "slippage", "funding", "trade_pnl", "fee", "fee"]
    assert ledger.loc["2026-01-01T03:00Z", "amount"].tolist() == [20.0, -0.09, -0.025]


def test_the_rejections_are_a_frame_by_the_time_at_which_they_failed():
    rejections = make_result().rejections
    assert (rejections.index.name, str(rejections.index.tz)) == ("time", "UTC")
    assert rejections.index.equals(hours(4))
    assert rejections[["row", "bar", "symbol", "kind", "reason"]].to_numpy().tolist() == [
        [2, 4, "BTCUSDT", "enter", "end_of_data"]
    ]


def test_what_is_empty_has_its_columns_and_a_utc_index():
    empty = replace(
        make_result(),
        time=np.empty(0, np.int64),
        equity_values=np.empty(0),
        trades_table=none(Trades),
        ledger_table=none(Ledger),
        rejections_table=none(Rejections),
    )
    for found in (empty.equity, empty.trades, empty.ledger, empty.rejections):
        assert len(found) == 0
        assert str(found.index.dtype) == "datetime64[ns, UTC]"
    assert list(empty.trades.columns) == list(make_result().trades.columns)


def test_they_are_built_once_and_are_no_view_of_the_arrays():
    result = make_result()
    assert result.equity is result.equity
    assert result.trades is result.trades
    result.equity.iloc[0] = 0.0
    result.trades.loc[:, "pnl"] = 0.0
    assert result.equity_values[0] == 1000.0
    assert result.trades_table.pnl.tolist() == [20.11, -0.025]
    changed = replace(result, equity_values=np.full(5, 7.0))
    assert changed.equity.tolist() == [7.0] * 5


def test_a_result_imports_no_pandas_before_it_is_asked():
    code = "import sys, made_result; r = made_result.make_result()\n"
    code += "before = 'pandas' in sys.modules; r.equity; assert (before, 'pandas' in sys.modules) == (False, True)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


def test_a_saved_run_gives_the_same_objects(tmp_path):
    result = make_result()
    save_run(result, {"strategy": "support_break", "market": "made", "grade": "D"}, tmp_path)
    saved = load_run("last", tmp_path)
    assert_series_equal(saved.equity, result.equity)
    for name in ("trades", "ledger", "rejections"):
        assert_frame_equal(getattr(saved, name), getattr(result, name))


def test_a_table_without_its_times_is_a_sentence(tmp_path):
    folder = save_run(make_result(), {"strategy": "support_break", "market": "made", "grade": "D"}, tmp_path)
    pd.DataFrame({"equity": [1.0]}).to_parquet(folder / "equity.parquet")
    with pytest.raises(ResultsError, match=r"equity\.parquet of the run support_break_made_.* has no column time; run"):
        load_run("last", tmp_path).equity  # noqa: B018 - it is read when asked for
