"""For the tests of your own strategies: no look-ahead, and the rules that every strategy keeps.

from backtest.testing import assert_conforms, assert_no_foresight

def test_my_break_does_not_look_ahead():
    assert_no_foresight("strategies/my_break.py")
"""

import os
from collections.abc import Mapping
from typing import Any

from backtest.checks import Conformance, Foresight, check_conformance, check_foresight
from backtest.model import Market

__all__ = ["assert_conforms", "assert_no_foresight"]


def assert_no_foresight(
    strategy: Any,
    market: Market | str | os.PathLike[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    at_least: int = 0,
    **settings: Any,
) -> Foresight:
    """Fail where a strategy, a detector or a signal looks ahead; the message says which row changed at which cut.

    strategy: a name, a path, an instance, a class (also one of backtrader's), or a function of a market that returns a plan,
    levels, or one value a bar, like `lambda market: donchian(market["BTCUSDT"], 20)`; market: a Market, a name or a path,
    None for the embedded one; parameters: of the strategy; at_least: rows that there must have been to compare, since a test of
    nothing proves nothing; settings: `cuts`, `walks`, `seed` and `venue` of `check_foresight`.
    """
    found = check_foresight(strategy, market, parameters, **settings)
    if not found.passes:
        raise AssertionError(found.sentence())
    if found.rows < at_least:
        raise AssertionError(
            f"{found.strategy} said {found.rows} rows, fewer than {at_least}: there was nothing to test."
        )
    return found


def assert_conforms(
    strategy: Any,
    market: Market | str | os.PathLike[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Conformance:
    """Fail where a strategy, a detector or a signal breaks a rule; the message names each. See `check_conformance`."""
    found = check_conformance(strategy, market, parameters, **settings)
    if not found.passes:
        raise AssertionError(found.sentence())
    return found
