"""Cheats: a local low is bought in its own bar, though only the bars after it make it one."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class UnconfirmedLow:
    symbol: str = "BTCUSDT"  # what to trade

    def plan(self, market: Market) -> Plan:
        low = market[self.symbol].low
        turn = np.zeros(low.size, np.bool_)
        turn[1:-1] = (low[1:-1] < low[:-2]) & (low[1:-1] < low[2:])
        return Plan.long(self.symbol, at=turn, stop_fraction=0.02, target_fraction=0.02)
