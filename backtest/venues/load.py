"""Venue files: TOML in, `Venue` out, and a sentence for every mistake in between."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pydantic

from backtest.errors import ConfigError, VenueError, did_you_mean
from backtest.model import Instrument, TierTable, Venue
from backtest.places import shipped

__all__ = ["check_leverage", "load_venue", "venue_names", "with_account"]

NUMBERS = ("cash", "leverage", "slippage", "maker", "taker", "liquidation_fee")
CHOICES = ("margin_mode", "intrabar")


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True)


class TableFile(Strict):
    name: str = pydantic.Field(min_length=1)
    date: datetime | date
    origin: str = pydantic.Field(min_length=1)
    tiers: list[list[float]]
    assumed: bool = False


class InstrumentFile(Strict):
    lot: float
    minimum_notional: float
    tables: list[TableFile]


class AccountFile(Strict):
    cash: float = 10_000.0
    leverage: float = 10.0
    margin_mode: Literal["isolated", "cross"] = "cross"
    intrabar: Literal["worst", "best", "fine"] = "worst"


class VenueFile(Strict):
    maker: float
    taker: float
    fees_origin: str = pydantic.Field(min_length=1)
    fees_date: date
    slippage: float
    liquidation_fee: float
    maintenance: Literal["mark", "entry"] = "mark"
    taker_in_maintenance: bool = False
    account: AccountFile = AccountFile()
    default: InstrumentFile
    instruments: dict[str, InstrumentFile] = {}


def venue_names() -> tuple[str, ...]:
    """Return the names of the shipped venues.

    >>> "binance-usdm" in venue_names()
    True
    """
    return tuple(sorted(path.stem for path in shipped("data/venues").glob("*.toml")))


def load_venue(name_or_path: str, **account: Any) -> Venue:
    """Return a venue by the name of a shipped file or by the path of your own, with settings of the account replaced.

    name_or_path: "binance-usdm", or a path that ends in .toml; account: cash (quote units), leverage (the venue's
    leverage setting), margin_mode, intrabar, slippage, maker, taker, liquidation_fee (fractions). Raises VenueError for
    a file or a value that makes no sense and ConfigError for a setting that doesn't exist. The format is in
    `data/venues/README.md`.

    >>> load_venue("paper", cash=500).cash
    500.0
    """
    path = find(name_or_path)
    checked_account(account)
    return with_account(venue_of(path.name, read_text(path)), **account)


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise VenueError(f"{path.name} is not valid TOML: {error}.") from None


@lru_cache(maxsize=16)
def venue_of(name: str, text: str) -> Venue:
    """Return the venue of a file's text; frozen, so that whoever asks for the same text gets the same one."""
    try:
        return make_venue(name.removesuffix(".toml"), parsed(name, text))
    except VenueError as error:
        said = str(error)
        raise VenueError(said if said.startswith(name) else f"{name}: {said}") from None


def with_account(venue: Venue, **account: Any) -> Venue:
    """Return a venue with settings of the account replaced; they and their errors are those of `load_venue`."""
    return replace(venue, **checked_account(account))


def check_leverage(venue: Venue, symbols: Iterable[str]) -> None:
    """Raise VenueError where the leverage setting is above what every tier of a symbol allows."""
    for symbol in symbols:
        tables = venue.instrument(symbol).tables
        limit = max(leverage for table in tables for leverage in table.max_leverage)
        if venue.leverage > limit:
            raise VenueError(
                f"`leverage` {venue.leverage:g} is more than {venue.name} allows for {symbol} at any size: "
                f"at most {limit:g} ({', '.join(table.name for table in tables)}). Set a lower leverage."
            )


def find(name_or_path: str) -> Path:
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise VenueError(
                f"There is no venue file {name_or_path}; give an existing path or one of {', '.join(venue_names())}."
            )
        return path
    if name_or_path not in venue_names():
        raise VenueError(
            f"No venue named {name_or_path!r}.{did_you_mean(name_or_path, venue_names())} "
            "A file of your own ends in .toml."
        )
    return shipped("data/venues") / f"{name_or_path}.toml"


