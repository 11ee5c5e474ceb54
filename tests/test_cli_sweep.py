"""`backtest sweep`: what it prints, its exit codes, and that the same command goes on."""

import json
import signal
import subprocess
import time

import pytest
from command import COMMAND, call, document, process
from sweep_made import make_files

POINTS = ("--grid", "entry=1,4,6", "--grid", "hold=4,6")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


def swept(*arguments):
    return call("sweep", "./shorter.py", "-m", "./market.toml", *arguments)


def test_the_best_points_are_printed(here):
    done = swept(*POINTS, "--by", "total_return")
    assert done.exit_code == 0, done.output
    for words in ("The best of 6 points by return", "entry", "hold", "Sharpe", "Rows: results/sweep_shorter_market_"):
        assert words in done.stdout
    assert done.stderr == ""


def test_json_is_one_document(here):
    found = document(swept(*POINTS, "--by", "total_return", "--json"))
    assert (found["points"], found["done"], found["failed"], found["by"]) == (6, 6, 0, "total_return")
    values = [row["total_return"] for row in found["best"]]
    assert values == sorted(values, reverse=True)
    assert (found["best"][0]["entry"], found["best"][0]["hold"]) == (1, 6)  # short at 99, covered at 93


def test_settings_reach_every_point(here):
    found = document(swept("--grid", "entry=1", "--set", "hold=6", "--cash", "500", "--margin", "isolated", "--json"))
    row = found["best"][0]
    assert row["final_equity"] == pytest.approx(500 * (1 + row["total_return"]))
    run = document(
        call(
            "run",
            "./shorter.py",
            "-m",
            "./market.toml",
            "--set",
            "entry=1",
            "--set",
            "hold=6",
            "--cash",
            "500",
            "--margin",
            "isolated",
            "--json",
        )
    )
    assert run["runs"][0]["id"] == row["run"]  # the same id as that run's
    assert run["runs"][0]["metrics"]["total_return"] == pytest.approx(row["total_return"], rel=1e-9)


@pytest.mark.parametrize(
    ("options", "points"), [(("--random", "4"), 4), (("--latin", "5"), 5), (("--random", "4", "--draw", "2"), 4)]
)
def test_samples(here, options, points):
    assert document(swept(*POINTS, *options, "--json"))["done"] == points


def test_several_strategies_and_markets(here):
    (here / "second.toml").write_text((here / "market.toml").read_text())
    done = call(
        "sweep",
        "./shorter.py",
        "buy_and_hold",
        "-m",
        "./market.toml",
        "-m",
        "./second.toml",
        "--grid",
        "entry=1,4",
        "--json",
    )
    found = document(done)
    assert found["done"] == 6
    assert {(row["strategy"], row["market"]) for row in found["best"]} >= {("./shorter.py", "./second.toml")}


def test_points_that_fail_are_counted_with_their_reason(here):
    done = swept("--grid", "entry=1,4", "--grid", "hold=2,13")
    assert done.exit_code == 1
    assert "2 failed: shorter refused its parameters: ValueError: hold of 13 brings bad luck" in " ".join(
        done.stdout.split()
    )
    judged = "2 of 4 points were run in full for their daily returns; the others failed in the sweep."
    assert judged in " ".join(swept("--grid", "entry=1,4", "--grid", "hold=2,13", "--by", "fees").stdout.split())
    done = swept("--grid", "hold=13")
    assert done.exit_code == 2
    assert "No point gave figures." in done.stdout


def test_where_nothing_can_be_compared_the_rest_is_told(here):
    arguments = ("--grid", "hold=13", "--grid", "entry=1,4", "--top", "2", "--compare")
    nothing = "There is nothing to compare: no point has the figure Sharpe."
    done = swept(*arguments)
    assert (done.exit_code, done.stderr) == (2, f"note: {nothing}\n")
    text = " ".join(done.stdout.split())
    assert "2 failed: shorter refused its parameters: ValueError: hold of 13 brings bad luck" in text
    assert "Rows: results/sweep_shorter_market_" in text
    assert "run in full" not in text
    done = swept(*arguments, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["failed"], list(found["failures"].values())) == (2, 2, [2])
    assert found["compared"] == {"runs": [], "failed": [], "note": nothing}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--grid", "entri=1"), "Did you mean 'entry'?"),
        (("--grid", "entry=5:1"), "is empty"),
        (("--grid", "entry=1:5:0"), "is zero"),
        (("--grid", "entry=1:5", "--by", "sharp"), "A sweep has no figure 'sharp'. Did you mean 'sharpe'?"),
        (
            ("--grid", "entry=1:5", "--over", "bst"),
            "`--over` is median or best, got 'bst'. Did you mean 'best'?",
        ),
        (("--grid", "entry=1:5", "--jobs", "0"), "`jobs` must be a number of processes from 1, got 0."),
        (("--grid", "entry=1:5", "--random", "9"), "asks for more points than the grid has, 5"),
        (("--grid", "entry=1:5", "--time-limit", "0"), "must be above 0 s"),
        (
            ("--grid", "entry=1:1000000", "--grid", "hold=1:1000"),
            "These are 1,000,000,000 points, more than 10,000,000",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(here, arguments, sentence):
    done = swept(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stdout == ""
    assert not (here / "results").exists()


def test_ctrl_c_says_that_the_same_command_goes_on(here):
    command = [
        *COMMAND,
        "sweep",
        "./shorter.py",
        "-m",
        "./market.toml",
        "--grid",
        "entry=0:9",
        "--grid",
        "hold=1:20",
        "--grid",
        "mode=slow",
    ]
    child = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(here.glob("results/sweep_*/part-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err == "stopped; the rows that are finished are kept, and the same command goes on from there\n"
    assert out == ""
    again = process(*command[len(COMMAND) :], "--jobs", "2", "--json", cwd=here)
    assert json.loads(again.stdout)["done"] == 200
    assert len(list(here.glob("results/sweep_*"))) == 1


def test_two_jobs_print_the_same(here):
    arguments = ("sweep", "./shorter.py", "-m", "./market.toml", *POINTS, "--json")
    one = document(process(*arguments, "--results", "one", cwd=here))
    two = document(process(*arguments, "--results", "two", "--jobs", "2", cwd=here))
    assert {**one, "folder": "", "html": ""} == {**two, "folder": "", "html": ""}
