"""One bar, the whole law: its prices laid on the book, steps 1 to 6, and step 7 with the equity marked."""

from backtest.engines.book import EXPIRED, NOTHING, OUT_CLOSE_STOP, Desk, Panel, Stamps
from backtest.engines.compile import inlined
from backtest.engines.fills import drop_pending
from backtest.engines.inside import inside_bar
from backtest.engines.margin import refresh, side_of
from backtest.engines.opening import begin_bar, open_bar
from backtest.model.arrays import Float, Int64


@inlined
def time_of(panel: Panel, i: int) -> int:
    """The open time of a bar; worked out where bars are regular, which spares the walk an array."""
    return panel.time[0] + i * panel.interval if panel.regular else panel.time[i]


@inlined
def score_bar(d: Desk, equity: float, held: bool) -> None:
    """Add one bar's equity to the sums from which the metrics follow; after ruin there is no return any more."""
    a = d.account
    change = equity / a.before - 1.0 if a.before > 0.0 else 0.0
    a.bars += 1
    a.bars_held += held
    a.returns += change
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
    d.account.time = time_of(panel, i)
    for j in range(d.book.size):
        p = d.book[j]
        p.open, p.high, p.low, p.close = panel.open[j, i], panel.high[j, i], panel.low[j, i], panel.close[j, i]
        p.mark_open, p.mark_high = panel.mark_open[j, i], panel.mark_high[j, i]
        p.mark_low, p.mark_close = panel.mark_low[j, i], panel.mark_close[j, i]


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
def keep_closes(d: Desk) -> None:
    """Remember the closes of a finer bar, at which a position counts if the next ones have no prices."""
    for j in range(d.book.size):
        if d.book[j].close == d.book[j].close:
            d.book[j].last_close = d.book[j].close


@inlined
def mark_bar(d: Desk, equity: Float, i: int, start: int) -> None:
    """Step 7, and the equity written down or scored."""
    marked = end_of_bar(d)
    if d.rules.record:
        equity[i - start] = marked
    else:
        score_bar(d, marked, d.account.held > 0)


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
            keep_closes(d)
    if finer:
        lay_out(d, panel, i, i)
    mark_bar(d, equity, i, start)
