"""Random cases of long quiet stretches: hundreds of bars, few rows, funding every few bars; most bars change nothing."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from cases import COLUMNS, MINUTE, NAN, START, Case, build, chance, random_venue

from backtest.model import Funding, Market, Plan, Venue

ENTER, EXIT, AMEND, RESIZE = range(4)


def quiet_case(seed: int) -> Case:
    """Return a market, a plan and a venue drawn from the seed."""
    rng = np.random.default_rng((seed, 2))
    market = quiet_market(rng)
    venue = random_venue(rng, market, "best" if chance(rng, 0.25) else "worst")
    if not math.isinf(venue.leverage):
        venue = replace(venue, leverage=float(rng.choice([1.0, 3.0, 10.0, 50.0])))
    return market, quiet_plan(rng, market, venue), venue


# ---------------------------------------- market


def quiet_market(rng: np.random.Generator) -> Market:
    n, m = int(rng.integers(200, 601)), int(rng.choice([1, 1, 1, 2]))
    interval = int(rng.choice([15, 60, 240])) * MINUTE
    steps = np.ones(n, np.int64)
    if chance(rng, 0.25):
        steps[rng.random(n) < 0.01] += rng.integers(1, 30)
    time = START + interval * (np.cumsum(steps) - 1)
    columns = [quiet_prices(rng, n) for _ in range(m)]
    prices = [np.stack([c[k] for c in columns], axis=1) for k in range(4)]
    mark = quiet_mark(rng, prices) if chance(rng, 0.5) else None
    if chance(rng, 0.15):
        begin = int(rng.integers(0, n - 30))
        end = begin + int(rng.integers(1, 20))
        for values in prices:
            values[begin:end, 0] = NAN
    trade_from = int(time[int(rng.integers(1, 40))]) if chance(rng, 0.2) else None
    names = ("AAA", "BBB")[:m]
    return build(time, interval, names, prices, mark, quiet_funding(rng, time, interval, names), trade_from)


def quiet_prices(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Open, high, low, close on a grid: small steps, still stretches, a jump now and then."""
    tick = float(rng.choice([0.01, 0.1, 0.5]))
    volatility = float(rng.choice([0.0005, 0.002, 0.006]))
    moves = volatility * rng.normal(size=n)
    moves[rng.random(n) < 0.1] = 0.0
    jumps = rng.random(n) < 0.006
    moves[jumps] += rng.choice([-0.2, -0.05, -0.02, 0.02, 0.05, 0.2], size=int(jumps.sum()))
    closed = 100.0 * np.exp(np.cumsum(moves))
    opened = np.concatenate(([100.0], closed[:-1]))
    gaps = rng.random(n) < 0.1
    opened[gaps] = closed[gaps]
    wicks = volatility * np.abs(rng.normal(size=(2, n))) * (rng.random((2, n)) < 0.6)
    high, low = np.maximum(opened, closed) * (1 + wicks[0]), np.minimum(opened, closed) * (1 - wicks[1])
    return [np.maximum(np.round(values / tick), 4.0) * tick for values in (opened, high, low, closed)]


def quiet_mark(rng: np.random.Generator, prices: list[np.ndarray]) -> list[np.ndarray]:
    """Marks a little off the last prices, their wicks halved or doubled; missing for some stretches."""
    off = 1 + float(rng.choice([0.0, 0.0005, 0.01])) * float(rng.normal())
    wide = float(rng.choice([0.5, 1.0, 3.0]))
    opened, closed = prices[0] * off, prices[3] * off
    top, bottom = np.maximum(opened, closed), np.minimum(opened, closed)
    high, low = top + wide * (prices[1] * off - top), bottom + wide * (prices[2] * off - bottom)
    marks = [opened, np.maximum(high, top), np.minimum(low, bottom), closed]
    if chance(rng, 0.3):
        begin = int(rng.integers(0, opened.shape[0] - 20))
        end = begin + int(rng.integers(1, 60))
        for values in marks:
            values[begin:end] = NAN
    return marks


