"""A run that can be stopped at any bar: from its state there, the next bar under each order of events inside it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backtest.engines.arrays import Ground, desk_of, ground_of
from backtest.engines.book import (
    END_OF_DATA,
    FEE,
    FUNDING,
    INSURANCE,
    LIQUIDATION_FEE,
    SLIPPAGE,
    Desk,
    new_journal,
)
from backtest.engines.fast import settle
from backtest.errors import MarketError
from backtest.model import Market, Plan, Venue
from backtest.model.result import EXIT_REASONS

__all__ = ["ORDERS", "Course", "Outcome", "Played", "State"]

ORDERS = {"worst": (False, False), "best": (True, False), "fine": (False, True), "fine_best": (True, True)}
"""Order -> whether of two events in one bar the better comes first, and whether the finer bars are walked.

What the finer bars leave open, because both events fall into one of them, lies between "fine" and "fine_best".
"""

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class State:
    """An account between two bars, as the engine's records: `account` (1,), `book` (m,), neither ever written to again."""

    account: Any
    book: Any

    @property
    def idle(self) -> bool:
        """Whether nothing is held and no entry is pending."""
        return bool(self.account["held"][0] == 0 and self.account["pending"][0] == 0)


@dataclass(frozen=True)
class Outcome:
    """What one bar did to one symbol: the last position held in it, and how it left.

    event: an exit reason, "open" for a position that stands, "" where nothing was held; price: the fill it left at, else the
    bar's last price; side: +1 or -1; quantity: the largest held; entry: the entry price; gain: what the bar booked, with what is
    unrealised at the last price of its close, quote units, before the cost of leaving, which a position that stands has not paid
    yet; funding: the part of it that is funding.
    """

    event: str = ""
    price: float = NAN
    side: int = 0
    quantity: float = 0.0
    entry: float = NAN
    gain: float = 0.0
    funding: float = 0.0


@dataclass(frozen=True, eq=False)
class Played:
    """One bar from a state on: the state and the equity at its close, what it did to each symbol, and how many positions were
    ambiguous in it; coincide: it closed a cross account of several positions at extremes that need not coincide."""

    state: State
    equity: float
    outcomes: tuple[Outcome, ...]
    ambiguous: int
    coincide: bool


@dataclass(frozen=True, eq=False)
class Course:
    """A plan on a market with finer bars, laid out for the engine; `rules`: its records for each of `ORDERS`."""

    market: Market
    plan: Plan
    venue: Venue
    ground: Ground
    desk: Desk
    rules: dict[str, Any]

    @classmethod
    def of(cls, market: Market, plan: Plan, venue: Venue) -> "Course":
        """Lay a plan out; a market without finer bars is a MarketError."""
        if market.fine is None:
            raise MarketError(f"The market {market.name} has no finer bars, which say what happened inside a bar.")
        ground = ground_of(market, replace(venue, intrabar="fine"), True)
        desk = desk_of(market, plan, venue, ground)
        rules = {}
        for order, (best, fine) in ORDERS.items():
            rules[order] = np.array([desk.rules], dtype=desk.rules.dtype)
            rules[order]["best"], rules[order]["fine"] = best, fine
        return cls(market, plan, venue, ground, desk, rules)

    def start(self) -> State:
        """Return the flat account before the first scored bar."""
        return State(np.array([self.desk.account], dtype=self.desk.account.dtype), self.desk.book.copy())

    def walked(self, order: str) -> Iterator[tuple[int, State, Played]]:
        """Give (bar, state at its open, what it did) for each bar in which anything can happen, in one order throughout."""
        state, i = self.start(), self.ground.start
        while (i := self.next_bar(state, i)) < len(self.market):
            played = self.play(state, i, order)
            yield i, state, played
            state, i = played.state, i + 1

    def next_bar(self, state: State, bar: int) -> int:
        """Return the first bar from `bar` on in which anything can happen: the next one, or that of the next row of the plan."""
        if not state.idle:
            return bar
        bars = self.desk.rows["bar"]
        k = int(np.searchsorted(bars, max(bar, self.ground.start) - 1))
        return max(bar, int(bars[k]) + 1) if k < bars.size else len(self.market)

    def play(self, state: State, bar: int, order: str) -> Played:
        """Walk one bar from a state under an order; the state itself is left as it is."""
        desk = self.desk_at(state, bar, order)
        panel = self.ground.panel
        upto = panel._replace(time=panel.time[: bar + 1])  # where the times end, the walk does
        equity = np.empty(1)
        settle(desk, self.ground._replace(panel=upto, start=bar), equity, False)
        return self.read(desk, state, float(equity[0]))

    def desk_at(self, state: State, bar: int, order: str) -> Desk:
        """Return a desk with copies of the state, the rows that are read by then, and an empty journal of one bar's size."""
        account, book = state.account.copy(), state.book.copy()
        rows = self.desk.rows[: int(np.searchsorted(self.desk.rows["bar"], bar))]
        held = np.flatnonzero(book["quantity"])
        book["trade"][held] = np.arange(1, held.size + 1)
        for name in ("ledger", "rejections", "positions", "ambiguous", "coincide"):
            account[name] = 0
        account["trades"] = held.size
        m, new = book.size, rows.size - int(account["next_row"][0])
        due = int(np.searchsorted(self.ground.stamps.time, self.market.time[bar] + self.market.interval))
        journal = new_journal(3 * m, m, new + 2 * m, due - int(account["next_stamp"][0]))
        fresh = dict(zip(("ledger", "trades", "rejections", "changes"), journal, strict=True))
        return self.desk._replace(rules=self.rules[order][0], rows=rows, account=account[0], book=book, **fresh)

    def read(self, desk: Desk, before: State, equity: float) -> Played:
        """Read off the desk what the bar did, and take back that the data ended behind it."""
        account = np.array([desk.account], dtype=desk.account.dtype)
        for refused in desk.rejections[: int(account["rejections"][0])]:
            if refused["reason"] == END_OF_DATA:
                desk.book["pending"][desk.rows["symbol"][refused["row"]]] = refused["row"]
                account["pending"] += 1
        outcomes = tuple(outcome(desk, j) for j in range(desk.book.size))
        figures = int(account["ambiguous"][0]), bool(account["coincide"][0])
        return Played(State(account, desk.book), equity, outcomes, *figures)


def outcome(desk: Desk, j: int) -> Outcome:
    """Return what the bar on a desk did to symbol j."""
    trades = desk.trades[: int(desk.account["trades"])]
    mine = np.flatnonzero(trades["symbol"] == j) if trades.size else np.empty(0, np.int64)
    if not mine.size:
        return Outcome()
    t, ledger = trades[int(mine[-1])], desk.ledger[: int(desk.account["ledger"])]
    own = ledger[ledger["symbol"] == j]
    leaving = ((own["kind"] == FEE) & (own["position"] == 0)) | (own["kind"] == LIQUIDATION_FEE)
    counted = own["amount"][~leaving & ~np.isin(own["kind"], (SLIPPAGE, INSURANCE))]
    p = desk.book[j]
    unrealised = float(p["quantity"] * (p["last_close"] - p["entry"])) if p["quantity"] else 0.0
    event = EXIT_REASONS[int(t["reason"])]
    return Outcome(
        event=event,
        price=float(t["exit_price"]),
        side=int(t["side"]),
        quantity=float(t["quantity"]),
        entry=float(t["entry_price"]),
        gain=float(counted.sum()) + unrealised,
        funding=float(own["amount"][own["kind"] == FUNDING].sum()),
    )
