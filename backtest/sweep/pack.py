"""A market as one file of plain arrays, which every worker of a machine maps into its memory instead of a copy of its own."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from backtest.model import Funding, Market
from backtest.model.market import Feed, Mark

__all__ = ["open_market", "pack_market", "pack_plain", "taken_apart"]


def pack_market(market: Market, path: Path) -> None:
    """Write a market to a file."""
    pack_plain(taken_apart(market), path)


def pack_plain(plain: dict[str, Any], path: Path) -> None:
    """Write a market that was taken apart to a file."""
    import joblib

    joblib.dump(plain, path)


def open_market(path: Path) -> Market:
    """Return the market of a file; its arrays stay on the disk and are shared between processes."""
    import joblib

    return put_together(joblib.load(path, mmap_mode="r"))


def taken_apart(market: Market) -> dict[str, Any]:
    """Return a market as plain data: its fields by name, those of its parts in mappings of their own."""
    plain = {f.name: getattr(market, f.name) for f in fields(Market)}
    plain["funding"] = {f.name: getattr(market.funding, f.name) for f in fields(Funding)}
    plain["feeds"] = {
        name: {f.name: getattr(feed, f.name) for f in fields(Feed)} for name, feed in market.feeds.items()
    }
    if market.mark is not None:
        plain["mark"] = {f.name: getattr(market.mark, f.name) for f in fields(Mark)}
    if market.fine is not None:
        plain["fine"] = taken_apart(market.fine)
    return plain


def put_together(plain: dict[str, Any]) -> Market:
    """Return the market that `taken_apart` took apart, checked as any other."""
    parts = dict(plain)
    parts["funding"] = Funding(**plain["funding"])
    parts["feeds"] = {name: Feed(**feed) for name, feed in plain["feeds"].items()}
    parts["mark"] = None if plain["mark"] is None else Mark(**plain["mark"])
    parts["fine"] = None if plain["fine"] is None else put_together(plain["fine"])
    return Market(**parts)
