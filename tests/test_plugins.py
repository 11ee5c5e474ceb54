import hashlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from markets_made import closes

from backtest.errors import ConfigError, PlanError, StrategyError
from backtest.places import shipped
from backtest.plugins import (
    Parameter,
    describe_strategy,
    find_strategy,
    load_strategy,
    make_plan,
    strategy_names,
)

HEAD = "from dataclasses import dataclass\nfrom typing import Literal, Optional\nfrom backtest import Market, Plan\n\n"
PLAN = "    def plan(self, market):\n        return Plan.empty()\n"
EVERY_TYPE = (
    HEAD
    + '''
@dataclass(frozen=True)
class Typed:
    """Try every type. Nothing else."""

    rate: float = 0.5  # a rate, fraction
    count: int = 3  # how many
    on: bool = False
    word: str = "x"  # a word # with a sign
    prices: tuple[float, ...] = (75_000.0, 70_000.5)  # prices
    symbols: tuple[
        str, ...
    ] = ("A", "B")  # names
    rule: Literal["close", "wick"] = "close"
    stop: float | None = None  # a stop, or none
    old: Optional[int] = 1
    none: tuple[float, ...] = ()
'''
    + PLAN
)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    (tmp_path / "strategies").mkdir()
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("levelbreak_strategy_"):
            del sys.modules[name]


def write(name, text):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def simple(cls="Mine", body=PLAN, fields=""):
    return f"{HEAD}@dataclass(frozen=True)\nclass {cls}:\n{fields}{body}"


def refusal(function, *arguments):
    with pytest.raises(StrategyError) as error:
        function(*arguments)
    return str(error.value)


# --- finding ---


def test_the_shipped_strategies_are_found_by_name():
    assert {"buy_and_hold", "donchian_break", "support_bounce", "support_break"} <= set(strategy_names())
    assert find_strategy("support_break").path == shipped("strategies") / "support_break.py"


def test_the_users_own_strategies_come_first():
    write("strategies/support_break.py", simple("Mine"))
    write("strategies/another.py", simple("Other"))
    write("strategies/_hidden.py", "")
    assert type(load_strategy("support_break")).__name__ == "Mine"
    assert "another" in strategy_names()
    assert "_hidden" not in strategy_names()
    assert strategy_names().count("support_break") == 1


def test_a_path_is_taken_as_it_is():
    write("mine/idea.py", simple())
    assert find_strategy("mine/idea.py").path == Path("mine/idea.py")
    assert type(load_strategy("mine/idea.py")).__name__ == "Mine"
    write("idea.py", simple("Here"))
    assert type(load_strategy("idea.py")).__name__ == "Here"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("suport_break", "No strategy named 'suport_break'. Did you mean 'support_break'?"),
        ("", "No strategy named ''. There are: break_retest, buy_and_hold, "),
        ("mine/idae.py", "There is no strategy file mine/idae.py. Did you mean 'idea.py'?"),
        ("mine/idea", "There is no strategy file mine/idea. Did you mean mine/idea.py?"),
        ("nowhere/x.py", "There is no strategy file nowhere/x.py."),
        ("mine", "No strategy named 'mine'."),
        ("./mine", "There is no strategy file ./mine."),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(asked, sentence):
    write("mine/idea.py", simple())
    assert refusal(find_strategy, asked).startswith(sentence)


# --- importing ---


def test_a_syntax_error_is_said_with_line_and_text():
    path = write("bad.py", "x = 1\ndef plan(:\n    pass\n")
    message = refusal(load_strategy, path)
    assert message == "bad.py, line 2 is not valid Python, invalid syntax: def plan(:"


def test_an_import_error_is_said_with_its_line():
    path = write("bad.py", "import os\nimport no_such_thing\n")
    assert (
        refusal(load_strategy, path)
        == "bad could not be imported: ModuleNotFoundError: No module named 'no_such_thing' (bad.py, line 2)."
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise ValueError('no luck.')", "ValueError: no luck (bad.py, line 3)."),
        ("1 / 0", "ZeroDivisionError: division by zero (bad.py, line 3)."),
        ("raise RuntimeError", "RuntimeError (bad.py, line 3)."),
        ("import sys; sys.exit(3)", "SystemExit: 3 (bad.py, line 3)."),
        ("import json; json.loads('{')", "JSONDecodeError: Expecting property name"),
    ],
)
def test_an_exception_at_import_is_said_with_its_line(line, said):
    path = write("bad.py", f"# one\n\n{line}\n")
    message = refusal(load_strategy, path)
    assert message.startswith(f"bad could not be imported: {said}")
    assert message.endswith("(bad.py, line 3).")


