"""Detectors combined: what is merged, what is kept, and what shows when."""

import pickle

import numpy as np
import pytest
from bars_made import HOUR, MONDAY, bars_from, columns, head, random_bars

from backtest.errors import ConfigError
from backtest.levels import (
    ALWAYS,
    NEVER,
    Cluster,
    Composed,
    Donchian,
    Fractal,
    Levels,
    Pivot,
    Prior,
    Profile,
    RoundNumbers,
    Zigzag,
    breaks,
    fixed,
    fractal,
    prior,
    round_numbers,
)

DAY = 24 * HOUR
NOTHING = bars_from([])


def level(price, day=0, kind="x", until=NEVER):
    """Return one level, known some days after MONDAY."""
    time = MONDAY + day * DAY
    return Levels([price], [0.0], (kind,), [time], [time], ((),), [until])


def rows(levels):
    return list(zip(levels.price.tolist(), levels.origin, strict=True))


def test_a_level_within_the_width_of_an_older_one_is_merged_into_it():
    # 0.3% of 100.2 is 0.3006; of 100.4, 0.3012.
    both = (level(100.0, 0, "a") | level(100.2, 1, "b") | level(100.4, 2, "c")).find(NOTHING)
    assert rows(both) == [(100.0, ("a", "b")), (100.4, ("c",))]
    assert both.known_at.tolist() == [MONDAY, MONDAY + 2 * DAY]
    wider = (level(100.0, 0, "a") | level(100.2, 1, "b") | level(100.4, 2, "c")).within(0.005).find(NOTHING)
    assert rows(wider) == [(100.0, ("a", "b", "c"))]
    apart = (level(100.0, 0, "a") | level(100.2, 1, "b")).within(0.0).find(NOTHING)
    assert rows(apart) == [(100.0, ("a",)), (100.2, ("b",))]


def test_the_older_one_stays_whatever_the_order_of_the_parts():
    for one, other in [(level(100.0, 1, "late"), level(100.2, 0, "early"))] * 2:
        assert rows((one | other).find(NOTHING)) == [(100.2, ("early", "late"))]
        assert rows((other | one).find(NOTHING)) == [(100.2, ("early", "late"))]


def test_an_origin_shows_only_once_it_is_known():
    both = (level(100.0, 0, "a") | level(100.2, 1, "b")).find(NOTHING)
    assert both.known(MONDAY).origin == (("a",),)
    assert both.known(MONDAY + DAY).origin == (("a", "b"),)
    assert both.merged.of(0).price.tolist() == [100.0, 100.2]
    assert both[0].origin == both[-1].origin == ("a", "b")


def test_the_nearest_level_takes_it_and_the_lower_of_two_as_near():
    ladder = level(100.0, 0, "a") | level(101.0, 0, "b") | level(100.75, 1, "c")
    assert rows(ladder.within(0.008).find(NOTHING)) == [(100.0, ("a",)), (101.0, ("b", "c"))]
    tie = level(100.0, 0, "a") | level(101.0, 0, "b") | level(100.5, 1, "c")
    assert rows(tie.within(0.008).find(NOTHING)) == [(100.0, ("a", "c")), (101.0, ("b",))]


def test_an_old_level_takes_no_new_one_unless_it_was_always_known():
    late = level(100.1, 181, "late")
    assert rows((level(100.0, 0, "old") | late).find(NOTHING)) == [(100.0, ("old",)), (100.1, ("late",))]
    assert rows((level(100.0, 1, "old") | late).find(NOTHING)) == [(100.0, ("old", "late"))]
    assert rows((fixed([100.0]) | late).find(NOTHING)) == [(100.0, ("fixed", "late"))]
    assert (fixed([100.0]) | late).find(NOTHING).known_at.tolist() == [ALWAYS]
    # Beyond one that is too old a nearer one that is not too old is still found.
    three = (level(100.2, 2, "kept") | level(100.05, 0, "old") | late).within(0.001)
    assert rows(three.find(NOTHING)) == [(100.05, ("old",)), (100.2, ("kept", "late"))]


