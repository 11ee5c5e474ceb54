"""Support levels, each known from a time on, and what happens at them."""

from backtest.levels.bounces import Bounce, Bounces, bounces
from backtest.levels.breaks import Break, Breaks, breaks, states
from backtest.levels.donchian import donchian
from backtest.levels.fixed import fixed
from backtest.levels.table import Level, Levels

__all__ = [
    "Bounce",
    "Bounces",
    "Break",
    "Breaks",
    "Level",
    "Levels",
    "bounces",
    "breaks",
    "donchian",
    "fixed",
    "states",
]
