"""Margin formulas against hand-worked numbers, laws that hold for every tier table, and the traps."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest import venues
from backtest.model import TierTable
from backtest.venues import funding, inverse, linear, load, margin, tiers

TWO_TIERS = TierTable("two", 0, "made up", (0.0, 1_000.0), (0.01, 0.05), (50.0, 10.0))  # cum 0, then 1000 * 0.04 = 40


# Formulas


@pytest.mark.parametrize("module", [funding, inverse, linear, load, margin, tiers], ids=lambda m: m.__name__)
def test_the_examples_in_the_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


def test_every_public_name_is_there():
    assert all(hasattr(venues, name) for name in venues.__all__)
    assert venues.__all__ == sorted(venues.__all__)


def test_isolated_long_liquidates_where_the_margin_is_down_to_the_maintenance():
    # 2 coins at 100, 10x: M = 20. 20 + 2(P - 100) = 2P * 0.04 -> 1.92 P = 180
    assert linear.liquidation_price(+1, 2.0, 100.0, 20.0, 0.04) == pytest.approx(93.75)
    assert linear.bankruptcy_price(+1, 2.0, 100.0, 20.0) == 90.0


def test_isolated_short_liquidates_above_the_entry():
    # M = 20. 20 - 2(P - 100) = 2P * 0.1 -> 2.2 P = 220
    assert linear.liquidation_price(-1, 2.0, 100.0, 20.0, 0.1) == pytest.approx(100.0)
    assert linear.liquidation_price(-1, 2.0, 100.0, 42.0, 0.1) == pytest.approx(110.0)
    assert linear.bankruptcy_price(-1, 2.0, 100.0, 20.0) == 110.0


def test_the_maintenance_amount_moves_the_price_in_favour_of_the_trader():
    # 180 - 1.5 = 178.5 over 1.92 for the long; (220 + 2.2) over 2.2 for the short
    assert linear.liquidation_price(+1, 2.0, 100.0, 20.0, 0.04, cum=1.5) == pytest.approx(178.5 / 1.92)
    assert linear.liquidation_price(-1, 2.0, 100.0, 20.0, 0.1, cum=2.2) == pytest.approx(101.0)


def test_a_taker_fee_in_the_maintenance_acts_as_a_higher_rate():
    assert linear.liquidation_price(+1, 2.0, 100.0, 20.0, 0.039, taker=0.001) == pytest.approx(93.75)
    assert inverse.liquidation_price(+1, 1_000.0, 100.0, 1.0, 0.0995, taker=0.0005) == pytest.approx(100.0)


def test_older_bybit_rule_keeps_maintenance_on_the_entry_value():
    # E (1 - s/L + s mmr): 100 (1 - 0.1 + 0.005) and 100 (1 + 0.1 - 0.005)
    assert linear.fixed_liquidation_price(+1, 3.0, 100.0, 30.0, 1.5) == pytest.approx(90.5)
    assert linear.fixed_liquidation_price(-1, 3.0, 100.0, 30.0, 1.5) == pytest.approx(109.5)


def test_inverse_short_loses_coin_as_the_price_rises():
    # 1000 USD at 100 is 10 coins, M = 2: 2 - (10 - 1000/P) ... all gone at 1000/P = 8
    assert inverse.bankruptcy_price(-1, 1_000.0, 100.0, 2.0) == 125.0
    # 2 - 10 + 1000/P = 1000/P * 0.2 -> 800/P = 8
    assert inverse.liquidation_price(-1, 1_000.0, 100.0, 2.0, 0.2) == pytest.approx(100.0)
    assert inverse.pnl(-1, 1_000.0, 100.0, 125.0) == pytest.approx(-2.0)


def test_cross_margin_backs_a_position_with_what_the_others_leave():
    # wallet 100, another position at -30 that must keep 10: 60 is left for 1 coin at 100 with mmr 0.2
    backing = venues.cross_backing(100.0, [-30.0], [10.0])
    assert backing == 60.0
    assert linear.liquidation_price(+1, 1.0, 100.0, backing, 0.2) == pytest.approx(50.0)


def test_hyperliquid_asks_half_of_the_initial_rate_at_the_highest_leverage():
    assert venues.maintenance_rate(20) == 0.025
    assert linear.liquidation_price_of_cash(+1, 1.0, -97.5, 0.025) == pytest.approx(100.0)


def test_fees_and_funding_have_the_sign_of_the_wallet():
    assert venues.funding_payment(+1, 20_000.0, 0.0001) == -2.0
    assert venues.funding_payment(+1, 20_000.0, -0.0001) == 2.0
    assert venues.funding_payment(0, 20_000.0, 0.0001) == 0.0
    assert venues.fee(1_000.0, -0.0001) == -0.1


def test_a_position_pays_the_stamp_it_closes_at_and_not_the_one_it_opens_at():
    stamps = np.array([0, 8, 16, 24])
    assert venues.funding_stamps(stamps, 8, 24).tolist() == [False, False, True, True]
    assert venues.funding_stamps(stamps, 9, 23).tolist() == [False, False, True, False]


def test_funding_is_not_charged_on_a_grid_but_at_each_stamp():
    stamps = np.array([1, 2, 3, 7, 15])  # hourly, then four hours, then eight
    due = venues.funding_stamps(stamps, 0, 15)
    assert venues.funding_series(-1, np.full(5, 1_000.0), np.full(5, 0.001), due) == pytest.approx(5.0)


def test_an_unknown_funding_payment_is_never_zero():
    assert math.isnan(venues.funding_series(+1, np.array([1.0]), np.array([np.nan]), np.array([True])))


def test_nan_gives_nan():
    nan = math.nan
    for contract in (linear, inverse):
        assert math.isnan(contract.liquidation_price(+1, 1.0, nan, 10.0, 0.1))
        assert math.isnan(contract.fixed_liquidation_price(+1, 1.0, 100.0, nan, 0.1))
        assert math.isnan(contract.insurance_payout(+1, 1.0, 100.0, nan))
        assert math.isnan(contract.liquidation_price(+1, 0.0, 100.0, 10.0, 0.1))
        assert math.isnan(venues.tiered_liquidation_price(TWO_TIERS, +1, 1.0, nan, 10.0, contract=contract))
        assert math.isnan(contract.average_entry([]))
    assert math.isnan(venues.tiered_maintenance(TWO_TIERS, nan))
    assert math.isnan(venues.order_quantity(nan, 100.0, 1.0, 0.0, 0.1))


def test_order_quantity_leaves_room_for_the_entry_fee():
    # 2 * 1000 / (100 * (1 + 2 * 0.01)) = 19.607..., a flat account at L = 2 just affords it
    quantity = venues.order_quantity(1_000.0, 100.0, -2.0, 0.01, 0.1)
    assert quantity == pytest.approx(19.6)
    assert venues.initial_margin(quantity * 100.0, 2.0) + venues.fee(quantity * 100.0, 0.01) <= 1_000.0


# Tiers


def test_maintenance_by_hand():
    assert venues.tiered_maintenance(TWO_TIERS, 500.0) == 5.0
    assert venues.tiered_maintenance(TWO_TIERS, 1_000.0) == pytest.approx(10.0)
    assert venues.tiered_maintenance(TWO_TIERS, 3_000.0) == pytest.approx(110.0)  # 150 - 40
    assert venues.tiered_maintenance(TWO_TIERS, 3_000.0, taker=0.001) == pytest.approx(113.0)


def test_the_liquidation_price_takes_the_tier_of_its_own_notional():
    # 10 coins at 120, M = 240. In the second tier (250 - ...): 240 + 10(P - 120) = 0.5 P - 40 -> P = 920 / 9.5 = 96.84,
    # notional 968: not the second tier. First tier: 9.9 P = 960 -> 96.97, notional 969.7: consistent, although the
    # entry was at 1200.
    assert venues.tiered_liquidation_price(TWO_TIERS, +1, 10.0, 120.0, 240.0) == pytest.approx(960 / 9.9)
    # Short from 95 (notional 950) with M = 190: first tier 1140 / 10.1 = 112.9, notional 1129: no. (1140 + 40) / 10.5 =
    # 112.38.
    assert venues.tiered_liquidation_price(TWO_TIERS, -1, 10.0, 95.0, 190.0) == pytest.approx(1_180 / 10.5)


def test_a_price_on_a_floor_agrees_with_both_tiers():
    # 10 + 10(P - 99) + ... at P = 100, notional 1000, maintenance 10: a long from 101 with M = 20 is there
    assert venues.tiered_liquidation_price(TWO_TIERS, +1, 10.0, 101.0, 20.0) == pytest.approx(100.0)


@st.composite
def tables(draw):
    steps = draw(st.lists(st.floats(100.0, 1e6), min_size=0, max_size=5))
    rates = sorted(draw(st.lists(st.floats(0.0, 0.5), min_size=len(steps) + 1, max_size=len(steps) + 1)))
    floors = (0.0, *np.cumsum(steps).tolist())
    return TierTable("drawn", 0, "made up", floors, tuple(rates), (1.0,) * len(floors))


quantities = st.floats(0.01, 1_000.0)
prices = st.floats(1.0, 10_000.0)
sides = st.sampled_from((+1, -1))
fees = st.floats(0.0, 0.01)


@settings(max_examples=100, deadline=None)
@given(tables())
def test_maintenance_is_continuous_over_every_floor(table):
    for floor in table.floors[1:]:
        below = venues.tiered_maintenance(table, math.nextafter(floor, 0.0))
        assert venues.tiered_maintenance(table, floor) == pytest.approx(below, rel=1e-9, abs=1e-9 * floor)


@settings(max_examples=100, deadline=None)
@given(tables(), sides, quantities, prices, st.floats(0.0, 3.0), fees)
def test_at_the_solved_price_the_margin_balance_is_the_maintenance(table, side, quantity, entry, share, taker):
    posted = share * quantity * entry
    price = venues.tiered_liquidation_price(table, side, quantity, entry, posted, taker)
    notional = quantity * price
    balance = posted + linear.pnl(side, quantity, entry, price)
    kept = venues.tiered_maintenance(table, notional, taker)
    if price > 0:
        assert balance == pytest.approx(kept, rel=1e-9, abs=1e-8 * quantity * entry)
    else:
        assert side == +1
        assert balance >= kept - 1e-8 * quantity * entry  # enough even at a price of 0


@settings(max_examples=100, deadline=None)
@given(tables(), sides, quantities, prices, st.floats(0.0, 3.0), fees)
def test_at_the_solved_inverse_price_the_margin_balance_is_the_maintenance(table, side, coins, entry, share, taker):
    quantity = coins * entry
    price = venues.tiered_liquidation_price(table, side, quantity, entry, share * coins, taker, contract=inverse)
    if math.isinf(price):
        assert (side, share >= 1 - 1e-12) == (-1, True)
        return
    balance = share * coins + inverse.pnl(side, quantity, entry, price)
    kept = venues.tiered_maintenance(table, quantity / price, taker)
    assert balance == pytest.approx(kept, rel=1e-7, abs=1e-7 * max(coins, quantity / price))


@settings(max_examples=100, deadline=None)
@given(tables(), quantities, prices, fees)
def test_a_long_at_1x_without_funding_cannot_be_liquidated(table, quantity, entry, taker):
    assert venues.tiered_liquidation_price(table, +1, quantity, entry, quantity * entry, taker) == 0.0


@settings(max_examples=100, deadline=None)
@given(tables(), sides, quantities, prices, st.floats(1.0, 50.0))
def test_liquidation_comes_before_bankruptcy(table, side, quantity, entry, leverage):
    posted = venues.initial_margin(quantity * entry, leverage)
    price = venues.tiered_liquidation_price(table, side, quantity, entry, posted)
    gone = linear.bankruptcy_price(side, quantity, entry, posted)
    assert side * (price - gone) >= -1e-9 * entry


# Traps


def test_maintenance_is_not_the_initial_margin():
    table = venues.load_venue("binance-usdm").instrument("BTCUSDT").tables[0]
    assert venues.initial_margin(30_000.0, 10.0) == 3_000.0
    assert venues.tiered_maintenance(table, 30_000.0) == 120.0


def test_the_tier_goes_by_notional_and_not_by_collateral():
    table = venues.load_venue("binance-usdm").instrument("BTCUSDT").tables[0]
    collateral = venues.initial_margin(300_000.0, 20.0)
    assert venues.tier_of(table, collateral).mmr == 0.004  # what the mistake would give
    assert venues.tier_of(table, 300_000.0).mmr == 0.01
    assert venues.tiered_maintenance(table, 300_000.0) == pytest.approx(1_700.0)  # 3000 - 1300
