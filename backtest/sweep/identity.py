"""The id that a point has as a run, without running it in full."""

import hashlib
from dataclasses import dataclass
from typing import Any

from backtest.catalogue.runs import ID_LENGTH, venue_numbers
from backtest.market.tiers import tier_lines
from backtest.model import Market, Passport, RunConfig, Venue

__all__ = ["RunIdentity", "market_facts"]


@dataclass(frozen=True)
class RunIdentity:
    """What the id of a run rests on besides its configuration and the strategy's source: the data and the venue, as text."""

    rest: str

    @classmethod
    def of(cls, market: Market, venue: Venue) -> "RunIdentity":
        """Return what runs on a market at a venue share."""
        end = int(market.time[-1]) + market.interval
        tiers = tier_lines(venue, market.symbols, int(market.time[market.start_bar]), end)
        data = [(s.name, s.origin, s.sha256) for s in (*market.passport.series, *tiers)]
        return cls(f"{data!r}\n{venue_numbers(Priced(venue))!r}")  # type: ignore[arg-type]

    def id(self, config: RunConfig, source: str) -> str:
        """Return the id of `catalogue.run_id`; config: with the engine and every parameter; source: the source's digest."""
        return hashlib.sha256(f"{config!r}\n{source!r}\n{self.rest}".encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class Priced:
    """As much of a result as the numbers of its venue need."""

    venue: Venue


def market_facts(market: Market) -> list[tuple[Any, ...]]:
    """Return what a market's data are: name, origin and hash of each series, its span and its symbols."""
    series = [(s.name, s.origin, s.sha256) for s in market.passport.series]
    return [*series, (market.symbols, market.interval, len(market), int(market.time[0]) if len(market) else 0)]


def passport_hash(passport: Passport) -> str:
    """Return the hash under which a market's trials are counted."""
    from backtest.catalogue import market_hash

    return market_hash(passport)
