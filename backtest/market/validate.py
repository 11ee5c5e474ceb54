"""What is wrong with a series: findings as sentences, fatal or not, each with the symbol, the time and the count."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from backtest.errors import MarketError
from backtest.market.calendars import absent_rows
from backtest.market.clock import grid_offset, interval_text, regular
from backtest.model.arrays import HOUR, SECOND, BoolArray, Float, Int64, utc_text

__all__ = [
    "CLOSE_ENOUGH",
    "RATE_LIMIT",
    "Finding",
    "count",
    "feed_findings",
    "first",
    "funding_findings",
    "order_findings",
    "price_findings",
    "refuse",
    "sift",
    "spacing_findings",
    "usual_spacing",
]

SHOWN = 4  # fatal findings of one file that a message spells out
CLOSE_ENOUGH = 1e-9  # relative: rounding may put a close this far outside its bar's range
RATE_LIMIT = 0.05  # a funding rate a stamp above this is percent taken for fraction; venues cap far below
HIGH_RATE = 0.002  # a median |rate| above this is suspicious, since 0.0001 is usual
ENOUGH = 30  # stamps, ten days of them, before a rate can look odd
MINUTE = 60 * SECOND
PRICES = ("open", "high", "low", "close")


class Finding(NamedTuple):
    """A sentence about a series; a fatal one stops the run."""

    text: str
    fatal: bool = True


def count(n: int, noun: str) -> str:
    """Return a number with its noun: "1 bar", "1,204 bars"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def refuse(source: str, problems: Sequence[str]) -> None:
    """Raise the problems of a file as one MarketError, the first few and the count of the rest; nothing without any."""
    if problems:
        rest = f"; and {count(len(problems) - SHOWN, 'more problem')}" if len(problems) > SHOWN else ""
        said = f"{source}: {'; '.join(p.removesuffix('.') for p in problems[:SHOWN])}{rest}"
        raise MarketError(said if said.endswith("?") else f"{said}.")


