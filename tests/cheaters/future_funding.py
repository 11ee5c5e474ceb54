"""Cheats: it goes short when the next funding rate, still to be settled, will be above the last one."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class FutureFunding:
    symbol: str = "BTCUSDT"  # what to trade

    def plan(self, market: Market) -> Plan:
        mine = market.funding.symbol == market.position(self.symbol)
        time, rate = market.funding.time[mine], market.funding.rate[mine]
        after = np.searchsorted(time, market.known_at, side="right")
        sees = (after > 0) & (after < time.size)
        at = np.flatnonzero(sees)
        rises = rate[after[at]] > rate[after[at] - 1]
        wanted = np.zeros(len(market))
        wanted[at[rises]] = -1.0
        return Plan.from_exposure(self.symbol, wanted)
