"""What goes wrong at the archive of Binance: checksums, files, connections, a server that has nothing or too much."""

import hashlib
import io
import tracemalloc
import zipfile

import pytest
from binance_archive_made import asked, day, fetch, path, refused, server, source
from servers.binance_archive import (
    HOUR,
    KLINE_HEADER,
    at,
    klines,
    zipped,
)

from backtest.market.sources import get_source, http

__all__ = ["server"]


KEPT = "what was fetched so far is kept"
UNREAD = "Binance's archive sent something that can't be read"
LATER = f"Run the command again later; {KEPT}, or use source bybit or okx."


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_is_tried_once_more(server):
    name = path("BTCUSDT-1h-2026-02-03")
    server.fail("body", match=".CHECKSUM", body=b"0" * 64 + b"  BTCUSDT-1h-2026-02-03.zip\n")
    assert day("2026-02-03").columns["time"].size == 24
    assert server.paths.count(name) == 2


def test_a_checksum_that_stays_wrong_is_a_sentence(server):
    name = path("BTCUSDT-1h-2026-02-03")
    body = zipped("BTCUSDT-1h-2026-02-03.csv", klines("BTCUSDT", HOUR, at("2026-02-03"), at("2026-02-04")))
    server.files[name], server.sums[name] = body, f"{'ab' * 32}  BTCUSDT-1h-2026-02-03.zip\n"
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (
        "checksum",
        "Binance's archive sent a file that does not match its published SHA-256 (BTCUSDT-1h-2026-02-03.zip has "
        f"{hashlib.sha256(body).hexdigest()[:12]}..., published is abababababab..., 2 tries). {LATER}",
    )
    assert server.paths.count(name) == 2


def test_a_file_without_a_checksum_is_taken_and_noted(server):
    server.sums[path("BTCUSDT-1h-2026-02-03")] = None
    page = day("2026-02-03")
    assert page.columns["time"].size == 24
    assert page.notes == ("BTCUSDT-1h-2026-02-03.zip has no published SHA-256; it was not checked against one.",)


