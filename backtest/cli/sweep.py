"""The command that sweeps: a strategy over many combinations of its parameters."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json
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
    Parameters,
    Random,
    Results,
    Seed,
    TimeLimit,
    VenueName,
)
from backtest.cli.runs import assignments, base_config
from backtest.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from backtest.cli.swept import Asked, Ending, Pictured
    from backtest.cli.swept_best import Compared
    from backtest.sweep import Space

__all__ = ["sweep"]

OVER = ("median", "best")  # of several points in one cell of a map


@app.command(short_help="Run a strategy over a grid or a sample of its parameters, and keep a row for each point.")
def sweep(
    strategy: Annotated[list[str], typer.Argument(help="Names or paths of strategies.", show_default=False)],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=VALUES",
            help="A parameter's values: 24:240:8, 0,0.001,0.002, log:0.005:0.1:9, lin:0:1:5; also leverage, margin_mode, maker, "
            "taker, slippage, cash and intrabar of the account; repeatable.",
        ),
    ] = None,
    random: Random = None,
    latin: Latin = None,
    draw: Draw = 0,
    jobs: Jobs = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask cluster that works on it: tcp://host:8786.")
    ] = None,
    market: Annotated[
        list[str] | None,
        typer.Option("--market", "-m", help="A declared market, or a TOML file; repeatable; else deleveraging-2026."),
    ] = None,
    set_: Parameters = None,
    venue: VenueName = None,
    cash: Cash = None,
    leverage: Leverage = None,
    margin: Margin = None,
    intrabar: Intrabar = None,
    engine: Annotated[
        str | None, typer.Option(metavar="NAME", help="fast or backtrader, which is slow; else fast.")
    ] = None,
    seed: Seed = None,
    assume_funding: AssumeFunding = None,
    time_limit: TimeLimit = 60.0,
    yes: Annotated[bool, typer.Option("--yes", help="Also run more than 10 million points.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="FIGURE", help="Figure that ranks the points.")] = "sharpe",
    top: Annotated[int | None, typer.Option("--top", metavar="N", help="How many of the best; else 10.")] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Run those in full, keep them with their reports, set them beside each other."),
    ] = False,
    heat: Annotated[
        str | None,
        typer.Option("--heat", metavar="X,Y", help="Axes of the printed map; else those that move the figure most."),
    ] = None,
    figure: Annotated[
        str | None, typer.Option("--figure", metavar="FIGURE", help="Figure of the map; else that of --by.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="NAME=VALUE", help="Hold another axis of the map at a value; repeatable."),
    ] = None,
    over: Annotated[
        str,
        typer.Option(
            "--over", metavar="median|best", help="Which of the points of one cell of the map counts: median or best."
        ),
    ] = "median",
    results: Results = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Score every point of a grid, or a sample of it, and print the best, a heat map, and what choosing is worth.

    The same command goes on where it was stopped, and shows a finished sweep again.
    """
    from backtest.cli.swept import end_sweep
    from backtest.cli.swept_best import compare_best
    from backtest.sweep import make_space
    from backtest.sweep import sweep as run_sweep

    picture = picture_of(heat, figure, at, over)
    asked = asked_of(by, top, compare, picture, time_limit)
    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(None, venue, account, engine=engine, seed=seed, assume_funding=assume_funding)
    with data_folder(folder):
        space = make_space(
            strategy,
            grid,
            markets=market or (),
            base=with_parameters(base, set_),
            random=random,
            latin=latin,
            seed=draw,
        )
        check_picture(space, picture)
        from backtest.report.sweep import sweep_progress

        try:
            with sweep_progress(space.count) as advance:
                found = run_sweep(
                    space, results, jobs=jobs, time_limit=time_limit, progress=advance, yes=yes, dask=dask
                )
            ending = end_sweep(found, asked, results)
            compared = compare_best(found, asked, results) if compare else None
        except KeyboardInterrupt:
            typer.echo(
                "stopped; the rows that are finished are kept, and the same command goes on from there", err=True
            )
            raise typer.Exit(130) from None
    report(ending, compared, bool(heat), json)


def with_parameters(base: Any, texts: list[str] | None) -> Any:
    from dataclasses import replace

    return replace(base, parameters=tuple(assignments(texts or []).items()))


def picture_of(heat: str | None, figure: str | None, at: list[str] | None, over: str) -> "Pictured":
    """Return the map that the options describe; what makes no sense is a ConfigError."""
    from backtest.cli.swept import Pictured
    from backtest.sweep import FIGURES
    from backtest.sweep.store import known_figure

    sides = tuple(name.strip() for name in (heat or "").split(",")) if heat is not None else ()
    if any(not name for name in sides) or len(sides) > 2:
        raise ConfigError(f"`--heat` needs two axes, such as --heat lookback,buffer; got {heat!r}.")
    if figure is not None:
        known_figure(figure, FIGURES)
    if over not in OVER:
        raise ConfigError(f"`--over` is median or best, got {over!r}.{did_you_mean(over, OVER)}")
    held = assignments(at or [], "--at")
    if held and not sides:
        raise ConfigError("`--at` holds an axis of a map at a value; say which map, such as --heat lookback,buffer.")
    return Pictured(sides, figure or "", tuple(held.items()), over)


def asked_of(by: str, top: int | None, compare: bool, picture: "Pictured", time_limit: float | None) -> "Asked":
    from backtest.cli.swept import Asked
    from backtest.sweep import FIGURES
    from backtest.sweep.store import known_figure

    known_figure(by, FIGURES)
    if top is not None and top < 1:
        raise ConfigError(f"`--top` must be a number of points from 1, got {top}.")
    if compare and top is None:
        raise ConfigError("`--compare` runs the best points in full; say how many, such as --top 10 --compare.")
    return Asked(by, 10 if top is None else top, picture, time_limit)


def check_picture(space: "Space", picture: "Pictured") -> None:
    from backtest.sweep.heat_map import check_sides

    check_sides(space, picture.sides, dict(picture.at))


def report(ending: "Ending", compared: "Compared | None", whole: bool, json: bool) -> None:
    """Print the best points; exit with 1 where some failed, with 2 where all did."""
    from backtest.cli.catalogue import say
    from backtest.cli.runs import print_kept
    from backtest.cli.swept import print_ending

    beside = compared.beside if compared else None
    for problem in filter(None, (ending.problem, beside.problem if beside else "", compared.note if compared else "")):
        say(problem)
    if json:
        print_json({**ending.to_dict(), **({} if compared is None else {"compared": compared_facts(compared)})})
    elif compared is None or compared.note:
        print_ending(ending, whole)
    else:
        print_ending(ending, whole, followed=True)
        print_kept(compared.kept, compared.failed, compared.beside)
    view = ending.view
    if view.failed or (compared is not None and compared.failed):
        raise typer.Exit(2 if view.failed == view.done else 1)


def compared_facts(compared: "Compared") -> dict[str, Any]:
    from backtest.cli.runs import facts

    told = facts(compared.kept, compared.failed, compared.beside)
    return {**told, "note": compared.note} if compared.note else told
