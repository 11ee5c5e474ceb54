"""The reference strategy as a Plan against a loop written out by hand, and against the reference simulator.

Support is the lowest low of the bars before; a close below support*(1 - b) sells short at the next open with the whole equity; out
at the next open when a close is back above that support, or inside the bar at entry*(1 + s), or at entry*(1 - t), the stop first.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from compare import as_oracle, differences
from oracle import simulate

from backtest.engines.fast import execute
from backtest.model import Funding, Instrument, Market, Passport, Plan, TierTable, Venue

MINUTE = 60_000_000_000
START = 1_577_836_800_000_000_000
FEE = 0.0005
LOT = 1e-9
CASH = 10_000.0


@dataclass(frozen=True)
class Setting:
    """The strategy's parameters: bars of the support, break, stop and target as fractions."""

    bars: int
    below: float
    stop: float
    target: float


SETTINGS = (Setting(20, 0.0, 0.01, 0.02), Setting(50, 0.001, 0.004, 0.004), Setting(200, 0.002, 0.01, 0.03))


def walk(n: int, seed: int, interval: int = MINUTE, step: float = 0.0007) -> Market:
    """A geometric random walk in bars of eight steps, with a gap before one bar in ten."""
    rng = np.random.default_rng(seed)
    steps = step * rng.normal(size=(n, 8))
    steps[:, 0] *= np.where(rng.random(n) < 0.1, 5.0, 0.0)
    paths = 100.0 * np.exp(np.cumsum(steps.ravel()).reshape(n, 8))
    prices = (paths[:, 0], paths.max(axis=1), paths.min(axis=1), paths[:, -1])
    time = START + interval * np.arange(n)
    return Market(time, interval, ("X",), *prices, np.ones(n), Funding.empty(frozenset("X")), Passport(()))


def support_of(market: Market, bars: int) -> np.ndarray:
    """The lowest low of the bars before each; NaN for the first ones."""
    low = market.low[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(low, bars).min(axis=1)
    return np.concatenate((np.full(bars, math.nan), windows[:-1]))


def plan_of(market: Market, setting: Setting) -> Plan:
    support = support_of(market, setting.bars)
    broken = market.close[:, 0] < support * (1 - setting.below)
    return Plan.short("X", at=broken, close_stop=support, stop_fraction=setting.stop, target_fraction=setting.target)


def venue(**more: object) -> Venue:
    free = Instrument(LOT, 0.0, (TierTable("none", 0, "by hand", (0.0,), (0.0,), (125.0,)),))
    settings: dict[str, object] = {"cash": CASH, "maker": FEE, "taker": FEE, "leverage": 1.0, "margin_mode": "cross"}
    return Venue("by hand", free, **{**settings, **more})  # type: ignore[arg-type]


Deal = tuple[int, float, int, float, str]


def loop(market: Market, setting: Setting) -> tuple[list[Deal], list[float]]:
    """The strategy bar by bar on plain floats: trades (entry bar, price, exit bar, price, reason) and equity a bar."""
    opens, highs, lows, closes = (a[:, 0].tolist() for a in (market.open, market.high, market.low, market.close))
    support = support_of(market, setting.bars).tolist()
    cash, quantity, entry, entry_bar, level = CASH, 0.0, 0.0, 0, 0.0
    sell = cover = False
    deals: list[Deal] = []
    equity: list[float] = []
    for i, (opened, high, low, close) in enumerate(zip(opens, highs, lows, closes, strict=True)):
        out = None
        if quantity:
            stop, target = entry * (1 + setting.stop), entry * (1 - setting.target)
            if cover:
                out = opened, "close_stop"
            elif opened >= stop:
                out = opened, "stop"
            elif opened < target:
                out = target, "target"
        if out:
            cash += quantity * (entry - out[0]) - quantity * out[0] * FEE
            deals.append((entry_bar, entry, i, *out))
            quantity, out = 0.0, None
        if sell and not quantity:
            quantity = math.floor(cash / (opened * (1 + FEE)) / LOT + 1e-9) * LOT
            entry, entry_bar, level = opened, i, support[i - 1]
            cash -= quantity * opened * FEE
        if quantity:
            stop, target = entry * (1 + setting.stop), entry * (1 - setting.target)
            if high >= stop:
                out = stop, "stop"
            elif low < target:
                out = target, "target"
        if out:
            cash += quantity * (entry - out[0]) - quantity * out[0] * FEE
            deals.append((entry_bar, entry, i, *out))
            quantity = 0.0
        equity.append(cash + quantity * (entry - close))
        cover = bool(quantity) and close > level
        sell = close < support[i] * (1 - setting.below)
    return deals, equity


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_plan_trades_what_the_loop_trades(setting: Setting, skip: bool) -> None:
    market = walk(100_000, 7)
    result = execute(market, plan_of(market, setting), venue(), skip=skip)
    deals, equity = loop(market, setting)
    trades = [row for row in as_oracle(result).trades if row["exit_time"] is not None]
    assert len(deals) > 250
    assert {reason for *_, reason in deals} == {"close_stop", "stop", "target"}
    bars = [((row["entry_time"] - START) // MINUTE, (row["exit_time"] - START) // MINUTE) for row in trades]
    assert bars == [(deal[0], deal[2]) for deal in deals]
    assert [row["reason"] for row in trades] == [deal[4] for deal in deals]
    assert [row["entry_price"] for row in trades] == pytest.approx([deal[1] for deal in deals], rel=1e-12)
    assert [row["exit_price"] for row in trades] == pytest.approx([deal[3] for deal in deals], rel=1e-12)
    np.testing.assert_allclose(result.equity_values, equity, rtol=1e-9)
    late = result.rejections_table
    assert len(late) <= 1
    assert all(row == len(plan_of(market, setting)) - 1 for row in late.row)


@pytest.mark.parametrize("rule", ["worst", "best"])
@pytest.mark.parametrize("leverage", [1.0, 10.0, 50.0])
def test_with_funding_tiers_and_isolated_margin_it_is_the_simulators_result(rule: str, leverage: float) -> None:
    market = walk(3_000, 11, 60 * MINUTE, step=0.002)
    rng = np.random.default_rng(3)
    stamps = START + 8 * 60 * MINUTE * np.arange(3_000 // 8 + 2)
    rates = 0.0005 * rng.normal(size=stamps.size)
    funding = Funding(stamps, np.zeros(stamps.size, np.int32), rates, np.full(stamps.size, math.nan))
    market = replace(market, funding=funding)
    tiers = (
        TierTable("first", 0, "by hand", (0.0, 5_000.0), (0.004, 0.01), (125.0, 75.0)),
        TierTable("second", int(market.time[1_500]), "by hand", (0.0, 8_000.0), (0.005, 0.015), (100.0, 60.0)),
    )
    isolated = venue(leverage=leverage, margin_mode="isolated", slippage=0.0002, maker=0.0002, intrabar=rule)
    at_venue = replace(isolated, default=Instrument(0.001, 5.0, tiers))
    plan = plan_of(market, Setting(20, 0.0, 0.05, 0.03))
    found, wanted = as_oracle(execute(market, plan, at_venue)), simulate(market, plan, at_venue)
    assert len(wanted.trades) > 50
    assert any(row["kind"] == "funding" for row in wanted.ledger)
    assert any(trade["reason"] == "liquidation" for trade in wanted.trades) == (leverage == 50.0)
    assert differences(wanted, found) == []
