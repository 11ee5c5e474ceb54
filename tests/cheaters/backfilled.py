"""Cheats: bars before the average is warm are filled from behind, with its first value."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtest import Market, Plan


@dataclass(frozen=True)
class Backfilled:
    symbol: str = "BTCUSDT"  # what to trade
    window: int = 100  # bars of the average

    def plan(self, market: Market) -> Plan:
        close = pd.Series(market[self.symbol].close)
        average = close.rolling(self.window).mean().bfill()
        return Plan.from_exposure(self.symbol, np.where(close > average, 1.0, -1.0))
