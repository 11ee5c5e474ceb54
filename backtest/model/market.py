"""A market: aligned bars of several symbols, their funding as events, and feeds with the time they became known."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from backtest.errors import MarketError, did_you_mean
from backtest.model.arrays import HOUR, SECOND, Float, Int, Int64, frozen_array, utc_text
from backtest.model.memo import memoised
from backtest.model.passport import Passport

__all__ = ["LONG_GAP", "Bars", "Feed", "Funding", "FundingHole", "Mark", "Market", "long_gaps"]

LONG_GAP = 1.5
"""How many times as long as both its neighbours a gap between funding stamps is where stamps are missing [D]."""


@dataclass(frozen=True, eq=False)
class Feed:
    """A series beside the prices (open interest, VIX, ...), each value with the time at which it became known.

    known_at: (k,) int64 ns UTC, sorted; value: (k,) float64; unit: what a value means ("usd", "ratio", ...).
    """

    name: str
    known_at: Int64
    value: Float
    unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "known_at", frozen_array(self.known_at, np.int64))
        object.__setattr__(self, "value", frozen_array(self.value, np.float64))
        if self.known_at.shape != self.value.shape or self.known_at.ndim != 1:
            raise MarketError(f"The feed {self.name} has {self.known_at.size} times and {self.value.size} values.")
        if np.any(np.diff(self.known_at) < 0):
            raise MarketError(f"The feed {self.name} is not sorted by the time it became known.")

    def at(self, times: Int64) -> Float:
        """Return the last value known at each time (same shape); NaN where nothing was known yet."""
        index = np.searchsorted(self.known_at, times, side="right") - 1
        if self.value.size == 0:
            return np.full(np.shape(times), np.nan)
        return np.where(index >= 0, self.value[np.maximum(index, 0)], np.nan)

    def until(self, time: int) -> "Feed":
        """Return what was known at the time, and nothing later."""
        k = int(np.searchsorted(self.known_at, time, side="right"))
        return replace(self, known_at=self.known_at[:k], value=self.value[:k])


@dataclass(frozen=True)
class FundingHole:
    """A stretch (start, end), ns UTC, in which a symbol's funding stamps are missing."""

    symbol: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.symbol} has no funding between {utc_text(self.start)} and {utc_text(self.end)}"


