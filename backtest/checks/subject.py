"""What a check is about, and how to ask it what it would do on a market: a strategy of either kind, or any function."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backtest.checks.observe import Observed, observe
from backtest.engines import get_native_engine
from backtest.errors import ConfigError
from backtest.market import load_market
from backtest.model import Market, Result, Venue
from backtest.model.config import DEFAULT_MARKET, DEFAULT_VENUE
from backtest.model.result import LEDGER_KINDS
from backtest.plugins import BacktraderStrategy, find_strategy, load_strategy, make_plan
from backtest.plugins.native import is_backtrader, native_defaults
from backtest.venues import load_venue

__all__ = ["Subject", "subject_of", "the_market"]

ORDERS = ("side", "symbol", "size", "price", "limit", "type", "valid")


@dataclass(frozen=True)
class Subject:
    """What is asked; `file` is a strategy's name or path where it came from one; native: a strategy of backtrader."""

    name: str
    value: Any
    file: str | None = None
    venue: Venue | None = field(default=None, compare=False)

    @property
    def native(self) -> bool:
        return isinstance(self.value, BacktraderStrategy)

    @property
    def planned(self) -> bool:
        return not self.native and hasattr(self.value, "plan")

    @property
    def detects(self) -> bool:
        return not self.native and not self.planned and hasattr(self.value, "find")

    def ask(self, market: Market) -> tuple[Observed, ...]:
        """Return what it says on a market; its errors are those of a run, or whatever a function raises."""
        if self.native:
            return run_native(self.value, market, self.venue or load_venue(DEFAULT_VENUE))
        if self.planned:
            return observe(make_plan(self.value, market), market)
        if self.detects:
            return observe({symbol: self.value.find(market[symbol]) for symbol in market.symbols}, market)
        return observe(self.value(market), market, self.name)


def subject_of(subject: Any, parameters: Mapping[str, Any] | None = None, venue: Venue | None = None) -> Subject:
    """Return the subject of a check.

    subject: a strategy's name or path, a strategy (with its parameters set), the class of one, a subclass of
    `backtrader.Strategy`, a detector of levels, such as `fractal(k=3)`, which is asked for every symbol, or a function of a
    market, such as `lambda market: donchian(market["BTCUSDT"], 20)`.
    parameters: those to set where a name, a path or a class is given. Anything else is a ConfigError.
    """
    given = dict(parameters or {})
    if isinstance(subject, (str, os.PathLike)):
        file = os.fspath(subject)
        return Subject(find_strategy(file).name, load_strategy(file, given), file, venue)
    if isinstance(subject, BacktraderStrategy):
        return Subject(subject.name, subject, None, venue)
    if isinstance(subject, type) and is_backtrader(subject):
        path = Path(getattr(sys.modules.get(subject.__module__), "__file__", None) or subject.__name__)
        loaded = BacktraderStrategy(subject, native_defaults(subject) | given, subject.__name__, path)
        return Subject(subject.__name__, loaded, None, venue)
    if isinstance(subject, type) and callable(getattr(subject, "plan", None)):
        return Subject(subject.__name__, subject(**given), None, venue)
    if given:
        raise ConfigError(
            f"Parameters can be set on a name, a path or a class, not on {subject!r}; set them on it itself."
        )
    if any(callable(getattr(subject, name, None)) for name in ("plan", "find")):
        return Subject(type(subject).__name__, subject, None, venue)
    if callable(subject):
        return Subject(getattr(subject, "__name__", "function").replace("<lambda>", "value"), subject, None, venue)
    raise ConfigError(
        f"A check needs a strategy (its name, its path, itself) or a function of a market, got {subject!r}."
    )


def the_market(market: Market | str | os.PathLike[str] | None) -> Market:
    """Return a market given as itself, by name or path, or the embedded one for None."""
    if isinstance(market, Market):
        return market
    return load_market(DEFAULT_MARKET if market is None else os.fspath(market))


# --- strategies of backtrader ------------------------------------------------------------------------------------


def run_native(strategy: BacktraderStrategy, market: Market, venue: Venue) -> tuple[Observed, ...]:
    """Return the orders by the bar at whose close they were given, and the ledger's rows by the bar in which they fell.

    The ledger alone is not enough: an order that knew the next bar fills inside it, when the knowledge is no secret any more.
    """
    orders: list[tuple[Any, ...]] = []
    recorded = recorder(strategy.cls, orders)
    result = get_native_engine()(market, recorded, strategy.parameters, venue, name=strategy.name)
    return order_rows(orders), ledger_rows(result, market)


def recorder(cls: type[Any], orders: list[tuple[Any, ...]]) -> type[Any]:
    """Return the class, writing down each order that it gives and each that it cancels."""

    def note(strategy: Any, side: str, order: Any) -> Any:
        if order is not None and strategy.recording:
            made = order.created
            numbers = (made.size, made.price, made.pricelimit, order.exectype, order.valid)
            name = getattr(order.data, "_name", "")
            orders.append((strategy.broker.bar, side, name, *(np.nan if v is None else float(v) for v in numbers)))
        return order

    base: Any = cls

    class Recorded(base):  # type: ignore[misc]
        recording = True

        def buy(self, *args: Any, **kwargs: Any) -> Any:
            return note(self, "buy", base.buy(self, *args, **kwargs))

        def sell(self, *args: Any, **kwargs: Any) -> Any:
            return note(self, "sell", base.sell(self, *args, **kwargs))

        def cancel(self, order: Any) -> Any:
            note(self, "cancel", order)
            return base.cancel(self, order)

        def stop(self) -> None:
            self.recording = False  # what is ordered after the last bar is never filled
            base.stop(self)

    Recorded.__name__, Recorded.__qualname__, Recorded.__module__ = cls.__name__, cls.__qualname__, cls.__module__
    return Recorded


def order_rows(orders: list[tuple[Any, ...]]) -> Observed:
    columns = list(zip(*orders, strict=True)) or [()] * (1 + len(ORDERS))
    kinds = [object, object, *([np.float64] * (len(ORDERS) - 2))]
    values = {name: np.array(c, dtype=k) for name, c, k in zip(ORDERS, columns[1:], kinds, strict=True)}
    return Observed("orders", np.array(columns[0], np.int64), values, ("side", "symbol"))


def ledger_rows(result: Result, market: Market) -> Observed:
    """A row at a bar's close, where the next one opens, counts for the next: it may be a fill at that open."""
    book = result.ledger_table
    columns = {
        "kind": np.array(LEDGER_KINDS, dtype=object)[book.kind],
        "symbol": np.array(result.symbols, dtype=object)[book.symbol],
        **{name: getattr(book, name) for name in ("time", "amount", "position", "price")},
    }
    bar = np.searchsorted(market.known_at, book.time, side="right").astype(np.int64)
    return Observed("ledger", bar, columns, ("kind", "symbol"))
