"""What keeps real data from grade A: funding and mark that are not known, and series of which a part was not fetched."""

import numpy as np
import pytest

from backtest.errors import MarketError
from backtest.market import load_market
from backtest.market.sources.base import Page
from backtest.market.store.entry import open_entry
from backtest.model.passport import SPOT, Passport, Series
from backtest.model.standing import standing

DAY = 86_400 * 10**9
HOUR = DAY // 24
T0 = 1_767_225_600_000_000_000  # 2026-01-01T00:00Z
FOREVER = T0 + 1000 * DAY
TOP = 'interval = "1h"\nstart = "2026-01-01"\nend = "2026-01-04"\n'
REAL = Series("BTC.bars", "real", "x")
SETTLED = Series("BTC.funding", "real", "x")
MARKED = Series("BTC.mark", "real", "x")


def rows(start, end, step=HOUR):
    """A page of flat prices at 100 for [start, end)."""
    time = np.arange(start, end, step, dtype=np.int64)
    flat = {key: np.full(time.size, 100.0) for key in ("open", "high", "low", "close")}
    return Page({"time": time, **flat, "volume": np.ones(time.size)}, start, end)


def without_volume(page):
    return Page({k: v for k, v in page.columns.items() if k != "volume"}, page.start, page.end)


def stamps(start, end):
    time = np.arange(start, end, 8 * HOUR, dtype=np.int64)
    return Page({"time": time, "rate": np.full(time.size, 0.0001)}, start, end)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    time = T0 // 10**9 + 3600 * np.arange(72)
    (tmp_path / "bars.csv").write_text("time,open,high,low,close,volume\n" + "".join(f"{t},9,9,9,9,1\n" for t in time))
    (tmp_path / "f.csv").write_text(
        "time,rate\n" + "".join(f"{t},0.0001\n" for t in time[::8]) + f"{time[-1] + 3600},0\n"
    )
    (tmp_path / "mark.csv").write_text("time,price\n" + "".join(f"{t},9\n" for t in time))
    return tmp_path


def keep(here, source, symbol, kind, interval, *pages):
    for page in pages:
        open_entry(here / "kept" / "store", source, symbol, kind, interval).write(
            page, closed_before=FOREVER, retrieved_at=FOREVER
        )


def load(here, table):
    (here / "m.toml").write_text(TOP + "[BTC]\n" + table)
    return load_market("./m.toml")


def funding(market):
    line = next(s for s in market.passport.series if s.name == "BTC.funding")
    stands = {s.subject: s.origin for s in standing(market.passport, ["BTC"])}["funding"]
    return line.origin, stands, market.funding.none, market.passport.grade


MARK = 'mark = "mark.csv"\n'


def test_no_funding_of_a_file_is_missing_until_it_is_said_to_be_spot(here):
    none = frozenset(["BTC"])
    assert funding(load(here, 'bars = "bars.csv"\nfunding = "none"\n' + MARK)) == ("missing", "missing", none, "B")
    assert funding(load(here, 'bars = "bars.csv"\nfunding = "spot"\n')) == ("real", "real", none, "A")
    assert funding(load(here, 'bars = "bars.csv"\nfunding = "f.csv"\n' + MARK)) == ("real", "real", frozenset(), "A")


@pytest.mark.parametrize(
    ("source", "symbol", "grade"),
    [("binance-archive", "spot/BTCUSDT", "A"), ("yahoo", "BTC-USD", "A"), ("binance-archive", "BTCUSDT", "B")],
)
def test_no_funding_of_a_stored_series_is_spot_where_its_symbol_says_so(here, source, symbol, grade):
    keep(here, source, symbol, "bars", HOUR, rows(T0, T0 + 3 * DAY))
    market = load(here, f'bars = {{ store = "{source}", symbol = "{symbol}" }}\nfunding = "none"\n')
    assert (funding(market)[0], market.passport.grade) == ("real" if grade == "A" else "missing", grade)


def test_a_spot_symbol_of_the_market_itself(here):
    keep(here, "binance", "spot/BTCUSDT", "bars", HOUR, rows(T0, T0 + 3 * DAY))
    (here / "m.toml").write_text(TOP + '["spot/BTCUSDT"]\nbars = "store:binance"\nfunding = "none"\n')
    assert load_market("./m.toml").passport.grade == "A"


