"""Commands about runs that were made: list them, show one again, make one again, note, remove."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtest.cli.app import app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import DataFolder, Json, Results
from backtest.errors import ConfigError, LevelbreakError, ResultsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backtest.analysis.significance import Luck
    from backtest.catalogue import Again, Choice, Doomed, Index, SavedRun
    from backtest.runner import Ran

__all__ = ["list_", "note", "rerun", "rm", "show"]

RunName = Annotated[str, typer.Argument(metavar="RUN", help='Its id or the beginning, its folder, or "last".')]
COLUMNS = ("id", "created", "strategy", "market", "grade", "note", "market_hash", "metrics")


def say(sentence: str) -> None:
    """Print on stderr what is not a mistake of the user's."""
    from backtest.report.words import printable

    typer.echo(f"note: {printable(sentence)}", err=True)


# --- list and show -----------------------------------------------------------------------------------------------


@app.command("list", short_help="List the runs, with filters, in any order.")
def list_(
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", metavar="NAME", help="Only runs of it; * stands for anything.")
    ] = None,
    market: Annotated[
        str | None, typer.Option("--market", "-m", metavar="NAME", help="Only runs on it; * stands for anything.")
    ] = None,
    grade: Annotated[
        str | None, typer.Option("--grade", metavar="A|B|C|D", help="Only data of this grade, or of several: AB.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only runs made from this date or time on, UTC.")
    ] = None,
    sort: Annotated[
        str, typer.Option("--sort", metavar="KEY", help="created, strategy, market, or a figure: return, sharpe, ...")
    ] = "created",
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", help="The N newest, or the first N by --sort.")
    ] = None,
    results: Results = None,
    json: Json = False,
) -> None:
    """List the runs, the newest last; by a figure, the highest first."""
    from backtest.catalogue import Choice, choose_runs, read_index, results_folder, sort_key

    choice = Choice(strategy, market, grade, since, sort, reverse, limit)
    index = read_index(results)
    runs = choose_runs(index.runs, choice)
    if index.problem:
        say(index.problem)
    if json:
        rows = [{"folder": str(r.path), **{name: getattr(r, name) for name in COLUMNS}} for r in runs]
        print_json({"runs": rows, "broken": [{"folder": str(b.path), "problem": b.problem} for b in index.broken]})
        return
    from backtest.report import print_runs

    place, out = results_folder(results), terminal()
    print_runs(runs, index.broken, place, out, len(index.runs), sort_key(sort, index.runs))
    if index.runs and not runs:
        out.print(nothing_words(index, choice, place))


def nothing_words(index: "Index", choice: "Choice", results: Path) -> str:
    """Return why no run is listed: a name that none has, else that none meets every condition."""
    from backtest.catalogue import Choice, choose_runs

    for kind, name in (("of strategy", choice.strategy), ("on market", choice.market)):
        alone = Choice(strategy=name) if kind == "of strategy" else Choice(market=name)
        if name is not None and not choose_runs(index.runs, alone):
            known = {r.strategy if kind == "of strategy" else r.market for r in index.runs}
            return f"There is no run {kind} {name!r} in {results}.{did_you_mean(name, known)}"
    return f"None of the {len(index.runs):,} runs in {results} meets every condition."


@app.command()
def show(
    run: RunName,
    plot: Annotated[bool, typer.Option("--plot", help="Draw equity and drawdown in the terminal, too.")] = False,
    png: Annotated[
        Path | None,
        typer.Option("--png", metavar="PATH", help="Write a picture: price with levels, equity, drawdown."),
    ] = None,
    results: Results = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Show one run again, from its folder; or a sweep, by its folder's name or its id."""
    from backtest.analysis import Summary
    from backtest.catalogue import load_run
    from backtest.report import print_report
    from backtest.report.runs import print_note
    from backtest.report.words import printable

    try:
        saved = load_run(run, results, say)
    except ResultsError as error:
        if not shown_as_sweep(run, plot or png is not None, results, folder, json):
            raise error
        return
    picture = None if png is None else pictured(saved, png, folder)
    if json:
        drawn = {} if picture is None else {"png": str(picture)}
        print_json({"folder": str(saved.path), **saved.summary, "note": saved.note, **drawn})
        return
    try:
        summary = Summary.from_dict(saved.summary)
    except (KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"The summary.json of {saved.path.name} lacks {error}; run it again.") from error
    out = terminal()
    print_note(saved, out)
    print_report([summary], [saved.path], out, luck=luck_of(saved))
    if plot:
        from backtest.report.plot import plot_run

        plot_run(saved, out)
    if picture is not None:
        typer.echo(f"\nThe picture is {printable(picture)}")


def shown_as_sweep(name: str, drawn: bool, results: Path | None, folder: Path | None, json: bool) -> bool:
    """Show a sweep of that name again, and return whether there is one."""
    from backtest.sweep import load_sweep

    try:
        found = load_sweep(name, results)
    except ResultsError:
        return False
    if drawn:
        raise ConfigError(f"{found.folder.name} is a sweep; --plot and --png draw a run.")
    from backtest.cli.swept import print_ending
    from backtest.cli.swept_again import show_sweep

    with data_folder(folder):
        ending = show_sweep(found)
    if ending.problem:
        say(ending.problem)
    print_json(ending.to_dict()) if json else print_ending(ending, False)
    return True


def luck_of(saved: "SavedRun") -> "Luck | None":
    """Return what the run was judged to be; None where it was kept without."""
    from backtest.analysis.significance import Luck

    found = saved.summary.get("luck")
    try:
        return Luck.from_dict(found) if found else None
    except (KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"The summary.json of {saved.path.name} lacks {error}; run it again.") from error


def pictured(saved: "SavedRun", png: Path, folder: Path | None) -> Path:
    """Write the picture of a run; what is missing in it is said."""
    from backtest.cli.pictures import write_png

    with data_folder(folder):
        path, problem = write_png(saved, png)
    if problem:
        say(problem)
    return path


# --- note and rm -------------------------------------------------------------------------------------------------


@app.command(short_help="Write a note to a run, or remove it.")
def note(
    run: RunName,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help='The note, in place of an older one; "" removes it.', show_default=False),
    ] = None,
    results: Results = None,
    json: Json = False,
) -> None:
    """Write a note to a run; `list` and `show` print it. Without a text, print the note that there is."""
    from backtest.catalogue import load_run, write_note
    from backtest.report.words import printable

    saved = load_run(run, results, say)
    now = saved.note if text is None else write_note(saved.path, " ".join(text))
    if json:
        print_json({"folder": str(saved.path), "id": saved.id, "note": now})
    elif now or text is None:
        typer.echo(f"{printable(saved.path.name)}: {printable(now) or 'no note'}")
    else:
        typer.echo(f"{printable(saved.path.name)} has no note any more.")


