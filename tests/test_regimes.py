"""The regime of each bar: worked by hand, without a look ahead, and unknown where it is."""

import numpy as np
import pytest
from markets_made import candles
from signal_markets import DAY, HOUR, START, days, drawn

from backtest.analysis.regimes import REGIMES, alone, regimes, states
from backtest.errors import MarketError

NAN = np.nan


def test_a_fall_of_open_interest_is_a_deleveraging_from_the_next_bar_on():
    # 100 coins for 40 days, then 80: down by a fifth over 30 days, known at the close of bar 40
    interest = {"BTCUSDT.open_interest_coins": ("coins", [100.0] * 40 + [80.0] * 10)}
    flows = {f"BTCUSDT.{side}_liquidations": ("usd", [1.0] * 50) for side in ("long", "short")}
    found = regimes(days(50, interest | flows))
    assert [REGIMES[c] for c in found.code] == ["unknown"] * 41 + ["deleveraging"] * 9
    assert found.symbol == "BTCUSDT"
    assert "funding, sentiment" in found.notes[0]


def test_without_the_feeds_all_is_unknown_and_the_note_names_the_first():
    found = regimes(candles([(100, 101, 99, 100)] * 3))
    assert [REGIMES[c] for c in found.code] == ["unknown"] * 3
    assert found.notes[0].startswith("The regimes are unknown: ")
    assert "open_interest" in found.notes[0]


def test_a_market_that_never_traded_is_unknown():
    assert [REGIMES[c] for c in regimes(candles([(NAN, NAN, NAN, NAN)] * 3)).code] == ["unknown"] * 3


def test_an_unknown_symbol_is_an_error():
    with pytest.raises(MarketError, match="No symbol named 'BTCUSD'"):
        regimes(drawn(1, 20), "BTCUSD")


def test_a_recovery_needs_a_deleveraging_in_the_thirty_days_before():
    time = DAY * np.array([0, 29, 30, 31])
    on, score = np.array([1.0, 0.0, 0.0, 0.0]), np.array([1.0, 0.5, 0.5, 0.5])
    assert [REGIMES[c] for c in states(time, on, score)] == ["deleveraging", "recovery", "recovery", "leveraged"]


def test_an_unknown_score_matters_only_after_a_deleveraging():
    found = states(DAY * np.arange(4), np.array([0.0, 1.0, 0.0, NAN]), np.array([NAN, NAN, NAN, 1.0]))
    assert [REGIMES[c] for c in found] == ["leveraged", "deleveraging", "unknown", "unknown"]


@pytest.mark.parametrize("seed", range(3))
def test_a_regime_uses_nothing_that_came_later(seed):
    market = drawn(seed, 3000, HOUR)
    whole = regimes(market)
    assert len(set(whole.code[:2990].tolist())) > 1
    for n in (2500, 2777, 2990):
        assert regimes(market.head(n)).code.tolist() == whole.code[:n].tolist()


def test_bars_are_joined_from_what_traded():
    # 2026-02-03T00:00Z begins an eight-hour slot; bars 1 and 8..15 did not trade
    rows = [(100 + i, 110 + i, 90 + i, 101 + i) for i in range(18)]
    for i in (1, *range(8, 16)):
        rows[i] = (NAN,) * 4
    coarse = alone(candles(rows), "BTCUSDT", 8 * HOUR)
    assert ((coarse.time - START) // HOUR).tolist() == [0, 16]
    assert coarse.open[:, 0].tolist() == [100.0, 116.0]
    assert coarse.high[:, 0].tolist() == [117.0, 127.0]
    assert coarse.low[:, 0].tolist() == [90.0, 106.0]
    assert coarse.close[:, 0].tolist() == [108.0, 118.0]
    assert coarse.volume[:, 0].tolist() == [7.0, 2.0]
