"""The walk over the bars: from event to event while flat, in quiet stretches while one position is held, else bar by bar.

A quiet stretch is a run of bars of which it is certain, from a few comparisons a bar, that nothing happens in them but a change
of the price. Whatever might be more goes through `step`, which is the whole law for one bar; `skip` False sends every bar there.
"""

import numpy as np

from backtest.engines.book import (
    AMEND,
    END_OF_DATA,
    ENTER,
    EXIT,
    EXPIRED,
    NEVER,
    NO_POSITION,
    NOTHING,
    OUT_CLOSE_STOP,
    OUT_OPEN,
    Desk,
    Panel,
    Stamps,
)
from backtest.engines.compile import compiled, compiled_entry, inlined
from backtest.engines.fills import drop_pending, reject, write_trade
from backtest.engines.inside import inside_bar
from backtest.engines.margin import account_root, refresh, side_of
from backtest.engines.opening import begin_bar, open_bar, protective_stop, settle_until_open
from backtest.engines.prefetch import prefetch
from backtest.model.arrays import Float, Int64

AHEAD = 64  # bars asked for before they are tested
SURE = 1e-9  # relative: a liquidation price worked out by another formula may differ by rounding


@inlined
def score_bar(d: Desk, equity: float, held: bool) -> None:
    """Add one bar's equity to the sums from which the metrics follow; after ruin there is no return any more."""
    a = d.account
    change = equity / a.before - 1.0 if a.before > 0.0 else 0.0
    a.bars += 1
    a.bars_held += held
    a.sum += change
    a.squares += change * change
    if change < 0.0:
        a.down_squares += change * change
    a.before = equity
    if equity > a.peak:
        a.peak = equity
        a.floor = equity * (1.0 + a.drawdown)
    elif equity < a.floor:
        a.floor = equity
        a.drawdown = equity / a.peak - 1.0


@inlined
def lay_out(d: Desk, panel: Panel, bar: int, i: int) -> None:
    """Lay the prices of row i of a panel on the book; `bar` is the market's bar, of which i may be a finer part."""
    d.account.bar = bar
    d.account.time = panel.time[i]
    for j in range(d.book.size):
        p = d.book[j]
        p.open, p.high, p.low, p.close = panel.open[i, j], panel.high[i, j], panel.low[i, j], panel.close[i, j]
        p.mark_open, p.mark_high = panel.mark_open[i, j], panel.mark_high[i, j]
        p.mark_low, p.mark_close = panel.mark_low[i, j], panel.mark_close[i, j]


@inlined
def end_of_bar(d: Desk) -> float:
    """Step 7: expiries, close_stop, the trail's best close; the equity at the close, never below zero."""
    account = d.account
    equity = account.wallet
    for j in range(d.book.size):
        p = d.book[j]
        if p.pending != NOTHING and p.expiry <= account.bar:
            drop_pending(d, j, EXPIRED)
        if p.close != p.close:
            if p.quantity != 0.0:
                equity += p.quantity * (p.last_close - p.entry)
                account.at_last_close += 1
            continue
        p.last_close = p.close
        if p.quantity != 0.0:
            side = side_of(p.quantity)
            if side * (p.close - p.close_stop) < 0.0 and p.order == NOTHING:
                p.order = OUT_CLOSE_STOP
            p.best = side * max(side * p.best, side * p.close)
            equity += p.quantity * (p.mark_close - p.entry)
    return max(equity, 0.0)


@inlined
def switch_tables(d: Desk, switches: Int64) -> None:
    """Put tier tables into force whose date has come; a switch is (bar, symbol, table, date)."""
    account = d.account
    while account.next_switch < switches.shape[0] and switches[account.next_switch, 3] <= account.time:
        j = switches[account.next_switch, 1]
        d.book[j].table = switches[account.next_switch, 2]
        refresh(d, j)
        account.next_switch += 1


