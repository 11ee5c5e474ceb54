"""Markets and runs for the tests of the HTML report: long ones, and those in which something is missing.

`python tests/report_made.py FOLDER` writes a report of each kind into a folder, to be looked at.
"""

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from backtest import Market, Passport, Plan, RunConfig, load_market, load_venue, run
from backtest.analysis.assess import assess
from backtest.analysis.chart_data import watched_levels
from backtest.engines import get_engine
from backtest.levels import fixed
from backtest.model import Feed, Funding, Series
from backtest.report.html import view_of, write_report

HOUR = 3_600_000_000_000
START = 1_514_764_800_000_000_000  # 2018-01-01T00:00Z
HOSTILE = "<img src=x onerror=alert(1)>"
QUOTED = "BTC\"USDT'</script><b>"


@cache
def long_market(bars=70_000, symbols=("BTCUSDT",), seed=5):
    """Return an hourly market that wanders between about 5,000 and 120,000, with every feed that a chart draws."""
    rng = np.random.default_rng(seed)
    shape = (bars, len(symbols))
    log = np.zeros(shape)
    for i, step in enumerate(rng.normal(0, 0.006, shape)[1:], start=1):
        log[i] = 0.9998 * log[i - 1] + step  # pulled back to its middle
    close = np.round(30_000 * np.exp(log), 1)
    before = np.vstack((close[:1], close[:-1]))
    wick = np.round(before * np.abs(rng.normal(0, 0.003, (2, *shape))), 1)
    high, low = np.maximum(before, close) + wick[0], np.minimum(before, close) - wick[1]
    time = START + HOUR * np.arange(bars)
    stamps = np.arange(0, bars, 8)
    count = stamps.size * len(symbols)
    funding = Funding(
        np.repeat(time[stamps], len(symbols)),
        np.tile(np.arange(len(symbols)), stamps.size),
        np.round(rng.normal(1e-4, 1e-4, count), 8),
        np.full(count, np.nan),
    )
    feeds = {}
    for j, symbol in enumerate(symbols):
        columns = {
            "open_interest": 1e10 * close[:, j] / 30_000,
            "long_liquidations": rng.exponential(1e5, bars),
            "short_liquidations": rng.exponential(1e5, bars),
        }
        for name, values in columns.items():
            feeds[f"{symbol}.{name}"] = Feed(f"{symbol}.{name}", time + HOUR, values, "usd")
    passport = Passport(tuple(Series(f"{s}.bars", "simulated", "drawn at random", rows=bars) for s in symbols))
    volume = np.round(rng.exponential(5_000, shape), 3)
    return Market(time, HOUR, symbols, before, high, low, close, volume, funding, passport, feeds=feeds, name="long")


def long_view(trades=600, market=None, strategy="long_walk", cash=1e6):
    """Return a run of so many trades, evenly over the market, long and short in turn, with five levels watched."""
    market = long_market() if market is None else market
    symbol, n = market.symbols[0], len(market)
    at = np.linspace(50, n - 60, trades).astype(np.int64)
    plan = Plan.long(symbol, at=at[::2], exposure=0.5, stop_fraction=0.03, max_bars=40)
    if trades > 1:
        plan = plan + Plan.short(symbol, at=at[1::2], exposure=0.5, stop_fraction=0.03, max_bars=40)
    return done(
        market, plan, strategy, {symbol: fixed(np.nanquantile(market[symbol].close, (0.15, 0.3, 0.5, 0.7, 0.85)))}, cash
    )


def done(market, plan, strategy="made", levels=None, cash=10_000.0, **account):
    """Return the view of a plan that was run on a market."""
    result = get_engine("fast")(market, plan, load_venue("binance-usdm", cash=cash, **account))
    config = RunConfig(strategy, market.name, (("buffer", 0.003),), engine="fast")
    return view_of(replace(result, config=config, market_name=market.name), levels=levels or {})


@cache
def embedded():
    return load_market("deleveraging-2026")


@cache
def embedded_result(strategy="support_break"):
    return run(strategy)


@cache
def embedded_view(strategy="support_break"):
    return view_of(embedded_result(strategy))


