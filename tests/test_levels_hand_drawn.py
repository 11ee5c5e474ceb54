"""Fractal, zigzag, Donchian and profile on candles drawn by hand: ties, equal lows, edges, and what is known bar by bar."""

import numpy as np
import pytest
from bars_made import HOUR, MONDAY, bars_from, head

from backtest.levels import NEVER, donchian, fractal, profile, volume_profile, zigzag

DAY = 24 * HOUR
NAN = float("nan")


def lows_of(lows):
    return bars_from([(9, 9, low, 9) for low in lows])


def highs_of(highs):
    return bars_from([(1, high, 1, 1) for high in highs])


def line_through(prices):
    """Return bars without wicks that run from the last price to the next."""
    before = [prices[0], *prices[:-1]]
    return bars_from([(a, max(a, b), min(a, b), b) for a, b in zip(before, prices, strict=True)])


def found(detector, bars):
    """Return (price, bar in which it formed, bar at whose close it is known) of each level."""
    rows = ((level.price, level.formed_at, level.known_at) for level in detector.find(bars))
    return [(price, (formed - MONDAY) // HOUR - 1, (known - MONDAY) // HOUR - 1) for price, formed, known in rows]


def one_by_one(detector, bars):
    """Return (bar, price) of each level that is new when the bars come one by one; none may go or change."""
    new, before = [], []
    for n in range(1, len(bars) + 1):
        rows = found(detector, head(bars, n))
        assert rows[: len(before)] == before
        new += [(n - 1, price) for price, _, _ in rows[len(before) :]]
        before = rows
    return new


def seen(detector, bars):
    """Return the prices that stand at the close of each bar, when the bars come one by one."""
    cuts = [head(bars, n) for n in range(1, len(bars) + 1)]
    return [detector.find(cut).visible(int(cut.known_at[-1])).price.tolist() for cut in cuts]


# --- fractal ---

#       0  1  2  3  4  5  6  7  8  9  10 11 12 13
LOWS = [6, 4, 5, 4, 6, 7, 3, 3, 5, 6, 2, 8, 9, 1]


def test_equal_lows_within_k_bars_are_no_fractal():
    # 1 and 3 tie two bars apart, 6 and 7 side by side; 10 is alone; 13 is the last bar.
    assert found(fractal(2), lows_of(LOWS)) == [(2.0, 10, 12)]
    assert found(fractal(1), lows_of(LOWS)) == [(4.0, 1, 2), (4.0, 3, 4), (2.0, 10, 11)]
    assert found(fractal(3), lows_of(LOWS)) == []  # 10: the 1 at 13 is lower


def test_equal_lows_further_apart_than_k_bars_are_two_fractals():
    bars = lows_of([9, 8, 1, 8, 7, 1, 8, 9])
    assert found(fractal(2), bars) == [(1.0, 2, 4), (1.0, 5, 7)]
    assert found(fractal(3), bars) == []  # 2 has two bars before it, 5 two after it


def test_a_fractal_needs_k_bars_on_both_sides():
    assert found(fractal(2), lows_of([5, 4, 3, 4, 5])) == [(3.0, 2, 4)]
    assert found(fractal(2), lows_of([5, 4, 3, 4])) == []
    assert found(fractal(2), lows_of([4, 3, 4, 5, 6])) == []
    assert found(fractal(2), lows_of([1, 2, 3, 4, 5])) == []
    assert found(fractal(2), lows_of([5, 4, 3, 2, 1])) == []
    assert found(fractal(1), lows_of([2])) == []


def test_fractals_come_one_by_one_and_stay():
    assert one_by_one(fractal(2), lows_of(LOWS)) == [(12, 2.0)]
    assert one_by_one(fractal(1), lows_of(LOWS)) == [(2, 4.0), (4, 4.0), (11, 2.0)]


def test_fractal_highs_tie_like_lows():
    highs = highs_of([1, 3, 2, 3, 1, 5, 4, 2])
    assert found(fractal(2, side="high"), highs) == [(5.0, 5, 7)]
    assert one_by_one(fractal(1, side="high"), highs) == [(2, 3.0), (4, 3.0), (6, 5.0)]


# --- zigzag ---

#        0    1   2   3   4   5     6   7   8   9   10    11
TURNS = [100, 90, 80, 84, 80, 87.9, 88, 86, 96, 90, 86.4, 87]


def test_the_first_of_equal_lows_is_the_turning_point_and_equality_confirms():
    # 1: 90 is 10% below 100. 4: as low as 2. 6: 88 is 80 * 1.1; 5: 87.9 is not. 10: 86.4 is 96 * 0.9.
    assert found(zigzag(0.1, atrs=0), line_through(TURNS)) == [(80.0, 2, 6)]
    assert found(zigzag(0.1, atrs=0, side="high"), line_through(TURNS)) == [(100.0, 0, 1), (96.0, 8, 10)]


def test_zigzags_come_one_by_one_and_stay():
    assert one_by_one(zigzag(0.1, atrs=0), line_through(TURNS)) == [(6, 80.0)]
    assert one_by_one(zigzag(0.1, atrs=0, side="high"), line_through(TURNS)) == [(1, 100.0), (10, 96.0)]


def test_the_first_bar_may_be_a_turning_point_and_the_last_is_none():
    assert found(zigzag(0.1, atrs=0), line_through([80, 88])) == [(80.0, 0, 1)]
    assert found(zigzag(0.1, atrs=0), line_through([80, 87.9])) == []
    assert found(zigzag(0.1, atrs=0), line_through([100, 90, 80])) == []
    assert found(zigzag(0.1, atrs=0), line_through([100])) == []
    # A hammer: its own close is back far enough above its low.
    assert found(zigzag(0.1, atrs=0), bars_from([(88, 88, 80, 88)])) == [(80.0, 0, 0)]


def test_the_threshold_is_that_of_the_confirming_bar():
    rows = [(100, 101, 99, 100), (100, 100, 90, 92), (92, 96, 92, 96), (96, 98, 96, 97.5)]
    # True ranges 2, 10, 4, 2. Twice over the close: 0.04, 0.217, 0.0833, 0.0410. The low 90 asks at 2 for 97.5, which 96
    # is not, and at 3 for 93.7, or for 98.1 where theta is 0.09.
    assert found(zigzag(0.03, atrs=2, n=1), bars_from(rows)) == [(90.0, 1, 3)]
    assert found(zigzag(0.09, atrs=2, n=1), bars_from(rows)) == []
    # Without the ATR it asks for 92.7: the close 92 of its own bar is below, 96 above.
    assert found(zigzag(0.03, atrs=0), bars_from(rows)) == [(90.0, 1, 2)]
    assert found(zigzag(0.03, atrs=2, n=5), bars_from(rows)) == []  # no ATR yet


# --- donchian ---

#           0  1  2  3  4  5  6  7
CHANNEL = [5, 4, 4, 6, 7, 7, 3, 9]


def test_a_channel_stays_while_an_equal_low_is_in_it():
    # Windows of three that close at 2 to 7: 4, 4, 4, 6, 3, 3.
    levels = donchian(3).find(lows_of(CHANNEL))
    assert found(donchian(3), lows_of(CHANNEL)) == [(4.0, 2, 2), (6.0, 5, 5), (3.0, 6, 6)]
    assert levels.until.tolist() == [MONDAY + 6 * HOUR, MONDAY + 7 * HOUR, NEVER]
    np.testing.assert_array_equal(donchian(lows_of(CHANNEL), 3), [NAN, NAN, NAN, 4, 4, 4, 6, 3])


def test_the_channel_bar_by_bar():
    assert seen(donchian(3), lows_of(CHANNEL)) == [[], [], [4.0], [4.0], [4.0], [6.0], [3.0], [3.0]]
    assert seen(donchian(1), lows_of(CHANNEL)) == [[low] for low in CHANNEL]


def test_a_channel_of_all_bars_and_of_more():
    assert found(donchian(8), lows_of(CHANNEL)) == [(3.0, 7, 7)]
    assert found(donchian(9), lows_of(CHANNEL)) == []
    assert found(donchian(3), lows_of([4, 4, 4, 4])) == [(4.0, 2, 2)]


# --- profile ---

# e to the power of 4.6, 4.65, 4.7 and 4.75: bins of 0.05 on log prices, in which 100, 107 and 110 lie.
EDGES = 99.48431564193378, 104.58498557711414, 109.94717245212352, 115.58428452718766
MIDDLES = 102.03465060952396, 107.26607901461883, 112.76572848965559


def quarters(*volumes):
    """Return days of four bars at 100, 107, 110 and 100, the last ones with given volumes, the first 13 with ones."""
    days = [(1, 1, 1, 1)] * 13 + list(volumes)
    rows = [(p, p, p, p) for p in (100, 107, 110, 100)] * len(days)
    return bars_from(rows, [v for day in days for v in day], interval=6 * HOUR)


def rows_of(levels):
    return [(dict(level.params)["name"], pytest.approx(level.price, rel=1e-12)) for level in levels]


def test_a_price_on_the_edge_of_a_bin_is_in_the_upper_one():
    drawn = volume_profile(np.array([100, 100.99, 101, 102, 101.5]), np.array([1, 2, 4, 8, 16.0]), 1.0)
    assert (drawn.first, drawn.volume.tolist(), drawn.edge(1)) == (100, [3.0, 20.0, 8.0], 101.0)


# A daily range of 10 at a close of 100: half of it is 0.05.
TIE, TOP, TWO = (2, 4, 4, 2), (1, 1, 5, 0), (3, 1, 4, 3)
DAYS = [
    # Bins of 4, 4 and 4: the lowest is the POC; 70% of 12 takes all three.
    (TIE, [("poc", MIDDLES[0]), ("val", EDGES[0]), ("vah", EDGES[3])]),
    # 1, 1 and 5: 5 is 70% of 7.
    (TOP, [("poc", MIDDLES[2]), ("val", EDGES[2]), ("vah", EDGES[3])]),
    # 6, 1 and 4: the 4 sticks out by 3, a quarter of 6 is 1.5; 70% of 11 takes all three.
    (TWO, [("poc", MIDDLES[0]), ("hvn", MIDDLES[2]), ("val", EDGES[0]), ("vah", EDGES[3])]),
]


@pytest.mark.parametrize(("volumes", "rows"), DAYS)
def test_the_profile_of_a_day(volumes, rows):
    levels = profile(days=1, bin=0.5).find(quarters(volumes))
    assert rows_of(levels) == rows
    assert set(levels.known_at.tolist()) == {MONDAY + 14 * DAY}
    widths = {"poc": levels.half_width[0], "hvn": levels.half_width[1]}
    for name, price in rows:
        if name in widths:
            assert widths[name] == pytest.approx(price - max(edge for edge in EDGES if edge < price), rel=1e-9)


def test_a_prominence_above_that_of_a_peak_leaves_it_out():
    # 3 of 6 is a half.
    names = [[name for name, _ in rows_of(profile(1, 0.5, 0.7, p).find(quarters(TWO)))] for p in (0.5, 0.51)]
    assert names == [["poc", "hvn", "val", "vah"], ["poc", "val", "vah"]]


def test_profiles_come_at_the_end_of_each_day_and_go_with_the_next():
    bars = quarters(*(volumes for volumes, _ in DAYS))
    stand = seen(profile(days=1, bin=0.5), bars)
    assert stand[:55] == [[]] * 55  # the 14th day ends with bar 55
    for day, (_, rows) in enumerate(DAYS):
        for bar in range(55 + 4 * day, min(59 + 4 * day, len(bars))):
            assert stand[bar] == pytest.approx([price for _, price in rows], rel=1e-12)


def test_the_profile_of_two_days_adds_their_volumes():
    # 4 + 2, 4 + 1 and 4 + 5: the POC is the highest; 70% of 20 is 14: 9, and 5, which is enough.
    levels = profile(days=2, bin=0.5).find(quarters(TIE, TOP))
    assert rows_of(levels)[-3:] == [("poc", MIDDLES[2]), ("val", EDGES[1]), ("vah", EDGES[3])]