def sift(source: str, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Raise the fatal findings together; return the sentences of the others, for the passport."""
    refuse(source, [f.text for f in findings if f.fatal])
    return tuple(f.text if f.text.endswith((".", "?")) else f"{f.text}." for f in findings)


def first(time: Int64, mask: Any) -> str:
    """Return the time of the first row of a mask."""
    return utc_text(int(time[int(np.argmax(mask))]))


def usual_spacing(time: Int64) -> int:
    """Return the most common distance between neighbouring times, ns; 0 for fewer than two."""
    if time.size < 2:
        return 0
    steps = np.diff(time)
    if np.all(steps == steps[0]):  # the usual case, without sorting them
        return int(steps[0])
    lengths, counts = np.unique(steps, return_counts=True)
    return int(lengths[np.argmax(counts)])


def order_findings(label: str, noun: str, time: Int64) -> Iterator[Finding]:
    """Times out of order or twice: fatal."""
    steps = np.diff(time)
    if np.all(steps > 0):
        return
    if np.any(steps < 0):
        back = np.append(False, steps < 0)
        yield Finding(
            f"{label} has {count(int(back.sum()), noun)} out of order, the first at {first(time, back)}; sort the file"
        )
    times, seen = np.unique(time, return_counts=True)
    if times.size < time.size:
        extra = count(time.size - times.size, f"duplicate {noun}")
        yield Finding(f"{label} has {extra}, the first at {first(times, seen > 1)}; keep one of each time")


def spacing_findings(label: str, noun: str, time: Int64, interval: int) -> Iterator[Finding]:
    """Sorted times with another interval than the declared one, or off its grid as in a wrong zone: fatal."""
    usual, declared = usual_spacing(time), interval_text(interval)
    if usual not in (0, interval):
        apart = f"{noun}s {interval_text(usual)} apart, not {declared} as declared"
        yield Finding(f"{label} has {apart}, from {utc_text(int(time[0]))} on ({count(time.size, noun)})")
        return
    if regular(time, interval):
        return
    off = grid_offset(time, interval)
    if off.any():
        past = interval_text(int(off[int(np.argmax(off > 0))]))
        where = f"{count(int((off > 0).sum()), noun)} off the {declared} grid of UTC"
        zone = 'if its times are local, declare their zone (tz = "Asia/Kolkata")'
        yield Finding(f"{label} has {where}, the first at {first(time, off > 0)}, {past} past it; {zone}")


def price_findings(label: str, time: Int64, values: Mapping[str, Float]) -> Iterator[Finding]:
    """Prices that can't be: fatal. Volume that is not known, or flat bars without any: noted."""
    prices = {k: values[k] for k in PRICES}
    each = list(prices.values())
    yield from bad(label, time, reduce(np.logical_or, [np.isinf(p) for p in each]), "an infinite price")
    yield from bad(label, time, reduce(np.logical_or, [p <= 0 for p in each]), "a price that is not above zero")
    crossed: BoolArray = prices["high"] < prices["low"]
    yield from bad(label, time, crossed, "high < low")
    for name in ("open", "close"):
        outside = beyond(prices[name], prices["low"], prices["high"])
        yield from bad(label, time, outside & ~crossed, f"its {name} outside its range low..high")
    if "volume" in values:
        yield from volume_findings(label, time, each, values["volume"])


def beyond(price: Float, low: Float, high: Float) -> BoolArray:
    """Where a price lies outside low..high by more than rounding; without a copy of the prices where none does."""
    outside: BoolArray = (price > high) | (price < low)
    if outside.any():
        slack = CLOSE_ENOUGH * np.abs(price)
        outside = (price > high + slack) | (price < low - slack)
    return outside


def volume_findings(label: str, time: Int64, prices: Sequence[Float], volume: Float) -> Iterator[Finding]:
    """Volume below zero or infinite: fatal; not known, or none at a flat price: noted. prices: open, high, low, close."""
    yield from bad(label, time, (volume < 0) | np.isinf(volume), "a volume below zero or infinite")
    yield from bad(label, time, np.isnan(volume) & ~np.isnan(prices[3]), "no volume", fatal=False)
    flat = reduce(np.logical_and, [prices[0] == p for p in prices[1:]], volume == 0)
    yield from bad(label, time, flat, "a flat price and no volume (filled by the source?)", fatal=False)


def bad(label: str, time: Int64, mask: Any, what: str, fatal: bool = True) -> Iterator[Finding]:
    """One sentence for the bars of a mask, if there are any."""
    if n := int(mask.sum()):
        verb = "bar has" if n == 1 else "bars have"
        yield Finding(f"{label}: {n:,} {verb} {what}, the first at {first(time, mask)}", fatal)


def funding_findings(label: str, time: Int64, rate: Float, mark: Float) -> Iterator[Finding]:
    """Rates that can't be, marks that are not prices and stamps of a wrong zone: fatal; the merely odd: noted."""
    wrong = np.isinf(rate) | (np.abs(rate) > RATE_LIMIT)
    if n := int(wrong.sum()):
        at = f"the first {rate[int(np.argmax(wrong))]:g} at {first(time, wrong)}"
        stamps = f"{count(n, 'stamp')} with a rate above {RATE_LIMIT} in size"
        yield Finding(f'{label} has {stamps}, {at}; if the file holds percent, declare unit = "percent"')
    unpriced = (mark <= 0) | np.isinf(mark)
    if n := int(unpriced.sum()):
        stamps = f"{count(n, 'stamp')} with a mark that is no price above zero"
        yield Finding(f"{label} has {stamps}, the first at {first(time, unpriced)}")
    yield from stamp_findings(label, time)
    yield from odd_rates(label, time, rate)


def stamp_findings(label: str, time: Int64) -> Iterator[Finding]:
    """Most stamps off the whole hour, as in a wrong zone: fatal; a few, or a little jitter: noted."""
    past = (time + MINUTE) % HOUR - MINUTE  # ns from the nearest whole hour on, a minute early allowed
    off = past > MINUTE
    if n := int(off.sum()):
        late = interval_text(int(past[int(np.argmax(off))]) // SECOND * SECOND)
        told = f"{label} has {count(n, 'stamp')} off the whole hour, the first at {first(time, off)}, {late} past it"
        yield Finding(f"{told}; are its times in another zone?", fatal=n > time.size / 2)
    if n := int((time % SECOND != 0).sum()):
        yield Finding(f"{label} has {count(n, 'stamp')} with jitter, snapped to the second.", fatal=False)


def odd_rates(label: str, time: Int64, rate: Float) -> Iterator[Finding]:
    """Rates that are possible but suspicious."""
    if rate.size < ENOUGH:
        return
    stamps, usual = f"{count(rate.size, 'stamp')} from {utc_text(int(time[0]))} on", float(np.median(np.abs(rate)))
    if np.all(rate == rate[0]):
        yield Finding(f"{label} is {rate[0]:g} at each of its {stamps}: a placeholder?", False)
    elif HIGH_RATE < usual <= RATE_LIMIT:
        yield Finding(f"{label} has a median size of {usual:g} over {stamps}: percent taken for fraction?", False)


def feed_findings(label: str, time: Int64, value: Float, interval: int | None) -> Iterator[Finding]:
    """A feed that is not a number at places, or has gaps: noted. Infinite values: fatal."""
    if n := int(np.isinf(value).sum()):
        yield Finding(f"{label} has {count(n, 'infinite value')}, the first at {first(time, np.isinf(value))}")
    if n := int(np.isnan(value).sum()):
        yield Finding(
            f"{label} has no value at {count(n, 'stamp')}, the first at {first(time, np.isnan(value))}.", False
        )
    absent = absent_rows(time, interval) if interval is not None else np.zeros(0, np.int64)
    if absent.any():
        missing = count(int(absent.sum()), "value")
        after = utc_text(int(time[int(np.argmax(absent > 0))]))
        where = f"{count(int(np.count_nonzero(absent)), 'gap')}, the first after {after}"
        yield Finding(f"{label} misses {missing} in {where}; the last known value stands in them.", False)
    if interval is not None and (off := grid_offset(time, interval)).any():
        past = interval_text(int(off[int(np.argmax(off > 0))]))
        where = f"{count(int((off > 0).sum()), 'value')} off the {interval_text(interval)} grid of UTC"
        yield Finding(f"{label} has {where}, the first at {first(time, off > 0)}, {past} past it.", False)
