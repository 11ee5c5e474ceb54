"""The fast engine against the reference simulator on random cases, and what must hold on every run.

`--full` runs twenty times as many cases.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import Case, cases, random_case
from cases_fine import fine_case
from cases_quiet import quiet_case
from cases_rare import rare_case
from compare import as_oracle, differences
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import OracleResult, simulate

from backtest.engines.fast import execute
from backtest.errors import FundingHoleError
from backtest.model import Result

Maker = Callable[[int], Case]
COUNTS: dict[Maker, int] = {random_case: 700, rare_case: 800, quiet_case: 300, fine_case: 200}
CHUNKS = 10
FULL = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cut each kind of random case into chunks of seeds."""
    if {"make", "seeds"} <= set(metafunc.fixturenames):
        times = FULL if metafunc.config.getoption("--full") else 1
        chunks = []
        for make, count in COUNTS.items():
            size = count // CHUNKS
            chunks += [
                pytest.param(make, range(first, first + size), id=f"{make.__name__}-{first}")
                for first in range(0, count * times, size)
            ]
        metafunc.parametrize(("make", "seeds"), chunks)


def attempt(run: Callable[[], Any]) -> Any:
    """What a run comes to; a hole in the funding is an outcome too."""
    try:
        return run()
    except FundingHoleError:
        return None


def all_columns(result: Result) -> bytes:
    """Every number of a result, as bytes."""
    parts: list[bytes] = [result.equity_values.tobytes(), repr(result.final_wallet).encode()]
    parts += [repr(dict(result.assumptions)).encode(), repr(result.tier_tables).encode()]
    for table in (result.trades_table, result.ledger_table, result.rejections_table):
        parts += [np.asarray(getattr(table, name)).tobytes() for name in sorted(vars(table)) if name != "symbols"]
    parts += [result.position_bar.tobytes(), result.position_symbol.tobytes(), result.position_quantity.tobytes()]
    return b"|".join(parts)


def rounding(venue: Any, found: OracleResult) -> float:
    """1e-9 of the initial cash; a run that compounds to millions of it carries the rounding of its largest rows besides."""
    return 1e-9 * venue.cash + 1e-14 * max((abs(row["amount"]) for row in found.ledger), default=0.0)


def check_case(market: Any, plan: Any, venue: Any) -> None:
    """One case: the engine is right, skips nothing that matters, conserves money and says the same twice."""
    wanted: OracleResult | None = attempt(lambda: simulate(market, plan, venue))
    result: Result | None = attempt(lambda: execute(market, plan, venue))
    walked: Result | None = attempt(lambda: execute(market, plan, venue, skip=False))
    if wanted is None or result is None or walked is None:
        assert wanted is result is walked is None
        return
    found = as_oracle(result)
    assert differences(wanted, found) == []
    assert differences(as_oracle(walked), found, tolerance=1e-12) == []
    booked = sum(row["amount"] for row in found.ledger if row["kind"] != "slippage")
    assert math.isclose(venue.cash + booked, found.wallet, rel_tol=0, abs_tol=rounding(venue, found))
    insured = sum(row["amount"] for row in found.ledger if row["kind"] == "insurance")
    pnl = sum(trade["pnl"] for trade in found.trades)
    assert math.isclose(venue.cash + pnl + insured, found.wallet, rel_tol=0, abs_tol=rounding(venue, found))
    assert float(result.equity_values.min()) >= 0
    assert all_columns(result) == all_columns(execute(market, plan, venue))


def test_random_cases(make: Maker, seeds: range) -> None:
    for seed in seeds:
        try:
            check_case(*make(seed))
        except AssertionError as error:
            raise AssertionError(f"{make.__name__}({seed}): {error}") from error


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_drawn_cases(case: Case) -> None:
    check_case(*case)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.builds(rare_case, st.integers(0, 2**32 - 1)))
def test_drawn_rare_cases(case: Case) -> None:
    check_case(*case)


@pytest.mark.parametrize("make", COUNTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("fill", [0xFF, 0xA5], ids=["nan", "rubbish"])
def test_buffers_are_written_before_they_are_read(make: Maker, fill: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fresh memory holds changes nothing: bytes of 0xFF are NaN and -1, those of 0xA5 large negative integers."""

    def filled(*arguments: Any, **more: Any) -> np.ndarray:
        array = np.zeros(*arguments, **more)
        if array.dtype != object:
            array.view(np.uint8 if array.ndim else array.dtype)[...] = fill
        return array

    for seed in range(40):
        market, plan, venue = make(seed)
        result = attempt(lambda: execute(market, plan, venue))  # noqa: B023 - called at once
        with monkeypatch.context() as patch:
            patch.setattr(np, "empty", filled)
            again = attempt(lambda: execute(market, plan, venue))  # noqa: B023 - called at once
        if result is None:
            assert again is None
        else:
            assert all_columns(result) == all_columns(again), f"{make.__name__}({seed})"


@pytest.mark.parametrize("make", COUNTS, ids=lambda make: make.__name__)
def test_a_case_is_the_same_each_time(make: Maker) -> None:
    for seed in range(10):
        (a, plan_a, _), (b, plan_b, _) = make(seed), make(seed)
        assert a.close.tobytes() == b.close.tobytes()
        assert plan_a.exposure.tobytes() == plan_b.exposure.tobytes()
