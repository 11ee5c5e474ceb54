"""Random markets: the truth of each ambiguous event lies between worst and best, and what does not has a name."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from intrabar_made import MONEY, assert_between, bounds, random_hours, random_rows, random_venue

from backtest.checks.intrabar import Course, events_of
from backtest.model.result import EXIT_REASONS

LOT = 0.001  # of `venue`


def events_at_random(seed, symbols=1, gaps=0.0, mode=None, entries=("market", "limit", "trigger")):
    """Return the events of one random run, along the path of each order."""
    rng = np.random.default_rng(seed)
    market, where = random_hours(rng, 50, symbols, gaps), random_venue(rng, mode)
    plan = random_rows(rng, market, 0.9 * where.leverage / symbols, entries)
    course = Course.of(market, plan, where)
    return [event for order in ("worst", "best", "fine") for event in events_of(course, order)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_of_one_symbol_without_gaps_the_truth_lies_between(seed):
    assert_between(events_at_random(seed))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), symbols=st.integers(2, 3))
def test_of_several_isolated_symbols_entered_at_an_open_the_truth_lies_between(seed, symbols):
    assert_between(events_at_random(seed, symbols, mode="isolated", entries=("market",)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_with_gaps_the_truth_leaves_the_two_only_through_one_and_only_to_the_worse(seed):
    # or, where a bracket is a fraction of an entry that a gap has moved, to the better by what a lot rounds
    for event in events_at_random(seed, gaps=0.5):
        if event.answer == "outside":
            low, high = bounds(event)
            rounding = LOT * event.truth.entry if event.how == "trigger" else 0.0
            assert (event.reason, event.truth.gain < low or high < event.truth.gain < high + rounding) == (
                "gap",
                True,
            ), event


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gaps=st.sampled_from([0.0, 0.3]), mode=st.sampled_from(["isolated", "cross"]))
def test_whatever_lies_outside_has_a_name(seed, gaps, mode):
    for event in events_at_random(seed, 3, gaps, mode):
        assert event.reason in ({"gap", "size", "extremes"} if event.answer == "outside" else {""}), event


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_cross_account_of_several_symbols_is_never_worth_less_than_worst_says(seed):
    rng = np.random.default_rng(seed)
    market, where = random_hours(rng, 40, 3), random_venue(rng, "cross")
    plan = random_rows(rng, market, 0.3 * where.leverage, ("market",))
    course = Course.of(market, plan, where)
    for bar, state, worst in course.walked("worst"):
        if worst.ambiguous:
            best, truth = (course.play(state, bar, order) for order in ("best", "fine"))
            total = [sum(o.gain for o in played.outcomes) for played in (worst, truth, best)]
            assert total[0] - MONEY <= total[1]
            assert total[1] <= total[2] + MONEY or best.coincide or worst.coincide


def test_thousands_of_events_of_every_kind(request):
    runs = 1_000 if request.config.getoption("--full") else 60
    events = [event for seed in range(runs) for event in events_at_random(seed)]
    assert_between(events)
    assert len(events) > 8 * runs
    kinds = {(event.how, event.side, event.answer) for event in events}
    assert kinds >= {
        (how, side, answer) for how in ("held", "limit", "trigger") for side in (1, -1) for answer in ("worst", "best")
    }
    reasons = {o.event for event in events for o in (event.worst, event.best)}
    assert reasons == {"stop", "trail", "target", "liquidation", "open"}
    assert reasons <= set(EXIT_REASONS)
