"""Whether the study may be believed: uniform p-values where there is nothing, and what is there found as often as power says."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from study_walks import market, reacting_walk, uniform_p, walk

from backtest.analysis.event_study import study
from backtest.analysis.event_study.inference import p_above
from backtest.analysis.event_study.lines import Path
from backtest.analysis.event_study.placebo import Grid, count_placebos, count_real, placement
from backtest.analysis.event_study.sets_walk import BOUNCES, TOUCHES
from backtest.analysis.event_study.settings import Settings
from backtest.levels import fractal

BARS, SETS, LEVELS = 6_000, 199, "round | fractal(k=12)"
FEWEST, WALKS = 60, 300
NAMES = (
    "bounce", "false break", "next level before reclaim", "next level before reclaim, less martingale", "forward return 1h",
    "forward return 4h", "forward return 24h", "forward return 3d", "forward return 7d",
    "farthest rise 24h (against a short)", "farthest fall 24h (for a short)",
)  # fmt: skip


@pytest.fixture(scope="module")
def p_values(request):
    """Return (walks, statistics) one-sided p-values on walks: 60 of them, 300 with --full."""
    walks = WALKS if request.config.getoption("--full") else FEWEST
    rows = []
    for seed in range(walks):
        found = study(market(walk(seed, BARS)), levels=LEVELS, sets=SETS, seed=seed).findings
        assert tuple(f.name for f in found) == NAMES
        rows.append([f.p_above for f in found])
    return np.array(rows)


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_uniform_on_walks(p_values, name):
    """Eleven tests on fixed seeds: one below 0.001 would come up in a hundredth of all choices of seeds."""
    p = uniform_p(p_values[:, NAMES.index(name)])
    print(f"{len(p_values)} walks, {name}: KS p {p:.3f}")
    assert p > 0.001


def test_p_values_are_not_too_often_small(p_values):
    """At 5% to either side; the statistics of a walk hang together, so the count is held against walks, not tests."""
    small = np.mean((p_values < 0.025) | (p_values > 0.975), axis=1)
    assert small.mean() == pytest.approx(0.05, abs=4 * small.std() / math.sqrt(len(small)) + 0.005)


def test_the_test_of_uniformity_finds_what_is_not_uniform():
    even = (np.arange(300) + 0.5) / 300
    assert uniform_p(even) > 0.999
    assert uniform_p(even**1.4) < 0.001
    assert uniform_p(0.2 + 0.6 * even) < 0.001


@pytest.fixture(scope="module")
def counted(request):
    """Return (touches, bounces, shares of bounces at placebo levels) of walks: 40 of them, 240 with --full."""
    return [counts(seed) for seed in range(240 if request.config.getoption("--full") else 40)]


def counts(seed):
    asked = Settings(sets=SETS, seed=seed)
    paths = [Path(walk(10_000 + seed, BARS), asked)]
    placed = placement(paths, [fractal(12).find(paths[0].bars)], asked)
    grid = Grid.of(paths, placed)
    totals, sets = count_real(paths, placed, grid, asked)[1], count_placebos(paths, placed, grid, asked)
    return int(totals[TOUCHES]), int(totals[BOUNCES]), sets[:, BOUNCES] / sets[:, TOUCHES]


@pytest.mark.parametrize("effect", [0.05, 0.10])
def test_a_planted_effect_is_found_at_the_rate_its_power_says(counted, effect):
    """The effect is exact: of the touches that broke, a share of effect / (1 - base) is turned into bounces.

    The power of a one-sided test at 5% follows from the deviation of the placebo shares (smaller than that of as many
    independent touches, since real and placebo levels share the path) and from that of the planting.
    """
    base, normal, random = 0.35, NormalDist(), np.random.default_rng(11)
    turned, found, powers = effect / (1 - base), [], []
    for touches, bounces, shares in counted:
        broken = touches - bounces
        found.append(p_above((bounces + random.binomial(broken, turned)) / touches, shares) <= 0.05)
        null, planting = float(shares.std()), math.sqrt(broken * turned * (1 - turned)) / touches
        powers.append(normal.cdf((effect - normal.inv_cdf(0.95) * null) / math.hypot(null, planting)))
    assert np.mean([shares.mean() for _, _, shares in counted]) == pytest.approx(base, abs=0.02)
    power, rate = float(np.mean(powers)), float(np.mean(found))
    print(f"effect {effect}: power {power:.3f}, found {rate:.3f} of {len(found)}")
    assert rate == pytest.approx(power, abs=2.58 * math.sqrt(power * (1 - power) / len(found)) + 0.03)


def test_a_market_that_knows_its_levels_is_found_out():
    """Round numbers at which prices turn up in half of the cases; the same walk without that says nothing."""
    told = {
        push: study(
            market(*(reacting_walk(seed, 2_500, 5.0, push) for seed in range(6))), levels="round(step=5)", sets=SETS
        ).findings[0]
        for push in (0.0, 0.5)
    }
    assert told[0.0].p_above > 0.05
    assert told[0.5].p_above <= 0.01
    assert told[0.5].value > told[0.5].null_high
