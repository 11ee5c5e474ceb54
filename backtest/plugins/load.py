"""A strategy's instance, made from its file and its parameters."""

import hashlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from backtest.errors import StrategyError, did_you_mean
from backtest.model import Market, Plan
from backtest.plugins.files import StrategyFile, find_strategy
from backtest.plugins.importing import blamed, load_class, origin
from backtest.plugins.native import (
    BacktraderStrategy,
    is_backtrader,
    is_settable,
    load_native,
    native_defaults,
    type_of,
)
from backtest.plugins.parameters import default_of, read_as, read_parameters

__all__ = ["Strategy", "StrategyMaker", "load_maker", "load_strategy"]


class Strategy(Protocol):
    """What a strategy has to have: a plan for a market, each row of it made of nothing later than its bar's close."""

    def plan(self, market: Market) -> Plan: ...


@dataclass(frozen=True, eq=False)
class StrategyMaker:
    """A strategy's class as its file has it now, to be given parameters as often as one likes.

    file: where it stands; cls: its class; hints: name -> type of the parameters of a dataclass; sha256: of the source.
    """

    file: StrategyFile
    cls: type[Any]
    hints: Mapping[str, Any]
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that can be set."""
        if is_backtrader(self.cls):
            return tuple(name for name, default in native_defaults(self.cls).items() if is_settable(default))
        return tuple(f.name for f in fields(self.cls) if f.init)

    def type_of(self, name: str) -> Any:
        """Return the type that a parameter is read as."""
        return type_of(native_defaults(self.cls)[name]) if is_backtrader(self.cls) else self.hints[name]

    def read(self, name: str, value: Any) -> Any:
        """Return one parameter's value as its type wants it; an unknown name or a wrong value is a StrategyError."""
        if is_backtrader(self.cls):
            return load_native(self.file, self.cls, {name: value}).parameters[name]
        settable = {f.name: f for f in fields(self.cls) if f.init}
        if name not in settable:
            raise StrategyError(f"{self.file.name} has no parameter {name!r}.{did_you_mean(name, settable)}")
        return read_as(self.file.name, name, self.hints[name], default_of(settable[name]), value)

    def make(self, params: Mapping[str, Any]) -> Strategy | BacktraderStrategy:
        """Return the strategy with its parameters set; the errors are those of `load_strategy`."""
        if is_backtrader(self.cls):
            return load_native(self.file, self.cls, params)
        values = read_parameters(self.file.name, self.cls, self.hints, params)
        with blamed(self.file.name, origin(self.cls)[1], "refused its parameters"):
            strategy: Strategy = self.cls(**values)
        return strategy


def load_maker(name_or_path: str) -> StrategyMaker:
    """Return a strategy's class with what is needed to set its parameters; the errors are those of `load_strategy`."""
    file = find_strategy(name_or_path)
    cls = load_class(file)
    sha256 = hashlib.sha256(file.read()).hexdigest()
    if is_backtrader(cls):
        return StrategyMaker(file, cls, {}, sha256)
    with blamed(file.name, origin(cls)[1], "has an annotation that can't be read"):
        hints = typing.get_type_hints(cls)
    return StrategyMaker(file, cls, hints, sha256)


def load_strategy(name_or_path: str, params: Mapping[str, Any] | None = None) -> Strategy | BacktraderStrategy:
    """Return the strategy with its parameters set; one of backtrader as a `BacktraderStrategy`.

    params: name -> text, as from `--set name=text`, or a value of the field's type. Text is read as the field's
    annotation says: float, int, bool, str, Literal, tuple[float, ...], tuple[str, ...] ("75000,70000"), or any of
    these or None ("none"); the parameters of a strategy of backtrader have the types of their defaults. Whatever is
    wrong with the name, the file or the parameters is a StrategyError that says what to do; an error of this project's
    own that the strategy raises passes as it is.
    """
    return load_maker(name_or_path).make(params or {})
