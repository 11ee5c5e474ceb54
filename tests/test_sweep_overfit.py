"""What choosing is worth: the matrix of daily returns, overfitting on noise and on an edge, and cross-validation by hand."""

import math
import re

import numpy as np
import pytest
from choices_made import made_market, write_strategy

from backtest.analysis.significance import Trials
from backtest.catalogue import load_trials, record_trials, trial_of
from backtest.catalogue.trials import read_trials
from backtest.errors import ConfigError
from backtest.model import RunConfig
from backtest.model.arrays import DAY
from backtest.plugins import describe_strategy
from backtest.runner import run_on
from backtest.sweep import make_space
from backtest.sweep.cross import cross_validate, days_of_bars
from backtest.sweep.identity import data_hash
from backtest.sweep.overfit import (
    PointReturns,
    chosen_points,
    judge_choice,
    longest_holding,
    point_returns,
    sharpes_of,
)
from backtest.sweep.point import score_point
from backtest.sweep.tried import Known, TrialBook
from backtest.sweep.verdict import judge_sweep


def returns_of(matrix, said=""):
    matrix = np.asarray(matrix, dtype=np.float32)
    n, k = matrix.shape
    full = np.full(k, 100, np.int64)
    return PointReturns(tuple(range(k)), np.arange(n, dtype=np.int64) * DAY, matrix, full, full, {}, said)


def noise(seed, n=480, k=20):
    return np.random.default_rng(seed).normal(0.0, 0.01, (n, k))


def test_noise_is_overfitted_half_of_the_time_and_an_edge_is_not():
    shares = [judge_choice(returns_of(noise(seed))).overfit.pbo for seed in range(8)]
    assert 0.35 < np.mean(shares) < 0.65  # one matrix of noise has a deviation of 0.14
    planted = noise(1)
    planted[:, 7] += 0.004
    found = judge_choice(returns_of(planted))
    assert found.chosen == 7
    assert found.overfit.pbo < 0.02
    assert found.overfit.high < 0.5
    assert found.in_sample > 3
    assert found.out_of_sample > 3


def test_the_best_of_noise_falls_out_of_sample_and_is_deflated_by_all_trials():
    matrix = returns_of(noise(3))
    alone, many = (
        judge_choice(matrix, trials) for trials in (None, Trials(np.random.default_rng(0).normal(0, 0.05, 400)))
    )
    assert alone.in_sample > alone.out_of_sample
    assert (alone.in_days, alone.out_days) == (360, 120)
    assert (alone.luck.trials, many.luck.trials) == (1, 400)
    assert many.luck.dsr < alone.luck.dsr
    assert "the best of 400 trials without an edge would show" in many.deflated()


def test_the_sides_are_those_that_are_given():
    found = judge_choice(
        returns_of(noise(4), "All 20 points."),
        in_sample=[np.array([0.01, 0.03]), np.array([0.0, 0.0])],
        out_of_sample=np.array([0.01, -0.01, 0.01]),
        how="by hand",
    )
    # 0.02 / 0.0141421 * sqrt(365) = 27.02, the flat one has none; 0.00333333 / 0.0115470 * sqrt(365) = 5.52
    assert found.sides() == "Sharpe ratio in sample 27.02 (2 days), out of sample 5.52 (3 days): by hand."
    assert found.sentences()[-1] == "All 20 points."
    assert found.to_dict()["sentences"] == list(found.sentences())


def test_a_column_that_does_not_vary_has_no_ratio():
    found = sharpes_of(np.array([[0.01, 0.0, 0.1], [0.03, 0.0, 0.1]], dtype=np.float32))
    assert found[0] == pytest.approx(math.sqrt(2), rel=1e-6)
    assert np.isnan(found[1:]).all()


# --- which points, and what they are ---------------------------------------------------------------------------------


def test_all_points_are_looked_at_or_a_sample_that_is_told():
    points, said = chosen_points(range(10**9), most=50, seed=4)
    assert len(set(points)) == 50
    assert points == tuple(sorted(points))
    assert points == chosen_points(range(10**9), most=50, seed=4)[0]
    assert said.startswith("50 of 1,000,000,000 points, drawn with seed 4, were run in full for their daily returns")
    assert chosen_points(range(50), most=50)[0] == tuple(range(50))


