"""The comparison of engines: what counts as a difference, which comes first, and how the command tells it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from command import call, document, write_market
from made_result import HOUR, START, bars, kinds, make_result

from backtest import cli
from backtest.checks import Difference, compare_engines, first_difference, largest_differences
from backtest.checks import engines as checks_engines
from backtest.engines import get_engine
from backtest.errors import ConfigError, FundingHoleError, StrategyError
from backtest.model import Plan
from backtest.model.result import EXIT_REASONS, REJECTION_REASONS

MADE = make_result()


def altered(table, rows=None, **columns):
    """Return the made result with values of a table replaced: column -> {row: value}; rows: those that stay."""
    old = getattr(MADE, f"{table}_table")
    changed = {}
    for name, values in columns.items():
        column = getattr(old, name).copy()
        for row, value in values.items():
            column[row] = value
        changed[name] = column
    new = replace(old, **changed)
    if rows is not None:
        names = [name for name in vars(new) if name != "symbols"]
        new = replace(new, **{name: getattr(new, name)[rows] for name in names})
    return replace(MADE, **{f"{table}_table": new})


def equity(changes):
    values = MADE.equity_values.copy()
    for bar, change in changes.items():
        values[bar] += change
    return values


def place(found):
    return found.bar, found.symbol, found.rule, found.what, found.fast, found.backtrader


# --- what differs ------------------------------------------------------------------------------------------------


def test_a_result_agrees_with_itself():
    assert first_difference(MADE, make_result()) is None
    assert largest_differences(MADE, make_result()) == (0.0, 0.0)


ALTERED = {
    "a payment of funding": (
        altered("ledger", amount={2: 0.4}),
        (2, "BTCUSDT", "funding", "amount of the ledger row funding", 0.3, 0.4),
    ),
    "the price of a target": (
        altered("ledger", price={3: 91.0}, amount={3: 18.0}),
        (3, "BTCUSDT", "target", "price of the ledger row trade pnl", 90.0, 91.0),
    ),
    "a fee of leaving": (
        altered("ledger", amount={4: -0.1}),
        (3, "BTCUSDT", "target", "amount of the ledger row fee", -0.09, -0.1),
    ),
    "a fee of entering": (
        altered("ledger", amount={0: -0.2}),
        (1, "BTCUSDT", "entry", "amount of the ledger row fee", -0.1, -0.2),
    ),
    "the slippage of an entry": (
        altered("ledger", amount={1: 0.0}),
        (1, "BTCUSDT", "entry", "amount of the ledger row slippage", -0.04, 0.0),
    ),
    "a quantity": (
        altered("ledger", position={5: 4.0}, amount={5: -0.02}),
        (3, "ETHUSDT", "entry", "position of the ledger row fee", 5.0, 4.0),
    ),
    "a row that is missing": (
        altered("ledger", rows=[0, 1, 3, 4, 5]),
        (2, "BTCUSDT", "funding", "ledger row", "funding 0.3 of BTCUSDT, position -2", "none"),
    ),
    "the last row that is missing": (
        altered("ledger", rows=[0, 1, 2, 3, 4]),
        (3, "ETHUSDT", "entry", "ledger row", "fee -0.025 of ETHUSDT, position 5", "none"),
    ),
    "another event in a bar": (
        altered("ledger", kind={3: kinds("liquidation_loss")[0]}, amount={3: -50.0}),
        (
            3,
            "BTCUSDT",
            "target",
            "ledger row",
            "trade pnl 20 of BTCUSDT, position 0",
            "liquidation loss -50 of BTCUSDT, position 0",
        ),
    ),
    "an event in another bar": (
        altered("ledger", time={3: START + 4 * HOUR, 4: START + 4 * HOUR, 5: START + 4 * HOUR}),
        (3, "BTCUSDT", "target", "ledger row", "trade pnl 20 of BTCUSDT, position 0", "none"),
    ),
    "the price of an entry": (
        altered("trades", entry_price={0: 100.5}),
        (1, "BTCUSDT", "entry", "entry price of trade 1", 100.0, 100.5),
    ),
    "a side": (altered("trades", side={1: -1}), (3, "ETHUSDT", "entry", "side of trade 2", "long", "short")),
    "the time of an exit": (
        altered("trades", exit_time={0: START + 2 * HOUR}),
        (2, "BTCUSDT", "target", "exit time of trade 1", "2026-01-01T03:00:00Z", "2026-01-01T02:00:00Z"),
    ),
    "a reason": (
        altered("trades", reason={0: EXIT_REASONS.index("stop")}),
        (3, "BTCUSDT", "target", "reason of trade 1", "target", "stop"),
    ),
    "the last close of an open trade": (
        altered("trades", exit_price={1: 9.5}),
        (4, "ETHUSDT", "open", "exit price of trade 2", 9.0, 9.5),
    ),
    "a trade that is missing": (
        altered("trades", rows=[0]),
        (3, "ETHUSDT", "entry", "trade", "trade 2, 5 at 10", "none"),
    ),
    "a reason of refusal": (
        altered("rejections", reason={0: REJECTION_REASONS.index("ruined")}),
        (4, "BTCUSDT", "rejection", "reason of row 2 of the plan", "end of data", "ruined"),
    ),
    "a refusal that is missing": (
        altered("rejections", rows=[]),
        (4, "BTCUSDT", "rejection", "reason of row 2 of the plan", "end of data", "none"),
    ),
    "an earlier refusal": (
        altered("rejections", time={0: START + HOUR}),
        (1, "BTCUSDT", "rejection", "reason of row 2 of the plan", "none", "end of data"),
    ),
    "a position": (
        replace(MADE, position_quantity=np.array([-2.5, 0.0, 5.0])),
        (1, "BTCUSDT", "position at the close", "quantity", -2.0, -2.5),
    ),
    "an equity": (
        replace(MADE, equity_values=equity({2: 0.5})),
        (2, "", "equity at the close", "equity", 1010.2, 1010.7),
    ),
    "a bar too few": (
        replace(MADE, equity_values=MADE.equity_values[:4], time=MADE.time[:4]),
        (4, "", "equity at the close", "bars", 5.0, 4.0),
    ),
    "a wallet": (replace(MADE, final_wallet=1020.0), (4, "", "wallet at the end", "wallet", 1020.085, 1020.0)),
    "a count": (
        replace(MADE, assumptions={"mark_is_last": 4, "simulated_data": 1}),
        (4, "", "assumptions", "mark is last", 3.0, 4.0),
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_every_part_of_a_result_is_compared(what):
    other, expected = ALTERED[what]
    assert place(first_difference(MADE, other)) == expected


@pytest.mark.parametrize("what", ALTERED)
def test_the_other_way_round_the_place_is_the_same_and_the_values_change_sides(what):
    other, (bar, *_) = ALTERED[what]
    there, back = first_difference(MADE, other), first_difference(other, MADE)
    assert (back.fast, back.backtrader) == (there.backtrader, there.fast)
    assert back.symbol == there.symbol
    assert back.bar == min(bar, len(other) - 1)


def test_the_bar_is_counted_in_the_market_and_has_its_open_time():
    found = first_difference(MADE, altered("ledger", amount={2: 0.4}), start=24)
    assert (found.bar, found.time) == (26, START + 2 * HOUR)


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        (Plan.short("BTCUSDT", at=[0], limit=100.0), "limit entry"),
        (Plan.short("BTCUSDT", at=[0], trigger=100.0), "trigger entry"),
        (Plan.short("BTCUSDT", at=[0]), "market entry"),
        (Plan.short("BTCUSDT", at=[0]) + Plan.long("ETHUSDT", at=[0], limit=9.0), "market entry"),
        (Plan.long("BTCUSDT", at=[0], limit=90.0), "entry"),
        (Plan.short("BTCUSDT", at=[1], limit=100.0), "entry"),
        (Plan.empty(), "entry"),
    ],
)
def test_the_plan_tells_how_a_trade_was_entered(plan, rule):
    assert first_difference(MADE, altered("ledger", amount={0: -0.2}), plan).rule == rule
    assert first_difference(MADE, altered("trades", entry_price={0: 99.0}), plan).rule == rule


def test_a_limit_that_rested_is_a_limit_entry_and_one_that_had_lapsed_is_not():
    other = altered("trades", entry_price={1: 11.0})  # entered in bar 3
    assert first_difference(MADE, other, Plan.long("ETHUSDT", at=[0], limit=10.0, valid_bars=3)).rule == "limit entry"
    assert first_difference(MADE, other, Plan.long("ETHUSDT", at=[0], limit=10.0, valid_bars=2)).rule == "entry"


@pytest.mark.parametrize(
    ("row", "changes", "rule"),
    [
        (3, {"kind": "liquidation_loss"}, "liquidation"),
        (4, {"kind": "liquidation_fee"}, "liquidation"),
        (4, {"kind": "insurance"}, "insurance"),
        (3, {"position": -1.0}, "resize"),
        (4, {"position": -1.0}, "resize"),
    ],
)
def test_the_rule_is_that_of_the_ledger_row(row, changes, rule):
    columns = {"kind": {row: kinds(changes["kind"])[0]}} if "kind" in changes else {"position": {row: -1.0}}
    one = altered("ledger", **columns)
    book = one.ledger_table
    amount = book.amount.copy()
    amount[row] += 1.0
    assert first_difference(one, replace(one, ledger_table=replace(book, amount=amount))).rule == rule


def test_a_stamp_in_a_gap_of_bars_belongs_to_the_bar_after_it():
    time = bars(0, 1, 4, 5, 6)
    ledger = replace(MADE.ledger_table, time=np.array([*bars(1, 1), START + 2 * HOUR, *bars(4, 4, 4)]))
    gapped = replace(
        MADE, time=time, ledger_table=ledger, trades_table=replace(MADE.trades_table, entry_time=bars(1, 4))
    )
    other = replace(
        gapped, ledger_table=replace(ledger, amount=MADE.ledger_table.amount + np.array([0, 0, 1.0, 0, 0, 0]))
    )
    found = first_difference(gapped, other)
    assert (found.bar, found.time, found.rule) == (2, START + 4 * HOUR, "funding")


# --- which comes first -------------------------------------------------------------------------------------------


def test_the_earlier_bar_comes_first_whatever_the_part():
    both = replace(altered("ledger", amount={3: 21.0}), equity_values=equity({2: 1.0, 3: 1.0, 4: 1.0}))
    assert place(first_difference(MADE, both))[:3] == (2, "", "equity at the close")


def test_within_a_bar_the_cause_comes_before_its_effect():
    late = replace(altered("ledger", amount={3: 21.0}), equity_values=equity({3: 1.0, 4: 1.0}), final_wallet=1021.085)
    assert first_difference(MADE, late).rule == "target"
    refused = altered("rejections", time={0: START + 3 * HOUR}).rejections_table
    assert first_difference(MADE, replace(late, rejections_table=refused)).rule == "rejection"


def test_trades_in_another_order_of_rows_are_the_same():
    assert first_difference(MADE, altered("trades", rows=[1, 0])) is None


# --- how much is allowed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "rule"), [(0.9e-6, None), (-0.9e-6, None), (3e-6, "equity at the close")])
def test_equity_may_differ_by_a_billionth_of_the_cash_and_of_itself(change, rule):
    found = first_difference(MADE, replace(MADE, equity_values=equity({1: change})))
    assert (found.rule if found else None) == rule


@pytest.mark.parametrize(("change", "rule"), [(0.9e-6, None), (2e-6, "funding")])
def test_an_amount_may_differ_by_a_billionth_of_the_cash(change, rule):
    found = first_difference(MADE, altered("ledger", amount={2: 0.3 + change}))
    assert (found.rule if found else None) == rule


@pytest.mark.parametrize(("price", "differs"), [(100.0 + 0.9e-7, False), (100.0 + 3e-7, True)])
def test_a_price_may_differ_by_a_billionth_of_itself(price, differs):
    assert (first_difference(MADE, altered("trades", entry_price={0: price})) is not None) == differs


def test_no_price_equals_no_price_and_nothing_else():
    nan = altered("ledger", price={2: np.nan})
    assert first_difference(nan, nan) is None
    assert first_difference(MADE, nan).what == "price of the ledger row funding"


def test_the_largest_differences_are_in_quote_units():
    other = replace(altered("ledger", amount={2: 0.4, 3: 19.0}), equity_values=equity({1: -2.0, 3: 1.0}))
    assert largest_differences(MADE, other) == pytest.approx((2.0, 1.0))


def test_the_ledgers_are_measured_as_far_as_they_go_together():
    other = altered("ledger", rows=[0, 1, 3, 4, 5], amount={0: -0.2})
    assert largest_differences(MADE, other) == pytest.approx((0.0, 0.1))


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
