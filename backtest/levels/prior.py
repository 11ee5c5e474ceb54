"""The low of the last completed day, week or month."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest.levels.detector import Detector, check_bars, chosen, stepped
from backtest.levels.periods import PERIODS, periods
from backtest.levels.table import NEVER, Levels
from backtest.model.arrays import Float
from backtest.model.market import Bars

__all__ = ["Prior", "prior"]


@dataclass(frozen=True)
class Prior(Detector):
    """The low of the last completed UTC day, ISO week (from Monday) or month; known at its end, until the next's.

    One row for each completed period in which a bar traded; a period whose start lies before the first bar is none.
    An unknown period is a ConfigError. Source: the pre-specified supports of intraday trading, as in Osler, FRBNY
    Economic Policy Review 6(2), 2000.
    """

    period: Literal["day", "week", "month"] = "day"

    def __post_init__(self) -> None:
        chosen("period", self.period, PERIODS)

    def find(self, bars: Bars) -> Levels:
        check_bars(bars)
        done, _, low, _ = periods(bars, self.period).traded(bars)
        end = done.end
        params = ((("period", self.period),),) * low.size
        until = np.append(end[1:], NEVER)[: end.size]
        return Levels(low, np.zeros(low.size), ("prior",) * low.size, end, end, params, until)

    def line(self, bars: Bars) -> Float:
        """Return (len(bars),) the low in force at each bar's close, quote units; NaN before the first."""
        levels = self.find(bars)
        return stepped(bars, levels.known_at, levels.price)


prior = Prior