def test_a_failed_import_leaves_nothing_behind():
    before, paths = set(sys.modules), list(sys.path)
    refusal(load_strategy, write("bad.py", "1 / 0\n"))
    assert not [name for name in set(sys.modules) - before if name.startswith("levelbreak_strategy_")]
    assert sys.path == paths


def test_no_bytecode_is_written_and_no_stale_one_is_read(own_folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write("mine.py", simple("One"))
    assert type(load_strategy(path)).__name__ == "One"
    write("mine.py", simple("Two"))
    assert type(load_strategy(path)).__name__ == "Two"
    assert not list(own_folder.rglob("*.pyc"))


def test_one_text_is_one_class_so_that_strategies_compare_and_pickle():
    path = write("mine.py", simple(fields="    size: float = 1.0\n"))
    first, second = load_strategy(path), load_strategy(path, {"size": "1"})
    assert first == second
    assert pickle.loads(pickle.dumps(first)) == first
    assert load_strategy(path, {"size": 2}) != first


def test_a_file_without_a_strategy_says_what_is_needed():
    path = write("none.py", HEAD + "class _Hidden:\n" + PLAN)
    needed = "a strategy is a frozen dataclass with a method `plan(self, market)`, or a `backtrader.Strategy`."
    assert refusal(load_strategy, path) == f"none.py holds no strategy; {needed}"
    assert refusal(load_strategy, write("empty.py", "")) == f"empty.py holds no strategy; {needed}"


def test_a_strategy_that_was_only_imported_is_not_the_files_own():
    write("borrowed.py", "from strategies_elsewhere import Mine\n")
    sys.modules["strategies_elsewhere"] = module = type(sys)("strategies_elsewhere")
    module.Mine = type("Mine", (), {"plan": lambda self, market: None})
    try:
        assert refusal(load_strategy, "borrowed.py").startswith("borrowed.py holds no strategy")
    finally:
        del sys.modules["strategies_elsewhere"]


def test_two_strategies_in_a_file_are_named_by_class():
    path = write("two.py", simple("One") + "\n\n" + simple("Two").removeprefix(HEAD) + "\nAlias = One\n")
    assert refusal(load_strategy, path) == "two.py holds 2 strategies, One and Two; name one, like two.py:One."
    assert type(load_strategy("two.py:Two")).__name__ == "Two"
    assert refusal(load_strategy, "two.py:Too") == "two.py has no class 'Too'. Did you mean 'Two'?"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + "class A:\n" + PLAN, "A in x.py is not frozen; write @dataclass(frozen=True) above the class."),
        (
            simple("A").replace("(frozen=True)", ""),
            "A in x.py is not frozen; write @dataclass(frozen=True) above the class.",
        ),
    ],
)
def test_a_class_that_can_change_is_refused(text, sentence):
    assert refusal(load_strategy, write("x.py", text)) == sentence


def test_a_named_class_without_a_plan_is_refused():
    path = write("x.py", HEAD + "@dataclass(frozen=True)\nclass A:\n    x: int = 1\n")
    assert refusal(load_strategy, f"{path}:A").startswith("A in x.py has no method `plan`; a strategy is a frozen")


