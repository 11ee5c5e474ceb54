"""The one path: what is handed from step to step, and what stands in the result."""

import importlib
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from made_result import make_result, make_venue

from backtest.errors import ConfigError, LevelbreakError, MarketError, StrategyError
from backtest.model import Plan, RunConfig
from backtest.plugins import BacktraderStrategy
from backtest.runner import configure, run, run_many, run_on

path = importlib.import_module("backtest.runner")


@dataclass(frozen=True)
class Idea:
    levels: tuple[float, ...] = (75_000.0, 70_000.0)
    buffer: float = 0.003
    until: str | None = None

    def plan(self, market):
        return Plan.empty()


class FakeMarket:
    symbols = ("BTCUSDT",)

    def __init__(self, name):
        self.name = name


@pytest.fixture
def calls(monkeypatch):
    """Every step replaced by one that notes what it was given."""
    seen = []

    def load_market(name, *, seed=None, assume_funding=None):
        seen.append(("market", name, seed, assume_funding))
        if name == "none":
            raise MarketError("No market named 'none'.")
        return FakeMarket(name)

    def load_strategy(name, params):
        seen.append(("strategy", name, params))
        if name == "broken":
            raise StrategyError("broken is not Python.")
        return Idea(**params)

    def load_venue(name, **account):
        seen.append(("venue", name, account))
        return make_venue(**account)

    def execute(market, plan, venue):
        seen.append(("execute", market.name, len(plan), venue.cash))
        return make_result(config=None, venue=venue)

    monkeypatch.setattr(path, "load_market", load_market)
    monkeypatch.setattr(path, "load_strategy", load_strategy)
    monkeypatch.setattr(path, "make_plan", lambda strategy, market: strategy.plan(market))
    monkeypatch.setattr(path, "load_venue", load_venue)
    monkeypatch.setattr(
        path, "check_leverage", lambda venue, symbols: seen.append(("leverage", venue.leverage, symbols))
    )
    monkeypatch.setattr(path, "get_engine", lambda name: seen.append(("engine", name)) or execute)
    return seen


def test_the_steps_in_their_order(calls):
    run(
        "idea",
        market="crash",
        venue="paper",
        engine="fast",
        seed=7,
        assume_funding=0.0001,
        account={"cash": 500.0},
        buffer=0.01,
    )
    assert calls == [
        ("market", "crash", 7, 0.0001),
        ("strategy", "idea", {"buffer": 0.01}),
        ("venue", "paper", {"cash": 500.0}),
        ("leverage", 10.0, ("BTCUSDT",)),
        ("engine", "fast"),
        ("execute", "crash", 0, 500.0),
    ]


def test_the_result_carries_the_configuration_with_every_parameter(calls):
    result = run("idea", market="crash", levels=[75_000, 70_000])
    assert result.market_name == "crash"
    assert result.config == RunConfig(
        "idea", "crash", (("levels", (75_000, 70_000)), ("buffer", 0.003), ("until", "none")), engine="fast"
    )


def test_a_default_said_or_not_is_the_same_run(calls):
    assert run("idea").config == run("idea", buffer=0.003).config


def test_a_configuration_may_be_given_and_changed(calls):
    base = RunConfig("idea", parameters=(("buffer", 0.01),), account=(("cash", 9.0),))
    changed = configure(base, seed=3, account={"leverage": 2}, until="x")
    assert changed == replace(
        base, seed=3, parameters=(("buffer", 0.01), ("until", "x")), account=(("cash", 9.0), ("leverage", 2))
    )
    assert configure(base) == base


def test_a_parameter_with_the_name_of_a_setting():
    assert configure("idea", seed=1, parameters={"seed": 2}) == RunConfig("idea", seed=1, parameters=(("seed", 2),))


def test_paths_and_numpy_values_become_plain_data():
    config = configure(Path("my/idea.py"), market=Path("crash.toml"), levels=np.array([1.0, 2.0]), n=np.int64(3))
    assert config == RunConfig("my/idea.py", "crash.toml", (("levels", (1.0, 2.0)), ("n", 3)))
    assert type(dict(config.parameters)["n"]) is int
    hash(config)


def test_an_account_that_is_no_mapping():
    with pytest.raises(ConfigError, match="`account` must be a mapping"):
        configure("idea", account=5_000)


