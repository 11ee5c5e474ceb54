"""What a reader sees of a run."""

from backtest.report.terminal import print_report, print_runs

__all__ = ["print_report", "print_runs"]
