"""A market's feeds and the perpetual broker in a Cerebro, for a plan or for a strategy of backtrader's."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import backtrader as bt
import numpy as np

from backtest.engines.bt.blame import blame
from backtest.engines.bt.broker import CHEAT, PerpetualBroker
from backtest.engines.bt.feeds import UNITS, SymbolFeed, make_feeds
from backtest.engines.bt.plans import PlanDesk
from backtest.engines.bt.replay import PlanReplay, rows_by_bar
from backtest.engines.bt.result import result_of
from backtest.errors import MarketError, StrategyError, did_you_mean
from backtest.model import Market, Plan, Result, Venue

__all__ = ["execute", "execute_strategy", "make_cerebro"]


def execute(market: Market, plan: Plan, venue: Venue) -> Result:
    """Play a plan back through backtrader and return its result, in the form and by the law of the fast engine.

    The errors are those of the fast engine: a market without bars, a position held through a funding hole.
    """
    refuse_empty(market)
    rows, late = rows_by_bar(market, plan)
    cerebro = bt.Cerebro(stdstats=False)
    for feed in make_feeds(market, keep_halts=True):
        cerebro.adddata(feed)
    cerebro.broker = PerpetualBroker(market=market, venue=venue, desk=PlanDesk)
    cerebro.addstrategy(PlanReplay, rows=rows, late=late)
    cerebro.run()
    return result_of(cerebro.broker.day, market, venue)


def execute_strategy(
    market: Market, strategy: type[bt.Strategy], parameters: Mapping[str, Any], venue: Venue, name: str = ""
) -> Result:
    """Run a strategy of backtrader's on a market at a venue and return its result, in the form that a plan's has.

    parameters: those of the class's `params` to replace; name: what messages call the strategy. Whatever the strategy raises
    is a StrategyError with the strategy, the bar's time, the file and the line.
    """
    refuse_empty(market)
    name = name or strategy.__name__
    cerebro = make_cerebro(market, venue)
    refuse_what_cannot_run(market, strategy, parameters, name)
    cerebro.addstrategy(strategy, **parameters)
    try:
        cerebro.run()
    except (Exception, SystemExit) as error:
        blame(error, name, strategy, cerebro.broker)
    return cerebro.result()


class PerpetualCerebro(bt.Cerebro):
    """A Cerebro on one market at one venue; `result()` gives the Result after `run()`."""

    def addstrategy(self, strategy: type[bt.Strategy], *args: Any, **kwargs: Any) -> int:
        """Add the one strategy that the account is for; backtrader would let several share the account unseen."""
        if self.strats:
            raise StrategyError("The account is one strategy's; give a second one a Cerebro of its own.")
        refuse_what_cannot_run(self.broker.market, strategy, kwargs, strategy.__name__)
        return int(super().addstrategy(watched(strategy), *args, **kwargs))

    def run(self, **settings: Any) -> list[bt.Strategy]:
        """Run the strategy; settings: parameters of `bt.Cerebro` to change."""
        if settings.get("cheat_on_open", self.p.cheat_on_open):
            raise StrategyError(f"There is no cheating here: {CHEAT}")
        traded = {tuple(feed.p.bars) for feed in self.datas if isinstance(feed, SymbolFeed)}
        if int(settings.get("exactbars", self.p.exactbars)) > 0 and len(traded) > 1:
            raise StrategyError(
                "backtrader can't run with `exactbars=1` on symbols that do not all trade in every bar; "
                "take -1, or leave it out."
            )
        return list(super().run(**settings))

    def resampledata(self, dataname: Any, name: str | None = None, **settings: Any) -> Any:
        """Add a coarser form of a feed; its bars begin where those of exchanges do (see `bounds`)."""
        return super().resampledata(dataname, name, **bounds(dataname, settings))

    def replaydata(self, dataname: Any, name: str | None = None, **settings: Any) -> Any:
        """Add a coarser form of a feed that grows with each of its bars; it begins where those of exchanges do."""
        return super().replaydata(dataname, name, **bounds(dataname, settings))

    def _add_timer(self, owner: Any, when: Any, *args: Any, cheat: bool = False, **kwargs: Any) -> Any:
        if cheat:
            raise StrategyError(f"There is no cheating here: {CHEAT}")
        return super()._add_timer(owner, when, *args, **kwargs)

    def optstrategy(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: optimisation in backtrader's own processes loses the ledger."""
        raise StrategyError("`optstrategy` is not for this broker; run each combination of parameters on its own.")

    def plot(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: backtrader's plots do not work with today's matplotlib."""
        raise StrategyError("`plot` is not for this broker; the result has the equity as a series.")

    def result(self) -> Result:
        """Return what the run came to."""
        broker = self.broker
        if broker.day is None or not broker.day.finished:
            raise StrategyError("There is no result before `run`.")
        return result_of(broker.day, broker.market, broker.venue)


def make_cerebro(market: Market, venue: Venue, **settings: Any) -> PerpetualCerebro:
    """Return a Cerebro with the market's feeds and the venue's broker, for scripts that add analyzers, observers or sizers.

    settings: parameters of `bt.Cerebro`. Of backtrader's standard observers only the one of cash and value is there
    (`stdstats=True` brings all of them).

    >>> # cerebro = make_cerebro(load_market("deleveraging-2026"), load_venue("binance-usdm"))
    >>> # cerebro.addstrategy(MyStrategy, period=20); cerebro.addanalyzer(bt.analyzers.DrawDown)
    >>> # strategies, result = cerebro.run(), cerebro.result()
    """
    settings = {"stdstats": False, **settings}
    cerebro = PerpetualCerebro(**settings)
    cerebro.broker = PerpetualBroker(market=market, venue=venue)
    for feed in make_feeds(market):
        cerebro.adddata(feed)
    if not settings["stdstats"]:
        cerebro.addobserver(bt.observers.Broker)
    return cerebro


def watched(strategy: type[bt.Strategy]) -> type[bt.Strategy]:
    """The same class, which warms up before the traded part of the market, and is refused a close of what it does not hold.

    The bars before `trade_from` count as backtrader counts the minimum period of indicators: `prenext` is called, not `next`.
    Analyzers begin with the first bar of the result.
    """

    class Watched(strategy):
        def _getminperstatus(self) -> int:
            missing = int(super()._getminperstatus())
            if self.broker.bar + 1 < self.broker.start_bar:
                missing = max(missing, 1)
            elif missing < 0 and self._minperstatus_before > 0:
                missing = 0  # the first `next` is `nextstart`
            self._minperstatus = self._minperstatus_before = missing
            return missing

        _minperstatus_before = 1

        def _next_analyzers(self, minperstatus: int, once: bool = False) -> None:
            if self.broker.bar >= self.broker.start_bar:  # else it is no bar of the result
                super()._next_analyzers(minperstatus, once)

        def close(self, data: Any = None, size: float | None = None, **kwargs: Any) -> Any:
            order = super().close(data, size, **kwargs)
            if order is None:
                named = self.getdatabyname(data) if isinstance(data, str) else data
                which = self.data if named is None else named
                if not self.getposition(which).size:
                    self.broker.close_refused(which)
            return order

    Watched.__name__, Watched.__qualname__, Watched.__module__ = (
        strategy.__name__, strategy.__qualname__, strategy.__module__,
    )  # fmt: skip
    return Watched


def bounds(data: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a resampling, with the offset of the bounds that a feed needs whose bars are stamped with their opens.

    backtrader takes a stamp for the bar's end and would make a bar of 4 hours out of the opens 01:00 to 04:00.
    """
    unit = next((u for u, frame in UNITS if frame == settings.get("timeframe")), 0)
    if not isinstance(data, SymbolFeed) or unit == 0 or settings.get("timeframe") == bt.TimeFrame.Days:
        return settings
    of_data = next(u for u, frame in UNITS if frame == data.p.timeframe)
    return {"boundoff": data.p.compression * of_data // unit, **settings}


def refuse_what_cannot_run(market: Market, strategy: type[bt.Strategy], parameters: Iterable[str], name: str) -> None:
    refuse_cheating(strategy, name)
    refuse_unknown(strategy, parameters, name)
    refuse_waiting(market, strategy, name)


def refuse_unknown(strategy: type[bt.Strategy], parameters: Iterable[str], name: str) -> None:
    """Refuse what is neither a parameter nor an argument of the class; backtrader would pass it over."""
    known = set(strategy.params._getkeys())
    allowed = known | set(strategy.plotinfo._getkeys())
    if not strategy.__init__.__module__.startswith("backtrader."):
        asked = inspect.signature(strategy.__init__).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in asked):
            return
        allowed |= {p.name for p in asked}
    for given in parameters:
        if given not in allowed:
            raise StrategyError(f"{name} has no parameter {given!r}.{did_you_mean(given, known)}")


def refuse_waiting(market: Market, strategy: type[bt.Strategy], name: str) -> None:
    """Refuse a symbol without a bar to a strategy that waits for all of them: backtrader would never call its `next`."""
    without = [symbol for j, symbol in enumerate(market.symbols) if np.isnan(market.open[:, j]).all()]
    if without and strategy.prenext is bt.Strategy.prenext:
        raise MarketError(
            f"{', '.join(without)} has no bars in the market {market.name}, and {name} waits for every symbol's first. "
            "Leave it out, or give the strategy a `prenext`."
        )


def refuse_empty(market: Market) -> None:
    if market.start_bar >= len(market):
        raise MarketError(f"The market {market.name} has no bars to trade; it has {len(market)} in all.")


def refuse_cheating(strategy: type[bt.Strategy], name: str) -> None:
    for method in ("next_open", "nextstart_open", "prenext_open"):
        if getattr(strategy, method) is not getattr(bt.Strategy, method):
            raise StrategyError(
                f"{name} has a `{method}`, which backtrader calls before the bar's orders fill (cheat-on-open): no venue "
                "lets an order know the open that it fills at. Put the orders into `next`; they fill at the next open."
            )
