"""Runs of folds put end to end as one: each starts flat, ends flat, and its returns go on where the last fold's ended."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from backtest.errors import ConfigError
from backtest.model import Ledger, Passport, Result, RunConfig, Trades, Venue
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS

__all__ = ["CLOSED", "STITCHED", "closed_out", "stitch"]

CLOSED = "closed_at_fold_end"
"""The assumption that a position still open at the end of a fold was closed at its last close."""
STITCHED = "folds_start_flat"
"""The assumption that each fold starts flat, with the equity of the one before it."""

STANDING = (
    "simulated_data",
    "gaps_filled",
    "slippage_is_a_constant",
    "tiers_before_their_date",
    "assumed_tiers",
    "assumed_funding",
)
"""Assumptions about the data and the venue, the same in every fold: counted once, like those with a name behind a colon."""

OPEN, LEFT = EXIT_REASONS.index("open"), EXIT_REASONS.index("exit")


def closed_out(result: Result, last_bar: int) -> Result:
    """Return the run with what is open at its end closed at the last close, at the taker fee and the venue's slippage.

    last_bar: position in the market of the run's last bar. The rows are those of a market exit: `trade_pnl`, `fee`, and the
    memo `slippage`; where the wallet can't pay, `insurance` does. Counted as the assumption `CLOSED`.
    """
    rows = np.flatnonzero(np.asarray(result.trades_table.reason) == OPEN)
    if not rows.size:
        return result
    exits = [exit_of(result, row) for row in rows.tolist()]
    booked = [one for exit_ in exits for one in exit_.rows() if one.amount]
    wallet = result.final_wallet + sum(one.amount for one in booked if one.kind != "slippage")
    if wallet < 0.0:
        booked.append(Booked(exits[-1].row, "insurance", -wallet, np.nan))
    equity = np.array(result.equity_values)
    equity[-1] = max(wallet, 0.0)
    return replace(
        result,
        equity_values=equity,
        final_wallet=float(equity[-1]),
        position_bar=np.append(result.position_bar, np.full(rows.size, len(result) - 1)),
        position_symbol=np.append(result.position_symbol, result.trades_table.symbol[rows]),
        position_quantity=np.append(result.position_quantity, np.zeros(rows.size)),
        trades_table=ended(result, exits, last_bar),
        ledger_table=joined_tables([result.ledger_table, ledger_of(result, booked)]),
        assumptions={**result.assumptions, CLOSED: int(rows.size)},
    )


class Booked(NamedTuple):
    """A row for the ledger: the trade's row, kind, quote units, price."""

    row: int
    kind: str
    amount: float
    price: float


class Exit(NamedTuple):
    """The exit of an open trade: its row, fill price, and what it earned, paid and lost to slippage, quote units."""

    row: int
    fill: float
    earned: float
    fee: float
    slipped: float

    def rows(self) -> tuple[Booked, ...]:
        amounts = (("trade_pnl", self.earned), ("fee", self.fee), ("slippage", self.slipped))
        return tuple(Booked(self.row, kind, amount, self.fill) for kind, amount in amounts)


def exit_of(result: Result, row: int) -> Exit:
    trades, venue = result.trades_table, result.venue
    held, close = held_at_end(result, row), float(trades.exit_price[row])
    fill = close * (1.0 - float(np.sign(held)) * venue.slippage)
    earned, fee = held * (fill - float(trades.entry_price[row])), -abs(held) * fill * venue.taker
    return Exit(row, fill, earned, fee, -abs(held) * abs(fill - close))


def ended(result: Result, exits: Sequence[Exit], last_bar: int) -> Trades:
    """Return the trades with the open ones ended."""
    trades = result.trades_table
    columns = {f.name: np.array(getattr(trades, f.name)) for f in fields(Trades)[1:]}
    for one in exits:
        i = one.row
        columns["exit_time"][i], columns["exit_price"][i] = int(result.time[-1]), one.fill
        columns["exit_bar"][i], columns["reason"][i] = last_bar, LEFT
        columns["pnl"][i] += one.earned + one.fee
        columns["fees"][i] += one.fee
        columns["slippage"][i] += one.slipped
    return Trades(trades.symbols, **columns)


