"""Markets of two scales made by hand or at random, and venues for them: each bar is given as the finer bars inside it."""

import numpy as np

from backtest.model import Funding, Instrument, Mark, Market, Passport, Plan, TierTable, Venue

QUARTER = 15 * 60_000_000_000
HOUR = 4 * QUARTER
START = 1_770_076_800_000_000_000  # 2026-02-03T00:00Z
QUIET = [(100, 100, 100, 100)] * 4
MONEY = 1e-6


def at(bar, quarter=0):
    """Return the open time of a bar, or of a quarter of it."""
    return START + HOUR * bar + QUARTER * quarter


def joined(rows):
    """Return (bars, 4) rows of four finer bars each as one: first open, highest high, lowest low, last close."""
    rows = rows.reshape(-1, 4, 4)
    return np.column_stack((rows[:, 0, 0], rows[:, :, 1].max(axis=1), rows[:, :, 2].min(axis=1), rows[:, -1, 3]))


def hours(*symbols, marks=None, funding=None):
    """Return a market of hours with quarters as finer bars; a symbol is a list of bars, a bar four (open, high, low, close).

    marks: the same for the mark prices; funding: (time, symbol, rate) of each stamp, which settles at the bar's open.
    """
    names = ("A", "B", "C")[: len(symbols)]
    stamps = funding or []
    paid = Funding(
        np.array([s[0] for s in stamps], np.int64), np.array([s[1] for s in stamps], np.int32),
        np.array([s[2] for s in stamps], float), np.full(len(stamps), np.nan),
        frozenset(names) if funding is None else frozenset(),
    )  # fmt: skip
    small = [np.array(bars, float).reshape(-1, 4) for bars in symbols]
    small_marks = [np.array(bars, float).reshape(-1, 4) for bars in marks or ()]
    n = len(small[0])

    def build(time, interval, rows, mark_rows, fine=None):
        columns = [np.column_stack([one[:, k] for one in rows]) for k in range(4)]
        mark = Mark(*(np.column_stack([one[:, k] for one in mark_rows]) for k in range(4))) if mark_rows else None
        volume = np.ones_like(columns[0])
        return Market(time, interval, names, *columns, volume, paid, Passport(()), mark=mark, fine=fine)

    fine = build(START + QUARTER * np.arange(n), QUARTER, small, small_marks)
    whole, whole_marks = ([joined(one) for one in rows] for rows in (small, small_marks))
    return build(START + HOUR * np.arange(n // 4), HOUR, whole, whole_marks, fine)


def venue(**changes):
    """Return a venue without fees and slippage: cash 1,000, lot 0.001, maintenance 1 %, cross margin at 10x."""
    table = TierTable("flat", 0, "made", (0.0,), (0.01,), (100.0,))
    settings = {"cash": 1000.0, "maker": 0.0, "taker": 0.0, "leverage": 10.0, **changes}
    return Venue("made", Instrument(0.001, 0.0, (table,)), **settings)


# --- at random ----------------------------------------------------------------------------------------------------


def random_hours(rng, n, symbols=1, gaps=0.0):
    """Return random hours whose quarters open where the last one closed, but for a share `gaps` of them."""
    return hours(*(random_bars(rng, n, gaps) for _ in range(symbols)))


def random_bars(rng, n, gaps):
    """Return the bars of one symbol; a price that strays too far from 100 is turned back."""
    size, price, rows = rng.choice([0.003, 0.008, 0.02]), 100.0, []
    for _ in range(4 * n):
        opened = price * (1 + size * rng.normal()) if rng.random() < gaps else price
        step = size * rng.normal()
        closed = opened * (1 - abs(step) if opened > 200 else 1 + abs(step) if opened < 50 else 1 + step)
        up, down = np.abs(size * rng.normal(size=2)) / 2
        rows.append((opened, max(opened, closed) * (1 + up), min(opened, closed) * (1 - down), closed))
        price = closed
    return [rows[k : k + 4] for k in range(0, 4 * n, 4)]


def random_rows(rng, market, exposure, entries=("market", "limit", "trigger")):
    """Return a plan of entries both ways, of every kind, with narrow brackets, trails and amends."""
    plan = Plan.empty()
    for j, symbol in enumerate(market.symbols):
        close = market.close[:, j]
        for side, make in ((1, Plan.long), (-1, Plan.short)):
            bars = np.flatnonzero(rng.random(len(market)) < 0.35)
            bars = bars[(bars % 2 == 0) == (side > 0)]
            near, far = rng.uniform(0.002, 0.02, (2, bars.size))
            away = close[bars] * (1 + side * rng.uniform(-0.006, 0.006, bars.size))
            how = rng.choice(entries, bars.size)
            brackets = {
                "exposure": exposure * rng.uniform(0.2, 1.0, bars.size),
                "stop_fraction": np.where(rng.random(bars.size) < 0.75, near, np.nan),
                "target_fraction": np.where(rng.random(bars.size) < 0.75, far, np.nan),
                "trail": np.where(rng.random(bars.size) < 0.2, near, np.nan),
                "limit": np.where(how == "limit", away, np.nan),
                "trigger": np.where(how == "trigger", away, np.nan),
                "valid_bars": rng.integers(1, 4, bars.size),
                "max_bars": rng.integers(0, 6, bars.size),
            }
            plan += make(symbol, at=bars, **brackets)
        amends = np.flatnonzero(rng.random(len(market)) < 0.1)
        plan += Plan.amend(symbol, at=amends, target=close[amends] * rng.uniform(0.99, 1.01, amends.size))
    return plan


def random_venue(rng, mode=None):
    """Return a venue with fees, slippage and a leverage at which positions are liquidated now and then."""
    leverage = float(rng.choice([5, 20, 50]))
    return venue(
        leverage=leverage, margin_mode=mode or str(rng.choice(["isolated", "cross"])),
        maker=float(rng.choice([0.0, 0.0002])), taker=float(rng.choice([0.0, 0.0005])),
        slippage=float(rng.choice([0.0, 0.0003])), liquidation_fee=float(rng.choice([0.0, 0.0125])),
    )  # fmt: skip


# --- what has to hold --------------------------------------------------------------------------------------------


def bounds(event):
    return sorted((event.worst.gain, event.best.gain))


def assert_between(events):
    """The truth, with the worse and with the better inside a finer bar, and its price lie between worst and best."""
    for event in events:
        low, high = bounds(event)
        assert event.answer in ("worst", "best", "between"), event
        assert low - MONEY <= event.truth.gain <= event.truth_best.gain + MONEY <= high + 2 * MONEY, event
        assert event.worst.gain <= event.best.gain + MONEY, event
        prices = [event.side * o.price for o in (event.worst, event.truth, event.best)]
        assert prices[0] - MONEY <= prices[1] <= prices[2] + MONEY, event
