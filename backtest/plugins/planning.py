"""A strategy's plan for a market, checked against the market."""

import numpy as np

from backtest.errors import StrategyError, did_you_mean
from backtest.model import Market, Plan
from backtest.plugins.importing import blamed, origin, shown
from backtest.plugins.load import Strategy
from backtest.plugins.native import BacktraderStrategy

__all__ = ["make_plan"]


def make_plan(strategy: Strategy | BacktraderStrategy, market: Market) -> Plan:
    """Return the strategy's plan for the market.

    Whatever the strategy raises becomes a StrategyError with its file and line; an error of this project's own passes
    as it is. A `symbol` that the market does not hold, a row for such a symbol or beyond the last bar, and a return
    that is not a Plan are StrategyErrors too, and so is a strategy of backtrader, which has no plan.
    """
    if isinstance(strategy, BacktraderStrategy):
        raise StrategyError(f"{strategy.name} is a strategy of backtrader: it has no plan, it runs bar by bar.")
    name, path = origin(type(strategy))
    symbol = getattr(strategy, "symbol", None)
    if isinstance(symbol, str) and symbol not in market.symbols:
        held = ", ".join(market.symbols) or "no symbol"
        raise StrategyError(
            f"{name} trades {symbol!r}, but the market {market.name} holds {held}; choose with --set symbol=NAME."
        )
    with blamed(name, path, "failed while it planned"):
        plan = strategy.plan(market)
    if not isinstance(plan, Plan):
        raise StrategyError(f"`plan` of {name} must return a Plan, got {type(plan).__name__} ({shown(path)}).")
    check_fits(name, plan, market)
    return plan


def check_fits(name: str, plan: Plan, market: Market) -> None:
    if len(plan) == 0:
        return
    strange = {j for j, symbol in enumerate(plan.symbols) if symbol not in market.symbols}
    for j in np.flatnonzero(np.bincount(plan.symbol, minlength=len(plan.symbols))) if strange else ():
        symbol = plan.symbols[j]
        if j in strange:
            near = did_you_mean(symbol, market.symbols)
            raise StrategyError(f"{name} plans for {symbol!r}, which the market {market.name} does not hold.{near}")
    if int(plan.bar[-1]) >= len(market):
        raise StrategyError(f"{name} plans at bar {int(plan.bar[-1])}, but the last bar is {len(market) - 1}.")
