"""The fast engine: the accounting law as compiled kernels over arrays."""

from dataclasses import replace
from typing import Any

import numpy as np

from backtest.engines.arrays import Ground, Tables, desk_of, ground_of
from backtest.engines.book import ACCOUNT, NOTHING, Desk
from backtest.engines.stated import stated_assumptions
from backtest.engines.walk import walk
from backtest.errors import FundingHoleError
from backtest.model import Ledger, Market, Plan, Rejections, Result, Score, Trades, Venue
from backtest.model.arrays import Float
from backtest.model.result import LEDGER_KINDS, NO_TIME

__all__ = ["execute", "ground_of", "score"]

NO_EQUITY = np.empty(0)


def execute(market: Market, plan: Plan, venue: Venue, *, skip: bool = True) -> Result:
    """Run a plan on a market at a venue and return equity, trades, ledger, rejections and the assumptions in force.

    skip: pass over bars in which nothing can happen; without it every bar goes through the whole law, to the same result.
    A plan that breaks a rule, a market without bars and a position held through a funding hole are errors.
    """
    ground = ground_of(market, venue, True)
    desk = desk_of(market, plan, venue, ground)
    equity = np.empty(len(market) - ground.start)
    settle(desk, ground, equity, skip)
    result = collect(market, plan, venue, ground.tables, desk, equity, ground.start)
    refuse_holes(market, result, desk.trades["inside"][: len(result.trades_table)])
    return replace(result, assumptions=assumptions_of(market, result, desk, ground.tables))


def score(market: Market, plan: Plan, venue: Venue, ground: Ground | None = None) -> Score:
    """Run a plan like `execute`, but leave only sums: no equity curve, ledger or trades; a fraction of the time and memory.

    ground: `ground_of(market, venue)` where many plans are run on one market at one venue.

    The figures of `backtest.analysis.figures` are those of the full run. A market with a funding hole goes through `execute`
    first, since only its trades say whether a position was held through it.
    """
    ground = ground or ground_of(market, venue)
    if market.funding_holes:
        execute(market, plan, venue)
    desk = desk_of(market, plan, venue, ground)
    settle(desk, ground, NO_EQUITY, True)
    return score_of(market, venue, desk, ground.start)


def score_of(market: Market, venue: Venue, desk: Desk, start: int) -> Score:
    """Take the sums off the desk."""
    a = dict(zip(ACCOUNT.names or (), desk.account.item(), strict=True))
    mean = a["returns"] / a["bars"]
    return Score(
        start=int(market.time[start]),
        end=int(market.time[-1]) + market.interval,
        interval=market.interval,
        bars=a["bars"],
        bars_held=a["bars_held"],
        cash=venue.cash,
        final_equity=a["before"],
        final_wallet=a["wallet"],
        mean=mean,
        squares=max(a["squares"] - a["returns"] * mean, 0.0),
        losses=a["down_squares"],
        worst=1.0 + a["drawdown"],
        trades=a["trades"],
        closed=a["trades"] - a["held"],
        wins=a["wins"],
        liquidations=a["liquidations"],
        rejections=a["rejections"],
        ambiguous_bars=a["ambiguous"],
        totals=dict(zip(LEDGER_KINDS, desk.totals.tolist(), strict=True)),
    )


def settle(desk: Desk, ground: Ground, equity: Float, skip: bool) -> None:
    """Walk the bars; what happens is written on the desk."""
    panel, fine, bounds, stamps = ground.panel, ground.fine, ground.bounds, ground.stamps
    walk(desk, panel, fine, bounds, ground.tables.switches, stamps, equity, np.empty(6), ground.start, skip)


