"""Loading a declared market: TOML -> files, store or scenario -> validated columns -> aligned panel -> `Market`."""

from typing import TYPE_CHECKING, Any

from backtest.market.crises import Crisis, load_crises
from backtest.market.declare import Description, describe_market, market_names
from backtest.market.load import load_market
from backtest.market.read import Columns, read_columns, store_entry, store_folders

if TYPE_CHECKING:
    from backtest.market.fetching.fetch import fetch

__all__ = [
    "Columns",
    "Crisis",
    "Description",
    "describe_market",
    "fetch",
    "load_crises",
    "load_market",
    "market_names",
    "read_columns",
    "store_entry",
    "store_folders",
]


def __getattr__(name: str) -> Any:
    if name == "fetch":  # not needed to load a market, and a tenth of a second to import
        from backtest.market.fetching.fetch import fetch

        return fetch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
