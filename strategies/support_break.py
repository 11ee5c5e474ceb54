"""Short the break of a support level; cover at the next level down, stop on the reclaim.

Below a watched price stop-loss orders and the liquidations of leveraged longs cluster; once it gives way they are
sold into the fall, towards the next level. It should fail where a break is false: in a range, when the price dips
below and comes back, each such dip costs about twice the buffer and two fees; and short of the last level there is no
target. The default levels are round numbers, known to anyone beforehand; levels that were read off the same chart
afterwards look ahead.
Source: stop-loss clusters and price cascades in Osler, "Stop-loss orders and price cascades in currency markets",
Journal of International Money and Finance 24(2), 2005.
"""

from dataclasses import dataclass
from typing import Literal

from backtest import Market, Plan
from backtest.levels import breaks, fixed


@dataclass(frozen=True)
class SupportBreak:
    symbol: str = "BTCUSDT"  # what to trade
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices, quote units
    buffer: float = 0.003  # how far below counts as a break, fraction of the level
    leverage: float = 1.0  # exposure, multiples of equity
    rule: Literal["close", "wick"] = "close"  # what has to pass the buffer: a bar's close, or its low

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        broken = breaks(bars, fixed(self.levels), rule=self.rule, buffer=self.buffer)
        reclaim = broken.level * (1 + self.buffer)
        return Plan.short(
            self.symbol, at=broken.bar, exposure=self.leverage, close_stop=reclaim, target=broken.next_level
        )
