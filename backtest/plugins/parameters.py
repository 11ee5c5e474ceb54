"""A strategy's parameters: text and values read as the dataclass annotations say."""

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Literal

import numpy as np

from backtest.errors import StrategyError, did_you_mean

__all__ = ["REQUIRED", "default_of", "read_as", "read_parameters"]

REQUIRED: Any = MISSING
"""Stands for the default of a parameter that has none."""

REFUSED = object()
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
WHOLE = re.compile(r"\s*[+-]?\d{1,18}\s*")
EXAMPLES = {str: ("names", "BTCUSDT,ETHUSDT"), float: ("prices", "75000,70000")}
EXACT = (int, bool, str)
WANTED = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "none"}


def read_parameters(
    strategy: str, cls: type[Any], hints: Mapping[str, Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters as the class's annotations want them; a name or value that won't do is a StrategyError."""
    settable = {f.name: f for f in fields(cls) if f.init}
    for name in params:
        if name not in settable:
            raise StrategyError(f"{strategy} has no parameter {name!r}.{did_you_mean(name, settable)}")
    missing = next((k for k, f in settable.items() if k not in params and default_of(f) is REQUIRED), None)
    if missing is not None:
        raise StrategyError(f"`{missing}` of {strategy} has no default; give it with --set {missing}=...")
    return {k: read_as(strategy, k, hints[k], default_of(settable[k]), value) for k, value in params.items()}


def default_of(field: "Field[Any]") -> Any:
    """Return a field's default, or REQUIRED where it has none."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return REQUIRED if field.default is MISSING else field.default


def read_as(strategy: str, name: str, hint: Any, default: Any, value: Any) -> Any:
    """Return one parameter's value as its type wants it; a StrategyError where it can't be."""
    if type(value) is hint and (hint in EXACT or (hint is float and math.isfinite(value))):
        return value  # as every value of a sweep is
    refuse_empty(name, hint, default, value)
    result = first_reading(hint, value)
    if result is not REFUSED:
        return result
    options = [str(option) for option in typing.get_args(hint)] if typing.get_origin(hint) is Literal else []
    near = did_you_mean(value, options) if isinstance(value, str) else ""
    near = near if near.startswith(" Did") else ""  # else the sentence lists them already
    raise StrategyError(f"`{name}` of {strategy} must be {wanted(hint)}, got {value!r}.{near}")


def refuse_empty(name: str, hint: Any, default: Any, value: Any) -> None:
    """Refuse an empty tuple, unless empty is the default."""
    empty = value.strip() == "" if isinstance(value, str) else isinstance(value, (tuple, list)) and not value
    members = [typing.get_args(h)[0] for h in alternatives(hint) if typing.get_origin(h) is tuple]
    if empty and members and default != ():
        noun, example = EXAMPLES.get(members[0], ("numbers", "5,20"))
        if isinstance(default, tuple):
            example = ",".join(plain(v) for v in default)
        raise StrategyError(f"{name} is empty; give {noun} like --set {name}={example}")


def plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, None first and text last, so that the narrowest reading wins; else the type."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,)
    return tuple(sorted(typing.get_args(hint), key=lambda h: (h is str, h is not type(None))))


def first_reading(hint: Any, value: Any) -> Any:
    """Return the value read as the first type that takes it; a value that is no text keeps its own type where it may."""
    exact = (
        alternatives(hint) if isinstance(value, str) else sorted(alternatives(hint), key=lambda h: h is not type(value))
    )
    readings = (read_value(h, value) for h in exact)
    return next((reading for reading in readings if reading is not REFUSED), REFUSED)


def read_value(hint: Any, value: Any) -> Any:
    """Return the value read as one type, or REFUSED."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return next((o for o in inner if (type(o) is type(value) and o == value) or str(o) == value), REFUSED)
    if typing.get_origin(hint) is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return read_tuple(inner[0], value)
    return READERS[hint](value) if hint in READERS else REFUSED


def read_tuple(member: Any, value: Any) -> Any:
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")] if value.strip() else []
    elif isinstance(value, (tuple, list, np.ndarray)):
        parts = list(value)
    else:
        return REFUSED
    readings = tuple(first_reading(member, part) for part in parts)
    return REFUSED if any(r is REFUSED or r == "" for r in readings) else readings


def read_float(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (str, int, float, np.integer, np.floating)):
        return REFUSED
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return REFUSED
    return number if math.isfinite(number) else REFUSED


def read_int(value: Any) -> Any:
    if isinstance(value, str):
        return int(value) if WHOLE.fullmatch(value) else REFUSED
    number = read_float(value)
    return int(value) if number is not REFUSED and number.is_integer() else REFUSED


def read_bool(value: Any) -> Any:
    if isinstance(value, str):
        return BOOLEANS.get(value.strip().lower(), REFUSED)
    return bool(value) if isinstance(value, (bool, np.bool_)) else REFUSED


def read_none(value: Any) -> Any:
    return None if value is None or (isinstance(value, str) and value.strip().lower() == "none") else REFUSED


def read_text(value: Any) -> Any:
    return str(value) if isinstance(value, str) else REFUSED


READERS: dict[Any, Callable[[Any], Any]] = {
    float: read_float,
    int: read_int,
    bool: read_bool,
    str: read_text,
    type(None): read_none,
}


def wanted(hint: Any) -> str:
    """Return a type in words.

    >>> wanted(tuple[float, ...])
    'numbers separated by commas'
    """
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(option) for option in inner)
    if typing.get_origin(hint) is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return f"{wanted(inner[0]).removeprefix('a ').replace('number', 'numbers')} separated by commas"
    if len(alternatives(hint)) > 1:
        kinds = [h for h in reversed(alternatives(hint)) if h is not int or float not in alternatives(hint)]
        return " or ".join(wanted(h) for h in kinds)
    return WANTED.get(hint, f"a {getattr(hint, '__name__', hint)}, which a parameter can't be set to")
