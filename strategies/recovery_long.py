"""Buy when most signs of a recovery are there, leave when most of them are gone again; stop below the low.

The score is the share of five signs that hold: the price above what was paid on average since the low, fewer liquidations
of longs than usual, funding and open interest back from below their usual size, sentiment off its low. It should fail in a
long fall with pauses: the signs come back in each pause, and the next low is lower. A bar in which one of the signs is not
known changes nothing, and it buys nothing while a bar of the low's window did not trade.
Source: the conditions that the report of February 2026 names for a recovery: price stabilisation, less liquidation, a turn
of sentiment.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.levels import donchian
from backtest.signals import RECOVERY, recovery

DAY = 86_400_000_000_000  # ns


@dataclass(frozen=True)
class RecoveryLong:
    symbol: str = "BTCUSDT"  # what to trade
    components: tuple[str, ...] = RECOVERY  # signs that make up the score
    enter: float = 0.8  # share of the signs at which to buy
    leave: float = 0.4  # share of the signs below which to leave
    days: float = 30.0  # days before in which the low lies, the price's and sentiment's
    history: float = 90.0  # days before that say what is usual
    buffer: float = 0.003  # how far below the low the stop lies, fraction of the low
    leverage: float = 1.0  # exposure, multiples of equity

    def __post_init__(self) -> None:
        if not 0 < self.leave < self.enter <= 1:
            raise ValueError(
                f"leave and enter must be shares above 0 and up to 1, leave below enter, got {self.leave} and {self.enter}"
            )
        if not 0 <= self.buffer < 1:
            raise ValueError(f"buffer must be a fraction from 0 to below 1, got {self.buffer}")

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        score = recovery(market, self.symbol, self.components, self.days, window=self.history).score
        before = donchian(bars, max(1, round(self.days * DAY / market.interval)))
        low = np.minimum(before, bars.low)
        buy = (score >= self.enter) & np.isfinite(low)
        if market.trade_from is not None:
            buy &= market.known_at >= market.trade_from
        bar = np.arange(len(market))
        last = np.maximum.accumulate(np.where(buy | (score < self.leave), bar, -1))
        long = (last >= 0) & buy[np.maximum(last, 0)]  # from a bar that buys to the next that leaves
        was_long = np.append(False, long)[:-1]
        stop = low * (1 - self.buffer)
        bought = Plan.long(self.symbol, at=long & ~was_long, exposure=self.leverage, stop=stop)
        return bought + Plan.exit(self.symbol, at=was_long & ~long)
