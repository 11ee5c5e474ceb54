"""The books of an account: the wallet, the ledger behind it, and the trades."""

from backtest.engines.bt.position import Position
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS

__all__ = ["Book", "LedgerRow", "Rejection", "TradeRow"]

TRADE_PNL, FEE, FUNDING, LIQUIDATION_LOSS, LIQUIDATION_FEE, INSURANCE = range(6)
SLIPPAGE = LEDGER_KINDS.index("slippage")
REASONS = {reason: code for code, reason in enumerate(EXIT_REASONS)}
NO_BAR = -1
NO_TIME = -(2**63)
NAN = float("nan")

# time, symbol, trade, kind, amount, position, price: the columns of Ledger
LedgerRow = tuple[int, int, int, int, float, float, float]
# the columns of Trades: trade, symbol, side, quantity, entry_time, entry_price, exit_time, exit_price, pnl, fees, funding,
# slippage, reason, entry_bar, exit_bar
TradeRow = tuple[
    int, int, int, float, int, float, int, float, float, float, float, float, int, int, int
]  # fmt: skip
# row, bar it was decided in, symbol, kind of row, time it failed, reason
Rejection = tuple[int, int, int, int, int, str]


class Book:
    """Money and what is written of it. Every change of the wallet goes through `write`.

    ledger: rows in the order they happened; trades: rows in the order they ended; changes: (bar, symbol, signed quantity)
    after each change of a position; version: counts whatever may move a liquidation price.
    """

    def __init__(self, cash: float) -> None:
        self.cash = self.wallet = cash
        self.dust = 1e-12 * cash
        self.ledger: list[LedgerRow] = []
        self.trades: list[TradeRow] = []
        self.changes: list[tuple[int, int, float]] = []
        self.opened = 0
        self.version = 0
        self.ruined = False

    def write(self, p: Position, kind: int, amount: float, after: float, price: float, time: int) -> None:
        """Book an amount that goes into the wallet (a negative one out of it) on a position's trade."""
        self.wallet += amount
        self.version += 1
        if abs(amount) >= self.dust:
            self.ledger.append((time, p.j, p.trade, kind, amount, after, price))
        if kind == FUNDING:
            p.funding += amount
        elif kind in (FEE, LIQUIDATION_FEE):
            p.fees += amount
        elif kind != INSURANCE:
            p.pnl += amount

    def note_slippage(
        self, p: Position, quantity: float, fill: float, unslipped: float, after: float, time: int
    ) -> None:
        """Write down what a fill lost to slippage; the PnL has it already."""
        lost = quantity * abs(fill - unslipped)
        if lost >= self.dust:
            self.ledger.append((time, p.j, p.trade, SLIPPAGE, -lost, after, fill))
        p.slippage -= lost

    def insure(self, p: Position, amount: float, time: int) -> None:
        """Pay in what the trader cannot pay."""
        self.write(p, INSURANCE, amount, 0.0, NAN, time)

    def settle_flat(self, p: Position, time: int) -> None:
        """Floor the wallet of a flat account at zero, and remember ruin. p: the last position closed."""
        if self.wallet < 0:
            self.insure(p, -self.wallet, time)
            self.wallet = 0.0
        if self.wallet <= 1e-9 * self.cash:
            self.ruined = True

    def end_trade(self, p: Position, price: float, reason: str, time: int = NO_TIME, bar: int = NO_BAR) -> None:
        """Write the trade of a position that is closed, or that stays open at the end of the data."""
        net = p.pnl + p.fees + p.funding
        self.trades.append(
            (p.trade, p.j, p.side, p.largest, p.entry_time, p.entry, time, price, net, p.fees, p.funding, p.slippage,
             REASONS[reason], p.entry_bar, bar)
        )  # fmt: skip
