"""The command that shows a market's levels, and what each break rule makes of them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import DataFolder, Json, Seed

if TYPE_CHECKING:
    from backtest.analysis.level_map import LevelMap
    from backtest.levels import Detector, Levels
    from backtest.model import Market

__all__ = ["levels"]


@app.command(short_help="Show the levels of a market, and their breaks.")
def levels(
    market: Annotated[
        str | None,
        typer.Argument(help="A declared market's name, or a TOML file; else deleveraging-2026.", show_default=False),
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(metavar="S", help="The symbol, e.g. BTCUSDT; else the market's first.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As it was known then: 2026-02-05 or 2026-02-05T12:00, UTC; else the end."),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC", help="Which levels: 'fixed(75000, 70000) | fractal(k=3)'; else what a person draws."
        ),
    ] = None,
    breaks: Annotated[
        bool, typer.Option("--breaks", help="Every break of the levels, under every rule side by side.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every level that is known, not only the nearest and strongest.")
    ] = False,
    seed: Seed = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Show the levels that a person would draw: state, age, touches, distance, open interest and liquidations around them."""
    from backtest.analysis.level_map import MOST, level_map
    from backtest.levels import read_levels
    from backtest.market import load_market
    from backtest.model.config import DEFAULT_MARKET
    from backtest.report.levels import print_breaks, print_levels

    wanted = None if levels is None else read_levels(levels)
    with data_folder(folder):
        loaded = load_market(market or DEFAULT_MARKET, seed=seed)
    found = level_map(loaded, symbol, at, wanted, most=None if every else MOST)
    told = matrix(loaded, found, wanted) if breaks else found.to_dict()
    if json:
        print_json(told)
        return
    print_breaks(told, terminal()) if breaks else print_levels(told, terminal())


def matrix(market: "Market", found: "LevelMap", wanted: "Detector | Levels | None") -> dict[str, Any]:
    """Return the matrix of the levels that were asked for, or of those on the map."""
    import numpy as np

    from backtest.analysis.break_matrix import BUFFER, break_matrix

    bars = market.head(int(np.searchsorted(market.known_at, found.time, side="right")))[found.symbol]
    table = found.levels if wanted is None else wanted.find(bars)
    whole = found.to_dict()
    shared = {name: whole[name] for name in ("market", "grade", "time", "price", "atr", "asked")}
    return {**shared, "buffer": BUFFER, **break_matrix(bars, table).to_dict()}
