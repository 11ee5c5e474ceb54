"""Leverage: open interest, liquidations, account ratio and basis at each bar's close, and funding stamps."""

import math

import numpy as np

from backtest.market.scenario.parameters import Scenario
from backtest.market.scenario.prices import Prices, bursts
from backtest.market.scenario.series import Clock, bridge, interpolate, memory, rounded, since, stream, total
from backtest.model import Feed, Funding, Mark
from backtest.model.arrays import Float

__all__ = ["draw_funding", "leverage_feeds", "liquidations", "open_interest"]

DAY, WEEK, MONTH = 24, 7 * 24, 30 * 24  # hours


def leverage_feeds(scenario: Scenario, clock: Clock, prices: Prices, seed: int) -> dict[str, Feed]:
    """Return the hourly feeds of all symbols, "SYMBOL.name", and the global "open_interest" (USD)."""
    names, known_at = list(scenario.symbols), clock.known_at
    coins, usd = open_interest(scenario, clock, prices, seed)
    longs, shorts = liquidations(scenario, clock, prices, usd, seed)
    feeds = []
    for j, name in enumerate(names):
        feeds += [
            Feed(f"{name}.open_interest", known_at, usd[:, j], "usd"),
            Feed(f"{name}.open_interest_coins", known_at, coins[:, j], "coins"),
            Feed(f"{name}.long_liquidations", known_at, longs[:, j], "usd"),
            Feed(f"{name}.short_liquidations", known_at, shorts[:, j], "usd"),
            Feed(f"{name}.long_short_ratio", known_at, account_ratio(scenario, clock, prices, j, seed), "ratio"),
        ]
    feeds.append(Feed("open_interest", known_at, np.cumsum(usd, axis=1)[:, -1], "usd"))
    feeds.append(Feed(f"{names[0]}.basis", known_at, basis(scenario, clock, seed), "ratio"))
    return {feed.name: feed for feed in feeds}


def open_interest(scenario: Scenario, clock: Clock, prices: Prices, seed: int) -> tuple[Float, Float]:
    """Return open interest in coins and in USD, (n, m) each; coins grow with the trend and fall at the breaks."""
    p = scenario.parameters.leverage
    points, totals = open_interest_targets(scenario, clock)
    closed = np.zeros(clock.n)
    for event, bar in prices.selling:
        left = np.exp(-(since(clock.n, bar) + 1) / clock.bars(event.burst_hours))
        closed[bar:] += event.open_interest * (1.0 - left[bar:])
    coins = np.empty_like(prices.close)
    late = clock.n - clock.bars(DAY)
    for j, (name, s) in enumerate(scenario.symbols.items()):
        close = prices.close[:, j]
        noise = np.cumsum(stream(seed, f"{name}.open_interest").standard_normal(clock.n))
        path = p.open_interest_noise * noise + p.open_interest_trend * np.log(close) - closed
        shares = [s.open_interest_share_end if point >= late else s.open_interest_share for point in points]
        bars = [max(point - 1, 0) for point in points]
        goal = [math.log(share * usd / close[bar]) for share, usd, bar in zip(shares, totals, bars, strict=True)]
        coins[:, j] = rounded(np.exp(bridge(path, bars, goal)), s.size_decimals)
    return coins, rounded(coins * prices.close, 0)


def open_interest_targets(scenario: Scenario, clock: Clock) -> tuple[list[int], list[float]]:
    """Return the points and the total open interest there, USD: dated, and 30, 1 and 0 days before the end."""
    last = scenario.target("open_interest")
    month = last / (1.0 + scenario.target("open_interest_change_30d"))
    day = last / (1.0 + scenario.target("open_interest_change_24h"))
    dated = [(clock.point(a.at), a.value) for a in scenario.parameters.leverage.open_interest]
    looked_back = [(clock.n - clock.bars(MONTH), month), (clock.n - clock.bars(DAY), day), (clock.n, last)]
    marks = sorted(dated + looked_back)
    return [point for point, _ in marks], [usd for _, usd in marks]


