"""Round numbers: the prices at which people place their orders."""

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.detector import Detector, check_bars, number
from backtest.levels.table import NEVER, Levels, Params
from backtest.model.arrays import Float
from backtest.model.market import Bars

__all__ = ["RoundNumbers", "round_grid", "round_numbers", "round_step"]

MANTISSAS = (1.0, 2.5, 5.0)


def round_grid(price: float, step: float) -> tuple[float, float]:
    """Return the multiples of the step next below and next above a price; a price on the grid is neither.

    A price or step that is not above 0 is a ConfigError.

    >>> round_grid(67_490, 5_000)
    (65000.0, 70000.0)
    """
    price, step = number("price", price, above=True), number("step", step, above=True)
    return multiple(math.ceil(price / step) - 1, step), multiple(math.floor(price / step) + 1, step)


def round_step(price: float, largest: float = 0.10) -> float:
    """Return the largest step of the form 1, 2.5 or 5 times a power of ten that is at most a fraction of the price.

    >>> round_step(67_490), round_step(2.0)
    (5000.0, 0.1)
    """
    price, largest = number("price", price, above=True), number("largest", largest, above=True)
    power = math.floor(math.log10(price * largest)) + 1
    steps = [scaled(mantissa, k) for k in (power, power - 1, power - 2) for mantissa in reversed(MANTISSAS)]
    return next(step for step in steps if step <= price * largest * (1 + 1e-12))


def scaled(mantissa: float, power: int) -> float:
    """Return mantissa * 10**power, rounded once, so that the tenth of a dollar is the 0.1 that people write."""
    return mantissa * 10.0**power if power >= 0 else mantissa / 10.0**-power


def multiple(count: int, step: float) -> float:
    """Return a multiple of a step as the decimal number that people write: 3 * 0.1 is 0.3."""
    return float(count * Decimal(repr(step)))


@dataclass(frozen=True)
class RoundNumbers(Detector):
    """The multiples of a step that suits the price, within reach of it, known from the first bar that reaches them.

    finest, coarsest: the step as a fraction of the price stays within them [2% and 10%]; the coarsest that fits is
    taken, and kept until it no longer fits, so that a price at a threshold does not change the grid at each bar; reach:
    fraction of the price, levels up to that far below and above the closes so far are in the table [D]. step: quote
    units, a step of one's own for the whole history. A row lasts until its price is off the grid. `params` say the step
    and whether the number is a major one, a multiple of the next power of ten from the step up (10,000 for 5,000).

    Formula: g in {1, 2.5, 5} * 10**k with g/P in [finest, coarsest]. Errors (ConfigError): fractions not in (0, 1), or
    a coarsest below 5 times the finest, where some price has no step; a step not above 0. Source: stop-loss and
    take-profit orders cluster at round numbers in Osler, "Currency orders and exchange rate dynamics", J. Finance
    58(5), 2003.
    """

    finest: float = 0.02
    coarsest: float = 0.10
    reach: float = 0.25
    step: float | None = None

    def __post_init__(self) -> None:
        number("finest", self.finest, 0, 0.99, above=True)
        number("coarsest", self.coarsest, 0, 0.99, above=True)
        number("reach", self.reach, 0, 0.99, above=True)
        if self.step is not None:
            number("step", self.step, above=True)
        if self.coarsest < 5 * self.finest * (1 - 1e-12):
            raise ConfigError(f"`coarsest` {self.coarsest} must be at least 5 times `finest` {self.finest}.")

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        known_at, close = bars.known_at, bars.close
        traded = np.isfinite(close)
        if not traded.all():
            known_at, close = known_at[traded], close[traded]
        rows: list[tuple[float, float, int, int]] = []
        open_rows: dict[float, tuple[float, int]] = {}
        for first, stop, step in self.grids(close):
            kept = {p: row for p, row in open_rows.items() if on_grid(p, step)}
            rows += [(p, s, t, int(known_at[first])) for p, (s, t) in open_rows.items() if p not in kept]
            open_rows = {
                p: (step, int(known_at[bar + first])) for p, bar in self.reached(close[first:stop], step)
            } | kept
        rows += [(p, s, t, NEVER) for p, (s, t) in open_rows.items()]
        return table(sorted(rows, key=lambda row: (row[2], -row[0])))

    def grids(self, close: Float) -> list[tuple[int, int, float]]:
        """Return (first, stop, step) of the stretches of bars with one step."""
        if self.step is not None:
            return [(0, close.size, float(self.step))] if close.size else []
        found, first = [], 0
        while first < close.size:
            step = round_step(float(close[first]), self.coarsest)
            stop = first_outside(close, first, step / self.coarsest * (1 - 1e-12), step / self.finest * (1 + 1e-12))
            found.append((first, stop, step))
            first = stop
        return found

    def reached(self, close: Float, step: float) -> list[tuple[float, int]]:
        """Return the multiples of the step within reach of some closes, and the bar that first reached each."""
        top, bottom = np.maximum.accumulate(close) * (1 + self.reach), np.minimum.accumulate(close) * (1 - self.reach)
        counts = range(max(1, math.ceil(bottom[-1] / step)), math.floor(top[-1] / step) + 1)
        prices = [multiple(count, step) for count in counts]
        above = np.searchsorted(top, prices, side="left")
        below = np.searchsorted(-bottom, np.negative(prices), side="left")
        bar = np.maximum(above, below)
        return [(price, at) for price, at in zip(prices, bar.tolist(), strict=True) if at < close.size]


def first_outside(values: Float, first: int, least: float, most: float) -> int:
    """Return the first index after `first` whose value is outside [least, most], the length where there is none."""
    at, size = first + 1, 256
    while at < values.size:
        part = values[at : at + size]
        outside = (part < least) | (part > most)
        if outside.any():
            return at + int(np.argmax(outside))
        at, size = at + size, 2 * size
    return values.size


def on_grid(price: float, step: float) -> bool:
    return abs(price / step - round(price / step)) < 1e-9


def table(rows: list[tuple[float, float, int, int]]) -> Levels:
    """Return (price, step, known_at, until) rows as levels."""
    price, known = np.array([row[0] for row in rows]), np.array([row[2] for row in rows], np.int64)
    params: tuple[Params, ...] = tuple((("step", s), ("major", float(on_grid(p, major(s))))) for p, s, _, _ in rows)
    until = np.array([row[3] for row in rows], np.int64)
    return Levels(price, np.zeros(len(rows)), ("round",) * len(rows), known, known, params, until)


def major(step: float) -> float:
    """Return the smallest power of ten that is at least the step."""
    return scaled(1.0, math.ceil(math.log10(step) - 1e-9))


round_numbers = RoundNumbers
