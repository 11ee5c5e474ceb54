"""What a strategy of backtrader's did wrong, as a sentence: the strategy, the bar's time, the file and the line."""

import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import backtrader as bt

from backtest.engines.bt.broker import TOO_EARLY, PerpetualBroker
from backtest.errors import LevelbreakError, StrategyError, did_you_mean
from backtest.model.arrays import utc_text

__all__ = ["blame"]

NOT_THE_USERS = tuple({str(Path(bt.__file__).parent), str(Path(__file__).parent), sys.prefix, sys.base_prefix})
Frames = list[tuple[FrameType, int]]


def blame(error: BaseException, name: str, strategy: type[bt.Strategy], broker: PerpetualBroker) -> NoReturn:
    """Raise what a strategy did wrong as a StrategyError; errors of the market or the venue pass as they are."""
    if isinstance(error, LevelbreakError) and not isinstance(error, StrategyError):
        raise error
    every = list(traceback.walk_tb(error.__traceback__))
    frames = frames_of_user(every, strategy)
    what, hint = explained(error, every, strategy, broker)
    said = " ".join(what.split()).rstrip(".:")
    end = "" if said.endswith(("!", "?")) else "."
    raise StrategyError(
        f"{name} failed {moment(frames, broker)}{place(frames, strategy)}: {said}{end}{hint}"
    ) from error


def frames_of_user(every: Frames, strategy: type[bt.Strategy]) -> Frames:
    """The frames in the files of the strategy and its bases; where there are none, those in any other file of the user's."""
    files = files_of(strategy)
    mine = [(f, line) for f, line in every if f.f_code.co_filename in files]
    return mine or [(f, line) for f, line in every if not f.f_code.co_filename.startswith(NOT_THE_USERS)]


def files_of(strategy: type[bt.Strategy]) -> list[str]:
    """The files of the strategy and of its bases, its own first."""
    own = [c.__module__ for c in strategy.__mro__ if c.__module__.partition(".")[0] not in ("backtrader", "builtins")]
    found = (getattr(sys.modules.get(module), "__file__", None) for module in own)
    return [file for file in found if file]


def moment(frames: Frames, broker: PerpetualBroker) -> str:
    """The method of the strategy and the time of the bar."""
    method = frames[0][0].f_code.co_name if frames else ""
    called = f"in `{method}` " if method else ""
    if broker.bar < 0:
        return f"{called}before the first bar"
    if method == "stop":
        return f"{called}after the last bar"
    return f"{called}at the bar of {utc_text(int(broker.market.time[broker.bar]))}"


def place(frames: Frames, strategy: type[bt.Strategy]) -> str:
    """The file and the line, in brackets; nothing for code without a file."""
    files = [frames[-1][0].f_code.co_filename] if frames else files_of(strategy)[:1]
    if not files:
        return ""
    path, here = Path(files[0]), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f" ({shown}, line {frames[-1][1]})" if frames else f" ({shown})"


def explained(
    error: BaseException, every: Frames, strategy: type[bt.Strategy], broker: PerpetualBroker
) -> tuple[str, str]:
    """What went wrong, and what there is instead of what was asked for, where that is known."""
    if isinstance(error, StrategyError):
        return str(error), ""
    called = [(f.f_code.co_name, Path(f.f_code.co_filename).name) for f, _ in every]
    if called[-1] == ("getsizing", "sizer.py"):  # a sizer has no broker before the start
        return TOO_EARLY, ""
    if isinstance(error, AttributeError) and error.name is not None:
        found = missing_attribute(error.name, error.obj, strategy, broker)
        if found is not None:
            return found
    if isinstance(error, KeyError) and (("getdatabyname", "strategy.py") in called or called[-1][1] == "autodict.py"):
        return f"KeyError: there is no data named {error}", symbols_of(broker)
    if isinstance(error, IndexError) and str(error) == "list index out of range" and asks_for_datas(every):
        return "IndexError: there are not that many datas", symbols_of(broker)
    if isinstance(error, IndexError) and broker.bar < 0 and called[-1][0] in ("once", "oncestart", "preonce"):
        fewest = min(broker.feeds, key=lambda feed: len(feed.p.bars))
        return (
            f"an indicator needs more bars than {fewest.p.dataname} has, {len(fewest.p.bars)}",
            " Give it a shorter period, or the market a longer stretch.",
        )
    return f"{type(error).__name__}: {error}", ""


def missing_attribute(
    asked: str, owner: Any, strategy: type[bt.Strategy], broker: PerpetualBroker
) -> tuple[str, str] | None:
    """The same for an attribute that is not there; None where Python's own words are as good."""
    if isinstance(owner, bt.metabase.AutoInfoClass):
        return f"there is no parameter `{asked}`", did_you_mean(asked, owner._getkeys())
    if not isinstance(owner, bt.lineseries.Lines):
        return None
    for feed in broker.feeds:
        if owner is feed.lines:
            lines = feed.getlinealiases()
            return f"{feed.p.dataname} has no line `{asked}`", did_you_mean(asked, lines)
    if not isinstance(owner, strategy.lines):
        return f"there is no line `{asked}`", did_you_mean(asked, owner.getlinealiases())
    if asked.startswith("data"):
        return f"there is no `self.{asked}`", symbols_of(broker)
    hint = f" It is a parameter: `self.p.{asked}`." if asked in strategy.params._getkeys() else ""
    return f"there is no `self.{asked}`", hint


def asks_for_datas(every: Frames) -> bool:
    """Whether the last line that ran names the list of datas."""
    return "datas" in every[-1][0].f_code.co_names


def symbols_of(broker: PerpetualBroker) -> str:
    symbols = broker.market.symbols
    named = ", ".join(f"data{j} {symbol}" for j, symbol in enumerate(symbols))
    return f" There is {named}." if len(symbols) == 1 else f" There are {named}."
