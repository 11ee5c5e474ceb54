"""What a stored series is worth: one line of figures for the table, and a sentence for each that is bad.

    quality = assess("BTCUSDT.bars", "bars", columns, HOUR, repairs=[Repair("duplicate rows dropped", 3)])
    quality.cells        # under HEADERS, for the table that ends a fetch
    quality.findings     # for the passport

Nothing is repaired here; what a fetch did repair is handed in, and told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from backtest.market.clock import interval_text
from backtest.market.quality.agreement import Agreement
from backtest.market.quality.measures import (
    LIMIT,
    STALE,
    BadRows,
    Duplicates,
    Jumps,
    Missing,
    Stale,
    Wicks,
    bad_rows,
    duplicates_of,
    jumps_of,
    missing_of,
    stale_of,
    wicks_of,
)
from backtest.market.validate import count
from backtest.model.arrays import DAY, Float, Int64, utc_text

__all__ = ["HEADERS", "Quality", "Repair", "assess"]

HEADERS = ("series", "rows", "span", "gaps", "duplicates", "repairs", "jumps", "stale", "bad", "agreement")
NOTHING = "\N{EN DASH}"
HOLIDAYS = 13  # weekdays a year on which an exchange may be closed; more are missing data
LONG_CLOSURE = 4  # weekdays in a row: US stock exchanges closed for four in September 2001, not longer since 1933
LOW = 0.9  # correlation of returns below which two sources hardly tell of the same market
YEAR = 365.25 * DAY
# kind -> the column whose jumps and repeats mean something; funding and liquidations jump and rest by nature
STEADY = {
    "bars": ("close",),
    "mark": ("close",),
    "premium": ("close",),
    "open_interest": ("coins", "usd"),
    "long_short_ratio": ("value",),
    "taker_ratio": ("value",),
    "value": ("value",),
}


@dataclass(frozen=True)
class Repair:
    """What was changed on the way into the store, and at how many rows: "stamps snapped to the grid", 12."""

    what: str
    rows: int


@dataclass(frozen=True)
class Quality:
    """The figures of one series; jumps, wicks and stale are None where they mean nothing for its kind.

    name: "BTCUSDT.bars"; start, end: ns UTC, of the first row and of the end of the last (0 without rows); interval: ns, 0
    for stamps; agreement: with a second source, None where none is declared.
    """

    name: str
    kind: str
    interval: int
    rows: int
    start: int
    end: int
    missing: Missing
    duplicates: Duplicates
    repairs: tuple[Repair, ...]
    jumps: Jumps | None
    wicks: Wicks | None
    stale: Stale | None
    bad: BadRows
    agreement: Agreement | None = None

    @property
    def label(self) -> str:
        """The series as sentences name it: "BTCUSDT.bars 1h"."""
        return f"{self.name} {interval_text(self.interval)}" if self.interval else self.name

    @property
    def cells(self) -> tuple[str, ...]:
        """One line of the table, in the order of `HEADERS`."""
        spent = f"{utc_text(self.start)[:10]} to {utc_text(self.end)[:10]}" if self.rows else NOTHING
        gaps = f"{self.missing.gaps:,} ({self.missing.rows:,})" if self.missing.gaps else "0"
        odd = NOTHING if self.jumps is None else f"{self.jumps.count + (self.wicks.count if self.wicks else 0):,}"
        stale = NOTHING if self.stale is None else f"{self.stale.runs:,}"
        repaired, bad = sum(r.rows for r in self.repairs), f"{self.bad.rows + self.bad.partial:,}"
        agrees = NOTHING if self.agreement is None else agreement_cell(self.agreement)
        numbers = (f"{self.rows:,}", spent, gaps, f"{self.duplicates.rows:,}", f"{repaired:,}", odd, stale, bad)
        return (self.name, *numbers, agrees)

    @property
    def findings(self) -> tuple[str, ...]:
        """A sentence for each figure that a reader should know of; nothing of a series without fault."""
        if not self.rows:
            return (f"{self.label} has no row.",)
        parts = (gap_findings, repair_findings, jump_findings, stale_findings, bad_findings, agreement_findings)
        return tuple(sentence for part in parts for sentence in part(self))

    def record(self) -> dict[str, Any]:
        """Return the figures as plain data (times in ns UTC, NaN as None), for JSON."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return plain


