"""Detectors and signals that know the future, one of each kind; and two of each that do not."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtest import Bars, Market
from backtest.levels import Detector, Levels, fractal


def table(price, kind, known):
    none = ((),) * price.size
    return Levels(price, np.zeros(price.size), (kind,) * price.size, known, known, none)


# --- signals -----------------------------------------------------------------------------------------------------


def centred_window(market: Market, symbol: str):
    """The mean of the two bars on either side."""
    return pd.Series(market[symbol].close).rolling(5, center=True).mean().to_numpy()


def shifted(market: Market, symbol: str):
    """Tomorrow's close."""
    return pd.Series(market[symbol].close).shift(-1).to_numpy()


def whole_series(market: Market, symbol: str):
    """The distance from the mean of all closes, those to come included."""
    close = market[symbol].close
    return (close - np.nanmean(close)) / np.nanstd(close) if close.size else close


def future_feed(market: Market, symbol: str):
    """The next value of the volatility index, days before it is known."""
    feed = market.feeds["vix"]
    after = np.searchsorted(feed.known_at, market.known_at, side="right")
    return np.append(feed.value, np.nan)[np.minimum(after, feed.value.size)]


def filled_from_behind(market: Market):
    """What is unknown at the start is taken from later."""
    return pd.DataFrame(market.close).rolling(20).min().bfill().to_numpy()


def past_mean(market: Market, symbol: str):
    """The mean of the last five closes."""
    return pd.Series(market[symbol].close).rolling(5).mean().to_numpy()


def spread(market: Market):
    """How far the symbols' last moves are apart."""
    return np.vstack((np.zeros((1, market.close.shape[1])), np.diff(np.log(market.close), axis=0)))[: len(market)]


# --- detectors ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FutureLevel(Detector):
    """The lowest low of the coming bars, known today.

    bars_ahead: how many.
    """

    bars_ahead: int = 20

    def find(self, bars: Bars) -> Levels:
        low = pd.Series(bars.low)[::-1].rolling(self.bars_ahead, min_periods=1).min()[::-1].to_numpy()
        there = np.flatnonzero(np.isfinite(low))
        return table(low[there], "future", bars.known_at[there])


@dataclass(frozen=True)
class Unconfirmed(Detector):
    """Local lows that are known at their own bar, before a bar has confirmed them."""

    def find(self, bars: Bars) -> Levels:
        found = fractal(1).find(bars)
        return table(found.price, "unconfirmed", found.formed_at)


@dataclass(frozen=True)
class Superseded(Detector):
    """Honest lows that end early, before the last bar is known to be low."""

    def find(self, bars: Bars) -> Levels:
        found = fractal(1).find(bars)
        rest = np.append(found.known_at[1:], found.known_at[-1:])
        return Levels(found.price, found.half_width, found.kind, found.formed_at, found.known_at, found.params, rest)


@dataclass(frozen=True)
class Confirmed(Detector):
    """Local lows, as they become known."""

    def find(self, bars: Bars) -> Levels:
        return fractal(1).find(bars)


swings = fractal(k=3)


@dataclass(frozen=True)
class Needs(Detector):
    """Is not asked: nobody says with how many bars."""

    bars: int

    def find(self, bars: Bars) -> Levels:
        raise AssertionError


def _private(market: Market):
    raise AssertionError


def needs_more(market: Market, symbol: str, days: float):
    raise AssertionError