@app.command(short_help="Remove runs, after asking.")
def rm(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help='Ids or their beginnings, folders, or "last".')],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    results: Results = None,
    json: Json = False,
) -> None:
    """Remove the folders of runs, after naming them and asking; what was tried stays counted in trials.parquet."""
    from backtest.catalogue import find_doomed, read_index, remove_runs

    doomed = find_doomed(runs, results)
    if not yes and not agreed(doomed, json):
        typer.echo("Nothing was removed.")
        raise typer.Exit(1)
    remove_runs(doomed)
    if problem := read_index(results).problem:
        say(problem)
    if json:
        print_json({"removed": [str(run.path) for run in doomed]})
        return
    from backtest.report.runs import print_doomed

    if yes:
        print_doomed(doomed, terminal())
    typer.echo(f"Removed {count_of(doomed)}.")


def agreed(doomed: "Sequence[Doomed]", json: bool) -> bool:
    """Name what would go and ask; where nobody can answer, a ConfigError."""
    from backtest.report.runs import print_doomed

    if json or not sys.stdin.isatty():
        names = ", ".join(run.path.name for run in doomed)
        raise ConfigError(
            f"`rm` asks before it removes anything, and nobody can answer here; add --yes to remove {names}."
        )
    print_doomed(doomed, terminal())
    return typer.confirm(f"Remove {count_of(doomed)}?")


def count_of(doomed: "Sequence[Doomed]") -> str:
    return "1 run" if len(doomed) == 1 else f"{len(doomed)} runs"


# --- rerun -------------------------------------------------------------------------------------------------------


@app.command(short_help="Make a run again and say whether it is identical.")
def rerun(
    run: RunName,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the new run too; of the same id it replaces the first.")
    ] = False,
    results: Results = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Make a run again from its config.toml and compare: identical to the byte, or what changed (exit code 1).

    Nothing is written to the results, unless --keep asks for it.
    """
    from tempfile import TemporaryDirectory

    from backtest.catalogue import compare_again, load_run

    first = load_run(run, results, say)
    with data_folder(folder), TemporaryDirectory(prefix="backtest-") as place:
        ran = made_again(first, Path(place))
        found = compare_again(first, load_run("last", place))
        kept = kept_folder(first.config.strategy, ran, results) if keep else None
    if json:
        print_json(again_facts(first, found, kept))
    else:
        from backtest.report.again import print_again

        print_again(first.path.name, found, terminal())
        if kept is not None:
            typer.echo(f"\nThe new run is in {kept}")
    if not found.identical:
        raise typer.Exit(1)


def made_again(first: "SavedRun", place: Path) -> "Ran":
    """Run a run's configuration with what there is of strategy and market now, and write its folder into `place`."""
    from backtest.analysis import analyze
    from backtest.catalogue import save_run
    from backtest.plugins import describe_strategy
    from backtest.runner import run_each

    try:
        source = describe_strategy(first.config.strategy).source_sha256
        (ran,) = run_each([first.config])
        if isinstance(ran, LevelbreakError):
            raise ran
    except LevelbreakError as error:
        raise ResultsError(f"{first.path.name} can't be made again: {error}") from error
    save_run(ran.result, analyze(ran.result).to_dict(), place, source=source)
    return ran


def kept_folder(strategy: str, ran: "Ran", results: Path | None) -> Path:
    from backtest.cli.keeping import keep_runs

    (kept,) = keep_runs([(strategy, ran)], results)
    if isinstance(kept, LevelbreakError):
        raise kept
    return kept.folder


def again_facts(first: "SavedRun", again: "Again", kept: Path | None) -> dict[str, Any]:
    return {
        "folder": str(first.path),
        "id": first.id,
        "identical": again.identical,
        "tables": dict(again.tables),
        "first_difference": again.first or None,
        "changes": [asdict(change) for change in again.changes],
        "not_recorded": list(again.unknown),
        "figures": {name: {"before": pair[0], "now": pair[1]} for name, pair in again.figures.items()},
        "kept": None if kept is None else str(kept),
    }
