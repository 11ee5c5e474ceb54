"""Where strategies stand: by name in the user's folder, then among the shipped ones, or by path."""

import ast
from dataclasses import dataclass
from pathlib import Path

from backtest.errors import StrategyError, did_you_mean
from backtest.places import shipped

__all__ = ["StrategyFile", "find_strategy", "strategy_names"]


@dataclass(frozen=True)
class StrategyFile:
    """Where a strategy stands: its file, and the class in it where the request named one."""

    path: Path
    class_name: str | None = None

    @property
    def name(self) -> str:
        return self.path.stem

    def read(self) -> bytes:
        """Return the source; a file that can't be read is a StrategyError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise StrategyError(f"The strategy file {self.path} can't be read: {error.strerror}.") from error


def strategy_names() -> list[str]:
    """Return the names of the strategies in the user's ./strategies and of the shipped ones, sorted."""
    return sorted({p.stem for folder in folders() for p in folder.glob("*.py") if not p.name.startswith("_")})


def find_strategy(name_or_path: str) -> StrategyFile:
    """Return where a strategy stands.

    A name is NAME.py in ./strategies, else among the shipped ones; what ends in `.py` or contains a slash is a path;
    `PATH.py:Class` says which of several classes. A name that no file has is looked for among the classes in those
    folders; where two files have it, a path is needed. A StrategyError names the nearest that there is.
    """
    text, colon, class_name = name_or_path.rpartition(":")
    if not (colon and text.endswith(".py") and class_name.isidentifier()):
        text, class_name = name_or_path, ""
    if text.endswith(".py") or "/" in text or "\\" in text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise StrategyError(f"There is no strategy file {text}.{nearest_file(path)}")
        return StrategyFile(path, class_name or None)
    for folder in folders():
        if (folder / f"{text}.py").is_file():
            return StrategyFile(folder / f"{text}.py")
    return file_of_class(text)


def file_of_class(name: str) -> StrategyFile:
    """Return the one file of the strategies' folders that defines a class of that name."""
    classes = {path: classes_in(path) for path in every_file()}
    paths = [path for path, names in classes.items() if name in names]
    if len(paths) > 1:
        both = " and ".join(map(str, paths))
        raise StrategyError(f"A class {name} is in {both}; name one by its path, like {paths[0]}:{name}.")
    if paths:
        return StrategyFile(paths[0], name)
    near = did_you_mean(name, strategy_names())
    if not near.startswith(" Did"):
        every = did_you_mean(name, {c for names in classes.values() for c in names})
        near = every if every.startswith(" Did") else near
    raise StrategyError(f"No strategy named {name!r}.{near}")


def every_file() -> list[Path]:
    """Return the strategies' files; a shipped one whose name the user's folder has too is left out, as by name."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                found.setdefault(path.stem, path)
    return list(found.values())


def classes_in(path: Path) -> set[str]:
    """Return the names of the classes that a file defines, without importing it; none where it is no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def folders() -> tuple[Path, Path]:
    return Path("strategies"), shipped("strategies")


def nearest_file(path: Path) -> str:
    if path.suffix != ".py" and path.with_name(path.name + ".py").is_file():
        return f" Did you mean {path}.py?"
    beside = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
    return did_you_mean(path.name, beside)
