"""Sizes and refusals inside the kernels: how much an entry or a resize trades, and why it may come to nothing."""

import numpy as np

from backtest.engines.book import (
    ACCEPTED,
    AT_OPEN,
    BELOW_MINIMUM,
    INSUFFICIENT_MARGIN,
    LEVERAGE_ABOVE_TIER,
    NO_POSITION,
    OUT_EXIT,
    STOP_PASSED,
    TARGET_PASSED,
    WOULD_LIQUIDATE,
    Desk,
)
from backtest.engines.compile import compiled
from backtest.engines.fills import add_to_position, bracket, close_as_taker, open_position, reduce_position
from backtest.engines.margin import (
    free_balance,
    highest_leverage,
    in_breach,
    root,
    side_of,
    sizing_equity,
    value_at_open,
)

TOLERANCE = 1e-9  # of the equity, for the free balance; of a lot, for the floor


@compiled
def whole_lots(quantity: float, lot: float) -> float:
    """Floor a quantity to the lot; a hair below a whole lot counts as one, below zero is nothing."""
    return max(np.floor(quantity / lot + TOLERANCE), 0.0) * lot


@compiled
def would_liquidate(d: Desk, j: int, more: float, fill: float, fee: float, counts_at: float) -> bool:
    """Whether the position with `more` (signed) at `fill` is liquidated at once: alone if isolated, else the account."""
    if not d.rules.isolated:
        return in_breach(d, j, more, fill, fee, counts_at)
    p, side = d.book[j], side_of(more)
    q = abs(p.quantity)
    total = q + abs(more)
    entry = ((q * p.entry if q > 0.0 else 0.0) + abs(more) * fill) / total
    price = root(d, p.table, side, total, entry, p.margin + abs(more) * fill / d.rules.leverage)
    return price > 0.0 and (side * (fill - price) <= 0.0 or side * (counts_at - price) <= 0.0)


@compiled
def refusal(
    d: Desk, j: int, more: float, fill: float, fee_rate: float, equity: float, counts_at: float, rests: bool
) -> int:
    """Why a trade of `more` (signed) at `fill` is refused, the first reason of the law's list, or ACCEPTED."""
    p = d.book[j]
    notional = abs(more) * fill
    fee = notional * fee_rate
    if more == 0.0:
        return BELOW_MINIMUM
    if not rests and would_liquidate(d, j, more, fill, fee, counts_at):
        return WOULD_LIQUIDATE
    if notional < p.minimum:
        return BELOW_MINIMUM
    if d.rules.leverage > highest_leverage(d, p.table, abs(p.quantity + more) * fill):
        return LEVERAGE_ABOVE_TIER
    if notional / d.rules.leverage + fee > free_balance(d, equity) + TOLERANCE * equity:
        return INSUFFICIENT_MARGIN
    return ACCEPTED


@compiled
def passed_bracket(d: Desk, j: int, row: int) -> int:
    """STOP_PASSED or TARGET_PASSED when the open has passed the bracket of an entry that would fill at it."""
    p, r, side = d.book[j], d.rows[row], side_of(d.rows[row].exposure)
    if side * (p.open - bracket(p.pending_stop, r.stop_fraction, p.open, -side)) <= 0.0:
        return STOP_PASSED
    if side * (p.open - bracket(p.pending_target, r.target_fraction, p.open, side)) > 0.0:
        return TARGET_PASSED
    return ACCEPTED


@compiled
def try_entry(d: Desk, j: int, row: int, fill: float, unslipped: float, maker: bool, born: int) -> int:
    """Size an entry that fills now and open it, or return why not; as maker it rested at its own price."""
    if born == AT_OPEN and not maker:
        reason = passed_bracket(d, j, row)
        if reason != ACCEPTED:
            return reason
    fee_rate = d.rules.maker if maker else d.rules.taker
    exposure = abs(d.rows[row].exposure)
    equity = sizing_equity(d)
    quantity = whole_lots(exposure * equity / (fill * (1.0 + exposure * fee_rate)), d.book[j].lot)
    quantity *= side_of(d.rows[row].exposure)
    counts_at = d.book[j].mark_open if born == AT_OPEN else fill
    reason = refusal(d, j, quantity, fill, fee_rate, equity, counts_at, maker)
    if reason == ACCEPTED:
        open_position(d, j, row, quantity, fill, unslipped, fee_rate, born)
    return reason


@compiled
def try_resize(d: Desk, row: int) -> int:
    """Trade the position of the same sign to |e|*equity/open, or return why not."""
    j = d.rows[row].symbol
    p, exposure = d.book[j], d.rows[row].exposure
    if p.quantity * exposure <= 0.0:
        return NO_POSITION
    equity, side = sizing_equity(d), side_of(p.quantity)
    change = abs(exposure) * equity / p.open - abs(p.quantity)
    quantity = whole_lots(abs(change), p.lot)
    if change > 0.0:
        fill = p.open * (1.0 + side * d.rules.slippage)
        reason = refusal(d, j, side * quantity, fill, d.rules.taker, equity, value_at_open(d, j), False)
        if reason == ACCEPTED:
            add_to_position(d, j, quantity, fill)
        return reason
    fill = p.open * (1.0 - side * d.rules.slippage)
    if quantity == 0.0 or min(quantity, abs(p.quantity)) * fill < p.minimum:
        return BELOW_MINIMUM
    if quantity >= abs(p.quantity) - TOLERANCE * p.lot:
        close_as_taker(d, j, p.open, OUT_EXIT)
    else:
        reduce_position(d, j, quantity, fill)
    return ACCEPTED
