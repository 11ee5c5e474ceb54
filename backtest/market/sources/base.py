"""What every source of data has in common: what it is asked, what it answers, and how it says what it can give."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["COLUMNS", "KINDS", "Page", "Request", "Source"]

OHLC = ("open", "high", "low", "close")

# kind -> the columns beside `time` that every page of it has; float64, NaN where the source gives no number.
COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": (*OHLC, "volume"),  # of the last price; volume in coins
    "mark": OHLC,  # the venue's mark price
    "premium": OHLC,  # the perpetual's premium over its index, as a fraction
    "funding": ("rate",),  # fraction paid by longs at the stamp; also `mark`, the settlement price, where given
    "open_interest": ("coins", "usd"),
    "liquidations": ("long_usd", "short_usd"),  # forced closes of longs and of shorts; also long_coins, short_coins
    "long_short_ratio": ("value",),  # accounts long / accounts short
    "taker_ratio": ("value",),  # taker buy volume / taker sell volume
    "value": ("value",),  # any single column that a user imports
}
KINDS = tuple(COLUMNS)


@dataclass(frozen=True)
class Request:
    """What is asked of a source: a series and its span.

    source: the source's name; symbol: as the source spells it; kind: one of `KINDS`; interval: ns, 0 for stamps that
    keep none (funding); start, end: ns UTC, end exclusive, of the `time` of the rows.
    """

    source: str
    symbol: str
    kind: str
    interval: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Page:
    """What a source answered: rows, and the span that they cover once they are stored.

    columns: `time` (k,) int64 ns UTC, the bar's OPEN or the stamp, sorted and unique, inside [start, end); the columns
    of the kind (see `COLUMNS`), (k,) float64, NaN where the source gives no number; `known_at` (k,) int64 only where
    it is not time + interval. start, end: what is covered, even where rows are missing in it: a span that is covered
    is not asked again. notes: sentences for the passport, such as what is missing.
    """

    columns: Mapping[str, NDArray[Any]]
    start: int
    end: int
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A place that gives series, page by page.

    name: "binance-archive"; kinds: kind -> the intervals (ns) that it can give, () where any or none applies; needs: ""
    or what it does not work without: "extra crypto", "environment COINALYZE_KEY"; concurrency: the pages that may be
    asked at once under its limits.
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> Mapping[str, tuple[int, ...]]: ...

    @property
    def needs(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    def plan(self, request: Request) -> list[Request]:
        """Cut a span into pages that do not depend on one another; SourceError for what can't be given at all."""
        ...

    def page(self, request: Request) -> Page:
        """Fetch one page, retried where that helps; SourceError otherwise."""
        ...
