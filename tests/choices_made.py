"""A strategy file and markets for the tests of what is chosen among points."""

from study_walks import market, walk

STRATEGY = '''"""Goes long at every so many bars, and leaves after some."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class Turns:
    symbol: str = "W0"
    every: int = 24  # bars from one entry to the next
    hold: int = 6  # bars
    exposure: float = 1.0
    side: str = "long"

    def plan(self, market: Market) -> Plan:
        if self.side == "none":
            return Plan.empty()
        at = np.arange(0, len(market), self.every)
        make = Plan.long if self.side == "long" else Plan.short
        return make(self.symbol, at=at, exposure=self.exposure, max_bars=self.hold)
'''


def write_strategy(folder, text=STRATEGY, name="turns"):
    """Write a strategy's file and return its path as a user would type it."""
    path = folder / f"{name}.py"
    path.write_text(text)
    return str(path)


def made_market(n=1_440, seed=1):
    """Return a market of a walk of n hourly bars, its symbol W0."""
    return market(walk(seed, n))
