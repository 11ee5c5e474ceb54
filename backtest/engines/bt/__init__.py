"""The backtrader engine: plans and strategies of backtrader's, run by its event loop under the accounting law.

It shares the market, the venue's numbers and the result's form with the fast engine, and no rule and no formula.
"""

import warnings

with warnings.catch_warnings():  # of backtrader itself, which still calls what newer Pythons deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", SyntaxWarning)
    import backtrader  # noqa: F401

from backtest.engines.bt.run import PerpetualCerebro, execute, execute_strategy, make_cerebro

__all__ = ["PerpetualCerebro", "execute", "execute_strategy", "make_cerebro"]
