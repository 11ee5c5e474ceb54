"""Run folders: written whole or not at all, found again, and the same run in the same place."""

import doctest
import errno
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_result import make_ledger, make_result, make_venue

from backtest.analysis import analyze
from backtest.catalogue import folders as folder_module
from backtest.catalogue import (
    list_runs,
    load_run,
    results_folder,
    save_run,
    scan_runs,
)
from backtest.catalogue import runs as run_module
from backtest.catalogue import toml as toml_module
from backtest.errors import ResultsError
from backtest.model import RunConfig

FILES = ["config.toml", "equity.parquet", "ledger.parquet", "rejections.parquet", "summary.json", "trades.parquet"]


def save(results, result=None, **changes):
    result = result or make_result()
    return save_run(result, analyze(result).to_dict(), results, **changes)


def test_every_example_of_the_docstrings_holds():
    assert doctest.testmod(toml_module).failed == doctest.testmod(run_module).failed == 0


def test_a_run_folder_holds_these_files_and_nothing_else_is_left(tmp_path):
    folder = save(tmp_path / "results")
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert list((tmp_path / "results").iterdir()) == [folder]


def test_the_trades_file(tmp_path):
    trades = pd.read_parquet(save(tmp_path) / "trades.parquet")
    assert trades["symbol"].tolist() == ["BTCUSDT", "ETHUSDT"]
    assert trades["side"].tolist() == ["short", "long"]
    assert trades["reason"].tolist() == ["target", "open"]
    assert trades["quantity"].tolist() == [2.0, 5.0]
    assert trades["entry_time"].tolist() == [pd.Timestamp("2026-01-01T01:00Z"), pd.Timestamp("2026-01-01T03:00Z")]
    assert trades["exit_time"][0] == pd.Timestamp("2026-01-01T03:00Z")
    assert trades["exit_time"][1] is pd.NaT
    assert {"entry_price", "exit_price", "pnl", "fees", "funding"} <= set(trades.columns)


def test_times_are_utc_nanoseconds(tmp_path):
    folder = save(tmp_path)
    for name, column in (("trades", "entry_time"), ("trades", "exit_time"), ("ledger", "time"), ("equity", "time")):
        assert pq.read_schema(folder / f"{name}.parquet").field(column).type == pa.timestamp("ns", tz="UTC")


def test_the_ledger_file(tmp_path):
    ledger = pd.read_parquet(save(tmp_path) / "ledger.parquet")
    assert ledger["kind"].tolist() == ["fee", "slippage", "funding", "trade_pnl", "fee", "fee"]
    assert ledger["amount"].tolist() == [-0.1, -0.04, 0.3, 20.0, -0.09, -0.025]
    assert ledger["symbol"].tolist() == ["BTCUSDT"] * 5 + ["ETHUSDT"]


def test_the_equity_file_has_a_signed_position_for_each_symbol(tmp_path):
    equity = pd.read_parquet(save(tmp_path) / "equity.parquet")
    assert equity["equity"].tolist() == [1000.0, 999.9, 1010.2, 1020.085, 1015.085]
    assert equity["position_BTCUSDT"].tolist() == [0.0, -2.0, -2.0, 0.0, 0.0]
    assert equity["position_ETHUSDT"].tolist() == [0.0, 0.0, 0.0, 5.0, 5.0]


def test_the_rejections_file(tmp_path):
    rejections = pd.read_parquet(save(tmp_path) / "rejections.parquet")
    assert rejections[["kind", "reason", "symbol"]].to_numpy().tolist() == [["enter", "end_of_data", "BTCUSDT"]]


def test_the_summary_file(tmp_path):
    created = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
    data = json.loads((save(tmp_path, created=created) / "summary.json").read_text())
    assert data["created"] == "2026-03-01T12:30:15.250+00:00"
    assert data["passport"]["grade"] == data["grade"] == "D"
    assert data["passport"]["series"][0]["name"] == "BTCUSDT.bars"
    assert data["tier_tables"] == ["made-2026"]
    assert data["metrics"]["trades"] == 2
    assert data["pnl_by_kind"]["trade_pnl"] == 20.0
    assert data["assumptions"] == {"mark_is_last": 3, "simulated_data": 1}
    assert data["version"]


