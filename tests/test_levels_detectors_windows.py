"""Volume profile and clusters, by hand."""

import math

import numpy as np
import pytest
from bars_made import HOUR, MONDAY, bars_from
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import ConfigError
from backtest.levels import NEVER, Levels, VolumeProfile, cluster, fractal, profile, volume_profile
from backtest.levels.cluster import complete_linkage
from backtest.levels.detector import Detector

DAY = 24 * HOUR


def test_the_point_of_control_the_value_area_and_the_nodes():
    #                                          0  1  2  3  4  5  6
    found = VolumeProfile(100, 1.0, np.array([1, 5, 2, 8, 3, 1, 4.0]))
    assert found.poc() == 3
    # 70% of 24 is 16.8: 8, above 3 against 2 -> 11, below 2 against 1 -> 13, below 5 against 1 -> 18.
    assert found.value_area(0.7) == (1, 4)
    assert found.value_area(0.3) == (3, 3)
    assert found.value_area(1.0) == (0, 6)
    # Prominences: 5 above the 2 beside it is 3, 8 is the highest, 4 above the 1 beside it is 3.
    assert found.nodes(3 / 8) == [1, 3, 6]
    assert found.nodes(0.5) == [3]
    assert found.edge(3) == 103.0


def test_equal_bins_count_from_below():
    found = VolumeProfile(0, 1.0, np.array([2, 2, 1, 2.0]))
    assert found.poc() == 0
    assert found.nodes(0.5) == [0, 3]
    assert VolumeProfile(0, 1.0, np.array([1, 2, 1.0])).value_area(0.7) == (0, 1)


def test_volume_by_price_and_what_is_left_out():
    found = volume_profile(np.array([100, 102.5, math.nan, 100.9]), np.array([1, 2, 5, 4.0]), 1.0)
    assert (found.first, found.volume.tolist()) == (100, [5.0, 0.0, 2.0])
    assert volume_profile(np.array([0, 1e9]), np.ones(2), 1.0).step == 1e5  # ten thousand bins at most
    with pytest.raises(ConfigError, match="A volume profile needs at least one bar with a price and a volume"):
        volume_profile(np.array([math.nan]), np.ones(1), 1.0)
    with pytest.raises(ConfigError, match="`step` must be a number above 0, got 0"):
        volume_profile(np.ones(1), np.ones(1), 0.0)


def quarters(days):
    """Return days of four bars at 100, 110, 100, 100 with the volumes 1, 5, 1, 1: a daily range of 10, every day."""
    rows = [(p, p, p, p) for p in (100, 110, 100, 100)] * days
    return bars_from(rows, [1, 5, 1, 1] * days, interval=6 * HOUR)


def test_the_profile_of_a_day_by_hand():
    # The ATR of 14 days is 10 at the end of the 14th, a tenth of the price: the bins are [4.6, 4.7) and [4.7, 4.8) in logs,
    # with 3 and 5 traded a day. exp: 99.484316, 109.947172, 121.510418.
    levels = profile(days=1, bin=1.0).find(quarters(15))
    assert [dict(level.params)["name"] for level in levels] == ["poc", "val", "vah"] * 2
    np.testing.assert_allclose(
        levels.price[:3], [115.72879498542918, 99.48431564193378, 121.51041751873485], rtol=1e-12
    )
    np.testing.assert_allclose(levels.half_width[:3], [5.781622533305665, 0, 0], rtol=1e-12)
    assert levels.known_at.tolist() == [MONDAY + 14 * DAY] * 3 + [MONDAY + 15 * DAY] * 3
    assert levels.until.tolist() == [MONDAY + 15 * DAY] * 3 + [NEVER] * 3


def test_a_profile_needs_its_whole_window():
    assert len(profile(days=15, bin=1.0).find(quarters(14))) == 0
    assert len(profile(days=15, bin=1.0).find(quarters(15))) == 3


def groups_of(points, width):
    found = complete_linkage(np.array(points, float), np.full(len(points), width), np.zeros(len(points), np.int64))
    return list(zip(found.low.tolist(), found.high.tolist(), found.count.tolist(), strict=True))


def test_complete_linkage_bounds_the_width_of_a_group():
    points = [0, 1, 3, 3.5, 7]  # 3 and 3.5 join at 0.5, 0 and 1 at 1, both at 3.5
    assert groups_of(points, 3.4) == [(0, 1, 2), (3, 3.5, 2), (7, 7, 1)]
    assert groups_of(points, 3.5) == [(0, 3.5, 4), (7, 7, 1)]
    assert groups_of(points, 0.4) == [(p, p, 1) for p in points]
    assert groups_of(points, 7) == [(0, 7, 5)]
    assert groups_of([0, 1, 2, 3], 1) == [(0, 1, 2), (2, 3, 2)]
    assert groups_of([], 1) == []


def one_pair_at_a_time(points, width):
    groups = [[p] for p in points]
    while len(groups) > 1:
        wide, i = min((groups[i + 1][-1] - groups[i][0], i) for i in range(len(groups) - 1))
        if wide > width:
            break
        groups[i : i + 2] = [groups[i] + groups[i + 1]]
    return [(g[0], g[-1], len(g)) for g in groups]


@given(st.lists(st.floats(0, 100), unique=True, max_size=40).map(sorted), st.floats(0.1, 40))
def test_joining_many_pairs_at_once_gives_the_same_groups(points, width):
    gaps = [b - a for i, a in enumerate(points) for b in points[i + 1 :]]
    if len(set(gaps)) == len(gaps):  # where two pairs are equally close, either may be joined
        assert groups_of(points, width) == one_pair_at_a_time(points, width)


class Given(Detector):
    """Pivots at given prices, known at the given bars."""

    def __init__(self, *rows):
        self.rows = rows

    def find(self, bars):
        rows = [row for row in self.rows if row[1] < len(bars)]
        known = bars.known_at[np.array([bar for _, bar in rows], np.int64)]
        k = len(rows)
        return Levels([p for p, _ in rows], np.zeros(k), ("given",) * k, known, known, ((),) * k)


def test_clusters_of_pivots_day_by_day():
    # Bars of 6 hours with a range of 2 at 100: the ATR is 2 from bar 13 on, so 0.5 ATR is 1% of the price.
    bars = bars_from([(100, 101, 99, 100)] * 28, interval=6 * HOUR)
    pivots = Given((90.0, 2), (90.5, 3), (80.0, 5), (90.25, 20))
    levels = cluster(members=2, pivots=pivots).find(bars)
    # At the end of day 4 (bar 15) 90 and 90.5, 0.55% apart, are a group of two; 80 is alone. On day 6 (bar 23) 90.25 joins.
    np.testing.assert_allclose(levels.price, [90.24965373894794, 90.24976915765294], rtol=1e-9)
    assert [dict(level.params)["members"] for level in levels] == [2, 3]
    assert levels.known_at.tolist() == [MONDAY + 4 * DAY, MONDAY + 6 * DAY]
    assert levels.until.tolist() == [MONDAY + 6 * DAY, NEVER]
    np.testing.assert_allclose(levels.half_width, [90.5 - 90.24965373894794, 90.5 - 90.24976915765294], rtol=1e-6)
    # A lookback of two days forgets the first pivots: after day 4 nothing is left of them.
    assert len(cluster(members=2, pivots=pivots, lookback=2).find(bars)) == 0


def test_clusters_say_what_they_are():
    assert repr(cluster()) == "Cluster(width=0.5, lookback=180.0, members=3, pivots=Fractal(k=2, side='low'))"
    assert cluster() == cluster(pivots=fractal(2))
