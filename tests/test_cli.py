"""The command line: what it prints, its exit codes, and a sentence for every mistake."""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_result import make_market, make_result
from typer.testing import CliRunner

from backtest import cli
from backtest.errors import FundingHoleError, StrategyError
from backtest.model.config import DEFAULT_MARKET, DEFAULT_VENUE

path = importlib.import_module("backtest.runner")
COMMAND = [sys.executable, "-c", "from backtest.cli import main; main()"]

GOOD = '''"""Do nothing. Ever."""
from dataclasses import dataclass

from backtest import Market, Plan


@dataclass(frozen=True)
class Idle:
    symbol: str = "BTCUSDT"   # what not to trade
    levels: tuple[float, ...] = (75_000.0,)   # prices

    def plan(self, market: Market) -> Plan:
        return Plan.empty()
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two strategies of its own, no market to load and an engine that knows the answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    (tmp_path / "strategies").mkdir()
    for name in ("idle", "lazy"):
        (tmp_path / "strategies" / f"{name}.py").write_text(GOOD)
    monkeypatch.setattr("backtest.plugins.strategy_names", lambda: ["idle", "lazy"])
    monkeypatch.setattr(path, "load_market", lambda name, **settings: make_market(name))
    monkeypatch.setattr(path, "get_engine", lambda name: lambda market, plan, venue: make_result(venue=venue))
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def process(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def kept_in(results):
    """Return the strategies of what is below a results folder, beside the record of what was tried."""
    names = {path.name for path in results.iterdir()}
    assert names >= {".trials.lock", "trials.parquet"}
    return sorted(name.split("_")[0] for name in names - {".trials.lock", "trials.parquet"})


# --- run ---------------------------------------------------------------------------------------------------------


def test_without_an_argument_every_strategy_runs(here):
    done = call("run")
    assert done.exit_code == 0, done.output
    for name in ("idle", "lazy", "SIMULATED", "PnL by ledger kind", "Assumptions in force", "grade D", "Folders"):
        assert name in done.stdout
    names = sorted(f.name for f in (here / "results").iterdir())
    assert [name.split("_")[0] for name in names] == [".trials.lock", "compare", "idle", "lazy", "trials.parquet"]
    assert all(str(Path("results") / name) in done.stdout for name in names[1:4])


def test_json_is_one_document_on_stdout_and_nothing_else(here):
    done = call("run", "idle", "--json")
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert document["failed"] == []
    run = document["runs"][0]
    assert Path(run["folder"], "trades.parquet").is_file()
    assert run["metrics"]["trades"] == 2
    assert run["parameters"] == {"symbol": "BTCUSDT", "levels": [75000.0]}


def test_parameters_and_settings_reach_the_run(here):
    arguments = (
        "--cash",
        500,
        "--leverage",
        5,
        "--margin",
        "isolated",
        "--intrabar",
        "best",
        "--venue",
        "paper",
        "--seed",
        3,
    )
    done = call("run", "idle", "-m", "x.toml", "--set", "levels=1,2", "--set", "symbol=ETHUSDT", *arguments, "--json")
    run = json.loads(done.stdout)["runs"][0]
    assert run["parameters"] == {"symbol": "ETHUSDT", "levels": [1.0, 2.0]}
    assert run["settings"].items() >= {"venue": "paper", "leverage": 5.0, "margin_mode": "isolated", "seed": 3}.items()
    assert (run["cash"], run["settings"]["intrabar"], run["market"]) == (500.0, "best", "x.toml")


def test_of_several_strategies_each_takes_the_parameters_it_has(here):
    (here / "strategies" / "lazy.py").write_text(GOOD.replace("levels", "floors"))
    done = call("run", "idle", "lazy", "--set", "levels=5", "--json")
    assert [run["parameters"].get("levels") for run in json.loads(done.stdout)["runs"]] == [[5.0], None]
    done = call("run", "idle", "lazy", "--set", "levls=5")
    assert done.exit_code == 2
    assert done.stderr == "error: None of the strategies has a parameter 'levls'. Did you mean 'levels'?\n"


@pytest.mark.parametrize(("options", "engine"), [((), "fast"), (("--engine", "backtrader"), "backtrader")])
def test_the_run_says_which_engine_ran(here, options, engine):
    folder = Path(json.loads(call("run", "idle", *options, "--json").stdout)["runs"][0]["folder"])
    assert f'engine = "{engine}"' in (folder / "config.toml").read_text()
    assert f"engine {engine}" in " ".join(call("show", "last").stdout.split())


def test_a_strategy_named_twice_runs_once(here):
    assert len(json.loads(call("run", "idle", "idle", "--json").stdout)["runs"]) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("idel",), "No strategy named 'idel'. Did you mean 'idle'?"),
        (("idle", "--set", "levels=abc"), "levels"),
        (("idle", "--set", "levels="), "levels is empty"),
        (("idle", "--set", "levls=1"), "Did you mean 'levels'?"),
        (("idle", "--set", "levels"), "`--set` needs a name and a value"),
        (("idle", "--set", "=1"), "`--set` needs a name and a value"),
        (("idle", "--cash", "-5"), "`cash` must be above 0, got -5.0"),
        (("--cash", "-5"), "`cash` must be above 0, got -5.0"),
        (("idle", "--leverage", "1000"), "`leverage` 1000 is more than binance-usdm allows"),
        (("idle", "--venue", "binance-usd"), "Did you mean 'binance-usdm'?"),
        (("idle", "--engine", "fsat"), "No engine named 'fsat'. Did you mean 'fast'?"),
        (("--engine", "backtrade"), "No engine named 'backtrade'. Did you mean 'backtrader'?"),
        (("idle", "./nothing.py"), "There is no strategy file ./nothing.py"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_exit_code_2(here, arguments, sentence):
    done = call("run", *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert not (here / "results").exists()


def test_with_json_a_mistake_is_on_stderr_too(here):
    done = call("run", "idel", "--json")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments", [("run", "--cash", "abc"), ("run", "--margin", "both"), ("ran",), ("run", "--nothing"), ()]
)
def test_a_wrong_command_is_exit_code_2(here, arguments):
    assert call(*arguments).exit_code == 2


def fail_for(name, error):
    def load(strategy, parameters):
        if strategy == name:
            raise error
        return path_load(strategy, parameters)

    path_load = path.load_strategy
    return load


def test_one_that_fails_among_several_is_named_and_the_others_finish(here, monkeypatch):
    monkeypatch.setattr(path, "load_strategy", fail_for("lazy", StrategyError("lazy failed while it planned.")))
    done = call("run")
    assert done.exit_code == 1
    assert "Not run" in done.stdout
    assert "lazy: lazy failed while it planned." in done.stdout
    assert kept_in(here / "results") == ["idle"]
    document = json.loads(call("run", "--json").stdout)
    assert document["failed"] == [{"strategy": "lazy", "error": "lazy failed while it planned."}]


def test_a_strategy_that_is_no_python_does_not_stop_the_others(here):
    (here / "strategies" / "lazy.py").write_text("def (")
    done = call("run", "--set", "levels=5")
    assert done.exit_code == 1
    assert "Not run" in done.stdout
    assert "lazy.py, line 1" in done.stdout


def test_a_funding_hole_of_a_single_run_is_exit_code_2(here, monkeypatch):
    error = FundingHoleError("BTCUSDT has no funding between A and B; use --assume-funding RATE.")
    monkeypatch.setattr(path, "load_strategy", fail_for("idle", error))
    done = call("run", "idle")
    assert (done.exit_code, done.stderr) == (2, f"error: {error}\n")
    assert not (here / "results").exists()


def test_results_that_are_a_file(here):
    (here / "results").write_text("mine")
    done = call("run", "idle")
    assert done.exit_code == 2
    assert "results is not writable (it is a file)" in done.stderr


def test_a_full_disk(here, monkeypatch):
    def full(table, where, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    done = call("run", "idle")
    assert done.exit_code == 2
    assert "the disk of results is full" in done.stderr
    assert [f.name for f in (here / "results").iterdir()] == [".trials.lock"]


def test_results_go_where_the_option_or_the_variable_says(here, monkeypatch):
    call("run", "idle", "--results", here / "a")
    assert kept_in(here / "a") == ["idle"]
    monkeypatch.setenv("BACKTEST_RESULTS", str(here / "b"))
    call("run", "idle")
    assert kept_in(here / "b") == ["idle"]
    assert not (here / "results").exists()
    assert json.loads(call("list", "--json").stdout)["runs"][0]["folder"].startswith(str(here / "b"))


def test_an_interruption_is_exit_code_130_without_a_traceback(here, monkeypatch):
    monkeypatch.setattr(path, "load_strategy", fail_for("idle", KeyboardInterrupt()))
    done = call("run", "idle")
    assert done.exit_code == 130
    assert "Traceback" not in done.output


def test_a_bug_of_ours_is_not_dressed_up_as_a_mistake(here, monkeypatch):
    monkeypatch.setattr(path, "get_engine", lambda name: 1 / 0)
    assert isinstance(call("run", "idle").exception, ZeroDivisionError)


# --- list and show -----------------------------------------------------------------------------------------------


def test_no_runs_yet_is_a_friendly_sentence(here):
    done = call("list")
    assert done.exit_code == 0
    assert "There are no runs in results yet" in done.stdout
    assert json.loads(call("list", "--json").stdout) == {"runs": [], "broken": []}
    assert call("show", "x").exit_code == 2


def test_list_and_show_a_run(here):
    folder = Path(json.loads(call("run", "idle", "--json").stdout)["runs"][0]["folder"])
    identity = folder.name.rsplit("_", 1)[1]
    assert identity in call("list").stdout
    assert json.loads(call("list", "--json").stdout)["runs"][0]["id"] == identity
    for name in (identity[:5], folder.name, folder, "last"):
        shown = call("show", name)
        assert shown.exit_code == 0
        assert str(folder) in shown.stdout
    assert json.loads(call("show", identity, "--json").stdout)["id"] == identity


def test_show_prints_what_run_printed(here):
    assert call("run", "idle").stdout == call("show", "last").stdout


def test_show_says_what_is_wrong_with_a_run(here):
    folder = Path(json.loads(call("run", "idle", "--json").stdout)["runs"][0]["folder"])
    summary = json.loads((folder / "summary.json").read_text())
    del summary["metrics"]
    (folder / "summary.json").write_text(json.dumps(summary))
    done = call("show", "last")
    assert done.exit_code == 2
    assert "lacks 'metrics'; run it again" in done.stderr
    assert call("list").exit_code == 0


# --- what there is -----------------------------------------------------------------------------------------------


def test_strategies(here):
    assert "idle\n  Do nothing." in call("strategies").stdout
    one = call("strategies", "idle").stdout
    assert "what not to trade" in one
    facts = json.loads(call("strategies", "idle", "--json").stdout)
    assert facts["parameters"][1] == {
        "name": "levels", "type": "tuple[float, ...]", "default": [75000.0], "meaning": "prices",
    }  # fmt: skip
    assert [s["name"] for s in json.loads(call("strategies", "--json").stdout)["strategies"]] == ["idle", "lazy"]
    assert call("strategies", "idel").exit_code == 2


def test_a_wrong_strategy_does_not_hide_the_others(here):
    (here / "strategies" / "lazy.py").write_text("def (")
    done = call("strategies")
    assert done.exit_code == 0
    assert "idle" in done.stdout
    assert "lazy.py, line 1" in done.stdout


def test_markets(here):
    (here / "data" / "markets").mkdir(parents=True)
    (here / "data" / "markets" / "bad.toml").write_text("interval = ")
    done = call("markets")
    assert done.exit_code == 0
    assert DEFAULT_MARKET in done.stdout
    assert "bad.toml is not a readable TOML file" in done.stdout.replace("\n", " ")
    found = {m["name"]: m for m in json.loads(call("markets", "--json").stdout)["markets"]}
    assert "error" in found["bad"]
    assert found[DEFAULT_MARKET]["origins"]


def test_venues(here):
    assert DEFAULT_VENUE in call("venues").stdout
    found = {v["name"]: v for v in json.loads(call("venues", "--json").stdout)["venues"]}
    assert found[DEFAULT_VENUE]["cash"] > 0


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_help_names_the_defaults_that_are_in_force(command):
    text = "".join(call(command, "--help").stdout.split())
    assert f"else{DEFAULT_MARKET}." in text
    assert f"else{DEFAULT_VENUE}." in text


# --- the process -------------------------------------------------------------------------------------------------


def test_the_version():
    done = process("--version")
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "levelbreak", "")


def test_the_help_imports_nothing_heavy():
    heavy = ("numpy", "pandas", "numba", "pyarrow", "pydantic", "rich.console")
    code = "import sys\nfrom backtest.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert "Commands:" in done.stdout
    assert done.stderr.strip() == "[]"


def test_the_help_is_there_at_once():
    def seconds():
        before = time.perf_counter()
        assert process("--help").returncode == 0
        return time.perf_counter() - before

    assert min(seconds() for _ in range(5)) < 0.3


def test_a_mistake_shows_no_traceback(tmp_path):
    done = process("run", "suport_break", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: No strategy named 'suport_break'. Did you mean 'support_break'?\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    child = subprocess.Popen([*COMMAND, "strategies"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    child.wait()


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_ctrl_c_ends_a_process_quietly(tmp_path):
    (tmp_path / "sleepy.py").write_text("import sys, time\nprint('here', flush=True)\ntime.sleep(30)\n")
    child = subprocess.Popen(
        [*COMMAND, "run", "./sleepy.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert child.stdout.readline() == "here\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 130
    assert said == ""


def test_a_terminal_that_knows_only_ascii_is_no_reason_to_fail(tmp_path):
    done = process("list", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    done = process("strategies", "support_break", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")


def test_the_real_path_from_the_market_to_the_folder(tmp_path):
    done = process("run", "support_break", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["runs"][0]
    assert run["grade"] == "D"
    assert run["tier_tables"]
    changes = sum(run["pnl_by_kind"].values()) + run["metrics"]["unrealised"]
    assert run["cash"] + changes == pytest.approx(run["metrics"]["final_equity"], abs=1e-6)
    equity = pq.read_table(tmp_path / run["folder"] / "equity.parquet")["equity"].to_numpy()
    assert np.isclose(equity[-1], run["metrics"]["final_equity"])
    again = process("show", run["id"], cwd=tmp_path)
    assert "support_break" in again.stdout