def test_strategies_that_share_a_market_load_it_once(calls):
    outcomes = run_many([RunConfig("a", "m"), RunConfig("b", "m"), RunConfig("b", "m", seed=1)])
    assert [type(o).__name__ for o in outcomes] == ["Result"] * 3
    assert [c for c in calls if c[0] == "market"] == [("market", "m", None, None), ("market", "m", 1, None)]


def test_one_that_fails_does_not_stop_the_others(calls):
    told = []
    configs = [RunConfig("broken", "m"), RunConfig("b", "m"), RunConfig("c", "none"), RunConfig("d", "none")]
    outcomes = run_many(configs, lambda config: told.append(config.strategy))
    assert [isinstance(o, LevelbreakError) for o in outcomes] == [True, False, True, True]
    assert str(outcomes[3]) == "No market named 'none'."
    assert told == ["broken", "b", "c", "d"]
    assert len([c for c in calls if c[:2] == ("market", "none")]) == 1


def test_a_bug_of_ours_is_not_swallowed(calls, monkeypatch):
    monkeypatch.setattr(path, "get_engine", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_many([RunConfig("a")])


def test_a_market_already_loaded_may_be_used(calls):
    result = run_on(FakeMarket("mine"), RunConfig("idea", "mine"))
    assert result.market_name == "mine"
    assert calls[0][0] == "strategy"


# --- engines ---------------------------------------------------------------------------------------------------------


class Native:
    """Stands for a class of backtrader's."""


@pytest.fixture
def native(calls, monkeypatch):
    """A strategy of backtrader where the plan was, and an engine for it."""

    def execute(market, strategy, parameters, venue, name=""):
        calls.append(("native", market.name, strategy, parameters, venue.cash, name))
        return make_result(config=None, venue=venue)

    strategy = BacktraderStrategy(Native, {"period": 20, "name": None, "code": Native}, "cross", Path("cross.py"))
    monkeypatch.setattr(path, "load_strategy", lambda name, params: strategy)
    monkeypatch.setattr(path, "get_native_engine", lambda: execute)
    monkeypatch.setattr(Native, "params", NativeParams, raising=False)
    return calls


class NativeParams:
    def _getitems():
        return [("period", 10), ("name", None), ("code", Native)]


def test_a_strategy_of_backtrader_runs_on_its_engine_with_all_its_parameters(native):
    run("cross", market="crash", account={"cash": 500.0})
    parameters = {"period": 20, "name": None, "code": Native}
    assert native == [
        ("market", "crash", None, None),
        ("venue", "binance-usdm", {"cash": 500.0}),
        ("leverage", 10.0, ("BTCUSDT",)),
        ("native", "crash", Native, parameters, 500.0, "cross"),
    ]


@pytest.mark.parametrize("engine", [None, "backtrader"])
def test_the_configuration_of_a_native_run_names_the_engine_and_the_plain_parameters(native, engine):
    config = run("cross", engine=engine).config
    assert (config.engine, config.parameters) == ("backtrader", (("period", 20), ("name", "none")))


def test_a_strategy_of_backtrader_does_not_run_on_the_fast_engine(native):
    with pytest.raises(StrategyError) as error:
        run("cross", engine="fast")
    assert str(error.value) == (
        "cross is a strategy of backtrader, which the engine 'fast' can't run; "
        "leave the engine out, or choose 'backtrader'."
    )


@pytest.mark.parametrize(("engine", "ran"), [(None, "fast"), ("fast", "fast"), ("backtrader", "backtrader")])
def test_a_plan_runs_on_the_engine_that_was_named_or_on_the_fast_one(calls, engine, ran):
    result = run("idea", engine=engine)
    assert ("engine", ran) in calls
    assert result.config.engine == ran


def test_an_unknown_engine_is_told_before_anything_is_planned(calls, native):
    with pytest.raises(ConfigError, match=r"^No engine named 'backtrade'\. Did you mean 'backtrader'\?$"):
        run("idea", engine="backtrade")
    assert [step for step, *_ in calls] == ["market"]


@pytest.mark.parametrize(
    "lines",
    [
        "from backtest import run; from backtest import run as again; assert callable(run) and callable(again)",
        "import backtest.runner; from backtest import run; assert callable(run)",
        "from backtest.runner import configure; import backtest; assert callable(backtest.run)",
    ],
)
def test_run_is_a_function_whatever_was_imported_before(lines):
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
