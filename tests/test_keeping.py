"""What becomes of runs: each counts as a trial once, is judged by all of them, and is kept with a report."""

import json
import os
from pathlib import Path

import pytest
from command import call, document, write_market

from backtest.catalogue import load_run
from backtest.catalogue.trials import read_trials
from backtest.cli.pictures import market_and_levels

STRATEGY = '''"""Buy once."""
from dataclasses import dataclass

from backtest import Plan
from backtest.levels import fixed


@dataclass(frozen=True)
class Once:
    size: float = 1.0  # exposure

    def watched(self, market):
        return WATCHED

    def plan(self, market):
        return Plan.long("BTCUSDT", at=[0], exposure=self.size)
'''
LINE = 13  # of `return WATCHED`


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a market of twelve hours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    write_market(tmp_path)
    return tmp_path


def write(name, watched="fixed((95.0,))"):
    Path(f"{name}.py").write_text(STRATEGY.replace("WATCHED", watched), encoding="utf-8")
    return f"./{name}.py"


def run(*arguments):
    return call("run", *arguments, "--market", "./market.toml")


def luck_of(done):
    return [one["luck"]["trials"] for one in document(done)["runs"]]


# --- trials ----------------------------------------------------------------------------------------------------------


def test_the_same_run_again_is_one_trial_and_another_parameter_a_second(here):
    once = write("once")
    assert luck_of(run(once, "--json")) == [1]
    assert luck_of(run(once, "--json")) == [1]
    assert luck_of(run(once, "--set", "size=2", "--json")) == [2]
    assert luck_of(run(once, "--json")) == [2]  # the same as the first, among two now
    first, second = read_trials("results")
    assert (first.strategy, first.kind, first.periods, first.bars) == ("once", "run", 1, 12)  # half a day is one day
    assert second.identity != first.identity
    assert {json.loads(p.read_text())["id"] for p in Path("results").glob("*/summary.json")} == {
        first.identity,
        second.identity,
    }


def test_trials_are_those_of_the_strategy_on_the_data(here):
    one, other = write("once"), write("other")
    run(one)
    assert luck_of(run(other, "--json")) == [1]
    bars = Path("bars.csv").read_text().splitlines()
    Path("bars.csv").write_text("\n".join([*bars[:-1], bars[-1].replace(",10", ",11")]) + "\n")
    assert luck_of(run(one, "--json")) == [1]
    assert len(read_trials("results")) == 3


def test_another_source_of_the_strategy_is_another_trial(here):
    run(write("once"))
    assert luck_of(run(write("once", "fixed((94.0,))"), "--json")) == [2]


def test_what_was_tried_stays_counted_when_its_folder_goes(here):
    once = write("once")
    run(once)
    assert call("rm", "last", "--yes").exit_code == 0
    assert luck_of(run(once, "--set", "size=2", "--json")) == [2]


def test_what_the_record_can_not_tell_stops_the_run_before_anything_is_written(here):
    once = write("once")
    run(once)
    Path("results/trials.parquet").write_bytes(b"PAR1")
    before = sorted(os.listdir("results"))
    done = run(once, "--set", "size=2")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "trials.parquet can't be read as the record of trials" in done.stderr
    assert sorted(os.listdir("results")) == before
    assert Path("results/trials.parquet").read_bytes() == b"PAR1"


# --- levels that can't be named --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watched", "sentence"),
    [
        ("1 / 0", f"broken failed while it named its levels: ZeroDivisionError: division by zero (broken.py, line {LINE})."),
        ("[95.0]", "Once.watched must return levels, such as fixed((75_000,)), or a mapping of symbols to them, got [95.0]."),
        ("{'BTCUSD': fixed((95.0,))}", "Once.watched names levels of 'BTCUSD', and market holds BTCUSDT. Did you mean 'BTCUSDT'?"),
        ("fixed(())", "price"),
    ],
)  # fmt: skip
def test_a_strategy_that_can_not_name_its_levels_is_a_sentence(here, watched, sentence):
    done = run(write("broken", watched))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert [p.name for p in Path("results").iterdir() if p.is_dir()] == []


