"""Series that stand in for ones that no source has: liquidations from falls of open interest, the mark from the last price.

A market file declares them, so that nobody gets one unasked:

    mark = { proxy = "last" }
    long_liquidations = { proxy = "open_interest" }
    short_liquidations = { proxy = "open_interest" }

Each is a proxy by name in the passport ("BTCUSDT.long_liquidations"), in the assumptions ("proxy_feed:BTCUSDT.mark") and in the
grade, which is B at best.

**Liquidations from open interest.** For each bar, d = change of open interest over the bar (coins), V = its volume (coins).
If each of many independent trades opened or closed positions, d would grow as sqrt(V). So

    x = d / sqrt(V),  m = median of x,  s = 1.4826 * median |x - m|,  both over the 30 days before the bar's UTC day
    explained = max(0, BEYOND * s - m) * sqrt(V)
    forced    = min(V, max(0, -d - explained))         coins; no more than was traded can have been liquidated
    usd       = forced * (high + low + close) / 3

in a falling bar (close < open) all of it is of longs, in a rising bar of shorts, in a flat one half of each. A bar is not known
(NaN) in the first 30 days, and where open interest at its open or close is not known or older than the bar.

How a loader wires them, once bars, stamps and the other feeds of the market are there:

    feed = open_interest_of(symbol, market.feeds)                      # coins where they are declared, else USD
    made = liquidation_feeds(symbol, market[symbol], feed, [line of SYMBOL.bars, line of feed.name])
    market.feeds |= {name: feed for name, (feed, line) in made.items() if feed is not None and name is declared as a proxy}
    passport lines += [line of each declared name]
    mark: no prices are made; passport lines += [mark_line(symbol, line of SYMBOL.bars)]

It is no measurement. A fall of open interest is also profit taken and risk cut; on 2025-10-10 most of it was not forced. On BTC
from 2025-12 to 2026-03 (hourly, open interest and liquidations as one aggregator reports them) its correlation with these is 0.38
and its sum 1.6 times theirs; to subtract what volume explains in proportion to V itself, which seems as natural, leaves a
correlation of 0.1, since forced orders are volume. `BEYOND` was chosen on these months. [D: no source]
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from backtest.errors import MarketError
from backtest.market.certify import certify
from backtest.market.clock import interval_text
from backtest.market.read import Columns
from backtest.market.validate import count
from backtest.model.arrays import DAY, Float, Int64
from backtest.model.market import Bars, Feed
from backtest.model.passport import Origin, Series

__all__ = [
    "BEYOND",
    "WINDOW",
    "Liquidations",
    "derived_origin",
    "liquidation_feeds",
    "liquidations_from_open_interest",
    "mark_line",
    "open_interest_of",
]

BEYOND = 1.0  # robust deviations that a fall of open interest may have before the rest of it counts as forced
WINDOW = 30 * DAY  # history that says what volume explains
KNOWN = 0.5  # share of the window's bars that must have an open interest
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, eq=False)
class Liquidations:
    """Forced closes by bar, (n,) each, USD (quote units) that the bar's close makes known; NaN where not known."""

    long_usd: Float
    short_usd: Float


def liquidations_from_open_interest(bars: Bars, open_interest: Feed) -> Liquidations:
    """Return what of each bar's fall of open interest its volume does not explain (the formula is in the module's docstring).

    bars: of one symbol, volume in coins, NaN where it does not trade; open_interest: in coins (unit "coins"), or in USD (unit
    "usd"), then turned into coins at the bar's open and close. A value depends on nothing later than its bar's close.
    MarketError for another unit, and for open interest that comes more rarely than the bars.
    """
    check(bars, open_interest)
    before, after = known(bars, open_interest)
    change = after - before
    root = np.sqrt(bars.volume)
    traded = np.where(root > 0, root, np.nan)  # a bar without volume says nothing of what volume explains
    explained = usual_band(bars.time, change / traded) * root
    forced = np.minimum(np.maximum(-change - explained, 0.0), bars.volume)
    usd = forced * (bars.high + bars.low + bars.close) / 3
    of_longs = np.where(bars.close < bars.open, 1.0, np.where(bars.close > bars.open, 0.0, 0.5))
    return Liquidations(usd * of_longs, usd * (1 - of_longs))


def check(bars: Bars, open_interest: Feed) -> None:
    """Refuse open interest of an unknown unit, and one that is coarser than the bars."""
    if open_interest.unit not in ("coins", "usd"):
        raise MarketError(
            f'{open_interest.name} must say its unit to stand in for liquidations: unit = "coins" or "usd", '
            f"got {open_interest.unit!r}."
        )
    steps = np.diff(open_interest.known_at)
    usual = int(np.median(steps)) if steps.size else 0
    if usual > bars.interval:
        raise MarketError(
            f"{open_interest.name} comes every {interval_text(usual)}, too rarely for liquidations in bars of "
            f"{interval_text(bars.interval)}; use finer open interest, longer bars, or leave the proxy out."
        )


