"""What strategies plan on small markets, as rows to be compared, and markets of several coins."""

from dataclasses import replace

import numpy as np
import pytest
from signal_markets import DAY, HOUR, START

from backtest import Market, Passport, Plan
from backtest.model import Funding
from backtest.plugins import load_strategy, make_plan

ENTER, EXIT, RESIZE = 0, 1, 3


def planned(name, market, **parameters):
    return make_plan(load_strategy(name, parameters), market)


def rows(plan: Plan, *names: str):
    """Return (bar, kind, exposure, and the named columns) of each row, the symbol's name for "symbol", None for NaN."""
    named = {"symbol": [plan.symbols[s] for s in plan.symbol.tolist()]}
    columns = (
        [named.get(n) or getattr(plan, n).tolist() for n in ("bar", "kind", "exposure", *names)] if len(plan) else []
    )
    plain = (
        tuple(v if isinstance(v, str) else None if v != v else round(v, 9) for v in row)
        for row in zip(*columns, strict=True)
    )
    return list(plain)


def refused(error, name, market, **parameters):
    with pytest.raises(error) as told:
        planned(name, market, **parameters)
    return str(told.value)


def panel(price, rates=None, trade_from=None):
    """Return daily bars without wicks, symbol -> closes; rates: symbol -> funding of each day, in three equal stamps."""
    symbols = tuple(price)
    close = np.array(list(price.values()), np.float64).T
    time = START + DAY * np.arange(len(close))
    funding = Funding.empty(none=frozenset(symbols))
    if rates is not None:
        stamps = [(d, k, j, r / 3) for j, s in enumerate(rates) for d, r in enumerate(rates[s]) for k in (8, 16, 24)]
        kept = [(START + d * DAY + k * HOUR, j, rate) for d, k, j, rate in stamps if rate == rate]
        moments, position, rate = (np.array(column) for column in zip(*kept, strict=True))
        funding = Funding(moments, position, rate, np.full(rate.size, np.nan))
    ones = np.ones(close.shape)
    return Market(time, DAY, symbols, close, close, close, close, ones, funding, Passport(()), trade_from=trade_from)


def without(market, coin, bars):
    gone = {k: np.array(getattr(market, k)) for k in ("open", "high", "low", "close")}
    for values in gone.values():
        values[bars, market.position(coin)] = np.nan
    return replace(market, **gone)
