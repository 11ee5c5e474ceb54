"""Cheats, once: it is short over the worst hour of the whole market, and over no other."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class OneGoodDay:
    symbol: str = "BTCUSDT"  # what to trade

    def plan(self, market: Market) -> Plan:
        close = market[self.symbol].close
        if len(close) < 3:
            return Plan.empty()
        worst = int(np.nanargmin(close[2:] / close[1:-1])) + 1
        return Plan.short(self.symbol, at=[worst], max_bars=1)
