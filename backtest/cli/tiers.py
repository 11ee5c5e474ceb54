"""The command that prints an exchange's leverage tiers as they are now, as lines for a venue file."""

import re
from json import dumps
from typing import TYPE_CHECKING, Annotated

import typer

from backtest.cli.app import print_json
from backtest.cli.data import data
from backtest.cli.options import Json
from backtest.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from backtest.model import TierTable

__all__ = ["tiers"]


@data.command(short_help="Print an exchange's leverage tiers as lines of a venue file.")
def tiers(
    source: Annotated[str, typer.Argument(help="The exchange: bybit.", show_default=False)],
    symbol: Annotated[str, typer.Argument(help="The perpetual, e.g. BTCUSDT.", show_default=False)],
    json: Json = False,
) -> None:
    """Print the leverage tiers that an exchange publishes now, dated today, as lines of a venue file; nothing is kept.

    An exchange does not say which tiers held before; a run that begins earlier says that these stand in for them.
    """
    table = ask(source, symbol)
    print_json({"symbol": symbol, **vars(table)}) if json else typer.echo(venue_lines(symbol, table), nl=False)


def ask(name: str, symbol: str) -> "TierTable":
    """Return the tiers in force now; SourceError, in a sentence, where they can't be had."""
    from backtest.market.sources import get_source
    from backtest.market.sources.exchanges import TERMS, Exchange

    source = get_source(name) if name in TERMS else None
    if not isinstance(source, Exchange):
        told = f"{name!r} is no exchange that can be asked for its tiers; there are {', '.join(TERMS)}."
        raise SourceError(f"{told}{did_you_mean(name, TERMS)}")
    try:
        return source.tiers(symbol)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        told = f"Source {name} gave tiers of {symbol} that are not as documented ({type(error).__name__})"
        raise SourceError(f"{told}; try again later, or use the tables of data/venues.", "malformed") from None


def venue_lines(symbol: str, table: "TierTable") -> str:
    """Return a table as TOML: [floor of the notional, maintenance rate, highest leverage setting] a tier."""
    from backtest.model.arrays import utc_text
    from backtest.report.words import printable

    key = symbol if re.fullmatch(r"[A-Za-z0-9_-]+", symbol) else text(symbol)
    rows = zip(table.floors, table.mmr, table.max_leverage, strict=True)
    lines = [
        f"[[instruments.{key}.tables]]",
        f"name = {text(table.name)}",
        f"date = {utc_text(table.date)[:10]}",
        f"origin = {text(table.origin)}",
        "tiers = [                       # [floor of the notional, maintenance rate, highest leverage setting]",
        *(f"    [{', '.join(figure(v) for v in row)}]," for row in rows),
        "]",
    ]
    return "".join(f"{printable(line)}\n" for line in lines)


def text(value: str) -> str:
    """Return a text as TOML writes it; control characters become escapes."""
    return dumps(value, ensure_ascii=False)


def figure(value: float) -> str:
    """Return a number without loss, whole ones without a point, from 10,000 on with underscores.

    >>> figure(2_000_000.0), figure(0.005), figure(100.0)
    ('2_000_000', '0.005', '100')
    """
    return f"{int(value):_}" if value == int(value) else repr(float(value))
