"""Bybit's public v5 REST interface: every answer in an envelope with a code, rows newest first and as texts."""

from collections.abc import Mapping

from tests.servers.base import Asked, Reply, Server, as_json
from tests.servers.book import DAY, HOUR, MINUTE, Book

KLINES = {
    "/v5/market/kline": 7,
    "/v5/market/mark-price-kline": 5,
    "/v5/market/premium-index-price-kline": 5,
}  # path -> fields of a row
PERIODS = {"5min": 5 * MINUTE, "15min": 15 * MINUTE, "30min": 30 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY}
TIERS = (
    ("2000000", "0.005", "0.01", "100.00"),
    ("4000000", "0.01", "0.0173", "57.80"),
    ("6000000", "0.015", "0.02", "50"),
)


class BybitServer(Server):
    """`books`: symbol -> what it traded; `percent`: the tiers' rates in percent, as older answers had them."""

    def __init__(self, **books: Book) -> None:
        super().__init__()
        self.books = books or {"BTCUSDT": Book()}
        self.percent = False

    def answer(self, asked: Asked) -> Reply:
        query = asked.query
        if asked.path == "/v5/market/instruments-info":
            waiting = query.get("status") == "PreLaunch"
            rows = [] if waiting else [listing(s, b) for s, b in self.books.items()]
            return enveloped({"category": query["category"], "list": rows, "nextPageCursor": ""})
        book = self.books.get(query.get("symbol", ""))
        if book is None:
            return enveloped({}, 10001, "params error: Symbol Is Invalid")
        if asked.path in KLINES:
            return enveloped({"symbol": query["symbol"], "category": query["category"], "list": klines(book, asked)})
        if asked.path == "/v5/market/funding/history":
            return enveloped({"category": query["category"], "list": funding(book, query)})
        if asked.path == "/v5/market/open-interest":
            return enveloped({**query, "list": interest(book, query), "nextPageCursor": ""})
        if asked.path == "/v5/market/risk-limit":
            return enveloped({"category": query["category"], "list": tiers(query["symbol"], self.percent)})
        return as_json({}, 404)


def enveloped(result: object, code: int = 0, said: str = "OK") -> Reply:
    return as_json({"retCode": code, "retMsg": said, "result": result, "retExtInfo": {}, "time": 1672025956592})


def newest(rows: list[object], book: Book, query: Mapping[str, str], usual: int) -> list[object]:
    return rows[::-1][: book.cut(int(query.get("limit", usual)))]


def klines(book: Book, asked: Asked) -> list[object]:
    query = asked.query
    every = DAY if query["interval"] == "D" else int(query["interval"]) * MINUTE
    start, end = int(query.get("start", book.listed)), int(query.get("end", book.now))
    rows: list[object] = []
    for t in book.stamps(every, start // every * every, end):
        values = [book.stamped(t, every), *book.bar(t, every), 0.5]
        rows.append([str(v) for v in values[: KLINES[asked.path]]])
    return newest(rows, book, query, 200)


def funding(book: Book, query: Mapping[str, str]) -> list[object]:
    found = book.funding(int(query["startTime"]), int(query["endTime"]))
    rows: list[object] = [
        {"symbol": query["symbol"], "fundingRate": f"{r:.8f}", "fundingRateTimestamp": str(t)} for t, r in found
    ]
    return newest(rows, book, query, 200)


def interest(book: Book, query: Mapping[str, str]) -> list[object]:
    found = book.interest(PERIODS[query["intervalTime"]], int(query["startTime"]), int(query["endTime"]))
    return newest([{"openInterest": f"{c:.8f}", "timestamp": str(t)} for t, c, _ in found], book, query, 50)


def tiers(symbol: str, percent: bool) -> list[object]:
    factor = 100 if percent else 1
    return [
        {
            "id": i,
            "symbol": symbol,
            "riskLimitValue": size,
            "maintenanceMargin": f"{float(rate) * factor:g}",
            "initialMargin": first,
            "isLowestRisk": int(i == 1),
            "maxLeverage": leverage,
        }
        for i, (size, rate, first, leverage) in enumerate(TIERS, 1)
    ]


def listing(symbol: str, book: Book) -> dict[str, object]:
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": symbol.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "launchTime": str(book.listed),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.10", "maxPrice": "199999.80", "tickSize": "0.10"},
        "lotSizeFilter": {"maxOrderQty": "100.000", "minOrderQty": "0.001", "qtyStep": "0.001"},
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": "USDT",
    }
