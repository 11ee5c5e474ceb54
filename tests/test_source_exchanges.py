"""Binance, Bybit and OKX through ccxt, against servers on loopback that answer as each of them documents."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import SourceError
from backtest.market.clock import parse_time
from backtest.market.sources import Page, Request, clocks, get_source
from backtest.market.sources.exchanges import Exchange
from backtest.market.sources.walk import Rows, snap, walk
from backtest.model.arrays import DAY, HOUR, SECOND
from tests.servers import book as made
from tests.servers.binance import BinanceServer
from tests.servers.book import JULY, Book
from tests.servers.bybit import BybitServer
from tests.servers.okx import OkxServer

MS = 1_000_000
MINUTE = 60 * SECOND
START = JULY * MS  # 2025-07-01T00:00Z
NOW = START + 40 * DAY
NAMES = ("binance", "bybit", "okx")


@dataclass
class Place:
    """A source, the server that it asks, and the book of its BTCUSDT."""

    source: Exchange
    server: Any
    book: Book
    now: list[int] = field(default_factory=lambda: [NOW])

    def request(self, kind: str, interval: int, start: int, end: int, symbol: str = "BTCUSDT") -> Request:
        return Request(self.source.name, symbol, kind, interval, START + start, START + end)

    def pages(self, *arguments: Any, **options: Any) -> list[Page]:
        return [self.source.page(part) for part in self.source.plan(self.request(*arguments, **options))]

    def columns(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The rows of all pages after another."""
        pages = self.pages(*arguments, **options)
        return {name: np.concatenate([p.columns[name] for p in pages]) for name in pages[0].columns}

    def data_paths(self) -> list[str]:
        return [p for p in self.server.paths if "nfo" not in p and "instruments" not in p]


