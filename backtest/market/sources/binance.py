"""Binance's terms: USDⓈ-M perpetuals and spot.

Limits: 2,400 weights a minute for futures, of which 1,000 klines cost 5; 500 funding calls and 1,000 calls of /futures/data in
5 minutes. ccxt asks for at most 1,000 klines, though the futures would give 1,500 at twice the weight.
"""

from collections.abc import Mapping
from typing import Any

from backtest.market.sources.terms import BARS, MINUTE, Terms
from backtest.model.arrays import DAY, HOUR

__all__ = ["BINANCE"]

PERIODS = (*(n * MINUTE for n in (5, 15, 30)), *(n * HOUR for n in (1, 2, 4, 6, 12)), DAY)
KLINES = tuple(sorted((*BARS, 8 * HOUR)))


def reach(kind: str, interval: int) -> int | None:
    """Return how far back rows are kept: open interest for 30 days."""
    return 30 * DAY if kind == "open_interest" else None


def coins_usd(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the open interest of a row in coins and in usd."""
    return row["openInterestAmount"], row["openInterestValue"]


BINANCE = Terms(
    name="binance",
    title="Binance",
    perpetuals="linear",
    kinds={"bars": KLINES, "mark": KLINES, "premium": KLINES, "funding": (), "open_interest": PERIODS},
    rows={"bars": 1_000, "mark": 1_000, "premium": 1_000, "funding": 1_000, "open_interest": 500},
    newest_first=False,
    calls={"/fundingRate": (450, 300.0), "/futures/data/": (900, 300.0), "": (400, 60.0)},
    concurrency=4,
    coins_usd=coins_usd,
    reach=reach,
    older={"open_interest": "source binance-archive, which has it from 2020-09 on, or coinalyze"},
    mark_key="markPrice",
    no_tiers=(
        "Binance shows its leverage brackets only to an account's key. Use the tables of data/venues, or source bybit."
    ),
)
