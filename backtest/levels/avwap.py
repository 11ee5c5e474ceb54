"""The volume-weighted average price since an anchor: what those who bought since then have paid."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.detector import Detector, check_bars, check_lengths, chosen
from backtest.levels.fixed import known_time
from backtest.levels.fractal import Fractal
from backtest.levels.periods import PERIODS, periods
from backtest.levels.table import NEVER, Levels
from backtest.levels.zigzag import Zigzag
from backtest.model.arrays import Float, Int64
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["Avwap", "anchored_vwap", "avwap"]


@memoised
def anchored_vwap(high: Float, low: Float, close: Float, volume: Float, anchor: Int64 | None = None) -> Float:
    """Return (n,) sum(tp*v)/sum(v) from each bar's anchor up to it, tp = (H+L+C)/3, in quote units.

    anchor: (n,) the bar from which each bar counts, negative for none (NaN); None means the first bar for all. A bar
    without price or volume adds nothing; NaN while nothing has been added.

    >>> one = np.ones(2)
    >>> anchored_vwap(10 * one, 10 * one, np.array([10.0, 40]), np.array([3.0, 1])).tolist()
    [10.0, 12.5]
    """
    check_lengths(high=high, low=low, close=close, volume=volume)
    typical = (high + low + close) / 3
    there = np.isfinite(typical) & np.isfinite(volume)
    weight = np.where(there, volume, 0.0)
    amount = np.cumsum(np.concatenate(([0.0], np.where(there, typical, 0.0) * weight)))
    total = np.cumsum(np.concatenate(([0.0], weight)))
    start = np.zeros(close.size, np.int64) if anchor is None else anchor
    bought, paid = total[1:] - total[start], amount[1:] - amount[start]
    line = np.full(close.size, np.nan)
    np.divide(paid, bought, out=line, where=(start >= 0) & (bought > 0))
    return line


@dataclass(frozen=True)
class Avwap(Detector):
    """The volume-weighted average price from an anchor, as one level a period.

    anchor: "day", "week" or "month" (the start of the current one), a time ("2026-01-15" as UTC, or ns), or the lows
    of `Fractal()` or `Zigzag()`: the last one known, counted from its own bar, but only once it is known. every: "day",
    "week" or "month": a row takes the average at the end of each completed one, until the next. A day's anchor before
    the first bar is not known: no level. An anchor that is none of these, or an unknown period, is a ConfigError.

    Formula: sum(tp*v)/sum(v), tp = (H+L+C)/3. Source: B. Shannon, "Maximum Trading Gains with Anchored VWAP", 2023.
    """

    anchor: str | int | Fractal | Zigzag = "month"
    every: Literal["day", "week", "month"] = "day"

    def __post_init__(self) -> None:
        chosen("every", self.every, PERIODS)
        if not isinstance(self.anchor, (Fractal, Zigzag)) and self.anchor not in PERIODS:
            self.time()

    def time(self) -> int:
        """Return the anchor as ns UTC."""
        try:
            if self.anchor is None or isinstance(self.anchor, bool):
                raise ConfigError
            return known_time(self.anchor)  # type: ignore[arg-type]  # the detectors and periods are told apart before
        except ConfigError:
            raise ConfigError(
                f"`anchor` must be 'day', 'week', 'month', a date like '2026-01-15', ns UTC, or a Fractal or Zigzag, "
                f"got {self.anchor!r}."
            ) from None

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        done = periods(bars, self.every).completed()
        price = self.line(bars)[done.stop - 1]
        until = np.append(done.end[1:], NEVER)[: done.end.size]
        there = np.flatnonzero(price > 0)
        price, end = price[there], done.end[there]
        params = ((("anchor", str(self.anchor)), ("every", self.every)),) * price.size
        return Levels(price, np.zeros(price.size), ("avwap",) * price.size, end, end, params, until[there])

    def line(self, bars: Bars) -> Float:
        """Return (len(bars),) the average at each bar's close, quote units; NaN where it has no anchor or no volume."""
        check_bars(bars)
        return anchored_vwap(bars.high, bars.low, bars.close, bars.volume, self.anchors(bars))

    def anchors(self, bars: Bars) -> Int64:
        """Return (n,) the bar from which each bar counts, -1 for none."""
        if isinstance(self.anchor, (Fractal, Zigzag)):
            swings = self.anchor.find(bars)
            start = np.searchsorted(bars.known_at, swings.formed_at, side="left")
            seen = np.searchsorted(bars.known_at, swings.known_at, side="left")
        elif self.anchor in PERIODS:
            spans = periods(bars, str(self.anchor))
            start = seen = spans.first
            if start.size and bars.time[0] > spans.start[0]:
                start = seen = start[1:]
        else:
            bar = np.searchsorted(bars.time, self.time(), side="left")
            start = seen = np.arange(bar, bar + 1) if len(bars) and self.time() >= bars.time[0] else np.empty(0, int)
            start = seen = start[start < len(bars)]
        lengths = np.diff(np.concatenate(([0], seen, [len(bars)])))
        return np.repeat(np.concatenate(([-1], start)), lengths)


avwap = Avwap
