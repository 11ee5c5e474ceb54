"""What a venue refuses to open, and why."""

from typing import TYPE_CHECKING, NamedTuple

from backtest.engines.bt.position import HELD, Position

if TYPE_CHECKING:
    from backtest.engines.bt.account import Account

__all__ = ["Opening", "refusal"]

ROUNDING = 1e-9  # of the equity: the tolerance of the free balance


class Opening(NamedTuple):
    """What an order would open: a quantity at a fill, for a fee (money), on top of what is held, if anything is."""

    j: int
    side: int
    quantity: float
    fill: float
    fee: float
    how: str
    held: Position | None

    def whole(self) -> tuple[float, float]:
        """The quantity and the average entry of the position as it would be."""
        if self.held is None:
            return self.quantity, self.fill
        quantity = self.held.quantity + self.quantity
        return quantity, (self.held.quantity * self.held.entry + self.quantity * self.fill) / quantity


def refusal(account: "Account", opening: Opening, may_liquidate: bool) -> str | None:
    """The first reason to refuse an opening, in the law's order; None where there is none."""
    if opening.quantity <= 0:
        return "below_minimum"
    if may_liquidate and would_liquidate(account, opening):
        return "would_liquidate"
    j, notional = opening.j, opening.quantity * opening.fill
    if notional < account.minimums[j]:
        return "below_minimum"
    if account.leverage > account.tiers[j].max_leverage(opening.whole()[0] * opening.fill):
        return "leverage_above_tier"
    if notional / account.leverage + opening.fee > account.free_balance() + ROUNDING * account.equity_now():
        return "insufficient_margin"
    return None


def would_liquidate(account: "Account", opening: Opening) -> bool:
    """Whether the position as it would be, in cross margin the account with it, is liquidated where it fills."""
    if not account.isolated:
        return breaches_account(account, opening)
    quantity, entry = opening.whole()
    margin = opening.quantity * opening.fill / account.leverage
    if opening.held is not None:
        margin += opening.held.margin
    side, fill = opening.side, opening.fill
    star = account.tiers[opening.j].liquidation_price(side, quantity, entry, margin)
    mark = account.mark_open(opening.j) if opening.how == HELD else fill
    return star > 0 and (side * (fill - star) <= 0 or side * (mark - star) <= 0)


def breaches_account(account: "Account", opening: Opening) -> bool:
    """Cross: whether the equity would not stay above the maintenance, what was entered inside the bar taken at its fill."""
    after = Position(opening.j, opening.side, *opening.whole())
    price = account.mark_open(opening.j) if opening.how == HELD else opening.fill
    equity = account.wallet - opening.fee + after.gain(price)
    maintenance = account.maintenance(after, price)
    for other in account.positions.values():
        if other.j != opening.j:
            price = account.mark_open(other.j) if other.how == HELD else other.entry
            equity += other.gain(price)
            maintenance += account.maintenance(other, price)
    return equity <= maintenance
