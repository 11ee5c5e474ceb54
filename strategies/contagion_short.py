"""Short the coin that falls most with the leader when the leader breaks a support; leave when the leader takes it back.

Whoever is liquidated in the leader sells what else he holds, and thinner books fall further. The coin is the one with the
highest downside beta to the leader, measured before the break. It should fail when the break is false, then it loses more
than the leader would; and when the coin's beta was high for a reason of its own that is over. A coin whose downside beta is
not known, or not above 0, or that does not trade is no candidate; without any candidate nothing is done. A coin that was
shorted at two breaks leaves when the first of the two levels is taken back.
Source: spirals of margin calls that reach other assets in Brunnermeier & Pedersen, "Market liquidity and funding
liquidity", Review of Financial Studies 22(6), 2009; downside beta in Ang, Chen & Xing, "Downside risk", Review of Financial
Studies 19(4), 2006; that a rise of beta in a storm may be no contagion in Forbes & Rigobon, "No contagion, only
interdependence", Journal of Finance 57(5), 2002.
"""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan
from backtest.levels import Levels, breaks, fixed
from backtest.signals import downside_beta


@dataclass(frozen=True)
class ContagionShort:
    leader: str = "BTCUSDT"  # whose break it is
    levels: tuple[float, ...] = (75_000.0, 70_000.0)  # support prices of the leader, quote units
    candidates: tuple[str, ...] | None = None  # coins to choose from, none for all but the leader
    buffer: float = 0.003  # how far below counts as a break, and above as taken back, fraction of the level
    days: float = 90.0  # days before over which downside beta is measured
    leverage: float = 1.0  # exposure, multiples of equity
    stop_fraction: float = 0.05  # loss at which to leave inside a bar, fraction of the entry
    max_bars: int = 168  # bars after which to leave, 0 for never

    def __post_init__(self) -> None:
        if self.candidates is not None and self.leader in self.candidates:
            raise ValueError(
                f"candidates must be coins beside the leader {self.leader}, got {', '.join(self.candidates)}"
            )
        if not self.stop_fraction > 0:
            raise ValueError(f"stop_fraction must be a fraction above 0, got {self.stop_fraction}")

    def watched(self, market: Market) -> dict[str, Levels]:
        return {self.leader: fixed(self.levels)}

    def plan(self, market: Market) -> Plan:
        leader = market[self.leader]
        coins = self.candidates or tuple(s for s in market.symbols if s != self.leader)
        if not coins:
            raise ValueError(
                f"contagion needs a coin beside {self.leader}, and the market {market.name} holds no other"
            )
        broken = breaks(leader, self.watched(market)[self.leader], buffer=self.buffer)
        beta = np.array([downside_beta(market, coin, self.leader, self.days)[broken.bar] for coin in coins])
        trading = np.array([np.isfinite(market[coin].close)[broken.bar] for coin in coins])
        beta = np.where(trading & (beta > 0), beta, -np.inf)
        plan, chosen, found = Plan.empty(), beta.argmax(axis=0), beta.max(axis=0) > 0
        for i, coin in enumerate(coins):
            mine = found & (chosen == i)
            back = np.zeros(len(market), np.bool_)
            for bar, level in zip(broken.bar[mine].tolist(), broken.level[mine].tolist(), strict=True):
                back[bar + np.flatnonzero(leader.close[bar:] > level * (1 + self.buffer))[:1]] = True
            plan += Plan.short(
                coin,
                at=broken.bar[mine],
                exposure=self.leverage,
                stop_fraction=self.stop_fraction,
                max_bars=self.max_bars,
            ) + Plan.exit(coin, at=back)
        return plan
