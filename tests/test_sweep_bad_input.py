"""Sweeps that make no sense: a sentence before anything runs, or a row with its reason."""

import pytest
from sweep_made import SHORTER, make_files

from backtest.errors import ConfigError, LevelbreakError, ResultsError, StrategyError
from backtest.model import RunConfig
from backtest.sweep import Axis, Space, load_sweep, make_space, make_task, sweep
from backtest.sweep.work import Worker


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (
            "lokback=1:2:1",
            "donchian_break has no parameter 'lokback', and the account no such setting. Did you mean 'lookback'?",
        ),
        ("lookback=240:24:8", "The range 240:24:8 of `lookback` is empty: it ends before it starts."),
        ("buffer=log:0.1:0.01:5", "The range log:0.1:0.01:5 of `buffer` is empty"),
        ("lookback=24:240:0", "The step of the range 24:240:0 of `lookback` is zero"),
        ("lookback=", "`lookback` has no values; give some"),
        ("=3", "`--grid` needs a name and values"),
        ("lookback", "`--grid` needs a name and values"),
        ("lookback=24.5:30:1", "`lookback` of donchian_break must be a whole number, got 24.5."),
        ("lookback=1:2:3:4", "The range '1:2:3:4' of `lookback` can't be read"),
        ("buffer=a:b:c", "The range 'a:b:c' of `buffer` can't be read: 'a' is no number."),
        ("buffer=log:0:1:5", "is logarithmic, so both ends must be above 0"),
        ("buffer=log:1:2:x", "needs its ends and how many values"),
        ("buffer=0:1:0.0000001", "has 10,000,001 values; at most 1,000,000 make sense"),
        ("buffer=0.01:0.02", "has no step; give one (0.01:0.02:STEP), or draw from it with --random N or --latin N."),
        ("margin_mode=crss", "`margin_mode` can't be 'crss'. Did you mean 'cross'?"),
        ("account.leverage=x", "`leverage` of the account must be a number, got 'x'."),
        ("account.levrage=1", "Did you mean 'account.leverage'?"),
    ],
)
def test_an_axis_that_makes_no_sense(grid, sentence):
    with pytest.raises(LevelbreakError) as refused:
        make_space("donchian_break", [grid])
    assert sentence in str(refused.value)


def test_several_numbers_at_once_need_their_own_separators():
    with pytest.raises(ConfigError, match=r"put ; between those and | between the points"):
        make_space("support_break", ["levels=75000,70000"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"grid": ["lookback=1,2", "lookback=3"]}, "`lookback` is swept twice"),
        (
            {"grid": ["lookback=1,2"], "base": RunConfig("", parameters=(("lookback", 3),))},
            "`lookback` is both swept and set to 3",
        ),
        (
            {"grid": ["taker=0"], "base": RunConfig("", account=(("taker", 0.1),))},
            "`taker` of the account is both swept and set",
        ),
        ({"base": RunConfig("", parameters=(("lokback", 3),))}, "Did you mean 'lookback'?"),
        ({"grid": ["lookback=1,2"], "random": 3}, "asks for more points than the grid has, 2"),
        ({"grid": ["lookback=1,2"], "random": 0}, "`--random` must be a number of points from 1, got 0."),
        ({"grid": ["lookback=1,2"], "random": 1, "latin": 1}, "random or a Latin hypercube, not both"),
    ],
)
def test_a_space_that_makes_no_sense(settings, sentence):
    with pytest.raises(LevelbreakError) as refused:
        make_space("donchian_break", **settings)
    assert sentence in str(refused.value)


def test_more_than_ten_million_points_want_a_yes():
    space = Space(("x",), ("m",), tuple(Axis(n, tuple(range(1000))) for n in "abc"), RunConfig(""))
    with pytest.raises(ConfigError, match=r"These are 1,000,000,000 points, more than 10,000,000; .* or say --yes"):
        sweep(space)


