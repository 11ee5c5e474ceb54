"""What a day-by-day walk came to, in the form that every engine's result has."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.engines.bt.day import Day
from backtest.engines.stated import stated_assumptions
from backtest.model import Ledger, Market, Rejections, Result, TierTable, Trades, Venue
from backtest.model.result import REJECTION_REASONS

__all__ = ["result_of"]

LEDGER = {"time": "i8", "symbol": "i4", "trade": "i8", "kind": "i1", "amount": "f8", "position": "f8", "price": "f8"}
TRADES = {
    "trade": "i8", "symbol": "i4", "side": "i1", "quantity": "f8", "entry_time": "i8", "entry_price": "f8",
    "exit_time": "i8", "exit_price": "f8", "pnl": "f8", "fees": "f8", "funding": "f8", "slippage": "f8",
    "reason": "i1", "entry_bar": "i8", "exit_bar": "i8",
}  # fmt: skip
REJECTIONS = {"row": "i8", "bar": "i8", "symbol": "i4", "kind": "i1", "time": "i8", "reason": "i1"}
CHANGES = {"bar": "i8", "symbol": "i4", "quantity": "f8"}


def result_of(day: Day, market: Market, venue: Venue) -> Result:
    """Return the result of a day that has been walked to its end."""
    start = market.start_bar
    account = day.account
    changes = columns(account.changes, CHANGES)
    tables, early = tables_in_force(market, venue)
    refused = [(*row[:5], REJECTION_REASONS.index(row[5])) for row in day.desk.rejections]
    counts = {**account.counts, "tiers_before_their_date": early, "assumed_tiers": sum(t.assumed for t in tables)}
    return Result(
        time=market.time[start:],
        interval=market.interval,
        equity_values=np.array(day.equity),
        final_wallet=account.wallet,
        position_bar=changes["bar"] - start,
        position_symbol=changes["symbol"],
        position_quantity=changes["quantity"],
        trades_table=Trades(symbols=market.symbols, **columns(sorted(account.trades), TRADES)),
        ledger_table=Ledger(symbols=market.symbols, **columns(account.ledger, LEDGER)),
        rejections_table=Rejections(symbols=market.symbols, **columns(refused, REJECTIONS)),
        venue=venue,
        passport=market.passport,
        symbols=market.symbols,
        assumptions=stated_assumptions(market, venue, counts),
        tier_tables=tuple(dict.fromkeys(table.name for table in tables)),
        market_name=market.name,
    )


def columns(rows: Sequence[tuple[Any, ...]], kinds: dict[str, str]) -> dict[str, Any]:
    """Rows as one array a column."""
    each = list(zip(*rows, strict=True)) if rows else [()] * len(kinds)
    return {name: np.array(values, dtype=kinds[name]) for name, values in zip(kinds, each, strict=True)}


def tables_in_force(market: Market, venue: Venue) -> tuple[list[TierTable], int]:
    """Every symbol's tier tables that were in force in a traded bar, and the number of symbols traded before their first one."""
    first, last = int(market.time[market.start_bar]), int(market.time[-1])
    if venue.intrabar == "fine" and market.fine is not None and len(market.fine):
        last = max(last, int(market.fine.time[-1]))
    found: list[TierTable] = []
    early = 0
    for symbol in market.symbols:
        dated = venue.instrument(symbol).tables
        at_start = [table for table in dated if table.date <= first]
        early += not at_start
        found += [at_start[-1] if at_start else dated[0]]
        found += [table for table in dated if first < table.date <= last and table is not found[-1]]
    return found, early