def test_a_moving_level_is_merged_into_a_lasting_one_and_takes_none():
    prior_low = level(100.0, 1, "prior", until=MONDAY + 2 * DAY)
    assert rows((level(100.1, 0, "a") | prior_low).find(NOTHING)) == [(100.1, ("a", "prior"))]
    assert rows((level(100.1, 2, "a") | prior_low).find(NOTHING)) == [(100.0, ("prior",)), (100.1, ("a",))]


def test_the_width_in_average_true_ranges():
    bars = bars_from([(100, 101, 99, 100)] * 20)  # an ATR of 2 from bar 13 on
    early = level(100.0, 0, "a") | level(100.9, 0.25, "b")
    assert len(early.within(0.0, atrs=0.5).find(bars)) == 2  # known at the close of bar 5, where there is no ATR
    late = level(100.0, 0, "a") | level(100.9, 0.75, "b") | level(101.1, 0.75, "c")
    assert rows(late.within(0.0, atrs=0.5).find(bars)) == [(100.0, ("a", "b")), (101.1, ("c",))]


def test_the_combination_of_the_documentation():
    bars = random_bars(11, 900)
    detector = fixed([60_000.0, 57_000.0]) | fractal(k=3) | round_numbers()
    levels = detector.find(bars)
    assert levels.price[:2].tolist() == [60_000.0, 57_000.0]
    assert levels[0].origin[:2] == ("fixed", "round(step=5000.0)")
    assert {"fixed", "fractal", "round"} >= set(levels.kind)
    assert len(levels) < len(levels.merged.rows)
    assert len(breaks(bars, levels)) > 0
    for n in (1, 100, 640):
        assert columns(detector.find(head(bars, n))) == columns(levels.known(int(bars.known_at[n - 1])))


def test_combining_the_combined_is_flat_and_keeps_the_width():
    narrow = (fractal() | prior()).within(0.001)
    assert (narrow | round_numbers()).parts == (fractal(), prior(), round_numbers())
    assert (round_numbers() | narrow).width == 0.001
    assert repr(narrow) == (
        "(Fractal(k=2, side='low') | Prior(period='day')).within(width=0.001, atrs=0.0, memory=180.0)"
    )
    assert eval(repr(narrow), {"Fractal": Fractal, "Prior": Prior}) == narrow


@pytest.mark.parametrize(
    "detector", [Fractal(3), Zigzag(), Donchian(55), Prior("week"), Pivot(), Profile(), Cluster(), RoundNumbers()]
)
def test_a_detector_is_a_value(detector):
    names = {c.__name__: c for c in (Fractal, Zigzag, Donchian, Prior, Pivot, Profile, Cluster, RoundNumbers)}
    assert eval(repr(detector), names) == detector
    assert pickle.loads(pickle.dumps(detector)) == detector
    assert hash(detector) == hash(pickle.loads(pickle.dumps(detector)))
    assert isinstance(detector | fixed([1.0]), Composed)


def test_merged_tables_add_and_are_taken_apart():
    both = (level(100.0, 0, "a") | level(100.2, 1, "b")).find(NOTHING)
    added = level(50.0, 0, "c") + both
    assert rows(added) == [(50.0, ("c",)), (100.0, ("a", "b"))]
    assert rows(added.take(np.array([1]))) == [(100.0, ("a", "b"))]
    assert rows((both | level(100.1, 2, "d")).find(NOTHING)) == [(100.0, ("a", "b", "d"))]
    assert rows(both.find(NOTHING)) == rows(both)


def test_a_superseded_level_is_known_but_not_visible():
    old = level(100.0, 0, "prior", until=MONDAY + DAY)
    assert old.visible(MONDAY).price.tolist() == [100.0]
    assert old.visible(MONDAY).until.tolist() == [NEVER]
    assert old.visible(MONDAY + DAY).price.tolist() == []
    assert old.known(MONDAY + DAY).price.tolist() == [100.0]
    with pytest.raises(ConfigError, match=r"The level 100\.0 is over before it is known\."):
        level(100.0, 1, until=MONDAY)


def test_a_detector_where_a_table_is_asked_for():
    with pytest.raises(ConfigError, match=r"got Fractal\(k=2, side='low'\); apply it to bars with `\.find\(bars\)`\."):
        breaks(NOTHING, fractal())
