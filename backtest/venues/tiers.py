"""Tier tables: the tier of a notional, what it must keep, and the liquidation price that agrees with its own tier.

Tiers go by the notional of the position, never by its collateral. Notionals are in the table's units (quote units, or
coin for inverse contracts), rates are fractions.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from backtest.model import Instrument, TierTable
from backtest.venues import linear
from backtest.venues.margin import maintenance_margin

__all__ = [
    "Tier",
    "maintenance_amounts",
    "next_amount",
    "table_at",
    "tier_of",
    "tiered_liquidation_price",
    "tiered_maintenance",
]


class Tier(NamedTuple):
    """One row of a table: where it starts, its maintenance rate and amount, its highest leverage setting."""

    floor: float
    mmr: float
    cum: float
    max_leverage: float


class Contract(Protocol):
    """What `linear` and `inverse` have in common."""

    def notional(self, quantity: float, price: float) -> float: ...

    def liquidation_price(
        self, side: int, quantity: float, entry: float, margin: float, mmr: float, cum: float = 0.0, taker: float = 0.0
    ) -> float: ...


def next_amount(amount: float, floor: float, rate_below: float, rate: float) -> float:
    """Return the maintenance amount of a tier from that of the tier below. Formula: cum + floor * (mmr - mmr_below).

    >>> next_amount(50.0, 250_000.0, 0.005, 0.01)
    1300.0
    """
    return amount + floor * (rate - rate_below)


def maintenance_amounts(floors: Sequence[float], mmr: Sequence[float]) -> tuple[float, ...]:
    """Return each tier's maintenance amount, which makes the maintenance margin continuous over the floors.

    >>> maintenance_amounts([0.0, 50_000.0, 250_000.0], [0.004, 0.005, 0.01])
    (0.0, 50.0, 1300.0)
    """
    amounts = [0.0]
    for k in range(1, len(floors)):
        amounts.append(next_amount(amounts[-1], floors[k], mmr[k - 1], mmr[k]))
    return tuple(amounts)


@lru_cache(maxsize=256)
def rows(table: TierTable) -> tuple[Tier, ...]:
    amounts = maintenance_amounts(table.floors, table.mmr)
    return tuple(map(Tier, table.floors, table.mmr, amounts, table.max_leverage))


def tier_of(table: TierTable, notional: float) -> Tier:
    """Return the tier of a notional: the highest whose floor does not exceed it. NaN falls into the first.

    >>> tier_of(TierTable("t", 0, "made up", (0.0, 100.0), (0.01, 0.02), (50.0, 25.0)), 100.0)
    Tier(floor=100.0, mmr=0.02, cum=1.0, max_leverage=25.0)
    """
    k = 0 if math.isnan(notional) else bisect_right(table.floors, notional) - 1
    return rows(table)[max(k, 0)]


def tiered_maintenance(table: TierTable, notional: float, taker: float = 0.0) -> float:
    """Return the maintenance margin of a notional under a table; `taker` is added to the rate (Gate, OKX).

    NaN gives NaN.

    >>> tiered_maintenance(TierTable("t", 0, "made up", (0.0, 100.0), (0.01, 0.02), (50.0, 25.0)), 150.0)
    2.0
    """
    tier = tier_of(table, notional)
    return maintenance_margin(notional, tier.mmr, tier.cum, taker)


def table_at(instrument: Instrument, time: int) -> TierTable:
    """Return the table in force at a time (ns UTC): the last one dated at or before it, the oldest where all are later.

    >>> new, old = (TierTable(n, d, "made up", (0.0,), (0.01,), (50.0,)) for n, d in (("new", 20), ("old", 10)))
    >>> table_at(Instrument(0.001, 5.0, (new, old)), 19).name
    'old'
    """
    known = [table for table in instrument.tables if table.date <= time]
    return known[-1] if known else instrument.tables[0]


def tiered_liquidation_price(
    table: TierTable,
    side: int,
    quantity: float,
    entry: float,
    margin: float,
    taker: float = 0.0,
    contract: Contract = linear,
) -> float:
    """Return the liquidation price whose own notional falls into the tier that it was reckoned with.

    margin: posted (isolated) or `cross_backing`; contract: `linear` or `inverse`. Maintenance is continuous and grows
    more slowly than the notional, so exactly one tier agrees; on a floor two neighbours give the same price. 0 (linear)
    or infinite (inverse) where there is none, NaN for a NaN argument. Formula: `contract.liquidation_price` with mmr
    and cum of that tier.

    >>> table = TierTable("t", 0, "made up", (0.0, 100.0), (0.01, 0.02), (50.0, 25.0))
    >>> round(tiered_liquidation_price(table, -1, 1.0, 100.0, 10.0), 6)  # (10 + 1 + 100) / 1.02
    108.823529
    """
    best, least = math.nan, math.inf
    for tier, above in zip(rows(table), (*table.floors[1:], math.inf), strict=True):
        price = contract.liquidation_price(side, quantity, entry, margin, tier.mmr, tier.cum, taker)
        size = contract.notional(quantity, price)
        # Rounding may put a price that lies on a floor just outside both tiers: the nearer one wins.
        outside = max(tier.floor - size, size - above, 0.0)
        if outside < least:
            best, least = price, outside
    return best
