"""A market, a plan and a venue as the arrays that the kernels take."""

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from backtest.engines.book import (
    ENTER,
    NO_JOURNAL,
    RESIZE,
    RULES,
    Desk,
    Panel,
    Stamps,
    new_account,
    new_book,
    new_journal,
)
from backtest.engines.stated import finer_bars
from backtest.errors import MarketError
from backtest.model import Market, Plan, TierTable, Venue
from backtest.model.arrays import Float, Int64, frozen_array, utc_text

NO_BOUNDS = frozen_array(np.zeros(1, np.int64), np.int64)


def panel_of(market: Market) -> Panel:
    """Return the market's bars; the last prices stand in wherever there is no mark."""
    time = market.time
    regular = len(market) > 0 and int(time[-1] - time[0]) == (len(market) - 1) * market.interval
    last = tuple(by_symbol(prices) for prices in (market.open, market.high, market.low, market.close))
    marked = market.mark is not None
    mark = tuple(by_symbol(prices) for prices in market.mark_or_last) if marked else last
    return Panel(time, market.interval, bool(regular), marked, *last, *mark)


def by_symbol(prices: Float) -> Float:
    """Return prices (n, m) as (m, n); a copy where there are several symbols."""
    return frozen_array(np.ascontiguousarray(prices.T), np.float64)


def stamps_of(market: Market) -> Stamps:
    """Return the market's funding events."""
    funding = market.funding
    return Stamps(funding.time, funding.symbol, funding.rate, funding.mark)


def fine_of(market: Market) -> tuple[Panel, Int64]:
    """Return the finer bars and, for bar i, their range bounds[i]:bounds[i + 1]; every fine bar lies inside one bar."""
    fine = finer_bars(market)
    if fine.symbols != market.symbols:
        raise MarketError("The finer bars must have the market's symbols, in the same order.")
    starts = np.searchsorted(fine.time, market.time)
    ends = np.searchsorted(fine.time + fine.interval, market.time + market.interval, side="right")
    crossing = (ends < starts) | (np.append(starts[1:], len(fine)) > np.maximum(ends, starts))
    if crossing.any():
        bar = int(np.argmax(crossing))
        raise MarketError(f"A finer bar does not lie inside the bar of {utc_text(int(market.time[bar]))}.")
    return panel_of(fine), frozen_array(np.append(starts, ends[-1:]), np.int64)


def rows_of(market: Market, plan: Plan) -> Any:
    """Return the plan's records with symbols in the market's order; where that is the plan's own, without a copy."""
    if plan.symbols == market.symbols[: len(plan.symbols)]:
        return plan.records
    columns = np.array([market.position(s) for s in plan.symbols], dtype=np.int32)
    rows = plan.records.copy()
    rows["symbol"] = columns[plan.symbol]
    rows.flags.writeable = False
    return rows


class Tables(NamedTuple):
    """Every tier table of the symbols, padded to one width; which is first in force, and when which takes over.

    tiers: (tables, tiers, 4) floor, rate, amount, highest leverage; first: (m,); switches: (k, 4) bar, symbol, table, date;
    used: names of the tables in force at any time; early: symbols that trade before their first table's date.
    """

    tiers: Float
    first: Int64
    switches: Int64
    used: tuple[str, ...]
    early: int
    assumed: int


def tables_of(market: Market, venue: Venue, start: int) -> Tables:
    """Lay out the tier tables; before the first date of a symbol its first table is used, and counted as `early`."""
    tables: list[TierTable] = []
    last = last_time(market, venue)
    first, switches, in_force, early = [], [], [], 0
    for j, symbol in enumerate(market.symbols):
        dated = venue.instrument(symbol).tables
        bars = np.searchsorted(market.time, np.array([t.date for t in dated], np.int64))
        now = max(int(np.searchsorted(bars, start, side="right")) - 1, 0)
        early += int(bars[0] > start)
        first.append(len(tables) + now)
        later = [
            (int(bars[k]), j, len(tables) + k, dated[k].date)
            for k in range(now + 1, len(dated))
            if dated[k].date <= last
        ]
        switches += later
        in_force += [dated[now], *(dated[k - len(tables)] for _, _, k, _ in later)]
        tables += dated
    tiers = tiers_of(tables, venue.taker if venue.taker_in_maintenance else 0.0)
    names = tuple(dict.fromkeys(t.name for t in in_force))
    when = np.array(sorted(switches), np.int64).reshape(-1, 4)
    return Tables(tiers, np.array(first, np.int64), when, names, early, sum(t.assumed for t in in_force))


