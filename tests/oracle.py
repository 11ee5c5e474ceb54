"""A reference simulator: one plan, one market, one venue, in plain slow Python, written from the accounting law.

Readings. Where the law is silent, or can be read in two ways, this file does the following.

Plan rows
 1. A row decided at the last bar is `end_of_data` whatever it is and whatever is held; but an `amend` that would have
    nothing to amend is `no_position`, which is what the exception to the list's order is for.
 2. An `amend` whose levels are all NaN and that finds a position or a pending entry does nothing and leaves no row.
 3. "Wrong side of each other" is not tested when an `amend` changes a position: any level is taken, and judged at
    the open.
 4. An amended stop or target on a pending entry replaces its stop_fraction or target_fraction.
 5. With two amends of one bar, the "old target" is the one carried into the bar. The sentence about the old target
    is used only when the open has passed the new one; an old target that the open has passed is gone if the new one
    is not passed.
 6. A target amended while the symbol is halted rests: at the next price it fills at its own price, maker.
 7. An `amend` acts in a halt too; `enter` of the held sign leaves no row in a halt either (held is what counts, also
    when an `exit` of the same bar has to wait for a price).
 8. An `enter` read in a halt is refused whole: it neither reverses a position nor replaces the pending entry, which
    lives on.
 9. An `exit` read in a halt cancels a pending entry at once (a cancellation needs no price); only the close waits.
10. An `enter` that is refused for any other reason (`ruined` included) has still replaced the pending entry before.
11. `close_stop` and `max_bars` orders wait through a halt like an exit; max_bars counts the market's bars, halted
    ones too.
12. An entry's close_stop on the wrong side of the price is not refused (only stop and target are); it acts at the
    close.
13. Ruin is remembered: once the account was flat with a wallet <= 1e-9 of the cash, every later `enter` row is
    `ruined`. A pending entry that lives through ruin is not `ruined`; when it fills it is `below_minimum`, else it
    expires.
14. A row for a bar beyond the data is `end_of_data` at the last bar's open, like one at the last bar.

Order of events
15. "Plan order" is the order of rows of the sorted plan over all symbols; a pending entry from an earlier bar that
    fills at the open takes its turn by its own row, so before the rows read at this open.
16. A resting limit filled through a gap is liquidated or stopped out at its own turn, before the next entry of that
    open; its trail counts from its limit price. A cross liquidation there closes every position and cancels every
    resting entry; rows of that open whose turn comes later act as usual.
17. Equal stop and trail: the reason is `stop`.
18. "The nearer to the first price" is meant literally: the smaller distance, also from a level already passed.
19. For a trigger entry, "the close lies beyond" a liquidation price is judged by the mark's close (no mark: the last
    close).
20. Payments of a position entered in step 5 are booked right after its entry fill, stamp by stamp.
21. `funding_inside_bar` also counts a step-5 position whose stamps were all receipts (the stamp met it, the bar
    cannot say), and a stamp with rate zero.
22. Receipts are credited in the order of the stamps, before equity is marked, after every event of step 6.
23. Funding mark in a halt: the event's own, else the last close (not the mark series). Several stamps in a gap of
    missing bars settle at the next open in the order of time.
24. With "fine", a sub-bar is a bar for steps 1 to 6: its own funding split, its own "held since the open", its own
    counts of ambiguous_bars and funding_inside_bar, its own marks, its open time for the tier table; close_stop,
    max_bars, trail, valid_bars and equity go by coarse bars and coarse closes. A bar without finer bars is walked as
    "worst". Rejections of steps 2 to 5 carry the sub-bar's open time, `expired` and `end_of_data` the coarse bar's.

Sizes
25. q = 0 is `below_minimum` before anything else is tested (there is no new position that could be liquidated).
26. The minimum notional of a resize is tested on the difference at its fill price, also when it reduces.
27. A resize that adds obeys would_liquidate (with the position as it would be), leverage_above_tier (notional of the
    whole position at the fill price) and insufficient_margin (dN/L + fee); one that reduces obeys none of them.
28. A resize never trades more than is held; one that takes the whole position ends the trade with the reason `exit`.
29. `would_liquidate` of cross margin in step 5: positions held since the open at the (mark) opens, those entered in
    step 5 of this bar, the new one included, at their fills. In step 3 every position counts at the (mark) open, not
    at its fill.
30. "A limit that rested" is any limit that fills as maker, one read at this open and reached inside the bar included.
31. A position added to by `resize` counts as held at the open: valued whole at the (mark) open.
32. The free balance's tolerance is 1e-9 of the equity of the Sizes bullet.

Margin and liquidation
33. A funding payment that the free balance lacks comes out of M; a negative free balance counts as zero there.
    Receipts go to the free balance.
34. Isolated liquidation with M < 0: no `liquidation_loss` row, one `insurance` row of -M, then (flat and still
    negative) another.
35. Any close, at a target too, that would fill beyond P_b in isolated margin is a liquidation, before fees.
36. A halted isolated position is tested against its liquidation price at its last close in steps 2 and 6 (funding may
    move P*); a halted account likewise. "Last close" is the last price's, not the mark's, and a forced close there is
    slipped.
37. Marks that exist while the symbol's prices are NaN are not used (the position counts at its last close).
38. A price <= 0 is never a trigger: a long with P* <= 0 is not liquidated by price.
39. Cross breach in step 6: the maintenance of a position whose stop is reached counts too, at its slipped fill; the
    fee comes off the equity only. Nothing is closed by its stop in a breach.
40. "Its fill" under "best" is the slipped entry price, "the close" the mark's close (no mark: the last close).
41. In a breach with several positions a stop's slipped fill is not clamped (a clamp after slippage would improve it);
    other prices are clamped first and slipped then. A single position's P* <= 0 is clamped like any price.
42. Under "best" targets leave first for the judgement of the account and in a breach; without one, stops and targets
    act in the market's order.
43. ambiguous_bars of cross margin: step 6 as a whole is worked out under both rules from the same state; a position
    whose event or fill price differs counts one. cross_extremes_coincide counts breaches of step 6 only (opens do
    coincide), with the positions that are left after targets under "best".
44. Equity is wallet + unrealised, floored at zero in the result (isolated: closing fees can exceed the free balance).
45. `insurance` carries no price (NaN) and the position 0.
46. A funding hole is hit when the span from the entry bar's open to the exit (the open of the bar when it left in
    steps 1 to 3, else the end of that bar) overlaps the open interval of the hole.
47. `mark_is_last` counts a bar once for each position that stood at any moment of it, its open included, where the
    symbol has prices but no mark of its own; `marked_at_last_close` a bar and position marked in a halt.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backtest.errors import FundingHoleError
from backtest.model import Market, Plan, TierTable, Venue

NAN = math.nan
KINDS = ("enter", "exit", "amend", "resize")
ASSUMPTIONS = (
    "ambiguous_bars",
    "cross_extremes_coincide",
    "funding_inside_bar",
    "marked_at_last_close",
    "mark_is_last",
)


@dataclass(frozen=True)
class OracleResult:
    """What the run came to: equity a bar from the market's start bar, the wallet at the end, and the rows as dicts."""

    equity: list[float]
    wallet: float
    trades: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    rejections: list[dict[str, Any]]
    assumptions: dict[str, int]