def assess(
    name: str,
    kind: str,
    columns: Mapping[str, Any],
    interval: int,
    *,
    repairs: Sequence[Repair] = (),
    agrees: Agreement | None = None,
    limit: float = LIMIT,
    least: int = STALE,
) -> Quality:
    """Return the figures of a series as it is stored.

    columns: `time` (k,) int64 ns UTC and the columns of the kind (see `sources.base.COLUMNS`); interval: ns, 0 for stamps;
    repairs: what was changed before; agrees: what `agreement` found; limit: robust sigmas from which a change is a jump;
    least: repeats from which equal rows are stale. Rows out of order are measured in order, each time once.
    """
    time = np.asarray(columns["time"], dtype=np.int64)
    doubles = duplicates_of(time)
    first = np.unique(time, return_index=True)[1]
    sorted_columns = {k: np.asarray(v)[first] for k, v in columns.items()}
    time = time[first]
    steady = steady_column(kind, sorted_columns)
    bars = kind == "bars" and "open" in columns
    return Quality(
        name=name,
        kind=kind,
        interval=interval,
        rows=int(time.size),
        start=int(time[0]) if time.size else 0,
        end=int(time[-1]) + interval if time.size else 0,
        missing=missing_of(time, interval),
        duplicates=doubles,
        repairs=tuple(r for r in repairs if r.rows),
        jumps=None if steady is None else measured_jumps(time, steady, interval, limit),
        wicks=wicks_of(time, sorted_columns, interval, limit) if bars else None,
        stale=None if steady is None else stale_of(time, sorted_columns, least),
        bad=bad_rows(kind, time, sorted_columns),
        agreement=agrees,
    )


def steady_column(kind: str, columns: Mapping[str, Any]) -> Float | None:
    """Return the column of a kind that moves steadily, the first that has any number; None where there is none."""
    for name in STEADY.get(kind, ()):
        if name in columns and bool(np.any(np.isfinite(np.asarray(columns[name], dtype=np.float64)))):
            return np.asarray(columns[name], dtype=np.float64)
    return None


def measured_jumps(time: Int64, value: Float, interval: int, limit: float) -> Jumps:
    """Return the jumps among the rows that have a number."""
    known = np.isfinite(value)
    return jumps_of(time[known], value[known], interval, limit)


def gap_findings(q: Quality) -> Iterator[str]:
    """What is missing; holidays of an exchange are not."""
    m = q.missing
    if not m.gaps or m.first is None or m.longest_at is None:
        return
    if m.calendar == "weekdays":
        closed = max(HOLIDAYS * (q.end - q.start) / YEAR, LONG_CLOSURE)
        if m.rows <= closed and m.longest <= LONG_CLOSURE:
            return
    noun = {"stamps": "stamp", "weekdays": "weekday"}.get(m.calendar, "bar" if "bars" in q.kind else "row")
    where = f"{count(m.gaps, 'gap')}, the first after {utc_text(m.first)}"
    rest = f" and the longest, of {m.longest:,}, after {utc_text(m.longest_at)}" if m.gaps > 1 else ""
    yield f"{q.label} misses {count(m.rows, noun)} in {where}{rest}."


def repair_findings(q: Quality) -> Iterator[str]:
    """Rows that stand twice, and what was changed before the series was stored."""
    if q.duplicates.rows and q.duplicates.first is not None:
        yield f"{q.label} has {count(q.duplicates.rows, 'duplicate row')}, the first at {utc_text(q.duplicates.first)}."
    for repair in q.repairs:
        yield f"{q.label}: {repair.what} ({count(repair.rows, 'row')})."


