"""Yahoo through yfinance, against a server on loopback that answers as Yahoo's charts do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest.errors import SourceError
from backtest.market.clock import parse_time
from backtest.market.sources import Page, Request, clocks, get_source
from backtest.market.sources.yahoo import Yahoo
from backtest.model.arrays import DAY, HOUR, SECOND
from tests.servers.base import HTML, Asked, Reply, as_json
from tests.servers.yahoo import Symbol, YahooServer, bitcoin

MINUTE = 60 * SECOND
NOW = parse_time("2024-03-20")  # the server's usual now, too
VIX = {"zone": "America/Chicago", "session": (8.5, 15.25)}
T = parse_time
IN_COINS = "Yahoo's volume of BTC-USD is in USD; it was turned into coins at the bar's typical price, (high + low + close) / 3."


class Place:
    """A source and the server that it asks."""

    def __init__(self, server: YahooServer) -> None:
        self.server, self.now = server, NOW
        self.source = Yahoo(timeout=1.0, clock=lambda: self.now)

    def request(self, symbol: str, start: str, end: str, interval: int = DAY) -> Request:
        return Request("yahoo", symbol, "bars", interval, T(start), T(end))

    def page(self, *arguments: Any, **options: Any) -> Page:
        """The only page of a span."""
        (part,) = self.source.plan(self.request(*arguments, **options))
        return self.source.page(part)

    def refused(self, *arguments: Any, cause: str) -> str:
        with pytest.raises(SourceError) as caught:
            self.page(*arguments)
        assert caught.value.cause == cause
        return str(caught.value)

    @property
    def charts(self) -> int:
        return sum("/chart/" in path for path in self.server.paths)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")
    with YahooServer({"BTC-USD": bitcoin(), "^GSPC": Symbol(), "^VIX": Symbol(**VIX)}) as server:
        monkeypatch.setenv("BACKTEST_URL_YAHOO", server.url)
        yield Place(server)


def days(*texts: str) -> list[int]:
    return [T(text) for text in texts]


# --- days -----------------------------------------------------------------------------------------------------------


def test_days_of_crypto_are_utc_s(at):
    # 2024-03-04 is day 63 after 2024-01-01: it opens at 103.
    page = at.page("BTC-USD", "2024-03-04", "2024-03-06")
    found = page.columns
    assert list(found) == ["time", "open", "high", "low", "close", "volume"], "known a day after its opening"
    assert found["time"].tolist() == days("2024-03-04", "2024-03-05")
    assert found["time"].dtype == np.int64
    assert found["open"].tolist() == [103.0, 104.0]
    assert found["high"].tolist() == [105.0, 106.0]
    assert found["low"].tolist() == [102.0, 103.0]
    assert found["close"].tolist() == [104.0, 105.0]
    # Yahoo's 1,000 are dollars: 1,000 / ((105 + 102 + 104) / 3), and of the next day's 106, 103 and 105.
    assert found["volume"].tolist() == pytest.approx([3000 / 311, 3000 / 314], rel=1e-15)
    assert page.notes == (IN_COINS,)
    assert (page.start, page.end, page.notes) == (T("2024-03-04"), T("2024-03-06"), (IN_COINS,))


def test_a_market_s_own_name_is_read_as_a_pair_with_the_dollar(at):
    page = at.page("BTCUSDT", "2024-03-04", "2024-03-06")
    assert page.columns["open"].tolist() == [103.0, 104.0]
    assert page.notes == (IN_COINS, "BTCUSDT was read as Yahoo's BTC-USD, in dollars.")


def test_a_day_of_macro_is_known_at_the_close_of_its_session(at):
    # New York went from UTC-5 to UTC-4 on Sunday 2024-03-10: the close moves from 21:00 to 20:00 UTC, the date does not.
    found = at.page("^GSPC", "2024-03-07", "2024-03-13").columns
    assert found["time"].tolist() == days("2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12")
    assert found["known_at"].tolist() == days(
        "2024-03-07T21:00Z", "2024-03-08T21:00Z", "2024-03-11T20:00Z", "2024-03-12T20:00Z"
    )
    assert found["volume"].tolist() == [0.0] * 4, "an index has none"


def test_the_volatility_index_closes_at_a_quarter_past_three_in_chicago(at):
    found = at.page("^VIX", "2024-03-08", "2024-03-12").columns
    assert found["time"].tolist() == days("2024-03-08", "2024-03-11")
    assert found["known_at"].tolist() == days("2024-03-08T21:15Z", "2024-03-11T20:15Z")


@pytest.mark.parametrize(
    ("symbol", "known"),
    [
        (Symbol(end=13.0), "2024-03-05T21:00Z"),  # today is a half day: the others were not
        (Symbol(end=16.25), "2024-03-05T21:15Z"),
        (Symbol(session=(0.0, 23.99)), "2024-03-06T05:00Z"),  # trades around the clock: its next midnight
        (Symbol(zone="Europe/London", session=(8.0, 16.5)), "2024-03-06T00:00Z"),  # no usual close on record
        (Symbol(metadata={"currentTradingPeriod": {}}), "2024-03-06T05:00Z"),
    ],
)
def test_when_a_day_was_known_is_never_said_too_early(at, symbol, known):
    at.server.symbols["DX-Y.NYB"] = symbol
    found = at.page("DX-Y.NYB", "2024-03-05", "2024-03-06").columns
    assert (found["time"].tolist(), found["known_at"].tolist()) == (days("2024-03-05"), days(known))


def test_the_dates_of_a_zone_east_of_utc_stay(at):
    at.server.symbols["^N225"] = Symbol(zone="Asia/Tokyo", session=(9.0, 15.0))
    found = at.page("^N225", "2024-03-04", "2024-03-06").columns
    assert found["time"].tolist() == days("2024-03-04", "2024-03-05")
    assert found["known_at"].tolist() == days("2024-03-04T15:00Z", "2024-03-05T15:00Z")


def test_rows_without_prices_are_left_out_and_said(at):
    at.server.symbols["^GSPC"].blank = (date(2024, 3, 5), date(2024, 3, 6))
    page = at.page("^GSPC", "2024-03-04", "2024-03-08")
    assert page.columns["time"].tolist() == days("2024-03-04", "2024-03-07")
    assert page.notes == ("Rows without prices, left out: 2 (2024-03-05, 2024-03-06).",)
    assert page.end == T("2024-03-08"), "covered: asking again brings nothing"


def test_a_span_that_begins_before_the_listing(at):
    at.server.symbols["BTC-USD"].first = date(2024, 2, 1)
    page = at.page("BTC-USD", "2024-01-01", "2024-02-03")
    assert page.columns["time"].tolist() == days("2024-02-01", "2024-02-02")
    assert page.start == T("2024-01-01")
    assert page.notes == (IN_COINS, "Yahoo has no bars of BTC-USD before 2024-02-01T00:00Z.")


# --- now ------------------------------------------------------------------------------------------------------------


def test_today_is_left_out_though_yahoo_gives_it(at):
    at.now = T("2024-03-14T12:00Z")
    at.server.symbols["BTC-USD"].now = at.now // SECOND
    page = at.page("BTC-USD", "2024-03-11", "2024-03-20")
    assert page.columns["time"].tolist() == days("2024-03-11", "2024-03-12", "2024-03-13")
    assert page.end == T("2024-03-14")


def test_the_latest_quote_is_no_second_row_of_its_day(at):
    at.now = T("2024-03-14T19:00Z")
    stock = at.server.symbols["^GSPC"]
    stock.now, stock.live = at.now // SECOND, T("2024-03-14T18:59:31Z") // SECOND
    page = at.page("^GSPC", "2024-03-12", "2024-03-20")
    assert page.columns["time"].tolist() == days("2024-03-12", "2024-03-13")


def test_a_session_that_is_not_over_though_utc_s_day_is(at):
    # The dollar index trades until New York's midnight: at 01:00 UTC its day is open.
    at.server.symbols["DX-Y.NYB"] = Symbol(session=(0.0, 23.99), now=T("2024-03-14T01:00Z") // SECOND)
    at.now = T("2024-03-14T01:00Z")
    page = at.page("DX-Y.NYB", "2024-03-11", "2024-03-20")
    assert page.columns["time"].tolist() == days("2024-03-11", "2024-03-12")
    assert page.end == T("2024-03-13"), "the 13th is asked for again"


def test_days_that_may_still_come_are_not_covered(at):
    # Saturday: Friday is there; the weekend, which looks like two late days, is asked for again on Monday.
    at.now = T("2024-03-16T23:00Z")
    at.server.symbols["^GSPC"].now = at.now // SECOND
    assert at.page("^GSPC", "2024-03-11", "2024-03-20").end == T("2024-03-16")
    at.now = T("2024-03-17T23:00Z")
    weekend = at.page("^GSPC", "2024-03-16", "2024-03-20")
    assert weekend.columns["time"].size == 0
    assert (weekend.start, weekend.end) == (T("2024-03-16"), T("2024-03-16"))


def test_a_weekend_long_ago_is_covered_without_rows(at):
    page = at.page("^GSPC", "2024-03-02", "2024-03-04")
    assert (page.columns["time"].size, page.end) == (0, T("2024-03-04"))


def test_a_span_in_the_future_needs_no_request(at):
    assert at.source.plan(at.request("BTC-USD", "2024-03-21", "2024-04-01")) == []


# --- less than a day ------------------------------------------------------------------------------------------------


def test_hours_of_crypto(at):
    page = at.page("BTC-USD", "2024-03-04", "2024-03-05", HOUR)
    assert page.columns["time"].tolist() == list(range(T("2024-03-04"), T("2024-03-05"), HOUR))
    assert "known_at" not in page.columns


def test_hours_of_a_session_keep_its_half_hour_through_the_change_of_clocks(at):
    found = at.page("^GSPC", "2024-03-08", "2024-03-12", HOUR).columns["time"]
    assert found.tolist() == [
        *range(T("2024-03-08T14:30Z"), T("2024-03-08T21:00Z"), HOUR),
        *range(T("2024-03-11T13:30Z"), T("2024-03-11T20:00Z"), HOUR),
    ]


def test_half_hours_have_no_rows_at_night(at):
    # yfinance makes them of quarter hours, and a row without prices for each that there is not.
    page = at.page("^GSPC", "2024-03-07", "2024-03-09", 30 * MINUTE)
    assert page.columns["time"].size == 26
    assert page.notes == ()
    assert at.server.spans[-1]["interval"] == "15m"


def test_the_latest_quote_is_no_bar(at):
    at.now = T("2024-03-19T20:00Z")
    at.server.symbols["BTC-USD"].now = at.now // SECOND
    at.server.symbols["BTC-USD"].live = T("2024-03-19T19:10:07Z") // SECOND
    found = at.page("BTC-USD", "2024-03-19", "2024-03-20", HOUR).columns["time"]
    assert (found % HOUR == 0).all()
    assert found[-1] == T("2024-03-19T19:00Z")


def test_minutes_are_asked_for_seven_days_at_a_time(at):
    parts = at.source.plan(at.request("BTC-USD", "2024-03-12", "2024-03-20", MINUTE))
    assert [(p.start, p.end) for p in parts] == [
        (T("2024-03-12"), T("2024-03-19")),
        (T("2024-03-19"), T("2024-03-20")),
    ]
    assert sum(at.source.page(p).columns["time"].size for p in parts) == 8 * 1440


@pytest.mark.parametrize(
    ("symbol", "interval", "start", "said"),
    [
        ("BTC-USD", HOUR, "2022-01-01",
         "Yahoo limits 1h bars to the last 730 days; the span starts 2022-01-01. Use interval 1d, or source binance."),
        ("BTCUSDT", 5 * MINUTE, "2024-01-01",
         "Yahoo limits 5m bars to the last 60 days; the span starts 2024-01-01. "
         "Use interval 1h or 1d, or source binance."),
        ("^GSPC", 15 * MINUTE, "2022-01-01",
         "Yahoo limits 15m bars to the last 60 days; the span starts 2022-01-01. Use interval 1d."),
        ("^VIX", MINUTE, "2024-03-11",
         "Yahoo limits 1m bars to the last 8 days; the span starts 2024-03-11. Use interval 1h or 1d."),
    ],
)  # fmt: skip
def test_a_span_too_old_for_its_interval(at, symbol, interval, start, said):
    with pytest.raises(SourceError) as caught:
        at.source.plan(at.request(symbol, start, "2024-03-20", interval))
    assert (str(caught.value), caught.value.cause) == (said, "too_old")
    assert at.server.asked == [], "said before anything is asked"


@pytest.mark.parametrize(
    ("interval", "reach"), [(MINUTE, 8), (2 * MINUTE, 60), (5 * MINUTE, 60), (30 * MINUTE, 60), (HOUR, 730)]
)
def test_the_limits_are_days_back_from_now(at, interval, reach):
    def plan(start: int) -> list[Request]:
        return at.source.plan(Request("yahoo", "BTC-USD", "bars", interval, start, NOW))

    assert plan(NOW - reach * DAY)
    with pytest.raises(SourceError):
        plan(NOW - reach * DAY - SECOND)


def test_days_have_no_limit(at):
    assert len(at.source.plan(at.request("^GSPC", "1970-01-01", "2024-03-20"))) == 1


@pytest.mark.parametrize(
    ("kind", "interval", "said"),
    [
        ("funding", 0, r"Yahoo has no funding\."),
        ("bars", 4 * HOUR, r"Yahoo gives bars of 1m, 2m, 5m, 15m, 30m, 1h, 1d, not of 4h\."),
    ],
)
def test_what_yahoo_does_not_have(at, kind, interval, said):
    with pytest.raises(SourceError, match=said):
        at.source.plan(Request("yahoo", "BTC-USD", kind, interval, T("2024-03-01"), NOW))


# --- faults ---------------------------------------------------------------------------------------------------------

SPAN = ("BTC-USD", "2024-03-04", "2024-03-06")
LATER = "Run the command again later; what was fetched so far is kept"
INSTEAD = "source binance-archive for crypto, or a file of your own"


def test_an_unknown_symbol(at):
    said = at.refused("BTC-USB", "2024-03-04", "2024-03-06", cause="unknown_symbol")
    assert said == "Yahoo has no symbol 'BTC-USB' (No data found, symbol may be delisted)."
    assert at.charts == 1, "asking again does not help"


def test_a_span_without_a_row(at):
    at.server.symbols["BTC-USD"].first = date(2024, 3, 1)
    said = at.refused("BTC-USD", "2024-01-01", "2024-02-01", cause="empty")
    assert said == (
        "Yahoo answered without a row of BTC-USD (2024-01-01T00:00Z to 2024-02-01T00:00Z). "
        f"Check the symbol and the span, or use {INSTEAD}."
    )


EMPTY = [
    b'{"chart": {"result": [{"meta": {"exchangeTimezoneName": "UTC"}, "indicators": {"quote": [{}]}}], "error": null}}',
    b'{"chart": {"result": [], "error": null}}',
    b'{"chart": {"result": null, "error": null}}',
]


@pytest.mark.parametrize("body", EMPTY)
def test_an_empty_result(at, body):
    at.page(*SPAN)
    at.server.fail("body", 99, match="chart", body=body)
    assert "answered without a row of BTC-USD" in at.refused("BTC-USD", "2024-02-01", "2024-03-01", cause="empty")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "1h data not available for startTime=1 and endTime=2. The requested range must be within the last 730 days.",
            "too_old",
        ),
        (
            "1m data not available. Only 8 days worth of 1m granularity data are allowed to be fetched per request.",
            "too_old",
        ),
        ("Invalid input - interval=7h is not supported.", "refused"),
    ],
)
def test_what_yahoo_itself_says_is_kept(at, said, cause):
    body = f'{{"chart": {{"result": null, "error": {{"code": "Unprocessable Entity", "description": "{said}"}}}}}}'
    at.server.fail("status", 99, match="chart", status=422, body=body.encode())
    assert said.rstrip(".")[:60] in at.refused(*SPAN, cause=cause)
    assert at.charts == 1


def test_offline(at):
    at.server.stop()
    assert at.refused(*SPAN, cause="offline") == (
        "Yahoo can't be reached (query2.finance.yahoo.com refused the connection, 5 tries). "
        "Check the network and run the command again; what was fetched so far is kept."
    )


def test_out_of_order_for_a_moment(at):
    at.server.fail("status", 2, match="chart", status=502)
    assert at.page(*SPAN).columns["open"].tolist() == [103.0, 104.0]


def test_rate_limited_for_a_moment(at):
    at.server.fail("status", 2, match="chart", status=429, body=b"Too Many Requests\r\n")
    assert at.page(*SPAN).columns["open"].tolist() == [103.0, 104.0]


def test_rate_limited_for_long(at):
    at.server.fail("status", 99, match="chart", status=429, body=b"Too Many Requests\r\n")
    assert at.refused(*SPAN, cause="rate_limited") == (
        f"Yahoo allows no more requests for now (HTTP 429, 5 tries). {LATER}."
    )
    assert at.charts == 5


def test_geo_blocked(at):
    at.server.fail("status", 99, match="chart", status=451)
    assert at.refused(*SPAN, cause="geo_blocked") == f"Yahoo does not answer from this country (451). Use {INSTEAD}."
    assert at.charts == 1


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("html", "HTML in place of JSON, 2 tries"),
        ("torn", "JSON that is cut off or broken, "),
        ("half", "half an answer: the connection ended before the whole was there, 2 tries"),
        ("empty", "JSON that is cut off or broken, 0 bytes, 2 tries"),
    ],
)
def test_an_answer_that_is_none(at, fault, why):
    at.server.fail(fault, match="chart")
    assert at.page(*SPAN).columns["open"].tolist() == [103.0, 104.0], "once is passing"
    at.server.fail(fault, 99, match="chart")
    said = at.refused("BTC-USD", "2024-02-01", "2024-03-01", cause="malformed")
    assert said.startswith(f"Yahoo sent something that can't be read ({why}")
    assert said.endswith(f"{LATER}, or use {INSTEAD}.")


@pytest.mark.parametrize(
    "body",
    [
        b'{"chart": {"result": [{"meta": {}}], "error": null}}',
        b'{"chart": {"result": [{"meta": {}, "indicators": {"quote": [{"open": [1]}]}}], "error": null}}',
    ],
)
def test_a_chart_in_another_form(at, body):
    at.page(*SPAN)
    at.server.fail("body", 99, match="chart", body=body)
    said = at.refused("BTC-USD", "2024-02-01", "2024-03-01", cause="malformed")
    assert said.startswith("Yahoo sent something that can't be read (a chart in another form than usual: ")


def test_json_that_is_no_chart(at):
    at.server.fail("body", 99, match="chart", body=b"[1, 2]")
    said = at.refused(*SPAN, cause="malformed")
    assert said.startswith("Yahoo sent something that can't be read (JSON that is no chart, 2 tries).")


def test_a_server_that_hangs(at):
    at.page(*SPAN)
    at.source.session.request.timeout = 0.1
    at.server.fail("hang", 99)
    assert at.refused(*SPAN, cause="timeout") == (
        "Yahoo did not answer in time (query2.finance.yahoo.com sent nothing for 0.1 s, 5 tries). "
        f"{LATER}, or use {INSTEAD}."
    )


# --- cookies, caches, files -----------------------------------------------------------------------------------------


def test_charts_come_without_a_cookie(at):
    at.server.fail("reset", 1, match="/")
    assert at.page(*SPAN).columns["open"].tolist() == [103.0, 104.0]


def test_a_page_of_consent_in_place_of_the_crumb_does_no_harm(at):
    at.server.fail("body", 1, match="getcrumb", body=HTML)
    assert at.page(*SPAN).columns["open"].tolist() == [103.0, 104.0]


def test_a_crumb_that_has_run_out_is_replaced(at):
    body = b'{"finance": {"result": null, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}'
    at.server.fail("status", 1, match="chart", status=401, body=body)
    assert at.page(*SPAN).columns["open"].tolist() == [103.0, 104.0]


def test_the_cookie_is_fetched_once(at):
    for start in ("2024-02-01", "2024-02-05", "2024-02-12"):
        at.page("BTC-USD", start, "2024-03-01")
    assert at.server.paths.count("/") == 1
    assert at.charts == 4, "one for the zone, one for each span"


def test_an_answer_is_not_remembered(at):
    first = at.page(*SPAN).columns["volume"]
    at.server.symbols["BTC-USD"].volume = 7000
    assert at.page(*SPAN).columns["volume"].tolist() == pytest.approx((7 * first).tolist())


def test_nothing_is_written_to_disk_or_to_the_log(at, tmp_path):
    code = (
        "from tests.servers.yahoo import *; from backtest.market.sources.yahoo import Yahoo, Request;"
        "from backtest.market.clock import parse_time as T;"
        "r = Request('yahoo', 'BTC-USD', 'bars', 86_400 * 10**9, T('2024-03-04'), T('2024-03-06'));"
        "print(Yahoo().page(r).columns['open'].tolist())"
    )
    homes = {
        name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "LOCALAPPDATA")
    }
    root = str(Path(__file__).resolve().parents[1])
    env = {**os.environ, **homes, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[103.0, 104.0]\n", "")
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_found_by_name():
    source = get_source("yahoo")
    assert (source.name, source.needs, source.concurrency) == ("yahoo", "", 1)


# --- half of the rows, odd metadata, a clock that is wrong -------------------------------------------------------------


class Halving(YahooServer):
    """Leaves the newer half of the rows out of an answer that is whole otherwise, so many times."""

    times = 0

    def answer(self, asked: Asked) -> Reply:
        reply = super().answer(asked)
        if self.times and "period1" in asked.query:
            self.times -= 1
            document = json.loads(reply.body)
            result = document["chart"]["result"][0]
            half = len(result["timestamp"]) // 2
            quote = result["indicators"]["quote"][0]
            result["timestamp"] = result["timestamp"][:half]
            result["indicators"]["quote"] = [{name: values[:half] for name, values in quote.items()}]
            result["indicators"].pop("adjclose", None)
            return as_json(document)
        return reply


@pytest.fixture
def halving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")
    with Halving({"BTC-USD": bitcoin(), "^GSPC": Symbol()}) as server:
        monkeypatch.setenv("BACKTEST_URL_YAHOO", server.url)
        yield Place(server)


SIXTY = ("BTC-USD", "2024-01-10", "2024-03-10")  # 22 days of January, 29 of February and 9 of March


def test_an_answer_that_ends_early_is_asked_for_again_from_its_end(halving):
    halving.server.times = 1
    page = halving.page(*SIXTY)
    assert page.columns["time"].tolist() == list(range(T("2024-01-10"), T("2024-03-10"), DAY))
    assert page.columns["volume"].size == 60
    assert (page.end, page.notes) == (T("2024-03-10"), (IN_COINS,))


def test_days_of_a_coin_that_do_not_come_are_not_covered(halving):
    halving.server.times = 2  # 30 of 60 days, then 15 of the other 30: up to 2024-02-23
    page = halving.page(*SIXTY)
    assert page.columns["time"].size == 45
    assert page.end == T("2024-02-24")
    assert page.notes[1:] == ("Yahoo has no bars of BTC-USD after 2024-02-23T00:00Z, asked up to 2024-03-10T00:00Z.",)


def test_an_index_that_ends_early_is_noted(at):
    at.server.symbols["^GSPC"] = Symbol(closed=tuple(date(2024, 2, n) for n in range(1, 30)))
    page = at.page("^GSPC", "2024-01-02", "2024-03-01")
    assert (page.end, len(page.notes)) == (T("2024-03-01"), 1)
    assert page.notes == ("Yahoo has no bars of ^GSPC after 2024-01-31T00:00Z, asked up to 2024-03-01T00:00Z.",)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("x", "AttributeError"),
        ({"regular": {"start": 1, "end": []}}, "KeyError"),
        ({"regular": "x"}, "TypeError"),
        ({"regular": {"start": 10**30, "end": 10**30}}, "OutOfBoundsDatetime"),
    ],
)
def test_odd_metadata_is_a_sentence(at, odd, why):
    at.server.symbols["^GSPC"].metadata["currentTradingPeriod"] = odd
    said = at.refused("^GSPC", "2024-03-04", "2024-03-06", cause="malformed")
    assert said.startswith(f"Yahoo sent something that can't be read (a chart in another form than usual: {why}).")


def test_days_that_are_open_by_yahoo_s_clock_are_left_out(at, monkeypatch):
    monkeypatch.setattr(clocks, "AHEAD", {})
    at.server.clock = -86_400.0
    at.now = NOW + DAY + HOUR  # by Yahoo's clock it is 2024-03-20T01:00
    at.server.symbols["BTC-USD"] = bitcoin(now=NOW // SECOND + 86_400)
    page = at.page("BTC-USD", "2024-03-15", "2024-03-22")
    assert page.columns["time"][-1] == T("2024-03-19")
    assert page.end == T("2024-03-20")
    assert page.notes[-1] == (
        "This machine's clock is 1,440 min ahead of that of Yahoo; bars are stored once they are closed by both."
    )
