"""Plans: what the constructors make of their arguments, and what an invalid plan says."""

import math
import re

import numpy as np
import pytest

from backtest.errors import PlanError
from backtest.model import Plan

NAN = math.nan


def rows(plan, *columns):
    """The plan as a list of tuples, None for NaN, so that literals compare."""
    frame = plan.to_frame()[list(columns)]
    return [tuple(None if value != value else value for value in row) for row in frame.itertuples(index=False)]


# Constructors


def test_long_and_short_give_the_sign():
    assert rows(Plan.long("BTCUSDT", at=[3, 5], exposure=2.0), "bar", "symbol", "kind", "exposure") == [
        (3, "BTCUSDT", "enter", 2.0),
        (5, "BTCUSDT", "enter", 2.0),
    ]
    assert rows(Plan.short("ETHUSDT", at=[4], exposure=0.5), "bar", "symbol", "kind", "exposure") == [
        (4, "ETHUSDT", "enter", -0.5)
    ]


def test_what_a_row_does_not_use_is_nan_and_lives_have_defaults():
    plan = Plan.long("BTCUSDT", at=7)
    prices = ("limit", "trigger", "stop", "stop_fraction", "close_stop", "target", "target_fraction", "trail")
    assert rows(plan, *prices) == [(None,) * 8]
    assert rows(plan, "exposure", "valid_bars", "max_bars") == [(1.0, 1, 0)]


def test_exit_amend_and_resize():
    plan = Plan.exit("BTCUSDT", at=[1]) + Plan.amend("BTCUSDT", at=[2], stop=90.0) + Plan.resize("BTCUSDT", [3], -0.5)
    assert rows(plan, "bar", "kind", "exposure", "stop") == [
        (1, "exit", None, None),
        (2, "amend", None, 90.0),
        (3, "resize", -0.5, None),
    ]


def test_an_empty_plan_has_no_rows():
    assert len(Plan.empty()) == 0
    assert len(Plan.long("BTCUSDT", at=[])) == 0
    assert len(Plan.long("BTCUSDT", at=np.zeros(5, bool))) == 0
    assert rows(Plan.empty() + Plan.exit("BTCUSDT", [2]), "bar", "symbol") == [(2, "BTCUSDT")]


# Masks and arguments


def test_a_mask_picks_its_bars_and_values_given_for_each_bar():
    mask = np.array([False, True, False, True])
    stops = np.array([1.0, 2.0, 3.0, 4.0])
    plan = Plan.long("BTCUSDT", at=mask, stop=stops, target=9.0)
    assert rows(plan, "bar", "stop", "target") == [(1, 2.0, 9.0), (3, 4.0, 9.0)]


def test_a_mask_also_takes_one_value_a_row():
    plan = Plan.long("BTCUSDT", at=[False, True, True], stop=[5.0, NAN], max_bars=[4, NAN])
    assert rows(plan, "bar", "stop", "max_bars") == [(1, 5.0, 4), (2, None, 0)]


def test_bars_take_one_value_a_row():
    plan = Plan.short("BTCUSDT", at=[2, 8], exposure=[1.0, 3.0], limit=[100.0, NAN], valid_bars=[6, NAN])
    assert rows(plan, "bar", "exposure", "limit", "valid_bars") == [(2, -1.0, 100.0, 6), (8, -3.0, None, 1)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Plan.long("B", [1, 2, 3], stop=[1.0, 2.0]), "`stop` has 2 values for 3 rows."),
        (
            lambda: Plan.long("B", [1], stopp=1.0),
            "`enter` takes no `stopp`; it takes exposure, valid_bars, max_bars, limit",
        ),
        (
            lambda: Plan.amend("B", [1], limit=1.0),
            "`amend` takes no `limit`; it takes stop, close_stop, target, trail.",
        ),
        (lambda: Plan.long("B", [1], valid_bars=1.5), "`valid_bars` must be whole bars, got 1.5."),
        (
            lambda: Plan.short("B", [1], exposure=-1.0),
            "`exposure` of a short must be above 0, the side gives the sign; got -1.0.",
        ),
    ],
)
def test_a_wrong_argument_is_a_sentence(make, says):
    with pytest.raises(PlanError, match=re.escape(says)):
        make()


