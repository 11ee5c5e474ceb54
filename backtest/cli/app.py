"""The application itself: how commands are grouped, how a mistake is said, and what they print with."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from backtest.errors import LevelbreakError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app", "print_json", "terminal"]

# The commands in the order in which the help lists them, whatever file they stand in.
ORDER = (
    "run", "sweep", "optimise", "forward", "check", "intrabar", "study", "new", "fetch", "data", "markets", "strategies", "levels",
    "venues", "list", "show", "rerun", "note", "rm",
)  # fmt: skip


class Commands(TyperGroup):
    """The commands; a mistake of the user's is one sentence on stderr and exit code 2, never a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def invoke(self, ctx: Any) -> Any:
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except LevelbreakError as error:
            say_error(str(error))
            raise typer.Exit(2) from None
        return value


def say_error(sentence: str) -> None:
    """Print a mistake on stderr; what it quotes of files and servers can't move a terminal's cursor."""
    from backtest.report.words import printable

    lines = f"error: {sentence}".splitlines()
    lines = [printable(line.expandtabs()) for line in lines]
    if sys.stderr.isatty():  # a terminal would break the line inside a word
        from shutil import get_terminal_size
        from textwrap import fill

        width = get_terminal_size().columns
        lines = [fill(line, width, break_long_words=False, break_on_hyphens=False) for line in lines]
    sentence = "\n".join(lines).removeprefix("error: ")
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


def print_json(document: Any) -> None:
    from json import dumps

    from backtest.analysis.summary import as_plain

    typer.echo(dumps(as_plain(document), indent=2, allow_nan=False, default=str))


def terminal() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
