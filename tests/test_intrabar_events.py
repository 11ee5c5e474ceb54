"""Each ambiguous event from one state: what the finer bars say lies between worst and best, and where the law does not promise it.

The law bounds an event of one symbol whose finer bars follow each other without a gap. It does not bound what it does not know of:
a gap between two finer bars, funding inside the bar, a size taken of another symbol's equity, extremes that do not coincide, a
mark that goes its own way. Each of these is a minimal case below, with its numbers by hand.
"""

from dataclasses import replace

import numpy as np
import pytest
from cases import random_case
from intrabar_made import (
    QUIET,
    at,
    hours,
    venue,
)

from backtest import Plan
from backtest.checks.intrabar import REASONS, Course, Outcome, events_of
from backtest.checks.intrabar.events import same
from backtest.engines.fast import execute
from backtest.errors import LevelbreakError

DOWN_FIRST = [(100, 100, 94, 97), (97, 106, 97, 100), (100, 100, 100, 100), (100, 100, 100, 100)]
UP_FIRST = [(100, 106, 97, 98), (98, 100, 94, 100), (100, 100, 100, 100), (100, 100, 100, 100)]
ISOLATED = {"margin_mode": "isolated"}


def only_event(market, plan, where=None):
    """Return the only ambiguous event of a run."""
    (event,) = events_of(Course.of(market, plan, where or venue()))
    return event


def told(event):
    """Return event and gain under worst, best and truth, and the answer."""
    outcomes = [(o.event, round(o.gain, 6)) for o in (event.worst, event.best, event.truth)]
    return (*outcomes, event.answer)


# --- held since the open: stop, trail, liquidation against target -------------------------------------------------

LONG = Plan.long("A", at=[0], stop=95.0, target=105.0)
SHORT = Plan.short("A", at=[0], stop=105.0, target=95.0)


@pytest.mark.parametrize(
    ("plan", "bar", "answer"),
    [(LONG, DOWN_FIRST, "worst"), (LONG, UP_FIRST, "best"), (SHORT, DOWN_FIRST, "best"), (SHORT, UP_FIRST, "worst")],
)
def test_stop_and_target_in_one_bar(plan, bar, answer):
    # 10 at 100: 5 lost or won for each
    event = only_event(hours([QUIET, bar]), plan)
    truth = {"worst": ("stop", -50.0), "best": ("target", 50.0)}[answer]
    assert told(event) == (("stop", -50.0), ("target", 50.0), truth, answer)
    assert (event.how, event.symbol, event.time, event.settled) == ("held", "A", at(1), True)


def test_a_trail_is_a_stop():
    plan = Plan.long("A", at=[0], trail=0.05, target=105.0)
    event = only_event(hours([QUIET, DOWN_FIRST]), plan)
    assert told(event) == (("trail", -50.0), ("target", 50.0), ("trail", -50.0), "worst")


@pytest.mark.parametrize(("first", "answer", "truth"), [(90, "worst", -500.0), (111, "best", 500.0)])
def test_isolated_liquidation_and_target(first, answer, truth):
    # 50 at 100, margin 500: liquidated at (500 - 5000)/(50*(0.01 - 1)) = 90.909, the margin is lost; or 50*10
    then = {90: 111, 111: 90}[first]
    bar = [(100, max(100, first), min(100, first), 100), (100, max(100, then), min(100, then), 100), *QUIET[:2]]
    plan = Plan.long("A", at=[0], exposure=5, target=110.0)
    event = only_event(hours([QUIET, bar]), plan, venue(**ISOLATED))
    assert told(event) == (
        ("liquidation", -500.0),
        ("target", 500.0),
        ("liquidation" if truth < 0 else "target", truth),
        answer,
    )


def test_cross_liquidation_and_target_of_a_short():
    # 95 at 100: 1000 - 95*(P - 100) = 95*P*0.01, so P = 10500/95.95 = 109.431996; 95*9.431996 = 896.03960; or 95*2
    bar = [(100, 100, 97, 100), (100, 110, 100, 101), (101, 101, 101, 101), (101, 101, 101, 101)]
    plan = Plan.short("A", at=[0], exposure=9.5, target=98.0)
    event = only_event(hours([QUIET, bar]), plan)
    assert told(event) == (("liquidation", -896.039604), ("target", 190.0), ("target", 190.0), "best")


