"""A run, or several beside each other, as one HTML file that opens from the disk and makes no request."""

from backtest.report.html.page import Report, render, report_of
from backtest.report.html.view import RunView, view_of
from backtest.report.html.write import write_report

__all__ = ["Report", "RunView", "render", "report_of", "view_of", "write_report"]
