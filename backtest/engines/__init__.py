"""The engines: a market, a plan and a venue go in, a result comes out."""

from collections.abc import Callable

from backtest.errors import ConfigError, did_you_mean
from backtest.model import Market, Plan, Result, Venue

__all__ = ["ENGINES", "Engine", "get_engine"]

Engine = Callable[[Market, Plan, Venue], Result]
ENGINES = ("fast",)


def get_engine(name: str) -> Engine:
    """Return an engine by name; an unknown one is an error with the nearest name."""
    if name == "fast":
        from backtest.engines.fast import execute

        return execute
    raise ConfigError(f"No engine named {name!r}.{did_you_mean(name, ENGINES)}")