@dataclass
class Segment:
    """A bar or a sub-bar as it is walked: plain floats, one a symbol."""

    time: int
    end: int
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    mark_open: list[float]
    mark_high: list[float]
    mark_low: list[float]
    mark_close: list[float]


@dataclass
class Row:
    """One row of the plan; while it waits to fill it is the pending entry."""

    index: int
    bar: int
    j: int
    kind: str
    exposure: float
    limit: float
    trigger: float
    valid_bars: int
    stop: float
    stop_fraction: float
    close_stop: float
    target: float
    target_fraction: float
    trail: float
    max_bars: int
    read_at: int = -1

    @property
    def side(self) -> int:
        return 1 if self.exposure > 0 else -1


@dataclass
class Position:
    """What is held of one symbol, and the trade that it belongs to."""

    trade: int
    j: int
    side: int
    quantity: float
    entry: float
    margin: float
    stop: float
    close_stop: float
    target: float
    trail: float
    max_bars: int
    best: float
    entry_bar: int
    entry_time: int
    first: float
    how: str  # "held" since the open, or entered inside this bar by "limit" or "trigger"
    fresh: bool = True  # entered in this bar
    orders: set[str] = field(default_factory=set)
    target_before: float = NAN
    target_amended: bool = False
    largest: float = 0.0
    pnl: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    slippage: float = 0.0

    @property
    def signed(self) -> float:
        return self.side * self.quantity

    def gain(self, price: float) -> float:
        return self.side * self.quantity * (price - self.entry)

    def tight_stop(self) -> tuple[float, str]:
        """The tighter of stop and trail and its reason; NaN where there is neither."""
        trail = self.best * (1 - self.side * self.trail)
        if math.isnan(trail):
            return self.stop, "stop"
        if math.isnan(self.stop) or self.side * (trail - self.stop) > 0:
            return trail, "trail"
        return self.stop, "stop"

    def bankruptcy(self) -> float:
        return self.entry - self.side * self.margin / self.quantity


@dataclass(frozen=True)
class Event:
    """How a position leaves inside a bar: reason, fill price, the price before slippage."""

    j: int
    reason: str
    fill: float
    unslipped: float


def present(value: float) -> bool:
    return not math.isnan(value)


def worse(side: int, a: float, b: float) -> float:
    """The worse of two selling prices of a long, or buying prices of a short."""
    return min(a, b) if side > 0 else max(a, b)


def touched(side: int, price: float, level: float) -> bool:
    """A price of the adverse side has come to a level (equality included); a level <= 0 never triggers."""
    return level > 0 and side * (price - level) <= 0


def through(side: int, price: float, level: float) -> bool:
    """A price of the favourable side has gone strictly through a level."""
    return side * (price - level) > 0


# ---------------------------------------- margin


def tier_lines(table: TierTable, extra: float) -> list[tuple[float, float]]:
    """(rate, amount) of each tier; maintenance is the highest of the lines N*rate - amount, as rates never fall."""
    lines, amount, before = [], 0.0, None
    for floor, rate in zip(table.floors, table.mmr, strict=True):
        if before is not None:
            amount += floor * (rate - before)
        before = rate
        lines.append((rate + extra, amount))
    return lines


def tier_of(table: TierTable, notional: float) -> int:
    return max(k for k, floor in enumerate(table.floors) if floor <= notional)


