"""Binance's public REST interface, futures and spot: the answers that its documentation shows, rows oldest first."""

from collections.abc import Mapping

from tests.servers.base import Asked, Reply, Server, as_json
from tests.servers.book import DAY, HOUR, MINUTE, Book

UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
KLINES = {
    "/fapi/v1/klines": 1500,
    "/fapi/v1/markPriceKlines": 1500,
    "/fapi/v1/premiumIndexKlines": 1500,
    "/api/v3/klines": 1000,
}
UNKNOWN = {"code": -1121, "msg": "Invalid symbol."}


def length(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


class BinanceServer(Server):
    """`books`: symbol -> what it traded, the same for futures and spot."""

    def __init__(self, **books: Book) -> None:
        super().__init__()
        self.books = books or {"BTCUSDT": Book()}

    def answer(self, asked: Asked) -> Reply:
        if asked.path in ("/fapi/v1/exchangeInfo", "/api/v3/exchangeInfo"):
            spot = asked.path.startswith("/api")
            return as_json({"timezone": "UTC", "symbols": [listing(s, b, spot) for s, b in self.books.items()]})
        book = self.books.get(asked.query.get("symbol", ""))
        if book is None:
            return as_json(UNKNOWN, 400)
        if asked.path in KLINES:
            return klines(book, asked.path, asked.query)
        if asked.path == "/fapi/v1/fundingRate":
            return funding(book, asked.query)
        if asked.path == "/futures/data/openInterestHist":
            return interest(book, asked.query)
        return as_json({"code": -1, "msg": f"no path {asked.path}"}, 404)


def span(query: Mapping[str, str], book: Book) -> tuple[int, int]:
    return int(query.get("startTime", book.listed)), int(query.get("endTime", book.now))


def klines(book: Book, path: str, query: Mapping[str, str]) -> Reply:
    """[open time, open, high, low, close, volume, close time, quote volume, trades, taker coins, taker quote, ignore]."""
    every, limit = length(query["interval"]), int(query.get("limit", 500))
    if limit > KLINES[path]:
        return as_json({"code": -1130, "msg": "Data sent for parameter 'limit' is not valid."}, 400)
    rows = []
    for t in book.stamps(every, *span(query, book))[: book.cut(limit)]:
        o, h, low, c, v = book.bar(t, every)
        last = f"{v:.3f}" if "rice" not in path and "remium" not in path else "0"
        rows.append(
            [
                book.stamped(t, every),
                f"{o:.2f}",
                f"{h:.2f}",
                f"{low:.2f}",
                f"{c:.2f}",
                last,
                t + every - 1,
                "0",
                9,
                "0",
                "0",
                "0",
            ]
        )
    return as_json(rows)


def funding(book: Book, query: Mapping[str, str]) -> Reply:
    """The mark price is an empty text where it was not recorded yet, before late 2023."""
    found = book.funding(*span(query, book))[: book.cut(int(query.get("limit", 100)))]
    symbol = query["symbol"]
    return as_json(
        [
            {"symbol": symbol, "fundingTime": t, "fundingRate": f"{r:.8f}", "markPrice": "50000.5" if i else ""}
            for i, (t, r) in enumerate(found)
        ]
    )


def interest(book: Book, query: Mapping[str, str]) -> Reply:
    start, end = span(query, book)
    if start < book.now - 30 * DAY:
        return as_json({"code": -1130, "msg": "parameter 'startTime' is invalid."}, 400)
    found = book.interest(length(query["period"]), start, end)[: book.cut(int(query.get("limit", 30)))]
    return as_json(
        [
            {"symbol": query["symbol"], "sumOpenInterest": f"{c}", "sumOpenInterestValue": f"{u}", "timestamp": t}
            for t, c, u in found
        ]
    )


def listing(symbol: str, book: Book, spot: bool) -> dict[str, object]:
    base = symbol.removesuffix("USDT")
    common = {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
    }
    if spot:
        return {**common, "isSpotTradingAllowed": True, "permissions": ["SPOT"]}
    return {
        **common,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": book.listed,
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "maintMarginPercent": "2.5000",
        "liquidationFee": "0.012500",
    }
