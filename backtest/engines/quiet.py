"""Quiet stretches: bars that a walk may pass over, because it is certain that nothing happens in them but a change of the price.

While the account is flat that is every bar up to the next row of the plan. While one position is held a few comparisons say so:
its stop, target, close_stop, trail and liquidation price span a band, and a bar inside it is quiet. Whatever might be more goes
through the whole law of `bar.step`.
"""

import numpy as np

from backtest.engines.bar import lay_out, mark_bar, score_bar, time_of
from backtest.engines.book import ENTER, NEVER, NOTHING, Desk, Panel, Stamps
from backtest.engines.compile import compiled, inlined, summed
from backtest.engines.margin import account_root, side_of
from backtest.engines.opening import protective_stop, settle_until_open
from backtest.engines.prefetch import prefetch
from backtest.model.arrays import Float, Int64

AHEAD = 64  # bars asked for before they are tested
SPAN = 32  # bars that are tested or scored at once
SURE = 1e-9  # relative: a liquidation price worked out by another formula may differ by rounding


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
def is_calm(panel: Panel, band: Float, i: int, j: int) -> bool:
    """Whether nothing can happen inside a bar; its close alone may do something."""
    last = (panel.low[j, i] > band[0]) & (panel.high[j, i] < band[1])
    return last & (panel.mark_low[j, i] > band[4]) & (panel.mark_high[j, i] < band[5])


@inlined
def is_quiet(panel: Panel, band: Float, i: int, j: int) -> bool:
    """Whether nothing can happen in a bar; a bar without prices is not quiet."""
    return is_calm(panel, band, i, j) & (panel.close[j, i] >= band[2]) & (panel.close[j, i] <= band[3])


@inlined
def fetch(panel: Panel, i: int, j: int) -> None:
    """Ask for the prices of the bars around i."""
    prefetch(panel.open, j, i)
    prefetch(panel.low, j, i)
    prefetch(panel.high, j, i)
    prefetch(panel.close, j, i)


@inlined
def fetch_stretch(panel: Panel, i: int, j: int) -> None:
    """Ask for the prices of the bars from i on."""
    for ahead in range(i, i + AHEAD, 8):
        fetch(panel, ahead, j)


@inlined
def is_quiet_span(panel: Panel, band: Float, begin: int, end: int, j: int) -> bool:
    """Whether every bar of begin..end is quiet; without a branch and of no fixed length, so that several are tested at once."""
    above, below, least, most = band[0], band[1], band[2], band[3]
    loud = False
    for i in range(begin, end):
        at = np.uintp(i)
        close = panel.close[j, at]
        last = (panel.low[j, at] > above) & (panel.high[j, at] < below)
        loud |= not (last & (close >= least) & (close <= most))
    if panel.marked:
        above, below = band[4], band[5]
        for i in range(begin, end):
            at = np.uintp(i)
            loud |= not ((panel.mark_low[j, at] > above) & (panel.mark_high[j, at] < below))
    return not loud


@inlined
def first_loud(panel: Panel, band: Float, begin: int, end: int, j: int) -> int:
    """The first bar of begin..end that is not quiet, or end."""
    if not panel.marked:
        band[0], band[1] = max(band[0], band[4]), min(band[1], band[5])
    i = begin
    while i < end:
        stop = min(i + SPAN, end)
        if not is_quiet_span(panel, band, i, stop, j):
            break
        i = stop
    while i < end and is_quiet(panel, band, i, j):
        i += 1
    return i


@inlined
def equity_at(wallet: float, quantity: float, entry: float, close: float) -> float:
    """The equity with one position; above zero wherever a stretch is scored in blocks."""
    return wallet + quantity * (close - entry)


@summed
def score_span(d: Desk, panel: Panel, begin: int, end: int, j: int) -> bool:
    """Add the returns from each close to the next; False, and nothing added, where the equity is not above zero throughout."""
    a, p = d.account, d.book[j]
    wallet, quantity, entry = a.wallet, p.quantity, p.entry
    total, squares, down_squares = 0.0, 0.0, 0.0
    peak, floor = a.peak, a.floor
    solvent, new = True, False
    for i in range(begin, end):
        at = np.uintp(i)
        equity = equity_at(wallet, quantity, entry, panel.mark_close[j, at])
        change = equity / equity_at(wallet, quantity, entry, panel.mark_close[j, at - np.uintp(1)]) - 1.0
        loss = min(change, 0.0)
        total += change
        squares += change * change
        down_squares += loss * loss
        solvent &= equity > 0.0
        new |= (equity > peak) | (equity < floor)
    if not solvent:
        return False
    a.returns += total
    a.squares += squares
    a.down_squares += down_squares
    a.before = equity_at(wallet, quantity, entry, panel.mark_close[j, end - 1])
    a.bars += end - begin
    a.bars_held += end - begin
    if new:
        draw_down(d, panel, begin, end, j)
    return True


