"""A small market and strategies as files, and sweeps of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from command import MARKET, write_market
from pyarrow import parquet

from backtest.model import Funding, Market, Passport, RunConfig

HOUR = 3_600_000_000_000

SHORTER = '''"""Short at a bar; leave after some, at a stop or at a target."""
import os
import time
from dataclasses import dataclass

from backtest import Market, Plan
from backtest.levels import donchian


@dataclass(frozen=True)
class Shorter:
    symbol: str = "BTCUSDT"
    entry: int = 3  # bar at whose close it decides
    hold: int = 4  # bars
    stop: float = 0.5  # fraction of the entry
    target: float = 0.5
    mode: str = "good"

    def __post_init__(self) -> None:
        if self.hold == 13:
            raise ValueError("hold of 13 brings bad luck")

    def plan(self, market: Market) -> Plan:
        lows = donchian(market[self.symbol], 2)
        if self.mode == "wait":
            while True:
                time.sleep(0.01)
        if self.mode == "stubborn":
            while True:
                try:
                    time.sleep(0.01)
                except Exception:
                    pass
        if self.mode == "writes":
            lows[0] = 1.0
        if self.mode == "dies" and self.entry == 5:
            os._exit(9)
        if self.mode == "slow":
            time.sleep(0.05)
        if self.mode == "raises":
            raise RuntimeError(f"no plan for {self.entry}")
        return Plan.short(
            self.symbol, at=[self.entry], max_bars=self.hold, stop_fraction=self.stop, target_fraction=self.target
        )
'''


def make_files(folder: Path) -> None:
    """Write market.toml with its bars and shorter.py into a folder."""
    write_market(folder, market=MARKET)
    (folder / "shorter.py").write_text(SHORTER)


def as_bytes(table: pa.Table) -> bytes:
    """Return a table as the bytes of a file, in which what lies under a missing value does not count."""
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def flat_market(opens, highs, lows, closes) -> Market:
    """Hourly bars of BTCUSDT without funding."""
    n = len(closes)
    none = Funding.empty(frozenset(("BTCUSDT",)))
    prices = (np.array(column, float) for column in (opens, highs, lows, closes))
    return Market(np.arange(n) * HOUR, HOUR, ("BTCUSDT",), *prices, np.ones(n), none, Passport(()))


def config(**parameters) -> RunConfig:
    free = (("cash", 1000.0), ("slippage", 0.0), ("maker", 0.0), ("taker", 0.0))
    return RunConfig("./shorter.py", parameters=tuple(parameters.items()), account=free)