# --- parameters ---


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("rate", "0.25", 0.25),
        ("rate", "1e-3", 0.001),
        ("rate", 2, 2.0),
        ("rate", np.float64(0.5), 0.5),
        ("count", "-7", -7),
        ("count", 4.0, 4),
        ("count", np.int64(4), 4),
        ("on", "true", True),
        ("on", "No", False),
        ("on", True, True),
        ("word", "some text", "some text"),
        ("word", "", ""),
        ("prices", "75000,70000", (75_000.0, 70_000.0)),
        ("prices", " 75000 , 70000.5 ", (75_000.0, 70_000.5)),
        ("prices", "75000", (75_000.0,)),
        ("prices", [75_000, 70_000], (75_000.0, 70_000.0)),
        ("prices", np.array([1.5]), (1.5,)),
        ("symbols", "BTCUSDT,ETHUSDT", ("BTCUSDT", "ETHUSDT")),
        ("rule", "wick", "wick"),
        ("stop", "none", None),
        ("stop", None, None),
        ("stop", "2.5", 2.5),
        ("old", "None", None),
        ("old", "5", 5),
        ("none", "", ()),
        ("none", (), ()),
    ],
)
def test_parameters_are_read_as_annotated(name, given, value):
    strategy = load_strategy(write("typed.py", EVERY_TYPE), {name: given})
    assert getattr(strategy, name) == value
    assert type(getattr(strategy, name)) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("rate", "abc", "`rate` of typed must be a number, got 'abc'."),
        ("rate", "nan", "`rate` of typed must be a number, got 'nan'."),
        ("rate", "", "`rate` of typed must be a number, got ''."),
        ("rate", True, "`rate` of typed must be a number, got True."),
        ("rate", None, "`rate` of typed must be a number, got None."),
        ("rate", (1.0,), "`rate` of typed must be a number, got (1.0,)."),
        ("count", "1.5", "`count` of typed must be a whole number, got '1.5'."),
        ("count", 1.5, "`count` of typed must be a whole number, got 1.5."),
        ("on", "maybe", "`on` of typed must be true or false, got 'maybe'."),
        ("on", 1, "`on` of typed must be true or false, got 1."),
        ("word", 5, "`word` of typed must be text, got 5."),
        ("prices", "75000,x", "`prices` of typed must be numbers separated by commas, got '75000,x'."),
        ("prices", "75000,,1", "`prices` of typed must be numbers separated by commas, got '75000,,1'."),
        ("prices", 5.0, "`prices` of typed must be numbers separated by commas, got 5.0."),
        ("prices", "", "prices is empty; give prices like --set prices=75000,70000.5"),
        ("prices", (), "prices is empty; give prices like --set prices=75000,70000.5"),
        ("symbols", " ", "symbols is empty; give names like --set symbols=A,B"),
        ("symbols", "A,,B", "`symbols` of typed must be text separated by commas, got 'A,,B'."),
        ("rule", "clsoe", "`rule` of typed must be one of 'close', 'wick', got 'clsoe'. Did you mean 'close'?"),
        ("rule", "zzz", "`rule` of typed must be one of 'close', 'wick', got 'zzz'."),
        ("stop", "low", "`stop` of typed must be a number or none, got 'low'."),
        ("ratee", "1", "typed has no parameter 'ratee'. Did you mean 'rate'?"),
    ],
)
def test_parameters_of_another_type_are_refused(name, given, sentence):
    assert refusal(load_strategy, write("typed.py", EVERY_TYPE), {name: given}) == sentence


def test_the_sentences_of_the_shipped_strategies():
    assert refusal(load_strategy, "support_break", {"buffer": "abc"}) == (
        "`buffer` of support_break must be a number, got 'abc'."
    )
    assert refusal(load_strategy, "support_break", {"levels": ""}) == (
        "levels is empty; give prices like --set levels=75000,70000"
    )
    assert refusal(load_strategy, "support_break", {"bufer": "1"}) == (
        "support_break has no parameter 'bufer'. Did you mean 'buffer'?"
    )


def test_annotations_may_be_text():
    path = write("late.py", "from __future__ import annotations\n" + simple(fields="    size: float = 1.0\n"))
    assert load_strategy(path, {"size": "2"}).size == 2.0
    path = write("unknown.py", simple(fields="    size: 'Flaot' = 1.0\n"))
    assert "has an annotation that can't be read: NameError: name 'Flaot' is not defined" in refusal(
        load_strategy, path
    )


def test_a_type_that_no_text_can_be_is_refused():
    path = write("odd.py", simple(fields="    table: dict = None\n"))
    assert load_strategy(path).table is None
    assert refusal(load_strategy, path, {"table": "x"}) == (
        "`table` of odd must be a dict, which a parameter can't be set to, got 'x'."
    )


def test_a_parameter_without_a_default_has_to_be_given():
    path = write("bare.py", simple(fields="    size: float\n    word: str = 'required'\n"))
    assert refusal(load_strategy, path) == "`size` of bare has no default; give it with --set size=..."
    assert load_strategy(path, {"size": "3"}).size == 3.0


def test_what_a_strategy_says_of_its_parameters_is_told_with_the_line():
    check = "    def __post_init__(self):\n        if self.size < 0:\n            raise ValueError('size below 0')\n"
    path = write("checked.py", simple(fields="    size: float = 1.0\n" + check))
    line = Path(path).read_text().splitlines().index("            raise ValueError('size below 0')") + 1
    assert refusal(load_strategy, path, {"size": "-1"}) == (
        f"checked refused its parameters: ValueError: size below 0 (checked.py, line {line})."
    )
    ours = check.replace("ValueError('size below 0')", "ConfigError('Our own sentence.')")
    path = write(
        "ours.py", "from backtest.errors import ConfigError\n" + simple(fields="    size: float = 1.0\n" + ours)
    )
    with pytest.raises(ConfigError, match=r"^Our own sentence\.$"):
        load_strategy(path, {"size": -1})


# --- describing ---


