"""Fetch what a market file needs: only what is missing, page by page, into the store; then say what is there."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from backtest.errors import LevelbreakError, MarketError
from backtest.market.clock import parse_time
from backtest.market.declare import grid_offset_of, read_declaration
from backtest.market.fetching.fetched import FetchedSeries, FetchReport, conclude
from backtest.market.fetching.lanes import Job, Progress, plan_pages, run_lanes
from backtest.market.fetching.needs import Need, SeriesId, needs_of
from backtest.market.sources import Source, get_source
from backtest.market.store.entry import open_entry, store_root
from backtest.model.arrays import utc_text

__all__ = ["INTERCHANGEABLE", "fetch", "jobs_of"]

# Sources that take a perpetual's symbol as the market spells it, so that one can stand in for another.
INTERCHANGEABLE = ("binance", "binance-archive", "bybit", "okx")


def fetch(
    name_or_path: str | os.PathLike[str],
    *,
    since: str | int | None = None,
    source: str | None = None,
    again: bool = False,
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
    now: int | None = None,
) -> FetchReport:
    """Fetch the series that a market takes from the store, as far as they are not there, and report on each.

    name_or_path: of the market; since: fetch from this time on instead of the market's start ("2025-07-01" or ns UTC);
    source: the exchange to ask in place of the declared one; again: ask for what is stored, too, which tells and mends what
    the source has revised, and what it gave wrong at first; dry_run: plan, but ask for nothing; progress: called after
    every page, from several threads; now: ns UTC, the clock's by default: bars that are not closed by then are not kept.
    A series that fails stops alone, and what arrived is kept, also where Ctrl-C ends it. MarketError for a market, a
    time or a source that makes no sense.
    """
    declaration = read_declaration(os.fspath(name_or_path))
    moment = time.time_ns() if now is None else now
    declared = needs_of(declaration)
    needs = moved(from_then(declared, since), source)
    root = store_root()
    jobs = jobs_of(root, needs, moment, again)
    lanes = lanes_of([job for job in jobs if job.start < job.end and job.error is None])
    interrupted = plan_only(lanes) if dry_run else run_lanes(lanes, moment, progress or silent)
    series = conclude(jobs, checks_of(needs), measured=not dry_run and not interrupted)
    notes = (*elsewhere(declared, needs), *worth_asking_again(declaration.name, series), *ahead(series))
    return FetchReport(declaration.name, root, series, dry_run, interrupted, notes)


def silent(progress: Progress) -> None:
    """Tell nobody."""


def from_then(needs: Sequence[Need], since: str | int | None) -> list[Need]:
    """Return the needs from another start on."""
    if since is None:
        return list(needs)
    try:
        start = since if isinstance(since, int) else parse_time(since)
    except ValueError as error:
        raise MarketError(f"`since` {error}.") from None
    if any(start >= need.end for need in needs):
        last = utc_text(max(need.end for need in needs))
        raise MarketError(f"`since` {utc_text(start)} must lie before the end of the market's span, {last}.")
    return [replace(need, start=on_grid(start - need.lead, need.series.interval)) for need in needs]


def on_grid(moment: int, interval: int) -> int:
    """Return the last time on an interval's grid up to a moment; the moment where there is no grid."""
    return moment - grid_offset_of(moment, interval) if interval else moment


def moved(needs: list[Need], name: str | None) -> list[Need]:
    """Return the needs with another exchange as the source of what it can give."""
    if name is None:
        return needs
    kinds = get_source(name).kinds
    if name not in INTERCHANGEABLE:
        raise MarketError(
            f"Source {name} spells its symbols in its own way, so it can't stand in for others; name it in the market "
            f'file: {{ store = "{name}", symbol = "..." }}.'
        )
    found = [replace(n, series=n.series._replace(source=name)) if can(kinds, n) else n for n in needs]
    if not any(need.series.source == name for need in found):
        raise MarketError(f"Source {name} gives none of the series that the market takes from the store.")
    return found


