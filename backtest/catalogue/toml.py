"""The configuration of a run as a TOML file, out and in."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from backtest.errors import ConfigError, did_you_mean
from backtest.model.config import RunConfig

__all__ = ["config_from_toml", "config_to_toml"]

TABLES = ("parameters", "account")
ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def config_to_toml(config: RunConfig) -> str:
    """Return the configuration as TOML, without the settings that are None; `config_from_toml` gives the same again.

    >>> print(config_to_toml(RunConfig("support_break", parameters=(("levels", (75000.0, 70000.0)),))))
    strategy = "support_break"
    market = "deleveraging-2026"
    venue = "binance-usdm"
    <BLANKLINE>
    [parameters]
    levels = [75000.0, 70000.0]
    <BLANKLINE>
    """
    plain = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in TABLES}
    lines = [f"{name} = {literal(value)}" for name, value in plain.items() if value is not None]
    for table in TABLES:
        rows = [f"{key(name)} = {literal(value)}" for name, value in getattr(config, table) if value is not None]
        lines += ["", f"[{table}]", *rows] if rows else []
    return "\n".join(lines) + "\n"


def config_from_toml(text: str) -> RunConfig:
    """Return the configuration that `config_to_toml` wrote; text that is none is a ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration is no valid TOML: {error}.") from error
    known = [f.name for f in fields(RunConfig)]
    for name in data:
        if name not in known:
            raise ConfigError(f"A configuration has no setting named {name!r}.{did_you_mean(name, known)}")
    if not isinstance(data.get("strategy"), str):
        raise ConfigError('A configuration needs a strategy: strategy = "support_break".')
    tables = {table: pairs(table, data.get(table, {})) for table in TABLES}
    return RunConfig(**{**data, **tables})


def pairs(table: str, values: Any) -> tuple[tuple[str, Any], ...]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"`{table}` must be a table: [{table}].")
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in values.items())


def key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else literal(name)


def literal(value: Any) -> str:
    """Return a plain value as TOML; anything else (a date, a mapping, an object) is a ConfigError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return float_literal(float(value))
    if isinstance(value, str):
        return f'"{"".join(ESCAPES.get(c) or (c if c.isprintable() else unicode_escape(c)) for c in value)}"'
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(literal(item) for item in value)}]"
    raise ConfigError(f"A setting must be text, a number, a yes or no, or a list of those, not {value!r}.")


def float_literal(value: float) -> str:
    return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def unicode_escape(character: str) -> str:
    point = ord(character)
    if 0xD800 <= point < 0xE000:  # half a pair, from a file name that is no text; TOML has no such character
        point = 0xFFFD
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
