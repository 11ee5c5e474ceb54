"""What the kernels work on: one `Desk` with the venue's numbers, the plan's rows, the account, the book and the journal.

All but the prices are records (numpy structured arrays), so that a kernel takes one argument and every field has a name. At the
start of each bar its prices are laid on the book, so that only the walk itself looks into the market.
"""

from typing import Any, NamedTuple

import numpy as np

from backtest.model.arrays import Float, Int, Int64

ENTER, EXIT, AMEND, RESIZE = range(4)  # plan.KINDS

TRADE_PNL, FEE, FUNDING, LIQUIDATION_LOSS, LIQUIDATION_FEE, INSURANCE, HAIRCUT, FROZEN, SLIPPAGE = range(
    9
)  # LEDGER_KINDS

# EXIT_REASONS, in the order of their precedence at an open.
OUT_EXIT, OUT_REVERSE, OUT_CLOSE_STOP, OUT_MAX_BARS, OUT_STOP, OUT_TRAIL, OUT_TARGET, OUT_LIQUIDATION, OUT_OPEN = range(
    9
)
NOTHING = -1

(
    END_OF_DATA,
    NOT_TRADING,
    RUINED,
    NO_POSITION,
    STOP_PASSED,
    TARGET_PASSED,
    WOULD_LIQUIDATE,
    BELOW_MINIMUM,
    LEVERAGE_ABOVE_TIER,
    INSUFFICIENT_MARGIN,
    EXPIRED,
    REPLACED,
    CANCELLED,
    BAD_AMEND,
) = range(14)  # REJECTION_REASONS
ACCEPTED = -1

# How a position came to be in the bar at hand.
CARRIED, AT_OPEN, BY_LIMIT, BY_TRIGGER = range(4)

NEVER = np.iinfo(np.int64).max

# Columns of Desk.tiers, (tables, tiers, 4); floors of tiers that a table does not have are infinite.
TIER_FLOOR, TIER_RATE, TIER_AMOUNT, TIER_LEVERAGE = range(4)


class Panel(NamedTuple):
    """Bars (m, n), one symbol's in a row of memory; the mark arrays are the last prices where the market has no mark of its own.

    marked: whether it has one; regular: whether no bar is missing.
    """

    time: Int64
    interval: int
    regular: bool
    marked: bool
    open: Float
    high: Float
    low: Float
    close: Float
    mark_open: Float
    mark_high: Float
    mark_low: Float
    mark_close: Float


class Stamps(NamedTuple):
    """Funding events, sorted by time and then symbol; mark is NaN where the event has none."""

    time: Int64
    symbol: Int
    rate: Float
    mark: Float


def record(**kinds: str) -> np.dtype[np.void]:
    """Return a record type; each keyword is a type code and its value the fields of that type."""
    codes = {"floats": "f8", "ints": "i8", "flags": "i1", "codes": "i4"}
    return np.dtype([(name, codes[kind]) for kind, names in kinds.items() for name in names.split()], align=True)


RULES = record(
    floats="cash maker taker slippage liquidation_fee leverage",
    flags="isolated entry_based best fine record late_trail",
)
ACCOUNT = record(
    floats="wallet before peak floor drawdown returns squares down_squares",
    ints=(
        "bar time next_stamp next_row next_switch held pending bars bars_held "
        "ledger trades rejections positions ambiguous coincide funding_inside at_last_close liquidations wins ruined inside"
    ),
)
POSITION = record(
    floats=(
        "open high low close mark_open mark_high mark_low mark_close last_close lot minimum "
        "quantity entry margin liquidation stop close_stop target old_target trail best first "
        "pending_stop pending_close_stop pending_target pending_trail "
        "largest pnl fees funding slipped price other_price"
    ),
    ints="table pending expiry out_bar order born met exit_row enter_row trade entry_time entry_bar event other_event",
)
LEDGER_ROW = record(floats="amount position price", ints="time trade", codes="symbol kind")
TRADE_ROW = record(
    floats="quantity entry_price exit_price pnl fees funding slippage",
    ints="entry_time exit_time entry_bar exit_bar inside",
    codes="symbol side reason",
)
REJECTION_ROW = record(ints="row time", codes="reason")
CHANGE_ROW = record(floats="quantity", ints="bar", codes="symbol")
SWITCH = record(ints="bar symbol table")


class Desk(NamedTuple):
    """Everything a kernel needs but the prices: records and arrays of records of the types above."""

    rules: Any
    tiers: Float
    rows: Any
    account: Any
    book: Any
    ledger: Any
    trades: Any
    rejections: Any
    changes: Any
    totals: Float


def blank_position() -> Any:
    """Return one flat position; every price that is not known yet is NaN."""
    blank = np.zeros(1, POSITION)
    unknown = ("last_close", "liquidation", "stop", "close_stop", "target", "old_target", "trail")
    for name in POSITION.names or ():
        if name.startswith(("pending_", "mark_")) or name in unknown:
            blank[name] = np.nan
    for name in ("order", "pending", "exit_row", "enter_row", "event", "other_event"):
        blank[name] = NOTHING
    blank["out_bar"] = NEVER
    return blank


BLANK = blank_position()


def new_book(lots: list[float], minimums: list[float], first_tables: Int64) -> Any:
    """Return the positions of a flat account."""
    book = BLANK.repeat(len(lots))
    book["lot"], book["minimum"], book["table"] = lots, minimums, first_tables
    return book


def new_account(cash: float) -> Any:
    """Return an account that holds its cash."""
    account = np.zeros(1, ACCOUNT)
    account["wallet"] = account["before"] = account["peak"] = account["floor"] = cash
    return account


def new_journal(entries: int, resizes: int, rows: int, stamps: int) -> tuple[Any, Any, Any, Any]:
    """Return buffers for ledger, trades, rejections and changes of position, large enough for any run of the plan.

    An entry books at most 7 ledger rows until it is closed (fee and slippage twice, the PnL, a liquidation fee, insurance), a
    resize 3 and a stamp 1.
    """
    ledger = np.empty(7 * entries + 3 * resizes + stamps, LEDGER_ROW)
    changes = np.empty(2 * entries + resizes, CHANGE_ROW)
    return ledger, np.empty(entries, TRADE_ROW), np.empty(rows, REJECTION_ROW), changes


NO_JOURNAL = new_journal(0, 0, 0, 0)
"""What the summary form writes to: nothing."""