# Order and sum


def test_rows_are_sorted_by_bar_and_keep_their_order_within_a_bar():
    plan = Plan.long("BTCUSDT", at=[9, 2, 5], exposure=[1.0, 2.0, 3.0])
    assert rows(plan, "bar", "exposure") == [(2, 2.0), (5, 3.0), (9, 1.0)]
    swap = Plan.exit("BTCUSDT", [4]) + Plan.long("BTCUSDT", [4]) + Plan.exit("BTCUSDT", [1])
    assert rows(swap, "bar", "kind") == [(1, "exit"), (4, "exit"), (4, "enter")]


def test_plans_of_different_symbols_add():
    plan = Plan.long("BTCUSDT", [5]) + (Plan.short("ETHUSDT", [2]) + Plan.long("BTCUSDT", [7]))
    assert plan.symbols == ("BTCUSDT", "ETHUSDT")
    assert rows(plan, "bar", "symbol", "exposure") == [(2, "ETHUSDT", -1.0), (5, "BTCUSDT", 1.0), (7, "BTCUSDT", 1.0)]


def test_columns_are_read_only():
    plan = Plan.long("BTCUSDT", [1], stop=1.0)
    with pytest.raises(ValueError, match="read-only"):
        plan.stop[0] = 2.0


# From a dense exposure


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([0, 0, 0], []),
        ([1, 1, 1], [(0, "enter", 1.0)]),
        ([0, 1, 0.5, 0.5, 0], [(1, "enter", 1.0), (2, "resize", 0.5), (4, "exit", None)]),
        ([1, -1, -2, 1], [(0, "enter", 1.0), (1, "enter", -1.0), (2, "resize", -2.0), (3, "enter", 1.0)]),
        ([NAN, 1, NAN, NAN, 0, NAN], [(1, "enter", 1.0), (4, "exit", None)]),
        ([NAN, NAN], []),
        ([], []),
    ],
)
def test_from_exposure_trades_only_what_changes(wanted, expected):
    assert rows(Plan.from_exposure("BTCUSDT", wanted), "bar", "kind", "exposure") == expected


# Rules


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Plan.exit("B", [-1]), "A row needs a bar from 0, a kind and a symbol, got -1, 1, 0 (B, bar -1)."),
        (
            lambda: Plan.long("B", [2], exposure=0),
            "`exposure` of `enter` must be a number other than 0, got 0.0 (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], exposure=NAN),
            "`exposure` of `enter` must be a number other than 0, got nan (B, bar 2).",
        ),
        (
            lambda: Plan.resize("B", [2], 0.0),
            "`exposure` of `resize` must be a number other than 0, got 0.0 (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], limit=90.0, trigger=110.0),
            "An entry has a `limit` or a `trigger`, not both: 90.0 and 110.0 (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], limit=0.0),
            "must be prices above 0 and `trail` a fraction below 1: 0.0, nan, nan (B, bar 2).",
        ),
        (lambda: Plan.long("B", [2], trigger=math.inf), "`limit` and `trigger` must be prices above 0"),
        (lambda: Plan.long("B", [2], trail=1.0), "`trail` a fraction below 1: nan, nan, 1.0 (B, bar 2)."),
        (lambda: Plan.amend("B", [2], trail=-0.1), "`trail` a fraction below 1: nan, nan, -0.1 (B, bar 2)."),
        (
            lambda: Plan.long("B", [2], stop_fraction=1.0),
            "`stop_fraction` and `target_fraction` must lie between 0 and 1, got 1.0 and nan (B, bar 2).",
        ),
        (lambda: Plan.short("B", [2], target_fraction=1.0), "must lie between 0 and 1, got nan and 1.0 (B, bar 2)."),
        (lambda: Plan.short("B", [2], stop_fraction=0.0), "must lie between 0 and 1, got 0.0 and nan (B, bar 2)."),
        (
            lambda: Plan.long("B", [2], stop=90.0, stop_fraction=0.1),
            "A stop or target is a price or a fraction of the entry, not both (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], target=120.0, target_fraction=0.1),
            "is a price or a fraction of the entry, not both",
        ),
        (
            lambda: Plan.long("B", [2], valid_bars=0),
            "`valid_bars` must be at least 1 and `max_bars` at least 0, got 0 and 0",
        ),
        (
            lambda: Plan.long("B", [2], max_bars=-1),
            "`valid_bars` must be at least 1 and `max_bars` at least 0, got 1 and -1",
        ),
        (
            lambda: Plan.long("B", [2], stop=110.0, target=90.0),
            "`stop` 110.0 must lie below `target` 90.0 for a long (B, bar 2).",
        ),
        (
            lambda: Plan.short("B", [2], stop=90.0, target=110.0),
            "`stop` 90.0 must lie above `target` 110.0 for a short (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], limit=100.0, stop=101.0),
            "`stop` 101.0 must lie below `limit` 100.0 for a long (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], limit=100.0, stop=100.0),
            "`stop` 100.0 must lie below `limit` 100.0 for a long (B, bar 2).",
        ),
        (
            lambda: Plan.short("B", [2], trigger=100.0, stop=99.0),
            "`stop` 99.0 must lie above `trigger` 100.0 for a short (B, bar 2).",
        ),
        (
            lambda: Plan.long("B", [2], limit=100.0, target=99.0),
            "`limit` 100.0 must lie below `target` 99.0 for a long (B, bar 2).",
        ),
        (
            lambda: Plan.short("B", [2], trigger=100.0, target=101.0),
            "`trigger` 100.0 must lie above `target` 101.0 for a short (B, bar 2).",
        ),
    ],
)
def test_an_invalid_row_is_a_sentence_with_its_numbers(make, says):
    with pytest.raises(PlanError, match=re.escape(says)):
        make()


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (lambda: Plan.long("B", [2]), "enter"),
        (lambda: Plan.exit("B", [2]), "exit"),
        (lambda: Plan.resize("B", [2], 1.0), "resize"),
    ],
)
def test_a_bar_takes_one_action_of_a_symbol(second, kind):
    with pytest.raises(PlanError, match=re.escape(f"this `{kind}` is one too many (B, bar 2).")):
        Plan.short("B", [2]) + second()