def place(name: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Place:
    book = Book(**options)
    makers: dict[str, Any] = {
        "binance": lambda: BinanceServer(BTCUSDT=book, ETHUSDT=Book()),
        "bybit": lambda: BybitServer(BTCUSDT=book, ETHUSDT=Book()),
        "okx": lambda: OkxServer(
            {"BTC-USDT-SWAP": book, "ETH-USDT-SWAP": Book(), "BTC-USD-SWAP": Book(), "BTC-USDT": book}
        ),
    }
    server = makers[name]()
    server.__enter__()
    monkeypatch.setenv(f"BACKTEST_URL_{name.upper()}", server.url)
    now = [NOW]
    return Place(Exchange(name, timeout=1.0, clock=lambda: now[0]), server, book, now)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")


@pytest.fixture(params=NAMES)
def at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = place(request.param, monkeypatch)
    yield found
    found.server.stop()


def venue(name: str) -> Any:
    """A fixture-like parametrisation for tests of one exchange."""
    return pytest.mark.parametrize("at", [name], indirect=True)


# --- rows, worked by hand -------------------------------------------------------------------------------------------
# 2025-07-01T00:00Z is hour 486,480 and day 20,270 of the epoch; see tests/servers/book.py for a bar's numbers.


def test_bars(at):
    found = at.columns("bars", HOUR, 0, 3 * HOUR)
    assert found["time"].tolist() == [START, START + HOUR, START + 2 * HOUR]
    assert found["time"].dtype == np.int64
    assert found["open"].tolist() == [100.0, 101.0, 102.0]
    assert found["high"].tolist() == [102.0, 103.0, 104.0]
    assert found["low"].tolist() == [99.0, 100.0, 101.0]
    assert found["close"].tolist() == [101.0, 102.0, 103.0]
    assert found["volume"].tolist() == [0.5, 1.5, 2.5], "coins, not contracts"


def test_mark_has_no_volume(at):
    found = at.columns("mark", HOUR, 0, 2 * HOUR)
    assert list(found) == ["time", "open", "high", "low", "close"]
    assert found["close"].tolist() == [101.0, 102.0]
    assert all("ark" in path for path in at.data_paths())


@pytest.mark.parametrize("at", ["binance", "bybit"], indirect=True)
def test_premium(at):
    assert at.columns("premium", HOUR, 0, HOUR)["open"].tolist() == [100.0]
    assert all("remium" in path for path in at.data_paths())


@venue("okx")
def test_okx_has_no_premium(at):
    with pytest.raises(SourceError, match=r"OKX has no premium\."):
        at.pages("premium", HOUR, 0, HOUR)


def test_funding(at):
    # 8-hourly number 60,810 of the epoch is that of 2025-07-01T00:00Z; 60,810 % 3 = 0.
    found = at.columns("funding", 0, 0, DAY)
    assert found["time"].tolist() == [START, START + 8 * HOUR, START + 16 * HOUR]
    assert found["rate"].tolist() == pytest.approx([0.0, 0.0001, 0.0002])


@venue("binance")
def test_funding_carries_the_mark_price_where_binance_gives_it(at):
    found = at.columns("funding", 0, 0, DAY)
    assert np.isnan(found["mark"][0])
    assert found["mark"][1:].tolist() == [50_000.5, 50_000.5]


@venue("okx")
def test_okx_funding_is_the_realized_rate(at):
    # The server gives 0.0005 more as the predicted one.
    assert at.columns("funding", 0, 8 * HOUR, 9 * HOUR)["rate"].tolist() == pytest.approx([0.0001])


def test_open_interest(at):
    # 486,480 + 24 * 20 = 486,960 hours, and 486,960 % 7 = 5.
    found = at.columns("open_interest", HOUR, 20 * DAY, 20 * DAY + 2 * HOUR)
    assert found["coins"].tolist() == [1005.0, 1006.0]
    usd = [np.nan, np.nan] if at.source.name == "bybit" else [50_250_000.0, 50_300_000.0]
    np.testing.assert_array_equal(found["usd"], usd)
    assert list(found) == ["time", "coins", "usd"], "known one interval after its stamp, which needs no column"


def test_days_open_at_midnight_utc(at):
    bars = at.columns("bars", DAY, 0, 2 * DAY)
    assert bars["time"].tolist() == [START, START + DAY]
    interest = at.columns("open_interest", DAY, 20 * DAY, 22 * DAY)
    assert interest["time"].tolist() == [START + 20 * DAY, START + 21 * DAY]


@venue("okx")
def test_okx_days_are_asked_for_in_utc(at):
    at.pages("bars", DAY, 0, DAY)
    at.pages("open_interest", DAY, 20 * DAY, 21 * DAY)
    asked = [q.query.get("bar") or q.query.get("period") for q in at.server.asked if "instruments" not in q.path]
    assert asked == ["1Dutc", "1Dutc"], "1D opens at 16:00 UTC"


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "kind", "interval", "days", "pages"),
    [
        ("binance", "bars", HOUR, 50, 2),  # 1,200 rows in pages of 998
        ("bybit", "mark", HOUR, 50, 2),
        ("okx", "bars", HOUR, 50, 5),  # of 298
        ("okx", "mark", HOUR, 8, 2),  # 192 rows in pages of 98
        ("binance", "open_interest", 5 * MINUTE, 2, 2),  # 576 rows in pages of 498
        ("bybit", "open_interest", HOUR, 10, 2),  # 240 rows in pages of 198
        ("bybit", "funding", 0, 70, 2),  # 210 rows in pages of 66 days
        ("binance", "funding", 0, 70, 1),
    ],
    indirect=["at"],
)
def test_a_span_is_cut_by_the_limit_of_the_call(at, kind, interval, days, pages):
    start = 30 * DAY - days * DAY if kind != "open_interest" else 15 * DAY
    parts = at.source.plan(at.request(kind, interval, start, start + days * DAY))
    assert len(parts) == pages
    assert parts[0].start == START + start
    assert parts[-1].end == START + start + days * DAY
    assert all(a.end == b.start for a, b in pairwise(parts))
    found = at.columns(kind, interval, start, start + days * DAY)
    every = interval or 8 * HOUR
    assert found["time"].tolist() == list(range(START + start, START + start + days * DAY, every))
    assert len(at.data_paths()) == pages, "one call a page"


