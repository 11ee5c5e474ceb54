import ast
import dataclasses
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from markets_made import START, candles, closes, walks

from backtest import Plan, run
from backtest.errors import ConfigError, PlanError
from backtest.places import shipped
from backtest.plugins import load_strategy, make_plan

# The plans that need nothing but prices; those that read feeds have tests of their own.
NAMES = ("break_retest", "buy_and_hold", "donchian_break", "false_break_reclaim", "support_bounce", "support_break")
NATIVE = {"ma_cross", "rsi_rebound", "support_pyramid"}
PLANS = sorted({path.stem for path in shipped("strategies").glob("*.py")} - NATIVE)
HOUR = 3_600_000_000_000

# Parameters that make each strategy act on walks around 100.
ON_WALKS = {
    "break_retest": {"levels": (103.0, 100.0, 98.0)},
    "buy_and_hold": {},
    "donchian_break": {"lookback": 5},
    "false_break_reclaim": {"levels": (103.0, 100.0, 98.0)},
    "support_bounce": {"levels": (103.0, 100.0, 98.0)},
    "support_break": {"levels": (103.0, 100.0, 98.0)},
}


def table(plan: Plan, *names: str) -> list[tuple[object, ...]]:
    """Return the rows of the named columns, None for NaN, rounded to 1e-9."""
    columns = [getattr(plan, name).tolist() for name in names]
    return [tuple(None if v != v else round(v, 9) for v in row) for row in zip(*columns, strict=True)]


def planned(name, market, **parameters):
    return make_plan(load_strategy(name, parameters), market)


# --- the rows ---


def test_buy_and_hold_buys_once_at_the_start():
    plan = planned("buy_and_hold", closes([100, 90, 80]), exposure=2)
    assert table(plan, "bar", "kind", "exposure", "stop", "target", "close_stop") == [(0, 0, 2.0, None, None, None)]


def test_buy_and_hold_waits_for_the_first_price():
    nothing = (np.nan,) * 4
    assert planned("buy_and_hold", candles([nothing, nothing, (9, 9, 9, 9)])).bar.tolist() == [2]


def test_buy_and_hold_acts_at_the_first_open_that_counts():
    # The row of bar 2 is read at the open of bar 3, the first that is scored.
    assert planned("buy_and_hold", closes([9] * 6, trade_from=START + 3 * HOUR)).bar.tolist() == [2]


REPORT = [95_000, 78_000, 74_800, 74_775, 74_774, 71_000, 75_225, 75_226, 69_789, 67_490]


def test_support_break_shorts_down_the_ladder():
    # 74,800 and 74,775 are not below 75,000 - 0.3%; 74,774 is. 69,789 is below 70,000 - 0.3% = 69,790, and deeper than
    # 75,000, which broke again in that bar.
    plan = planned("support_break", closes(REPORT))
    assert table(plan, "bar", "kind", "exposure", "close_stop", "target", "stop") == [
        (4, 0, -1.0, 75_225.0, 70_000.0, None),
        (8, 0, -1.0, 70_210.0, None, None),
    ]


def test_support_break_takes_levels_leverage_buffer_and_rule():
    plan = planned("support_break", closes(REPORT), levels="75000,70000,65000", leverage="2", buffer="0.01")
    assert table(plan, "bar", "exposure", "close_stop", "target") == [
        (5, -2.0, 75_750.0, 70_000.0),
        (9, -2.0, 70_700.0, 65_000.0),
    ]
    market = candles(
        [(76_000, 76_000, 75_500, 75_500), (75_500, 75_500, 74_000, 75_100), (75_100, 75_100, 75_000, 75_050)]
    )
    assert len(planned("support_break", market)) == 0
    assert table(planned("support_break", market, rule="wick"), "bar", "target") == [(1, 70_000.0)]


def test_support_bounce_buys_what_held():
    # Bars of a range of 400 that hold the close before them, so that the ATR is 400 throughout: the zone of 75,000 ends at
    # 75,060, a bounce closes above 75,400, and a quarter of the ATR, 100, is less than 0.3%, 225.
    before = [(76_500, 76_700, 76_300, 76_500)] * 14 + [
        (76_500, 76_500, 76_100, 76_150),
        (76_150, 76_150, 75_750, 75_800),
    ]
    held = [(75_800, 75_800, 75_400, 75_450), (75_450, 75_460, 75_060, 75_200), (75_200, 75_500, 75_100, 75_400),
            (75_400, 75_600, 75_200, 75_401), (75_401, 75_450, 75_050, 75_100)]  # fmt: skip
    columns = ("bar", "kind", "exposure", "close_stop", "target_fraction", "target")
    plan = planned("support_bounce", candles([*before, *held]))
    assert table(plan, *columns) == [(19, 0, 1.0, 74_775.0, 0.03, None)]
    assert len(planned("support_bounce", candles([*before, *held]), zone=0.1)) == 0
    assert table(planned("support_bounce", candles([*before, *held]), leave=0.9), "bar") == [(18,)]  # above 75,360
    assert table(planned("support_bounce", candles([*before, *held]), buffer_atr=1), "close_stop") == [(74_600.0,)]


