"""Figures of trades and of what was held, worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis import metrics

NAN = math.nan


def test_wins_and_losses():
    pnl = [6.0, -2.0, 0.0, 2.0, -1.0]
    assert metrics.average_win(pnl) == 4.0
    assert metrics.average_loss(pnl) == -1.5
    assert metrics.payoff(pnl) == pytest.approx(4 / 1.5)
    assert metrics.profit_factor(pnl) == pytest.approx(8 / 3)
    assert metrics.expectancy(pnl) == 1.0
    assert metrics.win_rate(pnl) == 0.4


def test_undefined_is_nan():
    undefined = [
        *(f([]) for f in (metrics.average_win, metrics.average_loss, metrics.payoff, metrics.expectancy)),
        *(metrics.payoff(pnl) for pnl in ([1.0], [-1.0], [0.0])),
        *(metrics.profit_factor(pnl) for pnl in ([], [1.0], [0.0])),
        metrics.mean_holding([], []),
        metrics.turnover(10.0, 0.0, 1.0),
        metrics.turnover(10.0, 100.0, 0.0),
        metrics.turnover(10.0, NAN, NAN),
    ]
    assert [math.isnan(value) for value in undefined] == [True] * len(undefined)
    assert metrics.profit_factor([-1.0]) == 0.0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_expectancy_is_made_of_the_win_rate_and_the_averages(pnl):
    values = np.array(pnl)
    parts = [
        0.0 if math.isnan(mean) else share * mean
        for share, mean in (
            (metrics.win_rate(values), metrics.average_win(values)),
            (float(np.mean(values < 0)), metrics.average_loss(values)),
        )
    ]
    assert metrics.expectancy(values) == pytest.approx(sum(parts), abs=1e-9)


LOW = np.array([98.0, 96.0, 90.0, 80.0])
HIGH = np.array([101.0, 110.0, 120.0, 130.0])


def travelled(side, entry, out, first, last):
    mae, mfe = metrics.excursions([side], [entry], [out], [first], [last], LOW, HIGH)
    return float(mae[0]), float(mfe[0])


def test_excursions_of_a_long_and_a_short():
    # bars 0 and 1; the exit at the open of bar 2 keeps its low of 90 and its high of 120 out
    assert travelled(1, 100.0, 105.0, 0, 2) == pytest.approx((0.04, 0.10))
    assert travelled(-1, 100.0, 105.0, 0, 2) == pytest.approx((0.10, 0.04))


def test_the_exit_price_counts():
    assert travelled(1, 100.0, 91.0, 0, 2) == pytest.approx((0.09, 0.10))


def test_a_trade_inside_one_bar_has_its_entry_and_its_exit():
    assert travelled(1, 100.0, 99.0, 1, 1) == pytest.approx((0.01, 0.0))
    assert travelled(-1, 100.0, 99.0, 1, 1) == pytest.approx((0.0, 0.01))


def test_an_open_trade_runs_to_the_end():
    assert travelled(1, 100.0, 125.0, 2, 4) == pytest.approx((0.20, 0.30))


def test_halts_say_nothing():
    low, high = LOW.copy(), HIGH.copy()
    low[1:] = high[1:] = NAN
    mae, mfe = metrics.excursions([1, 1], [100.0, 100.0], [100.0, 103.0], [0, 1], [3, 3], low, high)
    assert mae.tolist() == pytest.approx([0.02, 0.0])
    assert mfe.tolist() == pytest.approx([0.01, 0.03])


def test_no_trade_has_no_excursions():
    assert [x.size for x in metrics.excursions([], [], [], [], [], LOW, HIGH)] == [0, 0]


def test_notional_of_a_position_that_grows_and_shrinks():
    # 2 at 100, 1 more (average 110), 1.5 off at 120, the rest off at 120; then short 1 at 50, still open at 40
    traded = metrics.traded_notional(
        symbol=[0] * 5,
        quantity=[2.0, 3.0, 1.5, 0.0, -1.0],
        trade_symbol=[0, 0],
        entry_price=[110.0, 50.0],
        exit_price=[120.0, 40.0],
    )
    assert traded == 3 * 110 + 3 * 120 + 50


def test_notional_of_two_symbols_does_not_mix():
    traded = metrics.traded_notional([0, 1, 0, 1], [1.0, 10.0, 0.0, 0.0], [0, 1], [100.0, 5.0], [90.0, 6.0])
    assert traded == 100 + 90 + 50 + 60


def test_nothing_traded():
    assert metrics.traded_notional([], [], [], [], []) == 0.0
    assert metrics.turnover(0.0, 1000.0, 1.0) == 0.0
