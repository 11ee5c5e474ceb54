"""What can go wrong with a fetch, as the command says it: sentence and exit code, what is kept, and that the next one goes on."""

import errno
import json
import os
import sys

import pytest
from command import call, document
from servers.binance_archive import Archive
from servers.coinalyze import Coinalyze

from backtest.market.sources import http
from backtest.market.store import disk
from tests.servers.binance import BinanceServer
from tests.servers.book import JULY, Book
from tests.servers.yahoo import YahooServer

KEPT = "what was fetched so far is kept"
AGAIN = f"Run the command again later; {KEPT}, or use source bybit or okx."
MARKET = """interval = "1h"
start = "2026-01-30"
end = "2026-02-03"

[BTCUSDT]
bars = "store:binance-archive"
funding = "none"

[ETHUSDT]
bars = "store:binance-archive"
funding = "none"
"""
ONE = """interval = "{interval}"
start = "{start}"
end = "{end}"

[{symbol}]
bars = "store:{source}"
funding = "none"
"""
FILE = "ETHUSDT-1h-2026-02-01"
PLACE = f"/data/futures/um/daily/klines/ETHUSDT/1h/{FILE}.zip"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.01")
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "mine.toml").write_text(MARKET)
    return tmp_path


@pytest.fixture
def archive(here, monkeypatch):
    with Archive() as server:
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", server.url)
        yield server


def one(folder, source, symbol, interval="1h", start="2025-07-01", end="2025-07-03"):
    """Write a market of one series."""
    (folder / "mine.toml").write_text(ONE.format(source=source, symbol=symbol, interval=interval, start=start, end=end))


def said(done):
    return " ".join(done.stdout.split())


def fetch():
    return call("fetch", "./mine.toml")


def told():
    """Return the exit code of a fetch and what its document has of each series."""
    done = call("fetch", "./mine.toml", "--json")
    return done.exit_code, {row["of"][0]: row for row in json.loads(done.stdout)["series"]}


def days(server):
    """Return the files that were asked for, each once."""
    return {path.rsplit("/", 1)[1].split(".")[0] for path in server.paths if path != "/"}


# --- one file of one series ------------------------------------------------------------------------------------------

BROKEN = {
    "timeout": (
        "hang",
        {},
        "Binance's archive did not answer in time (127.0.0.1 sent nothing for 0.2 s, 5 tries). " + AGAIN,
    ),
    "offline": (
        "status",
        {"status": 503},
        f"Binance's archive can't be reached (HTTP 503, 5 tries). Check the network and run the command again; {KEPT}.",
    ),
    "rate_limited": (
        "status",
        {"status": 429, "headers": {"Retry-After": "2"}},
        "Binance's archive allows no more requests for now (HTTP 429, and asks to wait 2 s, 5 tries). "
        f"Run the command again later; {KEPT}.",
    ),
    "half": (
        "half",
        {},
        "Binance's archive sent something that can't be read (half an answer: the connection ended before the whole was there, "
        "2 tries). " + AGAIN,
    ),
    "html": (
        "html",
        {},
        "Binance's archive sent something that can't be read (HTML in place of a zip file, 2 tries). " + AGAIN,
    ),
    "refused": (
        "status",
        {"status": 403},
        "Binance's archive refused the request (HTTP 403). Check the symbol and the span, or use source bybit or okx.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_does_not_come_stops_its_series_alone_and_the_next_fetch_goes_on(name, archive, monkeypatch):
    kind, options, sentence = BROKEN[name]
    monkeypatch.setitem(http.ask.__kwdefaults__, "timeout", 0.2)
    archive.fail(kind, times=10_000, match=FILE, **options)
    done = fetch()
    assert f"Not fetched · ETHUSDT.bars: {sentence}" in said(done)
    assert done.exit_code == 1
    code, rows = told()
    assert (code, rows["ETHUSDT.bars"]["error"], rows["BTCUSDT.bars"]["missing"]) == (1, sentence, [])
    assert rows["ETHUSDT.bars"]["cause"] == {"half": "malformed", "html": "malformed"}.get(name, name)
    assert rows["ETHUSDT.bars"]["missing"] == [["2026-02-01T00:00Z", "2026-02-02T00:00Z"]]
    archive.faults.clear()
    archive.asked.clear()
    code, rows = told()
    assert (code, rows["ETHUSDT.bars"]["added"], days(archive)) == (0, 24, {FILE})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 429, "headers": {"Retry-After": "1"}, "times": 3}),
        ("status", {"status": 503, "times": 3}),
        ("reset", {"times": 2}),
        ("half", {}),
        ("html", {}),
    ],
)
def test_what_passes_is_tried_again_and_not_told(archive, kind, options):
    archive.fail(kind, match=FILE, **options)
    done = fetch()
    assert (done.exit_code, done.stderr, "Not fetched" in done.stdout) == (0, "", False)