class Simulator:
    def __init__(self, market: Market, plan: Plan, venue: Venue) -> None:
        self.market, self.venue = market, venue
        self.cash = self.wallet = float(venue.cash)
        self.isolated = venue.margin_mode == "isolated"
        self.names = market.symbols
        self.instruments = [venue.instrument(name) for name in market.symbols]
        self.rows = read_rows(market, plan)
        self.positions: dict[int, Position] = {}
        self.pending: dict[int, Row] = {}
        self.last_close = [NAN] * len(market.symbols)
        self.ruined = False
        self.opened = 0
        self.stamp = 0
        self.stamps = [
            (int(t), int(j), float(r), float(m))
            for t, j, r, m in zip(
                market.funding.time, market.funding.symbol, market.funding.rate, market.funding.mark, strict=True
            )
        ]
        self.equity: list[float] = []
        self.trades: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.rejections: list[dict[str, Any]] = []
        self.counts = dict.fromkeys(ASSUMPTIONS, 0)
        self.never_read: list[Row] = []
        self.seg: Segment
        self.bar = 0
        self.met: set[tuple[int, int]] = set()
        self.inside: list[tuple[int, int, float, float]] = []

    # ---------------------------------------- walk

    def run(self) -> OracleResult:
        start, n = self.market.start_bar, len(self.market)
        by_bar: dict[int, list[Row]] = {}
        for row in self.rows:
            if row.bar + 1 >= n:
                self.never_read.append(row)
            elif row.bar + 1 >= start:
                by_bar.setdefault(row.bar + 1, []).append(row)
        for i in range(start, n):
            self.bar = i
            rows = by_bar.get(i, [])
            self.met = {(p.trade, p.j) for p in self.positions.values()}
            for segment, rule in self.segments(i):
                self.walk(segment, rows, rule)
                rows = []
            self.at_close(i)
        return self.finish()

    def segments(self, i: int) -> Iterator[tuple[Segment, str]]:
        market, rule = self.market, self.venue.intrabar
        start, end = int(market.time[i]), int(market.time[i]) + market.interval
        if rule == "fine":
            rule = "worst"
            fine = market.fine
            ks = [] if fine is None else [k for k in range(len(fine)) if start <= int(fine.time[k]) < end]
            if ks:
                assert fine is not None
                columns = [fine.position(name) for name in self.names]
                for k in ks:
                    yield read_segment(fine, k, columns), rule
                return
        yield read_segment(market, i, list(range(len(self.names)))), rule

    def walk(self, segment: Segment, rows: list[Row], rule: str) -> None:
        self.seg = segment
        self.inside = []
        for p in self.positions.values():
            p.how, p.fresh, p.first = "held", False, segment.open[p.j]
            p.target_amended = False
        self.step_1_funding_due()
        self.step_2_margin()
        self.step_3_open(rows)
        met = {p.j: p.trade for p in self.positions.values()}
        receipts = self.step_4_funding_inside()
        self.step_5_entries()
        entered = {p.j for p in self.positions.values() if p.how != "held"}
        self.step_6_exits(rule)
        for p, cash, mark, time in receipts:
            if self.positions.get(p.j) is p:
                self.settle(p, cash, mark, time)
        for j in sorted({stamp[1] for stamp in self.inside}):
            left = j in met and (j not in self.positions or self.positions[j].trade != met[j])
            self.counts["funding_inside_bar"] += left or j in entered
        for j, close in enumerate(segment.close):
            if present(close):
                self.last_close[j] = close

    def halted(self, j: int) -> bool:
        return not present(self.seg.open[j])

    def margin_open(self, j: int) -> float:
        """The price at which margin counts at the open: the mark's, else the last price's; in a halt the last close."""
        if self.halted(j):
            return self.last_close[j]
        return self.seg.mark_open[j] if present(self.seg.mark_open[j]) else self.seg.open[j]

    def held(self) -> list[Position]:
        """Positions in the market's order."""
        return [self.positions[j] for j in sorted(self.positions)]

    # ---------------------------------------- margin

    def table(self, j: int) -> TierTable:
        tables = self.instruments[j].tables
        dated = [t for t in tables if t.date <= self.seg.time]
        return dated[-1] if dated else tables[0]

    def lines(self, j: int) -> list[tuple[float, float]]:
        return tier_lines(self.table(j), self.venue.taker if self.venue.taker_in_maintenance else 0.0)

    def maintenance(self, p: Position, price: float) -> float:
        notional = p.quantity * (p.entry if self.venue.maintenance == "entry" else price)
        return max(notional * rate - amount for rate, amount in self.lines(p.j))

    def liquidation_price(self, p: Position, backing: float) -> float:
        """The price at which backing + gain = maintenance.

        A maintenance that is the highest of several lines is met first on the line whose own solution is the first that
        an adverse price meets: the highest for a long, the lowest for a short.
        """
        s, q = p.side, p.quantity
        if self.venue.maintenance == "entry":
            return p.entry - s * (backing - self.maintenance(p, p.entry)) / q
        solutions = [(backing + amount - s * q * p.entry) / (q * (rate - s)) for rate, amount in self.lines(p.j)]
        return max(solutions) if s > 0 else min(solutions)

    def own_liquidation_price(self, p: Position) -> float:
        return self.liquidation_price(p, p.margin)

    def breach(self, prices: dict[int, float], fee: float = 0.0, also: list[Position] | None = None) -> bool:
        """The account at these prices has no more than its maintenance."""
        everyone = self.held() if also is None else also
        if not everyone:
            return False
        equity = self.wallet - fee + sum(p.gain(prices[p.j]) for p in everyone)
        return equity <= sum(self.maintenance(p, prices[p.j]) for p in everyone)

    def opens(self) -> dict[int, float]:
        return {p.j: self.margin_open(p.j) for p in self.held()}

    def sizing_price(self, p: Position) -> float:
        return p.entry if p.fresh else self.margin_open(p.j)

    def equity_now(self) -> float:
        return self.wallet + sum(p.gain(self.sizing_price(p)) for p in self.held())

    def free(self) -> float:
        if self.isolated:
            return self.wallet - sum(p.margin for p in self.held())
        return self.equity_now() - sum(p.quantity * self.sizing_price(p) for p in self.held()) / self.venue.leverage

    # ---------------------------------------- ledger

    def book(
        self, p: Position, kind: str, amount: float, position: float, price: float, time: int | None = None
    ) -> None:
        if kind != "slippage":
            self.wallet += amount
            if kind != "insurance":
                p.pnl += amount
        if kind in ("fee", "liquidation_fee"):
            p.fees += amount
        elif kind == "funding":
            p.funding += amount
        elif kind == "slippage":
            p.slippage += amount
        if abs(amount) >= 1e-12 * self.cash:
            self.ledger.append(
                {
                    "time": self.seg.time if time is None else time,
                    "symbol": self.names[p.j],
                    "trade": p.trade,
                    "kind": kind,
                    "amount": amount,
                    "position": position,
                    "price": price,
                }
            )

    def book_slippage(self, p: Position, quantity: float, fill: float, unslipped: float) -> None:
        if self.venue.slippage != 0:
            self.book(p, "slippage", -quantity * abs(fill - unslipped), p.signed, fill)

    def reject(self, row: Row, reason: str, time: int | None = None) -> None:
        self.rejections.append(
            {
                "row": row.index,
                "bar": row.bar,
                "symbol": self.names[row.j],
                "kind": row.kind,
                "time": self.seg.time if time is None else time,
                "reason": reason,
            }
        )

    def drop_pending(self, j: int, reason: str) -> None:
        row = self.pending.pop(j, None)
        if row is not None:
            self.reject(row, reason)

    # ---------------------------------------- closing

    def slipped(self, price: float, direction: int) -> float:
        return price * (1 + direction * self.venue.slippage)

    def close(self, p: Position, fill: float, unslipped: float, fee: float, reason: str, inside: bool = False) -> None:
        """Close a position by a fill; beyond the bankruptcy price of isolated margin it is a liquidation."""
        if self.isolated and p.side * (fill - p.bankruptcy()) < 0:
            self.liquidate_isolated(p, inside)
            return
        quantity = p.quantity
        p_gain = p.gain(fill)
        p.quantity = 0.0
        forced = reason == "liquidation"
        self.book(p, "liquidation_loss" if forced else "trade_pnl", p_gain, 0.0, fill)
        self.book(p, "liquidation_fee" if forced else "fee", -fee * quantity * fill, 0.0, fill)
        self.book_slippage(p, quantity, fill, unslipped)
        self.end_trade(p, fill, reason, inside)

    def liquidate_isolated(self, p: Position, inside: bool = False) -> None:
        price, margin = p.bankruptcy(), p.margin
        p.quantity = 0.0
        self.book(p, "liquidation_loss", -max(margin, 0.0), 0.0, price)
        if margin < 0:
            self.book(p, "insurance", -margin, 0.0, NAN)
        self.end_trade(p, price, "liquidation", inside)

    def end_trade(self, p: Position, price: float, reason: str, inside: bool) -> None:
        del self.positions[p.j]
        self.check_hole(p, self.seg.end if inside else self.seg.time)
        self.trades.append(trade_row(p, self.names[p.j], self.seg.time, price, reason))
        if not self.positions:
            if self.wallet < 0:
                self.book(p, "insurance", -self.wallet, 0.0, NAN)
            if self.wallet <= 1e-9 * self.cash:
                self.ruined = True

    def check_hole(self, p: Position, until: int) -> None:
        for hole in self.market.funding_holes:
            if hole.symbol == self.names[p.j] and until > hole.start and p.entry_time < hole.end:
                raise FundingHoleError(f"{hole}, while a position was held.")

    def close_at_open(self, p: Position, reason: str) -> None:
        price = self.seg.open[p.j]
        self.close(p, self.slipped(price, -p.side), price, self.venue.taker, reason)

    def liquidate_account_at_open(self) -> None:
        for p in self.held():
            price = self.last_close[p.j] if self.halted(p.j) else self.seg.open[p.j]
            self.close(p, self.slipped(price, -p.side), price, self.venue.liquidation_fee, "liquidation")
        self.cancel_everything()

    def cancel_everything(self) -> None:
        for j in sorted(self.pending):
            self.drop_pending(j, "cancelled")

    # ---------------------------------------- funding

    def step_1_funding_due(self) -> None:
        while self.stamp < len(self.stamps) and self.stamps[self.stamp][0] <= self.seg.time:
            time, j, rate, own = self.stamps[self.stamp]
            self.stamp += 1
            if j in self.positions:
                p = self.positions[j]
                mark = self.funding_mark(j, own)
                self.settle(p, -p.signed * mark * rate, mark, time)
        k = self.stamp
        while k < len(self.stamps) and self.stamps[k][0] < self.seg.end:
            self.inside.append(self.stamps[k])
            k += 1
        self.stamp = k

    def funding_mark(self, j: int, own: float) -> float:
        return own if present(own) else self.margin_open(j)

    def settle(self, p: Position, cash: float, mark: float, time: int) -> None:
        """Book a funding payment or receipt; what the free balance lacks comes out of the position's margin."""
        if self.isolated and cash < 0:
            lacking = -cash - max(self.free(), 0.0)
            if lacking > 0:
                p.margin -= lacking
        self.book(p, "funding", cash, p.signed, mark, time)

    def step_4_funding_inside(self) -> list[tuple[Position, float, float, int]]:
        receipts = []
        for time, j, rate, own in self.inside:
            if j in self.positions:
                p, mark = self.positions[j], self.funding_mark(j, own)
                cash = -p.signed * mark * rate
                if cash < 0:
                    self.settle(p, cash, mark, time)
                else:
                    receipts.append((p, cash, mark, time))
        return receipts

    # ---------------------------------------- the open

    def step_2_margin(self) -> None:
        if not self.isolated:
            if self.breach(self.opens()):
                self.liquidate_account_at_open()
            return
        for p in self.held():
            if touched(p.side, self.margin_open(p.j), self.own_liquidation_price(p)):
                self.liquidate_isolated(p)

    def step_3_open(self, rows: list[Row]) -> None:
        for row in sorted((r for r in rows if r.kind == "amend"), key=lambda r: (r.j, r.index)):
            self.amend(row)
        for j in range(len(self.names)):
            mine = [r for r in rows if r.j == j]
            self.closes_of(j, any(r.kind == "exit" for r in mine), next((r for r in mine if r.kind == "enter"), None))
        resting = [r for r in self.pending.values() if not self.halted(r.j)]
        for row in sorted(resting + [r for r in rows if r.kind in ("enter", "resize")], key=lambda r: r.index):
            if row.read_at >= 0:
                if self.pending.get(row.j) is row:
                    self.rested_at_open(row)
            elif row.kind == "resize":
                self.resize(row)
            else:
                self.enter(row)

    def amend(self, row: Row) -> None:
        levels = {k: getattr(row, k) for k in ("stop", "close_stop", "target", "trail") if present(getattr(row, k))}
        if row.j in self.positions:
            p = self.positions[row.j]
            if "target" in levels and not p.target_amended:
                p.target_before, p.target_amended = p.target, True
            for name, value in levels.items():
                setattr(p, name, value)
        elif row.j in self.pending:
            waiting = self.pending[row.j]
            price = waiting.limit if present(waiting.limit) else waiting.trigger
            sides = {"stop": -1, "close_stop": -1, "target": 1}
            if any(sides[k] * waiting.side * (v - price) <= 0 for k, v in levels.items() if k in sides):
                self.reject(row, "bad_amend")
                return
            for name, value in levels.items():
                setattr(waiting, name, value)
                if name in ("stop", "target"):
                    setattr(waiting, f"{name}_fraction", NAN)
        else:
            self.reject(row, "no_position")

    def closes_of(self, j: int, leave: bool, enter: Row | None) -> None:
        if leave:
            self.drop_pending(j, "cancelled")
        if enter is not None and not self.halted(j):
            self.drop_pending(j, "replaced")
        p = self.positions.get(j)
        if p is None:
            return
        if leave:
            p.orders.add("exit")
        if self.halted(j):
            return
        if enter is not None and enter.side != p.side:
            p.orders.add("reverse")
        price = self.seg.open[j]
        for reason in ("exit", "reverse", "close_stop", "max_bars"):
            if reason in p.orders:
                self.close_at_open(p, reason)
                return
        stop, reason = p.tight_stop()
        if touched(p.side, price, stop):
            self.close_at_open(p, reason)
        elif through(p.side, price, p.target):
            self.close_at_passed_target(p)

    def close_at_passed_target(self, p: Position) -> None:
        target = p.target
        if p.target_amended:
            if not through(p.side, self.seg.open[p.j], p.target_before):
                self.close_at_open(p, "target")
                return
            target = p.target_before
        self.close(p, target, target, self.venue.maker, "target")

    def enter(self, row: Row) -> None:
        if row.j in self.positions and self.positions[row.j].side == row.side:
            return
        if self.halted(row.j):
            self.reject(row, "not_trading")
        elif self.ruined:
            self.reject(row, "ruined")
        else:
            row.read_at = self.bar
            price = self.seg.open[row.j]
            slipped = self.slipped(price, row.side)
            if present(row.limit):
                if row.side * (price - row.limit) <= 0:
                    capped = min(slipped, row.limit) if row.side > 0 else max(slipped, row.limit)
                    self.fill_at_open(row, capped)
                else:
                    self.pending[row.j] = row
            elif present(row.trigger) and row.side * (price - row.trigger) < 0:
                self.pending[row.j] = row
            else:
                self.fill_at_open(row, slipped)

    def fill_at_open(self, row: Row, fill: float) -> None:
        """Fill an order at the market, a limit read at this open, or a trigger that the open has passed."""
        price = self.seg.open[row.j]
        if touched(row.side, price, row.stop):
            self.reject(row, "stop_passed")
        elif through(row.side, price, row.target):
            self.reject(row, "target_passed")
        else:
            self.open_position(row, fill, price, self.venue.taker, "held")

    def rested_at_open(self, row: Row) -> None:
        price = self.seg.open[row.j]
        if present(row.trigger):
            if row.side * (price - row.trigger) >= 0:
                del self.pending[row.j]
                self.fill_at_open(row, self.slipped(price, row.side))
            return
        if row.side * (price - row.limit) >= 0:
            return
        del self.pending[row.j]
        p = self.open_position(row, row.limit, row.limit, self.venue.maker, "held", rested=True)
        if p is None:
            return
        p.first = price
        if self.isolated:
            if touched(p.side, self.margin_open(p.j), self.own_liquidation_price(p)):
                self.liquidate_isolated(p)
                return
        elif self.breach(self.opens()):
            self.liquidate_account_at_open()
            return
        stop, reason = p.tight_stop()
        if touched(p.side, price, stop):
            self.close_at_open(p, reason)

    # ---------------------------------------- sizes

    def open_position(
        self, row: Row, fill: float, unslipped: float, fee: float, how: str, rested: bool = False
    ) -> Position | None:
        """Open what the row wants at this fill, or refuse the row; `rested`: a limit that fills as maker."""
        s, e, lot = row.side, abs(row.exposure), self.instruments[row.j].lot
        quantity = math.floor(e * self.equity_now() / (fill * (1 + e * fee)) / lot + 1e-9) * lot
        if quantity <= 0:
            self.reject(row, "below_minimum")
            return None
        stop = unslipped * (1 - s * row.stop_fraction) if present(row.stop_fraction) else row.stop
        target = unslipped * (1 + s * row.target_fraction) if present(row.target_fraction) else row.target
        first = self.seg.open[row.j] if how == "held" else unslipped
        p = Position(
            trade=self.opened + 1,
            j=row.j,
            side=s,
            quantity=quantity,
            entry=fill,
            margin=quantity * fill / self.venue.leverage,
            stop=stop,
            close_stop=row.close_stop,
            target=target,
            trail=row.trail,
            max_bars=row.max_bars,
            best=unslipped,
            entry_bar=self.bar,
            entry_time=self.seg.time,
            first=first,
            how=how,
            largest=quantity,
        )
        cost = fee * quantity * fill
        reason = self.refusal(p, quantity, fill, cost, may_liquidate=rested)
        if reason:
            self.reject(row, reason)
            return None
        self.opened += 1
        self.positions[row.j] = p
        self.met.add((p.trade, row.j))
        self.book(p, "fee", -cost, p.signed, fill)
        self.book_slippage(p, quantity, fill, unslipped)
        return p

    def refusal(self, after: Position, added: float, fill: float, cost: float, may_liquidate: bool) -> str | None:
        """The first reason not to trade `added` at `fill`, which leaves the position `after`; None to trade."""
        j, notional = after.j, added * fill
        if not may_liquidate and self.would_liquidate(after, fill, cost):
            return "would_liquidate"
        if notional < self.instruments[j].minimum_notional:
            return "below_minimum"
        table = self.table(j)
        if self.venue.leverage > table.max_leverage[tier_of(table, after.quantity * fill)]:
            return "leverage_above_tier"
        if notional / self.venue.leverage + cost > self.free() + 1e-9 * self.equity_now():
            return "insufficient_margin"
        return None

    def would_liquidate(self, after: Position, fill: float, cost: float) -> bool:
        at_open = after.how == "held"
        if self.isolated:
            level = self.own_liquidation_price(after)
            return touched(after.side, fill, level) or (
                at_open and touched(after.side, self.margin_open(after.j), level)
            )
        everyone = [p for p in self.held() if p.j != after.j] + [after]
        prices = {p.j: self.margin_open(p.j) if p.how == "held" else p.entry for p in everyone}
        return self.breach(prices, cost, everyone)

    def resize(self, row: Row) -> None:
        p = self.positions.get(row.j)
        if self.halted(row.j):
            self.reject(row, "not_trading")
            return
        if p is None or p.side != row.side:
            self.reject(row, "no_position")
            return
        price, instrument = self.seg.open[row.j], self.instruments[row.j]
        wanted = max(abs(row.exposure) * self.equity_now() / price, 0.0)
        grows = wanted > p.quantity
        fill = self.slipped(price, p.side if grows else -p.side)
        quantity = math.floor(abs(wanted - p.quantity) / instrument.lot + 1e-9) * instrument.lot
        if quantity <= 0:
            self.reject(row, "below_minimum")
        elif grows:
            self.add(row, p, quantity, fill, price)
        elif quantity * fill < instrument.minimum_notional:
            self.reject(row, "below_minimum")
        else:
            self.reduce(p, min(quantity, p.quantity), fill, price)

    def add(self, row: Row, p: Position, quantity: float, fill: float, unslipped: float) -> None:
        total = p.quantity + quantity
        after = Position(**{**vars(p), "orders": set(p.orders)})
        after.entry = (p.quantity * p.entry + quantity * fill) / total
        after.quantity = total
        after.margin = p.margin + quantity * fill / self.venue.leverage
        cost = self.venue.taker * quantity * fill
        reason = self.refusal(after, quantity, fill, cost, may_liquidate=False)
        if reason:
            self.reject(row, reason)
            return
        p.entry, p.quantity, p.margin = after.entry, after.quantity, after.margin
        p.largest = max(p.largest, p.quantity)
        self.book(p, "fee", -cost, p.signed, fill)
        self.book_slippage(p, quantity, fill, unslipped)

    def reduce(self, p: Position, quantity: float, fill: float, unslipped: float) -> None:
        left = p.quantity - quantity
        if left <= 1e-9 * self.instruments[p.j].lot:
            self.close(p, fill, unslipped, self.venue.taker, "exit")
            return
        if self.isolated and p.side * (fill - p.bankruptcy()) < 0:
            self.liquidate_isolated(p)
            return
        gain = p.side * quantity * (fill - p.entry)
        p.margin *= left / p.quantity
        p.quantity = left
        self.book(p, "trade_pnl", gain, p.signed, fill)
        self.book(p, "fee", -self.venue.taker * quantity * fill, p.signed, fill)
        self.book_slippage(p, quantity, fill, unslipped)

    # ---------------------------------------- inside a bar

    def step_5_entries(self) -> None:
        for j in range(len(self.names)):
            row = self.pending.get(j)
            if row is None or self.halted(j):
                continue
            favourable, adverse = self.extremes(j, row.side)
            p = None
            if present(row.limit):
                if row.side * (adverse - row.limit) < 0:
                    del self.pending[j]
                    p = self.open_position(row, row.limit, row.limit, self.venue.maker, "limit", rested=True)
            elif row.side * (favourable - row.trigger) >= 0:
                del self.pending[j]
                fill = self.slipped(row.trigger, row.side)
                p = self.open_position(row, fill, row.trigger, self.venue.taker, "trigger")
            if p is not None:
                self.pay_inside(p)

    def pay_inside(self, p: Position) -> None:
        for time, j, rate, own in self.inside:
            if j == p.j:
                mark = self.funding_mark(j, own)
                cash = -p.signed * mark * rate
                if cash < 0:
                    self.settle(p, cash, mark, time)

    def extremes(self, j: int, side: int) -> tuple[float, float]:
        """The last price's favourable and adverse extremes of a side."""
        high, low = self.seg.high[j], self.seg.low[j]
        return (high, low) if side > 0 else (low, high)

    def adverse_mark(self, p: Position) -> float:
        if self.halted(p.j):
            return self.last_close[p.j]
        mark = self.seg.mark_low[p.j] if p.side > 0 else self.seg.mark_high[p.j]
        return mark if present(mark) else self.extremes(p.j, p.side)[1]

    def mark_close(self, j: int) -> float:
        if self.halted(j):
            return self.last_close[j]
        return self.seg.mark_close[j] if present(self.seg.mark_close[j]) else self.seg.close[j]

    def stop_event(self, p: Position) -> Event | None:
        """The stop or trail, where the last price reaches it, certain or possible."""
        level, reason = p.tight_stop()
        if self.halted(p.j) or not touched(p.side, self.extremes(p.j, p.side)[1], level):
            return None
        price = worse(p.side, level, p.first)
        return Event(p.j, reason, self.slipped(price, -p.side), price)

    def target_event(self, p: Position) -> Event | None:
        if self.halted(p.j) or not through(p.side, self.extremes(p.j, p.side)[0], p.target):
            return None
        return Event(p.j, "target", p.target, p.target)

    def stop_certain(self, p: Position) -> bool:
        return p.how != "trigger" or p.side * (self.seg.close[p.j] - p.tight_stop()[0]) < 0

    def target_certain(self, p: Position) -> bool:
        return p.how != "limit" or p.side * (self.seg.close[p.j] - p.target) > 0

    def favourable(self, p: Position, rule: str) -> Event | None:
        event = self.target_event(p)
        return event if event and (rule == "best" or self.target_certain(p)) else None

    def step_6_exits(self, rule: str) -> None:
        outcome = self.isolated_outcome if self.isolated else self.cross_outcome
        worst, best = outcome("worst"), outcome("best")
        for j in self.positions:
            a, b = ([e for e in events if e.j == j] for events in (worst, best))
            self.counts["ambiguous_bars"] += [(e.reason, e.fill) for e in a] != [(e.reason, e.fill) for e in b]
        events = best if rule == "best" else worst
        forced = [e for e in events if e.reason == "liquidation"]
        if not self.isolated and len(forced) > 1:
            self.counts["cross_extremes_coincide"] += 1
        for event in events:
            self.leave(event)
        if not self.isolated and forced:
            self.cancel_everything()

    def leave(self, event: Event) -> None:
        p = self.positions[event.j]
        if event.reason == "liquidation" and self.isolated:
            self.liquidate_isolated(p, inside=True)
            return
        fees = {"target": self.venue.maker, "liquidation": self.venue.liquidation_fee}
        fee = fees.get(event.reason, self.venue.taker)
        self.close(p, event.fill, event.unslipped, fee, event.reason, inside=True)

    # isolated: each position for itself

    def isolated_outcome(self, rule: str) -> list[Event]:
        events = []
        for p in self.held():
            event = self.isolated_event(p, rule)
            if event is not None:
                if event.reason != "liquidation" and p.side * (event.fill - p.bankruptcy()) < 0:
                    event = Event(p.j, "liquidation", p.bankruptcy(), p.bankruptcy())
                events.append(event)
        return events

    def isolated_event(self, p: Position, rule: str) -> Event | None:
        adverse = self.isolated_adverse(p, certain_only=rule == "best")
        favourable = self.favourable(p, rule)
        return favourable or adverse if rule == "best" else adverse or favourable

    def isolated_adverse(self, p: Position, certain_only: bool) -> Event | None:
        stop = self.stop_event(p)
        if certain_only and not self.halted(p.j) and not self.stop_certain(p):
            stop = None
        level = self.own_liquidation_price(p)
        reached = touched(p.side, self.adverse_mark(p), level)
        if certain_only and p.how == "trigger" and not p.side * (self.mark_close(p.j) - level) < 0:
            reached = False
        if reached and (stop is None or abs(p.first - level) <= abs(p.first - p.tight_stop()[0])):
            return Event(p.j, "liquidation", p.bankruptcy(), p.bankruptcy())
        return stop

    # cross: the account as a whole

    def cross_outcome(self, rule: str) -> list[Event]:
        left, wallet, events = self.held(), self.wallet, []
        if rule == "best":
            for p in list(left):
                event = self.favourable(p, rule)
                if event is not None:
                    events.append(event)
                    wallet += p.gain(event.fill) - self.venue.maker * p.quantity * event.fill
                    left.remove(p)
        counted = {p.j: self.counted_at(p, rule) for p in left}
        equity = wallet + sum(p.gain(counted[p.j].fill) for p in left)
        equity -= sum(self.venue.taker * p.quantity * counted[p.j].fill for p in left if counted[p.j].reason != "mark")
        if left and equity <= sum(self.maintenance(p, counted[p.j].fill) for p in left):
            return events + self.forced_closes(left, counted, wallet)
        for p in left:
            event = self.stop_event(p)
            if event is not None and rule == "best" and not self.stop_certain(p):
                event = None
            if event is None and rule != "best":
                event = self.favourable(p, rule)
            if event is not None:
                events.append(event)
        return sorted(events, key=lambda e: e.j)

    def counted_at(self, p: Position, rule: str) -> Event:
        """The adverse price at which a position counts, as an event: its stop's, else of the reason "mark"."""
        stop = self.stop_event(p)
        if rule == "best" and p.how == "trigger" and not (stop and self.stop_certain(p)):
            price = worse(p.side, p.entry, self.mark_close(p.j))
            return Event(p.j, "mark", price, price)
        if stop is not None:
            return stop
        price = self.adverse_mark(p)
        return Event(p.j, "mark", price, price)

    def forced_closes(self, left: list[Position], counted: dict[int, Event], wallet: float) -> list[Event]:
        events = []
        for p in left:
            at = counted[p.j]
            if len(left) == 1:
                price = self.liquidation_price(p, wallet)
                if not self.halted(p.j):
                    price = worse(p.side, price, p.first)
                    at = Event(p.j, "mark", price, price)
            if at.reason == "mark":
                price = at.fill
                if not self.halted(p.j):
                    price = min(max(price, self.seg.low[p.j]), self.seg.high[p.j])
                at = Event(p.j, "liquidation", self.slipped(price, -p.side), price)
            events.append(Event(p.j, "liquidation", at.fill, at.unslipped))
        return events

    # ---------------------------------------- the close

    def at_close(self, i: int) -> None:
        market = self.market
        equity = self.wallet
        for p in self.held():
            close = float(market.close[i, p.j])
            if present(close):
                self.last_close[p.j] = close
                if p.side * (close - p.close_stop) < 0:
                    p.orders.add("close_stop")
                p.best = max(p.best, close) if p.side > 0 else min(p.best, close)
            else:
                self.counts["marked_at_last_close"] += 1
            if p.max_bars > 0 and i >= p.entry_bar + p.max_bars - 1:
                p.orders.add("max_bars")
            mark = NAN if market.mark is None else float(market.mark.close[i, p.j])
            equity += p.gain(mark if present(mark) and present(close) else self.last_close[p.j])
        self.equity.append(max(equity, 0.0))
        for _, j in self.met:
            unmarked = market.mark is None or not present(float(market.mark.open[i, j]))
            self.counts["mark_is_last"] += unmarked and present(float(market.open[i, j]))
        for j in sorted(self.pending):
            row = self.pending[j]
            if i >= row.read_at + row.valid_bars - 1:
                del self.pending[j]
                self.reject(row, "expired", int(market.time[i]))

    def finish(self) -> OracleResult:
        market = self.market
        for row in self.never_read:
            if row.kind == "amend" and row.j not in self.positions and row.j not in self.pending:
                self.reject(row, "no_position", int(market.time[-1]))
            elif row.kind != "exit":
                self.reject(row, "end_of_data", int(market.time[-1]))
        for j in sorted(self.pending):
            self.reject(self.pending[j], "end_of_data", int(market.time[-1]))
        for p in self.held():
            self.check_hole(p, int(market.time[-1]) + market.interval)
            self.trades.append(trade_row(p, self.names[p.j], None, self.last_close[p.j], "open"))
        self.trades.sort(key=lambda t: t["trade"])
        return OracleResult(self.equity, self.wallet, self.trades, self.ledger, self.rejections, self.counts)


