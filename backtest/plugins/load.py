"""A strategy's instance, made from its file and its parameters."""

import typing
from collections.abc import Mapping
from typing import Any, Protocol

from backtest.model import Market, Plan
from backtest.plugins.files import find_strategy
from backtest.plugins.importing import blamed, load_class, origin
from backtest.plugins.native import BacktraderStrategy, is_backtrader, load_native
from backtest.plugins.parameters import read_parameters

__all__ = ["Strategy", "load_strategy"]


class Strategy(Protocol):
    """What a strategy has to have: a plan for a market, each row of it made of nothing later than its bar's close."""

    def plan(self, market: Market) -> Plan: ...


def load_strategy(name_or_path: str, params: Mapping[str, Any] | None = None) -> Strategy | BacktraderStrategy:
    """Return the strategy with its parameters set; one of backtrader as a `BacktraderStrategy`.

    params: name -> text, as from `--set name=text`, or a value of the field's type. Text is read as the field's
    annotation says: float, int, bool, str, Literal, tuple[float, ...], tuple[str, ...] ("75000,70000"), or any of
    these or None ("none"); the parameters of a strategy of backtrader have the types of their defaults. Whatever is
    wrong with the name, the file or the parameters is a StrategyError that says what to do; an error of this project's
    own that the strategy raises passes as it is.
    """
    file = find_strategy(name_or_path)
    cls = load_class(file)
    if is_backtrader(cls):
        return load_native(file, cls, params or {})
    _, path = origin(cls)
    with blamed(file.name, path, "has an annotation that can't be read"):
        hints = typing.get_type_hints(cls)
    values = read_parameters(file.name, cls, hints, params or {})
    with blamed(file.name, path, "refused its parameters"):
        strategy: Strategy = cls(**values)
    return strategy
