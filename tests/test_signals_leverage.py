"""Funding, open interest, liquidations, ratios, basis and leverage, on markets small enough to work by hand."""

from dataclasses import replace

import numpy as np
import pytest
from signal_markets import DAY, HOUR, START, days, stamped

from backtest import Passport
from backtest.errors import ConfigError, MarketError
from backtest.model import Feed, Funding, Series
from backtest.model.market import Mark
from backtest.signals import (
    SIGNALS,
    basis,
    estimated_leverage,
    forced_share,
    funding_annualised,
    funding_cumulative,
    funding_sum,
    funding_z,
    liquidation_imbalance,
    liquidation_intensity,
    liquidation_z,
    liquidations,
    long_short_ratio,
    open_interest,
    open_interest_change,
    open_interest_to_market_cap,
    open_interest_z,
    ratio_z,
    taker_ratio,
    top_trader_ratio,
)
from backtest.signals.liquidations import forced_fraction

BTC = "BTCUSDT"
NAN = float("nan")


def same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-18)


# --- funding ---


def test_funding_of_a_day_at_eight_hours():
    market = stamped(48, [0, 8, 16, 24, 32, 40, 48], [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4])
    got = funding_sum(market, BTC)
    # Bar t closes at hour t + 1. The stamp at 0 h covers the 8 h before it, so the day to 16 h is whole.
    assert np.isnan(got[:15]).all()
    same(got[[15, 22, 23, 31, 47]], [6e-4, 6e-4, 9e-4, 12e-4, 18e-4])


def test_funding_counts_time_not_stamps():
    every_hour = stamped(48, list(range(1, 49)), [1e-5] * 48)
    same(funding_sum(every_hour, BTC)[[23, 47]], [24e-5, 24e-5])
    # Eight hours, then four: the day to 40 h holds the stamps of 20, 24, 28, 32, 36 and 40 h.
    changing = stamped(40, [0, 8, 16, 20, 24, 28, 32, 36, 40], [1e-4] * 3 + [2e-4] * 6)
    same(funding_sum(changing, BTC)[39], 12e-4)


def test_one_basis_point_every_eight_hours_is_10_95_percent_a_year():
    same(funding_annualised(stamped(48, range(0, 49, 8), [1e-4] * 7), BTC)[47], 0.1095)


def test_cumulative_funding_of_a_week_needs_a_week():
    got = funding_cumulative(stamped(24 * 9, range(0, 24 * 9 + 1, 8), [1e-4] * 28), BTC, 7)
    # The first stamp covers eight hours from -8 h on: the week is whole at 160 h, bar 159.
    assert np.isnan(got[:159]).all()
    same(got[159:], [21e-4] * 57)


def test_a_hole_in_funding_is_unknown_as_long_as_a_window_touches_it():
    got = funding_sum(stamped(96, [0, 8, 16, 24, 48, 56, 64, 72, 80, 88, 96], [1e-4] * 11), BTC)
    assert np.isfinite(got[15:36]).all()  # up to 36 h, twelve after the stamp of 24 h
    assert np.isnan(got[36:71]).all()
    same(got[71:], [3e-4] * 25)


def test_ten_hours_without_a_stamp_are_a_hole_in_hourly_funding():
    market = stamped(70, [*range(1, 25), *range(34, 71)], [1e-5] * 61)
    got = funding_sum(market, BTC)
    same(got[[23, 24]], [24e-5, 23e-5])  # at 25 h the stamp of that hour may still come
    assert np.isnan(got[25:57]).all()  # from 26 h on, until the day after the stamp of 34 h
    same(got[57:], [24e-5] * 13)
    same(funding_sum(market, BTC, longest_gap=12 * HOUR)[39], 15e-5)  # 17 to 24 h and 34 to 40 h
    assert np.isnan(funding_sum(market, BTC, longest_gap=9 * HOUR)[39])


def test_an_interval_that_changes_is_no_hole():
    shrinking = stamped(64, [0, 8, 16, 24, 28, 32, 36, 40, *range(41, 65)], [1e-4] * 32)
    assert np.isfinite(funding_sum(shrinking, BTC)[15:]).all()
    same(funding_sum(shrinking, BTC)[[39, 43, 63]], [5e-4, 9e-4, 24e-4])
    growing = stamped(48, [*range(0, 25, 4), 32, 40, 48], [1e-4] * 10)
    got = funding_sum(growing, BTC)
    # Six hours after 24 h a stamp seems to be missing, and only that of 40 h, eight hours after the last, says that it is not.
    assert np.isnan(got[30:39]).all()
    same(got[[29, 39, 40, 47]], [5e-4, 4e-4, 4e-4, 3e-4])