def test_a_wrong_checksum(archive):
    archive.sums[PLACE] = "0" * 64 + f"  {FILE}.zip\n"
    done = fetch()
    assert done.exit_code == 1
    assert "ETHUSDT.bars: Binance's archive sent a file that does not match its published SHA-256" in said(done)
    assert f"{FILE}.zip" in said(done)
    archive.sums.clear()
    archive.asked.clear()
    assert (fetch().exit_code, days(archive)) == (0, {FILE})


# --- all of a source -------------------------------------------------------------------------------------------------


def test_offline(archive):
    archive.stop()
    done = fetch()
    assert done.exit_code == 2
    assert (
        "Not fetched · BTCUSDT.bars, ETHUSDT.bars: Binance's archive can't be reached (127.0.0.1 refused the connection, "
        f"5 tries). Check the network and run the command again; {KEPT}." in said(done)
    )


def test_a_country_that_is_not_served(archive):
    archive.fail("status", times=10_000, status=451)
    done = fetch()
    assert done.exit_code == 2
    assert "Binance's archive does not answer from this country (451). Use source bybit or okx." in said(done)
    assert len(archive.asked) <= 8  # once for each of those under way, and none again


def test_a_symbol_that_there_is_not(archive, here):
    (here / "mine.toml").write_text(MARKET.replace("ETHUSDT", "ETHUSDX"))
    done = fetch()
    assert done.exit_code == 1
    assert (
        "ETHUSDX.bars: Binance's archive has no symbol 'ETHUSDX' (there is no data/futures/um/daily/klines/ETHUSDX/1h)"
        in said(done)
    )


def test_a_span_that_is_too_old(here, monkeypatch):
    one(here, "yahoo", "BTC-USD", start="2023-01-01", end="2023-02-01")
    with YahooServer() as server:
        monkeypatch.setenv("BACKTEST_URL_YAHOO", server.url)
        done = fetch()
        assert server.asked == []
    assert done.exit_code == 2
    assert (
        "Not fetched · BTC-USD.bars: Yahoo limits 1h bars to the last 730 days; the span starts 2023-01-01. "
        "Use interval 1d, or source binance." in said(done)
    )


def exchange():
    return BinanceServer(BTCUSDT=Book(now=JULY + 40 * 86_400_000))


EXCHANGE = {
    "451": (
        "status",
        {"status": 451},
        "geo_blocked",
        "Binance does not answer from this country (451). Use source binance-archive or bybit.",
    ),
    "an empty list": (
        "body",
        {"body": b"[]", "match": "/fapi/v1/klines"},
        "empty",
        "Binance answered without a row of BTCUSDT (2025-07-01T00:00Z to 2025-07-03T00:00Z). "
        "Check the symbol and the span, or use source binance-archive or bybit.",
    ),
    "no body": (
        "empty",
        {"match": "/fapi/v1/klines"},
        "malformed",
        "Binance sent something that can't be read (JSON that is cut off or broken, 0 bytes, 2 tries). "
        f"Run the command again later; {KEPT}, or use source binance-archive or bybit.",
    ),
    "half": (
        "torn",
        {"match": "/fapi/v1/klines"},
        "malformed",
        "Binance sent something that can't be read (JSON that is cut off or broken, ",
    ),
    "html": (
        "html",
        {},
        "malformed",
        "Binance sent something that can't be read (HTML in place of JSON, 2 tries). "
        f"Run the command again later; {KEPT}, or use source binance-archive or bybit.",
    ),
}


@pytest.mark.parametrize("name", EXCHANGE)
def test_what_an_exchange_does_not_give(name, here, monkeypatch):
    pytest.importorskip("ccxt")
    kind, options, cause, sentence = EXCHANGE[name]
    one(here, "binance", "BTCUSDT")
    with exchange() as server:
        monkeypatch.setenv("BACKTEST_URL_BINANCE", server.url)
        server.fail(kind, times=10_000, **options)
        done = fetch()
        assert (done.exit_code, f"Not fetched · BTCUSDT.bars: {sentence}" in said(done)) == (2, True), said(done)
        code, rows = told()
        assert (code, rows["BTCUSDT.bars"]["cause"]) == (2, cause)
        assert rows["BTCUSDT.bars"]["error"].startswith(sentence)
        server.faults.clear()
        assert fetch().exit_code == 0


def test_a_key_that_is_missing_and_one_that_is_refused(here, monkeypatch):
    (here / "mine.toml").write_text(
        MARKET.split("[ETH")[0]
        + 'long_liquidations = { store = "coinalyze", symbol = "BTCUSDT_PERP.A", interval = "1d" }\n'
    )
    with Archive() as archive, Coinalyze(now=1_772_000_000, key="right") as server:
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", archive.url)
        monkeypatch.setenv("BACKTEST_URL_COINALYZE", server.url)
        monkeypatch.delenv("COINALYZE_KEY", raising=False)
        monkeypatch.delenv("COINALYZE_API_KEY", raising=False)
        get_one = "Get a free one at coinalyze.net and set the environment variable COINALYZE_KEY to it."
        done = fetch()
        assert done.exit_code == 1
        assert f"BTCUSDT.long_liquidations: Source coinalyze needs a key. {get_one}" in said(done)
        assert server.asked == []
        monkeypatch.setenv("COINALYZE_KEY", "wrong")
        done = fetch()
        assert done.exit_code == 1
        assert f"Coinalyze needs a key (it refuses the one in COINALYZE_KEY). {get_one}" in said(done)
        assert "wrong" not in done.stdout
        monkeypatch.setenv("COINALYZE_KEY", "right")
        assert fetch().exit_code == 0


