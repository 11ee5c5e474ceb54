"""One request to a source, against a server on loopback: what is tried again, what is not, and what is said."""

import pickle
import socket
import threading
import time
import traceback
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.base import Asked, Reply, Server, as_json

from backtest.errors import MarketError, SourceError
from backtest.market.sources import COLUMNS, SOURCES, Request, get_source, http, limits
from backtest.market.sources.faults import SENTENCES, check_request, fault, translate
from backtest.market.sources.http import Answer, Key, address, ask, get
from backtest.market.sources.limits import Limit, backoff, pause

SECRET = "k3y-0f-a-user"
KEPT = "what was fetched so far is kept"


class Echo(Server):
    """Answers with the path, the query and what it was sent."""

    def answer(self, asked: Asked) -> Reply:
        return as_json({"path": asked.path, "query": dict(asked.query), "sent": dict(asked.headers)})


@pytest.fixture
def server():
    with Echo() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Note every wait, and wait no time at all."""
    noted: list[float] = []
    monkeypatch.setattr(http, "pause", noted.append)
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0")
    return noted


def asked(server, path="/x", **options):
    return ask(server.url + path, source="okx", read=http.as_json, timeout=0.4, **options)


def failed(server, **options):
    """Ask, and return the error."""
    with pytest.raises(SourceError) as caught:
        asked(server, **options)
    return caught.value


# --- an answer -------------------------------------------------------------------------------------------------------


def test_an_answer_is_read(server):
    found = asked(server, "/a/b", params={"symbol": "BTCUSDT", "limit": 5}, headers={"X-Kind": "mark"})
    assert (found["path"], found["query"]) == ("/a/b", {"symbol": "BTCUSDT", "limit": "5"})
    assert (found["sent"]["x-kind"], found["sent"]["user-agent"]) == ("mark", "levelbreak")
    raw = get(f"{server.url}/c", source="okx")
    assert (raw.status, raw.headers["content-type"]) == (200, "application/json")


def test_a_status_may_be_an_answer(server):
    server.fail("status", status=404)
    assert get(server.url, source="okx", accept=(404,)).status == 404


def test_connections_are_kept(server):
    for _ in range(5):
        asked(server)
    assert len(server.web.open) == 1


def test_a_connection_that_the_server_has_closed_is_opened_again(server, waits):
    asked(server)
    server.web.drop_connections()
    time.sleep(0.05)
    assert asked(server)["path"] == "/x"


# --- what is tried again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("reset", {}), ("half", {}), ("html", {}), ("torn", {}), ("hang", {}), ("status", {"status": 500}), ("empty", {}),
        ("status", {"status": 502}), ("status", {"status": 503}), ("status", {"status": 504}), ("status", {"status": 429}),
        ("status", {"status": 418}), ("status", {"status": 408}),
    ],
)  # fmt: skip
def test_what_passes_is_tried_again(server, waits, kind, options):
    server.fail(kind, **options)
    assert asked(server)["path"] == "/x"
    assert (len(server.asked), len(waits)) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "options", "tries", "cause", "sentence"),
    [
        ("reset", {}, 5, "offline", "OKX can't be reached (127.0.0.1 closed the connection, 5 tries). "
         f"Check the network and run the command again; {KEPT}."),
        ("hang", {}, 5, "timeout", "OKX did not answer in time (127.0.0.1 sent nothing for 0.4 s, 5 tries). "
         f"Run the command again later; {KEPT}, or use source binance-archive or bybit."),
        ("status", {"status": 503, "body": b'{"msg": "Under maintenance."}'}, 5, "offline",
         f"OKX can't be reached (HTTP 503: Under maintenance, 5 tries). Check the network and run the command again; {KEPT}."),
        ("status", {"status": 429}, 5, "rate_limited",
         f"OKX allows no more requests for now (HTTP 429, 5 tries). Run the command again later; {KEPT}."),
        ("status", {"status": 429, "headers": {"Retry-After": "3600"}}, 1, "rate_limited",
         "OKX allows no more requests for now (HTTP 429, and asks to wait 3,600 s). "
         f"Run the command again later; {KEPT}."),
        ("half", {}, 2, "malformed", "OKX sent something that can't be read (half an answer: the connection ended before the "
         f"whole was there, 2 tries). Run the command again later; {KEPT}, or use source binance-archive or bybit."),
        ("html", {}, 2, "malformed", "OKX sent something that can't be read (HTML in place of JSON, 2 tries). "
         f"Run the command again later; {KEPT}, or use source binance-archive or bybit."),
        ("empty", {}, 2, "malformed", "OKX sent something that can't be read (JSON that is cut off or broken, 0 bytes, 2 tries). "
         f"Run the command again later; {KEPT}, or use source binance-archive or bybit."),
        ("status", {"status": 451}, 1, "geo_blocked",
         "OKX does not answer from this country (451). Use source binance-archive or bybit."),
        ("status", {"status": 400, "body": b'{"code": -1121, "msg": "Invalid symbol."}'}, 1, "refused",
         "OKX refused the request (HTTP 400: Invalid symbol). "
         "Check the symbol and the span, or use source binance-archive or bybit."),
        ("status", {"status": 403, "body": b"<html>no</html>"}, 1, "refused",
         "OKX refused the request (HTTP 403). Check the symbol and the span, or use source binance-archive or bybit."),
        ("status", {"status": 404}, 1, "refused",
         "OKX refused the request (HTTP 404). Check the symbol and the span, or use source binance-archive or bybit."),
        ("status", {"status": 401}, 1, "needs_key", "OKX needs a key (HTTP 401)."),
    ],
)  # fmt: skip
def test_what_stays_wrong_is_said_in_a_sentence(server, waits, kind, options, tries, cause, sentence):
    server.fail(kind, times=99, **options)
    error = failed(server)
    assert (str(error), error.cause) == (sentence, cause)
    assert (len(server.asked), len(waits)) == (tries, tries - 1)


def test_a_torn_document_counts_its_bytes(server):
    server.fail("body", times=9, body=b'[{"t": 1')
    assert "(JSON that is cut off or broken, 8 bytes, 2 tries)" in str(failed(server))


def test_a_source_that_drips_does_not_hold_forever(server, monkeypatch):
    monkeypatch.setattr(http, "LONGEST", 0.3)
    server.fail("drip", times=9)
    began = time.monotonic()
    error = failed(server, retries=1)
    assert error.cause == "timeout"
    assert time.monotonic() - began < 5


def test_no_network_is_a_sentence(waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError) as caught:
        get(f"http://127.0.0.1:{port}/", source="coinalyze")
    assert str(caught.value) == (
        "Coinalyze can't be reached (127.0.0.1 refused the connection, 5 tries). "
        f"Check the network and run the command again; {KEPT}."
    )
    assert len(waits) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Failed to resolve 'a.b' ([Errno -3] Temporary failure in name resolution): NameResolutionError",
            "has no address here",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "has a certificate that is not accepted here"),
        ("ProxyError('Cannot connect to proxy.')", "can't be reached through the proxy"),
        ("[Errno 101] Network is unreachable", "is out of reach: no network"),
    ],
)
def test_long_messages_come_down_to_a_few_words(text, said):
    failure = http.broken(ConnectionError(text), "https://a.b/c?d=e", 1)
    assert failure.cause == "offline"
    assert failure.why.startswith(f"a.b {said}")


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "seconds"), [("2", 2.0), ("12.48", 12.48), ("0", 0.0)])
def test_the_wait_that_a_source_asks_for_is_kept(server, waits, value, seconds):
    server.fail("status", status=429, headers={"Retry-After": value})
    asked(server)
    assert waits[0] == pytest.approx(seconds, abs=0.11)
    assert waits[0] >= seconds


def test_a_wait_may_be_given_as_a_date(server, waits):
    server.fail("status", status=503, headers={"Retry-After": formatdate(time.time() + 30, usegmt=True)})
    asked(server)
    assert 27 < waits[0] < 31


@pytest.mark.parametrize("value", ["soon", "-5", "1e9999", ""])
def test_a_wait_that_is_none_is_chosen_here(server, waits, value):
    server.fail("status", status=429, headers={"Retry-After": value})
    asked(server)
    assert 0.5 <= waits[0] <= 1.0


@given(st.integers(1, 40))
def test_pauses_double_with_jitter_up_to_a_minute(tries):
    length = min(60.0, 2.0 ** (tries - 1))
    assert length / 2 <= backoff(tries) <= length


def test_pauses_scale_and_end_when_told_to_halt(monkeypatch):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")
    began = time.monotonic()
    pause(20)
    assert 0.015 < time.monotonic() - began < 2
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "no number")
    monkeypatch.setattr(limits, "HALT", halted := threading.Event())
    halted.set()
    pause(3600)
    assert time.monotonic() - began < 2


def test_a_halt_ends_the_trying(server, monkeypatch):
    halted = threading.Event()
    halted.set()
    monkeypatch.setattr(http, "HALT", halted)
    server.fail("status", times=9, status=503)
    assert failed(server).cause == "offline"
    assert len(server.asked) == 1


def test_a_limit_lets_so_many_calls_through_in_its_window(monkeypatch):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "1")
    clock = [100.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock[0])
    limit = Limit(3, 60)
    assert [limit.reserve() for _ in range(4)] == [0, 0, 0, 60]
    clock[0] = 130
    assert limit.reserve() == 30
    clock[0] = 160
    assert [limit.reserve() for _ in range(4)] == [0, 0, 0, 60]
    limit.hold(90)
    assert limit.reserve() == 90
    clock[0] = 250
    assert limit.reserve() == 0


def test_a_limit_holds_over_threads(monkeypatch):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.01")
    limit, times = Limit(5, 20), []  # five in 0.2 s

    def calls():
        for _ in range(3):
            limit.take()
            times.append(time.monotonic())

    threads = [threading.Thread(target=calls) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 15
    assert all(b - a > 0.19 for a, b in zip(times, times[5:], strict=False))


def test_a_source_that_asks_to_wait_holds_all_that_share_its_limit(server, monkeypatch, waits):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")
    limit = Limit(40, 60)
    server.fail("status", status=429, headers={"Retry-After": "100"})
    began = time.monotonic()
    asked(server, limit=limit)
    assert time.monotonic() - began > 0.095
    assert (len(server.asked), waits) == (2, [])


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_sent_and_never_shown(server):
    key = Key("api_key", SECRET)
    assert asked(server, key=key)["sent"]["api_key"] == SECRET
    server.fail("status", status=401, body=f'{{"message": "Invalid key {SECRET}"}}'.encode())
    error = failed(server, key=key)
    assert str(error) == "OKX needs a key (HTTP 401: Invalid key ***)."
    shown = [repr(key), str(error), repr(error), "".join(traceback.format_exception(error)), str(pickle.dumps(error))]
    assert not any(SECRET in text for text in shown)
    assert error.__cause__ is None
    assert error.__context__ is None, "the library's exception holds the request with its headers"


@pytest.mark.parametrize("kind", ["reset", "half", "hang", "html"])
def test_no_failure_carries_the_key(server, kind):
    server.fail(kind, times=9)
    error = failed(server, key=Key("api_key", SECRET), retries=1)
    assert error.__context__ is None
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert SECRET not in "".join(frames.format())


def test_a_key_follows_no_redirect(server):
    with Echo() as other:
        server.fail("status", status=302, headers={"Location": f"{other.url}/there"})
        error = failed(server, key=Key("api_key", SECRET))
        assert "HTTP 302 leads to another address" in str(error)
        assert other.asked == []
        server.fail("status", status=302, headers={"Location": f"{other.url}/there"})
        assert asked(server)["path"] == "/there"


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://localhost:9/login",
        "http://127.0.0.1:x/",
    ],
)
def test_a_redirect_that_leads_elsewhere_is_refused_at_once(server, location):
    server.fail("status", times=99, status=302, headers={"Location": location})
    error = failed(server)
    assert (error.cause, len(server.asked)) == ("refused", 1)
    why = "an address that is none" if "[" in location else "HTTP 302 leads to another address"
    assert f"OKX refused the request ({why})." in str(error)


def test_redirects_that_never_end_are_refused(server):
    server.fail("status", times=99, status=302, headers={"Location": "/again"})
    error = failed(server)
    assert (error.cause, len(server.asked)) == ("refused", 5)


def test_an_answer_that_is_too_large_is_not_read_on(server, monkeypatch):
    monkeypatch.setattr(http, "LARGEST", 1 << 20)
    server.fail("body", times=99, body=b"0" * (3 << 20))
    error = failed(server)
    assert (error.cause, len(server.asked)) == ("malformed", 2)
    assert "more than 1 MiB" in str(error)


@pytest.mark.parametrize("text", ["http://[::1", "file:///tmp", "127.0.0.1:8000", "http://", "http://127.0.0.1:port"])
def test_a_base_address_that_is_none_is_a_sentence(monkeypatch, text):
    monkeypatch.setenv("BACKTEST_URL_OKX", text)
    with pytest.raises(SourceError) as caught:
        address("okx", "")
    assert str(caught.value) == f"BACKTEST_URL_OKX must be an address such as http://127.0.0.1:8000, not {text!r}."


def test_a_password_in_a_base_address_is_not_shown(monkeypatch):
    monkeypatch.setenv("BACKTEST_URL_OKX", "htp://user:pa55@host")
    with pytest.raises(SourceError) as caught:
        address("okx", "")
    assert str(caught.value) == "BACKTEST_URL_OKX must be an address such as http://127.0.0.1:8000."


# --- what the sources share ------------------------------------------------------------------------------------------


def test_base_addresses_can_be_set(monkeypatch):
    assert address("binance-archive", "https://data.binance.vision") == "https://data.binance.vision"
    monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", "http://127.0.0.1:8000/")
    assert address("binance-archive", "https://data.binance.vision") == "http://127.0.0.1:8000"


def test_every_cause_is_a_sentence_with_a_way_on():
    for cause in SENTENCES:
        error = fault("binance", cause, "why", symbol="BTCUSDT", hint="Do this.")
        assert error.cause == cause
        assert "Binance" in str(error)
        assert "(why)" in str(error)
        assert str(error).endswith(".")
        assert isinstance(error, MarketError)


def test_an_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(fault("yahoo", "too_old", "2019")))
    assert (error.cause, str(error)) == ("too_old", str(fault("yahoo", "too_old", "2019")))


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("BadSymbol", "unknown_symbol"), ("RateLimitExceeded", "rate_limited"), ("RequestTimeout", "timeout"),
        ("ExchangeNotAvailable", "offline"), ("BadResponse", "malformed"), ("YFRateLimitError", "rate_limited"),
        ("Whatever", "refused"),
    ],
)  # fmt: skip
def test_exceptions_of_the_libraries_are_known_by_name(name, cause):
    error = type(name, (type("Base", (Exception,), {}),), {})("first line\nsecond line")
    found = translate(error, "bybit", symbol="XUSDT")
    assert found.cause == cause
    assert "second" not in str(found)


def test_an_error_that_is_one_already_stays():
    error = fault("okx", "empty")
    assert translate(error, "bybit") is error


def test_the_sources_are_those_named():
    assert SOURCES == ("binance", "binance-archive", "bybit", "coinalyze", "okx", "yahoo")
    with pytest.raises(SourceError, match=r"No source named 'binance-archiv'\. Did you mean 'binance-archive'\?"):
        get_source("binance-archiv")
    for name in ("binance-archive", "coinalyze"):
        source = get_source(name)
        assert source.name == name
        assert set(source.kinds) <= set(COLUMNS)
        assert source.concurrency > 0


def test_what_a_source_does_not_give_is_refused():
    source, hour = get_source("binance-archive"), 3600 * 10**9
    with pytest.raises(SourceError, match=r"Binance's archive has no opn_interest\. Did you mean 'open_interest'\?"):
        check_request(source, Request("binance-archive", "BTCUSDT", "opn_interest", hour, 0, 1))
    with pytest.raises(SourceError, match=r"Binance's archive gives bars of 1m, 3m, .*1d, not of 7h\."):
        check_request(source, Request("binance-archive", "BTCUSDT", "bars", 7 * hour, 0, 1))
    with pytest.raises(SourceError, match="its start is not before its end"):
        check_request(source, Request("binance-archive", "BTCUSDT", "bars", hour, 5, 5))


def test_a_web_page_is_told_from_data():
    pages = (b"<!DOCTYPE html>\n", b" <html lang=en>", b"<HTML>", b"<head>")
    assert all(http.looks_like_html(page) for page in pages)
    assert not any(
        http.looks_like_html(body) for body in (b"", b"[]", b"PK\x03\x04", b"<?xml version='1.0'?><ListBucket>")
    )


def test_what_an_error_says_is_kept_short():
    said = http.words(Answer(400, {}, b'{"error": "' + b"x" * 500 + b'"}'))
    assert len(said) == 120
    assert http.words(Answer(400, {}, b"[1, 2]")) == ""
    assert http.words(Answer(400, {}, b"<Error><Code>AccessDenied</Code></Error>")) == ""
