"""The map of levels: every column worked by hand on small markets, what is drawn, and nothing later than the moment."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets_made import START, candles
from real_market import bitcoin, needs_history
from signal_markets import drawn

from backtest import load_market
from backtest.analysis.level_map import called, level_map
from backtest.errors import ConfigError, MarketError
from backtest.levels import ALWAYS, NEVER, Levels, fixed, fractal, prior, round_numbers
from backtest.model import Feed

HOUR = 3_600_000_000_000

# A flat stretch (true range 2), then the level 100 is touched, holds, and breaks. ATR of the last bar: 849/343.
FLAT = [(104, 105, 103, 104)] * 14
ROWS = [*FLAT, (101, 102, 100, 101), (101, 104, 101, 103), (103, 103, 97, 98)]
COINS = [1000] * 11 + [1005] * 4 + [1015, 995, 999]  # at the open and at each close: +5 in bar 10, +10, -20, +4
LONGS = [0] * 14 + [500, 70, 2000]
SHORTS = [7] * 14 + [30, 900, 0]


def feed(name, values, first=1, unit="usd", step=1):
    """Return a feed of BTCUSDT stamped every `step` hours from `first` hours after the first bar's open."""
    known = START + HOUR * (first + step * np.arange(len(values)))
    return Feed(f"BTCUSDT.{name}", known, np.array(values, np.float64), unit)


def market(rows=ROWS, **feeds):
    """Return the market with open interest and liquidations, or other feeds in their place; None leaves one out."""
    usual = {
        "open_interest": feed("open_interest", COINS, 0, "coins"),
        "long_liquidations": feed("long_liquidations", LONGS),
        "short_liquidations": feed("short_liquidations", SHORTS),
    }
    kept = {f"BTCUSDT.{name}": one for name, one in (usual | feeds).items() if one is not None}
    return replace(candles(rows), feeds=kept)


def row_at(found, price):
    return next(row for row in found.rows if row.price == price)


# --- every column by hand -----------------------------------------------------------------------------------------


def test_every_column_of_a_level_that_was_touched_held_and_broke():
    found = level_map(market(), levels=fixed([100, 90]))
    assert (found.market, found.symbol, found.price, found.grade) == ("market", "BTCUSDT", 98.0, "A")
    assert found.time == START + 17 * HOUR
    assert found.atr == pytest.approx(849 / 343)
    assert [row.price for row in found.rows] == [100.0, 90.0]
    row = found.rows[0]
    assert (row.kind, row.found_by, row.origin, row.major) == ("given", ("given",), ("fixed",), False)
    assert (row.state, row.intact, row.touches, row.bounces) == ("broken", False, 1, 1)
    assert (row.known_at, row.age) == (START + HOUR, 16 * HOUR)
    assert row.strength == pytest.approx(0.99262, abs=1e-5)  # exp(-16/2160)
    assert row.distance == pytest.approx(0.0204081633)  # 100/98 - 1
    assert row.atrs == pytest.approx(686 / 849)
    assert row.opened == pytest.approx(10 * 101 + 4 * 298 / 3)  # bars 14 and 16, at (H+L+C)/3; bar 15 stayed above
    assert (row.longs, row.shorts) == (2500.0, 30.0)


def test_a_level_that_price_never_reached_has_zeros_and_not_unknowns():
    row = level_map(market(), levels=fixed([100, 90])).rows[1]
    assert (row.price, row.state, row.intact, row.touches, row.bounces, row.strength) == (90.0, "active", True, 0, 0, 0)
    assert row.distance == pytest.approx(-8 / 98)
    assert row.atrs == pytest.approx(-8 * 343 / 849)
    assert (row.opened, row.longs, row.shorts) == (0.0, 0.0, 0.0)


def test_only_the_bars_since_it_is_known_and_in_the_window_count():
    later = level_map(market(), levels=fixed([100], "2026-02-03T15:00"))  # the close of bar 14
    assert (later.rows[0].longs, later.rows[0].age) == (2000.0, 2 * HOUR)
    short = level_map(market(), levels=fixed([100]), days=1 / 24)
    assert (short.rows[0].longs, short.rows[0].shorts) == (2000.0, 0.0)
    assert short.rows[0].opened == pytest.approx(4 * 298 / 3)


