"""The walk over the bars: from event to event while flat, in quiet stretches while one position is held, else bar by bar."""

from backtest.engines.bar import step, time_of
from backtest.engines.book import AMEND, END_OF_DATA, EXIT, NO_POSITION, NOTHING, OUT_OPEN, Desk, Panel, Stamps
from backtest.engines.compile import compiled, compiled_entry
from backtest.engines.fills import drop_pending, reject, write_trade
from backtest.engines.margin import side_of
from backtest.engines.quiet import hold, wait
from backtest.model.arrays import Float, Int64


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
    """Run the plan from bar `start` to the end; with `record` the equity of each bar goes into `equity`.

    skip: pass over quiet bars; without it every bar goes through the whole law, to the same result.
    """
    while d.account.next_row < d.rows.size and d.rows[d.account.next_row].bar < start - 1:
        d.account.next_row += 1  # rows of the warm-up never act
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
    d.account.bar, d.account.time = n - 1, time_of(panel, n - 1)
    end_of_data(d)


walk = compiled_entry(walk_python)