def collect(market: Market, plan: Plan, venue: Venue, tables: Tables, desk: Desk, equity: Float, start: int) -> Result:
    """Put what was written on the desk into the result's tables."""
    account = desk.account
    changes = desk.changes[: account["positions"]]
    return Result(
        time=market.time[start:],
        interval=market.interval,
        equity_values=equity,
        final_wallet=float(account["wallet"]),
        position_bar=changes["bar"] - start,
        position_symbol=changes["symbol"],
        position_quantity=changes["quantity"],
        trades_table=trades_of(market, desk.trades[: account["trades"]]),
        ledger_table=Ledger(symbols=market.symbols, **columns(desk.ledger[: account["ledger"]])),
        rejections_table=rejections_of(market, plan, desk.rejections[: account["rejections"]]),
        venue=venue,
        passport=market.passport,
        symbols=market.symbols,
        tier_tables=tables.used,
        market_name=market.name,
    )


def columns(records: Any) -> dict[str, Any]:
    """The fields of records as columns."""
    return {name: np.ascontiguousarray(records[name]) for name in records.dtype.names}


def trades_of(market: Market, records: Any) -> Trades:
    """The trades; an open one has no exit time."""
    found = columns(records)
    del found["inside"]
    found["exit_time"] = np.where(found["exit_bar"] == NOTHING, NO_TIME, found["exit_time"])
    return Trades(symbols=market.symbols, trade=np.arange(1, len(records) + 1), **found)


def rejections_of(market: Market, plan: Plan, records: Any) -> Rejections:
    """The rows that came to nothing, in the order in which they did."""
    found = columns(records)
    row = found["row"]
    position = np.array([market.position(s) for s in plan.symbols] if len(plan) else [0], dtype=np.int32)
    of_plan = {"bar": plan.bar[row], "symbol": position[plan.symbol[row]], "kind": plan.kind[row]}
    return Rejections(symbols=market.symbols, **found, **of_plan)


def refuse_holes(market: Market, result: Result, inside: Any) -> None:
    """Raise when a position was held at a time for which its funding is unknown; `inside`: ns by which an exit may be later."""
    trades = result.trades_table
    end = int(market.time[-1]) + market.interval
    for hole in market.funding_holes:
        mine = trades.symbol == market.position(hole.symbol)
        left = np.where(trades.exit_bar < 0, end, trades.exit_time + inside)
        through = mine & (trades.entry_time < hole.end) & (left > hole.start)
        if through.any():
            raise FundingHoleError(
                f"{hole}, and a position was held in it ({counted(int(through.sum()), 'trade')}); nothing counts as zero. "
                "Give the missing stamps, declare a proxy, or give a rate with --assume-funding RATE."
            )


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def assumptions_of(market: Market, result: Result, desk: Desk, tables: Tables) -> dict[str, int]:
    """Everything that was assumed in this run, by short name, with its count; what did not occur is left out."""
    account = desk.account
    counts = {
        "ambiguous_bars": int(account["ambiguous"]),
        "cross_extremes_coincide": int(account["coincide"]),
        "funding_inside_bar": int(account["funding_inside"]),
        "marked_at_last_close": int(account["at_last_close"]),
        "mark_is_last": bars_without_mark(market, result),
        "tiers_before_their_date": tables.early,
        "assumed_tiers": tables.assumed,
    }
    return stated_assumptions(market, result.venue, counts)


def bars_without_mark(market: Market, result: Result) -> int:
    """Bars, summed over positions, for which the last price stood in for the mark."""
    trades = result.trades_table
    total = 0
    for j in range(len(market.symbols)):
        mine = trades.symbol == j
        if not mine.any():
            continue
        starts = trades.entry_bar[mine]
        ends = np.where(trades.exit_bar[mine] < 0, len(market) - 1, trades.exit_bar[mine])
        if market.mark is None and not market.has_halts:
            total += int(np.sum(ends - starts + 1))
        else:
            mark = np.nan if market.mark is None else market.mark.open[:, j]
            without = np.concatenate(([0], np.cumsum(np.isnan(mark) & ~np.isnan(market.open[:, j]))))
            total += int(np.sum(without[ends + 1] - without[starts]))
    return total
