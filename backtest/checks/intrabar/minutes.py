"""Minutes inside simulated bars: a walk from each open to its close that reaches the bar's own high and low, in some order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backtest.errors import MarketError
from backtest.market.clock import MINUTE, interval_text
from backtest.model import Mark, Market, Passport
from backtest.model.arrays import Float
from backtest.model.passport import Series

__all__ = ["with_minutes"]

STEPS = 4
"""Steps of the walk in one minute [D]: enough that a minute has wicks."""
LEAST = 2  # minutes in a bar
CHUNK = 256  # bars drawn at once: their walks stay in the processor's cache
PRICES = ("open", "high", "low", "close")
SOURCE = "a walk drawn inside the simulated bars"


def with_minutes(market: Market, seed: int = 0) -> Market:
    """Return a simulated market with minutes inside its bars as `fine`: as simulated as the bars, and they make them up exactly.

    In each bar a bridge of random steps leads from open to close; what it does above the two is stretched until its highest
    point is the bar's high, what it does below until its lowest is the low. So the order of the extremes is that of a random
    walk which ends where the bar does. A minute opens where the one before closed. Marks, where there are any, follow the
    same walk to their own extremes. Bars before `trade_from`, in which nothing is held, get none.
    """
    pieces, rest = divmod(market.interval, MINUTE)
    if rest or pieces < LEAST:
        raise MarketError(f"Bars of {interval_text(market.interval)} can't be made of minutes.")
    drawn = [drawn_inside(market, j, pieces, np.random.default_rng([seed, j])) for j in range(len(market.symbols))]
    (opened, high, low, closed), *marks = (np.concatenate(kind, axis=2) for kind in zip(*drawn, strict=True))
    mark = Mark(*marks[0]) if marks else None
    scored = slice(market.start_bar, None)
    time = (market.time[scored, None] + MINUTE * np.arange(pieces)).ravel()
    lines = tuple(line(s) for s in market.passport.series if s.name.endswith(".bars"))
    volume = np.repeat(market.volume[scored] / pieces, pieces, axis=0)
    fine = Market(
        time, MINUTE, market.symbols, opened, high, low, closed, volume, market.funding, Passport(lines), mark=mark,
        trade_from=market.trade_from, name=market.name,
    )  # fmt: skip
    return replace(market, fine=fine, passport=Passport((*market.passport.series, *lines)))


def line(bars: Series) -> Series:
    """Return the passport's line on the minutes of a symbol."""
    name = f"{bars.name.removesuffix('.bars')}.fine"
    return Series(name, "simulated", SOURCE, bars.start, bars.end)


def bridged(random: np.random.Generator, n: int, steps: int) -> Float:
    """Return (n, steps + 1) random paths from 0 to 0, each with a range of 1."""
    path = np.concatenate((np.zeros((n, 1)), np.cumsum(random.standard_normal((n, steps)), axis=1)), axis=1)
    path -= path[:, -1:] * np.linspace(0.0, 1.0, steps + 1)
    return np.asarray(path / np.ptp(path, axis=1, keepdims=True), np.float64)


def drawn_inside(market: Market, j: int, pieces: int, random: np.random.Generator) -> list[Float]:
    """Return the minutes of a symbol as (4, n*pieces, 1) open, high, low and close: of the last price, and of the mark if any."""
    kinds = [market] if market.mark is None else [market, market.mark]
    found: list[list[Float]] = [[] for _ in kinds]
    for start in range(market.start_bar, len(market), CHUNK):
        part = slice(start, start + CHUNK)
        walk = bridged(random, len(market.time[part]), pieces * STEPS)
        for minutes, bars in zip(found, kinds, strict=True):
            prices = [getattr(bars, name)[part, j, None] for name in PRICES]
            minutes.append(minutes_of(path_along(walk, prices), pieces))
    return [np.concatenate(minutes, axis=1)[:, :, None] for minutes in found]


def path_along(walk: Float, prices: Sequence[Float]) -> Float:
    """Return (n, k + 1) prices along the walks, from open to close, with the bars' highs and lows, (n, 1), as extremes."""
    opened, high, low, closed = prices
    path = opened + (closed - opened) * np.linspace(0.0, 1.0, walk.shape[1]) + (high - low) * walk
    path[:, :1], path[:, -1:] = opened, closed  # to the last bit, so that neither lies beyond itself
    top, bottom = np.maximum(opened, closed), np.minimum(opened, closed)
    return -stretched(-stretched(path, top, high), -bottom, -low)


def stretched(path: Float, edge: Float, extreme: Float) -> Float:
    """Return the paths with what lies above the edge stretched, or pressed, so that the highest point is the extreme.

    A path that never rises above its edge goes to the extreme where it is highest between its ends.
    """
    above = np.maximum(path - edge, 0.0)
    never = ~(above.max(axis=1) > 0.0)
    above[never, np.argmax(path[never, 1:-1], axis=1) + 1] = 1.0
    share = above / above.max(axis=1, keepdims=True)
    lifted = np.where(share >= 1.0, extreme, np.minimum(edge + (extreme - edge) * share, extreme))
    return np.where(share > 0.0, lifted, path)


def minutes_of(path: Float, pieces: int) -> Float:
    """Return (4, n*pieces) open, high, low and close of the pieces of the paths."""
    steps = path[:, :-1].reshape(len(path), pieces, STEPS)
    opened = steps[:, :, 0]
    closed = np.concatenate((opened[:, 1:], path[:, -1:]), axis=1)
    high, low = np.maximum(steps.max(axis=2), closed), np.minimum(steps.min(axis=2), closed)
    return np.stack([prices.ravel() for prices in (opened, high, low, closed)])
