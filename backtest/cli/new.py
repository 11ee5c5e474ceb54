"""The command that begins a strategy: a file that runs, and a test that passes."""

import keyword
from pathlib import Path
from typing import Annotated

import typer

from backtest.cli.app import app, print_json
from backtest.cli.options import Json
from backtest.errors import ConfigError, did_you_mean
from backtest.places import shipped

__all__ = ["TEMPLATES", "new", "new_strategy"]

TEMPLATES = {
    "break": "short the break of a support level",
    "bounce": "buy a support level that held",
    "signal": "a new low while open interest falls",
    "backtrader": "a backtrader.Strategy, which sees the account",
}
TAKEN = ("Market", "Plan", "None", "True", "False")  # a class of that name would hide what the file needs


@app.command(short_help="Begin a strategy: a file that runs, and a test that passes.")
def new(
    name: Annotated[str, typer.Argument(help="The strategy's name, such as my_break.", show_default=False)],
    template: Annotated[
        str, typer.Option("--template", "-t", metavar="NAME", help=f"What to begin with: {', '.join(TEMPLATES)}.")
    ] = "break",
    json: Json = False,
) -> None:
    """Write strategies/NAME.py and tests/test_NAME.py, which run and pass as they are; nothing is overwritten."""
    strategy, test = new_strategy(name, template)
    if json:
        print_json({"strategy": str(strategy), "test": str(test), "template": template})
        return
    typer.echo(f"Wrote {strategy}: {TEMPLATES[template]}.")
    typer.echo(f"Wrote {test}.")
    typer.echo(f"\nNow: backtest run {name} · backtest check {name} · python -m pytest {test}")


def new_strategy(name: str, template: str = "break", folder: Path | None = None) -> tuple[Path, Path]:
    """Write a strategy and its test from a template, and return their paths.

    name: of both, a lower-case identifier; template: one of `TEMPLATES`; folder: where `strategies` and `tests` stand or
    are made, else the current one. Neither file may be there yet, nor is one left where the other can't be written; that, a
    name that won't do and an unknown template are ConfigErrors.
    """
    check_name(name)
    if template not in TEMPLATES:
        raise ConfigError(f"No template named {template!r}.{did_you_mean(template, TEMPLATES)}")
    here = folder or Path()
    paths = here / "strategies" / f"{name}.py", here / "tests" / f"test_{name}.py"
    for path in paths:
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path} is already there, and is not overwritten; choose another name.")
    written: list[Path] = []
    try:
        for path, source in zip(paths, (template, "test"), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:  # "x": not even one that came in between
                written.append(path)
                file.write(filled(source, name))
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise ConfigError(f"{error.filename} can't be written: {error.strerror}.") from error
    return paths


def check_name(name: str) -> None:
    if not name.isidentifier() or not name.isascii() or name != name.lower() or name.startswith("_"):
        raise ConfigError(
            f"A strategy's name is letters, digits and underscores, lower-case, such as my_break; got {name!r}."
        )
    if keyword.iskeyword(name) or class_name(name) in TAKEN:
        raise ConfigError(f"{name!r} means something else in a strategy's file; choose another name.")


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def filled(source: str, name: str) -> str:
    text = (shipped("templates") / f"{source}.txt").read_text(encoding="utf-8")
    return text.replace("$class_name", class_name(name)).replace("$name", name)
