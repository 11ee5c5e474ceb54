"""The compiled walk of levels against the plain one, and each guard of the stretches that it passes at once by itself."""

import numpy as np
import pytest
from bars_made import random_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from life_oracle import lives
from markets_made import HOUR, START, bars_of, candles

from backtest.levels import NEVER, Levels, fractal
from backtest.levels.life import STATES, LifeRules, life

# Whole numbers throughout, so that prices fall on the edges of zone, delta and away: all of them are the half-width, or one.
EDGES = {"buffer": 1 / 64, "buffer_atr": 0.0, "zone": 0.0, "away": 0.0, "leave": 1e-300, "atr_bars": 1}
RULES = {
    "edges": LifeRules(**EDGES, quiet_bars=3, reclaim_bars=2, life_days=1.5, round_trips=3),
    "edges of wicks": LifeRules(**EDGES, rule="wick", quiet_bars=1, life_days=None, round_trips=None),
    "no delta": LifeRules(**EDGES | {"buffer": 0.0}, quiet_bars=2, reclaim_bars=4, round_trips=None, life_days=None),
    "ranges": LifeRules(buffer=0.0, atr_bars=2, quiet_bars=2, reclaim_bars=3, life_days=None, round_trips=None),
    "as they are": LifeRules(atr_bars=3),
}


def plain(found):
    columns = (found.row, found.bar, found.state, found.touches, found.bounces, found.round_trips, found.broke)
    return [
        (int(r), int(b), STATES[s], int(t), int(h), int(n), bool(x))
        for r, b, s, t, h, n, x in zip(*columns, strict=True)
    ]


@st.composite
def ladders(draw, n):
    """Levels around 64 with whole half-widths, known at any time, some of them superseded."""
    prices = draw(st.lists(st.integers(60, 68), min_size=1, max_size=4))
    k = len(prices)
    known = START + HOUR * np.array(draw(st.lists(st.integers(-2, n // 2), min_size=k, max_size=k)))
    width = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=k, max_size=k))
    lasts = draw(st.lists(st.sampled_from([0, 3, 10, NEVER]), min_size=k, max_size=k))
    until = [NEVER if last == NEVER else int(t) + last * HOUR for t, last in zip(known, lasts, strict=True)]
    kind = (draw(st.sampled_from(["fractal", "fixed"])),) * k
    return Levels(np.array(prices, float), np.array(width), kind, known, known, ((),) * k, np.array(until))


@st.composite
def steps(draw):
    """Bars at whole prices that cross 64 again and again, with wicks, gaps and halts."""
    moves = draw(st.lists(st.integers(-5, 5), min_size=2, max_size=150))
    rows, last = [], draw(st.integers(58, 70))
    for move in moves:
        opened = last
        last = min(74, max(54, last + move))
        up, down = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (0, 1), (2, 3)]))
        halted = draw(st.integers(0, 30)) == 0
        gap = last if draw(st.integers(0, 4)) == 0 else opened
        rows.append([np.nan] * 4 if halted else [gap, max(gap, last) + up, min(gap, last) - down, last])
    return bars_of(candles(rows))


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_walk_is_the_plain_one_on_steps(name, data):
    bars = data.draw(steps())
    levels = data.draw(ladders(len(bars)))
    assert plain(life(bars, levels, RULES[name])) == lives(bars, levels, RULES[name])


@pytest.mark.parametrize(
    ("seed", "rules"),
    [(1, LifeRules()), (2, LifeRules(life_days=20.0, round_trips=None)), (3, LifeRules(rule="wick", round_trips=5))],
)
def test_the_walk_is_the_plain_one_on_random_bars(seed, rules):
    bars = random_bars(seed, 2500, step=0.004)
    found = fractal(k=6).find(bars)
    width = np.resize([0.0, 30.0, 600.0], len(found))
    levels = Levels(found.price, width, found.kind, found.formed_at, found.known_at, found.params, found.until)
    events = lives(bars, levels, rules)
    assert plain(life(bars, levels, rules)) == events
    assert len(events) > 300
    assert {state for _, _, state, *_ in events} == {*STATES} - {"unknown", "formed"}


# --- stretches that are passed at once: 32 or 1,024 bars -----------------------------------------------------------

# Bars of a range of 1 and an ATR of 1, so that the zone of 1.5 ATR reaches 1.5 from the level.
NEAR = LifeRules(zone=1.5, away=3.0, leave=4.0, buffer=0.0, buffer_atr=0.25, life_days=None, round_trips=None)


def still(n, price, spikes):
    """Bars that stand at a price, each from half below to half above, but for {bar: (low, high, close)}."""
    rows = [(price, price + 0.5, price - 0.5, price)] * n
    for bar, (low, high, close) in spikes.items():
        rows[bar] = (price, max(high, price), min(low, price), close)
    return bars_of(candles(rows))


def one_level(price, width=0.0, known=0):
    at = np.array([START + known * HOUR])
    return Levels(np.array([price]), np.array([width]), ("fractal",), at, at, ((),))


def events_of(bars, level, rules=NEAR):
    found = life(bars, level, rules)
    return [(int(b), STATES[s]) for b, s in zip(found.bar, found.state, strict=True)]


