"""The feeds that signals read: as data/markets/README.md lists them, declared in a market file, and asked for by name."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backtest import load_market
from backtest.errors import MarketError
from backtest.signals import SIGNALS

README = Path(__file__).resolve().parents[1] / "data" / "markets" / "README.md"
DAY = 86_400
START = 1_769_904_000  # 2026-02-01T00:00Z
BTC = "BTCUSDT"
# key -> unit that is declared, and its values known at the closes of four days
OWN = {
    "open_interest": ("usd", (1_000, 1_000, 900, 800)),
    "open_interest_coins": ("coins", (10, 10, 9, 8)),
    "long_liquidations": ("usd", (5, 10, 30, 40)),
    "short_liquidations": ("coins", (0, 0, 0.1, 0)),
    "long_short_ratio": (None, (1.5, 1.4, 1.2, 1.1)),
    "top_trader_ratio": (None, (2, 2, 2, 1.75)),
    "taker_ratio": (None, (1, 1, 0.5, 0.8)),
    "index": (None, (100, 100, 100, 80)),
    "market_cap": ("usd", (20_000, 20_000, 20_000, 16_000)),
    "exchange_reserve": ("coins", (40, 40, 40, 32)),
    "realised_price": (None, (90, 90, 90, 90)),
}
WORLD = ("sp500", "vix", "dollar", "sentiment")
# By hand, at the fourth close: a price of 100, a mark of 100, and the values above.
KNOWN = {
    "open_interest": 8.0,
    "open_interest_to_market_cap": 0.05,
    "liquidations": 40.0,
    "liquidation_intensity": 40 / 900,
    "liquidation_imbalance": 1.0,
    "forced_share": 0.4,
    "long_short_ratio": 1.1,
    "top_trader_ratio": 1.75,
    "taker_ratio": 0.8,
    "basis": 0.25,
    "estimated_leverage": 0.25,
    "unrealised_from_realised_price": 10.0,
}


def declared(folder, **units):
    """Write a market with every feed, and return its path; units: key -> another unit, None for no unit."""
    times = [START + DAY * i for i in range(4)]
    bars = "\n".join(["time,open,high,low,close,volume", *(f"{time},100,100,100,100,1" for time in times)])
    (folder / "bars.csv").write_text(bars + "\n", encoding="utf-8")
    text = 'interval = "1d"\nstart = "2026-02-01"\nend = "2026-02-05"\n[BTCUSDT]\nbars = "bars.csv"\n'
    text += 'funding = { assume = 0.0001, every = "8h" }\nmark = { file = "bars.csv" }\n'
    for key, (unit, values) in OWN.items():
        text += feed(folder, key, values, times, units.get(key, unit))
    text += "[feeds]\n" + "".join(feed(folder, key, (20, 21, 22, 23), times) for key in WORLD)
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return str(folder / "mine.toml")


def feed(folder, key, values, times, unit=None):
    """Write a feed's file and return the line that declares it."""
    rows = "\n".join(["time,value", *(f"{time},{value}" for time, value in zip(times, values, strict=True))])
    (folder / f"{key}.csv").write_text(rows + "\n", encoding="utf-8")
    declared_unit = f', unit = "{unit}"' if unit else ""
    return f'{key} = {{ file = "{key}.csv", column = "value", interval = "1d"{declared_unit} }}\n'


def listed():
    """Return (key, signal) of each cell of the README's two tables of feeds."""
    part = README.read_text(encoding="utf-8").partition("**Feeds that signals read**")[2].partition("```toml")[0]
    for row in re.findall(r"^\| (`.*) \|$", part, re.MULTILINE):
        keys, _, signals = row.split(" | ")
        names = re.findall(r"`(\w+)`", signals) if "the same" not in signals else []
        yield from ((key, name) for key in re.findall(r"`(\w+)`", keys) for name in names)


def without(market, *keys):
    own = {f"{BTC}.{key}" for key in keys} | set(keys)
    return replace(market, feeds={name: feed for name, feed in market.feeds.items() if name not in own})


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return load_market(declared(tmp_path_factory.mktemp("feeds")))


def test_every_key_can_be_declared_in_a_market_file(market):
    assert set(market.feeds) == {f"{BTC}.{key}" for key in OWN} | set(WORLD)
    assert market.feeds[f"{BTC}.exchange_reserve"].unit == "coins"
    for name, expected in KNOWN.items():
        assert SIGNALS[name](market, BTC)[-1] == pytest.approx(expected, rel=1e-12), name


def test_the_readme_lists_every_key_and_every_signal_that_reads_one(market):
    rows = list(listed())
    assert {key for key, _ in rows} == {*OWN, *WORLD, "basis"} - {"open_interest_coins"}
    nothing = replace(market, feeds={}, mark=None)
    reading = set()
    for name, signal in SIGNALS.items():
        try:
            signal(nothing, BTC)
        except MarketError:
            reading.add(name)
    assert {name for _, name in rows} == reading


@pytest.mark.parametrize(("key", "name"), [pair for pair in listed() if pair[0] != "basis"])
def test_a_signal_names_the_feed_that_it_lacks(market, key, name):
    assert SIGNALS[name](market, BTC).shape == (4,)
    gone = without(market, key, *(["open_interest_coins"] if key == "open_interest" else []))
    with pytest.raises(MarketError, match=f"the feed '({BTC}.)?{key}'"):
        SIGNALS[name](gone, BTC)


def test_open_interest_in_coins_stands_in_for_open_interest(market):
    coins = without(market, "open_interest")
    assert SIGNALS["open_interest_to_market_cap"](coins, BTC)[-1] == pytest.approx(800 / 16_000)
    assert SIGNALS["open_interest"](without(market, "open_interest_coins"), BTC)[-1] == pytest.approx(8.0)


def test_a_declared_basis_comes_before_the_index(market):
    own = market.feeds[f"{BTC}.index"]
    both = replace(market, feeds=dict(market.feeds) | {f"{BTC}.basis": replace(own, value=own.value / 1e4)})
    np.testing.assert_allclose(SIGNALS["basis"](both, BTC), [0.01, 0.01, 0.01, 0.008], rtol=1e-12)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("open_interest", "open_interest_to_market_cap"),
        ("long_liquidations", "liquidations"),
        ("short_liquidations", "liquidations"),
        ("exchange_reserve", "estimated_leverage"),
    ],
)
@pytest.mark.parametrize("unit", [None, "USD"])
def test_a_unit_that_is_not_declared_or_not_known_is_asked_for(tmp_path, key, name, unit):
    found = load_market(declared(tmp_path, **{key: unit}))
    with pytest.raises(MarketError) as error:
        SIGNALS[name](found, BTC)
    sentence = f"The feed '{BTC}.{key}' has the unit {unit or ''!r}; declare `unit` as 'usd' or 'coins'"
    assert str(error.value).startswith(sentence)
