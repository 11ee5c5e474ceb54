"""What was measured around a price: open interest opened and positions force-closed while the market traded near it."""

from dataclasses import dataclass

import numpy as np

from backtest.model.arrays import BoolArray, Float, Int64, utc_text
from backtest.model.market import Feed, Market
from backtest.model.memo import memoised
from backtest.signals.liquidations import in_usd
from backtest.signals.open_interest import interest
from backtest.signals.series import is_there, own_feed
from backtest.signals.windows import has_hole, limits

__all__ = ["FLOWS", "Flows", "flows"]

FLOWS = ("opened", "longs", "shorts")
"""Open interest opened, longs and shorts force-closed; each in USD."""


@dataclass(frozen=True, eq=False)
class Flows:
    """What each bar of a symbol saw, (n,) USD each, NaN where a feed does not tell.

    opened: the rise of open interest over the bar in coins, 0 where it fell, at the bar's typical price (H+L+C)/3;
    longs, shorts: force-closed in the bar; missing: of the three, those without a feed; notes: sentences about the feeds.
    """

    market: Market
    symbol: str
    opened: Float
    longs: Float
    shorts: Float
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def around(self, low: Float, high: Float, since: Int64) -> dict[str, Float]:
        """Return (k,) the sum of each flow over the bars that traded in a zone, bar for bar: low <= zone, high >= zone.

        low, high: (k,) the zones, quote units; since: (k,) ns UTC, bars that opened earlier do not count. A bar counts
        whole, and for each zone that it reaches: a bar does not say at which of its prices a position was opened or
        closed. NaN where a flow of one of those bars is unknown; 0 where price was never there.
        """
        first = int(np.searchsorted(self.market.time, since.min() if since.size else 0))
        bars, time = self.market[self.symbol], self.market.time[first:]
        there = (bars.low[first:] <= high[:, None]) & (bars.high[first:] >= low[:, None]) & (time >= since[:, None])
        return {name: np.where(there, getattr(self, name)[first:], 0.0).sum(axis=1) for name in FLOWS}


@memoised
def flows(market: Market, symbol: str) -> Flows:
    """Return what open interest and liquidations say about each bar of a market, as far as they are known at its end.

    Reads "SYMBOL.open_interest" or "SYMBOL.open_interest_coins", "SYMBOL.long_liquidations" and
    "SYMBOL.short_liquidations". What comes more rarely than the bars is spread evenly over those between two stamps. A
    hole (two stamps further apart than three usual gaps) and a feed that has ended are NaN, bars that a feed will still
    tell of count with what it told so far; notes say so. A feed in a unit that is neither USD nor coins is a MarketError.
    """
    unknown = np.full(len(market), np.nan)
    found, missing, notes = dict.fromkeys(FLOWS, unknown), [], []
    for name in FLOWS:
        feed = feed_of(market, symbol, name)
        if feed is None:
            missing.append(name)
            continue
        feed = whole(feed)
        found[name] = opened(market, symbol, feed) if name == "opened" else closed(market, feed)
        notes += remarks(market, feed)
    return Flows(market, symbol, **found, missing=tuple(missing), notes=tuple(dict.fromkeys(notes)))


def feed_of(market: Market, symbol: str, name: str) -> Feed | None:
    """Return the feed behind a flow, in coins of open interest or USD of liquidations; None where there is none."""
    if name == "opened":
        there = is_there(market, symbol, "open_interest") or is_there(market, symbol, "open_interest_coins")
        return interest(market, symbol, "coins") if there else None
    key = f"{name.removesuffix('s')}_liquidations"
    return in_usd(market, symbol, own_feed(market, symbol, key, "Levels")) if is_there(market, symbol, key) else None


def whole(feed: Feed) -> Feed:
    """Return a feed without the values that are not numbers."""
    there = np.isfinite(feed.value)
    return Feed(feed.name, feed.known_at[there], feed.value[there], feed.unit)


def opened(market: Market, symbol: str, feed: Feed) -> Float:
    """Return (n,) the coins that open interest rose by over each bar, in USD; of several values at a moment the last."""
    last = np.append(np.diff(feed.known_at) > 0, True)[: feed.known_at.size]
    stamps, coins = feed.known_at[last], feed.value[last]
    if stamps.size < 2:
        return np.full(len(market), np.nan)
    rise = np.interp(market.known_at, stamps, coins) - np.interp(market.time, stamps, coins)
    bars = market[symbol]
    worth = np.maximum(rise, 0.0) * (bars.high + bars.low + bars.close) / 3
    return np.where(told(market, stamps, int(stamps[0])), worth, np.nan)


def closed(market: Market, feed: Feed) -> Float:
    """Return (n,) the USD of each bar, out of stamps that are each about the time since the stamp before."""
    stamps, slot = np.unique(feed.known_at, return_inverse=True)
    if stamps.size < 2 or len(market) == 0:
        return np.full(len(market), np.nan)
    amount = np.bincount(slot, weights=feed.value)
    start = np.concatenate(([2 * stamps[0] - stamps[1]], stamps[:-1]))
    points = np.unique(np.concatenate((start[:1], stamps, market.time, market.known_at)))
    ends, length = points[1:], np.diff(points)
    stamp, bar = (np.searchsorted(times, ends, side="left") for times in (stamps, market.known_at))
    inside = (stamp < stamps.size) & (bar < len(market)) & (ends > start[0])
    stamp, bar, ends, length = stamp[inside], bar[inside], ends[inside], length[inside]
    inside = ends > market.time[bar]
    stamp, bar, length = stamp[inside], bar[inside], length[inside]
    share = amount[stamp] * (length / (stamps - start)[stamp])
    found = np.bincount(bar, weights=share, minlength=len(market))
    return np.where(told(market, stamps, int(start[0])), found, np.nan)


def told(market: Market, stamps: Int64, start: int) -> BoolArray:
    """Return (n,) whether the stamps speak of each bar: not before they start, in no hole, not after they have ended."""
    hole = has_hole(stamps, market.known_at, market.interval, limits(stamps, None))
    return (market.time >= start) & ~hole


def remarks(market: Market, feed: Feed) -> list[str]:
    """Return what to know about a feed: that it is coarser than the bars, ends early, or stands in for another."""
    stamps, found = np.unique(feed.known_at), []
    if stamps.size < 2:
        return [f"The feed {feed.name!r} has fewer than two values so far, which say nothing about single bars."]
    line = next((s for s in market.passport.series if s.name == feed.name), None)
    if line is not None and line.origin in ("proxy", "assumed"):
        found.append(f"{feed.name} is {'a proxy' if line.origin == 'proxy' else 'an assumption'}, not a measurement.")
    usual = int(np.median(np.diff(stamps)))
    if usual > market.interval:
        found.append(f"{feed.name} comes more rarely than the bars; it is spread evenly over those between two values.")
    if len(market) and stamps[-1] < market.known_at[-1]:
        found.append(f"{feed.name} is known until {utc_text(int(stamps[-1]))}.")
    return found
