"""No look-ahead: what a detector knew at a cut is what it finds in the bars up to the cut, to the last bit."""

import numpy as np
import pytest
from bars_made import MONDAY, columns, head, random_bars, walks_of
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.levels import (
    atr,
    avwap,
    cluster,
    donchian,
    fixed,
    fractal,
    pivot,
    prior,
    profile,
    round_numbers,
    turning_points,
    zigzag,
)
from backtest.levels.turning import LONG, walk_python

DETECTORS = [
    fractal(),
    fractal(k=3, side="high"),
    zigzag(),
    zigzag(theta=0.02, atrs=0.0, side="high"),
    donchian(20),
    prior("day"),
    prior("week"),
    prior("month"),
    pivot("day"),
    pivot("week", names=("s3", "r1")),
    avwap("day"),
    avwap("week", every="week"),
    avwap("2026-01-08"),
    avwap(fractal()),
    avwap(zigzag(theta=0.02, atrs=0.0)),
    profile(days=3),
    profile(days=10, bin=0.5, share=0.5, prominence=0.05),
    cluster(width=2.0, lookback=5, members=2),
    cluster(width=1.0, pivots=zigzag(theta=0.02, atrs=0.0)),
    round_numbers(),
    round_numbers(finest=0.002, coarsest=0.01, reach=0.03),
    fixed([60_000.0, 58_000.0]) | fractal(k=3) | round_numbers() | prior("day"),
    (fractal() | donchian(10) | cluster(width=2.0, members=2)).within(0.001, atrs=0.5, memory=4),
]


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_cut_shows_what_was_known(detector, data):
    bars = data.draw(walks_of(380, 620))
    found = detector.find(bars)
    for _ in range(4):
        n = data.draw(st.integers(1, len(bars)))
        cut = int(bars.known_at[n - 1])
        assert columns(detector.find(head(bars, n))) == columns(found.known(cut))


LINES = {
    "atr": atr,
    "atr of 2": lambda bars: atr(bars, 2),
    "donchian": lambda bars: donchian(bars, 13),
    "prior": prior("day").line,
    "prior week": prior("week").line,
    "pivot": lambda bars: pivot("day").lines(bars)["s2"],
    "avwap of the week": avwap("week").line,
    "avwap of a day": avwap("2026-01-08").line,
    "avwap of a swing": avwap(fractal(4)).line,
    "thresholds": zigzag().thresholds,
}


@pytest.mark.parametrize("name", LINES)
@settings(max_examples=20, deadline=None)
@given(bars=walks_of(60, 400), share=st.floats(0, 1))
def test_a_line_up_to_a_cut_is_that_of_the_cut(name, bars, share):
    n = int(share * len(bars))
    np.testing.assert_array_equal(LINES[name](head(bars, n)), LINES[name](bars)[:n])


@settings(max_examples=20, deadline=None)
@given(bars=walks_of(60, 400), share=st.floats(0, 1), theta=st.floats(0.005, 0.05))
def test_turning_points_up_to_a_cut_are_those_confirmed_by_then(bars, share, theta):
    n = int(share * len(bars))
    bar, side, known = turning_points(bars.high, bars.low, bars.close, np.full(len(bars), theta))
    cut = turning_points(bars.high[:n], bars.low[:n], bars.close[:n], np.full(n, theta))
    for whole, part in zip((bar, side, known), cut, strict=True):
        assert whole[known < n].tolist() == part.tolist()


def test_the_compiled_walk_is_the_plain_one():
    bars = random_bars(7, LONG + 10)
    theta = zigzag().thresholds(bars)
    compiled = turning_points(bars.high, bars.low, bars.close, theta)
    out = np.empty((3, len(bars)), np.int64)
    count = walk_python(bars.high, bars.low, bars.close, theta, *out)
    assert count > 500
    for got, plain in zip(compiled, out[:, :count], strict=True):
        np.testing.assert_array_equal(got, plain)


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
def test_detectors_run_on_no_bars_one_bar_a_flat_market_and_one_that_never_traded(detector):
    bars = random_bars(3, 500)
    flat = type(bars)("FLAT", bars.interval, bars.time, *(np.full(500, 60_000.0) for _ in range(4)), np.zeros(500))
    silent = type(bars)("NONE", bars.interval, bars.time, *(np.full(500, np.nan) for _ in range(5)))
    for some in (head(bars, 0), head(bars, 1), flat, silent):
        levels = detector.find(some)
        assert np.isfinite(levels.price).all()


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
def test_every_detector_finds_something_on_a_walk_and_says_what_it_is(detector):
    bars = random_bars(5, 1600, MONDAY)
    levels = detector.find(bars)
    assert len(levels) > 0
    assert (levels.known_at <= bars.known_at[-1]).all()
    assert (levels.formed_at <= levels.known_at).all()
    assert all(level.origin for level in levels)