def test_a_page_that_ends_early_is_asked_again_from_its_last_row(at):
    at.book.most = 7
    found = at.columns("bars", HOUR, 0, DAY)
    assert found["time"].tolist() == list(range(START, START + DAY, HOUR))
    assert found["open"].tolist() == [100.0 + k % 10 for k in range(24)]
    assert len(at.data_paths()) == 4, "7 + 7 + 7 + 3 rows"
    assert not at.pages("bars", HOUR, 0, DAY)[0].notes


def test_funding_by_the_hour_is_complete_though_a_page_counts_on_eight(at):
    at.book.funding_every = made.HOUR
    start = 0 if at.source.name == "okx" else -20 * DAY
    found = at.columns("funding", 0, start, 35 * DAY)
    assert found["time"].tolist() == list(range(START + start, START + 35 * DAY, HOUR))


def test_stamps_that_jitter_are_moved_to_the_grid_and_fundings_to_the_second(at):
    at.book.jitter = lambda k: (k % 3 - 1) * 4  # -4, 0 or 4 ms
    assert at.columns("bars", HOUR, 0, 3 * DAY)["time"].tolist() == list(range(START, START + 3 * DAY, HOUR))
    start = 15 * DAY
    for kind, every in (("funding", 8 * HOUR), ("open_interest", HOUR)):
        interval = 0 if kind == "funding" else every
        ends = range(start, start + 3 * DAY, DAY)
        pages = [p for a in ends for p in at.pages(kind, interval, a, a + DAY)]
        times = np.concatenate([p.columns["time"] for p in pages])
        assert times.tolist() == list(range(START + start, START + start + 3 * DAY, every)), (
            "none lost between two pages"
        )


def test_funding_off_the_hour_keeps_its_second(at):
    at.book.jitter = lambda k: 1_383_085  # OKX has had fundings at such times
    assert at.columns("funding", 0, 0, 8 * HOUR)["time"].tolist() == [START + 1_383 * SECOND]


def test_a_row_off_the_grid_is_left_out_and_said(at):
    at.book.jitter = lambda k: made.HOUR // 2 if k == 486_481 else 0
    page = at.pages("bars", HOUR, 0, 3 * HOUR)[0]
    assert page.columns["time"].tolist() == [START, START + 2 * HOUR]
    assert page.notes == ("Rows of 1h bars of BTCUSDT off the grid, left out: 1.",)


def test_a_hole_is_covered_and_said(at):
    at.book.holes = [(JULY + 6 * made.HOUR, JULY + 30 * made.HOUR)]
    first, second = (at.pages("bars", HOUR, a, a + DAY)[0] for a in (0, DAY))
    title = at.source.terms.title
    assert first.columns["time"].tolist() == list(range(START, START + 6 * HOUR, HOUR))
    assert (first.start, first.end) == (START, START + DAY)
    said = f"{title} has no 1h bars of BTCUSDT from 2025-07-01T06:00Z to 2025-07-02T00:00Z."
    assert first.notes == (said,)
    assert second.notes == (f"{title} has no 1h bars of BTCUSDT from 2025-07-02T00:00Z to 2025-07-02T06:00Z.",)


def test_a_span_before_the_listing_is_covered_without_rows(at):
    at.book.listed = JULY
    page = at.pages("bars", HOUR, -2 * DAY, -DAY)[0]
    assert page.columns["time"].size == 0
    assert (page.start, page.end) == (START - 2 * DAY, START - DAY)
    assert page.notes[0].endswith("has no 1h bars of BTCUSDT from 2025-06-29T00:00Z to 2025-06-30T00:00Z.")
    assert at.columns("bars", HOUR, -DAY, HOUR)["time"].tolist() == [START]


# --- now ------------------------------------------------------------------------------------------------------------


