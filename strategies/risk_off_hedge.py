"""Hold a coin, and go flat or short while equities, their fear and the dollar say that risk is being sold everywhere.

Whoever must raise cash sells what can be sold at once, at any hour, and that is crypto. The score is the share of signs that
hold: equities below their mean of twenty sessions, the VIX high, the dollar above its mean. It should fail when the fall
comes from inside crypto, which the outside knows nothing of, and when the signs flicker: each turn costs two fees, and the
first days of a rise are missed. Nothing is held before the score is first known; a bar in which it is not known, or in which
the coin does not trade, changes nothing.
Source: a mean of past closes as the filter in Faber, "A quantitative approach to tactical asset allocation", Journal of
Wealth Management 9(4), 2007; the VIX as the measure of fear in Whaley, "The investor fear gauge", Journal of Portfolio
Management 26(3), 2000. The dollar and the weights are ours.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.signals import RISKS, risk_off


@dataclass(frozen=True)
class RiskOffHedge:
    symbol: str = "BTCUSDT"  # what to hold
    exposure: float = 1.0  # size of the position while all is calm, multiples of equity
    hedged: float = 0.0  # exposure while risk is off: 0 flat, below 0 short
    alarm: float = 0.6  # share of the signs at which to hedge
    clear: float = 0.2  # share of the signs below which to hold again
    components: tuple[str, ...] = RISKS  # signs that make up the score
    sessions: int = 20  # closes in the mean of equities and of the dollar
    fear: float = 20.0  # VIX from which fear is high

    def __post_init__(self) -> None:
        if not 0 < self.clear <= self.alarm <= 1:
            raise ValueError(
                f"clear and alarm must be shares above 0 and up to 1, clear no higher than alarm, got {self.clear} and {self.alarm}"
            )
        if not self.exposure > 0 or not self.hedged < self.exposure:
            raise ValueError(f"exposure must be above 0 and above hedged, got {self.exposure} and {self.hedged}")

    def plan(self, market: Market) -> Plan:
        score = risk_off(market, self.components, self.sessions, self.fear).score
        alarm, bar = score >= self.alarm, np.arange(len(market))
        last = np.maximum.accumulate(np.where(alarm | (score < self.clear), bar, -1))
        hedge = (last >= 0) & alarm[np.maximum(last, 0)]  # from a bar that alarms to the next that is clear
        ready = np.isfinite(score) & np.isfinite(market[self.symbol].close)
        if market.trade_from is not None:
            ready &= market.known_at >= market.trade_from
        wanted = np.where(hedge, self.hedged, self.exposure)
        return Plan.from_exposure(self.symbol, np.where(ready, wanted, np.nan))
