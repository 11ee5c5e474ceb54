"""Whole runs: the same plan under worst, best and the finer bars, and why the last may lie outside the first two."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from backtest.engines.fast import execute, ground_of, score
from backtest.model import Market, Plan, Result, Score, Venue
from backtest.model.arrays import utc_text
from backtest.model.result import EXIT_REASONS, NO_TIME
from backtest.model.venue import Intrabar

__all__ = ["CAUSES", "FIGURES", "WholeRun", "whole_run", "window"]

FIGURES = ("total_return", "max_drawdown", "liquidations", "trades")
CAUSES = {
    "trades": "an earlier event went another way, after which another trade was open, or none",
    "fills": "a fill beyond both, such as through a gap between two finer bars",
    "sizes": "the same trades in other sizes, on an equity that was another by then",
}
"""Why a run on the finer bars may end outside both orders."""
RUNS = {"worst": "worst", "best": "best", "truth": "fine", "truth_best": "fine_best"}
"""Run -> its order inside a bar."""
ORDERS: tuple[Intrabar, ...] = ("worst", "best", "fine")
SAID = {"worst": "under worst", "best": "under best", "fine": "in truth"}
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
    where the return lies outside, else ""; left: where the finer bars' path left worst and best, the earlier first; since: the
    trade, or the fill, that is another one from then on, in words.
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
        why = {"outside": list(self.outside), "cause": self.cause, "left": left, "since": self.since}
        return {**spans, **plain, "ambiguous": dict(zip(("worst", "truth"), self.ambiguous, strict=True)), **why}


def whole_run(market: Market, plan: Plan, venue: Venue) -> WholeRun:
    """Run a plan under worst, best and on the finer bars, and say where it left both if its return lies outside them."""
    worst, best, truth, truth_best = (scored(market, plan, venue, order) for order in RUNS.values())
    made = WholeRun(
        start=worst.start,
        end=worst.end,
        worst=facts_of(worst),
        best=facts_of(best),
        truth=facts_of(truth),
        truth_best=facts_of(truth_best),
        ambiguous=(worst.ambiguous_bars, truth.ambiguous_bars),
    )
    return explained(made, market, plan, venue) if made.beyond("total_return") else made


def scored(market: Market, plan: Plan, venue: Venue, order: str) -> Score:
    """Return the sums of a run; "fine_best" is the finer walk with the better of two events inside one finer bar."""
    venue = replace(venue, intrabar=order.removesuffix("_best"))  # type: ignore[arg-type]
    if order != "fine_best":
        return score(market, plan, venue)
    ground = ground_of(market, venue)
    rules = ground.rules.copy()
    rules["best"] = True
    return score(market, plan, venue, ground._replace(rules=rules))


def facts_of(found: Score) -> Facts:
    values = (found.final_equity / found.cash - 1.0, found.worst - 1.0, found.liquidations, found.trades)
    return dict(zip(FIGURES, values, strict=True))


def window(market: Market, start: int, end: int) -> Market:
    """Return the market up to bar `end`, traded from bar `start` on; the bars before it warm up what they did before."""
    return replace(market.head(end), trade_from=int(market.time[start]))


# --- why a run lies outside --------------------------------------------------------------------------------------

Key = tuple[int, str, str]


@dataclass(frozen=True)
class Trip:
    """A trade as two runs are compared by; end: the bar in which it ended, after all bars where it still stands.

    Of a finer walk the times are those of the finer bars, so only the bars themselves tell that two trades are one.
    """

    end: int
    entry: float
    exit: float
    reason: str

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
    _, since, cause = min(found, default=(0, "", "sizes"))
    return replace(made, cause=cause, left=tuple(left), since=since)


def trips_of(result: Result) -> dict[Key, Trip]:
    """Return the trades of a result by (bar of the entry, symbol, side)."""
    t = result.trades_table
    found = {}
    for k in range(len(t)):
        key = int(t.entry_bar[k]), result.symbols[int(t.symbol[k])], "long" if t.side[k] == 1 else "short"
        end = LATEST if t.exit_time[k] == NO_TIME else int(t.exit_bar[k])
        reason = EXIT_REASONS[int(t.reason[k])].replace("_", " ")
        found[key] = Trip(end, float(t.entry_price[k]), float(t.exit_price[k]), reason)
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
            low, high = sorted((getattr(one, what), getattr(two, what)))
            price = getattr(fine, what)
            if price < low * (1 - CLOSE) or price > high * (1 + CLOSE):
                span = f"{low:,.7g}" if high - low <= CLOSE * high else f"{low:,.7g} to {high:,.7g}"
                when = utc_text(int(market.time[bar]))
                return bar, f"{when}, the {side} of {symbol}: {what} at {price:,.7g}, {span} under both"
    return None


WAYS = {"fills": fill_beyond, "trades": other_trade}
"""How a run may leave both orders -> what finds where; what comes first in time counts."""