def test_writing_does_not_wait_for_pandas(tmp_path):
    code = "import sys, made_result; from backtest.catalogue import save_run; save_run(made_result.make_result(), "
    code += "{}, sys.argv[1]); assert 'pandas' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=Path(__file__).parent, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_empty_tables_are_written_too(tmp_path):
    result = make_result()
    empty = {name: getattr(make_ledger(), name)[:0] for name in LEDGER_COLUMNS}
    ledger = type(result.ledger_table)(result.symbols, **empty)
    folder = save(tmp_path, make_result(ledger_table=ledger))
    assert pd.read_parquet(folder / "ledger.parquet").shape == (0, 7)


LEDGER_COLUMNS = ("time", "symbol", "trade", "kind", "amount", "position", "price")


# --- the id ------------------------------------------------------------------------------------------------------


def test_the_same_run_again_replaces_its_folder(tmp_path):
    first = save(tmp_path, created=datetime(2026, 1, 1, tzinfo=UTC))
    (first / "old.txt").write_text("from the first run")
    second = save(tmp_path, created=datetime(2026, 1, 2, tzinfo=UTC))
    assert first == second
    assert sorted(p.name for p in second.iterdir()) == FILES
    assert [p.name for p in tmp_path.iterdir()] == [first.name]
    assert list_runs(tmp_path)[0].created.startswith("2026-01-02")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": RunConfig("support_break", "made", (("levels", (75_000.0,)),))},
        {"venue": make_venue(taker=0.001)},
        {"passport": make_result(origin="real").passport},
    ],
)
def test_another_parameter_venue_or_data_is_another_run(tmp_path, changes):
    assert save(tmp_path) != save(tmp_path, make_result(**changes))


def test_another_source_of_the_strategy_is_another_run(tmp_path):
    assert save(tmp_path, source="aa") != save(tmp_path, source="bb")


@pytest.mark.parametrize(
    ("strategy", "market", "start"),
    [
        ("support_break", "crash", "support_break_crash_"),
        ("../my ideas/Bréak.py:Mine", "/data/../Crash 1.toml", "Br-ak.py-Mine_Crash-1_"),
        ("..", "", "run_run_"),
        ("a" * 300, "x", "a" * 40 + "_x_"),
        ("C:\\ideas\\con.py", "x\n[y]", "con_x-y_"),
    ],
)
def test_folder_names_are_safe(tmp_path, strategy, market, start):
    folder = save(tmp_path, make_result(strategy=strategy, market=market))
    assert folder.parent == tmp_path
    assert folder.name.startswith(start)
    assert list_runs(tmp_path)[0].strategy == strategy


# --- nothing half-written ----------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_and_keeps_the_older_run(tmp_path, monkeypatch):
    older = save(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    calls = []

    def full(table, path, **options):
        calls.append(path)
        Path(path).write_bytes(b"half")
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ResultsError, match=r"the disk of .* is full"):
        save(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert load_run("last", tmp_path).path == older


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(table, path, **options):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_results_that_are_a_file(tmp_path):
    (tmp_path / "results").write_text("mine")
    with pytest.raises(ResultsError, match=r"not writable \(it is a file\)"):
        save(tmp_path / "results")
    assert (tmp_path / "results").read_text() == "mine"


def test_results_below_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResultsError, match="not writable"):
        save(tmp_path / "file" / "results")


def test_results_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(self, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ResultsError, match=r"not writable \(Permission denied\)"):
        save(tmp_path)


