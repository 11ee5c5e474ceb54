"""The command that sweeps: a strategy over many combinations of its parameters."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import (
    AssumeFunding,
    Cash,
    DataFolder,
    Intrabar,
    Json,
    Leverage,
    Margin,
    Parameters,
    Results,
    Seed,
    VenueName,
)
from backtest.cli.runs import assignments, base_config

if TYPE_CHECKING:
    from backtest.sweep import Space, Sweep

__all__ = ["sweep"]


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
    random: Annotated[
        int | None, typer.Option("--random", metavar="N", help="Draw so many points of the grid.")
    ] = None,
    latin: Annotated[
        int | None, typer.Option("--latin", metavar="N", help="Draw a Latin hypercube of so many points.")
    ] = None,
    draw: Annotated[int, typer.Option("--draw", metavar="N", help="Number of the draw, for --random and --latin.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes that work on it.")] = 1,
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
    time_limit: Annotated[float, typer.Option("--time-limit", metavar="S", help="Seconds for one point.")] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", help="Also run more than 10 million points.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="FIGURE", help="Figure that ranks the points.")] = "sharpe",
    results: Results = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Score every point of a grid, or a sample of it, and print the best; the same command goes on where it was stopped."""
    from backtest.sweep import FIGURES, make_space
    from backtest.sweep import sweep as run_sweep
    from backtest.sweep.store import known_figure

    known_figure(by, FIGURES)
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
        from backtest.report.sweep import sweep_progress

        try:
            with sweep_progress(space.count) as advance:
                found = run_sweep(space, results, jobs=jobs, time_limit=time_limit, progress=advance, yes=yes)
        except KeyboardInterrupt:
            typer.echo(
                "stopped; the rows that are finished are kept, and the same command goes on from there", err=True
            )
            raise typer.Exit(130) from None
    report(space, found, by, json)


def with_parameters(base: Any, texts: list[str] | None) -> Any:
    from dataclasses import replace

    return replace(base, parameters=tuple(assignments(texts or []).items()))


def report(space: "Space", found: "Sweep", by: str, json: bool) -> None:
    """Print the best points; exit with 1 where some failed, with 2 where all did."""
    best = found.best(by, 10)
    rows = rows_of(found, best)
    reasons = Counter(sentence for sentence in found.table(["error"])["error"].to_pylist() if sentence)
    ambiguous = sum(1 for count in found.table(["ambiguous_bars"])["ambiguous_bars"].to_pylist() if count)
    counts = {"points": space.count, "done": found.done, "failed": sum(reasons.values()), "ambiguous": ambiguous}
    common = dict(reasons.most_common(5))
    if json:
        print_json({"folder": str(found.folder), **counts, "by": by, "best": rows, "failures": common})
    else:
        from backtest.report.sweep import print_sweep

        several = ["market"] * (len(space.markets) > 1) + ["strategy"] * (len(space.strategies) > 1)
        print_sweep(rows, [*several, *space.columns], by, counts, common, found.folder, terminal())
    if counts["failed"]:
        raise typer.Exit(2 if counts["failed"] == counts["done"] else 1)


def rows_of(found: "Sweep", points: list[int]) -> list[dict[str, Any]]:
    """Return the rows of some points, in that order."""
    import pyarrow as pa

    table = found.table()
    place = {point: row for row, point in enumerate(table["point"].to_pylist())}
    return table.take(pa.array([place[point] for point in points], pa.int64())).to_pylist() if points else []
