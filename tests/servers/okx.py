"""OKX's public v5 REST interface: envelope with a code, rows newest first; `before` and `after` are bounds, both exclusive.

`before` gives the rows newer than it, `after` those older than it: the words name the place on the page, not the time.
"""

from collections.abc import Mapping

from tests.servers.base import Asked, Reply, Server, as_json
from tests.servers.book import DAY, HOUR, MINUTE, Book

CANDLES = {
    "/api/v5/market/candles": (300, 9),
    "/api/v5/market/history-candles": (300, 9),
    "/api/v5/market/mark-price-candles": (100, 6),
    "/api/v5/market/history-mark-price-candles": (100, 6),
}  # path -> (rows at most, fields of a row)
UNITS = {"m": MINUTE, "H": HOUR, "D": DAY}
HONG_KONG = 8 * HOUR


class OkxServer(Server):
    """`books`: instrument such as BTC-USDT-SWAP -> what it traded."""

    def __init__(self, books: Mapping[str, Book] | None = None) -> None:
        super().__init__()
        self.books = dict(books or {"BTC-USDT-SWAP": Book(), "BTC-USDT": Book(), "BTC-USD-SWAP": Book()})

    def answer(self, asked: Asked) -> Reply:
        query = asked.query
        if asked.path == "/api/v5/public/instruments":
            return enveloped([listing(i, b) for i, b in self.books.items() if kind_of(i) == query["instType"]])
        book = self.books.get(query.get("instId", ""))
        if book is None:
            return enveloped([], "51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        if asked.path in CANDLES:
            return candles(book, asked)
        if asked.path == "/api/v5/public/funding-rate-history":
            return funding(book, query)
        if asked.path == "/api/v5/rubik/stat/contracts/open-interest-history":
            return interest(book, query)
        return as_json({}, 404)


def enveloped(data: object, code: str = "0", said: str = "") -> Reply:
    return as_json({"code": code, "msg": said, "data": data})


def kind_of(instrument: str) -> str:
    return "SWAP" if instrument.endswith("-SWAP") else "SPOT"


def opening(text: str) -> tuple[int, int]:
    """Length of a bar, and how far past UTC midnight it opens: 16:00 for 6H and longer, unless asked for in UTC."""
    plain = text.removesuffix("utc")
    every = int(plain[:-1]) * UNITS[plain[-1]]
    return every, (-HONG_KONG % every if every >= 6 * HOUR and plain == text else 0)


def bounds(query: Mapping[str, str], book: Book, low: str, high: str) -> tuple[int, int]:
    return int(query.get(low, book.listed - 1)) + 1, int(query.get(high, book.now + 1)) - 1


def newest(rows: list[object], book: Book, query: Mapping[str, str], usual: int, most: int) -> Reply:
    limit = min(int(query.get("limit", usual)), most)
    return enveloped(rows[::-1][: book.cut(limit)])


def candles(book: Book, asked: Asked) -> Reply:
    """[ts, o, h, l, c, contracts, coins, quote, confirm]; of spot coins, quote, quote; of the mark no volume at all."""
    query, (most, fields) = asked.query, CANDLES[asked.path]
    every, shift = opening(query["bar"])
    start, end = bounds(query, book, "before", "after")
    rows: list[object] = []
    for t in book.stamps(every, start - shift, end - shift):
        o, h, low, c, coins = book.bar(t, every)
        swap = [coins * 100, coins, coins * o]
        volumes = [] if fields == 6 else swap if kind_of(query["instId"]) == "SWAP" else [coins, coins * o, coins * o]
        rows.append([str(v) for v in (book.stamped(t, every) + shift, o, h, low, c, *volumes, "1")])
    return newest(rows, book, query, 100, most)


def funding(book: Book, query: Mapping[str, str]) -> Reply:
    start, end = bounds(query, book, "before", "after")
    found = book.funding(max(start, book.now - 90 * DAY), end)
    rows: list[object] = [
        {
            "instType": "SWAP",
            "instId": query["instId"],
            "fundingRate": f"{r + 0.0005:.8f}",
            "realizedRate": f"{r:.8f}",
            "fundingTime": str(t),
            "method": "current_period",
        }
        for t, r in found
    ]
    return newest(rows, book, query, 100, 400)


def interest(book: Book, query: Mapping[str, str]) -> Reply:
    every, shift = opening(query["period"])
    start, end = bounds(query, book, "begin", "end")
    found = book.interest(every, max(start, book.now - 1440 * every) - shift, end - shift)
    return newest([[str(t + shift), str(c * 100), str(c), str(u)] for t, c, u in found], book, query, 100, 100)


def listing(instrument: str, book: Book) -> dict[str, object]:
    base, quote = instrument.split("-")[:2]
    swap = kind_of(instrument) == "SWAP"
    inverse = quote == "USD"
    return {
        "instType": kind_of(instrument),
        "instId": instrument,
        "uly": f"{base}-{quote}" if swap else "",
        "instFamily": f"{base}-{quote}" if swap else "",
        "baseCcy": "" if swap else base,
        "quoteCcy": "" if swap else quote,
        "settleCcy": (base if inverse else quote) if swap else "",
        "ctVal": ("100" if inverse else "0.01") if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": (quote if inverse else base) if swap else "",
        "ctType": ("inverse" if inverse else "linear") if swap else "",
        "listTime": str(book.listed),
        "expTime": "",
        "lever": "100",
        "tickSz": "0.1",
        "lotSz": "0.01",
        "minSz": "0.01",
        "state": "live",
    }