def jump_findings(q: Quality) -> Iterator[str]:
    """Changes and wicks far beyond the usual: true in a crash, wrong where the next bar takes them back."""
    if (j := q.jumps) is not None and j.count and j.at is not None:
        size = f"{j.size:+.1%}" if j.relative else f"{j.size:+g}"
        far = f"the largest of {j.largest:.0f} ({size}) at {utc_text(j.at)}"
        back = f"; the next row undoes {j.undone:,}: wrong prices?" if j.undone else "."
        yield f"{q.label} has {count(j.count, 'jump')} beyond {j.limit:g} robust sigmas, {far}{back}"
    if (w := q.wicks) is not None and w.count and w.at is not None:
        far = f"the largest by {w.largest:.0f} at {utc_text(w.at)}"
        bars = count(w.count, "bar")
        yield f"{q.label} has {bars} with a high or low alone by over {w.limit:g} robust sigmas, {far}."


def stale_findings(q: Quality) -> Iterator[str]:
    """Rows that repeat the one before."""
    if (s := q.stale) is not None and s.runs and s.at is not None:
        far = f"the longest of {s.longest:,} from {utc_text(s.at)} on"
        yield f"{q.label} stands still in {count(s.runs, 'run')} of {count(s.rows, 'repeated row')}, {far}."


def bad_findings(q: Quality) -> Iterator[str]:
    """Rows that contradict themselves, with their years, and rows without all numbers."""
    if q.bad.rows and q.bad.first is not None:
        contradict = "contradicts itself" if q.bad.rows == 1 else "contradict themselves"
        years = years_text(q.bad.years)
        yield f"{q.label} has {count(q.bad.rows, 'row')} that {contradict}, in {years}; first {utc_text(q.bad.first)}."
    if q.bad.partial:
        yield f"{q.label} has {count(q.bad.partial, 'row')} without all of their numbers."


def agreement_findings(q: Quality) -> Iterator[str]:
    """Where a second source says something else."""
    a = q.agreement
    if a is None:
        return
    bars = f"{interval_text(a.interval)} {'bar' if a.compared == 1 else 'bars'}"
    if not a.compared or a.at is None:
        yield f"{q.label} has no complete {interval_text(a.interval)} bar in common with {a.other}."
        return
    if a.lag:
        fit = f"correlation {a.lag_correlation:.3f} against {a.correlation:.3f}"
        if a.lag < 0:
            yield f"{q.label}: {a.other} fits better moved one bar back ({fit}); it seems to stamp bars by their close."
        else:
            yield f"{q.label}: {a.other} fits better moved one bar ahead ({fit}); are ours stamped by their close?"
    if a.beyond:
        most = f"the largest {a.largest:.2%} at {utc_text(a.at)}"
        yield f"{q.label} is over {a.tolerance:.2%} from {a.other} in {a.beyond:,} of {a.compared:,} {bars}, {most}."
    if a.correlation < LOW and not a.lag:
        yield f"{q.label} and {a.other} hardly move together: correlation {a.correlation:.3f} of {a.compared:,} {bars}."


def agreement_cell(a: Agreement) -> str:
    """Return an agreement in few characters: "2 of 2,180 beyond 0.5%, most 0.31%"."""
    if not a.compared:
        return "none compared"
    shifted = f", {a.lag:+d} bar" if a.lag else ""
    return f"{a.beyond:,} of {a.compared:,} beyond {a.tolerance:.1%}, most {a.largest:.2%}{shifted}"


def years_text(years: Sequence[tuple[int, int]]) -> str:
    """Return years with neighbours joined.

    >>> years_text([(1992, 3), (1993, 1), (1994, 2), (2006, 1)])
    '1992-1994, 2006'
    """
    runs = [list(run) for _, run in groupby(enumerate(y for y, _ in years), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{r[0][1]}-{r[-1][1]}" if len(r) > 1 else str(r[0][1]) for r in runs)


def without_nan(value: Any) -> Any:
    """Return nested plain data with NaN as None, which JSON can hold."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
