"""The summary form of the fast engine: the same figures as the full run, without an array."""

import math

import numpy as np
import pytest
from cases import random_case
from cases_quiet import quiet_case

from backtest.analysis import analyze, figures
from backtest.engines.fast import execute, score
from backtest.errors import FundingHoleError, MarketError
from backtest.model import Funding, Instrument, Market, Passport, Plan, TierTable, Venue
from backtest.model.result import EXIT_REASONS, LEDGER_KINDS

HOUR = 3_600_000_000_000
FREE = Venue(
    "free", Instrument(0.001, 0.0, (TierTable("none", 0, "test", (0.0,), (0.0,), (math.inf,)),)), maker=0.0, taker=0.0
)


def flat_market(closes: list[float], holes: bool = False) -> Market:
    """Bars that open at the close before and have no wicks; without funding, or with funding that is missing."""
    close = np.array(closes)
    opens = np.concatenate((close[:1], close[:-1]))
    none = frozenset() if holes else frozenset(("BTC",))
    prices = (opens, np.maximum(opens, close), np.minimum(opens, close), close, np.ones(close.size))
    return Market(np.arange(close.size) * HOUR, HOUR, ("BTC",), *prices, Funding.empty(none), Passport(()))


def test_the_sums_of_a_run_worked_by_hand() -> None:
    """10,000 buys 100 at 100; equity 11,000, 9,900, 9,900: returns 0, +10%, -10%, 0 after the entry bar."""
    market = flat_market([100.0, 100.0, 110.0, 99.0, 99.0])
    found = score(market, Plan.long("BTC", at=[0]), FREE)
    assert (found.bars, found.bars_held, found.trades, found.closed, found.wins) == (5, 4, 1, 0, 0)
    assert found.final_equity == pytest.approx(9_900.0)
    assert found.final_wallet == pytest.approx(10_000.0)
    assert found.mean == pytest.approx(0.0, abs=1e-15)
    assert found.squares == pytest.approx(0.02)
    assert found.losses == pytest.approx(0.01)
    assert found.worst == pytest.approx(0.9)


def test_the_figures_of_a_closed_trade() -> None:
    """Short 100 at 100, out at 90 (the open after the exit row): 1,000 won, the one trade is a win."""
    market = flat_market([100.0, 100.0, 90.0, 90.0])
    shown = figures(score(market, Plan.short("BTC", at=[0]) + Plan.exit("BTC", at=[2]), FREE))
    assert shown["total_return"] == pytest.approx(0.1)
    assert (shown["trades"], shown["open_trades"], shown["win_rate"], shown["exposure"]) == (1, 0, 1.0, 0.5)


def test_a_market_without_bars_to_trade_is_an_error() -> None:
    with pytest.raises(MarketError, match="no bars to trade"):
        score(flat_market([100.0]).head(0), Plan.empty(), FREE)


def test_a_position_held_through_a_funding_hole_is_an_error_here_too() -> None:
    market = flat_market([100.0] * 30, holes=True)
    with pytest.raises(FundingHoleError, match="BTC has no funding"):
        score(market, Plan.long("BTC", at=[3]), FREE)
    assert score(market, Plan.empty(), FREE).trades == 0


@pytest.mark.parametrize("case", [random_case, quiet_case])
def test_the_figures_are_those_of_the_full_run(case) -> None:
    compared = 0
    for seed in range(150):
        market, plan, venue = case(seed)
        try:
            result = execute(market, plan, venue)
        except FundingHoleError:
            continue
        summary, found = analyze(result), score(market, plan, venue)
        for name, value in figures(found).items():
            full = getattr(summary, name)
            if math.isnan(full) and math.isnan(value):
                continue
            if name in ("sharpe", "sortino") and (found.squares < 1e-20 or found.losses < 1e-20):
                continue  # a ratio of rounding errors
            assert value == pytest.approx(full, rel=1e-6, abs=1e-9), (seed, name)
        assert found.rejections == len(result.rejections_table)
        assert found.liquidations == np.count_nonzero(result.trades_table.reason == EXIT_REASONS.index("liquidation"))
        sums = np.bincount(result.ledger_table.kind, weights=result.ledger_table.amount, minlength=len(LEDGER_KINDS))
        assert list(found.totals.values()) == pytest.approx(sums.tolist(), abs=1e-6 * venue.cash)
        compared += 1
    assert compared > 100
