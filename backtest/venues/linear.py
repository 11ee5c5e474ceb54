"""Linear contracts: quantity in base units, prices, margin and PnL in quote units (BTCUSDT, settled in USDT).

`side` is +1 long, -1 short. A NaN in any argument gives NaN, and so does a quantity of 0 where a price is asked for.
"""

import math
from collections.abc import Sequence

__all__ = [
    "average_entry",
    "bankruptcy_price",
    "closing_value",
    "fixed_liquidation_price",
    "insurance_payout",
    "liquidation_price",
    "liquidation_price_of_cash",
    "notional",
    "opening_value",
    "pnl",
    "round_trip_pnl",
]


def notional(quantity: float, price: float) -> float:
    """Return what a position is worth. Formula: q * P, quote units.

    >>> notional(0.5, 20_000.0)
    10000.0
    """
    return quantity * price


def pnl(side: int, quantity: float, entry: float, price: float) -> float:
    """Return the gain between two prices, before fees and funding. Formula: s * q * (P - E), quote units.

    >>> pnl(-1, 2.0, 100.0, 90.0)
    20.0
    """
    return side * quantity * (price - entry)


def average_entry(fills: Sequence[tuple[float, float]]) -> float:
    """Return the average entry price of fills (quantity, price) of one side.

    Formula: sum(q * P) / sum(q); NaN without any.

    >>> average_entry([(0.5, 5_000.0), (0.3, 6_000.0)])
    5375.0
    """
    total = math.fsum(q for q, _ in fills)
    return math.fsum(q * price for q, price in fills) / total if total else math.nan


def liquidation_price_of_cash(side: int, quantity: float, cash: float, mmr: float, cum: float = 0.0) -> float:
    """Return the mark price at which what is left equals the maintenance margin, from the cash behind the position.

    cash: what would be in the account with the position booked as a purchase, M - s*q*E (Hyperliquid's raw USD). From
    cash + s*q*P = q*P*mmr - cum: P* = (cash + cum) / (q * (mmr - s)). 0 where no price above 0 does it: a long is then
    never liquidated, a short always. mmr must be below 1.

    >>> liquidation_price_of_cash(+1, 1.0, -90.0, 0.1)
    100.0
    """
    if quantity == 0 or side == 0:
        return math.nan
    price = (cash + cum) / (quantity * (mmr - side))
    return price if math.isnan(price) else max(0.0, price)


def liquidation_price(
    side: int, quantity: float, entry: float, margin: float, mmr: float, cum: float = 0.0, taker: float = 0.0
) -> float:
    """Return the mark price at which a position is liquidated; 0 for a long that never is.

    margin: isolated, what is posted; cross, `cross_backing`; mmr, cum: of the tier of the notional at that price (see
    `tiered_liquidation_price`); taker: added to mmr by Gate and OKX. Formula, from margin balance = maintenance margin,
    M + s*q*(P - E) = q*P*(mmr + taker) - cum: P* = (M + cum - s*q*E) / (q * (mmr + taker - s)). Source: Binance,
    USDS-M.

    >>> liquidation_price(+1, 1.0, 100.0, 10.0, 0.1)
    100.0
    >>> liquidation_price(+1, 1.0, 100.0, 100.0, 0.1)  # at 1x there is nothing to lose beyond the margin
    0.0
    """
    return liquidation_price_of_cash(side, quantity, margin - side * quantity * entry, mmr + taker, cum)


def fixed_liquidation_price(side: int, quantity: float, entry: float, margin: float, maintenance: float) -> float:
    """Return the price at which a loss has worn the margin down to a fixed amount of maintenance.

    maintenance: quote units; mmr * q * E under Bybit's older rule, where P* = E * (1 - s/L + s*mmr). Formula:
    P* = E - s * (M - maintenance) / q; below 0 it is 0.

    >>> fixed_liquidation_price(+1, 1.0, 20_000.0, 400.0, 100.0)
    19700.0
    """
    if quantity == 0 or side == 0:
        return math.nan
    price = entry - side * (margin - maintenance) / quantity
    return price if math.isnan(price) else max(0.0, price)


def bankruptcy_price(side: int, quantity: float, entry: float, margin: float, reserve: float = 0.0) -> float:
    """Return the price at which the margin is gone; isolated liquidations are settled there.

    reserve: the part of the margin kept for the closing fee. Formula: P_b = E - s * (M - reserve) / q; below 0 it is 0.

    >>> bankruptcy_price(-1, 500.0, 1.0, 100.0)
    1.2
    """
    return fixed_liquidation_price(side, quantity, entry, margin, reserve)


def insurance_payout(side: int, quantity: float, bankruptcy: float, price: float) -> float:
    """Return what the insurance fund pays when a liquidated position is closed beyond its bankruptcy price; else 0.

    >>> insurance_payout(+1, 1.0, 39_000.0, 38_850.0)
    150.0
    """
    shortfall = -pnl(side, quantity, bankruptcy, price)
    return shortfall if math.isnan(shortfall) else max(shortfall, 0.0)


def opening_value(side: int, quantity: float, price: float, fee_rate: float) -> float:
    """Return what opening costs a long or brings a short, the fee included. Formula: q * P * (1 + s * fee).

    >>> opening_value(-1, 30.0, 2.0, 0.0025)
    59.85
    """
    return notional(quantity, price) * (1 + side * fee_rate)


def closing_value(side: int, quantity: float, price: float, fee_rate: float, funding: float = 0.0) -> float:
    """Return what closing brings a long or costs a short, fee and funding included.

    Formula: q * P * (1 - s * fee) + s * funding.

    funding: cash received over the life of the position, below 0 where paid.

    >>> closing_value(+1, 30.0, 2.5, 0.0025, 1.0)
    75.8125
    """
    return notional(quantity, price) * (1 - side * fee_rate) + side * funding


def round_trip_pnl(
    side: int, quantity: float, entry: float, exit: float, fee_open: float, fee_close: float, funding: float = 0.0
) -> float:
    """Return what a trade leaves after both fees and funding.

    Formula: s * (closing value - opening value), quote units.

    >>> round(round_trip_pnl(+1, 30.0, 2.0, 2.1, 0.0025, 0.0025, 1.0), 4)
    3.6925
    """
    opened = opening_value(side, quantity, entry, fee_open)
    return side * (closing_value(side, quantity, exit, fee_close, funding) - opened)
