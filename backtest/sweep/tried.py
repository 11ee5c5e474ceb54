"""The true number of trials: every point that was looked at, and every procedure that chose among them, on the record."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backtest.analysis.significance import Trials, moments
from backtest.catalogue import load_trials, record_trials
from backtest.catalogue.runs import ID_LENGTH
from backtest.catalogue.trials import YEARLY, Trial, strategy_name
from backtest.model import Market, RunConfig
from backtest.model.arrays import Float
from backtest.runner import engine_of, parameters_of
from backtest.sweep.identity import data_hash
from backtest.sweep.overfit import PointReturns
from backtest.sweep.point import Scorer

__all__ = ["Known", "TrialBook"]


@dataclass(frozen=True)
class Known:
    """What is known of a point whose daily returns were not looked at: its yearly Sharpe ratio, its id ("" to work it out)."""

    sharpe: float
    run: str = ""


class TrialBook:
    """Puts points on the record of trials, as the runs on the whole market that they are or would be.

    A point that was run before, alone or in a sweep, is no new trial; nor is the same procedure again.
    """

    def __init__(self, market: Market, results: str | os.PathLike[str] | None) -> None:
        self.market, self.results = market, results
        self.scorer = Scorer(market)
        self.hashes: dict[str, str] = {}
        self.created = datetime.now(UTC).isoformat(timespec="milliseconds")

    def add_points(
        self,
        config_of: Callable[[int], RunConfig],
        found: PointReturns,
        others: Mapping[int, Known] | None = None,
    ) -> None:
        """Add points: those whose daily returns were looked at, and others of which less is known. Nothing is run."""
        told = {point: Known(value.sharpe / YEARLY, value.run) for point, value in (others or {}).items()}
        told |= {p: Known(sharpe) for p, sharpe in zip(found.points, found.sharpes().tolist(), strict=True)}
        bars, trials = len(self.market) - self.market.start_bar, []
        for point in sorted(told):
            config, known = config_of(point), told[point]
            identity = known.run or self.identity(config)
            trials.append(self.trial(config, identity, known.sharpe, found.days.size, bars))
        record_trials(self.results, trials)

    def add_procedure(self, config: RunConfig, asked: Any, earned: Float, bars: int) -> str:
        """Add a procedure that chose among points, told by what was asked, and return its id."""
        maker = self.scorer.maker(config.strategy)
        told = repr((asked, config, maker.sha256, data_hash(self.market, config)))
        identity = hashlib.sha256(told.encode()).hexdigest()[:ID_LENGTH]
        record_trials(self.results, [self.trial(config, identity, moments(earned).sharpe, earned.size, bars)])
        return identity

    def trials(self, config: RunConfig) -> Trials:
        """Return every trial of the strategy on these data."""
        return load_trials(self.results, config.strategy, data_hash(self.market, config))

    def identity(self, config: RunConfig) -> str:
        """Return the id that a configuration has as a run on the whole market."""
        maker = self.scorer.maker(config.strategy)
        strategy = maker.make(dict(config.parameters))
        complete = replace(config, engine=engine_of(strategy, config), parameters=parameters_of(strategy, config))
        return self.scorer.place(config).identity.id(complete, maker.sha256)

    def trial(self, config: RunConfig, identity: str, sharpe: float, days: int, bars: int) -> Trial:
        name, data = strategy_name(config.strategy), self.hash(config)
        return Trial(name, data, identity, "sweep", self.created, float(sharpe), days, bars)

    def hash(self, config: RunConfig) -> str:
        """Return the hash of the data, worked out once a venue and account."""
        key = config.venue
        if key not in self.hashes:
            self.hashes[key] = data_hash(self.market, config)
        return self.hashes[key]
