"""Steps 4 to 6 of a bar inside the kernels: funding inside it, pending entries, and exits under the intrabar rule."""

import numpy as np

from backtest.engines.book import (
    ACCEPTED,
    BY_LIMIT,
    BY_TRIGGER,
    NOTHING,
    OUT_LIQUIDATION,
    OUT_STOP,
    OUT_TARGET,
    Desk,
    Stamps,
)
from backtest.engines.compile import compiled, inlined
from backtest.engines.entries import try_entry
from backtest.engines.fills import (
    bankruptcy,
    beyond_bankruptcy,
    cancel_all,
    close_as_maker,
    close_as_taker,
    drop_pending,
    force_close,
    liquidate_isolated,
)
from backtest.engines.margin import account_root, maintenance, side_of, trades
from backtest.engines.opening import protective_stop, settle, stop_reason


@inlined
def worse(price: float, other: float, side: float) -> float:
    """The price that is worse for the holder of a side."""
    return min(price, other) if side > 0.0 else max(price, other)


@inlined
def end_of_stamps(d: Desk, stamps: Stamps, interval: int) -> int:
    """The end of the stamps that fall strictly inside the bar; they begin at the account's next one."""
    k = d.account.next_stamp
    while k < stamps.time.size and stamps.time[k] < d.account.time + interval:
        k += 1
    return k


@inlined
def pay_inside(d: Desk, stamps: Stamps, end: int, only: int) -> None:
    """Settle the payments due inside the bar on the positions held now (of one symbol, or of all with -1)."""
    for k in range(d.account.next_stamp, end):
        p = d.book[stamps.symbol[k]]
        if p.quantity != 0.0 and (only < 0 or only == stamps.symbol[k]):
            p.met = 1
            if p.quantity * stamps.rate[k] > 0.0:
                settle(d, stamps, k)


@inlined
def receive_inside(d: Desk, stamps: Stamps, end: int) -> None:
    """Credit the receipts of positions that were held when they fell due and still stand; flag those that do not."""
    for k in range(d.account.next_stamp, end):
        p = d.book[stamps.symbol[k]]
        stands = p.quantity != 0.0 and p.born != BY_LIMIT and p.born != BY_TRIGGER
        if stands and p.quantity * stamps.rate[k] < 0.0:
            settle(d, stamps, k)
        if p.met == 1 and not stands:
            d.account.funding_inside += 1
        p.met = 0
    d.account.next_stamp = end


@compiled
def enter_inside(d: Desk, stamps: Stamps, end: int) -> None:
    """Step 5: limits that are traded through and triggers that are reached, symbols in the market's order."""
    for j in range(d.book.size):
        p = d.book[j]
        if p.pending == NOTHING or not trades(d, j):
            continue
        r, row = d.rows[p.pending], p.pending
        side = side_of(r.exposure)
        against, along = (p.low, p.high) if side > 0.0 else (p.high, p.low)
        if side * (r.limit - against) > 0.0:
            reason = try_entry(d, j, row, r.limit, r.limit, True, BY_LIMIT)
        elif side * (along - r.trigger) >= 0.0:
            fill = r.trigger * (1.0 + side * d.rules.slippage)
            reason = try_entry(d, j, row, fill, r.trigger, False, BY_TRIGGER)
        else:
            continue
        drop_pending(d, j, reason)
        if reason == ACCEPTED:
            pay_inside(d, stamps, end, j)


@compiled
def unless_bankrupt(d: Desk, j: int, reason: int, price: float, fill: float) -> tuple[int, float]:
    """An exit, or the liquidation that it is when an isolated position would fill beyond its bankruptcy price."""
    return (OUT_LIQUIDATION, bankruptcy(d, j)) if beyond_bankruptcy(d, j, fill) else (reason, price)


@compiled
def choose(d: Desk, j: int, best: bool) -> tuple[int, float]:
    """What happens to a position inside the bar under a rule: the reason it leaves (or NOTHING) and the unslipped price.

    A cross position's liquidation is the account's, judged elsewhere; here only its stop and target count.
    """
    p = d.book[j]
    side = side_of(p.quantity)
    stop = protective_stop(d, j)
    adverse, adverse_mark, favourable = (p.low, p.mark_low, p.high) if side > 0.0 else (p.high, p.mark_high, p.low)
    stops = side * (adverse - stop) <= 0.0
    liquidates = side * (adverse_mark - p.liquidation) <= 0.0
    reaches = side * (favourable - p.target) > 0.0
    if best and reaches:
        return unless_bankrupt(d, j, OUT_TARGET, p.target, p.target)
    if best and p.born == BY_TRIGGER:
        stops = stops and side * (p.close - stop) < 0.0
        liquidates = liquidates and side * (p.mark_close - p.liquidation) < 0.0
    if liquidates and not (stops and abs(p.first - stop) < abs(p.first - p.liquidation)):
        return OUT_LIQUIDATION, bankruptcy(d, j)
    if stops:
        price = worse(stop, p.first, side)
        return unless_bankrupt(d, j, stop_reason(d, j, stop), price, price * (1.0 - side * d.rules.slippage))
    if reaches and (p.born != BY_LIMIT or side * (p.close - p.target) > 0.0):
        return unless_bankrupt(d, j, OUT_TARGET, p.target, p.target)
    return NOTHING, np.nan


@compiled
def execute_exit(d: Desk, j: int, reason: int, price: float) -> None:
    """Carry out what was chosen for a position."""
    if reason == OUT_LIQUIDATION:
        liquidate_isolated(d, j)
    elif reason == OUT_TARGET:
        close_as_maker(d, j, price, reason)
    elif reason != NOTHING:
        close_as_taker(d, j, price, reason)


