"""Buy a support level that was touched and held; leave at a gain, or when a bar closes below the level.

Resting buy orders at a watched price stop a fall, more often than at prices that nobody names. It should fail in a
deleveraging, when forced sellers do not ask for the price: then the last bounce is bought just before the break.
Source: bounces at published levels in Osler, "Support for resistance", FRBNY Economic Policy Review 6(2), 2000.
"""

from dataclasses import dataclass

from backtest import Market, Plan
from backtest.levels import Levels, bounces, named_levels


@dataclass(frozen=True)
class SupportBounce:
    symbol: str = "BTCUSDT"  # what to trade
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices, quote units
    zone: float = 0.15  # how near a bar must come to touch, ATRs of 14 bars
    leave: float = 1.0  # how far above a close must be to have held, ATRs
    buffer: float = 0.003  # how far below a close means broken, fraction of the level
    buffer_atr: float = 0.25  # least buffer in ATRs, where that is wider
    target_fraction: float = 0.03  # gain at which to leave, fraction of the entry
    leverage: float = 1.0  # exposure, multiples of equity
    kinds: str | None = None  # further levels by kind, like "round | fractal(k=5)"
    max_bars: int = 0  # bars after which to leave; 0: never

    def __post_init__(self) -> None:
        if self.leverage <= 0:
            raise ValueError(f"leverage must be above 0, got {self.leverage}")
        if self.max_bars < 0:
            raise ValueError(f"max_bars must be at least 0, got {self.max_bars}")

    def watched(self, market: Market) -> Levels:
        return named_levels(market[self.symbol], self.levels, self.kinds)

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        held = bounces(
            bars,
            self.watched(market),
            zone=self.zone,
            leave=self.leave,
            buffer=self.buffer,
            buffer_atr=self.buffer_atr,
        )
        return Plan.long(
            self.symbol,
            at=held.bar,
            exposure=self.leverage,
            close_stop=held.level - held.delta,
            target_fraction=self.target_fraction,
            max_bars=self.max_bars,
        )
