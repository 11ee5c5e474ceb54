"""The shipped market files of real events: what they declare, that their sources can give it, and that they load from a store.

The stores here are filled with made-up rows in the form that the sources are known to give; no source is asked.
"""

import re
import tomllib

import numpy as np
import pytest

from backtest.market import load_market
from backtest.market.crises import load_crises
from backtest.market.declare import describe_market, read_declaration
from backtest.market.fetching.needs import needs_of
from backtest.market.sources import get_source
from backtest.market.sources.base import COLUMNS, Page, Request
from backtest.market.store.entry import open_entry
from backtest.model.arrays import DAY, HOUR, utc_text
from backtest.places import shipped

FIVE = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
# name -> symbols, interval, first bar, first traded, end, symbols with open interest
MARKETS = {
    "black-thursday-2020-03-12": (("BTCUSDT", "ETHUSDT", "XRPUSDT"), "1h", "2020-01-01", "2020-03-01", "2020-04-16", ()),
    "crash-2021-05-19": (FIVE, "1h", "2020-12-01", "2021-04-15", "2021-07-01", ("BTCUSDT",)),
    "credit-2022-06": (FIVE, "1h", "2021-12-01", "2022-06-01", "2022-07-16", FIVE),
    "ftx-2022-11": (FIVE, "1h", "2022-05-01", "2022-10-15", "2022-12-16", FIVE),
    "liquidations-2025-10-10": (FIVE, "1h", "2025-04-01", "2025-09-15", "2025-11-16", FIVE),
    "break-2026-02": (FIVE, "1h", "2025-07-01", "2026-01-15", "2026-03-15", FIVE),
    "break-2026-02-daily": (FIVE, "1d", "2024-01-01", "2025-10-01", "2026-03-15", ("BTCUSDT",)),
    "long-daily": (FIVE, "1d", "2014-09-17", "2015-09-17", "2026-03-15", ()),
}  # fmt: skip
LISTED = {"BTCUSDT": "2019-09-08", "ETHUSDT": "2019-11-27", "SOLUSDT": "2020-09-14", "XRPUSDT": "2020-01-06",
          "BNBUSDT": "2020-02-10"}  # fmt: skip
ON_YAHOO = {"BTC-USD": "2014-09-17", "ETH-USD": "2017-11-09", "SOL-USD": "2020-04-10", "XRP-USD": "2017-11-09",
            "BNB-USD": "2017-11-09"}  # fmt: skip
CRISIS = {"break-2026-02-daily": "break-2026-02"}
every = pytest.mark.parametrize("name", MARKETS)
of_an_event = pytest.mark.parametrize("name", [name for name in MARKETS if name != "long-daily"])


def day(time):
    return utc_text(time).removesuffix("T00:00Z")


