"""Where strategies stand: by name in the user's folder, then among the shipped ones, or by path."""

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
    `PATH.py:Class` says which of several classes. A StrategyError names the nearest that there is.
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
    raise StrategyError(f"No strategy named {text!r}.{did_you_mean(text, strategy_names())}")


def folders() -> tuple[Path, Path]:
    return Path("strategies"), shipped("strategies")


def nearest_file(path: Path) -> str:
    if path.suffix != ".py" and path.with_name(path.name + ".py").is_file():
        return f" Did you mean {path}.py?"
    beside = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
    return did_you_mean(path.name, beside)
