"""The rules that every strategy keeps: each broken once, by a strategy made for it, and all kept by those that are shipped."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from command import call, document, write_market
from markets_made import closes

from backtest import Plan, load_market
from backtest.checks import check_conformance
from backtest.errors import ConfigError, StrategyError
from backtest.places import shipped
from backtest.plugins import strategy_names
from backtest.testing import assert_conforms

FALL = [100.0, 101.0, 99.0, 98.0, 97.0, 99.0, 96.0, 95.0, 94.0, 95.0]

KEPT = '''"""A strategy that keeps every rule."""

from dataclasses import dataclass

import numpy as np

from backtest import Market, Plan


@dataclass(frozen=True)
class Made:
    symbol: str = "BTCUSDT"  # what to trade
    size: float = 1.0  # exposure, multiples of equity

    def plan(self, market: Market) -> Plan:
        close = market[self.symbol].close
        falls = np.zeros(close.size, bool)
        falls[1:] = close[1:] < close[:-1]
        return Plan.short(self.symbol, at=falls, exposure=self.size, stop=close * 1.1, target=close * 0.9)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_market(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(here, source, market=None):
    (here / "made.py").write_text(source)
    found = check_conformance("made.py", market or closes(FALL))
    return {f.rule: f.told for f in found.findings if not f.passes}


def altered(*changes):
    source = KEPT
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source


RULES = (
    "parameters documented", "deterministic", "runs on flat prices", "frozen", "comes back from pickle",
    "comes back from its repr", "rows valid", "runs on no bar", "runs on one bar",
)  # fmt: skip


def test_a_strategy_that_keeps_every_rule(here):
    (here / "made.py").write_text(KEPT)
    found = check_conformance("made.py", closes(FALL))
    assert [f.rule for f in found.findings] == list(RULES)
    assert found.passes
    assert found.sentence() == "made keeps every rule."
    assert assert_conforms("made.py", closes(FALL)) == found


STOP = "stop=close * 1.1, target=close * 0.9"
BROKEN = {
    "no meaning": (
        altered(("  # what to trade", ""), ("  # exposure, multiples of equity", "")),
        "parameters documented",
        "`symbol`, `size` have no meaning; write it as the comment at the end of the line",
    ),
    "no docstring": (
        altered(('"""A strategy that keeps every rule."""', "")),
        "parameters documented",
        "the file has no docstring; say the idea, when it should fail, and its source",
    ),
    "a counter": (
        altered(
            ("@dataclass(frozen=True)", "CALLS = []\n\n\n@dataclass(frozen=True)"),
            ("        return", "        CALLS.append(1)\n        return"),
            ("exposure=self.size", "exposure=len(CALLS)"),
        ),
        "deterministic",
        # Asked first for a look, then for the comparison: 2; after another market 4.
        "asked twice, it says something else at bar 2 of BTCUSDT, plan: exposure -2.0 became -4.0",
    ),
    "drawn at random": (
        altered(("exposure=self.size", "exposure=np.random.default_rng().random(close.size) + 1")),
        "deterministic",
        None,
    ),
    "a list": (
        altered(('size: float = 1.0  # exp', 'size: object = field(default_factory=lambda: [1.0])  # exp'),
                ("exposure=self.size", "exposure=1.0"), ("import dataclass", "import dataclass, field")),
        "frozen",
        "it can't be hashed, unhashable type: 'list'; take tuples for lists",
    ),
    "what can't be pickled": (
        altered(("size: float = 1.0  # exp", "size: object = lambda: 1.0  # exp"), ("exposure=self.size", "exposure=1.0")),
        "comes back from pickle",
        None,
    ),
    "a repr of its own": (
        altered(("    def plan", "    def __repr__(self) -> str:\n        return 'Made!'\n\n    def plan")),
        "comes back from its repr",
        None,
    ),
    "a repr without a field": (
        altered(("    def plan", "    def __repr__(self) -> str:\n        return 'Made(size=2.0)'\n\n    def plan")),
        "comes back from its repr",
        "what its repr says is not equal to it: Made(size=2.0)",
    ),
    "a stop on the wrong side": (
        altered((STOP, "stop=close * 0.99")),
        "rows valid",
        "`stop` 98.01 of a short must lie above the close 99 that it was decided at "
        "(BTCUSDT, bar 2, 2026-02-03T02:00Z; 6 such rows)",
    ),
    "a target on the wrong side": (
        altered((STOP, "stop=close * 1.2, target=close * 1.1")),
        "rows valid",
        "`target` 108.9 of a short must lie below the close 99 that it was decided at "
        "(BTCUSDT, bar 2, 2026-02-03T02:00Z; 6 such rows)",
    ),
    "no bar": (
        altered(("        falls = ", "        close[0]\n        falls = ")),
        "runs on no bar",
        None,
    ),
    "one bar": (
        altered(("        falls = ", "        len(close) and close[1]\n        falls = ")),
        "runs on one bar",
        "it fails there: StrategyError: made failed while it planned: IndexError: index 1 is out of bounds for axis 0 with "
        "size 1 (made.py, line 17)",
    ),
    "flat prices": (
        altered(("        falls = ", "        assert len(close) < 2 or close.std() > 0, 'flat'\n        falls = ")),
        "runs on flat prices",
        "it fails there: StrategyError: made failed while it planned: AssertionError: flat (made.py, line 17)",
    ),
}  # fmt: skip


# What no constant can say is in no repr either.
ALSO = {"what can't be pickled": ("comes back from its repr",)}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_is_broken_is_told(here, name):
    source, rule, told = BROKEN[name]
    found = findings(here, source)
    assert rule in found
    assert set(found) == {rule, *ALSO.get(name, ())}
    assert told is None or found[rule] == told
    with pytest.raises(AssertionError, match=f"made breaks rules; .*{rule}"):
        assert_conforms("made.py", closes(FALL))


def test_a_class_that_can_be_changed_is_told():
    @dataclasses.dataclass
    class Soft:
        symbol: str = "BTCUSDT"

        def plan(self, market):
            return Plan.empty()

    found = {f.rule: f.told for f in check_conformance(Soft(), closes(FALL)).findings if not f.passes}
    assert found["frozen"] == "`symbol` can be changed; write @dataclass(frozen=True) above the class"


def test_an_entry_without_a_price_is_told():
    @dataclasses.dataclass(frozen=True)
    class Blind:
        def plan(self, market):
            return Plan.long("BTCUSDT", at=np.arange(len(market)))

    market = closes(FALL)
    gone = {name: np.where(np.arange(10)[:, None] == 4, np.nan, getattr(market, name)) for name in PRICES}
    found = {f.rule: f.told for f in check_conformance(Blind(), replace(market, **gone)).findings}
    assert found["rows valid"] == "it enters where there is no price (BTCUSDT, bar 4, 2026-02-03T04:00Z; 1 such rows)"


PRICES = ("open", "high", "low", "close")


@pytest.mark.parametrize("name", [n for n in strategy_names() if (shipped("strategies") / f"{n}.py").is_file()])
def test_a_shipped_strategy_keeps_every_rule(name):
    market = load_market("deleveraging-2026")
    assert_conforms(name, replace(market.head(1200), trade_from=None) if name in NATIVE else market)


NATIVE = ("ma_cross", "rsi_rebound", "support_pyramid")


def test_of_a_strategy_of_backtrader_other_rules_are_asked(here):
    (here / "mine.py").write_text(
        "import random\n\nimport backtrader as bt\n\n\nclass Mine(bt.Strategy):\n    params = (('size', 0.1),)\n\n"
        "    def next(self):\n        self.buy(size=self.p.size * (1 + random.random()))\n"
    )
    found = check_conformance("mine.py", closes(FALL * 3))
    assert [f.rule for f in found.findings] == list(RULES[:3])
    told = {f.rule: f.told for f in found.findings if not f.passes}
    assert set(told) == {"parameters documented", "deterministic"}
    assert told["deterministic"].startswith("asked twice, it says something else at bar 0 of BTCUSDT, orders: size ")


def test_what_cannot_run_is_an_error_of_a_run():
    with pytest.raises(StrategyError, match="holds ETHUSDT"):
        check_conformance("buy_and_hold", closes(FALL, symbol="ETHUSDT"))
    with pytest.raises(ConfigError, match=r"^A check needs a strategy .* or a function of a market, got 17"):
        check_conformance(17, closes(FALL))


def test_the_command_lists_the_rules(here):
    (here / "made.py").write_text(KEPT)
    done = call("check", "made.py", "--conformance", "--market", "./market.toml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "made · conformance"
    assert [line.split("  kept    ")[1] for line in done.stdout.splitlines()[1:]] == list(RULES)
    (here / "made.py").write_text(BROKEN["a stop on the wrong side"][0])
    done = call("check", "made.py", "--conformance", "--market", "./market.toml")
    assert done.exit_code == 1
    assert "  broken  rows valid\n" in done.stdout


def test_with_json_it_is_one_document(here):
    (here / "made.py").write_text(KEPT)
    found = document(call("check", "made.py", "--conformance", "--market", "./market.toml", "--json"))
    assert (found["check"], found["passes"], found["strategy"], found["market"]) == (
        "conformance",
        True,
        "made",
        "market",
    )
    assert found["findings"][0] == {"rule": "parameters documented", "passes": True, "told": ""}
