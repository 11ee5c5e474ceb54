"""A declared series of the store, on its way into a market: where it lies, and whether all of it was fetched."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backtest.market.declare_series import Role, Source
from backtest.market.fetching.needs import SeriesId, reach, stored
from backtest.market.read import store_entry
from backtest.market.sources import SOURCES
from backtest.market.store.entry import entry_name, file_name
from backtest.market.store.manifest import Manifest, read_manifest
from backtest.market.validate import Finding, count
from backtest.model.arrays import DAY, SECOND, utc_text

__all__ = ["Kept", "keep"]

PUBLISHED = 5 * DAY  # how late a source may publish its newest rows; these are not missed


@dataclass(frozen=True)
class Kept:
    """Where a declared series lies in the store.

    name: "BTCUSDT.bars"; series, column: see `needs.Stored`; path: the folder of a fetched series, or a file placed by hand;
    manifest: of the folder.
    """

    name: str
    series: SeriesId
    column: str
    path: Path
    manifest: Manifest | None

    def unfetched(self, role: Role, start: int, end: int, market: str) -> Iterator[Finding]:
        """Say what of a market's span should be here and was not fetched: fatal for prices.

        What the source could not have had yet when it was last asked is not missed. market: the name to fetch by.
        """
        if self.manifest is None or self.series.source not in SOURCES or not self.manifest.retrieved_at:
            return
        first, last = reach(role, self.series, start, end)
        asked = int(datetime.fromisoformat(self.manifest.retrieved_at).timestamp()) * SECOND
        first = max(first, start)
        gone = self.manifest.uncovered(first, min(last, asked - PUBLISHED))
        if gone:
            spans = f"{utc_text(gone[0][0])} to {utc_text(gone[0][1])}"
            spans += f" and {count(len(gone) - 1, 'more span')}" if len(gone) > 1 else ""
            told = f"{self.name} was not fetched for {spans}; run `backtest fetch {shlex.quote(market)}` to complete it"
            yield Finding(told, fatal=role == "bars")


def keep(role: Role, name: str, source: Source, interval: int, single: str, market: str) -> Kept | None:
    """Return where a declared series lies in the store, None for one that is not of the store.

    MarketError, with the command that fetches it, where it is not there.
    single: the name that a file placed by hand has for this key, unless the market file spells symbol or series itself.
    """
    if source.store is None:
        return None
    series, column = stored(role, name, source, interval)
    if source.symbol is not None or source.series is not None:
        single = file_name(series.symbol, series.kind, series.interval)
    path = store_entry(series.source, single, market, entry_name(series.symbol, series.kind, series.interval))
    return Kept(name, series, column, path, read_manifest(path) if path.is_dir() else None)
