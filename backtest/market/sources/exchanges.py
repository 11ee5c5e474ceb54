"""Binance, Bybit and OKX through ccxt, page by page: ccxt's own `paginate` leaves rows out without a word."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtest.errors import SourceError
from backtest.market.clock import interval_text
from backtest.market.sources.base import COLUMNS, Page, Request
from backtest.market.sources.binance import BINANCE
from backtest.market.sources.bybit import BYBIT
from backtest.market.sources.desk import Desk, columns, load_ccxt
from backtest.market.sources.faults import check_request, fault, title
from backtest.market.sources.guard import guarded
from backtest.market.sources.http import TIMEOUT
from backtest.market.sources.limits import Limit
from backtest.market.sources.okx import OKX
from backtest.market.sources.terms import MINUTE, Terms
from backtest.market.sources.walk import Rows, Span, snap, walk
from backtest.model import TierTable
from backtest.model.arrays import DAY, HOUR, SECOND, utc_text

__all__ = ["Exchange"]

TERMS = {terms.name: terms for terms in (BINANCE, BYBIT, OKX)}
SPOT = "spot/"
LONGEST_FUNDING = 8 * HOUR  # no exchange leaves more time between two fundings of a perpetual
SETTLED = 10 * MINUTE  # funding is published within minutes of its stamp
NEEDED = {"funding": 1, "open_interest": 1}  # of the columns: rate and coins; mark and usd are not given everywhere
EDGE = 2  # rows of a call kept free for stamps that jitter over the ends of its span


class Exchange:
    """One exchange as a source: prices, mark, premium, funding and open interest of its linear perpetuals; spot prices.

    Symbols: "BTCUSDT" is the linear perpetual, "spot/BTCUSDT" the spot pair; ccxt's and the exchange's own spelling
    ("BTC/USDT:USDT", "BTC-USDT-SWAP") do too. Open interest is a reading at its stamp; no exchange says whether it
    stands for the period before or after, so it counts as known one interval later. timeout: seconds without an
    answer; clock: now in ns UTC.
    """

    needs = "extra crypto"

    def __init__(self, name: str, *, timeout: float = TIMEOUT, clock: Callable[[], int] = time.time_ns) -> None:
        self.terms, self.timeout, self.clock = TERMS[name], timeout, clock
        self.name, self.kinds, self.concurrency = name, self.terms.kinds, self.terms.concurrency
        self.limits = {part: Limit(*calls) for part, calls in self.terms.calls.items()}
        self.desks: dict[str, Desk] = {}
        self.lock = threading.Lock()

    def plan(self, request: Request) -> list[Request]:
        """Cut a span into pages of one call each, up to the last bar that is closed."""
        check_request(self, request)
        load_ccxt(self.name)
        if request.symbol.startswith(SPOT) and request.kind != "bars":
            raise SourceError(f"{title(self.name)} has {request.kind} of perpetuals only, not of {request.symbol}.")
        self.check_reach(request)
        end = min(request.end, closed(request, self.clock()))
        size = (self.terms.rows[request.kind] - EDGE) * (request.interval or LONGEST_FUNDING)
        starts = range(request.start, end, size)
        return [Request(**{**vars(request), "start": s, "end": min(s + size, end)}) for s in starts]

    def check_reach(self, request: Request) -> None:
        """Refuse a span that begins before what the exchange keeps."""
        reach = self.terms.reach(request.kind, request.interval)
        if reach is None or request.start >= self.clock() - reach:
            return
        what = what_of(request).removesuffix(f" of {request.symbol}")
        raise SourceError(
            f"{self.terms.title} keeps {what} for the last {reach // DAY} days; "
            f"the span starts {day(request.start)}. Use {self.terms.older[request.kind]}.",
            "too_old",
        )

    @guarded
    def page(self, request: Request) -> Page:
        """Return the rows of a span that `plan` gave; SourceError where there is none and one was to be expected."""
        desk = self.desk("spot" if request.symbol.startswith(SPOT) else self.terms.perpetuals)
        market = desk.market(request.symbol.removeprefix(SPOT))
        step = request.interval or LONGEST_FUNDING
        rows, empty = walk(
            Question(desk, market, request).ask,
            request.start,
            request.end,
            longest=step,
            shortest=request.interval or SECOND,
            newest_first=self.terms.newest_first,
        )
        if rows.time.size == 0:
            return self.without_rows(request, market)
        end = self.end_of(request, empty)
        notes = [self.missing(request, span) for span in empty if span[0] < end]
        if rows.dropped:
            notes.append(f"Rows of {what_of(request)} off the grid, left out: {rows.dropped}.")
        return Page(named(request.kind, self.terms, rows), request.start, end, tuple(notes))

    def tiers(self, symbol: str) -> TierTable:
        """Return the tiers in force now, as a table for a venue file; SourceError where the exchange does not publish them."""
        if self.terms.no_tiers:
            raise SourceError(self.terms.no_tiers, "needs_key" if self.name == "binance" else "refused")
        desk = self.desk(self.terms.perpetuals)
        return table_of(self.terms, symbol, desk.tiers(desk.market(symbol)), self.clock())

    def desk(self, group: str) -> Desk:
        """Return the desk of a group of markets, opened once."""
        with self.lock:
            if group not in self.desks:
                self.desks[group] = Desk(self.terms, group, self.limits, self.timeout)
            return self.desks[group]

    def end_of(self, request: Request, empty: list[Span]) -> int:
        """Return up to where the page covers its span: a row that is only late today is asked for again tomorrow."""
        late = [low for low, high in empty if high == request.end and high > self.clock() - lag(request)]
        return late[0] if late else request.end

    def without_rows(self, request: Request, market: Any) -> Page:
        """Return a page without rows where that is in order: before the listing, between two fundings, or just now."""
        none = named(request.kind, self.terms, Rows(np.empty(0, np.int64), np.empty((0, 0))))
        listed = int(market.get("created") or 0) * 1_000_000
        if request.end <= listed + DAY:
            return Page(none, request.start, request.end, (self.missing(request, (request.start, request.end)),))
        if request.end > self.clock() - lag(request):
            return Page(none, request.start, request.start)
        if request.kind == "funding" and request.end - request.start <= LONGEST_FUNDING:
            return Page(none, request.start, request.end)
        span = f"{utc_text(request.start)} to {utc_text(request.end)}"
        raise fault(self.name, "empty", f"{span}", symbol=request.symbol)

    def missing(self, request: Request, span: Span) -> str:
        return f"{self.terms.title} has no {what_of(request)} from {utc_text(span[0])} to {utc_text(span[1])}."


@dataclass(frozen=True)
class Question:
    """One request put to a desk: `ask` gives the rows of any part of its span."""

    desk: Desk
    market: Any
    request: Request

    def ask(self, low: int, high: int) -> Rows:
        """Return the rows of [low, high) ns that one call gives, bars moved to the grid, stamps to the second."""
        request, grid = self.request, self.request.interval or SECOND
        # Stamps that jitter over an end of the span belong to it once they are moved.
        since, until = (-(-low // grid) * grid - SECOND) // 1_000_000, (high + SECOND) // 1_000_000 - 1
        found = self.desk.rows(request.kind, self.market, request.interval, since, until)
        width = len(fields(request.kind, self.desk.terms))
        try:
            stamps, values = columns(found, width, NEEDED.get(request.kind, width))
        except (OverflowError, TypeError, ValueError):
            why = "a row that is not as documented"
            raise fault(request.source, "malformed", why, symbol=request.symbol) from None
        time, near = snap(stamps, grid)
        if request.interval == 0:
            near = np.ones_like(near)
        inside = (time >= low) & (time < high)
        time, kept = np.unique(time[near & inside], return_index=True)
        values = values[near & inside][kept]
        return Rows(time, values, int((inside & ~near).sum()), len(found) >= self.desk.terms.rows[request.kind])


def fields(kind: str, terms: Terms) -> tuple[str, ...]:
    """Return the columns of a kind beside `time`."""
    return ("rate", "mark") if kind == "funding" and terms.mark_key else COLUMNS[kind]


def named(kind: str, terms: Terms, rows: Rows) -> dict[str, Any]:
    """Return rows as the columns of a page."""
    names = fields(kind, terms)
    values = rows.values.reshape(-1, len(names))
    return {"time": rows.time, **{name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(names)}}


def closed(request: Request, now: int) -> int:
    """Return the end of what can be complete by now: bars that are closed, fundings that are published."""
    return now // request.interval * request.interval if request.interval else now - SETTLED


def lag(request: Request) -> int:
    """Return how long after its time a row may still be on its way."""
    return max(2 * request.interval, SETTLED) if request.interval else LONGEST_FUNDING + HOUR


def what_of(request: Request) -> str:
    """Return what was asked for in words.

    >>> what_of(Request("okx", "BTCUSDT", "open_interest", HOUR, 0, DAY))
    '1h open interest of BTCUSDT'
    """
    kind = request.kind.replace("_", " ")
    return f"{interval_text(request.interval) + ' ' if request.interval else ''}{kind} of {request.symbol}"


def day(time: int) -> str:
    """Return the UTC day of a time.

    >>> day(0)
    '1970-01-01'
    """
    return utc_text(time)[:10]


def table_of(terms: Terms, symbol: str, rows: list[Any], now: int) -> TierTable:
    """Return ccxt's rows of tiers as a table: floors in quote units, rates as fractions."""
    ordered = sorted(rows, key=lambda row: float(row["minNotional"]))
    rates = [float(row["maintenanceMarginRate"]) for row in ordered]
    highest = [float(row["maxLeverage"]) for row in ordered]
    # A rate must lie below what the highest leverage puts up; the exchange has answered in percent at times.
    percent = any(rate * leverage > 1 for rate, leverage in zip(rates, highest, strict=True))
    return TierTable(
        name=f"{terms.name} {symbol} {day(now)}",
        date=now,
        origin=f"{terms.title}'s public table of risk limits, retrieved {day(now)}",
        floors=tuple(float(row["minNotional"]) for row in ordered),
        mmr=tuple(rate / 100 if percent else rate for rate in rates),
        max_leverage=tuple(highest),
    )
