"""OKX's terms: linear swaps and spot of the v5 interface.

Its answers are newest first, and a full one lacks the oldest rows of its span. Bars of 6 hours and more open on UTC only if
asked for as such (`1Dutc`): ccxt does so for bars, and we for open interest. Volume of swaps is in contracts, coins and quote;
ccxt takes the coins. Limits: 20 calls in 2 seconds for candles, 10 for funding and open interest.
"""

from collections.abc import Mapping
from typing import Any

from backtest.market.sources.terms import BARS, MINUTE, Terms
from backtest.model.arrays import DAY, HOUR

__all__ = ["OKX"]


def reach(kind: str, interval: int) -> int | None:
    """Return how far back rows are kept: funding for 3 months, open interest for 1,440 rows."""
    return {"funding": 90 * DAY, "open_interest": 1_440 * interval}.get(kind)


def coins_usd(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the open interest of a row in coins and in usd; ccxt's own amount counts contracts."""
    return row["info"][2], row["info"][3]


def extra(kind: str, interval: int) -> dict[str, Any]:
    """Return the period of daily open interest that opens at 00:00 UTC; the plain one opens at 16:00."""
    return {"period": "1Dutc"} if kind == "open_interest" and interval == DAY else {}


OKX = Terms(
    name="okx",
    title="OKX",
    perpetuals="swap",
    kinds={"bars": BARS, "mark": BARS, "funding": (), "open_interest": (5 * MINUTE, HOUR, DAY)},
    rows={"bars": 300, "mark": 100, "funding": 100, "open_interest": 100},
    newest_first=True,
    calls={"funding-rate-history": (9, 2.0), "/rubik/": (4, 2.0), "": (18, 2.0)},
    concurrency=3,
    coins_usd=coins_usd,
    reach=reach,
    older={
        "funding": "source binance-archive or bybit",
        "open_interest": "source binance-archive or bybit, or a longer interval",
    },
    extra=extra,
    no_tiers="OKX states its tiers in contracts, not by notional. Use the tables of data/venues, or source bybit.",
)
