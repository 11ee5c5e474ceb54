"""Importing a strategy's file, and putting what goes wrong in it into a sentence with file and line."""

import hashlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
import traceback
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from backtest.errors import LevelbreakError, StrategyError, did_you_mean
from backtest.plugins.files import StrategyFile
from backtest.plugins.native import is_backtrader

__all__ = ["blamed", "import_file", "load_class", "origin"]

PREFIX = "levelbreak_strategy_"
NEEDED = "a strategy is a frozen dataclass with a method `plan(self, market)`, or a `backtrader.Strategy`"


class SourceOnly(importlib.machinery.SourceFileLoader):
    """Imports from the source as it is now, and leaves no bytecode beside the user's file."""

    def get_code(self, fullname: str) -> types.CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def import_file(file: StrategyFile) -> types.ModuleType:
    """Return the file's module; imported once while its text does not change, so that its classes stay the same."""
    path = str(file.path.resolve())
    key = hashlib.sha256(path.encode() + b"\0" + file.read()).hexdigest()[:16]
    name = PREFIX + re.sub(r"\W", "_", file.name) + "_" + key
    if name in sys.modules:
        return sys.modules[name]
    loader = SourceOnly(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    if b"backtrader" in file.read():
        quiet_backtrader()
    sys.modules[name] = module  # a dataclass looks its module up while it is being made
    try:
        with blamed(file.name, path, "could not be imported"):
            loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def quiet_backtrader() -> None:
    """Silence what newer Pythons say of backtrader's own files, and nothing else; a filter of the user's stays as it is."""
    spec = importlib.util.find_spec("backtrader")
    folder = re.escape(str(Path(spec.origin).parent)) if spec and spec.origin else "backtrader"
    # What is said while a file is compiled goes by its path, what is said later by the module's name.
    for category in (DeprecationWarning, SyntaxWarning):
        warnings.filterwarnings("ignore", category=category, module=rf"{folder}[/\\]|backtrader(\.|$)")


@contextmanager
def blamed(name: str, path: str, what: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a StrategyError with file and line; our own errors pass as they are."""
    try:
        yield
    except LevelbreakError:
        raise
    except SyntaxError as error:
        where = shown(error.filename or path) + (f", line {error.lineno}" if error.lineno else "")
        line = f": {error.text.strip()}" if error.text and error.text.strip() else "."
        raise StrategyError(f"{where} is not valid Python, {error.msg}{line}") from error
    except (Exception, SystemExit) as error:
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == path]
        where = shown(path) + (f", line {lines[-1]}" if lines else "")
        message = f"{type(error).__name__}: {error}".strip().rstrip(".:")
        raise StrategyError(f"{name} {what}: {message} ({where}).") from error


def shown(path: str) -> str:
    """Return a path as the user would write it: below the current folder where it is."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def origin(cls: type) -> tuple[str, str]:
    """Return a strategy's name for messages, the file's where it was loaded from one, and the path of its code."""
    return origin_of(cls.__module__, cls.__name__)


@lru_cache(maxsize=64)
def origin_of(module: str, name: str) -> tuple[str, str]:
    path = getattr(sys.modules.get(module), "__file__", None) or "code without a file"
    return (Path(path).stem if module.startswith(PREFIX) else name), path


def load_class(file: StrategyFile) -> type[Any]:
    """Return the strategy's class: the one that was named, or the only one that the file defines."""
    module = import_file(file)
    own = {k: c for k, c in vars(module).items() if inspect.isclass(c) and c.__module__ == module.__name__}
    if file.class_name is not None:
        if file.class_name not in own:
            raise StrategyError(f"{file.path} has no class {file.class_name!r}.{did_you_mean(file.class_name, own)}")
        return checked(file, own[file.class_name])
    found = [k for k, c in own.items() if k == c.__name__ and not k.startswith("_") and looks_like_one(c)]
    if len(found) > 1:
        both = " and ".join(found)
        raise StrategyError(
            f"{file.path} holds {len(found)} strategies, {both}; name one, like {file.path}:{found[0]}."
        )
    if not found:
        raise StrategyError(f"{file.path} holds no strategy; {NEEDED}.")
    return checked(file, own[found[0]])


def looks_like_one(cls: type) -> bool:
    return callable(getattr(cls, "plan", None)) or is_backtrader(cls)


def checked(file: StrategyFile, cls: type[Any]) -> type[Any]:
    if is_backtrader(cls):
        return cls
    if not callable(getattr(cls, "plan", None)):
        raise StrategyError(f"{cls.__name__} in {file.path} has no method `plan`; {NEEDED}.")
    if not is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise StrategyError(
            f"{cls.__name__} in {file.path} is not frozen; write @dataclass(frozen=True) above the class."
        )
    return cls
