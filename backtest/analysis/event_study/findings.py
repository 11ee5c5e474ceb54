"""What a study found: each statistic with its interval, its null, its p-values and a verdict in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backtest.analysis.event_study.inference import (
    benjamini_hochberg,
    day_interval,
    events_needed,
    holm,
    p_above,
    p_two_sided,
    wilson,
)
from backtest.analysis.event_study.martingale import martingale_test
from backtest.analysis.event_study.outcomes import Events
from backtest.analysis.event_study.sets_walk import BOUNCES, BREAKS, CHANCE, FALSE, HITS, MOVES, NEXT, TOUCHES
from backtest.analysis.event_study.settings import Settings
from backtest.model.arrays import Float, Int64

__all__ = ["Finding", "findings"]

NULLS = {"placebo": "placebo levels", "martingale": "a price without memory"}


@dataclass(frozen=True)
class Finding:
    """One statistic against one null.

    name: what was measured; unit: "share" (a fraction), "points" (a difference of shares) or "ATR"; value, low, high: over
    the real levels, and its interval by `interval` ("Wilson" or "days"); events, needed: how many there are and how many it
    takes; null: "placebo" or "martingale"; expected: what the null gives on the average; null_low, null_high: 95% of the
    placebo sets lie within, NaN of the martingale; p_above: one-sided, (1 + #{T* >= T}) / (1 + N); p: two-sided; p_holm, p_bh:
    adjusted for all the tests of the study; verdict: in words. NaN is unknown.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    interval: str
    events: int
    needed: int
    null: str
    expected: float
    null_low: float
    null_high: float
    p_above: float
    p: float
    p_holm: float = math.nan
    p_bh: float = math.nan
    verdict: str = ""


def findings(
    events: Events,
    closes: Sequence[Float],
    totals: Float,
    sets: Float,
    labels: Sequence[str],
    moved: Sequence[str],
    settings: Settings,
) -> tuple[Finding, ...]:
    """Return every finding, adjusted for their number.

    closes: (n,) of each symbol; totals: (c,) of the real set, sets: (N, c) of the placebo sets, columns as `sets_walk`
    counts them; labels: of the moves; moved: kinds whose levels prices themselves replace, so that placebo
    levels of as long lives are no fair comparison.
    """
    found = [
        share("bounce", events.bounced, (BOUNCES, TOUCHES), totals, sets, settings),
        share("false break", events.false, (FALSE, BREAKS), totals, sets, settings),
        against_martingale(events, closes, settings),
        excess(events, totals, sets, settings),
    ]
    for v, label in enumerate(labels):
        found.append(mean(label, events.moves[:, v], events.day, v, totals, sets, settings))
    raw = [f.p for f in found]
    pairs = zip(found, holm(raw), benjamini_hochberg(raw), strict=True)
    tests = sum(math.isfinite(p) for p in raw)
    return tuple(judged(replace(f, p_holm=h, p_bh=b), tests, moved, settings) for f, h, b in pairs)


def share(
    name: str, outcome: Float, columns: tuple[int, int], totals: Float, sets: Float, settings: Settings
) -> Finding:
    hits, events = int(np.nansum(outcome)), int(np.isfinite(outcome).sum())
    low, high = wilson(hits, events)
    value, drawn = ratio(totals[columns[0]], totals[columns[1]]), ratio(sets[:, columns[0]], sets[:, columns[1]])
    return placebo(name, "share", float(value), (low, high), "Wilson", events, drawn, settings)


def excess(events: Events, totals: Float, sets: Float, settings: Settings) -> Finding:
    """Return the share of next levels reached first less what the martingale expects: so that ladders of other steps compare."""
    value, drawn = (ratio(t[..., HITS] - t[..., CHANCE], t[..., NEXT]) for t in (totals, sets))
    number = int(np.isfinite(events.hit).sum())
    interval = day_interval(events.hit - events.chance, events.day, settings.seed)
    return placebo(
        "next level before reclaim, less martingale", "points", float(value), interval, "days", number, drawn, settings
    )


def mean(name: str, values: Float, days: Int64, v: int, totals: Float, sets: Float, settings: Settings) -> Finding:
    value, drawn = (ratio(t[..., MOVES + 2 * v], t[..., MOVES + 2 * v + 1]) for t in (totals, sets))
    interval = day_interval(values, days, settings.seed)
    return placebo(name, "ATR", float(value), interval, "days", int(np.isfinite(values).sum()), drawn, settings)


def ratio(sums: Float, counts: Float) -> Float:
    """Return sums / counts, NaN where there is nothing."""
    found = np.full(np.shape(sums), np.nan)
    np.divide(sums, counts, out=found, where=np.asarray(counts) > 0)
    return found


def placebo(
    name: str,
    unit: str,
    value: float,
    interval: tuple[float, float],
    how: str,
    events: int,
    drawn: Float,
    settings: Settings,
) -> Finding:
    there = drawn[np.isfinite(drawn)]
    expected = float(there.mean()) if there.size else math.nan
    low, high = (float(q) for q in np.quantile(there, [0.025, 0.975])) if there.size else (math.nan, math.nan)
    base = expected if unit == "share" and math.isfinite(expected) else 0.5
    tested = events >= settings.floor
    p = (p_above(value, drawn), p_two_sided(value, drawn)) if tested else (math.nan, math.nan)
    needed = events_needed(settings.effect, base, settings.power, settings.size)
    return Finding(name, unit, value, *interval, how, events, needed, "placebo", expected, low, high, *p)


def against_martingale(events: Events, closes: Sequence[Float], settings: Settings) -> Finding:
    """Return the share of breaks that reach the next level before the reclaim, against the mean of their chances."""
    there = np.isfinite(events.hit)
    hit, chance = events.hit[there], events.chance[there]
    number = int(there.sum())
    start, done, path = events.bar[there], events.done[there], events.symbol[there]
    z, p = martingale_test(hit, chance, events.slope[there], start, done, path, closes)
    if number < settings.floor:
        z = p = math.nan
    above = math.nan if math.isnan(z) else p / 2 if z > 0 else 1 - p / 2
    value, expected = (float(x.mean()) if number else math.nan for x in (hit, chance))
    base = expected if number else 0.5
    needed = events_needed(settings.effect, base, settings.power, settings.size)
    none = math.nan, math.nan
    return Finding(
        "next level before reclaim", "share", value, *wilson(int(hit.sum()), number), "Wilson", number, needed, "martingale",
        expected, *none, above, p,
    )  # fmt: skip


def judged(found: Finding, tests: int, moved: Sequence[str], settings: Settings) -> Finding:
    """Return the finding with its verdict: none where there are too few events for one."""
    other = NULLS[found.null]
    if found.events < found.needed or math.isnan(found.p):
        return replace(found, verdict=f"not enough events ({found.events:,} of {found.needed:,} needed)")
    if found.null == "placebo" and moved:
        kinds = " and ".join(moved)
        return replace(
            found, verdict=f"no verdict: where {kinds} levels end is up to prices, which no placebo level is"
        )
    if found.p_holm < settings.size:
        side = "higher" if found.value > found.expected else "lower"
        told = f"p{p_text(found.p)}, adjusted for {tests} tests {p_text(found.p_holm).removeprefix('=')}"
        return replace(found, verdict=f"different from {other}: {side} ({told})")
    return replace(found, verdict=f"not distinguishable from {other}")


def p_text(p: float) -> str:
    return "<0.001" if p < 0.0005 else f"={p:.3f}"
