"""The embedded market: a seeded simulation that reproduces the published facts of a crisis. It is never real data."""

from backtest.market.scenario.parameters import Scenario, load_scenario, scenario_names
from backtest.market.scenario.simulate import Simulated, simulate

__all__ = ["Scenario", "Simulated", "load_scenario", "scenario_names", "simulate"]
