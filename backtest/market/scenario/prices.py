"""Prices: the leading symbol on its way through anchors and breaks, the others by their betas; then bars and marks.

All paths are logarithms at the points of the clock, (n + 1,); see `Clock`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtest.errors import MarketError
from backtest.market.scenario.parameters import Anchor, Break, Scenario, Selling, SymbolParameters, Volatility
from backtest.market.scenario.series import Clock, bridge, interpolate, kernel, memory, rounded, since, stream
from backtest.model import Mark
from backtest.model.arrays import HOUR, Float

__all__ = ["Prices", "bursts", "draw_prices", "mark_prices"]

PUSH_LIFE = 18.0  # a push is over after so many times its `push_hours`
SPREAD_LIMIT = 2.0  # an anchor moves by at most so many times its spread
BUSY_HOUR = 15  # UTC; Europe and America trade together


@dataclass(frozen=True, eq=False)
class Prices:
    """Bars of all symbols, (n, m) each, and what the other series are made from.

    selling: each forced selling with the bar in which it starts; for a break, the first that closes below its level.
    """

    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float
    selling: tuple[tuple[Selling, int], ...]


def draw_prices(scenario: Scenario, clock: Clock, seed: int) -> Prices:
    """Return the bars of every symbol, on their ticks, and the bars of the breaks."""
    sigma, shocks = clustered(scenario.parameters.volatility, clock, stream(seed, "volatility"))
    late = delays(scenario, clock, seed)
    leader = leading_path(scenario, clock, sigma * shocks, late, seed)
    names = list(scenario.symbols)
    others = [following_path(scenario, name, leader, sigma, clock, seed) for name in names[1:]]
    paths = dict(zip(names, [leader, *others], strict=True))
    points = [rounded(np.exp(path), scenario.symbols[name].decimals) for name, path in paths.items()]
    selling = starts(scenario, clock, points[0], late)
    burst = bursts(selling, clock, "volume")
    bars = [draw_bars(scenario, clock, name, points[j], sigma, burst, seed) for j, name in enumerate(names)]
    open_, high, low, close, volume = (np.column_stack(column) for column in zip(*bars, strict=True))
    return Prices(open_, high, low, close, volume, selling)


def clustered(v: Volatility, clock: Clock, random: np.random.Generator) -> tuple[Float, Float]:
    """Return (n,) standard deviations that cluster and (n,) unit shocks: GJR-GARCH(1,1)-t around the level of the date.

    h_t = w + (reaction + asymmetry*[z < 0])*h*z^2 + persistence*h, with w so that h is 1 on average.
    Glosten, Jagannathan and Runkle (1993).
    """
    shocks = student(v, clock.n, random)
    w = 1.0 - v.reaction - v.asymmetry / 2 - v.persistence
    h, variances = 1.0, []
    for z in shocks.tolist():
        variances.append(h)
        h = min(v.ceiling, w + (v.reaction + (v.asymmetry if z < 0 else 0.0)) * h * z * z + v.persistence * h)
    level = interpolate(clock.n, [clock.point(a.at) for a in v.level], [a.value for a in v.level])
    return level * np.sqrt(np.array(variances) * (clock.interval / HOUR)), shocks


def student(v: Volatility, size: int, random: np.random.Generator) -> Float:
    """Return (size,) Student-t shocks of unit variance, cut at the limit."""
    shocks: Float = random.standard_t(v.degrees, size) * math.sqrt((v.degrees - 2) / v.degrees)
    return np.clip(shocks, -v.shock_limit, v.shock_limit)


def delays(scenario: Scenario, clock: Clock, seed: int) -> dict[Selling, int]:
    """Return by how many bars each forced selling comes earlier (negative) or later than its date."""
    random = stream(seed, "delays")
    events = [*scenario.parameters.breaks, *scenario.parameters.flushes]
    return {e: clock.bars(int(random.integers(-e.jitter_hours, e.jitter_hours, endpoint=True))) for e in events}


def leading_path(scenario: Scenario, clock: Clock, returns: Float, late: dict[Selling, int], seed: int) -> Float:
    """Return the leading symbol's path: noise bridged through anchors, pushes, levels defended until they break."""
    p = scenario.parameters
    lifts = {event: clock.point(event.defended_until) + late[event] for event in p.breaks}
    points, prices = waypoints(scenario, clock, lifts, seed)
    path = bridge(np.concatenate(([0.0], np.cumsum(returns))), points, np.log(prices))
    for flush in p.flushes:
        path -= pushed(flush, clock, clock.point(flush.at) + late[flush])
    for event, lift in lifts.items():
        level = math.log(scenario.target(event.level))
        path[: lift + 1] = defended(path[: lift + 1], level + p.defence)
        path -= pushed(event, clock, first_below(path, level, event.level))
    day = points.index(clock.n - clock.bars(24))
    return bridge(path, points[day - 1 :], [path[points[day - 1]], *np.log(prices[day:])])