def test_a_bar_that_is_open_is_not_asked_for(at):
    at.now[0] = START + 5 * HOUR + 30 * MINUTE
    parts = at.source.plan(at.request("bars", HOUR, 0, DAY))
    assert [(p.start, p.end) for p in parts] == [(START, START + 5 * HOUR)]
    assert at.columns("bars", HOUR, 0, DAY)["time"][-1] == START + 4 * HOUR
    assert at.source.plan(at.request("bars", HOUR, 5 * HOUR, DAY)) == []
    assert at.source.plan(at.request("bars", HOUR, 2 * DAY, 3 * DAY)) == []


def test_a_bar_that_is_late_is_not_covered(at):
    at.now[0] = START + 5 * HOUR + SECOND
    at.book.holes = [(JULY + 4 * made.HOUR, JULY + 9 * made.HOUR)]
    page = at.pages("bars", HOUR, 0, DAY)[0]
    assert (page.end, page.notes) == (START + 4 * HOUR, ())
    page = at.pages("bars", HOUR, 4 * HOUR, DAY)[0]
    assert (page.start, page.end, page.columns["time"].size) == (START + 4 * HOUR, START + 4 * HOUR, 0)


def test_a_funding_that_is_not_published_yet_is_not_covered(at):
    at.now[0] = START + 8 * HOUR + SECOND
    page = at.pages("funding", 0, 0, DAY)[0]
    assert page.columns["time"].tolist() == [START]
    assert page.end == START + 8 * HOUR + SECOND - 10 * MINUTE


def test_hours_between_two_fundings_are_no_fault(at):
    at.now[0] = START + 30 * DAY
    page = at.pages("funding", 0, HOUR, 7 * HOUR)[0]
    assert page.columns["time"].size == 0
    assert page.end == START + 7 * HOUR


# --- symbols --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT:USDT"])
def test_names_of_the_perpetual(at, symbol):
    assert at.columns("bars", HOUR, 0, HOUR, symbol=symbol)["open"].tolist() == [100.0]


@venue("okx")
def test_the_exchange_s_own_name(at):
    assert at.columns("bars", HOUR, 0, HOUR, symbol="BTC-USDT-SWAP")["open"].tolist() == [100.0]


@venue("okx")
def test_an_inverse_contract_is_not_taken_for_a_linear_one(at):
    with pytest.raises(SourceError, match="OKX has no symbol 'BTC-USD-SWAP'"):
        at.pages("bars", HOUR, 0, HOUR, symbol="BTC-USD-SWAP")


def test_only_one_list_of_markets_is_asked_for(at):
    at.columns("bars", HOUR, 0, 30 * DAY)
    lists = [q.query for q in at.server.asked if "nfo" in q.path or "instruments" in q.path]
    # Bybit's includes one of markets that are not yet open; a list of options or of inverse contracts is not needed.
    assert len(lists) == (2 if at.source.name == "bybit" else 1)


SPOT_PATHS = {
    "binance": ["/api/v3/exchangeInfo", "/api/v3/klines"],
    "bybit": ["/v5/market/instruments-info", "/v5/market/kline"],
    "okx": ["/api/v5/public/instruments", "/api/v5/market/history-candles"],
}


def test_spot(at):
    found = at.columns("bars", HOUR, 0, 2 * HOUR, symbol="spot/BTCUSDT")
    assert (found["open"].tolist(), found["volume"].tolist()) == ([100.0, 101.0], [0.5, 1.5])
    assert at.server.paths == SPOT_PATHS[at.source.name]
    if at.source.name == "bybit":
        assert [asked.query["category"] for asked in at.server.asked] == ["spot", "spot"]
    with pytest.raises(SourceError, match=r"has funding of perpetuals only, not of spot/BTCUSDT\."):
        at.pages("funding", 0, 0, DAY, symbol="spot/BTCUSDT")


def test_an_unknown_symbol(at):
    with pytest.raises(SourceError) as caught:
        at.pages("bars", HOUR, 0, HOUR, symbol="BTCUSTD")
    assert caught.value.cause == "unknown_symbol"
    assert str(caught.value) == f"{at.source.terms.title} has no symbol 'BTCUSTD'. Did you mean 'BTCUSDT'?"


