"""What a run is worth: metrics, the summary of a result, where its money came from, and everything else that can be said."""

from typing import TYPE_CHECKING, Any

from backtest.analysis.assess import Assessment, Drawdown, assess
from backtest.analysis.attribution import PARTS, Attribution, attribute
from backtest.analysis.summary import Summary, analyze, figures

if TYPE_CHECKING:
    from backtest.analysis.event_study import Study, study

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


def __getattr__(name: str) -> Any:
    if name in ("Study", "study"):  # not needed to judge a run, and half a second to import
        from backtest.analysis import event_study

        return getattr(event_study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
