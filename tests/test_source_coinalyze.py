"""Coinalyze, against one on loopback: its histories, its key that is never shown, its limit and its short memory."""

import json
import logging
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from servers.coinalyze import Coinalyze as Service

from backtest.errors import SourceError
from backtest.market.sources import COLUMNS, Request, coinalyze, get_source, http
from backtest.market.sources.coinalyze import Coinalyze, code_of, is_linear
from backtest.market.sources.limits import Limit

SECRET = "0f3a-secret-9c"
SECOND, HOUR, DAY = 10**9, 3600 * 10**9, 86_400 * 10**9
NOW = int(np.datetime64("2026-03-20T10:00", "s").astype(int))  # seconds
KEPT = "what was fetched so far is kept"
UNREAD = "Coinalyze sent something that can't be read"
LATER = f"Run the command again later; {KEPT}"
OTHERS = "source binance-archive, or a file of your own"
FREE = "Get a free one at coinalyze.net and set the environment variable COINALYZE_KEY to it."


def at(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.fixture
def service(monkeypatch):
    with Service(NOW, key=SECRET) as service:
        monkeypatch.setenv("BACKTEST_URL_COINALYZE", service.url)
        monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0")
        monkeypatch.setenv("COINALYZE_KEY", SECRET)
        monkeypatch.delenv("COINALYZE_API_KEY", raising=False)
        yield service


def asked(kind, start="2026-03-18", end="2026-03-19", interval=HOUR, symbol="BTCUSDT_PERP.A"):
    return Request("coinalyze", symbol, kind, 0 if kind == "funding" else interval, at(start), at(end))


def fetch(request):
    source = Coinalyze(now=lambda: NOW * SECOND)
    return [source.page(part) for part in source.plan(request)]


def refused(request):
    with pytest.raises(SourceError) as caught:
        fetch(request)
    return caught.value


def t(text):
    return at(text) // SECOND


# --- what it gives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["liquidations", "open_interest", "long_short_ratio"])
def test_a_history_is_read(service, kind):
    (page,) = fetch(asked(kind))
    assert (page.start, page.end) == (at("2026-03-18"), at("2026-03-19"))
    assert page.columns["time"].tolist() == list(range(at("2026-03-18"), at("2026-03-19"), HOUR))
    assert set(page.columns) == {"time", *COLUMNS[kind]}
    assert all(values.dtype == np.float64 for name, values in page.columns.items() if name != "time")
    assert page.notes == ()


def test_a_call_is_as_documented(service):
    fetch(asked("liquidations", end="2026-03-18T06:00", interval=300 * SECOND))
    (call,) = service.asked
    assert call.path == "/liquidation-history"
    assert dict(call.query) == {
        "symbols": "BTCUSDT_PERP.A", "interval": "5min", "from": str(t("2026-03-18")), "to": str(t("2026-03-18T06:00") - 1),
        "convert_to_usd": "true",
    }  # fmt: skip
    assert call.headers["api_key"] == SECRET


def test_liquidations_are_longs_and_shorts_in_usd(service):
    service.rows["liquidation-history"] = [
        {"t": t("2026-03-18T00:00"), "l": 1_250_000.5, "s": 40},
        {"t": t("2026-03-18T02:00"), "l": 0, "s": 7.25},
    ]
    (page,) = fetch(asked("liquidations"))
    assert page.columns["time"].tolist() == [at("2026-03-18T00:00"), at("2026-03-18T02:00")]
    assert page.columns["long_usd"].tolist() == [1_250_000.5, 0.0]
    assert page.columns["short_usd"].tolist() == [40.0, 7.25]


def test_open_interest_is_the_close_in_coins_and_in_usd(service):
    service.rows["open-interest-history"] = [{"t": t("2026-03-18"), "o": 1, "h": 9, "l": 1, "c": 5}]
    (page,) = fetch(asked("open_interest"))
    assert [call.query["convert_to_usd"] for call in service.asked] == ["true", "false"]
    assert (page.columns["coins"].tolist(), page.columns["usd"].tolist()) == ([5.0], [5.0])


def test_contracts_that_are_counted_in_dollars_have_no_coins(service):
    (page,) = fetch(asked("open_interest", symbol="BTCUSD_PERP.0"))
    assert len(service.asked) == 1
    assert np.isnan(page.columns["coins"]).all()
    assert np.isfinite(page.columns["usd"]).all()


def test_funding_is_a_fraction_at_each_settlement(service):
    service.rows["funding-rate-history"] = [
        {"t": t(f"2026-03-{17 + i // 6}T{i % 6 * 4:02}:00"), "o": 9, "h": 9, "l": 9, "c": i / 100} for i in range(12)
    ]  # 4-hour bars of 17 and 18 March, whose closes are 0.00 to 0.11 percent
    (page,) = fetch(asked("funding"))
    assert service.asked[0].query["interval"] == "4hour"
    assert "convert_to_usd" not in service.asked[0].query
    assert page.columns["time"].tolist() == [at("2026-03-18T00:00"), at("2026-03-18T08:00"), at("2026-03-18T16:00")]
    np.testing.assert_allclose(page.columns["rate"], [0.0005, 0.0007, 0.0009], rtol=1e-12)
    assert page.notes == (
        "BTCUSDT_PERP.A funding: Coinalyze gives the rate in force, in percent; it was taken each 8 h as a fraction. "
        "A perpetual that is settled at other times needs another source.",
    )


def test_a_ratio_is_longs_over_shorts(service):
    service.rows["long-short-ratio-history"] = [{"t": t("2026-03-18"), "r": 1.45, "l": 59.18, "s": 40.82}]
    (page,) = fetch(asked("long_short_ratio", interval=DAY))
    assert page.columns["value"].tolist() == [1.45]


def test_a_number_that_is_missing_is_nan(service):
    service.rows["liquidation-history"] = [
        {"t": t("2026-03-18"), "l": None, "s": 1},
        {"t": t("2026-03-18T01:00"), "s": 2},
    ]
    (page,) = fetch(asked("liquidations"))
    assert np.isnan(page.columns["long_usd"]).all()


def test_the_market_s_own_name_is_binance_s_perpetual(service):
    assert [code_of(s) for s in ("BTCUSDT", "BTCUSDT_PERP", "BTCUSDT_PERP.6", "BTCUSD.C")] == [
        "BTCUSDT_PERP.A", "BTCUSDT_PERP.A", "BTCUSDT_PERP.6", "BTCUSD.C",
    ]  # fmt: skip
    assert [is_linear(s) for s in ("BTCUSDT", "ETHUSDC_PERP.A", "BTCUSD_PERP.0", "BTCUSDT.6")] == [
        True,
        True,
        False,
        True,
    ]
    fetch(asked("liquidations", symbol="BTCUSDT"))
    assert service.asked[0].query["symbols"] == "BTCUSDT_PERP.A"


def test_a_long_span_is_cut_and_daily_bars_go_back_for_good(service):
    pages = fetch(asked("liquidations", "2019-01-01", "2026-03-01", DAY))
    assert len(service.asked) == 2
    assert [p.columns["time"].size for p in pages] == [2_000, 616]
    time = np.concatenate([p.columns["time"] for p in pages])
    assert (np.diff(time) == DAY).all()


# --- what it no longer has -------------------------------------------------------------------------------------------


def test_a_span_that_is_no_longer_kept_is_a_sentence(service):
    error = refused(asked("liquidations", "2023-01-01", "2026-03-01"))
    assert (error.cause, str(error)) == (
        "too_old",
        "Coinalyze keeps the last 2,000 bars of 1h at most (83 days, since 2025-12-27); the span starts 2023-01-01. "
        'Use interval 1d, or a file of your own, or a proxy: { proxy = "open_interest" }.',
    )
    assert service.asked == []
    assert str(refused(asked("funding", "2024-01-01"))).endswith(
        "the span starts 2024-01-01. Use source binance-archive."
    )
    assert "Use interval 1d, or source binance-archive." in str(refused(asked("open_interest", "2024-01-01")))


def test_what_may_be_deleted_already_is_noted(service):
    (page,) = fetch(asked("liquidations", "2026-01-01", "2026-01-12"))  # 1,700 hours go back to 2026-01-08T14:00
    assert page.columns["time"][0] == at("2026-01-08T14:00")
    assert (page.start, page.end) == (at("2026-01-01"), at("2026-01-12"))
    assert page.notes == (
        "BTCUSDT_PERP.A liquidations: Coinalyze begins 2026-01-08T14:00Z, asked from 2026-01-01T00:00Z.",
    )


# --- its key ---------------------------------------------------------------------------------------------------------


def test_without_a_key_there_is_a_sentence(service, monkeypatch):
    monkeypatch.delenv("COINALYZE_KEY")
    error = refused(asked("liquidations"))
    assert (error.cause, str(error)) == ("needs_key", f"Source coinalyze needs a key. {FREE}")
    assert service.asked == []
    monkeypatch.setenv("COINALYZE_API_KEY", SECRET)
    assert fetch(asked("liquidations"))


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_can_t_be_sent_is_a_sentence(service, monkeypatch, value):
    monkeypatch.setenv("COINALYZE_KEY", value)
    error = refused(asked("liquidations"))
    assert str(error) == f"The key in COINALYZE_KEY has blanks or signs that no key has. {FREE}"
    assert value not in "".join(traceback.format_exception(error))


def test_a_key_that_is_refused_is_a_sentence_without_it(service, monkeypatch):
    monkeypatch.setenv("COINALYZE_KEY", "wr0ng-key-of-mine")
    error = refused(asked("liquidations"))
    assert (error.cause, str(error)) == (
        "needs_key", f"Coinalyze needs a key (it refuses the one in COINALYZE_KEY). {FREE}",
    )  # fmt: skip
    assert len(service.asked) == 1
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "wr0ng-key-of-mine" not in "".join(shown.format())
    assert error.__context__ is None


@pytest.mark.parametrize("kind", [None, "reset", "half", "html", "hang"])
def test_the_key_is_in_no_log_repr_page_or_message(service, monkeypatch, caplog, capfd, kind):
    monkeypatch.setitem(http.ask.__kwdefaults__, "timeout", 0.3)
    caplog.set_level(logging.DEBUG)
    source = Coinalyze(now=lambda: NOW * SECOND)
    shown = [repr(source)]
    if kind:
        service.fail(kind, times=9)
        error = refused(asked("liquidations"))
        shown += "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    else:
        shown += [repr(page) + str(page.columns) for page in fetch(asked("liquidations"))]
    shown += [record.getMessage() for record in caplog.records] + list(capfd.readouterr())
    assert service.asked[0].headers["api_key"] == SECRET
    assert SECRET not in "".join(shown)
    assert SECRET not in str(service.asked[0].query)


# --- its limit -------------------------------------------------------------------------------------------------------


def test_forty_calls_a_minute_are_never_passed(service, monkeypatch):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.005")  # a minute is 0.3 s
    monkeypatch.setattr(coinalyze, "LIMIT", Limit(40, 60.0))
    service.window = 0.28
    source = get_source("coinalyze")
    source = Coinalyze(now=lambda: NOW * SECOND)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(source.page, [asked("long_short_ratio")] * 100))
    assert len(service.asked) - service.refusals == 100
    assert service.refusals <= 2, "the clock of the service may count a call later than it was sent"
    assert time.monotonic() - began > 0.55


