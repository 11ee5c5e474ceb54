"""What a run is worth: metrics, the summary of a result, where its money came from, and everything else that can be said."""

from backtest.analysis.assess import Assessment, Drawdown, assess
from backtest.analysis.attribution import PARTS, Attribution, attribute
from backtest.analysis.event_study import Study, study
from backtest.analysis.summary import Summary, analyze, figures

__all__ = [
    "PARTS",
    "Assessment",
    "Attribution",
    "Drawdown",
    "Study",
    "Summary",
    "analyze",
    "assess",
    "attribute",
    "figures",
    "study",
]
