"""Real history, loaded: facts that anyone can look up, and the defects that the files are known to have."""

import numpy as np
import pytest
from real_market import bitcoin, five_coins, needs_history, spot

from backtest.errors import MarketError
from backtest.market import load_market
from backtest.model.arrays import utc_text

pytestmark = needs_history


def first_close_below(market, level):
    bars = market["BTCUSDT"]
    of_2026 = bars.time >= 1_767_225_600_000_000_000
    return utc_text(int(bars.time[np.argmax((bars.close < level) & of_2026)]))


def test_the_breaks_of_2026(tmp_path):
    market = load_market(bitcoin(tmp_path))
    assert len(market) == 6168
    assert utc_text(int(market.time[market.start_bar])) == "2026-01-15T00:00Z"
    assert first_close_below(market, 75_000) == "2026-02-03T17:00Z"
    assert first_close_below(market, 70_000) == "2026-02-05T12:00Z"
    low = market["BTCUSDT"].low
    assert (low.min(), utc_text(int(market.time[low.argmin()]))) == (59_800.0, "2026-02-06T00:00Z")


def test_bitcoin_is_real_throughout_but_for_the_mark(tmp_path):
    market = load_market(bitcoin(tmp_path))
    assert {s.origin for s in market.passport.series} == {"real"}
    assert (market.passport.grade, market.passport.lacks) == ("B", ("BTCUSDT.mark",))
    assert market.funding_holes == ()
    assert market.funding.time.size == 772  # 257 days of three stamps, both midnights at the ends
    assert sorted(market.feeds) == ["BTCUSDT.long_liquidations", "BTCUSDT.open_interest", "BTCUSDT.short_liquidations"]
    assert any("long_liquidations starts late" in f for f in market.passport.findings)
    assert any("long_liquidations misses 2 values in 2 gaps" in f for f in market.passport.findings)


def test_five_coins_borrow_where_the_files_are_short(tmp_path):
    market = load_market(five_coins(tmp_path))
    assert market.close.shape == (6168, 5)
    assert np.isfinite(market.close).all()
    assert market.passport.grade == "B"
    assert [s.name for s in market.passport.series if s.origin == "proxy"] == ["SOLUSDT.funding", "BNBUSDT.funding"]
    assert market.funding.time.size == 5 * 772
    assert np.isfinite(market.feed("vix")).all()
    head = market.head(100)
    assert np.array_equal(head.feed("sp500"), market.feed("sp500")[:100])


def test_spot_gaps_under_each_policy(tmp_path):
    with pytest.raises(
        MarketError, match=r"BTCUSDT 1h has a gap of \d+ bars? after 2018-.*complete the file or allow gaps"
    ):
        load_market(spot(tmp_path, "error"))
    filled, halted, dropped = (load_market(spot(tmp_path, gaps)) for gaps in ("forward_fill", "halt", "drop"))
    missing = filled.passport.series[0].gaps
    assert missing > 0
    assert len(filled) == len(halted) == 59 * 24
    assert np.isfinite(filled.close).all()
    assert int(np.isnan(halted.close).sum()) == missing
    assert len(dropped) == 59 * 24 - missing


def test_all_spot_gaps_are_counted(tmp_path):
    market = load_market(spot(tmp_path, "halt", "2017-08-17T04:00", "2026-07-26T18:00"))
    line = market.passport.series[0]
    assert (line.rows, line.gaps) == (78_246, 128)
    assert any("the first of 28 gaps with 128 bars in all" in f for f in line.findings)