@pytest.mark.parametrize(("every", "first", "end"), [(1, 120, 144), (4, 122, 147), (8, 124, 151)])
def test_one_stamp_that_is_missing_is_a_hole_at_any_interval(every, first, end):
    # That of 120 h is missing: late half an interval after it was due, and gone a day after the stamp that follows it.
    hours = [h for h in range(0, 241, every) if h != 120]
    got = funding_sum(stamped(240, hours, [1e-4] * len(hours)), BTC)
    assert np.isfinite(got[24:first]).all()
    assert np.isnan(got[first:end]).all()
    assert np.isfinite(got[end:]).all()


def test_funding_z_by_hand():
    # Days of 3, 3, 6, 3, 9, 12 basis points in all: before bar 143 stand the 24-hour sums of two days and a bit.
    rates = [1e-4 * k for k in (1, 1, 1, 2, 2, 2, 1, 1, 1, 3, 3, 3, 4, 4, 4)]
    market = stamped(120, range(8, 121, 8), rates)
    z = funding_z(market, BTC, window=2)
    sums = {23: 3e-4, 47: 6e-4, 71: 3e-4, 95: 9e-4, 119: 12e-4}
    same(funding_sum(market, BTC)[list(sums)], list(sums.values()))
    # From bar 71 to bar 118 the sums rise: 8 bars of 3, 8 of 5, 8 of 7, 8 of 9, 8 of 10, 8 of 11 bp. The median is 8 bp,
    # the distances are 5, 3, 1, 1, 2, 3 bp, eight each: their median is that of the 24th and 25th, 2 and 3 bp.
    same(z[119], (12 - 8) / (1.4826 * 2.5))


def test_funding_that_is_not_there_is_a_sentence():
    market = days(3)
    with pytest.raises(MarketError, match="declares to have none"):
        funding_sum(market, BTC)
    with pytest.raises(
        MarketError, match="need the funding of BTCUSDT, which the market market does not have: declare"
    ):
        funding_sum(replace(market, funding=Funding.empty()), BTC)
    with pytest.raises(ConfigError, match=r"`days` must be a number of days above 0, got 0"):
        funding_cumulative(stamped(3, [0], [0.0]), BTC, 0)


def test_funding_that_starts_later_is_unknown_before():
    # The passport, which a cut leaves whole, says that there is funding; nothing of it is stamped yet.
    market = replace(
        stamped(48, range(10, 49, 8), [1e-4] * 5), passport=Passport((Series("BTCUSDT.funding", "real", "a file"),))
    )
    assert np.isnan(funding_sum(market.head(5), BTC)).all()
    same(funding_sum(market, BTC)[33], 3e-4)


# --- open interest ---


def test_open_interest_in_coins_and_in_usd():
    market = days(4, {f"{BTC}.open_interest": ("usd", [1000, 900, 660, 660])}, [100, 90, 75, 66])
    same(open_interest(market, BTC, "usd"), [1000, 900, 660, 660])
    same(open_interest(market, BTC), [10, 10, 8.8, 10])


def test_a_price_25_percent_lower_makes_34_percent_of_usd_12_of_coins():
    market = days(31, {f"{BTC}.open_interest": ("usd", [1000.0] * 30 + [660.0])}, [100.0] * 30 + [75.0])
    same(np.exp(open_interest_change(market, BTC, 30, "usd")[-1]), 0.66)
    same(np.exp(open_interest_change(market, BTC, 30, "coins")[-1]), 0.88)
    assert np.isnan(open_interest_change(market, BTC, 30)[:-1]).all()


def test_usd_is_turned_into_coins_at_the_price_of_its_own_time():
    # The daily value of 1,000 USD is known at the first close, at 100; the price falls later, the coins do not rise.
    market = replace(days(3, price=[100, 80, 50]), feeds={f"{BTC}.open_interest": feed([1000], "usd")})
    same(open_interest(market, BTC), [10, 10, 10])


def test_coins_that_are_declared_come_first():
    feeds = {f"{BTC}.open_interest": ("usd", [1000, 1000]), f"{BTC}.open_interest_coins": ("coins", [9, 8])}
    same(open_interest(days(2, feeds), BTC), [9, 8])
    same(open_interest(days(2, feeds), BTC, "usd"), [1000, 1000])
    same(open_interest(days(2, {f"{BTC}.open_interest_coins": ("", [9, 8])}), BTC, "usd"), [900, 800])