@inlined
def draw_down(d: Desk, panel: Panel, begin: int, end: int, j: int) -> None:
    """Bring the peak and the deepest fall from it up to date, bar by bar."""
    a, p = d.account, d.book[j]
    peak, floor, drawdown = a.peak, a.floor, a.drawdown
    for i in range(begin, end):
        equity = equity_at(a.wallet, p.quantity, p.entry, panel.mark_close[j, i])
        if equity > peak:
            peak = equity
            floor = equity * (1.0 + drawdown)
        elif equity < floor:
            floor = equity
            drawdown = equity / peak - 1.0
    a.peak, a.floor, a.drawdown = peak, floor, drawdown


@inlined
def score_stretch(d: Desk, panel: Panel, begin: int, end: int, j: int) -> None:
    """The same as `score_bar` for quiet bars, in which only the price moves; the sums are made of several bars at once."""
    a, p = d.account, d.book[j]
    i, spans = begin, False
    while i < end:
        stop = min(i + SPAN, end)
        if spans and score_span(d, panel, i, stop, j):
            i = stop
            continue
        equity = max(equity_at(a.wallet, p.quantity, p.entry, panel.mark_close[j, i]), 0.0)
        score_bar(d, equity, True)
        spans = equity > 0.0  # the first return is from what was before, which is no close of this position at times
        i += 1


@inlined
def mark_stretch(d: Desk, panel: Panel, equity: Float, begin: int, end: int, start: int, j: int) -> None:
    """The equity of quiet bars."""
    p = d.book[j]
    if d.rules.record:
        quantity, wallet, entry = p.quantity, d.account.wallet, p.entry
        for i in range(begin, end):
            equity[i - start] = max(wallet + quantity * (panel.mark_close[j, i] - entry), 0.0)
    else:
        score_stretch(d, panel, begin, end, j)
    if end > begin:
        p.last_close = panel.close[j, end - 1]


@inlined
def settle_quietly(d: Desk, panel: Panel, stamps: Stamps, i: int, j: int, band: Float) -> bool:
    """Settle the stamps due at the open of bar i; whether the bar can be passed over then."""
    d.account.bar, d.account.time = i, time_of(panel, i)
    d.book[j].open, d.book[j].mark_open = panel.open[j, i], panel.mark_open[j, i]
    settle_until_open(d, stamps)
    quiet_marks(d, j, band)
    k = next_stamp(d, stamps, j)
    inside = k < stamps.time.size and stamps.time[k] < time_of(panel, i) + panel.interval
    return not inside and is_quiet(panel, band, i, j)


@compiled
def finish_calm_bar(d: Desk, panel: Panel, equity: Float, i: int, start: int) -> None:
    """A bar in which only the close does something: it passes a close_stop, or it is a new best one for the trail."""
    lay_out(d, panel, i, i)
    mark_bar(d, equity, i, start)


@inlined
def hold(d: Desk, panel: Panel, switches: Int64, stamps: Stamps, equity: Float, i: int, start: int, band: Float) -> int:
    """Walk the quiet bars from i on with one position held, settling funding due at their opens; the bar to go on with."""
    j = held_symbol(d)
    if d.book[j].order != NOTHING:
        return i
    switch = switches[d.account.next_switch, 0] if d.account.next_switch < switches.shape[0] else NEVER
    end = min(panel.time.size, next_row_bar(d, j), d.book[j].out_bar, switch)
    quiet_band(d, j, band)
    while i < end:
        k = next_stamp(d, stamps, j)
        due = bar_of(panel, stamps.time[k]) if k < stamps.time.size else NEVER
        loud = first_loud(panel, band, i, min(end, due), j)
        mark_stretch(d, panel, equity, i, loud, start, j)
        i = loud
        if i < min(end, due) and is_calm(panel, band, i, j):
            finish_calm_bar(d, panel, equity, i, start)
            i += 1
            if d.book[j].order != NOTHING:
                break
            quiet_band(d, j, band)
            continue
        if i < due or i >= end or stamps.time[k] > time_of(panel, i) or panel.close[j, i] != panel.close[j, i]:
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
    if k < d.rows.size:
        fetch_stretch(panel, end, d.rows[k].symbol)
        soon = d.rows[min(k + 4, d.rows.size - 1)]
        fetch(panel, soon.bar + 1, soon.symbol)
    wallet = d.account.wallet
    if d.rules.record:
        equity[i - start : end - start] = wallet
    else:
        score_bar(d, wallet, False)
        d.account.bars += end - i - 1
    return end