@inlined
def step(
    d: Desk,
    panel: Panel,
    fine: Panel,
    bounds: Int64,
    switches: Int64,
    stamps: Stamps,
    equity: Float,
    i: int,
    start: int,
) -> None:
    """One bar, the whole law: steps 1 to 7, on the finer bars where they are to be walked."""
    account = d.account
    begin = account.next_row
    end = begin
    while end < d.rows.size and d.rows[end].bar < i:
        end += 1
    account.next_row = end
    finer = d.rules.fine and bounds[i + 1] > bounds[i]
    for part in range(bounds[i + 1] - bounds[i] if finer else 1):
        if finer:
            lay_out(d, fine, i, bounds[i] + part)
        else:
            lay_out(d, panel, i, i)
        switch_tables(d, switches)
        begin_bar(d, stamps)
        open_bar(d, begin if part == 0 else end, end)
        inside_bar(d, stamps, fine.interval if finer else panel.interval)
    if finer:
        lay_out(d, panel, i, i)
    marked = end_of_bar(d)
    if d.rules.record:
        equity[i - start] = marked
    else:
        score_bar(d, marked, account.held > 0)


@inlined
def held_symbol(d: Desk) -> int:
    """The symbol held when exactly one is."""
    for j in range(d.book.size):
        if d.book[j].quantity != 0.0:
            return j
    return NOTHING


@inlined
def next_row_bar(d: Desk, j: int) -> int:
    """The bar at whose open the next row is read that may matter: entries of the held side again do not."""
    k = d.account.next_row
    while k < d.rows.size:
        r = d.rows[k]
        if not (r.kind == ENTER and r.symbol == j and r.exposure * d.book[j].quantity > 0.0):
            return r.bar + 1
        k = r.other
    return NEVER


@inlined
def next_stamp(d: Desk, stamps: Stamps, j: int) -> int:
    """The next stamp of a symbol; those of the others stay, in case one of them is entered before."""
    k = d.account.next_stamp
    while k < stamps.time.size and stamps.symbol[k] != j:
        k += 1
    return k


@inlined
def bar_of(panel: Panel, time: int) -> int:
    """The bar that a time falls into or, between two bars, the later one."""
    if panel.regular:
        return (time - panel.time[0]) // panel.interval
    k = int(np.searchsorted(panel.time, time, side="right")) - 1
    return k + 1 if k >= 0 and time >= panel.time[k] + panel.interval else k


@inlined
def quiet_band(d: Desk, j: int, band: Float) -> None:
    """Fill in the prices within which a bar is quiet: low > 0, high < 1, close >= 2, close <= 3 (what touches one is not)."""
    band[0] = band[2] = -np.inf
    band[1] = band[3] = np.inf
    p = d.book[j]
    side = side_of(p.quantity)
    stop = protective_stop(d, j)
    near, far, behind, beyond = (0, 1, 2, 3) if side > 0.0 else (1, 0, 3, 2)
    if stop == stop:
        band[near] = stop
    if p.target == p.target:
        band[far] = p.target
    if p.close_stop == p.close_stop:
        band[behind] = p.close_stop
    if p.trail == p.trail or d.rules.late_trail:
        band[beyond] = p.best
    quiet_marks(d, j, band)


@inlined
def quiet_marks(d: Desk, j: int, band: Float) -> None:
    """The same for the mark: low > 4, high < 5. It moves with the wallet and the posted margin."""
    band[4] = -np.inf
    band[5] = np.inf
    p = d.book[j]
    liquidation = p.liquidation if d.rules.isolated else account_root(d, j, d.account.wallet)
    if liquidation == liquidation:
        side = side_of(p.quantity)
        band[4 if side > 0.0 else 5] = liquidation * (1.0 + side * SURE)


@inlined
def is_quiet(panel: Panel, band: Float, i: int, j: int) -> bool:
    """Whether nothing can happen in a bar; a bar without prices is not quiet."""
    last = (panel.low[i, j] > band[0]) & (panel.high[i, j] < band[1])
    close = (panel.close[i, j] >= band[2]) & (panel.close[i, j] <= band[3])
    return last & close & (panel.mark_low[i, j] > band[4]) & (panel.mark_high[i, j] < band[5])


