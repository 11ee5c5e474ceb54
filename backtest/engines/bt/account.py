"""The account at the venue: its positions and whatever changes them, funding, refusals and liquidations."""

from typing import Any, Protocol

from backtest.engines.bt.book import FEE, FUNDING, LIQUIDATION_FEE, LIQUIDATION_LOSS, TRADE_PNL, Book
from backtest.engines.bt.cross import in_breach
from backtest.engines.bt.funding import FundingClock
from backtest.engines.bt.margin import TierClock
from backtest.engines.bt.position import HELD, LIMIT, TRIGGER, Fill, Piece, Position, Standing
from backtest.engines.bt.quotes import Quotes
from backtest.engines.bt.refusals import Opening, refusal
from backtest.engines.bt.tape import Columns, Tape
from backtest.errors import FundingHoleError
from backtest.model import Market, Venue

__all__ = ["HELD", "LIMIT", "TRIGGER", "Account", "Fill", "Listener", "Piece", "Position", "Standing"]

COUNTED = ("ambiguous_bars", "cross_extremes_coincide", "funding_inside_bar", "marked_at_last_close", "mark_is_last")
LOT_ROUNDING = 1e-9  # in lots: what is left of a position below it is the rounding of doubles, not a quantity
SAFE = 1e-9  # relative distance from a liquidation price at which rounding cannot matter


class Listener(Protocol):
    """Somebody who hears of each fill right when it is booked."""

    def filled(self, fill: Fill) -> None:
        """Take note of a fill."""


