"""Coinalyze: liquidations, open interest, funding and the long/short ratio, with a free key from the environment.

The key is read when a request is sent, goes out as a header, and is shown nowhere: no file, log, message or result has it.
"""

import math
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from backtest.errors import SourceError, did_you_mean
from backtest.market.clock import interval_text
from backtest.market.sources.base import COLUMNS, Page, Request
from backtest.market.sources.dates import day_text
from backtest.market.sources.faults import check_request, fault
from backtest.market.sources.guard import guarded
from backtest.market.sources.http import Key, UnreadableError, address, as_json, ask
from backtest.market.sources.limits import Limit
from backtest.market.sources.rows import tidy
from backtest.model.arrays import DAY, HOUR, SECOND, Float, Int64, utc_text

__all__ = ["Coinalyze"]

NAME = "coinalyze"
HOME = "https://api.coinalyze.net/v1"
VARIABLES = ("COINALYZE_KEY", "COINALYZE_API_KEY")
LIMIT = Limit(40, 60.0)  # of the key, so of the process; a little is left to the clock by Retry-After
MINUTE = 60 * SECOND
INTERVALS = {
    MINUTE: "1min", 5 * MINUTE: "5min", 15 * MINUTE: "15min", 30 * MINUTE: "30min", HOUR: "1hour", 2 * HOUR: "2hour",
    4 * HOUR: "4hour", 6 * HOUR: "6hour", 12 * HOUR: "12hour", DAY: "daily",
}  # fmt: skip
KEPT = 2_000  # bars of an intraday interval that are kept at most, 1,500 at least; daily bars are kept for good
LATEST = 1 << 33  # seconds: no time of a row is later; one in ms is
SETTLED = 8 * HOUR  # funding is taken at 00:00, 08:00 and 16:00 UTC, the times of nearly all perpetuals
ADDRESSES = {
    "liquidations": "liquidation-history",
    "open_interest": "open-interest-history",
    "funding": "funding-rate-history",
    "long_short_ratio": "long-short-ratio-history",
}
INSTEAD = {
    "liquidations": 'a file of your own, or a proxy: { proxy = "open_interest" }',
    "open_interest": "source binance-archive",
    "funding": "source binance-archive",
    "long_short_ratio": "source binance-archive",
}
GET_ONE = "Get a free one at coinalyze.net and set the environment variable COINALYZE_KEY to it."


