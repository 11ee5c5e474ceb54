"""Whether a result is better than luck: intervals, probabilities, trials, and a verdict in plain words."""

from backtest.analysis.significance.normal import maximum_deviation
from backtest.analysis.significance.overfit import Overfit, overfitting, pbo, splits
from backtest.analysis.significance.resample import (
    Bootstrap,
    block_length,
    bootstrap,
    figures_of_days,
    stationary_days,
)
from backtest.analysis.significance.revised import (
    deflated_sharpe_2026,
    min_track_record_2026,
    miss_rate_2026,
    observed_false_discovery,
    planned_false_discovery,
    probabilistic_sharpe_2026,
    sharpe_error_2026,
)
from backtest.analysis.significance.sharpe import (
    Moments,
    deflated_sharpe,
    expected_maximum,
    lo_factor,
    min_track_record,
    moments,
    probabilistic_sharpe,
    sharpe_error,
    trials_variance,
)
from backtest.analysis.significance.superior import Superior, superior_ability
from backtest.analysis.significance.verdict import Luck, judge
from backtest.model.trials import Trials

__all__ = [
    "Bootstrap",
    "Luck",
    "Moments",
    "Overfit",
    "Superior",
    "Trials",
    "block_length",
    "bootstrap",
    "deflated_sharpe",
    "deflated_sharpe_2026",
    "expected_maximum",
    "figures_of_days",
    "judge",
    "lo_factor",
    "maximum_deviation",
    "min_track_record",
    "min_track_record_2026",
    "miss_rate_2026",
    "moments",
    "observed_false_discovery",
    "overfitting",
    "pbo",
    "planned_false_discovery",
    "probabilistic_sharpe",
    "probabilistic_sharpe_2026",
    "sharpe_error",
    "sharpe_error_2026",
    "splits",
    "stationary_days",
    "superior_ability",
    "trials_variance",
]
