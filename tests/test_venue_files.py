"""Venue files: what is shipped, how a file is loaded, and what a bad one says."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backtest import venues
from backtest.errors import ConfigError, VenueError
from backtest.model import Instrument, TierTable, Venue

NAMES = ("binance-usdm", "bybit-linear", "hyperliquid", "okx-swap", "paper")


def ns(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000_000


# Shipped files


def test_a_bar_of_2021_is_held_to_the_table_of_2021():
    bitcoin = venues.load_venue("binance-usdm").instrument("BTCUSDT")
    assert venues.table_at(bitcoin, ns(2021, 5, 19)).name == "binance-usdm BTCUSDT 2021-03-18"
    assert venues.table_at(bitcoin, ns(2025, 8, 19, 6, 29)).name == "binance-usdm BTCUSDT 2021-03-18"
    assert venues.table_at(bitcoin, ns(2025, 8, 19, 6, 30)).name == "binance-usdm BTCUSDT 2025-08-19"
    assert (
        venues.table_at(bitcoin, ns(2019, 1, 1)).name == "binance-usdm BTCUSDT 2021-03-18"
    )  # the oldest that is known


def test_the_shipped_venues_are_these():
    assert venues.venue_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_venue_says_where_its_figures_come_from(name):
    venue = venues.load_venue(name)
    assert venue.name == name
    for instrument in (venue.default, *venue.instruments.values()):
        for table in instrument.tables:
            assert table.origin
            assert table.date > 0
            assert "assumed" not in table.name or table.assumed
    assert all(table.assumed for table in venue.default.tables)


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_shipped_exchange_names_five_symbols_and_the_account_of_the_readme(name):
    venue = venues.load_venue(name)
    assert set(venue.instruments) == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT"}
    assert (venue.cash, venue.leverage, venue.margin_mode, venue.intrabar) == (10_000.0, 10.0, "cross", "worst")
    assert venue.slippage == 0.0002
    venues.check_leverage(venue, [*venue.instruments, "ANYUSDT"])


def test_figures_of_the_shipped_venues():
    fees = {name: (v.maker, v.taker) for name in NAMES if (v := venues.load_venue(name))}
    assert fees == {
        "binance-usdm": (0.0002, 0.0005),
        "bybit-linear": (0.0002, 0.00055),
        "hyperliquid": (0.00015, 0.00045),
        "okx-swap": (0.0002, 0.0005),
        "paper": (0.0, 0.0),
    }
    assert venues.load_venue("binance-usdm").liquidation_fee == 0.0125
    assert venues.load_venue("okx-swap").taker_in_maintenance
    paper = venues.load_venue("paper")
    assert (paper.leverage, paper.slippage, venues.tiered_maintenance(paper.default.tables[0], 1e12)) == (
        math.inf,
        0.0,
        0.0,
    )


def test_the_amounts_of_binance_are_the_published_ones():
    bitcoin = venues.load_venue("binance-usdm").instrument("BTCUSDT").tables[1]
    amounts = [
        300,
        1_500,
        12_000,
        132_000,
        482_000,
        2_982_000,
        14_482_000,
        26_482_000,
        41_482_000,
        121_482_000,
        421_482_000,
    ]
    assert venues.maintenance_amounts(bitcoin.floors, bitcoin.mmr) == pytest.approx((0, *amounts))


def test_hyperliquid_rates_are_half_of_the_initial_ones():
    venue = venues.load_venue("hyperliquid")
    for instrument in (venue.default, *venue.instruments.values()):
        (table,) = instrument.tables
        assert table.mmr == pytest.approx([venues.maintenance_rate(leverage) for leverage in table.max_leverage])


# Loading


def test_settings_of_the_account_are_replaced():
    venue = venues.load_venue(
        "binance-usdm", cash=500, leverage=3, margin_mode="isolated", intrabar="best", slippage=0.0
    )
    assert (venue.cash, venue.leverage, venue.margin_mode, venue.intrabar, venue.slippage) == (
        500.0,
        3.0,
        "isolated",
        "best",
        0.0,
    )
    venue = venues.load_venue("paper", maker=-0.0001, taker=0.001, liquidation_fee=0.01)
    assert (venue.maker, venue.taker, venue.liquidation_fee) == (-0.0001, 0.001, 0.01)


@pytest.mark.parametrize(
    ("account", "error", "says"),
    [
        ({"leverag": 5}, ConfigError, "A venue has no setting 'leverag'. Did you mean 'leverage'?"),
        ({"cash": "much"}, VenueError, "`cash` must be a number, got 'much'."),
        ({"leverage": True}, VenueError, "`leverage` must be a number, got True."),
        ({"margin_mode": 1}, VenueError, "`margin_mode` must be a text, got 1."),
        ({"margin_mode": "both"}, VenueError, "`margin_mode` must be 'isolated' or 'cross', got 'both'."),
        ({"intrabar": "luck"}, VenueError, "`intrabar` must be 'worst', 'best' or 'fine', got 'luck'."),
        ({"taker": 5}, VenueError, "`taker` must be a fraction of the notional, not percent, got 5.0."),
        ({"cash": math.nan}, VenueError, "`cash` must be above 0, got nan."),
    ],
)
def test_a_wrong_setting_is_a_sentence(account, error, says):
    with pytest.raises(error, match=re.escape(says)):
        venues.load_venue("binance-usdm", **account)


def test_unknown_names_and_missing_files_are_sentences(tmp_path):
    with pytest.raises(VenueError, match=re.escape("No venue named 'binance'. Did you mean 'binance-usdm'?")):
        venues.load_venue("binance")
    with pytest.raises(
        VenueError, match=r"There is no venue file .*absent\.toml; give an existing path or one of binance"
    ):
        venues.load_venue(str(tmp_path / "absent.toml"))


def test_leverage_that_no_tier_allows_is_a_sentence():
    venue = venues.load_venue("binance-usdm", leverage=150)
    venues.check_leverage(venue, ["BTCUSDT"])
    with pytest.raises(
        VenueError, match=r"`leverage` 150 is more than binance-usdm allows for SOLUSDT at any size: at most 100 \("
    ):
        venues.check_leverage(venue, ["BTCUSDT", "SOLUSDT"])
    with pytest.raises(VenueError, match="151 is more than binance-usdm allows for BTCUSDT at any size: at most 150"):
        venues.check_leverage(venues.load_venue("binance-usdm", leverage=151), ["BTCUSDT"])


GOOD = """
maker = 0.0001
taker = 0.001
fees_origin = "made up"
fees_date = 2024-01-01
slippage = 0.0
liquidation_fee = 0.01

