"""Inverse (coin-margined) contracts: quantity in quote units (contracts * contract value), margin and PnL in coin.

The functions bear the names that they have in `linear`. `side` is +1 long, -1 short; prices must be above 0. A NaN in
any argument gives NaN, and so does a quantity of 0 where a price is asked for.
"""

import math
from collections.abc import Sequence

__all__ = [
    "average_entry",
    "bankruptcy_price",
    "fixed_liquidation_price",
    "insurance_payout",
    "liquidation_price",
    "lot_pnl",
    "notional",
    "pnl",
]


def notional(quantity: float, price: float) -> float:
    """Return what a position is worth in coin. Formula: N / P.

    >>> notional(10_000.0, 20_000.0)
    0.5
    """
    return quantity / price


def pnl(side: int, quantity: float, entry: float, price: float) -> float:
    """Return the gain in coin between two prices, before fees and funding. Formula: s * N * (1/E - 1/P).

    >>> pnl(-1, 16_000.0, 8_000.0, 4_000.0)
    2.0
    """
    return side * (quantity / entry - quantity / price)


def lot_pnl(side: int, lots: float, lot_value: float, entry: float, price: float, unit: float = 1e-8) -> float:
    """Return the gain in coin where the venue rounds a lot's value to its smallest unit before it multiplies.

    lot_value: quote units; unit: coin, a satoshi. Formula: s * lots * (round(v/E) - round(v/P)) in units. Source:
    BitMEX.

    >>> round(lot_pnl(+1, 5, 100.0, 42_292.5, 42_303.0), 10)
    2.95e-06
    """
    if not (math.isfinite(entry) and math.isfinite(price) and math.isfinite(lot_value)):
        return math.nan
    return side * lots * (round(lot_value / entry / unit) - round(lot_value / price / unit)) * unit


def average_entry(fills: Sequence[tuple[float, float]]) -> float:
    """Return the average entry price of fills (quote quantity, price) of one side.

    Formula: sum(N) / sum(N/P); NaN without any.

    >>> round(average_entry([(1_000.0, 5_000.0), (2_000.0, 6_000.0)]), 9)
    5625.0
    """
    coins = math.fsum(quantity / price for quantity, price in fills)
    return math.fsum(quantity for quantity, _ in fills) / coins if coins else math.nan


def liquidation_price(
    side: int, quantity: float, entry: float, margin: float, mmr: float, cum: float = 0.0, taker: float = 0.0
) -> float:
    """Return the mark price at which a coin-margined position is liquidated; infinite for a short that never is.

    margin, cum: coin; the rest as in `linear.liquidation_price`. From M + s*N*(1/E - 1/P) = (N/P)*(mmr + taker) - cum:
    P* = N * (1 + s*(mmr + taker)) / (N/E + s*(M + cum)). Source: Binance, COIN-M.

    >>> liquidation_price(+1, 1_000.0, 100.0, 1.0, 0.1)
    100.0
    >>> liquidation_price(-1, 1_000.0, 100.0, 10.0, 0.1)  # a 1x short is long the coin that it posted: hedged
    inf
    """
    return price_of_coins(side, quantity * (1 + side * (mmr + taker)), quantity / entry + side * (margin + cum))


def fixed_liquidation_price(side: int, quantity: float, entry: float, margin: float, maintenance: float) -> float:
    """Return the price at which a loss has worn the margin down to a fixed amount of maintenance, both in coin.

    maintenance: mmr * N/E under the rule that keeps it on the entry value, where P* = E / (1 + s/L - s*mmr). Formula:
    P* = N / (N/E + s * (M - maintenance)).

    >>> fixed_liquidation_price(+1, 1_000.0, 100.0, 3.0, 0.5)
    80.0
    """
    return price_of_coins(side, quantity, quantity / entry + side * (margin - maintenance))


def bankruptcy_price(side: int, quantity: float, entry: float, margin: float, reserve: float = 0.0) -> float:
    """Return the price at which the margin is gone.

    Formula: P_b = N / (N/E + s * (M - reserve)), margin and reserve in coin.

    >>> bankruptcy_price(+1, 1_000.0, 100.0, 2.5)
    80.0
    """
    return fixed_liquidation_price(side, quantity, entry, margin, reserve)


def insurance_payout(side: int, quantity: float, bankruptcy: float, price: float) -> float:
    """Return the coin that the insurance fund pays when a position is closed beyond its bankruptcy price; else 0.

    >>> insurance_payout(+1, 1_000.0, 100.0, 80.0)
    2.5
    """
    shortfall = -pnl(side, quantity, bankruptcy, price)
    return shortfall if math.isnan(shortfall) else max(shortfall, 0.0)


def price_of_coins(side: int, quantity: float, coins: float) -> float:
    # Without a coin owed no price is high enough: a short is never reached, a long is always below it.
    if quantity == 0 or side == 0 or math.isnan(coins):
        return math.nan
    return quantity / coins if coins > 0 else math.inf