def test_the_zone_is_as_wide_as_asked_or_as_the_level_itself():
    assert level_map(market(), levels=fixed([100]), near=0.01).rows[0].longs == 2570.0  # 101, the low of bar 15
    wide = replace(fixed([100]), half_width=np.array([1.0]))
    assert level_map(market(), levels=wide).rows[0].longs == 2570.0
    assert level_map(market(), levels=fixed([100]), near=0).rows[0].longs == 2500.0


def test_open_interest_in_usd_is_counted_in_coins():
    """A price that falls by a quarter with the coins unchanged opens nothing; 100 coins more are worth what they cost."""
    prices = [(100, 100, 100, 100), (100, 100, 75, 75), (75, 100, 75, 100)]
    usd = feed("open_interest", [100_000, 75_000, 110_000])
    row = level_map(market(prices, open_interest=usd), levels=fixed([90])).rows[0]
    assert row.opened == pytest.approx(100 * (100 + 75 + 100) / 3)
    assert math.isnan(row.atrs)  # three bars have no ATR


# --- feeds that say less ------------------------------------------------------------------------------------------


def test_a_missing_feed_is_named_and_never_zero():
    found = level_map(market(open_interest=None, long_liquidations=None, short_liquidations=None), levels=fixed([100]))
    row = found.rows[0]
    assert all(math.isnan(value) for value in (row.opened, row.longs, row.shorts))
    assert found.missing == ("opened", "longs", "shorts")
    assert found.notes == (
        "No feed BTCUSDT.open_interest, BTCUSDT.long_liquidations, BTCUSDT.short_liquidations: open interest and "
        "liquidations around the levels can't be told; declare them in the market file.",
    )
    alone = level_map(market(open_interest=None), levels=fixed([100]))
    assert (alone.missing, alone.rows[0].longs) == (("opened",), 2500.0)
    assert alone.notes[0] == (
        "No feed BTCUSDT.open_interest: open interest around the levels can't be told; declare it in the market file."
    )


def test_a_feed_that_comes_more_rarely_is_spread_over_the_bars():
    # Sixteen coins over the first sixteen bars are one a bar; the last bar is not told of yet.
    coarse = feed("open_interest", [1000, 1016], 0, "coins", step=16)
    found = level_map(market(open_interest=coarse), levels=fixed([100]))
    assert found.rows[0].opened == pytest.approx(101)
    assert found.notes == (
        "BTCUSDT.open_interest comes more rarely than the bars; it is spread evenly over those between two values.",
        "BTCUSDT.open_interest is known until 2026-02-03T16:00Z.",
    )
    pairs = feed("long_liquidations", [0] * 7 + [600, 90], 2, step=2)  # bars 14 and 15, 16 and the one to come
    found = level_map(market(long_liquidations=pairs), levels=fixed([100]))
    assert found.rows[0].longs == 300.0