@pytest.mark.parametrize(
    ("settings", "sentence"), [({"jobs": 0}, "`jobs` must be"), ({"time_limit": 0.0}, "must be above 0 s")]
)
def test_settings_of_the_work(here, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        sweep(make_space("./shorter.py", ["entry=1,2"], markets=["./market.toml"]), **settings)


def test_points_that_fail_are_rows_with_their_reason(here):
    """One of three holds is refused by the strategy; a leverage that the venue has not got is refused by the venue."""
    space = make_space("./shorter.py", ["hold=2,13", "leverage=5,1000"], markets=["./market.toml"])
    found = sweep(space)
    errors = found.table(["error"])["error"].to_pylist()
    assert errors[0] == ""
    assert errors[1].startswith("`leverage` 1000 is more than binance-usdm allows for BTCUSDT at any size")
    assert errors[2] == "shorter refused its parameters: ValueError: hold of 13 brings bad luck (shorter.py, line 21)."
    assert (found.done, found.failed) == (4, 3)
    assert found.best("total_return") == [0]
    row = found.table().slice(2, 1).to_pylist()[0]
    assert (row["trades"], row["rejections"], row["run"]) == (None, None, "")
    assert row["total_return"] != row["total_return"]


def test_a_mistake_in_the_plan_is_a_row_too(here):
    space = make_space("./shorter.py", ["entry=1,2", "mode=good,raises"], markets=["./market.toml"])
    errors = sweep(space).table(["error"])["error"].to_pylist()
    assert errors[0] == errors[2] == ""
    assert errors[1].startswith("shorter failed while it planned: RuntimeError: no plan for 1 (shorter.py, line 4")


@pytest.mark.parametrize("mode", ["wait", "stubborn"])
def test_a_point_that_never_ends_is_stopped(here, mode):
    space = make_space("./shorter.py", [f"mode=good,{mode}"], markets=["./market.toml"])
    found = sweep(space, time_limit=0.3)
    assert found.table(["error"])["error"].to_pylist() == [
        "",
        "It took longer than 0.3 s; give it more with --time-limit, or leave the point out.",
    ]


def test_another_sweep_in_the_way_is_said(here):
    space = make_space("./shorter.py", ["entry=1,2"], markets=["./market.toml"])
    folder = sweep(space, "results").folder
    asked = (folder / "sweep.toml").read_text()
    (folder / "sweep.toml").write_text(asked.replace('id = "', 'id = "x'))
    with pytest.raises(ResultsError, match=r"holds the rows of another sweep"):
        sweep(space, "results")
    (folder / "sweep.toml").write_text("{")
    with pytest.raises(ResultsError, match=r"is in the way of this sweep and is none itself"):
        sweep(space, "results")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("a file")
    with pytest.raises(ResultsError, match=r"is in the way of this sweep"):
        sweep(space, "results")


def test_a_damaged_part_is_named(here):
    space = make_space("./shorter.py", ["entry=1,2"], markets=["./market.toml"])
    found = sweep(space, "results")
    part = next(found.folder.glob("part-*"))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(ResultsError, match=r"part-.*can't be read .*; delete it and start the sweep again"):
        sweep(space, "results")


def test_a_sweep_that_is_not_there(here):
    sweep(make_space("./shorter.py", ["entry=1,2"], markets=["./market.toml"]))
    with pytest.raises(ResultsError, match=r"No sweep named 'nothing'"):
        load_sweep("nothing")
    with pytest.raises(ConfigError, match=r"no figure 'sharp'. Did you mean 'sharpe'?"):
        load_sweep("last").best("sharp")
    with pytest.raises(ResultsError, match=r"no column 'entri'. Did you mean 'entry'?"):
        load_sweep("last").table(["entri"])


def test_a_worker_refuses_what_differs_by_name(here):
    """Another version, another text of the strategy, no file of it at all."""
    from dataclasses import replace

    task = make_task(make_space("./shorter.py", ["entry=1,2"], markets=["./market.toml"]))
    with pytest.raises(ConfigError, match=r"has version .* of levelbreak, the sweep 9.9; install the same"):
        Worker(replace(task, version="9.9"), lambda position: None)
    (here / "shorter.py").write_text(SHORTER + "\n")
    with pytest.raises(StrategyError, match=r"has another text of ./shorter.py than the sweep began with"):
        Worker(task, lambda position: None)
    (here / "shorter.py").unlink()
    with pytest.raises(StrategyError, match=r"can't load ./shorter.py: There is no strategy file ./shorter.py"):
        Worker(task, lambda position: None)


@pytest.mark.parametrize("end", ["1e5000", "1e999999999", "1e-999999999"])
def test_a_number_beyond_numbers_is_said(end):
    with pytest.raises(ConfigError, match="reaches beyond what a number can hold"):
        make_space("donchian_break", [f"lookback=1:{end}:1"])


def test_a_range_of_countless_values_says_about_how_many():
    with pytest.raises(ConfigError, match=r"has about 1e\+30 values; at most 1,000,000 make sense"):
        make_space("donchian_break", ["lookback=1:1e30:1"])


def test_an_unknown_engine_is_said_before_anything_runs():
    with pytest.raises(ConfigError, match="No engine named 'nope'"):
        make_space("donchian_break", ["lookback=24"], base=RunConfig("", engine="nope"))
