"""What came of a fetch: for each series what was asked, what arrived, what it is worth, and why it failed if it did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtest.errors import MarketError, SourceError
from backtest.market.clock import interval_text
from backtest.market.fetching.lanes import Job
from backtest.market.fetching.needs import SeriesId
from backtest.market.quality.agreement import Agreement, agreement
from backtest.market.quality.assess import Quality, Repair, assess
from backtest.model.arrays import DAY, utc_text

__all__ = ["FetchReport", "FetchedSeries", "conclude"]

COUNTS = ("pages", "arrived", "added", "duplicates", "strangers", "vanished", "revised", "largest")


@dataclass(frozen=True)
class FetchedSeries:
    """One series after a fetch.

    of: the market's keys that need it; start, end: ns UTC, end exclusive; pages: asked for, in a dry run to be asked for;
    arrived: pages stored; rows: added, duplicates (twice in a page), strangers (outside the page's span), vanished (kept,
    but not given again), revised, by `largest` at most, relative; missing: spans that are still not there; notes: what the
    source said; error, cause: why it stopped; quality: None in a dry run, or without rows.
    """

    of: tuple[str, ...]
    series: SeriesId
    start: int
    end: int
    pages: int = 0
    arrived: int = 0
    added: int = 0
    duplicates: int = 0
    strangers: int = 0
    vanished: int = 0
    revised: int = 0
    largest: float = 0.0
    missing: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    cause: str = ""
    quality: Quality | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; times as UTC texts."""
        source, symbol, kind, interval = self.series
        plain: dict[str, Any] = {
            "of": list(self.of), "source": source, "symbol": symbol, "kind": kind,
            "interval": interval_text(interval) if interval else None,
            "start": utc_text(self.start), "end": utc_text(self.end),
        }  # fmt: skip
        plain |= {k: getattr(self, k) for k in COUNTS}
        plain["missing"] = [[utc_text(a), utc_text(b)] for a, b in self.missing]
        plain |= {"notes": list(self.notes), "error": self.error, "cause": self.cause}
        if self.quality is not None:
            plain["quality"] = self.quality.record() | {"findings": list(self.quality.findings)}
            plain["cells"] = list(self.quality.cells)
        return plain


@dataclass(frozen=True)
class FetchReport:
    """What came of a fetch; `root`: the store's folder; notes: sentences about the whole."""

    market: str
    root: Path
    series: tuple[FetchedSeries, ...]
    dry_run: bool = False
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[FetchedSeries, ...]:
        """The series that stopped before their end."""
        return tuple(s for s in self.series if s.error is not None)

    @property
    def exit_code(self) -> int:
        """0: all is there; 1: some series failed; 2: all of them did; 130: it was interrupted."""
        if self.interrupted:
            return 130
        return 0 if not self.failed else 2 if len(self.failed) == len(self.series) else 1

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        told = {
            "market": self.market,
            "store": str(self.root),
            "dry_run": self.dry_run,
            "interrupted": self.interrupted,
        }
        return told | {"notes": list(self.notes), "series": [s.to_dict() for s in self.series]}


def conclude(jobs: Sequence[Job], checks: Mapping[str, SeriesId], *, measured: bool) -> tuple[FetchedSeries, ...]:
    """Return what came of each job; measured: read what is stored and say what it is worth, one series at a time.

    checks: key of the market -> the second source of the same bars.
    """
    by_series = {job.series: job for job in jobs}
    second = {job.series: by_series[checks[key]] for job in jobs for key in job.of if checks.get(key) in by_series}
    return tuple(concluded(job, second.get(job.series), measured) for job in jobs)


def concluded(job: Job, second: Job | None, measured: bool) -> FetchedSeries:
    """Return what came of one job; a stored series that can't be read is a failure of it."""
    quality = None
    if measured:
        try:
            quality = measure(job, second)
        except MarketError as error:
            job.fail(error)
    due = job.start < job.end if job.series.interval else job.end - job.start > DAY  # a shorter span may have no stamp
    if measured and quality is None and job.error is None and due:
        job.fail(nothing_of(job))
    needed = [(max(a, job.start + job.lead), b) for a, b in job.entry.missing(job.start, job.end)]
    counts = {"pages": job.asked, "arrived": job.done} | {name: getattr(job, name) for name in COUNTS[2:]}
    return FetchedSeries(
        job.of,
        job.series,
        job.start,
        job.end,
        **counts,
        missing=tuple(span for span in needed if span[0] < span[1]),
        notes=tuple(job.notes),
        error=None if job.error is None else str(job.error),
        cause=str(getattr(job.error, "cause", "")),
        quality=quality,
    )


def nothing_of(job: Job) -> MarketError:
    """Return the error of a series of which nothing came, though nothing went wrong."""
    source, symbol, kind, _ = job.series
    span = f"{utc_text(job.start)} to {utc_text(job.end)}"
    why = job.notes[0] if job.notes else "Check the symbol and the span."
    return SourceError(f"{source} has given no row of {symbol} {kind}, {span}. {why}", "empty")


def measure(job: Job, second: Job | None) -> Quality | None:
    """Return what a stored series is worth in its span; None where nothing of it is there."""
    columns = job.entry.read(job.start, job.end)
    if not columns["time"].size:
        return None
    agrees = None if second is None else compared(columns, job, second)
    repairs = [
        Repair("rows that came twice, the last one kept", job.duplicates),
        Repair("rows outside the span that was asked for, left out", job.strangers),
        Repair(f"{job.series.source} has revised rows, by up to {job.largest:.3g} of the value", job.revised),
    ]
    return assess(job.of[0], job.series.kind, columns, job.series.interval, repairs=repairs, agrees=agrees)


def compared(columns: Mapping[str, Any], job: Job, second: Job) -> Agreement | None:
    """Return how far the second source agrees; None where nothing of it is there."""
    theirs = second.entry.read(second.start, second.end)
    if not theirs["time"].size:
        return None
    other = f"{second.series.source}:{second.series.symbol}"
    return agreement(columns, job.series.interval, theirs, second.series.interval, other)
