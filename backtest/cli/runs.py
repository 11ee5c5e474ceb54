"""Commands that run strategies: make a run, check a strategy."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.catalogue import say
from backtest.cli.folder import data_folder
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
    VenueName,
)
from backtest.errors import ConfigError, LevelbreakError, did_you_mean

if TYPE_CHECKING:
    from backtest.cli.keeping import Beside, Kept
    from backtest.model.config import RunConfig

__all__ = ["check", "run"]


@app.command(short_help="Run strategies and keep what came of it.")
def run(
    strategy: Annotated[
        list[str] | None,
        typer.Argument(help="Names or paths of strategies; without one, every strategy there is.", show_default=False),
    ] = None,
    market: MarketName = None,
    set_: Parameters = None,
    venue: VenueName = None,
    cash: Cash = None,
    leverage: Leverage = None,
    margin: Margin = None,
    intrabar: Intrabar = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="fast or backtrader; else fast, for strategies of backtrader backtrader."),
    ] = None,
    seed: Seed = None,
    assume_funding: AssumeFunding = None,
    results: Results = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Run strategies on a market, print what came of it, and write a folder for each run."""
    from backtest.plugins import strategy_names
    from backtest.runner import run_each

    names = list(dict.fromkeys(strategy or strategy_names()))
    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(market, venue, account, engine=engine, seed=seed, assume_funding=assume_funding)
    configs = configurations(names, assignments(set_ or []), base)
    with data_folder(folder), progress_bar(len(configs)) as advance:
        outcomes = list(run_each(configs, advance))
    report(names, outcomes, results, json)


def base_config(market: str | None, venue: str | None, account: dict[str, Any], **settings: Any) -> "RunConfig":
    """Return the configuration that the options give, still without a strategy."""
    from backtest.model.config import DEFAULT_MARKET, DEFAULT_VENUE, RunConfig

    given = tuple((name, value) for name, value in account.items() if value is not None)
    return RunConfig("", market or DEFAULT_MARKET, (), venue or DEFAULT_VENUE, given, **settings)


