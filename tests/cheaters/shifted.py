"""Cheats: a shift in the wrong direction brings the next close to each bar."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtest import Market, Plan


@dataclass(frozen=True)
class Shifted:
    symbol: str = "BTCUSDT"  # what to trade

    def plan(self, market: Market) -> Plan:
        close = pd.Series(market[self.symbol].close)
        return Plan.from_exposure(self.symbol, np.where(close.shift(-1) < close, -1.0, 0.0))