def test_daily_returns_of_points_are_those_of_their_runs(tmp_path):
    market, path = made_market(480), write_strategy(tmp_path)
    space = make_space(path, ["hold=3,6", "side=long,short"], markets=("walks",))
    found = point_returns(market, space.config, range(4))
    assert found.returns.shape == (20, 4)
    assert found.returns.dtype == np.float32
    for point in range(4):
        result = run_on(market, space.config(point))
        daily = result.equity_values[23::24] / np.concatenate(([10_000.0], result.equity_values[23:-24:24])) - 1
        np.testing.assert_allclose(found.column(point), daily, atol=1e-8)
    # decided at bars 0, 24, ..., 456: twenty entries, each held 3 or 6 bars
    assert found.longest.tolist() == [3, 3, 6, 6]
    assert found.trades.tolist() == [20] * 4


def test_the_holding_time_is_what_is_known_at_a_bar(tmp_path):
    config = RunConfig(write_strategy(tmp_path), "walks", (("every", 50), ("hold", 40)))
    result = run_on(made_market(200), config)  # in at bars 1, 51, 101, 151, out 40 bars later
    assert result.trades_table.entry_bar.tolist() == [1, 51, 101, 151]
    assert [longest_holding(result, until) for until in (1, 11, 41, 60, 200)] == [0, 10, 40, 40, 40]
    assert longest_holding(result, 60, first=45) == 9
    assert longest_holding(result, 60, first=30) == 11  # the first was entered before and is held up to bar 41
    assert longest_holding(result, 40, first=30) == 10  # and through all that is seen
    assert longest_holding(result, 50, first=41) == 0


def test_a_point_that_failed_before_is_not_run_again(tmp_path):
    space = make_space(write_strategy(tmp_path), ["hold=3,6,9"], markets=("walks",))
    asked = []

    def config_of(point):
        asked.append(point)
        return space.config(point)

    found = point_returns(made_market(), config_of, range(3), failed={1: "It hung.", 7: "Not asked for."})
    assert (asked, found.points, found.failed) == ([0, 2], (0, 2), {1: "It hung."})
    assert found.said == "1 of them failed, the first: It hung."
    with pytest.raises(ConfigError, match=re.escape("It hung.")):
        point_returns(made_market(), config_of, [1], failed={1: "It hung."})


def test_a_point_that_fails_is_told_and_where_all_fail_the_reason_is_raised(tmp_path):
    path = write_strategy(tmp_path)
    space = make_space(path, ["symbol=W0,W9"], markets=("walks",))
    found = point_returns(made_market(), space.config, range(2), said="Both.")
    assert found.points == (0,)
    assert "'W9'" in found.failed[1]
    assert found.said.startswith("Both. 1 of them failed, the first: turns trades 'W9'")
    with pytest.raises(ConfigError, match="turns trades 'W9'"):
        point_returns(made_market(), space.config, [1])


def test_points_are_trials_under_the_ids_of_their_runs(tmp_path):
    market, path, results = made_market(480), write_strategy(tmp_path), tmp_path / "results"
    space = make_space(path, ["hold=3,6", "side=long,short"], markets=("walks",))
    run = run_on(market, space.config(2))
    record_trials(results, [trial_of(run, 0.1, 20, source=describe_strategy(path).source_sha256)])
    found = point_returns(market, space.config, [0, 2])
    book = TrialBook(market, results)
    other = score_point(market, space.config(3))
    book.add_points(space.config, found, {1: Known(0.5), 3: Known(other["sharpe"], other["run"])})
    trials = load_trials(results, path, data_hash(market, space.config(0)))
    assert trials.count == 4  # the run is one of them
    book.add_points(space.config, point_returns(market, space.config, range(4)))  # under the same ids, so none is new
    assert read_trials(results)[0].kind == "run"
    assert np.isfinite(trials.sharpes).all()
    assert book.trials(space.config(0)).count == 4
    identity = book.add_procedure(space.config(0), "chosen so", found.column(0), 480)
    assert book.add_procedure(space.config(0), "chosen so", found.column(0), 480) == identity
    assert book.trials(space.config(0)).count == 5