def ledger_of(result: Result, booked: Sequence[Booked]) -> Ledger:
    """Return the rows as a ledger, at the open time of the last bar, as the engines stamp what happens inside a bar."""
    old, rows = result.ledger_table, [one.row for one in booked]
    return Ledger(
        old.symbols,
        time=np.full(len(booked), int(result.time[-1]), dtype=np.int64),
        symbol=result.trades_table.symbol[rows],
        trade=result.trades_table.trade[rows],
        kind=np.array([LEDGER_KINDS.index(one.kind) for one in booked], dtype=np.asarray(old.kind).dtype),
        amount=np.array([one.amount for one in booked]),
        position=np.zeros(len(booked)),
        price=np.array([one.price for one in booked]),
    )


def held_at_end(result: Result, trade: int) -> float:
    """Return the signed quantity that an open trade holds at the end."""
    mine = np.flatnonzero(np.asarray(result.position_symbol) == result.trades_table.symbol[trade])
    return float(result.position_quantity[mine[-1]])


def stitch(results: Sequence[Result], venue: Venue, config: RunConfig | None, market_name: str) -> Result:
    """Return the runs, in order of time, each flat at its start and end, as one run from the venue's cash on.

    A fold's equity is the one before it times the fold's own equity / its cash, and every amount and quantity of the fold
    is scaled alike, so that ledger, trades and equity add up; prices stay. Lots, tiers and least notionals were those of
    the fold's own cash.
    """
    if not results:
        raise ConfigError("There is no fold to put together.")
    parts, equity, bars, trades = [], venue.cash, 0, 0
    for one in results:
        part = scaled(one, equity / one.venue.cash, bars, trades)
        parts.append(part)
        bars, trades = bars + len(part), trades + len(part.trades_table)
        equity = float(part.equity_values[-1]) if len(part) else equity
    return Result(
        time=np.concatenate([p.time for p in parts]),
        interval=parts[0].interval,
        equity_values=np.concatenate([p.equity_values for p in parts]),
        final_wallet=float(parts[-1].final_wallet),
        position_bar=np.concatenate([p.position_bar for p in parts]),
        position_symbol=np.concatenate([p.position_symbol for p in parts]),
        position_quantity=np.concatenate([p.position_quantity for p in parts]),
        trades_table=joined_tables([p.trades_table for p in parts]),
        ledger_table=joined_tables([p.ledger_table for p in parts]),
        rejections_table=joined_tables([p.rejections_table for p in parts]),
        venue=venue,
        passport=Passport(tuple(dict.fromkeys(s for p in parts for s in p.passport.series))),
        symbols=parts[0].symbols,
        assumptions=added(parts),
        tier_tables=tuple(dict.fromkeys(t for p in parts for t in p.tier_tables)),
        config=config,
        market_name=market_name,
    )


def scaled(result: Result, factor: float, bars: int, trades: int) -> Result:
    """Return a run with its money and quantities times a factor, its bars and trades numbered on from those before it."""
    t, ledger = result.trades_table, result.ledger_table
    money = {name: getattr(t, name) * factor for name in ("quantity", "pnl", "fees", "funding", "slippage")}
    return replace(
        result,
        equity_values=result.equity_values * factor,
        final_wallet=result.final_wallet * factor,
        position_bar=result.position_bar + bars,
        position_quantity=result.position_quantity * factor,
        trades_table=replace(t, trade=t.trade + trades, **money),
        ledger_table=replace(
            ledger, trade=ledger.trade + trades, amount=ledger.amount * factor, position=ledger.position * factor
        ),
    )


def joined_tables(tables: Sequence[Any]) -> Any:
    """Return tables of one kind as one, row below row."""
    first = tables[0]
    names = [f.name for f in fields(first)[1:]]
    columns: dict[str, Any] = {name: np.concatenate([getattr(t, name) for t in tables]) for name in names}
    return type(first)(first.symbols, **columns)


def added(parts: Sequence[Result]) -> dict[str, int]:
    """Return what was assumed in the folds: how often in all, and for what stands in every fold how often in one."""
    found: dict[str, int] = {}
    for part in parts:
        for name, count in part.assumptions.items():
            stands = ":" in name or name in STANDING
            found[name] = max(found.get(name, 0), count) if stands else found.get(name, 0) + count
    return {**found, STITCHED: len(parts)}
