"""Money and positions inside the kernels: book a row, open, add, reduce, close, liquidate."""

import numpy as np

from backtest.engines.book import (
    ACCEPTED,
    CANCELLED,
    FEE,
    FUNDING,
    INSURANCE,
    LIQUIDATION_FEE,
    LIQUIDATION_LOSS,
    NEVER,
    NOTHING,
    OUT_LIQUIDATION,
    SLIPPAGE,
    TRADE_PNL,
    Desk,
)
from backtest.engines.compile import compiled, inlined
from backtest.engines.margin import refresh, side_of

SMALLEST = 1e-12  # of the initial cash: no ledger row is smaller
RUIN = 1e-9  # of the initial cash: flat with no more than this is the end


@compiled
def post(d: Desk, j: int, kind: int, amount: float, price: float, time: int) -> None:
    """Book one row: change the wallet, add to the trade's sums, write the row down."""
    p = d.book[j]
    if kind == SLIPPAGE:
        p.slipped += amount
    else:
        d.account.wallet += amount
        if kind != INSURANCE:
            p.pnl += amount
        if kind in (FEE, LIQUIDATION_FEE):
            p.fees += amount
        elif kind == FUNDING:
            p.funding += amount
    d.totals[kind] += amount
    if d.rules.record and abs(amount) >= SMALLEST * d.rules.cash:
        row = d.ledger[d.account.ledger]
        d.account.ledger += 1
        row.time, row.symbol, row.trade, row.kind = time, j, p.trade, kind
        row.amount, row.position, row.price = amount, p.quantity, price


@compiled
def reject(d: Desk, row: int, reason: int) -> None:
    """Write down that a row came to nothing."""
    if d.rules.record:
        rejection = d.rejections[d.account.rejections]
        rejection.row, rejection.time, rejection.reason = row, d.account.time, reason
    d.account.rejections += 1


@compiled
def drop_pending(d: Desk, j: int, reason: int) -> None:
    """Take a pending entry away; with a reason other than ACCEPTED its row came to nothing."""
    if reason != ACCEPTED:
        reject(d, d.book[j].pending, reason)
    d.book[j].pending = NOTHING
    d.account.pending -= 1


@compiled
def cancel_all(d: Desk) -> None:
    """Cancel every pending entry, as a cross liquidation does."""
    for j in range(d.book.size):
        if d.book[j].pending != NOTHING:
            drop_pending(d, j, CANCELLED)


@compiled
def note_change(d: Desk, j: int) -> None:
    """Write down that the position of a symbol changed."""
    if d.rules.record:
        change = d.changes[d.account.positions]
        change.bar, change.symbol, change.quantity = d.account.bar, j, d.book[j].quantity
    d.account.positions += 1


@compiled
def pay_costs(d: Desk, j: int, quantity: float, fill: float, unslipped: float, fee: float) -> None:
    """Book the fee of a fill, and the slippage inside its price as a memo."""
    post(d, j, FEE, -quantity * fill * fee, fill, d.account.time)
    post(d, j, SLIPPAGE, -quantity * abs(fill - unslipped), fill, d.account.time)


@inlined
def trigger_price(price: float) -> float:
    """A level as it is kept: a price <= 0 is never a trigger, so it is none."""
    return price if price > 0.0 else np.nan


@inlined
def bracket(price: float, fraction: float, entry: float, sign: float) -> float:
    """A stop or target as a price, or as a fraction of the unslipped entry (sign: side for a target, -side for a stop)."""
    return trigger_price(price if price == price else entry * (1.0 + sign * fraction))


@compiled
def set_brackets(d: Desk, j: int, row: int, side: float, unslipped: float) -> None:
    """Give a new position the brackets of its row, as amended while it was pending."""
    p, r = d.book[j], d.rows[row]
    p.stop = bracket(p.pending_stop, r.stop_fraction, unslipped, -side)
    p.target = bracket(p.pending_target, r.target_fraction, unslipped, side)
    p.close_stop, p.trail = trigger_price(p.pending_close_stop), p.pending_trail
    p.best, p.old_target = unslipped, np.nan
    p.out_bar = d.account.bar + r.max_bars if r.max_bars > 0 else NEVER
    p.order = NOTHING


@compiled
def open_position(
    d: Desk, j: int, row: int, quantity: float, fill: float, unslipped: float, fee: float, born: int
) -> None:
    """Open a position of `quantity` (signed); its first price in the bar is the open, or the unslipped entry inside it."""
    p, account = d.book[j], d.account
    set_brackets(d, j, row, side_of(quantity), unslipped)
    p.quantity, p.entry, p.largest = quantity, fill, abs(quantity)
    p.margin = abs(quantity) * fill / d.rules.leverage if d.rules.isolated else 0.0
    p.born, p.first = born, (unslipped if born > 1 else p.open)
    p.entry_time, p.entry_bar = account.time, account.bar
    p.pnl = p.fees = p.funding = p.slipped = 0.0
    account.held += 1
    account.trades += 1
    p.trade = account.trades
    refresh(d, j)
    pay_costs(d, j, abs(quantity), fill, unslipped, fee)
    note_change(d, j)


@compiled
def write_trade(d: Desk, j: int, side: float, time: int, bar: int, price: float, reason: int) -> None:
    """Write the trade's row: its sums so far, and how it ended."""
    if not d.rules.record:
        return
    p = d.book[j]
    t = d.trades[p.trade - 1]
    t.symbol, t.side, t.quantity, t.reason = j, int(side), p.largest, reason
    t.entry_time, t.entry_bar, t.entry_price = p.entry_time, p.entry_bar, p.entry
    t.exit_time, t.exit_bar, t.exit_price, t.inside = time, bar, price, d.account.inside
    t.pnl, t.fees, t.funding, t.slippage = p.pnl, p.fees, p.funding, p.slipped


