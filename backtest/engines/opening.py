"""Steps 1 to 3 of a bar inside the kernels: funding due at the open, margin at the open, and what the plan does there."""

import numpy as np

from backtest.engines.book import (
    ACCEPTED,
    AMEND,
    AT_OPEN,
    BAD_AMEND,
    CANCELLED,
    ENTER,
    EXIT,
    FUNDING,
    NO_POSITION,
    NOT_TRADING,
    NOTHING,
    OUT_EXIT,
    OUT_MAX_BARS,
    OUT_REVERSE,
    OUT_STOP,
    OUT_TARGET,
    OUT_TRAIL,
    REPLACED,
    RESIZE,
    RUINED,
    Desk,
    Stamps,
)
from backtest.engines.compile import compiled, inlined
from backtest.engines.entries import try_entry, try_resize
from backtest.engines.fills import (
    cancel_all,
    close_as_maker,
    close_as_taker,
    drop_pending,
    force_close,
    liquidate_isolated,
    post,
    reject,
    trigger_price,
)
from backtest.engines.margin import in_breach, posted_margin, refresh, side_of, trades, value_at_open
from backtest.engines.prefetch import prefetch


@compiled
def settle(d: Desk, stamps: Stamps, k: int) -> None:
    """Settle a stamp on the position held, at the event's own mark, else the bar's (mark) open.

    An isolated position pays from the free balance first, then from its own margin.
    """
    j = stamps.symbol[k]
    p, price = d.book[j], stamps.mark[k]
    if price != price:
        price = value_at_open(d, j)
    cash = -p.quantity * price * stamps.rate[k]
    if d.rules.isolated and cash < 0.0:
        lack = -cash - max(d.account.wallet - posted_margin(d), 0.0)
        if lack > 0.0:
            p.margin -= lack
            refresh(d, j)
    post(d, j, FUNDING, cash, price, stamps.time[k])


@inlined
def settle_until_open(d: Desk, stamps: Stamps) -> None:
    """Step 1: settle every stamp up to the bar's open on the positions carried into it."""
    account = d.account
    if account.held == 0:
        while account.next_stamp + 16 < stamps.time.size and stamps.time[account.next_stamp + 16] <= account.time:
            account.next_stamp += 16
        for ahead in (8, 16):
            prefetch(stamps.symbol, account.next_stamp + ahead, 0)
            prefetch(stamps.rate, account.next_stamp + ahead, 0)
            prefetch(stamps.mark, account.next_stamp + ahead, 0)
    while account.next_stamp < stamps.time.size and stamps.time[account.next_stamp] <= account.time:
        if d.book[stamps.symbol[account.next_stamp]].quantity != 0.0:
            settle(d, stamps, account.next_stamp)
        account.next_stamp += 1


@compiled
def liquidate_account_at_open(d: Desk) -> None:
    """Close every position at the last open, slipped, and cancel every pending entry."""
    for j in range(d.book.size):
        if d.book[j].quantity != 0.0:
            force_close(d, j, d.book[j].open if trades(d, j) else d.book[j].last_close)
    cancel_all(d)


@compiled
def call_margin(d: Desk, only: int) -> None:
    """Step 2: liquidate at the (mark) open what has reached its price; `only` one symbol if isolated, -1 for all."""
    if not d.rules.isolated:
        if in_breach(d, NOTHING, 0.0, 0.0, 0.0, 0.0):
            liquidate_account_at_open(d)
        return
    for j in range(d.book.size):
        p = d.book[j]
        asked = p.quantity != 0.0 and (only < 0 or only == j)
        if asked and side_of(p.quantity) * (value_at_open(d, j) - p.liquidation) <= 0.0:
            liquidate_isolated(d, j)


@inlined
def begin_bar(d: Desk, stamps: Stamps) -> None:
    """Steps 1 and 2, with everything that is held carried in."""
    d.account.inside = 0
    for j in range(d.book.size):
        p = d.book[j]
        p.born, p.met, p.first = 0, 0, p.open
    settle_until_open(d, stamps)
    if d.account.held > 0:
        call_margin(d, NOTHING)


@inlined
def given(new: float, old: float) -> float:
    """The new level where one is given."""
    return new if new == new else old


