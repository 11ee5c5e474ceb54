"""Cheats: mean and deviation are those of the whole series, its end included."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class WholeSeries:
    symbol: str = "BTCUSDT"  # what to trade
    far: float = 1.0  # standard deviations

    def plan(self, market: Market) -> Plan:
        close = market[self.symbol].close
        if len(close) < 2:
            return Plan.empty()
        z = (close - np.nanmean(close)) / np.nanstd(close)
        return Plan.from_exposure(self.symbol, np.where(z < -self.far, 1.0, np.where(z > self.far, -1.0, 0.0)))