def test_a_rename_that_fails_brings_the_older_run_back(tmp_path, monkeypatch):
    older = save(tmp_path)
    rename = os.rename

    def fail(source, target):
        if Path(source).name.startswith(".writing"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(folder_module.os, "rename", fail)
    with pytest.raises(ResultsError, match="Input/output error"):
        save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [older.name]
    assert sorted(p.name for p in older.iterdir()) == FILES


def test_a_summary_that_is_no_json_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_run(make_result(), {"strategy": "x", "sharpe": math.nan}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_several_that_write_the_same_run_at_once_leave_one_whole_folder(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda _: save(tmp_path), range(24)))
    assert len(set(folders)) == 1
    assert [p.name for p in tmp_path.iterdir()] == [folders[0].name]
    assert sorted(p.name for p in folders[0].iterdir()) == FILES


# --- finding runs ------------------------------------------------------------------------------------------------


def two_runs(results):
    first = save(results, created=datetime(2026, 1, 1, tzinfo=UTC))
    second = save(results, make_result(strategy="ladder"), created=datetime(2026, 1, 2, tzinfo=UTC))
    return first, second


def test_runs_are_listed_oldest_first(tmp_path):
    two_runs(tmp_path)
    assert [run.strategy for run in list_runs(tmp_path)] == ["support_break", "ladder"]


def test_no_folder_has_no_runs(tmp_path):
    assert scan_runs(tmp_path / "none") == ([], [])


def test_broken_folders_are_named_and_the_others_still_listed(tmp_path):
    good = save(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "summary.json").write_text("{")
    (tmp_path / "poor").mkdir()
    (tmp_path / "poor" / "summary.json").write_text("[1]")
    (tmp_path / ".writing-1").mkdir()
    (tmp_path / "README.md").write_text("a file")
    runs, broken = scan_runs(tmp_path)
    assert [run.path for run in runs] == [good]
    assert [(b.path.name, b.problem.split(" (")[0]) for b in broken] == [
        ("bad", "its summary.json can't be read"),
        ("notes", "it has no summary.json"),
        ("poor", "its summary.json can't be read"),
    ]
    with pytest.raises(ResultsError, match="The run bad is broken"):
        load_run("bad", tmp_path)


def test_a_run_is_found_by_id_by_its_beginning_by_folder_and_by_path(tmp_path):
    first, second = two_runs(tmp_path)
    identity = first.name.rsplit("_", 1)[1]
    assert load_run(identity, tmp_path).path == first
    assert load_run(identity[:6], tmp_path).path == first
    assert load_run(first.name, tmp_path).path == first
    assert load_run(str(first) + "/", tmp_path).path == first
    assert load_run("ladder", tmp_path).path == second
    assert load_run("last", tmp_path).path == second


def test_an_unknown_run_names_the_nearest(tmp_path):
    first, _ = two_runs(tmp_path)
    with pytest.raises(ResultsError, match=f"Did you mean '{first.name}'"):
        load_run(first.name.replace("support", "suport"), tmp_path)
    with pytest.raises(ResultsError, match="There are no runs"):
        load_run("x", tmp_path / "none")
    with pytest.raises(ResultsError, match="No run named ''"):
        load_run("", tmp_path)


def test_an_ambiguous_run_names_them_all(tmp_path):
    save(tmp_path, source="aa")
    save(tmp_path, source="bb")
    with pytest.raises(ResultsError, match=r"fits 2 runs: support_break_made_.*, support_break_made_"):
        load_run("support_break", tmp_path)


def test_a_saved_run_gives_its_configuration_and_tables_back(tmp_path):
    save(tmp_path)
    run = load_run("last", tmp_path)
    assert run.config == make_result().config
    assert run.trades["pnl"].tolist() == [20.11, -0.025]
    assert run.ledger.shape == (6, 6)
    assert run.table("ledger").shape == (6, 7)
    assert run.equity.tolist() == [1000.0, 999.9, 1010.2, 1020.085, 1015.085]
    assert run.table("equity").shape == (5, 4)
    assert len(run.rejections) == 1


def test_a_damaged_table_is_said_in_a_sentence(tmp_path):
    folder = save(tmp_path)
    (folder / "trades.parquet").write_bytes(b"PAR1")
    (folder / "ledger.parquet").unlink()
    run = load_run("last", tmp_path)
    with pytest.raises(ResultsError, match=r"no readable trades\.parquet"):
        run.table("trades")
    with pytest.raises(ResultsError, match=r"no readable ledger\.parquet"):
        run.table("ledger")


def test_the_folder_of_results_is_chosen_then_the_variable_then_here(monkeypatch):
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    assert results_folder() == Path("results")
    monkeypatch.setenv("BACKTEST_RESULTS", "/runs")
    assert results_folder() == Path("/runs")
    assert results_folder("mine") == Path("mine")
