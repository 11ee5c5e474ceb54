"""Tables of levels, given prices, and the channel of Donchian."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets_made import START, bars_of, candles, closes, walks

from backtest.errors import ConfigError
from backtest.levels import Level, Levels, donchian, fixed

# --- tables of levels ---


def test_fixed_prices_make_a_ladder_from_the_top():
    table = fixed([70_000, 75_000])
    assert table.price.tolist() == [75_000.0, 70_000.0]
    assert table[1] == Level(70_000.0, 0.0, "fixed", -(2**63), -(2**63))
    assert len(table) == 2
    assert [level.price for level in table] == [75_000.0, 70_000.0]


@pytest.mark.parametrize(
    ("given_time", "ns"),
    [
        ("2026-02-03", START),
        ("2026-02-03T00:00Z", START),
        ("2026-02-03T01:00+01:00", START),
        (START, START),
    ],
)
def test_fixed_prices_are_known_from_a_time(given_time, ns):
    assert fixed([100.0], known_from=given_time).known_at.tolist() == [ns]


@pytest.mark.parametrize(
    "prices", [[65_000, 70_000, 75_000], (75_000, 70_000, 65_000), np.array([65_000.0, 70_000.0, 75_000.0])]
)
def test_fixed_prices_come_from_the_top_or_from_the_bottom(prices):
    assert fixed(prices).price.tolist() == [75_000.0, 70_000.0, 65_000.0]


def out_of_order(price, before):
    return f"`levels` must be in order, high to low or low to high; {price} stands after {before}."


@pytest.mark.parametrize(
    ("prices", "sentence"),
    [
        ([], "`levels` is empty; give at least one price, like (75000.0, 70000.0)."),
        ([75_000.0, math.nan], "A level must be a price above 0, got nan."),
        ([math.inf], "A level must be a price above 0, got inf."),
        ([0.0], "A level must be a price above 0, got 0.0."),
        ([-5], "A level must be a price above 0, got -5."),
        (["75000"], "A level must be a price above 0, got '75000'."),
        ([True], "A level must be a price above 0, got True."),
        ("75000", "`levels` must be a list of prices like (75000.0, 70000.0), got '75000'."),
        (75_000.0, "`levels` must be a list of prices like (75000.0, 70000.0), got 75000.0."),
        ([70_000, 75_000, 70_000.0], "The level 70000.0 stands twice."),
        ((80_000, 7_000, 75_000), out_of_order(75_000.0, 7_000.0)),
        ((65_000, 70_000, 7_500, 80_000), out_of_order(7_500.0, 70_000.0)),
        (np.array([70.0, 65.0, 60.0, 62.5]), out_of_order(62.5, 60.0)),
    ],
)
def test_prices_that_are_none_are_refused(prices, sentence):
    with pytest.raises(ConfigError) as error:
        fixed(prices)
    assert str(error.value) == sentence


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="`known_from` must be a date like '2026-01-15' or ns UTC, got 'soon'"):
        fixed([100.0], known_from="soon")


def test_tables_add_and_show_only_what_was_known():
    both = fixed([100.0]) + fixed([90.0, 95.0], known_from="2026-02-03")
    assert both.price.tolist() == [100.0, 95.0, 90.0]
    assert both.known(START - 1).price.tolist() == [100.0]
    assert both.known(START).price.tolist() == [100.0, 95.0, 90.0]


def test_a_table_is_frozen():
    table = fixed([100.0])
    with pytest.raises(FrozenInstanceError):
        table.price = np.array([1.0])
    with pytest.raises(ValueError, match="read-only"):
        table.price[0] = 1.0


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (([100.0], [0.0, 0.0], ("x",), [0], [0], ((),)), "A table of 1 levels needs that many values in every column."),
        (([100.0], [-1.0], ("x",), [0], [0], ((),)), "A level's half-width must be at least 0, got -1.0."),
        (([100.0], [math.nan], ("x",), [0], [0], ((),)), "A level's half-width must be at least 0, got nan."),
        (([100.0], [0.0], ("x",), [5], [4], ((),)), "The level 100.0 is known before it formed."),
        (([math.nan], [0.0], ("x",), [0], [0], ((),)), "A level must be a price above 0, got nan."),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(columns, sentence):
    with pytest.raises(ConfigError) as error:
        Levels(*columns)
    assert str(error.value) == sentence


# --- donchian ---


def test_donchian_is_the_lowest_low_before_the_bar():
    bars = bars_of(candles([(9, 9, low, 9) for low in (5, 3, 4, 6, 2, 7)]))
    np.testing.assert_array_equal(donchian(bars, 1), [np.nan, 5, 3, 4, 6, 2])
    np.testing.assert_array_equal(donchian(bars, 2), [np.nan, np.nan, 3, 3, 4, 2])
    np.testing.assert_array_equal(donchian(bars, 3), [np.nan, np.nan, np.nan, 3, 3, 2])
    np.testing.assert_array_equal(donchian(bars, 5), [np.nan, np.nan, np.nan, np.nan, np.nan, 2])
    np.testing.assert_array_equal(donchian(bars, 6), [np.nan] * 6)
    np.testing.assert_array_equal(donchian(bars, 20), [np.nan] * 6)


def test_donchian_is_nan_where_a_bar_of_the_window_did_not_trade():
    bars = bars_of(candles([(9, 9, 5, 9), (np.nan,) * 4, (9, 9, 4, 9), (9, 9, 6, 9), (9, 9, 2, 9)]))
    np.testing.assert_array_equal(donchian(bars, 2), [np.nan, np.nan, np.nan, np.nan, 4])


def test_donchian_of_no_bars_is_empty():
    assert donchian(bars_of(closes([])), 3).size == 0


@pytest.mark.parametrize("n", [0, -1, 2.0, "20", True, None])
def test_donchian_refuses_a_window_that_is_none(n):
    with pytest.raises(
        ConfigError, match="The lookback of a Donchian channel must be a whole number of bars from 1, got"
    ):
        donchian(bars_of(closes([1.0, 2.0])), n)


@given(walks(), st.integers(1, 130))
def test_donchian_is_the_plain_minimum_of_each_window(market, n):
    bars = bars_of(market)
    plain = [np.nan if t < n else bars.low[t - n : t].min() for t in range(len(bars))]
    np.testing.assert_array_equal(donchian(bars, n), plain)


@given(walks())
def test_donchian_is_the_same_on_every_earlier_market(market):
    whole = donchian(bars_of(market), 7)
    for t in range(len(market)):
        np.testing.assert_array_equal(donchian(bars_of(market.head(t)), 7), whole[:t])
