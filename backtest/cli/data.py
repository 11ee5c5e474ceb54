"""Commands about data: fetch what a market needs, check what is kept, take in a file of one's own."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from backtest.cli.app import Commands, app, print_json, terminal
from backtest.cli.folder import data_folder
from backtest.cli.options import DataFolder, Json
from backtest.errors import ConfigError

__all__ = ["data", "fetch", "import_", "verify"]

data = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Check or add to the data kept here."
)
app.add_typer(data, name="data", short_help="Check or add to the data kept here.")


@app.command(short_help="Fetch the series that a market needs.")
def fetch(
    market: Annotated[str, typer.Argument(help="A declared market's name, or a TOML file.", show_default=False)],
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Fetch from this day on, else from the market's start.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask this exchange in place of the one that the market names.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask for what is kept, too, and say which rows were revised.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked for, and ask nothing.")] = False,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Fetch what a market needs and lacks, keep it, and say what it is worth; the same command resumes where it stopped."""
    from backtest.market.fetching.fetch import fetch as fetch_market
    from backtest.market.quality.assess import HEADERS
    from backtest.report.fetching import print_fetch, print_plan, watch

    with data_folder(folder), watch() as progress:
        try:
            report = fetch_market(market, since=since, source=source, again=again, dry_run=dry_run, progress=progress)
        except KeyboardInterrupt:  # before the first page, or a second time
            report = None
    if report is None:
        leave(130)
    told = report.to_dict()
    if json:
        print_json(told)
    elif dry_run:
        print_plan(told, terminal())
    else:
        print_fetch(told, HEADERS, terminal())
    if report.interrupted:
        leave(report.exit_code)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def leave(code: int) -> NoReturn:
    """End the command; where a request still hangs at once, since its thread might come back while the interpreter ends."""
    from backtest.market.fetching.lanes import lingering

    if lingering():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    raise typer.Exit(code)


@data.command(short_help="Compare every kept series with its checksums.")
def verify(folder: DataFolder = None, json: Json = False) -> None:
    """Compare every series of the store with its manifest; exit with 1 where one was changed or a part is missing."""
    from backtest.market.store.entry import store_root
    from backtest.market.store.verify import verify as verify_store
    from backtest.report.fetching import print_verified

    with data_folder(folder):
        root = store_root()
        found = verify_store(root)
    rows = [{key: getattr(f, key) for key in ("series", "state", "file", "text")} for f in found]
    print_json({"store": str(root), "findings": rows}) if json else print_verified(rows, terminal())
    if any(f.bad for f in found):
        raise typer.Exit(1)


@data.command("import", short_help="Take a CSV or Parquet file into the store.")
def import_(
    file: Annotated[Path, typer.Argument(help="A .csv or .parquet file with a time column.", show_default=False)],
    source: Annotated[str, typer.Option(metavar="NAME", help="Under which name markets find it: store = NAME.")],
    symbol: Annotated[str, typer.Option(metavar="S", help="The symbol, e.g. BTCUSDT.")],
    kind: Annotated[
        str, typer.Option(metavar="K", help="bars, mark, funding, open_interest, liquidations, ..., value.")
    ],
    interval: Annotated[
        str | None, typer.Option(metavar="I", help="Length of a bar: 5m, 1h, 1d; none for funding.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="What the file calls a column: long_usd=longs; repeatable."),
    ] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of times that carry none; else UTC.")] = None,
    unit: Annotated[str | None, typer.Option(metavar="UNIT", help="percent, where funding is in percent.")] = None,
    folder: DataFolder = None,
    json: Json = False,
) -> None:
    """Take a file of your own into the store, where a market finds it like a fetched one."""
    from dataclasses import asdict

    from backtest.market.store.entry import entry_name, store_root
    from backtest.market.store.imports import import_file
    from backtest.report.fetching import print_imported

    with data_folder(folder):
        root = store_root()
        length = nanoseconds(interval, kind)
        written = import_file(file, source, symbol, kind, length, pairs(column or []), root, tz=tz, unit=unit)
    told = {"file": str(file), "source": source, "symbol": symbol, "kind": kind, "store": str(root)}
    told |= {"series": f"{source}/{entry_name(symbol, kind, length)}", **asdict(written)}
    print_json(told) if json else print_imported(told, terminal())


def nanoseconds(interval: str | None, kind: str) -> int:
    """Return an interval in ns; 0 without one, which only stamps can be."""
    from backtest.market.clock import parse_interval

    if interval is None and kind != "funding":
        raise ConfigError(f"`--interval` is missing: how long is a bar of {kind}? For instance --interval 1h.")
    try:
        return parse_interval(interval) if interval is not None else 0
    except ValueError as error:
        raise ConfigError(f"`--interval` {error}.") from None


def pairs(columns: list[str]) -> dict[str, str]:
    """Return our name -> the file's name of the `--column` options."""
    found = {}
    for text in columns:
        name, equals, own = text.partition("=")
        if not equals or not name.strip() or not own:
            raise ConfigError(f"`--column` needs two names, such as --column long_usd=longs; got {text!r}.")
        found[name.strip()] = own
    return found
