"""Cheats: the moving average is centred, so that half of its window lies in the future."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtest import Market, Plan


@dataclass(frozen=True)
class CentredWindow:
    symbol: str = "BTCUSDT"  # what to trade
    window: int = 9  # bars of the average

    def plan(self, market: Market) -> Plan:
        close = pd.Series(market[self.symbol].close)
        trend = close.rolling(self.window, center=True, min_periods=1).mean()
        return Plan.from_exposure(self.symbol, np.where(trend.diff() > 0, 1.0, -1.0))
