"""What a run came to: equity, trades, ledger, rejections and the assumptions in force. Facts only, no metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.model.arrays import Float, Int, Int64
from backtest.model.config import RunConfig
from backtest.model.passport import Passport
from backtest.model.venue import Venue

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXIT_REASONS", "LEDGER_KINDS", "REJECTION_REASONS", "Ledger", "Rejections", "Result", "Trades"]

LEDGER_KINDS = (
    "trade_pnl",
    "fee",
    "funding",
    "liquidation_loss",
    "liquidation_fee",
    "insurance",
    "haircut",
    "frozen",
    "slippage",
)
MEMO_KINDS = ("slippage",)
EXIT_REASONS = ("exit", "reverse", "close_stop", "max_bars", "stop", "trail", "target", "liquidation", "open")
REJECTION_REASONS = (
    "end_of_data",
    "not_trading",
    "ruined",
    "no_position",
    "stop_passed",
    "target_passed",
    "would_liquidate",
    "below_minimum",
    "leverage_above_tier",
    "insufficient_margin",
    "expired",
    "replaced",
    "cancelled",
    "bad_amend",
)
NO_TIME = np.iinfo(np.int64).min


def utc_index(times: Int64) -> "pd.DatetimeIndex":
    """Return ns UTC as timestamps, in ns even where there are none."""
    import pandas as pd

    return pd.to_datetime(np.asarray(times, np.int64).view("datetime64[ns]"), utc=True)


class Table:
    """Columns of one length, with names for the coded ones."""

    codes: dict[str, tuple[str, ...]]
    times: tuple[str, ...]

    def __len__(self) -> int:
        return int(getattr(self, fields(self)[1].name).size)  # type: ignore[arg-type]

    def to_frame(self) -> "pd.DataFrame":
        """Return the table as a data frame: codes as names, times as UTC timestamps (NaT where there is none)."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for column in fields(self)[1:]:  # type: ignore[arg-type]
            values = getattr(self, column.name)
            names = self.symbols if column.name == "symbol" else self.codes.get(column.name)  # type: ignore[attr-defined]
            if names is not None:
                values = np.array(names, dtype=object)[values] if len(values) else np.empty(0, dtype=object)
            if column.name in self.times:
                values = utc_index(values)
            columns[column.name] = values
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class Ledger(Table):
    """Every change of money in the order it happened; `slippage` rows are a memo, already inside the PnL.

    time: ns UTC; symbol: code; trade: id from 1; kind: code of `LEDGER_KINDS`; amount: quote units, positive into the wallet;
    position: signed base units after the row; price: quote units, NaN where there is none.
    """

    symbols: tuple[str, ...]
    time: Int64
    symbol: Int
    trade: Int64
    kind: Any
    amount: Float
    position: Float
    price: Float
    codes = {"kind": LEDGER_KINDS}  # noqa: RUF012 - a class constant, never changed
    times = ("time",)


@dataclass(frozen=True, eq=False)
class Trades(Table):
    """Round trips from flat (or reverse) to flat (or reverse).

    side: +1 long, -1 short; quantity: the largest held; entry_price: average, as filled; exit_time: NaT and exit_price the last
    close for an open trade; pnl: net, the sum of the trade's ledger rows (fees and funding inside); fees, funding: signed
    sums, negative is paid; slippage: the memo's sum, inside pnl.
    """

    symbols: tuple[str, ...]
    trade: Int64
    symbol: Int
    side: Any
    quantity: Float
    entry_time: Int64
    entry_price: Float
    exit_time: Int64
    exit_price: Float
    pnl: Float
    fees: Float
    funding: Float
    slippage: Float
    reason: Any
    entry_bar: Int64
    exit_bar: Int64
    codes = {"side": ("", "long", "short"), "reason": EXIT_REASONS}  # noqa: RUF012 - a class constant, never changed
    times = ("entry_time", "exit_time")


@dataclass(frozen=True, eq=False)
class Rejections(Table):
    """Rows of the plan that came to nothing: row (position in the sorted plan), its bar, when it failed, and why."""

    symbols: tuple[str, ...]
    row: Int64
    bar: Int64
    symbol: Int
    kind: Any
    time: Int64
    reason: Any
    codes = {"kind": ("enter", "exit", "amend", "resize"), "reason": REJECTION_REASONS}  # noqa: RUF012 - a class constant
    times = ("time",)


@dataclass(frozen=True, eq=False)
class Result:
    """The outcome of one plan on one market at one venue; `equity`, `trades`, `ledger` and `rejections` are pandas objects
    with a UTC index, made when asked for of the fields that hold the same as arrays.

    time: (k,) ns UTC, open times of the scored bars; equity_values: (k,) quote units, marked at each bar's close, never below
    zero; interval: ns; final_wallet: cash at the end, unrealised PnL not included; position_bar, position_symbol,
    position_quantity: the signed quantity after each change, by scored bar; assumptions: short name -> count; orders: "worst",
    "best" -> what the same comes to with the less and the more favourable order of two events inside one bar, those that were run
    besides; none where no bar was ambiguous.
    """

    time: Int64
    interval: int
    equity_values: Float
    final_wallet: float
    position_bar: Int64
    position_symbol: Int
    position_quantity: Float
    trades_table: Trades
    ledger_table: Ledger
    rejections_table: Rejections
    venue: Venue
    passport: Passport
    symbols: tuple[str, ...]
    assumptions: Mapping[str, int] = field(default_factory=dict)
    tier_tables: tuple[str, ...] = ()
    config: RunConfig | None = None
    market_name: str = "market"
    orders: Mapping[str, "Result"] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.time.size)

    @cached_property
    def positions(self) -> Float:
        """(k, m) signed quantities held at each scored bar's close, built when asked for."""
        dense = np.zeros((len(self), len(self.symbols)))
        for j in range(len(self.symbols)):
            mine = self.position_symbol == j
            bars, quantities = self.position_bar[mine], self.position_quantity[mine]
            index = np.searchsorted(bars, np.arange(len(self)), side="right") - 1
            if bars.size:
                dense[:, j] = np.where(index >= 0, quantities[np.maximum(index, 0)], 0.0)
        return dense

    @cached_property
    def equity(self) -> "pd.Series[float]":
        """Equity at each bar's close, by the bars' open times."""
        import pandas as pd

        return pd.Series(self.equity_values, utc_index(self.time).rename("time"), name="equity")

    @cached_property
    def trades(self) -> "pd.DataFrame":
        """The round trips by entry time; the exit time of an open one is NaT."""
        return self.trades_table.to_frame().set_index("entry_time")

    @cached_property
    def ledger(self) -> "pd.DataFrame":
        """Every change of money by its time, in the order it happened."""
        return self.ledger_table.to_frame().set_index("time")

    @cached_property
    def rejections(self) -> "pd.DataFrame":
        """The rows of the plan that came to nothing, by the time at which they failed."""
        return self.rejections_table.to_frame().set_index("time")

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the result."""
        from backtest.model.notebook import result_html

        return result_html(self)