def test_stamps_finer_than_the_bars_are_added_up():
    half = Feed("BTCUSDT.long_liquidations", START + HOUR // 2 * np.arange(1, 35), np.arange(34.0), "usd")
    found = level_map(market(long_liquidations=half), levels=fixed([100]))
    assert found.rows[0].longs == 28 + 29 + 32 + 33


def test_a_bar_in_a_hole_or_before_the_feed_is_unknown_where_it_counts():
    late = feed("long_liquidations", LONGS[12:], 13)
    found = level_map(market(long_liquidations=late), levels=fixed([104, 100]))
    assert math.isnan(row_at(found, 104.0).longs)
    assert row_at(found, 100.0).longs == 2500.0
    whole = feed("long_liquidations", LONGS)
    there = np.delete(np.arange(17), slice(3, 8))  # nothing for five hours, where an hour is usual
    holed = Feed(whole.name, whole.known_at[there], whole.value[there], "usd")
    found = level_map(market(long_liquidations=holed), levels=fixed([104, 100]))
    assert math.isnan(row_at(found, 104.0).longs)
    assert row_at(found, 100.0).longs == 2500.0


def test_a_feed_that_has_ended_does_not_speak_of_later_bars():
    ended = feed("long_liquidations", LONGS[:11])
    assert math.isnan(level_map(market(long_liquidations=ended), levels=fixed([100])).rows[0].longs)


def test_a_feed_of_one_value_says_nothing():
    found = level_map(market(open_interest=feed("open_interest", [1000], 0, "coins")), levels=fixed([100]))
    assert math.isnan(found.rows[0].opened)
    assert found.notes[0].startswith("The feed 'BTCUSDT.open_interest' has fewer than two values so far")


def test_a_feed_in_another_unit_is_refused():
    with pytest.raises(MarketError, match="has the unit 'contracts'; declare `unit` as 'usd' or 'coins'"):
        level_map(market(open_interest=feed("open_interest", COINS, 0, "contracts")), levels=fixed([100]))


# --- what is drawn ------------------------------------------------------------------------------------------------


def table(prices, majors=(), kind="pivot"):
    times = np.full(len(prices), ALWAYS)
    params = tuple((("major", 1.0),) if price in majors else () for price in prices)
    width = np.zeros(len(prices))
    return Levels(
        np.array(prices, np.float64), width, (kind,) * len(prices), times, times, params, np.full(len(prices), NEVER)
    )


def prices_of(levels, **settings):
    found = level_map(candles([(100, 100, 100, 100)] * 3), levels=levels, **settings)
    return [row.price for row in found.rows], found.left_out


def test_of_levels_that_lie_together_the_strongest_is_drawn():
    assert prices_of(table([95, 94.5, 90], majors=[94.5])) == ([94.5, 90.0], 1)
    assert prices_of(table([95, 94.5, 90])) == ([95.0, 90.0], 1)  # the nearer of two alike
    assert prices_of(table([95, 94, 90])) == ([95.0, 94.0, 90.0], 0)  # 1% apart is apart
    assert prices_of(table([95, 94.5, 90]), apart=0.001) == ([95.0, 94.5, 90.0], 0)


def test_what_is_out_of_reach_is_left_out():
    assert prices_of(table([136, 134, 66, 64])) == ([134.0, 66.0], 2)
    assert prices_of(table([136, 134, 66, 64]), reach=0.5) == ([136.0, 134.0, 66.0, 64.0], 0)


def test_on_each_side_the_nearest_half_and_then_the_strongest():
    below = table([98, 96, 94, 92, 90], majors=[90])
    assert prices_of(below, most=4) == ([98.0, 96.0, 94.0, 90.0], 1)
    assert prices_of(below, most=2) == ([98.0, 90.0], 3)
    assert prices_of(below + table([102, 104]), most=1) == ([102.0, 98.0], 5)


def test_given_prices_are_always_drawn_and_none_draws_everything():
    given_prices = fixed([99.9, 99.8, 30])
    assert prices_of(given_prices + table([99.85]), most=1) == ([99.9, 99.8, 30.0], 1)
    assert prices_of(table([99.9, 99.8, 30]), most=None) == ([99.9, 99.8, 30.0], 0)


def test_a_level_is_called_what_traders_call_it_with_what_was_merged_into_it():
    rows = [(104, 105, 103, 104)] * 3 + [(104, 104, 100, 104)] + [(104, 105, 103, 104)] * 200
    found = level_map(candles(rows), levels=(round_numbers(step=10) | fractal(k=2) | prior("day")).within(0.01))
    row = row_at(found, 100.0)
    assert (row.kind, row.found_by, row.major) == ("round", ("round", "swing low"), True)
    assert row.origin == ("round(step=10.0)", "fractal(k=2)", "prior(period=day)")  # the low of a day that is long over
    assert called("fractal", {"k": 3, "side": "high"}) == "swing high"
    assert called("donchian", {"n": 20}) == "window low"
    assert called("cluster", {}) == "cluster"


# --- when ---------------------------------------------------------------------------------------------------------


def test_the_moment_is_the_last_close_at_or_before_it():
    for at in ("2026-02-03T15:59", "2026-02-03T15:00Z", "2026-02-03T16:30+01:00", START + 15 * HOUR):
        found = level_map(market(), at=at, levels=fixed([100]))
        assert (found.time, found.price, found.rows[0].state) == (START + 15 * HOUR, 101.0, "tested")
    assert level_map(market(), at="2026-02-03T17:00").rows == level_map(market()).rows


@pytest.mark.parametrize("at", ["2026-02-03T00:59", "2026-02-03T17:01", "2027-01-01"])
def test_a_moment_outside_the_market_is_refused(at):
    with pytest.raises(ConfigError, match="lies outside the market market, whose bars close from 2026-02-03T01:00Z to"):
        level_map(market(), at=at)


def test_what_makes_no_sense_is_a_sentence():
    with pytest.raises(ConfigError, match=r"`at` must be a time like '2026-02-05'.*got 'soon'"):
        level_map(market(), at="soon")
    with pytest.raises(MarketError, match="No symbol named 'BTC' in the market market"):
        level_map(market(), "BTC")
    with pytest.raises(ConfigError, match="`most` must be a whole number from 1, got 0"):
        level_map(market(), most=0)
    with pytest.raises(ConfigError, match="`reach` must be a number above 0"):
        level_map(market(), reach=0)
    with pytest.raises(
        ConfigError, match="`levels` must be a detector or a table of levels, got 'round'; read text with"
    ):
        level_map(market(), levels="round")
    with pytest.raises(MarketError, match="The market market has no bars"):
        level_map(candles([]))
    with pytest.raises(MarketError, match="BTCUSDT has not traded in the market market by then"):
        level_map(candles([[math.nan] * 4] * 3))


def test_a_halted_symbol_keeps_its_last_close():
    found = level_map(market([*ROWS[:-1], [math.nan] * 4], open_interest=None), levels=fixed([100]))
    assert (found.price, found.rows[0].state, found.rows[0].longs) == (103.0, "tested", 500.0)


def cut(whole, bars):
    """Return the first bars of a market and what was known at the close of the last, each array cut by itself."""
    close = int(whole.time[bars - 1]) + whole.interval
    prices = {name: getattr(whole, name)[:bars] for name in ("time", "open", "high", "low", "close", "volume")}
    feeds = {
        name: Feed(name, one.known_at[one.known_at <= close], one.value[one.known_at <= close], one.unit)
        for name, one in whole.feeds.items()
    }
    return replace(whole, **prices, mark=None, feeds=feeds)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 320), st.sampled_from(["BTCUSDT", "ETHUSDT"]))