def checked_account(account: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with numbers as floats; what a value may be, the venue itself checks."""
    settings: dict[str, Any] = {}
    for name, value in account.items():
        if name not in NUMBERS + CHOICES:
            raise ConfigError(f"A venue has no setting {name!r}.{did_you_mean(name, NUMBERS + CHOICES)}")
        wanted = (int, float) if name in NUMBERS else str
        if isinstance(value, bool) or not isinstance(value, wanted):
            kind = "a number" if name in NUMBERS else "a text"
            raise VenueError(f"`{name}` must be {kind}, got {value!r}.")
        settings[name] = float(value) if name in NUMBERS else value
    return settings


def parsed(name: str, text: str) -> VenueFile:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise VenueError(f"{name} is not valid TOML: {error}.") from None
    try:
        return VenueFile.model_validate(content)
    except pydantic.ValidationError as error:
        raise VenueError(sentence(name, error)) from None


def make_venue(name: str, file: VenueFile) -> Venue:
    return Venue(
        name=name,
        default=make_instrument("default", file.default),
        instruments={symbol: make_instrument(symbol, value) for symbol, value in file.instruments.items()},
        maker=file.maker,
        taker=file.taker,
        slippage=file.slippage,
        liquidation_fee=file.liquidation_fee,
        maintenance=file.maintenance,
        taker_in_maintenance=file.taker_in_maintenance,
        **file.account.model_dump(),
    )


def make_instrument(symbol: str, file: InstrumentFile) -> Instrument:
    try:
        return Instrument(file.lot, file.minimum_notional, tuple(make_table(table) for table in file.tables))
    except VenueError as error:
        raise VenueError(f"{error} ({symbol})") from None


def make_table(file: TableFile) -> TierTable:
    odd = [row for row in file.tiers if len(row) != 3 or any(map(math.isnan, row))]
    if odd or not file.tiers:
        raise VenueError(
            f"The tier table {file.name} needs rows of three numbers, [floor, maintenance rate, highest leverage], "
            f"got {odd[0] if odd else file.tiers}."
        )
    floors, rates, leverages = zip(*file.tiers, strict=True)
    return TierTable(file.name, nanoseconds(file.date), file.origin, floors, rates, leverages, file.assumed)


def nanoseconds(day: date) -> int:
    moment = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


WANTED = {
    "bool_type": "true or false",
    "date_type": "a date such as 2025-08-19",
    "datetime_type": "a date such as 2025-08-19",
    "dict_type": "a table",
    "model_type": "a table",
    "float_type": "a number",
    "list_type": "a list",
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
}
KEYS: dict[str, type[Strict]] = {"account": AccountFile, "default": InstrumentFile, "tables": TableFile}


def sentence(file: str, error: pydantic.ValidationError) -> str:
    """Return one complaint as a sentence: file, key, value and what to do. A misspelt key comes first."""
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place, kind = first["loc"], first["type"]
    key = dotted(place)
    if kind == "extra_forbidden":
        return f"{file} has a key `{key}` that means nothing here.{did_you_mean(str(place[-1]), known_keys(place))}"
    if kind == "missing":
        return f"{file} lacks `{key}`; add it (the format is in data/venues/README.md)."
    wanted = first["ctx"]["expected"] if kind == "literal_error" else WANTED.get(kind, first["msg"])
    return f"{file}: `{key}` must be {wanted}, got {first['input']!r}."


def known_keys(place: tuple[int | str, ...]) -> Iterable[str]:
    parents = [part for part in place[:-1] if isinstance(part, str)]
    if not parents:
        return VenueFile.model_fields
    return KEYS.get(parents[-1], InstrumentFile).model_fields


def dotted(place: tuple[int | str, ...]) -> str:
    """Return a key's place as it is written in TOML, counting from 1: `default.tables[1].tiers[2]`."""
    whole = place[:-1] if place[-2:] in (("date", "date"), ("date", "datetime")) else place  # a date has two forms
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in whole).removeprefix(".")
