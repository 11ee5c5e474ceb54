"""Optimisation: a study that goes on, constraints that are kept, and what choosing is worth at the end."""

import json
import math
import re
import sys
import threading

import numpy as np
import pytest
from choices_made import STRATEGY, made_market, write_strategy
from study_walks import bars_of_path, market

from backtest.catalogue import load_trials
from backtest.errors import ConfigError, ResultsError
from backtest.model import RunConfig
from backtest.runner import run_on
from backtest.sweep import make_space, optimise
from backtest.sweep.folds import window
from backtest.sweep.identity import data_hash
from backtest.sweep.objectives import read_constraint
from backtest.sweep.point import score_point
from backtest.sweep.study import Search, configured, late_path, mend, open_study


def space_of(tmp_path, *grid, base=None, text=STRATEGY):
    grid = grid or ("hold=2:40:2", "every=24,30,48", "side=long,short")
    return make_space(write_strategy(tmp_path, text), list(grid), markets=("walks",), base=base)


def search(tmp_path, space, trials=20, market=None, **settings):
    market = made_market(1_440) if market is None else market
    return optimise(space, market, trials, results=tmp_path / "results", **settings)


def test_the_best_is_the_best_of_what_was_tried_and_judged_behind_it(tmp_path):
    space = space_of(tmp_path)
    found = search(tmp_path, space, 30)
    assert (found.trials, found.resumed, found.failed, found.refused) == (30, 0, 0, 0)
    assert found.cut == 1_080
    best = found.best[0]
    config = configured(space, list(best.values.values()))
    market = made_market(1_440)
    assert score_point(window(market, 0, 1_080), config)["sharpe"] == best.in_sample["sharpe"]
    behind = window(market, 1_080 + found.purge, 1_440)
    assert score_point(behind, config)["sharpe"] == best.out_of_sample["sharpe"]
    assert found.config == config
    assert found.result.equity_values.tolist() == run_on(behind, config).equity_values.tolist()
    assert found.overfitting.in_days == 45
    assert found.overfitting.overfit.configurations == found.tried
    assert found.overfitting.luck.trials == found.tried
    assert load_trials(tmp_path / "results", space.strategies[0], data_hash(market, config)).count == found.tried


def test_the_same_call_goes_on_where_the_last_one_ended(tmp_path):
    space = space_of(tmp_path)
    first = search(tmp_path, space, 12)
    more = search(tmp_path, space, 20)
    assert (more.resumed, more.trials, more.path) == (12, 20, first.path)
    assert more.tried >= first.tried
    done = search(tmp_path, space, 20)
    assert (done.resumed, done.trials) == (20, 20)
    assert done.best == more.best
    other = search(tmp_path, space, 5, objectives=("total_return",))
    assert (other.resumed, other.path != first.path) == (0, True)


def test_a_last_line_cut_off_by_a_kill_is_dropped(tmp_path):
    space = space_of(tmp_path)
    path = search(tmp_path, space, 6).path
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 4, "wor')
    found = search(tmp_path, space, 9)
    assert (found.resumed, found.trials) == (6, 9)


