"""What can be said of a strategy without a market: its text, and its parameters with their meaning."""

import ast
import hashlib
import importlib.util
import inspect
import io
import re
import sys
import tokenize
from collections import Counter
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from backtest.plugins.files import find_strategy
from backtest.plugins.importing import load_class
from backtest.plugins.native import is_backtrader, is_settable, native_defaults, type_words, written_params
from backtest.plugins.parameters import REQUIRED, default_of

__all__ = ["Parameter", "StrategyInfo", "describe_strategy"]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, its type as written, its default, what it means; a required one has the default None."""

    name: str
    type: str
    default: Any
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class StrategyInfo:
    """A strategy's description; `doc` is the docstring, `title` its first sentence."""

    name: str
    title: str
    doc: str
    path: Path
    class_name: str
    parameters: tuple[Parameter, ...]
    source_sha256: str


def describe_strategy(name_or_path: str) -> StrategyInfo:
    """Return what a strategy's file says of it: the file's docstring (else the class's), and the parameters.

    A parameter's meaning is the comment at the end of its line; the parameters of a strategy of backtrader are its
    `params`. The errors are those of `load_strategy`.
    """
    file = find_strategy(name_or_path)
    source, cls = file.read(), load_class(file)
    own = "" if (cls.__doc__ or "").startswith(f"{cls.__name__}(") else cls.__doc__  # the one a dataclass writes itself
    doc = inspect.cleandoc(sys.modules[cls.__module__].__doc__ or own or "")
    title = " ".join(re.split(r"(?<=[.!?])\s|\n\s*\n", doc, maxsplit=1)[0].split())
    describe = native_parameters if is_backtrader(cls) else dataclass_parameters
    parameters = describe(cls, importlib.util.decode_source(source))
    sha256 = hashlib.sha256(source).hexdigest()
    return StrategyInfo(file.name, title, doc, file.path, cls.__name__, parameters, sha256)


def dataclass_parameters(cls: type[Any], source: str) -> tuple[Parameter, ...]:
    written = written_fields(source, [c.__name__ for c in reversed(cls.__mro__)])
    return tuple(parameter(f, *written.get(f.name, (str(f.type), ""))) for f in fields(cls) if f.init)


def parameter(field: "Field[Any]", annotation: str, meaning: str) -> Parameter:
    default = default_of(field)
    return Parameter(field.name, annotation, None if default is REQUIRED else default, meaning, default is REQUIRED)


def native_parameters(cls: type[Any], source: str) -> tuple[Parameter, ...]:
    """Return the `params` of a strategy of backtrader; a default that is no plain value is given by its name."""
    meanings = params_meanings(source, [c.__name__ for c in reversed(cls.__mro__)])
    return tuple(
        Parameter(
            name,
            type_words(default),
            default if is_settable(default) else getattr(default, "__name__", str(default)),
            meanings.get(name, ""),
        )
        for name, default in native_defaults(cls).items()
    )


def params_meanings(source: str, classes: list[str]) -> dict[str, str]:
    """Return name -> comment at the end of its line; a line that ends several parameters speaks for none of them."""
    comments = line_comments(source)
    meanings: dict[str, str] = {}
    for node in class_bodies(source, classes):
        entries = [(name, value.lineno, value.end_lineno or value.lineno) for name, value in written_params(node)]
        ends = Counter(end for _, _, end in entries)
        for name, first, end in entries:
            meanings[name] = comments.get(end, comments.get(first, "")) if ends[end] == 1 else ""
    return meanings


def line_comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def class_bodies(source: str, classes: list[str]) -> list[ast.ClassDef]:
    definitions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    return [definitions[name] for name in classes if name in definitions]


def written_fields(source: str, classes: list[str]) -> dict[str, tuple[str, str]]:
    """Return field -> (type as written, comment at the end of its line) for the named classes, the later winning."""
    comments = line_comments(source)
    written = {}
    for node in (node for definition in class_bodies(source, classes) for node in definition.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            meaning = comments.get(node.end_lineno or node.lineno, comments.get(node.lineno, ""))
            written[node.target.id] = (ast.unparse(node.annotation), meaning)
    return written
