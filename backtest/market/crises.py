"""The windows of known crises, with the public reports that say what happened: `data/crises.toml`, for reports to use."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtest.errors import MarketError, did_you_mean
from backtest.market.clock import parse_time
from backtest.places import shipped

__all__ = ["Crisis", "load_crises"]

KEYS = ("title", "start", "end", "sources")


@dataclass(frozen=True)
class Crisis:
    """A window of time in which markets broke.

    name: short, as in "ftx-2022-11"; title: for readers; start, end: ns UTC, end exclusive; sources: the public reports, each as
    "who, title, date".
    """

    name: str
    title: str
    start: int
    end: int
    sources: tuple[str, ...]


def load_crises(path: str | Path | None = None) -> tuple[Crisis, ...]:
    """Return the crises of a file, in the order of time; without a path, of the shipped one.

    MarketError, naming crisis and key, for a file that can't be read, a key that is missing, unknown or of another kind, a window
    that ends before it starts and a crisis without a source.

    >>> [crisis.name for crisis in load_crises()][0]
    'black-thursday-2020-03-12'
    """
    file = shipped("data") / "crises.toml" if path is None else Path(path)
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MarketError(f"{file.name} is not a readable TOML file: {error}.") from None
    try:
        crises = [crisis(name, table) for name, table in raw.items()]
    except MarketError as error:
        raise MarketError(f"{file.name}: {error}") from None
    return tuple(sorted(crises, key=lambda c: (c.start, c.name)))


def crisis(name: str, table: Any) -> Crisis:
    """Return one checked crisis; messages name the key, not the file."""
    if not isinstance(table, dict):
        raise MarketError(f"`{name}` must be a table with {', '.join(KEYS)}.")
    for key in table:
        if key not in KEYS:
            raise MarketError(f"`{name}.{key}` is not a key of a crisis.{did_you_mean(key, KEYS)}")
    for key in KEYS:
        if key not in table:
            raise MarketError(f"`{name}.{key}` is missing.")
    title, sources = table["title"], table["sources"]
    if not isinstance(title, str) or not title:
        raise MarketError(f"`{name}.title` must be a text, got {title!r}.")
    if not isinstance(sources, list) or not sources or not all(isinstance(s, str) and s for s in sources):
        raise MarketError(f"`{name}.sources` must be a list of texts, at least one, got {sources!r}.")
    start, end = (moment(name, key, table[key]) for key in ("start", "end"))
    if start >= end:
        raise MarketError(f"`{name}.start` must lie before `{name}.end`.")
    return Crisis(name, title, start, end, tuple(sources))


def moment(name: str, key: str, value: Any) -> int:
    """Return a time, ns UTC."""
    try:
        return parse_time(value)
    except ValueError as error:
        raise MarketError(f"`{name}.{key}` {error}.") from None