@inlined
def fetch(panel: Panel, i: int, j: int) -> None:
    """Ask for the prices of the bars around i."""
    prefetch(panel.low, i, j)
    prefetch(panel.high, i, j)
    prefetch(panel.close, i, j)


@inlined
def first_loud(panel: Panel, band: Float, begin: int, end: int, j: int) -> int:
    """The first bar of begin..end that is not quiet, or end; whole blocks are tested without a branch in them."""
    i = begin
    fetch(panel, i + AHEAD, j)
    while i + 16 <= end:
        fetch(panel, i + AHEAD + 8, j)
        fetch(panel, i + AHEAD + 16, j)
        quiet = True
        for k in range(i, i + 16):
            quiet &= is_quiet(panel, band, k, j)
        if not quiet:
            break
        i += 16
    while i < end and is_quiet(panel, band, i, j):
        i += 1
    return i


@inlined
def score_stretch(d: Desk, panel: Panel, begin: int, end: int, j: int) -> None:
    """The same as `score_bar` for quiet bars, in which only the price moves, with the sums in registers."""
    a, p = d.account, d.book[j]
    quantity, wallet, entry = p.quantity, a.wallet, p.entry
    before, peak, floor, drawdown = a.before, a.peak, a.floor, a.drawdown
    total, squares, down_squares = 0.0, 0.0, 0.0
    for i in range(begin, end):
        equity = max(wallet + quantity * (panel.mark_close[i, j] - entry), 0.0)
        change = equity / before - 1.0 if before > 0.0 else 0.0
        before = equity
        total += change
        squares += change * change
        loss = min(change, 0.0)
        down_squares += loss * loss
        if equity > peak:
            peak = equity
            floor = equity * (1.0 + drawdown)
        elif equity < floor:
            floor = equity
            drawdown = equity / peak - 1.0
    a.before, a.peak, a.floor, a.drawdown = before, peak, floor, drawdown
    a.sum += total
    a.squares += squares
    a.down_squares += down_squares
    a.bars += end - begin
    a.bars_held += end - begin


@inlined
def mark_stretch(d: Desk, panel: Panel, equity: Float, begin: int, end: int, start: int, j: int) -> None:
    """The equity of quiet bars."""
    p = d.book[j]
    if d.rules.record:
        quantity, wallet, entry = p.quantity, d.account.wallet, p.entry
        for i in range(begin, end):
            equity[i - start] = max(wallet + quantity * (panel.mark_close[i, j] - entry), 0.0)
    else:
        score_stretch(d, panel, begin, end, j)
    if end > begin:
        p.last_close = panel.close[end - 1, j]


@inlined
def settle_quietly(d: Desk, panel: Panel, stamps: Stamps, i: int, j: int, band: Float) -> bool:
    """Settle the stamps due at the open of bar i; whether the bar can be passed over then."""
    d.account.bar, d.account.time = i, panel.time[i]
    d.book[j].open, d.book[j].mark_open = panel.open[i, j], panel.mark_open[i, j]
    settle_until_open(d, stamps)
    quiet_marks(d, j, band)
    k = next_stamp(d, stamps, j)
    inside = k < stamps.time.size and stamps.time[k] < panel.time[i] + panel.interval
    return not inside and is_quiet(panel, band, i, j)


