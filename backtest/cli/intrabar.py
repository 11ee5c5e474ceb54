"""The command that asks finer bars what happened inside coarse ones: worst, best and truth side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import (
    AssumeFunding,
    Cash,
    DataFolder,
    Json,
    Leverage,
    Margin,
    MarketName,
    Parameters,
    Seed,
    VenueName,
)
from backtest.cli.runs import assignments, base_config, configurations
from backtest.errors import ConfigError, LevelbreakError

if TYPE_CHECKING:
    from backtest.checks.intrabar import Intrabar
    from backtest.model import Market
    from backtest.model.config import RunConfig

__all__ = ["intrabar"]


@app.command(short_help="Set worst and best order inside a bar beside what finer bars say.")
def intrabar(
    strategy: Annotated[
        list[str] | None,
        typer.Argument(help="Names or paths of strategies; else every one that has a plan.", show_default=False),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", "-g", metavar="NAME=VALUES", help="Also vary, e.g. stop_fraction=0.003:0.009:0.002."),
    ] = None,
    coarse: Annotated[
        str | None,
        typer.Option(metavar="INTERVAL", help="The coarse bars; else 1h, or the market's own that carries finer ones."),
    ] = None,
    windows: Annotated[
        int | None, typer.Option(metavar="N", help="Parts of the span that are run by themselves as well; else 12.")
    ] = None,
    market: MarketName = None,
    set_: Parameters = None,
    venue: VenueName = None,
    cash: Cash = None,
    leverage: Leverage = None,
    margin: Margin = None,
    seed: Seed = None,
    assume_funding: AssumeFunding = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Run plans on coarse bars, two events in one bar in the worse and in the better order, and on the finer bars inside them.

    The market has bars of 1m, or `fine` ones; a simulated market without them gets simulated minutes inside its bars.
    """
    from backtest.analysis import analyze
    from backtest.checks.intrabar import totals, two_scales
    from backtest.report.intrabar import print_intrabar
    from backtest.runner import market_of

    account = {"cash": cash, "leverage": leverage, "margin_mode": margin}
    base = base_config(market, venue, account, seed=seed, assume_funding=assume_funding)
    with data_folder(folder):
        asked = asked_of(strategy or [], grid or [], assignments(set_ or []), base)
        loaded = two_scales(market_of(base), coarse, seed)
        found, failed = compared_each(asked, loaded, windows)
    comparisons = [
        {**one.to_dict(), "summary": analyze(one.result).to_dict(), "label": label, "values": values}
        for label, values, one in found
    ]
    told = {"comparisons": comparisons, "total": totals(one for *_, one in found), "failed": failed}
    print_json(told) if json else print_intrabar(told, terminal())
    if failed and strategy:
        raise typer.Exit(1)


def asked_of(
    names: Sequence[str], grid: Sequence[str], parameters: dict[str, str], base: "RunConfig"
) -> "list[tuple[str, dict[str, Any], RunConfig]]":
    """Return (label, what was varied, configuration) for each strategy, or for each point of a grid of them."""
    from dataclasses import replace

    from backtest.plugins import strategy_names

    if not grid:
        configs = configurations(list(dict.fromkeys(names or strategy_names())), parameters, base)
        return [(config.strategy, {}, config) for config in configs]
    if len(names) != 1:
        raise ConfigError("A grid varies one strategy; name it, such as `backtest intrabar donchian_break --grid ...`.")
    from backtest.sweep.space import make_space

    base = replace(base, parameters=tuple(parameters.items()))
    space = make_space(names[0], grid, markets=(base.market,), base=base)
    if any(axis.account and axis.setting == "intrabar" for axis in space.axes):
        raise ConfigError(
            "`intrabar` can't be varied here: each plan runs as worst, as best and on the finer bars anyway."
        )
    return [(names[0], space.values(i), space.config(i)) for i in range(len(space))]


def compared_each(
    asked: "Sequence[tuple[str, dict[str, Any], RunConfig]]", loaded: "Market", windows: int | None
) -> "tuple[list[tuple[str, dict[str, Any], Intrabar]], list[dict[str, Any]]]":
    """Return the comparisons, and what each that could not be made was, with the sentence; where none could, that is the error."""
    from backtest.checks.intrabar import compared
    from backtest.report.stages import stages

    found: list[tuple[str, dict[str, Any], Intrabar]] = []
    failed: list[dict[str, Any]] = []
    with stages() as advance:
        for i, (label, values, config) in enumerate(asked):
            advance("plans", i, len(asked))
            try:
                found.append((label, values, compared(loaded, config, windows)))
            except LevelbreakError as error:
                failed.append({"strategy": label, "values": values, "error": str(error)})
    if not found:
        raise ConfigError(failed[0]["error"])
    return found, failed
