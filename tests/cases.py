"""Random small and nasty cases: gaps, ties, halts and odd funding; dense plans; venues that liquidate often."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from backtest.model import Funding, Instrument, Mark, Market, Passport, Plan, TierTable, Venue

MINUTE = 60_000_000_000
START = 1_700_006_400_000_000_000
NAN = math.nan
COLUMNS = (
    *("exposure", "limit", "trigger", "stop", "stop_fraction", "close_stop", "target", "target_fraction", "trail"),
    *("valid_bars", "max_bars"),
)
Case = tuple[Market, Plan, Venue]


@dataclass(frozen=True)
class Weather:
    """How rough a random market is: chances of missing bars, halts, jumps and heavy funding; how far marks may be off."""

    missing: float = 0.15
    halts: float = 1.0
    jumps: float = 0.0
    heavy: float = 0.1
    off: tuple[float, ...] = (0.0, 0.003, 0.02)


MILD = Weather()


def random_case(seed: int, bars: int | None = None) -> Case:
    """Return a market, a plan and a venue drawn from the seed; `bars` overrides the number of bars."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 41))
    n = n if bars is None else bars
    venue_seed, market_seed, plan_seed = (int(k) for k in rng.integers(0, 2**31, 3))
    intrabar = str(rng.choice(["worst", "best", "fine"], p=[0.45, 0.35, 0.2]))
    market = random_market(np.random.default_rng(market_seed), n, intrabar == "fine")
    venue = random_venue(np.random.default_rng(venue_seed), market, intrabar)
    plan = random_plan(np.random.default_rng(plan_seed), market, venue.leverage)
    return market, plan, venue


def cases() -> st.SearchStrategy[Case]:
    """Cases for hypothesis; a failing one shrinks to fewer bars and a smaller seed."""
    return st.builds(random_case, st.integers(0, 2**32 - 1), st.integers(5, 40))


def chance(rng: np.random.Generator, p: float) -> bool:
    return bool(rng.random() < p)


# ---------------------------------------- market


