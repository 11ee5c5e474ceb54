"""Buy at the start and hold: what every other strategy has to beat.

One market buy at the first open that counts, never touched again. It fails whenever the market falls, and is no test
of an idea; it says what the market itself paid. With an exposure above 1 it can be liquidated, and is not bought
again.
Source: the passive benchmark, as in Sharpe, "The Arithmetic of Active Management", Financial Analysts Journal 47(1),
1991.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class BuyAndHold:
    symbol: str = "BTCUSDT"  # what to buy
    exposure: float = 1.0  # size of the position, multiples of equity

    def plan(self, market: Market) -> Plan:
        ready = np.isfinite(market[self.symbol].close)
        if market.trade_from is not None:
            ready &= market.known_at >= market.trade_from
        return Plan.long(self.symbol, at=np.flatnonzero(ready)[:1], exposure=self.exposure)
