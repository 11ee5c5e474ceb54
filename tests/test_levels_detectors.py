"""Detectors on candles drawn by hand; every expected number was worked out beside the candles."""

import math

import numpy as np
import pytest
from bars_made import HOUR, MONDAY, bars_from

from backtest.errors import ConfigError
from backtest.levels import (
    NEVER,
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
from backtest.levels.round_numbers import round_step

DAY = 24 * HOUR


def lows_of(lows, **options):
    """Return bars with given lows, all closing at 99."""
    return bars_from([(99, 99, low, 99) for low in lows], **options)


def flat(prices, volume=None, **options):
    """Return bars that stand still at given prices."""
    return bars_from([(p, p, p, p) for p in prices], volume, **options)


def line_through(prices):
    """Return bars without wicks that run from the last price to the next."""
    before = [prices[0], *prices[:-1]]
    return bars_from([(a, max(a, b), min(a, b), b) for a, b in zip(before, prices, strict=True)])


def found(levels):
    """Return (price, bar in which it formed, bar from which it is known) of each level of hourly bars from MONDAY."""
    rows = ((level.price, level.formed_at, level.known_at) for level in levels)
    return [(price, (formed - MONDAY) // HOUR - 1, (known - MONDAY) // HOUR - 1) for price, formed, known in rows]


def test_a_fractal_is_lower_than_its_neighbours_and_known_after_them():
    #     0  1  2  3  4  5  6  7  8  9  10 11
    low = [5, 4, 3, 4, 5, 2, 6, 7, 1, 1, 8, 9]
    assert found(fractal().find(lows_of(low))) == [(3.0, 2, 4), (2.0, 5, 7)]  # 8 and 9 tie: none
    assert found(fractal(k=1).find(lows_of(low))) == [(3.0, 2, 3), (2.0, 5, 6)]
    assert found(fractal(k=3).find(lows_of(low))) == []  # 2: only two bars before; 5: the 1 at 8 is lower
    assert found(fractal(k=3).find(lows_of([9, *low[:8], 3]))) == [(2.0, 6, 9)]
    assert fractal(k=2).find(lows_of(low))[0].origin == ("fractal(k=2)",)


def test_a_fractal_high_is_higher_than_its_neighbours():
    bars = bars_from([(1, high, 1, 1) for high in (2, 3, 5, 4, 3, 3)])
    assert found(fractal(side="high").find(bars)) == [(5.0, 2, 4)]


def test_no_fractal_stands_beside_a_bar_that_did_not_trade():
    nan = (math.nan,) * 4
    rows = [(9, 9, low, 9) for low in (5, 4, 3, 4, 5)]
    assert found(fractal().find(bars_from(rows))) == [(3.0, 2, 4)]
    assert found(fractal().find(bars_from([*rows[:4], nan, rows[4]]))) == []


#                0    1    2   3    4      5    6    7      8    9    10
ZIGZAG_CLOSES = [100, 105, 95, 104, 104.6, 120, 112, 107.9, 100, 109, 111]


def test_a_zigzag_low_is_known_when_the_price_has_come_back():
    # 4: 104.6 >= 95 * 1.1 = 104.5. 7: 107.9 <= 120 * 0.9 = 108. 10: 111 >= 110; 9: 109 is not.
    bars = line_through(ZIGZAG_CLOSES)
    assert found(zigzag(0.1, atrs=0).find(bars)) == [(95.0, 2, 4), (100.0, 8, 10)]
    assert found(zigzag(0.1, atrs=0, side="high").find(bars)) == [(120.0, 5, 7)]
    # The finished chart's last leg is no level: at bar 9 the low of bar 8 is not confirmed.
    assert found(zigzag(0.1, atrs=0).find(line_through(ZIGZAG_CLOSES[:10]))) == [(95.0, 2, 4)]


def test_a_zigzag_takes_the_extremes_from_wicks_and_the_confirmation_from_closes():
    rows = [(100, 101, 99, 100), (100, 110, 97, 100), (100, 107, 100, 107), (107, 107, 105, 106)]
    # The low 97 asks for 106.7: the wick to 110 in its own bar does not count, the close 107 does.
    assert found(zigzag(0.1, atrs=0).find(bars_from(rows))) == [(97.0, 1, 2)]


def test_what_came_before_the_low_in_its_own_bar_is_no_high_after_it():
    rows = np.array([(100, 100, 100, 100), (100, 130, 80, 100), (100, 100, 91, 91), (91, 91, 90, 90)], float)
    bar, side, known = turning_points(*rows[:, 1:].T, np.full(4, 0.1))
    # 1: low 80, closes 25% above. 2: 91 is 30% below 130 but not 10% below 100. 3: 90 is, of the close 100 of bar 1.
    assert [bar.tolist(), side.tolist(), known.tolist()] == [[1, 1], [-1, 1], [1, 3]]


def test_the_average_true_range_by_hand():
    nan = (math.nan,) * 4
    rows = [(11, 12, 10, 11), (12, 13, 11, 12), (13, 15, 12, 14), nan, (17, 20, 16, 18)]
    # True ranges 2, 2, 3, (20 - 14) = 6; the mean of two is 2, then (2 + 3) / 2 and (2.5 + 6) / 2.
    np.testing.assert_allclose(atr(bars_from(rows), 2), [math.nan, 2.0, 2.5, 2.5, 4.25], rtol=1e-14)
    np.testing.assert_allclose(atr(bars_from(rows), 1), [2, 2, 3, 3, 6], rtol=1e-14)
    # theta: 2 * 2 / 12, 2 * 2.5 / 14, none, 2 * 4.25 / 18; and no less than 0.4
    expected = [math.nan, 0.3333333333333333, 0.35714285714285715, math.nan, 0.4722222222222222]
    np.testing.assert_allclose(zigzag(n=2).thresholds(bars_from(rows)), expected, rtol=1e-14)
    expected = [math.nan, 0.4, 0.4, math.nan, 0.4722222222222222]
    np.testing.assert_allclose(zigzag(theta=0.4, n=2).thresholds(bars_from(rows)), expected, rtol=1e-14)


def test_the_average_true_range_over_many_blocks_is_the_plain_recursion():
    random = np.random.default_rng(1)
    close = 100 + np.cumsum(random.normal(0, 0.1, 40_000))
    got = atr(bars_from(np.column_stack((close, close + 1, close - 1, close))), 14)
    plain = got[13]
    for t in range(14, 40_000):
        plain = (13 * plain + max(2.0, abs(close[t] - close[t - 1]) + 1)) / 14
        assert got[t] == pytest.approx(plain, rel=1e-12)


def test_donchian_levels_are_known_at_the_close_that_makes_them_and_end_with_the_next():
    levels = donchian(2).find(lows_of([5, 3, 4, 6, 2, 7]))
    # Windows of two: 3, 3, 4, 2, 2, closing with bars 1 to 5.
    assert found(levels) == [(3.0, 1, 1), (4.0, 3, 3), (2.0, 4, 4)]
    assert levels.until.tolist() == [MONDAY + 4 * HOUR, MONDAY + 5 * HOUR, NEVER]
    assert donchian(2).find(lows_of([5])).price.size == 0
    halted = bars_from([(9, 9, 5, 9), (9, 9, 5, 9), (math.nan,) * 4, (9, 9, 5, 9), (9, 9, 5, 9)])
    assert found(donchian(2).find(halted)) == [(5.0, 1, 1), (5.0, 4, 4)]
    assert donchian(2).find(halted).until.tolist() == [MONDAY + 3 * HOUR, NEVER]


def test_the_low_of_the_day_before_is_known_at_midnight():
    bars = lows_of([9, 8, 7, 9, 6, 9, 9, 9, 5], interval=6 * HOUR)
    levels = prior("day").find(bars)
    assert levels.price.tolist() == [7.0, 6.0]
    assert levels.known_at.tolist() == [MONDAY + DAY, MONDAY + 2 * DAY]
    assert levels.until.tolist() == [MONDAY + 2 * DAY, NEVER]
    np.testing.assert_array_equal(prior("day").line(bars), [math.nan] * 3 + [7, 7, 7, 7, 6, 6])
    late = lows_of([8, 7, 9, 6, 9, 9, 9, 5], start=MONDAY + 6 * HOUR, interval=6 * HOUR)
    assert prior("day").find(late).price.tolist() == [6.0]  # the first day was not seen from its start


def test_weeks_start_on_monday_and_months_on_the_first():
    week = prior("week").find(lows_of([9, 8, 7, 6, 5, 4, 3, 2], interval=DAY))
    assert (week.price.tolist(), week.known_at.tolist()) == ([3.0], [MONDAY + 7 * DAY])
    february = [90.0] * 30  # from 2026-01-31 to 2026-03-01
    february[10] = 50.0
    month = prior("month").find(lows_of(february, start=MONDAY + 26 * DAY, interval=DAY))
    assert (month.price.tolist(), month.known_at.tolist()) == ([50.0], [1_772_323_200_000_000_000])


def test_a_day_without_trades_has_no_low_and_leaves_the_one_before():
    bars = bars_from([(9, 9, 7, 9), (math.nan,) * 4, (9, 9, 6, 9), (9, 9, 8, 9)], interval=DAY)
    np.testing.assert_array_equal(prior("day").line(bars), [7, 7, 6, 8])
    assert prior("day").find(bars).until.tolist() == [MONDAY + 3 * DAY, MONDAY + 4 * DAY, NEVER]


def test_pivots_of_the_day_before():
    bars = bars_from([(8, 12, 8, 10), (10, 11, 6, 9), (9, 9, 9, 9)], interval=12 * HOUR)
    levels = pivot("day").find(bars)  # H 12, L 6, C 9: S3 is 0, no price
    assert levels.price.tolist() == [9.0, 6.0, 3.0]
    assert [dict(level.params)["name"] for level in levels] == ["pp", "s1", "s2"]
    assert levels.known_at.tolist() == [MONDAY + DAY] * 3
    np.testing.assert_array_equal(pivot("day", names=("r1",)).lines(bars)["r1"], [math.nan, 12, 12])


def test_the_vwap_of_the_day_starts_anew_at_midnight():
    bars = flat([10, 40, 20, 50], volume=[3, 1, 1, 1], interval=12 * HOUR)
    np.testing.assert_array_equal(avwap("day").line(bars), [10, 17.5, 20, 35])
    levels = avwap("day").find(bars)
    assert levels.price.tolist() == [17.5, 35.0]
    assert levels.known_at.tolist() == [MONDAY + DAY, MONDAY + 2 * DAY]
    np.testing.assert_array_equal(avwap("week").line(bars), [10, 17.5, 18, 23.333333333333332])


def test_the_vwap_from_a_time_and_from_a_swing():
    bars = flat([12, 10, 11, 13], volume=[1, 1, 1, 2])
    line = avwap("2026-01-05T01:00Z").line(bars)
    np.testing.assert_allclose(line, [math.nan, 10, 10.5, 11.75], rtol=1e-14)
    swing = avwap(fractal(1)).line(bars)  # the low of bar 1 is known at bar 2, and counts from bar 1
    np.testing.assert_allclose(swing, [math.nan, math.nan, 10.5, 11.75], rtol=1e-14)
    assert np.isnan(avwap("2026-01-04").line(bars)).all()  # before the first bar
    assert np.isnan(avwap("2026-02-01").line(bars)).all()


def test_the_vwap_leaves_out_bars_without_volume():
    nan = math.nan
    line = avwap("day").line(flat([10, 40, nan, 20], volume=[0, 1, nan, 1]))
    np.testing.assert_array_equal(line, [nan, 40, 40, 30])


def test_round_numbers_at_the_reports_price():
    levels = round_numbers().find(flat([67_490]))
    assert levels.price.tolist() == [80_000, 75_000, 70_000, 65_000, 60_000, 55_000]
    majors = [level.price for level in levels if dict(level.params)["major"]]
    assert majors == [80_000, 70_000, 60_000]
    assert levels.price[levels.price < 67_490].max() == 65_000


def test_the_grid_of_round_numbers_changes_when_its_step_no_longer_fits():
    # 100: step 10, within 75 to 125. 99: 10 is more than a tenth, step 5, within 74.25 to 123.75; 101: to 126.25. 260: 5 is
    # less than 2%, step 25, within 195 to 325; of the old ones 75, 100 and 125 are on that grid.
    bars = flat([100, 99, 101, 260])
    at_first = round_numbers().find(bars).known(MONDAY + HOUR)
    assert at_first.price.tolist() == [120, 110, 100, 90, 80]
    assert set(at_first.until.tolist()) == {NEVER}
    assert round_numbers().find(bars).visible(MONDAY + 2 * HOUR).price.tolist() == [
        *(120, 110, 100, 90, 80),
        *(115, 105, 95, 85, 75),
    ]
    last = round_numbers().find(bars).visible(MONDAY + 4 * HOUR)
    assert last.price.tolist() == [100, 75, 125, 325, 300, 275, 250, 225, 200]
    own = round_numbers(step=30.0, reach=0.5).find(flat([100]))
    assert own.price.tolist() == [150, 120, 90, 60]


@pytest.mark.parametrize(
    ("price", "step"), [(67_490, 5_000), (50_000, 5_000), (49_999, 2_500), (24_000, 1_000), (2.0, 0.1), (0.3, 0.025)]
)
def test_the_step_of_round_numbers(price, step):
    assert round_step(price) == step


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: fractal(k=0), "`k` must be a whole number from 1, got 0."),
        (lambda: fractal(k=2.0), "`k` must be a whole number from 1, got 2.0."),
        (lambda: fractal(side="lows"), "`side` can't be 'lows'. Did you mean 'low'?"),
        (lambda: zigzag(0), "`theta` must be a number above 0 to 0.99, got 0."),
        (lambda: zigzag(math.nan), "`theta` must be a number above 0 to 0.99, got nan."),
        (lambda: zigzag(atrs=-1), "`atrs` must be a number from 0, got -1."),
        (lambda: donchian(0), "The lookback of a Donchian channel must be a whole number of bars from 1, got 0."),
        (lambda: prior("days"), "`period` can't be 'days'. Did you mean 'day'?"),
        (lambda: pivot(names=("s4",)), "`names` can't be 's4'. There are: pp, r1, r2, r3, s1, s2, s3."),
        (lambda: pivot(names=()), "`names` must be different names of pivots like ('pp', 's1'), got ()."),
        (lambda: avwap(every="hour"), "`every` can't be 'hour'. There are: day, month, week."),
        (lambda: profile(days=0), "`days` must be a whole number from 1, got 0."),
        (lambda: profile(bin=0), "`bin` must be a number above 0, got 0."),
        (lambda: profile(share=1.5), "`share` must be a number above 0 to 1, got 1.5."),
        (lambda: cluster(width=-1), "`width` must be a number above 0, got -1."),
        (lambda: cluster(pivots=3), "`pivots` must be a detector like Fractal(k=2), got 3."),
        (lambda: round_numbers(step=-5), "`step` must be a number above 0, got -5."),
        (lambda: round_numbers(coarsest=0.05), "`coarsest` 0.05 must be at least 5 times `finest` 0.02."),
        (
            lambda: fractal().find("BTCUSDT"),
            "Levels are found in the bars of one symbol, `market['BTCUSDT']`, got str.",
        ),
        (
            lambda: fractal() | 70_000,
            "Only levels and detectors combine with `|`, got 70000; prices need `fixed`.",
        ),
        (
            lambda: [70_000] | fractal(),
            "Only levels and detectors combine with `|`, got [70000]; prices need `fixed`.",
        ),
        (lambda: (fixed([1.0]) | fractal()).within(-1), "`width` must be a number from 0, got -1."),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value) == sentence


def test_an_anchor_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"`anchor` must be 'day', 'week', 'month', a date .*, got 'soon'\."):
        avwap("soon")