def random_market(rng: np.random.Generator, n: int, fine_wanted: bool, weather: Weather = MILD) -> Market:
    m = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    tick = float(rng.choice([0.5, 1.0]))
    factor = int(rng.integers(2, 5))
    has_fine = fine_wanted or chance(rng, 0.1)
    step = int(rng.choice([15, 60, 120, 480])) * MINUTE
    interval = step * factor if has_fine else step
    pieces = factor if has_fine else 1
    time = START + interval * bar_numbers(rng, n, weather)
    columns = [random_prices(rng, n * pieces, tick, weather) for _ in range(m)]
    prices = [np.stack([c[k] for c in columns], axis=1) for k in range(4)]
    halted = random_halts(rng, n, m, weather)
    asleep = np.repeat(halted, pieces, axis=0)
    small_mark = random_marks(rng, prices, tick, asleep, weather) if chance(rng, 0.5) else None
    for p in prices:
        p[asleep] = NAN
    names = ("AAA", "BBB", "CCC")[:m]
    funding = random_funding(rng, time, interval, names, prices[0], weather)
    trade_from = None
    if n > 6 and chance(rng, 0.15):
        trade_from = int(time[rng.integers(1, n // 3)]) - int(rng.choice([0, 1, 7])) * MINUTE
    fine = None
    if has_fine:
        small_time = (time[:, None] + step * np.arange(pieces)).ravel()
        keep = np.repeat(rng.random(n) < rng.choice([1.0, 0.8]), pieces)
        fine = build(small_time[keep], step, names, [p[keep] for p in prices], cut(small_mark, keep), Funding.empty())
        prices = aggregate(prices, pieces)
        small_mark = None if small_mark is None else aggregate(small_mark, pieces)
    return build(time, interval, names, prices, small_mark, funding, trade_from, fine)


def build(
    time: np.ndarray,
    interval: int,
    names: tuple[str, ...],
    prices: list[np.ndarray],
    mark: list[np.ndarray] | None,
    funding: Funding,
    trade_from: int | None = None,
    fine: Market | None = None,
) -> Market:
    return Market(
        time,
        interval,
        names,
        *prices,
        np.ones_like(prices[0]),
        funding,
        Passport(()),
        mark=None if mark is None else Mark(*mark),
        trade_from=trade_from,
        fine=fine,
    )


def cut(values: list[np.ndarray] | None, keep: np.ndarray) -> list[np.ndarray] | None:
    return None if values is None else [v[keep] for v in values]


def bar_numbers(rng: np.random.Generator, n: int, weather: Weather) -> np.ndarray:
    """0, 1, 2, ...; sometimes with bars missing."""
    steps = np.ones(n, dtype=np.int64)
    if chance(rng, weather.missing):
        steps[rng.random(n) < 0.2] += rng.integers(1, 4)
    return np.cumsum(steps) - 1


def random_prices(rng: np.random.Generator, n: int, tick: float, weather: Weather) -> list[np.ndarray]:
    """Open, high, low, close on a coarse grid, with gaps, wicks and flat bars."""
    volatility = float(rng.choice([0.005, 0.015, 0.04, 0.1]))
    price = float(rng.choice([20.0, 100.0, 100.0, 400.0]))
    gaps = float(rng.choice([0.1, 0.35, 0.8]))
    rows = []
    for _ in range(n):
        if chance(rng, weather.jumps):
            price *= float(rng.choice([0.6, 0.75, 0.88, 0.95, 1.06, 1.15, 1.35]))
        opened = price * (1 + volatility * rng.normal()) if chance(rng, gaps) else price
        closed = opened if chance(rng, 0.15) else opened * (1 + volatility * rng.normal())
        high, low = max(opened, closed), min(opened, closed)
        if chance(rng, 0.6):
            high *= 1 + abs(volatility * rng.normal())
        if chance(rng, 0.6):
            low *= 1 - min(0.9, abs(volatility * rng.normal()))
        if chance(rng, 0.03):
            low *= 0.6
        if chance(rng, 0.03):
            high *= 1.6
        row = [max(tick, round(v / tick) * tick) for v in (opened, high, low, closed)]
        rows.append(row)
        price = max(row[3], 4 * tick)
    return [np.array(column) for column in zip(*rows, strict=True)]


def random_halts(rng: np.random.Generator, n: int, m: int, weather: Weather) -> np.ndarray:
    halted = np.zeros((n, m), dtype=bool)
    for j in range(m):
        if chance(rng, 0.2 * weather.halts):
            start = int(rng.integers(0, n))
            halted[start : start + int(rng.integers(1, 5)), j] = True
        if chance(rng, 0.12):
            halted[: int(rng.integers(1, n // 2)), j] = True
        if chance(rng, 0.08):
            halted[n - int(rng.integers(1, n // 2)) :, j] = True
    return halted


def random_marks(
    rng: np.random.Generator, prices: list[np.ndarray], tick: float, halted: np.ndarray, weather: Weather
) -> list[np.ndarray]:
    """Mark prices around the last prices, often tamer or off by some; NaN here and there, sometimes alive in a halt."""
    off = float(rng.choice(weather.off))
    shape = prices[0].shape
    opened, closed = (
        np.round(p * (1 + off * rng.normal(size=shape)) / tick * 4) * tick / 4 for p in (prices[0], prices[3])
    )
    opened, closed = np.maximum(opened, tick / 4), np.maximum(closed, tick / 4)
    tame = float(rng.choice([1.0, 0.5]))
    top, bottom = np.maximum(opened, closed), np.minimum(opened, closed)
    high = np.maximum(top, top + tame * (prices[1] - top))
    low = np.minimum(bottom, bottom + tame * (prices[2] - bottom))
    missing = rng.random(shape) < rng.choice([0.0, 0.0, 0.15])
    if chance(rng, 0.5):
        missing |= halted
    marks = [opened, high, low, closed]
    for mark in marks:
        mark[missing] = NAN
    return marks


def aggregate(prices: list[np.ndarray], pieces: int) -> list[np.ndarray]:
    n, m = prices[0].shape
    opened, high, low, closed = (p.reshape(n // pieces, pieces, m) for p in prices)
    whole = [opened[:, 0].copy(), high.max(axis=1), low.min(axis=1), closed[:, -1].copy()]
    partly = np.isnan(high).any(axis=1)
    for values in whole:
        values[partly] = NAN
    return whole


def random_funding(
    rng: np.random.Generator,
    time: np.ndarray,
    interval: int,
    names: tuple[str, ...],
    opened: np.ndarray,
    weather: Weather,
) -> Funding:
    times: list[int] = []
    symbols: list[int] = []
    none = set()
    start, end = int(time[0]), int(time[-1]) + interval
    for j, name in enumerate(names):
        if chance(rng, 0.25):
            none.add(name)
            continue
        gap = int(interval * float(rng.choice([1 / 3, 0.5, 1.0, 1.0, 2.0, 2.5, 4.0])))
        phase = int(rng.choice([0, 0, int(gap * rng.random())]))
        stamp, change = start - 2 * gap + phase, start + int((end - start) * rng.random())
        mine = []
        doubles = chance(rng, 0.2)
        while stamp <= end + 2 * gap:
            mine.append(stamp)
            stamp += 2 * gap if doubles and stamp > change else gap
        if chance(rng, 0.03) and len(mine) > 8:
            k = int(rng.integers(2, len(mine) - 5))
            del mine[k : k + 3]
        times += mine
        symbols += [j] * len(mine)
    k = len(times)
    rates = rng.normal(size=k) * float(rng.choice([0.0002, 0.002, 0.02]))
    if chance(rng, weather.heavy):
        rates = np.abs(rates) * 5
    around = float(np.nanmedian(opened)) if np.isfinite(opened).any() else 100.0
    marks = np.where(rng.random(k) < rng.choice([0.0, 0.5, 1.0]), around * (1 + 0.02 * rng.normal(size=k)), NAN)
    return Funding(np.array(times, np.int64), np.array(symbols, np.int32), rates, marks, frozenset(none))


# ---------------------------------------- venue


def random_venue(rng: np.random.Generator, market: Market, intrabar: str) -> Venue:
    mode = str(rng.choice(["isolated", "cross"]))
    leverage = float(rng.choice([1, 2, 3, 5, 10, 20, 50]))
    if mode == "cross" and chance(rng, 0.04):
        leverage = math.inf
    cash = float(rng.choice([1_000.0, 10_000.0]))
    instruments = {name: random_instrument(rng, market, cash, leverage) for name in market.symbols if chance(rng, 0.5)}
    return Venue(
        "random",
        random_instrument(rng, market, cash, leverage),
        instruments,
        cash=cash,
        maker=float(rng.choice([0.0, 0.0002, 0.0002, 0.01, -0.0005])),
        taker=float(rng.choice([0.0, 0.0005, 0.0005, 0.004, 0.02])),
        slippage=float(rng.choice([0.0, 0.0, 0.0005, 0.01, 0.03])),
        liquidation_fee=float(rng.choice([0.0, 0.005, 0.015])),
        leverage=leverage,
        margin_mode=mode,  # type: ignore[arg-type]
        maintenance="entry" if chance(rng, 0.12) else "mark",
        taker_in_maintenance=chance(rng, 0.12),
        intrabar=intrabar,  # type: ignore[arg-type]
    )


def random_instrument(rng: np.random.Generator, market: Market, cash: float, leverage: float) -> Instrument:
    dates = [START - 10**15]
    if chance(rng, 0.4):
        bar = int(rng.integers(0, len(market)))
        dates.append(int(market.time[bar]) + (0 if market.fine is not None else int(rng.choice([0, 1, -1])) * MINUTE))
    if chance(rng, 0.2):
        dates[0] = int(market.time[len(market) // 3])
        dates[1:] = [int(market.time[2 * len(market) // 3])] if len(dates) > 1 else []
    tables = tuple(random_table(rng, date, cash, leverage) for date in dates)
    lot = float(rng.choice([1e-6, 0.001, 0.1, 1.0]))
    return Instrument(lot, float(rng.choice([0.0, 0.0, 5.0, 100.0, 1_000.0])), tables)


def random_table(rng: np.random.Generator, date: int, cash: float, leverage: float) -> TierTable:
    k = int(rng.integers(1, 5))
    floors = (0.0, *(cash * np.cumsum(rng.choice([0.5, 1.0, 3.0, 10.0], size=k - 1))).tolist())
    first = float(rng.choice([0.0, 0.004, 0.01, 0.05]))
    # No rate is 1/leverage to the last bit: an entry that is liquidated exactly at its own fill would hang on rounding.
    mmr = tuple((0.9991 * (first + np.cumsum(rng.choice([0.0, 0.005, 0.03], size=k)))).tolist())
    highest = 125.0 if chance(rng, 0.8) or math.isinf(leverage) else 20.0
    if math.isinf(leverage) and chance(rng, 0.8):
        highest = math.inf
    return TierTable(f"table-{date}", date, "random", floors, mmr, tuple(max(1.0, highest / (i + 1)) for i in range(k)))


# ---------------------------------------- plan


@dataclass(frozen=True)
class Taste:
    """How a plan trades: the leverage it may use, how often it sets brackets, which part of the leverage it takes."""

    leverage: float
    care: float
    size: float


def random_plan(rng: np.random.Generator, market: Market, leverage: float) -> Plan:
    density = float(rng.uniform(0.2, 0.6))
    taste = Taste(leverage, float(rng.choice([0.1, 0.4, 1.0])), float(rng.choice([0.3, 0.6, 1.02])))
    rows: list[dict[str, Any]] = []
    side = dict.fromkeys(range(len(market.symbols)), 0)
    for bar in range(len(market)):
        active = [j for j in range(len(market.symbols)) if chance(rng, density)]
        mine = [rows_of_bar(rng, market, bar, j, side, taste) for j in active]
        for k in rng.permutation(len(mine)):
            rows += mine[int(k)]
    if chance(rng, 0.02):
        rows.append({**enter_row(rng, 100.0, 1.0, 1, taste), "bar": len(market) + 1, "symbol": 0, "kind": 0})
    if not rows:
        return Plan.empty()
    columns: dict[str, Any] = {name: [row.get(name, NAN) for row in rows] for name in COLUMNS[:9]}
    columns["valid_bars"] = [row.get("valid_bars", 1) for row in rows]
    columns["max_bars"] = [row.get("max_bars", 0) for row in rows]
    for name in ("bar", "symbol", "kind"):
        columns[name] = [row[name] for row in rows]
    return Plan(market.symbols, **columns)


def rows_of_bar(
    rng: np.random.Generator, market: Market, bar: int, j: int, side: dict[int, int], taste: Taste
) -> list[dict[str, Any]]:
    """The rows of one symbol and bar: amends in any number, and at most one action or exit with enter."""
    past = market.close[: bar + 1, j]
    past = past[np.isfinite(past)]
    reference = float(past[-1]) if past.size else 100.0
    ahead = market.open[min(bar + 1, len(market) - 1), j]
    if np.isfinite(ahead) and chance(rng, 0.3):
        reference = float(ahead)
    tick = 0.5
    rows: list[dict[str, Any]] = []
    action = str(rng.choice(["enter", "exit", "both", "resize", "none"], p=[0.52, 0.07, 0.09, 0.2, 0.12]))
    if side[j] == 0:
        if action != "exit" and chance(rng, 0.9):
            action = "enter"
        side[j] = int(rng.choice([-1, 1]))
    if action in ("exit", "both"):
        rows.append({"kind": 1})
    if action in ("enter", "both"):
        side[j] = side[j] if chance(rng, 0.7) else -side[j]
        rows.append({"kind": 0, **enter_row(rng, reference, tick, side[j], taste)})
    if action == "resize":
        sign = side[j] if chance(rng, 0.85) else -side[j]
        rows.append({"kind": 3, "exposure": sign * random_exposure(rng, taste)})
    for _ in range(int(rng.choice([0, 1, 2], p=[0.78, 0.17, 0.05])) + (action == "none")):
        place = len(rows) if action == "both" or chance(rng, 0.5) else 0
        rows.insert(place, {"kind": 2, **amend_row(rng, reference, tick, side[j])})
    if action == "exit":
        side[j] = 0
    return [{**row, "bar": bar, "symbol": j} for row in rows]


def random_exposure(rng: np.random.Generator, taste: Taste) -> float:
    top = 10.0 if math.isinf(taste.leverage) else taste.leverage
    kind = rng.random()
    if kind < 0.2 * taste.size:
        return top
    if kind < 0.25:
        return float(rng.uniform(0.1, 60.0))
    return float(round(rng.uniform(0.1, top * taste.size) + 0.05, 2))


def distance(rng: np.random.Generator, reference: float, tick: float) -> float:
    """Some ticks, or some fractions of the price; never zero."""
    wide = reference * float(rng.choice([0.005, 0.02, 0.05, 0.15])) * rng.random()
    return max(1, round(wide / tick)) * tick


def enter_row(rng: np.random.Generator, reference: float, tick: float, s: int, taste: Taste) -> dict[str, Any]:
    row: dict[str, Any] = {"exposure": s * random_exposure(rng, taste)}
    how = str(rng.choice(["market", "limit", "trigger"], p=[0.38, 0.37, 0.25]))
    price = reference
    if how != "market":
        price = reference + float(rng.choice([-1.0, 1.0, 0.0])) * distance(rng, reference, tick)
        price = max(price, tick)
        row[how] = price
        row["valid_bars"] = int(rng.integers(1, 6))
    shift = distance(rng, reference, tick) if how == "market" and chance(rng, 0.15) else 0.0
    stop, target = (
        price - s * (distance(rng, reference, tick) - shift),
        price + s * (distance(rng, reference, tick) + shift),
    )
    if how != "market" and chance(rng, 0.08):
        stop = price * (1 - s * float(rng.uniform(0.8, 1.0)) / min(max(taste.leverage, 1.5), 50.0))
    if chance(rng, 0.5 * taste.care) and stop > 0:
        row["stop"] = stop
    elif chance(rng, 0.4 * taste.care):
        row["stop_fraction"] = float(rng.choice([0.005, 0.02, 0.1]))
    if chance(rng, 0.5 * taste.care) and target > 0 and s * (target - row.get("stop", target - s)) > 0:
        row["target"] = target
    elif chance(rng, 0.4 * taste.care):
        row["target_fraction"] = float(rng.choice([0.005, 0.02, 0.1]))
    if chance(rng, 0.2):
        row["close_stop"] = reference - s * float(rng.choice([1.0, 1.0, -1.0])) * distance(rng, reference, tick)
    if chance(rng, 0.25 * taste.care):
        row["trail"] = float(rng.choice([0.005, 0.01, 0.03, 0.1]))
    if chance(rng, 0.2):
        row["max_bars"] = int(rng.integers(1, 5))
    return row


def amend_row(rng: np.random.Generator, reference: float, tick: float, s: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, sign, p in (("stop", -s, 0.35), ("close_stop", -s, 0.25), ("target", s, 0.5)):
        if chance(rng, p):
            row[name] = reference + sign * float(rng.choice([1.0, 1.0, 1.0, -1.0, 0.0])) * distance(
                rng, reference, tick
            )
    if chance(rng, 0.25):
        row["trail"] = float(rng.choice([0.005, 0.01, 0.03, 0.1]))
    return row