@pytest.mark.parametrize("text", ["<html>no</html>", "", "zzzz  BTCUSDT-1h-2026-02-03.zip"])
def test_a_checksum_that_is_none_is_a_sentence(server, text):
    server.sums[path("BTCUSDT-1h-2026-02-03")] = text
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert error.cause == "malformed"
    assert "checksum" in str(error)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"PK\x03\x04 broken", "a broken zip file"),
        (zipped("a.csv", "x" * 999)[:-30], "a broken zip file"),
        (zipped("a.txt", "1,2\n"), "a zip file of 0 CSV files"),
        (zipped("a.csv", "open_time,open\n1770076800000,1\n"), "no column high, low, close, volume; it has open_time, open"),
        (zipped("a.csv", "1770076800000,1,2\n"), "its CSV can't be read"),
        (zipped("a.csv", "1770076800000,a,1,1,1,1,0,0,0,0,0,0\n"), "its CSV can't be read"),
        (zipped("a.csv", "soon,1,1,1,1,1,0,0,0,0,0,0\n"), "no column open_time"),
        (zipped("a.csv", "17700,1,1,1,1,1,0,0,0,0,0,0\n"), "a stamp that is neither in ms nor in us: 17700"),
        (zipped("a.csv", "1767225600000,1,1,1,1,1,0,0,0,0,0,0\n"), "has rows of 2026-01-01, none of its own time"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_documented_is_a_sentence(server, body, why):
    server.files[path("BTCUSDT-1h-2026-02-03")] = body
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert error.cause == "malformed"
    assert str(error).startswith("Binance's archive sent something that can't be read (BTCUSDT-1h-2026-02-03.zip")
    assert why in str(error)
    assert str(error).endswith(LATER)


def test_a_file_without_rows_is_a_sentence(server):
    server.files[path("BTCUSDT-1h-2026-02-03")] = KLINE_HEADER + "\n"
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (
        "empty",
        "Binance's archive answered without a row of BTCUSDT (BTCUSDT-1h-2026-02-03.zip). "
        "Check the symbol and the span, or use source bybit or okx.",
    )


@pytest.mark.parametrize(
    ("kind", "options", "cause", "sentence"),
    [
        ("html", {}, "malformed", f"{UNREAD} (HTML in place of a zip file, 2 tries). {LATER}"),
        ("half", {}, "malformed", f"{UNREAD} (half an answer: the connection ended "
         f"before the whole was there, 2 tries). {LATER}"),
        ("empty", {}, "malformed", f"{UNREAD} (0 bytes that are no zip file, 2 tries). {LATER}"),
        ("status", {"status": 451}, "geo_blocked",
         "Binance's archive does not answer from this country (451). Use source bybit or okx."),
        ("status", {"status": 403}, "refused", "Binance's archive refused the request (HTTP 403). "
         "Check the symbol and the span, or use source bybit or okx."),
        ("status", {"status": 429, "headers": {"Retry-After": "900"}}, "rate_limited", "Binance's archive allows no more requests "
         f"for now (HTTP 429, and asks to wait 900 s). Run the command again later; {KEPT}."),
        ("status", {"status": 503}, "offline", "Binance's archive can't be reached (HTTP 503, 5 tries). "
         f"Check the network and run the command again; {KEPT}."),
        ("reset", {}, "offline", "Binance's archive can't be reached (127.0.0.1 closed the connection, 5 tries). "
         f"Check the network and run the command again; {KEPT}."),
        ("hang", {}, "timeout", f"Binance's archive did not answer in time (127.0.0.1 sent nothing for 0.3 s, 5 tries). {LATER}"),
    ],
)  # fmt: skip
def test_every_fault_of_the_connection_is_a_sentence(server, monkeypatch, kind, options, cause, sentence):
    monkeypatch.setitem(http.ask.__kwdefaults__, "timeout", 0.3)
    server.fail(kind, times=99, **options)
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (cause, sentence)


def test_half_a_zip_file_fails_its_checksum(server):
    name = path("BTCUSDT-1h-2026-02-03")
    whole = server.file(name)
    server.files[name], server.sums[name] = whole[: len(whole) // 2], hashlib.sha256(whole).hexdigest()
    assert refused(asked("2026-02-03", "2026-02-04")).cause == "checksum"


def test_offline_is_a_sentence(server):
    server.stop()
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (
        "offline",
        "Binance's archive can't be reached (127.0.0.1 refused the connection, 5 tries). "
        f"Check the network and run the command again; {KEPT}.",
    )


@pytest.mark.parametrize("kind", ["bars", "funding", "open_interest"])
def test_a_symbol_that_there_is_not_is_a_sentence(server, kind):
    error = refused(asked("2026-01-01", "2026-02-01", kind, symbol="BTCUSD"))
    assert error.cause == "unknown_symbol"
    assert str(error).startswith("Binance's archive has no symbol 'BTCUSD' (there is no data/futures/um/")
    assert str(error).endswith("Symbols look like BTCUSDT, or spot/BTCUSDT.")


@pytest.mark.parametrize(
    ("symbol", "like"),
    [("btcusdt", "BTCUSDT"), ("BTC/USDT:USDT", "BTCUSDT"), ("BTCUSDT_PERP.A", "BTCUSDT"), ("Spot/BTCUSDT", "BTCUSDT")],
)
def test_a_symbol_spelled_as_elsewhere_is_told_how_it_is_here(server, symbol, like):
    error = refused(asked("2026-02-01", "2026-02-02", symbol=symbol))
    assert str(error) == (
        f"Binance's archive has no symbol {symbol!r}. Symbols look like BTCUSDT, or spot/BTCUSDT. Did you mean {like!r}?"
    )
    assert server.asked == []


def test_spot_has_bars_alone():
    assert str(refused(asked("2026-02-01", "2026-02-02", "funding", symbol="spot/BTCUSDT"))) == (
        "Binance's archive has no funding of spot/BTCUSDT: spot has bars alone. Use the perpetual, BTCUSDT."
    )


def test_a_span_before_all_files_is_a_sentence():
    error = refused(asked("2017-01-01", "2019-01-01"))
    assert (error.cause, str(error)) == (
        "too_old",
        "Binance's archive has nothing that old (bars of BTCUSDT begin 2019-09-01; the span starts 2017-01-01). "
        "Use a later start, or another source.",
    )


def test_pages_are_fetched_side_by_side(server):
    from concurrent.futures import ThreadPoolExecutor

    server.work = 0.05
    archive = get_source("binance-archive")
    plan = archive.plan(asked("2026-02-03", "2026-02-19"))
    with ThreadPoolExecutor(archive.concurrency) as pool:
        pages = list(pool.map(archive.page, plan))
    assert sum(p.columns["time"].size for p in pages) == 16 * 24
    assert server.busiest == archive.concurrency == 8


# --- a server that has nothing, and one that has too much --------------------------------------------------------------


def test_404_on_everything_covers_nothing(server):
    server.lists, server.symbols = False, ()
    for kind in ("bars", "funding", "open_interest"):
        pages = fetch(asked("2025-12-30", "2026-03-02", kind))
        assert all(page.end == page.start and not page.columns["time"].size for page in pages)
        assert "whether it has any can't be found out" in pages[0].notes[0]


@pytest.mark.parametrize("period", ["daily", "monthly"])
def test_a_hole_is_one_where_any_other_file_was_seen(server, period):
    server.lists = False
    server.files[path("BTCUSDT-1h-2026-02-04")] = None
    archive = source()
    seen = asked("2026-02-05", "2026-02-06") if period == "daily" else asked("2026-01-01", "2026-02-01")
    assert archive.page(seen).columns["time"].size
    page = archive.page(asked("2026-02-04", "2026-02-05"))
    assert (page.start, page.end) == (at("2026-02-04"), at("2026-02-05"))
    assert page.notes == ("BTCUSDT bars: Binance's archive has no file of 2026-02-04.",)


def test_a_zip_file_that_grows_beyond_measure_is_not_unpacked(server):
    name = "BTCUSDT-1h-2026-02-03"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed, packed.open(f"{name}.csv", "w") as file:
        for _ in range(129):
            file.write(bytes(1 << 20))
    honest = out.getvalue()
    lying = honest.replace((129 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert (len(honest) < 200_000, lying != honest) == (True, True)
    for body in (honest, lying):
        server.files[path(name)] = body
        tracemalloc.start()
        error = refused(asked("2026-02-03", "2026-02-04"))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (error.cause, most < 64 << 20) == ("malformed", True)
        why = "where there is one of at most 128 MiB" if body is honest else "a broken zip file"
        assert why in str(error)
