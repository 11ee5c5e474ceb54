"""The command that sets runs beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.catalogue import say
from backtest.cli.keeping import identity_of
from backtest.cli.options import Json, Results
from backtest.errors import ConfigError, ResultsError

if TYPE_CHECKING:
    from backtest.analysis.compare import Comparison
    from backtest.report.html import RunView

__all__ = ["compare"]


@app.command(short_help="Set runs beside each other: ranked, with differences, intervals and what they share.")
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help='Ids or their beginnings, folders, or "last".')
    ],
    sort: Annotated[
        str, typer.Option("--sort", metavar="FIGURE", help="Rank by it: return, sharpe, drawdown, calmar, ...")
    ] = "return",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="PATH", help="Where the page goes; else compare_ID.html beside the runs."),
    ] = None,
    results: Results = None,
    json: Json = False,
) -> None:
    """Compare runs on the days they share: the best first, differences with 95% intervals, correlation, trades in common.

    Two tests say whether the best of them is better than flat, and than a run of buy_and_hold on the same data.
    """
    from backtest.analysis.compare import compare as compared
    from backtest.analysis.compare import figure_named

    figure_named(sort)
    views = loaded(runs, results)
    found = compared(views, sort, benchmark=held(views, results))
    page, problem = written(views, found, html, results)
    if problem:
        say(problem)
    if json:
        print_json({**found.to_dict(), "html": page and str(page)})
        return
    from backtest.report.compare import print_comparison

    print_comparison(found, terminal(), page)


def loaded(names: Sequence[str], results: Path | None) -> "list[RunView]":
    """Return the runs of those names, each once; fewer than two are a ConfigError."""
    from backtest.catalogue import load_run
    from backtest.report.html import view_of

    saved = [load_run(name, results, say if i == 0 else None) for i, name in enumerate(names)]
    for i, run in enumerate(saved):
        twice = next((name for name, other in zip(names, saved[:i], strict=False) if other.path == run.path), None)
        if twice is not None:
            raise ConfigError(f"{twice!r} and {names[i]!r} are the same run, {run.path.name}; name another one.")
    if len(saved) < 2:
        raise ConfigError(f"A comparison needs at least two runs, got {len(saved)}; `backtest list` names them.")
    return [view_of(run) for run in saved]


def held(views: "Sequence[RunView]", results: Path | None) -> "RunView | None":
    """Return the newest run of buy_and_hold on the data of the runs, where one is kept and none is among them."""
    from backtest.analysis.compare import BUY_AND_HOLD
    from backtest.catalogue import load_run, read_index
    from backtest.catalogue.trials import market_hash, strategy_name
    from backtest.report.html import view_of

    data = {market_hash(view.passport) for view in views}
    if len(data) != 1 or any(strategy_name(view.summary.strategy) == BUY_AND_HOLD for view in views):
        return None
    kept = [r for r in read_index(results).runs if strategy_name(r.strategy) == BUY_AND_HOLD and r.market_hash in data]
    try:
        return view_of(load_run(kept[-1].path.name, results)) if kept else None
    except ResultsError:
        return None


def written(
    views: "Sequence[RunView]", found: "Comparison", html: Path | None, results: Path | None
) -> tuple[Path | None, str]:
    """Write the page, and return its path; beside runs that can't be written to there is none, and a sentence says so."""
    from backtest.catalogue import results_folder
    from backtest.report.html import write_report

    path = html or results_folder(results) / f"compare_{identity_of(views)}.html"
    try:
        write_report(path, views, compared=found)
    except ResultsError as error:
        if html is not None:
            raise
        return None, str(error)
    return path, ""
