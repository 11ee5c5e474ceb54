"""Whole runs: the same plan under worst, best and the finer bars, and why the last may lie outside the first two."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from backtest.checks.intrabar.course import ORDERS as WALKED
from backtest.engines.arrays import Ground
from backtest.engines.fast import execute, ground_of, score
from backtest.model import Mark, Market, Plan, Result, Score, Venue
from backtest.model.arrays import utc_text
from backtest.model.result import EXIT_REASONS, NO_TIME
from backtest.model.venue import Intrabar

__all__ = ["CAUSES", "EXPLAINED", "FIGURES", "WholeRun", "whole_run", "window"]

FIGURES = ("total_return", "max_drawdown", "liquidations", "trades")
CAUSES = {
    "trades": "an earlier event went another way, after which another trade was open, or none",
    "fills": "a fill beyond both, such as through a gap between two finer bars",
    "sizes": "the same trades, one of them larger or smaller than under both, on an equity that was another by then",
    "funding": "the same trades, with funding due inside a bar at whose end one of them was gone, or not yet",
    "other": "another reason: a trade that ended in a third way, or one as under worst and the next as under best",
}
"""Why a run on the finer bars may end outside both orders."""
EXPLAINED = ("total_return", "max_drawdown")
"""The figures that a cause is looked for."""
RUNS = ("worst", "best", "truth", "truth_best")
ORDERS: tuple[Intrabar, ...] = ("worst", "best", "fine")
SAID = {"worst": "under worst", "best": "under best", "fine": "in truth"}
PRICES = ("open", "high", "low", "close")
LATEST = int(np.iinfo(np.int64).max)
CLOSE = 1e-9
Facts = dict[str, float]


@dataclass(frozen=True)
class Departure:
    """Where a run on the finer bars left an order's run: the first trade that is another one.

    time: ns UTC, of its entry or end; symbol, side: of that trade; order: "worst" or "best"; there, truth: how it ended in the
    order's run and on the finer bars, "none" where it was never open.
    """

    time: int
    symbol: str
    side: str
    order: str
    there: str
    truth: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "time": utc_text(self.time)}


@dataclass(frozen=True)
class WholeRun:
    """One plan from end to end under each order.

    start, end: ns UTC of the scored span; worst, best, truth, truth_best: name -> figure of `FIGURES`, truth_best with the better
    of two events inside one finer bar; ambiguous: positions and bars under worst, and on the finer bars; cause: a key of `CAUSES`
    where one of `EXPLAINED` lies outside, else ""; left: where the finer bars' path left worst and best, the earlier first;
    since: the trade, or the fill, that is another one from then on, in words.
    """

    start: int
    end: int
    worst: Facts
    best: Facts
    truth: Facts
    truth_best: Facts
    ambiguous: tuple[int, int]
    cause: str = ""
    left: tuple[Departure, ...] = ()
    since: str = ""

    @property
    def outside(self) -> tuple[str, ...]:
        """The figures that lie outside what worst and best span."""
        return tuple(name for name in FIGURES if self.beyond(name))

    def beyond(self, name: str) -> float:
        """Return by how much a figure lies above (+) or below (-) what worst and best span, 0 inside."""
        low, high = sorted((self.worst[name], self.best[name]))
        allowed = CLOSE * max(1.0, abs(low), abs(high))
        value = self.truth[name]
        return value - high if value > high + allowed else value - low if value < low - allowed else 0.0

    def to_dict(self) -> dict[str, Any]:
        plain = {name: dict(getattr(self, name)) for name in RUNS}
        left = [one.to_dict() for one in self.left]
        spans = {"start": utc_text(self.start), "end": utc_text(self.end)}
        beyond = {name: self.beyond(name) for name in self.outside}
        why = {"outside": list(self.outside), "beyond": beyond, "cause": self.cause, "left": left, "since": self.since}
        return {**spans, **plain, "ambiguous": dict(zip(("worst", "truth"), self.ambiguous, strict=True)), **why}


def whole_run(market: Market, plan: Plan, venue: Venue) -> WholeRun:
    """Run a plan under worst, best and on the finer bars, and say where it left both if one of `EXPLAINED` lies outside them.

    Without an ambiguous bar the better order is the worse one, so it is not run again.
    """
    ground = ground_of(market, replace(venue, intrabar="fine"))
    worst = scored(market, plan, venue, ground, "worst")
    best = scored(market, plan, venue, ground, "best") if worst.ambiguous_bars else worst
    truth = scored(market, plan, venue, ground, "fine")
    truth_best = scored(market, plan, venue, ground, "fine_best") if truth.ambiguous_bars else truth
    made = WholeRun(
        start=worst.start,
        end=worst.end,
        worst=facts_of(worst),
        best=facts_of(best),
        truth=facts_of(truth),
        truth_best=facts_of(truth_best),
        ambiguous=(worst.ambiguous_bars, truth.ambiguous_bars),
    )
    return explained(made, market, plan, venue) if any(map(made.beyond, EXPLAINED)) else made


def scored(market: Market, plan: Plan, venue: Venue, ground: Ground, order: str) -> Score:
    """Return the sums of a run in one of the orders of `Course`, on ground laid out with the finer bars."""
    venue = replace(venue, intrabar=order.removesuffix("_best"))  # type: ignore[arg-type]
    rules = ground.rules.copy()
    rules["best"], rules["fine"] = WALKED[order]
    return score(market, plan, venue, ground._replace(rules=rules))


def facts_of(found: Score) -> Facts:
    values = (found.final_equity / found.cash - 1.0, found.worst - 1.0, found.liquidations, found.trades)
    return dict(zip(FIGURES, values, strict=True))


def window(market: Market, start: int, end: int) -> Market:
    """Return the market up to bar `end`, traded from bar `start` on, with the finer bars of what is traded.

    The bars before it warm up what they did before.
    """
    part = replace(market, fine=None).head(end)
    return replace(part, trade_from=int(market.time[start]), fine=fine_inside(market, start, end))


def fine_inside(market: Market, start: int, end: int) -> Market:
    """Return the finer bars of the bars from `start` to before `end`."""
    fine = market.fine
    assert fine is not None
    first, last = np.searchsorted(fine.time, (market.time[start], market.time[end - 1] + market.interval))
    span = slice(int(first), int(last))
    columns = {name: getattr(fine, name)[span] for name in (*PRICES, "volume")}
    mark = None if fine.mark is None else Mark(*(getattr(fine.mark, name)[span] for name in PRICES))
    return replace(fine, time=fine.time[span], **columns, mark=mark)


# --- why a run lies outside --------------------------------------------------------------------------------------

Key = tuple[int, str, str]


@dataclass(frozen=True)
class Trip:
    """A trade as two runs are compared by; end: the bar in which it ended, after all bars where it still stands; size: the
    largest held, base units; funding: what it received (+) or paid (-), quote units.

    Of a finer walk the times are those of the finer bars, so only the bars themselves tell that two trades are one.
    """

    end: int
    entry: float
    exit: float
    reason: str
    size: float = 0.0
    funding: float = 0.0

    def like(self, other: "Trip") -> bool:
        prices = (self.entry, self.exit), (other.entry, other.exit)
        return self.end == other.end and bool(np.allclose(*prices, rtol=CLOSE, atol=0.0))

    def __str__(self) -> str:
        return "still open" if self.reason == "open" else f"{self.reason} at {self.exit:,.7g}"


Trips = Mapping[Intrabar, dict[Key, Trip]]


def explained(made: WholeRun, market: Market, plan: Plan, venue: Venue) -> WholeRun:
    """Return the run with the cause for which it lies outside, and where its path left both orders."""
    trips = {name: trips_of(execute(market, plan, replace(venue, intrabar=name))) for name in ORDERS}
    left = [d for name in ("worst", "best") if (d := departure(name, trips[name], trips["fine"], market)) is not None]
    left.sort(key=lambda one: one.time)
    found = [(*where, cause) for cause, find in WAYS.items() if (where := find(trips, market)) is not None]
    _, since, cause = min(found) if found else (0, *unlike(trips, market))
    return replace(made, cause=cause, left=tuple(left), since=since)


def trips_of(result: Result) -> dict[Key, Trip]:
    """Return the trades of a result by (bar of the entry, symbol, side)."""
    t = result.trades_table
    found = {}
    for k in range(len(t)):
        key = int(t.entry_bar[k]), result.symbols[int(t.symbol[k])], "long" if t.side[k] == 1 else "short"
        end = LATEST if t.exit_time[k] == NO_TIME else int(t.exit_bar[k])
        reason = EXIT_REASONS[int(t.reason[k])].replace("_", " ")
        prices = float(t.entry_price[k]), float(t.exit_price[k])
        found[key] = Trip(end, *prices, reason, float(t.quantity[k]), float(t.funding[k]))
    return found


def departure(order: str, there: dict[Key, Trip], fine: dict[Key, Trip], market: Market) -> Departure | None:
    """Return the first trade that the finer bars made another one than an order did; None where all are alike."""
    found = []
    for key in there.keys() | fine.keys():
        one, two = there.get(key), fine.get(key)
        if one is None or two is None:
            found.append((key[0], key, str(one or "none"), str(two or "none")))
        elif not one.like(two):
            found.append((min(one.end, two.end), key, *told_apart(one, two, market)))
    if not found:
        return None
    bar, (_, symbol, side), before, after = min(found)
    return Departure(int(market.time[bar]), symbol, side, order, before, after)


def told_apart(one: Trip, two: Trip, market: Market) -> tuple[str, str]:
    """Return what is another thing in two trades of one entry: how they end, else when, else at what price they began."""
    if str(one) != str(two):
        return str(one), str(two)
    if one.end != two.end:
        return str(one), f"the same at {utc_text(int(market.time[two.end]))}"
    return f"entry at {one.entry:,.7g}", f"entry at {two.entry:,.7g}"


def other_trade(trips: Trips, market: Market) -> tuple[int, str] | None:
    """Return the first trade that not all runs have, its bar and the trade in words; None where they have the same ones."""
    every: set[Key] = set().union(*trips.values())
    for key in sorted(every):
        having = [SAID[name] for name in ORDERS if key in trips[name]]
        if len(having) < len(ORDERS):
            bar, symbol, side = key
            return bar, f"{utc_text(int(market.time[bar]))}, a {side} of {symbol} {' and '.join(having)} alone"
    return None


def fill_beyond(trips: Trips, market: Market) -> tuple[int, str] | None:
    """Return the first price on the finer bars that lies beyond both orders, its trade's bar and it in words, or None."""
    for key in sorted(trips["fine"]):
        bar, symbol, side = key
        one, two, fine = (trips[name].get(key) for name in ORDERS)
        if one is None or two is None or fine is None:
            continue
        for what in ("entry", "exit"):
            told = beyond(getattr(fine, what), getattr(one, what), getattr(two, what))
            if told:
                return bar, f"{utc_text(int(market.time[bar]))}, the {side} of {symbol}: {what} at {told}"
    return None