def liquidations(scenario: Scenario, clock: Clock, prices: Prices, usd: Float, seed: int) -> tuple[Float, Float]:
    """Return forced closes of longs and of shorts, (n, m) USD per bar, in whole dollars.

    Raw longs: open interest * (fall inside the bar / beta)^power * noise, multiplied after a break; what moves more
    is held with less leverage. They are then scaled, with one factor for each window that the facts name (last day,
    week, month), so that the sums are the published ones.
    """
    p = scenario.parameters.leverage
    burst = bursts(prices.selling, clock, "liquidations")
    fall, rise = np.log(prices.open / prices.low), np.log(prices.high / prices.open)
    sides = []
    for what, move, more in (("long", fall, burst), ("short", rise, np.sqrt(burst))):
        raw = np.empty_like(usd)
        for j, (name, s) in enumerate(scenario.symbols.items()):
            noise = np.exp(p.liquidation_noise * stream(seed, f"{name}.{what}_liquidations").standard_normal(clock.n))
            raw[:, j] = p.liquidation_scale * usd[:, j] * (move[:, j] / s.beta) ** p.liquidation_power * noise * more
        sides.append(raw)
    return scaled_longs(scenario, clock, sides[0]), rounded(p.short_share * sides[1], 0)


def scaled_longs(scenario: Scenario, clock: Clock, raw: Float) -> Float:
    """Return the raw liquidations scaled to the published sums of the last day, week and month, in whole dollars."""
    leader = next(iter(scenario.symbols))
    day, week, month = (clock.n - clock.bars(hours) for hours in (DAY, WEEK, MONTH))
    mine = scenario.target(f"long_liquidations_24h.{leader}")
    sums = [scenario.target(f"long_liquidations_{span}") for span in ("24h", "7d", "30d")]
    out = rounded(raw, 0)
    out[day:, :1] = scaled(raw[day:, :1], mine)
    out[day:, 1:] = scaled(raw[day:, 1:], sums[0] - mine)
    out[week:day] = scaled(raw[week:day], sums[1] - sums[0])
    out[month:week] = scaled(raw[month:week], sums[2] - sums[1])
    return out


def scaled(raw: Float, goal: float) -> Float:
    """Return the values in whole dollars that add up to the goal; what rounding leaves goes to the largest.

    >>> scaled(np.array([[1.0, 2.0]]), 100.0)
    array([[33., 67.]])
    """
    if not raw.size:
        return raw
    flat = np.floor(raw.ravel() * (goal / total(raw.ravel())))
    flat[int(np.argmax(flat))] += goal - total(flat)
    return flat.reshape(raw.shape)


def draw_funding(scenario: Scenario, clock: Clock, prices: Prices, mark: Mark, seed: int) -> Funding:
    """Return the funding stamps of all symbols from the first bar's open on, settled at the mark of their bar's open.

    rate = scale*(level of the date + trend*(log return of the 24 h before) + noise), inside +-limit.
    """
    p = scenario.parameters.leverage
    step = clock.bars(p.funding_hours)
    bars = np.arange(0, clock.n, step)
    level = interpolate(clock.n, [clock.point(a.at) for a in p.funding], [a.value for a in p.funding])[bars]
    columns = []
    for j, (name, s) in enumerate(scenario.symbols.items()):
        before = np.log(prices.open[bars, j] / prices.open[np.maximum(bars - clock.bars(DAY), 0), j])
        noise = p.funding_noise * memory(stream(seed, f"{name}.funding").standard_normal(bars.size), 0.6)
        rate = s.funding_scale * (level + p.funding_trend * before + noise)
        columns.append(rounded(np.clip(rate, -p.funding_limit, p.funding_limit), 8))
    m = len(columns)
    return Funding(
        time=np.repeat(clock.time[bars], m),
        symbol=np.tile(np.arange(m, dtype=np.int32), bars.size),
        rate=np.column_stack(columns).ravel(),
        mark=mark.open[bars].ravel(),
    )


def account_ratio(scenario: Scenario, clock: Clock, prices: Prices, j: int, seed: int) -> Float:
    """Return (n,) accounts that are long per account that is short: small accounts buy what has fallen."""
    p = scenario.parameters.leverage
    name, s = list(scenario.symbols.items())[j]
    log_close = np.log(prices.close[:, j])
    week = log_close - log_close[np.maximum(np.arange(clock.n) - clock.bars(WEEK), 0)]
    noise = p.ratio_noise * memory(stream(seed, f"{name}.long_short_ratio").standard_normal(clock.n), 0.98)
    return rounded(s.account_ratio * np.exp(noise - p.ratio_trend * week), 4)


def basis(scenario: Scenario, clock: Clock, seed: int) -> Float:
    """Return (n,) mark/index - 1 of the leading symbol: the level of funding and noise."""
    p = scenario.parameters.leverage
    level = interpolate(clock.n, [clock.point(a.at) for a in p.funding], [a.value for a in p.funding])
    return rounded(2.0 * level + p.basis_noise * memory(stream(seed, "basis").standard_normal(clock.n), 0.9), 6)