@inlined
def hold(d: Desk, panel: Panel, switches: Int64, stamps: Stamps, equity: Float, i: int, start: int, band: Float) -> int:
    """Walk the quiet bars from i on with one position held, settling funding due at their opens; the bar to go on with."""
    j = held_symbol(d)
    if d.book[j].order != NOTHING:
        return i
    switch = switches[d.account.next_switch, 0] if d.account.next_switch < switches.shape[0] else NEVER
    end = min(panel.time.size, next_row_bar(d, j), d.book[j].out_bar, switch)
    quiet_band(d, j, band)
    for ahead in range(i, i + AHEAD, 8):
        fetch(panel, ahead, j)
    while i < end:
        k = next_stamp(d, stamps, j)
        due = bar_of(panel, stamps.time[k]) if k < stamps.time.size else NEVER
        loud = first_loud(panel, band, i, min(end, due), j)
        mark_stretch(d, panel, equity, i, loud, start, j)
        i = loud
        if i < due or i >= end or stamps.time[k] > panel.time[i] or panel.open[i, j] != panel.open[i, j]:
            break
        if not settle_quietly(d, panel, stamps, i, j, band):
            break
        mark_stretch(d, panel, equity, i, i + 1, start, j)
        i += 1
    while d.account.next_row < d.rows.size and d.rows[d.account.next_row].bar < i - 1:
        d.account.next_row += 1
    return i


@inlined
def wait(d: Desk, panel: Panel, equity: Float, i: int, start: int) -> int:
    """Jump over the bars in which the account is flat and nothing is pending; the bar to go on with."""
    k = d.account.next_row
    end = min(d.rows[k].bar + 1 if k < d.rows.size else NEVER, panel.time.size)
    if end <= i:
        return i
    later = min(k + 4, d.rows.size - 1)
    for j in range(d.book.size):
        fetch(panel, d.rows[later].bar + 1, j)
        prefetch(panel.open, d.rows[later].bar + 1, j)
    wallet = d.account.wallet
    if d.rules.record:
        equity[i - start : end - start] = wallet
    else:
        score_bar(d, wallet, False)
        d.account.bars += end - i - 1
    return end


@compiled
def end_of_data(d: Desk) -> None:
    """What is still open at the end: rows that no bar reads, pending entries, positions."""
    for row in range(d.account.next_row, d.rows.size):
        p, kind = d.book[d.rows[row].symbol], d.rows[row].kind
        if kind == AMEND and p.quantity == 0.0 and p.pending == NOTHING:
            reject(d, row, NO_POSITION)
        elif kind != EXIT:
            reject(d, row, END_OF_DATA)
    for j in range(d.book.size):
        if d.book[j].pending != NOTHING:
            drop_pending(d, j, END_OF_DATA)
    for j in range(d.book.size):
        p = d.book[j]
        if p.quantity != 0.0:
            write_trade(d, j, side_of(p.quantity), NOTHING, NOTHING, p.last_close, OUT_OPEN)


@compiled
def link_rows(d: Desk, start: int) -> None:
    """Link every row to the next that is not the same entry again, and pass over the rows of the warm-up."""
    for k in range(d.rows.size - 1, -1, -1):
        r = d.rows[k]
        r.other = k + 1
        if r.kind == ENTER and k + 1 < d.rows.size:
            after = d.rows[k + 1]
            if after.kind == ENTER and after.symbol == r.symbol and after.exposure * r.exposure > 0.0:
                r.other = after.other
    while d.account.next_row < d.rows.size and d.rows[d.account.next_row].bar < start - 1:
        d.account.next_row += 1


def walk_python(
    d: Desk,
    panel: Panel,
    fine: Panel,
    bounds: Int64,
    switches: Int64,
    stamps: Stamps,
    equity: Float,
    band: Float,
    start: int,
    skip: bool,
) -> None:
    """Run the plan from bar `start` to the end; with `record` the equity of each bar goes into `equity`."""
    link_rows(d, start)
    n = panel.time.size
    i = start
    while i < n:
        if skip and d.account.pending == 0:
            if d.account.held == 0:
                i = wait(d, panel, equity, i, start)
            elif d.account.held == 1 and not d.rules.fine:
                i = hold(d, panel, switches, stamps, equity, i, start, band)
            if i >= n:
                break
        step(d, panel, fine, bounds, switches, stamps, equity, i, start)
        i += 1
    d.account.bar, d.account.time = n - 1, panel.time[n - 1]
    end_of_data(d)


walk = compiled_entry(walk_python)
