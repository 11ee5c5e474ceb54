"""Ambiguous events one by one: from the same state, what worst, best and the finer bars make of the same bar."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.checks.intrabar.course import NAN, Course, Outcome, Played, State
from backtest.model.arrays import Float, utc_text

__all__ = ["ANSWERS", "REASONS", "Event", "events_of", "played_events"]

ANSWERS = ("worst", "best", "between", "outside")
REASONS = {
    "range": "finer bars that do not make up the bar",
    "gap": "a fill through a gap between two finer bars",
    "funding": "funding due inside the bar",
    "size": "an entry sized on another equity",
    "extremes": "extremes of several symbols that did not coincide",
    "mark": "mark and last price in another order",
    "other": "something else",
}
"""Why the finer bars may lie outside what the two orders say, each in a few words."""
HOW = ("held", "held", "limit", "trigger")  # engines.book: CARRIED, AT_OPEN, BY_LIMIT, BY_TRIGGER
CLOSE = 1e-9
FINE = ("fine", "fine_best")


@dataclass(frozen=True)
class Event:
    """A position and bar in which the two orders differ, under each of them and on the finer bars, from one state.

    bar: of the coarse market; time: ns UTC, its open; how: "held" since the bar's open, or the entry of this bar: "limit" or
    "trigger"; truth: what the finer bars say, the worse where one of them leaves it open; truth_best: the better; answer: one of
    `ANSWERS`; reason: a key of `REASONS` where it is "outside", else "".
    """

    bar: int
    time: int
    symbol: str
    how: str
    worst: Outcome
    best: Outcome
    truth: Outcome
    truth_best: Outcome
    answer: str
    reason: str = ""

    @property
    def settled(self) -> bool:
        """Whether the finer bars leave nothing open."""
        return same(self.truth, self.truth_best)

    @property
    def side(self) -> int:
        return self.worst.side

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain data, its time as text in UTC."""
        plain: dict[str, Any] = {"time": utc_text(self.time), "symbol": self.symbol, "how": self.how}
        plain["side"] = "long" if self.side > 0 else "short"
        for name in ("worst", "best", "truth"):
            found: Outcome = getattr(self, name)
            plain[name] = {"event": found.event, "price": found.price, "gain": found.gain}
        return {**plain, "answer": self.answer, "settled": self.settled, "reason": self.reason}


def events_of(course: Course, order: str = "worst") -> list[Event]:
    """Return every ambiguous event of the run in an order, each from the state that the run had at the open of its bar.

    The plan's later bars see the order of the run, not the answers: each event stands for itself.
    """
    found: list[Event] = []
    for bar, state, played in course.walked(order):
        if played.ambiguous or order not in ("worst", "best"):
            found += played_events(course, state, bar)
    return found


def played_events(course: Course, state: State, bar: int) -> list[Event]:
    """Return the ambiguous events of one bar from a state."""
    worst, best = (course.play(state, bar, order) for order in ("worst", "best"))
    if not worst.ambiguous:
        return []
    fine = [course.play(state, bar, order) for order in FINE]
    return [
        event_of(course, state, bar, j, (worst, best, *fine))
        for j, (a, b) in enumerate(zip(worst.outcomes, best.outcomes, strict=True))
        if not same(a, b)
    ]


def same(a: Outcome, b: Outcome) -> bool:
    """Whether two outcomes are the same event at the same prices; a stop and a trail at one price are one event."""
    one, two = ("stop" if o.event == "trail" else o.event for o in (a, b))
    numbers = ((a.price, b.price), (a.entry, b.entry), (a.quantity, b.quantity))
    return one == two and all(np.isclose(x, y, rtol=CLOSE, atol=0.0, equal_nan=True) for x, y in numbers)


def event_of(course: Course, state: State, bar: int, j: int, plays: tuple[Played, ...]) -> Event:
    """Return the event of a symbol in a bar, with its answer."""
    worst, best, truth, truth_best = (p.outcomes[j] for p in plays)
    answer = answer_of(worst, best, truth, CLOSE * course.venue.cash)
    reason = reason_of(course, bar, j, plays) if answer == "outside" else ""
    market = course.market
    how = HOW[int(plays[0].state.book["born"][j])]
    where = bar, int(market.time[bar]), market.symbols[j], how
    return Event(*where, worst, best, truth, truth_best, answer, reason)


def answer_of(worst: Outcome, best: Outcome, truth: Outcome, money: float) -> str:
    """Return which order the finer bars bear out; money: what two gains may differ by."""
    low, high = sorted((worst.gain, best.gain))
    if not low - money <= truth.gain <= high + money:
        return "outside"
    return "worst" if same(truth, worst) else "best" if same(truth, best) else "between"


# --- why the finer bars lie outside -------------------------------------------------------------------------------


def reason_of(course: Course, bar: int, j: int, plays: tuple[Played, ...]) -> str:
    """Return the first of `REASONS` that holds for a bar in which the finer bars lie outside both orders."""
    worst, best, truth = (p.outcomes[j] for p in plays[:3])
    funding = worst.funding, best.funding
    holds = {
        "range": not made_up(course, bar, j),
        "gap": any(jumped(course, bar, j, level) for level in levels_of(course, worst)),
        "funding": any(not np.isclose(truth.funding, paid, rtol=CLOSE, atol=0.0) for paid in funding),
        "size": not np.isclose(truth.quantity, worst.quantity, rtol=CLOSE, atol=0.0),
        "extremes": plays[0].coincide or plays[1].coincide,
        "mark": course.market.mark is not None,
        "other": True,
    }
    return next(name for name in REASONS if holds[name])


def made_up(course: Course, bar: int, j: int) -> bool:
    """Whether the finer bars of a bar have its open, high, low and close, of the last price and of the mark."""
    fine, panel = course.market.fine, course.market
    assert fine is not None
    inside = slice(int(course.ground.bounds[bar]), int(course.ground.bounds[bar + 1]))
    pairs = (
        ((fine.open, fine.high, fine.low, fine.close), (panel.open, panel.high, panel.low, panel.close)),
        (fine.mark_or_last, panel.mark_or_last),
    )
    return all(np.allclose(joined(small, inside, j), [c[bar, j] for c in big], rtol=CLOSE) for small, big in pairs)


def joined(prices: tuple[Float, ...], inside: slice, j: int) -> list[float]:
    """Return open, high, low and close of several bars as one; bars without prices are passed over."""
    columns = [c[inside, j][~np.isnan(c[inside, j])] for c in prices]
    if not columns[0].size:
        return [NAN] * 4
    return [float(columns[0][0]), float(columns[1].max()), float(columns[2].min()), float(columns[3][-1])]


def levels_of(course: Course, worst: Outcome) -> tuple[float, float]:
    """Return the prices that started the entry and the exit under the worse order: the fills without their slippage."""
    slip = worst.side * course.venue.slippage
    return worst.price / (1.0 - slip), worst.entry / (1.0 + slip)


def jumped(course: Course, bar: int, j: int, level: float) -> bool:
    """Whether a finer bar inside the bar opens beyond a level that the one before it did not reach."""
    fine = course.market.fine
    assert fine is not None
    inside = slice(int(course.ground.bounds[bar]), int(course.ground.bounds[bar + 1]))
    traded = ~np.isnan(fine.open[inside, j])
    opens, highs, lows = (p[inside, j][traded] for p in (fine.open, fine.high, fine.low))
    below, above = (opens[1:] < level) & (level < lows[:-1]), (opens[1:] > level) & (level > highs[:-1])
    return bool(np.any(below | above))