def test_donchian_break_shorts_every_close_below_the_channel():
    # Lows 99 98 97 96 90 80 of bars without wicks; with lookback 2 the support of bar 4 is 96, that of bar 5 is 90.
    plan = planned("donchian_break", closes([99, 98, 97, 96, 90, 80]), lookback=2, buffer=0.02)
    columns = ("bar", "kind", "exposure", "close_stop", "stop_fraction", "target_fraction")
    assert table(plan, *columns) == [(4, 0, -1.0, 96.0, 0.03, 0.06), (5, 0, -1.0, 90.0, 0.03, 0.06)]


def test_donchian_break_takes_equality_for_no_break():
    assert len(planned("donchian_break", closes([100, 100, 100, 99]), lookback=2, buffer=0.01)) == 0
    assert len(planned("donchian_break", closes([100, 100, 100, 98.99]), lookback=2, buffer=0.01)) == 1


# --- what holds for all ---


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(market=walks(largest=60))
def test_the_plan_of_an_earlier_market_is_the_first_part_of_the_plan(name, market):
    strategy = load_strategy(name, ON_WALKS[name])
    columns = [f.name for f in dataclasses.fields(Plan)][1:]
    whole = table(make_plan(strategy, market), *columns)
    for t in range(len(market)):
        assert table(make_plan(strategy, market.head(t)), *columns) == [row for row in whole if row[0] < t]


@pytest.mark.parametrize("name", NAMES)
def test_small_and_flat_markets_give_a_valid_plan(name):
    expected = 1 if name == "buy_and_hold" else 0
    assert len(planned(name, closes([]))) == 0
    assert len(planned(name, closes([75_000.0]))) == expected
    assert len(planned(name, closes([75_000.0] * 200))) == expected
    assert len(planned(name, candles([(np.nan,) * 4] * 3))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_is_frozen_and_comes_back_from_pickle_and_repr(name):
    strategy = load_strategy(name)
    field = dataclasses.fields(strategy)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(strategy, field, "X")
    assert pickle.loads(pickle.dumps(strategy)) == strategy
    assert hash(strategy) == hash(dataclasses.replace(strategy))
    call = ast.parse(repr(strategy), mode="eval").body
    values = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert type(strategy)(**values) == strategy


@pytest.mark.parametrize("name", PLANS)
def test_a_strategy_imports_only_what_strategies_may(name):
    tree = ast.parse((shipped("strategies") / f"{name}.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules <= {
        "dataclasses",
        "typing",
        "backtest",
        "backtest.levels",
        "backtest.signals",
        "numpy",
        "pandas",
        "ta",
    }


@pytest.mark.parametrize(
    ("name", "parameters", "error", "sentence"),
    [
        ("support_break", {"levels": "75000,-1"}, ConfigError, "A level must be a price above 0, got -1.0."),
        ("support_break", {"levels": "75000,75000"}, ConfigError, "The level 75000.0 stands twice."),
        (
            "support_bounce",
            {"levels": "80000,7000,75000"},
            ConfigError,
            "`levels` must be in order, high to low or low to high; 75000.0 stands after 7000.0.",
        ),
        (
            "support_break",
            {"buffer": 3},
            ConfigError,
            "`buffer` must be a fraction from 0 to below 1, not percent, got 3.0.",
        ),
        (
            "support_bounce",
            {"zone": 0.6},
            ConfigError,
            "`zone` 0.6 must be at most `away` 0.5 and below `leave` 1.0.",
        ),
        (
            "donchian_break",
            {"lookback": 0},
            ConfigError,
            "The lookback of a Donchian channel must be a whole number of bars from 1, got 0.",
        ),
        (
            "buy_and_hold",
            {"exposure": -1},
            PlanError,
            "`exposure` of a long must be above 0, the side gives the sign; got -1.0.",
        ),
    ],
)
def test_parameters_that_make_no_sense_are_refused_with_the_value(name, parameters, error, sentence):
    with pytest.raises(error) as refused:
        planned(name, closes([76_000.0, 74_000.0]), **parameters)
    assert str(refused.value) == sentence


# --- the README ---


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    readme = (shipped("strategies") / "README.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)[0]
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "weekend_long.py").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # The market starts on Tuesday 2026-02-03: its 96th bar ends on Saturday 00:00, its 144th on Monday 00:00.
    plan = planned("weekend_long", closes([100.0] * 200), leverage="2")
    assert table(plan, "bar", "kind", "exposure") == [(95, 0, 2.0), (143, 1, None)]


def test_the_example_for_backtrader_runs(tmp_path, monkeypatch):
    readme = (shipped("strategies") / "README.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)[1]
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "dip_buyer.py").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = run("dip_buyer", fall=0.04)
    assert set(result.trades_table.to_frame().reason) <= {"stop", "target", "open"}
    assert len(result.trades_table) >= 3


def test_the_readme_lists_every_shipped_strategy():
    readme, _, _ = (shipped("strategies") / "README.md").read_text(encoding="utf-8").partition("## The format")
    files = {path.stem for path in shipped("strategies").glob("*.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", readme, flags=re.MULTILINE)) == files
