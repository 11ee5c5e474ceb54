"""Which runs a list shows, and in which order; one run by its name."""

import doctest
import shutil
from pathlib import Path

import pytest
from made_result import make_result

from backtest.analysis import analyze
from backtest.catalogue import Choice, RunLine, choose_runs, load_run, read_index, save_run, scan_runs, sort_key
from backtest.catalogue import find as find_module
from backtest.errors import ConfigError, ResultsError


def line(id, day, strategy, market="crash", grade="D", note="", **metrics):
    return RunLine(Path(id), id, f"2026-03-{day:02d}T12:00:00.000+00:00", strategy, market, grade, note, "", metrics)


RUNS = (
    line("aa", 1, "support_break", sharpe=1.0, total_return=0.2, fees=5.0),
    line("bb", 2, "ideas/break.py", "./markets/real.toml", "A", "b note", sharpe=-2.0, total_return=0.3, fees=1.0),
    line("cc", 3, "Ladder", "real", "B", "A note", sharpe=None, total_return=-0.1),
    line("dd", 4, "support_bounce", "crash-2", "C", sharpe=3.0, total_return=0.3, depth=4.0),
)


def chosen(**choice):
    return " ".join(run.id for run in choose_runs(RUNS, Choice(**choice)))


def test_every_example_of_the_docstrings_holds():
    assert doctest.testmod(find_module).failed == 0


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ({}, "aa bb cc dd"),
        ({"reverse": True}, "dd cc bb aa"),
        ({"limit": 2}, "cc dd"),
        ({"limit": 2, "reverse": True}, "dd cc"),
        ({"limit": 99}, "aa bb cc dd"),
        ({"strategy": "support_break"}, "aa"),
        ({"strategy": "support_*"}, "aa dd"),
        ({"strategy": "support"}, ""),
        ({"strategy": "break"}, "bb"),
        ({"strategy": "ideas/break.py"}, "bb"),
        ({"strategy": ""}, ""),
        ({"strategy": "[a"}, ""),
        ({"market": "real"}, "bb cc"),
        ({"market": "crash*"}, "aa dd"),
        ({"grade": "A"}, "bb"),
        ({"grade": "a,b"}, "bb cc"),
        ({"grade": "BD"}, "aa cc"),
        ({"since": "2026-03-03"}, "cc dd"),
        ({"since": "2026-03-03T12:00"}, "cc dd"),
        ({"since": "2026-03-03T12:00:00.001"}, "dd"),
        ({"since": "2026-03-03T15:00+02:00"}, "dd"),
        ({"since": "2027-01-01"}, ""),
        ({"strategy": "support_*", "grade": "C", "market": "crash-2", "since": "2026-03-04"}, "dd"),
        ({"sort": "sharpe"}, "dd aa bb cc"),
        ({"sort": "sharpe", "reverse": True}, "bb aa dd cc"),
        ({"sort": "sharpe", "limit": 1}, "dd"),
        ({"sort": "return"}, "dd bb aa cc"),
        ({"sort": "Total-Return", "reverse": True}, "cc aa dd bb"),
        ({"sort": "fees"}, "aa bb dd cc"),
        ({"sort": "depth"}, "dd cc bb aa"),
        ({"sort": "strategy"}, "bb cc dd aa"),
        ({"sort": "strategy", "reverse": True}, "aa dd cc bb"),
        ({"sort": "note"}, "cc bb dd aa"),
        ({"sort": "grade", "limit": 3}, "bb cc dd"),
        ({"sort": "id", "reverse": True}, "dd cc bb aa"),
    ],
)
def test_a_choice_and_the_runs_that_it_keeps(choice, ids):
    assert chosen(**choice) == ids


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"sort": "x"}, "market, max_drawdown, note, return, sharpe, sortino, strategy"),  # each once
        ({"sort": "shrape"}, r"Runs can't be sorted by 'shrape'\. Did you mean 'sharpe'\?"),
        ({"sort": "retrun"}, r"Did you mean 'return'\?"),
        ({"sort": "dept"}, r"Did you mean 'depth'\?"),
        ({"sort": ""}, "There are: cagr, calmar, created"),
        ({"grade": "E"}, r"A grade is A, B, C or D, or several of these such as AB; got 'E'\."),
        ({"grade": ""}, "got ''"),
        ({"since": "yesterday"}, r"`since` must be a date such as 2026-02-28 or 2026-02-28T12:00, got 'yesterday'\."),
        ({"since": "2026-02-30"}, "got '2026-02-30'"),
        ({"limit": 0}, r"`limit` must be at least 1, got 0\."),
        ({"limit": -3}, "got -3"),
    ],
)
def test_a_choice_that_makes_no_sense(choice, sentence):
    with pytest.raises(ConfigError, match=sentence):
        chosen(**choice)
    with pytest.raises(ConfigError):
        choose_runs((), Choice(**{**choice, "sort": choice.get("sort", "created")}))