LOW = 2048  # a bar with which both a small and a large block begin
SPIKES = [LOW, LOW + 1, LOW + 31, LOW + 32, LOW + 40, LOW + 1023, LOW + 1024]


@pytest.mark.parametrize("spike", SPIKES)
@pytest.mark.parametrize("width", [0.0, 5.0])
def test_a_touch_from_above_is_met_wherever_it_lies(spike, width):
    # With the level at 100 price stands 8 above; the low reaches 0.2 into the zone of 1.5 ATR, or into the half-width.
    # The spike's own ATR is (13 * 1 + 7) / 14 = 1.43 or less in Wilder's mean, a zone of 2.1.
    edge = 102.0 if width == 0 else 104.8
    bars = still(LOW + 2100, 108.0, {spike: (edge, 108.5, 108.0)})
    assert events_of(bars, one_level(100.0, width))[:2] == [(0, "active"), (spike, "tested")]


@pytest.mark.parametrize("spike", SPIKES)
@pytest.mark.parametrize("width", [0.0, 5.0])
def test_a_touch_from_below_is_met_wherever_it_lies(spike, width):
    # Broken at 40, far below by then; a high into the zone, and the close that rejects it, at the same bar.
    edge = 98.0 if width == 0 else 95.2
    rows = dict.fromkeys((40,), (91.5, 108.5, 92.0))
    before = still(40, 108.0, {})
    after = still(LOW + 2100, 92.0, {**rows, spike: (91.5, edge, 92.0)})
    columns = {}
    for name in ("open", "high", "low", "close"):
        columns[name] = np.concatenate((getattr(before, name), getattr(after, name)[40:]))
    bars = bars_of(candles(np.column_stack([columns[n] for n in ("open", "high", "low", "close")])))
    assert events_of(bars, one_level(100.0, width))[-2:] == [(40, "broken"), (spike, "flipped")]


@pytest.mark.parametrize("known", [33, 64, 1024, 1056, 2040])
@pytest.mark.parametrize("side", [1, -1])
def test_a_large_stretch_begins_only_where_a_block_does(known, side):
    # Known in the middle of a large block that is clear; the touch lies just behind the block's end.
    spike = (known // 1024 + 1) * 1024 + 3
    low, high = sorted((100.0 + side * 1.0, 100.0 + side * 8.5))
    bars = still(4096, 100.0 + side * 8.0, {spike: (low, high, 100.0 + side * 8.0)})
    first = "active" if side > 0 else "broken"
    then = "tested" if side > 0 else "flipped"
    assert events_of(bars, one_level(100.0, known=known))[:2] == [(known - 1, first), (spike, then)]


def test_a_flipped_level_is_won_back_by_a_gap_at_the_beginning_of_a_block():
    # Broken at 20 and flipped at 40; from 64 on, where a block begins, all bars lie clear above.
    rows = [(108.0, 108.5, 107.5, 108.0)] * 20 + [(108.0, 108.0, 91.5, 92.0)] + [(92.0, 92.5, 91.5, 92.0)] * 19
    rows += [(92.0, 99.5, 91.5, 92.0)] + [(92.0, 92.5, 91.5, 92.0)] * 23 + [(108.0, 108.5, 107.5, 108.0)] * 64
    found = events_of(bars_of(candles(rows)), one_level(100.0))
    assert [event for event in found if event[0] >= 20][-3:] == [(20, "broken"), (40, "flipped"), (64, "active")]


@pytest.mark.parametrize(("price", "state"), [(101.0, "broken"), (100.0, "flipped")])
def test_bars_between_zone_and_delta_are_no_touch_from_below(price, state):
    # Delta is 100/64 = 1.56 and the zone the level alone: a bar that stands at 101, gaps before and behind, is not in it.
    stands = [(p, p, p, p) for p in (108.0, 92.0, 92.0, 92.0, price, 92.0, 92.0)]
    rules = LifeRules(**EDGES, life_days=None, round_trips=None)
    assert life(bars_of(candles(stands)), one_level(100.0), rules).states() == (state,)


def test_a_level_that_is_over_before_a_bar_traded_has_no_life():
    rows = [(105.0, 106.0, 104.0, 105.0)] * 3 + [[np.nan] * 4] * 4 + [(105.0, 106.0, 104.0, 105.0)] * 3
    at = np.array([START + 4 * HOUR])
    level = Levels(np.array([100.0]), np.zeros(1), ("prior",), at, at, ((),), at + 2 * HOUR)
    assert len(life(bars_of(candles(rows)), level)) == 0


def test_more_events_than_there_is_room_for_are_all_told():
    # A level that each bar breaks or wins back: two events a bar, more than the 72 that are made room for at first.
    rows = [(100.0 + s, 100.0 + s + 0.5, 100.0 + s - 0.5, 100.0 + s) for s in np.resize([4.0, -4.0], 200)]
    rules = LifeRules(**EDGES | {"buffer": 0.0}, life_days=None, round_trips=None)
    bars = bars_of(candles(rows))
    found = plain(life(bars, one_level(100.0), rules))
    assert len(found) > 72
    assert found == lives(bars, one_level(100.0), rules)
    assert [bar for _, bar, _, _, _, _, broke in found if broke] == list(range(1, 200, 2))
