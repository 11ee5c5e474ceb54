"""The reference simulator against cases worked by hand, and its own conservation on random ones."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from cases import Case, cases, random_case
from cases_rare import rare_case
from compare import differences
from hypothesis import given, settings
from law import CASES, ERRORS, check
from oracle import simulate

from backtest.errors import FundingHoleError

RANDOM_CASES = 500
CHUNK = 100


@pytest.mark.parametrize(("market", "plan", "venue", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_law(market: Any, plan: Any, venue: Any, expected: dict[str, Any]) -> None:
    check(simulate(market, plan, venue), expected)


@pytest.mark.parametrize(("market", "plan", "venue", "error"), [c[1:] for c in ERRORS], ids=[c[0] for c in ERRORS])
def test_errors(market: Any, plan: Any, venue: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        simulate(market, plan, venue)


def test_enough_cases_with_different_names() -> None:
    names = [c[0] for c in CASES]
    assert len(set(names)) == len(names) >= 40


def check_invariants(market: Any, plan: Any, venue: Any) -> None:
    try:
        result = simulate(market, plan, venue)
    except FundingHoleError:
        return
    booked = sum(row["amount"] for row in result.ledger if row["kind"] != "slippage")
    assert math.isclose(venue.cash + booked, result.wallet, rel_tol=0, abs_tol=1e-9 * venue.cash)
    assert len(result.equity) == len(market) - market.start_bar
    assert min(result.equity, default=0.0) >= 0
    insured = sum(row["amount"] for row in result.ledger if row["kind"] == "insurance")
    pnl = sum(trade["pnl"] for trade in result.trades)
    assert math.isclose(venue.cash + pnl + insured, result.wallet, rel_tol=0, abs_tol=1e-9 * venue.cash)
    assert differences(result, simulate(market, plan, venue), tolerance=0.0) == []


@pytest.mark.parametrize("make", [random_case, rare_case], ids=lambda make: make.__name__)
@pytest.mark.parametrize("first", range(0, RANDOM_CASES, CHUNK))
def test_money_is_conserved(make: Callable[[int], Case], first: int) -> None:
    for seed in range(first, first + CHUNK):
        check_invariants(*make(seed))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(cases())
def test_money_is_conserved_on_drawn_cases(case: Any) -> None:
    check_invariants(*case)
