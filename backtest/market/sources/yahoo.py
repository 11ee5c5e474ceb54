"""Yahoo through yfinance: daily and intraday bars of crypto (BTC-USD) and macro (^GSPC, ^VIX, DX-Y.NYB), without a key.

Asked with `Ticker.history`, never with `download`, which answers an error with an empty frame.
"""

import logging
import re
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.errors import SourceError
from backtest.market.clock import interval_text
from backtest.market.sources import http
from backtest.market.sources.base import Page, Request
from backtest.market.sources.courier import open_session
from backtest.market.sources.faults import check_request, fault, translate
from backtest.market.sources.guard import guarded
from backtest.market.sources.limits import Limit
from backtest.model.arrays import DAY, HOUR, SECOND, utc_text

__all__ = ["Yahoo", "spelled"]

MINUTE = 60 * SECOND
# interval -> how far back from now Yahoo gives its bars; daily ones since the listing.
REACH = {MINUTE: 8 * DAY, **dict.fromkeys((n * MINUTE for n in (2, 5, 15, 30)), 60 * DAY), HOUR: 730 * DAY}
ONE_REQUEST = {MINUTE: 7 * DAY}  # the longest span of one request where that is less
COARSER = (HOUR, DAY)
QUIET = 7 * DAY  # no market was closed for longer within the years that Yahoo has
LATE = 4 * DAY  # rows of the last days may still come: a long weekend looks the same
# When an exchange's session ends, by its time zone: on a half day Yahoo tells an earlier end, which must not stand for all days.
USUAL_CLOSE = {"America/New_York": timedelta(hours=16), "America/Chicago": timedelta(hours=15, minutes=15)}
UNUSUAL = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)  # what an unexpected chart makes of our reading
PRICES = ["Open", "High", "Low", "Close"]
CRYPTO = re.compile(r"[A-Z0-9]+-(USD|EUR|GBP|JPY|BTC|ETH)")