def test_both_in_one_finer_bar_stay_open_and_the_worse_is_taken():
    event = only_event(hours([QUIET, [(100, 106, 94, 100), *QUIET[:3]]]), LONG)
    assert (event.answer, event.settled) == ("worst", False)
    assert (event.truth.gain, event.truth_best.gain) == (-50.0, 50.0)


@pytest.mark.parametrize(
    ("plan", "lost", "won"),
    [
        # 50 at 100, margin 500: liquidated at 90.909 or out at 110; out at 95, nearer, it has lost 5 each
        (Plan.long("A", at=[0], exposure=5, target=110.0), ("liquidation", -500.0), ("target", 500.0)),
        (Plan.long("A", at=[0], exposure=5, stop=95.0, target=110.0), ("stop", -250.0), ("target", 500.0)),
        (Plan.long("A", at=[0], exposure=5, trail=0.05, target=110.0), ("trail", -250.0), ("target", 500.0)),
        # (500 + 5000)/(50*1.01) = 108.91; or 50*9
        (Plan.short("A", at=[0], exposure=5, target=91.0), ("liquidation", -500.0), ("target", 450.0)),
        # 5000/98 = 51.02: out at 96 for 2 each, at 110 for 12; 5000/105 = 47.619: out at 99 for 6 each, held at 100 for 5
        (Plan.long("A", at=[0], exposure=5, limit=98.0, stop=96.0, target=110.0), ("stop", -102.04), None),
        (Plan.long("A", at=[0], exposure=5, trigger=105.0, stop=99.0), ("stop", -285.714), ("open", -238.095)),
    ],
)
def test_isolated_too_the_worse_is_taken_of_what_one_finer_bar_holds(plan, lost, won):
    event = [(100, 111, 90, 100), *QUIET[:3]]
    course = Course.of(hours([QUIET, event]), plan, venue(**ISOLATED))
    (_, state, _), *_ = course.walked("worst")
    fine, fine_best = (course.play(state, 1, order).outcomes[0] for order in ("fine", "fine_best"))
    assert (fine.event, round(fine.gain, 6)) == lost
    if won is not None:
        assert (fine_best.event, round(fine_best.gain, 6)) == won
        (found,) = events_of(course)
        assert (found.answer, found.settled) == ("worst", False)


@pytest.mark.parametrize(
    ("plan", "bar"),
    [(LONG, [(100, 105, 94, 97), *[(97,) * 4] * 3]), (SHORT, [(100, 106, 95, 103), *[(103,) * 4] * 3])],
)
def test_a_target_that_is_touched_and_not_traded_through_is_no_event(plan, bar):
    course = Course.of(hours([QUIET, bar]), plan, venue())
    assert events_of(course) == []
    for order in ("worst", "best", "fine", "fine_best"):
        played = [played for i, _, played in course.walked(order) if i == 1]
        assert [(p.outcomes[0].event, p.outcomes[0].gain) for p in played] == [("stop", -50.0)]


def test_a_target_that_a_finer_bar_only_touches_leaves_it_to_what_comes_then():
    # 105 is touched first, the stop comes next, and 105 is traded through last
    bar = [(100, 105, 97, 98), (98, 100, 94, 100), (100, 106, 100, 100), QUIET[0]]
    event = only_event(hours([QUIET, bar]), LONG)
    assert told(event) == (("stop", -50.0), ("target", 50.0), ("stop", -50.0), "worst")


def test_a_trail_stands_still_inside_the_bar():
    # a close of 104 would take it to 98.8, and the second quarter to 98; it stays at 95, which comes after the target
    bar = [(100, 104, 100, 104), (104, 104, 98, 99), (99, 106, 99, 100), (100, 100, 94, 97)]
    event = only_event(hours([QUIET, bar]), Plan.long("A", at=[0], trail=0.05, target=105.0))
    assert told(event) == (("trail", -50.0), ("target", 50.0), ("target", 50.0), "best")


# --- entries of the same bar ---------------------------------------------------------------------------------------

