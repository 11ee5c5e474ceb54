"""Clusters: prices at which pivots lie together."""

from dataclasses import dataclass, field

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.atr import atr
from backtest.levels.detector import Detector, check_bars, number, whole
from backtest.levels.fractal import Fractal
from backtest.levels.periods import periods
from backtest.levels.table import NEVER, Levels, Params
from backtest.model.arrays import DAY, Float, Int64
from backtest.model.market import Bars

__all__ = ["Cluster", "cluster", "complete_linkage"]

AT_ONCE = 64  # days clustered together: enough to make a pass worth its call, few enough to stay in the cache


@dataclass(frozen=True, eq=False)
class Groups:
    """Clusters of points: the segment each belongs to, its lowest and highest point, the sum and number of points."""

    segment: Int64
    low: Float
    high: Float
    total: Float
    count: Int64


def complete_linkage(points: Float, width: Float, segment: Int64) -> Groups:
    """Return the clusters of points (n,) on a line by complete linkage, cut at a width: none is wider than that.

    segment: (n,) increasing, points of different segments never join; points: sorted within a segment; width: (n,) the
    largest diameter. Neighbours that are each other's nearest are joined at once, again and again: complete linkage is
    reducible, so this gives the same clusters as joining one closest pair after the other. Of two equally close pairs
    the lower is joined. Source: F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", The
    Computer Journal 26(4), 1983 (reciprocal nearest neighbours).
    """
    low, high, total, count = points, points.copy(), points.copy(), np.ones(points.size, np.int64)
    while low.size > 1:
        wide = high[1:] - low[:-1]
        wide[(segment[1:] != segment[:-1]) | (wide > width[1:])] = np.inf
        before, after = np.append(np.inf, wide[:-1]), np.append(wide[1:], np.inf)
        left = np.flatnonzero(np.isfinite(wide) & (wide < before) & (wide <= after))
        if left.size == 0:
            break
        high[left] = high[left + 1]
        total[left] += total[left + 1]
        count[left] += count[left + 1]
        kept = np.ones(low.size, np.bool_)
        kept[left + 1] = False
        low, high, total, count = low[kept], high[kept], total[kept], count[kept]
        segment, width = segment[kept], width[kept]
    return Groups(segment, low, high, total, count)


@dataclass(frozen=True)
class Cluster(Detector):
    """Groups of pivot prices, anew at the end of each UTC day: each group is a level, as wide as its pivots.

    width: the largest diameter of a group in ATRs of 14 bars, as a fraction of the close, since the pivots are compared
    by log price [D: 0.5]; lookback: days, older pivots do not count [D: 180]; members: fewest pivots in a group [D];
    pivots: the detector that finds them. The price is the geometric mean of the pivots, the half-width reaches the
    farthest; `params` say how many they are. A row stays as long as the same group comes out day after day. No level
    before the ATR is known. Errors (ConfigError): a width or lookback not above 0, members below 1, pivots that are
    no detector.

    Source: complete linkage, whose cut bounds the width of a group (Ward's does not); Sorensen, Kongelige Danske
    Videnskabernes Selskab 5(4), 1948.
    """

    width: float = 0.5
    lookback: float = 180.0
    members: int = 3
    pivots: Detector = field(default=Fractal(2))

    def __post_init__(self) -> None:
        number("width", self.width, above=True)
        number("lookback", self.lookback, above=True)
        whole("members", self.members)
        if not isinstance(self.pivots, Detector):
            raise ConfigError(f"`pivots` must be a detector like Fractal(k=2), got {self.pivots!r}.")

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        done, *_ = periods(bars, "day").traded(bars)
        last = done.stop - 1
        widths = self.width * (atr(bars) / last_close(bars))[last]
        able = np.flatnonzero(widths > 0)
        end, widths = done.end[able], widths[able]
        pivots = self.pivots.find(bars)
        order = np.argsort(pivots.known_at, kind="stable")
        price, known = np.log(pivots.price[order]), pivots.known_at[order]
        first = np.searchsorted(known, end - int(self.lookback * DAY), side="right")
        stop = np.searchsorted(known, end, side="right")
        days = [
            clusters_of(price, first[i : i + AT_ONCE], stop[i : i + AT_ONCE], widths[i : i + AT_ONCE], i, self.members)
            for i in range(0, end.size, AT_ONCE)
        ]
        return self.levels(days, end)

    def levels(self, days: list[Groups], end: Int64) -> Levels:
        """Return one row for each stretch of days on which the same group comes out."""
        bars, prices = np.empty(0, np.int64), np.empty(0)
        none = Groups(bars, prices, prices, prices, bars)
        names = ("segment", "low", "high", "total", "count")
        day, low, high, total, count = (np.concatenate([getattr(g, k) for g in (none, *days)]) for k in names)
        order = np.lexsort((day, total, high, low, count))
        day, low, high, total, count = (column[order] for column in (day, low, high, total, count))
        new = day[1:] != day[:-1] + 1
        for column in (low, high, total, count):
            new |= column[1:] != column[:-1]
        first = np.flatnonzero(np.append(True, new)[: day.size])
        ends = np.append(end[1:], NEVER)[day[np.append(first[1:], day.size)[: first.size] - 1]]
        first, ends = (column[np.lexsort((low[first], day[first]))] for column in (first, ends))
        price = np.exp(total[first] / count[first])
        half = np.maximum(np.maximum(price - np.exp(low[first]), np.exp(high[first]) - price), 0.0)
        known = end[day[first]]
        sizes: dict[int, Params] = {c: (("members", c),) for c in np.unique(count).tolist()}
        params = tuple(sizes[c] for c in count[first].tolist())
        return Levels(price, half, ("cluster",) * first.size, known, known, params, ends)


def clusters_of(price: Float, first: Int64, stop: Int64, widths: Float, day: int, members: int) -> Groups:
    """Return the clusters of each day's window [first, stop) of pivots, with at least `members`; days count from `day`."""
    size = stop - first
    points = np.concatenate([np.sort(price[a:b]) for a, b in zip(first.tolist(), stop.tolist(), strict=True)])
    segment = np.repeat(np.arange(day, day + first.size), size)
    found = complete_linkage(points, np.repeat(widths, size), segment)
    kept = found.count >= members
    columns = (found.segment, found.low, found.high, found.total, found.count)
    return Groups(*(column[kept] for column in columns))  # type: ignore[arg-type]  # by position


def last_close(bars: Bars) -> Float:
    """Return (n,) the last close at each bar, that of an earlier one where a bar did not trade; NaN before the first."""
    traded = np.flatnonzero(np.isfinite(bars.close))
    lengths = np.diff(np.concatenate(([0], traded, [len(bars)])))
    return np.repeat(np.concatenate(([np.nan], bars.close[traded])), lengths)


cluster = Cluster
