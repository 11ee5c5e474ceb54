"""Detectors and signals, checked as strategies are: all that are shipped pass, planted cheaters of every kind don't."""

import inspect
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from bars_made import random_bars
from command import call, document, write_market
from markets_made import closes
from signal_markets import drawn

from backtest import levels, load_market, signals
from backtest.checks import CUT, OTHER_FUTURE, check_conformance, check_foresight, check_parts, shipped_parts
from backtest.checks.every import check_strategy
from backtest.checks.parts import Part, part_named, parts_in
from backtest.errors import ConfigError, MarketError, StrategyError
from backtest.levels.catalogue import DETECTORS
from backtest.plugins import find_strategy
from backtest.plugins.importing import import_file
from backtest.signals import SIGNALS
from backtest.testing import assert_conforms

PARTS = Path(__file__).parent / "cheaters" / "parts" / "cheating_parts.py"
CHEATING = {part.name: part for part in parts_in(import_file(find_strategy(str(PARTS))))}
HONEST = ("past_mean", "spread", "Confirmed", "swings")
SHIPPED = {part.name: part for part in shipped_parts()}


@pytest.fixture(scope="module")
def market():
    """Two months of the embedded market, all of it traded."""
    return replace(load_market("deleveraging-2026").head(1500), trade_from=None)


# --- all that are shipped ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_does_not_look_ahead_and_keeps_the_rules(name, market):
    on = market.head(1000) if SHIPPED[name].kind == "detector" else drawn(11, n=500)  # drawn feeds, every one there is
    found = check_parts([SHIPPED[name]], on, cuts=20)
    assert found.left_out == {}
    (one,) = found.found
    assert one.passes, one.sentence()
    assert [looked.market for looked in one.foresight.looked] == [on.name, "random walk 0"]
    assert all(looked.rows > 0 and looked.cuts >= 10 for looked in one.foresight.looked)


def test_the_catalogues_name_every_kind():
    kinds = {thing for thing in vars(levels).values() if inspect.isclass(thing) and issubclass(thing, levels.Detector)}
    assert {type(detector) for detector in DETECTORS.values()} == kinds - {levels.Detector, levels.Composed}
    asked = {
        name for name in signals.__all__
        if inspect.isfunction(getattr(signals, name))
        and list(inspect.signature(getattr(signals, name)).parameters)[:2] == ["market", "symbol"]
    }  # fmt: skip
    assert asked - {"downside_test", "holders_unrealised"} <= SIGNALS.keys()  # a table, and a table of holdings


def test_a_part_that_says_something_else_later_is_told(market):
    name = "shifted"
    (one,) = check_parts([CHEATING[name]], market, ("foresight",), cuts=8).found
    glimpse = one.foresight.glimpses[0]
    close = market["BNBUSDT"].close
    assert (glimpse.what, glimpse.bar, glimpse.cut) == ("shifted", glimpse.cut - 1, glimpse.cut)
    assert glimpse.with_future == close[glimpse.cut]
    assert np.isnan(glimpse.without)
    assert one.sentence().startswith("shifted looks ahead: shifted at bar ")
    assert one.conformance is None


# --- cheaters ----------------------------------------------------------------------------------------------------


def test_a_files_parts_are_those_that_can_be_asked():
    assert [(part.name, part.kind) for part in CHEATING.values()] == [
        *((name, "signal") for name in ("centred_window", "shifted", "whole_series", "future_feed")),
        ("filled_from_behind", "signal"),
        ("past_mean", "signal"),
        ("spread", "signal"),
        *((name, "detector") for name in ("FutureLevel", "Unconfirmed", "Superseded", "Confirmed", "swings")),
    ]


@pytest.mark.parametrize("name", CHEATING)
def test_a_cheating_part_is_caught_and_an_honest_one_is_not(name, market):
    (one,) = check_parts([CHEATING[name]], market, ("foresight",), cuts=16).found
    assert one.passes is (name in HONEST), one.sentence()
    assert one.foresight.rows > 0
    if name not in HONEST:
        assert {g.how for g in one.foresight.glimpses if g.market == market.name} == {CUT, OTHER_FUTURE}
        assert {g.market for g in one.foresight.glimpses} == {market.name, "random walk 0"}


