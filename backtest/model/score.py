"""A run in sums: what the summary form of an engine leaves, enough for every headline figure without a single array."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Score"]


@dataclass(frozen=True)
class Score:
    """The sums of one run over its scored bars, quote units and fractions.

    start, end: ns UTC, first bar's open and last bar's close; interval: ns; bars: scored; bars_held: at whose close a position
    was held; mean: of the bars' returns, the first from the initial cash; squares: sum of squared deviations from the mean;
    losses: sum of squared negative returns; worst: lowest equity / peak so far, 1 at best; trades: all, closed: those that
    ended, wins: closed with pnl > 0; totals: sum of the ledger's amounts by kind; rejections: rows that came to nothing.
    """

    start: int
    end: int
    interval: int
    bars: int
    bars_held: int
    cash: float
    final_equity: float
    final_wallet: float
    mean: float
    squares: float
    losses: float
    worst: float
    trades: int
    closed: int
    wins: int
    liquidations: int
    rejections: int
    ambiguous_bars: int
    totals: Mapping[str, float]
