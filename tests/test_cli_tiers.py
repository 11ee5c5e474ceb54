"""`backtest data tiers`: an exchange's leverage tiers as lines of a venue file, from a server on loopback."""

import json
import sys
import tomllib
from pathlib import Path

import pytest
from command import call
from servers.book import Book
from servers.bybit import BybitServer

from backtest.cli.tiers import venue_lines
from backtest.model import TierTable
from backtest.venues import load_venue


@pytest.fixture
def bybit(monkeypatch):
    with BybitServer(BTCUSDT=Book()) as server:
        monkeypatch.setenv("BACKTEST_URL_BYBIT", server.url)
        monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.001")
        yield server


def test_the_tiers_of_bybit_as_lines_of_a_venue_file(bybit, tmp_path):
    """The server's ladder, as in the source's own test: 0.5% at 100x, from 2 million 1% at 57.8x, from 4 million 1.5% at 50x."""
    done = call("data", "tiers", "bybit", "BTCUSDT")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "[[instruments.BTCUSDT.tables]]"
    assert lines[5:] == ["    [0, 0.005, 100],", "    [2_000_000, 0.01, 57.8],", "    [4_000_000, 0.015, 50],", "]"]
    told = tomllib.loads(done.stdout)["instruments"]["BTCUSDT"]["tables"][0]
    assert told["origin"] == f"Bybit's public table of risk limits, retrieved {told['date']}"
    assert told["name"] == f"bybit BTCUSDT {told['date']}"
    shipped = Path(__file__).parents[1].joinpath("data", "venues", "bybit-linear.toml").read_text()
    (tmp_path / "mine.toml").write_text(shipped + "\n" + done.stdout)  # after the last table of BTCUSDT or of another
    newest = load_venue(str(tmp_path / "mine.toml")).instrument("BTCUSDT").tables[-1]
    assert (newest.floors, newest.mmr) == ((0, 2_000_000, 4_000_000), (0.005, 0.01, 0.015))


def test_as_json(bybit):
    told = json.loads(call("data", "tiers", "bybit", "BTCUSDT", "--json").stdout)
    assert (told["symbol"], told["floors"]) == ("BTCUSDT", [0, 2_000_000, 4_000_000])


@pytest.mark.parametrize(
    ("source", "symbol", "said"),
    [
        ("binance", "BTCUSDT", "Binance shows its leverage brackets only to an account's key."),
        ("okx", "BTCUSDT", "OKX states its tiers in contracts, not by notional."),
        (
            "bibyt",
            "BTCUSDT",
            "'bibyt' is no exchange that can be asked for its tiers; there are binance, bybit, okx. Did",
        ),
        ("yahoo", "BTC-USD", "'yahoo' is no exchange that can be asked for its tiers; there are binance, bybit, okx."),
        ("bybit", "NOPEUSDT", "NOPEUSDT"),
    ],
)
def test_what_can_not_be_had_is_a_sentence(bybit, source, symbol, said):
    done = call("data", "tiers", source, symbol)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    done = call("data", "tiers", "bybit", "BTCUSDT")
    assert done.exit_code == 2
    assert done.stderr == "error: Source bybit needs the package ccxt: pip install 'levelbreak[crypto]'.\n"


def test_a_symbol_of_other_signs_is_quoted():
    table = TierTable('a "b"', 0, "o", (0.0,), (0.01,), (50.0,))
    told = tomllib.loads(venue_lines("BTC/USDT:USDT", table))["instruments"]["BTC/USDT:USDT"]["tables"][0]
    assert (told["name"], told["tiers"]) == ('a "b"', [[0, 0.01, 50]])
