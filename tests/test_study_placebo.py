"""Placebo sets: what they keep of the real levels, and what they deal anew."""

from dataclasses import replace

import numpy as np
import pytest
from study_walks import START, walk

from backtest.analysis.event_study import placebo
from backtest.analysis.event_study.lines import Path
from backtest.analysis.event_study.placebo import Grid, count_placebos, count_real, drawn, placement, redrawn
from backtest.analysis.event_study.settings import Settings
from backtest.levels import Levels, cluster, fixed, fractal, round_numbers

HOUR = 3_600_000_000_000


def placed(detector, n=3_000, seed=2, **asked):
    given = Settings(**{"sets": 20, **asked})
    paths = [Path(walk(seed, n), given), Path(walk(seed + 1, n), given)]
    return paths, placement(paths, [detector.find(path.bars) for path in paths], given), given


def test_a_level_stands_where_and_as_long_as_it_is_known():
    bars, asked = walk(1, 200), Settings(life_days=2.0)
    times = START + HOUR * np.array([1, 51, 51, 101])
    until = np.array([2**63 - 1, 2**63 - 1, START + HOUR * 61, START + HOUR * 101 + 1])
    levels = Levels(np.array([79.0, 78.0, 77.0, 200.0]), np.zeros(4), ("fractal",) * 4, times, times, ((),) * 4, until)
    found = placement([Path(bars, asked)], [levels], asked)
    # a bar opens at START + i hours and is known an hour later: the first has an ATR from bar 13 on; then bars 50 and 100
    assert found.start.tolist() == [13, 50, 50, 100]
    assert found.end.tolist() == [61, 98, 60, 101]  # two days later, or when another took its place
    assert found.row.tolist() == [0, 1, 2, 3]
    assert found.close.tolist() == bars.close[[13, 50, 50, 100]].tolist()
    np.testing.assert_allclose(found.close - found.distance * found.span, levels.price)
    assert found.pool.tolist() == [0, 0, 0, 1]  # 200 is above the price


def test_distances_are_dealt_anew_within_kind_and_side():
    paths, levels, _ = placed(fractal(4) | round_numbers())
    found = redrawn(levels, np.random.default_rng(0))
    for pool in np.unique(levels.pool):
        mine = levels.pool == pool
        if mine.sum() >= placebo.FEW:
            assert sorted(found[mine]) == sorted(levels.distance[mine])
        assert (np.sign(found[mine]) == np.sign(levels.distance[mine])).all()
    assert not np.array_equal(found, levels.distance)
    assert len(paths) == 2


def test_few_distances_are_smoothed():
    levels = placed(fixed([99.0, 98.0, 90.0]))[1]
    found = redrawn(levels, np.random.default_rng(0))
    assert np.unique(found).size == 6
    assert not set(found) & set(levels.distance)


def test_a_grid_is_moved_as_a_whole():
    _, levels, _ = placed(round_numbers(step=2.5))
    found = drawn(levels, np.random.default_rng(3))
    shift = found - levels.price
    for symbol in (0, 1):
        own = shift[levels.symbol == symbol]
        np.testing.assert_allclose(own, own[0], atol=1e-9)
        assert 0 < abs(own[0]) <= 2.5
    assert shift[levels.symbol == 0][0] != shift[levels.symbol == 1][0]


def test_a_grid_keeps_its_sides_and_takes_every_place_between_them():
    bars, asked = walk(1, 200), Settings()
    price = float(
        bars.close[13]
    )  # the first bar with an ATR: a level a fifth of a step below it, the next above at four fifths
    at = np.full(3, START + HOUR)
    grid = Levels(price + np.array([-1.2, -0.2, 0.8]), np.zeros(3), ("round",) * 3, at, at, ((("step", 1.0),),) * 3)
    levels = placement([Path(bars, asked)], [grid], asked)
    random = np.random.default_rng(0)
    shifts = np.array([drawn(levels, random) - levels.price for _ in range(400)])
    np.testing.assert_allclose(shifts, np.repeat(shifts[:, :1], 3, axis=1), atol=1e-9)
    assert -0.8 <= shifts.min() < -0.78
    assert 0.18 < shifts.max() <= 0.2
    assert np.histogram(shifts[:, 0], bins=4, range=(-0.8, 0.2))[0].min() > 70  # of 100 in each quarter


def test_no_level_of_a_grid_changes_its_side_whatever_it_goes_through():
    levels = placed(round_numbers(), n=6_000)[1]
    assert np.unique(levels.step).size > 1
    random, below = np.random.default_rng(1), levels.distance >= 0
    for _ in range(200):
        found = drawn(levels, random)
        np.testing.assert_array_equal(found <= levels.close, below)


def test_a_seed_gives_the_same_sets_however_many_are_held_at_once(monkeypatch):
    paths, levels, asked = placed(fractal(6))
    grid = Grid.of(paths, levels)
    whole = count_placebos(paths, levels, grid, asked)
    monkeypatch.setattr(placebo, "ROOM", 3 * len(levels))
    np.testing.assert_array_equal(count_placebos(paths, levels, grid, asked), whole)
    other = count_placebos(paths, levels, grid, replace(asked, seed=1))
    assert not np.array_equal(other, whole)
    assert len({tuple(row) for row in whole.tolist()}) == 20


def test_real_levels_on_the_ladder_count_the_same_as_a_placebo_set_of_them(monkeypatch):
    """The same walk serves both: levels that stand exactly in the middle of cells come to the same totals either way."""
    paths, levels, asked = placed(fractal(6), sets=1)
    grid = Grid.of(paths, levels)
    cell = grid.cell(levels.symbol, levels.price)
    middle = grid.bottom[levels.symbol] * np.exp(placebo.CELL * (cell - grid.first[levels.symbol] + 0.5))
    snapped = replace(levels, price=middle)
    monkeypatch.setattr(placebo, "drawn", lambda *_: middle)
    np.testing.assert_allclose(
        count_placebos(paths, snapped, grid, asked)[0], count_real(paths, snapped, grid, asked)[1]
    )


def test_wide_levels_have_lines_of_their_width():
    paths, levels, asked = placed(cluster(width=2.0))
    grid = Grid.of(paths, levels)
    assert grid.widths.size > 1
    assert levels.width == pytest.approx(np.array([0.0] * len(levels)), abs=0.05)
    narrow = replace(levels, width=np.zeros(len(levels)))
    touches = [count_real(paths, some, Grid.of(paths, some), asked)[1][0] for some in (levels, narrow)]
    assert touches[0] != touches[1]
    cell = grid.cell(levels.symbol, levels.price)
    lines = grid.lines(levels, cell)
    land = grid.ground(paths)
    np.testing.assert_allclose(land.price[lines], levels.price, rtol=placebo.CELL)
    assert count_placebos(paths, levels, grid, asked).shape == (20, len(count_real(paths, levels, grid, asked)[1]))


def test_a_price_beyond_the_ladder_is_no_level():
    paths, levels, _ = placed(fractal(6))
    grid = Grid.of(paths, levels)
    prices = np.array([1e-9, -5.0, 1e9, 100.0])
    assert (grid.cell(np.zeros(4, np.int64), prices) == -1).tolist() == [True, True, True, False]
