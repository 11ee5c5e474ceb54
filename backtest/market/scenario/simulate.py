"""From the name of a scenario to its whole market."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backtest.errors import MarketError
from backtest.market.scenario.leverage import draw_funding, leverage_feeds
from backtest.market.scenario.macro import macro_feeds
from backtest.market.scenario.parameters import Scenario, load_scenario
from backtest.market.scenario.prices import draw_prices, mark_prices
from backtest.market.scenario.series import Clock
from backtest.model import Feed, Funding, Mark, Market
from backtest.model.arrays import HOUR, SECOND, Float, Int64, frozen_array

__all__ = ["Simulated", "simulate"]

HOURS = {"1h": 1}


@dataclass(frozen=True, eq=False)
class Simulated:
    """A simulated market; nothing in it was ever traded.

    start_ns: the first bar's open, ns UTC; interval: ns; time: (n,) int64 open times, ns UTC; symbols: (m,) names, the
    leading one first; open, high, low, close (quote units) and volume (base units): (n, m) float64, read-only, on the
    symbols' ticks; mark: mark prices; funding: stamps whose codes point into `symbols`; feeds: by name, a symbol's own
    as "SYMBOL.name", each value with the time it became known; fine: finer bars, or None.
    """

    name: str
    seed: int
    start_ns: int
    interval: int
    time: Int64
    symbols: tuple[str, ...]
    open: Float
    high: Float
    low: Float
    close: Float
    volume: Float
    mark: Mark | None
    funding: Funding
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    fine: Market | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", frozen_array(self.time, self.time.dtype))
        object.__setattr__(self, "feeds", MappingProxyType(dict(self.feeds)))
        for name in ("open", "high", "low", "close", "volume"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), "float64"))


def simulate(name: str, seed: int | None = None) -> Simulated:
    """Return the market of a shipped scenario, or of the scenario file at a path; the same seed gives the same bytes.

    seed: None for the file's own; every seed meets the published facts. An unknown name, a broken file and a seed below
    0 are errors.
    """
    scenario = load_scenario(name)
    chosen = scenario.seed if seed is None else seed
    if chosen < 0:
        raise MarketError(f"The seed of a scenario must be at least 0, got {chosen}.")
    clock = clock_of(scenario)
    prices = draw_prices(scenario, clock, chosen)
    mark = mark_prices(scenario, clock, prices, chosen)
    return Simulated(
        name=name,
        seed=chosen,
        start_ns=clock.start,
        interval=clock.interval,
        time=clock.time,
        symbols=tuple(scenario.symbols),
        open=prices.open,
        high=prices.high,
        low=prices.low,
        close=prices.close,
        volume=prices.volume,
        mark=mark,
        funding=draw_funding(scenario, clock, prices, mark, chosen),
        feeds=leverage_feeds(scenario, clock, prices, chosen) | macro_feeds(scenario, clock, prices, chosen),
    )


def clock_of(scenario: Scenario) -> Clock:
    """Return the grid of a scenario's bars."""
    start = round(scenario.start.timestamp()) * SECOND
    interval = HOURS[scenario.interval] * HOUR
    return Clock(start, interval, (round(scenario.end.timestamp()) * SECOND - start) // interval)
