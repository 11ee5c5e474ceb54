"""Checks of a strategy that anybody can run: so far, whether the two engines agree about its plan."""

from backtest.checks.difference import TOLERANCE, Difference, first_difference, largest_differences
from backtest.checks.engines import EngineComparison, compare_engines, compare_results

__all__ = [
    "TOLERANCE",
    "Difference",
    "EngineComparison",
    "compare_engines",
    "compare_results",
    "first_difference",
    "largest_differences",
]