def can(kinds: Mapping[str, tuple[int, ...]], need: Need) -> bool:
    """Whether a source with these kinds can stand in for the declared one."""
    _, _, kind, interval = need.series
    fits = kind in kinds and (not interval or not kinds[kind] or interval in kinds[kind])
    return fits and need.series.source in INTERCHANGEABLE


def elsewhere(declared: Sequence[Need], needs: Sequence[Need]) -> tuple[str, ...]:
    """Return a sentence where series came from another source than the one that a run reads."""
    changed = [(old, new) for old, new in zip(declared, needs, strict=True) if old.series.source != new.series.source]
    if not changed:
        return ()
    old, new = changed[0]
    return (
        f"A run still reads {', '.join(pair[0].of for pair in changed)} from {old.series.source}, as the market file "
        f'declares; say store = "{new.series.source}" there to use what was fetched.',
    )


def worth_asking_again(market: str, series: Sequence[FetchedSeries]) -> Iterator[str]:
    """Say how to mend rows that are wrong as they came."""
    odd = [s for s in series if s.quality is not None and s.quality.bad.rows + s.quality.bad.partial]
    if odd:
        day = utc_text(min(s.start for s in odd))[:10]
        yield (
            f"Bad rows stay as they came; `backtest fetch {shlex.quote(market)} --again --since {day}` asks for them once "
            "more and says which the source has revised."
        )


def ahead(series: Sequence[FetchedSeries]) -> Iterator[str]:
    """Say which series can't be there yet."""
    names = [s.of[0] for s in series if s.start >= s.end and s.error is None]
    if names:
        yield f"The span of {', '.join(names)} has not begun; there is nothing to fetch of it yet."


def jobs_of(root: Path, needs: Sequence[Need], now: int, again: bool = False) -> list[Job]:
    """Return a job for each series, over the span of all keys that need it, as far as its bars are closed."""
    groups: dict[SeriesId, list[Need]] = {}
    for need in needs:
        groups.setdefault(need.series, []).append(need)
    return [job_of(root, series, group, now, again) for series, group in groups.items()]


def job_of(root: Path, series: SeriesId, group: Sequence[Need], now: int, again: bool = False) -> Job:
    """Return the job of one series; one whose place in the store can't be used has failed already."""
    start = min(need.start for need in group)
    end = min(max(need.end for need in group), on_grid(now, series.interval))
    lead = min(need.start + need.lead for need in group) - start
    of = tuple(need.of for need in group)
    try:
        return Job(of, series, start, end, lead, open_entry(root, *series), again)
    except MarketError as error:
        return Job(of, series, start, end, lead, Unusable(error), error=error)


@dataclass(frozen=True)
class Unusable:
    """The place of a series that can't be opened: nothing is there, and whoever reads or writes is told why."""

    error: MarketError

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        return [(start, end)]

    def write(self, page: object, *, closed_before: int) -> NoReturn:
        raise self.error

    def read(self, start: int, end: int) -> NoReturn:
        raise self.error


def lanes_of(jobs: Sequence[Job]) -> list[tuple[Source, list[Job]]]:
    """Return the jobs by source; those of a source that there is not fail with a sentence."""
    lanes: dict[str, tuple[Source, list[Job]]] = {}
    for job in jobs:
        name = job.series.source
        try:
            if name not in lanes:
                lanes[name] = (get_source(name), [])
            lanes[name][1].append(job)
        except LevelbreakError as error:
            job.fail(error)
    return list(lanes.values())


def plan_only(lanes: Sequence[tuple[Source, Sequence[Job]]]) -> bool:
    """Plan the pages of every job and ask for none."""
    for source, jobs in lanes:
        for job in jobs:
            try:
                job.asked = len(plan_pages(source, job))
            except LevelbreakError as error:
                job.fail(error)
    return False


def checks_of(needs: Sequence[Need]) -> dict[str, SeriesId]:
    """Return the second source of each key that declares one."""
    return {need.of.removesuffix(".check"): need.series for need in needs if need.of.endswith(".check")}