def quiet_funding(rng: np.random.Generator, time: np.ndarray, interval: int, names: tuple[str, ...]) -> Funding:
    """Stamps every eight bars or so, on the bars or between them, with jitter, and a change of interval at times."""
    times: list[int] = []
    symbols: list[int] = []
    none = set()
    start, end = int(time[0]), int(time[-1]) + interval
    for j, name in enumerate(names):
        if chance(rng, 0.1):
            none.add(name)
            continue
        gap = interval * int(rng.choice([8, 8, 8, 1, 3, 24]))
        phase = int(rng.choice([0, 0, 0, interval // 3, 7 * MINUTE]))
        jitter = int(rng.choice([0, 0, 3_000_000, 400_000_000, 2_000_000_000]))
        stamp, change = start - 2 * gap + phase, start + int((end - start) * rng.random())
        changes = chance(rng, 0.2)
        while stamp <= end + 2 * gap:
            times.append(stamp + int(rng.integers(0, jitter + 1)))
            symbols.append(j)
            stamp += 2 * gap if changes and stamp > change else gap
    k = len(times)
    rates = rng.normal(size=k) * float(rng.choice([0.0001, 0.0001, 0.001, 0.02]))
    if chance(rng, 0.15):
        rates = np.abs(rates) * 5 * float(rng.choice([-1.0, 1.0]))
    marks = np.where(rng.random(k) < rng.choice([0.0, 0.5, 1.0]), 100 * (1 + 0.02 * rng.normal(size=k)), NAN)
    return Funding(np.array(times, np.int64), np.array(symbols, np.int32), rates, marks, frozenset(none))


# ---------------------------------------- plan


def quiet_plan(rng: np.random.Generator, market: Market, venue: Venue) -> Plan:
    rows: list[dict[str, Any]] = []
    pause = int(rng.choice([15, 40, 120]))
    for j in range(len(market.symbols)):
        bar, side = int(rng.integers(0, 10)), 0
        while bar < len(market):
            kind = ENTER if side == 0 else int(rng.choice([ENTER, EXIT, AMEND, AMEND, RESIZE]))
            side = 0 if kind == EXIT else side or int(rng.choice([-1, 1]))
            rows.append({"bar": bar, "symbol": j, "kind": kind, **quiet_row(rng, market, venue, bar, j, side, kind)})
            if kind == ENTER and chance(rng, 0.3):
                for _ in range(int(rng.integers(1, 25))):
                    bar += 1
                    rows.append({"bar": bar, "symbol": j, "kind": ENTER, "exposure": side * 0.5})
            if kind == ENTER and chance(rng, 0.15):
                side = -side
            bar += 1 + int(rng.exponential(pause))
    columns: dict[str, Any] = {name: [row.get(name, NAN) for row in rows] for name in COLUMNS[:9]}
    columns["valid_bars"] = [row.get("valid_bars", 1) for row in rows]
    columns["max_bars"] = [row.get("max_bars", 0) for row in rows]
    for name in ("bar", "symbol", "kind"):
        columns[name] = [row[name] for row in rows]
    return Plan(market.symbols, **columns)


def quiet_row(
    rng: np.random.Generator, market: Market, venue: Venue, bar: int, j: int, side: int, kind: int
) -> dict[str, float]:
    """The columns of a row: size, and levels far off or exactly at a price that comes later."""
    top = min(venue.leverage, 20.0)
    row: dict[str, float] = {}
    if kind in (ENTER, RESIZE):
        row["exposure"] = side * top * float(rng.choice([0.1, 0.5, 0.8, 1.0]))
    if kind in (EXIT, RESIZE):
        return row
    here = later(rng, market, "close", bar, bar, j)
    if kind == ENTER and chance(rng, 0.2):
        row[str(rng.choice(["limit", "trigger"]))] = entry = later(rng, market, "close", bar + 1, bar + 40, j)
        row["valid_bars"], here = int(rng.integers(1, 60)), entry
    for name, sign, p in (("stop", -side, 0.35), ("target", side, 0.35), ("close_stop", -side, 0.2)):
        level = here * (1 + sign * float(rng.choice([0.003, 0.01, 0.05, 0.15])))
        if chance(rng, 0.5):
            level = later(rng, market, "low" if sign < 0 else "high", bar + 1, bar + 80, j)
        if chance(rng, p) and sign * (level - here) > 0:
            row[name] = level
    if chance(rng, 0.2):
        row["trail"] = float(rng.choice([0.003, 0.02, 0.1]))
    if kind == ENTER and chance(rng, 0.2):
        row["max_bars"] = int(rng.integers(1, 120))
    return row


def later(rng: np.random.Generator, market: Market, what: str, first: int, last: int, j: int) -> float:
    """A price out of the bars first..last; 100 where the symbol does not trade in that one."""
    bar = min(int(rng.integers(first, last + 1)), len(market) - 1)
    value = float(getattr(market, what)[bar, j])
    return value if math.isfinite(value) else 100.0
