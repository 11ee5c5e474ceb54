"""What can be said of a strategy without a market: its text, and its parameters with their meaning."""

import ast
import hashlib
import importlib.util
import inspect
import io
import re
import sys
import tokenize
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from backtest.plugins.files import find_strategy
from backtest.plugins.importing import load_class
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

    A parameter's meaning is the comment at the end of its line. The errors are those of `load_strategy`.
    """
    file = find_strategy(name_or_path)
    source, cls = file.read(), load_class(file)
    own = "" if (cls.__doc__ or "").startswith(f"{cls.__name__}(") else cls.__doc__  # the one a dataclass writes itself
    doc = inspect.cleandoc(sys.modules[cls.__module__].__doc__ or own or "")
    title = " ".join(re.split(r"(?<=[.!?])\s|\n\s*\n", doc, maxsplit=1)[0].split())
    written = written_fields(importlib.util.decode_source(source), [c.__name__ for c in reversed(cls.__mro__)])
    settable = [f for f in fields(cls) if f.init]
    parameters = tuple(parameter(f, *written.get(f.name, (str(f.type), ""))) for f in settable)
    sha256 = hashlib.sha256(source).hexdigest()
    return StrategyInfo(file.name, title, doc, file.path, cls.__name__, parameters, sha256)


def parameter(field: "Field[Any]", annotation: str, meaning: str) -> Parameter:
    default = default_of(field)
    return Parameter(field.name, annotation, None if default is REQUIRED else default, meaning, default is REQUIRED)


def written_fields(source: str, classes: list[str]) -> dict[str, tuple[str, str]]:
    """Return field -> (type as written, comment at the end of its line) for the named classes, the later winning."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}
    definitions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    written = {}
    for body in (definitions[name].body for name in classes if name in definitions):
        for node in body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                meaning = comments.get(node.end_lineno or node.lineno, comments.get(node.lineno, ""))
                written[node.target.id] = (ast.unparse(node.annotation), meaning)
    return written
