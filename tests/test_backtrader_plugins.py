"""Strategies of backtrader as plug-ins: found, given their parameters, described, and run like any other."""

import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from command import call, document, process, tables, tree, write_market
from markets_made import closes

from backtest.errors import StrategyError
from backtest.plugins import BacktraderStrategy, Parameter, describe_strategy, find_strategy, load_strategy, make_plan

HEAD = "import backtrader as bt\n\n\n"
EVERY_KIND = (
    '"""Buy high. Sell low."""\n\n'
    + HEAD
    + """class Base(bt.Strategy):
    params = (("size", 1.5),)  # of the base, units


class _Hidden(bt.Strategy):
    pass


class Step(bt.Indicator):
    lines = ("step",)


class Every(Base):
    params = (
        ("period", 20),  # bars
        ("rate", 0.5),  # a fraction
        ("on", False),
        ("word", "close"),  # a word # with a sign
        ("free", None),  # number or text
        ("periods", (5, 20)),  # whole numbers
        ("levels", [75_000.0, 70_000.5]),  # prices
        (
            "names",
            ("A", "B"),
        ),  # names
        ("none", ()), ("code", bt.ind.SMA),  # of neither
    )
"""
)

# Buys one coin at the first bar and sells it four bars later.
IN_AND_OUT = '''"""Buy once, and sell again."""
import backtrader as bt


class InAndOut(bt.Strategy):
    params = dict(
        size=1.0,  # units
        bars=4,  # how long
    )

    def next(self):
        if len(self) == 1:
            self.buy(size=self.p.size)
        if len(self) == 1 + self.p.bars:
            self.close()
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "strategies").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
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


def every(**given):
    return load_strategy(write("every.py", EVERY_KIND) + ":Every", given)


def refusal(function, *arguments):
    with pytest.raises(StrategyError) as error:
        function(*arguments)
    return str(error.value)


# --- finding -----------------------------------------------------------------------------------------------------


def test_it_is_found_by_name_by_path_and_by_class():
    write("strategies/in_and_out.py", IN_AND_OUT)
    for asked in ("in_and_out", "strategies/in_and_out.py", "strategies/in_and_out.py:InAndOut", "InAndOut"):
        found = load_strategy(asked)
        assert isinstance(found, BacktraderStrategy)
        assert (found.cls.__name__, found.name, found.path) == (
            "InAndOut",
            "in_and_out",
            Path("strategies/in_and_out.py"),
        )
        assert found.parameters == {"size": 1.0, "bars": 4}


def test_a_plan_strategy_is_found_by_its_class_too():
    assert find_strategy("SupportBreak").path.name == "support_break.py"
    assert find_strategy("SupportBreak").class_name == "SupportBreak"


def test_a_files_name_wins_over_a_class():
    write("strategies/InAndOut.py", IN_AND_OUT.replace("InAndOut", "Other"))
    write("strategies/in_and_out.py", IN_AND_OUT)
    assert load_strategy("InAndOut").cls.__name__ == "Other"


def test_a_class_in_two_files_is_told_with_both_paths():
    write("strategies/a.py", IN_AND_OUT)
    write("strategies/b.py", IN_AND_OUT)
    assert refusal(load_strategy, "InAndOut") == (
        "A class InAndOut is in strategies/a.py and strategies/b.py; name one by its path, like strategies/a.py:InAndOut."
    )
    assert load_strategy("strategies/b.py:InAndOut").path == Path("strategies/b.py")
    assert load_strategy("a").path == Path("strategies/a.py")


def test_the_class_of_a_users_copy_hides_that_of_the_shipped_file():
    write("strategies/support_break.py", IN_AND_OUT.replace("InAndOut", "SupportBreak"))
    assert isinstance(load_strategy("SupportBreak"), BacktraderStrategy)


def test_files_that_are_no_python_do_not_hinder_the_search():
    write("strategies/a.py", "def (")
    Path("strategies/b.py").write_bytes(b"class InAndOut: pass\0")
    write("strategies/_c.py", IN_AND_OUT)
    write("strategies/d.py", IN_AND_OUT)
    assert find_strategy("InAndOut").path == Path("strategies/d.py")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("InAndOt", "No strategy named 'InAndOt'. Did you mean 'InAndOut'?"),
        ("in_and_ot", "No strategy named 'in_and_ot'. Did you mean 'in_and_out'?"),
        (
            "strategies/in_and_out.py:InAndOt",
            "strategies/in_and_out.py has no class 'InAndOt'. Did you mean 'InAndOut'?",
        ),
    ],
)
def test_a_typo_is_told_with_the_nearest(asked, sentence):
    write("strategies/in_and_out.py", IN_AND_OUT)
    assert refusal(load_strategy, asked) == sentence


def test_only_the_files_own_strategies_count():
    text = HEAD + "from backtrader import SignalStrategy, Strategy\n\n\nclass Step(bt.Indicator):\n    lines = ('a',)\n"
    assert refusal(load_strategy, write("none.py", text)) == (
        "none.py holds no strategy; a strategy is a frozen dataclass with a method `plan(self, market)`, "
        "or a `backtrader.Strategy`."
    )
    assert load_strategy(write("one.py", text + "\n\nclass Mine(SignalStrategy):\n    pass\n")).cls.__name__ == "Mine"


def test_two_in_a_file_are_named_by_class():
    path = write("every.py", EVERY_KIND)
    assert refusal(load_strategy, path) == "every.py holds 2 strategies, Base and Every; name one, like every.py:Base."
    assert load_strategy("every.py:_Hidden").parameters == {}


def test_a_plan_and_a_native_strategy_may_share_a_file():
    plan = "\n\n@dataclass(frozen=True)\nclass Flat:\n    def plan(self, market):\n        return Plan.empty()\n"
    head = "from dataclasses import dataclass\nfrom backtest import Plan\n"
    path = write("both.py", head + IN_AND_OUT.split('"""\n', 1)[1] + plan)
    assert refusal(load_strategy, path).startswith("both.py holds 2 strategies, InAndOut and Flat;")
    assert len(load_strategy(f"{path}:Flat").plan(None)) == 0


def test_what_goes_wrong_at_import_is_told_with_its_line():
    text = HEAD + "class Mine(bt.Strategy):\n    params = ('period', 20)\n"
    message = refusal(load_strategy, write("mine.py", text))
    assert message.startswith("mine could not be imported: ValueError: ")
    assert message.endswith("(mine.py, line 4).")
    message = refusal(load_strategy, write("mine.py", HEAD + "class Mine(bt.Stratgy):\n    pass\n"))
    assert message.startswith(
        "mine could not be imported: AttributeError: module 'backtrader' has no attribute 'Stratgy'"
    )


def test_only_backtraders_own_warnings_are_silent():
    load_strategy(write("in_and_out.py", IN_AND_OUT))
    folder = Path(sys.modules["backtrader"].__file__).parent
    for category in (DeprecationWarning, SyntaxWarning):
        warnings.warn_explicit("old", category, str(folder / "cerebro.py"), 1)
        warnings.warn_explicit("old", category, "x", 1, module="backtrader.feeds.yahoo")
        for other in ("backtrader/mine.py", str(folder.parent / "backtrader_addons.py")):
            with pytest.raises(category):
                warnings.warn_explicit("old", category, other, 1)
    with pytest.raises(UserWarning):
        warnings.warn_explicit("mind", UserWarning, str(folder / "cerebro.py"), 1)


# --- parameters --------------------------------------------------------------------------------------------------


def test_every_parameter_is_there_with_its_default_inherited_ones_first():
    import backtrader as bt

    assert list(every().parameters.items()) == [
        ("size", 1.5),
        ("period", 20),
        ("rate", 0.5),
        ("on", False),
        ("word", "close"),
        ("free", None),
        ("periods", (5, 20)),
        ("levels", [75_000.0, 70_000.5]),
        ("names", ("A", "B")),
        ("none", ()),
        ("code", bt.ind.SMA),
    ]


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("size", "2", 2.0),
        ("period", "50", 50),
        ("period", 50.0, 50),
        ("period", np.int64(7), 7),
        ("rate", "1", 1.0),
        ("rate", 1, 1.0),
        ("rate", "1e-3", 0.001),
        ("on", "true", True),
        ("on", "0", False),
        ("word", "7", "7"),
        ("free", "20", 20),
        ("free", "0.5", 0.5),
        ("free", "low", "low"),
        ("free", "none", None),
        ("free", 2.0, 2.0),
        ("free", 2, 2),
        ("periods", "8", (8,)),
        ("periods", "8, 21,55", (8, 21, 55)),
        ("periods", "8,21.5", (8, 21.5)),
        ("periods", [8, 21], (8, 21)),
        ("levels", "80000,75000", [80_000.0, 75_000.0]),
        ("levels", (80_000,), [80_000.0]),
        ("names", "BTCUSDT, ETHUSDT", ("BTCUSDT", "ETHUSDT")),
        ("none", "", ()),
        ("none", "5,2.5,x", (5, 2.5, "x")),
    ],
)
def test_a_parameter_is_read_as_its_default_wants(name, given, value):
    found = every(**{name: given}).parameters[name]
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, (tuple, list)):
        assert [type(v) for v in found] == [type(v) for v in value]


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("periode", "1", "every has no parameter 'periode'. Did you mean 'period'?"),
        ("period", "2.5", "`period` of every must be a whole number, got '2.5'."),
        ("period", "x", "`period` of every must be a whole number, got 'x'."),
        ("period", True, "`period` of every must be a whole number, got True."),
        ("rate", "x", "`rate` of every must be a number, got 'x'."),
        ("rate", "nan", "`rate` of every must be a number, got 'nan'."),
        ("on", "2", "`on` of every must be true or false, got '2'."),
        ("word", 3, "`word` of every must be text, got 3."),
        ("free", (1, 2), "`free` of every must be text or a number or none, got (1, 2)."),
        ("periods", "", "periods is empty; give numbers like --set periods=5,20"),
        ("periods", "5,x", "`periods` of every must be numbers separated by commas, got '5,x'."),
        ("levels", [], "levels is empty; give prices like --set levels=75000,70000.5"),
        ("levels", "5,", "`levels` of every must be numbers separated by commas, got '5,'."),
        ("names", " ", "names is empty; give names like --set names=A,B"),
        (
            "code",
            "EMA",
            "`code` of every is neither a number, text, true or false, nor a list of those, so that it can't be set from "
            "outside; change it in every.py.",
        ),
    ],
)
def test_a_parameter_of_another_type_is_refused(name, given, sentence):
    write("every.py", EVERY_KIND)
    assert refusal(load_strategy, "every.py:Every", {name: given}) == sentence


def test_a_default_that_a_run_changes_is_a_new_one_each_time():
    first, second = every(), every()
    first.parameters["levels"].append(1.0)
    assert second.parameters["levels"] == every().parameters["levels"] == [75_000.0, 70_000.5]


def test_it_compares_and_pickles():
    assert every() == every()
    assert hash(every()) == hash(every(period="5"))
    assert every() != every(period="5")
    assert pickle.loads(pickle.dumps(every(period="5"))) == every(period="5")


def test_the_settings_are_the_parameters_that_text_can_set():
    assert set(every().settings) == set(every().parameters) - {"code"}


def test_it_has_no_plan():
    assert refusal(make_plan, every(), closes([1.0, 2.0])) == (
        "every is a strategy of backtrader: it has no plan, it runs bar by bar."
    )


# --- describing --------------------------------------------------------------------------------------------------


def test_a_description_tells_title_parameters_and_meaning():
    info = describe_strategy(write("every.py", EVERY_KIND) + ":Every")
    assert (info.name, info.class_name, info.title) == ("every", "Every", "Buy high.")
    assert info.parameters == (
        Parameter("size", "float", 1.5, "of the base, units"),
        Parameter("period", "int", 20, "bars"),
        Parameter("rate", "float", 0.5, "a fraction"),
        Parameter("on", "bool", False, ""),
        Parameter("word", "str", "close", "a word # with a sign"),
        Parameter("free", "int | float | str | None", None, "number or text"),
        Parameter("periods", "tuple[int | float, ...]", (5, 20), "whole numbers"),
        Parameter("levels", "list[float]", [75_000.0, 70_000.5], "prices"),
        Parameter("names", "tuple[str, ...]", ("A", "B"), "names"),
        Parameter("none", "tuple[int | float | str, ...]", (), ""),
        Parameter("code", "code", "SMA", ""),
    )


@pytest.mark.parametrize(
    "params",
    [
        "params = dict(\n        period=20,  # bars\n        rate=0.5,  # a fraction\n    )",
        'params = {\n        "period": 20,  # bars\n        "rate": 0.5,  # a fraction\n    }',
        'params = [\n        ["period", 20],  # bars\n        ["rate", 0.5],  # a fraction\n    ]',
    ],
)
def test_params_may_be_written_in_any_way_that_backtrader_takes(params):
    info = describe_strategy(write("ways.py", f"{HEAD}class Ways(bt.Strategy):\n    '''Some way.'''\n    {params}\n"))
    assert info.title == "Some way."
    assert [(p.name, p.default, p.meaning) for p in info.parameters] == [
        ("period", 20, "bars"),
        ("rate", 0.5, "a fraction"),
    ]


def test_a_strategy_without_a_word_or_a_parameter_is_described():
    info = describe_strategy(write("bare.py", HEAD + "class Bare(bt.Strategy):\n    pass\n"))
    assert (info.title, info.doc, info.parameters) == ("", "", ())


def test_the_command_explains_and_lists_it():
    write("strategies/every.py", EVERY_KIND.replace("class Base", "class _Base").replace("(Base)", "(_Base)"))
    shown = call("strategies", "every").stdout
    assert "Buy high. Sell low." in shown
    assert "code        SMA" in shown
    facts = document(call("strategies", "every", "--json"))
    assert facts["parameters"][1] == {"name": "period", "type": "int", "default": 20, "meaning": "bars"}
    assert facts["parameters"][7]["default"] == [75_000.0, 70_000.5]
    assert "every\n  Buy high." in call("strategies").stdout


# --- running -----------------------------------------------------------------------------------------------------

# command.CLOSES: bought at the open of 01:00, 100, sold at the open of 05:00, 96.


def run(*arguments):
    return call("run", *arguments, "--market", "./market.toml")


@pytest.fixture
def native(here):
    write_market(here)
    write("strategies/in_and_out.py", IN_AND_OUT)
    return here


def test_it_runs_with_the_command_and_leaves_a_folder_like_any_other(native):
    done = document(run("in_and_out", "--set", "size=2", "--venue", "paper", "--json"))
    found = done["runs"][0]
    assert found["parameters"] == {"size": 2.0, "bars": 4}
    assert found["settings"]["engine"] == "backtrader"
    _, trades, equity, rejections = tables(found["folder"])
    (trade,) = trades.to_dict("records")
    assert (trade["side"], trade["quantity"], trade["reason"]) == ("long", 2.0, "exit")
    assert (trade["entry_price"], trade["exit_price"], trade["pnl"]) == (100.0, 96.0, -8.0)
    assert (len(equity), len(rejections)) == (12, 0)
    config = Path(found["folder"], "config.toml").read_text()
    assert 'engine = "backtrader"' in config
    assert "size = 2.0\nbars = 4\n" in config


def test_it_is_printed_listed_and_shown_like_any_other(native):
    printed = run("in_and_out")
    assert printed.exit_code == 0, printed.output
    assert "engine backtrader" in " ".join(printed.stdout.split())
    assert "in_and_out" in call("list").stdout
    assert call("show", "last").stdout == printed.stdout


def test_it_runs_beside_plans_each_on_its_engine(native):
    done = document(run("in_and_out", "buy_and_hold", "--json"))
    assert [r["settings"]["engine"] for r in done["runs"]] == ["backtrader", "fast"]
    printed = " ".join(run("in_and_out", "buy_and_hold").stdout.split())
    assert "engines backtrader, fast" in printed


def test_the_same_run_has_the_same_id_and_another_parameter_another(native):
    ids = [
        document(run(name, *options, "--json"))["runs"][0]["id"]
        for name, *options in [("in_and_out",), ("in_and_out", "--set", "bars=4"), ("in_and_out", "--set", "bars=5")]
    ]
    assert ids[0] == ids[1] != ids[2]


def test_it_runs_from_python_with_its_parameters(native):
    from backtest import run

    result = run("in_and_out", market="./market.toml", venue="paper", bars=2)
    assert result.config.parameters == (("size", 1.0), ("bars", 2))
    assert result.trades_table.exit_price.tolist() == [98.0]


def test_it_runs_by_its_class(native):
    found = document(run("InAndOut", "--json"))["runs"][0]
    assert Path(found["folder"]).name.startswith("InAndOut_market_")


def bad(body, init="pass"):
    return (
        HEAD
        + f"class Bad(bt.Strategy):\n    def __init__(self):\n        {init}\n\n    def next(self):\n        {body}\n"
    )


BAD_RUNS = {
    "engine": (
        IN_AND_OUT,
        ("--engine", "fast"),
        ("bad is a strategy of backtrader, which the engine 'fast' can't run",),
    ),
    "engine typo": (
        IN_AND_OUT,
        ("--engine", "backtrade"),
        ("No engine named 'backtrade'. Did you mean 'backtrader'?",),
    ),
    "a parameter typo": (IN_AND_OUT, ("--set", "siez=1"), ("bad has no parameter 'siez'. Did you mean 'size'?",)),
    "a parameter's type": (IN_AND_OUT, ("--set", "bars=1.5"), ("`bars` of bad must be a whole number, got '1.5'.",)),
    "raises in next": (bad("1 / 0"), (), ("bad", "ZeroDivisionError", "2026-01-01T00:00Z", "line 9")),
    "raises in __init__": (bad("pass", "1 / 0"), (), ("bad", "ZeroDivisionError", "line 6")),
    "raises in notify_order": (
        bad("self.buy(size=1)") + "\n    def notify_order(self, order):\n        raise ValueError('no')\n",
        (),
        ("bad", "ValueError: no", "2026-01-01T01:00Z", "line 12"),
    ),
    "a data that is not there": (bad("self.datas[1].close[0]"), (), ("bad", "IndexError", "line 9", "BTCUSDT")),
    "leaves": (bad("import sys; sys.exit(3)"), (), ("bad", "SystemExit: 3", "line 9")),
}


@pytest.mark.parametrize("what", BAD_RUNS)
def test_a_mistake_is_a_sentence_with_exit_code_2_and_no_result(native, what):
    text, options, phrases = BAD_RUNS[what]
    write("bad.py", text)
    done = run("./bad.py", *options)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert [phrase for phrase in phrases if phrase not in done.stderr] == [], done.stderr
    assert not Path("results").exists()


def test_one_that_fails_among_several_is_named_and_the_others_finish(native):
    write("strategies/bad.py", bad("1 / 0"))
    done = run("bad", "in_and_out", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [f["strategy"] for f in found["failed"]] == ["bad"]
    assert [r["strategy"] for r in found["runs"]] == ["in_and_out"]


def test_a_plan_is_replayed_through_backtrader_with_the_same_figures(native):
    fast, replay = (
        document(run("buy_and_hold", "--engine", engine, "--json"))["runs"][0] for engine in ("fast", "backtrader")
    )
    assert (fast["settings"]["engine"], replay["settings"]["engine"]) == ("fast", "backtrader")
    assert fast["id"] != replay["id"]
    undefined = {name for name, value in fast["metrics"].items() if value is None}
    assert undefined == {name for name, value in replay["metrics"].items() if value is None}
    figures = [{k: v for k, v in r["metrics"].items() if k not in undefined} for r in (fast, replay)]
    assert figures[1] == pytest.approx(figures[0], rel=1e-9)


def test_in_a_process_of_its_own_nothing_but_the_report_is_printed(native):
    done = process("run", "in_and_out", "--market", "./market.toml", "--json", cwd=native, PYTHONWARNINGS="default")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["failed"] == []


def test_a_run_leaves_no_bytecode_and_nothing_but_its_results(native):
    before = set(tree("."))
    run("in_and_out")
    assert {path.split("/")[0] for path in set(tree(".")) - before} == {"results"}
