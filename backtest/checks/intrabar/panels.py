"""The market that a comparison needs: coarse bars with the finer ones that make them up."""

from dataclasses import replace

import numpy as np

from backtest.checks.intrabar.minutes import with_minutes
from backtest.errors import ConfigError, MarketError
from backtest.market.clock import MINUTE, grid_offset, interval_text, parse_interval
from backtest.model import Mark, Market
from backtest.model.arrays import HOUR, Float, Int64

__all__ = ["aggregated", "two_scales"]

PRICES = ("open", "high", "low", "close")


def two_scales(market: Market, coarse: str | None = None, seed: int | None = None) -> Market:
    """Return the market in coarse bars, with finer ones as its `fine`.

    coarse: their interval as text; None: the market's own where it has finer bars, else "1h". A market of finer bars is put
    together into coarse ones; a simulated market without finer bars gets simulated minutes drawn inside its bars (seed: theirs).
    Real bars without finer ones are a MarketError.
    """
    wanted = wanted_interval(market, coarse)
    if market.interval < wanted:
        return aggregated(market, wanted)
    if market.fine is not None:
        return market
    if not is_simulated(market):
        have = f"bars of {interval_text(market.interval)} and none finer"
        multiple = "choose a multiple of its bars for `coarse`, such as 1h"
        do = multiple if market.interval < HOUR else "declare it with bars of 1m"
        raise MarketError(
            f"The market {market.name} has {have}, so nothing says what happened inside a bar. Give it `fine` bars, or {do}."
            if market.interval > MINUTE
            else f"The market {market.name} has {have}, so nothing says what happened inside a bar; {multiple}."
        )
    return with_minutes(market, 0 if seed is None else seed)


def wanted_interval(market: Market, coarse: str | None) -> int:
    """Return the interval of the coarse bars in ns; one that the market's own bars do not make up is a ConfigError."""
    if coarse is None:
        return market.interval if market.fine is not None else max(market.interval, HOUR)
    try:
        wanted = parse_interval(coarse)
    except ValueError as error:
        raise ConfigError(f"`coarse` {error}.") from None
    if wanted % market.interval:
        own = interval_text(market.interval)
        raise ConfigError(
            f"`coarse` must be {own}, the interval of the market {market.name}, or a multiple of it; got {coarse!r}."
        )
    return wanted


def is_simulated(market: Market) -> bool:
    return any(s.name.endswith(".bars") and s.origin == "simulated" for s in market.passport.series)


def aggregated(market: Market, interval: int) -> Market:
    """Return the market in coarser bars, on the grid of the interval, with its finest bars as `fine`.

    A coarse bar has the first open, the highest high, the lowest low and the last close of the bars in it that traded; one in
    which none did is NaN. A last price and a mark are put together alike. Feeds and funding stay what they are.
    """
    opens = market.time - grid_offset(market.time, interval)
    first = np.flatnonzero(np.diff(opens, prepend=opens[:1] - 1))
    prices = together(tuple(getattr(market, name) for name in PRICES), first)
    mark = None if market.mark is None else Mark(*together(tuple(getattr(market.mark, name) for name in PRICES), first))
    volume = np.add.reduceat(np.nan_to_num(market.volume), first, axis=0)
    fine = traded(replace(market, fine=None, feeds={})) if market.fine is None else market.fine
    opened, high, low, close = prices
    volume = np.where(np.isnan(close), np.nan, volume)
    return replace(
        market, time=opens[first], interval=interval, open=opened, high=high, low=low, close=close,
        volume=volume, mark=mark, fine=fine,
    )  # fmt: skip


def together(prices: tuple[Float, ...], first: Int64) -> tuple[Float, ...]:
    """Return open, high, low and close of the groups of bars that start at `first`; NaN only where a whole group is."""
    opened, high, low, closed = prices
    top = np.fmax.reduceat(high, first, axis=0)
    return (
        edge(opened, first),
        top,
        np.fmin.reduceat(low, first, axis=0),
        edge(closed[::-1], mirrored(first, len(closed)))[::-1],
    )


def mirrored(first: Int64, n: int) -> Int64:
    """Return where the groups start when the bars are read backwards."""
    ends = np.append(first[1:], n)
    return (n - ends[::-1]).astype(np.int64)


def edge(values: Float, first: Int64) -> Float:
    """Return the first value of each group that is a number, NaN where there is none."""
    known = ~np.isnan(values)
    places = np.where(known, np.arange(len(values))[:, None], len(values))
    found = np.minimum.reduceat(places, first, axis=0)
    padded = np.vstack((values, np.full((1, values.shape[1]), np.nan)))
    return np.take_along_axis(padded, found, axis=0)


def traded(market: Market) -> Market:
    """Return the market without the bars in which no symbol traded: the first one of a coarse bar is its open."""
    keep = ~np.isnan(market.open).all(axis=1)
    if keep.all():
        return market
    mark = None if market.mark is None else Mark(*(getattr(market.mark, name)[keep] for name in PRICES))
    columns = {name: getattr(market, name)[keep] for name in (*PRICES, "volume")}
    return replace(market, time=market.time[keep], **columns, mark=mark)