def assessed_view(strategy="support_break"):
    """Return a run of the embedded market with all that can be said of it."""
    result, market = embedded_result(strategy), embedded()
    levels = watched_levels(None, market, result.config)
    return view_of(result, assessment=assess(result, market, levels), levels=levels)


FIVE = ("support_break", "support_bounce", "buy_and_hold", "donchian_break", "rsi_rebound")


# --- runs in which something is missing -------------------------------------------------------------------------


def small_market(bars=200, **changes):
    return replace(long_market(bars, ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT"), seed=9), **changes)


def no_trade():
    market = small_market()
    return done(market, Plan.long("BTCUSDT", at=np.empty(0, np.int64), exposure=1.0)), market


def one_trade():
    market = small_market()
    return done(market, Plan.long("BTCUSDT", at=[20], exposure=0.5, max_bars=30)), market


def ruined_at_once():
    """A long of 1.9 times the account, decided before the first scored bar, which falls by more than half."""
    from markets_made import HOUR, START, candles

    rows = [(100, 100, 100, 100), (100, 100, 40, 45), (45, 46, 44, 45), (45, 46, 44, 45)]
    market = candles(rows, trade_from=START + HOUR)
    return done(market, Plan.long("BTCUSDT", at=[0], exposure=1.9), cash=1_000.0, leverage=20), market


def all_nan_feeds():
    market = small_market()
    feeds = {name: replace(feed, value=np.full(feed.value.size, np.nan)) for name, feed in market.feeds.items()}
    market = replace(market, feeds=feeds, funding=Funding.empty(frozenset(market.symbols)))
    return done(market, Plan.long("BTCUSDT", at=[20, 90], exposure=0.5, max_bars=30)), market


def one_never_traded():
    market = small_market()
    plan = Plan.long("BTCUSDT", at=[20], exposure=0.5, max_bars=30)
    for symbol in ("ETHUSDT", "SOLUSDT", "XRPUSDT"):
        plan = plan + Plan.long(symbol, at=[40], exposure=0.2, max_bars=30)
    return done(market, plan, cash=1e7), market


def without_prices():
    """The symbol that is never traded has no price in any bar, and another one only in the second half."""
    view, market = one_never_traded()
    late, none = np.arange(len(market))[:, None] < 100, np.array([False, False, False, False, True])
    gone = none | (late & np.array([False, False, False, True, False]))
    prices = {
        name: np.where(gone, np.nan, getattr(market, name)) for name in ("open", "high", "low", "close", "volume")
    }
    return view, replace(market, **prices)


def one_bar():
    from markets_made import HOUR, START, candles

    market = candles([(100, 100, 100, 100), (100, 101, 99, 100)], trade_from=START + HOUR)
    return done(market, Plan.long("BTCUSDT", at=[0], exposure=0.5)), market


def hostile():
    """A strategy and a symbol whose names are markup."""
    market = long_market(200, (QUOTED, "ETHUSDT"), seed=3)
    market = replace(market, name="<script>alert(2)</script>")
    plan = Plan.long(QUOTED, at=[20], exposure=0.5, max_bars=30)
    return done(market, plan, HOSTILE, {QUOTED: fixed((float(np.median(market[QUOTED].close)),))}), market


EDGES = {
    f.__name__: f
    for f in (no_trade, one_trade, ruined_at_once, all_nan_feeds, one_never_traded, without_prices, one_bar, hostile)
}


def five_long():
    return [long_view(120 + 40 * k, long_market(seed=5 + k), f"walk_{k}") for k in range(5)]


def write_all(folder):
    """Write a report of each kind and return its path and size."""
    made = {
        "run": ([embedded_view()], embedded()),
        "assessed": ([assessed_view()], embedded()),
        "compare": ([embedded_view(name) for name in FIVE], None),
        "long": ([long_view()], long_market()),
        "long_compare": (five_long(), None),
        **{name: (lambda pair: ([pair[0]], pair[1]))(make()) for name, make in EDGES.items()},
    }
    return {
        Path(folder, f"{name}.html"): len(write_report(Path(folder, f"{name}.html"), *pair))
        for name, pair in made.items()
    }


if __name__ == "__main__":
    for path, size in write_all(sys.argv[1]).items():
        print(f"{size / 1e6:6.2f} MB  {path}")
