"""Runs for the tests of comparisons: equity by the day or hour, and trades in hours, written down by hand."""

from dataclasses import replace

import numpy as np
from made_result import HOUR, START, make_result

from backtest.model import Passport, RunConfig, Series, Trades
from backtest.model.result import EXIT_REASONS, NO_TIME

DAY = 24 * HOUR
NOTHING = np.empty(0, np.int64)


def made_trades(*rows):
    """Return trades of rows (symbol, side, entry hour, exit hour); an exit of None is still open."""
    n = len(rows)
    symbols = ("BTCUSDT", "ETHUSDT")
    leave = [NO_TIME if out is None else START + out * HOUR for *_, out in rows]
    reason = [EXIT_REASONS.index("open" if out is None else "exit") for *_, out in rows]
    flat = np.zeros(n)
    return Trades(
        symbols,
        trade=np.arange(1, n + 1, dtype=np.int64),
        symbol=np.array([symbols.index(symbol) for symbol, *_ in rows], dtype=np.int32),
        side=np.array([side for _, side, *_ in rows], dtype=np.int8),
        quantity=flat + 1,
        entry_time=np.array([START + row[2] * HOUR for row in rows], dtype=np.int64),
        entry_price=flat + 100,
        exit_time=np.array(leave, dtype=np.int64),
        exit_price=flat + 100,
        pnl=flat,
        fees=flat,
        funding=flat,
        slippage=flat,
        reason=np.array(reason, dtype=np.int8),
        entry_bar=np.arange(n, dtype=np.int64),
        exit_bar=np.arange(n, dtype=np.int64),
    )


def made_run(returns, strategy="one", first=0, interval=DAY, market="made", data="00", parameters=(), trades=()):
    """Return a result of cash 1000 that earns these fractions in its bars, from `first` bars after START on."""
    n = len(returns)
    time = START + interval * np.arange(first, first + n, dtype=np.int64)
    equity = 1000.0 * np.cumprod(1.0 + np.asarray(returns, dtype=np.float64))
    line = Series("BTCUSDT.bars", "real", "by hand", int(time[0]) if n else 0, 0, n, 0, data)
    made = make_result(strategy=strategy, market=market, passport=Passport((line,)))
    return replace(
        made,
        time=time,
        interval=interval,
        equity_values=equity,
        final_wallet=float(equity[-1]) if n else 1000.0,
        position_bar=NOTHING,
        position_symbol=NOTHING.astype(np.int32),
        position_quantity=np.empty(0),
        trades_table=made_trades(*trades),
        config=RunConfig(strategy, market, tuple(parameters)),
    )
