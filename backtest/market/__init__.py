"""Loading a declared market: TOML -> files, store or scenario -> validated columns -> aligned panel -> `Market`."""

from backtest.market.declare import Description, describe_market, market_names
from backtest.market.load import load_market
from backtest.market.read import Columns, read_columns, store_entry, store_folders

__all__ = [
    "Columns",
    "Description",
    "describe_market",
    "load_market",
    "market_names",
    "read_columns",
    "store_entry",
    "store_folders",
]
