"""Yahoo's chart interface as yfinance asks it: one JSON document a span, stamps in seconds, nulls where there was no trade."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.servers.base import Asked, Reply, Server, as_json

SECONDS = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1800, "60m": 3600, "1h": 3600, "1d": 86_400}
CHART = "/v8/finance/chart/"


@dataclass
class Symbol:
    """A symbol: its exchange's zone and session (local, as hours), what it is, its first day, and now in seconds UTC.

    A bar with number k (days since 2024-01-01, or intervals since then) opens at 100 + k % 10, high + 2, low - 1, close + 1; its
    volume is `volume`; with `price` (of a time in seconds UTC) it opens and closes at that.
    blank: dates whose row holds nulls; closed: dates without a row; end: the session's end as
    `currentTradingPeriod` tells it, where that is not the usual one; live: seconds at which the latest quote is put after the
    last bar.
    """

    zone: str = "America/New_York"
    session: tuple[float, float] = (9.5, 16.0)
    kind: str = "INDEX"
    first: date = date(2024, 1, 1)
    now: int = int(datetime(2024, 3, 20, tzinfo=UTC).timestamp())
    volume: int = 0
    blank: tuple[date, ...] = ()
    closed: tuple[date, ...] = ()
    end: float | None = None
    live: int | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    price: Callable[[int], float] | None = None

    def local(self, day: date, hour: float) -> int:
        return int(
            (datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)) + timedelta(hours=hour)).timestamp()
        )

    def open_on(self, day: date) -> bool:
        return day >= self.first and day not in self.closed and (self.kind == "CRYPTOCURRENCY" or day.weekday() < 5)


def anything(prices: Callable[[str, int], float]) -> Callable[[str], Symbol]:
    """Return what makes up a history up to now for any name: coins by `prices` (of name and seconds), else an index."""
    now = int(time.time())

    def made(name: str) -> Symbol:
        if not name.endswith("-USD"):
            return Symbol(first=date(2010, 1, 1), now=now)
        return bitcoin(first=date(2014, 9, 17), now=now, price=lambda t: prices(name, t))

    return made


def bitcoin(**options: object) -> Symbol:
    given: dict[str, object] = {"zone": "UTC", "session": (0.0, 24.0), "kind": "CRYPTOCURRENCY", "volume": 1000}
    return Symbol(**{**given, **options})  # type: ignore[arg-type]


class YahooServer(Server):
    """`symbols`: name -> what it is. Cookie and crumb are given to whoever asks. asked_for: what a symbol that is not named is."""

    def __init__(
        self, symbols: Mapping[str, Symbol] | None = None, asked_for: Callable[[str], Symbol | None] = lambda name: None
    ) -> None:
        super().__init__()
        self.symbols = dict(symbols if symbols is not None else {"BTC-USD": bitcoin(), "^GSPC": Symbol()})
        self.asked_for = asked_for

    def answer(self, asked: Asked) -> Reply:
        if not asked.path.startswith(CHART):
            return Reply(200, b"crumb", {"Content-Type": "text/plain"})
        name = asked.path.removeprefix(CHART)
        symbol = self.symbols.get(name) or self.asked_for(name)
        if symbol is None:
            return failed("Not Found", "No data found, symbol may be delisted", 404)
        return chart(name, symbol, asked.query)

    @property
    def spans(self) -> list[Mapping[str, str]]:
        """The queries that asked for a span."""
        return [asked.query for asked in self.asked if "period1" in asked.query]


def failed(code: str, said: str, status: int) -> Reply:
    return as_json({"chart": {"result": None, "error": {"code": code, "description": said}}}, status)


def chart(name: str, symbol: Symbol, query: Mapping[str, str]) -> Reply:
    interval = query["interval"]
    end = min(int(query.get("period2", symbol.now)), symbol.now)
    start = int(query.get("period1", symbol.now - 5 * 86_400))
    first = max(datetime.fromtimestamp(start, UTC).date() - timedelta(days=2), symbol.first)
    days = [first + timedelta(days=n) for n in range((end - start) // 86_400 + 5)]
    days = [d for d in days if symbol.open_on(d) and start <= symbol.local(d, 24) and symbol.local(d, 0) <= end]
    stamps = [t for d in days for t in stamps_of(symbol, d, interval) if start <= t < end]
    if not stamps and "period1" in query:
        return failed("Bad Request", f"Data doesn't exist for startDate = {start}, endDate = {end}", 400)
    blank = {t for d in symbol.blank for t in stamps_of(symbol, d, interval)}
    rows = [None if t in blank else bar(t, SECONDS[interval], symbol) for t in stamps]
    if symbol.live is not None:
        stamps, rows = [*stamps, symbol.live], [*rows, bar(symbol.live, SECONDS[interval], symbol)]
    quote = {
        column: [None if row is None else row[i] for row in rows]
        for i, column in enumerate(("open", "high", "low", "close", "volume"))
    }
    result = {
        "meta": {**meta(name, symbol, interval, days), **symbol.metadata},
        "timestamp": stamps,
        "indicators": {"quote": [quote], **({"adjclose": [{"adjclose": quote["close"]}]} if interval == "1d" else {})},
    }
    return as_json({"chart": {"result": [result], "error": None}})


def stamps_of(symbol: Symbol, day: date, interval: str) -> list[int]:
    """Days are stamped by the opening of the session, crypto's by midnight."""
    opening = symbol.local(day, symbol.session[0])
    if interval == "1d":
        return [opening]
    return list(range(opening, symbol.local(day, symbol.session[1]), SECONDS[interval]))


def bar(t: int, seconds: int, symbol: Symbol) -> list[float]:
    if symbol.price is not None:
        opened, closed = symbol.price(t), symbol.price(t + seconds)
        return [opened, 1.001 * max(opened, closed), 0.999 * min(opened, closed), closed, symbol.volume]
    opened = 100.0 + (t - 1_704_067_200) // seconds % 10
    return [opened, opened + 2, opened - 1, opened + 1, symbol.volume]


def meta(name: str, symbol: Symbol, interval: str, days: list[date]) -> dict[str, object]:
    today = datetime.fromtimestamp(symbol.now, ZoneInfo(symbol.zone)).date()
    end = symbol.session[1] if symbol.end is None else symbol.end
    found: dict[str, object] = {
        "currency": "USD",
        "symbol": name,
        "exchangeName": "SNP",
        "instrumentType": symbol.kind,
        "firstTradeDate": symbol.local(symbol.first, symbol.session[0]),
        "regularMarketTime": symbol.now,
        "hasPrePostMarketData": False,
        "gmtoffset": 0,
        "timezone": "",
        "exchangeTimezoneName": symbol.zone,
        "currentTradingPeriod": {
            part: {
                "timezone": "",
                "start": symbol.local(today, symbol.session[0]),
                "end": symbol.local(today, end) - (symbol.kind == "CRYPTOCURRENCY") * 60,
                "gmtoffset": 0,
            }
            for part in ("pre", "regular", "post")
        },
        "dataGranularity": interval,
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "max"],
    }
    if interval != "1d":
        sessions = [(symbol.local(d, symbol.session[0]), symbol.local(d, symbol.session[1])) for d in days]
        periods = [[{"timezone": "", "start": a, "end": b, "gmtoffset": 0}] for a, b in sessions]
        found["tradingPeriods"] = periods
    return found
