"""Walk-forward: what is chosen, what it is traded on, and what the tests come to."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from choices_made import STRATEGY, made_market, write_strategy
from study_walks import bars_of_path, market

from backtest.analysis import analyze
from backtest.catalogue.trials import read_trials
from backtest.errors import ConfigError
from backtest.runner import run_on
from backtest.sweep import make_space
from backtest.sweep.folds import window
from backtest.sweep.forward import walk_forward
from backtest.sweep.keep import keep_forward
from backtest.sweep.objectives import read_constraint

SIDES = ["side=long,short"]
FREE = (("maker", 0.0), ("taker", 0.0), ("slippage", 0.0))


def up_and_down(*signs):
    """Return a market of stretches of 50 hours that rise or fall by 1% an hour."""
    moves = np.repeat(signs, 50) * 0.01
    return market(bars_of_path(100.0 * np.exp(np.cumsum(moves))[:, None]), name="stretches")


def sides_of(tmp_path, *axes, account=FREE):
    from backtest.model import RunConfig

    path = write_strategy(tmp_path)
    base = RunConfig("", account=account, parameters=(("every", 10), ("hold", 8)))
    return make_space(path, [*SIDES, *axes], markets=("stretches",), base=base)


def walk(tmp_path, market, space, **settings):
    settings = {
        "train": 50,
        "test": 50,
        "purge": 0,
        "metric": "total_return",
        "results": tmp_path / "results",
    } | settings
    return walk_forward(space, market, **settings)


def test_the_side_that_won_before_is_traded_behind(tmp_path):
    found = walk(tmp_path, up_and_down(1, 1, -1, -1), sides_of(tmp_path))
    assert [step.values["side"] for step in found.steps] == ["long", "long", "short"]
    assert [step.fold.test for step in found.steps] == [((50, 100),), ((100, 150),), ((150, 200),)]
    won = [step.out_of_sample > 0 for step in found.steps]
    assert won == [True, False, True]
    assert [step.in_sample > 0 for step in found.steps] == [True] * 3
    assert found.stability[0].shares == {"long": pytest.approx(2 / 3), "short": pytest.approx(1 / 3)}


def test_the_stitched_equity_is_the_product_of_the_tests(tmp_path):
    whole = up_and_down(1, 1, -1, -1)
    found = walk(tmp_path, whole, sides_of(tmp_path))
    # Rows at 50, 60, ... act at the next open and leave 8 bars on, so that each test has 5 trades of 8 steps of 1%; the decision
    # at bar 90 is out at 99. A long grows to e^0.08 a trade, a short of notional 1 loses as much of it as the price rises.
    assert len(found.result.trades_table) == 15
    grown = found.result.equity_values[-1] / found.result.venue.cash
    tests = [step.result.equity_values[-1] / 10_000 for step in found.steps]
    assert tests == [pytest.approx(x, rel=2e-3) for x in (np.exp(0.4), np.exp(-0.4), (2 - np.exp(-0.08)) ** 5)]
    assert grown == pytest.approx(tests[0] * tests[1] * tests[2], rel=1e-12)
    assert found.result.time.tolist() == whole.time[50:].tolist()
    assert analyze(found.result).open_trades == 0
    assert found.overfitting.out_days == found.assessment.luck.days


def test_a_test_is_run_as_any_run_on_its_window(tmp_path):
    whole, space = made_market(400), sides_of(tmp_path)
    step = walk(tmp_path, whole, space, train=150, test=100).steps[1]
    again = run_on(window(whole, 250, 350), space.config(step.point))
    np.testing.assert_array_equal(step.result.equity_values[:-1], again.equity_values[:-1])


def test_another_future_changes_nothing_before_it(tmp_path):
    whole = made_market(500)
    scale = np.where(np.arange(500) < 300, 1.0, 3.0)[:, None]
    other = replace(whole, **{k: getattr(whole, k) * scale for k in ("open", "high", "low", "close")})
    space = make_space(write_strategy(tmp_path), ["hold=2,5,11", *SIDES], markets=("walks",))
    one, two = (
        walk(tmp_path / str(i), m, space, train=100, test=100, purge=None, metric="sharpe")
        for i, m in enumerate((whole, other))
    )
    for a, b in zip(one.steps[:2], two.steps[:2], strict=True):
        assert (a.point, a.purge, a.in_sample, a.fold) == (b.point, b.purge, b.in_sample, b.fold)
        np.testing.assert_array_equal(a.result.equity_values, b.result.equity_values)
    assert one.steps[3].in_sample != two.steps[3].in_sample


def test_the_purge_is_the_longest_holding_time_that_was_seen(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=5,20"], markets=("walks",))
    found = walk(tmp_path, made_market(300), space, train=120, test=60, purge=None, embargo=4)
    assert [step.purge for step in found.steps] == [20, 20, 20]
    assert [step.fold.train for step in found.steps] == [((0, 96),), ((60, 156),), ((120, 216),)]
    assert found.overfitting.said == "All 2 points were run in full for their daily returns."


def test_anchored_trainings_start_at_the_first_bar(tmp_path):
    found = walk(tmp_path, made_market(300), sides_of(tmp_path), train="100h", test="100h", anchored=True)
    assert [step.fold.train for step in found.steps] == [((0, 100),), ((0, 200),)]


def test_a_fold_in_which_nothing_can_be_chosen_stays_flat(tmp_path):
    space = sides_of(tmp_path)
    found = walk(tmp_path, up_and_down(1, -1, -1), space, constraints=[read_constraint("return>90%")])
    assert [step.point for step in found.steps] == [None, None]
    assert found.result.equity_values.tolist() == [10_000.0] * 100
    assert found.stability[0].sentence() == "side: no fold chose."


def test_points_that_break_a_constraint_are_not_chosen(tmp_path):
    space = sides_of(tmp_path, "exposure=1,8", account=FREE)
    whole = market(bars_of_path(100.0 * np.exp(np.cumsum(np.tile([0.02, -0.01], 100)))[:, None]), name="stretches")
    free, held = (
        walk(tmp_path / str(i), whole, space, constraints=c)
        for i, c in enumerate(([], [read_constraint("drawdown<5%")]))
    )
    assert free.steps[0].values["set_exposure"] == 8
    assert [step.values["set_exposure"] for step in held.steps] == [1, 1, 1]


def test_every_point_and_the_walk_itself_are_trials_once(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=2:16:2", *SIDES], markets=("walks",))
    first = walk(tmp_path, made_market(600), space, train=200, test=100, most=4)
    assert first.assessment.luck.trials == 17
    assert first.overfitting.overfit.configurations == 4
    assert "4 of 16 points, drawn with seed 0" in first.overfitting.said
    again = walk(tmp_path, made_market(600), space, train=200, test=100, most=4)
    assert (again.assessment.luck.trials, again.identity) == (17, first.identity)
    other = walk(tmp_path, made_market(600), space, train=250, test=100, most=4)
    assert other.assessment.luck.trials == 18


def test_the_time_that_a_point_may_take_and_the_processes_make_no_other_walk(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=2:8:2"], markets=("walks",))
    settings = [{}, {"time_limit": 50.0}, {"time_limit": 60.0, "jobs": 2}]
    found = [walk(tmp_path, made_market(300), space, train=100, test=100, **more) for more in settings]
    assert len({one.identity for one in found}) == 1
    assert found[-1].assessment.luck.trials == 5


REFUSES = (
    STRATEGY
    + """
    def __post_init__(self):
        if self.hold == 7:
            raise ValueError("seven is none")
