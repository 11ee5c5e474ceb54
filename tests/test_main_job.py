"""The main job, as a user does it: strategies on a market, a table, and a folder whose files add up."""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from command import assert_books_balance, document, process, tables, tree
from main_job import FIGURES, SHIPPED, UTC

from backtest.catalogue.trials import read_trials

FILES = [
    "assessment.json", "config.toml", "equity.parquet", "ledger.parquet", "rejections.parquet", "report.html",
    "summary.json", "trades.parquet",
]  # fmt: skip
STAMPED = "summary.json"  # which says when the run was made


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """`backtest run`, once: what it printed and the folder in which it ran."""
    folder = tmp_path_factory.mktemp("everything")
    return process("run", cwd=folder), folder


def test_without_an_argument_every_strategy_is_compared(everything):
    done, _ = everything
    assert (done.returncode, done.stderr) == (0, "")
    wanted = (
        *SHIPPED, "return", "CAGR", "Sharpe", "Sortino", "max DD", "Calmar", "trades", "win rate", "exposure",
        "funding paid", "fees", "liq.", "PnL by ledger kind", "trade PnL", "Assumptions in force", "grade D",
    )  # fmt: skip
    assert [w for w in wanted if w not in done.stdout] == []
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_what_is_simulated_is_called_so_at_once_and_everywhere(everything):
    done, folder = everything
    assert "SIMULATED" in done.stdout.splitlines()[0]
    assert "grade D, simulated" in done.stdout
    for summary in (json.loads(p.read_text()) for p in folder.glob("results/*/summary.json")):
        assert summary["grade"] == "D"
        assert summary["assumptions"]["simulated_data"] > 0
        data = [s for s in summary["passport"]["series"] if not s["name"].endswith(".tiers")]
        assert {s["origin"] for s in data} == {"simulated"}
        assert summary["standing"]["tiers"] == {
            "real": 2,
            "proxy": 3,
        }  # three tables are dated within the market's time


def test_the_folders_that_are_named_hold_the_files_that_are_named(everything):
    done, folder = everything
    *named, page = re.findall(r"^  (results/\S+)$", done.stdout, re.MULTILINE)
    assert [Path(n).name.split("_deleveraging")[0] for n in named] == list(SHIPPED)
    assert [sorted(p.name for p in (folder / n).iterdir()) for n in named] == [FILES] * len(SHIPPED)
    assert re.fullmatch(r"results/compare_[0-9a-f]{10}\.html", page)
    text = (folder / page).read_text(encoding="utf-8")
    assert [name for name in SHIPPED if name not in text] == []
    assert sorted(os.listdir(folder)) == ["results"]
    beside = {".trials.lock", "trials.parquet", Path(page).name}
    assert {p.name for p in (folder / "results").iterdir()} == {Path(n).name for n in named} | beside


def test_every_file_is_in_the_tables_of_the_readme():
    text = (Path(__file__).parents[1] / "results" / "README.md").read_text(encoding="utf-8")
    run, sweep, beside, record, _ = (re.findall(r"^\| `(\S+)` \|", part, re.MULTILINE) for part in text.split("\n## "))
    assert sorted(run) == sorted([*FILES, "note.txt"])
    assert sweep[:6] == ["sweep.toml", "part-*.parquet", "report.html", "overfitting.json", ".counted", ".lock"]
    assert beside == [
        "trials.parquet", "trials/part-NUMBER-*.parquet", "catalogue.sqlite", "compare_ID.html",
        "forward_STRATEGY_MARKET_ID.json", "forward_STRATEGY_MARKET_ID.parquet", "optimise_STRATEGY_MARKET_ID.journal",
    ]  # fmt: skip
    assert record == ["strategy", "market_hash", "identity", "sharpe"]


def test_every_run_is_on_record_as_one_trial(everything):
    _, folder = everything
    runs = [json.loads(p.read_text()) for p in folder.glob("results/*/summary.json")]
    assert sorted((t.strategy, t.identity, t.kind) for t in read_trials(folder / "results")) == sorted(
        (one["strategy"], one["id"], "run") for one in runs
    )
    assert [one["luck"]["trials"] for one in runs] == [1] * len(SHIPPED)
    assert {one["luck"]["days"] for one in runs} == {120}  # 2,880 bars of 1h


def test_every_shipped_strategy_trades_on_the_embedded_market_and_its_books_balance(everything):
    _, folder = everything
    runs = [path for path in sorted(folder.glob("results/*")) if path.is_dir()]
    assert len(runs) == len(SHIPPED)
    for path in runs:
        summary = json.loads((path / "summary.json").read_text())
        assert summary["metrics"]["trades"] >= 1, path.name
        assert set(summary["metrics"]) == FIGURES
        assert_books_balance(path, summary)


