"""Backtest what happens to a trading idea when support breaks in a leveraged market."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backtest.market import fetch, load_market
    from backtest.model import Bars, Market, Passport, Plan, Result, RunConfig, Venue
    from backtest.runner import run
    from backtest.venues import load_venue

__all__ = [
    "Bars",
    "Market",
    "Passport",
    "Plan",
    "Result",
    "RunConfig",
    "Venue",
    "fetch",
    "load_market",
    "load_venue",
    "run",
]

# Where each public name lives; imported on first use, so that the command line starts without numpy and pandas.
HOMES = dict.fromkeys(("Bars", "Market", "Passport", "Plan", "Result", "RunConfig", "Venue"), "backtest.model") | {
    "fetch": "backtest.market",
    "load_market": "backtest.market",
    "load_venue": "backtest.venues",
    "run": "backtest.runner",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'backtest' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