LIMIT = Plan.long("A", at=[0], limit=95.0, target=105.0)
TRIGGER = Plan.long("A", at=[0], trigger=105.0, stop=100.0)


@pytest.mark.parametrize(
    ("bar", "truth", "answer"),
    [
        # the high came before the limit was traded through
        ([(100, 106, 99, 100), (100, 100, 94, 96), (96, 98, 96, 98), (98, 98, 98, 98)], ("open", 31.578), "worst"),
        ([(100, 100, 94, 96), (96, 106, 96, 104), (104, 104, 98, 98), (98, 98, 98, 98)], ("target", 105.26), "best"),
    ],
)
def test_a_limit_whose_target_is_only_possible(bar, truth, answer):
    # 1000/95 = 10.526: held at 98 it has 3 each, at the target 10
    event = only_event(hours([QUIET, bar]), LIMIT)
    assert told(event) == (("open", 31.578), ("target", 105.26), truth, answer)
    assert event.how == "limit"


@pytest.mark.parametrize(
    ("bar", "truth", "answer"),
    [
        # the low came before the trigger was reached
        ([(102, 102, 99, 101), (101, 106, 101, 104), *[(104, 104, 104, 104)] * 2], ("open", -9.523), "best"),
        ([(102, 106, 102, 104), (104, 104, 99, 103), *[(103, 104, 103, 104)] * 2], ("stop", -47.615), "worst"),
    ],
)
def test_a_trigger_whose_stop_is_only_possible(bar, truth, answer):
    # 1000/105 = 9.523: out at 100 it has lost 5 each, held at 104 one each
    event = only_event(hours([QUIET, bar]), TRIGGER)
    assert told(event) == (("stop", -47.615), ("open", -9.523), truth, answer)
    assert event.how == "trigger"


def test_the_same_event_at_another_price_is_another():
    # 1000/105 = 9.523, stopped 5 % lower at 99.75: 9.523*5.25 = 49.99575. In truth entered at the open of 107 and stopped at
    # 101.65: 9.345*5.35 = 49.99575, by chance as much.
    bar = [(102, 104, 102, 104), (107, 107, 99, 103), *[(103, 103, 103, 103)] * 2]
    event = only_event(hours([QUIET, bar]), Plan.long("A", at=[0], trigger=105.0, stop_fraction=0.05))
    assert told(event) == (("stop", -49.99575), ("open", -19.046), ("stop", -49.99575), "between")
    assert (event.worst.price, event.truth.price) == (pytest.approx(99.75), pytest.approx(101.65))


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({}, True),
        ({"event": "trail"}, True),
        ({"gain": 1.0}, True),
        ({"event": "target"}, False),
        ({"price": 94.99}, False),
        ({"quantity": 9.999}, False),
        ({"entry": 100.01}, False),
    ],
)
def test_outcomes_are_the_same_by_event_price_size_and_entry(change, alike):
    stop = Outcome("stop", 95.0, 1, 10.0, 100.0, -50.0)
    assert same(stop, replace(stop, **change)) is alike


def test_what_leaving_costs_is_left_out_since_a_position_that_stands_has_not_paid_it():
    # 1000/(95*1.01) = 10.422, in for 9.9009. Held at 104.9 it is 10.422*9.9 up and has paid no second fee; the target takes
    # 10.422*10 for 10.422*105*0.01 = 10.9431. So the account that still holds is worth more than the best one, by that fee.
    bar = [(100, 106, 99, 100), (100, 100, 94, 96), (96, 104.9, 96, 104.9), (104.9,) * 4]
    course = Course.of(hours([QUIET, bar]), LIMIT, venue(maker=0.01))
    (event,) = events_of(course)
    assert told(event) == (("open", 93.2769), ("target", 94.3191), ("open", 93.2769), "worst")
    (_, state, _), *_ = course.walked("worst")
    equities = [round(course.play(state, 1, order).equity, 6) for order in ("best", "fine")]
    assert equities == [1083.376, 1093.2769]


# --- where the law promises nothing -------------------------------------------------------------------------------


