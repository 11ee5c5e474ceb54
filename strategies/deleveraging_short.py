"""Short a break of support in which leverage is thrown out: open interest falls and longs are force-closed.

A break by itself may be anyone's selling; when open interest falls in coins while longs are liquidated, the sellers have
no choice, and each forced sale brings the price nearer to the next one. It covers at the next level down, on the
reclaim, or when the flush should be over. It should fail late in a flush: both signals are highest when the last weak
hand is gone, and then the price snaps back. A fall of open interest alone is no liquidation, so both are asked for.
While a signal is not known (its history is too short, its feed has a hole) nothing is done.
Source: the spirals of losses and margins in Brunnermeier & Pedersen, "Market Liquidity and Funding Liquidity", Review of
Financial Studies 22(6), 2009.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest import Market, Plan
from backtest.levels import Levels, breaks, named_levels
from backtest.signals import deleveraging, liquidation_z, open_interest_change


@dataclass(frozen=True)
class DeleveragingShort:
    symbol: str = "BTCUSDT"  # what to trade, with open interest and liquidations
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices, quote units
    kinds: str | None = None  # further levels by kind, like "round | prior('week')"
    buffer: float = 0.003  # how far below counts as a break, fraction of the level
    buffer_atr: float = 0.0  # least buffer in ATRs of 14 bars, where that is wider
    signal: Literal["flows", "regime"] = "flows"  # the two below, or the deleveraging regime, which lasts
    fall: float = 0.02  # least fall of open interest in coins over a day, fraction
    liquidations: float = 2.0  # least robust z of a day's liquidations of longs against 90 days
    max_bars: int = 72  # bars after which to leave; 0: never
    leverage: float = 1.0  # exposure, multiples of equity

    def __post_init__(self) -> None:
        if self.signal not in ("flows", "regime"):
            raise ValueError(f"signal must be 'flows' or 'regime', got {self.signal!r}")
        if not 0 <= self.fall < 1:
            raise ValueError(f"fall must be a fraction from 0 to below 1, not percent, got {self.fall}")
        if self.leverage <= 0:
            raise ValueError(f"leverage must be above 0, got {self.leverage}")
        if self.max_bars < 0:
            raise ValueError(f"max_bars must be at least 0, got {self.max_bars}")

    def watched(self, market: Market) -> Levels:
        return named_levels(market[self.symbol], self.levels, self.kinds)

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        broken = breaks(bars, self.watched(market), buffer=self.buffer, buffer_atr=self.buffer_atr)
        if self.signal == "regime":
            forced = deleveraging(market, self.symbol)[broken.bar] == 1
        else:
            leaves = open_interest_change(market, self.symbol, 1.0)[broken.bar] <= np.log1p(-self.fall)
            forced = leaves & (liquidation_z(market, self.symbol)[broken.bar] >= self.liquidations)
        # What is not known is NaN, and no comparison with NaN holds.
        return Plan.short(
            self.symbol,
            broken.bar[forced],
            exposure=self.leverage,
            close_stop=(broken.level + broken.delta)[forced],
            target=broken.next_level[forced],
            max_bars=self.max_bars,
        )
