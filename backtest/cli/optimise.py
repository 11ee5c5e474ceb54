"""The command that lets Optuna look for the best point, and judges it on bars that it never saw."""

from typing import Annotated

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.forward import Constraints, Grid, limits, space_of
from backtest.cli.options import (
    AssumeFunding,
    Cash,
    DataFolder,
    Intrabar,
    Json,
    Leverage,
    Margin,
    MarketName,
    Parameters,
    Results,
    Seed,
    TimeLimit,
    VenueName,
)
from backtest.cli.runs import base_config

__all__ = ["optimise"]


@app.command(short_help="Let Optuna look for the best point; judge it on bars that it never saw.")
def optimise(
    strategy: Annotated[str, typer.Argument(help="A strategy's name, or a file.")],
    grid: Grid = None,
    trials: Annotated[int, typer.Option(metavar="N", help="Suggestions in all; the same command goes on.")] = 100,
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", metavar="FIGURE", help="What is sought; else sharpe. Several give a front."),
    ] = None,
    constraint: Constraints = None,
    holdout: Annotated[float, typer.Option(metavar="SHARE", help="Last part of the bars, which judges.")] = 0.25,
    purge: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="Left out before that part; else the longest holding time."),
    ] = None,
    time_limit: TimeLimit = 60.0,
    market: MarketName = None,
    set_: Parameters = None,
    venue: VenueName = None,
    cash: Cash = None,
    leverage: Leverage = None,
    margin: Margin = None,
    intrabar: Intrabar = None,
    seed: Seed = None,
    assume_funding: AssumeFunding = None,
    results: Results = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Look for the best point with Optuna's TPE, within constraints, and end with what choosing it is worth.

    The study is kept beside the runs: the same command goes on where the last one ended.
    """
    from backtest.report.stages import stages
    from backtest.sweep import optimise as search

    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(market, venue, account, seed=seed, assume_funding=assume_funding)
    space = space_of(strategy, grid or [], base, set_ or [], drawn(strategy, grid or []))
    try:
        with data_folder(folder), stages() as advance:
            found = search(
                space, None, trials, objectives=tuple(objective or ("sharpe",)), constraints=limits(constraint),
                holdout=holdout, purge=purge, time_limit=time_limit, seed=seed or 0, results=results, progress=advance,
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("stopped; what was tried is kept, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    if json:
        print_json(found.to_dict())
        return
    from backtest.report.optimise import print_optimisation

    print_optimisation(found, terminal())


def drawn(strategy: str, grid: list[str]) -> int | None:
    """Return a count of draws where an axis is a span without a step: Optuna draws from it, whatever the count."""
    from backtest.sweep.axes import read_axes

    return 1 if any(axis.span for axis in read_axes(grid, [strategy])) else None
