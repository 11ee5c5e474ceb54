"""Strategies of backtrader: their parameters, read off the class; nothing here imports backtrader."""

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backtest.errors import StrategyError, did_you_mean
from backtest.plugins.files import StrategyFile
from backtest.plugins.parameters import read_as

__all__ = [
    "BacktraderStrategy",
    "is_backtrader",
    "is_settable",
    "load_native",
    "native_defaults",
    "type_words",
    "written_params",
]

ANYTHING: Any = int | float | str | None
"""The type of a parameter whose default is None: a number, text, or none."""

SETTABLE = (bool, int, float, str)


@dataclass(frozen=True)
class BacktraderStrategy:
    """A strategy of backtrader with its parameters, ready for the backtrader engine.

    cls: the subclass of `backtrader.Strategy`; parameters: every one of its `params` with its value, defaults included;
    name, path: of its file.
    """

    cls: type[Any]
    parameters: Mapping[str, Any] = field(hash=False)
    name: str
    path: Path

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that can be set from outside; the others (classes, dates, ...) are part of the source."""
        defaults = native_defaults(self.cls)
        return {name: value for name, value in self.parameters.items() if is_settable(defaults[name])}


def is_backtrader(cls: type) -> bool:
    return any(c.__name__ == "Strategy" and c.__module__.split(".")[0] == "backtrader" for c in cls.__mro__)


def load_native(file: StrategyFile, cls: type[Any], params: Mapping[str, Any]) -> BacktraderStrategy:
    """Return the strategy with its parameters set, each read as its default's type wants it."""
    known = native_defaults(cls)
    for name in params:
        if name not in known:
            raise StrategyError(f"{file.name} has no parameter {name!r}.{did_you_mean(name, known)}")
        if not is_settable(known[name]):
            raise StrategyError(
                f"`{name}` of {file.name} is neither a number, text, true or false, nor a list of those, so that it can't be "
                f"set from outside; change it in {file.path}."
            )
    given = {name: read_param(file.name, name, known[name], value) for name, value in params.items()}
    # A copy of what can be changed: a strategy that appends to a default would change it for the next run.
    defaults = {k: copy.copy(v) if isinstance(v, (list, dict, set)) else v for k, v in known.items()}
    return BacktraderStrategy(cls, defaults | given, file.name, file.path)


def native_defaults(cls: type[Any]) -> dict[str, Any]:
    """Return every parameter's default, inherited ones first; scalars of numpy as those of Python."""
    pairs = cls.params._getitems()
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in pairs}


def read_param(strategy: str, name: str, default: Any, value: Any) -> Any:
    reading = read_as(strategy, name, type_of(default), tuple(default) if isinstance(default, list) else default, value)
    return list(reading) if isinstance(default, list) else reading


def type_of(default: Any) -> Any:
    """Return the type that a parameter has by its default.

    >>> type_of(20), type_of((5, 2.5)), type_of(None)
    (<class 'int'>, tuple[int | float, ...], int | float | str | None)
    """
    if default is None:
        return ANYTHING
    if isinstance(default, (tuple, list)):
        return tuple[member_type(default), ...]  # type: ignore[misc]
    return next((kind for kind in SETTABLE if isinstance(default, kind)), type(default))


def member_type(values: tuple[Any, ...] | list[Any]) -> Any:
    kinds = {type_of(value) for value in values}
    if not kinds:
        return int | float | str
    if kinds <= {int, float}:  # whole numbers stay whole, as the periods of indicators have to be
        return float if kinds == {float} else int | float
    return kinds.pop() if len(kinds) == 1 else object


def is_settable(default: Any) -> bool:
    """Return whether text can set a parameter with this default: not where it is a class, a date, a mapping ..."""
    if isinstance(default, (tuple, list)):
        return member_type(default) in (float, str, bool, int | float, int | float | str)
    return default is None or isinstance(default, SETTABLE)


def type_words(default: Any) -> str:
    """Return a parameter's type as an annotation would say it."""
    if not is_settable(default):
        return "code" if callable(default) else type(default).__name__
    if isinstance(default, (tuple, list)):
        return str(type_of(default) if isinstance(default, tuple) else list[member_type(default)])  # type: ignore[misc]
    kind = type_of(default)
    return kind.__name__ if isinstance(kind, type) else str(kind)


def written_params(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """Give the names in a class's `params`, each with where it ends: pairs, `dict(name=...)` or {"name": ...}."""
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if [t.id for t in targets if isinstance(t, ast.Name)] == ["params"]:
            yield from named_entries(statement.value)  # type: ignore[attr-defined]


def named_entries(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(value, ast.Call):
        yield from ((k.arg, k.value) for k in value.keywords if k.arg)
    elif isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        yield from ((k.value, v) for k, v in pairs if isinstance(k, ast.Constant) and isinstance(k.value, str))
    elif isinstance(value, (ast.Tuple, ast.List)):
        for pair in value.elts:
            if isinstance(pair, (ast.Tuple, ast.List)) and pair.elts and isinstance(pair.elts[0], ast.Constant):
                yield str(pair.elts[0].value), pair
