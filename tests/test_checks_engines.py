"""The two engines held beside each other on a strategy, from Python and from the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from command import call, document, write_market
from made_result import HOUR, START
from test_checks import place

from backtest import cli
from backtest.checks import Difference, compare_engines
from backtest.checks import engines as checks_engines
from backtest.engines import get_engine
from backtest.errors import ConfigError, FundingHoleError, StrategyError

# --- comparing a strategy ----------------------------------------------------------------------------------------

# buy_and_hold on command.CLOSES: bought at the open of 01:00, 100; cash 10,000.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_market(tmp_path)
    return tmp_path


def compared(**changes):
    return compare_engines("buy_and_hold", market="./market.toml", **changes)


def alter(monkeypatch, change):
    """Let the engine of backtrader hand back what `change` makes of its result."""

    def engine(name):
        execute = get_engine(name)
        return execute if name == "fast" else lambda *run: change(execute(*run))

    monkeypatch.setattr(checks_engines, "get_engine", engine)


def first_rich(result):
    return replace(result, equity_values=result.equity_values + np.where(np.arange(len(result)) >= 3, 1.0, 0.0))


def refuse(result):
    raise FundingHoleError("BTCUSDT has no funding.")


def test_both_engines_agree(here):
    found = compared()
    assert found.agrees
    assert found.first is None
    assert (found.bars, found.trades, found.rejections) == ((12, 12), (1, 1), (0, 0))
    assert found.ledger_rows[0] == found.ledger_rows[1] > 0
    assert found.equity_difference < 1e-9 * found.cash == 1e-5
    assert found.config.engine is None


def test_parameters_and_account_are_those_of_a_run(here):
    found = compared(account={"cash": 500.0, "leverage": 5.0, "margin_mode": "isolated"}, exposure=2.0)
    assert found.agrees
    assert found.cash == 500.0
    assert ("exposure", 2.0) in found.config.parameters


def test_a_difference_is_found(here, monkeypatch):
    alter(monkeypatch, first_rich)
    found = compared()
    assert not found.agrees
    assert found.equity_difference == pytest.approx(1.0)
    assert found.first == Difference(
        3, START + 3 * HOUR, "", "equity at the close", "equity", found.first.fast, found.first.fast + 1.0
    )


def test_an_engine_that_refuses_alone_is_a_difference(here, monkeypatch):
    alter(monkeypatch, refuse)
    found = compared()
    assert place(found.first)[2:] == (
        "the run as a whole",
        "outcome",
        "it ran",
        "refused: BTCUSDT has no funding.",
    )
    assert (found.bars, found.trades) == ((12, 0), (1, 0))


def test_what_both_refuse_is_their_error(here, monkeypatch):
    monkeypatch.setattr(checks_engines, "get_engine", lambda name: lambda *run: refuse(None))
    with pytest.raises(FundingHoleError, match=r"^BTCUSDT has no funding\.$"):
        compared()


def test_a_bug_of_an_engine_is_not_dressed_up_as_a_difference(here, monkeypatch):
    alter(monkeypatch, lambda result: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compared()


def test_a_strategy_of_backtrader_has_nothing_to_be_compared_with(here):
    (here / "mine.py").write_text("import backtrader as bt\n\n\nclass Mine(bt.Strategy):\n    pass\n")
    with pytest.raises(StrategyError) as error:
        compare_engines("mine.py", market="./market.toml")
    assert str(error.value) == (
        "mine is a strategy of backtrader: only the engine 'backtrader' can run it, so there is nothing to compare. "
        "The engines are compared on strategies with a `plan`."
    )


def test_a_mistake_is_that_of_a_run(here):
    with pytest.raises(ConfigError, match="The account has no setting named 'csh'"):
        compared(account={"csh": 1})


# --- the command -------------------------------------------------------------------------------------------------


def check(*arguments):
    return call("check", "buy_and_hold", "--market", "./market.toml", *arguments)


def test_the_command_says_that_they_agree(here):
    done = check("--engines")
    assert (done.exit_code, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert "The engines agree: the same trades, ledger, refused orders and equity." in said
    assert "bars 12 12 trades 1 1" in said
    assert "1e-05 is allowed, 1e-09 of the cash." in said
    assert "Nothing was traded" not in said
    assert check().stdout.endswith(f"\n{done.stdout}\nEvery check passed.\n")
    assert not (here / "results").exists()


def test_the_command_says_where_they_differ(here, monkeypatch):
    alter(monkeypatch, first_rich)
    done = check("--engines")
    assert (done.exit_code, done.stderr) == (1, "")
    assert "The engines differ.\n" in done.stdout
    tail = done.stdout[done.stdout.index("The first difference") :].splitlines()
    assert tail[1] == "  bar 3 · 2026-01-01T03:00Z · equity at the close"
    assert tail[2] == "  equity:"
    fast, other = (float(line.split()[1]) for line in tail[3:5])
    assert [line.split()[0] for line in tail[3:]] == ["fast", "backtrader"]
    assert other == pytest.approx(fast + 1.0)


def test_with_json_it_is_one_document(here, monkeypatch):
    found = document(check("--engines", "--json", "--cash", "500", "--margin", "isolated"))
    assert (found["check"], found["agrees"], found["first"]) == ("engines", True, None)
    assert (found["strategy"], found["venue"], found["market"]) == ("buy_and_hold", "binance-usdm", "market")
    assert (found["cash"], found["account"]) == (500.0, {"cash": 500.0, "margin_mode": "isolated"})
    assert (found["start"], found["end"]) == ("2026-01-01T00:00Z", "2026-01-01T12:00Z")
    assert found["parameters"]["symbol"] == "BTCUSDT"
    alter(monkeypatch, first_rich)
    done = check("--engines", "--json")
    assert done.exit_code == 1
    first = json.loads(done.stdout)["first"]
    assert (first["bar"], first["time"], first["rule"]) == (3, "2026-01-01T03:00Z", "equity at the close")


def test_a_refusal_of_one_engine_is_printed_too(here, monkeypatch):
    alter(monkeypatch, refuse)
    done = check()
    assert done.exit_code == 1
    assert "refused: BTCUSDT has no funding." in done.stdout


def test_a_plan_that_did_nothing_is_no_proof(here):
    done = call("check", "support_break", "--market", "./market.toml", "--set", "levels=50")
    assert done.exit_code == 0
    assert "Nothing was traded, so that says little" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("buy_and_hodl",), "No strategy, detector or signal named 'buy_and_hodl'. Did you mean 'buy_and_hold'?"),
        (("buy_and_hold", "--set", "exposre=2"), "Did you mean 'exposure'?"),
        (("buy_and_hold", "--set", "exposure"), "`--set` needs a name and a value"),
        (("buy_and_hold", "--venue", "binance"), "Did you mean 'binance-usdm'?"),
        (("buy_and_hold", "--market", "nowhere.toml"), "nowhere.toml"),
        (("buy_and_hold", "--cash", "-5"), "`cash` must be above 0, got -5.0"),
        (("buy_and_hold", "--leverage", "1000"), "`leverage` 1000 is more than binance-usdm allows"),
        (("mine.py",), "mine is a strategy of backtrader: only the engine 'backtrader' can run it"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_exit_code_2(here, arguments, sentence):
    (here / "mine.py").write_text("import backtrader as bt\n\n\nclass Mine(bt.Strategy):\n    pass\n")
    market = () if "--market" in arguments else ("--market", "./market.toml")
    done = call("check", "--engines", *arguments, *market)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("arguments", [("buy_and_hold", "--engine", "fast"), ("buy_and_hold", "support_break")])
def test_a_wrong_command_is_exit_code_2(here, arguments):
    assert call("check", *arguments).exit_code == 2


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal(here, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    alter(monkeypatch, first_rich)
    assert max(map(len, check().stdout.splitlines())) <= width


def test_the_command_is_in_the_help():
    assert "check" in call("--help").stdout
    assert cli.check.__doc__