def test_the_wait_that_it_asks_for_in_fractions_is_kept(service, monkeypatch):
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "1")
    monkeypatch.setattr(coinalyze, "LIMIT", Limit(40, 60.0))
    service.fail("status", status=429, headers={"Retry-After": "0.25"})
    fetch(asked("long_short_ratio"))
    first, second = service.asked
    assert 0.24 < second.when - first.when < 3


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "cause", "sentence"),
    [
        ("html", {}, "malformed", f"{UNREAD} (HTML in place of JSON, 2 tries). {LATER}, or use {OTHERS}."),
        ("half", {}, "malformed", f"{UNREAD} (half an answer: the connection ended before the "
         f"whole was there, 2 tries). {LATER}, or use {OTHERS}."),
        ("body", {"body": b'[{"symbol": "BTCUSDT_PERP.A", "history": [{"t": 17'}, "malformed",
         f"{UNREAD} (JSON that is cut off or broken, 50 bytes, 2 tries). {LATER}, or use {OTHERS}."),
        ("body", {"body": b'{"error": 5}'}, "malformed",
         f"{UNREAD} (JSON of another form, 2 tries). {LATER}, or use {OTHERS}."),
        ("body", {"body": b'[{"symbol": "X", "history": [{"x": 1}]}]'}, "malformed",
         f"{UNREAD} (JSON of another form, 2 tries). {LATER}, or use {OTHERS}."),
        ("status", {"status": 451}, "geo_blocked", f"Coinalyze does not answer from this country (451). Use {OTHERS}."),
        ("status", {"status": 400, "body": b'{"message": "Invalid symbols"}'}, "refused",
         f"Coinalyze refused the request (HTTP 400: Invalid symbols). Check the symbol and the span, or use {OTHERS}."),
        ("status", {"status": 429, "headers": {"Retry-After": "600.5"}}, "rate_limited",
         f"Coinalyze allows no more requests for now (HTTP 429, and asks to wait 600 s). {LATER}."),
        ("status", {"status": 500}, "offline", "Coinalyze can't be reached (HTTP 500, 5 tries). "
         f"Check the network and run the command again; {KEPT}."),
        ("hang", {}, "timeout", "Coinalyze did not answer in time "
         f"(127.0.0.1 sent nothing for 0.3 s, 5 tries). {LATER}, or use {OTHERS}."),
        ("status", {"status": 302, "headers": {"Location": "https://example.org/"}}, "refused",
         f"Coinalyze refused the request (HTTP 302 leads to another address). Check the symbol and the span, or use {OTHERS}."),
    ],
)  # fmt: skip
def test_every_fault_is_a_sentence(service, monkeypatch, kind, options, cause, sentence):
    monkeypatch.setitem(http.ask.__kwdefaults__, "timeout", 0.3)
    service.fail(kind, times=99, **options)
    error = refused(asked("liquidations"))
    assert (error.cause, str(error)) == (cause, sentence)


