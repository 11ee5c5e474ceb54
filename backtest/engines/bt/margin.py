"""Maintenance margin: the tiers in force at a time, what they demand, and the price at which nothing is left to meet it.

Maintenance is N*mmr_k - cum_k in tier k, a convex function of the notional: it is the largest of all tiers' lines. So the
price at which the equity behind a position meets it is the worst of the tiers' own liquidation prices:
P*_k = (backing + cum_k - s*q*E) / (q*(mmr_k - s)).
"""

from itertools import pairwise

from backtest.model import Instrument, Market, TierTable, Venue

__all__ = ["TierClock", "Tiers"]

NEVER = 2**63 - 1


class Tiers:
    """One table of tiers at one venue, its rates raised by the closing fee where the venue adds it."""

    __slots__ = ("allowed", "amounts", "floors", "on_entry", "rates", "table")

    def __init__(self, table: TierTable, venue: Venue) -> None:
        self.table = table
        self.floors = [float(floor) for floor in table.floors]
        self.allowed = [float(leverage) for leverage in table.max_leverage]
        extra = venue.taker if venue.taker_in_maintenance else 0.0
        self.rates = [rate + extra for rate in table.mmr]
        self.amounts = [0.0]
        for (before, rate), floor in zip(pairwise(table.mmr), self.floors[1:], strict=True):
            self.amounts.append(self.amounts[-1] + floor * (rate - before))
        self.on_entry = venue.maintenance == "entry"

    def tier(self, notional: float) -> int:
        """The highest tier whose floor the notional has reached."""
        k = len(self.floors) - 1
        while k > 0 and self.floors[k] > notional:
            k -= 1
        return k

    def maintenance(self, notional: float) -> float:
        """What has to stay behind a notional, quote units."""
        k = self.tier(notional)
        return notional * self.rates[k] - self.amounts[k]

    def max_leverage(self, notional: float) -> float:
        """The highest leverage setting that the tier of a notional allows."""
        return self.allowed[self.tier(notional)]

    def liquidation_price(self, side: int, quantity: float, entry: float, backing: float) -> float:
        """The price at which backing and unrealised PnL equal the maintenance; 0 or below where no price does that.

        >>> from backtest.model import TierTable
        >>> table = TierTable("one", 0, "by hand", (0.0,), (0.01,), (125.0,))
        >>> tiers = Tiers(table, Venue("free", Instrument(0.001, 0.0, (table,))))
        >>> round(tiers.liquidation_price(1, 50.0, 100.0, 500.0), 3)
        90.909
        """
        if self.on_entry:
            return entry + side * (self.maintenance(quantity * entry) - backing) / quantity
        paid = backing - side * quantity * entry
        prices = [
            (paid + amount) / (quantity * (rate - side)) for rate, amount in zip(self.rates, self.amounts, strict=True)
        ]
        return max(prices) if side > 0 else min(prices)


class TierClock:
    """The tables in force, symbol by symbol, as time moves on; before the first table's date the first one stands in."""

    def __init__(self, market: Market, venue: Venue) -> None:
        self.venue = venue
        self.instruments: list[Instrument] = [venue.instrument(symbol) for symbol in market.symbols]
        self.tiers = [[Tiers(table, venue) for table in contract.tables] for contract in self.instruments]
        self.now = [tables[0] for tables in self.tiers]
        self.change = min(later_dates(self.instruments), default=NEVER)

    def move(self, time: int) -> None:
        """Take the tables in force at a time; cheap to skip while `time < self.change`."""
        for j, tables in enumerate(self.tiers):
            self.now[j] = next((t for t in reversed(tables) if t.table.date <= time), tables[0])
        self.change = min((date for date in later_dates(self.instruments) if date > time), default=NEVER)


def later_dates(instruments: list[Instrument]) -> list[int]:
    """The dates at which a table takes over from another."""
    return [table.date for contract in instruments for table in contract.tables[1:]]
