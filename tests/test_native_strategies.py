"""The shipped strategies of backtrader: what they do on small markets, and that none of them looks ahead."""

import numpy as np
import pytest
from law import at, market, venue

from backtest.engines.bt import execute_strategy
from backtest.market import load_market
from backtest.model import Market, Result, Venue
from backtest.plugins import load_strategy
from backtest.venues import load_venue

NAMES = ("ma_cross", "rsi_rebound", "support_pyramid")


def path(*closes: float, wick: float = 0.0) -> Market:
    """Hourly bars, each from the close before to its own."""
    opens = (closes[0], *closes[:-1])
    return market([(o, max(o, c) + wick, min(o, c) - wick, c) for o, c in zip(opens, closes, strict=True)])


def result_of(name: str, on: Market, account: Venue, **parameters: object) -> Result:
    strategy = load_strategy(name, parameters)
    return execute_strategy(on, strategy.cls, strategy.parameters, account, name)


def test_ma_cross_is_long_from_one_crossing_to_the_next() -> None:
    """Averages of 2 and 3 bars: at the close 13 they are 11.5 and 11, at 11 again 11.5 and 12; orders fill at the next opens."""
    closes = (12.0, 11.0, 10.0, 13.0, 14.0, 12.0, 11.0, 11.0, 11.0)
    found = result_of("ma_cross", path(*closes), venue(), fast=2, slow=3, share=0.5)
    assert found.trades_table.to_frame()[["entry_price", "exit_price", "reason"]].values.tolist() == [
        [13.0, 11.0, "exit"]
    ]
    assert found.trades_table.entry_time.tolist() == [at(4)]
    assert found.trades_table.exit_time.tolist() == [at(7)]
    assert found.trades_table.quantity.tolist() == pytest.approx([38.461])  # 0.5*1000/13, floored to 0.001


def test_support_pyramid_adds_out_of_profit_and_covers_on_the_reclaim() -> None:
    """Lows of 3 bars: 100 breaks at 99, 98 at 96 with a profit of 3 %, 93 at 94 not; out above 96, the last support broken.

    Units of 0.5*1000/99 = 5.050 (in at 99); at the close of 95 the equity is 1000 + 5.05*4 = 1020.2: 0.5*1020.2/95 = 5.369.
    """
    closes = (100.0, 101.0, 100.0, 100.0, 99.0, 99.0, 95.0, 95.0, 97.0, 100.0, 100.0, 100.0)
    found = result_of("support_pyramid", path(*closes), venue(), lookback=3, buffer=0.003, step=0.01)
    assert found.trades_table.to_frame()[["side", "quantity", "reason"]].values.tolist() == [
        ["short", pytest.approx(5.05 + 5.369), "exit"]
    ]
    assert found.trades_table.entry_price[0] == pytest.approx((5.05 * 99 + 5.369 * 95) / (5.05 + 5.369))
    assert found.trades_table.exit_price[0] == 100.0


def test_rsi_rebound_risks_a_share_of_the_equity_on_its_stop() -> None:
    """True ranges 1, 2, 2, ...: the ATR of 5 starts at 1.8 and is 2 - 0.2*0.8**15 after bar 19; bar 20, 81 to 84, has 4.

    So it is (4*1.992963 + 4)/5 = 2.394370, the stop 3 of it below 84, and the size 10/7.183111 = 1.392 coins.
    """
    closes = (*(100.0 - k for k in range(20)), 84.0, 86.0, 88.0, *(80.0 - k for k in range(12)))
    found = result_of("rsi_rebound", path(*closes, wick=0.5), venue(), period=5, stop=3.0, most=10.0)
    (first,) = found.trades_table.to_frame().to_dict("records")
    assert (first["side"], first["reason"], first["entry_price"]) == ("long", "stop", 84.0)
    assert (found.trades_table.entry_time[0], found.trades_table.exit_time[0]) == (at(21), at(26))
    assert first["quantity"] == pytest.approx(1.392)
    assert first["exit_price"] == pytest.approx(84 - 7.183111, abs=1e-5)
    assert first["pnl"] == pytest.approx(-1.392 * 7.183111, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_strategy_did_does_not_depend_on_what_came_later(name: str) -> None:
    """The run on the market cut at a bar is the first part of the run on the whole."""
    whole = load_market("deleveraging-2026")
    account = load_venue("binance-usdm")
    full = result_of(name, whole, account)
    for n in (7_500, 8_888):
        cut = result_of(name, whole.head(n), account)
        until = int(whole.time[n - 1])
        rows = np.flatnonzero(full.ledger_table.time <= until)
        assert len(cut.ledger_table) == rows.size > 0
        for column in ("time", "kind", "amount", "position"):
            assert getattr(cut.ledger_table, column).tolist() == getattr(full.ledger_table, column)[rows].tolist()
        assert cut.equity_values.tolist() == full.equity_values[: len(cut)].tolist()
