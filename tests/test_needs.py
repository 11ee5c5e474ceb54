"""What a market file asks of the store: which series, of which source, from when to when."""

import pytest

from backtest.errors import MarketError
from backtest.market.declare import read_declaration
from backtest.market.declare_series import Source
from backtest.market.fetching.needs import SeriesId, needs_of, stored

MINUTE = 60_000_000_000
HOUR, DAY = 60 * MINUTE, 1440 * MINUTE
START, END = 1_751_328_000_000_000_000, 1_754_006_400_000_000_000  # July 2025
TOP = 'interval = "1h"\nstart = "2025-07-01"\nend = "2025-08-01"\n'


def needs(tmp_path, text, top=TOP):
    path = tmp_path / "mine.toml"
    path.write_text(top + text)
    return needs_of(read_declaration(str(path)))


def test_what_is_not_of_a_store_needs_nothing(tmp_path):
    text = """
[BTC]
bars = "btc.csv"
funding = "none"
oi = { file = "oi.csv", interval = "1d" }
[ETH]
bars = "scenario:deleveraging-2026"
mark = { proxy = "last" }
funding = { proxy = "SOL" }
[SOL]
bars = "sol.csv"
funding = { assume = 0.0001, every = "8h" }
[feeds.rates]
assume = 4.5
"""
    assert needs(tmp_path, text) == []


def test_a_symbol_needs_its_series_under_its_own_name(tmp_path):
    text = '[BTCUSDT]\nbars = "store:binance"\nmark = "store:binance"\nfunding = "store:bybit"\n'
    assert [(n.of, n.series, n.start, n.end, n.lead) for n in needs(tmp_path, text)] == [
        ("BTCUSDT.bars", ("binance", "BTCUSDT", "bars", HOUR), START, END, 0),
        ("BTCUSDT.mark", ("binance", "BTCUSDT", "mark", HOUR), START, END, 0),
        ("BTCUSDT.funding", ("bybit", "BTCUSDT", "funding", 0), START, END + MINUTE, 0),  # due at the end, and late
    ]


def test_a_feed_begins_before_the_bars_so_that_its_last_value_is_in_force(tmp_path):
    text = """
[BTCUSDT]
bars = "b.csv"
funding = "none"
open_interest = { store = "binance-archive", interval = "5m" }
[feeds.vix]
store = "yahoo"
symbol = "^VIX"
interval = "1d"
column = "close"
"""
    interest, vix = needs(tmp_path, text)
    assert (interest.series, interest.start, interest.end) == (
        ("binance-archive", "BTCUSDT", "open_interest", 5 * MINUTE), START - DAY, END
    )  # fmt: skip
    assert interest.lead == DAY
    assert (vix.of, vix.series, vix.start, vix.lead) == (
        "vix",
        ("yahoo", "^VIX", "bars", DAY),
        START - 7 * DAY,
        7 * DAY,
    )


def test_spans_stand_on_the_grid_of_the_series(tmp_path):
    top = 'interval = "1h"\nstart = "2025-07-02T05:00Z"\nend = "2025-07-04T07:00Z"\n'
    text = '[BTC]\nbars = "b.csv"\nfunding = "none"\noi = { store = "x", interval = "1d" }\n'
    weekly = text.replace('"1d"', '"1w"')
    (daily,), (weekly,) = needs(tmp_path, text, top), needs(tmp_path, weekly, top)
    assert (daily.start, daily.end) == (START - 6 * DAY, START + 4 * DAY)
    assert (weekly.start, weekly.end) == (START - 8 * DAY, START + 6 * DAY)  # Mondays: 23 June and 7 July


def test_a_second_source_is_needed_too_daily(tmp_path):
    text = '[BTCUSDT]\nbars = { store = "binance", check = "yahoo:BTC-USD" }\nfunding = "none"\n'
    assert [(n.of, n.series) for n in needs(tmp_path, text)] == [
        ("BTCUSDT.bars", ("binance", "BTCUSDT", "bars", HOUR)),
        ("BTCUSDT.bars.check", ("yahoo", "BTC-USD", "bars", DAY)),
    ]


def test_finer_bars_are_needed_at_their_own_interval(tmp_path):
    text = '[BTCUSDT]\nbars = "b.csv"\nfunding = "none"\n[fine]\ninterval = "5m"\nBTCUSDT = "store:binance"\n'
    assert [(n.of, n.series) for n in needs(tmp_path, text)] == [
        ("BTCUSDT.fine", ("binance", "BTCUSDT", "bars", 5 * MINUTE))
    ]


def test_the_span_of_a_scenario_counts_where_the_file_says_none(tmp_path):
    text = '[BTCUSDT]\nbars = "store:binance"\nfunding = "none"\n'
    (need,) = needs(tmp_path, text, 'scenario = "deleveraging-2026"\nsymbols = ["BTCUSDT"]\n')
    assert need.series.interval == HOUR
    assert need.start < need.end


@pytest.mark.parametrize(
    ("key", "table", "kind", "column"),
    [
        ("open_interest", {}, "open_interest", "usd"),
        ("open_interest", {"unit": "coins"}, "open_interest", "coins"),
        ("open_interest", {"column": "coins"}, "open_interest", "coins"),
        ("long_liquidations", {}, "liquidations", "long_usd"),
        ("short_liquidations", {"unit": "coins"}, "liquidations", "short_coins"),
        ("long_short_ratio", {}, "long_short_ratio", "value"),
        ("taker_ratio", {}, "taker_ratio", "value"),
        ("premium", {}, "premium", "close"),
        ("oi_coins", {"series": "open_interest", "column": "coins"}, "open_interest", "coins"),
        ("rates", {"series": "funding"}, "funding", "rate"),
        ("spot", {"symbol": "spot/BTCUSDT"}, "bars", "close"),
        ("range", {"column": "high"}, "bars", "high"),
        ("mood", {}, "value", "value"),
        ("mood", {"column": "score"}, "value", "score"),
    ],
)
def test_the_kind_and_the_column_follow_from_the_key(key, table, kind, column):
    found = stored("feed", f"BTCUSDT.{key}", Source(store="x", **table), HOUR)
    assert (found.series.kind, found.column) == (kind, column)
    assert found.series.interval == (0 if kind == "funding" else HOUR)


def test_a_column_that_does_not_follow_is_asked_for():
    with pytest.raises(
        MarketError, match=r"`forced` takes one column of liquidations; say which: .*long_usd, short_usd"
    ):
        stored("feed", "BTCUSDT.forced", Source(store="x", series="liquidations"), HOUR)


def test_names_are_those_of_the_file_where_it_spells_them():
    assert stored(
        "mark", "BTCUSDT.mark", Source(store="x", series="bars", symbol="spot/BTCUSDT"), HOUR
    ).series == SeriesId("x", "spot/BTCUSDT", "bars", HOUR)
    assert stored("feed", "vix", Source(store="x", column="close"), DAY).series == SeriesId("x", "vix", "bars", DAY)
