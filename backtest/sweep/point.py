"""One point of a sweep: a configuration on a market already loaded, as a row of figures."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

from backtest.analysis.summary import METRICS, analyze, figures
from backtest.engines import get_engine, get_native_engine
from backtest.engines.arrays import Ground
from backtest.engines.fast import ground_of, score
from backtest.errors import LevelbreakError, StrategyError
from backtest.model import Market, Plan, Result, RunConfig, Venue
from backtest.model.memo import Memo
from backtest.plugins import BacktraderStrategy, StrategyMaker, load_maker, make_plan
from backtest.runner import engine_of, parameters_of
from backtest.sweep.identity import RunIdentity
from backtest.sweep.limit import Clock, LateError, late_words
from backtest.venues import check_leverage, load_venue, with_account

__all__ = ["FIGURES", "ORDERS", "Row", "Scorer", "score_point"]

Row = dict[str, Any]
ORDERS = ("worst", "best")
FIGURES = (*METRICS, *(f"{name}_{order}" for order in ORDERS for name in METRICS))
NAMES = {order: tuple(f"{name}_{order}" for name in METRICS) for order in ORDERS}
GROUNDS = 64  # venues and accounts whose tables are kept
NEVER = Clock(None)


def score_point(market: Market, config: RunConfig, time_limit: float | None = None) -> Row:
    """Return one point as a row: the figures of `METRICS`, as a run of the configuration has them, and what else a sweep keeps.

    "NAME_worst" and "NAME_best" are the figures with the less and the more favourable order of two events inside one bar:
    where no bar was ambiguous they are the same. "ambiguous_bars", "rejections": counts; "run": the id of that run;
    "seconds": what it took; "error": "" or why there are no figures, which are NaN then and counts None.
    """
    from backtest.sweep.limit import clock

    with clock(time_limit) as ticking:
        return Scorer(market, ticking).row(config)


@dataclass(frozen=True, eq=False)
class Place:
    """A venue with its account, what every plan on the market stands on there, and what names its runs."""

    venue: Venue
    ground: Ground
    identity: RunIdentity


@dataclass(frozen=True, eq=False)
class Found:
    """What came of one run: its figures, and how many bars were ambiguous and rows rejected."""

    figures: dict[str, Any]
    ambiguous: int
    rejections: int


class Scorer:
    """Scores configurations on one market; what they share is worked out once.

    A strategy whose plan fails on shared values is asked again without sharing before it is said to have failed: one that writes
    into what a detector returned gets values of its own from then on.
    """

    def __init__(self, market: Market, ticking: Clock = NEVER, memo: Memo | None = None) -> None:
        self.market = market
        self.clock = ticking
        self.memo = Memo(market) if memo is None else memo
        self.makers: dict[str, StrategyMaker] = {}
        self.places: OrderedDict[tuple[Any, ...], Place] = OrderedDict()
        self.venues: dict[str, Venue] = {}
        self.alone: set[str] = set()

    def row(self, config: RunConfig) -> Row:
        """Return the row of a configuration; whatever goes wrong in it is its reason."""
        start = time.perf_counter()
        error = ""
        found: Row = {}
        try:
            with self.clock.running():
                found = self.figures(config)
        except LevelbreakError as mistake:
            error = str(mistake)
        except LateError:
            error = late_words(self.clock.seconds or 0.0)
        except Exception as mistake:
            error = f"It failed: {type(mistake).__name__}: {mistake}"
        return {**(found or FAILED), "seconds": time.perf_counter() - start, "error": error}

    def figures(self, config: RunConfig) -> Row:
        """Return the figures of a configuration in every order of events inside a bar."""
        maker = self.maker(config.strategy)
        strategy = maker.make(dict(config.parameters))
        engine = engine_of(strategy, config)
        place = self.place(config)
        found = self.orders(strategy, engine, place, config)
        whole = replace(config, engine=engine, parameters=parameters_of(strategy, config))
        row = dict(found[place.venue.intrabar].figures)
        for order in ORDERS:
            row.update(zip(NAMES[order], found[order].figures.values(), strict=True))
        own = found[place.venue.intrabar]
        row |= {"ambiguous_bars": own.ambiguous, "rejections": own.rejections}
        row["run"] = place.identity.id(whole, maker.sha256)
        return row

    def orders(self, strategy: Any, engine: str, place: Place, config: RunConfig) -> dict[str, Found]:
        """Return what came of the venue's own order, of the worst and of the best; only an ambiguous bar tells them apart."""
        plan = None if isinstance(strategy, BacktraderStrategy) else self.plan(strategy, config.strategy)
        own = self.run(strategy, plan, engine, place)
        first = place.venue.intrabar if place.venue.intrabar in ORDERS else "worst"
        one = own if first == place.venue.intrabar else self.run(strategy, plan, engine, self.place(config, first))
        second = ORDERS[1 - ORDERS.index(first)]
        other = one if one.ambiguous == 0 else self.run(strategy, plan, engine, self.place(config, second))
        return {place.venue.intrabar: own, first: one, second: other}

    def run(self, strategy: Any, plan: Plan | None, engine: str, place: Place) -> Found:
        """Run once: as sums on the fast engine, else in full."""
        if plan is None:
            native = get_native_engine()
            result = native(self.market, strategy.cls, strategy.parameters, place.venue, name=strategy.name)
            return of_result(result)
        if engine != "fast":
            return of_result(get_engine(engine)(self.market, plan, place.venue))
        sums = score(self.market, plan, place.venue, place.ground)
        return Found(figures(sums), sums.ambiguous_bars, sums.rejections)

    def plan(self, strategy: Any, name: str) -> Plan:
        """Return the strategy's plan, made of shared values unless it can't live with that."""
        if name in self.alone:
            return make_plan(strategy, self.market)
        try:
            with self.memo.active():
                return make_plan(strategy, self.market)
        except StrategyError:
            plan = make_plan(strategy, self.market)
            self.alone.add(name)
            return plan

    def maker(self, strategy: str) -> StrategyMaker:
        if strategy not in self.makers:
            self.makers[strategy] = load_maker(strategy)
        return self.makers[strategy]

    def place(self, config: RunConfig, intrabar: str | None = None) -> Place:
        """Return the configuration's venue, with another order inside a bar where one is given."""
        key = (config.venue, config.account, intrabar)
        if key not in self.places:
            account = dict(config.account) if intrabar is None else {**dict(config.account), "intrabar": intrabar}
            if config.venue not in self.venues:
                self.venues[config.venue] = load_venue(config.venue)
            venue = with_account(self.venues[config.venue], **account)
            check_leverage(venue, self.market.symbols)
            self.places[key] = Place(venue, ground_of(self.market, venue), RunIdentity.of(self.market, venue))
            if len(self.places) > GROUNDS:
                self.places.popitem(last=False)
        self.places.move_to_end(key)
        return self.places[key]


COUNTS = frozenset(("trades", "liquidations", "open_trades"))
FAILED: Row = {
    **{name: None if name.rpartition("_")[0] in COUNTS or name in COUNTS else math.nan for name in FIGURES},
    "ambiguous_bars": None,
    "rejections": None,
    "run": "",
}


def of_result(result: Result) -> Found:
    """Return what a full result comes to."""
    summary = analyze(result)
    shown = {name: getattr(summary, name) for name in METRICS}
    return Found(shown, int(result.assumptions.get("ambiguous_bars", 0)), len(result.rejections_table))
