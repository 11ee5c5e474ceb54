"""The volume profile: the prices at which most was traded."""

from dataclasses import dataclass

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.atr import daily_atr
from backtest.levels.detector import Detector, check_bars, check_lengths, number, whole
from backtest.levels.table import NEVER, Levels
from backtest.model.arrays import DAY, Float, frozen_array
from backtest.model.market import Bars
from backtest.model.memo import memoised

__all__ = ["Profile", "VolumeProfile", "profile", "volume_profile"]

MOST_BINS = 10_000  # a step that would make more is widened: a crash far behind a quiet market


@dataclass(frozen=True, eq=False)
class VolumeProfile:
    """Volume by price: bin i holds what was traded in [edge(i), edge(i + 1)), edge(i) = (first + i) * step.

    volume: (k,) base units, from the lowest bin that traded to the highest; first: the lowest bin's number; step: the
    width of a bin, in the unit of the prices that were given (logs of quote units in `Profile`).
    """

    first: int
    step: float
    volume: Float

    def edge(self, i: int) -> float:
        """Return the lower edge of bin i."""
        return (self.first + i) * self.step

    def poc(self) -> int:
        """Return the point of control, the bin with the most volume; the lowest of several."""
        return int(np.argmax(self.volume))

    def value_area(self, share: float = 0.7) -> tuple[int, int]:
        """Return the first and last bin of the value area: grown from the POC by the larger neighbour, the lower of two
        equal ones, until it holds the share of the volume."""
        volume = self.volume.tolist()
        low = high = self.poc()
        held, wanted = volume[low], share * float(self.volume.sum()) * (1 - 1e-12)
        while held < wanted and (low > 0 or high < len(volume) - 1):
            below = volume[low - 1] if low > 0 else -1.0
            above = volume[high + 1] if high < len(volume) - 1 else -1.0
            low, high = (low - 1, high) if below >= above else (low, high + 1)
            held += max(below, above)
        return low, high

    def nodes(self, prominence: float = 0.25) -> list[int]:
        """Return the high-volume nodes: peaks whose prominence is at least a fraction of the POC's volume.

        A peak's prominence is its height above the higher of the two lowest points between it and the next higher bin
        on either side; outside the profile the volume is 0. Of a flat peak the lowest bin counts.
        """
        padded = [0.0, *self.volume.tolist(), 0.0]
        left, right = valleys(padded), valleys(padded[::-1])[::-1]
        least = prominence * max(padded)
        inner = range(1, len(padded) - 1)
        peaks = [i for i in inner if padded[i] > padded[i - 1] and padded[i] >= padded[i + 1]]
        return [i - 1 for i in peaks if padded[i] - max(left[i], right[i]) >= least]


def valleys(heights: list[float]) -> list[float]:
    """Return for each point the lowest height between it and the next higher point on its left, or the left end."""
    lowest: list[float] = []
    waiting: list[int] = []
    for i, height in enumerate(heights):
        low = height
        while waiting and heights[waiting[-1]] <= height:
            low = min(low, lowest[waiting.pop()])
        lowest.append(low)
        waiting.append(i)
    return lowest


@memoised
def volume_profile(prices: Float, volume: Float, step: float) -> VolumeProfile:
    """Return the volume traded in each bin of width `step`; prices and volume (n,), bars with a NaN left out.

    A step that is not above 0, or no bar with a price and a volume, is a ConfigError. A step so small that the prices
    span more than 10,000 bins is widened to that number.

    >>> found = volume_profile(np.array([100.0, 101, 100]), np.array([2.0, 1, 3]), 1.0)
    >>> found.first, found.volume.tolist()
    (100, [5.0, 1.0])
    """
    step = number("step", step, above=True)
    check_lengths(prices=prices, volume=volume)
    there = np.isfinite(prices) & np.isfinite(volume)
    if not there.all():
        prices, volume = prices[there], volume[there]
    if prices.size == 0:
        raise ConfigError("A volume profile needs at least one bar with a price and a volume, got none.")
    step = max(step, float(prices.max() - prices.min()) / MOST_BINS)
    bins = np.floor(prices / step).astype(np.int64)
    first = int(bins.min())
    return VolumeProfile(first, step, frozen_array(np.bincount(bins - first, weights=volume), np.float64))


@dataclass(frozen=True)
class Profile(Detector):
    """The volume profile of the last days as levels, anew at the end of each UTC day, until the next.

    days: the window, full before the first level [D: 30, on hourly bars]; bin: the width of a bin in daily ATRs of 14
    days, as a fraction of the price, since bins are on log prices [D: 0.1]; share: of the volume, in the value area;
    prominence: of a high-volume node, as a fraction of the POC's volume [D]. A bar's volume counts at its typical
    price, (H+L+C)/3. Rows, named in `params`: "poc" and each "hvn" (the middle of a bin, its half as half-width), "val"
    and "vah" (the edges of the value area). No level before 14 days and the window are over, nor where nothing moved or
    nothing was traded. Errors (ConfigError): days below 1, a bin or prominence not above 0, a share not in (0, 1].

    Source: P. Steidlmayer, market profile, with the value area of 70%; as in Dalton, "Mind over Markets", 1990.
    """

    days: int = 30
    bin: float = 0.1
    share: float = 0.7
    prominence: float = 0.25

    def __post_init__(self) -> None:
        whole("days", self.days)
        number("bin", self.bin, above=True)
        number("share", self.share, 0, 1, above=True)
        number("prominence", self.prominence, 0, 1, above=True)

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        days, ranges, close = daily_atr(bars)
        typical = np.log((bars.high + bars.low + bars.close) / 3)
        first = np.searchsorted(bars.time, days.end - self.days * DAY, side="left")
        full = days.end - self.days * DAY >= (bars.time[0] if len(bars) else NEVER)
        until = np.append(days.end[1:], NEVER)
        rows: list[tuple[str, float, float, int, int]] = []
        for i in np.flatnonzero(full & (ranges > 0)).tolist():
            window = slice(int(first[i]), int(days.stop[i]))
            if not np.nansum(bars.volume[window]) > 0:
                continue
            found = volume_profile(typical[window], bars.volume[window], self.bin * float(ranges[i] / close[i]))
            rows += [(*point, int(days.end[i]), int(until[i])) for point in self.points(found)]
        names, price, half, known, ends = zip(*rows, strict=True) if rows else ((),) * 5
        times = np.array(known, np.int64)
        params = tuple((("name", name), ("days", self.days)) for name in names)
        columns = np.array(price, np.float64), np.array(half, np.float64), ("profile",) * len(rows), times, times
        return Levels(*columns, params, np.array(ends, np.int64))

    def points(self, found: VolumeProfile) -> list[tuple[str, float, float]]:
        """Return (name, price, half-width) of what a profile on log prices shows."""
        poc, (low, high) = found.poc(), found.value_area(self.share)
        centres = [("poc", poc), *(("hvn", i) for i in found.nodes(self.prominence) if i != poc)]
        points = []
        for name, i in centres:
            bottom, top = np.exp(found.edge(i)), np.exp(found.edge(i + 1))
            points.append((name, float(bottom + top) / 2, float(top - bottom) / 2))
        return [
            *points,
            ("val", float(np.exp(found.edge(low))), 0.0),
            ("vah", float(np.exp(found.edge(high + 1))), 0.0),
        ]


profile = Profile
