"""No signal knows a later bar: what it says on a market cut at a bar is what it says there on the whole one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_markets import BIG, COINS, DAY, days, drawn

from backtest import load_market
from backtest.signals import RECOVERY, RISKS, SIGNALS, Holding, holders_unrealised, lead_lag, recovery, risk_off
from backtest.signals.windows import median_and_mad

HOLDINGS = [Holding("a", 5, 90), Holding("b", 7, 110, "2026-03-01"), Holding("a", 1, 80, "2026-04-01")]


def outputs(market, symbol):
    """Every array of every signal, by name."""
    found = {name: signal(market, symbol) for name, signal in SIGNALS.items()}
    parts = recovery(market, symbol), risk_off(market)
    found |= {f"recovery.{name}": parts[0][name] for name in RECOVERY} | {
        f"risk.{name}": parts[1][name] for name in RISKS
    }
    found["peak"] = lead_lag(market, symbol)[1]
    found["holders"] = holders_unrealised(market, symbol, HOLDINGS)
    return found


def assert_blind(market, symbol, cut, names=None):
    whole = outputs(market, symbol) if names is None else {n: SIGNALS[n](market, symbol) for n in names}
    part = market.head(cut)
    before = outputs(part, symbol) if names is None else {n: SIGNALS[n](part, symbol) for n in names}
    for name, values in whole.items():
        assert values.shape == (len(market),), name
        assert values.dtype == np.float64, name
        np.testing.assert_array_equal(before[name], values[:cut], err_msg=f"{name} of {symbol} cut at {cut}")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 320), symbol=st.sampled_from(COINS))
def test_the_past_is_not_rewritten(seed, cut, symbol):
    assert_blind(drawn(seed), symbol, cut)


@pytest.mark.parametrize("cut", [1, 2, 700, 5000, 9599])
def test_the_past_of_the_simulated_market_is_not_rewritten(cut):
    market = load_market("deleveraging-2026")
    names = [n for n in SIGNALS if n not in MISSING and n != "delta_covar"]
    assert_blind(market, "BTCUSDT", cut, names)


MISSING = (
    "open_interest_to_market_cap",
    "top_trader_ratio",
    "taker_ratio",
    "estimated_leverage",
    "unrealised_from_realised_price",
)


def tomorrow(market, symbol):
    return np.append(market[symbol].close[1:], np.nan)


def whole_mean(market, symbol):
    return market[symbol].close - np.nanmean(market[symbol].close)


@pytest.mark.parametrize("cheat", [tomorrow, whole_mean])
def test_a_signal_that_knows_later_bars_is_caught(monkeypatch, cheat):
    monkeypatch.setitem(SIGNALS, "beta", cheat)
    with pytest.raises(AssertionError, match="beta of BTCUSDT cut at 200"):
        assert_blind(drawn(1), "BTCUSDT", 200)


def test_every_signal_says_something_on_the_drawn_markets():
    said = [outputs(drawn(seed), symbol) for seed in range(3) for symbol in COINS]
    silent = [name for name in said[0] if not any(np.isfinite(one[name]).any() for one in said)]
    assert silent == []


@pytest.mark.parametrize("n", [0, 1])
def test_an_empty_and_a_one_bar_market(n):
    for name, values in outputs(drawn(3).head(n), "ETHUSDT").items():
        assert values.shape == (n,), name


def test_a_market_that_never_moves():
    feeds = {name: (feed.unit, [BIG] * 120) for name, feed in drawn(0).feeds.items() if not name.startswith("ETH")}
    market = days(120, feeds)
    for name in sorted(
        set(SIGNALS)
        - {"funding_sum", "funding_annualised", "funding_cumulative", "funding_z", "basis", "basis_z", "recovery"}
    ):
        values = SIGNALS[name](market, "BTCUSDT")
        assert values.shape == (120,), name
        assert not np.isinf(values).any(), name


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(0, 60), st.floats(0.5, 9))
def test_windows_end_before_the_value(numbers, cut, length):
    values, time = np.array(numbers, np.float64), DAY * np.arange(len(numbers))
    whole, part = median_and_mad(values, time, length), median_and_mad(values[:cut], time[:cut], length)
    for w, p in zip(whole, part, strict=True):
        np.testing.assert_array_equal(p, w[:cut])
