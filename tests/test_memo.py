"""The memo of a sweep: nothing comes out otherwise, nothing grows, nothing crosses from one market to another."""

import pickle
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest
from signal_markets import drawn

from backtest.levels import DETECTORS, RULES, Donchian, atr, bounces, breaks, donchian, fixed, fractal, life
from backtest.market import load_market
from backtest.model import Plan
from backtest.model.memo import Memo, memoised
from backtest.signals import SIGNALS, technical, technical_names


@pytest.fixture(scope="module")
def market():
    return load_market("deleveraging-2026").head(4000)


WINDOWS = {"sma": {"window": 20}}  # it has no default


def same(one, other) -> bool:
    """Whether two results hold the same numbers, bit for bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return one == other


def thrice(memo, function):
    """Return what a function gives without the memo, then twice with it."""
    alone = function()
    with memo.active():
        return alone, function(), function()


@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_every_signal_is_the_same(name):
    drawn_market = drawn(seed=11, n=500)
    symbol = drawn_market.symbols[1]
    alone, first, second = thrice(Memo(drawn_market), lambda: SIGNALS[name](drawn_market, symbol))
    assert same(alone, first)
    assert same(alone, second)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_is_the_same_and_so_is_what_is_made_of_it(market, name):
    def breaks_of_it():
        bars = market["BTCUSDT"]
        levels = DETECTORS[name].find(bars)
        return (
            levels,
            bounces(bars, levels),
            life(bars, levels).events if hasattr(life(bars, levels), "events") else None,
        )

    alone, first, second = thrice(Memo(market), breaks_of_it)
    assert same(alone[0], first[0])
    assert same(alone[1], second[1])


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_of_breaks_is_the_same(market, rule):
    def found(buffer):
        bars = market["BTCUSDT"]
        return breaks(bars, fractal(k=5).find(bars), rule=rule, buffer=buffer, buffer_atr=0.5)

    memo = Memo(market)
    for buffer in (0.0, 0.003, 0.0):
        alone, first, second = thrice(memo, lambda buffer=buffer: found(buffer))
        assert same(alone, first)
        assert same(alone, second)


@pytest.mark.parametrize("name", sorted(technical_names()))
def test_every_indicator_is_the_same(market, name):
    alone, first, second = thrice(Memo(market), lambda: technical(market["BTCUSDT"], name, **WINDOWS.get(name, {})))
    assert same(alone, first)
    assert same(alone, second)


def test_what_was_asked_before_is_not_made_again(market):
    with Memo(market).active():
        assert market["BTCUSDT"] is market["BTCUSDT"]
        assert donchian(market["BTCUSDT"], 20) is donchian(market["BTCUSDT"], 20)
        assert donchian(market["BTCUSDT"], 20) is not donchian(market["BTCUSDT"], 21)
        assert Donchian(20).find(market["BTCUSDT"]) is Donchian(20).find(market["BTCUSDT"])
        assert atr(market["BTCUSDT"]) is not atr(market["ETHUSDT"])
    assert market["BTCUSDT"] is not market["BTCUSDT"]


def test_a_whole_number_is_not_a_fraction_and_true_is_not_one(market):
    """They compare equal, but a function may treat them otherwise."""
    asked = memoised(lambda bars, value: repr(value))
    with Memo(market).active():
        bars = market["BTCUSDT"]
        assert [asked(bars, v) for v in (1, 1.0, True, -0.0, 0.0)] == ["1", "1.0", "True", "-0.0", "0.0"]


def test_an_array_of_the_strategy_s_own_is_never_taken_for_another(market):
    """It may be written into between two calls."""
    calls = []
    total = memoised(lambda values: calls.append(1) or float(values.sum()))
    own = np.zeros(10_000)
    with Memo(market).active():
        assert total(own) == 0.0
        own[0] = 5.0
        assert total(own) == 5.0
    assert len(calls) == 2


def test_a_short_array_is_told_by_its_values(market):
    total = memoised(lambda values: float(values.sum()))
    own = np.zeros(3)
    with Memo(market).active():
        assert total(own) == 0.0
        own[0] = 5.0
        assert total(own) == 5.0


def test_what_is_shared_cannot_be_written_to(market):
    with Memo(market).active():
        lows = donchian(market["BTCUSDT"], 20)
        with pytest.raises(ValueError, match="read-only"):
            lows[0] = 1.0
        lines = technical(market["BTCUSDT"], "macd")
        lines["macd"] = None
        assert technical(market["BTCUSDT"], "macd")["macd"] is not None
    mine = donchian(market["BTCUSDT"], 20)
    mine[0] = 1.0


def test_an_argument_stays_writable(market):
    """A function that gives back what it got is not remembered, and its argument is left as it was."""
    given = memoised(lambda values: values)
    own = np.zeros(3)
    with Memo(market).active():
        assert given(own) is own
    own[0] = 1.0


def test_the_bytes_are_bounded(market):
    """A result of 4,000 numbers takes 32,000 bytes; twenty of them do not fit into 200,000."""
    memo = Memo(market, most=400_000)
    with memo.active():
        for n in range(2, 200):
            donchian(market["BTCUSDT"], n)
            assert memo.size <= 400_000
        assert 0 < len(memo.entries) <= 12
        assert sum(e.size for e in memo.entries.values()) == memo.size
    tiny = Memo(market, most=100)
    with tiny.active():
        donchian(market["BTCUSDT"], 20)
    assert (tiny.size, len(tiny.entries)) == (0, 0)


def test_what_was_made_of_a_forgotten_result_is_forgotten_too(market):
    memo = Memo(market)
    with memo.active():
        levels = fractal(k=2).find(market["BTCUSDT"])
        breaks(market["BTCUSDT"], levels)
        before = len(memo.entries)
        memo.forget(next(k for k, e in memo.entries.items() if e.value is levels))
        assert len(memo.entries) <= before - 2
        assert id(levels) not in memo.known


def test_nothing_is_shared_between_markets(market):
    other = load_market("deleveraging-2026", seed=5).head(4000)
    memo = Memo(market)
    with memo.active():
        mine, theirs = donchian(market["BTCUSDT"], 20), donchian(other["BTCUSDT"], 20)
        assert not same(mine, theirs)
        assert same(theirs, donchian(other["BTCUSDT"], 20))
        assert donchian(other["BTCUSDT"], 20) is not donchian(other["BTCUSDT"], 20)


def test_a_mistake_is_made_again_each_time(market):
    with Memo(market).active():
        for _ in range(2):
            with pytest.raises(Exception, match="whole number of bars from 1"):
                donchian(market["BTCUSDT"], 0)


def test_levels_given_by_price_are_told_by_their_prices(market):
    with Memo(market).active():
        bars = market["BTCUSDT"]
        one, other = breaks(bars, fixed((95_000.0,))), breaks(bars, fixed((100_000.0,)))
        assert breaks(bars, fixed((95_000.0,))) is one
        assert breaks(bars, fixed((100_000.0,))) is other
        assert one is not other


@dataclass(frozen=True)
class Unfrozen:
    values: list


def test_what_could_be_changed_is_not_remembered(market):
    made = memoised(lambda bars: Unfrozen([1]))
    with Memo(market).active():
        assert made(market["BTCUSDT"]) is not made(market["BTCUSDT"])


def test_a_plan_is_the_same_with_and_without_it(market):
    def plan():
        bars = market["BTCUSDT"]
        support = donchian(bars, 20)
        return Plan.short("BTCUSDT", at=bars.close < support, close_stop=support)

    alone, first, second = thrice(Memo(market), plan)
    assert (
        pickle.dumps(alone.records.tobytes())
        == pickle.dumps(first.records.tobytes())
        == pickle.dumps(second.records.tobytes())
    )
