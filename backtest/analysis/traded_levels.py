"""Which level each trade was about, and which rung of the ladder that level was."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backtest.analysis.chart_data import break_rule, rule_arguments
from backtest.errors import ConfigError, did_you_mean
from backtest.levels import BreakEvents, Levels, break_events
from backtest.levels.break_rule import BreakRule
from backtest.levels.checks import fraction, replaced_at, visible_from
from backtest.model.arrays import Int64, frozen_array
from backtest.model.market import Bars, Market
from backtest.model.result import Result

__all__ = ["NO_LEVEL", "TradedLevels", "rungs", "traded_levels", "watched_levels"]

NO_LEVEL = "none"
"""The label of trades at no level."""


@dataclass(frozen=True, eq=False)
class TradedLevels:
    """The level of each trade of a result.

    label: t texts, "SYMBOL kind price" or NO_LEVEL; row: (t,) of the symbol's table of levels, -1 for none; rung: (t,) place
    in the ladder of breaks from 1, 0 where the level was not broken; broken: (t,) whether it broke at the bar of the decision.
    """

    label: tuple[str, ...]
    row: Int64
    rung: Int64
    broken: Int64

    def __post_init__(self) -> None:
        for name in ("row", "rung", "broken"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))


def traded_levels(
    result: Result,
    market: Market,
    levels: Mapping[str, Levels] | Levels,
    *,
    rule: BreakRule | None = None,
    width: float = 0.01,
) -> TradedLevels:
    """Return which of the watched levels each trade was about.

    levels: the tables that the strategy looked at, by symbol; a table alone is of the strategy's `symbol`, else of the
    market's first. A trade was decided at the close of the bar before its entry's. Its level is the deepest one that broke
    in that bar, by `rule`, None for the one that the strategy's parameters name, as `break_rule` reads them; where none
    did, the one nearest to the entry price among those known then and not replaced, at most `width` of the entry price
    away [D], of equal ones the lower; else none. The rung is that of the level's last break, while it is not reclaimed;
    see `rungs`. An unknown symbol in `levels` is a ConfigError.
    """
    tables, trades = watched_levels(result, levels), result.trades_table
    reach = fraction("width", width)
    asked = rule_arguments(break_rule(result.config) if rule is None else rule)
    labels = np.full(len(trades), NO_LEVEL, dtype=object)
    row, rung, broken = (np.full(len(trades), fill, np.int64) for fill in (-1, 0, 0))
    decided = np.searchsorted(market.time, trades.entry_time, side="right") - 2
    for symbol, table in tables.items():
        mine = np.flatnonzero(np.asarray(trades.symbol) == result.symbols.index(symbol))
        if not mine.size or not len(table):
            continue
        bars = market[symbol]
        events = break_events(bars, table, **asked)
        found = level_at(bars, table, events, decided[mine], trades.entry_price[mine], reach)
        row[mine], rung[mine], broken[mine] = found
        at = mine[found[0] >= 0]
        labels[at] = [f"{symbol} {table.kind[r]} {table.price[r]:.10g}" for r in row[at].tolist()]
    return TradedLevels(tuple(labels.tolist()), row, rung, broken)


def watched_levels(result: Result, levels: Mapping[str, Levels] | Levels) -> dict[str, Levels]:
    """Return the tables by symbol; a symbol that the run does not have is a ConfigError."""
    if isinstance(levels, Levels):
        wanted = dict(result.config.parameters).get("symbol") if result.config else None
        return {str(wanted) if wanted in result.symbols else result.symbols[0]: levels}
    for symbol in levels:
        if symbol not in result.symbols:
            raise ConfigError(
                f"`levels` names the symbol {symbol!r}, the run has none.{did_you_mean(symbol, result.symbols)}"
            )
    return dict(levels)


def level_at(
    bars: Bars, levels: Levels, events: BreakEvents, decided: Int64, price: np.ndarray, reach: float
) -> tuple[Int64, Int64, Int64]:
    """Return the row, the rung and whether it broke then, of the level behind each entry of one symbol."""
    place, order = rungs(events, levels.price), np.lexsort((levels.price[events.row], events.bar))
    bar = events.bar[order]
    first = np.searchsorted(bar, decided, side="left")
    hit = (first < bar.size) & (np.append(bar, -2)[first] == decided)
    event = np.append(order, 0)[first]
    row = np.where(hit, np.append(events.row, -1)[event], -1)
    rung = np.where(hit, np.append(place, 0)[event], 0)
    near = Nearby(bars, levels, events, place)
    for t in np.flatnonzero(~hit).tolist():
        row[t], rung[t] = near.find(int(decided[t]), float(price[t]), reach)
    return row, rung, hit.astype(np.int64)


class Nearby:
    """The levels of one symbol in the order of their price, to find the one nearest to an entry."""

    def __init__(self, bars: Bars, levels: Levels, events: BreakEvents, place: Int64) -> None:
        order = np.argsort(levels.price, kind="stable")
        self.row, self.price = order.tolist(), levels.price[order].tolist()
        self.seen, self.over = visible_from(bars, levels)[order].tolist(), replaced_at(bars, levels)[order].tolist()
        self.first = np.searchsorted(events.row, np.arange(len(levels) + 1)).tolist()  # the events of each level
        self.bar, self.back, self.place = events.bar.tolist(), events.reclaim_bar.tolist(), place.tolist()

    def find(self, bar: int, price: float, reach: float) -> tuple[int, int]:
        """Return the row and the rung of the level nearest to a price at the close of a bar; -1 and 0 for none."""
        best, found = reach * price, -1
        for k in range(bisect_left(self.price, price - best), bisect_right(self.price, price + best)):
            away = abs(self.price[k] - price)
            if self.seen[k] <= bar < self.over[k] and (away < best or (found < 0 and away <= best)):
                best, found = away, self.row[k]
        return (found, self.rung(found, bar)) if found >= 0 else (-1, 0)

    def rung(self, row: int, bar: int) -> int:
        """Return the rung of a level at the close of a bar: of its last break, 0 where that is reclaimed."""
        first, last = self.first[row : row + 2]
        k = bisect_right(self.bar, bar, first, last) - 1
        return self.place[k] if k >= first and not 0 <= self.back[k] <= bar else 0


def rungs(events: BreakEvents, price: np.ndarray) -> Int64:
    """Return (e,) the rung of each break: 1 for the first of a fall, 2 for the next level below, and so on.

    price: (k,) of the table's levels. A break goes one rung down the ladder when its level lies below the one that broke
    last and that one is not reclaimed yet (no close above its level + delta since); otherwise a new ladder begins. Of
    several breaks in one bar the highest level comes first.
    """
    level = price[events.row]
    order = np.lexsort((-level, events.bar))
    columns = (events.bar[order].tolist(), level[order].tolist(), events.reclaim_bar[order].tolist())
    found, rung, last, back = [], 0, np.inf, -1
    for bar, here, reclaimed in zip(*columns, strict=True):
        rung = rung + 1 if here < last and (back < 0 or back > bar) else 1
        last, back = here, reclaimed
        found.append(rung)
    place = np.empty(order.size, np.int64)
    place[order] = found
    return place
