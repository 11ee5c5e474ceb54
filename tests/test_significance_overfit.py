"""The probability of overfitting: counted by hand, of noise, of an edge, and its interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.analysis.significance import overfitting, pbo, splits
from backtest.errors import ConfigError


def noise(seed, periods=400, count=40):
    return np.random.default_rng(seed).standard_normal((periods, count))


@pytest.mark.parametrize(("blocks", "ways"), [(2, 2), (4, 6), (6, 20), (10, 252), (16, 12_870)])
def test_the_ways_to_cut_blocks_into_halves(blocks, ways):
    assert splits(blocks) == ways


def test_counted_by_hand():
    # Two parts. In the first, configuration 0 is best (3 against 1 and 0); in the second, it is last: behind.
    # In the second, 2 is best (3); in the first it is last: behind. Both splits: 1.
    assert pbo([[3, 1, 0], [0, 1, 3]], blocks=2, measure="mean") == 1.0
    # 0 best in the first and last of three in the second; 1 best in the second and in the middle of the first, which counts
    assert pbo([[3, 1, 0], [0, 3, 1]], blocks=2, measure="mean") == 1.0
    # 0 best in both
    assert pbo([[3, 1, 0], [3, 2, 1]], blocks=2, measure="mean") == 0.0


def test_of_the_six_splits_of_four_parts_counted_by_hand():
    # Sums of configuration 0: 4, 0, 0, 0; of configuration 1: 1, 1, 1, 0. Halves with part 0 choose 0 (4 > 2 or 1); in the other
    # half 1 has 2 or 1 and 0 has nothing: behind, three times. Halves without part 0 choose 1 (2 or 1 > 0); with part 0 in the
    # other half, 0 is ahead: behind, three times.
    assert pbo([[4, 1], [0, 1], [0, 1], [0, 0]], blocks=4, measure="mean") == 1.0


def test_the_oldest_rows_that_fill_no_part_are_left_out():
    assert pbo([[0, 9], [1, 0], [1, 0], [1, 0], [1, 0]], blocks=2, measure="mean") == 0.0


def test_equal_ones_share_their_rank():
    # four alike: the first is chosen, and its shared rank 2.5 of 5 is the middle, which counts as behind
    assert pbo(np.ones((4, 4)), blocks=2, measure="mean") == 1.0


def test_a_configuration_that_never_trades_has_a_ratio_of_nothing():
    r = np.column_stack([np.zeros(80), noise(1, 80, 1)[:, 0] - 3.0, np.full(80, 0.0)])
    assert 0.0 <= pbo(r, blocks=4) <= 1.0
    steady = np.column_stack([np.zeros(80), noise(1, 80, 1)[:, 0] + 3.0])
    assert pbo(steady, blocks=4) == 0.0


def test_noise_has_one_half_on_average_and_a_wide_spread():
    found = [pbo(noise(seed), blocks=8) for seed in range(80)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
    assert 0.08 < np.std(found) < 0.22


def test_a_planted_edge_is_no_overfitting():
    r = noise(3, periods=1000, count=50)
    r[:, :5] += 0.15
    found = overfitting(r, noises=30)
    assert found.pbo < 0.02
    assert found.high < 0.5
    assert found.sentence().startswith("The best of 50 configurations falls behind the middle one in ")
    assert found.sentence().endswith("choosing it holds up.")


def test_the_interval_of_noise_holds_one_half():
    held = 0
    for seed in range(40):
        found = overfitting(noise(seed, 240, 20), blocks=8, seed=seed, noises=40)
        held += found.low <= 0.5 <= found.high
        assert found.noise_low < 0.5 < found.noise_high
    assert held >= 35  # 95% of 40 are 38


def test_the_same_seed_gives_the_same_interval():
    r = noise(4, 160, 10)
    assert overfitting(r, blocks=8, seed=1, noises=10) == overfitting(r, blocks=8, seed=1, noises=10)


def test_undefined_is_nan():
    assert math.isnan(pbo(noise(1, 100, 1), blocks=4))  # one configuration
    assert math.isnan(pbo(noise(1, 7, 5), blocks=4))  # one row a part
    assert math.isnan(pbo(np.full((100, 5), math.nan), blocks=4))
    found = overfitting(noise(1, 7, 5), blocks=4)
    assert math.isnan(found.low)
    assert found.sentence() == "5 configurations over 7 periods are too few to tell overfitting."


def test_an_odd_number_of_blocks_is_refused():
    with pytest.raises(ConfigError, match="`blocks` must be even and at least 2, not 5"):
        pbo(noise(1), blocks=5)


def test_an_unknown_measure_is_named():
    with pytest.raises(ConfigError, match=r"No measure named 'sharp'\. Did you mean 'sharpe'\?"):
        pbo(noise(1), blocks=4, measure="sharp")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from([2, 4, 6]), st.integers(2, 12), st.floats(0.1, 100.0))
def test_neither_scale_nor_order_of_the_configurations_matters(seed, blocks, count, scale):
    r = noise(seed, 60, count)
    found = pbo(r, blocks)
    assert 0.0 <= found <= 1.0
    assert pbo(r * scale, blocks) == pytest.approx(found, abs=1e-12)
    assert pbo(r[:, ::-1], blocks) == pytest.approx(found, abs=1e-12)


def test_many_configurations_are_judged_in_portions(monkeypatch):
    from backtest.analysis.significance import overfit

    r = noise(5, 160, 30)
    whole = pbo(r, blocks=8)
    monkeypatch.setattr(overfit, "CELLS", 100)
    assert pbo(r, blocks=8) == whole
