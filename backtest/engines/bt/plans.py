"""The desk of a plan: it reads rows at the open, keeps pending entries and brackets, and says what came to nothing."""

from backtest.engines.bt.account import Account, Position
from backtest.engines.bt.book import Rejection
from backtest.engines.bt.plan_entries import Entries
from backtest.engines.bt.plan_exits import Exits
from backtest.engines.bt.plan_rows import AMEND, ENTER, EXIT, Brackets, Entry, PlanRow, plan_rows

__all__ = ["PlanDesk", "PlanRow", "plan_rows"]


class PlanDesk:
    """Rows of a plan on an account. Hand the rows decided in a bar to `read` before the next bar is walked.

    pending: entries that rest, by the market's column; brackets: of the positions, by column.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.rows: list[PlanRow] = []
        self.late: list[PlanRow] = []
        self.pending: dict[int, Entry] = {}
        self.brackets: dict[int, Brackets] = {}
        self.rejections: list[Rejection] = []
        self.entries = Entries(account, self.brackets, self.refuse)
        self.exits = Exits(account, self.brackets)

    # --- what the day calls

    def read(self, rows: list[PlanRow]) -> None:
        """Take the rows decided at the close of the bar before the next one walked, in the plan's order."""
        self.rows = rows

    def never_read(self, rows: list[PlanRow]) -> None:
        """Take the rows that no bar follows; they are answered at the end."""
        self.late += rows

    def idle(self) -> bool:
        """Whether a bar in which nothing is held may be passed over."""
        return not self.rows and not self.pending

    def liquidated(self, columns: list[int]) -> None:
        """Cancel every resting entry when step 2 has liquidated the account; isolated positions have none beside them."""
        if not self.account.isolated:
            self.cancel_all()

    def at_open(self, first: bool) -> None:
        """Step 3: amends, closes, then resizes and entries in the plan's order."""
        rows: list[PlanRow] = []
        if first and self.rows:
            rows, self.rows = self.rows, []
            self.read_orders(rows)
        if self.account.positions:
            self.exits.at_open()
        if self.pending:
            self.fill_resting()
        for row in rows:
            if row.kind == ENTER:
                self.enter(row)
            elif row.kind not in (AMEND, EXIT):
                self.entries.resize(row)

    def inside(self) -> None:
        """Step 5: pending entries that the bar reaches. Step 6: what leaves inside the bar."""
        if self.pending:
            for j in sorted(self.pending):
                if not self.account.halted(j) and self.entries.reached_inside(self.pending[j]):
                    self.entries.inside(self.pending.pop(j))
        if self.account.positions and self.exits.inside():
            self.cancel_all()

    def at_close(self) -> None:
        """Step 7: the close moves trails and orders closes for the next open; entries at the end of their lives expire."""
        account = self.account
        columns, bar = account.tape.columns, account.seg.bar
        for j in account.positions:
            self.brackets[j].follow(columns.closes[j][bar])
        if self.pending:
            for j in [j for j, entry in self.pending.items() if entry.until <= bar]:
                self.refuse(self.pending.pop(j).row, "expired", columns.times[bar])

    def finish(self) -> None:
        """Answer what the end of the data leaves unanswered."""
        time = self.account.tape.columns.times[-1]
        for row in self.late:
            nothing = row.j not in self.account.positions and row.j not in self.pending
            if row.kind != EXIT:
                self.refuse(row, "no_position" if row.kind == AMEND and nothing else "end_of_data", time)
        for entry in self.pending.values():
            self.refuse(entry.row, "end_of_data", time)

    # --- rows at the open

    def read_orders(self, rows: list[PlanRow]) -> None:
        """Let amends act first; then note which positions the rows close, and drop the pending entries that they end."""
        for row in rows:
            if row.kind == AMEND:
                self.amend(row)
        for row in rows:
            p = self.account.positions.get(row.j)
            if row.kind == EXIT:
                self.drop(row.j, "cancelled")
                if p is not None:
                    self.brackets[row.j].leaving = True
            elif row.kind == ENTER and not self.account.halted(row.j):
                self.drop(row.j, "replaced")
                if p is not None and p.side * row.exposure < 0:
                    self.brackets[row.j].reversed = True

    def amend(self, row: PlanRow) -> None:
        """Change the levels of a position, else of a pending entry."""
        if row.j in self.account.positions:
            self.brackets[row.j].amend(row)
        elif row.j not in self.pending:
            self.refuse(row, "no_position")
        elif not self.pending[row.j].amend(row):
            self.refuse(row, "bad_amend")

    def fill_resting(self) -> None:
        """Fill what rested until now and what the open passes, in the order of the rows."""
        for entry in sorted(self.pending.values(), key=lambda e: e.row.row):
            j = entry.j
            if j not in self.pending or self.account.halted(j) or not self.entries.fills_at_open(entry, rested=True):
                continue
            del self.pending[j]
            p = self.entries.at_open(entry, rested=True)
            if p is not None and entry.is_limit:
                self.test_gap(p)

    def test_gap(self, p: Position) -> None:
        """A gap that filled a resting limit may have passed its liquidation price or its stop too."""
        account = self.account
        if account.isolated:
            account.margin_at_open_of(p)
        elif account.account_at_open():
            self.cancel_all()
        if account.positions.get(p.j) is p:
            self.exits.stopped_at_open(p)

    def enter(self, row: PlanRow) -> None:
        """An entry read at this open: at once, or pending from now on."""
        account, j = self.account, row.j
        p = account.positions.get(j)
        if p is not None and p.side * row.exposure > 0:
            return
        if account.halted(j):
            self.refuse(row, "not_trading")
        elif account.ruined:
            self.refuse(row, "ruined")
        else:
            entry = Entry(row)
            if self.entries.fills_at_open(entry, rested=False):
                self.entries.at_open(entry, rested=False)
            else:
                self.pending[j] = entry

    # --- what came to nothing

    def refuse(self, row: PlanRow, reason: str, time: int | None = None) -> None:
        """Write down that a row came to nothing, at the open of the bar or finer bar being walked unless told otherwise."""
        when = self.account.seg.time if time is None else time
        self.rejections.append((row.row, row.bar, row.j, row.kind, when, reason))

    def drop(self, j: int, reason: str) -> None:
        """Take a pending entry off the desk."""
        entry = self.pending.pop(j, None)
        if entry is not None:
            self.refuse(entry.row, reason)

    def cancel_all(self) -> None:
        """Cancel every pending entry, as a liquidation of the account does."""
        for j in sorted(self.pending):
            self.drop(j, "cancelled")