class Account(Book, Quotes):
    """What is held at a venue, and every rule that changes it. `seg` says where in the market it stands.

    positions: by the market's column, in the market's order; counts: the assumptions by name; rule: which of two events inside
    a bar comes first, "worst" or "best".
    """

    def __init__(self, market: Market, venue: Venue, tape: Tape, listener: Listener | None = None) -> None:
        Book.__init__(self, venue.cash)
        Quotes.__init__(self, tape, venue.slippage)
        self.market, self.venue, self.listener = market, venue, listener
        self.positions: dict[int, Position] = {}
        self.isolated = venue.margin_mode == "isolated"
        self.rule = "best" if venue.intrabar == "best" else "worst"
        self.leverage, self.maker, self.taker = venue.leverage, venue.maker, venue.taker
        self.clock = TierClock(market, venue)
        self.tiers = self.clock.now
        self.lots = [contract.lot for contract in self.clock.instruments]
        self.minimums = [contract.minimum_notional for contract in self.clock.instruments]
        self.funding = FundingClock(self, tape.stamps)
        self.counts = dict.fromkeys(COUNTED, 0)
        self.counted: set[tuple[str, int]] = set()
        self.holes = [[hole for hole in market.funding_holes if hole.symbol == name] for name in market.symbols]
        self.inside = False

    # --- where it stands

    def begin(self, bar: int, k: int, first: bool) -> None:
        """Stand at the open of a bar or finer bar with what is carried into it; first: it opens the market's own bar."""
        seg = self.seg
        seg.move(bar, k)
        self.inside = False
        if self.counted:
            self.counted.clear()
        if seg.time >= self.clock.change:
            self.clock.move(seg.time)
            self.version += 1
        unmarked = self.tape.columns.unmarked
        for j, p in self.positions.items():
            opened = seg.opens[j][k]
            p.first = opened if opened == opened else self.last[j]
            p.how, p.fresh = HELD, False
            if first and unmarked[j][bar]:
                self.counts["mark_is_last"] += 1

    def close_fine(self, columns: Columns, k: int) -> None:
        """Leave a finer bar at its close."""
        for j in self.positions:
            close = columns.closes[j][k]
            if close == close:
                self.last[j] = close

    def close_bar(self, bar: int) -> float:
        """Leave one of the market's own bars at its close; the equity there."""
        equity, columns = self.wallet, self.tape.columns
        for j, p in self.positions.items():
            close = columns.closes[j][bar]
            if close == close:
                self.last[j] = close
                equity += p.side * p.quantity * (columns.mark_closes[j][bar] - p.entry)
            else:
                self.counts["marked_at_last_close"] += 1
                equity += p.gain(self.last[j])
        return equity

    def count_once(self, name: str, j: int) -> None:
        """Count an assumption once for a symbol and the bar being walked."""
        if (name, j) not in self.counted:
            self.counted.add((name, j))
            self.counts[name] += 1

    # --- facts

    def valued(self, p: Position) -> float:
        """The price a position counts at when sizes are reckoned: its fill where it is fresh, else the (mark) open."""
        return p.entry if p.fresh else self.mark_open(p.j)

    def equity_now(self) -> float:
        """The equity that sizes are a multiple of."""
        return self.wallet + sum(p.gain(self.valued(p)) for p in self.positions.values())

    def free_balance(self) -> float:
        """What new margin can be taken of."""
        if self.isolated:
            return self.wallet - sum(p.margin for p in self.positions.values())
        used = sum(p.quantity * self.valued(p) for p in self.positions.values())
        return self.equity_now() - used / self.leverage

    def maintenance(self, p: Position, price: float) -> float:
        """What has to stay behind a position at a price."""
        tiers = self.tiers[p.j]
        return tiers.maintenance(p.quantity * (p.entry if tiers.on_entry else price))

    def liquidation_price(self, p: Position, wallet: float | None = None) -> float:
        """Where a position is liquidated, in cross margin as the account's only one; 0 or below where it cannot be.

        wallet: what the account would hold, where that is not the wallet now.
        """
        if wallet is not None:
            return self.tiers[p.j].liquidation_price(p.side, p.quantity, p.entry, wallet)
        if p.star_version != self.version:
            backing = p.margin if self.isolated else self.wallet
            p.star = self.tiers[p.j].liquidation_price(p.side, p.quantity, p.entry, backing)
            p.star_version = self.version
        return p.star

    def bankruptcy(self, p: Position) -> float:
        """The price at which the posted margin is gone."""
        return p.entry - p.side * p.margin / p.quantity

    def beyond_bankruptcy(self, p: Position, fill: float) -> bool:
        """Whether an order would fill where the posted margin does not reach; a liquidation, then."""
        return self.isolated and p.side * (fill - self.bankruptcy(p)) < 0

    def free_at_close(self, bar: int) -> float:
        """The balance at a bar's close that new margin could be taken of."""
        if self.isolated:
            return self.free_balance()
        free, closes = self.wallet, self.tape.columns.mark_closes
        for j, p in self.positions.items():
            price = closes[j][bar] if closes[j][bar] == closes[j][bar] else self.last[j]
            free += p.gain(price) - p.quantity * price / self.leverage
        return free

    def refusal(
        self, j: int, side: int, quantity: float, fill: float, fee: float, how: str = HELD, *,
        may_liquidate: bool = True, held: Position | None = None,
    ) -> str | None:  # fmt: skip
        """Why the venue refuses to open a quantity, or to add it to what is held; None where it does not.

        fee: money; how: HELD for a fill at the open, LIMIT or TRIGGER inside the bar; may_liquidate: False for a limit that
        rested, which is never refused for being liquidated at once.
        """
        return refusal(self, Opening(j, side, quantity, fill, fee, how, held), may_liquidate)

    # --- changes

    def open(
        self, j: int, side: int, quantity: float, fill: float, unslipped: float, fee_rate: float,
        how: str = HELD, tag: Any = None,
    ) -> Position:  # fmt: skip
        """Open a position that nothing refuses; what it opens at the open is held since then."""
        seg = self.seg
        p = Position(j, side, quantity, fill)
        self.opened += 1
        p.trade, p.entry_bar, p.entry_time, p.how = self.opened, seg.bar, seg.time, how
        p.first = seg.opens[j][seg.k] if how == HELD else unslipped
        later = [k for k in self.positions if k > j]
        self.positions[j] = p
        for k in later:  # the dict keeps the market's order
            self.positions[k] = self.positions.pop(k)
        if self.tape.columns.unmarked[j][seg.bar]:
            self.counts["mark_is_last"] += 1
        self.book_opening(p, quantity, fill, unslipped, fee_rate, tag, (0.0, 0.0))
        return p

    def add(
        self, p: Position, quantity: float, fill: float, unslipped: float, fee_rate: float, tag: Any = None
    ) -> None:
        """Add to a position: the entry is averaged."""
        before = (p.signed, p.entry)
        p.entry = (p.quantity * p.entry + quantity * fill) / (p.quantity + quantity)
        p.quantity += quantity
        p.largest = max(p.largest, p.quantity)
        self.book_opening(p, quantity, fill, unslipped, fee_rate, tag, before)

    def book_opening(
        self, p: Position, quantity: float, fill: float, unslipped: float, fee_rate: float, tag: Any,
        before: tuple[float, float],
    ) -> None:  # fmt: skip
        seg = self.seg
        margin, fee = quantity * fill / self.leverage, quantity * fill * fee_rate
        if self.isolated:
            p.margin += margin
        self.version += 1
        self.write(p, FEE, -fee, p.signed, fill, seg.time)
        self.note_slippage(p, quantity, fill, unslipped, p.signed, seg.time)
        self.changes.append((seg.bar, p.j, p.signed))
        if self.listener is not None:
            opened = p.side * quantity
            self.listener.filled(
                Fill(p.j, seg.time, opened, fill, unslipped, fee, fee_rate, 0.0, opened, 0.0, *before,
                     p.signed, p.entry, "", tag, margin)
            )  # fmt: skip

    def close(self, p: Position, fill: float, unslipped: float, fee_rate: float, reason: str, tag: Any = None) -> None:
        """Close a position; a fill beyond its bankruptcy price is a liquidation."""
        self.reduce(p, p.quantity, fill, unslipped, fee_rate, tag, reason)

    def reduce(
        self, p: Position, quantity: float, fill: float, unslipped: float, fee_rate: float,
        tag: Any = None, reason: str = "exit",
    ) -> None:  # fmt: skip
        """Take a part off a position, or all of it; a fill beyond its bankruptcy price liquidates the whole."""
        if self.beyond_bankruptcy(p, fill):
            self.liquidate(p, tag)
        elif p.quantity - quantity <= LOT_ROUNDING * self.lots[p.j]:
            self.realise(p, p.quantity, fill, unslipped, fee_rate, (TRADE_PNL, FEE), tag, reason)
            self.gone(p, fill, reason)
        else:
            self.realise(p, quantity, fill, unslipped, fee_rate, (TRADE_PNL, FEE), tag, reason)

    def realise(
        self, p: Position, quantity: float, fill: float, unslipped: float, fee_rate: float,
        kinds: tuple[int, int], tag: Any, reason: str,
    ) -> None:  # fmt: skip
        """Book the PnL, the fee and the slippage of a part that is closed, and release its margin."""
        seg, j, before = self.seg, p.j, p.signed
        left = p.quantity - quantity
        p.margin *= left / p.quantity
        p.quantity = left
        pnl, fee = p.side * quantity * (fill - p.entry), quantity * fill * fee_rate
        self.write(p, kinds[0], pnl, p.signed, fill, seg.time)
        self.write(p, kinds[1], -fee, p.signed, fill, seg.time)
        self.note_slippage(p, quantity, fill, unslipped, p.signed, seg.time)
        self.changes.append((seg.bar, j, p.signed))
        if self.listener is not None:
            self.tell_closed(p, quantity, before, fill, unslipped, fee, fee_rate, pnl, reason, tag)

    def tell_closed(
        self, p: Position, quantity: float, before: float, fill: float, unslipped: float, fee: float, fee_rate: float,
        pnl: float, reason: str, tag: Any,
    ) -> None:  # fmt: skip
        assert self.listener is not None
        change = -p.side * quantity
        self.listener.filled(
            Fill(p.j, self.seg.time, change, fill, unslipped, fee, fee_rate, change, 0.0, pnl, before, p.entry,
                 p.signed, p.entry if p.quantity else 0.0, reason, tag, 0.0)
        )  # fmt: skip

    def gone(self, p: Position, price: float, reason: str) -> None:
        """Take a closed position off the books."""
        seg = self.seg
        del self.positions[p.j]
        self.end_trade(p, price, reason, seg.time, seg.bar)
        self.check_holes(p, seg.end if self.inside else seg.time)
        if not self.positions:
            self.settle_flat(p, seg.time)

    def liquidate(self, p: Position, tag: Any = None) -> None:
        """Isolated: the posted margin is lost, and nothing else; what it lacks is the insurance fund's."""
        seg, price, loss = self.seg, self.bankruptcy(p), max(p.margin, 0.0)
        quantity, before, missing = p.quantity, p.signed, -p.margin
        p.quantity = p.margin = 0.0
        self.version += 1
        if missing > 0:
            self.insure(p, missing, seg.time)
        else:
            self.write(p, LIQUIDATION_LOSS, -loss, 0.0, price, seg.time)
        self.changes.append((seg.bar, p.j, 0.0))
        if self.listener is not None:
            self.tell_closed(p, quantity, before, price, price, 0.0, 0.0, -loss, "liquidation", tag)
        self.gone(p, price, "liquidation")

    def liquidate_account(self, closes: list[tuple[Position, float, float]]) -> None:
        """Cross: close every position given, at (position, fill, unslipped), for the venue's liquidation fee."""
        kinds = (LIQUIDATION_LOSS, LIQUIDATION_FEE)
        for p, fill, unslipped in closes:
            self.realise(p, p.quantity, fill, unslipped, self.venue.liquidation_fee, kinds, None, "liquidation")
            self.gone(p, fill, "liquidation")

    def check_holes(self, p: Position, until: int) -> None:
        """Raise where a position was held while its funding is unknown."""
        for hole in self.holes[p.j]:
            if p.entry_time < hole.end and until > hole.start:
                raise FundingHoleError(
                    f"{hole}, and a position was held in it; nothing counts as zero. "
                    "Give the missing stamps, declare a proxy, or give a rate with --assume-funding RATE."
                )

    def finish(self) -> None:
        """List what is open at the end of the data, at the last close of the market's own bars."""
        columns = self.tape.columns
        for j, p in self.positions.items():
            price = next((close for close in reversed(columns.closes[j]) if close == close), self.last[j])
            self.end_trade(p, price, "open")
            self.check_holes(p, columns.times[-1] + columns.interval)

    # --- the steps of a bar

    def fund(self, p: Position, n: int, quantity: float) -> None:
        """Settle stamp n on a quantity of a position; what the free balance lacks comes out of its margin."""
        stamps = self.tape.stamps
        mark = stamps.marks[n]
        if mark != mark:
            mark = self.mark_open(p.j)
        cash = -p.side * quantity * mark * stamps.rates[n]
        if self.isolated and cash < 0:
            p.margin -= max(-cash - max(self.free_balance(), 0.0), 0.0)
        self.write(p, FUNDING, cash, p.signed, mark, stamps.times[n])

    def fund_at_open(self) -> None:
        """Step 1: funding due at the open, on what is carried into the bar."""
        self.funding.pass_open(self.seg.time)

    def margin_at_open(self) -> list[int]:
        """Step 2: liquidate what the opens have carried too far; the columns of what was liquidated."""
        if not self.positions:
            return []
        if self.isolated:
            return [p.j for p in list(self.positions.values()) if self.margin_at_open_of(p)]
        return self.account_at_open()

    def margin_at_open_of(self, p: Position) -> bool:
        """Isolated: liquidate a position whose liquidation price the (mark) open has reached."""
        star = self.liquidation_price(p)
        if star > 0 and p.side * (self.mark_open(p.j) - star) <= 0:
            self.liquidate(p)
            return True
        return False

    def account_at_open(self) -> list[int]:
        """Cross: liquidate the account that is in breach at the (mark) opens."""
        held = list(self.positions.values())
        if len(held) == 1 and self.is_safe(held[0], self.mark_open(held[0].j)):
            return []
        standings = [whole(p, self.mark_open(p.j)) for p in held]
        if not in_breach(self, standings, self.wallet):
            return []
        self.liquidate_account([(p, self.slipped(self.last_open(p.j), -p.side), self.last_open(p.j)) for p in held])
        return [p.j for p in held]

    def is_safe(self, p: Position, price: float) -> bool:
        """Whether a price is so far from the only position's liquidation price that no rounding matters."""
        return p.side * (price - self.liquidation_price(p)) > SAFE * price

    def fund_inside(self) -> None:
        """Step 4: funding strictly inside the bar, payments at once."""
        self.inside = True
        self.funding.pass_inside(self.seg.end)

    def pay_inside(self, p: Position, quantity: float | None = None) -> None:
        """Let what was entered inside the bar (all of it, or an added quantity) pay the stamps inside the bar."""
        if self.funding.inside:
            self.funding.pay(p, p.quantity if quantity is None else quantity)

    def credit_inside(self) -> None:
        """Credit the receipts of step 4 to what still stands."""
        if self.funding.met:
            self.funding.credit()

    def cross_breach(self, standings: list[Standing], wallet: float | None = None) -> bool:
        """Whether the account is in breach at the prices of the standings; `wallet` where it is not the one now."""
        return in_breach(self, standings, self.wallet if wallet is None else wallet)


def whole(p: Position, price: float) -> Standing:
    """A position that counts at one price."""
    return Standing(p, [Piece(p.quantity, price, price, 0.0, False)])