def test_a_map_of_a_moment_is_that_of_a_market_that_ends_there(seed, bars, symbol):
    whole = replace(drawn(seed), mark=None)
    then = int(whole.known_at[bars - 1])
    assert level_map(whole, symbol, then).to_dict() == level_map(cut(whole, bars), symbol).to_dict()


# --- what people know ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded():
    return load_market("deleveraging-2026")


def test_at_67490_both_supports_are_broken_and_the_next_round_number_is_65000(embedded):
    found = level_map(embedded)
    assert found.price == 67_490.0
    assert [(row_at(found, p).state, row_at(found, p).intact) for p in (75_000.0, 70_000.0)] == [("broken", False)] * 2
    rounds = [row for row in found.rows if row.kind == "round" and row.price < 67_490]
    assert (rounds[0].price, rounds[0].intact) == (65_000.0, True)
    assert len(found.rows) <= 24
    assert all(math.isfinite(value) for row in found.rows for value in (row.opened, row.longs, row.shorts, row.atrs))
    before = level_map(embedded, at="2026-02-03")
    assert (row_at(before, 75_000.0).intact, row_at(before, 70_000.0).intact) == (False, True)


@pytest.mark.parametrize("symbol", ["ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT"])
def test_every_symbol_has_a_map_with_both_sides(embedded, symbol):
    found = level_map(embedded, symbol)
    assert any(row.price > found.price for row in found.rows)
    assert any(row.intact and row.price < found.price for row in found.rows)


@needs_history
def test_of_the_real_history_few_levels_are_drawn_and_both_supports_break_when_they_did(tmp_path):
    whole = load_market(bitcoin(tmp_path))
    given_prices = fixed([75_000, 70_000])
    states = [
        [row.intact for row in level_map(whole, at=at, levels=given_prices).rows]
        for at in ("2026-02-03T17:00", "2026-02-03T20:00", "2026-02-05T12:00", "2026-02-05T14:00")
    ]
    assert states == [[True, True], [False, True], [False, True], [False, False]]
    naive = level_map(whole, levels=fractal(k=2) | round_numbers(), most=None)
    assert len(level_map(whole).rows) <= 24 < len(naive.rows)