def pushed(selling: Selling, clock: Clock, point: int) -> Float:
    """Return (n + 1,) by how much forced selling from the point on presses the log price."""
    hours = selling.push_hours
    return selling.push * kernel(since(clock.n + 1, point), clock.bars(hours), clock.bars(PUSH_LIFE * hours))


def waypoints(scenario: Scenario, clock: Clock, lifts: dict[Break, int], seed: int) -> tuple[list[int], Float]:
    """Return the points that the leading path passes and the prices there, in time; two at one point are an error."""
    p = scenario.parameters
    leader = next(iter(scenario.symbols))
    marks = anchored(p.path, clock, stream(seed, "path")) + facts_of(scenario, clock, leader)
    for event, lift in lifts.items():
        level = scenario.target(event.level)
        marks += [(lift + clock.bars(hours), level * multiple) for hours, multiple in event.legs]
    return ordered(marks, leader)


def anchored(anchors: tuple[Anchor, ...], clock: Clock, random: np.random.Generator) -> list[tuple[int, float]]:
    """Return (point, price) of anchors, each moved by its spread."""
    moves = np.clip(random.standard_normal(len(anchors)), -SPREAD_LIMIT, SPREAD_LIMIT).tolist()
    return [(clock.point(a.at), a.value * math.exp(a.spread * move)) for a, move in zip(anchors, moves, strict=True)]


def facts_of(scenario: Scenario, clock: Clock, symbol: str) -> list[tuple[int, float]]:
    """Return (point, price) of the last close and of the one 24 hours earlier, which the published return gives."""
    last = scenario.target(f"close.{symbol}")
    before = last / (1.0 + scenario.target(f"return_24h.{symbol}"))
    return [(clock.n - clock.bars(24), before), (clock.n, last)]


def ordered(marks: list[tuple[int, float]], name: str) -> tuple[list[int], Float]:
    """Return the points and the values in time; two values at one point are an error."""
    marks = sorted(marks)
    points = [point for point, _ in marks]
    if len(set(points)) < len(points):
        raise MarketError(f"Two anchors of {name} fall on one bar; move one of them, or lower `jitter_hours`.")
    return points, np.array([value for _, value in marks])


def defended(path: Float, floor: float) -> Float:
    """Return the path mirrored at the floor: sellers who would push it below meet buyers of the same size."""
    return floor + np.abs(path - floor)


def first_below(path: Float, level: float, name: str) -> int:
    """Return the first point below the level; none is an error."""
    below = np.flatnonzero(path < level)
    if not below.size:
        raise MarketError(f"The path of the scenario never falls below {name}; one of the `legs` must lie below it.")
    return int(below[0])


def starts(
    scenario: Scenario, clock: Clock, points: Float, late: dict[Selling, int]
) -> tuple[tuple[Selling, int], ...]:
    """Return each forced selling with the bar in which it starts; points: (n + 1,) the leader's prices."""
    p = scenario.parameters
    breaks = [(event, first_below(points[1:], scenario.target(event.level), event.level)) for event in p.breaks]
    return (*breaks, *((flush, clock.point(flush.at) + late[flush]) for flush in p.flushes))


