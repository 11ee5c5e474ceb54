"""The commands about runs that were made, as a user has them: list, show, rerun, note and rm on small real runs."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from command import COMMAND, bars_csv, call, document, process, tree, write_market

SHORT = '''"""Sell once, at the close of the bar whose number is given."""
from dataclasses import dataclass

from backtest import Plan


@dataclass(frozen=True)
class Short:
    bar: int = 5  # when

    def plan(self, market):
        return Plan.short("BTCUSDT", at=[self.bar], exposure=1.0)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a market and a strategy of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    write_market(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "short.py").write_text(SHORT)
    return tmp_path


def run(strategy="short", *arguments):
    done = call("run", strategy, "-m", "./market.toml", *arguments, "--json")
    return Path(document(done)["runs"][0]["folder"])


def listed(*arguments):
    return [
        r["folder"].rsplit("/", 1)[1].split("_market_")[0] for r in document(call("list", "--json", *arguments))["runs"]
    ]


def assert_refused(done, phrase):
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert phrase in done.stderr


# --- list --------------------------------------------------------------------------------------------------------


def test_the_list_can_be_filtered_sorted_and_cut(here):
    run("short"), run("buy_and_hold"), run("short", "--set", "bar=2")
    assert listed() == ["short", "buy_and_hold", "short"]
    assert listed("--strategy", "short") == ["short", "short"]
    assert listed("--strategy", "buy*", "--market", "market", "--grade", "b") == ["buy_and_hold"]
    assert listed("--grade", "A") == []
    assert listed("--since", "2001-01-01", "-n", "1") == ["short"]
    assert listed("--since", "2999-01-01") == []
    rows = document(call("list", "--json", "--sort", "return"))["runs"]
    returns = [row["metrics"]["total_return"] for row in rows]
    assert returns == sorted(returns, reverse=True)
    assert len(set(returns)) == 3
    assert listed("--sort", "return", "--reverse") == [r["strategy"] for r in rows[::-1]]


def test_what_the_list_says_of_a_run(here):
    folder = run()
    (row,) = document(call("list", "--json"))["runs"]
    assert row["folder"] == str(folder)
    assert (row["id"], row["strategy"], row["market"], row["grade"]) == (folder.name[-10:], "short", "market", "B")
    assert len(row["market_hash"]) == 64
    assert row["metrics"]["trades"] == 1
    assert row["note"] == ""
    assert (here / "results" / "catalogue.sqlite").is_file()


def test_a_figure_to_sort_by_is_shown(here):
    run()
    assert "volatility" in call("list", "--sort", "volatility").stdout
    assert "volatility" not in call("list").stdout


def test_a_list_cut_short_says_of_how_many(here):
    run(), run("buy_and_hold")
    assert "1 of 2 runs\n" in call("list", "-n", 1).stdout
    assert "runs" not in call("list", "-n", 2).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--strategy", "shrot"), "There is no run of strategy 'shrot' in results. Did you mean 'short'?"),
        (("--market", "markt"), "There is no run on market 'markt' in results. Did you mean 'market'?"),
        (("--strategy", "short", "--grade", "A"), "None of the 1 runs in results meets every condition."),
    ],
)
def test_a_filter_that_nothing_meets_is_said(here, arguments, sentence):
    run()
    done = call("list", *arguments)
    assert (done.exit_code, " ".join(done.stdout.split())) == (0, sentence)
    assert document(call("list", *arguments, "--json")) == {"runs": [], "broken": []}


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("list", "--sort", "shrape"), "Runs can't be sorted by 'shrape'. Did you mean 'sharpe'?"),
        (("list", "--grade", "F"), "A grade is A, B, C or D"),
        (("list", "--since", "now"), "`since` must be a date such as 2026-02-28"),
        (("list", "--limit", "0"), "`limit` must be at least 1, got 0."),
        (("show", "shrt"), "No run named 'shrt' in results."),
        (("note", "shrt", "text"), "No run named 'shrt' in results."),
        (("note", "last", "x" * 501), "A note has up to 500 characters, got 501."),
        (("rm", "shrt", "--yes"), "No run named 'shrt' in results."),
        (("rm", "last", "shrt", "--yes"), "No run named 'shrt' in results."),
        (("rm", "last"), "nobody can answer here; add --yes to remove short_market_"),
        (("rm", "last", "--json"), "nobody can answer here; add --yes"),
        (("rm", "..", "--yes"), "No run named '..' in results."),
        (("rerun", "shrt"), "No run named 'shrt' in results."),
        (("rerun", "last", "--results", "nowhere"), "There are no runs in nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(here, arguments, phrase):
    run()
    call("list")
    before = tree("results")
    assert_refused(call(*arguments), phrase)
    assert tree("results") == before


@pytest.mark.parametrize("arguments", [("rm",), ("note",), ("rerun",), ("list", "--limit", "many"), ("list", "extra")])
def test_a_wrong_command_is_exit_code_2(here, arguments):
    assert call(*arguments).exit_code == 2


def test_a_damaged_catalogue_is_said_on_stderr_and_made_again(here):
    folder = run()
    call("list")
    (here / "results" / "catalogue.sqlite").write_bytes(b"damaged" * 500)
    done = call("list", "--json")
    assert done.stderr == "note: results/catalogue.sqlite was damaged and has been made again from the folders.\n"
    assert json.loads(done.stdout)["runs"][0]["folder"] == str(folder)
    assert call("list").stderr == ""


def test_a_run_from_another_machine_is_listed_and_shown(here):
    folder = run("short", "--results", "elsewhere")
    (here / "results").mkdir()
    shutil.move(folder, here / "results" / "theirs")
    assert document(call("list", "--json"))["runs"][0]["folder"] == "results/theirs"
    assert "results/theirs" in call("show", "theirs").stdout


# --- note --------------------------------------------------------------------------------------------------------


def test_a_note_is_shown_in_list_and_show_until_it_is_removed(here):
    folder = run()
    before = call("show", "last").stdout
    assert call("note", "last", "looks good,  but", "luck?").stdout == f"{folder.name}: looks good, but luck?\n"
    assert "\n            looks good, but luck?\n" in call("list").stdout
    assert call("show", "last").stdout == "note  looks good, but luck?\n" + before
    assert document(call("show", "last", "--json"))["note"] == "looks good, but luck?"
    assert document(call("list", "--json"))["runs"][0]["note"] == "looks good, but luck?"
    assert call("note", "last").stdout == f"{folder.name}: looks good, but luck?\n"
    assert call("note", "last", "").stdout == f"{folder.name} has no note any more.\n"
    assert call("show", "last").stdout == before
    assert call("note", "last").stdout == f"{folder.name}: no note\n"
    assert document(call("note", "last", "x", "--json")) == {
        "folder": str(folder),
        "id": folder.name[-10:],
        "note": "x",
    }


def test_a_note_can_not_move_the_cursor(here):
    run()
    done = call("note", "last", "\x1b[2Jred\x07[bold]\u202e")
    shown = done.stdout + call("list").stdout + call("show", "last").stdout
    assert shown.count("?[2Jred?[bold]?") == 3
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []


def test_the_same_run_again_keeps_the_note(here):
    run()
    call("note", "last", "mine")
    run()
    assert document(call("list", "--json"))["runs"][0]["note"] == "mine"


# --- rm ----------------------------------------------------------------------------------------------------------


def test_rm_with_yes_removes_these_and_no_others(here):
    first, second, third = run(), run("buy_and_hold"), run("short", "--set", "bar=2")
    done = call("rm", first.name, third.name[-10:], "--yes")
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("Removed 2 runs.\n")
    assert str(first) in done.stdout
    assert str(third) in done.stdout
    assert [p.name for p in Path("results").iterdir() if p.is_dir()] == [second.name]
    assert listed() == ["buy_and_hold"]
    assert document(call("rm", "last", "-y", "--json")) == {"removed": [str(second)]}
    assert listed() == []


def on_a_terminal(answer, *arguments, cwd):
    """Run a command on a terminal of its own, answer its question, and return the exit code and what it wrote."""
    import pty

    mine, theirs = pty.openpty()
    child = subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd)
    os.close(theirs)
    said = b""
    until = time.monotonic() + 60
    while b"[y/N]" not in said and time.monotonic() < until:
        said += os.read(mine, 10_000)
    os.write(mine, answer)
    try:
        while more := os.read(mine, 10_000):
            said += more
    except OSError:  # the end, as a terminal says it
        pass
    os.close(mine)
    return child.wait(), said.decode()


@pytest.mark.skipif(os.name == "nt", reason="there are no terminals of this kind")
@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 0), (b"n\n", 1, 1), (b"\n", 1, 1), (b"\x04", 1, 1)])
def test_rm_names_the_runs_and_asks(here, answer, code, left):
    folder = run()
    found, said = on_a_terminal(answer, "rm", "last", cwd=here)
    assert re.search(r"\d+ files, \d+ kB", said)
    assert str(folder) in said
    assert "Remove 1 run? [y/N]" in said
    assert ("Removed 1 run." in said) == (left == 0)
    assert (found, len(listed())) == (code, left)


# --- rerun -------------------------------------------------------------------------------------------------------


def test_a_run_made_again_is_identical_and_nothing_is_written(here):
    folder = run("short", "--set", "bar=3", "--cash", 5000)
    call("list")
    before = tree("results")
    done = call("rerun", "last")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert said == f"identical: ledger, trades, equity and rejections of {folder.name}, byte for byte."
    found = document(call("rerun", "last", "--json"))
    assert (found["identical"], found["changes"], found["figures"], found["kept"]) == (True, [], {}, None)
    assert set(found["tables"].values()) == {"bytes"}
    assert tree("results") == before


def test_a_shipped_strategy_made_again_by_another_process_is_identical(here):
    run("support_break", "--set", "levels=97,95")
    done = process("rerun", "last", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("identical: ")


def test_other_prices_are_named_with_what_came_of_them(here):
    run()
    (here / "bars.csv").write_text(bars_csv((100, 99, 98, 97, 96, 94, 93, 92, 96, 97, 98, 120)))
    done = call("rerun", "last")
    assert done.exit_code == 1
    said = " ".join(done.stdout.split())
    assert said.startswith("different: equity of short_market_") or said.startswith("different: trades and equity of")
    assert "What changed" in said
    assert re.search(r"data BTCUSDT\.bars: was real [0-9a-f]{12}, is real [0-9a-f]{12}", said)
    assert "the strategy's source" not in said
    assert "final equity" in said
    assert len(listed()) == 1


def test_another_source_is_named(here):
    folder = run()
    (here / "strategies" / "short.py").write_text(SHORT.replace("exposure=1.0", "exposure=0.5"))
    found = call("rerun", "last", "--json")
    assert found.exit_code == 1
    facts = json.loads(found.stdout)
    assert [change["what"] for change in facts["changes"]] == ["the strategy's source"]
    assert facts["tables"]["ledger"] == "different"
    assert facts["first_difference"].startswith("row 1 of ")
    assert facts["figures"]["final_equity"]["before"] != facts["figures"]["final_equity"]["now"]
    assert (facts["id"], facts["folder"]) == (folder.name[-10:], str(folder))


def test_a_change_without_an_effect_is_said_and_is_no_difference(here):
    run()
    (here / "strategies" / "short.py").write_text(SHORT + "\n# a comment\n")
    done = call("rerun", "last")
    assert done.exit_code == 0
    assert "What changed, without an effect" in done.stdout


def test_the_venues_numbers_that_changed_are_named(here):
    venue = here / "venue.toml"
    shipped = Path(__file__).parents[1] / "data" / "venues" / "paper.toml"
    venue.write_text(shipped.read_text())
    run("short", "--venue", "./venue.toml")
    text = venue.read_text()
    assert re.search(r"^taker = ", text, re.MULTILINE)
    venue.write_text(re.sub(r"^taker = .*$", "taker = 0.01", text, flags=re.MULTILINE))
    done = call("rerun", "last")
    assert done.exit_code == 1
    assert re.search(r"venue taker: was [0-9.]+, is 0\.01\n", done.stdout)


def test_nothing_recorded_that_changed_is_said_plainly(here):
    folder = run()
    path = folder / "ledger.parquet"
    import pandas as pd

    ledger = pd.read_parquet(path)
    ledger.loc[0, "amount"] = -99.0
    ledger.to_parquet(path)
    done = call("rerun", "last")
    assert done.exit_code == 1
    said = " ".join(done.stdout.split())
    assert "row 1 of" in said
    assert "amount was -99.0 and is -" in said
    assert "nothing of what a run records: the program itself did" in said


def test_keep_keeps_the_new_run_too(here):
    first = run()
    (here / "strategies" / "short.py").write_text(SHORT.replace("exposure=1.0", "exposure=0.5"))
    done = call("rerun", first.name, "--keep")
    assert done.exit_code == 1
    new = Path(done.stdout.rsplit("The new run is in ", 1)[1].strip())
    assert new != first
    assert first.is_dir()
    assert listed() == ["short", "short"]
    assert document(call("rerun", "last", "--keep", "--json"))["kept"] == str(new)
    assert call("rerun", "last").exit_code == 0


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda here: (here / "strategies" / "short.py").unlink(), "can't be made again: No strategy named 'short'"),
        (lambda here: (here / "strategies" / "short.py").write_text("def ("), "short.py, line 1"),
        (lambda here: (here / "market.toml").unlink(), "can't be made again: There is no market file './market.toml'"),
        (lambda here: (here / "bars.csv").unlink(), "can't be made again: "),
        (
            lambda here: (here / "strategies" / "short.py").write_text(SHORT.replace("bar: int", "at: int")),
            "no parameter",
        ),
    ],
)
def test_what_a_run_needs_and_is_not_there_any_more_is_a_sentence(here, change, phrase):
    folder = run()
    call("list")
    before = tree("results")
    change(here)
    done = call("rerun", "last")
    assert_refused(done, phrase)
    assert folder.name in done.stderr
    assert tree("results") == before


def test_a_damaged_run_is_a_sentence(here):
    folder = run()
    (folder / "ledger.parquet").write_bytes(b"PAR1")
    assert_refused(call("rerun", "last"), "has no readable ledger.parquet")
    (folder / "config.toml").write_text("strategy = ")
    assert_refused(call("rerun", "last"), "no valid TOML")


def test_a_run_of_an_earlier_version_can_be_made_again(here):
    folder = run()
    path = folder / "summary.json"
    data = json.loads(path.read_text())
    for name in ("source_sha256", "market_hash", "venue", "versions", "standing"):
        data.pop(name, None)
    path.write_text(json.dumps(data))
    assert call("show", "last").exit_code == 0
    assert document(call("rerun", "last", "--json"))["not_recorded"] == ["the packages' versions"]
    assert call("rerun", "last").stdout.startswith("identical: ")