def ns(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


# --- what they declare -----------------------------------------------------------------------------------------------


@every
def test_what_a_file_declares(name):
    found = describe_market(name)
    symbols, interval, start, trade_from, end, _ = MARKETS[name]
    assert (found.symbols, found.interval) == (symbols, interval)
    assert (day(found.start), day(found.trade_from), day(found.end)) == (start, trade_from, end)
    assert found.description
    assert "simulated" not in found.origins


@every
def test_macro_comes_from_yahoo(name):
    feeds = read_declaration(name).feeds
    assert {key: (f.store, f.symbol, f.column) for key, f in feeds.items()} == {
        "vix": ("yahoo", "^VIX", "close"),
        "sp500": ("yahoo", "^GSPC", "close"),
        "dollar": ("yahoo", "DX-Y.NYB", "close"),
    }


@of_an_event
def test_prices_marks_and_funding_are_the_archive_s_and_are_checked(name):
    for symbol, series in read_declaration(name).series.items():
        assert series.bars is not None
        assert series.mark is not None
        assert series.funding is not None
        assert series.bars.store == series.mark.store == series.funding.store == "binance-archive"
        assert series.bars.check == f"yahoo:{symbol.removesuffix('USDT')}-USD"


@every
def test_liquidations_are_declared_as_a_proxy_where_there_is_open_interest(name):
    for symbol, series in read_declaration(name).series.items():
        proxies = {key: f.proxy for key, f in series.feeds.items() if "liquidations" in key}
        wanted = dict.fromkeys(("long_liquidations", "short_liquidations"), "open_interest")
        assert proxies == (wanted if symbol in MARKETS[name][-1] else {})


@every
def test_nothing_is_asked_before_it_was_there(name):
    for need in needs_of(read_declaration(name)):
        start = need.start + need.lead
        if need.series.source == "yahoo" and need.series.symbol in ON_YAHOO:
            listed = ON_YAHOO[need.series.symbol]
            late = name == "long-daily" or need.of.endswith(".check")  # a coin that is listed later starts later
            assert start >= ns(listed) or late
        if need.series.kind in ("bars", "mark", "funding") and need.series.source == "binance-archive":
            first = max(LISTED[need.series.symbol], "2020-01-01")  # the archive's first month
            assert start >= ns(first) or (name, need.series.symbol) == ("black-thursday-2020-03-12", "XRPUSDT")
        if need.series.kind in ("open_interest", "long_short_ratio"):
            assert start >= ns("2020-09-01" if need.series.symbol == "BTCUSDT" else "2021-12-01")


@of_an_event
def test_a_crisis_lies_in_what_is_traded(name):
    found = describe_market(name)
    crisis = next(c for c in load_crises() if c.name == CRISIS.get(name, name))
    assert found.trade_from < crisis.start < crisis.end < found.end
    assert found.trade_from - found.start >= 60 * DAY  # the liquidations' proxy alone needs thirty


def test_every_crisis_but_one_has_a_market():
    assert {c.name for c in load_crises()} - set(MARKETS) == {"carry-2024-08-05"}


@every
def test_the_comments_say_what_is_real_and_what_is_missing(name):
    head = (shipped("data/markets") / f"{name}.toml").read_text(encoding="utf-8").split("description")[0]
    assert re.search("^# Missing: ", head, re.MULTILINE)
    assert re.search("Binance|Yahoo", head)


@pytest.mark.parametrize("name", ["long-daily"])
def test_one_needs_no_extra_and_no_key(name):
    assert {need.series.source for need in needs_of(read_declaration(name))} == {"yahoo"}
    assert get_source("yahoo").needs == ""


# --- what the sources can give ---------------------------------------------------------------------------------------


@every
def test_the_sources_can_give_what_is_asked(name):
    for need in needs_of(read_declaration(name)):
        source = get_source(need.series.source)
        assert need.series.kind in source.kinds, need
        pages = source.plan(Request(*need.series, need.start, need.end))
        assert pages[0].start <= need.start
        assert pages[-1].end >= need.end
        assert source.needs == ""


# --- loaded from a store ---------------------------------------------------------------------------------------------


def made(series, start, end):
    """Rows of a series as its source gives them: a price that goes up and down, exchange days for macro."""
    step = series.interval or 8 * HOUR
    time = np.arange(start + -start % step, end, step, dtype=np.int64)
    if series.source == "yahoo" and series.symbol not in ON_YAHOO:
        time = time[(time // DAY + 3) % 7 < 5]
    if series.symbol in ON_YAHOO:
        time = time[time >= ns(ON_YAHOO[series.symbol])]
    wave = np.sin(np.arange(time.size) / 9.0)
    level = 100.0 + 10.0 * wave
    before = np.concatenate((level[:1], level[:-1]))
    whole = {
        "open": before,
        "high": np.maximum(before, level) + 1,
        "low": np.minimum(before, level) - 1,
        "close": level,
    }
    known = {"volume": 50.0 + 40.0 * np.abs(wave), "rate": 0.0001 * wave, "coins": 1e4 + 500 * wave, "usd": level * 1e4}
    known |= whole | {"value": 1.0 + 0.1 * wave}
    return {"time": time} | {k: known[k] for k in COLUMNS[series.kind]}


def fill(root, name):
    """Write what a market needs, each series once, over all spans that ask for it."""
    spans = {}
    for need in needs_of(read_declaration(name)):
        start, end = spans.get(need.series, (need.start, need.end))
        spans[need.series] = min(start, need.start), max(end, need.end)
    for series, (start, end) in spans.items():
        entry = open_entry(root, *series)
        entry.write(Page(made(series, start, end), start, end), closed_before=end + DAY)


@pytest.mark.parametrize("name", ["black-thursday-2020-03-12", "crash-2021-05-19", "long-daily"])
def test_a_filled_store_makes_the_market(name, tmp_path, monkeypatch):
    check_loaded(name, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "name", [n for n in MARKETS if n not in ("black-thursday-2020-03-12", "crash-2021-05-19", "long-daily")]
)
def test_a_filled_store_makes_the_large_markets(name, tmp_path, monkeypatch, request):
    if not request.config.getoption("--full"):
        pytest.skip("with --full: 400,000 rows of open interest a market")
    check_loaded(name, tmp_path, monkeypatch)


def check_loaded(name, tmp_path, monkeypatch):
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "store", name)
    market = load_market(name)
    symbols, _, start, trade_from, end, interested = MARKETS[name]
    origins = {line.name: line.origin for line in market.passport.series}
    assert (market.symbols, day(int(market.time[0])), day(int(market.time[-1]) + market.interval)) == (
        symbols,
        start,
        end,
    )
    assert day(int(market.time[market.start_bar])) == trade_from
    assert market.passport.grade == ("A" if name.startswith("black") else "B")
    assert market.funding_holes == ()
    for symbol in symbols:
        assert origins[f"{symbol}.bars"] == ("proxy" if name == "long-daily" else "real")
        assert (f"{symbol}.mark" in origins) == (name != "long-daily")
    for feed in ("vix", "sp500", "dollar"):
        assert np.isfinite(market.feed(feed)).all()
        assert origins[feed] == "real"
    for symbol in interested:
        assert origins[f"{symbol}.open_interest"] == origins[f"{symbol}.open_interest_coins"] == "real"
        for side in ("long", "short"):
            line = f"{symbol}.{side}_liquidations"
            assert origins[line] == "proxy"
            forced = market.feed(line)[market.start_bar :]
            assert np.isfinite(forced).all()
            assert (forced >= 0).all()


def test_the_simulated_markets_are_as_they_were():
    for name in ("deleveraging-2026", "counterparty-2022"):
        raw = tomllib.loads((shipped("data/markets") / f"{name}.toml").read_text(encoding="utf-8"))
        assert raw["scenario"] == name
        assert describe_market(name).origins == ("simulated",)
