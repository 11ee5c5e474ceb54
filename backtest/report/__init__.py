"""What a reader sees of a run."""

from backtest.report.runs import print_runs
from backtest.report.terminal import print_report

__all__ = ["print_report", "print_runs"]
