"""The command that looks at levels themselves: what prices do there, and whether they do it elsewhere, too."""

from typing import Annotated

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import AssumeFunding, DataFolder, Json, MarketName

__all__ = ["study"]


@app.command(short_help="Study what prices do at levels, beside placebo levels.")
def study(
    market: MarketName = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbol", "-s", metavar="NAME", help="A symbol; repeatable. Else all, pooled."),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help='Levels, e.g. "round | fractal(k=3)"; else "round | fractal(k=24)".'),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(metavar="NAME", help="What a break is: wick, close, n_closes, retest or reclaim.")
    ] = None,
    buffer: Annotated[float | None, typer.Option(help="Least margin of a break, fraction of the level.")] = None,
    buffer_atr: Annotated[float | None, typer.Option(help="Least margin of a break, ATRs.")] = None,
    closes: Annotated[int | None, typer.Option(help="Closes in a row, for n_closes.")] = None,
    volume: Annotated[float | None, typer.Option(help="Least volume of the breaking bar, times the median.")] = None,
    reclaim: Annotated[int | None, typer.Option(help="Bars in which a return makes a break a false one.")] = None,
    sets: Annotated[int | None, typer.Option(help="Placebo sets to draw; else 1000.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the placebo sets and of a simulated market.")] = None,
    assume_funding: AssumeFunding = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Count touches and breaks of levels, say what came of them, and set it beside placebo levels and a martingale."""
    from backtest.analysis.event_study import LEVELS, study
    from backtest.market import load_market
    from backtest.model.config import DEFAULT_MARKET
    from backtest.report.study import print_study

    given = {
        "rule": rule, "buffer": buffer, "buffer_atr": buffer_atr, "closes": closes, "volume": volume,
        "reclaim": reclaim, "sets": sets, "seed": seed,
    }  # fmt: skip
    with data_folder(folder):
        loaded = load_market(market or DEFAULT_MARKET, seed=seed, assume_funding=assume_funding)
    chosen = {name: value for name, value in given.items() if value is not None}
    found = study(loaded, symbols or None, LEVELS if levels is None else levels, **chosen).to_dict()
    print_json(found) if json else print_study(found, terminal())
