"""The fast engine against every case of the law that was worked by hand, skipping quiet bars and walking each of them."""

from typing import Any

import pytest
from compare import as_oracle
from law import CASES, ERRORS, check

from backtest.engines import get_engine
from backtest.engines.fast import execute

NAMES = [c[0] for c in CASES]


@pytest.mark.parametrize(("market", "plan", "venue", "expected"), [c[1:] for c in CASES], ids=NAMES)
def test_law(market: Any, plan: Any, venue: Any, expected: dict[str, Any]) -> None:
    check(as_oracle(get_engine("fast")(market, plan, venue)), expected)


@pytest.mark.parametrize(("market", "plan", "venue", "expected"), [c[1:] for c in CASES], ids=NAMES)
def test_law_bar_by_bar(market: Any, plan: Any, venue: Any, expected: dict[str, Any]) -> None:
    check(as_oracle(execute(market, plan, venue, skip=False)), expected)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("market", "plan", "venue", "error"), [c[1:] for c in ERRORS], ids=[c[0] for c in ERRORS])
def test_errors(market: Any, plan: Any, venue: Any, error: type[Exception], skip: bool) -> None:
    with pytest.raises(error):
        execute(market, plan, venue, skip=skip)
