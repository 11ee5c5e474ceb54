"""What the detectors share: checks of their settings, and the bar from which a level is seen."""

import math

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.table import Levels
from backtest.model.arrays import Int64
from backtest.model.market import Bars

__all__ = ["fraction", "over_from", "replaced_at", "visible_from", "whole_bars"]


def fraction(name: str, value: float) -> float:
    """Return a fraction of a price in [0, 1), else raise a ConfigError with the value."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or math.isnan(value) or not 0 <= value < 1:
        raise ConfigError(f"`{name}` must be a fraction from 0 to below 1, not percent, got {value!r}.")
    return float(value)


def whole_bars(name: str, value: int) -> int:
    """Return a whole number of bars from 1, else raise a ConfigError with the value."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"`{name}` must be a whole number of bars from 1, got {value!r}.")
    return int(value)


def visible_from(bars: Bars, levels: Levels) -> Int64:
    """Return (k,) the first bar at whose close each level is known; len(bars) where that is never."""
    return np.searchsorted(bars.known_at, levels.known_at, side="left").astype(np.int64)


def over_from(bars: Bars, levels: Levels) -> Int64:
    """Return (k,) the first bar that has nothing to do with each level any more; len(bars) where that is never.

    The bar at whose close a newer level takes its place is still its own: that is how the low of the last n bars breaks.
    """
    return np.searchsorted(bars.known_at, levels.until, side="right").astype(np.int64)


def replaced_at(bars: Bars, levels: Levels) -> Int64:
    """Return (k,) the first bar at whose close a newer level has taken each one's place; len(bars) where that is never."""
    return np.searchsorted(bars.known_at, levels.until, side="left").astype(np.int64)
