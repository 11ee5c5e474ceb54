"""What of a market's series is here already, and what would have to be fetched."""

import time
from dataclasses import dataclass
from typing import Any, Literal

from backtest.errors import MarketError
from backtest.market.clock import interval_text
from backtest.market.declare import read_declaration
from backtest.market.fetching.fetch import job_of
from backtest.market.fetching.needs import Need, needs_of
from backtest.market.read import store_entry, store_folders
from backtest.market.sources import SOURCES
from backtest.market.store.entry import entry_name
from backtest.model.arrays import utc_text

__all__ = ["Holding", "inventory"]

State = Literal["here", "part", "missing", "own"]


@dataclass(frozen=True)
class Holding:
    """How far a series that a market needs is here.

    state: "here"; "part", with the spans still to be fetched (ns UTC) in `missing`; "missing"; "own" for a file that the
    user has put into the store; problem: why what is kept can't be told, "" else.
    """

    need: Need
    state: State
    missing: tuple[tuple[int, int], ...] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; times as UTC texts."""
        source, symbol, kind, interval = self.need.series
        return {
            "of": self.need.of,
            "source": source,
            "symbol": symbol,
            "kind": kind,
            "interval": interval_text(interval) if interval else None,
            "state": self.state,
            "missing": [[utc_text(a), utc_text(b)] for a, b in self.missing],
            "fetchable": source in SOURCES,
            "problem": self.problem,
        }


def inventory(name_or_path: str, now: int | None = None) -> list[Holding]:
    """Return how far each series that a market takes from the store is here, without reading the series themselves.

    now: ns UTC, the clock's by default: what has not happened yet is not missing. MarketError for a wrong market file.
    """
    moment = time.time_ns() if now is None else now
    return [holding(need, moment) for need in needs_of(read_declaration(name_or_path))]


def holding(need: Need, now: int) -> Holding:
    """Return how far one series is here, in the folder of the store that has the most of it."""
    try:
        found = [left(need, folder, now) for folder in store_folders()]
    except MarketError as error:
        return Holding(need, "missing", ((need.start, need.end),), str(error))
    best = min(found, key=lambda spans: sum(b - a for a, b in spans))
    if own_file(need):
        return Holding(need, "own")
    if not best:
        return Holding(need, "here")
    whole = sum(b - a for a, b in best) >= need.end - need.start - need.lead
    return Holding(need, "missing" if whole else "part", tuple(best))


def own_file(need: Need) -> bool:
    """Whether what a run reads of a key is a single file that the user has put into the store."""
    symbol, _, key = need.of.rpartition(".")
    interval = interval_text(need.series.interval) if need.series.interval else ""
    names = [symbol, "" if key in ("bars", "fine") else key, "" if key == "funding" else interval]
    _, name, kind, length = need.series
    span = (need.start + need.lead, need.end)
    try:
        single, fetched = "_".join(part for part in names if part), entry_name(name, kind, length)
        return store_entry(need.series.source, single, "", fetched, span).is_file()
    except MarketError:
        return False


def left(need: Need, folder: Any, now: int) -> list[tuple[int, int]]:
    """Return the spans that a folder of the store lacks, the lead left out."""
    job = job_of(folder, need.series, [need], now)
    if job.start >= job.end:
        return []
    spans = [(max(a, job.start + job.lead), b) for a, b in job.entry.missing(job.start, job.end)]
    return [(a, b) for a, b in spans if a < b]
