"""When a stored value counts as known: what a market file declares may delay it, and never advances it."""

import numpy as np
import pytest

from backtest.market import load_market
from backtest.market.clock import parse_time
from backtest.market.sources.base import Page
from backtest.market.store.entry import open_entry
from backtest.model.arrays import utc_text

DAY = 86_400 * 10**9
HOUR = DAY // 24
FIRST = 1_767_225_600_000_000_000  # 2026-01-01T00:00Z
TOP = 'interval = "1h"\nstart = "2026-01-01"\nend = "2026-01-05"\n[BTC]\nbars = "b.csv"\nfunding = "spot"\n[feeds.x]\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    time = FIRST // 10**9 + 3600 * np.arange(96)
    (tmp_path / "b.csv").write_text("time,open,high,low,close,volume\n" + "".join(f"{t},9,9,9,9,1\n" for t in time))
    return tmp_path


def keep(here, source, symbol, kind, interval, columns, known_after=None):
    """Keep three values from 2026-01-01 on; known_after: ns after their times, None where the store doesn't say."""
    time = FIRST + np.arange(3, dtype=np.int64) * interval
    columns = {"time": time, **{name: np.array([1.0, 2.0, 3.0]) for name in columns}}
    if known_after is not None:
        columns["known_at"] = time + known_after
    page = Page(columns, FIRST, FIRST + 30 * DAY)
    open_entry(here / "kept" / "store", source, symbol, kind, interval).write(page, closed_before=FIRST + 40 * DAY)


def first_known(here, feed):
    """Load a feed; return when its first value is known, and the findings on that."""
    (here / "m.toml").write_text(TOP + feed)
    market = load_market("./m.toml")
    line = next(s for s in market.passport.series if s.name == "x")
    return utc_text(int(market.feeds["x"].known_at[0])), [f for f in line.findings if "could be known" in f]


BARS = ("open", "high", "low", "close", "volume")
DOLLAR = 'store = "yahoo"\nsymbol = "DX-Y.NYB"\ninterval = "1d"\ncolumn = "close"\n'
EARLY = (
    'x: known_at = "{}" is before 3 values could be known (the first, of 2026-01-01T00:00Z, at 2026-01-02T05:00Z); '
    "they count from then on."
)


@pytest.mark.parametrize(
    ("declared", "told"),
    [("", []), *((f'known_at = "{k}"\n', [EARLY.format(k)]) for k in ("close", "open", "at"))],
)
def test_the_dollar_index_is_known_at_midnight_in_new_york(here, declared, told):
    """Its session of 1 January ends at 05:00 UTC on the 2nd; the day's end in UTC would be five hours too early."""
    keep(here, "yahoo", "DX-Y.NYB", "bars", DAY, BARS, 29 * HOUR)
    assert first_known(here, DOLLAR + declared) == ("2026-01-02T05:00Z", told)


def test_a_declared_close_may_delay(here):
    keep(here, "yahoo", "^VIX", "bars", DAY, BARS, 21 * HOUR + HOUR // 4)
    vix = DOLLAR.replace("DX-Y.NYB", "^VIX")
    assert first_known(here, vix) == ("2026-01-01T21:15Z", [])
    assert first_known(here, vix + 'known_at = "close"\n') == ("2026-01-02T00:00Z", [])
    assert first_known(here, vix + 'known_at = "close"\nlag = "1h"\n') == ("2026-01-02T01:00Z", [])
    assert first_known(here, vix + 'known_at = "open"\nlag = "1h"\n')[0] == "2026-01-01T22:15Z"


@pytest.mark.parametrize(("column", "known"), [("close", "2026-01-01T01:00Z"), ("open", "2026-01-01T00:00Z")])
def test_a_fetched_bar_is_known_at_its_close_but_for_its_open(here, column, known):
    keep(here, "binance-archive", "BTCUSDT", "bars", HOUR, BARS)
    feed = f'store = "binance-archive"\nsymbol = "BTCUSDT"\nseries = "bars"\ncolumn = "{column}"\nknown_at = "open"\n'
    assert first_known(here, feed)[0] == known


def test_an_imported_series_is_known_when_its_owner_says_unless_it_says_so_itself(here):
    keep(here, "mine", "polls", "value", HOUR, ("value",))
    keep(here, "mine", "late", "value", HOUR, ("value",), 3 * HOUR)
    feed = 'store = "mine"\nsymbol = "{}"\nseries = "value"\ninterval = "1h"\ncolumn = "value"\nknown_at = "at"\n'
    assert first_known(here, feed.format("polls")) == ("2026-01-01T00:00Z", [])
    assert first_known(here, feed.format("late"))[0] == "2026-01-01T03:00Z"


def test_the_times_of_this_file():
    assert parse_time("2026-01-01") == FIRST