def test_exit_then_enter_is_allowed_and_nothing_after_it():
    swap = Plan.exit("B", [2]) + Plan.short("B", [2])
    assert rows(swap, "kind") == [("exit",), ("enter",)]
    with pytest.raises(PlanError, match="this `enter` is one too many"):
        swap + Plan.long("B", [2])
    with pytest.raises(PlanError, match="this `resize` is one too many"):
        Plan.exit("B", [2]) + Plan.resize("B", [2], 1.0)


def test_other_symbols_other_bars_and_amends_do_not_count():
    plan = Plan.long("B", [2]) + Plan.long("C", [2]) + Plan.long("B", [3])
    plan += Plan.amend("B", [2, 2], stop=[90.0, 91.0]) + Plan.amend("B", [2], target=120.0)
    assert rows(plan, "bar", "symbol", "kind") == [
        (2, "B", "enter"),
        (2, "C", "enter"),
        (2, "B", "amend"),
        (2, "B", "amend"),
        (2, "B", "amend"),
        (3, "B", "enter"),
    ]


def test_the_first_broken_row_is_the_one_reported():
    with pytest.raises(PlanError, match=re.escape("got 0.0 (B, bar 4).")):
        Plan.long("B", [3, 4, 5], exposure=[1.0, 0.0, 0.0])


def test_brackets_on_the_right_sides_pass():
    Plan.long("B", [1], limit=100.0, stop=90.0, target=120.0, close_stop=95.0, trail=0.05, valid_bars=5, max_bars=10)
    Plan.short("B", [1], trigger=100.0, stop=110.0, target_fraction=0.2)
    Plan.long("B", [1], target_fraction=2.0)  # a long may aim above twice its entry
    Plan.short("B", [1], stop_fraction=1.5)  # a short may risk more than its entry


def test_columns_of_one_length_are_required():
    plan = Plan.long("B", [1, 2])
    columns = {name: getattr(plan, name) for name in plan.__dataclass_fields__ if name != "symbols"}
    with pytest.raises(PlanError, match=re.escape("A plan has 2 bars but `stop` of shape (1,).")):
        Plan(("B",), **columns | {"stop": np.array([1.0])})