@dataclass(frozen=True)
class Coinalyze:
    """The source `coinalyze`. Symbols: BTCUSDT_PERP.A (A is Binance); BTCUSDT alone is taken for that.

    now: ns UTC; markets: the symbols that there are, once they were asked for.
    """

    now: Callable[[], int] = time.time_ns
    markets: list[str] = field(default_factory=list, compare=False, repr=False)
    name: str = NAME
    kinds: Mapping[str, tuple[int, ...]] = field(
        default_factory=lambda: {kind: () if kind == "funding" else tuple(INTERVALS) for kind in ADDRESSES}
    )
    needs: str = "environment COINALYZE_KEY"
    concurrency: int = 2

    def plan(self, request: Request) -> list[Request]:
        """Return the span in pieces of 2,000 bars; SourceError for one that is no longer kept, and without a key."""
        check_request(self, request)
        key_of_user()
        interval = bar_of(request)
        oldest = self.now() - KEPT * interval
        if interval < DAY and request.start < oldest:
            raise SourceError(too_old(request, interval, oldest), "too_old")
        edges = [*range(request.start, request.end, KEPT * interval), request.end]
        return [replace(request, start=a, end=b) for a, b in pairwise(edges)]

    @guarded
    def page(self, request: Request) -> Page:
        """Return the rows of a piece, with a note where they end early; SourceError for a symbol that there is not, and for
        one without a row.
        """
        found = self.funding(request) if request.kind == "funding" else self.measured(request)
        times, end = found.columns["time"], min(request.end, self.now())
        step = SETTLED if request.kind == "funding" else request.interval
        if not times.size or end - (last := int(times[-1])) < 2 * step:
            return found
        said = f"{request.symbol} {request.kind}: Coinalyze ends {utc_text(last)}, asked up to {utc_text(end)}."
        return replace(found, notes=(*found.notes, said))

    def measured(self, request: Request) -> Page:
        """Return the rows of a piece of what is measured in every bar."""
        rows = self.history(request, usd=request.kind in ("liquidations", "open_interest"))
        if not rows:
            return self.without_rows(request)
        if request.kind == "liquidations":
            columns = {"long_usd": numbers(rows, "l"), "short_usd": numbers(rows, "s")}
        elif request.kind == "open_interest":
            return self.open_interest(request, rows)
        else:
            columns = {"value": numbers(rows, "r")}
        return page_of(request, times(rows), columns)

    def open_interest(self, request: Request, in_usd: list[dict[str, Any]]) -> Page:
        """Return the open interest at the close of each bar, in usd and in coins: two answers, joined by their times."""
        usd, coins = by_time(in_usd), {}
        if is_linear(request.symbol):  # contracts settled in coins are counted in contracts, not in coins
            coins = by_time(self.history(request, usd=False))
        stamps = np.array(sorted(usd.keys() | coins.keys()), dtype=np.int64)
        columns = {
            name: np.array([found.get(int(t), np.nan) for t in stamps], dtype=np.float64)
            for name, found in (("coins", coins), ("usd", usd))
        }
        return page_of(request, stamps, columns)

    def funding(self, request: Request) -> Page:
        """Return the rate in force at each settlement: the close of the 4-hour bar that ends there, as a fraction.

        The source has a rate for every bar, not the settlements, so their times are supposed; the page's note says so.
        """
        bar = bar_of(request)
        rows = self.history(replace(request, start=request.start - bar), usd=False)
        if not rows:
            raise self.nothing(request)
        ends = times(rows) + bar
        settled = ends % SETTLED == 0
        said = (
            f"{request.symbol} funding: Coinalyze gives the rate in force, in percent; it was taken each 8 h as a fraction. "
            "A perpetual that is settled at other times needs another source."
        )
        found = page_of(request, ends[settled], {"rate": numbers(rows, "c")[settled] / 100})
        return replace(found, notes=(*found.notes, said))

    def history(self, request: Request, *, usd: bool) -> list[dict[str, Any]]:
        """Return the rows of a span as the source has them, none where it has none."""
        params = {
            "symbols": code_of(request.symbol),
            "interval": INTERVALS[bar_of(request)],
            "from": math.ceil(request.start / SECOND),
            "to": (request.end - 1) // SECOND,  # the last second inside: both ends are included
        }
        if usd or request.kind in ("liquidations", "open_interest"):
            params["convert_to_usd"] = "true" if usd else "false"
        rows = self.ask(f"/{ADDRESSES[request.kind]}", request.symbol, history_of, params)
        early = request.start - bar_of(request)  # a bar that the span begins in may be there, too
        if rows and not any(early < row["t"] * SECOND < request.end for row in rows):
            raise fault(NAME, "malformed", "rows of another time than was asked for", symbol=request.symbol)
        return rows

    def ask(self, path: str, symbol: str, read: Callable[[Any], list[Any]], params: Mapping[str, Any]) -> list[Any]:
        """Return what is read from the answer to one call."""
        key = key_of_user()
        try:
            return ask(
                f"{address(NAME, HOME)}{path}", source=NAME, read=lambda answer: read(as_json(answer)),
                params=params, key=key, limit=LIMIT, symbol=symbol,
            )  # fmt: skip
        except SourceError as error:
            problem = error
        if problem.cause == "needs_key":
            raise fault(NAME, "needs_key", f"it refuses the one in {variable()}", hint=GET_ONE)
        raise problem

    def without_rows(self, request: Request) -> Page:
        """Return a whole piece of days as a hole, since the symbol may be listed in a later one; SourceError for all else."""
        error = self.nothing(request)
        if error.cause != "empty" or request.end - request.start < KEPT * DAY:
            raise error
        span = f"from {utc_text(request.start)} to {utc_text(request.end)}"
        none = {name: np.zeros(0) for name in COLUMNS[request.kind]}
        said = f"{request.symbol} {request.kind}: Coinalyze has none {span}."
        return Page({"time": np.zeros(0, dtype=np.int64), **none}, request.start, request.end, (said,))

    def nothing(self, request: Request) -> SourceError:
        """Return the error of a span without a row: the symbol is not there, or its data are not."""
        code = code_of(request.symbol)
        if not self.markets:
            self.markets.extend(self.ask("/future-markets", request.symbol, symbols_of, {}))
        if code not in self.markets:
            hint = did_you_mean(code, self.markets) if near(code, self.markets) else ""
            return fault(
                NAME, "unknown_symbol", symbol=request.symbol, hint=hint or "Symbols look like BTCUSDT_PERP.A."
            )
        span = f"{request.kind} from {utc_text(request.start)} to {utc_text(request.end)}"
        return fault(NAME, "empty", span, symbol=request.symbol, instead=INSTEAD[request.kind])