@compiled
def finish(d: Desk, j: int, side: float, price: float, reason: int) -> None:
    """End a trade whose money is booked; when the account is flat below zero, the insurance fund pays the rest."""
    p, account = d.book[j], d.account
    write_trade(d, j, side, account.time, account.bar, price, reason)
    account.wins += p.pnl > 0.0
    account.liquidations += reason == OUT_LIQUIDATION
    account.held -= 1
    p.margin, p.liquidation, p.order, p.out_bar = 0.0, np.nan, NOTHING, NEVER
    note_change(d, j)
    if account.held == 0 and account.wallet < 0.0:
        post(d, j, INSURANCE, -account.wallet, np.nan, account.time)
        account.wallet = 0.0
    if account.held == 0 and account.wallet <= RUIN * d.rules.cash:
        account.ruined = 1


@inlined
def bankruptcy(d: Desk, j: int) -> float:
    """The price at which the posted margin of an isolated position is gone."""
    return d.book[j].entry - d.book[j].margin / d.book[j].quantity


@compiled
def liquidate_isolated(d: Desk, j: int) -> None:
    """Take the whole posted margin, at the bankruptcy price; a margin below zero is made good by the insurance fund."""
    p = d.book[j]
    price, side = bankruptcy(d, j), side_of(p.quantity)
    p.quantity = 0.0
    if p.margin >= 0.0:
        post(d, j, LIQUIDATION_LOSS, -p.margin, price, d.account.time)
    else:
        post(d, j, INSURANCE, -p.margin, np.nan, d.account.time)
    finish(d, j, side, price, OUT_LIQUIDATION)


@inlined
def beyond_bankruptcy(d: Desk, j: int, fill: float) -> bool:
    """Whether a fill lies beyond the bankruptcy price of an isolated position."""
    return d.rules.isolated and side_of(d.book[j].quantity) * (fill - bankruptcy(d, j)) < 0.0


@compiled
def close_as_maker(d: Desk, j: int, price: float, reason: int) -> None:
    """Close the whole position at a resting order's own price; an isolated one beyond bankruptcy is liquidated."""
    p = d.book[j]
    q = p.quantity
    if beyond_bankruptcy(d, j, price):
        liquidate_isolated(d, j)
        return
    p.quantity = 0.0
    post(d, j, TRADE_PNL, q * (price - p.entry), price, d.account.time)
    post(d, j, FEE, -abs(q) * price * d.rules.maker, price, d.account.time)
    finish(d, j, side_of(q), price, reason)


@compiled
def close_as_taker(d: Desk, j: int, price: float, reason: int) -> None:
    """Close the whole position at the market near `price`, slipped; an isolated one beyond bankruptcy is liquidated."""
    p = d.book[j]
    q = p.quantity
    fill = price * (1.0 - side_of(q) * d.rules.slippage)
    if beyond_bankruptcy(d, j, fill):
        liquidate_isolated(d, j)
        return
    p.quantity = 0.0
    post(d, j, TRADE_PNL, q * (fill - p.entry), fill, d.account.time)
    pay_costs(d, j, abs(q), fill, price, d.rules.taker)
    finish(d, j, side_of(q), fill, reason)


@compiled
def force_close(d: Desk, j: int, price: float) -> None:
    """Close a position of a liquidated cross account near `price`, slipped, for the liquidation fee instead of the taker's."""
    p = d.book[j]
    q = p.quantity
    fill = price * (1.0 - side_of(q) * d.rules.slippage)
    p.quantity = 0.0
    post(d, j, LIQUIDATION_LOSS, q * (fill - p.entry), fill, d.account.time)
    post(d, j, LIQUIDATION_FEE, -abs(q) * fill * d.rules.liquidation_fee, fill, d.account.time)
    post(d, j, SLIPPAGE, -abs(q) * abs(fill - price), fill, d.account.time)
    finish(d, j, side_of(q), fill, OUT_LIQUIDATION)


@compiled
def add_to_position(d: Desk, j: int, more: float, fill: float) -> None:
    """Add `more` (unsigned) at the open: the entry averages, dN/L is posted."""
    p = d.book[j]
    q, side = abs(p.quantity), side_of(p.quantity)
    p.entry = (q * p.entry + more * fill) / (q + more)
    if d.rules.isolated:
        p.margin += more * fill / d.rules.leverage
    p.quantity = side * (q + more)
    p.largest = max(p.largest, q + more)
    refresh(d, j)
    pay_costs(d, j, more, fill, p.open, d.rules.taker)
    note_change(d, j)


@compiled
def reduce_position(d: Desk, j: int, less: float, fill: float) -> None:
    """Close `less` (unsigned, a part) at the open: its PnL is realised, its share of the margin released."""
    if beyond_bankruptcy(d, j, fill):
        liquidate_isolated(d, j)
        return
    p = d.book[j]
    q, side = abs(p.quantity), side_of(p.quantity)
    p.quantity = side * (q - less)
    p.margin *= (q - less) / q
    post(d, j, TRADE_PNL, side * less * (fill - p.entry), fill, d.account.time)
    refresh(d, j)
    pay_costs(d, j, less, fill, p.open, d.rules.taker)
    note_change(d, j)
