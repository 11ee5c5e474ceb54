"""Cheats: a day's value is used from the beginning of the day on, not from when it became known."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan

DAY = 86_400_000_000_000


@dataclass(frozen=True)
class FutureFeed:
    symbol: str = "BTCUSDT"  # what to trade
    feed: str = "vix"  # what to look at

    def plan(self, market: Market) -> Plan:
        feed = market.feeds[self.feed]
        if not len(feed.value):
            return Plan.empty()
        early = feed.value[np.searchsorted(feed.known_at - DAY, market.known_at, side="right") - 1]
        known = market.feed(self.feed)
        return Plan.from_exposure(self.symbol, np.where(early > known, -1.0, 0.0))