def last_time(market: Market, venue: Venue) -> int:
    """The open of the last bar that is walked, a finer one where those are."""
    last = int(market.time[-1])
    fine = market.fine if venue.intrabar == "fine" else None
    return last if fine is None or len(fine) == 0 else max(last, int(fine.time[-1]))


def tiers_of(tables: list[TierTable], closing_fee: float) -> Float:
    """Return (tables, tiers, 4) floors, rates (with the closing fee), amounts and highest leverages; missing tiers never start."""
    width = max(len(t.floors) for t in tables)
    return np.array([padded(table, width, closing_fee) for table in tables])


def padded(table: TierTable, width: int, closing_fee: float) -> list[tuple[float, float, float, float]]:
    """The rows of one table, cum_k = cum_{k-1} + floor_k*(mmr_k - mmr_{k-1}), and rows that never start up to the width."""
    rows, amount, before = [], 0.0, 0.0
    for floor, rate, leverage in zip(table.floors, table.mmr, table.max_leverage, strict=True):
        rate += closing_fee
        amount += floor * (rate - before)
        before = rate
        rows.append((floor, rate, amount, leverage))
    return rows + [(math.inf, 0.0, 0.0, 0.0)] * (width - len(rows))


class Ground(NamedTuple):
    """What every plan on a market at a venue stands on: laid out once, and read only.

    start: the first bar that is scored; tables: the tiers; panel, fine, bounds, stamps: the prices and funding events; book: the
    positions of a flat account; rules: the venue's numbers for the summary form.
    """

    start: int
    tables: Tables
    panel: Panel
    fine: Panel
    bounds: Int64
    stamps: Stamps
    book: Any
    rules: Any


def ground_of(market: Market, venue: Venue, record: bool = False) -> Ground:
    """Lay out what does not depend on the plan; a market without bars to trade is a MarketError."""
    start = market.start_bar
    if start >= len(market):
        raise MarketError(f"The market {market.name} has no bars to trade; it has {len(market)} in all.")
    tables, panel = tables_of(market, venue, start), panel_of(market)
    fine, bounds = fine_of(market) if venue.intrabar == "fine" else (panel, NO_BOUNDS)
    rules = rules_of(venue, False, record)
    return Ground(start, tables, panel, fine, bounds, stamps_of(market), book_of(market, venue, tables), rules)


def book_of(market: Market, venue: Venue, tables: Tables) -> Any:
    """Return the positions of a flat account."""
    instruments = [venue.instrument(symbol) for symbol in market.symbols]
    return new_book([i.lot for i in instruments], [i.minimum_notional for i in instruments], tables.first)


def rules_of(venue: Venue, late_trail: bool, record: bool) -> Any:
    """Return the venue's numbers as one record; `late_trail`: a trail may be set long after the entry."""
    figures = (venue.cash, venue.maker, venue.taker, venue.slippage, venue.liquidation_fee, venue.leverage)
    margin = (venue.margin_mode == "isolated", venue.maintenance == "entry")
    return np.array(
        [(*figures, *margin, venue.intrabar == "best", venue.intrabar == "fine", record, late_trail)], RULES
    )


def desk_of(market: Market, plan: Plan, venue: Venue, ground: Ground) -> Desk:
    """Lay everything out that the kernels need but the prices; each desk has an account, a book and a journal of its own."""
    rules = ground.rules
    if plan.trails_late:
        rules = rules.copy()
        rules["late_trail"] = True
    journal = NO_JOURNAL
    if rules[0]["record"]:
        entries, resizes = int(np.count_nonzero(plan.kind == ENTER)), int(np.count_nonzero(plan.kind == RESIZE))
        journal = new_journal(entries, resizes, len(plan), market.funding.time.size)
    records = (rules, rows_of(market, plan), new_account(venue.cash), ground.book.copy(), *journal)
    if numba.config.DISABLE_JIT:  # stepped through in Python, where only these give their fields as attributes
        records = tuple(array.view(np.recarray) for array in records)
    rules, rows, account, book, ledger, trades, rejections, changes = records
    tiers = ground.tables.tiers
    return Desk(rules[0], tiers, rows, account[0], book, ledger, trades, rejections, changes, totals=np.zeros(9))
