"""Windows that look back: sums over irregular stamps, the last value that is still fresh, medians that end before the bar."""

from bisect import bisect_left, insort

import numpy as np

from backtest.errors import ConfigError
from backtest.model.arrays import DAY, BoolArray, Float, Int64
from backtest.model.market import LONG_GAP, Feed, long_gaps
from backtest.model.memo import memoised

__all__ = ["log_change", "median_and_mad", "past_median", "real", "robust_z", "span", "still_known", "window_sum"]

PATIENCE = 3
"""A series has a hole where two of its stamps are further apart than this many of its usual gaps [D]."""
RECENT = 9  # gaps whose median is the usual one
NORMAL = 1.4826  # MAD of a normal distribution -> its standard deviation: 1 / Phi^-1(3/4)
LONG = 50_000  # values from which compiling pays


def real(value: object) -> float:
    """Return a number as it is, and NaN for what is none (text, True, None): no comparison with NaN holds.

    >>> real(2), real("2"), real(True)
    (2.0, nan, nan)
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return float(value) if number else float("nan")  # type: ignore[arg-type]  # `number` says that it is one


def span(name: str, days: float) -> int:
    """Return a number of days above 0 in ns; anything else is a ConfigError with the value.

    >>> span("days", 0.5)
    43200000000000
    """
    if not 0 < real(days) < 100_000:
        raise ConfigError(f"`{name}` must be a number of days above 0, got {days!r}.")
    return round(float(days) * DAY)


def usual_gaps(stamps: Int64) -> Float:
    """Return (k,) the median of the last nine gaps at each of k increasing stamps, ns; infinite at the first."""
    usual = np.full(stamps.size, np.inf)
    gaps = np.diff(stamps).astype(np.float64)
    for k in range(min(RECENT - 1, gaps.size)):
        usual[k + 1] = np.median(gaps[: k + 1])
    if gaps.size >= RECENT:
        windows = np.lib.stride_tricks.sliding_window_view(gaps, RECENT)
        usual[RECENT:] = np.partition(windows, RECENT // 2, axis=1)[:, RECENT // 2]
    return usual


def limits(stamps: Int64, longest_gap: int | None) -> Float:
    """Return (k,) how long each stamp's value stays fresh, ns."""
    if longest_gap is not None:
        return np.full(stamps.size, float(longest_gap))
    return PATIENCE * usual_gaps(stamps)


def still_known(feed: Feed, times: Int64, longest_gap: int | None = None) -> Float:
    """Return the last value known at each of the times (ns UTC, any shape); NaN before the first and once it is stale.

    A value is stale when it is older than `longest_gap` (ns), by default three times the median of the feed's last nine
    gaps [D]: a feed that ended says nothing any more. A feed of one value (an assumption) never gets stale. Values
    that are NaN count as not there.
    """
    there = np.isfinite(feed.value)
    stamps, value = feed.known_at[there], feed.value[there]
    if stamps.size == 0:
        return np.full(np.shape(times), np.nan)
    last = np.append(np.diff(stamps) > 0, True)  # of the values known at one moment, the last
    stamps, value = stamps[last], value[last]
    at = np.searchsorted(stamps, times, side="right") - 1
    seen = np.maximum(at, 0)
    fresh = (at >= 0) & (times - stamps[seen] <= limits(stamps, longest_gap)[seen])
    return np.where(fresh, value[seen], np.nan)


def log_change(feed: Feed, times: Int64, length: int, longest_gap: int | None = None) -> Float:
    """Return log(value now / value `length` ns ago) at each time; NaN where either is unknown or not above 0."""
    now, before = still_known(feed, times, longest_gap), still_known(feed, times - length, longest_gap)
    good = (now > 0) & (before > 0)
    return np.where(good, np.log(np.where(good, now, 1.0) / np.where(good, before, 1.0)), np.nan)


