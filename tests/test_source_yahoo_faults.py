"""What goes wrong at Yahoo: networks, limits, answers that are none or half, cookies, a clock that is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from yahoo_places import IN_COINS, NOW, Place, T, at

from backtest.market.sources import clocks, get_source
from backtest.model.arrays import DAY, HOUR, SECOND
from tests.servers.base import HTML, Asked, Reply, as_json
from tests.servers.yahoo import Symbol, YahooServer, bitcoin

__all__ = ["at"]


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