@compiled
def amend_position(d: Desk, j: int, row: int) -> None:
    """Set the given levels of a position; the target that it had when the bar opened is remembered."""
    p, r = d.book[j], d.rows[row]
    if r.target == r.target and p.old_target != p.old_target:
        p.old_target = given(p.target, side_of(p.quantity) * np.inf)
    p.stop = trigger_price(given(r.stop, p.stop))
    p.close_stop = trigger_price(given(r.close_stop, p.close_stop))
    p.target, p.trail = trigger_price(given(r.target, p.target)), given(r.trail, p.trail)


@compiled
def amend(d: Desk, row: int) -> int:
    """Set the given levels of the position carried in, else of the pending entry, or return why not."""
    r = d.rows[row]
    j = r.symbol
    p = d.book[j]
    if p.quantity != 0.0:
        amend_position(d, j, row)
        return ACCEPTED
    if p.pending == NOTHING:
        return NO_POSITION
    entry = d.rows[p.pending]
    side, price = side_of(entry.exposure), given(entry.limit, entry.trigger)
    if side * (price - r.stop) <= 0.0 or side * (price - r.close_stop) <= 0.0 or side * (r.target - price) <= 0.0:
        return BAD_AMEND
    p.pending_stop, p.pending_close_stop = given(r.stop, p.pending_stop), given(r.close_stop, p.pending_close_stop)
    p.pending_target, p.pending_trail = given(r.target, p.pending_target), given(r.trail, p.pending_trail)
    return ACCEPTED


@inlined
def protective_stop(d: Desk, j: int) -> float:
    """The tighter of stop and trail; NaN where there is neither."""
    p = d.book[j]
    side = side_of(p.quantity)
    trail = p.best * (1.0 - side * p.trail)
    if trail != trail:
        return p.stop
    if p.stop != p.stop:
        return trail
    return max(p.stop, trail) if side > 0.0 else min(p.stop, trail)


@inlined
def stop_reason(d: Desk, j: int, price: float) -> int:
    """Whether a protective stop at a price is the stop or the trail."""
    return OUT_STOP if d.book[j].stop == price else OUT_TRAIL


@compiled
def reason_to_close(d: Desk, j: int) -> int:
    """Why the position carried in leaves at this open, by precedence, or NOTHING."""
    p = d.book[j]
    side = side_of(p.quantity)
    if p.exit_row != NOTHING:
        p.order = OUT_EXIT
    if not trades(d, j):
        return NOTHING
    if p.order != OUT_EXIT and p.enter_row != NOTHING and d.rows[p.enter_row].exposure * p.quantity < 0.0:
        return OUT_REVERSE
    if p.order != NOTHING:
        return p.order
    if d.account.bar >= p.out_bar:
        return OUT_MAX_BARS
    stop = protective_stop(d, j)
    if side * (p.open - stop) <= 0.0:
        return stop_reason(d, j, stop)
    return OUT_TARGET if side * (p.open - p.target) > 0.0 else NOTHING


@compiled
def close_at_open(d: Desk, j: int) -> None:
    """Close the position carried in, where something wants it closed.

    A target rests, so it fills at its own price; one amended at this very open that is passed already did not rest yet, unless
    the open has passed the old one too.
    """
    p = d.book[j]
    reason = reason_to_close(d, j)
    amended = p.old_target == p.old_target
    if reason == OUT_TARGET and not amended:
        close_as_maker(d, j, p.target, reason)
    elif reason == OUT_TARGET and side_of(p.quantity) * (p.open - p.old_target) > 0.0:
        close_as_maker(d, j, p.old_target, reason)
    elif reason != NOTHING:
        close_as_taker(d, j, p.open, reason)


@compiled
def leave_at_once(d: Desk, j: int) -> None:
    """After a rested limit filled through a gap: liquidate if that price is passed too, else stop out at the open."""
    call_margin(d, j)
    p = d.book[j]
    if p.quantity != 0.0:
        stop = protective_stop(d, j)
        if side_of(p.quantity) * (p.open - stop) <= 0.0:
            close_as_taker(d, j, p.open, stop_reason(d, j, stop))