# --- what can't be given --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "kind", "interval", "said"),
    [
        ("binance", "open_interest", HOUR,
         "Binance keeps 1h open interest for the last 30 days; the span starts 2025-07-01. "
         "Use source binance-archive, which has it from 2020-09 on, or coinalyze."),
        ("okx", "open_interest", 5 * MINUTE,
         "OKX keeps 5m open interest for the last 5 days; the span starts 2025-07-01. "
         "Use source binance-archive or bybit, or a longer interval."),
    ],
    indirect=["at"],
)  # fmt: skip
def test_a_span_too_old(at, kind, interval, said):
    with pytest.raises(SourceError) as caught:
        at.source.plan(at.request(kind, interval, 0, DAY))
    assert (str(caught.value), caught.value.cause) == (said, "too_old")
    assert at.server.asked == [], "said before anything is asked"


@venue("okx")
def test_okx_keeps_funding_for_three_months(at):
    said = "OKX keeps funding for the last 90 days; the span starts 2025-05-01. Use source binance-archive or bybit."
    with pytest.raises(SourceError) as caught:
        at.source.plan(at.request("funding", 0, -61 * DAY, 0))
    assert str(caught.value) == said


def test_an_interval_that_there_is_not(at):
    with pytest.raises(SourceError, match=r"gives bars of 1m, 3m, .*, not of 7h"):
        at.source.plan(at.request("bars", 7 * HOUR, 0, DAY))


