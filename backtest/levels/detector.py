"""What every detector is: a few declared settings that find levels in bars, and combine with `|`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.errors import ConfigError, did_you_mean
from backtest.levels.table import NEVER, Levels, Params
from backtest.model.arrays import Float, Int64
from backtest.model.market import Bars
from backtest.model.memo import memoised

if TYPE_CHECKING:
    from backtest.levels.compose import Composed

__all__ = ["Detector", "changes", "check_bars", "check_lengths", "chosen", "number", "stepped", "whole"]


class Detector(ABC):
    """A kind of level with its settings, frozen; `detector.find(bars)` applies it, `one | other` merges two."""

    @abstractmethod
    def find(self, bars: Bars) -> Levels:
        """Return the levels in the bars, each with the time from which it was known; nothing later is used for it."""

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "find" in vars(cls):
            cls.find = memoised(cls.find)  # type: ignore[method-assign]  # what the points of a sweep share

    def __or__(self, other: "Detector | Levels") -> "Composed":
        from backtest.levels.compose import composed  # it is a detector itself

        return composed(self, other)

    def __ror__(self, other: Levels) -> "Composed":
        from backtest.levels.compose import composed

        return composed(other, self)  # only what is no detector comes here, and is refused in a sentence


def check_bars(bars: object) -> None:
    """Raise a ConfigError unless these are one symbol's bars: columns of one length, in order of time."""
    if not isinstance(bars, Bars):
        raise ConfigError(
            f"Levels are found in the bars of one symbol, `market['BTCUSDT']`, got {type(bars).__name__}."
        )
    check_lengths(**{name: getattr(bars, name) for name in ("time", "open", "high", "low", "close", "volume")})
    late = bars.time[1:] <= bars.time[:-1]
    if late.any():
        bar = int(np.argmax(late)) + 1
        raise ConfigError(
            f"The bars of {bars.symbol} must be in order of time; bar {bar} opens no later than bar {bar - 1}."
        )


def check_lengths(**columns: Float | Int64) -> None:
    """Raise a ConfigError unless all columns have one length."""
    if len({np.shape(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"`{name}` {np.size(column)}" for name, column in columns.items())
        raise ConfigError(f"Columns of bars need one length, got {lengths}.")


def number(name: str, value: object, least: float = 0.0, most: float = math.inf, above: bool = False) -> float:
    """Return a finite number in [least, most] (above: in (least, most]), else raise a ConfigError with the value."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    given = float(value) if real else math.nan  # type: ignore[arg-type]  # `real` says that it is one
    if not math.isfinite(given) or not least <= given <= most or (above and given == least):
        span = f"{'above' if above else 'from'} {least:g}" + (f" to {most:g}" if math.isfinite(most) else "")
        raise ConfigError(f"`{name}` must be a number {span}, got {value!r}.")
    return given


def whole(name: str, value: object, least: int = 1) -> int:
    """Return a whole number from `least`, else raise a ConfigError with the value."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ConfigError(f"`{name}` must be a whole number from {least}, got {value!r}.")
    return int(value)


def chosen(name: str, value: object, known: Iterable[str]) -> None:
    """Raise a ConfigError unless the value is one of the known words."""
    words = tuple(known)
    if value not in words:
        raise ConfigError(f"`{name}` can't be {value!r}.{did_you_mean(str(value), words)}")


def changes(values: Float, known_at: Int64, kind: str, params: Params) -> Levels:
    """Return one level for each stretch of equal values (k,), known at its first `known_at` and until the next's."""
    if values.size == 0:
        return Levels(values, values, (), known_at, known_at, ())
    unlike = (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    first = np.concatenate(([0], np.flatnonzero(unlike) + 1))
    price, known = values[first], known_at[first]
    until = np.append(known[1:], NEVER)
    there = np.isfinite(price)
    price, known, until = price[there], known[there], until[there]
    return Levels(price, np.zeros(price.size), (kind,) * price.size, known, known, (params,) * price.size, until)


def stepped(bars: Bars, known_at: Int64, values: Float) -> Float:
    """Return (n,) the last of the values (k,) known at each bar's close; NaN before the first."""
    starts = np.searchsorted(bars.known_at, known_at, side="left")
    counts = np.diff(np.concatenate(([0], starts, [len(bars)])))
    return np.repeat(np.concatenate(([np.nan], values)), counts)