@dataclass(frozen=True, eq=False)
class Funding:
    """Funding stamps of all symbols, each an event of its own.

    time: (k,) int64 ns UTC, snapped to the second and sorted, one stamp's symbols in the market's order;
    symbol: (k,) positions in the market's symbols; rate: (k,) fraction that longs pay; mark: (k,) settlement price, NaN
    where the source gave none; none: symbols that declare to have no funding (spot); assumed: stamps that were made up.
    """

    time: Int64
    symbol: Int
    rate: Float
    mark: Float
    none: frozenset[str] = frozenset()
    assumed: int = 0

    def __post_init__(self) -> None:
        time = np.asarray(self.time, dtype=np.int64)
        time = (time + SECOND // 2) // SECOND * SECOND
        symbol = np.asarray(self.symbol, dtype=np.int32)
        order = np.lexsort((symbol, time))
        for name, values, kind in (
            ("time", time, np.int64),
            ("symbol", symbol, np.int32),
            ("rate", np.asarray(self.rate, dtype=np.float64), np.float64),
            ("mark", np.asarray(self.mark, dtype=np.float64), np.float64),
        ):
            if values.shape != time.shape or values.ndim != 1:
                raise MarketError(f"Funding has {time.size} times but `{name}` of shape {values.shape}.")
            object.__setattr__(self, name, frozen_array(values[order], kind))
        if not np.all(np.isfinite(self.rate)):
            raise MarketError("A funding rate is not a number; leave the stamp out, so that it counts as a hole.")

    @classmethod
    def empty(cls, none: frozenset[str] = frozenset()) -> "Funding":
        """Return no stamps at all; `none` names the symbols for which that is the truth (spot)."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0), np.empty(0), none)

    def until(self, time: int) -> "Funding":
        """Return the stamps up to the time, and nothing later."""
        k = int(np.searchsorted(self.time, time, side="right"))
        return replace(self, time=self.time[:k], symbol=self.symbol[:k], rate=self.rate[:k], mark=self.mark[:k])


@dataclass(frozen=True, eq=False)
class Mark:
    """Mark prices, (n, m) each, on the market's bars; NaN where the source has none."""

    open: Float
    high: Float
    low: Float
    close: Float

    def __post_init__(self) -> None:
        for name in ("open", "high", "low", "close"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    def head(self, n: int) -> "Mark":
        """Return the first n bars."""
        return Mark(self.open[:n], self.high[:n], self.low[:n], self.close[:n])


@dataclass(frozen=True, eq=False)
class Bars:
    """One symbol's bars, (n,) each; a bar is labelled by its open time and known at its close, `time + interval`."""

    symbol: str
    interval: int
    time: Int64
    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float

    def __len__(self) -> int:
        return int(self.time.size)

    @property
    def known_at(self) -> Int64:
        """(n,) the close time of each bar, ns UTC."""
        return self.time + self.interval


@dataclass(frozen=True, eq=False)
class Market:
    """What a strategy may look at: the aligned panel, its funding, its feeds and the passport of each series.

    time: (n,) int64 ns UTC, the bars' open times, strictly increasing; interval: ns; symbols: (m,) names;
    open, high, low, close, volume: (n, m) float64, NaN in all of a bar's prices where a symbol does not trade;
    mark: mark prices or None; funding: events; feeds: by name, a symbol's own as "SYMBOL.name";
    trade_from: ns UTC, no row acts and nothing is scored before it; fine: the same span in finer bars, or None.
    """

    time: Int64
    interval: int
    symbols: tuple[str, ...]
    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float
    funding: Funding
    passport: Passport
    mark: Mark | None = None
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    trade_from: int | None = None
    fine: "Market | None" = None
    name: str = "market"

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", frozen_array(self.time, np.int64))
        object.__setattr__(self, "feeds", MappingProxyType(dict(self.feeds)))
        shape = (self.time.size, len(self.symbols))
        for name in ("open", "high", "low", "close", "volume"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim == 1:
                values = values.reshape(-1, 1)
            if values.shape != shape:
                raise MarketError(
                    f"`{name}` has the shape {values.shape}; {shape[0]} bars of {shape[1]} symbols need {shape}."
                )
            object.__setattr__(self, name, frozen_array(values, np.float64))
        if self.mark is not None and any(
            getattr(self.mark, k).shape != shape for k in ("open", "high", "low", "close")
        ):
            raise MarketError(f"The mark prices must have the shape {shape}, like the bars.")
        if len(set(self.symbols)) != len(self.symbols):
            raise MarketError(f"A symbol stands twice in {', '.join(self.symbols)}.")
        if self.interval <= 0 or np.any(np.diff(self.time) < self.interval):
            raise MarketError("The bars' times must increase by at least the interval.")
        self.check_prices()

    def check_prices(self) -> None:
        """Raise where a bar's prices contradict each other; the engines rely on low <= open, close <= high and on whole bars."""
        for what, p in (("bar", self), ("mark price bar", self.mark)):
            if p is None:
                continue
            missing = np.isnan(p.open) | np.isnan(p.high) | np.isnan(p.low) | np.isnan(p.close)
            partly = missing & ~(np.isnan(p.open) & np.isnan(p.high) & np.isnan(p.low) & np.isnan(p.close))
            wrong = (
                partly | (p.low > np.minimum(p.open, p.close)) | (p.high < np.maximum(p.open, p.close)) | (p.low <= 0)
            )
            if wrong.any():
                i, j = np.argwhere(wrong)[0]
                prices = ", ".join(str(float(x[i, j])) for x in (p.open, p.high, p.low, p.close))
                raise MarketError(
                    f"{self.symbols[j]} has an impossible {what} at {utc_text(int(self.time[i]))} "
                    f"({int(wrong.sum())} in all): open, high, low, close are {prices}."
                )

    def __len__(self) -> int:
        return int(self.time.size)

    @memoised
    def __getitem__(self, symbol: str) -> Bars:
        j = self.position(symbol)
        columns = (np.ascontiguousarray(getattr(self, k)[:, j]) for k in ("open", "high", "low", "close", "volume"))
        return Bars(symbol, self.interval, self.time, *(frozen_array(c, np.float64) for c in columns))

    def position(self, symbol: str) -> int:
        """Return the column of a symbol; an unknown one is an error with the nearest name."""
        if symbol not in self.symbols:
            raise MarketError(
                f"No symbol named {symbol!r} in the market {self.name}.{did_you_mean(symbol, self.symbols)}"
            )
        return self.symbols.index(symbol)

    @property
    def known_at(self) -> Int64:
        """(n,) the close time of each bar, ns UTC."""
        return self.time + self.interval

    @property
    def start_bar(self) -> int:
        """The first bar at whose open a row may act, and the first that is scored."""
        return 0 if self.trade_from is None else int(np.searchsorted(self.time, self.trade_from))

    @memoised
    def feed(self, name: str) -> Float:
        """Return (n,) the feed's last value known at each bar's close; NaN before the first. A missing feed is an error."""
        if name not in self.feeds:
            raise MarketError(f"The market {self.name} has no feed named {name!r}.{did_you_mean(name, self.feeds)}")
        return self.feeds[name].at(self.known_at)

    def head(self, n: int) -> "Market":
        """Return the market as it was known at the close of bar n - 1: n bars, and nothing that became known later."""
        n = max(0, min(n, len(self)))
        close = int(self.time[n - 1]) + self.interval if n else np.iinfo(np.int64).min
        return replace(
            self,
            time=self.time[:n],
            **{k: getattr(self, k)[:n] for k in ("open", "high", "low", "close", "volume")},
            mark=None if self.mark is None else self.mark.head(n),
            funding=self.funding.until(close),
            feeds={name: feed.until(close) for name, feed in self.feeds.items()},
            fine=None
            if self.fine is None
            else self.fine.head(int(np.searchsorted(self.fine.known_at, close, side="right"))),
        )

    @cached_property
    def mark_or_last(self) -> tuple[Float, Float, Float, Float]:
        """Open, high, low and close (n, m) each, of the mark where there is one, of the last price elsewhere."""
        last = (self.open, self.high, self.low, self.close)
        if self.mark is None:
            return last
        own = (self.mark.open, self.mark.high, self.mark.low, self.mark.close)
        filled = [np.where(np.isnan(m), p, m) for m, p in zip(own, last, strict=True)]
        first, second, third, fourth = (frozen_array(values, np.float64) for values in filled)
        return first, second, third, fourth

    @cached_property
    def has_halts(self) -> bool:
        """Whether a symbol is without prices in any bar."""
        return bool(np.isnan(self.open).any())

    @cached_property
    def funding_holes(self) -> tuple[FundingHole, ...]:
        """The stretches in which a symbol that has funding has no stamps though it trades, by symbol and time."""
        holes: list[FundingHole] = []
        for j, symbol in enumerate(self.symbols):
            if symbol not in self.funding.none:
                traded = np.flatnonzero(np.isfinite(self.close[:, j]))
                if traded.size:
                    span = (int(self.time[traded[0]]), int(self.time[traded[-1]]) + self.interval)
                    stamps = self.funding.time[self.funding.symbol == j]
                    holes += [FundingHole(symbol, a, b) for a, b in missing_stretches(stamps, *span)]
        return tuple(holes)


def missing_stretches(stamps: npt.NDArray[np.int64], start: int, end: int) -> list[tuple[int, int]]:
    """Return the (start, end) of the stretches in which stamps are missing between start and end, ns UTC.

    A gap is a hole when it is longer than `LONG_GAP` times the larger of its neighbouring gaps; so is a series that starts or
    ends more than one interval inside the span.
    """
    inside = stamps[(stamps >= start) & (stamps <= end)]
    if inside.size == 0:
        return [(start, end)]
    gaps = np.diff(stamps)
    first_gap, last_gap = (int(gaps[0]), int(gaps[-1])) if gaps.size else (8 * HOUR, 8 * HOUR)
    holes = []
    if int(stamps[0]) - start > first_gap:
        holes.append((start, int(stamps[0])))
    holes += [(int(stamps[i]), int(stamps[i + 1])) for i in np.flatnonzero(long_gaps(gaps))]
    if end - int(stamps[-1]) > last_gap:
        holes.append((int(stamps[-1]), end))
    return [(a, b) for a, b in holes if b > start and a < end]


def long_gaps(gaps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return (k,) whether each gap is longer than `LONG_GAP` times the larger of its neighbours; a gap alone is not.

    An interval that changes and stays makes none: the first gap of the new length has one like it beside it.

    >>> long_gaps(np.array([8, 8, 16, 8, 4, 4, 1, 1, 10, 1])).nonzero()[0].tolist()
    [2, 8]
    """
    if gaps.size < 2:
        return np.zeros(gaps.size, np.bool_)
    before = np.concatenate(([gaps[1]], gaps[:-1]))
    after = np.concatenate((gaps[1:], [gaps[-2]]))
    return np.asarray(gaps > LONG_GAP * np.maximum(before, after), np.bool_)