def test_without_ccxt(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    source = get_source("binance")
    assert source.needs == "extra crypto"
    with pytest.raises(SourceError) as caught:
        source.plan(Request("binance", "BTCUSDT", "bars", HOUR, START, START + DAY))
    assert str(caught.value) == "Source binance needs the package ccxt: pip install 'levelbreak[crypto]'."
    assert caught.value.cause == "needs_extra"


# --- tiers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [False, True])
@venue("bybit")
def test_tiers(at, percent):
    at.server.percent = percent
    table = at.source.tiers("BTCUSDT")
    assert table.floors == (0.0, 2_000_000.0, 4_000_000.0)
    assert table.mmr == pytest.approx((0.005, 0.01, 0.015))
    assert table.max_leverage == (100.0, 57.8, 50.0)
    assert table.name == "bybit BTCUSDT 2025-08-10"
    assert not table.assumed


@pytest.mark.parametrize(
    ("at", "cause", "said"),
    [
        (
            "binance",
            "needs_key",
            "Binance shows its leverage brackets only to an account's key. Use the tables of data/venues",
        ),
        ("okx", "refused", "OKX states its tiers in contracts, not by notional. Use the tables of data/venues"),
    ],
    indirect=["at"],
)
def test_tiers_that_can_not_be_had(at, cause, said):
    with pytest.raises(SourceError, match=said) as caught:
        at.source.tiers("BTCUSDT")
    assert caught.value.cause == cause
    assert at.server.asked == []


# --- faults ---------------------------------------------------------------------------------------------------------

INSTEAD = {
    "binance": "source binance-archive or bybit",
    "bybit": "source binance-archive or okx",
    "okx": "source binance-archive or bybit",
}
LATER = "Run the command again later; what was fetched so far is kept"


def refused(at: Place, cause: str, **options: Any) -> str:
    """Fetch an hour, which must fail with the cause; return what was said."""
    with pytest.raises(SourceError) as caught:
        at.pages("bars", HOUR, 0, HOUR, **options)
    assert caught.value.cause == cause
    assert caught.value.__cause__ is None
    return str(caught.value)


def ready(at: Place) -> None:
    """Let the list of markets be there, so that a fault meets the data."""
    at.pages("bars", HOUR, 0, HOUR)
    at.server.asked.clear()


def body(name: str, code: Any, said: str) -> bytes:
    forms = {
        "binance": {"code": code, "msg": said},
        "bybit": {"retCode": code, "retMsg": said, "result": {}},
        "okx": {"code": str(code), "msg": said, "data": []},
    }
    return json.dumps(forms[name]).encode()


def test_offline(at):
    at.server.stop()
    assert refused(at, "offline") == (
        f"{at.source.terms.title} can't be reached (127.0.0.1 refused the connection, 5 tries). "
        "Check the network and run the command again; what was fetched so far is kept."
    )


def test_out_of_order_for_a_moment(at):
    ready(at)
    at.server.fail("status", 2, status=503)
    at.server.fail("reset")
    assert at.columns("bars", HOUR, 0, HOUR)["open"].tolist() == [100.0]
    assert len(at.server.asked) == 4


def test_out_of_order_for_long(at):
    ready(at)
    at.server.fail("status", 99, status=503)
    assert "can't be reached (HTTP 503, 5 tries)." in refused(at, "offline")
    assert len(at.server.asked) == 5


def test_rate_limited_for_a_moment(at):
    ready(at)
    at.server.fail("status", 2, status=429, headers={"Retry-After": "7"})
    assert at.columns("bars", HOUR, 0, HOUR)["open"].tolist() == [100.0]
    assert len(at.server.asked) == 3


@pytest.mark.parametrize(
    ("status", "wait", "tries", "why"),
    [
        (429, "7", 5, "HTTP 429, and asks to wait 7 s, 5 tries"),
        (418, "3600", 1, "HTTP 418, and asks to wait 3,600 s"),  # banned for an hour: nobody waits for that
    ],
)
def test_rate_limited_for_long(at, status, wait, tries, why):
    ready(at)
    at.server.fail("status", 99, status=status, headers={"Retry-After": wait})
    said = refused(at, "rate_limited")
    assert said == f"{at.source.terms.title} allows no more requests for now ({why}). {LATER}."
    assert len(at.server.asked) == tries


@pytest.mark.parametrize(("at", "code"), [("bybit", 10006), ("okx", 50011), ("binance", -1003)], indirect=["at"])
def test_rate_limited_by_a_code_in_the_answer(at, code):
    ready(at)
    at.server.fail("body", 2, body=body(at.source.name, code, "Too many visits!"))
    assert at.columns("bars", HOUR, 0, HOUR)["open"].tolist() == [100.0]
    at.server.fail("body", 99, body=body(at.source.name, code, "Too many visits!"))
    assert "allows no more requests for now" in refused(at, "rate_limited")


def test_geo_blocked(at):
    said = b'{"code": 0, "msg": "Service unavailable from a restricted location according to b. Eligibility"}'
    at.server.fail("status", 99, status=451, body=said)
    name = at.source.name
    assert refused(at, "geo_blocked") == (
        f"{at.source.terms.title} does not answer from this country (451). Use {INSTEAD[name]}."
    )
    assert len(at.server.asked) == 1, "asking again does not help"


def test_geo_blocked_by_a_page_of_the_network(at):
    page = b"<html>The distribution is configured to block access from your country.</html>"
    at.server.fail("status", 99, status=403, body=page)
    assert "does not answer from this country (403). Use" in refused(at, "geo_blocked")
    assert len(at.server.asked) == 1


def test_refused_by_a_firewall(at):
    ready(at)
    at.server.fail("status", 99, status=403, body=b"<html>Request blocked.</html>")
    assert "refused the request (HTTP 403). Check the symbol" in refused(at, "refused")
    assert len(at.server.asked) == 1


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("html", "HTML in place of JSON"),
        ("torn", "JSON that is cut off or broken"),
        ("half", "half an answer: the connection ended before the whole was there"),
        ("empty", "JSON that is cut off or broken, 0 bytes"),
    ],
)
def test_an_answer_that_is_none(at, fault, why):
    ready(at)
    at.server.fail(fault)
    assert at.columns("bars", HOUR, 0, HOUR)["open"].tolist() == [100.0], "once is passing"
    at.server.fail(fault, 99)
    said = refused(at, "malformed")
    assert said.startswith(f"{at.source.terms.title} sent something that can't be read ({why}")
    assert said.endswith(f"{LATER}, or use {INSTEAD[at.source.name]}.")
    assert len(at.server.asked) == 4


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        ("binance", [[JULY, "x", "2", "1", "2", "3"]]),
        ("binance", [[JULY, "1"]]),
        ("binance", [[10**30, "1", "2", "1", "2", "3"]]),
        ("bybit", {"retCode": 0, "retMsg": "OK", "result": {"list": [[str(10**30), "1", "2", "1", "2", "3", "4"]]}}),
        ("okx", {"code": "0", "msg": "", "data": [[str(10**30), "1", "2", "1", "2", "5", "6", "7", "1"]]}),
        ("bybit", {"retCode": 0, "retMsg": "OK", "result": {"list": [[str(JULY), "1"]]}}),
        ("okx", {"code": "0", "msg": "", "data": [[str(JULY), "1", "2", None, "4", "5", "6", "7", "1"]]}),
    ],
    indirect=["at"],
)
def test_an_answer_in_another_form(at, answer):
    ready(at)
    at.server.fail("body", 99, body=json.dumps(answer).encode())
    assert "sent something that can't be read" in refused(at, "malformed")


