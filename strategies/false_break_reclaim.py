"""Buy a false break: a support that broke and is reclaimed soon; stop below the low that it made.

Those who sold the break are wrong and have to buy back, and the stop-loss orders below are spent. What is risked is
small: the low of the break says at once that the idea is over. It should fail in a deleveraging, when a reclaim is a
pause of forced selling and the level is lost again, and where a long fall leaves a far stop under a near target.
Source: "Turtle Soup" in Connors & Raschke, "Street Smarts", 1995, which buys the return above a 20-day low that broke.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest import Market, Plan
from backtest.levels import Breaks, Levels, breaks, named_levels


@dataclass(frozen=True)
class FalseBreakReclaim:
    symbol: str = "BTCUSDT"  # what to trade
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices, quote units
    kinds: str | None = None  # further levels by kind, like "round | prior('week')"
    buffer: float = 0.003  # how far below and above counts as broken and reclaimed, fraction of the level
    buffer_atr: float = 0.0  # least buffer in ATRs of 14 bars, where that is wider
    max_wait: int | None = None  # most bars from the break to the reclaim; none: 24, on daily bars 5
    volume: float = 0.0  # least volume of the breaking bar, multiples of its usual; 0: any
    margin: float = 0.001  # how far below the low the stop stands, fraction of it
    target: Literal["risk", "level"] = "risk"  # where to leave: a multiple of the risk, or the next level above
    reward: float = 2.0  # the gain, multiples of the risk, also where no level is above
    max_bars: int = 168  # bars after which to leave; 0: never
    leverage: float = 1.0  # exposure, multiples of equity

    def __post_init__(self) -> None:
        if self.target not in ("risk", "level"):
            raise ValueError(f"target must be 'risk' or 'level', got {self.target!r}")
        for name in ("reward", "leverage"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin must be a fraction from 0 to below 1, not percent, got {self.margin}")
        if self.max_bars < 0:
            raise ValueError(f"max_bars must be at least 0, got {self.max_bars}")

    def watched(self, market: Market) -> Levels:
        return named_levels(market[self.symbol], self.levels, self.kinds)

    def plan(self, market: Market) -> Plan:
        bars, levels = market[self.symbol], self.watched(market)
        false = breaks(
            bars,
            levels,
            rule="reclaim",
            buffer=self.buffer,
            buffer_atr=self.buffer_atr,
            within=self.max_wait,
            volume=self.volume,
        )
        stop = false.low * (1 - self.margin)
        target = false.close + self.reward * (false.close - stop)
        if self.target == "level":
            above = np.array(next_above(levels, false))
            target = np.where(np.isfinite(above), above, target)
        return Plan.long(
            self.symbol, false.bar, exposure=self.leverage, stop=stop, target=target, max_bars=self.max_bars
        )


def next_above(levels: Levels, false: Breaks) -> list[float]:
    """Return the lowest level above each close that is known then and not replaced; infinity where there is none."""
    found = []
    for time, close in zip(false.time.tolist(), false.close.tolist(), strict=True):
        there = (levels.known_at <= time) & (time < levels.until) & (levels.price > close)
        found.append(float(levels.price[there].min(initial=np.inf)))
    return found
