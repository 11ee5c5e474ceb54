"""The command line: each command reads its options, calls the function of the same name, and prints."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from backtest.errors import ConfigError, LevelbreakError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from backtest.model.config import RunConfig

__all__ = ["app", "main"]


class Commands(TyperGroup):
    """The commands; a mistake of the user's is one sentence on stderr and exit code 2, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except LevelbreakError as error:
            say_error(str(error))
            raise typer.Exit(2) from None
        return value


def say_error(sentence: str) -> None:
    if sys.stderr.isatty():  # a terminal would break the line inside a word
        from shutil import get_terminal_size
        from textwrap import fill

        width = get_terminal_size().columns
        sentence = fill(f"error: {sentence}", width, break_long_words=False, break_on_hyphens=False)
        sentence = sentence.removeprefix("error: ")
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(sentence, err=True)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time that the help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Folder of runs; else $BACKTEST_RESULTS, else ./results."),
]

MarketName = Annotated[
    str | None,
    typer.Option("--market", "-m", help="A declared market's name, or a TOML file; else deleveraging-2026."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter, e.g. levels=75000,70000; repeatable."),
]
VenueName = Annotated[str | None, typer.Option("--venue", help="A venue's name, or a TOML file; else binance-usdm.")]
Cash = Annotated[float | None, typer.Option("--cash", help="Wallet at the start, quote units.")]
Leverage = Annotated[float | None, typer.Option("--leverage", help="The venue's leverage setting (not the exposure).")]
Margin = Annotated[Literal["isolated", "cross"] | None, typer.Option("--margin", help="Margin mode.")]
Intrabar = Annotated[
    Literal["worst", "best", "fine"] | None,
    typer.Option("--intrabar", help="Which of two events inside a bar comes first."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of a simulated market.")]
AssumeFunding = Annotated[
    float | None,
    typer.Option(
        "--assume-funding", metavar="RATE", help="Rate for missing funding stamps, a fraction; flagged in the result."
    ),
]


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"levelbreak {version('levelbreak')}")
        raise typer.Exit


@app.callback()
def backtest(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Backtest what happens to a trading idea when support breaks in a leveraged crypto market."""


# --- run ---------------------------------------------------------------------------------------------------------


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
    json: Json = False,
) -> None:
    """Run strategies on a market, print what came of it, and write a folder for each run."""
    from backtest.plugins import strategy_names
    from backtest.runner import run_many

    names = list(dict.fromkeys(strategy or strategy_names()))
    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(market, venue, account, engine=engine, seed=seed, assume_funding=assume_funding)
    configs = configurations(names, assignments(set_ or []), base)
    with progress_bar(len(configs)) as advance:
        outcomes = run_many(configs, advance)
    report(names, outcomes, results, json)


def base_config(market: str | None, venue: str | None, account: dict[str, Any], **settings: Any) -> "RunConfig":
    """Return the configuration that the options give, still without a strategy."""
    from backtest.model.config import DEFAULT_MARKET, DEFAULT_VENUE, RunConfig

    given = tuple((name, value) for name, value in account.items() if value is not None)
    return RunConfig("", market or DEFAULT_MARKET, (), venue or DEFAULT_VENUE, given, **settings)


def assignments(texts: Sequence[str]) -> dict[str, str]:
    """Return name -> text of the `--set` options; the last of a name counts."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"`--set` needs a name and a value, such as --set levels=75000,70000; got {text!r}.")
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
    """Save and print what was run; exit with 1 where some of several strategies failed, with 2 where all did."""
    from backtest.analysis import analyze
    from backtest.catalogue import save_run
    from backtest.plugins import describe_strategy

    failures = {name: o for name, o in zip(names, outcomes, strict=True) if isinstance(o, LevelbreakError)}
    if len(failures) == len(names) and len({str(error) for error in failures.values()}) == 1:
        raise failures[names[0]]
    done = [(name, o, analyze(o)) for name, o in zip(names, outcomes, strict=True) if name not in failures]
    digests = {name: describe_strategy(name).source_sha256 for name, _, _ in done}
    folders = [save_run(result, s.to_dict(), results, source=digests[name]) for name, result, s in done]
    sentences = {name: str(error) for name, error in failures.items()}
    if json:
        failed = [{"strategy": name, "error": sentence} for name, sentence in sentences.items()]
        print_json({"runs": [saved_summary(folder) for folder in folders], "failed": failed})
    else:
        from backtest.report import print_report

        print_report([s for _, _, s in done], folders, terminal(), sentences)
    if failures:
        raise typer.Exit(1 if done else 2)


def saved_summary(folder: Path) -> dict[str, Any]:
    from json import loads

    return {"folder": str(folder), **loads((folder / "summary.json").read_text(encoding="utf-8"))}


def progress_bar(runs: int) -> Any:
    from backtest.report.progress import progress

    return progress(runs)


# --- check -------------------------------------------------------------------------------------------------------


@app.command(short_help="Check a strategy: do both engines agree about its plan?")
def check(
    strategy: Annotated[str, typer.Argument(help="A strategy's name or path.", show_default=False)],
    engines: Annotated[
        bool, typer.Option("--engines", help="Run its plan on both engines and compare; so far the only check.")
    ] = False,
    market: MarketName = None,
    set_: Parameters = None,
    venue: VenueName = None,
    cash: Cash = None,
    leverage: Leverage = None,
    margin: Margin = None,
    intrabar: Intrabar = None,
    seed: Seed = None,
    assume_funding: AssumeFunding = None,
    json: Json = False,
) -> None:
    """Run a strategy's plan on both engines and print the first difference, if any; exit with 1 where they differ."""
    from dataclasses import replace

    from backtest.checks import compare_engines
    from backtest.report.checks import print_comparison

    # Without the name of a check all of them are meant; there is one.
    account = {"cash": cash, "leverage": leverage, "margin_mode": margin, "intrabar": intrabar}
    base = base_config(market, venue, account, seed=seed, assume_funding=assume_funding)
    found = compare_engines(replace(base, strategy=strategy, parameters=tuple(assignments(set_ or []).items())))
    print_json(found.to_dict()) if json else print_comparison(found.to_dict(), terminal())
    if not found.agrees:
        raise typer.Exit(1)


# --- what there is -----------------------------------------------------------------------------------------------


@app.command()
def markets(json: Json = False) -> None:
    """List the declared markets."""
    from backtest.market import describe_market, market_names

    found = described(market_names(), describe_market)
    if json:
        print_json({"markets": [market_facts(name, d) for name, d in found.items()]})
        return
    from backtest.report.listing import print_markets

    print_markets([market_facts(name, d) for name, d in found.items()], terminal())


def described(names: Sequence[str], describe: Any) -> dict[str, Any]:
    """Return name -> description, or the error of a file that is wrong: one bad file doesn't hide the others."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = describe(name)
        except LevelbreakError as error:
            found[name] = error
    return found


def market_facts(name: str, found: Any) -> dict[str, Any]:
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
    }


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


# --- runs that were made -----------------------------------------------------------------------------------------


@app.command("list")
def list_(results: Results = None, json: Json = False) -> None:
    """List the runs, the newest last."""
    from backtest.catalogue import results_folder, scan_runs

    runs, broken = scan_runs(results)
    if json:
        keys = ("id", "created", "strategy", "market", "grade")
        rows = [
            {"folder": str(r.path), **{k: getattr(r, k) for k in keys}, "metrics": r.summary.get("metrics")}
            for r in runs
        ]
        print_json({"runs": rows, "broken": [{"folder": str(b.path), "problem": b.problem} for b in broken]})
        return
    from backtest.report import print_runs

    print_runs(runs, broken, results_folder(results), terminal())


@app.command()
def show(
    run: Annotated[str, typer.Argument(help='The run\'s id or its beginning, its folder, or "last".')],
    results: Results = None,
    json: Json = False,
) -> None:
    """Show one run again, from its folder."""
    from backtest.analysis import Summary
    from backtest.catalogue import load_run
    from backtest.errors import ResultsError
    from backtest.report import print_report

    saved = load_run(run, results)
    if json:
        print_json(saved_summary(saved.path))
        return
    try:
        summary = Summary.from_dict(saved.summary)
    except (KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"The summary.json of {saved.path.name} lacks {error}; run it again.") from error
    print_report([summary], [saved.path], terminal())


# --- output ------------------------------------------------------------------------------------------------------


def print_json(document: Any) -> None:
    from json import dumps

    from backtest.analysis.summary import as_plain

    typer.echo(dumps(as_plain(document), indent=2, allow_nan=False, default=str))


def terminal() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app()
