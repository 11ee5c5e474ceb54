"""Large holders: what those who hold much have gained or lost, and would save by selling."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import BoolArray, Float
from backtest.model.market import Market
from backtest.model.memo import memoised
from backtest.signals.series import current, own_feed
from backtest.signals.windows import real, still_known

__all__ = ["Holding", "holders_unrealised", "unrealised_from_realised_price"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Holding:
    """What one holder has from a moment on: coins, their average cost, and since when that is public.

    coins: at least 0; average_cost: quote units, above 0; known_from: a date ("2026-01-15", UTC), ns UTC, or None for
    always. A later row of the same holder replaces the earlier one; 0 coins says that all was sold.
    """

    holder: str
    coins: float
    average_cost: float
    known_from: str | int | None = None

    def __post_init__(self) -> None:
        if not 0 <= real(self.coins) < np.inf:
            raise ConfigError(f"The coins of {self.holder} must be a number from 0, got {self.coins!r}.")
        if not 0 < real(self.average_cost) < np.inf:
            raise ConfigError(f"The average cost of {self.holder} must be a price above 0, got {self.average_cost!r}.")
        self.moment()

    def moment(self) -> int:
        """Return when the holding became known, ns UTC; the smallest int64 for always."""
        if self.known_from is None:
            return int(np.iinfo(np.int64).min)
        if isinstance(self.known_from, int):
            return self.known_from
        try:
            time = datetime.fromisoformat(self.known_from)
        except (TypeError, ValueError):
            raise ConfigError(
                f"`known_from` of {self.holder} must be a date like '2026-01-15' or ns UTC, got {self.known_from!r}."
            ) from None
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (time - EPOCH) // timedelta(microseconds=1) * 1000


@memoised
def holders_unrealised(market: Market, symbol: str, holdings: Sequence[Holding]) -> Float:
    """Return (n,) the unrealised profit of the holders that are known at each close: sum of coins * (price - average cost).

    Quote units, below 0 for a loss. NaN before the first holding is known and where the symbol does not trade. No
    holdings at all are a ConfigError.
    """
    if not holdings:
        raise ConfigError("Holders' unrealised profit needs at least one `Holding`, got none.")
    for one in holdings:
        if not isinstance(one, Holding):
            raise ConfigError(f"Holders' unrealised profit needs `Holding(...)` rows, got {one!r}.")
    price, known = current(market, symbol), market.known_at
    coins, cost, seen = np.zeros(len(market)), np.zeros(len(market)), np.zeros(len(market), np.bool_)
    for name in sorted({h.holder for h in holdings}):
        rows = sorted((h for h in holdings if h.holder == name), key=Holding.moment)
        row = np.searchsorted(np.array([h.moment() for h in rows], np.int64), known, side="right") - 1
        there: BoolArray = row >= 0
        held = np.where(there, np.array([h.coins for h in rows])[np.maximum(row, 0)], 0.0)
        coins, seen = coins + held, seen | there
        cost = cost + held * np.array([h.average_cost for h in rows])[np.maximum(row, 0)]
    return np.where(seen, coins * price - cost, np.nan)


@memoised
def unrealised_from_realised_price(market: Market, symbol: str, coins: float = 1.0) -> Float:
    """Return (n,) coins * (price - realised price), quote units; the feed is "SYMBOL.realised_price", the mean price paid.

    NaN where either is unknown or stale; a missing feed is a MarketError, coins of 0 or less are a ConfigError.
    """
    if not 0 < real(coins) < np.inf:
        raise ConfigError(f"`coins` must be a number above 0, got {coins!r}.")
    paid = still_known(own_feed(market, symbol, "realised_price", "Unrealised profit"), market.known_at)
    return coins * (current(market, symbol) - paid)
