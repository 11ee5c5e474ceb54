"""Cheats: it is out before the last bar, wherever that is; the prices after a cut do not matter, only that there are any."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class KnowsTheEnd:
    symbol: str = "BTCUSDT"  # what to trade

    def plan(self, market: Market) -> Plan:
        wanted = np.ones(len(market))
        wanted[-2:] = 0.0
        return Plan.from_exposure(self.symbol, wanted)
