"""Series that stand in for ones that no source has: the formulas by hand, what they may know, and how they are flagged."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_market import HISTORY, needs_history

from backtest.errors import MarketError
from backtest.market.proxies import (
    BEYOND,
    WINDOW,
    derived_origin,
    liquidation_feeds,
    liquidations_from_open_interest,
    mark_line,
    open_interest_of,
)
from backtest.model.arrays import DAY, HOUR
from backtest.model.market import Bars, Feed
from backtest.model.passport import Passport, Series

START = 1_770_076_800_000_000_000  # 2026-02-03T00:00Z
DAYS = WINDOW // DAY
N = 24 * (DAYS + 2)


def quiet(n=N):
    """Bars of volume 4 that neither rise nor fall, from a midnight on."""
    prices = [np.full(n, 100.0) for _ in range(4)]
    return Bars("BTCUSDT", HOUR, START + HOUR * np.arange(n), *prices, np.full(n, 4.0))


def breathing(n=N):
    """Open interest in coins known at each bar's open and the last one's close: +1 and -1 in turn, from 1,000 on.

    With volumes of 4, x = d / 2 is +-0.5: its median 0 over a day, its MAD 0.5.
    """
    return 1_000.0 + (np.arange(n + 1) % 2)


def interest(values, unit="coins"):
    return Feed("BTCUSDT.open_interest", START + HOUR * np.arange(len(values)), np.asarray(values, dtype=float), unit)


def with_bar(bars, i, **prices):
    columns = {k: getattr(bars, k).copy() for k in ("open", "high", "low", "close", "volume")}
    for name, value in prices.items():
        columns[name][i] = value
    return replace(bars, **columns)


LATE = 24 * (DAYS + 1)  # a bar for which there is a history
BAND = 1.4826 * 0.5 * BEYOND  # deviations that volume explains; the median of as many +0.5 as -0.5 is 0


def fallen(by, i=LATE):
    """Open interest that falls by `by` coins in bar i and breathes on."""
    values = breathing()
    values[i + 1 :] += values[i] - by - values[i + 1]
    return values


def test_a_fall_in_a_falling_bar_is_of_longs():
    bars = with_bar(quiet(), LATE, close=90.0, low=80.0, volume=400.0)
    made = liquidations_from_open_interest(bars, interest(fallen(50.0)))
    forced = 50.0 - BAND * 20.0  # the square root of a volume of 400
    assert made.long_usd[LATE] == pytest.approx(forced * (100 + 80 + 90) / 3)
    assert made.short_usd[LATE] == 0.0


def test_a_fall_in_a_rising_bar_is_of_shorts_and_in_a_flat_one_of_both():
    bars = with_bar(quiet(), LATE, close=110.0, high=120.0, volume=400.0)
    made = liquidations_from_open_interest(bars, interest(fallen(50.0)))
    assert (made.long_usd[LATE], made.short_usd[LATE]) == (0.0, pytest.approx((50 - BAND * 20) * 110.0))
    flat = liquidations_from_open_interest(with_bar(quiet(), LATE, volume=400.0), interest(fallen(50.0)))
    assert flat.long_usd[LATE] == flat.short_usd[LATE] == pytest.approx((50 - BAND * 20) * 100.0 / 2)


def test_what_volume_explains_is_not_forced():
    bars = with_bar(quiet(), LATE, close=90.0, low=90.0, volume=400.0)
    made = liquidations_from_open_interest(bars, interest(fallen(BAND * 20.0 - 0.01)))
    assert (made.long_usd[LATE], made.short_usd[LATE]) == (0.0, 0.0)


def test_no_more_is_forced_than_was_traded():
    bars = with_bar(quiet(), LATE, close=90.0, low=90.0)
    made = liquidations_from_open_interest(bars, interest(fallen(500.0)))
    assert made.long_usd[LATE] == pytest.approx(4.0 * (100 + 90 + 90) / 3)
    still = liquidations_from_open_interest(with_bar(bars, LATE, volume=0.0), interest(fallen(500.0)))
    assert still.long_usd[LATE] == 0.0


def test_the_first_thirty_days_are_not_known():
    made = liquidations_from_open_interest(quiet(), interest(breathing()))
    assert np.isnan(made.long_usd[: 24 * DAYS]).all()
    assert np.isfinite(made.long_usd[24 * DAYS :]).all()
    assert not np.isfinite(liquidations_from_open_interest(quiet(48), interest(breathing(48))).long_usd).any()


def test_open_interest_in_usd_is_turned_into_coins():
    bars = with_bar(quiet(), LATE, close=50.0, low=50.0, volume=400.0)
    coins = fallen(50.0)
    usd = coins * 100.0
    usd[LATE + 1] = coins[LATE + 1] * 50.0  # worth half at that bar's close
    made = liquidations_from_open_interest(bars, interest(usd, "usd"))
    assert made.long_usd[LATE] == pytest.approx((50 - BAND * 20) * (100 + 50 + 50) / 3)


def test_where_open_interest_has_a_hole_nothing_is_known():
    feed = interest(breathing())
    kept = np.arange(N + 1) != LATE
    holed = Feed(feed.name, feed.known_at[kept], feed.value[kept], feed.unit)
    made = liquidations_from_open_interest(quiet(), holed)
    assert np.flatnonzero(np.isnan(made.long_usd[24 * DAYS :])).tolist() == [
        23,
        24,
    ]  # its close is one's, its open the other's


def test_finer_open_interest_is_taken_as_of_the_bars_ends():
    at = START + 5 * (HOUR // 60) * np.arange(12 * N + 1)
    values = np.repeat(fallen(50.0), 12)[: at.size]  # whatever happens between does not matter
    values[np.arange(at.size) % 12 != 0] = 7.0
    bars = with_bar(quiet(), LATE, close=90.0, low=80.0, volume=400.0)
    made = liquidations_from_open_interest(bars, Feed("X.open_interest", at, values, "coins"))
    assert made.long_usd[LATE] == pytest.approx((50 - BAND * 20) * 90.0)


def test_open_interest_that_comes_too_rarely_is_refused():
    feed = Feed("BTCUSDT.open_interest", START + DAY * np.arange(40), np.ones(40), "usd")
    with pytest.raises(MarketError, match=r"BTCUSDT.open_interest comes every 1d, too rarely .* bars of 1h"):
        liquidations_from_open_interest(quiet(), feed)


def test_open_interest_without_a_unit_is_refused():
    with pytest.raises(MarketError, match=r"BTCUSDT.open_interest must say its unit .* got ''"):
        liquidations_from_open_interest(quiet(), interest(breathing(), ""))


def test_no_open_interest_at_all():
    nothing = Feed("BTCUSDT.open_interest", np.empty(0, np.int64), np.empty(0), "coins")
    assert np.isnan(liquidations_from_open_interest(quiet(), nothing).long_usd).all()


def test_a_symbol_that_does_not_trade():
    columns = {k: np.full(N, np.nan) for k in ("open", "high", "low", "close", "volume")}
    made = liquidations_from_open_interest(replace(quiet(), **columns), interest(breathing()))
    assert np.isnan(made.long_usd).all()


def drawn(seed):
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.01, N)))
    before = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(before, close) * 1.001, np.minimum(before, close) * 0.999
    volume = draw.exponential(100.0, N) * (draw.random(N) > 0.05)
    bars = Bars("X", HOUR, START + HOUR * np.arange(N), before, high, low, close, volume)
    return bars, 10_000 + np.cumsum(draw.normal(0, 8, N + 1))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.integers(24 * DAYS, N))
def test_nothing_later_is_known(seed, n):
    bars, coins = drawn(seed)
    whole = liquidations_from_open_interest(bars, interest(coins))
    head = Bars("X", HOUR, *(getattr(bars, k)[:n] for k in ("time", "open", "high", "low", "close", "volume")))
    cut = liquidations_from_open_interest(head, interest(coins[: n + 1]))
    assert np.array_equal(cut.long_usd, whole.long_usd[:n], equal_nan=True)
    assert np.array_equal(cut.short_usd, whole.short_usd[:n], equal_nan=True)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32))
def test_never_below_zero_nor_above_what_was_traded(seed):
    bars, coins = drawn(seed)
    made = liquidations_from_open_interest(bars, interest(coins))
    known = np.isfinite(made.long_usd)
    assert known.any()
    total = (made.long_usd + made.short_usd)[known]
    assert (total >= 0).all()
    assert (total <= bars.volume[known] * bars.high[known]).all()
    assert (np.diff(interest(coins).value)[known][total > 0] < 0).all()  # only where open interest fell


# --- how they are flagged --------------------------------------------------------------------------------------------


REAL = (Series("BTCUSDT.bars", "real", "a"), Series("BTCUSDT.open_interest", "real", "b"))


def test_the_feeds_are_known_at_the_close_and_say_what_they_are():
    bars = with_bar(quiet(), LATE, close=90.0, low=80.0, volume=400.0)
    feeds = liquidation_feeds("BTCUSDT", bars, interest(fallen(50.0)), REAL)
    assert list(feeds) == ["BTCUSDT.long_liquidations", "BTCUSDT.short_liquidations"]
    feed, line = feeds["BTCUSDT.long_liquidations"]
    assert (feed.name, feed.unit, feed.value.size) == ("BTCUSDT.long_liquidations", "usd", 48)
    assert feed.known_at[0] == START + WINDOW + HOUR
    assert (line.name, line.origin, line.source, line.rows, line.gaps) == (
        "BTCUSDT.long_liquidations", "proxy", "BTCUSDT.open_interest", 48, 0
    )  # fmt: skip
    assert len(line.sha256) == 64
    assert line.findings == (
        "BTCUSDT.long_liquidations is a proxy: falls of BTCUSDT.open_interest beyond what volume explains stand in for "
        "liquidations; 1 bar of 48 have some.",
    )
    assert Passport((*REAL, line)).grade == "B"


def test_bars_that_are_not_known_are_left_out_and_counted():
    feed = interest(breathing())
    kept = np.arange(N + 1) != LATE
    holed = Feed(feed.name, feed.known_at[kept], feed.value[kept], feed.unit)
    made, line = liquidation_feeds("BTCUSDT", quiet(), holed, REAL)["BTCUSDT.short_liquidations"]
    assert (made.value.size, line.gaps) == (46, 2)
    assert line.findings[0].endswith("; 2 bars after the first are not known.")


def test_a_market_that_is_too_short_has_none():
    made, line = liquidation_feeds("BTCUSDT", quiet(48), interest(breathing(48)), REAL)["BTCUSDT.long_liquidations"]
    assert (made, line.origin, line.rows) == (None, "missing", 0)
    assert "it needs 30 days of bars with open interest" in line.findings[0]


def test_coins_are_taken_before_usd():
    usd, coins = interest([1.0], "usd"), interest([2.0], "coins")
    feeds = {"BTCUSDT.open_interest": usd, "BTCUSDT.open_interest_coins": coins}
    assert open_interest_of("BTCUSDT", feeds) is coins
    assert open_interest_of("BTCUSDT", {"BTCUSDT.open_interest": usd}) is usd
    assert open_interest_of("ETHUSDT", feeds) is None


def test_a_proxy_is_no_better_than_what_it_is_made_of():
    assert [derived_origin("real", o) for o in ("real", "proxy", "assumed", "simulated", "missing")] == [
        "proxy", "proxy", "assumed", "simulated", "missing"
    ]  # fmt: skip


def test_the_mark_that_the_last_price_stands_in_for():
    last = Series("BTCUSDT.bars", "real", "binance-archive/BTCUSDT_1h", 1, 2, 1_234, 5, "abc", ("a finding",), 5)
    line = mark_line("BTCUSDT", last)
    assert (line.name, line.origin, line.source, line.sha256) == ("BTCUSDT.mark", "proxy", "BTCUSDT.bars", "abc")
    assert line.findings == ("BTCUSDT.mark is a proxy: the last price stands in for the mark (1,234 bars).",)
    assert (line.filled, Passport((last, line)).grade) == (0, "B")


# --- against what was reported ---------------------------------------------------------------------------------------


@needs_history
def test_against_the_liquidations_that_an_aggregator_reports():
    import pyarrow.parquet as pq

    def read(name, *columns):
        table = pq.read_table(HISTORY / f"{name}.parquet")
        return table["time"].cast("int64").to_numpy(), *(table[c].to_numpy() for c in columns)

    prices = ("open", "high", "low", "close", "volume")
    time, *columns = read("btcusdt_perp_1h_binance", *prices)
    oi_time, oi = read("btc_regime_1h_coinglass", "oi_close")
    liq_time, longs, shorts = read("btc_regime_1h_coinglass", "liquidation_long_usd", "liquidation_short_usd")
    inside = time >= oi_time[0]
    bars = Bars("BTCUSDT", HOUR, time[inside], *(c[inside] for c in columns))
    made = liquidations_from_open_interest(bars, Feed("BTCUSDT.open_interest", oi_time + HOUR, oi, "usd"))
    common, i, j = np.intersect1d(bars.time[np.isfinite(made.long_usd)], liq_time, return_indices=True)
    proxy = (made.long_usd + made.short_usd)[np.isfinite(made.long_usd)][i]
    reported = (longs + shorts)[j]
    assert common.size > 1_900
    assert np.corrcoef(proxy, reported)[0, 1] == pytest.approx(0.38, abs=0.02)
    assert proxy.sum() / reported.sum() == pytest.approx(1.6, abs=0.1)