def test_a_server_that_hangs(at):
    ready(at)
    at.source.desks[at.source.terms.perpetuals].timeout = 0.1
    at.server.fail("hang", 99)
    said = refused(at, "timeout")
    assert said == (
        f"{at.source.terms.title} did not answer in time (127.0.0.1 sent nothing for 0.1 s, 5 tries). "
        f"{LATER}, or use {INSTEAD[at.source.name]}."
    )


def test_an_answer_without_a_row(at):
    at.book.holes = [(JULY, JULY + made.DAY)]
    said = refused(at, "empty")
    assert said == (
        f"{at.source.terms.title} answered without a row of BTCUSDT (2025-07-01T00:00Z to 2025-07-01T01:00Z). "
        f"Check the symbol and the span, or use {INSTEAD[at.source.name]}."
    )


@pytest.mark.parametrize(
    ("at", "code", "said"),
    [("binance", -1121, "Invalid symbol."), ("okx", 51001, "Instrument ID does not exist")],
    indirect=["at"],
)
def test_a_symbol_that_the_exchange_lists_and_does_not_know(at, code, said):
    ready(at)
    at.server.fail("status", 99, status=400, body=body(at.source.name, code, said))
    assert "has no symbol 'BTC/USDT:USDT'" in refused(at, "unknown_symbol")
    assert len(at.server.asked) == 1


def test_another_code_is_said_as_it_came(at):
    ready(at)
    at.server.fail("body", 99, body=body(at.source.name, 99_999, "The moon is full."))
    assert "refused the request" in (said := refused(at, "refused"))
    assert "The moon is full." in said


# --- at once, and at what pace --------------------------------------------------------------------------------------


def test_pages_at_once_are_the_same(at):
    request = at.request("bars", 5 * MINUTE, 0, 20 * DAY)
    parts = at.source.plan(request)
    at.server.work = 0.01
    with ThreadPoolExecutor(at.source.concurrency) as pool:
        pages = list(pool.map(at.source.page, parts))
    times = np.concatenate([p.columns["time"] for p in pages])
    assert times.tolist() == list(range(request.start, request.end, 5 * MINUTE))
    assert 2 <= at.server.busiest <= at.source.concurrency


def test_the_pace_holds_over_all_calls(at, monkeypatch):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "1")
    ready(at)
    for limit in at.source.limits.values():
        limit.calls, limit.seconds = 2, 0.2
        limit.made.clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: at.pages("bars", HOUR, k * HOUR, (k + 1) * HOUR), range(6)))
    when = sorted(asked.when for asked in at.server.asked)
    assert all(later - first > 0.15 for first, later in zip(when, when[2:], strict=False)), "2 calls in 0.2 s"


# --- the walk over a span, without a network ------------------------------------------------------------------------


