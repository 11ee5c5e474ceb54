"""Other markets to ask a strategy about: random walks with the market's own bars, and the market with another future."""

from dataclasses import replace
from typing import Any

import numpy as np

from backtest.errors import ConfigError
from backtest.model import Feed, Funding, Market
from backtest.model.arrays import BoolArray, Float
from backtest.model.market import Mark

__all__ = ["changed_after", "flat_like", "walk_like"]

PRICES = ("open", "high", "low", "close")


def walk_like(market: Market, seed: int, bars: int = 3_000) -> Market:
    """Return a random walk of the market's own bars: each is mirrored or not by the toss of a coin, the same for all symbols.

    The walk has the market's clock, symbols, volatility and halts, but no drift and nothing to be foretold; it starts at the
    close of a bar drawn at random. Feeds and funding rates keep their stamps and get values from elsewhere in their series.
    bars: the most that it has; `trade_from`, the finer bars and the name go.
    """
    if seed < 0:
        raise ConfigError(f"The seed of a random walk must be at least 0, got {seed}.")
    rng = np.random.default_rng([seed, 1])
    n = min(len(market), bars)
    shift = int(rng.integers(1, max(len(market), 2)))
    base = market.head(n)
    prices = walk_prices(market, n, rng)
    mark = None if base.mark is None else scaled_mark(base, prices)
    pairs = ((name, base.feeds[name], feed.value) for name, feed in market.feeds.items())
    feeds = {name: replace(feed, value=rolled(values, shift)[: len(feed.value)]) for name, feed, values in pairs}
    funding = replace(base.funding, rate=rolled(base.funding.rate, shift))
    changes: dict[str, Any] = {**prices, "mark": mark, "feeds": feeds, "funding": funding}
    return replace(base, **changes, fine=None, trade_from=None, name=f"random walk {seed}")


def rolled(values: Float, shift: int) -> Float:
    return np.roll(values, shift % values.size) if values.size else values


def walk_prices(market: Market, n: int, rng: np.random.Generator) -> dict[str, Float]:
    """Return open, high, low and close (n, m) each: log returns inside and between bars, their signs tossed."""
    halted = np.isnan(market.close[:n])
    last = carried(market.close)
    before = np.vstack((last[:1], last[:-1]))[:n] if n else last[:0]
    toss = rng.choice([-1.0, 1.0], size=(n, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.nan_to_num(np.log(market.open[:n] / before), posinf=0.0, neginf=0.0) * toss
        up, down, body = (np.nan_to_num(np.log(getattr(market, k)[:n] / market.open[:n]))
                          for k in ("high", "low", "close"))  # fmt: skip
    start = first_prices(last, rng)
    body = body * toss
    opens = start * np.exp(np.cumsum(gap + body, axis=0) - body)
    closes = opens * np.exp(body)
    highs = np.maximum(opens * np.exp(np.where(toss > 0, up, -down)), np.maximum(opens, closes))
    lows = np.minimum(opens * np.exp(np.where(toss > 0, down, -up)), np.minimum(opens, closes))
    made = zip(PRICES, (opens, highs, lows, closes), strict=True)
    return {name: np.where(halted, np.nan, values) for name, values in made}


def first_prices(last: Float, rng: np.random.Generator) -> Float:
    """Return the closes of a bar drawn at random; a symbol that has no price then starts at its first, or at 1."""
    if not len(last):
        return np.ones(last.shape[1:])
    drawn = last[int(rng.integers(len(last)))]
    known = np.where(np.isnan(last), np.inf, last).min(axis=0)
    return np.where(np.isnan(drawn), np.where(np.isfinite(known), known, 1.0), drawn)


def carried(values: Float) -> Float:
    """Return the last value that is not NaN in each column."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0) if len(values) else values


def scaled_mark(market: Market, prices: dict[str, Float]) -> Mark | None:
    """Return mark prices as far from the new prices as the old mark's closes were from the old ones."""
    assert market.mark is not None
    ratio = market.mark.close / market.close
    return Mark(*(prices[name] * ratio for name in PRICES))


def changed_after(market: Market, cut: int, seed: int) -> Market:
    """Return the market with the same bars before `cut` and, from there on, prices, feeds and funding that never were.

    Every later bar is multiplied by a factor of its own around 0.6 or 1.6, volumes, feeds and funding rates that become known
    after the close of bar `cut` - 1 by others. Stamps and halts stay.
    """
    rng = np.random.default_rng([seed, cut, 2])
    close = int(market.time[cut - 1]) + market.interval if cut else int(np.iinfo(np.int64).min)
    later = np.arange(len(market)) >= cut
    factor = invented(rng, later, len(market.symbols))
    prices = {name: getattr(market, name) * factor for name in PRICES}
    mark = None if market.mark is None else Mark(*(getattr(market.mark, name) * factor for name in PRICES))
    volume = market.volume * np.where(later[:, None], rng.lognormal(0, 1, factor.shape), 1.0)
    feeds = {name: changed_feed(feed, close, rng) for name, feed in market.feeds.items()}
    fine = None if market.fine is None else changed_fine(market.fine, close, rng)
    changes: dict[str, Any] = {**prices, "volume": volume, "mark": mark, "feeds": feeds, "fine": fine}
    return replace(market, **changes, funding=changed_funding(market.funding, close, rng))


def invented(rng: np.random.Generator, later: BoolArray, symbols: int) -> Float:
    level = float(rng.choice([0.6, 1.6]))
    return np.where(later[:, None], level * rng.lognormal(0, 0.05, (later.size, symbols)), 1.0)


def changed_fine(fine: Market, close: int, rng: np.random.Generator) -> Market:
    factor = invented(rng, fine.known_at > close, len(fine.symbols))
    prices: dict[str, Any] = {name: getattr(fine, name) * factor for name in PRICES}
    mark = None if fine.mark is None else Mark(*(getattr(fine.mark, name) * factor for name in PRICES))
    return replace(fine, **prices, mark=mark)


def changed_feed(feed: Feed, close: int, rng: np.random.Generator) -> Feed:
    """Values of another time, times a factor: a feed of zeros would stay what it is under a factor alone."""
    later = feed.known_at > close
    other = rng.permutation(feed.value) * rng.lognormal(0, 0.5, feed.value.shape)
    return replace(feed, value=np.where(later, other, feed.value))


def changed_funding(funding: Funding, close: int, rng: np.random.Generator) -> Funding:
    later = funding.time > close
    return replace(funding, rate=np.where(later, -3 * funding.rate + rng.normal(0, 1e-4, later.shape), funding.rate))


def flat_like(market: Market, bars: int = 500) -> Market:
    """Return the market's first bars with every price the symbol's first one: no trend, no wick, no break, no spread."""
    base = market.head(bars)
    known = np.where(np.isnan(market.close), np.inf, market.close)
    first = market.close[np.argmin(~np.isfinite(known), axis=0), np.arange(known.shape[1])] if len(market) else 1.0
    price = np.broadcast_to(np.where(np.isnan(first), 1.0, first), base.close.shape)
    prices: dict[str, Any] = dict.fromkeys(PRICES, price)
    mark = None if base.mark is None else Mark(price, price, price, price)
    return replace(base, **prices, mark=mark, fine=None, trade_from=None, name="flat")
