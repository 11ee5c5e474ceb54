"""Bybit's terms: linear perpetuals and spot of the v5 interface.

Its answers are newest first, and a full one lacks the oldest rows of its span. Limit: 600 calls in 5 seconds an address.
"""

from collections.abc import Mapping
from typing import Any

from backtest.market.sources.terms import BARS, MINUTE, Terms
from backtest.model.arrays import DAY, HOUR

__all__ = ["BYBIT"]

PERIODS = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR, DAY)


def coins_usd(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the open interest of a row in coins; Bybit gives no usd of linear contracts."""
    return row["openInterestAmount"], None


BYBIT = Terms(
    name="bybit",
    title="Bybit",
    perpetuals="linear",
    kinds={"bars": BARS, "mark": BARS, "premium": BARS, "funding": (), "open_interest": PERIODS},
    rows={"bars": 1_000, "mark": 1_000, "premium": 1_000, "funding": 200, "open_interest": 200},
    newest_first=True,
    calls={"": (300, 5.0)},
    concurrency=4,
    coins_usd=coins_usd,
)