def test_a_description_tells_title_parameters_and_meaning():
    path = write("typed.py", EVERY_TYPE)
    info = describe_strategy(path)
    assert (info.name, info.class_name, info.title) == ("typed", "Typed", "Try every type.")
    assert info.doc == "Try every type. Nothing else."
    assert info.source_sha256 == hashlib.sha256(EVERY_TYPE.encode()).hexdigest()
    assert info.parameters == (
        Parameter("rate", "float", 0.5, "a rate, fraction"),
        Parameter("count", "int", 3, "how many"),
        Parameter("on", "bool", False, ""),
        Parameter("word", "str", "x", "a word # with a sign"),
        Parameter("prices", "tuple[float, ...]", (75_000.0, 70_000.5), "prices"),
        Parameter("symbols", "tuple[str, ...]", ("A", "B"), "names"),
        Parameter("rule", "Literal['close', 'wick']", "close", ""),
        Parameter("stop", "float | None", None, "a stop, or none"),
        Parameter("old", "Optional[int]", 1, ""),
        Parameter("none", "tuple[float, ...]", (), ""),
    )


def test_the_title_is_the_first_sentence_of_the_file():
    path = write("titled.py", '"""Sell at 1.5 times\nthe range. And more."""\n' + simple(fields="    size: float\n"))
    info = describe_strategy(path)
    assert info.title == "Sell at 1.5 times the range."
    assert info.parameters == (Parameter("size", "float", None, "", required=True),)
    assert describe_strategy(write("untitled.py", simple())).title == ""


def test_inherited_fields_are_described_too():
    base = "@dataclass(frozen=True)\nclass _Base:\n    size: float = 1.0  # of the base\n\n\n"
    mine = "@dataclass(frozen=True)\nclass Mine(_Base):\n    more: int = 2  # of its own\n"
    info = describe_strategy(write("heir.py", HEAD + base + mine + PLAN))
    assert [(p.name, p.meaning) for p in info.parameters] == [("size", "of the base"), ("more", "of its own")]


@pytest.mark.parametrize("name", ["buy_and_hold", "donchian_break", "support_bounce", "support_break"])
def test_every_shipped_strategy_describes_itself(name):
    info = describe_strategy(name)
    assert info.title.endswith(".")
    assert "should fail" in info.doc.replace("\n", " ") or "fails" in info.doc
    assert "Source:" in info.doc
    assert all(p.meaning and not p.required for p in info.parameters)


# --- planning ---


def planned(body, market=None, name="mine"):
    text = simple(body=f"    symbol: str = 'BTCUSDT'\n    def plan(self, market):\n{body}")
    return make_plan(load_strategy(write(f"{name}.py", text)), market or closes([100.0, 101.0, 102.0]))


def test_a_plan_is_handed_back_as_it_is():
    plan = planned("        return Plan.long('BTCUSDT', at=[2])\n")
    assert plan.bar.tolist() == [2]
    assert len(planned("        return Plan.empty()\n")) == 0


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return 1 / 0", "mine failed while it planned: ZeroDivisionError: division by zero (mine.py, line 9)."),
        ("raise ValueError('bad luck')", "mine failed while it planned: ValueError: bad luck (mine.py, line 9)."),
        ("pass", "`plan` of mine must return a Plan, got NoneType (mine.py)."),
        ("return [1, 2]", "`plan` of mine must return a Plan, got list (mine.py)."),
        (
            "return Plan.long('BTCUSD', at=[1])",
            "mine plans for 'BTCUSD', which the market market does not hold. Did you mean 'BTCUSDT'?",
        ),
        ("return Plan.long('BTCUSDT', at=[3])", "mine plans at bar 3, but the last bar is 2."),
    ],
)
def test_a_plan_that_can_not_be_is_said_in_a_sentence(body, sentence):
    assert refusal(planned, f"        {body}\n") == sentence


def test_the_line_of_a_failure_deep_in_numpy_is_the_strategys_own():
    message = refusal(planned, "        import numpy as np\n        return np.concatenate([])\n")
    assert message.endswith("(mine.py, line 10).")


def test_errors_of_our_own_pass():
    with pytest.raises(PlanError, match="`exposure` of `enter` must be a number other than 0"):
        planned("        return Plan.long('BTCUSDT', at=[1], exposure=0)\n")


def test_a_symbol_that_the_market_does_not_hold_is_named_with_those_it_holds():
    market = closes([100.0, 101.0], symbol="ETHUSDT")
    assert refusal(make_plan, load_strategy("support_break"), market) == (
        "support_break trades 'BTCUSDT', but the market market holds ETHUSDT; choose with --set symbol=NAME."
    )


def test_a_strategy_that_came_from_no_file_of_ours_is_named_by_its_class():
    class Inline:
        def plan(self, market):
            return None

    assert refusal(make_plan, Inline(), closes([1.0])).startswith("`plan` of Inline must return a Plan, got NoneType")