def window_sum(
    stamps: Int64, values: Float, at: Int64, length: int, longest_gap: int | None = None, by_neighbours: bool = False
) -> Float:
    """Return the sum of the values stamped in (at - length, at], at each time of `at`.

    stamps: (k,) ns UTC, sorted, regular or not; values: (k,), each about the time since the stamp before; length: ns.
    NaN until the stamps cover the whole window (the first is taken to cover as much as the gap that follows it, so two
    stamps are needed), and wherever the window has a hole: two stamps, or the last stamp and the time, further apart
    than `longest_gap` (ns; by default three times the median of the nine gaps before [D], with `by_neighbours` what
    `out_of_step` says), or no stamp at all where the window is as long as the usual gap. A missing stretch is never
    summed as zero.

    >>> days = np.arange(1, 5) * DAY
    >>> window_sum(days, np.array([1.0, 2.0, 4.0, 8.0]), days, 2 * DAY).tolist()
    [nan, 3.0, 6.0, 12.0]
    """
    there = np.isfinite(values)
    stamps, values = stamps[there], values[there]
    distinct = stamps[np.append(stamps[1:] > stamps[:-1], True)] if stamps.size else stamps
    if distinct.size < 2:
        return np.full(np.shape(at), np.nan)
    total = np.concatenate(([0.0], np.cumsum(values)))
    first, last = (np.searchsorted(stamps, moment, side="right") for moment in (at - length, at))
    covered = (at >= distinct[1]) & (at - length >= distinct[0] - (distinct[1] - distinct[0]))
    by_limit = longest_gap is not None or not by_neighbours
    hole = (
        has_hole(distinct, at, length, limits(distinct, longest_gap)) if by_limit else out_of_step(distinct, at, length)
    )
    whole = covered & ~hole
    newest = np.maximum(np.searchsorted(distinct, at, side="right") - 1, 0)
    whole &= (last > first) | (length < usual_gaps(distinct)[newest])  # a day without the day's stamp is no zero
    sums = total[last] - total[first]
    # What is left of a difference of running sums when nothing was stamped but zeros is a rounding error.
    busy = np.concatenate(([0], np.cumsum(values != 0)))
    return np.where(whole, np.where(busy[last] > busy[first], sums, 0.0), np.nan)


