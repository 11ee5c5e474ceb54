"""The id that a point has as a run, without running it in full."""

from dataclasses import dataclass
from typing import Any

from backtest.catalogue.runs import ground_text, id_of
from backtest.catalogue.trials import hash_of
from backtest.market.tiers import tier_lines
from backtest.model import Market, RunConfig, Venue
from backtest.model.passport import Series
from backtest.runner import venue_of

__all__ = ["RunIdentity", "data_hash", "market_facts", "series_of"]


@dataclass(frozen=True)
class RunIdentity:
    """What the id of a run rests on besides its configuration and the strategy's source: the data and the venue, as text."""

    ground: str

    @classmethod
    def of(cls, market: Market, venue: Venue) -> "RunIdentity":
        """Return what runs on a market at a venue share."""
        return cls(ground_text(series_of(market, venue), venue))

    def id(self, config: RunConfig, source: str) -> str:
        """Return the id of `catalogue.run_id`; config: with the engine and every parameter; source: the source's digest."""
        return id_of(config, source, self.ground)


def series_of(market: Market, venue: Venue) -> tuple[Series, ...]:
    """Return the lines of the passport that runs on a market at a venue have: its series, and the venue's margin tiers."""
    end = int(market.time[-1]) + market.interval
    return *market.passport.series, *tier_lines(venue, market.symbols, int(market.time[market.start_bar]), end)


def data_hash(market: Market, config: RunConfig) -> str:
    """Return the hash of the data under which the runs of a configuration on a market are counted as trials."""
    return hash_of((s.name, s.origin, s.sha256) for s in series_of(market, venue_of(config, market)))


def market_facts(market: Market) -> list[tuple[Any, ...]]:
    """Return what a market's data are: name, origin and hash of each series, its span and its symbols."""
    series = [(s.name, s.origin, s.sha256) for s in market.passport.series]
    return [*series, (market.symbols, market.interval, len(market), int(market.time[0]) if len(market) else 0)]
