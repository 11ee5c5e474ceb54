"""Cheats: the support was read off the finished chart, the lowest tenth of all its lows, and is traded from the start."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.levels import breaks, fixed


@dataclass(frozen=True)
class FutureLevel:
    symbol: str = "BTCUSDT"  # what to trade

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        if not len(bars):
            return Plan.empty()
        broken = breaks(bars, fixed([float(np.nanquantile(bars.low, 0.3))]), buffer=0.0)
        return Plan.short(self.symbol, at=broken.bar, stop_fraction=0.02, target_fraction=0.02)