def test_a_stop_through_a_gap_between_two_finer_bars_fills_below_worst():
    # the second quarter opens at 93, below the stop of 95: out there, 7 each
    bar = [(100, 100, 96, 96), (93, 106, 93, 100), *QUIET[:2]]
    event = only_event(hours([QUIET, bar]), LONG)
    assert told(event) == (("stop", -50.0), ("target", 50.0), ("stop", -70.0), "outside")
    assert event.reason == "gap"


def test_a_trigger_through_a_gap_between_two_finer_bars_is_entered_above_it():
    # the second quarter opens at 107: 1000/107 = 9.345, out at 100 for 7 each
    bar = [(102, 104, 102, 104), (107, 107, 99, 101), *[(101, 101, 101, 101)] * 2]
    event = only_event(hours([QUIET, bar]), TRIGGER)
    assert told(event) == (("stop", -47.615), ("open", -38.092), ("stop", -65.415), "outside")
    assert event.reason == "gap"


def test_funding_inside_the_bar_is_paid_under_both_orders_though_the_position_may_be_gone_by_then():
    # 10*100*0.01 = 10 due half an hour into the bar; the target was taken before
    due = [(at(0, 2), 0, 0.0), (at(1, 2), 0, 0.01), (at(2, 2), 0, 0.0)]
    event = only_event(hours([QUIET, UP_FIRST], funding=due), LONG)
    assert told(event) == (("stop", -60.0), ("target", 40.0), ("target", 50.0), "outside")
    assert event.reason == "funding"


def test_an_entry_inside_the_bar_is_sized_by_what_another_symbol_is_worth_at_the_open():
    # B is bought for the account's 1000: 10.526; but A had taken its target before, +100, so it was 1100/95 = 11.578
    a = [(100, 111, 100, 110), *[(110, 110, 110, 110)] * 3]
    b = [(100, 100, 96, 96), (96, 96, 94, 96), (96, 106, 96, 104), (104, 104, 98, 98)]
    plan = Plan.long("A", at=[0], target=110.0) + Plan.long("B", at=[0], limit=95.0, target=105.0)
    event = only_event(hours([QUIET, a], [QUIET, b]), plan)
    assert told(event) == (("open", 31.578), ("target", 105.26), ("target", 115.78), "outside")
    assert (event.symbol, event.reason) == ("B", "size")


def test_a_mark_that_falls_before_the_last_price_liquidates_before_the_nearer_stop():
    # 50 at 100: the stop at 92 is nearer than 90.909, so both orders know no liquidation; the mark was there first
    last = [(100, 100, 95, 97), (97, 106, 91, 100), *QUIET[:2]]
    mark = [(100, 100, 90, 97), (97, 106, 97, 100), *QUIET[:2]]
    plan = Plan.long("A", at=[0], exposure=5, stop=92.0, target=105.0)
    event = only_event(hours([QUIET, last], marks=[[QUIET, mark]]), plan, venue(**ISOLATED))
    assert told(event) == (("stop", -400.0), ("target", 250.0), ("liquidation", -500.0), "outside")
    assert event.reason == "mark"


def test_extremes_that_both_orders_take_to_coincide_leave_the_account_without_an_upper_bound():
    # 30 of each: B and C at 82 together are 1080 down, more than the account has; one after the other, each time 540
    dip = [(100, 100, 82, 100), *QUIET[:3]]
    later = [*QUIET[:2], (100, 100, 82, 100), QUIET[0]]
    a = [(100, 102, 99, 100), *QUIET[:3]]
    plan = Plan.long("A", at=[0], exposure=3, target=101.0)
    plan += Plan.long("B", at=[0], exposure=3) + Plan.long("C", at=[0], exposure=3)
    course = Course.of(hours([QUIET, a], [QUIET, dip], [QUIET, later]), plan, venue())
    (event,) = events_of(course)
    assert told(event) == (("liquidation", -30.0), ("target", 30.0), ("target", 30.0), "best")
    (_, state, worst), *_ = course.walked("worst")
    best, truth = (course.play(state, 1, order) for order in ("best", "fine"))
    assert (worst.equity, best.equity, truth.equity) == (0.0, 0.0, 1030.0)
    assert worst.coincide
    assert best.coincide


