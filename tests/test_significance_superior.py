"""Hansen's test: what it says of noise, of an edge, of what is worse, and that the wildest strategy does not decide."""

import math

import numpy as np
import pytest

from backtest.analysis.significance import Superior, superior_ability
from backtest.analysis.significance.superior import long_run_deviation


def noise(seed, days=250, count=5):
    return np.random.default_rng(seed).normal(0, 0.01, (days, count))


def test_the_probabilities_of_noise_are_spread_evenly():
    p = np.sort([superior_ability(noise(w), replicates=200, seed=w).p for w in range(120)])
    assert np.mean(p) == pytest.approx(0.5, abs=0.1)
    # Kolmogorov's distance to an even spread exceeds 1.63 / sqrt(120) in one of a hundred such samples
    assert np.max(np.abs(p - (np.arange(120) + 0.5) / 120)) < 1.63 / math.sqrt(120)


def test_an_edge_is_found_and_named():
    r = noise(1, days=500)
    r[:, 3] += 0.003
    found = superior_ability(r)
    assert (found.best, found.strategies, found.days) == (3, 5, 500)
    assert found.p < 0.01
    assert found.p_lower <= found.p <= found.p_upper
    assert found.lead == pytest.approx(r[:, 3].mean(), rel=1e-12)
    assert found.sentence(tuple("abcde"), "flat").startswith("d is better than flat: the best of 5 does so by luck")


def test_the_benchmark_may_have_the_edge_too():
    r, held = noise(2, days=500), np.random.default_rng(3).normal(0.003, 0.01, 500)
    found = superior_ability(r + 0.003, held)
    assert superior_ability(r + 0.003).p < 0.01
    assert found.p > 0.05
    assert found.lead == pytest.approx((r + 0.003 - held[:, None]).mean(axis=0)[found.best], rel=1e-9)


def test_one_that_is_far_worse_does_not_hide_the_best():
    r = noise(4, days=500, count=2)
    r[:, 0] += 0.0015
    alone = superior_ability(r[:, :1], block=1).p
    found = superior_ability(np.column_stack([r, r[:, 1] - 0.02]), block=1)
    assert found.best == 0
    assert found.p <= 2 * alone + 0.02


def test_the_wildest_strategy_does_not_decide():
    # a steady lead of 0.3 deviations a day next to noise a hundred times as wild, whose mean is larger by chance
    r = noise(5, days=500, count=2)
    r[:, 0] += 0.003
    r[:, 1] = (r[:, 1] - r[:, 1].mean()) * 100 + 0.01
    found = superior_ability(r)
    assert found.best == 0
    assert found.p < 0.01


def test_the_same_seed_gives_the_same_probability():
    r = noise(6)
    assert superior_ability(r, seed=5) == superior_ability(r, seed=5)
    assert superior_ability(r, seed=5).p != superior_ability(r, seed=6).p


def test_nothing_to_compare():
    held = noise(7)[:, 0]
    found = superior_ability(held[:, None], held)
    assert found.best == -1
    assert math.isnan(found.p)
    assert found.sentence(("a",), "buy-and-hold") == "No strategy differs from buy-and-hold on these 250 days."
    assert superior_ability(np.full((250, 2), math.nan)).best == -1


def test_a_strategy_that_never_trades_is_left_out_of_the_choice():
    r = np.column_stack([np.zeros(250), noise(8)[:, 0] - 0.01])
    found = superior_ability(r)
    assert (found.best, found.strategies) == (1, 2)
    assert found.sentence(("idle", "loser"), "flat") == "None of 2 strategies earned more than flat in 250 days."
    assert (found.p, found.p_lower, found.p_upper) == (1.0, 1.0, 1.0)


def test_one_column_may_be_given_alone():
    r = noise(9)[:, 0]
    assert superior_ability(r).p == superior_ability(r[:, None]).p


@pytest.mark.parametrize(
    ("p", "lead", "sentence"),
    [
        (0.04, 0.1, "b is better than flat: the best of 2 does so by luck with a probability of 4.0%."),
        (0.0, 0.1, "b is better than flat: the best of 2 does so by luck with a probability of less than 0.1%."),
        (0.4, 0.1, "None of 2 strategies is distinguishable from flat: b has the surest lead, and the best of 2 has one "
         "as sure by luck with a probability of 40%."),
        (1.0, -0.1, "None of 2 strategies earned more than flat in 500 days."),
    ],
)  # fmt: skip
def test_the_words(p, lead, sentence):
    assert Superior(p, p, p, 1, lead, 2, 500, 3, 1000).sentence(("a", "b"), "flat") == sentence


def test_against_a_benchmark_that_swings_it_is_the_average_day_that_counts():
    """Days of -0.5 and +1 are 0.25 on average and end where they began; 0.1 and 0.1 are less on average and end with more."""
    benchmark, steady = np.tile([-0.5, 1.0], 50), np.full(100, 0.1)
    found = superior_ability(steady, benchmark)
    assert np.prod(1 + benchmark) == pytest.approx(1.0)
    said = "steady has not earned more on the average day than buy-and-hold in 100 days."
    assert found.sentence(("steady",), "buy-and-hold") == said


def test_two_days_tell_nothing():
    found = superior_ability(np.array([[0.1, -1.0], [0.05, 0.0]]))
    assert found.sentence(("a", "b"), "flat") == "2 days are too few to tell whether any strategy is better than flat."


@pytest.mark.parametrize(
    ("p", "lead", "sentence"),
    [
        (0.04, 0.1, "a is better than flat: it does so by luck with a probability of 4.0%."),
        (0.4, 0.1, "a is not distinguishable from flat: it leads, and it does so by luck with a probability of 40%."),
        (1.0, -0.1, "a has not earned more than flat in 500 days."),
    ],
)
def test_the_words_on_a_single_strategy(p, lead, sentence):
    assert Superior(p, p, p, 0, lead, 1, 500, 3, 1000).sentence(("a",), "flat") == sentence


def test_the_deviation_of_dependent_days_is_that_of_the_replicates():
    e = np.random.default_rng(10).standard_normal(600)
    for i in range(1, 600):
        e[i] += 0.5 * e[i - 1]
    from arch.bootstrap import StationaryBootstrap

    means = StationaryBootstrap(8, e, seed=1).apply(np.mean, reps=4000)
    assert long_run_deviation(e[:, None], 8)[0] == pytest.approx(math.sqrt(600 * np.var(means)), rel=0.05)