def known(bars: Bars, open_interest: Feed) -> tuple[Float, Float]:
    """Return the open interest in coins known at each bar's open and at its close; NaN where it is older than a bar."""
    values = []
    for at, price in ((bars.time, bars.open), (bars.known_at, bars.close)):
        last = np.searchsorted(open_interest.known_at, at, side="right") - 1
        age = at - open_interest.known_at[np.maximum(last, 0)] if open_interest.known_at.size else at
        fresh = (last >= 0) & (age < bars.interval)
        value = np.where(fresh, open_interest.at(at), np.nan)
        values.append(value / price if open_interest.unit == "usd" else value)
    return values[0], values[1]


def usual_band(time: Int64, x: Float) -> Float:
    """Return, for each bar, how far -x may rise by the usual noise: BEYOND * s - m of the 30 days before its UTC day.

    Never below zero; NaN where less than half of these bars are known, or the market starts inside them.
    """
    days, rows, sizes = np.unique(time // DAY, return_index=True, return_counts=True)
    begins = np.searchsorted(time, days * DAY - WINDOW)
    band = np.full(time.size, np.nan)
    for day, row, size, begin in zip(days, rows, sizes, begins, strict=True):
        past = x[begin:row]
        past = past[np.isfinite(past)]
        if int(time[0]) <= int(day) * DAY - WINDOW and past.size and past.size >= KNOWN * (row - begin):
            middle = float(np.median(past))
            spread = MAD_TO_SIGMA * float(np.median(np.abs(past - middle)))
            band[row : row + size] = max(0.0, BEYOND * spread - middle)
    return band


def open_interest_of(symbol: str, feeds: Mapping[str, Feed]) -> Feed | None:
    """Return a symbol's open interest, in coins where that is among the feeds ("SYMBOL.open_interest_coins"); None without any.

    Coins are better: open interest in USD also moves with the price, and is turned back by the bar's own.
    """
    return feeds.get(f"{symbol}.open_interest_coins") or feeds.get(f"{symbol}.open_interest")


def liquidation_feeds(
    symbol: str, bars: Bars, open_interest: Feed, made_of: Iterable[Series]
) -> dict[str, tuple[Feed | None, Series]]:
    """Return the two feeds that stand in for a symbol's liquidations, each with its passport line.

    made_of: the passport lines of the symbol's bars and of its open interest. Keys: "SYMBOL.long_liquidations" and
    "SYMBOL.short_liquidations"; values in USD, known at the bars' closes, left out where they are not known; where none is, the
    feed is None and its line says "missing".
    """
    made, origin = liquidations_from_open_interest(bars, open_interest), derived_origin(*(s.origin for s in made_of))
    feeds: dict[str, tuple[Feed | None, Series]] = {}
    for side, usd in (("long", made.long_usd), ("short", made.short_usd)):
        name, known_bars = f"{symbol}.{side}_liquidations", np.isfinite(usd)
        feed = Feed(name, bars.known_at[known_bars], usd[known_bars], "usd")
        columns = Columns(feed.known_at, {"value": feed.value}, open_interest.name)
        what = f"falls of {open_interest.name} beyond what volume explains stand in for liquidations"
        if not feed.value.size:
            why = f"it needs {WINDOW // DAY} days of bars with open interest before its first value"
            feeds[name] = (None, certify(name, "missing", columns, (f"{name} has 0 values in the span: {why}.",)))
            continue
        first = int(np.argmax(known_bars))
        holes = int(np.sum(~known_bars[first:] & np.isfinite(bars.close[first:])))
        told = f"{count(int(np.sum(feed.value > 0)), 'bar')} of {feed.value.size:,} have some"
        unknown = f"; {count(holes, 'bar')} after the first are not known" if holes else ""
        feeds[name] = (feed, certify(name, origin, columns, (f"{name} is a proxy: {what}; {told}{unknown}.",), holes))
    return feeds


def derived_origin(*lenders: Origin) -> Origin:
    """Return the origin of a series made out of others: a proxy where they are real, else no better than the worst of them."""
    worse: tuple[Origin, ...] = ("simulated", "missing", "assumed")
    return next((origin for origin in worse if origin in lenders), "proxy")


def mark_line(symbol: str, last: Series) -> Series:
    """Return the passport line of a mark that the last price stands in for; last: the line of the symbol's bars.

    No mark prices are made: `Market.mark` stays empty for the symbol, so that the engines fall back on the last price and count
    the bars for which they did ("mark_is_last").
    """
    name = f"{symbol}.mark"
    note = f"{name} is a proxy: the last price stands in for the mark ({count(last.rows, 'bar')})."
    return replace(last, name=name, origin=derived_origin(last.origin), source=last.name, findings=(note,), filled=0)
