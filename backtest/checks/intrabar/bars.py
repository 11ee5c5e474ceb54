"""What the bars of two scales lack: bars without a price, and bars that finer ones do not fill."""

from dataclasses import dataclass

import numpy as np

from backtest.market.clock import interval_text
from backtest.model import Market

__all__ = ["Filled", "filled", "note_on_bars"]


@dataclass(frozen=True)
class Filled:
    """How the traded bars stand, each symbol's counted by itself.

    bars: all of them; empty: without a price; bare: with a price and without a finer bar; partial: with fewer finer bars than
    fit into them; missing: the finer bars that these lack; pieces: how many fit.
    """

    bars: int
    empty: int
    bare: int
    partial: int
    missing: int
    pieces: int


def filled(market: Market) -> Filled:
    """Count the bars of a market with finer ones by what these leave out; a finer bar without a price is none."""
    fine = market.fine
    assert fine is not None
    times = market.time[market.start_bar :]
    known = np.vstack((np.zeros((1, len(market.symbols)), np.int64), np.cumsum(~np.isnan(fine.open), axis=0)))
    ends = np.searchsorted(fine.time, times + market.interval)
    have = known[ends] - known[np.searchsorted(fine.time, times)]
    priced = ~np.isnan(market.open[market.start_bar :])
    pieces = market.interval // fine.interval
    partial = priced & (have > 0) & (have < pieces)
    empty, bare, partly = (int(np.count_nonzero(which)) for which in (~priced, priced & (have == 0), partial))
    return Filled(priced.size, empty, bare, partly, int((pieces - have)[partial].sum()), pieces)


def note_on_bars(market: Market) -> str:
    """Return one sentence on bars without prices and bars that finer ones do not fill; "" where there are none."""
    fine, found = market.fine, filled(market)
    assert fine is not None
    small = interval_text(fine.interval)
    told = [
        f"{found.empty:,} without a price, in which nothing happens" if found.empty else "",
        f"{found.bare:,} without bars of {small}, in which the truth is what worst says" if found.bare else "",
        f"{found.partial:,} with only some of their {found.pieces:,} bars of {small}; what happened in the {found.missing:,} "
        "that are missing is not known"
        if found.partial
        else "",
    ]
    each = " (each symbol's counted)" if len(market.symbols) > 1 else ""
    said = "; ".join(filter(None, told))
    return f"Of {found.bars:,} bars of {interval_text(market.interval)}{each}: {said}." if said else ""
