"""The rules of plans and the layout of their rows, compiled: one pass each, for plans that are made by the thousand.

Nothing here decides what a rule is: `is_suspect` only says whether `plan.RULES` would find anything, which then names it.
"""

from typing import Any

import numpy as np

from backtest.model.arrays import Float, Int, Int64
from backtest.model.compile import compiled

__all__ = ["fill_rows", "is_suspect", "lay_entries", "link_entries"]

ENTER, EXIT, AMEND, RESIZE = range(4)
QUIET: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}  # nothing is allocated, as in the engine


def is_given_python(column: Float) -> bool:
    """Whether any row uses a column."""
    given = 0
    for k in range(column.size):
        given += column[k] == column[k]
    return given > 0


def mixed_python(bar: Int64, kind: Any, exposure: Float, valid_bars: Int64, max_bars: Int64) -> int:
    """How many rows of several kinds break the rules on kinds, exposures, lives, and one action a bar."""
    bad = 0
    last, before_last = -1, -1  # the rows before that act
    for k in range(bar.size):
        e = exposure[k]
        bad += (kind[k] < ENTER) | (kind[k] > RESIZE)
        wants = (kind[k] == ENTER) | (kind[k] == RESIZE)
        bad += wants & ((e == 0.0) | (e != e) | (abs(e) == np.inf))
        bad += (kind[k] == ENTER) & ((valid_bars[k] < 1) | (max_bars[k] < 0))
        if kind[k] != AMEND:
            if last >= 0 and bar[last] == bar[k]:
                again = before_last >= 0 and bar[before_last] == bar[k]
                bad += again or not (kind[last] == EXIT and kind[k] == ENTER)
            before_last, last = last, k
    return bad


is_given = compiled(is_given_python, **QUIET)
mixed = compiled(mixed_python, **QUIET)


def is_suspect_python(
    symbols: int,
    bar: Int64,
    symbol: Int,
    kind: Any,
    exposure: Float,
    limit: Float,
    trigger: Float,
    valid_bars: Int64,
    stop: Float,
    stop_fraction: Float,
    target: Float,
    target_fraction: Float,
    trail: Float,
    max_bars: Int64,
) -> bool:
    """Whether a row breaks a rule of plans, or may: a comparison with NaN is never true, as in the rules themselves.

    One loop a column, without a branch in it, so that a processor does several rows at once; most plans leave most columns empty.
    """
    n = bar.size
    bad, others = 0, 0
    for k in range(n):
        bad += bar[k] < 0
    for k in range(n):
        bad += (symbol[k] < 0) | (symbol[k] >= symbols)
    for k in range(n):
        others += kind[k] != ENTER
    if others > 0:
        bad += mixed(bar, kind, exposure, valid_bars, max_bars)
    else:
        for k in range(n):
            bad += (exposure[k] == 0.0) | (exposure[k] != exposure[k]) | (abs(exposure[k]) == np.inf)
        for k in range(n):
            bad += (valid_bars[k] < 1) | (max_bars[k] < 0)
        for k in range(1, n):
            bad += bar[k] == bar[k - 1]
    priced = is_given(limit) or is_given(trigger)
    if priced:
        for k in range(n):
            bad += (limit[k] <= 0.0) | (trigger[k] <= 0.0) | (limit[k] == np.inf) | (trigger[k] == np.inf)
            bad += (limit[k] == limit[k]) & (trigger[k] == trigger[k])
    if is_given(trail):
        for k in range(n):
            bad += (trail[k] <= 0.0) | (trail[k] >= 1.0)
    stopped, aimed = is_given(stop), is_given(target)
    for k in range(n):
        f = stop_fraction[k]
        bad += (f <= 0.0) | ((exposure[k] > 0.0) & (f >= 1.0)) | (f == np.inf)
    for k in range(n):
        g = target_fraction[k]
        bad += (g <= 0.0) | ((exposure[k] < 0.0) & (g >= 1.0)) | (g == np.inf)
    if stopped or aimed:
        for k in range(n):
            bad += (stop[k] == stop[k]) & (stop_fraction[k] == stop_fraction[k])
            bad += (target[k] == target[k]) & (target_fraction[k] == target_fraction[k])
            if kind[k] == ENTER:
                side = 1.0 if exposure[k] > 0.0 else -1.0
                entry = trigger[k] if limit[k] != limit[k] else limit[k]
                bad += (side * (target[k] - stop[k]) <= 0.0) | (side * (entry - stop[k]) <= 0.0)
                bad += side * (target[k] - entry) <= 0.0
    return bad > 0


def fill_rows_python(
    rows: Any,
    bar: Int64,
    symbol: Int,
    kind: Any,
    exposure: Float,
    limit: Float,
    trigger: Float,
    valid_bars: Int64,
    stop: Float,
    stop_fraction: Float,
    close_stop: Float,
    target: Float,
    target_fraction: Float,
    trail: Float,
    max_bars: Int64,
) -> None:
    """Lay a plan's columns out as records; `other` is the next row that is not the same entry again."""
    other = bar.size
    for k in range(bar.size - 1, -1, -1):
        if k + 1 < bar.size:
            same = kind[k] == ENTER and kind[k + 1] == ENTER and symbol[k] == symbol[k + 1]
            e, f = exposure[k], exposure[k + 1]
            if not (same and ((e > 0.0 and f > 0.0) or (e < 0.0 and f < 0.0) or (e == 0.0 and f == 0.0))):
                other = k + 1
        r = rows[k]
        r.bar, r.symbol, r.kind, r.exposure = bar[k], symbol[k], kind[k], exposure[k]
        r.limit, r.trigger, r.valid_bars, r.max_bars = limit[k], trigger[k], valid_bars[k], max_bars[k]
        r.stop, r.stop_fraction, r.close_stop = stop[k], stop_fraction[k], close_stop[k]
        r.target, r.target_fraction, r.trail, r.other = target[k], target_fraction[k], trail[k], other


def lay_entries_python(bars: Int64, blank: Any, rows: Any) -> None:
    """Lay one entry a bar out; blank: (1,) what they have in common."""
    for k in range(bars.size):
        rows[k] = blank[0]
        rows[k].bar = bars[k]


def link_entries_python(rows: Any) -> None:
    """Fill in `other` of entries of one symbol: the next row of the other side."""
    other = rows.size
    for k in range(rows.size - 1, -1, -1):
        if k + 1 < rows.size and (rows[k].exposure > 0.0) != (rows[k + 1].exposure > 0.0):
            other = k + 1
        rows[k].other = other


is_suspect = compiled(is_suspect_python, **QUIET)
fill_rows = compiled(fill_rows_python, **QUIET)
lay_entries = compiled(lay_entries_python, **QUIET)
link_entries = compiled(link_entries_python, **QUIET)
