"""The two engines against each other: the same trades, ledger, rejections, equity and counts, row by row, to 1e-9.

`--examples N` draws N markets, plans and venues in place of 2,400: `pytest tests/test_engines.py --examples 100000`.
"""

from typing import Any

import pytest
from cases import Case, random_case
from cases_fine import fine_case
from cases_quiet import quiet_case
from cases_rare import rare_case
from compare import as_oracle, differences
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from law import CASES, ERRORS, check

from backtest.engines import get_engine
from backtest.errors import FundingHoleError
from backtest.model import Market, Plan, Result, Venue

CHUNKS = 12
MAKERS = {"random": random_case, "rare": rare_case, "quiet": quiet_case, "fine": fine_case}

# Seeds on which the engines disagreed while they were built, with what the law says of each.
SETTLED = {
    "mark_is_last counts the market's own bars, by their own mark": ("random", (2, 3, 4, 13)),
    "mark_is_last counts a position once a bar": ("rare", (0, 30, 35, 45)),
    "marked_at_last_close counts what stands at the close of a halted bar": ("rare", (162, 214, 303)),
    "in a halt of the finer bars the last finer close stands in; a table dated inside the last bar is in force in them": (
        "fine",
        (12, 33, 35, 64, 71, 87, 94, 95, 121, 203, 233, 267, 325, 349, 354, 357, 360, 396),
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cut the examples into chunks, each with draws of its own, so that several processes can share them."""
    if "chunk" in metafunc.fixturenames:
        each = -(-int(metafunc.config.getoption("--examples")) // (CHUNKS * len(MAKERS)))
        metafunc.parametrize(
            ("maker", "chunk", "examples"),
            [pytest.param(name, k, each, id=f"{name}-{k}") for name in MAKERS for k in range(CHUNKS)],
        )


def outcome(engine: str, market: Market, plan: Plan, venue: Venue) -> Result | str:
    """What an engine makes of a case; a position held through a funding hole is an outcome too."""
    try:
        return get_engine(engine)(market, plan, venue)
    except FundingHoleError:
        return "a position was held while its funding is unknown"


def disagreements(market: Market, plan: Plan, venue: Venue) -> list[str]:
    """Where the engines differ; nothing when they agree."""
    fast, slow = (outcome(engine, market, plan, venue) for engine in ("fast", "backtrader"))
    if isinstance(fast, str) or isinstance(slow, str):
        return [] if fast == slow else [f"fast: {fast}; backtrader: {slow}"]
    found = differences(as_oracle(fast), as_oracle(slow))
    for name in ("assumptions", "tier_tables", "symbols", "interval"):
        if getattr(fast, name) != getattr(slow, name):
            found.append(f"{name}: {getattr(fast, name)} against {getattr(slow, name)}")
    for name in ("time", "positions"):
        if abs(getattr(fast, name) - getattr(slow, name)).max() > 1e-9:
            found.append(f"{name} differ")
    return found


def test_engines_agree(maker: str, chunk: int, examples: int) -> None:
    """Gaps through stops, wicks, flat bars, halts, marks, holes; funding at odd times, several times a bar; every kind of row."""

    @seed(chunk)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.builds(MAKERS[maker], st.integers(0, 2**62)))
    def agree(case: Case) -> None:
        assert disagreements(*case) == []

    agree()


@pytest.mark.parametrize(
    ("maker", "number"), [(m, n) for m, numbers in SETTLED.values() for n in numbers], ids=lambda v: str(v)
)
def test_settled_disagreements_stay_settled(maker: str, number: int) -> None:
    assert disagreements(*MAKERS[maker](number)) == []


@pytest.mark.parametrize(("market", "plan", "venue", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_law(market: Market, plan: Plan, venue: Venue, expected: dict[str, Any]) -> None:
    """Every case that was worked by hand, through backtrader."""
    check(as_oracle(get_engine("backtrader")(market, plan, venue)), expected)


@pytest.mark.parametrize(("market", "plan", "venue", "error"), [c[1:] for c in ERRORS], ids=[c[0] for c in ERRORS])
def test_errors(market: Market, plan: Plan, venue: Venue, error: type[Exception]) -> None:
    with pytest.raises(error):
        get_engine("backtrader")(market, plan, venue)
