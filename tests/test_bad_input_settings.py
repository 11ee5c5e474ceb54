"""Bad input of strategies, parameters, accounts, venues and options: refused in one sentence."""

import pytest
from command import call, tree
from spoilt import STRATEGY, assert_refused, here, run, with_plan

__all__ = ["here"]


# --- strategies ------------------------------------------------------------------------------------------------------


PLANS = {
    "raises": ('raise RuntimeError("no idea")', ("idea failed while it planned", "RuntimeError: no idea", "idea.py, line 13")),
    "divides by zero": ("return 1 / 0", ("ZeroDivisionError", "idea.py, line 13")),
    "leaves": ("raise SystemExit(0)", ("SystemExit", "idea.py, line 13")),
    "returns nothing": ("return None", ("`plan` of idea must return a Plan, got NoneType",)),
    "beyond the data": ('return Plan.long("BTCUSDT", at=[12], exposure=1.0)', ("bar 12", "the last bar is 11")),
    "before the data": ('return Plan.long("BTCUSDT", at=[-1], exposure=1.0)', ("-1",)),
    "another symbol": ('return Plan.long("ETHUSDT", at=[0], exposure=1.0)', ("'ETHUSDT'", "does not hold")),
    "no size": ('return Plan.long("BTCUSDT", at=[0], exposure=0.0)', ("exposure",)),
    "a size that is no number": ('return Plan.long("BTCUSDT", at=[0], exposure=float("nan"))', ("exposure",)),
    "the stop above": ('return Plan.long("BTCUSDT", at=[0], exposure=1.0, limit=90.0, stop=95.0)', ("stop", "95")),
    "a target below": ('return Plan.long("BTCUSDT", at=[0], exposure=1.0, stop=90.0, target=80.0)', ("target", "80")),
    "two rows in a bar": ('return Plan.long("BTCUSDT", at=[0, 0], exposure=1.0)', ("BTCUSDT", "bar 0")),
    "a mask too long": (
        'import numpy as np; return Plan.long("BTCUSDT", at=np.ones(13, bool), exposure=1.0)', ("bar 12", "last bar is 11"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANS)
def test_a_plan_that_can_not_be(here, what):
    body, phrases = PLANS[what]
    (here / "idea.py").write_text(with_plan(body))
    assert_refused(run(strategy="./idea.py"), *phrases)


FILES = {
    "no Python": (STRATEGY.replace("def plan(self, market):", "def plan(self, market)"), ("idea.py, line 12", "not valid Python")),
    "no strategy": ("x = 1\n", ("idea.py holds no strategy", "a frozen dataclass with a method `plan(self, market)`")),
    "empty": ("", ("idea.py holds no strategy",)),
    "a missing import": ("import nowhere_to_be_found\n", ("idea could not be imported", "nowhere_to_be_found", "idea.py, line 1")),
    "not frozen": (STRATEGY.replace("(frozen=True)", ""), ("Once", "idea.py", "@dataclass(frozen=True)")),
    "two strategies": (
        STRATEGY + STRATEGY.split("\n\n\n")[1].replace("Once", "Twice"), ("2 strategies, Once and Twice", "idea.py:Once"),
    ),
    "not text": (b"\xff\xfe\x00", ("idea.py",)),
    "a null byte": (b"x = 1\x00\n", ("idea.py",)),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_strategy_file_that_is_wrong(here, what):
    source, phrases = FILES[what]
    (here / "idea.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    assert_refused(run(strategy="./idea.py"), *phrases)


PARAMETERS = [
    ("support_break", "buffer=wide", ("`buffer` of support_break must be a number, got 'wide'",)),
    ("support_break", "levels=75000,abc", ("`levels` of support_break must be numbers separated by commas",)),
    ("support_break", "levels=", ("levels is empty", "--set levels=75000,70000")),
    ("support_break", "levels=-5", ("-5",)),
    ("support_break", "levels=nan", ("levels",)),
    ("support_break", "rule=closed", ("`rule`", "'close', 'wick'", "Did you mean 'close'?")),
    ("support_break", "buffr=1", ("support_break has no parameter 'buffr'", "Did you mean 'buffer'?")),
    ("support_break", "buffer=3", ("buffer", "3")),
    ("support_break", "buffer=-0.1", ("buffer", "-0.1")),
    ("support_break", "symbol=SOLUSDT", ("'SOLUSDT'", "market", "BTCUSDT", "--set symbol=NAME")),
    ("support_break", "buffer", ("`--set` needs a name and a value", "'buffer'")),
    ("donchian_break", "lookback=1.5", ("`lookback` of donchian_break must be a whole number, got '1.5'",)),
    ("donchian_break", "lookback=0", ("The lookback of a Donchian channel", "from 1, got 0")),
    ("donchian_break", "lookback=-3", ("-3",)),
    ("buy_and_hold", "exposure=0", ("exposure",)),
    ("buy_and_hold", "exposure=1e999", ("exposure",)),
]


@pytest.mark.parametrize(("strategy", "text", "phrases"), PARAMETERS)
def test_a_parameter_that_will_not_do(here, strategy, text, phrases):
    assert_refused(run("--set", text, strategy=strategy), *phrases)


def test_a_strategy_there_is_not(here):
    assert_refused(run(strategy="suport_break"), "No strategy named 'suport_break'", "Did you mean 'support_break'?")
    assert_refused(run(strategy="./none.py"), "There is no strategy file ./none.py")
    assert_refused(run(strategy=""), "strategy")
    assert_refused(call("strategies", "suport_break"), "Did you mean 'support_break'?")
    assert_refused(call("show", "nothing"), "no runs", "results")


# --- account, venue, engine ------------------------------------------------------------------------------------------


OPTIONS = [
    (("--cash", "-100"), ("`cash` must be above 0, got -100.0",)),
    (("--cash", "0"), ("`cash` must be above 0",)),
    (("--cash", "nan"), ("`cash` must be above 0",)),
    (("--cash", "inf"), ("`cash` must be above 0",)),
    (("--leverage", "151"), ("`leverage` 151 is more than binance-usdm allows for BTCUSDT at any size: at most 150",)),
    (("--leverage", "0.5"), ("`leverage` must be at least 1, got 0.5",)),
    (("--leverage", "nan"), ("`leverage` must be at least 1",)),
    (("--venue", "binance"), ("No venue named 'binance'", "Did you mean 'binance-usdm'?")),
    (("--venue", "my.toml"), ("There is no venue file my.toml",)),
    (("--engine", "quick"), ("No engine named 'quick'", "fast")),
    (("--intrabar", "fine"), ("`intrabar` 'fine' needs finer bars", "use 'worst' or 'best'")),
    (("--venue", "paper", "--margin", "isolated"), ("Isolated margin needs a leverage setting",)),
]


@pytest.mark.parametrize(("options", "phrases"), OPTIONS)
def test_a_setting_that_will_not_do(here, options, phrases):
    assert_refused(run(*options), *phrases)


def test_the_leverage_that_the_tier_of_the_size_refuses_is_told_as_a_row_that_came_to_nothing(here):
    """100 million at 100x: the venue allows 100x to small positions only."""
    done = run("--leverage", "100", "--cash", "100000000")
    assert done.exit_code == 0
    assert "buy_and_hold: leverage above tier \N{MULTIPLICATION SIGN}1" in done.stdout


@pytest.mark.parametrize(
    "options", [("--cash", "much"), ("--margin", "both"), ("--intrabar", "mean"), ("--seed", "x"), ("--sett", "a=1")]
)
def test_an_option_that_is_none(here, options):
    done = run(*options)
    assert done.exit_code == 2
    assert options[0] in done.stderr
    assert "Traceback" not in done.stderr
    assert tree("results") == {"kept": None, "kept/summary.json": b"{}"}


def test_a_venue_file_that_is_wrong(here):
    (here / "my.toml").write_text("maker = 0.1\ntakr = 0.1\n")
    assert_refused(run("--venue", "my.toml"), "my.toml", "`takr`", "Did you mean 'taker'?")
    (here / "my.toml").write_text("maker = ")
    assert_refused(run("--venue", "my.toml"), "my.toml is not valid TOML")