# ---------------------------------------- reading


def read_rows(market: Market, plan: Plan) -> list[Row]:
    names = (
        "exposure",
        "limit",
        "trigger",
        *("stop", "stop_fraction", "close_stop", "target", "target_fraction", "trail"),
    )
    rows = []
    for k in range(len(plan)):
        values: dict[str, Any] = {name: float(getattr(plan, name)[k]) for name in names}
        rows.append(
            Row(
                index=k,
                bar=int(plan.bar[k]),
                j=market.position(plan.symbols[plan.symbol[k]]),
                kind=KINDS[plan.kind[k]],
                valid_bars=int(plan.valid_bars[k]),
                max_bars=int(plan.max_bars[k]),
                **values,
            )
        )
    return rows


def read_segment(market: Market, k: int, columns: list[int]) -> Segment:
    def values(table: Any) -> list[float]:
        return [float(table[k, c]) for c in columns]

    nothing = [NAN] * len(columns)
    mark = market.mark
    marks = [nothing] * 4 if mark is None else [values(m) for m in (mark.open, mark.high, mark.low, mark.close)]
    prices = [values(getattr(market, name)) for name in ("open", "high", "low", "close")]
    return Segment(int(market.time[k]), int(market.time[k]) + market.interval, *prices, *marks)


def trade_row(p: Position, symbol: str, exit_time: int | None, exit_price: float, reason: str) -> dict[str, Any]:
    return {
        "trade": p.trade,
        "symbol": symbol,
        "side": p.side,
        "quantity": p.largest,
        "entry_time": p.entry_time,
        "entry_price": p.entry,
        "exit_time": exit_time,
        "exit_price": exit_price,
        "pnl": p.pnl,
        "fees": p.fees,
        "funding": p.funding,
        "slippage": p.slippage,
        "reason": reason,
    }


def simulate(market: Market, plan: Plan, venue: Venue) -> OracleResult:
    """Work out the plan, event by event, as the accounting law says."""
    with np.errstate(all="raise"):
        return Simulator(market, plan, venue).run()
