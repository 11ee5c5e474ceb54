"""Short a close below the lowest low of the bars before; leave on a close back above it, at a stop or at a target.

A new low says that everyone who bought in the window is losing; some of them have to sell. It should fail in a range,
where new lows are bought, and after a long fall, when the move is over. No level has to be named beforehand.
Source: the trading range break in Brock, Lakonishok & LeBaron, "Simple Technical Trading Rules and the Stochastic
Properties of Stock Returns", Journal of Finance 47(5), 1992.
"""

from dataclasses import dataclass

from backtest import Market, Plan
from backtest.levels import donchian


@dataclass(frozen=True)
class DonchianBreak:
    symbol: str = "BTCUSDT"  # what to trade
    lookback: int = 55  # bars whose lowest low is the support, the current one excluded
    buffer: float = 0.003  # how far below counts as a break, fraction of the support
    leverage: float = 1.0  # exposure, multiples of equity
    stop_fraction: float = 0.03  # loss at which to leave inside a bar, fraction of the entry
    target_fraction: float = 0.06  # gain at which to leave, fraction of the entry

    def __post_init__(self) -> None:
        if not 0 <= self.buffer < 1:
            raise ValueError(f"buffer must be a fraction from 0 to below 1, not percent, got {self.buffer}")

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        support = donchian(bars, self.lookback)
        return Plan.short(
            self.symbol,
            at=bars.close < support * (1 - self.buffer),
            exposure=self.leverage,
            close_stop=support,
            stop_fraction=self.stop_fraction,
            target_fraction=self.target_fraction,
        )
