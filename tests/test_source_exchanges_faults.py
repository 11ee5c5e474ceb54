"""What goes wrong at Binance, Bybit and OKX: networks, limits, answers that are none, gaps, clocks; and the pace of calls."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from exchange_places import MINUTE, MS, NAMES, NOW, START, Place, at, quick
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import SourceError
from backtest.market.clock import parse_time
from backtest.market.sources import clocks, get_source
from backtest.market.sources.walk import Rows, snap, walk
from backtest.model.arrays import DAY, HOUR, SECOND
from tests.servers import book as made
from tests.servers.book import JULY

__all__ = ["at", "quick"]


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