def key_of_user() -> Key:
    """Return the user's key; SourceError without one, or with one that can't be sent."""
    value = os.environ.get(variable(), "").strip()
    if not value:
        raise SourceError(f"Source coinalyze needs a key. {GET_ONE}", "needs_key")
    if not re.fullmatch(r"[!-~]+", value):
        raise SourceError(f"The key in {variable()} has blanks or signs that no key has. {GET_ONE}", "needs_key")
    return Key("api_key", value)


def variable() -> str:
    """Return the environment variable that holds the key."""
    return next((name for name in VARIABLES if os.environ.get(name, "").strip()), VARIABLES[0])


def too_old(request: Request, interval: int, oldest: int) -> str:
    """Return the sentence for a span that starts before what is kept."""
    instead = INSTEAD[request.kind]
    finer = "" if request.kind == "funding" else "interval 1d, or "
    return (
        f"Coinalyze keeps the last {KEPT:,} bars of {interval_text(interval)} at most ({KEPT * interval // DAY} days, since "
        f"{day_text(oldest)}); the span starts {day_text(request.start)}. Use {finer}{instead}."
    )


def bar_of(request: Request) -> int:
    """Return the interval that is asked of the source: funding comes from bars of 4 h, whose ends are settlements."""
    return 4 * HOUR if request.kind == "funding" else request.interval


def code_of(symbol: str) -> str:
    """Return a symbol as the source has it; one without a venue is Binance's perpetual.

    >>> code_of("BTCUSDT"), code_of("BTCUSD_PERP.0")
    ('BTCUSDT_PERP.A', 'BTCUSD_PERP.0')
    """
    return symbol if "." in symbol else f"{symbol.removesuffix('_PERP')}_PERP.A"


def is_linear(symbol: str) -> bool:
    """Whether a contract is settled in dollars, so that its open interest is counted in coins."""
    return re.search(r"USD[TC](_PERP)?\.|USD[TC]_PERP|USD[TC]$", code_of(symbol)) is not None


def history_of(found: Any) -> list[dict[str, Any]]:
    """Return the rows in an answer: [{"symbol": ..., "history": [{"t": seconds, ...}, ...]}], or [] where there is nothing."""
    if not isinstance(found, list) or len(found) > 1:
        raise UnreadableError("JSON of another form")
    rows = found[0].get("history") if found and isinstance(found[0], dict) else []
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("t"), int) and 0 <= row["t"] < LATEST for row in rows
    ):
        raise UnreadableError("JSON of another form")
    return rows


def symbols_of(found: Any) -> list[str]:
    """Return the symbols in the list of markets."""
    if not isinstance(found, list):
        raise UnreadableError("JSON of another form")
    return [str(row["symbol"]) for row in found if isinstance(row, dict) and "symbol" in row]


def near(code: str, markets: list[str]) -> bool:
    """Whether a name is like one that there is; without this all four thousand would be listed."""
    return "Did you mean" in did_you_mean(code, markets)


def times(rows: list[dict[str, Any]]) -> Int64:
    """Return the rows' times in ns."""
    return np.array([row["t"] for row in rows], dtype=np.int64) * SECOND


def numbers(rows: list[dict[str, Any]], name: str) -> Float:
    """Return one field of all rows, NaN where it is not there."""
    found = np.array(
        [row[name] if isinstance(row.get(name), int | float) else np.nan for row in rows], dtype=np.float64
    )
    return np.where(np.isfinite(found), found, np.nan)


def by_time(rows: list[dict[str, Any]]) -> dict[int, float]:
    """Return the closes of rows by their times in ns."""
    return dict(zip(times(rows).tolist(), numbers(rows, "c").tolist(), strict=True))


def page_of(request: Request, stamps: Int64, columns: dict[str, Float]) -> Page:
    """Return the rows of a request's span as its page, with a note where they begin late: older ones are deleted.

    UnreadableError for a row without any number.
    """
    if np.logical_and.reduce([np.isnan(values) for values in columns.values()]).any():
        raise UnreadableError("a row without a number")
    rows = tidy({"time": stamps, **columns})
    mine = (rows.columns["time"] >= request.start) & (rows.columns["time"] < request.end)
    kept = {name: values[mine] for name, values in rows.columns.items()}
    notes = list(rows.notes)
    step = SETTLED if request.kind == "funding" else request.interval
    if kept["time"].size and (first := int(kept["time"][0])) >= request.start + step:
        notes.append(
            f"{request.symbol} {request.kind}: Coinalyze begins {utc_text(first)}, asked from {utc_text(request.start)}."
        )
    return Page(kept, request.start, request.end, tuple(notes))
