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

        What the source may not have had yet when it was last asked is not missed; of prices it is said, since a market that
        ends early is scored on less than it declares. market: the name to fetch by.
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
        late = asked - asked % (self.series.interval or 1)
        new = self.manifest.uncovered(max(first, asked - PUBLISHED), min(last, late)) if role == "bars" else []
        if new:
            told = (
                f"{self.name} had nothing from {utc_text(new[0][0])} to {utc_text(new[-1][1])} when it was last asked,"
            )
            again = f"run `backtest fetch {shlex.quote(market)}` again"
            yield Finding(f"{told} on {utc_text(asked)}; {again}, or end the market earlier.", fatal=False)


def keep(
    role: Role,
    name: str,
    source: Source,
    interval: int,
    single: str,
    market: str,
    span: tuple[int | None, int | None] | None = None,
) -> Kept | None:
    """Return where a declared series lies in the store, None for one that is not of the store.

    MarketError, with the command that fetches it, where it is not there.
    single: the name that a file placed by hand has for this key, unless the market file spells symbol or series itself;
    span: of the market, ns UTC: of several folders of the store the one with the most of it is taken.
    """
    if source.store is None:
        return None
    series, column = stored(role, name, source, interval)
    if source.symbol is not None or source.series is not None:
        single = file_name(series.symbol, series.kind, series.interval)
    path = store_entry(series.source, single, market, entry_name(series.symbol, series.kind, series.interval), span)
    return Kept(name, series, column, path, read_manifest(path) if path.is_dir() else None)
