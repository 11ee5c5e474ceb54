"""Margin inside the kernels: tiers, maintenance, where a position or an account is liquidated, and what is free."""

import numpy as np

from backtest.engines.book import AT_OPEN, TIER_AMOUNT, TIER_FLOOR, TIER_LEVERAGE, TIER_RATE, Desk
from backtest.engines.compile import compiled, inlined


@inlined
def side_of(quantity: float) -> float:
    """+1 for a long, -1 for a short."""
    return 1.0 if quantity > 0.0 else -1.0


@compiled
def tier_of(d: Desk, table: int, notional: float) -> int:
    """The tier whose floor <= notional is the highest."""
    k = 0
    while k + 1 < d.tiers.shape[1] and d.tiers[table, k + 1, TIER_FLOOR] <= notional:
        k += 1
    return k


@compiled
def highest_leverage(d: Desk, table: int, notional: float) -> float:
    """The highest leverage setting that the tier of a notional allows."""
    return d.tiers[table, tier_of(d, table, notional), TIER_LEVERAGE]


@compiled
def maintenance(d: Desk, table: int, quantity: float, entry: float, price: float) -> float:
    """Maintenance margin of a position at a price; on the entry's notional where the venue's rule says so."""
    notional = quantity * (entry if d.rules.entry_based else price)
    k = tier_of(d, table, notional)
    return notional * d.tiers[table, k, TIER_RATE] - d.tiers[table, k, TIER_AMOUNT]


@compiled
def root(d: Desk, table: int, side: float, quantity: float, entry: float, backing: float) -> float:
    """The price where backing + side*quantity*(P - entry) equals maintenance, on the tier that the answer falls into.

    The balance less maintenance is continuous and monotone in P (every rate is below 1), so the first tier, searched from below,
    whose own root does not lie beyond its ceiling is the one, for longs and for shorts.
    """
    if d.rules.entry_based:
        return entry + side * (maintenance(d, table, quantity, entry, entry) - backing) / quantity
    price = np.nan
    for k in range(d.tiers.shape[1]):
        amount, rate = d.tiers[table, k, TIER_AMOUNT], d.tiers[table, k, TIER_RATE]
        price = (backing + amount - side * quantity * entry) / (quantity * (rate - side))
        if k + 1 == d.tiers.shape[1] or quantity * price < d.tiers[table, k + 1, TIER_FLOOR]:
            break
    return price


@compiled
def refresh(d: Desk, j: int) -> None:
    """Work out the liquidation price of an isolated position anew; a price <= 0 is never a trigger."""
    p = d.book[j]
    p.liquidation = np.nan
    if d.rules.isolated and p.quantity != 0.0:
        price = root(d, p.table, side_of(p.quantity), abs(p.quantity), p.entry, p.margin)
        if price > 0.0:
            p.liquidation = price


@compiled
def account_root(d: Desk, j: int, wallet: float) -> float:
    """The price at which a cross account that holds only symbol j is in breach."""
    p = d.book[j]
    return root(d, p.table, side_of(p.quantity), abs(p.quantity), p.entry, wallet)


@inlined
def trades(d: Desk, j: int) -> bool:
    """Whether a symbol has prices in the bar at hand."""
    return d.book[j].open == d.book[j].open


@inlined
def value_at_open(d: Desk, j: int) -> float:
    """The (mark) open, or the last close where the symbol does not trade."""
    return d.book[j].mark_open if trades(d, j) else d.book[j].last_close


@compiled
def sizing_price(d: Desk, j: int) -> float:
    """What a held position counts at when another is sized: the (mark) open, its own fill if it was entered in this bar."""
    return value_at_open(d, j) if d.book[j].born < AT_OPEN else d.book[j].entry


@compiled
def sizing_equity(d: Desk) -> float:
    """Wallet plus unrealised PnL as sizes see it."""
    equity = d.account.wallet
    for j in range(d.book.size):
        if d.book[j].quantity != 0.0:
            equity += d.book[j].quantity * (sizing_price(d, j) - d.book[j].entry)
    return equity


@compiled
def posted_margin(d: Desk) -> float:
    """The margins posted by all isolated positions."""
    posted = 0.0
    for j in range(d.book.size):
        posted += d.book[j].margin
    return posted


@compiled
def free_balance(d: Desk, equity: float) -> float:
    """Isolated: wallet less posted margins. Cross: equity less current notional over leverage."""
    if d.rules.isolated:
        return d.account.wallet - posted_margin(d)
    free = equity
    for j in range(d.book.size):
        if d.book[j].quantity != 0.0:
            free -= abs(d.book[j].quantity) * sizing_price(d, j) / d.rules.leverage
    return free


@compiled
def in_breach(d: Desk, j: int, more: float, fill: float, fee: float, counts_at: float) -> bool:
    """Whether a cross account is in breach at the opens, with `more` of symbol j traded at `fill` for `fee`.

    Symbol j counts at `counts_at`, positions that were entered inside this bar at their fill. With j = -1 nothing is added.
    """
    equity = d.account.wallet - fee
    needed = 0.0
    held = False
    for k in range(d.book.size):
        p = d.book[k]
        added = more if k == j else 0.0
        total = abs(p.quantity + added)
        if total == 0.0:
            continue
        held = True
        price = p.entry if p.born > AT_OPEN else value_at_open(d, k)
        if k == j:
            price = counts_at
        cost = 0.0
        if p.quantity != 0.0:
            cost = abs(p.quantity) * p.entry
            equity += p.quantity * (price - p.entry)
        if added != 0.0:
            cost += abs(added) * fill
            equity += added * (price - fill)
        needed += maintenance(d, p.table, total, cost / total, price)
    return held and equity <= needed
