"""Buy after a burst of long liquidations that has faded, while the low it left holds; stop below that low.

Forced sellers push the price below what anyone would have asked for; once they are done, the price is free to come back.
Done means: the longs' liquidations stood far above their usual size within the window and are near it again, their share
of the open interest is lower than before, and no bar of the last ones went as low as the window's low. It should fail when
the burst is the first of several, as in a deleveraging that takes weeks: each pause looks like the end. Where liquidations
or open interest are not known, and while a bar of the window did not trade, it does nothing.
Source: two of the conditions that the report of February 2026 names for a recovery, price stabilisation and less
liquidation; prices that forced sales push down come back in Coval & Stafford, "Asset fire sales (and purchases) in equity
markets", Journal of Financial Economics 86(2), 2007.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.levels import donchian
from backtest.signals import liquidation_intensity, liquidation_z


@dataclass(frozen=True)
class LiquidationExhaustion:
    symbol: str = "BTCUSDT"  # what to trade
    burst: float = 3.0  # robust z of the longs' 24-hour liquidations that is a burst
    calm: float = 1.0  # robust z below which the burst has faded
    within: int = 168  # bars before in which the burst and the low must lie
    hold: int = 24  # last bars that made no new low, and over which the liquidated share of open interest fell
    history: float = 90.0  # days before that say what usual liquidations are
    buffer: float = 0.003  # how far below the low the stop lies, fraction of the low
    target_fraction: float = 0.06  # gain at which to leave, fraction of the entry
    max_bars: int = 168  # bars after which to leave, 0 for never
    leverage: float = 1.0  # exposure, multiples of equity

    def __post_init__(self) -> None:
        if not self.calm < self.burst:
            raise ValueError(f"calm must be below burst, got {self.calm} and {self.burst}")
        if not 1 <= self.hold < self.within:
            raise ValueError(f"hold must be from 1 bar to below within, got {self.hold} and {self.within}")
        if not 0 <= self.buffer < 1:
            raise ValueError(f"buffer must be a fraction from 0 to below 1, got {self.buffer}")

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        low = donchian(bars, self.within)
        held = (donchian(bars, self.hold) > low) & (bars.low > low)
        z = liquidation_z(market, self.symbol, window=self.history)
        bar, bursts = np.arange(len(market)), np.append(0, np.cumsum(z >= self.burst))
        faded = (bursts[bar] > bursts[np.maximum(bar - self.within, 0)]) & (z < self.calm)
        share = liquidation_intensity(market, self.symbol, "long")
        falling = share < np.append(np.full(self.hold, np.nan), share)[: len(market)]
        done = held & faded & falling
        done[1:] &= ~done[:-1]  # the first of several bars in a row
        return Plan.long(
            self.symbol,
            at=done,
            exposure=self.leverage,
            stop=low * (1 - self.buffer),
            target_fraction=self.target_fraction,
            max_bars=self.max_bars,
        )
