"""Given prices as levels."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from backtest.errors import ConfigError
from backtest.levels.table import ALWAYS, Levels
from backtest.model.arrays import Float
from backtest.model.memo import memoised

__all__ = ["fixed"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@memoised
def fixed(prices: Sequence[float] | Float, known_from: int | str | None = None) -> Levels:
    """Return given prices as levels, the highest first.

    prices: (k,) quote units, at least one, in order, from the highest down or from the lowest up, none twice: a price out
    of order is a slip of the pen more often than not. known_from: when they became known, ns UTC or
    ISO text ("2026-01-15", read as UTC); None means before the first bar. Levels that were read off a finished chart
    and are declared as always known look ahead: give the date of the source that named them. The half-width is 0. A
    price that is not a number above 0 or out of order, or a time that is not one, is a ConfigError.

    >>> [level.price for level in fixed([70_000, 75_000])]
    [75000.0, 70000.0]
    """
    ladder = sorted(checked_prices(prices), reverse=True)
    k, time = len(ladder), known_time(known_from)
    times = np.full(k, time, np.int64)
    return Levels(np.array(ladder), np.zeros(k), ("fixed",) * k, times, times, ((),) * k)


def checked_prices(prices: object) -> list[float]:
    if isinstance(prices, str) or not hasattr(prices, "__iter__"):
        raise ConfigError(f"`levels` must be a list of prices like (75000.0, 70000.0), got {prices!r}.")
    values = list(prices)
    if not values:
        raise ConfigError("`levels` is empty; give at least one price, like (75000.0, 70000.0).")
    for value in values:
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not 0 < value < float("inf"):
            shown = value.item() if isinstance(value, np.generic) else value
            raise ConfigError(f"A level must be a price above 0, got {shown!r}.")
    floats = [float(value) for value in values]
    twice = next((value for i, value in enumerate(floats) if value in floats[:i]), None)
    if twice is not None:
        raise ConfigError(f"The level {twice} stands twice.")
    check_order(floats)
    return floats


def check_order(prices: list[float]) -> None:
    """Raise unless the prices only fall or only rise; the first two say which."""
    falling = prices[:2] != sorted(prices[:2])
    for before, value in pairwise(prices):
        if (value < before) != falling:
            raise ConfigError(f"`levels` must be in order, high to low or low to high; {value} stands after {before}.")


def known_time(known_from: int | str | None) -> int:
    if known_from is None:
        return ALWAYS
    if isinstance(known_from, (int, np.integer)) and not isinstance(known_from, bool):
        return int(known_from)
    try:
        moment = datetime.fromisoformat(str(known_from))
    except ValueError:
        raise ConfigError(f"`known_from` must be a date like '2026-01-15' or ns UTC, got {known_from!r}.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000
