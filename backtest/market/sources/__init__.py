"""Where market data comes from: one small file a source, one shape for all; nothing else touches the network."""

from importlib import import_module

from backtest.errors import SourceError, did_you_mean
from backtest.market.sources.base import COLUMNS, KINDS, Page, Request, Source

__all__ = ["COLUMNS", "KINDS", "SOURCES", "Page", "Request", "Source", "get_source"]

# name -> (module, class, arguments): imported when asked for, since a source may need an extra or half a second.
PLACES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "binance": ("exchanges", "Exchange", ("binance",)),
    "binance-archive": ("binance_archive", "BinanceArchive", ()),
    "bybit": ("exchanges", "Exchange", ("bybit",)),
    "coinalyze": ("coinalyze", "Coinalyze", ()),
    "okx": ("exchanges", "Exchange", ("okx",)),
    "yahoo": ("yahoo", "Yahoo", ()),
}
SOURCES: tuple[str, ...] = tuple(PLACES)


def get_source(name: str) -> Source:
    """Return a source by its name; SourceError for a name that there is not.

    >>> get_source("binance-archive").needs
    ''
    """
    if name not in PLACES:
        raise SourceError(f"No source named {name!r}.{did_you_mean(name, PLACES)}", "refused")
    module, maker, arguments = PLACES[name]
    source: Source = getattr(import_module(f"backtest.market.sources.{module}"), maker)(*arguments)
    return source
