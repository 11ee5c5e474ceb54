"""The world around: equities, volatility index, dollar and sentiment, one value a day with the time it became known."""

from collections.abc import Callable

import numpy as np

from backtest.market.scenario.parameters import Anchor, Scenario
from backtest.market.scenario.prices import Prices
from backtest.market.scenario.series import Clock, bridge, memory, rounded, stream
from backtest.model import Feed
from backtest.model.arrays import DAY, HOUR, Float, Int64

__all__ = ["exchange_days", "macro_feeds"]


def macro_feeds(scenario: Scenario, clock: Clock, prices: Prices, seed: int) -> dict[str, Feed]:
    """Return "sp500", "vix", "dollar" (exchange days, known at the close) and "sentiment" (every day, 0..100)."""
    p = scenario.parameters.macro
    known_at = exchange_days(clock, p.close_hour, p.holidays)
    leader = np.log(prices.close[(known_at - clock.start) // clock.interval - 1, 0])
    moves = np.diff(leader, prepend=leader[:1])
    shock = {name: stream(seed, name).standard_normal(known_at.size) for name in ("sp500", "vix", "dollar")}
    stocks = p.sp500_beta * moves + p.sp500_noise * shock["sp500"]
    fear = p.vix_beta * stocks + p.vix_noise * shock["vix"]
    currency = np.cumsum(p.dollar_noise * shock["dollar"])
    series = [
        Feed("sp500", known_at, rounded(through(np.cumsum(stocks), p.sp500, known_at), 2), "index"),
        Feed("vix", known_at, rounded(through(memory(fear, 0.85), p.vix, known_at), 2), "index"),
        Feed("dollar", known_at, rounded(through(currency, p.dollar, known_at), 2), "index"),
        sentiment(scenario, clock, prices, seed),
    ]
    return {feed.name: feed for feed in series}


def exchange_days(clock: Clock, close_hour: int, holidays: tuple[str, ...]) -> Int64:
    """Return the closes of the exchange inside the span, ns UTC: Monday to Friday, without the holidays."""
    end = clock.start + clock.n * clock.interval
    days = np.arange(clock.start // DAY, end // DAY + 1)
    closed = np.array([np.datetime64(day, "D").astype(np.int64) for day in holidays], dtype=np.int64)
    days = days[((days + 3) % 7 < 5) & ~np.isin(days, closed)]  # day 0, 1970-01-01, was a Thursday
    times = days * DAY + close_hour * HOUR
    return times[(times >= clock.start + clock.interval) & (times <= end)].astype(np.int64)


def through(path: Float, anchors: tuple[Anchor, ...], known_at: Int64) -> Float:
    """Return exp of a log path led through the anchors, each at the last value known at its moment."""
    return np.exp(led(path, anchors, known_at, np.log))


def led(path: Float, anchors: tuple[Anchor, ...], known_at: Int64, scale: Callable[[Float], Float]) -> Float:
    """Return the path led through the anchors, whose values are first put on the path's scale."""
    moments = np.array([round(a.at.timestamp()) for a in anchors], dtype=np.int64) * 1_000_000_000
    days = np.maximum(np.searchsorted(known_at, moments, side="right") - 1, 0)
    return bridge(path, days.tolist(), scale(np.array([a.value for a in anchors])).tolist())


def sentiment(scenario: Scenario, clock: Clock, prices: Prices, seed: int) -> Feed:
    """Return fear and greed, 1 to 99, known at midnight: the price against its last 30 days, and noise."""
    p = scenario.parameters.macro
    day = round(DAY / clock.interval)
    close = prices.close[day - 1 :: day, 0]
    known_at = clock.known_at[day - 1 :: day]
    sums = np.cumsum(np.concatenate(([0.0], np.log(close))))
    index = np.arange(close.size)
    first = np.maximum(index - 29, 0)
    mean = (sums[index + 1] - sums[first]) / (index + 1 - first)
    noise = p.sentiment_noise * memory(stream(seed, "sentiment").standard_normal(close.size), 0.7)
    mood = p.sentiment_trend * (np.log(close) - mean) + noise
    path = led(mood, p.sentiment, known_at, lambda value: np.log(value / (100.0 - value)))
    return Feed("sentiment", known_at, np.clip(rounded(100.0 / (1.0 + np.exp(-path)), 0), 1.0, 99.0), "index")