def has_hole(stamps: Int64, at: Int64, length: int, fresh: Float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return whether (at - length, at] reaches into a gap between distinct stamps that is longer than it may be."""
    late = np.concatenate(([False], np.diff(stamps) > fresh[:-1]))
    # The first stamp has no gap before it to be judged by, and the second gap is judged by the first.
    count = np.concatenate(([0], np.cumsum(late)))
    first, last = (np.searchsorted(stamps, moment, side="right") for moment in (at - length, at))
    newest = np.maximum(last - 1, 0)
    return (count[last] > count[first]) | (at - stamps[newest] > fresh[newest])


def out_of_step(stamps: Int64, at: Int64, length: int) -> BoolArray:
    """Return whether (at - length, at] reaches into a gap that is longer than 1.5 times the larger of its neighbours.

    stamps: (k,) ns UTC, two or more, increasing; at: ns UTC. Only stamps up to each time are known: the newest gap is judged by
    the one before it, and the time since the newest stamp by the shorter of the last two gaps. So an interval that grows
    counts as a hole until its second gap is over; one that shrinks never does.
    """
    gaps = np.diff(stamps)
    settled = np.concatenate(([0], np.cumsum(long_gaps(gaps))))  # of the gaps that end before each stamp but the first
    before = np.concatenate((gaps[:1], gaps[:-1]))
    newest_long = np.concatenate(([False], gaps > LONG_GAP * before))
    limit = LONG_GAP * np.concatenate((gaps[:1], np.minimum(gaps, before)))
    newest = np.maximum(np.searchsorted(stamps, at, side="right") - 1, 0)
    first = np.searchsorted(stamps, at - length, side="right")  # the first stamp in the window: its gap reaches into it
    known = settled[np.maximum(newest - 1, 0)] > settled[np.clip(first - 1, 0, stamps.size - 1)]
    late = at - stamps[newest] > limit[newest]
    return np.asarray(known | (newest_long[newest] & (newest >= first)) | late, np.bool_)


@memoised
def robust_z(values: Float, time: Int64, days: float = 90.0, share: float = 0.5) -> Float:
    """Return how unusual each value is against those of the days before it: (x - median) / (1.4826 * MAD).

    values: (n,), NaN where unknown; time: (n,) ns UTC, increasing (a market's `time`); days: the window, which ends
    with the value before. Median and MAD (median distance from the median) are those of [time - days, time), so that
    a value does not take part in its own yardstick.
    NaN: until the values reach back over the whole window; where fewer than `share` of the window's values are known
    [D]; where the MAD is 0, which says nothing about size; where the value is NaN.
    Source: median and MAD as in Hampel, JASA 69(346), 1974; 1.4826 makes the MAD a standard deviation under a normal.
    """
    median, mad = median_and_mad(values, time, days, share)
    return (values - median) / np.where(mad > 0, NORMAL * mad, np.nan)


@memoised
def past_median(values: Float, time: Int64, days: float = 90.0, share: float = 0.5) -> Float:
    """Return (n,) the median of the values in [time - days, time); NaN as in `robust_z`."""
    return median_and_mad(values, time, days, share)[0]


def median_and_mad(values: Float, time: Int64, days: float = 90.0, share: float = 0.5) -> tuple[Float, Float]:
    """Return (n,) each the median and the MAD of the known values in [time - days, time); NaN as in `robust_z`."""
    if not 0 < real(share) <= 1:
        raise ConfigError(f"`share` must be a fraction above 0 and at most 1, got {share!r}.")
    known = np.flatnonzero(np.isfinite(values))
    if known.size == 0:
        return np.full(values.size, np.nan), np.full(values.size, np.nan)
    first = np.searchsorted(time, time - span("days", days), side="left")
    begun = time - span("days", days) >= time[known[0]]
    if values.size >= LONG:
        from backtest.signals.median_walk import slide  # imported late: it imports numba

        return slide(values, first, begun, share)
    return slide_short(values, first, begun, share)


def slide_short(values: Float, first: Int64, ready: BoolArray, share: float) -> tuple[Float, Float]:
    """Return what `median_walk.slide` does, with the window as a sorted list: quicker while it is short."""
    median, mad = np.full(values.size, np.nan), np.full(values.size, np.nan)
    window: list[float] = []
    numbers, known, start = values.tolist(), np.isfinite(values).tolist(), 0
    for t, (low, begun) in enumerate(zip(first.tolist(), ready.tolist(), strict=True)):
        while start < low:
            if known[start]:
                del window[bisect_left(window, numbers[start])]
            start += 1
        if begun and len(window) >= max(1.0, share * (t - low)):
            median[t] = middle = centre(window)
            mad[t] = median_distance(window, middle)
        if known[t]:
            insort(window, numbers[t])
    return median, mad


def centre(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_distance(ordered: list[float], middle: float) -> float:
    """Return the median distance of sorted values from their median, without sorting the distances."""
    n = len(ordered)
    upper = nearest(ordered, middle, n // 2 + 1)
    return upper if n % 2 else (nearest(ordered, middle, n // 2) + upper) / 2


def nearest(ordered: list[float], middle: float, k: int) -> float:
    """Return the k-th smallest distance: the k nearest values stand together, so halve the places where they may start."""
    low, high = 0, len(ordered) - k
    while low < high:
        i = (low + high) // 2
        if ordered[i + k - 1] - middle >= middle - ordered[i]:
            high = i
        else:
            low = i + 1
    reach = max(ordered[low + k - 1] - middle, middle - ordered[low])
    return min(reach, max(ordered[low + k - 2] - middle, middle - ordered[low - 1])) if low else reach
