"""The compiled passes over a plan's rows: they find what the rules find, and lay out what the slow way lays out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import PlanError
from backtest.model import plan as plans
from backtest.model.plan import COLUMNS, Plan
from backtest.model.plan_rules import CHECKED, RULES
from backtest.model.plan_walk import fill_rows, fill_rows_python, is_suspect, is_suspect_python, lay_entries_python

NAN = math.nan
prices = st.sampled_from((NAN, NAN, NAN, -1.0, 0.0, 0.5, 90.0, 100.0, 110.0, math.inf))
shares = st.sampled_from((NAN, NAN, NAN, -0.1, 0.0, 0.05, 1.0, 2.0, math.inf))
rows = st.fixed_dictionaries(
    {
        "bar": st.integers(-1, 12),
        "symbol": st.sampled_from((0, 0, 0, 0, 1, -1)),
        "kind": st.sampled_from((0, 0, 0, 1, 2, 3, 4, -1)),
        "exposure": st.sampled_from((1.0, 1.0, -1.0, 0.0, NAN, math.inf)),
        "limit": prices,
        "trigger": prices,
        "valid_bars": st.sampled_from((1, 1, 1, 0)),
        "stop": prices,
        "stop_fraction": shares,
        "close_stop": prices,
        "target": prices,
        "target_fraction": shares,
        "trail": shares,
        "max_bars": st.sampled_from((0, 0, 5, -1)),
    }
)


def unchecked(given_rows) -> Plan:
    """Return a plan of rows by bar that nobody has checked."""
    given_rows = sorted(given_rows, key=lambda row: row["bar"])
    plan = object.__new__(Plan)
    object.__setattr__(plan, "symbols", ("BTC",))
    for name, kind in COLUMNS.items():
        object.__setattr__(plan, name, np.array([row[name] for row in given_rows], kind))
    return plan


@settings(max_examples=400, deadline=None)
@given(st.lists(rows, min_size=1, max_size=4))
def test_what_the_rules_find_is_suspect(given_rows):
    """Suspicion may be too wide, never too narrow: then the rules themselves are asked."""
    plan = unchecked(given_rows)
    columns = [getattr(plan, name) for name in CHECKED]
    with np.errstate(invalid="ignore"):  # one infinite price less another
        found = any(rule(plan)[0].any() for rule in RULES)
        assert is_suspect(1, *columns) == is_suspect_python(1, *columns)
    if found:
        assert is_suspect(1, *columns)


@pytest.mark.parametrize(
    "brackets",
    [
        {},
        {"stop": 110.0, "target": 90.0},
        {"stop_fraction": 0.05, "target_fraction": 0.1, "close_stop": 105.0},
        {"limit": 100.0, "valid_bars": 3, "stop": 110.0},
        {"trigger": 95.0, "trail": 0.02, "max_bars": 7},
    ],
)
def test_a_good_plan_is_not_suspect(brackets):
    plan = Plan.short("BTC", at=np.arange(10, 500, 3), **brackets) + Plan.exit("BTC", at=np.arange(11, 500, 3))
    assert not is_suspect(1, *(getattr(plan, name) for name in CHECKED))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"exposure": np.where(np.arange(300) == 7, np.nan, 1.0)}, r"must be a number other than 0, got nan \(BTC, bar 7\)"),
        ({"stop_fraction": 1.5}, r"must lie between 0 and 1, got 1.5 and nan \(BTC, bar 0\)"),
        ({"stop": 120.0, "target": 110.0}, r"`stop` 120.0 must lie below `target` 110.0 for a long \(BTC, bar 0\)"),
        ({"max_bars": -1}, r"`max_bars` at least 0, got 1 and -1 \(BTC, bar 0\)"),
        ({"trail": 1.0}, "`trail` a fraction below 1"),
    ],
)  # fmt: skip
def test_the_sentence_of_a_long_plan_is_that_of_a_short_one(change, sentence):
    with pytest.raises(PlanError, match=sentence):
        Plan.long("BTC", at=np.arange(300), **change)


def test_two_actions_in_a_bar_are_refused_and_an_exit_before_an_entry_is_not():
    bars = np.arange(300)
    Plan.exit("BTC", at=bars) + Plan.long("BTC", at=bars)
    with pytest.raises(PlanError, match=r"this `enter` is one too many \(BTC, bar 5\)"):
        Plan.long("BTC", at=np.append(bars, 5))


@settings(max_examples=200, deadline=None)
@given(st.lists(rows, min_size=1, max_size=8))
def test_the_records_are_those_of_the_slow_way(given_rows):
    plan, slow = unchecked(given_rows), unchecked(given_rows)
    quick = np.empty(len(plan), plans.ROW)
    columns = [getattr(plan, name) for name in COLUMNS]
    fill_rows(quick, *columns)
    for name in plans.ROW.names:
        np.testing.assert_array_equal(quick[name], slow.records[name], err_msg=name)
    stepped = np.empty(len(plan), plans.ROW).view(np.recarray)
    fill_rows_python(stepped, *columns)
    assert stepped["other"].tolist() == quick["other"].tolist()


BARS = 150
one_a_bar = st.sampled_from(("scalar", "array"))
given_entries = st.fixed_dictionaries(
    {
        "exposure": st.sampled_from((1.0, -1.0, 0.5, 0.0, NAN, math.inf)),
        "stop": prices,
        "target": prices,
        "limit": prices,
        "stop_fraction": shares,
        "close_stop": prices,
        "trail": shares,
        "valid_bars": st.sampled_from((1, 1, 1, 3, 0)),
    }
)


@settings(max_examples=300, deadline=None)
@given(
    at=st.lists(st.integers(0, BARS - 1), max_size=6, unique=True),
    values=given_entries,
    arrays=st.sets(st.sampled_from(("exposure", "stop", "close_stop", "stop_fraction"))),
    flip=st.booleans(),
)
def test_entries_at_a_mask_are_those_at_its_bars(at, values, arrays, flip):
    """The quick way and the long way make the same plan, or refuse it with the same sentence."""
    bars = np.sort(np.array(at, np.int64))
    mask = np.zeros(BARS, np.bool_)
    mask[bars] = True
    values = {k: v for k, v in values.items() if v == v}
    sides = np.where(np.arange(BARS) % 2, -1.0, 1.0) if flip else np.ones(BARS)
    by_bar = {k: v * sides if k == "exposure" else np.full(BARS, v) for k, v in values.items() if k in arrays}
    by_row = {k: v[bars] for k, v in by_bar.items()}
    with np.errstate(invalid="ignore"):
        quick = made(mask, {**values, **by_bar})
        slow = made(bars, {**values, **by_row})
    if isinstance(slow, str) or isinstance(quick, str):
        assert quick == slow
        return
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(quick, name), getattr(slow, name), err_msg=name)
        assert getattr(quick, name).dtype == getattr(slow, name).dtype
        assert not getattr(quick, name).flags.writeable
    for name in plans.ROW.names:
        np.testing.assert_array_equal(quick.records[name], slow.records[name], err_msg=name)
    assert quick.trails_late is False
    assert slow.trails_late is False


def made(at, values):
    """Return the plan of entries, or the sentence that refuses it."""
    try:
        return plans.make_rows(plans.ENTER, "BTC", at, **values)
    except PlanError as error:
        return str(error)


def test_a_long_mask_is_laid_out_bar_by_bar():
    bars = [0, 63, 64, 127, 128, 130, 255, 999]
    mask = np.zeros(1000, np.bool_)
    mask[bars] = True
    plan = Plan.long("BTC", at=mask, exposure=np.arange(1.0, 1001.0), stop=np.arange(1000) * 0.5 + 1.0)
    assert plan.bar.tolist() == bars
    assert plan.exposure.tolist() == [bar + 1.0 for bar in bars]
    assert plan.stop.tolist() == [bar * 0.5 + 1.0 for bar in bars]
    stepped = np.empty(len(bars), plans.ROW).view(np.recarray)
    lay_entries_python(np.array(bars), plans.BLANK.view(np.recarray), stepped)
    assert stepped["bar"].tolist() == bars


def test_the_next_row_of_entries_is_the_next_of_the_other_side():
    mask = np.ones(6, np.bool_)
    plan = Plan.long("BTC", at=mask) + Plan.exit("BTC", at=[])
    both = plans.make_rows(plans.ENTER, "BTC", mask, exposure=np.array([1.0, 1.0, -1.0, -1.0, -1.0, 1.0]))
    assert both.records["other"].tolist() == [2, 2, 5, 5, 5, 6]
    assert plan.records["other"].tolist() == [6] * 6