def following_path(scenario: Scenario, name: str, leader: Float, sigma: Float, clock: Clock, seed: int) -> Float:
    """Return the path of a symbol that follows the leader by its betas, with noise and anchors of its own."""
    s = scenario.symbols[name]
    random = stream(seed, f"{name}.returns")
    own = s.own_noise * sigma * student(scenario.parameters.volatility, clock.n, random)
    r = np.diff(leader)
    path = np.concatenate(([0.0], np.cumsum(s.beta * r + s.downside * np.minimum(r, 0.0) + own)))
    points, prices = ordered(anchored(s.path, clock, random) + facts_of(scenario, clock, name), name)
    return bridge(path, points, np.log(prices))


def bursts(selling: tuple[tuple[Selling, int], ...], clock: Clock, what: Literal["volume", "liquidations"]) -> Float:
    """Return (n,) by how much forced selling multiplies a series: the multiple at its start, decaying to 1."""
    multiple = np.ones(clock.n)
    for event, bar in selling:
        height = event.volume if what == "volume" else event.liquidations
        multiple += (height - 1.0) * np.exp(-since(clock.n, bar) / clock.bars(event.burst_hours))
    return multiple


def draw_bars(
    scenario: Scenario, clock: Clock, name: str, points: Float, sigma: Float, burst: Float, seed: int
) -> tuple[Float, Float, Float, Float, Float]:
    """Return open, high, low, close, volume, (n,) each, of one symbol whose prices at the points are given.

    The extremes are those of a Brownian bridge from open to close: (x + sqrt(x^2 + 2 s^2 E))/2 above the open, with x
    the bar's return and E exponential; likewise below.
    """
    s, random = scenario.symbols[name], stream(seed, f"{name}.bars")
    close = points[1:]
    gap = np.rint(random.standard_normal(clock.n)) * (random.random(clock.n) < 0.2)
    open_ = rounded(points[:-1] + gap * 10.0**-s.decimals, s.decimals)
    spread = sigma * math.hypot(s.beta + s.downside / 2, s.own_noise)
    up, down = random.standard_exponential((2, clock.n))
    x = np.log(close / open_)
    high = rounded(open_ * np.exp((x + np.sqrt(x * x + 2 * spread * spread * up)) / 2), s.decimals)
    low = rounded(open_ * np.exp((x - np.sqrt(x * x + 2 * spread * spread * down * np.sqrt(burst))) / 2), s.decimals)
    high, low = np.maximum(high, np.maximum(open_, close)), np.minimum(low, np.minimum(open_, close))
    volume = traded(scenario, clock, s, np.log(high / low), burst, random)
    return open_, high, low, close, np.maximum(rounded(volume / close, s.size_decimals), 10.0**-s.size_decimals)


def traded(
    scenario: Scenario, clock: Clock, s: SymbolParameters, width: Float, burst: Float, random: np.random.Generator
) -> Float:
    """Return (n,) volume in quote units: it grows with the bar's range, the hour of the day, and after a break."""
    p = scenario.parameters
    hour = (clock.time // HOUR) % 24
    day = 1.0 + p.day_swing * np.cos((hour - BUSY_HOUR) * (2 * math.pi / 24))
    usual = float(np.median(width))
    noise = p.volume_noise * memory(random.standard_normal(clock.n), 0.9)
    turnover: Float = s.volume * day * burst * np.exp(noise) * (width / usual) ** p.volume_power
    return turnover


def mark_prices(scenario: Scenario, clock: Clock, prices: Prices, seed: int) -> Mark:
    """Return mark prices: close to the last price, opening where they closed, with a part of each wick."""
    p = scenario.parameters.leverage
    columns = []
    for j, (name, s) in enumerate(scenario.symbols.items()):
        noise = p.mark_noise * memory(stream(seed, f"{name}.mark").standard_normal(clock.n), 0.8)
        close = rounded(prices.close[:, j] * np.exp(noise), s.decimals)
        open_ = np.concatenate((prices.open[:1, j], close[:-1]))
        top, bottom = np.maximum(open_, close), np.minimum(open_, close)
        high = rounded(top + p.mark_wick * np.maximum(prices.high[:, j] - top, 0.0), s.decimals)
        low = rounded(bottom - p.mark_wick * np.maximum(bottom - prices.low[:, j], 0.0), s.decimals)
        columns.append((open_, high, low, close))
    return Mark(*(np.column_stack(column) for column in zip(*columns, strict=True)))