def test_changes_over_one_and_seven_days():
    values = [100.0 * 2.0**k for k in range(9)]
    market = days(9, {f"{BTC}.open_interest_coins": ("coins", values)})
    same(open_interest_change(market, BTC, 1)[1:], [np.log(2)] * 8)
    same(open_interest_change(market, BTC, 7)[7:], [7 * np.log(2)] * 2)
    assert np.isnan(open_interest_change(market, BTC, 7)[:7]).all()


def test_open_interest_z_by_hand():
    # Changes of +1, -1, +2, -2 (log), then -5: median 0, MAD 1.5.
    values = np.exp(np.cumsum([0.0, 1, -1, 2, -2, -5]))
    z = open_interest_z(days(6, {f"{BTC}.open_interest_coins": ("coins", values)}), BTC, window=4)
    same(z, [NAN] * 5 + [-5 / (1.4826 * 1.5)])


def test_a_feed_that_ended_is_unknown_not_unchanged():
    got = open_interest_change(days(9, {f"{BTC}.open_interest_coins": ("coins", [5, 5, 5, 5])}), BTC)
    # The last value is of the 4th close and counts for three days: to the 7th close.
    same(got, [NAN, 0, 0, 0, 0, 0, 0, NAN, NAN])


def test_open_interest_to_market_cap():
    feeds = {f"{BTC}.open_interest": ("usd", [50, 50]), f"{BTC}.market_cap": ("usd", [1000, 0])}
    same(open_interest_to_market_cap(days(2, feeds), BTC), [0.05, NAN])


def test_open_interest_needs_a_unit():
    with pytest.raises(MarketError, match=r"unit 'contracts'; declare `unit` as 'usd' or 'coins'"):
        open_interest(days(2, {f"{BTC}.open_interest": ("contracts", [1, 2])}), BTC)
    with pytest.raises(ConfigError, match="`unit` must be one of coins, usd, got 'btc'"):
        open_interest(days(2), BTC, "btc")


# --- liquidations ---


def forced(long=(10, 20, 30, 40), short=(10, 0, 10, 0), interest=(1000, 1000, 800, 900)):
    feeds = {
        "long_liquidations": ("usd", long),
        "short_liquidations": ("usd", short),
        "open_interest": ("usd", interest),
    }
    return days(len(long), {f"{BTC}.{name}": feed for name, feed in feeds.items()})


def test_liquidations_by_side_and_span():
    market = forced()
    same(liquidations(market, BTC, 1, "long"), [NAN, 20, 30, 40])
    same(liquidations(market, BTC, 2, "long"), [NAN, 30, 50, 70])
    same(liquidations(market, BTC, 2, "short"), [NAN, 10, 10, 10])
    same(liquidations(market, BTC, 3), [NAN, NAN, 80, 100])


def test_intensity_imbalance_and_forced_share():
    market = forced()
    same(liquidation_intensity(market, BTC), [NAN, 20 / 1000, 40 / 1000, 40 / 800])
    same(liquidation_imbalance(market, BTC), [NAN, 1, 0.5, 1])
    # Open interest fell at the third close alone: by 200, of which 40 was forced.
    same(forced_share(market, BTC), [NAN, NAN, 0.2, NAN])
    same(forced_share(market, BTC, side="long"), [NAN, NAN, 0.15, NAN])


def test_most_of_the_fall_of_october_2025_was_not_forced():
    # Published then: open interest fell by 14B, of which 1B were liquidated longs; "93% was not forced".
    assert 1 - forced_fraction(1.0, -14.0) == pytest.approx(0.93, abs=0.005)


def test_forced_share_in_coins_leaves_the_price_out():
    # 10 coins at 100, then 8 at 50: a fall of 600 USD, of which 2 coins * 100 are not the price's.
    feeds = {
        "long_liquidations": ("usd", [0, 100]),
        "short_liquidations": ("usd", [0, 0]),
        "open_interest": ("usd", [1000, 400]),
    }
    market = days(2, {f"{BTC}.{k}": v for k, v in feeds.items()}, [100, 50])
    same(forced_share(market, BTC), [NAN, 100 / 600])
    same(forced_share(market, BTC, unit="coins"), [NAN, 0.5])


def test_no_liquidations_are_no_side():
    same(liquidation_imbalance(forced(long=(0, 0), short=(0, 0), interest=(1, 1)), BTC), [NAN, NAN])


def test_liquidations_in_coins_are_valued_at_their_own_close():
    feeds = {f"{BTC}.long_liquidations": ("coins", [1, 2, 3])}
    same(liquidations(days(3, feeds, [100, 50, 40]), BTC, 2, "long"), [NAN, 200, 220])


