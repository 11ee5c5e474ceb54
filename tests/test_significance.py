"""How sure a Sharpe ratio is: numbers of the papers, numbers worked by hand, and laws that hold for every input."""

import doctest
import math
from importlib import import_module
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis import significance as sig
from backtest.analysis.significance.normal import below, quantile
from backtest.model import trials as trials_module

NAN = math.nan
MODULES = ("normal", "sharpe", "revised", "resample", "walk", "overfit", "superior", "verdict")
# Ratios per period, and shapes that returns can have: a kurtosis is at least 1 + skew^2.
ratios = st.floats(-1.0, 1.0)
skews = st.floats(-2.0, 2.0)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_of_the_docstrings_holds(name):
    assert doctest.testmod(import_module(f"backtest.analysis.significance.{name}")).failed == 0


def test_the_examples_of_the_trials_hold():
    assert doctest.testmod(trials_module, extraglobs={"np": np}).failed == 0


# --- numbers of the papers -------------------------------------------------------------------------------------------


def test_the_example_of_the_deflated_sharpe_ratio():
    # Bailey & Lopez de Prado (2014): yearly 2.5 in 1,250 days, 100 trials, variance 1/2 a year of 250 days: 0.9004
    yearly, day = 2.5, math.sqrt(250)
    assert sig.expected_maximum(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    found = sig.deflated_sharpe(yearly / day, 1250, trials=100, variance=0.5 / 250, skew=-3, kurtosis=10)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_a_track_record_of_2_73_years():
    # Bailey & Lopez de Prado (2012): a yearly 2 against 1, daily and normal
    day = math.sqrt(252)
    assert sig.min_track_record(2 / day, 1 / day) / 252 == pytest.approx(2.73, abs=0.005)


@pytest.mark.parametrize(("sharpe", "n", "error"), [(0.5, 60, 0.137), (1.5, 24, 0.298), (2.5, 12, 0.586)])
def test_errors_of_lo(sharpe, n, error):
    assert sig.sharpe_error(sharpe, n) == pytest.approx(error, abs=5.1e-4)


def test_a_year_of_dependent_months_as_lo_has_it():
    assert sig.lo_factor(0.2 ** np.arange(1, 12), 12) == pytest.approx(2.88, abs=0.005)
    assert sig.lo_factor(0.9 ** np.arange(1, 12), 12) == pytest.approx(1.21, abs=0.005)


def test_the_maximum_of_normal_values():
    # Order statistics: of 2, sqrt(1 - 1/pi); of 3, sqrt(1 - 9/(4 pi) + sqrt(3)/(2 pi)) = 0.74797; of 10, 0.58681
    assert sig.maximum_deviation(1) == pytest.approx(1.0, abs=1e-9)
    assert sig.maximum_deviation(3) == pytest.approx(0.747975, abs=1e-6)
    assert sig.maximum_deviation(10) == pytest.approx(0.58681, abs=1e-5)


# --- worked by hand --------------------------------------------------------------------------------------------------


def test_moments_worked_by_hand():
    # deviations -2, -1, 0, 3 hundredths: squares 14, cubes 18, fourth powers 98; the mean is 0.02
    m = sig.moments([0.0, 0.01, 0.02, 0.05])
    assert m.n == 4
    assert m.sharpe == pytest.approx(0.02 / math.sqrt(0.0014 / 3), rel=1e-12)
    assert m.skew == pytest.approx((18 / 4) / (14 / 4) ** 1.5, rel=1e-12)
    assert m.kurtosis == pytest.approx((98 / 4) / (14 / 4) ** 2, rel=1e-12)


def test_a_probability_worked_by_hand():
    # (0.2 - 0.1) * sqrt(100) / sqrt(1 - 0.5 * 0.2 + (5 - 1)/4 * 0.04) = 1 / sqrt(0.94)
    found = sig.probabilistic_sharpe(0.2, 0.1, 101, skew=0.5, kurtosis=5.0)
    assert found == pytest.approx(NormalDist().cdf(1 / math.sqrt(0.94)), rel=1e-12)


def test_one_trial_is_held_against_nothing():
    assert sig.deflated_sharpe(0.1, 200, trials=1, variance=0.3) == sig.probabilistic_sharpe(0.1, 0.0, 200)


def test_trials_that_do_not_differ_expect_nothing_of_the_best():
    assert sig.expected_maximum(50, 0.0) == 0.0
    assert math.isnan(sig.deflated_sharpe_2026(0.1, 50, 0.0))


def test_the_variance_of_the_trials_counts_the_defined_ones():
    assert sig.trials_variance([0.1, NAN, 0.3, math.inf]) == pytest.approx(0.01, rel=1e-12)
    assert math.isnan(sig.trials_variance([0.1, NAN]))


def test_the_share_of_false_discoveries():
    # of 1,000 strategies 100 have an edge: 45 of 900 pass by luck, 80 of 100 by skill
    assert sig.planned_false_discovery(0.1, 0.05, 0.2) == pytest.approx(45 / 125, rel=1e-12)
    assert math.isnan(sig.planned_false_discovery(0.0, 0.0, 1.0))


def test_undefined_is_nan():
    for value in (
        sig.moments([0.01]).sharpe,
        sig.moments([0.001] * 500).sharpe,  # a spread of rounding is none
        sig.sharpe_error(0.1, 0),
        sig.probabilistic_sharpe(0.1, 0.0, 1),
        sig.probabilistic_sharpe(NAN, 0.0, 100),
        sig.min_track_record(0.1, 0.1),
        sig.min_track_record(0.1, 0.2),
        sig.min_track_record(NAN, 0.0),
        sig.expected_maximum(0, 0.1),
        sig.expected_maximum(5, NAN),
        sig.lo_factor([0.1], 0),
        sig.lo_factor([-1.0], 2),
        sig.sharpe_error_2026(0.1, 24, rho=1.0),
        sig.min_track_record_2026(0.0, 0.1),
        sig.maximum_deviation(0),
        quantile(1.5),
    ):
        assert math.isnan(value)
    assert (quantile(0.0), quantile(1.0)) == (-math.inf, math.inf)


# --- laws ------------------------------------------------------------------------------------------------------------


@given(ratios, ratios, st.integers(2, 5000), skews, st.floats(0.1, 20.0))
def test_a_longer_record_is_surer(sharpe, benchmark, n, skew, more):
    kurtosis = 1 + skew * skew + more
    short, long = (sig.probabilistic_sharpe(sharpe, benchmark, k, skew, kurtosis) for k in (n, 2 * n))
    assert 0.0 <= short <= 1.0
    assert abs(long - 0.5) >= abs(short - 0.5)
    assert (short > 0.5) <= (sharpe > benchmark)


@given(st.floats(0.01, 1.0), st.floats(0.02, 0.5), skews, st.floats(0.1, 20.0), st.floats(0.6, 0.999))
def test_the_record_is_long_enough_just_when_the_probability_is(benchmark, lead, skew, more, confidence):
    shape = skew, 1 + skew * skew + more
    needed = sig.min_track_record(benchmark + lead, benchmark, *shape, confidence)
    assert sig.probabilistic_sharpe(benchmark + lead, benchmark, needed, *shape) == pytest.approx(confidence, abs=1e-9)


@given(ratios, st.integers(10, 3000), st.integers(1, 10_000), st.floats(0.0, 0.5))
def test_more_trials_never_make_a_result_surer(sharpe, n, trials, variance):
    fewer, more = (sig.deflated_sharpe(sharpe, n, k, variance) for k in (trials, trials + 1))
    assert more <= fewer


@given(st.integers(1, 400))
def test_without_dependence_time_counts_by_its_root(q):
    assert sig.lo_factor([], q) == pytest.approx(math.sqrt(q), rel=1e-12)
    assert sig.lo_factor([0.0] * 500, q) == pytest.approx(math.sqrt(q), rel=1e-12)


@given(ratios, ratios, st.integers(2, 5000))
def test_the_revised_error_of_normal_returns_is_that_of_lo(sharpe, true, n):
    assert sig.sharpe_error_2026(sharpe, n) == pytest.approx(sig.sharpe_error(sharpe, n), rel=1e-12)
    assert 0.0 <= sig.miss_rate_2026(sharpe, true, n) <= 1.0


@given(st.floats(-8.0, 8.0))
def test_the_normal_law_and_its_inverse(z):
    assert below(z) == pytest.approx(NormalDist().cdf(z), abs=1e-15)
    assert below(-z) == pytest.approx(1.0 - below(z), abs=1e-15)
    if abs(z) < 5:
        assert quantile(below(z)) == pytest.approx(z, abs=1e-6)


def test_errors_hold_in_a_thousand_worlds():
    # a ratio of 0.1 in 250 days: the spread over worlds is what its error says, and 95% of them know it is above 0.1 - 1.645 errors
    r = np.random.default_rng(7).normal(0.001, 0.01, (2000, 250))
    found = r.mean(axis=1) / r.std(axis=1, ddof=1)
    assert np.std(found) == pytest.approx(sig.sharpe_error(0.1, 250), rel=0.05)
    sure = [sig.probabilistic_sharpe(s, 0.1, 250) >= 0.95 for s in found]
    assert 0.03 < np.mean(sure) < 0.07
