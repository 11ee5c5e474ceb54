"""Data feeds of backtrader from a market: one a symbol, with funding and every feed of the market as lines beside the prices."""

import keyword
import math
import re
from array import array
from collections.abc import Set
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import backtrader as bt
import numpy as np

from backtest.model import Market
from backtest.model.arrays import Float

__all__ = ["SymbolFeed", "day_number_of", "line_names", "make_feeds"]

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
STANDARD = ("close", "low", "high", "open", "volume", "openinterest", "datetime")
UNITS = (
    (DAY, bt.TimeFrame.Days), (60 * SECOND, bt.TimeFrame.Minutes), (SECOND, bt.TimeFrame.Seconds),
    (1_000, bt.TimeFrame.MicroSeconds),
)  # fmt: skip


class SymbolFeed(bt.feed.DataBase):
    """A symbol's bars, each stamped with its open time, UTC; `bars` holds the market's bar of each of the feed's bars.

    Beside backtrader's lines there is `funding`, the last rate settled by the bar's close, and a line for each feed of the symbol
    and of the market, with the value known at the bar's close and NaN before the first. `openinterest` repeats
    `open_interest` where the market has it. A line that the market has no feed for does not exist: nothing stands in for it.
    """

    params = (("columns", None), ("bars", None))

    def start(self) -> None:
        super().start()
        self.bars = self.p.bars
        self.read = 0
        self.buffers = [self.lines[i] for i in range(self.lines.size())]

    def preload(self) -> None:
        """Take whole columns instead of one bar after another; filters (resampling) need to see each bar."""
        if self._filters or len(self):
            super().preload()
            return
        for name, values in self.p.columns.items():
            line = getattr(self.lines, name)
            line.array = array("d", values.tobytes() + bytes(8 * line.extension))
        self.read = len(self.bars)
        self.home()

    def load(self) -> bool | None:
        """Take the next bar; after the last one stay there, where `exactbars=1` keeps no other to go back to."""
        if self.read >= len(self.bars) and not self._filters:
            return False
        return super().load()

    def _load(self) -> bool:
        if self.read >= len(self.bars):
            return False
        for name, values in self.p.columns.items():
            getattr(self.lines, name)[0] = values[self.read]
        self.read += 1
        return True

    def advance(self, size: int = 1, datamaster: Any = None, ticks: bool = True) -> None:
        if datamaster is not None or self._filters:
            super().advance(size, datamaster, ticks)
            return
        for (
            line
        ) in self.buffers:  # what LineBuffer.advance does, without a call for each line; a bar of history has no ticks
            line._idx += size
            line.lencount += size


@lru_cache(maxsize=64)
def feed_class(lines: tuple[str, ...]) -> type[SymbolFeed]:
    """The feed with the given lines beside backtrader's own."""
    return type("MarketFeed", (SymbolFeed,), {"lines": lines, "__module__": __name__})


def make_feeds(market: Market, keep_halts: bool = False) -> list[SymbolFeed]:
    """Return one feed a symbol, in the market's order.

    keep_halts: bars in which a symbol does not trade stand in its feed as NaN; else they are left out, as in any feed of
    backtrader, and its last prices stay.
    """
    stamps = times_of(market)
    return [make_feed(market, j, stamps, keep_halts) for j in range(len(market.symbols))]


def make_feed(market: Market, j: int, stamps: Float, keep_halts: bool) -> SymbolFeed:
    symbol = market.symbols[j]
    bars = np.arange(len(market)) if keep_halts else np.flatnonzero(~np.isnan(market.open[:, j]))
    columns = {name: getattr(market, name)[:, j] for name in ("close", "low", "high", "open", "volume")}
    columns["datetime"] = stamps
    own = {line: market.feed(name) for line, name in line_names(market, symbol).items()}
    nothing = np.full(len(market), np.nan)
    columns |= {"openinterest": own.get("open_interest", nothing), "funding": last_funding(market, j), **own}
    kept = {name: np.ascontiguousarray(values[bars], dtype=np.float64) for name, values in columns.items()}
    extra = tuple(name for name in kept if name not in STANDARD)
    unit, frame = next((u, f) for u, f in UNITS if market.interval % u == 0)
    return feed_class(extra)(
        dataname=symbol,
        name=symbol,
        columns=kept,
        bars=bars.tolist(),
        timeframe=frame,
        compression=market.interval // unit,
    )


def line_names(market: Market, symbol: str) -> dict[str, str]:
    """Return line -> feed for a symbol: its own feeds by their short names, the market's by theirs, as identifiers.

    A feed of the market that is named like one of the symbol's own gets `market_` before it. A name that backtrader or Python
    has for something else (`close`, `lines`, `class`) gets the same, one of the symbol's own a `_` behind it.
    """
    found: dict[str, str] = {}
    taken = reserved_names() - {"openinterest"}
    of_market = []
    for name in market.feeds:
        owner, dot, short = name.partition(".")
        if dot and owner == symbol:
            found[free_name(identifier(short), taken | set(found))] = name
        elif not dot or owner not in market.symbols:
            of_market.append(name)
    for name in of_market:
        line = identifier(name)
        clashes = line in taken or line in found
        found[free_name(f"market_{line}" if clashes else line, taken | set(found))] = name
    return found


def identifier(name: str) -> str:
    line = re.sub(r"\W", "_", name)
    return line if line.isidentifier() else f"_{line}"


def free_name(line: str, taken: Set[str]) -> str:
    """The name, with `_` behind it until it is free."""
    while line in taken or re.fullmatch(r"line_?\d+", line):
        line += "_"
    return line


@lru_cache(maxsize=1)
def reserved_names() -> frozenset[str]:
    """Whatever a feed of backtrader or Python itself has a meaning for, so that no line can have that name."""
    feed = SymbolFeed(dataname="", columns={}, bars=[])
    feed.start()
    later = (
        "data",
        "datas",
        "fromdate",
        "todate",
        "sessionstart",
        "sessionend",
        "_tz",
        "_tzinput",
        "_calendar",
        "_env",
    )
    ticks = (f"tick_{line}" for line in (*STANDARD, "funding", "last"))
    return frozenset((*dir(feed), *dir(feed.lines), *keyword.kwlist, *later, *ticks, "funding"))


def last_funding(market: Market, j: int) -> Float:
    """(n,) the last rate settled by each bar's close, NaN before the first."""
    mine = market.funding.symbol == j
    times, rates = market.funding.time[mine], market.funding.rate[mine]
    if not times.size:
        return np.full(len(market), np.nan)
    index = np.searchsorted(times, market.known_at, side="right") - 1
    return np.where(index >= 0, rates[np.maximum(index, 0)], np.nan)


def times_of(market: Market) -> Float:
    """(n,) the open times as backtrader's days."""
    return np.array([day_number_of(time) for time in market.time.tolist()])


def day_number_of(time: int) -> float:
    """A time, ns UTC, as backtrader's days; bit for bit what its `date2num` makes of it."""
    day, rest = divmod(time, DAY)
    seconds, micro = divmod(rest // 1000, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return math.fsum((EPOCH + day, hour / 24.0, minute / 1440.0, second / 86_400.0, micro / 86_400e6))
