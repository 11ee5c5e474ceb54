"""The commands `forward` and `optimise` as a user types them."""

import json
import subprocess
import sys

import pytest
from choices_made import STRATEGY
from command import FIRST, bars_csv, call, document, write_market

from backtest.catalogue.trials import read_trials

MARKET = """interval = "1h"
start = "2026-01-01"
end = "2026-03-02"

[BTCUSDT]
bars = "bars.csv"
funding = "none"
"""
GRID = ("--grid", "hold=3,6,9", "--grid", "side=long,short")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Sixty days of a price that swings, and a strategy, in the folder that the user stands in."""
    closes = [round(100 + 8 * ((i * 7) % 31 / 31) + 6 * ((i // 120) % 2), 2) for i in range(1_440)]
    write_market(tmp_path, bars_csv(closes, first=FIRST), market=MARKET)
    (tmp_path / "turns.py").write_text(STRATEGY.replace('"W0"', '"BTCUSDT"'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def forward(*more):
    return call(
        "forward", "./turns.py", "-m", "./market.toml", "--train", "20d", "--test", "10d", "--results", "kept", *more
    )


def optimise(*more):
    return call("optimise", "./turns.py", "-m", "./market.toml", "--results", "kept", *more)


def test_a_walk_is_printed_and_kept(folder):
    done = forward(*GRID)
    assert done.exit_code == 0, done.stderr
    text = " ".join(done.stdout.split())
    for part in (
        "Folds, rolling: the best sharpe of each training",
        "The tests put together, out of sample throughout",
        "Each fold starts flat with the venue's cash and ends flat",
        "Better than luck?",
        "Do the folds agree?",
        "Is choosing the best worth anything?",
        "Deflated Sharpe ratio",
        "where the best of 7 trials without an edge would show",
        "Cross-validation, 2 of 6 parts tested at a time: 5 paths out of sample",
        "All 6 points were run in full for their daily returns.",
    ):
        assert part in text, part
    (kept,) = (folder / "kept").glob("forward_turns_market_*.json")
    assert str(kept.relative_to(folder)) in done.stdout
    assert json.loads(kept.read_text())["folds"][0]["train_start"] == "2026-01-01T00:00Z"
    assert len(read_trials("kept")) == 7
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_walk_as_json_has_its_folds_and_figures(folder):
    told = document(forward(*GRID, "--json", "--anchored", "--purge", "12h", "--metric", "return"))
    assert [fold["purge"] for fold in told["folds"]] == [12] * 4
    assert (told["anchored"], told["metric"]) == (True, "total_return")
    assert told["overfitting"]["pbo"]["configurations"] == 6
    assert len(told["cross_validation"]["paths"]) == 5
    assert [one["name"] for one in told["stability"]] == ["hold", "side"]
    assert len(told["files"]) == 2


def test_an_optimisation_is_printed_and_goes_on(folder):
    first = optimise(*GRID, "--trials", "4", "--constraint", "liquidations=0", "--seed", "3")
    assert first.exit_code == 0, first.stderr
    text = " ".join(first.stdout.split())
    for part in (
        "Sought: sharpe",
        "4 suggestions;",
        "break liquidations = 0, and none of those is chosen",
        "The best",
        "in: on the bars that chose; out: on those that no suggestion saw",
        "Deflated Sharpe ratio",
        "out of sample",
        "The study, with which the same command goes on",
    ):
        assert part in text, part
    more = document(optimise(*GRID, "--trials", "6", "--constraint", "liquidations=0", "--seed", "3", "--json"))
    assert (more["resumed"], more["trials"]) == (4, 6)
    assert more["best"][0]["in_sample"]["sharpe"] is not None
    front = optimise(*GRID, "--objective", "return", "--objective", "drawdown", "--holdout", "0.4")
    assert "Sought: total_return and max_drawdown" in front.stdout


def test_a_span_needs_no_step_where_optuna_draws(folder):
    told = document(optimise("--grid", "exposure=0.1:2", "--trials", "5", "--json"))
    assert told["tried"] == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["forward", "./turns.py"],
            "There is nothing to choose; give what may vary, such as --grid lookback=24:240:8.",
        ),
        (["forward", "./turns.py", "-g", "hald=3,6"], "turns has no parameter 'hald'"),
        (["forward", "./turns.py", "-g", "hold=3:9:0"], "The step of the range 3:9:0 of `hold` is zero"),
        (["forward", "./turns.py", *GRID, "--train", "90d"], "A training of 2,160 bars leaves nothing to test"),
        (
            ["forward", "./turns.py", *GRID, "--train", "soon"],
            "`train` must be a number of bars, or a time such as 90d",
        ),
        (
            ["forward", "./turns.py", *GRID, "--metric", "sharp"],
            "No figure 'sharp' can be sought. Did you mean 'sharpe'?",
        ),
        (["forward", "./turns.py", *GRID, "--constraint", "x=1"], "No figure named 'x' to hold a point to."),
        (["optimise", "./turns.py"], "There is nothing to choose; give what may vary"),
        (["optimise", "./turns.py", *GRID, "--holdout", "1"], "`holdout` must be a share above 0 and below 1"),
        (
            ["optimise", "./turns.py", *GRID, "--constraint", "trades>9999"],
            "None of 6 points has a value of sharpe and keeps",
        ),
        (["optimise", "./nothing.py", *GRID], "There is no strategy file ./nothing.py"),
    ],
)
def test_a_mistake_is_a_sentence_and_code_2(folder, arguments, sentence):
    done = call(*arguments, "-m", "./market.toml", "--results", "kept")
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


STUCK = """        if self.hold == 9:
            sum(itertools.repeat(1, 10**12))
        if self.side"""


def typed(*words):
    """Start the command in a process of its own, which may end."""
    command = [sys.executable, "-c", "from backtest.cli import main; main()", *words]
    market = ("-m", "./market.toml", "--results", "kept", "--time-limit", "1")
    return subprocess.run([*command, *market], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def stuck(folder):
    """A point of the strategy holds the interpreter inside one call, where no alarm reaches it."""
    text = (folder / "turns.py").read_text().replace("        if self.side", STUCK, 1)
    (folder / "stuck.py").write_text(text.replace("import numpy", "import itertools\n\nimport numpy"))


def test_a_walk_in_which_a_point_hangs_ends_and_says_which_point_it_was(stuck):
    done = typed("forward", "./stuck.py", "--grid", "hold=6,9", "--train", "20d", "--test", "20d")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "The point hold=9 took longer than 1 s in code that can't be interrupted, so this process had to end; leave it out, or "
        "give it more with --time-limit.\n",
    )


def test_processes_of_a_walk_pass_over_a_point_that_hangs(stuck):
    done = typed(
        "forward", "./stuck.py", "--grid", "hold=3,6,9", "--train", "30d", "--test", "30d", "--jobs", "2", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [fold["values"]["hold"] in (3, 6) for fold in told["folds"]] == [True]
    assert (
        "1 of them failed, the first: It took longer than 1 s, in code that can't be interrupted"
        in told["overfitting"]["said"]
    )
    assert len(read_trials("kept")) == 3


def test_an_optimisation_in_which_a_point_hangs_goes_on_without_it(stuck):
    words = ("optimise", "./stuck.py", "--grid", "hold=6,9", "--trials", "40", "--json")
    first = typed(*words)
    assert (first.returncode, first.stdout) == (1, "")
    assert first.stderr.startswith("The point hold=9 took longer than 1 s in code that can't be interrupted")
    assert first.stderr.endswith("what was tried is kept, and the same command goes on without that point.\n")
    second = typed(*words)
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert (told["tried"], told["failed"], told["best"][0]["values"]) == (2, 1, {"hold": 6})


def test_a_walk_that_is_stopped_says_that_it_is_not_kept(folder, monkeypatch):
    import backtest.sweep.forward as module

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "judged", stop)
    done = forward(*GRID)
    assert done.exit_code == 130
    assert done.stderr == "stopped; a walk is kept only when it has ended, so the same command begins anew\n"
    assert not list((folder / "kept").glob("forward_*"))
