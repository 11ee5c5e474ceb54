"""Cheats: of several lookbacks it takes the one that turned out best on all bars, and trades it from the first."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtest import Market, Plan


@dataclass(frozen=True)
class BestLookback:
    symbol: str = "BTCUSDT"  # what to trade
    lookbacks: tuple[float, ...] = (5.0, 20.0, 80.0, 320.0)  # bars of the averages

    def plan(self, market: Market) -> Plan:
        close = pd.Series(market[self.symbol].close)
        earned = close.pct_change().shift(-1).to_numpy()
        sides = [np.where(close > close.rolling(int(k), min_periods=1).mean(), 1.0, -1.0) for k in self.lookbacks]
        best = max(sides, key=lambda side: float(np.nansum(side * earned)))
        return Plan.from_exposure(self.symbol, best)
