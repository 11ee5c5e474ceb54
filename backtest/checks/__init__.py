"""Checks that anybody can run: no look-ahead and conformance, of strategies, detectors and signals; whether engines agree."""

from backtest.checks.conformance import Conformance, Finding, check_conformance
from backtest.checks.difference import TOLERANCE, Difference, first_difference, largest_differences
from backtest.checks.engines import EngineComparison, compare_engines, compare_results
from backtest.checks.every import CHECKS, Checked, check_strategy
from backtest.checks.foresight import CUT, OTHER_FUTURE, Foresight, Glimpse, Looked, check_foresight
from backtest.checks.parts import Part, PartChecked, Parts, check_parts, shipped_parts

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
    "Part",
    "PartChecked",
    "Parts",
    "check_conformance",
    "check_foresight",
    "check_parts",
    "check_strategy",
    "compare_engines",
    "compare_results",
    "first_difference",
    "largest_differences",
    "shipped_parts",
]