@compiled
def fill_rested(d: Desk, j: int) -> None:
    """Fill an entry that rested from an earlier bar, where the open has passed it."""
    p = d.book[j]
    row = p.pending
    side, limit, trigger = side_of(d.rows[row].exposure), d.rows[row].limit, d.rows[row].trigger
    if side * (limit - p.open) > 0.0:
        reason = try_entry(d, j, row, limit, limit, True, AT_OPEN)
        drop_pending(d, j, reason)
        if reason == ACCEPTED:
            leave_at_once(d, j)
    elif side * (p.open - trigger) >= 0.0:
        fill = p.open * (1.0 + side * d.rules.slippage)
        drop_pending(d, j, try_entry(d, j, row, fill, p.open, False, AT_OPEN))


@compiled
def fill_all_rested(d: Desk) -> None:
    """Fill the rested entries in plan order."""
    last = NOTHING
    while True:
        j = NOTHING
        for k in range(d.book.size):
            if d.book[k].pending > last and (j == NOTHING or d.book[k].pending < d.book[j].pending):
                j = k
        if j == NOTHING:
            return
        last = d.book[j].pending
        if trades(d, j):
            fill_rested(d, j)


@compiled
def stand(d: Desk, j: int, row: int) -> None:
    """Let an entry stand as the symbol's pending one."""
    p = d.book[j]
    p.pending = row
    p.expiry = d.account.bar + d.rows[row].valid_bars - 1
    d.account.pending += 1


@compiled
def enter(d: Desk, row: int) -> int:
    """Read an `enter` row at the open: fill it, let it stand as a pending entry, or return why not."""
    r = d.rows[row]
    j = r.symbol
    p = d.book[j]
    if p.quantity * r.exposure > 0.0:
        return ACCEPTED
    if not trades(d, j):
        return NOT_TRADING
    if d.account.ruined:
        return RUINED
    p.pending_stop, p.pending_close_stop, p.pending_target, p.pending_trail = r.stop, r.close_stop, r.target, r.trail
    side = side_of(r.exposure)
    fill = p.open * (1.0 + side * d.rules.slippage)
    at_market = not (r.limit == r.limit or r.trigger == r.trigger)
    if side * (r.limit - p.open) >= 0.0:
        fill = side * min(side * fill, side * r.limit)
    elif not (at_market or side * (p.open - r.trigger) >= 0.0):
        stand(d, j, row)
        return ACCEPTED
    return try_entry(d, j, row, fill, p.open, False, AT_OPEN)


@compiled
def read_rows(d: Desk, j: int, begin: int, end: int) -> None:
    """Apply a symbol's amends, and note whether it exits or enters at this open."""
    p = d.book[j]
    for row in range(begin, end):
        kind = d.rows[row].kind
        if d.rows[row].symbol != j:
            continue
        if kind == AMEND:
            reason = amend(d, row)
            if reason != ACCEPTED:
                reject(d, row, reason)
        elif kind == EXIT:
            p.exit_row = row
        elif kind == ENTER:
            p.enter_row = row


@compiled
def act(d: Desk, row: int) -> int:
    """Carry out an entry or a resize at the open, or return why not."""
    kind = d.rows[row].kind
    if kind == ENTER:
        return enter(d, row)
    if kind == RESIZE:
        return try_resize(d, row) if trades(d, d.rows[row].symbol) else NOT_TRADING
    return ACCEPTED


@inlined
def open_bar(d: Desk, begin: int, end: int) -> None:
    """Step 3: amends, then every close, then resizes and entries in plan order; rows begin..end are read at this open."""
    for j in range(d.book.size):
        d.book[j].exit_row = d.book[j].enter_row = NOTHING
        d.book[j].old_target = np.nan
        if begin < end:
            read_rows(d, j, begin, end)
    for j in range(d.book.size):
        p = d.book[j]
        if p.exit_row != NOTHING and p.pending != NOTHING:
            drop_pending(d, j, CANCELLED)
        if p.enter_row != NOTHING and p.pending != NOTHING and trades(d, j):
            drop_pending(d, j, REPLACED)
        if p.quantity != 0.0:
            close_at_open(d, j)
    if d.account.pending > 0:
        fill_all_rested(d)
    for row in range(begin, end):
        reason = act(d, row)
        if reason != ACCEPTED:
            reject(d, row, reason)
