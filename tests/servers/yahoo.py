"""Yahoo's chart interface as yfinance asks it: one JSON document a span, stamps in seconds, nulls where there was no trade."""

from collections.abc import Mapping
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
    volume is `volume`. blank: dates whose row holds nulls; closed: dates without a row; end: the session's end as
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

    def local(self, day: date, hour: float) -> int:
        return int(
            (datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)) + timedelta(hours=hour)).timestamp()
        )

    def open_on(self, day: date) -> bool:
        return day >= self.first and day not in self.closed and (self.kind == "CRYPTOCURRENCY" or day.weekday() < 5)


def bitcoin(**options: object) -> Symbol:
    given: dict[str, object] = {"zone": "UTC", "session": (0.0, 24.0), "kind": "CRYPTOCURRENCY", "volume": 1000}
    return Symbol(**{**given, **options})  # type: ignore[arg-type]


class YahooServer(Server):
    """`symbols`: name -> what it is. Cookie and crumb are given to whoever asks."""

    def __init__(self, symbols: Mapping[str, Symbol] | None = None) -> None:
        super().__init__()
        self.symbols = dict(symbols or {"BTC-USD": bitcoin(), "^GSPC": Symbol()})

    def answer(self, asked: Asked) -> Reply:
        if not asked.path.startswith(CHART):
            return Reply(200, b"crumb", {"Content-Type": "text/plain"})
        name = asked.path.removeprefix(CHART)
        if name not in self.symbols:
            return failed("Not Found", "No data found, symbol may be delisted", 404)
        return chart(name, self.symbols[name], asked.query)

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
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(-400, 800)]
    days = [d for d in days if symbol.open_on(d) and start <= symbol.local(d, 24) and symbol.local(d, 0) <= end]
    stamps = [t for d in days for t in stamps_of(symbol, d, interval) if start <= t < end]
    if not stamps and "period1" in query:
        return failed("Bad Request", f"Data doesn't exist for startDate = {start}, endDate = {end}", 400)
    blank = {t for d in symbol.blank for t in stamps_of(symbol, d, interval)}
    rows = [None if t in blank else bar(t, SECONDS[interval], symbol.volume) for t in stamps]
    if symbol.live is not None:
        stamps, rows = [*stamps, symbol.live], [*rows, bar(symbol.live, SECONDS[interval], symbol.volume)]
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


def bar(t: int, seconds: int, volume: int) -> list[float]:
    opened = 100.0 + (t - 1_704_067_200) // seconds % 10
    return [opened, opened + 2, opened - 1, opened + 1, volume]


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
