"""A user's file into the store: its columns by name, its mistakes in sentences, and real history with its known facts."""

import hashlib

import numpy as np
import pytest
from real_market import COINS, HISTORY, SPAN, five_coins, needs_history
from store_made import DAY, HOUR, JULY, LATER, NOW, same

from backtest.errors import MarketError
from backtest.market import load_market
from backtest.market.clock import parse_time
from backtest.market.store.entry import open_entry
from backtest.market.store.imports import import_file
from backtest.market.store.verify import verify

BARS = "time,open,high,low,close,volume\n2025-07-01T00:00Z,10,12,9,11,5\n2025-07-01T01:00Z,11,13,10,12,6\n"


def write(folder, text: str, name: str = "mine.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def taken(folder, text: str, kind: str, interval: int = HOUR, columns=None, **options):
    """Import a text and return what the store then holds."""
    path = write(folder, text)
    import_file(path, "mine", "BTC", kind, interval, columns, folder / "store", **{"now": NOW, **options})
    return open_entry(folder / "store", "mine", "BTC", kind, interval).read()


def test_bars_of_a_csv_file(tmp_path):
    found = taken(tmp_path, BARS, "bars")
    assert {k: v.tolist() for k, v in found.items()} == {
        "time": [JULY, JULY + HOUR], "open": [10, 11], "high": [12, 13], "low": [9, 10], "close": [11, 12], "volume": [5, 6],
    }  # fmt: skip
    m = open_entry(tmp_path / "store", "mine", "BTC", "bars", HOUR).manifest
    sha = hashlib.sha256((tmp_path / "mine.csv").read_bytes()).hexdigest()
    assert m.fetches[0].notes == (f"Imported from mine.csv (SHA-256 {sha}).",)
    assert (m.request.file, m.request.start, m.request.end) == ("mine.csv", JULY, JULY + 2 * HOUR)
    assert m.retrieved_at == "2026-03-01T00:00:00Z"


def test_names_zones_and_units_are_declared(tmp_path):
    text = "when;holdings;cost\n2025-07-01 02:00;5.5;60000\n2025-07-02 02:00;5.75;61000\n"
    found = taken(tmp_path, text, "value", DAY, {"value": "holdings", "time": "when"}, tz="Europe/Paris")
    assert (found["time"].tolist(), found["value"].tolist()) == ([JULY, JULY + DAY], [5.5, 5.75])
    assert taken(tmp_path, "time,x\n2025-07-01,3\n2025-07-02,4\n", "long_short_ratio", DAY)["value"].tolist() == [3, 4]
    percent = "time,rate\n2025-07-01T00:00Z,0.01\n2025-07-01T08:00Z,-0.02\n"
    assert taken(tmp_path, percent, "funding", 0, unit="percent")["rate"].tolist() == [0.0001, -0.0002]


def test_a_file_may_lack_what_its_source_does_not_give(tmp_path):
    found = taken(tmp_path, "date,open,high,low,close\n2025-07-01,1,2,0.5,1.5\n", "bars", DAY)
    assert np.isnan(found["volume"]).all()
    found = taken(tmp_path, "time,oi_close\n2025-07-01T00:00Z,7e9\n", "open_interest", HOUR, {"usd": "oi_close"})
    assert (found["usd"].tolist(), np.isnan(found["coins"]).all()) == ([7e9], True)
    found = taken(tmp_path, "time,price\n2025-07-01T00:00Z,60000\n", "mark")
    assert [found[k].tolist() for k in ("open", "high", "low", "close")] == [[60_000.0]] * 4
    with pytest.raises(MarketError, match=r"mine\.csv: it has none of the columns coins, usd; name one: usd=COLUMN\."):
        taken(tmp_path, "time,oi\n2025-07-01T00:00Z,7e9\n", "open_interest")


@pytest.mark.parametrize(
    ("text", "kind", "columns", "told"),
    [
        (BARS.replace("close", "last"), "bars", None, "mine.csv: it has no column `close`; found: time, open, high, low, last"),
        (BARS.replace("T01", "T00"), "bars", None, "bars has 1 duplicate row, the first at 2025-07-01T00:00Z; keep one"),
        (BARS.replace("07-01T01", "06-01T01"), "bars", None, "bars has 1 row out of order, the first at 2025-06-01T01:00Z"),
        (BARS.replace("T01", "T04"), "bars", None, "bars has rows 4h apart, not 1h as declared (2 rows)"),
        (BARS, "bars", {"closing": "close"}, "'closing' is not a column of bars. Did you mean 'close'?"),
        (BARS, "candles", None, "There is no kind of series named 'candles'"),
        (BARS.replace("11,5", "high,5"), "bars", None, "row 1 of `close` holds 'high', not a number"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_whole(tmp_path, text, kind, columns, told):
    with pytest.raises(MarketError) as caught:
        taken(tmp_path, text, kind, columns=columns)
    assert told in str(caught.value)
    assert verify(tmp_path / "store") == []


def test_a_unit_that_makes_no_sense(tmp_path):
    with pytest.raises(MarketError, match=r"The unit of bars can't be 'percent'"):
        taken(tmp_path, BARS, "bars", unit="percent")


def test_a_file_that_grew_adds_its_new_rows_and_shows_its_revisions(tmp_path):
    taken(tmp_path, BARS, "bars")
    grown = BARS.replace("12,6", "12.6,6") + "2025-07-01T02:00Z,12,14,11,13,7\n2025-07-01T03:00Z,13,15,12,14,1\n"
    path = write(tmp_path, grown)
    wrote = import_file(path, "mine", "BTC", "bars", HOUR, None, tmp_path / "store", now=JULY + 3 * HOUR + 1)
    assert (wrote.added, wrote.repeated, wrote.revised, wrote.open) == (1, 1, 1, 1)
    assert wrote.largest == pytest.approx(0.05)


# --- real history ----------------------------------------------------------------------------------------------------


def imported(root, file: str, source: str, symbol: str, kind: str, interval: int, columns=None):
    """Import a history file and return its entry."""
    path = HISTORY / f"{file}.parquet"
    import_file(path, source, symbol, kind, interval, columns, root, now=LATER)
    return open_entry(root, source, symbol, kind, interval)


@needs_history
def test_perpetuals_have_no_gaps_and_the_fall_of_2026(tmp_path):
    for coin, first in (
        ("BTC", "2019-09"),
        ("ETH", "2020-03"),
        ("SOL", "2022-01"),
        ("XRP", "2020-03"),
        ("BNB", "2020-03"),
    ):
        entry = imported(tmp_path, f"{coin.lower()}usdt_perp_1h_binance", "history", f"{coin}USDT", "bars", HOUR)
        m = entry.manifest
        assert (m.gaps, m.missing, min(m.partitions)[:7], max(m.partitions)[:7]) == (0, 0, first, "2026-03")
    found = open_entry(tmp_path, "history", "BTCUSDT", "bars", HOUR).read(parse_time("2026-01-01"))
    time, close, low = found["time"], found["close"], found["low"]
    assert time[np.argmax(close < 75_000)] == parse_time("2026-02-03T17:00Z")
    assert time[np.argmax(close < 70_000)] == parse_time("2026-02-05T12:00Z")
    assert (low.min(), time[np.argmin(low)]) == (59_800, parse_time("2026-02-06T00:00Z"))
    assert {f.state for f in verify(tmp_path)} == {"ok"}


@needs_history
def test_spot_has_28_gaps_of_128_bars(tmp_path):
    m = imported(tmp_path, "btcusdt_spot_1h_binance", "history", "spot/BTCUSDT", "bars", HOUR).manifest
    assert (m.gaps, m.missing) == (28, 128)


@needs_history
def test_liquidations_miss_4_bars(tmp_path):
    m = imported(tmp_path, "btc_liquidations_1h_coinglass", "coinglass", "BTC", "liquidations", HOUR).manifest
    assert m.missing == 4


@needs_history
def test_open_interest_fell_by_18_percent_in_a_bar(tmp_path):
    columns = {"usd": "oi_close"}
    entry = imported(tmp_path, "btc_open_interest_4h_coinglass", "coinglass", "BTC", "open_interest", 4 * HOUR, columns)
    usd = entry.read(parse_time("2025-10-10"), parse_time("2025-10-12"))["usd"]
    assert np.min(usd[1:] / usd[:-1]) - 1 == pytest.approx(-0.18, abs=0.01)


@needs_history
def test_funding_covers_what_its_readme_says(tmp_path):
    for coin, first, last in (("btc", "2019-09", "2026-05"), ("eth", "2019-11", "2026-05"), ("xrp", "2020-01", "2026-05"),
                              ("sol", "2024-02", "2025-04"), ("bnb", "2024-02", "2025-04")):  # fmt: skip
        stamps = imported(tmp_path, f"{coin}usdt_funding_8h_binance", "history", f"{coin}usdt", "funding", 0).read()[
            "time"
        ]
        assert [str(t)[:7] for t in stamps[[0, -1]].view("datetime64[ns]")] == [first, last]
        assert np.diff(stamps).max() < 8 * HOUR + 1_000_000_000, "no gaps, a few ms of jitter"


@needs_history
def test_macro_series_are_read_as_they_are(tmp_path):
    vix = imported(tmp_path, "vix_1d_cboe", "cboe", "^VIX", "bars", DAY).read()
    outside = (vix["high"] < np.maximum(vix["open"], vix["close"])) | (
        vix["low"] > np.minimum(vix["open"], vix["close"])
    )
    assert int(outside.sum()) == 47
    assert vix["time"][outside].max() < parse_time("2007-01-01")
    sp500 = imported(tmp_path, "sp500_1d", "fred", "SP500", "bars", DAY).read()
    early = sp500["time"] < parse_time("2024-01-01")
    assert np.isnan(sp500["open"][early]).mean() > 0.99
    assert np.isfinite(sp500["close"]).all()


@needs_history
def test_the_five_coin_market_is_the_same_from_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path))
    lines = [SPAN]
    for coin in COINS:
        imported(tmp_path / "store", f"{coin.lower()}usdt_perp_1h_binance", "mine", f"{coin}USDT", "bars", HOUR)
        own = coin not in ("SOL", "BNB")
        if own:
            imported(tmp_path / "store", f"{coin.lower()}usdt_funding_8h_binance", "mine", f"{coin}USDT", "funding", 0)
        funding = '"store:mine"' if own else '{ proxy = "BTCUSDT" }'
        lines.append(f'[{coin}USDT]\nbars = "store:mine"\nfunding = {funding}')
    path = tmp_path / "five.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    kept, direct = load_market(path), load_market(five_coins(tmp_path))
    assert kept.passport.grade == direct.passport.grade == "B"
    for name in ("time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(kept, name), getattr(direct, name))
    assert same(*({"time": m.funding.time, "rate": m.funding.rate, "symbol": m.funding.symbol} for m in (kept, direct)))
    hashes = {s.name: s.sha256 for s in direct.passport.series}
    assert all(s.sha256 == hashes[s.name] for s in kept.passport.series), (
        "the hash is of what was loaded, not of its place"
    )
