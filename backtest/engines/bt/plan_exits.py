"""How the positions of a plan leave: at the open by what waits for it, inside the bar by stop, target or liquidation."""

from typing import NamedTuple

from backtest.engines.bt.account import LIMIT, TRIGGER, Account, Piece, Position, Standing
from backtest.engines.bt.cross import forced_closes
from backtest.engines.bt.plan_rows import Brackets

__all__ = ["Exits"]

LIQUIDATION = "liquidation"


class Exit(NamedTuple):
    """A close of a position: why, and at what price."""

    reason: str
    fill: float
    unslipped: float
    fee_rate: float


class Outlook(NamedTuple):
    """What a bar may do to a position: its stop or its target, each with whether that is certain."""

    stop: Exit | None
    stop_certain: bool
    target: Exit | None
    target_certain: bool

    def under(self, rule: str) -> Exit | None:
        """The one of the two that happens under a rule."""
        if rule == "worst":
            return self.stop or (self.target if self.target_certain else None)
        return self.target or (self.stop if self.stop_certain else None)


QUIET = Outlook(None, False, None, False)


class Exits:
    """Steps 3 and 6 for positions with brackets; `brackets` is by the market's column, like the account's positions."""

    def __init__(self, account: Account, brackets: dict[int, Brackets]) -> None:
        self.account = account
        self.brackets = brackets

    # --- at the open

    def at_open(self) -> None:
        """Close what has an order for this open, or what the open has carried past its stop or target."""
        account = self.account
        for j, p in list(account.positions.items()):
            brackets = self.brackets[j]
            opened = account.seg.opens[j][account.seg.k]
            if opened == opened:
                leaves = self.ordered(p, brackets, opened) or self.passed(p, brackets, opened)
                if leaves is not None:
                    account.close(p, leaves.fill, leaves.unslipped, leaves.fee_rate, leaves.reason)
            brackets.reversed = brackets.amended = False

    def ordered(self, p: Position, brackets: Brackets, opened: float) -> Exit | None:
        """The close that was ordered for this open, whatever the price."""
        if brackets.leaving:
            return self.at_market("exit", p, opened)
        if brackets.reversed:
            return self.at_market("reverse", p, opened)
        if brackets.closed_beyond:
            return self.at_market("close_stop", p, opened)
        if brackets.last_bar is not None and self.account.seg.bar >= brackets.last_bar:
            return self.at_market("max_bars", p, opened)
        return None

    def passed(self, p: Position, brackets: Brackets, opened: float) -> Exit | None:
        """The stop, trail or target that the open has passed."""
        if p.side * (opened - brackets.level) <= 0:
            return self.at_market(brackets.reason, p, opened)
        target = brackets.target
        if p.side * (opened - target) > 0:
            if brackets.amended:
                if not p.side * (opened - brackets.carried) > 0:
                    return self.at_market("target", p, opened)
                target = brackets.carried
            return Exit("target", target, target, self.account.maker)
        return None

    def at_market(self, reason: str, p: Position, price: float) -> Exit:
        """A close by a market order where the price stands."""
        return Exit(reason, self.account.slipped(price, -p.side), price, self.account.taker)

    def stopped_at_open(self, p: Position) -> None:
        """Close a position that a gap both opened and carried past its stop."""
        opened, brackets = self.account.last_open(p.j), self.brackets[p.j]
        if p.side * (opened - brackets.level) <= 0:
            leaves = self.at_market(brackets.reason, p, opened)
            self.account.close(p, leaves.fill, leaves.unslipped, leaves.fee_rate, leaves.reason)

    # --- inside the bar

    def inside(self) -> bool:
        """Step 6; whether the account was liquidated."""
        if self.account.isolated:
            for p in list(self.account.positions.values()):
                self.isolated(p)
            return False
        return self.cross()

    def outlook(self, p: Position) -> Outlook:
        """What the last price does to the position's stop and target."""
        account, brackets, j = self.account, self.brackets[p.j], p.j
        seg, side = account.seg, p.side
        if side > 0:
            favourable, adverse = seg.highs[j][seg.k], seg.lows[j][seg.k]
        else:
            favourable, adverse = seg.lows[j][seg.k], seg.highs[j][seg.k]
        level = brackets.level
        stopped = side * (adverse - level) <= 0
        reached = side * (favourable - brackets.target) > 0
        if not (stopped or reached):
            return QUIET
        close = seg.closes[j][seg.k]
        stop = target = None
        if stopped:
            price = min(level, p.first) if side > 0 else max(level, p.first)
            stop = self.at_market(brackets.reason, p, price)
        if reached:
            target = Exit("target", brackets.target, brackets.target, account.maker)
        return Outlook(
            stop, p.how != TRIGGER or side * (close - level) < 0,
            target, p.how != LIMIT or side * (close - brackets.target) > 0,
        )  # fmt: skip

    # --- isolated margin

    def isolated(self, p: Position) -> None:
        """One position, alone with its margin."""
        account = self.account
        outlook = self.outlook(p)
        star = account.liquidation_price(p)
        hit = star > 0 and p.side * (account.adverse_mark(p) - star) <= 0
        if not hit and outlook is QUIET:
            return
        worst, best = (
            self.isolated_event(p, outlook, star, hit, "worst"),
            self.isolated_event(p, outlook, star, hit, "best"),
        )
        if worst != best:
            account.counts["ambiguous_bars"] += 1
        event = worst if account.rule == "worst" else best
        if event is None:
            return
        if event.reason == LIQUIDATION:
            account.liquidate(p)
        else:
            account.close(p, event.fill, event.unslipped, event.fee_rate, event.reason)

    def isolated_event(self, p: Position, outlook: Outlook, star: float, hit: bool, rule: str) -> Exit | None:
        """The event under a rule; where stop and liquidation are both in question, the nearer to the first price."""
        account = self.account
        forced = self.forced(p)
        if rule == "best" and p.how == TRIGGER:
            hit = hit and p.side * (account.mark_close(p.j) - star) < 0
        if hit:
            stop = outlook.stop if rule == "worst" or outlook.stop_certain else None
            level = self.brackets[p.j].level
            if stop is None or not abs(level - p.first) < abs(star - p.first):
                stop = forced
            outlook = Outlook(stop, True, outlook.target, outlook.target_certain)
        event = outlook.under(rule)
        if event is not None and account.beyond_bankruptcy(p, event.fill):
            return forced
        return event

    def forced(self, p: Position) -> Exit:
        """The liquidation of an isolated position."""
        price = self.account.bankruptcy(p)
        return Exit(LIQUIDATION, price, price, 0.0)

    # --- cross margin

    def cross(self) -> bool:
        """All positions, backed by one wallet; whether the account was liquidated."""
        account = self.account
        held = list(account.positions.values())
        outlooks = [self.outlook(p) for p in held]
        if outlooks == [QUIET] * len(held) and self.is_calm(held):
            return False
        worst, best = self.judged(held, outlooks, "worst"), self.judged(held, outlooks, "best")
        account.counts["ambiguous_bars"] += sum(worst.get(p.j) != best.get(p.j) for p in held)
        events = worst if account.rule == "worst" else best
        forced = [p for p in held if p.j in events and events[p.j].reason == LIQUIDATION]
        for p in held:
            if p.j in events and p not in forced:
                event = events[p.j]
                account.close(p, event.fill, event.unslipped, event.fee_rate, event.reason)
        if forced:
            account.counts["cross_extremes_coincide"] += len(forced) > 1
            account.liquidate_account([(p, events[p.j].fill, events[p.j].unslipped) for p in forced])
        return bool(forced)

    def is_calm(self, held: list[Position]) -> bool:
        """Whether the account stands at the marks' extremes, with no entry of this bar that may count otherwise."""
        account = self.account
        for p in held:
            if p.how == TRIGGER:
                return False
        if len(held) == 1:
            return account.is_safe(held[0], account.adverse_mark(held[0]))
        return not account.cross_breach([self.standing(p, QUIET, "worst") for p in held])

    def judged(self, held: list[Position], outlooks: list[Outlook], rule: str) -> dict[int, Exit]:
        """What becomes of each position under a rule, by column; what stays is left out."""
        account = self.account
        events: dict[int, Exit] = {}
        wallet = account.wallet
        staying = list(zip(held, outlooks, strict=True))
        if rule == "best":
            for p, outlook in staying:
                if outlook.target is not None:
                    events[p.j] = outlook.target
                    wallet += p.gain(outlook.target.fill) - p.quantity * outlook.target.fill * outlook.target.fee_rate
            staying = [(p, outlook) for p, outlook in staying if p.j not in events]
        standings = [self.standing(p, outlook, rule) for p, outlook in staying]
        if standings and account.cross_breach(standings, wallet):
            for p, fill, unslipped in forced_closes(account, standings, wallet):
                events[p.j] = Exit(LIQUIDATION, fill, unslipped, account.venue.liquidation_fee)
            return events
        for p, outlook in staying:
            event = outlook.under(rule)
            if event is not None:
                events[p.j] = event
        return events

    def standing(self, p: Position, outlook: Outlook, rule: str) -> Standing:
        """A position at the price at which it counts: its stop's fill where that is reached, else the mark's extreme."""
        account, stop = self.account, outlook.stop
        only_possible = rule == "best" and p.how == TRIGGER
        if stop is not None and (outlook.stop_certain or not only_possible):
            return Standing(p, [Piece(p.quantity, stop.fill, stop.unslipped, stop.fee_rate, True)])
        price = account.adverse_mark(p)
        if only_possible:
            close = account.mark_close(p.j)
            price = min(p.entry, close) if p.side > 0 else max(p.entry, close)
        return Standing(p, [Piece(p.quantity, price, price, 0.0, False)])
