"""Figures and facts as a reader sees them: numbers as text, assumptions in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from backtest.model.arrays import DAY, HOUR, SECOND
from backtest.model.passport import GRADE_MEANING

__all__ = [
    "assumption",
    "count",
    "grade_words",
    "interval_words",
    "money",
    "percent",
    "printable",
    "ratio",
    "same_digits",
    "span_words",
    "standing_words",
    "value_words",
]

NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"

ASSUMPTIONS = {
    "mark_is_last": "bars in a position without a mark price: margin and funding use the last price",
    "ambiguous_bars": "bars in which the order of two events is unknown, decided by the intrabar rule",
    "cross_extremes_coincide": "cross margin: the symbols' worst prices in a bar are taken to coincide",
    "funding_inside_bar": "funding due inside a bar met a position that was not held for the whole bar",
    "marked_at_last_close": "positions counted at their last close while the symbol had no price",
    "assumed_funding": "funding stamps that are an assumption, not data",
    "gaps_filled": "missing bars filled with the last close",
    "simulated_data": "series made by a generator, not by a market",
    "assumed_tiers": "margin tiers that the venue does not publish, assumed",
    "tiers_before_their_date": "symbols whose first margin tiers are applied to bars before the tiers' date",
    "slippage_is_a_constant": "slippage is a constant fraction, whatever the size and the hour",
    "warm_up_rows": "rows of the plan before the start of scoring, not executed",
    "folds_start_flat": "folds that start flat, their returns multiplied",
    "closed_at_fold_end": "positions closed at the last close of a fold, at the taker fee",
}
PREFIXES = {
    "proxy_feed": "another series stands in for {}",
    "assumed_feed": "{} is an assumption, not data",
    "assumed_tiers": "margin tiers of {} that the venue does not publish, assumed",
}
GRADE_NAME = {"A": "real", "B": "proxy or missing", "C": "assumption", "D": "simulated"}


def printable(text: object) -> str:
    """Return text without what would move a terminal's cursor or change its colours.

    >>> printable("a\\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join(c if c.isprintable() else "?" for c in str(text))


def percent(value: float, sign: bool = False) -> str:
    """Return a fraction as percent, one digit after the point; NaN as a dash.

    >>> percent(-0.1234), percent(0.5, sign=True), percent(float("nan"))
    ('-12.3%', '+50.0%', '–')
    """
    if math.isnan(value):
        return NOTHING
    if abs(value) >= 1000:
        return f"{'>' if value > 0 else '<-'}99,999%"
    text = f"{100 * value:+,.1f}%" if sign else f"{100 * value:,.1f}%"
    return text.replace("-0.0%", "0.0%").replace("+0.0%", "0.0%")


def ratio(value: float) -> str:
    """Return a ratio with two digits after the point; NaN as a dash.

    >>> ratio(-1.234)
    '-1.23'
    """
    if math.isnan(value):
        return NOTHING
    return f"{value:.2f}".replace("-0.00", "0.00") if abs(value) < 10_000 else f"{value:.1e}"


def money(values: Sequence[float]) -> list[str]:
    """Return amounts of one column with the same digits after the point: two below a thousand, none above.

    >>> money([-0.5, 12.0]), money([1234.5, -0.2])
    (['-0.50', '12.00'], ['1,234', '0'])
    """
    return amounts(values, 2 if all(abs(v) < 1000 for v in values if math.isfinite(v)) else 0)


def same_digits(columns: Sequence[Sequence[float]]) -> list[list[str]]:
    """Return the amounts of several columns that add up: two digits after the point in all, none from 100,000 on.

    >>> same_digits([[4.5], [-1234.25]]), same_digits([[4.6], [250_000.0]])
    ([['4.50'], ['-1,234.25']], [['5'], ['250,000']])
    """
    digits = 2 if all(abs(v) < 100_000 for column in columns for v in column if math.isfinite(v)) else 0
    return [amounts(column, digits) for column in columns]


def amounts(values: Sequence[float], digits: int) -> list[str]:
    zero = f"{0:.{digits}f}"
    texts = [NOTHING if math.isnan(v) else f"{v:,.{digits}f}" for v in values]
    return [zero if text == f"-{zero}" else text for text in texts]


def count(value: float) -> str:
    """Return a number of things."""
    return NOTHING if math.isnan(value) else f"{int(value):,}"


def interval_words(interval: int) -> str:
    """Return an interval in ns as 1d, 1h, 15m, 30s."""
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (60 * SECOND, "m"), (SECOND, "s")):
        if interval % unit == 0:
            return f"{interval // unit}{letter}"
    return f"{interval}ns"


