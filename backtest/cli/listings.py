"""Commands that list what there is: markets, strategies, venues."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import DataFolder, Json
from backtest.errors import LevelbreakError

__all__ = ["markets", "strategies", "venues"]


@app.command(short_help="List the declared markets, and what of their data is here.")
def markets(folder: DataFolder = None, json: Json = False) -> None:
    """List the declared markets: what they are, what of their data is here, and how to get what is missing."""
    from backtest.market import describe_market, market_names

    with data_folder(folder):
        found = described(market_names(), describe_market)
        facts = [market_facts(name, d, folder) for name, d in found.items()]
    if json:
        print_json({"markets": facts})
        return
    from backtest.report.listing import print_markets

    print_markets(facts, terminal())


def described(names: Sequence[str], describe: Any) -> dict[str, Any]:
    """Return name -> description, or the error of a file that is wrong: one bad file doesn't hide the others."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = describe(name)
        except LevelbreakError as error:
            found[name] = error
    return found


def market_facts(name: str, found: Any, folder: Path | None = None) -> dict[str, Any]:
    if isinstance(found, LevelbreakError):
        return {"name": name, "error": str(found)}
    from backtest.model.arrays import utc_text

    times = {key: getattr(found, key) for key in ("start", "end", "trade_from")}
    return {
        "name": name,
        "description": found.description,
        "symbols": list(found.symbols),
        "interval": found.interval,
        **{key: None if time is None else utc_text(time) for key, time in times.items()},
        "origins": list(found.origins),
        **kept_facts(name, folder),
    }


def kept_facts(name: str, folder: Path | None) -> dict[str, Any]:
    """Return how far the series that a market takes from the store are here, and the command that gets the rest."""
    from shlex import join

    from backtest.market.fetching.inventory import inventory

    try:
        held = [holding.to_dict() for holding in inventory(name)]
    except LevelbreakError as error:
        return {"series": [], "fetch": None, "problem": str(error)}
    wanting = any(row["state"] in ("part", "missing") and not row["of"].endswith(".check") for row in held)
    command = join(["backtest", "fetch", name, *(["--data", str(folder)] if folder else [])])
    return {"series": held, "fetch": command if wanting else None}


@app.command(short_help="List the strategies, or explain one.")
def strategies(
    name: Annotated[str | None, typer.Argument(help="A name or path: its parameters, defaults and meaning.")] = None,
    json: Json = False,
) -> None:
    """List the strategies, or say what one does and which parameters it has."""
    from backtest.plugins import describe_strategy, strategy_names
    from backtest.report.listing import print_strategies, print_strategy

    if name is not None:
        facts = strategy_facts(name, describe_strategy(name))
        print_json(facts) if json else print_strategy(facts, terminal())
        return
    every = [strategy_facts(n, d) for n, d in described(strategy_names(), describe_strategy).items()]
    print_json({"strategies": every}) if json else print_strategies(every, terminal())


def strategy_facts(name: str, found: Any) -> dict[str, Any]:
    if isinstance(found, LevelbreakError):
        return {"name": name, "error": str(found)}
    parameters = [{key: getattr(p, key) for key in ("name", "type", "default", "meaning")} for p in found.parameters]
    return {
        "name": found.name,
        "title": found.title,
        "doc": found.doc,
        "path": str(found.path),
        "parameters": parameters,
    }


@app.command(short_help="List the venues and their fees.")
def venues(json: Json = False) -> None:
    """List the venues with their fees and the account's defaults."""
    from backtest.report.listing import print_venues
    from backtest.venues import load_venue, venue_names

    every = [venue_facts(name, found) for name, found in described(venue_names(), load_venue).items()]
    print_json({"venues": every}) if json else print_venues(every, terminal())


def venue_facts(name: str, found: Any) -> dict[str, Any]:
    if isinstance(found, LevelbreakError):
        return {"name": name, "error": str(found)}
    keys = ("maker", "taker", "slippage", "liquidation_fee", "cash", "leverage", "margin_mode", "intrabar")
    symbols = sorted(found.instruments)
    return {"name": name, **{key: getattr(found, key) for key in keys}, "symbols": symbols}
