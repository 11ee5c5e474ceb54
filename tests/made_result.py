"""A small result made by hand, for the tests of what is done with results.

Five bars of 1h from 2026-01-01. Wallet 1000. A short of 2 BTC at 100 in bar 1 (fee 0.1), funding received 0.3, out at 90 in bar 3
(pnl 20, fee 0.09); a long of 5 ETH at 10 in bar 3 (fee 0.025), still open, marked at 9.
"""

from dataclasses import replace

import numpy as np

from backtest.model import (
    Funding,
    Instrument,
    Ledger,
    Market,
    Passport,
    Rejections,
    Result,
    RunConfig,
    Series,
    TierTable,
    Trades,
    Venue,
)
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS, NO_TIME, REJECTION_REASONS

HOUR = 3_600_000_000_000
START = 1_767_225_600_000_000_000  # 2026-01-01T00:00Z
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def bars(*numbers):
    return np.array([START + n * HOUR for n in numbers], dtype=np.int64)


def kinds(*names):
    return np.array([LEDGER_KINDS.index(name) for name in names], dtype=np.int8)


def make_venue(**changes):
    table = TierTable("made-2026", 0, "made", (0.0,), (0.005,), (100.0,))
    return replace(Venue("made-venue", Instrument(0.001, 5.0, (table,)), cash=1000.0), **changes)


def make_ledger():
    return Ledger(
        SYMBOLS,
        time=bars(1, 1, 2, 3, 3, 3),
        symbol=np.array([0, 0, 0, 0, 0, 1], dtype=np.int32),
        trade=np.array([1, 1, 1, 1, 1, 2], dtype=np.int64),
        kind=kinds("fee", "slippage", "funding", "trade_pnl", "fee", "fee"),
        amount=np.array([-0.1, -0.04, 0.3, 20.0, -0.09, -0.025]),
        position=np.array([-2.0, -2.0, -2.0, 0.0, 0.0, 5.0]),
        price=np.array([100.0, 100.0, 95.0, 90.0, 90.0, 10.0]),
    )


def make_trades():
    return Trades(
        SYMBOLS,
        trade=np.array([1, 2], dtype=np.int64),
        symbol=np.array([0, 1], dtype=np.int32),
        side=np.array([-1, 1], dtype=np.int8),
        quantity=np.array([2.0, 5.0]),
        entry_time=bars(1, 3),
        entry_price=np.array([100.0, 10.0]),
        exit_time=np.array([START + 3 * HOUR, NO_TIME], dtype=np.int64),
        exit_price=np.array([90.0, 9.0]),
        pnl=np.array([20.11, -0.025]),
        fees=np.array([-0.19, -0.025]),
        funding=np.array([0.3, 0.0]),
        slippage=np.array([-0.04, 0.0]),
        reason=np.array([EXIT_REASONS.index("target"), EXIT_REASONS.index("open")], dtype=np.int8),
        entry_bar=np.array([1, 3], dtype=np.int64),
        exit_bar=np.array([3, 4], dtype=np.int64),
    )


def make_rejections():
    return Rejections(
        SYMBOLS,
        row=np.array([2], dtype=np.int64),
        bar=np.array([4], dtype=np.int64),
        symbol=np.array([0], dtype=np.int32),
        kind=np.array([0], dtype=np.int8),
        time=bars(4),
        reason=np.array([REJECTION_REASONS.index("end_of_data")], dtype=np.int8),
    )


def make_market(name="made"):
    """The prices of the made result: closes of BTC 100, 100, 95, 90, 90, of ETH 10, 10, 10, 10, 9, without wicks."""
    close = np.array([[100.0, 100.0, 95.0, 90.0, 90.0], [10.0, 10.0, 10.0, 10.0, 9.0]]).T
    opened = np.vstack((close[:1], close[:-1]))
    high, low, volume = np.maximum(opened, close), np.minimum(opened, close), np.ones(close.shape)
    none = Funding.empty(none=frozenset(SYMBOLS))
    return Market(bars(0, 1, 2, 3, 4), HOUR, SYMBOLS, opened, high, low, close, volume, none, Passport(()), name=name)


def make_result(strategy="support_break", market="made", origin="simulated", **changes):
    series = Series("BTCUSDT.bars", origin, "made by hand", START, START + 5 * HOUR, 5, 0, "00", ("2 bars look odd",))
    result = Result(
        time=bars(0, 1, 2, 3, 4),
        interval=HOUR,
        equity_values=np.array([1000.0, 999.9, 1010.2, 1020.085, 1015.085]),
        final_wallet=1020.085,
        position_bar=np.array([1, 3, 3], dtype=np.int64),
        position_symbol=np.array([0, 0, 1], dtype=np.int32),
        position_quantity=np.array([-2.0, 0.0, 5.0]),
        trades_table=make_trades(),
        ledger_table=make_ledger(),
        rejections_table=make_rejections(),
        venue=make_venue(),
        passport=Passport((series,)),
        symbols=SYMBOLS,
        assumptions={"mark_is_last": 3, "simulated_data": 1},
        tier_tables=("made-2026",),
        config=RunConfig(strategy, market, (("levels", (75_000.0, 70_000.0)), ("buffer", 0.003), ("rule", "close"))),
        market_name=market,
    )
    return replace(result, **changes)
