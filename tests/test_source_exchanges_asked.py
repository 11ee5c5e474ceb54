"""What may be asked of Binance, Bybit and OKX: symbols, spans and intervals that there are, margin tiers."""

import sys

import pytest
from exchange_places import MINUTE, START, at, quick, venue

from backtest.errors import SourceError
from backtest.market.sources import Request, get_source
from backtest.model.arrays import DAY, HOUR

__all__ = ["at", "quick"]


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
