"""What an exchange gives, on which terms: one frozen value an exchange, see binance.py, bybit.py and okx.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backtest.model.arrays import DAY, HOUR, SECOND

__all__ = ["BARS", "MINUTE", "Terms"]

MINUTE = 60 * SECOND
# The intervals that all three exchanges give, opening on the epoch's grid.
BARS = (*(n * MINUTE for n in (1, 3, 5, 15, 30)), *(n * HOUR for n in (1, 2, 4, 6, 12)), DAY)


def endless(kind: str, interval: int) -> int | None:
    """Say that every series is kept since its listing."""
    return None


def nothing_more(kind: str, interval: int) -> dict[str, Any]:
    """Say that the usual parameters do."""
    return {}


@dataclass(frozen=True)
class Terms:
    """The terms of one exchange.

    name: as ccxt and we call it; title: as sentences do; perpetuals: ccxt's word for its linear perpetuals.
    kinds: kind -> intervals (ns); rows: kind -> the rows that one answer holds at most; newest_first: a full answer
    holds the newest rows of its span. calls: part of an address -> (calls, seconds) that its limit allows, "" for the
    rest; concurrency: calls at once. reach: (kind, interval) -> how far back from now (ns) rows are kept, None for all;
    older: kind -> where older rows are to be had, "source okx". coins_usd: open interest in coins and in usd of a
    row of ccxt's, None where it is not given; mark_key: where its funding rows have the mark price, "" if nowhere;
    extra: (kind, interval) -> parameters beside the usual ones; no_tiers: why its tiers can't be had, "" if they can.
    """

    name: str
    title: str
    perpetuals: str
    kinds: Mapping[str, tuple[int, ...]]
    rows: Mapping[str, int]
    newest_first: bool
    calls: Mapping[str, tuple[int, float]]
    concurrency: int
    coins_usd: Callable[[Mapping[str, Any]], tuple[Any, Any]]
    reach: Callable[[str, int], int | None] = endless
    older: Mapping[str, str] = field(default_factory=dict)
    mark_key: str = ""
    extra: Callable[[str, int], dict[str, Any]] = nothing_more
    no_tiers: str = ""