@pytest.mark.parametrize("seed", range(3))
def test_cheating_parts_are_caught_on_other_markets_too(seed):
    bars = random_bars(seed, 700)
    walk = replace(closes([100.0] * 700), **{n: getattr(bars, n)[:, None] for n in ("open", "high", "low", "close")})
    for name in CHEATING.keys() - {*HONEST, "future_feed"}:
        assert not check_parts([CHEATING[name]], walk, ("foresight",), cuts=16, settings={"walks": 0}).passes, name


# --- what is asked -----------------------------------------------------------------------------------------------


def test_a_signal_is_asked_of_the_last_symbol_that_has_its_feeds(market):
    assert (
        Part("close", "signal", lambda m, symbol: m[symbol].close).on(market)(market)[5] == market["BNBUSDT"].close[5]
    )
    feeds = {k: f for k, f in market.feeds.items() if not k.startswith(("XRP", "BNB"))}
    asked = Part("oi", "signal", SIGNALS["open_interest"]).on(replace(market, feeds=feeds))
    np.testing.assert_array_equal(asked(market), SIGNALS["open_interest"](market, "SOLUSDT"))
    with pytest.raises(MarketError, match=r"needs the feed 'BTCUSDT.market_cap'"):
        SHIPPED["open_interest_to_market_cap"].on(market)


def test_what_can_not_run_is_left_out(market):
    broken = Part("broken", "signal", lambda m, symbol: m.close[10**9])
    scalar = Part("scalar", "signal", lambda m, symbol: 1.0)
    found = check_parts([broken, scalar, SHIPPED["taker_ratio"]], market)
    assert found.found == ()
    assert found.left_out["broken"].startswith("It failed: IndexError: index 1000000000 is out of bounds")
    assert found.left_out["scalar"].startswith(
        "A prefix test needs a Plan, levels, a table with `bar`, or one value a bar"
    )
    assert "needs the feed 'BTCUSDT.taker_ratio'" in found.left_out["taker_ratio"]


def test_a_slow_part_has_fewer_cuts(market):
    def slow(m):
        return [sum(range(2_000_000)), m.close][1]

    quick = check_foresight(lambda m: m.close, market, walks=0, seconds=20.0).looked[0].cuts
    assert quick > 20
    assert 2 <= check_foresight(slow, market, walks=0, seconds=1e-6).looked[0].cuts <= 3
    assert check_foresight(slow, market, walks=0, seconds=1e-6, cuts=12).looked[0].cuts > 3


@pytest.mark.parametrize(
    ("text", "kind"),
    [("funding_z", "signal"), ("round", "detector"), ("fractal(k=3) | prior('week')", "detector"), ("mine", None)],
)
def test_a_part_by_its_name(text, kind):
    part = part_named(text)
    assert (part and (part.name, part.kind)) == (kind and (text, kind))


# --- the rules of detectors and signals --------------------------------------------------------------------------


@dataclass
class Soft(levels.Detector):
    """Lows; k: bars."""

    k: int = 2
    n: int = 3  # bars as well
    width: float = 0.1

    def find(self, bars):
        return levels.fractal(self.k).find(bars)


def test_a_detector_that_can_be_changed_is_told(market):
    told = {f.rule: f.told for f in check_conformance(Soft(), market).findings if not f.passes}
    assert told == {
        "frozen": "`k` can be changed; write @dataclass(frozen=True) above the class",
        "parameters documented": "its docstring does not say what `width` is",
    }


def undocumented(market, days=3.0):
    return market.close


def drawn_by_lot(market):
    """Draw."""
    return np.random.default_rng().random(len(market))


def impatient(market):
    """The second close."""
    return market.close + market.close[1]


@pytest.mark.parametrize(
    ("signal", "rule", "told"),
    [
        (undocumented, "parameters documented", "it has no docstring; say what it is, its settings with their units, and"),
        (drawn_by_lot, "deterministic", "asked twice, it says something else at bar 0, drawn_by_lot: drawn_by_lot "),
        (impatient, "runs on one bar", "it fails there: IndexError: index 1 is out of bounds for axis 0 with size 1"),
    ],
)  # fmt: skip
def test_a_signal_that_breaks_a_rule_is_told(market, signal, rule, told):
    found = {f.rule: f.told for f in check_conformance(signal, market).findings if not f.passes}
    assert found[rule].startswith(told)
    with pytest.raises(AssertionError, match=rule):
        assert_conforms(signal, market)