def test_liquidation_z_by_hand():
    # Sums of 1, 2, 3, 4 before 9: median 2.5, distances 1.5, 0.5, 0.5, 1.5, MAD 1.
    z = liquidation_z(days(6, {f"{BTC}.long_liquidations": ("usd", [0, 1, 2, 3, 4, 9])}), BTC, window=4)
    same(z, [NAN] * 5 + [6.5 / 1.4826])


def test_liquidations_know_their_sides():
    with pytest.raises(ConfigError, match="`side` must be one of long, short, both, got 'buy'"):
        liquidations(forced(), BTC, side="buy")
    with pytest.raises(MarketError, match=r"needs? the feed 'BTCUSDT.short_liquidations'"):
        liquidations(days(3, {f"{BTC}.long_liquidations": ("usd", [1, 2, 3])}), BTC)


# --- ratios, basis, leverage ---


def test_the_three_ratios_are_three_feeds():
    feeds = {"long_short_ratio": ("", [1, 2]), "top_trader_ratio": ("", [3, 4]), "taker_ratio": ("", [5, 6])}
    market = days(2, {f"{BTC}.{name}": feed for name, feed in feeds.items()})
    same(long_short_ratio(market, BTC), [1, 2])
    same(top_trader_ratio(market, BTC), [3, 4])
    same(taker_ratio(market, BTC), [5, 6])
    same(ratio_z(days(5), np.array([1.0, 2, 3, 4, 9]), 4), [NAN] * 4 + [6.5 / 1.4826])


def test_basis_is_mark_over_index():
    market = days(2, {f"{BTC}.index": ("usd", [100, 100])})
    column = np.array([[100.5], [99.0]])
    same(basis(replace(market, mark=Mark(column, column, column, column)), BTC), [0.005, -0.01])
    same(basis(days(2, {f"{BTC}.basis": ("ratio", [0.001, 0.002])}), BTC), [0.001, 0.002])


def test_the_last_price_does_not_stand_in_for_a_mark():
    with pytest.raises(MarketError, match=r"The basis needs the feed 'BTCUSDT.basis'"):
        basis(days(2, {f"{BTC}.index": ("usd", [100, 100])}), BTC)


@pytest.mark.parametrize(("unit", "reserve", "ratio"), [("coins", 40, 0.25), ("usd", 4000, 0.25), ("usd", 0, NAN)])
def test_estimated_leverage(unit, reserve, ratio):
    feeds = {f"{BTC}.open_interest_coins": ("coins", [10]), f"{BTC}.exchange_reserve": (unit, [reserve])}
    same(estimated_leverage(days(1, feeds), BTC), [ratio])


def test_estimated_leverage_needs_a_unit():
    feeds = {f"{BTC}.open_interest_coins": ("coins", [10]), f"{BTC}.exchange_reserve": ("", [4])}
    with pytest.raises(MarketError, match=r"'BTCUSDT.exchange_reserve' has the unit ''"):
        estimated_leverage(days(1, feeds), BTC)


# --- what is missing ---

PRICES_ALONE = {"realised_volatility", "beta", "downside_beta", "tail_dependence", "delta_covar", "lead_lag"}


@pytest.mark.parametrize("name", sorted(set(SIGNALS) - PRICES_ALONE))
def test_a_missing_feed_is_named(name):
    market = replace(days(3), funding=Funding.empty())
    with pytest.raises(
        MarketError, match=r"needs? the (feed '[A-Za-z_0-9.]+'|funding of BTCUSDT), which the market market"
    ):
        SIGNALS[name](market, BTC)


def test_the_sentence_says_what_to_declare():
    market = days(3, {f"{BTC}.long_short_ratoi": ("", [1, 1, 1])})
    with pytest.raises(MarketError) as caught:
        long_short_ratio(market, BTC)
    assert str(caught.value) == (
        "The long/short ratio needs the feed 'BTCUSDT.long_short_ratio', which the market market does not have: declare "
        "`long_short_ratio` under [BTCUSDT] in the market file. Did you mean 'BTCUSDT.long_short_ratoi'?"
    )


def test_an_unknown_symbol_is_named():
    for name in sorted(set(SIGNALS) - {"risk_off"}):
        with pytest.raises(MarketError, match=r"No symbol named 'BTCUSD' in the market market. Did you mean 'BTCUSDT'"):
            SIGNALS[name](days(3), "BTCUSD")


def feed(values, unit):
    return Feed("x", START + DAY * np.arange(1, len(values) + 1), np.array(values, np.float64), unit)


def test_the_hour_is_an_hour():
    assert DAY == 24 * HOUR
