"""The verdict: noise is called luck however good the best of it looks, an edge is recognised, and every case has words."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.analysis.significance import Luck, Trials, judge
from backtest.analysis.significance.verdict import BETTER, FEW, LUCK
from backtest.catalogue.trials import Trial, load_trials, record_trials
from backtest.errors import ConfigError

YEARLY = math.sqrt(365)


def per_day(returns):
    return returns.mean(axis=0) / returns.std(axis=0, ddof=1)


def noise_strategies(seed, days=730, count=200):
    """Return the daily returns of strategies that are long or short at random, some days at a time, on a driftless market."""
    generator = np.random.default_rng(seed)
    market = 0.03 * generator.standard_t(4, days) / math.sqrt(2)
    fresh = generator.random((days, count)) < 0.2
    fresh[0] = True
    sides = np.where(fresh, generator.choice([-1.0, 1.0], (days, count)), np.nan)
    held = np.take_along_axis(sides, np.maximum.accumulate(np.where(fresh, np.arange(days)[:, None], 0)), axis=0)
    return held * market[:, None]


def on_record(results, sharpes):
    """Return the trials as the catalogue counts them."""
    record_trials(results, [Trial("guess", "data", f"run-{i}", "sweep", sharpe=s) for i, s in enumerate(sharpes)])
    return load_trials(results, "./strategies/guess.py", "data")


# --- noise and an edge -----------------------------------------------------------------------------------------------


def test_the_best_of_200_noise_strategies_looks_good_and_is_luck(tmp_path):
    returns = noise_strategies(seed=1)
    sharpes = per_day(returns)
    best = int(np.argmax(sharpes))
    alone = judge(returns[:, best], trades=140)
    assert alone.sharpe > 1.5  # what one would show around
    assert alone.psr > 0.98
    assert alone.verdict == BETTER  # were it the only one that was ever tried
    trials = on_record(tmp_path, sharpes)
    assert trials.count == 200
    luck = judge(returns[:, best], trades=140, trials=trials)
    assert luck.verdict == LUCK
    assert luck.dsr < 0.8
    assert luck.sentence.startswith(f"Not distinguishable from luck: a Sharpe of {luck.sharpe:.2f} in 730 days; ")
    assert f"the best of 200 trials of noise would have shown {luck.sharpe_benchmark:.2f}" in luck.sentence


def test_the_best_of_noise_is_hardly_ever_called_better_than_luck():
    called, alone = 0, 0
    for world in range(40):
        returns = noise_strategies(seed=100 + world, days=365, count=50)
        sharpes = per_day(returns)
        best = returns[:, int(np.argmax(sharpes))]
        called += judge(best, trades=70, trials=Trials(sharpes), replicates=200).verdict == BETTER
        alone += judge(best, trades=70, replicates=200).verdict == BETTER
    assert called <= 4  # 5% of 40 are two
    assert alone >= 20  # without the count of trials most of them would be


def test_a_planted_edge_is_recognised_among_the_noise(tmp_path):
    returns = noise_strategies(seed=2, days=1460)
    returns[:, 77] += 0.2 * returns[:, 77].std()  # 0.2 a day is a yearly Sharpe of 3.8
    sharpes = per_day(returns)
    assert int(np.argmax(sharpes)) == 77
    luck = judge(returns[:, 77], trades=140, trials=on_record(tmp_path, sharpes))
    assert luck.verdict == BETTER
    assert luck.dsr > 0.99
    assert luck.min_track_record < 1460
    assert luck.sentence.startswith("Better than luck: a Sharpe of ")
    low, high = luck.intervals["sharpe"]
    assert 0 < low < luck.estimates["sharpe"] < high


def test_days_that_lean_on_each_other_are_not_taken_for_more_than_they_are():
    # The same 40 ten-day spells: as 400 days that count each, the ratio looks ten times as sure as it is
    spells = np.random.default_rng(3).normal(0.2, 1.0, 40)
    r = 0.01 * np.repeat(spells - spells.mean() + 0.15, 10)
    luck = judge(r, trades=40)
    assert luck.psr > 0.99
    assert luck.block > 5
    assert luck.verdict == LUCK
    assert "of its replicates in blocks of" in luck.sentence


def test_an_edge_is_recognised_in_most_worlds():
    found = 0
    for world in range(20):
        returns = noise_strategies(seed=200 + world, days=1460, count=100)
        returns[:, 0] += 0.2 * returns[:, 0].std()
        found += judge(returns[:, 0], trades=140, trials=Trials(per_day(returns)), replicates=200).verdict == BETTER
    assert found >= 18


# --- what is worked by hand ------------------------------------------------------------------------------------------


def test_the_figures_behind_the_verdict_worked_by_hand():
    # 60 days of +3% and 60 of -1%: mean 0.01, deviation 0.02 * sqrt(120/119); no skew, kurtosis 1
    r = np.tile([0.03, -0.01], 60)
    luck = judge(r, trades=60, trials=Trials(np.array([0.1, 0.3, math.nan])), seed=4, replicates=100)
    ratio = 0.5 * math.sqrt(119 / 120)
    assert luck.sharpe == pytest.approx(ratio * YEARLY, rel=1e-12)
    assert (luck.skew, luck.kurtosis) == pytest.approx((0.0, 1.0), abs=1e-9)
    # Of three trials: sqrt(0.01) * ((1 - g) * Phi^-1(2/3) + g * Phi^-1(1 - 1/(3e))), Phi^-1 = 0.430727 and 1.161957
    benchmark = 0.1 * (0.4227843 * 0.430727 + 0.5772157 * 1.161957)
    assert luck.sharpe_benchmark == pytest.approx(benchmark * YEARLY, rel=1e-4)
    # (SR - SR*) * sqrt(119) / sqrt(1 - 0 + 0)
    assert luck.dsr == pytest.approx(0.5 * math.erfc(-(ratio - benchmark) * math.sqrt(119 / 2)), abs=1e-6)
    assert luck.min_track_record == pytest.approx(1 + (1.644854 / (ratio - benchmark)) ** 2, rel=1e-3)
    assert (luck.days, luck.trades, luck.trials, luck.replicates, luck.seed) == (120, 60, 3, 100, 4)
    assert luck.estimates["total_return"] == pytest.approx((1.03 * 0.99) ** 60 - 1, rel=1e-9)


def test_trials_without_a_ratio_count_and_stand_for_noise_of_that_length():
    r = np.tile([0.03, -0.01], 60)
    luck = judge(r, trades=60, trials=Trials(np.full(3, math.nan)), replicates=50)
    assert luck.trials == 3
    # the variance of a ratio of 0 in 120 days is 1/120; 0.852804 deviations as above
    assert luck.sharpe_benchmark == pytest.approx(YEARLY / math.sqrt(120) * 0.852804, rel=1e-4)


def test_a_strategy_tried_once_is_held_against_nothing():
    r = np.random.default_rng(5).normal(0.001, 0.02, 300)
    for trials in (None, Trials(np.empty(0)), Trials(np.array([0.05]))):
        luck = judge(r, trades=50, trials=trials, replicates=50)
        assert (luck.trials, luck.sharpe_benchmark, luck.dsr) == (1, 0.0, luck.psr)
        assert "a strategy without an edge earns as much with a probability of" in luck.sentence


# --- the words -------------------------------------------------------------------------------------------------------

GOOD = np.random.default_rng(8).normal(0.004, 0.01, 400)


@pytest.mark.parametrize(
    ("r", "trades", "verdict", "sentence"),
    [
        (GOOD, 29, FEW, "Not enough trades: 29 closed trades; it takes at least 30 to judge."),
        (GOOD, 1, FEW, "Not enough trades: 1 closed trade; it takes at least 30 to judge."),
        (GOOD[:29], 200, FEW, "Not enough trades: they are from 29 days; it takes at least 30 to judge."),
        (np.zeros(400), 0, FEW, "Not enough trades: it never traded."),
        (np.empty(0), 0, FEW, "Not enough trades: it never traded."),
        (np.zeros(400), 50, LUCK, "Not distinguishable from luck: every one of 400 days earned the same."),
        (np.r_[GOOD[:16], -1.0, np.zeros(9)], 2, LUCK, "Not distinguishable from luck: the account was ruined on day 17 of 26."),
        (-GOOD, 50, LUCK, "Not distinguishable from luck: it earned nothing, a Sharpe of -7."),
    ],
)  # fmt: skip
def test_every_case_has_its_words(r, trades, verdict, sentence):
    luck = judge(r, trades=trades, replicates=50)
    assert luck.verdict == verdict
    assert luck.sentence.startswith(sentence)


def test_what_is_missing_is_said_in_days():
    # 0.05 a day: 1 + 1.00125 * (1.6449 / 0.05)^2 = 1,085 days
    r = np.random.default_rng(1).normal(0, 1, 200)
    r = 0.01 * ((r - r.mean()) / r.std(ddof=1) + 0.05)
    luck = judge(r, trades=50, replicates=50)
    assert 900 < luck.min_track_record < 1300
    assert luck.sentence == (
        "Not distinguishable from luck: a Sharpe of 0.96 in 200 days; a strategy without an edge earns as much with a "
        f"probability of 24%; it takes {math.ceil(luck.min_track_record):,} days to tell."
    )


def test_what_would_take_too_long_is_not_said_to_the_day():
    # A hair above the best of the noise: 0.852804 * 0.05 = 0.04264 a day
    r = np.tile([1.0, -1.0], 200)
    r = 0.01 * (r / r.std(ddof=1) + 0.0428)
    luck = judge(r, trades=50, trials=Trials(np.array([0.0, 0.1, math.nan])), replicates=50)
    assert luck.min_track_record > 10**6
    assert luck.sentence == (
        "Not distinguishable from luck: a Sharpe of 0.82 in 400 days; the best of 3 trials of noise would have shown 0.81; "
        "it takes more than a hundred years to tell."
    )


def test_one_lucky_day_is_luck():
    """Of 61 days drawn from 61 a share of (60/61)^61 = 36% misses a given one; they earn nothing, and have no ratio."""
    luck = judge(np.r_[0.01, np.zeros(60)], trades=40)
    assert luck.psr > 0.95  # the skewness alone does that
    assert luck.unearned == pytest.approx((60 / 61) ** 61, abs=0.05)
    assert luck.verdict == LUCK
    assert re.search(r"but 3\d% of its replicates in blocks of 1 days? earn nothing", luck.sentence)
    assert all(math.isnan(end) for end in luck.intervals["sharpe"])


def test_a_return_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="Daily returns must be numbers; day 2 of 3 has none"):
        judge([0.01, math.nan, 0.02], trades=40)


@settings(deadline=None, max_examples=60)
@given(
    r=st.lists(st.floats(-1.0, 1.0), max_size=60),
    repeat=st.integers(1, 4),
    trades=st.integers(0, 60),
    sharpes=st.lists(st.one_of(st.floats(-1, 1), st.just(math.nan)), max_size=5),
)
def test_every_judgement_can_be_said_written_and_read_again(r, repeat, trades, sharpes):
    luck = judge(np.tile(r, repeat), trades=trades, trials=Trials(np.array(sharpes)), replicates=20)
    assert luck.verdict in (BETTER, LUCK, FEW)
    assert luck.sentence.startswith(luck.verdict.capitalize() + ": ")
    assert luck.sentence.endswith(".")
    assert "nan" not in luck.sentence
    assert "inf" not in luck.sentence
    text = json.dumps(luck.to_dict(), allow_nan=False)
    assert Luck.from_dict(json.loads(text)).to_dict() == luck.to_dict()


def test_a_trial_that_is_counted_already_is_not_counted_again():
    trials = Trials(np.array([0.1, 0.2]), ("a", "b"))
    assert trials.including("b", 0.2) is trials
    more = trials.including("c", 0.3)
    assert (more.count, more.identities, more.sharpes.tolist()) == (3, ("a", "b", "c"), [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="read-only"):
        more.sharpes[0] = 5.0
