"""All the checks of a strategy and of what its file holds, of a detector or signal, or of all that are shipped."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from backtest.checks.conformance import Conformance, check_conformance
from backtest.checks.engines import EngineComparison, compare_engines
from backtest.checks.foresight import Foresight, check_foresight
from backtest.checks.parts import Part, Parts, check_parts, part_named, parts_in, shipped_parts
from backtest.errors import ConfigError, MarketError, StrategyError, did_you_mean
from backtest.levels.spec import KINDS
from backtest.model import RunConfig
from backtest.plugins import BacktraderStrategy, find_strategy, load_strategy, strategy_names
from backtest.plugins.importing import import_file, looks_like_one
from backtest.runner import configure, market_of, venue_of
from backtest.signals import SIGNALS

__all__ = ["CHECKS", "Checked", "check_strategy"]

CHECKS = ("conformance", "foresight", "engines")

Check = Conformance | Foresight | EngineComparison | Parts


@dataclass(frozen=True)
class Checked:
    """What the checks came to, in the order of `CHECKS`; left_out: check -> why it was not made.

    strategy: its name, or "" where none was asked; parts: the checks of detectors and signals, None where there are none.
    """

    strategy: str
    conformance: Conformance | None = None
    foresight: Foresight | None = None
    engines: EngineComparison | None = None
    parts: Parts | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def made(self) -> tuple[Check, ...]:
        return tuple(c for c in (self.conformance, self.foresight, self.engines, self.parts) if c is not None)

    @property
    def passes(self) -> bool:
        return all(c.agrees if isinstance(c, EngineComparison) else c.passes for c in self.made)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data; of a single check its own document."""
        documents = [c.to_dict() for c in self.made]
        if len(documents) == 1 and not self.left_out:
            return documents[0]
        return {"strategy": self.strategy, "passes": self.passes, "checks": documents, "left_out": self.left_out}


def check_strategy(
    config: RunConfig | str, checks: Iterable[str] = CHECKS, cuts: int | None = None, **changes: Any
) -> Checked:
    """Make the checks of a strategy, and of the detectors and signals in its file; return what they came to.

    config, changes: those of `backtest.run`; checks: some of `CHECKS`; cuts: those of `check_foresight`. In the place of a
    strategy's name there may be a file of detectors and signals alone, a signal's name, or levels as text, such as
    "fractal(k=3)"; and "" asks for every detector and signal that is shipped. The engines are compared on plans alone; asked
    for all checks, a strategy of backtrader's is spared that one, and `left_out` says so.
    """
    config, wanted = configure(config, **changes), tuple(checks)
    for name in wanted:
        if name not in CHECKS:
            raise ConfigError(f"No check named {name!r}.{did_you_mean(name, CHECKS)}")
    parts, alone = parts_of(config.strategy)
    if alone:
        return checked_parts(config, parts, wanted, cuts)
    market = market_of(config)
    strategy, parameters = config.strategy, dict(config.parameters)
    left_out = {}
    if wanted != ("engines",) and "engines" in wanted and is_native(config):
        left_out["engines"] = (
            "only the engine 'backtrader' can run a strategy of backtrader; there is nothing to compare"
        )
    # Read even where no check asks the venue, so that a wrong option is told whatever was chosen.
    venue = venue_of(config, market)
    return Checked(
        strategy,
        check_conformance(strategy, market, parameters, venue=venue) if "conformance" in wanted else None,
        check_foresight(strategy, market, parameters, venue=venue, cuts=cuts) if "foresight" in wanted else None,
        compare_engines(config) if "engines" in wanted and not left_out else None,
        check_parts(parts, market, wanted, cuts) if parts and wanted != ("engines",) else None,
        left_out,
    )


def parts_of(name: str) -> tuple[tuple[Part, ...], bool]:
    """Return the detectors and signals that a name stands for, and whether there is no strategy beside them."""
    if not name:
        return shipped_parts(), True
    try:
        file = find_strategy(name)
    except StrategyError as error:
        part = part_named(name)
        if part is None:
            raise nearest_of_all(name, error) from None
        return (part,), True
    module = import_file(file)
    parts = parts_in(module)
    own = (c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__)
    return parts, bool(parts) and file.class_name is None and not any(map(looks_like_one, own))


def nearest_of_all(name: str, error: StrategyError) -> StrategyError:
    """Return the error with the nearest name of strategies, detectors and signals together; itself where none is near."""
    near = did_you_mean(name, {*strategy_names(), *KINDS, *SIGNALS})
    if not near.startswith(" Did") or not str(error).startswith("No strategy named"):
        return error
    return StrategyError(f"No strategy, detector or signal named {name!r}.{near}")


def checked_parts(config: RunConfig, parts: tuple[Part, ...], checks: tuple[str, ...], cuts: int | None) -> Checked:
    if config.parameters:
        names = ", ".join(f"`{name}`" for name, _ in config.parameters)
        raise ConfigError(f"Parameters belong to a strategy, and none is checked; got {names}.")
    if checks == ("engines",):
        raise ConfigError("The engines are compared on the plan of a strategy; name one.")
    market = market_of(config)
    if not len(market):
        raise MarketError(f"The market {market.name} has no bars; there is nothing to look ahead to.")
    return Checked("", parts=check_parts(parts, market, checks, cuts))


def is_native(config: RunConfig) -> bool:
    return isinstance(load_strategy(config.strategy, dict(config.parameters)), BacktraderStrategy)
