"""Short a break of support under a crowd of leveraged longs: they paid high funding and had just added open interest.

Longs who pay to hold and came in late have their stops and liquidation prices close below; a break is where they all
want to leave at once. The crowd must have been there in the bars up to the break, since funding and open interest fall
with it. It covers at the next level down, on the reclaim, or after a few days. It should fail in a strong rise, when
funding stays high for weeks and each dip below a support is bought, and where the other side of the crowd is hedged, as
in a carry trade, and has no reason to leave. While a signal is not known (its history is too short, its feed has a
hole) nothing is done.
Source: leveraged demand of trend-chasers, and the crashes it feeds, in Schmeling, Schrimpf & Todorov, "Crypto carry", BIS
Working Paper 1087, 2023.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.levels import Levels, breaks, read_levels
from backtest.signals import funding_annualised, funding_z, open_interest_z


@dataclass(frozen=True)
class CrowdedLongBreak:
    symbol: str = "BTCUSDT"  # what to trade, with funding and open interest
    kinds: str = "round"  # supports by kind, like "fixed(75000, 70000) | prior('week')"
    buffer: float = 0.003  # how far below counts as a break, fraction of the level
    buffer_atr: float = 0.0  # least buffer in ATRs of 14 bars, where that is wider
    funding: float = 0.11  # least funding of 24 hours, fraction a year; the neutral 0.01% each 8 hours are 0.1095
    funding_unusual: float | None = None  # its least robust z against 90 days; none: any
    interest: float = 1.0  # least robust z of the change of open interest, coins, against 90 days
    interest_days: float = 7.0  # days over which that change is measured
    crowd_bars: int = 72  # bars up to the break in one of which the crowd must have been there
    max_bars: int = 72  # bars after which to leave; 0: never
    leverage: float = 1.0  # exposure, multiples of equity

    def __post_init__(self) -> None:
        if self.crowd_bars < 1:
            raise ValueError(f"crowd_bars must be at least 1, the bar of the break, got {self.crowd_bars}")
        if self.leverage <= 0:
            raise ValueError(f"leverage must be above 0, got {self.leverage}")
        if self.max_bars < 0:
            raise ValueError(f"max_bars must be at least 0, got {self.max_bars}")

    def watched(self, market: Market) -> Levels:
        return read_levels(self.kinds).find(market[self.symbol])

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        broken = breaks(bars, self.watched(market), buffer=self.buffer, buffer_atr=self.buffer_atr)
        paying = funding_annualised(market, self.symbol) >= self.funding
        if self.funding_unusual is not None:
            paying &= funding_z(market, self.symbol) >= self.funding_unusual
        added = open_interest_z(market, self.symbol, self.interest_days) >= self.interest
        # What is not known is NaN, and no comparison with NaN holds.
        crowds = np.concatenate(([0], np.cumsum(paying & added)))
        under = crowds[broken.bar + 1] > crowds[np.maximum(broken.bar + 1 - self.crowd_bars, 0)]
        return Plan.short(
            self.symbol,
            broken.bar[under],
            exposure=self.leverage,
            close_stop=(broken.level + broken.delta)[under],
            target=broken.next_level[under],
            max_bars=self.max_bars,
        )