def test_offline_is_a_sentence(service):
    service.stop()
    error = refused(asked("liquidations"))
    assert (error.cause, str(error)) == (
        "offline",
        "Coinalyze can't be reached (127.0.0.1 refused the connection, 5 tries). "
        f"Check the network and run the command again; {KEPT}.",
    )


def test_a_symbol_that_there_is_not_is_a_sentence(service):
    error = refused(asked("liquidations", symbol="BTCUSTD"))
    assert (error.cause, str(error)) == (
        "unknown_symbol",
        "Coinalyze has no symbol 'BTCUSTD'. Did you mean 'BTCUSDT_PERP.A'?",
    )
    error = refused(asked("liquidations", symbol="ZZZZ"))
    assert str(error) == "Coinalyze has no symbol 'ZZZZ'. Symbols look like BTCUSDT_PERP.A."


def test_an_answer_without_rows_is_a_sentence(service):
    service.rows["liquidation-history"] = []
    error = refused(asked("liquidations"))
    assert (error.cause, str(error)) == (
        "empty",
        "Coinalyze answered without a row of BTCUSDT_PERP.A (liquidations from 2026-03-18T00:00Z to 2026-03-19T00:00Z). "
        'Check the symbol and the span, or use a file of your own, or a proxy: { proxy = "open_interest" }.',
    )