def assignments(texts: Sequence[str], option: str = "--set") -> dict[str, str]:
    """Return name -> text of the options of that kind; the last of a name counts."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"`{option}` needs a name and a value, such as {option} levels=75000,70000; got {text!r}."
            )
        found[name.strip()] = value
    return found


def configurations(names: Sequence[str], parameters: dict[str, str], base: "RunConfig") -> "list[RunConfig]":
    """Return a configuration for each strategy; of several, each gets the parameters that it has."""
    from dataclasses import replace

    from backtest.plugins import find_strategy

    if not names:
        raise ConfigError("There are no strategies; put one into ./strategies.")
    for name in names:
        find_strategy(name)
    if len(names) == 1:
        return [replace(base, strategy=names[0], parameters=tuple(parameters.items()))]
    known = {name: parameter_names(name) for name in names} if parameters else {}
    for parameter in parameters:
        if not any(parameter in of for of in known.values()):
            every = {p for of in known.values() for p in of}
            raise ConfigError(f"None of the strategies has a parameter {parameter!r}.{did_you_mean(parameter, every)}")
    own = {name: tuple(p for p in parameters.items() if p[0] in known[name]) for name in known}
    return [replace(base, strategy=name, parameters=own.get(name, ())) for name in names]


def parameter_names(strategy: str) -> set[str]:
    from backtest.plugins import describe_strategy

    try:
        return {parameter.name for parameter in describe_strategy(strategy).parameters}
    except LevelbreakError:  # said when it runs; the other strategies go on
        return set()


def report(names: Sequence[str], outcomes: Sequence[Any], results: Path | None, json: bool) -> None:
    """Keep and print what was run; exit with 1 where some of several strategies failed, with 2 where all did."""
    from backtest.cli.keeping import beside

    found = finished(names, outcomes, results)
    failures = {name: one for name, one in found.items() if isinstance(one, LevelbreakError)}
    if len(failures) == len(names) and len({str(error) for error in failures.values()}) == 1:
        raise failures[names[0]]
    kept = [one for one in found.values() if not isinstance(one, LevelbreakError)]
    compared = beside(kept, results) if len(kept) > 1 else None
    if compared and compared.problem:
        say(compared.problem)
    sentences = {name: str(error) for name, error in failures.items()}
    print_json(facts(kept, sentences, compared)) if json else print_kept(kept, sentences, compared)
    if failures:
        raise typer.Exit(1 if kept else 2)


def print_kept(kept: "Sequence[Kept]", failed: dict[str, str], compared: "Beside | None") -> None:
    """Print runs: one in full, several beside each other."""
    from backtest.report import print_report
    from backtest.report.compare import print_runs_beside

    folders = [one.folder for one in kept]
    if compared:
        print_runs_beside(compared.found, folders, terminal(), compared.page, failed)
    else:
        luck = kept[0].assessment.luck if kept else None
        print_report([one.summary for one in kept], folders, terminal(), failed, luck)


def facts(kept: "Sequence[Kept]", failed: dict[str, str], compared: "Beside | None") -> dict[str, Any]:
    page = {"html": compared.page and str(compared.page)} if compared else {}
    failures = [{"strategy": name, "error": sentence} for name, sentence in failed.items()]
    return {"runs": [saved_summary(one.folder) for one in kept], "failed": failures, **page}


def finished(
    names: Sequence[str], outcomes: Sequence[Any], results: Path | None
) -> "dict[str, Kept | LevelbreakError]":
    """Keep the runs that were made, and return for each name what was kept, or why nothing was."""
    from backtest.cli.keeping import keep_runs

    found = dict(zip(names, outcomes, strict=True))
    done = {name: o for name, o in found.items() if not isinstance(o, LevelbreakError)}
    kept = keep_runs(list(done.items()), results) if done else []
    return found | dict(zip(done, kept, strict=True))


def saved_summary(folder: Path) -> dict[str, Any]:
    from json import loads

    return {"folder": str(folder), **loads((folder / "summary.json").read_text(encoding="utf-8"))}


def progress_bar(runs: int) -> Any:
    from backtest.report.progress import progress

    return progress(runs)


# --- check -------------------------------------------------------------------------------------------------------


@app.command(short_help="Check a strategy, detectors or signals: no look-ahead, the rules, the same on both engines.")
def check(
    strategy: Annotated[
        str,
        typer.Argument(
            help="A strategy's name, a file, a signal's name, or levels like 'fractal(k=3)'; without one, every "
            "detector and signal.",
            show_default=False,
        ),
    ] = "",
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Only the rules that every strategy has to keep.")
    ] = False,
    foresight: Annotated[
        bool, typer.Option("--foresight", help="Only whether it looks ahead: cut the market, change its future.")
    ] = False,
    engines: Annotated[bool, typer.Option("--engines", help="Only whether both engines make the same of it.")] = False,
    market: MarketName = None,
    set_: Parameters = None,
    venue: VenueName = None,
    cash: Cash = None,
    leverage: Leverage = None,
    margin: Margin = None,
    intrabar: Intrabar = None,
    seed: Seed = None,
    assume_funding: AssumeFunding = None,
    cuts: Annotated[int | None, typer.Option("--cuts", help="Cut points on each market, for look-ahead.")] = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Check a strategy and the detectors and signals in its file, or every one that is shipped; exit with 1 where one fails."""
    from dataclasses import replace

    from backtest.checks import CHECKS, check_strategy
    from backtest.report.checks import print_checks

    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(market, venue, account, seed=seed, assume_funding=assume_funding)
    chosen = {"conformance": conformance, "foresight": foresight, "engines": engines}
    wanted = [name for name in CHECKS if chosen[name]] or CHECKS
    with data_folder(folder):
        config = replace(base, strategy=strategy, parameters=tuple(assignments(set_ or []).items()))
        found = check_strategy(config, wanted, cuts)
    print_json(found.to_dict()) if json else print_checks(found.to_dict(), terminal())
    if not found.passes:
        raise typer.Exit(1)