def test_a_mark_that_is_left_out_counts_as_one_that_the_last_price_stands_in_for(here):
    base = 'bars = "bars.csv"\nfunding = "f.csv"\n'
    said, silent = load(here, base + 'mark = { proxy = "last" }\n'), load(here, base)
    assert said.passport.grade == silent.passport.grade == "B"
    assert (said.passport.lacks, silent.passport.lacks) == ((), ("BTC.mark",))
    assert load(here, base + MARK).passport.grade == "A"


def test_a_mark_of_which_a_part_was_not_fetched(here):
    """Three days of bars and stamps; of the mark the first and the third day."""
    keep(here, "binance-archive", "BTC", "bars", HOUR, rows(T0, T0 + 3 * DAY))
    keep(here, "binance-archive", "BTC", "funding", 0, stamps(T0, T0 + 3 * DAY + HOUR))
    first, third = (without_volume(rows(T0 + i * DAY, T0 + (i + 1) * DAY)) for i in (0, 2))
    keep(here, "binance-archive", "BTC", "mark", HOUR, first, third)
    table = "".join(f'{key} = "store:binance-archive"\n' for key in ("bars", "mark", "funding"))
    passport = load(here, table).passport
    assert (passport.grade, passport.lacks) == ("B", ("BTC.mark",))
    keep(here, "binance-archive", "BTC", "mark", HOUR, without_volume(rows(T0 + DAY, T0 + 2 * DAY)))
    passport = load(here, table).passport
    assert (passport.grade, passport.lacks) == ("A", ())


def test_funding_and_a_feed_of_which_a_part_was_not_fetched(here):
    keep(here, "binance-archive", "BTC", "funding", 0, stamps(T0, T0 + DAY))
    keep(here, "yahoo", "^VIX", "bars", DAY, rows(T0, T0 + DAY, DAY))
    table = f'bars = "bars.csv"\nfunding = "store:binance-archive"\n{MARK}'
    vix = '[feeds.vix]\nstore = "yahoo"\nsymbol = "^VIX"\ninterval = "1d"\ncolumn = "close"\n'
    assert load(here, table).passport.lacks == ("BTC.funding",)
    assert load(here, table + vix).passport.lacks == ("BTC.funding", "vix")


def test_spot_as_a_key_is_refused(here):
    with pytest.raises(MarketError, match=r'`BTC.funding.spot` says that there is no funding; write funding = "spot"'):
        load(here, 'bars = "bars.csv"\nfunding = { file = "f.csv", spot = true }\n')


@pytest.mark.parametrize(
    ("lines", "grade"),
    [
        ((REAL, SETTLED, MARKED), "A"),
        ((REAL, MARKED), "B"),
        ((REAL, SETTLED), "B"),
        ((REAL, Series("BTC.funding", "real", SPOT)), "A"),
        ((REAL, Series("BTC.funding", "missing", "none"), MARKED), "B"),
        ((REAL, SETTLED, Series("BTC.mark", "missing", "x")), "B"),
        ((REAL, SETTLED, MARKED, Series("vix", "missing", "x")), "A"),
        ((REAL, SETTLED, MARKED, Series("vix", "real", "x", partial=True)), "B"),
        ((REAL, Series("BTC.funding", "assumed", "x")), "C"),
        ((REAL, SETTLED, Series("ETH.bars", "simulated", "x")), "D"),
    ],
)
def test_the_grade_of_what_is_there_and_what_is_not(lines, grade):
    assert Passport(lines).grade == grade


def test_prices_that_the_source_did_not_have_yet_are_said(here):
    """Asked on 4 January at 00:30, the source had the bars up to the 3rd: the last day lacks, which is no error."""
    page = rows(T0, T0 + 2 * DAY)
    entry = open_entry(here / "kept" / "store", "binance-archive", "BTC", "bars", HOUR)
    entry.write(page, closed_before=FOREVER, retrieved_at=T0 + 3 * DAY + HOUR // 2)
    market = load(here, 'bars = "store:binance-archive"\nfunding = "spot"\n')
    assert len(market) == 48
    assert (
        "BTC.bars had nothing from 2026-01-03T00:00Z to 2026-01-04T00:00Z when it was last asked, on 2026-01-04T00:30Z; "
        "run `backtest fetch ./m.toml` again, or end the market earlier."
    ) in market.passport.findings
