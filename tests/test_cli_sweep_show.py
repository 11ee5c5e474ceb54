"""`backtest show` of a sweep: what was kept is shown, and nothing is judged, counted or written."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from command import call, document, tree
from sweep_made import make_files

from backtest.cli.swept import Asked

GRID = ("--grid", "entry=1,4,6", "--grid", "hold=4,6", "--by", "total_return")
ONLY_KEPT = "note: Only what this sweep kept is shown"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


def swept(*more):
    return call("sweep", "./shorter.py", "-m", "./market.toml", *GRID, *more)


def folder(here):
    return next(here.glob("results/sweep_*"))


def forbid_runs(monkeypatch):
    def ran(*_, **__):
        raise AssertionError("a point was run")

    for name in ("backtest.runner.run_on", "backtest.sweep.verdict.judge_sweep", "backtest.sweep.point.Scorer.row"):
        monkeypatch.setattr(name, ran)


def test_an_unchanged_sweep_is_shown_as_it_ended(here, monkeypatch):
    made = swept()
    before = tree(here)
    monkeypatch.setattr("backtest.sweep.verdict.judge_sweep", None)  # what is kept is not judged again
    done = call("show", folder(here).name)
    assert (done.exit_code, done.stdout, done.stderr) == (0, made.stdout, "")
    assert tree(here) == before


@pytest.mark.parametrize("what", ["strategy", "data", "version"])
def test_what_has_changed_is_said_and_nothing_is_run(here, monkeypatch, what):
    made = document(swept("--json"))
    if what == "strategy":
        path = here / "shorter.py"
        path.write_text(path.read_text().replace("Plan.short", "Plan.long"))
    elif what == "data":
        path = here / "bars.csv"
        path.write_text(path.read_text().replace(",10\n", ",11\n"))
    else:
        monkeypatch.setattr(sys.modules["backtest.sweep.sweep"], "version", lambda _: "99")
    before = tree(here)
    forbid_runs(monkeypatch)
    done = call("show", folder(here).name, "--json")
    found = document(done)
    assert done.stderr.startswith(
        f"{ONLY_KEPT}: its strategy, data, venue or version of levelbreak is not what it was made with. Today the same command "
        "would make another sweep, "
    )
    assert found["note"] == done.stderr.removeprefix("note: ").strip()
    assert {**found, "note": None} == made
    assert tree(here) == before


def test_from_another_folder_the_page_stays(here, monkeypatch):
    swept()
    before = tree(here / "results")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    done = call("show", folder(here).name, "--results", here / "results")
    assert done.exit_code == 0
    reason = "since what it was made of can't be loaded from here: There is no strategy file ./shorter.py."
    assert done.stderr == f"{ONLY_KEPT}, {reason}\n"
    assert "The best of 6 points by return" in done.stdout
    assert f"Page: {folder(here) / 'report.html'}" in done.stdout
    assert "All 6 points were run in full" in " ".join(done.stdout.split())
    assert tree(here / "results") == before


@pytest.mark.parametrize(
    "content", [None, "{", '{"of": {"best": 600}, "by": "total_return", "figures": {"sentences": []}}']
)
def test_where_no_figures_are_kept_the_command_that_judges_is_named(here, monkeypatch, content):
    swept()
    monkeypatch.setattr("backtest.cli.swept_again.Asked", partial(Asked, by="total_return"))
    path = folder(here) / "overfitting.json"
    path.unlink() if content is None else path.write_text(content)
    before = tree(here)
    monkeypatch.setattr("backtest.sweep.verdict.judge_sweep", None)
    kept = "No overfitting figures of this sweep are kept;"
    found = document(call("show", "last", "--json"))
    assert found["overfitting"] == {"sentences": [f"{kept} the same sweep command judges it."]}
    assert tree(here) == before
    (here / "shorter.py").write_text((here / "shorter.py").read_text() + "\n")
    found = document(call("show", "last", "--json"))
    assert found["overfitting"] == {"sentences": [f"{kept} it would be another sweep that is judged today."]}


def test_a_point_that_is_not_the_first_shown_is_named(here):
    first = document(swept("--json"))["best"][0]["point"]
    path = folder(here) / "overfitting.json"
    kept = json.loads(path.read_text())
    other = next(point for point in range(6) if point != first)
    path.write_text(json.dumps({**kept, "of": {**kept["of"], "best": other}}))
    sentences = document(call("show", "last", "--json"))["overfitting"]["sentences"]
    assert sentences == [f"What was judged is point {other}, not the first one above.", *kept["figures"]["sentences"]]


def test_a_simulated_market_is_called_so_after_a_change(here):
    grid = ("--grid", "entry=5,9", "--by", "total_return", "--results", "simulated")
    assert call("sweep", "./shorter.py", *grid).exit_code == 0
    (here / "shorter.py").write_text((here / "shorter.py").read_text() + "\n")
    done = call("show", "last", "--results", "simulated")
    assert done.stderr.startswith(ONLY_KEPT)
    assert "SIMULATED MARKET: prices or other series were made by a generator" in done.stdout


def test_points_that_judging_put_on_record_are_not_judged_again(here, monkeypatch):
    """Without its record of trials a sweep is judged once more, which puts its six points there; the next start finds them."""
    from backtest.sweep import verdict

    swept()
    (here / "results" / "trials.parquet").unlink()
    judge, calls = verdict.judge_sweep, []
    monkeypatch.setattr(verdict, "judge_sweep", lambda *a, **k: calls.append(a[1]) or judge(*a, **k))
    for _ in range(3):
        assert document(swept("--json"))["overfitting"]["luck"]["trials"] == 6
    assert len(calls) == 1
    assert json.loads(Path(folder(here), "overfitting.json").read_text())["of"]["trials"] == 6


def test_show_ranks_by_the_figure_of_the_last_start(here):
    swept()
    call("sweep", "./shorter.py", "-m", "./market.toml", *GRID[:4], "--by", "final_equity")
    assert document(call("show", "last", "--json"))["by"] == "final_equity"