def test_a_package_that_is_missing(here, monkeypatch):
    one(here, "bybit", "BTCUSDT")
    monkeypatch.setitem(sys.modules, "ccxt", None)
    code, rows = told()
    assert (code, rows["BTCUSDT.bars"]["cause"]) == (2, "needs_extra")
    assert rows["BTCUSDT.bars"]["error"] == "Source bybit needs the package ccxt: pip install 'levelbreak[crypto]'."


# --- the disk --------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full(archive, here, monkeypatch):
    (here / "mine.toml").write_text(MARKET.replace("02-03", "02-02"))
    assert fetch().exit_code == 0
    (here / "mine.toml").write_text(MARKET)
    before = {path: path.read_bytes() for path in (here / "kept").rglob("*") if path.is_file()}

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full)
        done = fetch()
    assert done.exit_code == 2
    for symbol in ("BTCUSDT", "ETHUSDT"):
        place = here / "kept" / "store" / "binance-archive" / f"{symbol}_1h"
        sentence = (
            f"{symbol}.bars: binance-archive/{symbol}_1h could not be stored: the disk of {place} is full. What was stored "
            "before is intact; free some space or choose another folder (--data DIR), then fetch again."
        )
        assert sentence.replace(" ", "") in done.stdout.replace(" ", "").replace("\n", "")
    assert {path: path.read_bytes() for path in (here / "kept").rglob("*") if path.is_file()} == before
    archive.asked.clear()
    assert fetch().exit_code == 0
    assert days(archive) == {
        f"{coin}USDT-1h-2026-02-{day}" for coin in ("BTC", "ETH") for day in ("01", "02")
    }  # one again


def test_a_changed_byte_is_named_by_verify_by_a_run_and_by_the_next_fetch(archive, here):
    assert fetch().exit_code == 0
    file = next((here / "kept" / "store" / "binance-archive" / "ETHUSDT_1h").glob("2026-02*.parquet"))
    right = file.read_bytes()
    file.write_bytes(right[:50] + bytes([right[50] ^ 1]) + right[51:])
    sentence = f"binance-archive/ETHUSDT_1h: the file {file.name} of the series was changed after it was stored"
    done = call("data", "verify")
    assert (done.exit_code, sentence in said(done)) == (1, True)
    assert "1 of 2 series are as they were stored." in said(done)
    found = json.loads(call("data", "verify", "--json").stdout)["findings"]
    assert [(row["series"], row["state"], row["file"]) for row in found if row["state"] != "ok"] == [
        ("binance-archive/ETHUSDT_1h", "changed", file.name)
    ]
    run = call("run", "buy_and_hold", "--market", "./mine.toml")
    assert (run.exit_code, sentence in run.stderr) == (2, True)
    again = fetch()
    assert (again.exit_code, sentence in said(again)) == (1, True)
    file.write_bytes(right)
    assert document(call("data", "verify", "--json"))["findings"]


# --- what would spoil the store, or end in a traceback ---------------------------------------------------------------


def test_a_mirror_that_has_nothing_does_not_make_a_market_that_is_there(archive, here):
    """Everything is answered by 404, the list of files too: nothing is known, so nothing is covered."""
    archive.fail("status", times=10_000, status=404)
    code, rows = told()
    assert (code, {row["cause"] for row in rows.values()}) == (2, {"empty"})
    sentence = "binance-archive has given no row of ETHUSDT bars, 2026-01-30T00:00Z to 2026-02-03T00:00Z."
    assert rows["ETHUSDT.bars"]["error"].startswith(sentence)
    archive.faults.clear()
    code, rows = told()
    assert (code, rows["ETHUSDT.bars"]["added"]) == (0, 96)


@pytest.mark.parametrize("stamp", [10**30, -1, "soon"])
def test_a_stamp_that_is_no_time_is_a_sentence(here, monkeypatch, stamp):
    pytest.importorskip("ccxt")
    one(here, "binance", "BTCUSDT")
    row = [stamp, "1", "2", "1", "2", "5", 0, "0", 1, "0", "0", "0"]
    with exchange() as server:
        monkeypatch.setenv("BACKTEST_URL_BINANCE", server.url)
        server.fail("body", times=10_000, match="klines", body=json.dumps([row]).encode())
        code, rows = told()
    assert (code, rows["BTCUSDT.bars"]["cause"] in ("malformed", "empty")) == (2, True)


@pytest.mark.parametrize("where", ["http://[::1/x", "file:///etc/passwd"])
def test_an_answer_that_leads_to_no_address_is_a_sentence(archive, where):
    archive.fail("status", times=10_000, match=FILE, status=302, headers={"Location": where})
    code, rows = told()
    assert (code, rows["ETHUSDT.bars"]["error"].startswith("Binance's archive ")) == (1, True)
