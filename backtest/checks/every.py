"""All the checks of one strategy, or some of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from backtest.checks.conformance import Conformance, check_conformance
from backtest.checks.engines import EngineComparison, compare_engines
from backtest.checks.foresight import Foresight, check_foresight
from backtest.errors import ConfigError, did_you_mean
from backtest.model import RunConfig
from backtest.plugins import BacktraderStrategy, load_strategy
from backtest.runner import configure, market_of, venue_of

__all__ = ["CHECKS", "Checked", "check_strategy"]

CHECKS = ("conformance", "foresight", "engines")

Check = Conformance | Foresight | EngineComparison


@dataclass(frozen=True)
class Checked:
    """What the checks of a strategy came to, in the order of `CHECKS`; left_out: check -> why it was not made."""

    strategy: str
    conformance: Conformance | None = None
    foresight: Foresight | None = None
    engines: EngineComparison | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def made(self) -> tuple[Check, ...]:
        return tuple(c for c in (self.conformance, self.foresight, self.engines) if c is not None)

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
    """Make the checks of a strategy and return what they came to.

    config, changes: those of `backtest.run`; checks: some of `CHECKS`; cuts: those of `check_foresight`. The engines are
    compared on plans alone; asked for all checks, a strategy of backtrader's is spared that one, and `left_out` says so.
    """
    config, wanted = configure(config, **changes), tuple(checks)
    for name in wanted:
        if name not in CHECKS:
            raise ConfigError(f"No check named {name!r}.{did_you_mean(name, CHECKS)}")
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
        left_out,
    )


def is_native(config: RunConfig) -> bool:
    return isinstance(load_strategy(config.strategy, dict(config.parameters)), BacktraderStrategy)