def test_a_line_that_another_process_is_writing_is_kept(tmp_path):
    from optuna.storages import journal

    path, first, last = tmp_path / "study.journal", b'{"op_code": 1}\n', b'{"op_code": 4, "worker": "w"}\n'
    path.write_bytes(first + last[:9])
    lock = journal.JournalFileSymlinkLock(str(path))
    lock.acquire()
    mender = threading.Thread(target=mend, args=(journal, path))
    mender.start()
    mender.join(0.2)
    assert mender.is_alive()
    with path.open("ab") as file:
        file.write(last[9:])
    lock.release()
    mender.join(10)
    assert path.read_bytes() == first + last
    path.write_bytes(first + last[:9])
    mend(journal, path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_trials_that_a_kill_left_behind_do_not_count(tmp_path):
    import optuna

    space = space_of(tmp_path)
    path = search(tmp_path, space, 5).path
    study = open_study(optuna, path, path.stem.rpartition("_")[2], Search())
    for _ in range(4):
        study.ask()
    found = search(tmp_path, space, 12)
    assert (found.resumed, found.trials) == (5, 12)
    states = [trial.state.name for trial in open_study(optuna, path, found.identity, Search()).get_trials()]
    assert (states.count("RUNNING"), states.count("COMPLETE")) == (4, 12)


def test_a_point_that_ended_its_process_is_left_out_by_the_next_start(tmp_path):
    space = space_of(tmp_path, "hold=2,4,6")
    path = search(tmp_path / "elsewhere", space, 1).path
    late = tmp_path / "results" / late_path(path).name
    late.parent.mkdir()
    late.write_text("hold=4\n")
    found = search(tmp_path, space, 60, time_limit=30.0)
    assert (found.tried, found.failed) == (3, 1)
    assert found.reason.startswith("It took longer than it may, in code that can't be interrupted")


def test_a_file_that_is_no_study_is_a_sentence(tmp_path):
    space = space_of(tmp_path)
    path = search(tmp_path, space, 3).path
    path.write_text("no journal\n" * 3)
    with pytest.raises(ResultsError, match=re.escape(f"The study {path} can't be read")):
        search(tmp_path, space, 3)


def a_crash():
    """Return a market that rises by 1% an hour for the eight hours of each trade and falls back, but falls by 3% in one of them."""
    day = np.array([0.01] * 8 + [-0.01] * 8 + [0.0] * 8)
    moves = np.tile(day, 60)
    moves[5 * 24 : 6 * 24] *= -3
    return market(bars_of_path(100.0 * np.exp(np.cumsum(moves))[:, None]))


def test_a_point_with_a_liquidation_is_never_the_best(tmp_path):
    # Ten times isolated is liquidated at a fall of some 10% and keeps the rest, twice loses the whole fall: the one is better.
    base = RunConfig("", account=(("margin_mode", "isolated"),), parameters=(("hold", 8),))
    space = space_of(tmp_path, "leverage=2,10", base=base)
    wild, tame = (
        search(tmp_path, space, 20, a_crash(), objectives=("total_return",), constraints=limits)
        for limits in ([], [read_constraint("liquidations=0"), read_constraint("drawdown<30%")])
    )
    assert [(one.values, one.in_sample["liquidations"]) for one in wild.best] == [({"leverage": 10.0}, 1)]
    assert [(one.values, one.in_sample["liquidations"]) for one in tame.best] == [({"leverage": 2.0}, 0)]
    assert wild.best[0].in_sample["total_return"] > tame.best[0].in_sample["total_return"]
    assert (wild.refused, tame.refused) == (0, 1)
    with pytest.raises(
        ConfigError,
        match=r"None of 2 points has a value of total_return and keeps liquidations = 0 and drawdown < 0\.1",
    ):
        search(
            tmp_path, space, 20, a_crash(), objectives=("total_return",),
            constraints=[read_constraint("liquidations=0"), read_constraint("drawdown<10%")],
        )  # fmt: skip


def test_where_no_point_keeps_the_constraints_it_says_so_and_counts_them_all_the_same(tmp_path):
    space = space_of(tmp_path, "hold=2,4,6")
    with pytest.raises(
        ConfigError, match=re.escape("None of 3 points has a value of sharpe and keeps trades > 5000; loosen")
    ):
        search(tmp_path, space, 20, constraints=[read_constraint("trades>5000")])
    assert (
        load_trials(tmp_path / "results", space.strategies[0], data_hash(made_market(1_440), space.config(0))).count
        == 3
    )


def test_a_small_space_is_tried_to_its_end(tmp_path):
    found = search(tmp_path, space_of(tmp_path, "hold=2,4,6", "side=long,short"), 500)
    assert found.tried == 6
    assert found.trials < 500


def test_several_objectives_give_a_front(tmp_path):
    found = search(tmp_path, space_of(tmp_path), 40, objectives=("return", "drawdown"))
    points = [(one.in_sample["total_return"], one.in_sample["max_drawdown"]) for one in found.best]
    assert points == sorted(points, reverse=True)  # the first objective falls, so the second has to rise
    assert [depth for _, depth in points] == sorted(depth for _, depth in points)
    assert found.search.objectives == ("total_return", "max_drawdown")


def test_spans_are_searched_between_their_ends(tmp_path):
    path = write_strategy(tmp_path)
    space = make_space(path, ["exposure=log:0.1:2", "hold=2:40:2"], markets=("walks",), random=1)
    found = search(tmp_path, space, 15)
    values = [one.values for one in found.best]
    assert all(0.1 <= v["set_exposure"] <= 2 and v["hold"] in range(2, 41, 2) for v in values)
    assert found.tried == 15


def test_points_without_a_value_are_counted_and_told(tmp_path):
    found = search(tmp_path, space_of(tmp_path, "side=long,none", "hold=2,4"), 40)
    assert (found.tried, found.failed, found.reason) == (4, 2, "")
    assert found.best[0].values["side"] == "long"
    broken = search(tmp_path, space_of(tmp_path, "symbol=W0,W9"), 40)
    assert (broken.tried, broken.failed) == (2, 1)
    assert broken.reason.startswith("turns trades 'W9'")
    with pytest.raises(ConfigError, match=r"turns trades 'W[89]'"):
        search(tmp_path, space_of(tmp_path, "symbol=W8,W9"), 10)


def test_bars_are_left_out_between_the_two_parts(tmp_path):
    space = space_of(tmp_path, "hold=20,30")
    assert search(tmp_path, space, 10).purge == 30
    stated = search(tmp_path, space, 10, purge="2d")
    assert (stated.purge, len(stated.result)) == (48, 360 - 48)
    far = search(tmp_path, space, 10, purge=360)
    assert (far.result, far.overfitting.out_days) == (None, 0)
    assert math.isnan(far.overfitting.out_of_sample)
    assert "nothing is left to judge on: the longest holding time, 360 bars, reaches beyond" in far.overfitting.sides()


def test_the_seed_decides(tmp_path):
    space = space_of(tmp_path)
    runs = [search(tmp_path / str(i), space, 15, seed=seed) for i, seed in enumerate((1, 1, 2))]
    assert runs[0].best == runs[1].best
    assert runs[0].identity == runs[1].identity != runs[2].identity


def test_it_is_plain_data_for_json(tmp_path):
    told = search(tmp_path, space_of(tmp_path), 8, constraints=[read_constraint("liquidations=0")]).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["constraints"] == ["liquidations = 0"]
    assert told["overfitting"]["pbo"]["configurations"] == told["tried"]


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        ConfigError, match=re.escape("Optimisation needs the package optuna: pip install 'levelbreak[optimize]'.")
    ):
        search(tmp_path, space_of(tmp_path))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"time_limit": -1.0}, "The time limit of a point must be above 0 s, got -1; leave it out for none."),
        ({"trials": 0}, "`trials` must be at least 1, got 0."),
        (
            {"holdout": 0.0},
            "`holdout` must be a share above 0 and below 1, such as 0.25, got 0: what is chosen has to be",
        ),
        ({"holdout": 1.5}, "`holdout` must be a share above 0 and below 1, such as 0.25, got 1.5"),
        ({"objectives": ("sharp",)}, "No figure 'sharp' can be sought. Did you mean 'sharpe'?"),
        (
            {"objectives": ("return", "total_return")},
            "`objectives` must name each figure once, got return, total_return.",
        ),
        ({"purge": "x"}, "`purge` must be a number of bars, or a time such as 90d or 36h; got 'x'."),
    ],
)
def test_what_makes_no_sense_is_a_sentence(tmp_path, settings, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        search(tmp_path, space_of(tmp_path), **settings)


def test_without_axes_there_is_nothing_to_optimise(tmp_path):
    with pytest.raises(ConfigError, match="There is nothing to optimise; give what may vary"):
        search(tmp_path, make_space(write_strategy(tmp_path), [], markets=("walks",)))
