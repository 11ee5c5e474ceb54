"""Venues: their files, their tier tables, and the margin formulas as plain functions.

`linear` and `inverse` hold the formulas that depend on the kind of contract, under the same names; the rest works on a
notional.
"""

from backtest.venues import inverse, linear
from backtest.venues.funding import first_updates, funding_payment, funding_series, funding_stamps
from backtest.venues.load import check_leverage, load_venue, venue_names, with_account
from backtest.venues.margin import (
    closing_fee,
    cross_backing,
    fee,
    initial_margin,
    maintenance_margin,
    maintenance_rate,
    margin_level,
    margin_ratio,
    order_quantity,
    return_on_margin,
    risk_rate,
    sustainable_loss,
)
from backtest.venues.tiers import (
    Tier,
    maintenance_amounts,
    next_amount,
    table_at,
    tier_of,
    tiered_liquidation_price,
    tiered_maintenance,
)

__all__ = [
    "Tier",
    "check_leverage",
    "closing_fee",
    "cross_backing",
    "fee",
    "first_updates",
    "funding_payment",
    "funding_series",
    "funding_stamps",
    "initial_margin",
    "inverse",
    "linear",
    "load_venue",
    "maintenance_amounts",
    "maintenance_margin",
    "maintenance_rate",
    "margin_level",
    "margin_ratio",
    "next_amount",
    "order_quantity",
    "return_on_margin",
    "risk_rate",
    "sustainable_loss",
    "table_at",
    "tier_of",
    "tiered_liquidation_price",
    "tiered_maintenance",
    "venue_names",
    "with_account",
]
