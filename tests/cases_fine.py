"""Random cases in which the finer bars are not what the coarse ones say: missing, halted, off, or with a tier date between."""

from dataclasses import replace
from typing import Any

import numpy as np
from cases import Case, random_case
from cases_rare import rare_case

from backtest.model import Instrument, Mark, Market, Venue

PRICES = ("open", "high", "low", "close")


def fine_case(seed: int) -> Case:
    """Return a case whose venue walks finer bars that were disturbed, drawn from the seed."""
    rng = np.random.default_rng(seed)
    while True:
        make = random_case if rng.random() < 0.5 else rare_case
        market, plan, venue = make(int(rng.integers(0, 2**31)))
        if market.fine is not None and len(market.fine) > 0:
            break
    disturb = (some_missing, some_halted, shifted, without_marks)[int(rng.integers(4))]
    venue = replace(venue, intrabar="fine")
    if rng.random() < 0.3:
        venue = dated_between(venue, market.fine.interval)
    return disturb(rng, market, market.fine), plan, venue


def some_missing(rng: np.random.Generator, market: Market, fine: Market) -> Market:
    """A fifth of the finer bars do not exist."""
    keep = rng.random(len(fine)) < 0.8
    keep[rng.integers(len(fine))] = True
    columns: dict[str, Any] = {name: getattr(fine, name)[keep] for name in (*PRICES, "volume")}
    mark = None if fine.mark is None else Mark(*(getattr(fine.mark, name)[keep] for name in PRICES))
    return replace(market, fine=replace(fine, time=fine.time[keep], **columns, mark=mark))


def some_halted(rng: np.random.Generator, market: Market, fine: Market) -> Market:
    """A tenth of the finer prices are missing where the coarse bar has prices."""
    halted = rng.random((len(fine), len(market.symbols))) < 0.1
    columns = {name: np.where(halted, np.nan, getattr(fine, name)) for name in PRICES}
    return replace(market, fine=replace(fine, **columns))


def shifted(rng: np.random.Generator, market: Market, fine: Market) -> Market:
    """Some finer bars lie 3 % beside what the coarse one says."""
    factor = rng.choice([1.0, 0.97, 1.03], size=(len(fine), 1))
    return replace(market, fine=replace(fine, **{name: factor * getattr(fine, name) for name in PRICES}))


def without_marks(rng: np.random.Generator, market: Market, fine: Market) -> Market:
    """Only one of the two has mark prices."""
    return replace(market, fine=replace(fine, mark=None)) if rng.random() < 0.5 else replace(market, mark=None)


def dated_between(venue: Venue, step: int) -> Venue:
    """Every tier table but the first comes into force a finer bar later."""

    def later(contract: Instrument) -> Instrument:
        first, *others = contract.tables
        return replace(contract, tables=(first, *(replace(t, date=t.date + step) for t in others)))

    return replace(venue, default=later(venue.default), instruments={k: later(v) for k, v in venue.instruments.items()})
