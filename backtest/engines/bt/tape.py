"""A market's prices and funding stamps as plain lists, and the stretch of it that is being walked."""

from typing import NamedTuple

import numpy as np

from backtest.engines.stated import finer_bars
from backtest.model import Market
from backtest.model.arrays import Float

__all__ = ["Columns", "Segment", "Stamps", "Tape"]

NEVER = 2**63 - 1


class Columns:
    """Prices as lists, `opens[j][k]` for symbol j and bar k; all NaN in a halt.

    mark_*: the mark price, the last price where the symbol trades without a mark; unmarked[j][k]: it trades without one.
    """

    __slots__ = (
        *("times", "interval", "opens", "highs", "lows", "closes"),
        *("mark_opens", "mark_highs", "mark_lows", "mark_closes", "unmarked"),
    )

    def __init__(self, market: Market, symbols: tuple[str, ...]) -> None:
        order = [market.position(symbol) for symbol in symbols]
        self.times: list[int] = market.time.tolist()
        self.interval = market.interval
        self.opens, self.highs, self.lows, self.closes = (
            lists(prices, order) for prices in (market.open, market.high, market.low, market.close)
        )
        halted = np.isnan(market.open)
        if market.mark is None:
            self.mark_opens, self.mark_highs, self.mark_lows, self.mark_closes = (
                self.opens, self.highs, self.lows, self.closes)  # fmt: skip
            unmarked = ~halted
        else:
            self.mark_opens, self.mark_highs, self.mark_lows, self.mark_closes = (
                lists(np.where(halted, np.nan, prices), order) for prices in market.mark_or_last
            )
            unmarked = ~halted & np.isnan(market.mark.open)
        self.unmarked: list[list[bool]] = [unmarked[:, j].tolist() for j in order]


def lists(prices: Float, order: list[int]) -> list[list[float]]:
    """One list of floats a symbol."""
    return [prices[:, j].tolist() for j in order]


class Stamps(NamedTuple):
    """Funding stamps in the order of time, closed by one that is never due."""

    times: list[int]
    symbols: list[int]
    rates: list[float]
    marks: list[float]


class Segment:
    """The bar, or finer bar, that is being walked: `opens[j][k]` is the open of symbol j.

    bar: the market's bar that it belongs to; time, end: ns UTC, its open and the end of what it covers.
    """

    __slots__ = (*Columns.__slots__, "bar", "end", "k", "time")
    times: list[int]
    interval: int
    opens: list[list[float]]
    highs: list[list[float]]
    lows: list[list[float]]
    closes: list[list[float]]
    mark_opens: list[list[float]]
    mark_highs: list[list[float]]
    mark_lows: list[list[float]]
    mark_closes: list[list[float]]
    unmarked: list[list[bool]]

    def __init__(self, columns: Columns) -> None:
        self.turn_to(columns)
        self.bar = -1
        self.move(-1, -1)

    def turn_to(self, columns: Columns) -> None:
        """Read from these columns from now on."""
        for name in Columns.__slots__:
            setattr(self, name, getattr(columns, name))

    def move(self, bar: int, k: int) -> None:
        """Stand at line k of the columns, inside the market's bar."""
        self.bar = bar
        self.k = k
        self.time = self.times[k] if k >= 0 else 0
        self.end = self.time + self.interval


class Tape:
    """A market made ready for walking: its columns, those of its finer bars if wanted, its stamps."""

    def __init__(self, market: Market, fine: bool = False) -> None:
        self.symbols = market.symbols
        self.columns = Columns(market, market.symbols)
        self.fine: Columns | None = None
        self.first_fine: list[int] = []
        self.last_fine: list[int] = []
        if fine:
            finer = finer_bars(market)
            self.fine = Columns(finer, market.symbols)
            self.first_fine = np.searchsorted(finer.time, market.time).tolist()
            self.last_fine = np.searchsorted(finer.time, market.known_at).tolist()
        funding = market.funding
        self.stamps = Stamps(
            [*funding.time.tolist(), NEVER],
            [*funding.symbol.tolist(), -1],
            [*funding.rate.tolist(), 0.0],
            [*funding.mark.tolist(), 0.0],
        )

    def __len__(self) -> int:
        return len(self.columns.times)

    def fine_bars(self, bar: int) -> range:
        """The lines of the finer columns that lie in a bar; empty where there are none."""
        if self.fine is None:
            return range(0)
        return range(self.first_fine[bar], self.last_fine[bar])