class Yahoo:
    """Yahoo's charts as a source of bars; symbols as Yahoo spells them, and "BTCUSDT" for BTC-USD.

    Daily bars carry the exchange's date at 00:00 UTC as `time`, and `known_at`: the end of the exchange's session in UTC,
    its next midnight where the session is not on record; crypto's days are UTC's. Prices are not adjusted for dividends.
    timeout: seconds without an answer; clock: now in ns UTC.
    """

    name = "yahoo"
    kinds = {"bars": (*REACH, DAY)}  # noqa: RUF012  never changed
    needs = ""
    concurrency = 1  # yfinance keeps one session for all of a process

    def __init__(self, *, timeout: float = http.TIMEOUT, clock: Callable[[], int] = time.time_ns) -> None:
        self.timeout, self.clock = timeout, clock
        self.limit = Limit(60, 60.0)  # unpublished; a person's pace
        self.lock = threading.Lock()
        self.session: Any = None
        self.tickers: dict[str, Any] = {}

    def plan(self, request: Request) -> list[Request]:
        """Cut a span into requests; SourceError "too_old" for intraday bars beyond Yahoo's limits, before anything is asked."""
        check_request(self, request)
        self.check_reach(request)
        end = min(request.end, self.clock() // request.interval * request.interval)
        size = ONE_REQUEST.get(request.interval, max(end - request.start, 1))
        starts = range(request.start, end, size)
        return [Request(**{**vars(request), "start": s, "end": min(s + size, end)}) for s in starts]

    def check_reach(self, request: Request) -> None:
        """Refuse a span that begins before what Yahoo gives of its interval."""
        age, reach = self.clock() - request.start, REACH.get(request.interval)
        if reach is None or age <= reach:
            return
        longer = [interval_text(i) for i in COARSER if i > request.interval and age <= REACH.get(i, age)]
        other = ", or source binance" if CRYPTO.fullmatch(spelled(request.symbol)) else ""
        raise SourceError(
            f"Yahoo limits {interval_text(request.interval)} bars to the last {reach // DAY} days; "
            f"the span starts {utc_text(request.start)[:10]}. Use interval {' or '.join(longer)}{other}.",
            "too_old",
        )

    @guarded
    def page(self, request: Request) -> Page:
        """Return the bars of a span that `plan` gave; SourceError where there is none and one was to be expected.

        An answer that ends early is asked for once more, from its end on; what a coin, which trades every day, then still
        lacks is not covered.
        """
        symbol, now = spelled(request.symbol), self.clock()
        columns, notes = self.bars(request, symbol)
        if not columns["time"].size:
            return self.without_bars(request, symbol)
        if request.end - (last := int(columns["time"][-1])) > QUIET:
            more, said = self.bars(replace(request, start=last + request.interval), symbol)
            if more["time"].size:
                columns = {name: np.concatenate([values, more[name]]) for name, values in columns.items()}
            notes += [note for note in said if note not in notes]
        first, last = int(columns["time"][0]), int(columns["time"][-1])
        if symbol != request.symbol:
            notes.append(f"{request.symbol} was read as Yahoo's {symbol}, in dollars.")
        if first - request.start > QUIET:
            notes.append(f"Yahoo has no bars of {symbol} before {utc_text(first)}.")
        lacks = request.end - last > QUIET
        if lacks:
            notes.append(f"Yahoo has no bars of {symbol} after {utc_text(last)}, asked up to {utc_text(request.end)}.")
        lacks = lacks and CRYPTO.fullmatch(symbol) is not None
        whole = request.end <= now - LATE and not lacks
        end = request.end if whole else min(request.end, last + request.interval)
        return Page(columns, request.start, end, tuple(notes))

    def bars(self, request: Request, symbol: str) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Return the closed bars that one answer gives of a span, perhaps none, and what is to be said of them."""
        try:
            with self.lock:
                frame, metadata = self.history(symbol, request)
        except SourceError as error:
            if error.cause != "empty":
                raise
            return empty_columns(), []
        try:
            bars, notes = tidy(frame, request.interval)
            columns = dated(bars, request.interval, metadata)
        except UNUSUAL as error:
            raise unusual(error, symbol) from None
        known = columns.get("known_at", columns["time"] + request.interval)
        kept = (columns["time"] >= request.start) & (columns["time"] < request.end) & (known <= self.clock())
        columns = {name: values[kept] for name, values in columns.items()}
        if CRYPTO.fullmatch(symbol) and kept.any():
            columns["volume"] = in_coins(columns)
            notes.append(
                f"Yahoo's volume of {symbol} is in {symbol.split('-')[1]}; "
                "it was turned into coins at the bar's typical price, (high + low + close) / 3."
            )
        return columns, notes

    def without_bars(self, request: Request, symbol: str) -> Page:
        """Return a page without bars where a weekend or holidays explain it; SourceError otherwise."""
        late = request.end > self.clock() - LATE
        if request.end - request.start <= QUIET and (late or not CRYPTO.fullmatch(symbol)):
            return Page(empty_columns(), request.start, request.start if late else request.end)
        raise fault("yahoo", "empty", f"{utc_text(request.start)} to {utc_text(request.end)}", symbol=symbol)

    def history(self, symbol: str, request: Request) -> tuple[Any, Any]:
        """Return yfinance's frame of a span and what Yahoo says of the symbol."""
        start, end = span_of(request)
        options = {"start": start, "end": end, "interval": interval_text(request.interval), "timeout": self.timeout}
        # Of 30 minutes yfinance makes rows for every night too, so they can't be told from rows that Yahoo left empty.
        options |= {"keepna": request.interval != 30 * MINUTE, "auto_adjust": False, "actions": False}
        try:
            with warnings.catch_warnings():
                ticker = self.ticker(import_module("yfinance"), symbol)
                # After the import, which sets a filter of its own: what pandas says about yfinance nobody here can heed.
                warnings.simplefilter("ignore")
                return ticker.history(**options), ticker.get_history_metadata()
        except UNUSUAL as error:
            raise unusual(error, symbol) from None
        except Exception as error:  # yfinance's own have no common base but this
            if any(c.__name__ == "YFTickerMissingError" for c in type(error).__mro__):
                raise fault("yahoo", "empty", symbol=symbol) from None
            raise translate(error, "yahoo", symbol=symbol) from None

    def ticker(self, yfinance: Any, symbol: str) -> Any:
        """Return yfinance's ticker of a symbol, set to raise what goes wrong and to keep no files."""
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # what matters is raised
        yfinance.config.debug.hide_exceptions = False
        # A folder that can't be made: without it yfinance keeps no databases, which lock when two processes fetch.
        yfinance.set_tz_cache_location(str(Path(__file__) / "none"))
        yfinance.data.YfData.cache_get.cache_clear()  # yfinance remembers answers, the wrong ones too
        if self.session is None:
            self.session = open_session(http.address("yahoo", ""), self.timeout, self.limit)
        if symbol not in self.tickers:
            self.tickers[symbol] = yfinance.Ticker(symbol, session=self.session)
        return self.tickers[symbol]


def unusual(error: Exception, symbol: str) -> SourceError:
    """Return the error of a chart in which something is not what it always was."""
    return fault("yahoo", "malformed", f"a chart in another form than usual: {type(error).__name__}", symbol=symbol)


def in_coins(columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return the volume of bars in coins where Yahoo's is money, NaN where there is no price to divide by."""
    typical = (columns["high"] + columns["low"] + columns["close"]) / 3
    coins: NDArray[np.float64] = np.full(typical.size, np.nan)
    np.divide(columns["volume"], typical, out=coins, where=typical > 0)
    return coins


def spelled(symbol: str) -> str:
    """Return a symbol as Yahoo spells it: a market's "BTCUSDT" is BTC-USD, all else stays.

    >>> spelled("BTCUSDT"), spelled("^VIX")
    ('BTC-USD', '^VIX')
    """
    match = re.fullmatch(r"([A-Z0-9]{2,})USDT", symbol)
    return f"{match[1]}-USD" if match else symbol


def span_of(request: Request) -> tuple[date, date]:
    """Return start and end as yfinance takes them: dates of the exchange for days, times in UTC for less."""
    start, end = (datetime.fromtimestamp(-(-t // SECOND), UTC) for t in (request.start, request.end))
    if request.interval < DAY:
        return start, end
    one = timedelta(days=1) - timedelta(microseconds=1)
    return (start + one).date(), (end + one).date()


def tidy(frame: Any, interval: int) -> tuple[Any, list[str]]:
    """Return a frame without rows that are no bars, and what was left out, as sentences."""
    notes = []
    blank = frame[PRICES].isna().any(axis=1).to_numpy()
    if blank.any():
        days = sorted({t.strftime("%Y-%m-%d") for t in frame.index[blank]})
        more = ", ..." if len(days) > 3 else ""
        notes.append(f"Rows without prices, left out: {int(blank.sum())} ({', '.join(days[:3])}{more}).")
    frame = frame[~blank]
    stamps = utc_ns(frame.index)
    # After the last bar Yahoo puts the latest quote, at its own second or once more at the same time.
    live = len(stamps) > 1 and interval < DAY and stamps[-1] - stamps[-2] < interval
    if live:
        notes.append(f"The latest quote, at {utc_text(int(stamps[-1]))}, is no bar and was left out.")
    return (frame[:-1] if live else frame), notes


def dated(frame: Any, interval: int, metadata: Any) -> dict[str, NDArray[Any]]:
    """Return a frame as the columns of a page; days get the time at which they were known, unless they are UTC's."""
    columns = {name.lower(): frame[name].to_numpy(np.float64) for name in (*PRICES, "Volume")}
    if interval < DAY:
        return {"time": utc_ns(frame.index), **columns}
    days, zone = frame.index.tz_localize(None).normalize(), metadata["exchangeTimezoneName"]
    columns = {"time": utc_ns(days), **columns}
    if zone == "UTC":
        return columns
    wall = days + session_end(zone, (metadata.get("currentTradingPeriod") or {}).get("regular") or {})
    later = np.zeros(len(wall), dtype=bool)  # an hour that comes twice: the second of the two
    close = wall.tz_localize(zone, ambiguous=later, nonexistent="shift_forward")
    return {**columns, "known_at": utc_ns(close)}


def session_end(zone: str, regular: Any) -> timedelta:
    """Return when a day's session ends, from its midnight on: never before the usual end, midnight where none is on record."""
    usual, whole = USUAL_CLOSE.get(zone), timedelta(days=1)
    if usual is None or "start" not in regular or "end" not in regular:
        return whole
    start, end = (moment(regular[key], zone) for key in ("start", "end"))
    if end - start >= timedelta(hours=23) or end.date() != start.date():
        return whole
    return max(usual, timedelta(hours=end.hour, minutes=end.minute, seconds=end.second))


def moment(value: Any, zone: str) -> Any:
    """Return a time of Yahoo's, in seconds or as yfinance made of it, on the clock of the exchange."""
    from pandas import Timestamp

    return (Timestamp(value, unit="s", tz="UTC") if isinstance(value, int | float) else value).tz_convert(zone)


def utc_ns(index: Any) -> NDArray[np.int64]:
    """Return a time index as ns UTC; one without a zone is UTC."""
    times: NDArray[np.int64] = (index.tz_convert("UTC") if index.tz else index).as_unit("ns").asi8
    return times


def empty_columns() -> dict[str, NDArray[Any]]:
    """Return the columns of bars without a row."""
    names = ("open", "high", "low", "close", "volume")
    return {"time": np.empty(0, np.int64), **{name: np.empty(0, np.float64) for name in names}}
