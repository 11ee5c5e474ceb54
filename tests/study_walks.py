"""Walks for the event study: a price without memory, or one that knows some levels."""

import numpy as np

from backtest import Bars, Market, Passport
from backtest.model import Funding

HOUR = 3_600_000_000_000
START = 1_577_836_800_000_000_000  # 2020-01-01T00:00Z
STEP = 0.006  # deviation of an hour


def walk(seed, n, parts=8):
    """Return n hourly bars of a geometric walk whose price, not its logarithm, is a martingale: the mean of log is -σ²/2."""
    step = STEP / np.sqrt(parts)
    moves = np.random.default_rng(seed).normal(-(step**2) / 2, step, (n, parts))
    path = 100.0 * np.exp(np.cumsum(moves.ravel())).reshape(n, parts)
    return bars_of_path(path)


def bars_of_path(path):
    """Return the bars of prices (n, parts); each opens where the last one closed."""
    n, close = len(path), path[:, -1]
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, path.max(axis=1)), np.minimum(opened, path.min(axis=1))
    return Bars("WALK", HOUR, START + HOUR * np.arange(n), opened, high, low, close, np.ones(n))


def reacting_walk(seed, n, grid, push, parts=8):
    """Return a walk that, where it has come down to a multiple of `grid`, jumps up by 2% with the chance `push`.

    The jump comes in the bar after the one that reached within 0.15% of the multiple, after a close 0.7% above it; one that
    was not pushed is left alone until it closed that far away again. What was given is taken back over the next 200 bars.
    """
    random = np.random.default_rng(seed)
    step = STEP / np.sqrt(parts)
    moves = random.normal(-(step**2) / 2, step, (n, parts))
    chances = random.random(n)
    path, last, away = np.empty((n, parts)), 100.0, {}
    for t in range(n):
        path[t] = last * np.exp(np.cumsum(moves[t]))
        low, before, last = path[t].min(), last, path[t, -1]
        level = np.floor(before / grid) * grid
        if before > level * 1.007:
            away[level] = True
        if away.get(level) and low <= level * 1.0015:
            away[level] = False
            if chances[t] < push and t + 1 < n:
                jump = 0.02 + max(0.0, np.log(level / last))
                moves[t + 1, 0] += jump
                moves[t + 2 : t + 202] -= jump / 200 / parts
    return bars_of_path(path)


def market(*bars, name="walks"):
    """Return the market of some bars as symbols W0, W1, ..., without funding."""
    symbols = tuple(f"W{i}" for i in range(len(bars)))
    columns = (np.column_stack([getattr(b, k) for b in bars]) for k in ("open", "high", "low", "close", "volume"))
    none = Funding.empty(none=frozenset(symbols))
    return Market(bars[0].time, HOUR, symbols, *columns, none, Passport(()), name=name)


def uniform_p(values):
    """Return the p-value of Kolmogorov and Smirnov for numbers from [0, 1]: Stephens' form of the asymptotic one."""
    u = np.sort(np.asarray(values))
    k = np.arange(1, u.size + 1)
    far = max((k / u.size - u).max(), (u - (k - 1) / u.size).max())
    x = (np.sqrt(u.size) + 0.12 + 0.11 / np.sqrt(u.size)) * far
    j = np.arange(1, 101)
    return float(np.clip(2 * np.sum((-1.0) ** (j - 1) * np.exp(-2 * (j * x) ** 2)), 0, 1))
