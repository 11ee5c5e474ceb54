"""Checks of a strategy that anybody can run: no look-ahead, conformance, and whether the two engines agree about its plan."""

from backtest.checks.conformance import Conformance, Finding, check_conformance
from backtest.checks.difference import TOLERANCE, Difference, first_difference, largest_differences
from backtest.checks.engines import EngineComparison, compare_engines, compare_results
from backtest.checks.every import CHECKS, Checked, check_strategy
from backtest.checks.foresight import CUT, OTHER_FUTURE, Foresight, Glimpse, Looked, check_foresight

__all__ = [
    "CHECKS",
    "CUT",
    "OTHER_FUTURE",
    "TOLERANCE",
    "Checked",
    "Conformance",
    "Difference",
    "EngineComparison",
    "Finding",
    "Foresight",
    "Glimpse",
    "Looked",
    "check_conformance",
    "check_foresight",
    "check_strategy",
    "compare_engines",
    "compare_results",
    "first_difference",
    "largest_differences",
]