[account]
leverage = 3

[default]
lot = 1
minimum_notional = 0

[[default.tables]]
name = "flat"
date = 2024-01-01
origin = "made up"
tiers = [[0, 0.01, 50], [1000, 0.02, 25]]
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_ones_own_makes_a_venue(tmp_path):
    table = TierTable("flat", ns(2024, 1, 1), "made up", (0.0, 1000.0), (0.01, 0.02), (50.0, 25.0))
    expected = Venue(
        "mine",
        Instrument(1.0, 0.0, (table,)),
        cash=10_000.0,
        maker=0.0001,
        taker=0.001,
        liquidation_fee=0.01,
        leverage=3.0,
    )
    assert venues.load_venue(written(tmp_path, GOOD)) == expected


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("maker = 0.0001", "maker = ", "mine.toml is not valid TOML: Invalid value (at line 2"),
        (
            "taker = 0.001",
            "takker = 0.001",
            "mine.toml has a key `takker` that means nothing here. Did you mean 'taker'?",
        ),
        ("taker = 0.001", "", "mine.toml lacks `taker`; add it"),
        ("taker = 0.001", 'taker = "cheap"', "mine.toml: `taker` must be a number, got 'cheap'."),
        ("taker = 0.001", "taker = true", "mine.toml: `taker` must be a number, got True."),
        ("taker = 0.001", "taker = 0.9", "`taker` must be a fraction of the notional, not percent, got 0.9."),
        (
            "leverage = 3",
            "levrage = 3",
            "has a key `account.levrage` that means nothing here. Did you mean 'leverage'?",
        ),
        ("leverage = 3", 'margin_mode = "both"', "`account.margin_mode` must be 'isolated' or 'cross', got 'both'."),
        ("leverage = 3", "leverage = 0.5", "`leverage` must be at least 1, got 0.5."),
        ("lot = 1", "lot = 0", "A lot must be above 0 and a minimum notional at least 0: 0.0, 0.0. (default)"),
        ("lot = 1", "lots = 1", "has a key `default.lots` that means nothing here. Did you mean 'lot'?"),
        (
            "date = 2024-01-01\norigin",
            'date = "2024"\norigin',
            "`default.tables[1].date` must be a date such as 2025-08-19, got '2024'.",
        ),
        (
            'origin = "made up"\ntiers',
            'origin = ""\ntiers',
            "`default.tables[1].origin` must be a text that is not empty, got ''.",
        ),
        (
            'origin = "made up"\ntiers',
            'orign = "made up"\ntiers',
            "key `default.tables[1].orign` that means nothing here. Did you mean 'origin'?",
        ),
        (
            "[0, 0.01, 50]",
            "[0, 0.01]",
            "The tier table flat needs rows of three numbers, [floor, maintenance rate, highest leverage], got",
        ),
        ("[0, 0.01, 50]", "[nan, 0.01, 50]", "The tier table flat needs rows of three numbers"),
        ("[0, 0.01, 50]", '[0, "low", 50]', "`default.tables[1].tiers[1][2]` must be a number, got 'low'."),
        (
            "[0, 0.01, 50]",
            "[5, 0.01, 50]",
            "The floors of the tier table flat must start at 0 and increase: (5.0, 1000.0). (default)",
        ),
        (
            "[0, 0.01, 50]",
            "[0, 0.05, 50]",
            "The maintenance rates of flat must be fractions that do not fall: (0.05, 0.02).",
        ),
    ],
)
def test_a_bad_file_is_a_sentence(tmp_path, old, new, says):
    assert old in GOOD
    with pytest.raises(VenueError, match=re.escape(says)) as raised:
        venues.load_venue(written(tmp_path, GOOD.replace(old, new, 1)))
    assert "mine.toml" in str(raised.value)
    assert "pydantic" not in str(raised.value)
