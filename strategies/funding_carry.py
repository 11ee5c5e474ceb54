"""Short the perpetual with the highest funding and hold the one with the lowest, for the difference that is paid.

Funding is what the eager side pays; the leg that is short takes it from the most eager longs, the other leg offsets the
market. It is neutral only to the common move: each leg keeps what its coin does alone, and betas that were measured before.
It should fail when the coin with the highest funding goes on rising alone, and where differences are small or do not last:
each change of a leg costs two fees. At every rebalancing a coin whose funding or beta is not known, or that does not trade,
is no candidate; with fewer than two nothing is done until the next one.
Source: cross-sectional carry in Koijen, Moskowitz, Pedersen & Vrugt, "Carry", Journal of Financial Economics 127(2), 2018;
funding as the carry of perpetuals, and its crashes, in Schmeling, Schrimpf & Todorov, "Crypto carry", BIS Working Papers
1087, 2023.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest import Market, Plan
from backtest.signals import beta, funding_cumulative


@dataclass(frozen=True)
class FundingCarry:
    symbols: tuple[str, ...] | None = None  # perpetuals to choose from, none for all of the market
    weights: Literal["beta", "notional"] = "beta"  # what is the same on both legs: notional times beta, or notional
    leader: str = "BTCUSDT"  # what betas are measured against
    threshold: float = 0.05  # difference of funding above which both legs are held, fraction a year
    days: float = 7.0  # days whose funding is compared
    rebalance_bars: int = 168  # bars from one choice of legs to the next
    gross: float = 1.0  # size of both legs together, multiples of equity

    def __post_init__(self) -> None:
        if self.symbols is not None and not 2 <= len(self.symbols) == len(set(self.symbols)):
            raise ValueError(f"symbols must be two or more, each once, got {', '.join(self.symbols)}")
        if not self.threshold >= 0:
            raise ValueError(f"threshold must be a fraction a year from 0, got {self.threshold}")
        if not self.rebalance_bars >= 1:
            raise ValueError(f"rebalance_bars must be a whole number from 1, got {self.rebalance_bars}")
        if not self.gross > 0:
            raise ValueError(f"gross must be above 0, got {self.gross}")

    def plan(self, market: Market) -> Plan:
        coins = self.symbols or market.symbols
        if len(coins) < 2:
            raise ValueError(f"carry needs two perpetuals, and the market {market.name} holds {', '.join(coins)}")
        carry = np.array([funding_cumulative(market, coin, self.days) for coin in coins]) * (365 / self.days)
        slope = np.ones_like(carry)
        if self.weights == "beta":
            slope = np.array([beta(market, coin, self.leader) for coin in coins])
        trading = np.array([np.isfinite(market[coin].close) for coin in coins])
        carry = np.where(trading & (slope > 0), carry, np.nan)
        ready = np.ones(len(market), np.bool_)
        if market.trade_from is not None:
            ready = market.known_at >= market.trade_from
        turn = ready & (np.cumsum(ready) % self.rebalance_bars == 1 % self.rebalance_bars)
        wanted, before = np.full(carry.shape, np.nan), np.zeros(len(coins))
        again = np.zeros(carry.shape, np.bool_)
        for bar in np.flatnonzero(turn & (np.isfinite(carry).sum(axis=0) > 1)).tolist():
            now, high, low = np.zeros(len(coins)), np.nanargmax(carry[:, bar]), np.nanargmin(carry[:, bar])
            if carry[high, bar] - carry[low, bar] > self.threshold:
                share = self.gross / (slope[high, bar] + slope[low, bar])
                now[high], now[low] = -share * slope[low, bar], share * slope[high, bar]
            wanted[:, bar], again[:, bar], before = now, (now == before) & (now != 0), now
        plan = Plan.empty()
        for coin, exposure, same in zip(coins, wanted, again, strict=True):
            plan += Plan.from_exposure(coin, exposure) + Plan.resize(coin, at=same, exposure=exposure)
        return plan