"""
)


@pytest.mark.parametrize("jobs", [1, 2])
def test_points_that_fail_are_no_trials_whether_they_are_looked_at_or_not(tmp_path, jobs):
    space = make_space(write_strategy(tmp_path, REFUSES), ["hold=5:9", *SIDES], markets=("walks",))
    found = walk(tmp_path, made_market(300), space, train=100, test=100, most=3, jobs=jobs)
    assert found.assessment.luck.trials == 8 + 1
    trials = read_trials(tmp_path / "results")
    assert len(trials) == 9
    assert all(math.isfinite(one.sharpe) for one in trials)


def test_a_point_that_is_not_looked_at_is_the_trial_that_its_run_is(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=5:9", *SIDES], markets=("walks",))
    for most in (3, 10):
        found = walk(tmp_path, made_market(300), space, train=100, test=100, most=most)
    assert found.assessment.luck.trials == 10 + 2  # the number of those looked at makes another walk


def test_ten_million_points_are_asked_for(tmp_path):
    path = write_strategy(tmp_path)
    space = make_space(path, ["hold=1:4000", "every=1:4000"], markets=("walks",))
    with pytest.raises(ConfigError, match="These are 16,000,000 points, more than 10,000,000; sample some"):
        walk(tmp_path, made_market(200), space)
    with pytest.raises(ConfigError, match="A training of 400 bars leaves nothing to test"):
        walk(tmp_path, made_market(200), space, train=400, yes=True)


def test_two_processes_choose_what_one_does(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=2:16:2", *SIDES], markets=("walks",))
    one, two = (walk(tmp_path, made_market(600), space, train=200, test=200, jobs=jobs) for jobs in (1, 2))
    assert [step.point for step in one.steps] == [step.point for step in two.steps]
    assert one.identity == two.identity
    np.testing.assert_array_equal(one.result.equity_values, two.result.equity_values)


def test_what_was_walked_is_kept_as_files(tmp_path):
    import pandas as pd

    found = walk(tmp_path, up_and_down(1, 1, -1, -1), sides_of(tmp_path))
    document, table = keep_forward(found, tmp_path / "results")
    assert document.name == f"forward_turns_stretches_{found.identity}.json"
    told = json.loads(document.read_text())
    assert [fold["values"] for fold in told["folds"]] == [{"side": "long"}, {"side": "long"}, {"side": "short"}]
    assert told["folds"][0]["test_start"] == "2020-01-03T02:00Z"
    assert told["stitched"]["metrics"]["trades"] == 15
    equity = pd.read_parquet(table)
    assert equity.fold.tolist() == [1] * 50 + [2] * 50 + [3] * 50
    np.testing.assert_array_equal(equity.equity, found.result.equity_values)
    assert [p.name for p in (tmp_path / "results").iterdir() if p.name.startswith(".writing")] == []


def test_a_market_too_short_for_cross_validation_says_so(tmp_path):
    found = walk(tmp_path, up_and_down(1, 1, -1, -1), sides_of(tmp_path), groups=12)
    assert found.cross is None
    assert found.notes[-1].startswith(
        "No cross-validation: `groups` must be at least 2 and at most the 9 there are to cut"
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"train": 400}, "A training of 400 bars leaves nothing to test: there are 200 bars in all"),
        ({"train": "3x"}, "`train` must be a number of bars, or a time such as 90d or 36h; got '3x'."),
        ({"metric": "sharp"}, "No figure 'sharp' can be sought. Did you mean 'sharpe'?"),
        (
            {"purge": 50},
            "Fold 1 has a training of 50 bars, of which purge and embargo (50 + 0 bars) leave 0; give a longer --train",
        ),
        ({"tested": 6}, "Of 6 groups at least 1 and at most 5 can be tested at a time, got 6."),
        ({"groups": 40, "tested": 20}, "There are more than 10,000 ways to test 20 of 40 groups, and each is a fold;"),
        ({"time_limit": 0.0}, "The time limit of a point must be above 0 s, got 0; leave it out for none."),
        ({"jobs": 0}, "`jobs` must be a number of processes from 1, got 0."),
    ],
)
def test_what_can_not_be_walked_is_a_sentence(tmp_path, settings, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        walk(tmp_path, up_and_down(1, 1, -1, -1), sides_of(tmp_path), **settings)


def test_trades_that_last_as_long_as_a_training_are_a_sentence(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=60,70"], markets=("walks",))
    with pytest.raises(ConfigError, match=re.escape("(the longest holding time of its trades, 48 + 0 bars) leave 1;")):
        walk(tmp_path, made_market(200), space, train=49, purge=None)


def test_several_markets_or_strategies_are_refused(tmp_path):
    path = write_strategy(tmp_path)
    with pytest.raises(ConfigError, match="This takes one market at a time, got 2: a, b"):
        walk_forward(make_space(path, SIDES, markets=("a", "b")), made_market(200))
    with pytest.raises(ConfigError, match="turns trades 'W9', but the market walks holds W0"):
        walk(tmp_path, made_market(200), make_space(path, ["symbol=W9,W8"], markets=("walks",)))