def test_a_setting_of_a_detector_may_be_a_detector(market):
    assert assert_conforms(levels.cluster(width=1.0, pivots=levels.zigzag(theta=0.02)), market).passes
    assert assert_conforms(levels.avwap(levels.fractal()), market).passes
    rules = [f.rule for f in assert_conforms(levels.fixed([9e4]) | levels.fractal(), market).findings]
    assert rules == ["deterministic", "runs on flat prices", "runs on no bar", "runs on one bar"]


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_market(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments):
    return call("check", *arguments, "--market", "./market.toml")


def test_without_a_name_the_command_checks_every_detector_and_signal(here):
    found = document(command("--json", "--cuts", "4"))
    assert (found["check"], found["passes"], found["market"]) == ("parts", True, "market")
    asked = [one["name"] for one in found["parts"]]
    assert {*asked, *found["left_out"]} == SHIPPED.keys()
    assert {*DETECTORS, "funding_sum", "realised_volatility", "beta"} <= set(asked)
    assert "needs the feed 'BTCUSDT.open_interest'" in found["left_out"]["open_interest"]
    done = command("--cuts", "4")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = " ".join(done.stdout.split())
    assert lines.startswith("detectors and signals · market name kind rows cuts look-ahead rules")
    assert "taker_ratio was left out. The taker ratio needs the feed 'BTCUSDT.taker_ratio'" in lines
    assert lines.endswith(f"All {len(asked)} passed.")


def test_the_command_checks_a_file_of_detectors_and_signals(here):
    done = command(PARTS, "--foresight")
    assert (done.exit_code, done.stderr) == (1, "")
    lines = " ".join(done.stdout.split())
    assert "shifted looks ahead. market: the market ended after bar 0 (2026-01-01T01:00Z)" in lines
    assert "shifted at bar 0 · 2026-01-01T00:00Z · shifted with the future 99 without it nan" in lines
    assert "future_feed was left out. It failed: KeyError: 'vix'." in lines


def test_the_command_checks_what_a_strategys_file_holds_beside_it(here):
    source = Path(find_strategy("buy_and_hold").path).read_text()
    (here / "mine.py").write_text(f"{source}\n\ndef tomorrow(market):\n    return market.close[::-1]\n")
    found = check_strategy("./mine.py", ("foresight",), market="./market.toml")
    assert found.foresight.passes
    assert [(one.name, one.passes) for one in found.parts.found] == [("tomorrow", False)]
    assert [d["check"] for d in found.to_dict()["checks"]] == ["foresight", "parts"]
    done = command("mine.py", "--foresight")
    assert done.exit_code == 1
    assert done.stdout.endswith("A check failed.\n")
    assert check_strategy("./mine.py", ("engines",), market="./market.toml").parts is None


def test_the_command_checks_a_signal_or_levels_by_name(here):
    assert "It passed." in command("funding_sum").stdout
    done = command("fractal(k=1) | round", "--json")
    assert [one["name"] for one in document(done)["parts"]] == ["fractal(k=1) | round"]
    left_out = command("taker_ratio")
    assert left_out.exit_code == 0
    assert left_out.stdout.endswith("Nothing could be checked on this market.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fractl(k=1)"], "No kind of level named 'fractl'. Did you mean 'fractal'?"),
        (["fundng_z"], "No strategy, detector or signal named 'fundng_z'. Did you mean 'funding_z'?"),
        (["fractl"], "No strategy, detector or signal named 'fractl'. Did you mean 'fractal'?"),
        (["suport_break"], "No strategy, detector or signal named 'suport_break'. Did you mean 'support_break'?"),
        (["nothing_like_it_at_all"], "No strategy named 'nothing_like_it_at_all'. There are: "),
        (["./funding.py"], "There is no strategy file ./funding.py."),
        (["--set", "k=2"], "Parameters belong to a strategy, and none is checked; got `k`."),
        (["round", "--engines"], "The engines are compared on the plan of a strategy; name one."),
    ],
)
def test_a_mistake_is_told(here, arguments, sentence):
    done = command(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {sentence}")


def test_a_market_without_bars_has_nothing_to_check():
    with pytest.raises(MarketError, match="has no bars"):
        check_foresight(lambda m: m.close, closes([]))
    with pytest.raises(StrategyError):
        check_strategy("nothing_like_it")
    with pytest.raises(ConfigError, match=r"No check named 'foresigt'\. Did you mean 'foresight'\?"):
        check_strategy("", ("foresigt",))


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal(here, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, command(PARTS, "--cuts", "4").stdout.splitlines())) <= width
