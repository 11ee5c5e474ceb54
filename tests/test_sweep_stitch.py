"""Runs put end to end: closed at each end, their money scaled, their books still adding up."""

from dataclasses import replace

import numpy as np
import pytest
from choices_made import made_market, write_strategy
from made_result import HOUR, START, bars, make_result, make_venue

from backtest.analysis import analyze, assess
from backtest.errors import ConfigError
from backtest.model import RunConfig
from backtest.runner import run_on
from backtest.sweep.folds import window
from backtest.sweep.stitch import closed_out, stitch


def test_what_is_open_at_the_end_is_closed_at_the_last_close():
    # 5 ETH from 10, marked at 9: a loss of 5, and a fee of 5 * 9 * 0.05% = 0.0225
    done = closed_out(make_result(), last_bar=4)
    assert done.equity_values[-1] == pytest.approx(1020.085 - 5 - 0.0225, abs=1e-12)
    assert done.final_wallet == done.equity_values[-1]
    trades = done.trades.reset_index()
    assert trades.reason.tolist() == ["target", "exit"]
    assert trades.pnl[1] == pytest.approx(-0.025 - 5 - 0.0225)
    assert (trades.fees[1], trades.exit_price[1], trades.exit_bar[1]) == (pytest.approx(-0.0475), 9.0, 4)
    assert trades.exit_time[1].value == START + 4 * HOUR
    last = done.ledger.reset_index()[-2:]
    assert (last.kind.tolist(), last.position.tolist()) == (["trade_pnl", "fee"], [0.0, 0.0])
    assert last.amount.tolist() == [pytest.approx(-5.0), pytest.approx(-0.0225)]
    assert done.positions[-1].tolist() == [0.0, 0.0]
    assert done.assumptions["closed_at_fold_end"] == 1


def test_an_exit_at_the_end_pays_slippage():
    # 1% below 9 is 8.91: 5 * (8.91 - 10) = -5.45, a fee of 5 * 8.91 * 0.05% = 0.022275, a memo of 5 * 0.09 = 0.45
    done = closed_out(make_result(venue=make_venue(slippage=0.01)), last_bar=4)
    assert done.ledger.kind.tolist()[-3:] == ["trade_pnl", "fee", "slippage"]
    assert done.ledger.amount.tolist()[-3:] == [pytest.approx(x) for x in (-5.45, -0.022275, -0.45)]
    assert done.final_wallet == pytest.approx(1020.085 - 5.45 - 0.022275)


def test_a_wallet_that_cannot_pay_is_insured_and_ends_at_nothing():
    done = closed_out(make_result(final_wallet=2.0), last_bar=4)
    assert done.final_wallet == 0.0
    assert done.ledger.kind.tolist()[-1] == "insurance"
    assert done.ledger.amount.tolist()[-1] == pytest.approx(3.0225)


def test_a_run_that_ends_flat_stays_as_it_is():
    done = closed_out(make_result(), last_bar=4)
    assert closed_out(done, last_bar=4) is done


def two_folds():
    first = closed_out(make_result(), last_bar=4)
    later = replace(first, time=bars(5, 6, 7, 8, 9))
    return [first, later]


def test_the_returns_of_folds_are_multiplied():
    done = stitch(two_folds(), make_venue(), None, "made")
    factor = 1.0150625  # what the first fold left of each unit
    first = [1000.0, 999.9, 1010.2, 1020.085, 1015.0625]
    np.testing.assert_allclose(done.equity_values, [*first, *(factor * x for x in first)], rtol=1e-15)
    assert done.final_wallet == pytest.approx(1030.35187890625)
    assert done.time.tolist() == bars(*range(10)).tolist()
    assert done.trades_table.trade.tolist() == [1, 2, 3, 4]
    assert done.trades_table.quantity.tolist() == [2.0, 5.0, 2 * factor, 5 * factor]
    assert done.trades_table.entry_price.tolist() == [100.0, 10.0, 100.0, 10.0]
    assert done.position_bar.tolist() == [1, 3, 3, 4, 6, 8, 8, 9]
    assert done.assumptions == {
        "mark_is_last": 6, "simulated_data": 1, "closed_at_fold_end": 2, "folds_start_flat": 2,
    }  # fmt: skip


def test_the_books_of_stitched_folds_add_up():
    done = stitch(two_folds(), make_venue(), None, "made")
    money = done.ledger[done.ledger.kind != "slippage"]
    assert 1000.0 + money.amount.sum() == pytest.approx(done.equity_values[-1], abs=1e-9)
    assert money.groupby("trade").amount.sum().tolist() == [pytest.approx(x) for x in done.trades.pnl]
    assert analyze(done).unrealised == 0.0


def test_folds_of_another_cash_count_by_what_they_earned():
    ten = replace(two_folds()[1], venue=make_venue(cash=500.0))  # from 500 to 1015.0625
    done = stitch([two_folds()[0], ten], make_venue(), None, "made")
    assert done.equity_values[-1] == pytest.approx(1015.0625 * 1015.0625 / 500.0)


def test_after_ruin_there_is_nothing_to_multiply():
    first, later = two_folds()
    ruined = replace(first, equity_values=np.array([1000.0, 500.0, 0.0, 0.0, 0.0]), final_wallet=0.0)
    done = stitch([ruined, later], make_venue(), None, "made")
    assert done.equity_values[5:].tolist() == [0.0] * 5
    assert np.all(done.ledger_table.amount[-8:] == 0.0)


def test_nothing_can_not_be_put_together():
    with pytest.raises(ConfigError, match="There is no fold to put together"):
        stitch([], make_venue(), None, "made")


def test_runs_of_the_engine_keep_their_books_when_they_are_stitched(tmp_path):
    market = made_market(600, seed=3)
    config = RunConfig(write_strategy(tmp_path), "walks", (("every", 7), ("hold", 30)), account=(("slippage", 0.001),))
    parts = [closed_out(run_on(window(market, a, b), config), b - 1) for a, b in ((100, 250), (250, 400), (400, 600))]
    done = stitch(parts, parts[0].venue, config, market.name)
    money = done.ledger[done.ledger.kind != "slippage"]
    assert done.venue.cash + money.amount.sum() == pytest.approx(done.equity_values[-1], rel=1e-12)
    assert done.assumptions["closed_at_fold_end"] >= 2
    grown = [part.equity_values[-1] / part.venue.cash for part in parts]
    assert done.equity_values[-1] / done.venue.cash == pytest.approx(grown[0] * grown[1] * grown[2], rel=1e-12)
    told = assess(done, market, luck=False)
    assert sum(row["pnl"] for row in [told.trade_stats["side"]["all"]]) == pytest.approx(told.attribution.change)
    assert told.metrics["open_trades"] == 0
