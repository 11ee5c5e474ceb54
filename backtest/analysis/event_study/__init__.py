"""The event study of levels: outcomes at touches and breaks, beside those at placebo levels and those of a martingale."""

from backtest.analysis.event_study.martingale import next_level_probability
from backtest.analysis.event_study.settings import Settings
from backtest.analysis.event_study.study import LEVELS, Study, study

__all__ = ["LEVELS", "Settings", "Study", "next_level_probability", "study"]
