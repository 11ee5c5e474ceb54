"""One market of each exchange and of Coinalyze, from the command to runs without a network; a second fetch asks for the rest."""

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from command import call, document, tables
from servers.coinalyze import Coinalyze

from backtest.market import load_market
from backtest.market.sources import coinalyze
from backtest.market.sources.limits import Limit
from tests.servers.binance import BinanceServer
from tests.servers.book import DAY, HOUR, JULY, Book
from tests.servers.bybit import BybitServer
from tests.servers.okx import OkxServer

TODAY = int(time.time()) // 86_400 * DAY  # ms
MARKET = """interval = "1h"
start = "{start}"
end = "{end}"

[BTCUSDT]
bars = "store:{name}"
mark = "store:{name}"
funding = "store:{name}"
open_interest = {{ store = "{name}", unit = "coins" }}
"""
LIQUIDATIONS = """interval = "1h"
start = "{start}"
end = "{end}"

[BTCUSDT]
bars = "store:bybit"
funding = "store:coinalyze"
open_interest = {{ store = "coinalyze", unit = "usd" }}
long_liquidations = {{ store = "coinalyze", symbol = "BTCUSDT_PERP.A", unit = "usd" }}
short_liquidations = {{ store = "coinalyze", symbol = "BTCUSDT_PERP.A", unit = "usd" }}
long_short_ratio = {{ store = "coinalyze", symbol = "BTCUSDT_PERP.A", unit = "ratio" }}
"""
PATHS = {
    "binance": {
        "/fapi/v1/klines",
        "/fapi/v1/markPriceKlines",
        "/fapi/v1/fundingRate",
        "/futures/data/openInterestHist",
    },
    "bybit": {
        "/v5/market/kline",
        "/v5/market/mark-price-kline",
        "/v5/market/funding/history",
        "/v5/market/open-interest",
    },
    "okx": {
        "/api/v5/market/candles",
        "/api/v5/market/mark-price-candles",
        "/api/v5/public/funding-rate-history",
        "/api/v5/rubik/stat/contracts/open-interest-history",
    },
}


def made(name):
    """Return an exchange that lists BTCUSDT for long and has traded it up to now."""
    book = Book(listed=JULY - 400 * DAY, now=int(time.time() * 1000))
    if name == "okx":
        return OkxServer({"BTC-USDT-SWAP": book})
    return (BinanceServer if name == "binance" else BybitServer)(BTCUSDT=book)


def day(n):
    """Return the date n days from today, UTC."""
    return (datetime.fromtimestamp(TODAY / 1000, UTC) + timedelta(days=n)).strftime("%Y-%m-%d")


def write(folder, text, start, end, **names):
    (folder / "mine.toml").write_text(text.format(start=start, end=end, **names))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.01")
    return tmp_path


def fetched(*arguments):
    """Return what a fetch that went well told, by the first key that asked for each series."""
    told = document(call("fetch", "./mine.toml", *arguments, "--json"))
    assert [row["error"] for row in told["series"] if row["error"]] == []
    return {row["of"][0]: row for row in told["series"]}


def run():
    return document(call("run", "buy_and_hold", "--market", "./mine.toml", "--json"))["runs"][0]


def moments(server, *names):
    """Return the first and the last moment (ms) that a server was asked for, of all that asked for a span."""
    found = [int(a.query[name]) for a in server.asked for name in names if name in a.query]
    return min(found), max(found)


BOUNDS = {
    "binance": ("startTime", "endTime"),
    "bybit": ("start", "end", "startTime", "endTime"),
    "okx": ("before", "after", "begin", "end"),
}


@pytest.mark.parametrize("name", PATHS)
def test_an_exchange_from_the_command_to_the_run(name, here, monkeypatch):
    pytest.importorskip("ccxt")
    write(here, MARKET, day(-12), day(-2), name=name)
    with made(name) as server:
        monkeypatch.setenv(f"BACKTEST_URL_{name.upper()}", server.url)
        told = fetched()
        assert {key: row["added"] for key, row in told.items()} == {
            "BTCUSDT.bars": 240,
            "BTCUSDT.mark": 240,
            "BTCUSDT.funding": 31,  # every 8 hours, both ends included
            "BTCUSDT.open_interest": 264,  # from a day before
        }
        assert set(server.paths) >= PATHS[name]
        server.asked.clear()
        write(here, MARKET, day(-12), day(-1), name=name)
        told = fetched()
        assert {key: row["added"] for key, row in told.items()} == {
            "BTCUSDT.bars": 24,
            "BTCUSDT.mark": 24,
            "BTCUSDT.funding": 3,
            "BTCUSDT.open_interest": 24,
        }
        first, last = moments(server, *BOUNDS[name])
        assert TODAY - 3 * DAY - HOUR <= first < last <= TODAY - DAY + HOUR  # with a day of what is there, to compare
        server.asked.clear()
        assert sum(row["arrived"] for row in fetched().values()) == 0
        assert server.asked == []
    one, other = run(), run()
    assert one["grade"] == "A"
    assert all(a.equals(b) for a, b in zip(tables(one["folder"]), tables(other["folder"]), strict=True))
    assert len(tables(one["folder"])[0])
    assert one["standing"]["open interest"] == {"real": 1}
    assert one["standing"]["mark"] == {"real": 1}