@pytest.mark.parametrize("order", [("./broken.py", "./once.py"), ("./once.py", "./broken.py")])
def test_the_other_strategies_finish_all_the_same(here, order):
    write("broken", "1 / 0")
    write("once")
    done = run(*order, "buy_and_hold")
    assert done.exit_code == 1
    assert "Not run" in done.stdout
    assert f"broken.py, line {LINE}" in " ".join(done.stdout.split())
    kept = sorted(p.name.split("_market_")[0] for p in Path("results").iterdir() if p.is_dir())
    assert kept == ["buy_and_hold", "once"]
    found = json.loads(run(*order, "--json").stdout)
    assert [one["strategy"] for one in found["runs"]] == ["./once.py"]
    assert [one["strategy"] for one in found["failed"]] == ["./broken.py"]
    assert sorted({t.strategy for t in read_trials("results")}) == ["broken", "buy_and_hold", "once"]  # it was run


def test_a_picture_does_without_levels_that_can_not_be_named(here):
    once = write("once")
    run(once)
    write("once", "1 / 0")
    market, levels, problem = market_and_levels(load_run("last"))
    assert (len(market), levels, problem) == (12, None, "")


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_the_folder_holds_the_report_and_the_assessment(here):
    one = document(run(write("once"), "--json"))["runs"][0]
    text = Path(one["folder"], "report.html").read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert "once" in text
    assessment = json.loads(Path(one["folder"], "assessment.json").read_text())
    assert assessment["luck"] == one["luck"]
    assert one["luck"]["verdict"] == "not enough trades"


@pytest.mark.skipif(os.name == "nt", reason="a file can't have such a name there")
def test_a_name_that_is_markup_is_escaped_in_the_reports(here):
    odd, other = write("o<b onclick=x>&amp;d"), write("once")
    found = document(run(odd, other, "--json"))
    for path in (Path(found["runs"][0]["folder"], "report.html"), Path(found["html"])):
        text = path.read_text(encoding="utf-8")
        assert "o&lt;b onclick=x&gt;&amp;amp;d" in text
        assert "<b onclick" not in text


def test_a_single_run_has_no_comparison_and_two_have_one_whatever_their_order(here):
    once, other = write("once"), write("other")
    run(once)
    assert list(Path("results").glob("*.html")) == []
    pages = [document(run(*names, "--json"))["html"] for names in ((once, other), (other, once))]
    assert pages[0] == pages[1]
    assert [str(path) for path in Path("results").glob("*.html")] == pages[:1]


def test_a_comparison_that_can_not_be_written_loses_nothing_else(here):
    once, other = write("once"), write("other")
    page = Path(document(run(once, other, "--json"))["html"])
    page.unlink()
    page.mkdir()
    done = run(once, other)
    assert done.exit_code == 0
    assert done.stderr.startswith("note: ")
    assert page.name in done.stderr
    assert "PnL by ledger kind" in done.stdout
    assert page.name not in done.stdout
    assert document(run(once, other, "--json"))["html"] is None


def test_last_is_the_last_that_was_named(here):
    for names in (("./one.py", "./two.py"), ("./two.py", "./one.py")):
        run(*(write(Path(name).stem) for name in names))
        assert load_run("last").strategy == names[-1]


def test_what_lies_beside_the_folders_is_no_run(here):
    run(write("once"), write("other"))
    there = {"catalogue.sqlite", "compare", "trials.parquet"}
    call("list")
    assert there <= {name.split("_")[0] for name in os.listdir("results")}
    found = document(call("list", "--json"))
    assert [Path(one["strategy"]).name for one in found["runs"]] == ["once.py", "other.py"]
    assert found["broken"] == []