def test_a_sweep_is_judged_among_all_of_its_points(tmp_path):
    market, path = made_market(1_440), write_strategy(tmp_path)
    space = make_space(path, ["hold=2:12:2", "side=long,short"], markets=("walks",))
    found = judge_sweep(space, 5, market, tmp_path / "results")
    assert (found.chosen, found.luck.trials, found.overfit.configurations) == (5, 12, 12)
    few = judge_sweep(space, 5, market, tmp_path / "results", most=3)
    assert few.overfit.configurations in (3, 4)
    assert few.luck.trials == 12
    assert "3 of 12 points, drawn with seed 0, were run in full" in few.said


def test_what_failed_in_the_sweep_is_not_run_again(tmp_path):
    market, path = made_market(1_440), write_strategy(tmp_path)
    space = make_space(path, ["hold=2:12:2", "side=long,short"], markets=("walks",))
    done = []
    found = judge_sweep(space, 5, market, tmp_path / "results", failed={0, 7, 8}, progress=done.append)
    assert done == list(range(1, 10))
    assert (found.overfit.configurations, found.luck.trials) == (9, 9)
    assert found.said == "9 of 12 points were run in full for their daily returns; the others failed in the sweep."
    few = judge_sweep(space, 5, market, tmp_path / "results", failed={0, 1, 2, 3, 4, 6, 7, 8, 9, 10}, most=3)
    assert "of those drawn failed in the sweep and were left out." in few.said


# --- cross-validation ------------------------------------------------------------------------------------------------


def test_cross_validation_by_hand():
    # Two points, three parts of two days, one tested at a time: one path. The first point is better in parts 1 and 2.
    a = [0.02, 0.04, 0.02, 0.04, -0.04, -0.02]
    b = [0.01, -0.01, 0.01, -0.01, 0.02, 0.04]
    found = cross_validate(returns_of(np.column_stack([a, b])), groups=3, tested=1)
    # without part 1: a (.02 .04 -.04 -.02) has 0, b (.01 -.01 .02 .04) is better; without part 2 the same; without part 3: a
    assert found.chosen == (1, 1, 0)
    path = [0.01, -0.01, 0.01, -0.01, -0.04, -0.02]
    assert len(found.paths) == 1
    assert found.paths[0] == pytest.approx(np.mean(path) / np.std(path, ddof=1) * math.sqrt(365), rel=1e-5)
    assert found.returns[0] == pytest.approx(1.01 * 0.99 * 1.01 * 0.99 * 0.96 * 0.98 - 1, rel=1e-6)
    assert found.in_sample == pytest.approx(np.mean([ratio([0.01, -0.01, 0.02, 0.04])] * 2 + [ratio(a[:4])]), rel=1e-5)


def ratio(values):
    return np.mean(values) / np.std(values, ddof=1) * math.sqrt(365)


def test_six_parts_two_at_a_time_give_five_paths_and_noise_earns_nothing():
    found = cross_validate(returns_of(noise(5, n=600)), purge=2)
    assert (len(found.chosen), len(found.paths), found.purge, found.embargo) == (15, 5, 2, 2)
    assert found.in_sample > max(found.paths)
    assert found.sentence().startswith("Cross-validation, 2 of 6 parts tested at a time: 5 paths out of sample")
    assert found.sentence().endswith("2 before it, 4 behind.")


def test_days_near_a_test_do_not_choose():
    matrix = noise(6, n=120, k=3)
    matrix[:, 1] = -0.01 + noise(7, n=120, k=1)[:, 0] * 0.1
    matrix[40:45, 1] = 5.0  # right behind the test of the second of six parts
    plain, clean = (cross_validate(returns_of(matrix), 6, 1, purge=gap, embargo=0) for gap in (0, 5))
    assert plain.chosen[1] != clean.chosen[1] or plain.in_sample != clean.in_sample
    assert clean.chosen[1] != 1


def test_gaps_that_leave_nothing_are_a_sentence():
    with pytest.raises(ConfigError, match=re.escape("Purge and embargo, 9 + 9 days, leave fold")):
        cross_validate(returns_of(noise(1, n=24)), purge=9)


def test_hours_touch_days():
    assert [days_of_bars(hours, DAY // 24) for hours in (0, 1, 24, 25)] == [0, 1, 1, 2]