def test_an_interval_that_it_does_not_have_is_a_sentence(service):
    assert str(refused(asked("liquidations", interval=8 * HOUR))) == (
        "Coinalyze gives liquidations of 1m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 12h, 1d, not of 8h."
    )


# --- rows that can't be ----------------------------------------------------------------------------------------------


NUMBERS = {"l": 1, "s": 1, "c": 1, "r": 1}


@pytest.mark.parametrize("kind", ["liquidations", "open_interest", "funding", "long_short_ratio"])
@pytest.mark.parametrize(
    "row",
    [
        {"t": 10**30, **NUMBERS},
        {"t": at("2026-03-18T06:00") // 10**6, **NUMBERS},  # milliseconds
        {"t": 0, **NUMBERS},
        {"t": -1, **NUMBERS},
        {"t": t("2026-03-18T04:00"), **dict.fromkeys(NUMBERS, 10**400)},
        {"t": t("2026-03-18T04:00"), **dict.fromkeys(NUMBERS)},
        {"t": t("2026-03-18T04:00"), **dict.fromkeys(NUMBERS, "1.5")},
        {"t": t("2026-03-20"), **NUMBERS},
    ],
)
def test_a_row_that_can_t_be_is_malformed(service, kind, row):
    service.fail("body", times=99, body=json.dumps([{"symbol": "BTCUSDT_PERP.A", "history": [row]}]).encode())
    error = refused(asked(kind))
    assert error.cause == "malformed"
    assert str(error).startswith(f"{UNREAD} (")


def test_rows_that_end_early_are_noted(service):
    rows = [{"t": t("2026-03-18") + 3600 * n, "r": 1.5} for n in range(20)]
    service.rows["long-short-ratio-history"] = rows
    (page,) = fetch(asked("long_short_ratio"))
    assert page.columns["time"].size == 20
    assert page.notes == (
        "BTCUSDT_PERP.A long_short_ratio: Coinalyze ends 2026-03-18T19:00Z, asked up to 2026-03-19T00:00Z.",
    )


def test_days_before_the_listing_are_a_hole(service):
    # 2,000 days from 2018-01-01 end on 2023-06-24; the first row is later.
    service.rows["liquidation-history"] = [{"t": t("2026-02-01") + 86_400 * n, "l": 1, "s": 2} for n in range(28)]
    first, second = fetch(asked("liquidations", "2018-01-01", "2026-03-01", interval=DAY))
    assert (first.columns["time"].size, first.end) == (0, at("2023-06-24"))
    assert first.notes == (
        "BTCUSDT_PERP.A liquidations: Coinalyze has none from 2018-01-01T00:00Z to 2023-06-24T00:00Z.",
    )
    assert second.columns["time"].size == 28


def test_what_it_does_not_have_is_said_before_the_key_is_asked_for(monkeypatch):
    for name in ("COINALYZE_KEY", "COINALYZE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert str(refused(asked("bars"))).startswith("Coinalyze has no bars.")
