"""The one path: market, strategy, venue, engine, result."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from backtest.engines import check_engine, get_engine, get_native_engine
from backtest.errors import ConfigError, LevelbreakError, StrategyError, did_you_mean
from backtest.market import load_market
from backtest.market.tiers import tier_lines
from backtest.model import Market, Passport, Result, RunConfig, Venue
from backtest.plugins import BacktraderStrategy, load_strategy, make_plan
from backtest.venues import check_leverage, load_venue

__all__ = [
    "Ran",
    "configure",
    "market_of",
    "parameters_of",
    "run",
    "run_each",
    "run_many",
    "run_on",
    "venue_of",
]

SETTINGS = tuple(f.name for f in fields(RunConfig) if f.name not in ("strategy", "parameters", "account"))
ACCOUNT = ("cash", "leverage", "margin_mode", "intrabar", "slippage", "maker", "taker")

Progress = Callable[[RunConfig], None]


def run(config: RunConfig | str, **changes: Any) -> Result:
    """Run one strategy on one market and return what came of it.

    config: a configuration, or a strategy's name or path. changes: `market`, `venue`, `engine`, `seed`,
    `assume_funding` (those of RunConfig), `account={"cash": 5_000, "leverage": 20}` for the account's settings,
    `parameters={...}` or plain keywords for the strategy's: `run("support_break", market="FILE.toml", levels=(75_000,
    70_000))`. A mistake is a LevelbreakError that says what to do.
    """
    config = configure(config, **changes)
    return run_on(market_of(config), config)


@dataclass(frozen=True, eq=False)
class Ran:
    """What came of a run, with the market and the strategy that it was made of."""

    result: Result
    market: Market
    strategy: Any


def run_on(market: Market, config: RunConfig) -> Result:
    """Run a configuration on a market already loaded; the result carries the configuration with every parameter."""
    return ran_on(market, config).result


def ran_on(market: Market, config: RunConfig) -> Ran:
    strategy = load_strategy(config.strategy, dict(config.parameters))
    engine = engine_of(strategy, config)
    at_venue = engine_for(market, strategy, engine)
    venue = venue_of(config, market)
    result = at_venue(venue)
    orders: dict[str, Result] = {o: at_venue(replace(venue, intrabar=o)) for o in other_orders(result)}
    complete = replace(config, engine=engine, parameters=parameters_of(strategy, config))
    passport = with_tiers(result)
    told = replace(result, config=complete, market_name=market.name, passport=passport, orders=orders)
    return Ran(told, market, strategy)


def engine_for(market: Market, strategy: Any, engine: str) -> Callable[[Venue], Result]:
    """Return what runs a strategy at a venue; a plan is made once."""
    if isinstance(strategy, BacktraderStrategy):
        native = get_native_engine()
        return lambda venue: native(market, strategy.cls, strategy.parameters, venue, name=strategy.name)
    plan = make_plan(strategy, market)
    return lambda venue: get_engine(engine)(market, plan, venue)


def other_orders(result: Result) -> tuple[Literal["worst", "best"], ...]:
    """Return the orders of events inside a bar under which a run may come to something else."""
    intrabar = result.venue.intrabar
    if intrabar == "fine":
        return ("worst", "best")
    if not result.assumptions.get("ambiguous_bars", 0):
        return ()
    return ("best",) if intrabar == "worst" else ("worst",)


def with_tiers(result: Result) -> Passport:
    """Return the result's passport with a line for each symbol's margin tiers."""
    end = int(result.time[-1]) + result.interval
    return Passport((*result.passport.series, *tier_lines(result.venue, result.symbols, int(result.time[0]), end)))


def engine_of(strategy: Any, config: RunConfig) -> str:
    """Return the engine that the configuration names, else the one that suits the strategy."""
    if config.engine is not None:
        check_engine(config.engine)
    if not isinstance(strategy, BacktraderStrategy):
        return config.engine or "fast"
    if config.engine not in (None, "backtrader"):
        raise StrategyError(
            f"{strategy.name} is a strategy of backtrader, which the engine {config.engine!r} can't run; "
            "leave the engine out, or choose 'backtrader'."
        )
    return "backtrader"


def run_many(configs: Iterable[RunConfig], progress: Progress | None = None) -> list[Result | LevelbreakError]:
    """Run each configuration, each market loaded once, and return a result or the error for each, in order.

    progress: called with the configuration before each run.
    """
    return [one.result if isinstance(one, Ran) else one for one in run_each(configs, progress)]


def run_each(configs: Iterable[RunConfig], progress: Progress | None = None) -> Iterator[Ran | LevelbreakError]:
    """Run each configuration as `run_many` does, and give each as it is done, with its market and strategy."""
    markets: dict[tuple[object, ...], Market | LevelbreakError] = {}
    for config in configs:
        if progress is not None:
            progress(config)
        try:
            yield ran_on(shared_market(config, markets), config)
        except LevelbreakError as error:
            yield error


def shared_market(config: RunConfig, markets: dict[tuple[object, ...], Market | LevelbreakError]) -> Market:
    which = (config.market, config.seed, config.assume_funding)
    if which not in markets:
        try:
            markets[which] = market_of(config)
        except LevelbreakError as error:
            markets[which] = error
    found = markets[which]
    if isinstance(found, LevelbreakError):
        raise found
    return found


def market_of(config: RunConfig) -> Market:
    """Return the configuration's market."""
    return load_market(config.market, seed=config.seed, assume_funding=config.assume_funding)


def venue_of(config: RunConfig, market: Market) -> Venue:
    """Return the configuration's venue with its account, checked against the market's symbols."""
    venue = load_venue(config.venue, **dict(config.account))
    check_leverage(venue, market.symbols)
    return venue


def configure(config: RunConfig | str | os.PathLike[str], **changes: Any) -> RunConfig:
    """Return the configuration with the changes; keywords that are no settings are parameters of the strategy.

    >>> configure("support_break", seed=7, levels=[75_000, 70_000]).parameters
    (('levels', (75000, 70000)),)
    """
    if not isinstance(config, RunConfig):
        config = RunConfig(os.fspath(config))
    account = merged(config.account, changes.pop("account", {}), "account")
    for name, _ in account:
        if name not in ACCOUNT:
            raise ConfigError(f"The account has no setting named {name!r}.{did_you_mean(name, ACCOUNT)}")
    settings = {name: changes.pop(name) for name in SETTINGS if name in changes}
    for name in ("market", "venue"):
        if name in settings:
            settings[name] = os.fspath(settings[name])
    parameters = merged(config.parameters, changes.pop("parameters", {}), "parameters")
    parameters = merged(parameters, changes, "parameters")
    return replace(config, parameters=parameters, account=account, **settings)


def merged(pairs: tuple[tuple[str, Any], ...], changes: Any, name: str) -> tuple[tuple[str, Any], ...]:
    if not isinstance(changes, Mapping):
        raise ConfigError(f"`{name}` must be a mapping, such as {{'cash': 5_000}}, got {changes!r}.")
    return tuple((dict(pairs) | {key: plain(value) for key, value in changes.items()}).items())


def parameters_of(strategy: Any, config: RunConfig) -> tuple[tuple[str, Any], ...]:
    """Return every parameter of the strategy, defaults included; None as "none", as on the command line."""
    if isinstance(strategy, BacktraderStrategy):
        values = {name: plain(value) for name, value in strategy.settings.items()}
    elif is_dataclass(strategy):
        values = {f.name: plain(getattr(strategy, f.name)) for f in fields(strategy) if f.init}
    else:
        return config.parameters
    return tuple((name, "none" if value is None else value) for name, value in values.items())


def plain(value: Any) -> Any:
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    if hasattr(value, "tolist"):  # a number or an array of numpy
        return plain(value.tolist())
    return value