@inlined
def differ(event: int, price: float, other_event: int, other_price: float) -> bool:
    """Whether two rules give another event or another price; a stop and a trail at one price are the same event."""
    one = OUT_STOP if OUT_STOP < event < OUT_TARGET else event
    two = OUT_STOP if OUT_STOP < other_event < OUT_TARGET else other_event
    return one != two or (one != NOTHING and price != other_price)


@compiled
def exit_isolated(d: Desk) -> None:
    """Step 6 with isolated margin: each position for itself, in the market's order."""
    for j in range(d.book.size):
        if d.book[j].quantity == 0.0:
            continue
        if not trades(d, j):
            if side_of(d.book[j].quantity) * (d.book[j].last_close - d.book[j].liquidation) <= 0.0:
                liquidate_isolated(d, j)
            continue
        event, price = choose(d, j, d.rules.best)
        other_event, other_price = choose(d, j, not d.rules.best)
        d.account.ambiguous += differ(event, price, other_event, other_price)
        execute_exit(d, j, event, price)


@compiled
def adverse_price(d: Desk, j: int, best: bool) -> tuple[float, bool]:
    """The price at which a cross position counts in step 6, and whether it is its stop's (unslipped).

    Its mark extreme, or its stop where that is reached; under "best" a trigger entry of this bar whose stop is only possible
    counts at the worse of its fill and the (mark) close. A symbol that does not trade counts at its last close.
    """
    p = d.book[j]
    if not trades(d, j):
        return p.last_close, False
    side = side_of(p.quantity)
    stop = protective_stop(d, j)
    adverse, adverse_mark = (p.low, p.mark_low) if side > 0.0 else (p.high, p.mark_high)
    stops = side * (adverse - stop) <= 0.0
    if best and p.born == BY_TRIGGER and not (stops and side * (p.close - stop) < 0.0):
        return worse(p.entry, p.mark_close, side), False
    return (worse(stop, p.first, side), True) if stops else (adverse_mark, False)


@compiled
def forced_prices(d: Desk, best: bool, wallet: float, left: int) -> None:
    """The unslipped prices of a forced close, inside the bar's last-price range where the symbol trades.

    A single position leaves at the worse of the account's own liquidation price and its first price in the bar, several at
    their adverse prices. Positions that `best` lets take their target first keep that event.
    """
    for j in range(d.book.size):
        p = d.book[j]
        if p.quantity == 0.0 or (best and p.other_event == OUT_TARGET):
            continue
        price, _ = adverse_price(d, j, best)
        if trades(d, j):
            if left == 1:
                price = worse(account_root(d, j, wallet), p.first, side_of(p.quantity))
            price = min(max(price, p.low), p.high)
        p.other_event, p.other_price = OUT_LIQUIDATION, price


@compiled
def judge_account(d: Desk, best: bool) -> bool:
    """Work out what a rule does to each position of a cross account (`other_event`, `other_price`), and whether it is a breach."""
    wallet, equity, needed, left = d.account.wallet, 0.0, 0.0, 0
    for j in range(d.book.size):
        p = d.book[j]
        p.other_event, p.other_price = NOTHING, np.nan
        if p.quantity == 0.0:
            continue
        if trades(d, j):
            p.other_event, p.other_price = choose(d, j, best)
        if best and p.other_event == OUT_TARGET:
            wallet += p.quantity * (p.other_price - p.entry) - abs(p.quantity) * p.other_price * d.rules.maker
            continue
        left += 1
        price, is_stop = adverse_price(d, j, best)
        if is_stop:
            price *= 1.0 - side_of(p.quantity) * d.rules.slippage
            equity -= abs(p.quantity) * price * d.rules.taker
        equity += p.quantity * (price - p.entry)
        needed += maintenance(d, p.table, abs(p.quantity), p.entry, price)
    if left == 0 or wallet + equity > needed:
        return False
    forced_prices(d, best, wallet, left)
    return True


@compiled
def compare_rules(d: Desk) -> bool:
    """Judge the account under both rules, count where they differ, and say whether the rule in force finds a breach."""
    judge_account(d, not d.rules.best)
    for j in range(d.book.size):
        d.book[j].event, d.book[j].price = d.book[j].other_event, d.book[j].other_price
    breach = judge_account(d, d.rules.best)
    for j in range(d.book.size):
        p = d.book[j]
        if p.quantity != 0.0:
            d.account.ambiguous += differ(p.other_event, p.other_price, p.event, p.price)
        p.event, p.price = p.other_event, p.other_price
    return breach


@compiled
def exit_cross(d: Desk) -> None:
    """Step 6 with cross margin: the account is judged first; targets that leave first, then the forced closes."""
    breach = compare_rules(d)
    for j in range(d.book.size):
        p = d.book[j]
        if p.quantity != 0.0 and p.event != OUT_LIQUIDATION:
            execute_exit(d, j, p.event, p.price)
    if not breach:
        return
    d.account.coincide += d.account.held > 1
    for j in range(d.book.size):
        if d.book[j].quantity != 0.0:
            force_close(d, j, d.book[j].price)
    cancel_all(d)


@inlined
def inside_bar(d: Desk, stamps: Stamps, interval: int) -> None:
    """Steps 4 to 6: payments, pending entries, exits, and at last the receipts of what still stands."""
    d.account.inside = interval
    end = end_of_stamps(d, stamps, interval)
    pay_inside(d, stamps, end, NOTHING)
    if d.account.pending > 0:
        enter_inside(d, stamps, end)
    if d.account.held > 0:
        if d.rules.isolated:
            exit_isolated(d)
        else:
            exit_cross(d)
    receive_inside(d, stamps, end)
