"""Short a broken support that is tested from below and rejected; stop above the high of the test.

A support that gave way becomes resistance: those who bought it get out at their price, so a return to it is sold. The
entry comes later and higher than that of a break, and its stop stands at a price that the market has just refused. It
should fail when a fall doesn't look back, since the best breaks have no retest, and in a range, where the level is
crossed again and again and means nothing.
Source: the change of roles of support and resistance in Edwards & Magee, "Technical Analysis of Stock Trends", 1948.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.levels import Levels, breaks, named_levels


@dataclass(frozen=True)
class BreakRetest:
    symbol: str = "BTCUSDT"  # what to trade
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices, quote units
    kinds: str | None = None  # further levels by kind, like "round | prior('week')"
    buffer: float = 0.003  # how far below counts as a break, fraction of the level
    buffer_atr: float = 0.0  # least buffer in ATRs of 14 bars, where that is wider
    zone: float = 0.15  # how near below the level a high must come to test it, ATRs
    max_wait: int | None = 72  # most bars from the break to the close that rejects; none: any number
    volume: float = 0.0  # least volume of the breaking bar, multiples of its usual; 0: any
    margin: float = 0.001  # how far above the test's high the stop stands, fraction of it
    max_bars: int = 168  # bars after which to leave; 0: never
    leverage: float = 1.0  # exposure, multiples of equity

    def __post_init__(self) -> None:
        if self.leverage <= 0:
            raise ValueError(f"leverage must be above 0, got {self.leverage}")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin must be a fraction from 0 to below 1, not percent, got {self.margin}")
        if self.max_bars < 0:
            raise ValueError(f"max_bars must be at least 0, got {self.max_bars}")

    def watched(self, market: Market) -> Levels:
        return named_levels(market[self.symbol], self.levels, self.kinds)

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        failed = breaks(
            bars,
            self.watched(market),
            rule="retest",
            buffer=self.buffer,
            buffer_atr=self.buffer_atr,
            zone=self.zone,
            within=self.max_wait,
            volume=self.volume,
        )
        # The bar that breaks the level has the fall itself in its high, so the test is what came after it.
        spans = zip(failed.broke_bar.tolist(), failed.bar.tolist(), strict=True)
        tested = np.array([np.nanmax(bars.high[broke + 1 : bar + 1]) for broke, bar in spans])
        return Plan.short(
            self.symbol,
            failed.bar,
            exposure=self.leverage,
            stop=np.maximum(tested * (1 + self.margin), failed.level + failed.delta),
            target=failed.next_level,
            max_bars=self.max_bars,
        )
