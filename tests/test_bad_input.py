"""Every mistake of a user's is a sentence on stderr with exit code 2, and leaves results/ as it was."""

import errno
import os
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import CLOSES, COMMAND, FIRST, FUNDING, MARKET, bars_csv, call, document, process, tree, write_market
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest.catalogue.trials import read_trials

STRATEGY = '''"""Buy once."""
from dataclasses import dataclass

from backtest import Plan


@dataclass(frozen=True)
class Once:
    size: float = 1.0  # exposure
    bars: int = 1  # how many

    def plan(self, market):
        return Plan.long("BTCUSDT", at=[0], exposure=self.size)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a small market and a run that was made before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    write_market(tmp_path)
    (tmp_path / "results" / "kept").mkdir(parents=True)
    (tmp_path / "results" / "kept" / "summary.json").write_text("{}")
    return tmp_path


def run(*arguments, strategy="buy_and_hold"):
    return call("run", strategy, "--market", "./market.toml", *arguments)


def assert_refused(done, *phrases, counted=None):
    """Check that a command said, in one line on stderr, what is wrong, and that it wrote nothing.

    counted: of a run that was made and could not be written, the trials that are on record then.
    """
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith((".\n", "?\n", ")\n")) or "--set" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    missing = [phrase for phrase in phrases if phrase not in done.stderr]
    assert missing == [], done.stderr
    assert_untouched(counted)


def assert_untouched(counted=None):
    """Check that results/ holds what it held, and the record of trials only where runs were made, whole and of that many."""
    left = tree("results")
    if counted is not None:
        assert left.pop(".trials.lock") == b""
        assert len(read_trials("results")) == counted
        left.pop("trials.parquet", None)
    assert left == {"kept": None, "kept/summary.json": b"{}"}


def edited(change):
    """Return the bars with a change to their lines; line 0 is the header, line 1 the bar of 00:00."""
    lines = bars_csv().splitlines()
    lines = change(lines) or lines
    return "\n".join(lines) + "\n"


def cell(line, column, text):
    """Return the bars with one cell replaced; columns: 0 time, 1 open, 2 high, 3 low, 4 close, 5 volume."""

    def change(lines):
        cells = lines[line].split(",")
        cells[column] = text
        lines[line] = ",".join(cells)

    return edited(change)


def test_the_market_is_good_before_it_is_spoilt(here):
    assert run().exit_code == 0


# --- files of bars ---------------------------------------------------------------------------------------------------

BARS = {
    "empty": ("", ("bars.csv", "the file is empty")),
    "only a header": ("time,open,high,low,close,volume\n", ("bars.csv", "no rows")),
    "no column names": (bars_csv().split("\n", 1)[1], ("bars.csv", "the first line must name the columns")),
    "a column missing": (
        "\n".join(line.rsplit(",", 2)[0] for line in bars_csv().splitlines()),
        ("bars.csv", "no column `close`", "found: time, open, high, low"),
    ),
    "text among numbers": (cell(3, 4, "n.a."), ("bars.csv", "row 3 of `close`", "'n.a.'", "not a number")),
    "cut in half": (bars_csv()[: len(bars_csv()) // 2 + 5], ("bars.csv", "line 7", "cut off")),
    "no text at all": (b"\x89PNG\r\n\x1a\n\x00\xff", ("bars.csv", "not UTF-8 text")),
    "times that are none": (
        cell(2, 0, "yesterday"),
        ("bars.csv", "row 2", "'yesterday'", "not an epoch time like the other rows"),
    ),
    "times in two units": (cell(2, 0, str((FIRST + 3600) * 1000)), ("bars.csv", "mixed units", "ms from row 2")),
    "a wrong zone": (
        bars_csv(first=FIRST + 1800),
        ("BTCUSDT 1h", "12 bars off the 1h grid of UTC", "2026-01-01T00:30Z", "declare their zone"),
    ),
    "duplicates": (
        edited(lambda lines: [*lines[:4], lines[3], *lines[4:]]),
        ("BTCUSDT 1h has 1 duplicate bar", "the first at 2026-01-01T02:00Z"),
    ),
    "out of order": (
        edited(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
        ("BTCUSDT 1h has 1 bar out of order, the first at 2026-01-01T00:00Z; sort the file.\n",),
    ),
    "a gap": (
        edited(lambda lines: lines[:5] + lines[7:]),
        ("BTCUSDT 1h has a gap of 2 bars after 2026-01-01T03:00Z", 'gaps = "forward_fill"'),
    ),
    "another interval": (
        bars_csv(step=900),
        ("BTCUSDT 1h has bars 15m apart, not 1h as declared", "12 bars"),
    ),
    "a price missing": (
        cell(5, 4, ""),
        ("BTCUSDT 1h has 1 bar without a price (NaN), the first at 2026-01-01T04:00Z; complete the file",),
    ),
    "high below low": (cell(4, 2, "90"), ("BTCUSDT 1h: 1 bar has high < low", "2026-01-01T03:00Z")),
    "a close outside": (cell(4, 4, "120"), ("BTCUSDT 1h: 1 bar has its close outside its range", "2026-01-01T03:00Z")),
    "a price of zero": (cell(6, 3, "0"), ("BTCUSDT 1h: 1 bar has a price that is not above zero", "2026-01-01T05:00Z")),
    "a price below zero": (cell(6, 3, "-5"), ("BTCUSDT 1h: 1 bar has a price that is not above zero",)),
    "an infinite price": (cell(6, 2, "inf"), ("BTCUSDT 1h: 1 bar has an infinite price", "2026-01-01T05:00Z")),
    "a negative volume": (cell(2, 5, "-1"), ("BTCUSDT 1h: 1 bar has a volume below zero", "2026-01-01T01:00Z")),
    "other years": (
        bars_csv(first=FIRST - 86_400 * 365),
        ("BTCUSDT 1h has no bar in the span 2026-01-01T00:00Z", "the source covers 2025-01-01T00:00Z"),
    ),
}


@pytest.mark.parametrize("what", BARS)
def test_bars_that_must_not_be_used(here, what):
    bars, phrases = BARS[what]
    write_market(here, bars)
    assert_refused(run(), "bars.csv", *phrases)


def test_several_mistakes_of_a_file_are_told_together(here):
    write_market(here, edited(lambda lines: [lines[0], *(line.rsplit(",", 1)[0] + ",-1" for line in lines[1:])]))
    assert_refused(run(), "12 bars have a volume below zero or infinite", "the first at 2026-01-01T00:00Z")


def test_a_file_that_is_not_there(here):
    (here / "bars.csv").unlink()
    assert_refused(run(), "BTCUSDT.bars", "bars.csv", "there is no such file in")


def test_a_folder_in_place_of_a_file(here):
    (here / "bars.csv").unlink()
    (here / "bars.csv").mkdir()
    assert_refused(run(), "BTCUSDT.bars", "bars.csv")


def test_a_parquet_file_cut_in_half(here):
    frame = pd.read_csv(here / "bars.csv")
    frame.to_parquet(here / "bars.parquet")
    whole = (here / "bars.parquet").read_bytes()
    write_market(here, market=MARKET.replace("bars.csv", "bars.parquet"))
    assert run("--results", "elsewhere").exit_code == 0
    (here / "bars.parquet").write_bytes(whole[: len(whole) // 2])
    assert_refused(run(), "bars.parquet", "cut off or broken")
    (here / "bars.parquet").write_bytes(whole[: len(whole) // 2] + whole[-200:])
    assert_refused(run(), "bars.parquet", "broken")


def test_a_parquet_file_with_a_damaged_name(here):
    pd.read_csv(here / "bars.csv").to_parquet(here / "bars.parquet")
    write_market(here, market=MARKET.replace("bars.csv", "bars.parquet"))
    whole = (here / "bars.parquet").read_bytes()
    (here / "bars.parquet").write_bytes(whole.replace(b"volume", b"\xffolume"))
    assert_refused(run(), "bars.parquet", "cut off or broken")


def test_a_kind_of_file_that_is_not_known(here):
    write_market(here, market=MARKET.replace("bars.csv", "bars.xlsx"))
    (here / "bars.xlsx").write_bytes(b"PK")
    assert_refused(run(), "bars.xlsx", "only .parquet and .csv files")


def test_two_symbols_that_never_meet(here):
    market = MARKET.replace("T12:00Z", "T23:00Z") + '\n[ETHUSDT]\nbars = "late.csv"\nfunding = "none"\n'
    write_market(here, market=market)
    (here / "late.csv").write_text(bars_csv(CLOSES[:6], FIRST + 15 * 3600))
    assert_refused(run(), "BTCUSDT", "ETHUSDT", "no bar at a common time", "12 bars", "6 bars")


# --- funding ---------------------------------------------------------------------------------------------------------

STAMPS = {
    "percent": (f"time,rate\n{FIRST},0.01\n{FIRST + 28800},0.3\n", ("1 stamp with a rate above 0.05", 'unit = "percent"')),
    "text": (f"time,rate\n{FIRST},none\n", ("funding.csv", "row 1 of `rate`", "'none'")),
    "no rate": (f"time,price\n{FIRST},1\n", ("funding.csv", "no column `rate`", "found: time, price")),
    "empty": ("", ("funding.csv", "the file is empty")),
    "twice": (f"time,rate\n{FIRST},0\n{FIRST},0\n", ("BTCUSDT funding has 1 duplicate stamp", "2026-01-01T00:00Z")),
    "a wrong zone": (f"time,rate\n{FIRST + 1800},0\n{FIRST + 30600},0\n", ("2 stamps off the whole hour", "30m past")),
}  # fmt: skip


@pytest.mark.parametrize("what", STAMPS)
def test_funding_that_must_not_be_used(here, what):
    funding, phrases = STAMPS[what]
    write_market(here, funding=funding)
    assert_refused(run(), "BTCUSDT", *phrases)


def test_funding_that_is_not_there_is_never_nothing(here):
    write_market(here, bars_csv(np.linspace(100, 90, 40).round(2)), f"time,rate\n{FIRST},0.0001\n{FIRST + 28800},0.0001\n",
                 MARKET.replace("01T12:00Z", "02T16:00Z"))  # fmt: skip
    assert_refused(run(), "BTCUSDT has no funding between 2026-01-01T08:00Z and 2026-01-02T16:00Z", "--assume-funding")
    one = document(run("--assume-funding", "0.0002", "--json"))["runs"][0]
    assert (one["grade"], one["assumptions"]["assumed_funding"]) == ("C", 3)


@pytest.mark.parametrize("rate", ["5", "-5", "0.06", "nan", "inf"])
def test_an_assumed_rate_that_is_no_fraction(here, rate):
    assert_refused(run("--assume-funding", rate), "at most 0.05", f"got {float(rate)}")


# --- market files ----------------------------------------------------------------------------------------------------

MARKETS = {
    "no TOML": (MARKET.replace('"1h"', '"1h'), ("market.toml", "not a readable TOML file", "line 1")),
    "an unknown key": (MARKET.replace("start =", "begin ="), ("market.toml", "`begin` is not a key of a market")),
    "an unknown key of bars": (
        MARKET.replace('"bars.csv"', '{ file = "bars.csv", columms = {} }'),
        ("market.toml", "`BTCUSDT.bars.columms`", "Did you mean 'columns'?"),
    ),
    "no funding": (
        MARKET.replace('funding = "funding.csv"', ""),
        ("market.toml", "`BTCUSDT.funding` is missing", 'funding = "none"'),
    ),
    "no bars": (MARKET.replace('bars = "bars.csv"', ""), ("market.toml", "`BTCUSDT.bars` is missing")),
    "no interval": (MARKET.replace('interval = "1h"', ""), ("market.toml", "`interval` is missing")),
    "an odd interval": (MARKET.replace('"1h"', '"1 hour"'), ("market.toml", "`interval` must be an interval", "'1 hour'")),
    "an odd time": (MARKET.replace('"2026-01-01"', '"01.01.2026"'), ("market.toml", "`start` must be a time", "'01.01.2026'")),
    "backwards": (MARKET.replace('"2026-01-01"', '"2026-02-01"'), ("market.toml", "`start` must lie before `end`")),
    "trade_from outside": (
        'trade_from = "2027-01-01"\n' + MARKET,
        ("market.toml", "`trade_from` must lie between `start` and `end`"),
    ),
    "an odd gap policy": ('gaps = "fill"\n' + MARKET, ("market.toml", "`gaps` must be one of", "'fill'")),
    "an unknown proxy": (
        MARKET.replace('"funding.csv"', '{ proxy = "BTCUSD" }'),
        ("BTCUSDT.funding.proxy", "'BTCUSD'", "not a symbol of the market"),
    ),
    "an assumed rate in percent": (
        MARKET.replace('"funding.csv"', '{ assume = 1, every = "8h" }'),
        ("market.toml", "`BTCUSDT.funding.assume`"),
    ),
    "no symbol": (MARKET.split("[")[0], ("market.toml", "the market has no symbol")),
    "an unknown scenario": ('scenario = "crash"\n', ("'crash'", "deleveraging-2026")),
    "a store that was not fetched": (MARKET.replace("bars.csv", "store:binance"), ("binance/BTCUSDT_1h", "save it as data/store")),
}  # fmt: skip


@pytest.mark.parametrize("what", MARKETS)
def test_a_market_file_that_is_wrong(here, what):
    text, phrases = MARKETS[what]
    write_market(here, market=text)
    assert_refused(run(), *phrases)


def test_a_market_there_is_not(here):
    assert_refused(call("run", "-m", "deleveraging2026"), "No market named 'deleveraging2026'", "'deleveraging-2026'?")
    assert_refused(call("run", "-m", "mine.toml"), "There is no market file 'mine.toml'")
    assert_refused(call("run", "-m", "."), "'.'")


# --- strategies ------------------------------------------------------------------------------------------------------

PLANS = {
    "raises": ('raise RuntimeError("no idea")', ("idea failed while it planned", "RuntimeError: no idea", "idea.py, line 13")),
    "divides by zero": ("return 1 / 0", ("ZeroDivisionError", "idea.py, line 13")),
    "leaves": ("raise SystemExit(0)", ("SystemExit", "idea.py, line 13")),
    "returns nothing": ("return None", ("`plan` of idea must return a Plan, got NoneType",)),
    "beyond the data": ('return Plan.long("BTCUSDT", at=[12], exposure=1.0)', ("bar 12", "the last bar is 11")),
    "before the data": ('return Plan.long("BTCUSDT", at=[-1], exposure=1.0)', ("-1",)),
    "another symbol": ('return Plan.long("ETHUSDT", at=[0], exposure=1.0)', ("'ETHUSDT'", "does not hold")),
    "no size": ('return Plan.long("BTCUSDT", at=[0], exposure=0.0)', ("exposure",)),
    "a size that is no number": ('return Plan.long("BTCUSDT", at=[0], exposure=float("nan"))', ("exposure",)),
    "the stop above": ('return Plan.long("BTCUSDT", at=[0], exposure=1.0, limit=90.0, stop=95.0)', ("stop", "95")),
    "a target below": ('return Plan.long("BTCUSDT", at=[0], exposure=1.0, stop=90.0, target=80.0)', ("target", "80")),
    "two rows in a bar": ('return Plan.long("BTCUSDT", at=[0, 0], exposure=1.0)', ("BTCUSDT", "bar 0")),
    "a mask too long": (
        'import numpy as np; return Plan.long("BTCUSDT", at=np.ones(13, bool), exposure=1.0)', ("bar 12", "last bar is 11"),
    ),
}  # fmt: skip


def with_plan(body):
    return STRATEGY.split("        return")[0] + f"        {body}\n"


@pytest.mark.parametrize("what", PLANS)
def test_a_plan_that_can_not_be(here, what):
    body, phrases = PLANS[what]
    (here / "idea.py").write_text(with_plan(body))
    assert_refused(run(strategy="./idea.py"), *phrases)


FILES = {
    "no Python": (STRATEGY.replace("def plan(self, market):", "def plan(self, market)"), ("idea.py, line 12", "not valid Python")),
    "no strategy": ("x = 1\n", ("idea.py holds no strategy", "a frozen dataclass with a method `plan(self, market)`")),
    "empty": ("", ("idea.py holds no strategy",)),
    "a missing import": ("import nowhere_to_be_found\n", ("idea could not be imported", "nowhere_to_be_found", "idea.py, line 1")),
    "not frozen": (STRATEGY.replace("(frozen=True)", ""), ("Once", "idea.py", "@dataclass(frozen=True)")),
    "two strategies": (
        STRATEGY + STRATEGY.split("\n\n\n")[1].replace("Once", "Twice"), ("2 strategies, Once and Twice", "idea.py:Once"),
    ),
    "not text": (b"\xff\xfe\x00", ("idea.py",)),
    "a null byte": (b"x = 1\x00\n", ("idea.py",)),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_strategy_file_that_is_wrong(here, what):
    source, phrases = FILES[what]
    (here / "idea.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    assert_refused(run(strategy="./idea.py"), *phrases)


PARAMETERS = [
    ("support_break", "buffer=wide", ("`buffer` of support_break must be a number, got 'wide'",)),
    ("support_break", "levels=75000,abc", ("`levels` of support_break must be numbers separated by commas",)),
    ("support_break", "levels=", ("levels is empty", "--set levels=75000,70000")),
    ("support_break", "levels=-5", ("-5",)),
    ("support_break", "levels=nan", ("levels",)),
    ("support_break", "rule=closed", ("`rule`", "'close', 'wick'", "Did you mean 'close'?")),
    ("support_break", "buffr=1", ("support_break has no parameter 'buffr'", "Did you mean 'buffer'?")),
    ("support_break", "buffer=3", ("buffer", "3")),
    ("support_break", "buffer=-0.1", ("buffer", "-0.1")),
    ("support_break", "symbol=SOLUSDT", ("'SOLUSDT'", "market", "BTCUSDT", "--set symbol=NAME")),
    ("support_break", "buffer", ("`--set` needs a name and a value", "'buffer'")),
    ("donchian_break", "lookback=1.5", ("`lookback` of donchian_break must be a whole number, got '1.5'",)),
    ("donchian_break", "lookback=0", ("The lookback of a Donchian channel", "from 1, got 0")),
    ("donchian_break", "lookback=-3", ("-3",)),
    ("buy_and_hold", "exposure=0", ("exposure",)),
    ("buy_and_hold", "exposure=1e999", ("exposure",)),
]


@pytest.mark.parametrize(("strategy", "text", "phrases"), PARAMETERS)
def test_a_parameter_that_will_not_do(here, strategy, text, phrases):
    assert_refused(run("--set", text, strategy=strategy), *phrases)


def test_a_strategy_there_is_not(here):
    assert_refused(run(strategy="suport_break"), "No strategy named 'suport_break'", "Did you mean 'support_break'?")
    assert_refused(run(strategy="./none.py"), "There is no strategy file ./none.py")
    assert_refused(run(strategy=""), "strategy")
    assert_refused(call("strategies", "suport_break"), "Did you mean 'support_break'?")
    assert_refused(call("show", "nothing"), "no runs", "results")


# --- account, venue, engine ------------------------------------------------------------------------------------------

OPTIONS = [
    (("--cash", "-100"), ("`cash` must be above 0, got -100.0",)),
    (("--cash", "0"), ("`cash` must be above 0",)),
    (("--cash", "nan"), ("`cash` must be above 0",)),
    (("--cash", "inf"), ("`cash` must be above 0",)),
    (("--leverage", "151"), ("`leverage` 151 is more than binance-usdm allows for BTCUSDT at any size: at most 150",)),
    (("--leverage", "0.5"), ("`leverage` must be at least 1, got 0.5",)),
    (("--leverage", "nan"), ("`leverage` must be at least 1",)),
    (("--venue", "binance"), ("No venue named 'binance'", "Did you mean 'binance-usdm'?")),
    (("--venue", "my.toml"), ("There is no venue file my.toml",)),
    (("--engine", "quick"), ("No engine named 'quick'", "fast")),
    (("--intrabar", "fine"), ("`intrabar` 'fine' needs finer bars", "use 'worst' or 'best'")),
    (("--venue", "paper", "--margin", "isolated"), ("Isolated margin needs a leverage setting",)),
]


@pytest.mark.parametrize(("options", "phrases"), OPTIONS)
def test_a_setting_that_will_not_do(here, options, phrases):
    assert_refused(run(*options), *phrases)


def test_the_leverage_that_the_tier_of_the_size_refuses_is_told_as_a_row_that_came_to_nothing(here):
    """100 million at 100x: the venue allows 100x to small positions only."""
    done = run("--leverage", "100", "--cash", "100000000")
    assert done.exit_code == 0
    assert "buy_and_hold: leverage above tier \N{MULTIPLICATION SIGN}1" in done.stdout


@pytest.mark.parametrize(
    "options", [("--cash", "much"), ("--margin", "both"), ("--intrabar", "mean"), ("--seed", "x"), ("--sett", "a=1")]
)
def test_an_option_that_is_none(here, options):
    done = run(*options)
    assert done.exit_code == 2
    assert options[0] in done.stderr
    assert "Traceback" not in done.stderr
    assert tree("results") == {"kept": None, "kept/summary.json": b"{}"}


def test_a_venue_file_that_is_wrong(here):
    (here / "my.toml").write_text("maker = 0.1\ntakr = 0.1\n")
    assert_refused(run("--venue", "my.toml"), "my.toml", "`takr`", "Did you mean 'taker'?")
    (here / "my.toml").write_text("maker = ")
    assert_refused(run("--venue", "my.toml"), "my.toml is not valid TOML")


# --- results that can not be written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("writes", [0, 1, 3])  # the first is that of the record of trials
def test_a_full_disk_leaves_what_was_there(here, monkeypatch, writes):
    import pyarrow.parquet as pq

    write, written = pq.write_table, []

    def full(table, where, **options):
        if len(written) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, where, **options)
        written.append(where)

    monkeypatch.setattr(pq, "write_table", full)
    assert_refused(run(), "No result was written", "the disk of results is full", "--results", counted=writes > 0)
    assert len(written) == writes


def test_a_run_made_again_on_a_full_disk_keeps_the_old_folder(here, monkeypatch):
    assert run().exit_code == 0
    before = tree("results")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    done = run()
    assert done.exit_code == 2
    assert "is full" in done.stderr
    assert tree("results") == before


def test_results_that_are_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_market(tmp_path)
    (tmp_path / "results").write_text("mine")
    done = run()
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: No result was written: results is not writable (it is a file). Choose another `--results`.\n"
    )
    assert (tmp_path / "results").read_text() == "mine"
    done = run("--results", "results/deeper")
    assert done.exit_code == 2
    assert "results/deeper is not writable" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_ctrl_c_in_the_middle_leaves_nothing(here):
    (here / "slow.py").write_text(with_plan("import time; print('here', flush=True); time.sleep(60)"))
    command = [*COMMAND, "run", "buy_and_hold", "./slow.py", "--market", "./market.toml"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here)
    assert child.stdout.readline() == "here\n"
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=30)
    assert (child.returncode, out, said) == (130, "", "")
    assert tree("results") == {"kept": None, "kept/summary.json": b"{}"}


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_an_interruption_while_writing_leaves_nothing(here, monkeypatch, writes):
    import pyarrow.parquet as pq

    write, written = pq.write_table, []

    def interrupted(table, where, **options):
        if len(written) == writes:
            Path(where).write_bytes(b"half")
            raise KeyboardInterrupt
        write(table, where, **options)
        written.append(where)

    monkeypatch.setattr(pq, "write_table", interrupted)
    assert run().exit_code == 130
    assert_untouched(counted=writes > 0)


def test_the_process_shows_no_traceback_either(here):
    write_market(here, BARS["high below low"][0])
    done = process("run", "support_break", "--market", "./market.toml", "--set", "levels=95", cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: bars.csv: BTCUSDT 1h: 1 bar has high < low, the first at 2026-01-01T03:00Z.\n"


@pytest.mark.skipif(os.name == "nt", reason="there are no terminals of this kind")
def test_on_a_terminal_a_long_sentence_is_broken_between_words(here):
    import pty

    write_market(here, market=MARKET.replace('funding = "funding.csv"', ""))
    mine, theirs = pty.openpty()
    command = [*COMMAND, "run", "buy_and_hold", "--market", "./market.toml"]
    child = subprocess.run(command, stderr=theirs, cwd=here, env={**os.environ, "COLUMNS": "60"}, check=False)
    os.close(theirs)
    said = os.read(mine, 10_000).decode()
    os.close(mine)
    assert child.returncode == 2
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    assert lines[0] == "error: market.toml: `BTCUSDT.funding` is missing; declare a"
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60


def test_one_bad_strategy_among_several_does_not_take_the_others_with_it(here):
    (here / "idea.py").write_text(with_plan("return 1 / 0"))
    done = call("run", "buy_and_hold", "./idea.py", "--market", "./market.toml")
    assert done.exit_code == 1
    assert "Not run" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    names = sorted(n.split("_market_")[0] for n in os.listdir("results"))
    assert names == [".trials.lock", "buy_and_hold", "kept", "trials.parquet"]


# --- damaged at random -----------------------------------------------------------------------------------------------

DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["replace", "delete", "insert", "cut", "double"]),
        st.integers(0, 700),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from(
                [b",", b"\n", b"\r\n", b'"', b"-", b"nan", b"inf", b"1e400", b"9" * 20, b"\x00", b";", b" "]
            ),
        ),
    ),
    min_size=1,
    max_size=4,
)


def damaged(raw, damage):
    for how, place, what in damage:
        at = place % (len(raw) + 1)
        raw = {
            "replace": raw[:at] + what + raw[at + len(what) :],
            "delete": raw[:at] + raw[at + len(what) :],
            "insert": raw[:at] + what + raw[at:],
            "cut": raw[:at],
            "double": raw[:at] + raw[at // 2 :],
        }[how]
    return raw


def assert_done_or_refused(done):
    assert done.exit_code in (0, 2), (done.exception, done.output)
    assert done.exit_code == 0 or (done.stderr.startswith("error: ") and done.stdout == "")
    assert "Traceback" not in done.output


FUZZED = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZED
@given(damage=DAMAGE)
def test_damaged_bars_are_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "bars"
    folder.mkdir(exist_ok=True)
    write_market(folder, damaged(bars_csv().encode(), damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))


@FUZZED
@given(damage=DAMAGE)
def test_a_damaged_market_file_is_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "market"
    folder.mkdir(exist_ok=True)
    write_market(folder, funding=damaged(FUNDING.encode(), damage[:1]))
    (folder / "market.toml").write_bytes(damaged(MARKET.encode(), damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))


@FUZZED
@given(damage=DAMAGE)
def test_damaged_funding_is_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "funding"
    folder.mkdir(exist_ok=True)
    write_market(folder, funding=damaged(FUNDING.encode(), damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))


BYTES = st.tuples(
    st.sampled_from(["replace", "delete", "insert", "cut"]), st.integers(0, 6000), st.binary(min_size=1, max_size=4)
)


@FUZZED
@given(damage=st.lists(BYTES, min_size=1, max_size=3))
def test_a_damaged_parquet_file_is_used_or_refused(tmp_path_factory, damage):
    folder = tmp_path_factory.getbasetemp() / "parquet"
    folder.mkdir(exist_ok=True)
    write_market(folder, market=MARKET.replace("bars.csv", "bars.parquet"))
    pd.read_csv(folder / "bars.csv").to_parquet(folder / "bars.parquet")
    whole = (folder / "bars.parquet").read_bytes()
    (folder / "bars.parquet").write_bytes(damaged(whole, damage))
    assert_done_or_refused(call("run", "buy_and_hold", "-m", folder / "market.toml", "--results", folder / "results"))