def unlike(trips: Trips, market: Market) -> tuple[str, str]:
    """Return, where all runs have the same trades, in words the first one that is another one on the finer bars, and the cause.

    "other": a trade ended as under neither order, or each is one order's own, but not all are the same order's.
    """
    for key in sorted(trips["fine"]):
        bar, symbol, side = key
        one, two, fine = (trips[name][key] for name in ORDERS)
        which = f"{utc_text(int(market.time[bar]))}, the {side} of {symbol}:"
        if not fine.like(one) and not fine.like(two):
            when = "" if fine.end == LATEST else f" at {utc_text(int(market.time[fine.end]))}"
            return f"{which} {fine}{when}, as under neither", "other"
        if told := beyond(fine.size, one.size, two.size):
            return f"{which} a size of {told}", "sizes"
        if told := beyond(fine.funding, one.funding, two.funding):
            return f"{which} funding of {told}", "funding"
    return "", "other"


def beyond(value: float, one: float, two: float) -> str:
    """Return a number and the span of two others, in words, if it lies outside that, else "".

    >>> beyond(93.0, 105.0, 95.0), beyond(100.0, 95.0, 105.0)
    ('93, 95 to 105 under both', '')
    """
    low, high = sorted((one, two))
    allowed = CLOSE * max(abs(low), abs(high))
    if low - allowed <= value <= high + allowed:
        return ""
    span = f"{low:,.7g}" if high - low <= allowed else f"{low:,.7g} to {high:,.7g}"
    return f"{value:,.7g}, {span} under both"


WAYS = {"fills": fill_beyond, "trades": other_trade}
"""How a run may leave both orders -> what finds where; what comes first in time counts."""