def test_finer_bars_of_another_source_are_named():
    # the bar has a low of 94, its finer bars are said to open at 90: out there, 10 each
    foreign = hours([QUIET, [(100, 100, 99, 99), (90, 101, 90, 100), *QUIET[:2]]]).fine
    event = only_event(replace(hours([QUIET, DOWN_FIRST]), fine=foreign), LONG)
    assert told(event) == (("stop", -50.0), ("target", 50.0), ("stop", -100.0), "outside")
    assert event.reason == "range"


def test_a_mark_of_another_source_is_named_as_well():
    # the hour's mark never left 100; the quarters are said to have been marked at 90, below 90.909
    last = [(100, 100, 95, 97), (97, 106, 91, 100), *QUIET[:2]]
    foreign = hours([QUIET, last], marks=[[QUIET, [(100, 100, 90, 97), (97, 106, 97, 100), *QUIET[:2]]]]).fine
    market = replace(hours([QUIET, last], marks=[[QUIET, QUIET]]), fine=foreign)
    plan = Plan.long("A", at=[0], exposure=5, stop=92.0, target=105.0)
    event = only_event(market, plan, venue(**ISOLATED))
    assert told(event) == (("stop", -400.0), ("target", 250.0), ("liquidation", -500.0), "outside")
    assert event.reason == "range"


# --- along which path ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["worst", "best", "fine"])
def test_every_path_meets_the_hours_that_are_ambiguous(order):
    plan = LONG + Plan.long("A", at=[2], stop=95.0, target=105.0)
    found = events_of(Course.of(hours([QUIET, UP_FIRST, QUIET, DOWN_FIRST]), plan, venue()), order)
    assert [(event.bar, event.answer) for event in found] == [(1, "best"), (3, "worst")]


@pytest.mark.parametrize(("order", "bars"), [("worst", [1]), ("best", [1, 2]), ("fine", [1, 2])])
def test_a_path_has_the_events_of_its_own_positions(order, bars):
    # entered at 102 after the low of 97: worst is stopped at once; who holds on meets 97 and 111 in the third hour
    second = [(100, 100, 97, 100), (100, 103, 100, 102), *[(102, 102, 102, 102)] * 2]
    third = [(102, 102, 97, 100), (100, 111, 100, 105), *[(105, 105, 105, 105)] * 2]
    plan = Plan.long("A", at=[0], trigger=102.0, stop=98.0, target=110.0)
    found = events_of(Course.of(hours([QUIET, second, third]), plan, venue()), order)
    assert [event.bar for event in found] == bars


# --- a state can be taken up anywhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_bar_by_bar_from_state_to_state_is_the_run_of_the_engine(first):
    compared = 0
    for seed in range(first, first + 40):
        market, plan, where = random_case(seed)
        if market.fine is None or not len(market.fine):
            continue
        for order in ("worst", "best", "fine"):
            where = replace(where, intrabar=order)
            try:
                result = execute(market, plan, where)
            except LevelbreakError:
                continue
            equity = np.full(len(market), np.nan)
            ambiguous = 0
            for bar, _, played in Course.of(market, plan, where).walked(order):
                equity[bar] = played.equity
                ambiguous += played.ambiguous
            assert_like(equity[market.start_bar :], result, where.cash)
            assert ambiguous == result.assumptions.get("ambiguous_bars", 0)
            compared += 1
    assert compared >= 15


def assert_like(equity, result, cash):
    """Bars that the walk passed over have the equity of the bar before them."""
    for k, value in enumerate(equity):
        if np.isnan(value):
            equity[k] = equity[k - 1] if k else cash
    np.testing.assert_allclose(equity, result.equity_values, rtol=0, atol=1e-9 * cash)


def test_playing_a_bar_leaves_the_state_as_it_was():
    course = Course.of(hours([QUIET, DOWN_FIRST]), LONG, venue())
    (_, state, _), *_ = course.walked("worst")
    before = state.account.tobytes(), state.book.tobytes()
    for order in ("worst", "best", "fine", "fine_best"):
        course.play(state, 1, order)
    assert (state.account.tobytes(), state.book.tobytes()) == before


def test_every_reason_is_a_sentence():
    assert list(REASONS)[-1] == "other"
    assert all(REASONS.values())
