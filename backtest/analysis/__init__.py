"""What a run is worth: metrics and the summary of a result."""

from backtest.analysis.summary import Summary, analyze, figures

__all__ = ["Summary", "analyze", "figures"]
