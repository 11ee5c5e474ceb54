"""The fast engine against every case of the law that was worked by hand, skipping quiet bars and walking each of them."""

import os
import subprocess
import sys
from pathlib import Path
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


STEPPED = """
import sys
sys.path.insert(0, sys.argv[1])
from compare import as_oracle
from law import CASES, check
from backtest.engines import get_engine
from backtest.engines.fast import score
for name, market, plan, venue, expected in CASES:
    found = get_engine("fast")(market, plan, venue)
    check(as_oracle(found), expected)
    sums = score(market, plan, venue)
    assert abs(sums.final_equity - found.equity_values[-1]) <= 1e-9 * venue.cash, name
    assert (sums.trades, sums.rejections) == (len(found.trades_table), len(found.rejections_table)), name
print(len(CASES))
"""


def test_the_kernels_can_be_stepped_through_in_python() -> None:
    """The same source without the compiler, against the same cases."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", STEPPED, str(Path(__file__).parent)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{len(CASES)}\n", done.stderr
