"""Short the break of a support level; cover at the next level down, stop on the reclaim.

Below a watched price stop-loss orders and the liquidations of leveraged longs cluster; once it gives way they are
sold into the fall, towards the next level. The ladder is taken rung by rung ("target"), or ridden: then there is no
target, and each further level that breaks moves the stop down to that level's reclaim. It should fail where a break is
false: in a range, when the price dips below and comes back, each such dip costs about twice the buffer and two fees;
short of the last level there is no target; and a ride gives back the way from its last level. The default levels are
round numbers, known to anyone beforehand; levels that were read off the same chart afterwards look ahead.
Source: stop-loss clusters and price cascades in Osler, "Stop-loss orders and price cascades in currency markets",
Journal of International Money and Finance 24(2), 2005.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest import Bars, Market, Plan
from backtest.levels import Breaks, Levels, breaks, named_levels
from backtest.signals import technical


@dataclass(frozen=True)
class SupportBreak:
    symbol: str = "BTCUSDT"  # what to trade
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices, quote units
    buffer: float = 0.003  # how far below counts as a break, fraction of the level
    leverage: float = 1.0  # exposure, multiples of equity
    rule: Literal["close", "wick", "n_closes", "retest"] = "close"  # what has to pass the buffer: a close, a low, ...
    ladder: Literal["target", "ride"] = "target"  # cover at the next level, or hold on and move the stop at its break
    kinds: str | None = None  # further levels by kind, like "round | prior('week')"
    buffer_atr: float = 0.0  # least buffer in ATRs of 14 bars, where that is wider
    closes: int = 2  # rule "n_closes": closes in a row
    max_wait: int | None = None  # rule "retest": most bars from the break to the event; none: any number
    volume: float = 0.0  # least volume of the breaking bar, multiples of its usual; 0: any
    trend_bars: int = 0  # short only at a close below its mean of so many bars; 0: anywhere

    def __post_init__(self) -> None:
        if self.ladder not in ("target", "ride"):
            raise ValueError(f"ladder must be 'target' or 'ride', got {self.ladder!r}")
        if self.leverage <= 0:
            raise ValueError(f"leverage must be above 0, got {self.leverage}")
        if self.trend_bars < 0:
            raise ValueError(f"trend_bars must be at least 0, got {self.trend_bars}")

    def watched(self, market: Market) -> Levels:
        return named_levels(market[self.symbol], self.levels, self.kinds)

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        broken = breaks(
            bars,
            self.watched(market),
            rule=self.rule,
            buffer=self.buffer,
            buffer_atr=self.buffer_atr,
            closes=self.closes,
            within=self.max_wait,
            volume=self.volume,
        )
        reclaim = broken.level + broken.delta
        mean = technical(bars, "sma", window=self.trend_bars) if self.trend_bars else np.full(len(bars), np.inf)
        falls = broken.close < mean[broken.bar]  # NaN: no mean yet
        enters = np.flatnonzero(falls & (broken.close <= reclaim))  # a wick may be back already
        target = broken.next_level[enters] if self.ladder == "target" else np.nan
        plan = Plan.short(
            self.symbol, broken.bar[enters], exposure=self.leverage, close_stop=reclaim[enters], target=target
        )
        if self.ladder == "ride":
            lower = lowered(bars, broken, set(enters.tolist()))
            plan += Plan.amend(self.symbol, broken.bar[lower], close_stop=reclaim[lower])
        return plan


def lowered(bars: Bars, broken: Breaks, enters: set[int]) -> list[int]:
    """Return at which breaks a short of an earlier one is still held and its stop comes down; `enters`: those shorted."""
    lower, stop, since = [], np.nan, 0
    for k, (bar, reclaim) in enumerate(zip(broken.bar.tolist(), (broken.level + broken.delta).tolist(), strict=True)):
        if np.any(bars.close[since + 1 : bar + 1] > stop):
            stop = np.nan
        if reclaim < stop:
            lower.append(k)
        if reclaim < stop or (np.isnan(stop) and k in enters):
            stop = reclaim
        since = bar
    return lower
