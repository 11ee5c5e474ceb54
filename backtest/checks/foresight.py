"""No look-ahead, checked: what was decided by a bar must not change when the bars after it go, or turn out otherwise."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from backtest.checks.futures import changed_after, walk_like
from backtest.checks.observe import Change, Observed, first_change
from backtest.checks.subject import Subject, subject_of, the_market
from backtest.errors import ConfigError, FundingHoleError, MarketError
from backtest.model import Market, Venue
from backtest.model.arrays import utc_text

__all__ = ["CUT", "OTHER_FUTURE", "Foresight", "Glimpse", "Looked", "check_foresight"]

CUT = "the market ended"
OTHER_FUTURE = "prices, feeds and funding were others"

CUTS, CUTS_NATIVE = 32, 6
"""[D] Cut points on each market; a strategy of backtrader takes seconds where a plan takes milliseconds."""

WALK_BARS, WALK_BARS_NATIVE = 3_000, 800

FEWEST = 3
"""[D] Cut points that a slow subject has at least, where its time is limited."""


@dataclass(frozen=True)
class Glimpse:
    """A row that knew the future: it is another one once the future is not what it was.

    market: which; how: CUT or OTHER_FUTURE; cut: number of bars left as they are; cut_time: ns UTC, the close of the last of
    them; what: "plan", "orders", "ledger", "levels" or the name of a value; bar, time: of the row, its bar's open, ns UTC;
    symbol: "" for none; column: "row" where a whole row comes or goes, "outcome" where it was refused; with_future,
    without: its values on the whole market and on the other one.
    """

    market: str
    how: str
    cut: int
    cut_time: int
    what: str
    bar: int
    time: int
    symbol: str
    column: str
    with_future: float | str
    without: float | str

    def sentence(self) -> str:
        """Return the row, the cut and both values as one sentence."""
        of = f" of {self.symbol}" if self.symbol else ""
        row = f"{self.what} at bar {self.bar} ({utc_text(self.time)}){of}"
        ends = f"when {self.how} after bar {self.cut - 1} ({utc_text(self.cut_time)}), on {self.market}"
        return f"{row}, {self.column}: {shown(self.with_future)} became {shown(self.without)} {ends}"


@dataclass(frozen=True)
class Looked:
    """One market that was looked at: its bars, the rows said on the whole of it, and the cut points tried."""

    market: str
    bars: int
    rows: int
    cuts: int


@dataclass(frozen=True)
class Foresight:
    """What the prefix test came to; glimpses: the first one of each market and way of taking the future away."""

    strategy: str
    looked: tuple[Looked, ...]
    glimpses: tuple[Glimpse, ...] = ()

    @property
    def passes(self) -> bool:
        return not self.glimpses

    @property
    def rows(self) -> int:
        """How many rows there were to be compared; none prove nothing."""
        return sum(one.rows for one in self.looked)

    def sentence(self) -> str:
        """Return the outcome in a sentence, with the first glimpse where there is one."""
        if self.glimpses:
            return f"{self.strategy} looks ahead: {self.glimpses[0].sentence()}."
        cuts = sum(one.cuts for one in self.looked)
        return f"{self.strategy} does not look ahead: {self.rows} rows stayed the same at {cuts} cuts."

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data, times as text in UTC."""
        found = [asdict(g) | {"time": utc_text(g.time), "cut_time": utc_text(g.cut_time)} for g in self.glimpses]
        looked = [asdict(one) for one in self.looked]
        return {
            "check": "foresight",
            "passes": self.passes,
            "strategy": self.strategy,
            "markets": looked,
            "glimpses": found,
        }


def shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def check_foresight(
    subject: Any,
    market: Market | str | os.PathLike[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    venue: Venue | None = None,
    cuts: int | None = None,
    walks: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> Foresight:
    """Take the future away at many bars, and say whether anything decided before changed.

    subject: a strategy's name, path, instance or class, or a function of a market that returns a plan, levels, or one value a
    bar; market: a market, its name or path, None for the embedded one; parameters: of the strategy, where it has still to be
    made; venue: for strategies of backtrader; cuts: cut points on each market [D: 32, of strategies of backtrader 6];
    walks: random walks beside the market [D: 3, of strategies of backtrader 1], made of its own bars; seed: of walks and of
    futures; seconds: about how long each market may take, from which the cut points of a slow subject follow where `cuts` does
    not say; None: as long as it takes.

    At each cut the subject is asked twice again: on the market that ends there, and on one whose prices, feeds and funding
    are others from there on. Every row up to the cut must be the same to 1e-9. Half of the cuts fall right behind rows, where
    looking one bar ahead shows. Of a strategy of backtrader the orders and the ledger are compared. What the subject
    raises on the whole market is raised; on a market that was cut it counts as a change.

    Source: prefix invariance, plan(market cut at t) = the rows of plan(market) up to t; one sample can only refute it.
    """
    asked = subject_of(subject, parameters, venue)
    home = the_market(market)
    if not len(home):
        raise MarketError(f"The market {home.name} has no bars; there is nothing to look ahead to.")
    native = asked.native
    n_cuts = whole("cuts", cuts, CUTS_NATIVE if native else CUTS, 1)
    n_walks = whole("walks", walks, 1 if native else 3, 0)
    size = WALK_BARS_NATIVE if native else WALK_BARS
    looked, glimpses = [], []
    for one in [home, *(walk_like(home, seed + k, size) for k in range(n_walks))]:
        start = time.perf_counter()
        whole_rows = asked.ask(one)
        affordable = n_cuts if cuts or not seconds else int(seconds / 2 / (time.perf_counter() - start))
        at = cut_points(one, whole_rows, min(n_cuts, max(affordable, FEWEST)), one.start_bar if native else 0)
        looked.append(Looked(one.name, len(one), sum(map(len, whole_rows)), len(at)))
        for how, other in ways(one, seed):
            glimpses.append(next(compare(asked, one, whole_rows, at, how, other), None))
    return Foresight(asked.name, tuple(looked), tuple(g for g in glimpses if g is not None))


def whole(name: str, value: int | None, default: int, least: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ConfigError(f"`{name}` must be a whole number from {least}, got {value!r}.")
    return int(value)


def cut_points(market: Market, rows: tuple[Observed, ...], cuts: int, start: int) -> list[int]:
    """Return numbers of bars to keep, more than `start`, increasing.

    Half of them fall right behind rows, a quarter evenly over the market, a quarter ever denser towards its beginning, where
    what is not warm yet may be filled from behind.
    """
    n, left = len(market), len(market) - 1 - start
    early, evenly = cuts // 4, cuts - cuts // 2 - cuts // 4
    even = start + np.append(np.geomspace(1, left, early), np.linspace(1, left, evenly)) if left > 0 else np.empty(0)
    bars = np.unique(np.concatenate([np.empty(0, np.int64), *(table.bar for table in rows)]))
    behind = bars[(bars >= start) & (bars < n - 1)] + 1
    spread = np.linspace(0, behind.size - 1, cuts // 2 if behind.size else 0).round().astype(np.int64)
    return sorted({int(c) for c in (*even.round(), *behind[spread]) if 0 < c < n})


Other = Callable[[int], Market]


def ways(market: Market, seed: int) -> tuple[tuple[str, Other], tuple[str, Other]]:
    def changed(cut: int) -> Market:
        return changed_after(market, cut, seed)

    return (CUT, market.head), (OTHER_FUTURE, changed)


def compare(
    asked: Subject, market: Market, rows: tuple[Observed, ...], cuts: list[int], how: str, other: Other
) -> Iterator[Glimpse]:
    """Give a glimpse for each cut at which something decided before it is not the same."""
    for cut in cuts:
        try:
            found = asked.ask(other(cut))
        except FundingHoleError:
            continue  # a market cut before its second stamp knows no rhythm of funding; it says nothing of the strategy
        except Exception as error:
            if not asked.planned and not any(table.before(cut) for table in rows):
                continue  # indicators that need more bars than there are; nothing had been said yet
            change = Change("run", cut - 1, "", "outcome", "it ran", f"refused: {error}")
        else:
            pairs = zip(rows, found, strict=False)
            changes = [c for a, b in pairs if (c := first_change(a, b, cut)) is not None]
            if not changes and len(rows) == len(found):
                continue
            change = min(
                changes, key=lambda c: c.bar, default=Change("run", cut - 1, "", "parts", len(rows), len(found))
            )
        yield glimpse(market, how, cut, change)


def glimpse(market: Market, how: str, cut: int, change: Change) -> Glimpse:
    cut_time = int(market.time[cut - 1]) + market.interval
    bar = min(change.bar, len(market) - 1)
    values = (change.first, change.second)
    place = (change.what, bar, int(market.time[bar]), change.symbol, change.column)
    return Glimpse(market.name, how, cut, cut_time, *place, *values)