@given(
    kept=st.lists(st.integers(0, 59), unique=True, max_size=60),
    limit=st.integers(1, 70),
    short=st.integers(1, 70),
    newest_first=st.booleans(),
    span=st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted),
)
@settings(max_examples=200, deadline=None)
def test_whatever_an_exchange_leaves_out_every_row_that_it_has_is_found(kept, limit, short, newest_first, span):
    has, calls = sorted(kept), []

    def ask(low: int, high: int) -> Rows:
        calls.append((low, high))
        found = [t for t in has if low <= t < high]
        most = min(limit, short)
        found = found[-most:] if newest_first else found[:most]
        time = np.array(found, dtype=np.int64)
        return Rows(time, time[:, None].astype(float), full=len(found) >= limit)

    rows, empty = walk(ask, span[0], span[1], longest=1, shortest=1, newest_first=newest_first)
    wanted = [t for t in has if span[0] <= t < span[1]]
    assert rows.time.tolist() == wanted
    assert not any(low <= t < high for t in wanted for low, high in empty)
    assert len(calls) <= 2 * len(wanted) + 2


def test_stamps_a_tenth_off_the_grid_are_no_bars():
    moved, near = snap(np.array([0, 59 * SECOND, 61 * SECOND, 66 * SECOND, 90 * SECOND]), MINUTE)
    assert (moved // MINUTE).tolist() == [0, 1, 1, 1, 2]
    assert near.tolist() == [True, True, True, False, False]


def test_the_sources_are_found_by_name():
    for name in NAMES:
        source = get_source(name)
        assert (source.name, source.needs) == (name, "extra crypto")
        assert 1 <= source.concurrency <= 4
    assert parse_time("2025-07-01") == START


# --- a clock that is wrong -------------------------------------------------------------------------------------------


def test_a_bar_that_is_open_by_the_venue_s_clock_is_left_out(at, monkeypatch):
    """At half past by the venue this machine has one hour later: it takes the bar of the venue's present hour for closed."""
    monkeypatch.setattr(clocks, "AHEAD", {})
    venue = NOW + HOUR // 2
    at.book.now, at.now[0] = venue // MS, venue + HOUR
    at.server.clock = -3600.0
    (page,) = at.pages("bars", HOUR, 40 * DAY - 3 * HOUR, 41 * DAY)
    assert page.columns["time"].tolist() == [NOW - 3 * HOUR, NOW - 2 * HOUR, NOW - HOUR]
    assert page.end == NOW
    assert page.notes == (
        f"This machine's clock is 60 min ahead of that of {at.source.terms.title}; bars are stored once they are closed by "
        "both.",
    )


def test_a_clock_that_is_behind_is_noted_and_stores_nothing_early(at, monkeypatch):
    monkeypatch.setattr(clocks, "AHEAD", {})
    at.server.clock = 600.0
    (page,) = at.pages("bars", HOUR, 40 * DAY - 3 * HOUR, 40 * DAY)
    assert (page.columns["time"].size, page.end) == (3, NOW)
    assert page.notes[0].startswith(f"This machine's clock is 10 min behind that of {at.source.terms.title};")


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 32 Foo 2026 00:00:00 GMT", "Sun, 22 Nov 9999999 00:00:00 GMT"])
def test_an_answer_without_a_time_says_nothing_of_clocks(monkeypatch, date):
    monkeypatch.setattr(clocks, "AHEAD", {})
    clocks.hear("okx", {"date": date})
    assert clocks.AHEAD == {}
    assert clocks.time_of("okx", NOW) == NOW


def test_the_answer_that_was_least_late_tells_the_time(monkeypatch):
    monkeypatch.setattr(clocks, "AHEAD", {})
    monkeypatch.setattr(clocks.time, "time", lambda: 1_000_100.0)  # 1970-01-12T13:48:20
    clocks.hear("okx", {"date": "Mon, 12 Jan 1970 13:46:40 GMT"})  # 1,000,000: slow, or kept by a cache
    assert clocks.time_of("okx", NOW) == NOW - 100 * SECOND
    clocks.hear("okx", {"date": "Mon, 12 Jan 1970 13:46:40 GMT", "age": "98"})
    assert clocks.time_of("okx", NOW) == NOW, "two seconds are no difference"