def test_what_the_server_said_is_what_a_market_has(here, monkeypatch):
    """By the rule of the made book: open 100 + k % 10, k the hours since 1970; rates 0.0001 times k % 3, k by 8 hours."""
    pytest.importorskip("ccxt")
    write(here, MARKET.split("open_interest")[0], "2025-07-01", "2025-07-03", name="bybit")
    with made("bybit") as server:
        monkeypatch.setenv("BACKTEST_URL_BYBIT", server.url)
        fetched()
    market, k = load_market("./mine.toml"), JULY // HOUR
    assert market.open[:, 0].tolist() == [100.0 + (k + n) % 10 for n in range(48)]
    assert market.mark.close[:, 0].tolist() == [101.0 + (k + n) % 10 for n in range(48)]
    assert market.funding.rate.tolist() == pytest.approx(
        [(k // 8 + n) % 3 * 0.0001 for n in range(len(market.funding.rate))]
    )


def test_one_exchange_in_place_of_another(here, monkeypatch):
    """With --source the pages come from the other one, and the fetch says that a run still reads what the file declares."""
    pytest.importorskip("ccxt")
    write(here, MARKET.split("mark")[0] + 'funding = "none"\n', "2025-07-01", "2025-07-03", name="binance")
    with made("bybit") as server:
        monkeypatch.setenv("BACKTEST_URL_BYBIT", server.url)
        done = call("fetch", "./mine.toml", "--source", "bybit")
    assert (done.exit_code, done.stderr) == (0, "")
    assert 'say store = "bybit" there to use what was fetched' in " ".join(done.stdout.split())
    refused = call("run", "buy_and_hold", "--market", "./mine.toml")
    assert (refused.exit_code, "run `backtest fetch ./mine.toml`" in refused.stderr) == (2, True)


def test_coinalyze_from_the_command_to_the_run(here, monkeypatch):
    pytest.importorskip("ccxt")
    monkeypatch.setattr(coinalyze, "LIMIT", Limit(40, 60.0))
    write(here, LIQUIDATIONS, day(-12), day(-2))
    with made("bybit") as bybit, Coinalyze(now=int(time.time()), key="secret-of-mine") as server:
        monkeypatch.setenv("BACKTEST_URL_BYBIT", bybit.url)
        monkeypatch.setenv("BACKTEST_URL_COINALYZE", server.url)
        monkeypatch.setenv("COINALYZE_KEY", "secret-of-mine")
        told = fetched()
        assert {key: row["added"] for key, row in told.items()} == {
            "BTCUSDT.bars": 240,
            "BTCUSDT.funding": 31,
            "BTCUSDT.open_interest": 264,
            "BTCUSDT.long_liquidations": 264,
            "BTCUSDT.long_short_ratio": 264,
        }
        assert told["BTCUSDT.long_liquidations"]["of"] == ["BTCUSDT.long_liquidations", "BTCUSDT.short_liquidations"]
        write(here, LIQUIDATIONS, day(-12), day(-1))
        server.asked.clear()
        assert fetched()["BTCUSDT.long_liquidations"]["added"] == 24
        first, last = moments(server, "from", "to")
        assert (TODAY - 3 * DAY) // 1000 - 4 * 3600 <= first < last < (TODAY - DAY) // 1000 + 3600
    monkeypatch.delenv("COINALYZE_KEY")  # what is here needs no key any more
    summary = run()
    assert summary["grade"] == "B"  # no mark is declared
    assert summary["standing"]["liquidations"] == {"real": 1}
    files = [path for path in here.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if b"secret-of-mine" in path.read_bytes()] == []


def test_without_the_extra_the_command_says_what_to_install(here, monkeypatch):
    write(here, MARKET, day(-12), day(-2), name="okx")
    monkeypatch.setitem(sys.modules, "ccxt", None)
    done = call("fetch", "./mine.toml")
    assert done.exit_code == 2
    said = " ".join(done.stdout.split())
    assert "Source okx needs the package ccxt: pip install 'levelbreak[crypto]'." in said
    assert said.count("pip install") == 1
