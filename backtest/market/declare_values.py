"""Single values of a market file, checked: texts, tables, intervals, times and gap policies."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from backtest.errors import MarketError, did_you_mean
from backtest.market.clock import parse_interval, parse_time

__all__ = ["Gaps", "moment", "policy", "sentence", "span", "table_of", "text"]

Gaps = Literal["error", "forward_fill", "drop", "halt"]


def text(raw: Mapping[str, Any], key: str) -> str | None:
    """Return an optional text."""
    value = raw.get(key)
    if value is not None and not (isinstance(value, str) and value):
        raise MarketError(f"`{key}` must be a text, got {value!r}.")
    return value


def table_of(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an optional table."""
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise MarketError(f"`{key}` must be a table, got {value!r}.")
    return value


def span(raw: Mapping[str, Any], key: str, where: str | None = None) -> int | None:
    """Return an optional interval, ns."""
    return converted(raw, key, where or key, parse_interval)


def moment(raw: Mapping[str, Any], key: str) -> int | None:
    """Return an optional time, ns UTC."""
    return converted(raw, key, key, parse_time)


def converted(raw: Mapping[str, Any], key: str, where: str, parse: Any) -> int | None:
    """Return an optional value, parsed; a ValueError becomes a sentence that names the key."""
    if key not in raw:
        return None
    try:
        return int(parse(raw[key]))
    except ValueError as error:
        raise MarketError(f"`{where}` {error}.") from None


def policy(raw: Mapping[str, Any], key: str, default: Gaps, where: str = "gaps") -> Gaps:
    """Return the declared gap policy."""
    value = raw.get(key, default)
    known: Iterable[Gaps] = ("error", "forward_fill", "drop", "halt")
    for choice in known:
        if value == choice:
            return choice
    near = did_you_mean(str(value), known)
    near = near if near.startswith(" Did") else ""  # else the sentence lists them already
    raise MarketError(f"`{where}` must be one of {', '.join(known)}, got {value!r}.{near}")


def sentence(where: str, error: ValidationError) -> str:
    """Return the first mistake that pydantic found, with its key and the value got."""
    first = error.errors()[0]
    key = ".".join((where, *(str(part) for part in first["loc"])))
    return f"`{key}`: {first['msg'].lower().removeprefix('input ')}, got {first['input']!r}."
