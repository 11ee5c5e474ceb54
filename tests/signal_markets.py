"""Markets with feeds, made by hand or drawn at random, for the tests of signals."""

from collections.abc import Mapping, Sequence

import numpy as np

from backtest import Market, Passport
from backtest.model import Feed, Funding
from backtest.model.market import Mark

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
START = 1_770_076_800_000_000_000  # 2026-02-03T00:00Z, a Tuesday
COINS = ("BTCUSDT", "ETHUSDT")
BIG = 100.0


def days(n: int, feeds: Mapping[str, tuple[str, Sequence[float]]] | None = None, price: Sequence[float] = ()) -> Market:
    """Return n daily bars of BTC at 100 (or at `price`), and feeds (unit, values) known at the closes from the first on."""
    close = np.array(price or [100.0] * n, np.float64)
    time = START + DAY * np.arange(n)
    known = {k: Feed(k, time[: len(v)] + DAY, np.array(v, np.float64), unit) for k, (unit, v) in (feeds or {}).items()}
    none = Funding.empty(none=frozenset(["BTCUSDT"]))
    return Market(time, DAY, ("BTCUSDT",), close, close, close, close, np.ones(n), none, Passport(()), feeds=known)


def stamped(n: int, hours: Sequence[float], rates: Sequence[float]) -> Market:
    """Return n hourly bars of BTC at 100 with funding stamps, hours after the first bar's open."""
    time, flat = START + HOUR * np.arange(n), np.full(n, 100.0)
    moments = START + np.array([round(h * HOUR) for h in hours], np.int64)
    funding = Funding(moments, np.zeros(len(hours), np.int32), np.array(rates), np.full(len(hours), np.nan))
    return Market(time, HOUR, ("BTCUSDT",), flat, flat, flat, flat, np.ones(n), funding, Passport(()))


def drawn(seed: int, n: int = 320, step: int = 8 * HOUR) -> Market:
    """Return a random market of two coins: walks, halts, funding at changing intervals, every feed with holes in it."""
    chance = np.random.default_rng(seed)
    time = START + step * np.arange(n)
    moves = 0.02 * chance.standard_t(4, (n, 2))
    moves[:, 1] += moves[:, 0]
    close = 100 * np.exp(np.cumsum(moves, axis=0))
    opened = np.vstack((close[:1], close[:-1]))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    prices = [opened, high, low, close]
    for column in prices:
        column[chance.integers(0, n, 4), 1] = np.nan
    halted = np.isnan(np.sum(prices, axis=0))
    for column in prices:
        column[halted] = np.nan
    feeds = own_feeds(chance, time, step) | world(chance, time, step)
    mark = Mark(*prices)
    return Market(
        time,
        step,
        COINS,
        *prices,
        chance.uniform(0, 9, (n, 2)),
        stamps(chance, time, step),
        Passport(()),
        mark=mark,
        feeds=feeds,
    )


def own_feeds(chance: np.random.Generator, time: np.ndarray, step: int) -> dict[str, Feed]:
    units = {
        "open_interest": "usd", "open_interest_coins": "coins", "long_liquidations": "usd", "short_liquidations": "coins",
        "long_short_ratio": "ratio", "top_trader_ratio": "ratio", "taker_ratio": "ratio", "index": "usd", "market_cap": "usd",
        "exchange_reserve": "coins", "realised_price": "usd",
    }  # fmt: skip
    made = {}
    for name, unit in units.items():
        for coin in COINS:
            kept = chance.random(time.size) > 0.01
            values = 100 * np.exp(np.cumsum(0.03 * chance.standard_normal(time.size)))
            late = int(chance.integers(0, step))  # known some time after the close
            made[f"{coin}.{name}"] = Feed(f"{coin}.{name}", time[kept] + step + late, values[kept], unit)
    return made


def world(chance: np.random.Generator, time: np.ndarray, step: int) -> dict[str, Feed]:
    known = np.arange(time[0], time[-1] + step, DAY) + 21 * HOUR
    known = known[(known // DAY + 3) % 7 < 5]
    levels = {"sp500": 5000.0, "vix": 20.0, "dollar": 100.0, "sentiment": 50.0}
    return {
        name: Feed(name, known, level * np.exp(np.cumsum(0.02 * chance.standard_normal(known.size))), "index")
        for name, level in levels.items()
    }


def stamps(chance: np.random.Generator, time: np.ndarray, step: int) -> Funding:
    gaps = chance.choice([1, 4, 8, 8, 8, 8], 2 * time.size) * HOUR
    gaps[chance.integers(1, gaps.size, 1)] = 30 * HOUR  # never before the first stamp, which says that there is funding
    moments = time[0] + np.cumsum(gaps)
    moments = moments[moments <= time[-1] + step]
    symbol = np.tile(np.arange(2, dtype=np.int32), moments.size)
    rates = 1e-4 * chance.standard_normal(2 * moments.size)
    return Funding(np.repeat(moments, 2), symbol, rates, np.full(rates.size, np.nan))
