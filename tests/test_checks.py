"""The comparison of engines: what counts as a difference, which comes first, and how much is allowed."""

from dataclasses import replace

import numpy as np
import pytest
from made_result import HOUR, START, bars, kinds, make_result

from backtest.checks import first_difference, largest_differences
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