def test_the_tables_have_named_columns_and_times_in_utc(everything):
    _, folder = everything
    ledger, trades, equity, rejections = tables(next(folder.glob("results/buy_and_hold*")))
    assert ledger.dtypes.astype(str).to_dict() == {
        "time": UTC, "symbol": "str", "trade": "int64", "kind": "str", "amount": "float64", "position": "float64",
        "price": "float64",
    }  # fmt: skip
    assert trades.dtypes.astype(str).to_dict() == {
        "trade": "int64", "symbol": "str", "side": "str", "quantity": "float64", "entry_time": UTC,
        "entry_price": "float64", "exit_time": UTC, "exit_price": "float64", "pnl": "float64", "fees": "float64",
        "funding": "float64", "slippage": "float64", "reason": "str", "entry_bar": "int64", "exit_bar": "int64",
    }  # fmt: skip
    coins = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
    assert equity.columns.tolist() == ["time", "equity", *(f"position_{coin}" for coin in coins)]
    assert rejections.columns.tolist() == ["row", "bar", "symbol", "kind", "time", "reason"]
    assert (len(equity), str(equity.time.iloc[0])) == (2880, "2025-10-15 00:00:00+00:00")
    assert equity.time.diff().iloc[1:].eq(pd.Timedelta("1h")).all()


def test_an_open_trade_has_no_exit_time(everything):
    _, folder = everything
    _, trades, equity, _ = tables(next(folder.glob("results/buy_and_hold*")))
    assert trades.reason.tolist() == ["open"]
    assert trades.exit_time.isna().all()
    assert equity.position_BTCUSDT.iloc[-1] == trades.quantity.iloc[0]


def test_the_table_of_the_terminal_is_the_summary_in_the_folder(everything):
    done, folder = everything
    rows = figures_of(done, "support_break")
    of = json.loads(next(folder.glob("results/support_break_*/summary.json")).read_text())["metrics"]
    assert rows["return"] == f"{100 * of['total_return']:+.1f}%"
    assert rows["trades"] == str(of["trades"])
    assert (rows["funding paid"], rows["fees"]) == (f"{of['funding_paid']:.2f}", f"{of['fees']:.2f}")


def test_the_best_comes_first_and_is_marked(everything):
    done, folder = everything
    metrics = {
        path.parent.name.split("_deleveraging")[0]: json.loads(path.read_text())["metrics"]
        for path in folder.glob("results/*/summary.json")
    }
    order = sorted(SHIPPED, key=lambda name: -metrics[name]["total_return"])
    shown = {name: figures_of(done, name) for name in SHIPPED}
    assert [shown[name]["#"] for name in order] == [str(i) for i in range(1, len(SHIPPED) + 1)]
    assert [name for name in SHIPPED if shown[name]["return"].endswith("*")] == [order[0]]
    flattest = max(SHIPPED, key=lambda name: metrics[name]["max_drawdown"])
    assert [name for name in SHIPPED if shown[name]["max DD"].endswith("*")] == [flattest]


def figures_of(done, strategy):
    """Return header -> cell of the first tables of a terminal, of the row of a strategy, up to the money by kind."""
    found, header = {}, []
    for line in done.stdout.split("PnL by ledger kind")[0].splitlines():
        cells = re.split(r" {2,}", line.strip())
        if cells[0] in ("run", "strategy"):
            header = cells[1:]
        elif re.sub(r"^\d+ ", "", cells[0]) == strategy:
            found |= dict(zip(header, cells[1:], strict=True))
    return found


def test_a_second_time_nothing_is_compiled(everything):
    """The first run ever compiles the engine, a minute; after that all strategies together take what was kept of it."""
    _, folder = everything
    done = process("run", cwd=folder, NUMBA_DEBUG_CACHE="1")  # says what is read and what is written
    assert done.returncode == 0
    assert "data loaded from" in done.stdout
    assert "data saved to" not in done.stdout


def test_the_same_again_replaces_its_folders(everything):
    _, folder = everything
    before = {k: v for k, v in tree(folder / "results").items() if not k.endswith(STAMPED)}
    assert process("run", "donchian_break", cwd=folder).returncode == 0
    assert {k: v for k, v in tree(folder / "results").items() if not k.endswith(STAMPED)} == before


def test_the_runs_are_listed_and_shown_again(everything):
    done, folder = everything
    listed = document(process("list", "--json", cwd=folder))["runs"]
    assert sorted(r["strategy"] for r in listed) == list(SHIPPED)
    table = process("list", cwd=folder).stdout
    assert all(r["id"] in table for r in listed)
    one = next(r for r in listed if r["strategy"] == "support_bounce")
    shown = process("show", one["id"][:6], cwd=folder)
    assert shown.returncode == 0
    alone = figures_of(shown, "support_bounce")
    among_others = {name: cell.removesuffix("*") for name, cell in figures_of(done, "support_bounce").items()}
    assert among_others.pop("#").isdigit()
    assert alone == among_others
    assert document(process("show", one["id"], "--json", cwd=folder))["metrics"] == one["metrics"]
