"""The command that walks a grid forward: chosen on the past, traded on what followed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import (
    AssumeFunding,
    Cash,
    DataFolder,
    Draw,
    Intrabar,
    Jobs,
    Json,
    Latin,
    Leverage,
    Margin,
    MarketName,
    Parameters,
    Random,
    Results,
    Seed,
    TimeLimit,
    VenueName,
)
from backtest.cli.runs import assignments, base_config

if TYPE_CHECKING:
    from backtest.sweep.objectives import Constraint
    from backtest.sweep.space import Space

__all__ = ["Constraints", "Grid", "forward", "limits", "space_of"]

Grid = Annotated[
    list[str] | None,
    typer.Option("--grid", "-g", metavar="NAME=VALUES", help="What may vary, e.g. lookback=24:240:8; repeatable."),
]
Constraints = Annotated[
    list[str] | None,
    typer.Option("--constraint", metavar="TEXT", help="What a choice must keep, e.g. liquidations=0; repeatable."),
]


@app.command(short_help="Walk a grid forward: choose on the past, trade on what followed.")
def forward(
    strategy: Annotated[str, typer.Argument(help="A strategy's name, or a file.")],
    grid: Grid = None,
    train: Annotated[
        str, typer.Option(metavar="LENGTH", help="Length of a training: bars, or a time like 90d.")
    ] = "90d",
    test: Annotated[str, typer.Option(metavar="LENGTH", help="Length of the test behind it.")] = "30d",
    anchored: Annotated[bool, typer.Option("--anchored", help="Every training starts at the first bar.")] = False,
    purge: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="Left out before a test; else the longest holding time seen before it."),
    ] = None,
    embargo: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="Left out besides: before a test here, behind one in cross-validation."),
    ] = None,
    metric: Annotated[str, typer.Option(metavar="FIGURE", help="What the best has most of.")] = "sharpe",
    constraint: Constraints = None,
    groups: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 6,
    tested: Annotated[int, typer.Option(help="Parts that it tests at a time.")] = 2,
    random: Random = None,
    latin: Latin = None,
    draw: Draw = 0,
    jobs: Jobs = 1,
    time_limit: TimeLimit = 60.0,
    yes: Annotated[bool, typer.Option("--yes", help="Also walk more than 10 million points.")] = False,
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
    """Choose the best point of a grid in each training, trade it in the test behind, and judge the tests as one run."""
    from backtest.report.stages import stages
    from backtest.sweep.forward import walk_forward
    from backtest.sweep.keep import keep_forward

    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(market, venue, account, seed=seed, assume_funding=assume_funding)
    space = space_of(strategy, grid or [], base, set_ or [], random, latin, draw)
    try:
        with data_folder(folder), stages() as advance:
            found = walk_forward(
                space, None, train, test, anchored=anchored, purge=purge, embargo=embargo, metric=metric,
                constraints=limits(constraint), groups=groups, tested=tested, jobs=jobs, time_limit=time_limit,
                seed=seed or 0, results=results, progress=advance, yes=yes,
            )  # fmt: skip
            paths = keep_forward(found, results)
    except KeyboardInterrupt:
        typer.echo("stopped; a walk is kept only when it has ended, so the same command begins anew", err=True)
        raise typer.Exit(130) from None
    if json:
        print_json({**found.to_dict(), "files": [str(path) for path in paths]})
        return
    from backtest.report.forward import print_forward

    print_forward(found, terminal(), paths)


def space_of(
    strategy: str,
    grid: list[str],
    base: Any,
    given: list[str],
    random: int | None = None,
    latin: int | None = None,
    draw: int = 0,
) -> "Space":
    """Return the space that the options describe; without a grid there is nothing to choose."""
    from dataclasses import replace

    from backtest.errors import ConfigError
    from backtest.sweep.space import make_space

    if not grid:
        raise ConfigError("There is nothing to choose; give what may vary, such as --grid lookback=24:240:8.")
    base = replace(base, parameters=tuple(assignments(given).items()))
    return make_space(strategy, grid, markets=(base.market,), base=base, random=random, latin=latin, seed=draw)


def limits(texts: list[str] | None) -> "tuple[Constraint, ...]":
    from backtest.sweep.objectives import read_constraint

    return tuple(read_constraint(text) for text in texts or ())
