"""What holds for every life of levels: no event is rewritten, states follow each other, and long histories stay cheap."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets_made import HOUR, START, bars_of, walks

from backtest import Bars
from backtest.levels import Levels
from backtest.levels.life import STATES, LifeRules, life, tape
from backtest.levels.life_walk import Ladder, Thresholds, follow

nan, inf = np.nan, np.inf


def table(prices, known, kind="fractal", width=0.0):
    k = len(prices)
    known_at = np.asarray(known, np.int64)
    return Levels(np.asarray(prices, float), np.full(k, width), (kind,) * k, known_at, known_at, ((),) * k)


# Narrow widths, short lives and few bars between touches, so that short walks meet every state.
QUICK = LifeRules(atr_bars=3, quiet_bars=2, reclaim_bars=3, life_days=2.0, buffer=0.002)
EASY = LifeRules(atr_bars=2, quiet_bars=1, life_days=None, round_trips=None, buffer=0.0, buffer_atr=0.0, rule="wick")


@st.composite
def ladders(draw, n):
    prices = draw(st.lists(st.integers(-8, 8), min_size=1, max_size=6))
    known = [START + HOUR * draw(st.integers(-3, n + 2)) for _ in prices]
    width = draw(st.sampled_from([0.0, 0.7]))
    return table([100 * (1 + 0.005 * p) for p in prices], known, draw(st.sampled_from(["fractal", "fixed"])), width)


@settings(deadline=None)
@given(walks(), st.sampled_from([QUICK, EASY, LifeRules()]), st.data())
def test_no_event_is_rewritten_when_bars_come(market, rules, data):
    levels = data.draw(ladders(len(market)))
    cut = data.draw(st.integers(1, len(market)))
    whole, cut_off = life(bars_of(market), levels, rules), life(bars_of(market.head(cut)), levels, rules)
    before = whole.bar < cut
    for name in ("row", "bar", "state", "touches", "bounces", "round_trips", "broke"):
        np.testing.assert_array_equal(getattr(whole, name)[before], getattr(cut_off, name), err_msg=name)
    np.testing.assert_array_equal(whole.support_below()[:cut], cut_off.support_below())
    seen, then = cut_off.visible(), whole.visible(cut - 1)
    assert seen.state == then.state
    for name in ("row", "price", "touches", "bounces", "round_trips", "age", "strength", "distance"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(then, name), err_msg=name)


@settings(deadline=None)
@given(walks(), st.sampled_from([QUICK, EASY, LifeRules()]), st.data())
def test_the_support_below_is_the_highest_intact_level_below_the_close(market, rules, data):
    bars = bars_of(market)
    levels = data.draw(ladders(len(market)))
    found = life(bars, levels, rules)
    below = found.support_below()
    for t in range(len(bars)):
        states = found.states(t)
        holding = [
            p
            for p, state in zip(levels.price, states, strict=True)
            if state in ("active", "tested", "reclaimed") and p < bars.close[t]
        ]
        np.testing.assert_equal(below[t], max(holding, default=nan))


@settings(deadline=None)
@given(walks(), st.sampled_from([QUICK, EASY, LifeRules()]), st.data())
def test_no_two_touches_are_nearer_than_they_may_be(market, rules, data):
    found = life(bars_of(market), data.draw(ladders(len(market))), rules)
    for row in np.unique(found.row):
        mine = found.row == row
        touched = found.bar[mine][np.diff(found.touches[mine], prepend=0) > 0]
        assert (np.diff(touched) >= rules.quiet_bars).all()


@settings(deadline=None)
@given(walks(), st.sampled_from([QUICK, EASY, LifeRules()]), st.data())
def test_the_order_of_states_is_that_of_a_life(market, rules, data):
    levels = data.draw(ladders(len(market)))
    found = life(bars_of(market), levels, rules)
    may = {
        "active": {"tested", "broken", "retired"},
        "tested": {"tested", "broken", "retired"},
        "reclaimed": {"tested", "broken", "retired"},
        "broken": {"active", "reclaimed", "flipped", "retired"},
        "flipped": {"active", "retired"},
        "retired": set(),
    }
    for row in range(len(levels)):
        mine = [
            (STATES[s], int(h), int(t))
            for s, h, t in zip(
                found.state[found.row == row],
                found.bounces[found.row == row],
                found.touches[found.row == row],
                strict=True,
            )
        ]
        assert all(h <= t for _, h, t in mine)
        assert not mine or mine[0][0] in ("active", "broken")
        assert all(b in may[a] for (a, _, _), (b, _, _) in pairwise(mine))


def random_bars(n, seed=5, step=0.004):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, step, n)))
    opens = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opens, close) * 1.002, np.minimum(opens, close) * 0.998
    halted = rng.random(n) < 0.01
    columns = (np.where(halted, nan, c) for c in (opens, high, low, close, np.ones(n)))
    return Bars("BTCUSDT", HOUR, START + HOUR * np.arange(n), *columns)


@pytest.mark.parametrize("rules", [LifeRules(), EASY])
def test_bars_that_are_passed_at_once_change_nothing(rules):
    bars, n = random_bars(12_000), 12_000
    prices = np.exp(np.linspace(np.log(np.nanmin(bars.low)), np.log(np.nanmax(bars.high)), 60))
    starts = np.arange(60) * 100
    ladder = Ladder(
        prices, np.resize([0.0, 0.3, 3.0], 60), starts, np.full(60, n), np.zeros(60, int), np.full(60, 1 << 60)
    )
    quick = tape(bars, rules)
    slow = quick._replace(
        **{name: np.full(getattr(quick, name).shape, -inf if name.startswith("low") else inf) for name in BLOCKS}
    )
    limits = Thresholds(rules.buffer, rules.quiet_bars, 24)
    found = follow(quick, ladder, limits)
    assert found.shape[1] > 500
    np.testing.assert_array_equal(found, follow(slow, ladder, limits))


BLOCKS = [f"{side}_{what}{size}" for side in ("low", "high") for what in ("zone", "bare") for size in ("", "_large")]


def swings(n):
    bars = random_bars(n)
    low = bars.low
    i = np.flatnonzero((low[1:-1] < low[:-2]) & (low[1:-1] < low[2:])) + 1
    return bars, table(low[i], bars.known_at[i + 1])


def seconds(n):
    bars, levels = swings(n)
    start = time.process_time()
    found = life(bars, levels)
    found.support_below()
    found.visible()
    return time.process_time() - start


def test_the_time_does_not_grow_with_the_square_of_the_bars():
    seconds(200)  # compiles
    short, long = min(seconds(20_000) for _ in range(3)), seconds(160_000)
    assert long < 25 * short, "eight times the bars and the levels; with the square it would be 64 times the time"
