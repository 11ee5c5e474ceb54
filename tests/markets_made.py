"""Small markets made by hand or drawn at random, for tests."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from backtest import Bars, Market, Passport
from backtest.model import Funding

HOUR = 3_600_000_000_000
START = 1_770_076_800_000_000_000  # 2026-02-03T00:00Z, a Tuesday


def candles(rows: Sequence[Sequence[float]], symbol: str = "BTCUSDT", trade_from: int | None = None) -> Market:
    """Return an hourly market of one symbol from (open, high, low, close) rows."""
    prices = np.array(rows, dtype=np.float64).reshape(-1, 4)
    n = len(prices)
    columns = (prices[:, k] for k in range(4))
    none = Funding.empty(none=frozenset([symbol]))
    time = START + HOUR * np.arange(n)
    return Market(time, HOUR, (symbol,), *columns, np.ones(n), none, Passport(()), trade_from=trade_from)


def closes(values: Sequence[float], symbol: str = "BTCUSDT", trade_from: int | None = None) -> Market:
    """Return an hourly market of one symbol whose bars run from the last close to the next, without wicks."""
    rows = (
        [(a, max(a, b), min(a, b), b) for a, b in zip([values[0], *values[:-1]], values, strict=True)] if values else []
    )
    return candles(rows, symbol, trade_from)


def bars_of(market: Market) -> Bars:
    return market[market.symbols[0]]


@st.composite
def walks(draw: st.DrawFn, around: float = 100.0, step: float = 0.005, largest: int = 120) -> Market:
    """Draw a walk on a grid of `step` that crosses `around` again and again, with wicks and bars that did not trade."""
    moves = draw(st.lists(st.integers(-4, 4), min_size=1, max_size=largest))
    wicks = draw(st.lists(st.integers(0, 3), min_size=len(moves), max_size=len(moves)))
    halted = draw(st.sets(st.integers(0, len(moves) - 1), max_size=4))
    position, rows = draw(st.integers(-6, 6)), []
    for i, (move, wick) in enumerate(zip(moves, wicks, strict=True)):
        before, position = position, max(-30, min(30, position + move))
        points = (before, max(before, position) + wick, min(before, position) - wick, position)
        rows.append([np.nan] * 4 if i in halted else [around * (1 + step * p) for p in points])
    return candles(rows)