def test_the_figures_of_every_run_can_be_named_where_there_is_none_yet():
    assert [sort_key(name) for name in ("sharpe", "max_drawdown", "trades", "created")] == [
        "sharpe", "max_drawdown", "trades", "created",
    ]  # fmt: skip


def test_a_run_that_does_not_say_when_it_was_made_is_old():
    odd = RunLine(Path("x"), "x", "some day", "s", "m", "Z")
    assert choose_runs((odd, RUNS[0]), Choice(since="1980-01-01")) == [RUNS[0]]
    assert choose_runs((odd,), Choice()) == [odd]


# --- one run -----------------------------------------------------------------------------------------------------


def save(results, strategy="support_break"):
    result = make_result(strategy=strategy)
    return save_run(result, analyze(result).to_dict(), results)


def test_a_run_that_was_copied_under_another_name_is_found_by_all_of_its_names(tmp_path, monkeypatch):
    first = save(tmp_path / "results")
    folder = first.rename(tmp_path / "results" / "my best one")
    monkeypatch.chdir(tmp_path)
    for name in ("my best one", "results/my best one/", str(folder), first.name.rsplit("_", 1)[1], "my"):
        assert load_run(name, tmp_path / "results").path == folder, name


def test_a_run_behind_a_link_is_found_by_its_own_path(tmp_path):
    folder = save(tmp_path / "elsewhere")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "link").symlink_to(folder)
    assert load_run(str(folder), tmp_path / "results").path == tmp_path / "results" / "link"


def test_two_copies_of_a_run_are_two(tmp_path):
    folder = save(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    with pytest.raises(ResultsError, match="fits 2 runs: copy, support_break_made"):
        load_run(folder.name.rsplit("_", 1)[1], tmp_path)
    assert load_run("copy", tmp_path).path == tmp_path / "copy"


@pytest.mark.parametrize("name", ["x" * 5000, "../..", ".", "/", "*", "\u202e", "a\nb"])
def test_a_name_that_is_none_is_a_sentence(tmp_path, name):
    save(tmp_path)
    with pytest.raises(ResultsError, match="No run named"):
        load_run(name, tmp_path)


def test_a_catalogue_that_is_of_no_use_is_said_on_the_way(tmp_path):
    save(tmp_path)
    (tmp_path / "catalogue.sqlite").write_bytes(b"damaged" * 99)
    said = []
    load_run("last", tmp_path, said.append)
    load_run("last", tmp_path, said.append)
    assert said == [f"{tmp_path}/catalogue.sqlite was damaged and has been made again from the folders."]


def test_the_folder_of_a_sweep_is_no_broken_run(tmp_path):
    (tmp_path / "sweep_donchian_break_x_0123456789").mkdir()
    (tmp_path / "sweep_donchian_break_x_0123456789" / "sweep.toml").write_text("")
    (tmp_path / "odd").mkdir()
    runs, broken = scan_runs(tmp_path)
    assert (runs, [one.path.name for one in broken]) == ([], ["odd"])


def test_the_folder_of_a_sweep_is_not_in_the_catalogue_either(tmp_path):
    """Not even where an earlier version had put it there as a broken run."""
    folder = tmp_path / "sweep_donchian_break_x_0123456789"
    folder.mkdir()
    save(tmp_path)
    assert [one.path.name for one in read_index(tmp_path).broken] == [folder.name]
    (folder / "sweep.toml").write_text("")
    index = read_index(tmp_path)
    assert (len(index.runs), index.broken, index.problem) == (1, (), "")