def span_words(start: str, end: str) -> str:
    """Return a span of UTC times, without the hour where both ends are midnights.

    >>> span_words("2025-10-15T00:00Z", "2026-02-12T00:00Z")
    '2025-10-15 to 2026-02-12 UTC'
    >>> span_words("2025-10-15T00:00Z", "2026-02-12T08:00Z")
    '2025-10-15T00:00Z to 2026-02-12T08:00Z'
    """
    midnight = "T00:00Z"
    if start.endswith(midnight) and end.endswith(midnight):
        return f"{start.removesuffix(midnight)} to {end.removesuffix(midnight)} UTC"
    return f"{start} to {end}"


def value_words(value: Any) -> str:
    """Return a setting or parameter as one would write it on the command line.

    >>> value_words([75000.0, 70000.0]), value_words(0.003), value_words(True)
    ('75000,70000', '0.003', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(value_words(v) for v in value)
    if value is None:
        return "none"
    return f"{value:.10g}" if isinstance(value, float) else printable(value)


def assumption(name: str) -> str:
    """Return what an assumption's short name means; an unknown one with spaces for its underscores.

    >>> assumption("proxy_feed:BTCUSDT.funding")
    'another series stands in for BTCUSDT.funding'
    """
    if name in ASSUMPTIONS:
        return ASSUMPTIONS[name]
    head, colon, rest = name.partition(":")
    if colon and head in PREFIXES:
        return PREFIXES[head].format(printable(rest))
    return printable(name).replace("_", " ")


def times(name: str, counts: Sequence[int], runs: int) -> str:
    """Return how often an assumption was in force: "x12", "x12 in each run", "x1 to x41, in 5 of 7".

    What holds or does not hold, as a series that stands in, has no count.

    >>> times("slippage_is_a_constant", [1, 1], 3), times("proxy_feed:vix", [1], 1)
    ('in 2 of 3', '')
    """
    low, high = min(counts), max(counts)
    if name == "slippage_is_a_constant" or name.partition(":")[0] in ("proxy_feed", "assumed_feed"):
        return "" if len(counts) == runs else f"in {len(counts)} of {runs}"
    span = f"{TIMES}{low:,}" if low == high else f"{TIMES}{low:,} to {TIMES}{high:,}"
    if runs == 1:
        return span
    return f"{span} in each run" if len(counts) == runs else f"{span}, in {len(counts)} of {runs}"


def grade_words(grade: str) -> str:
    """Return a grade with its name and meaning.

    >>> grade_words("D")
    'grade D, simulated: the market was made by a generator'
    """
    meaning = "the market was made by a generator" if grade == "D" else GRADE_MEANING.get(grade, "unknown")
    return f"grade {grade}, {GRADE_NAME.get(grade, 'unknown')}: {meaning.removeprefix('all real: ')}"


def standing_words(standing: Mapping[str, Mapping[str, int]]) -> str:
    """Return how the data stand, subject by subject; where symbols differ, with their numbers.

    >>> standing_words({"price": {"real": 2}, "mark": {"real": 1, "missing": 1}, "macro": {"missing": 1}})
    'price real, mark real (1) and missing (1), macro missing'
    """
    told = []
    for subject, origins in standing.items():
        alone = len(origins) == 1
        told.append(f"{subject} " + " and ".join(o if alone else f"{o} ({n})" for o, n in origins.items()))
    return ", ".join(told)
