"""Strategies as files: found by name or path, imported, given their parameters, and asked for their plan.

A strategy is one frozen dataclass with a method `plan(self, market) -> Plan`, nothing to inherit from and nothing to
register; or a `backtrader.Strategy` as its users write it.
"""

from backtest.plugins.describe import Parameter, StrategyInfo, describe_strategy
from backtest.plugins.files import StrategyFile, find_strategy, strategy_names
from backtest.plugins.importing import blamed, origin
from backtest.plugins.load import Strategy, StrategyMaker, load_maker, load_strategy
from backtest.plugins.native import BacktraderStrategy
from backtest.plugins.planning import make_plan

__all__ = [
    "BacktraderStrategy",
    "Parameter",
    "Strategy",
    "StrategyFile",
    "StrategyInfo",
    "StrategyMaker",
    "blamed",
    "describe_strategy",
    "find_strategy",
    "load_maker",
    "load_strategy",
    "make_plan",
    "origin",
    "strategy_names",
]
