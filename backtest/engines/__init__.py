"""The engines: a market, a plan and a venue go in, a result comes out."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backtest.errors import ConfigError, did_you_mean
from backtest.model import Market, Plan, Result, Venue

if TYPE_CHECKING:
    from typing import Protocol

    class NativeEngine(Protocol):
        """Runs a class of backtrader's: its parameters go in beside it, `name` is what messages call it."""

        def __call__(
            self, market: Market, strategy: type[Any], parameters: Mapping[str, Any], venue: Venue, name: str = ""
        ) -> Result: ...


__all__ = ["ENGINES", "Engine", "check_engine", "get_engine", "get_native_engine"]

Engine = Callable[[Market, Plan, Venue], Result]
ENGINES = ("fast", "backtrader")


def get_engine(name: str) -> Engine:
    """Return an engine by name; an unknown one is an error with the nearest name."""
    check_engine(name)
    if name == "fast":
        from backtest.engines.fast import execute

        return execute
    from backtest.engines.bt import execute as replay  # imports backtrader, half a second

    return replay


def get_native_engine() -> "NativeEngine":
    """Return the engine of strategies of backtrader, which run bar by bar and have no plan."""
    from backtest.engines.bt import execute_strategy

    return execute_strategy


def check_engine(name: str) -> None:
    """Raise where there is no engine of that name."""
    if name not in ENGINES:
        raise ConfigError(f"No engine named {name!r}.{did_you_mean(name, ENGINES)}")
