"""Comparisons against numbers worked by hand: ranks, shared days, differences, correlation, trades in common."""

import doctest
import math
from dataclasses import replace

import numpy as np
import pytest
from compared_runs import DAY, made_run, made_trades
from compared_texts import quick, running, viewed
from hypothesis import given, settings
from hypothesis import strategies as st
from made_result import HOUR, START, make_venue

from backtest.analysis import alike
from backtest.analysis import compare as comparing
from backtest.analysis.compare import Live, compare, ranking, ranks
from backtest.analysis.overlap import overlap
from backtest.errors import ConfigError
from backtest.report import compare as printing

NAN = math.nan


def test_every_example_of_the_docstrings_holds():
    for module in (comparing, alike, printing):
        tried = doctest.testmod(module)
        assert tried.failed == 0
        assert tried.attempted


# --- ranks -------------------------------------------------------------------------------------------------------


def test_the_best_comes_first_and_equals_share_a_rank():
    found = quick(
        made_run([0.01, 0.0], "third"),
        made_run([0.0, 0.1], "first"),
        made_run([0.02, 0.03], "second"),
        made_run([0.02, 0.03], "second_too"),
    )
    assert found.names == ("first", "second", "second_too", "third")
    assert found.ranks == (1, 2, 2, 4)
    assert [found.rank_words(i) for i in range(4)] == ["1", "2=", "2=", "4"]
    assert found.figures["total_return"] == pytest.approx((0.1, 0.0506, 0.0506, 0.01), rel=1e-12)
    assert found.best["total_return"] == (0,)
    assert "max_drawdown" not in found.best  # nobody ever fell, so nobody stands out


def test_a_run_without_the_figure_comes_last_and_has_no_rank():
    found = quick(made_run([0.0, 0.0], "idle"), made_run([0.01, -0.03], "loser"), sort="sharpe")
    assert found.names == ("loser", "idle")
    assert found.ranks == (1, None)
    assert found.rank_words(1) == "\N{EN DASH}"


def test_of_costs_the_lowest_is_first():
    assert ranking([3.0, 1.0, 2.0], "fees") == [1, 2, 0]
    assert ranks([3.0, 1.0, 1.0], "liquidations") == (3, 1, 1)
    assert ranking([3.0, 1.0, 2.0], "trades") == [0, 2, 1]


@pytest.mark.parametrize("name", ["return", "total_return", "Sharpe", "max-drawdown", "drawdown", "fees"])
def test_a_figure_by_its_names(name):
    assert quick(made_run([0.1]), made_run([0.2], "two"), sort=name).sort in (
        "total_return",
        "sharpe",
        "max_drawdown",
        "fees",
    )


def test_an_unknown_figure_is_said():
    with pytest.raises(ConfigError, match=r"There is no figure 'sharp' to rank by\. Did you mean 'sharpe'"):
        quick(made_run([0.1]), made_run([0.2], "two"), sort="sharp")


def test_fewer_than_two_runs_and_the_same_twice_are_said():
    with pytest.raises(ConfigError, match="needs at least two runs, got 1"):
        quick(made_run([0.1]))
    one = Live(*[getattr(viewed(made_run([0.1])), n) for n in FIELDS], identity="abc")
    with pytest.raises(ConfigError, match="The run abc is named twice"):
        compare([one, one])


FIELDS = ("summary", "time", "equity", "trades", "passport", "config")


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(NAN)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_ranks_follow_the_order(values):
    order = ranking(values, "sharpe")
    given_ranks = [ranks(values, "sharpe")[i] for i in order]
    known = [r for r in given_ranks if r is not None]
    assert sorted(order) == list(range(len(values)))
    assert known == sorted(known)
    assert given_ranks == known + [None] * (len(values) - len(known))
    assert known[:1] in ([], [1])


# --- names -------------------------------------------------------------------------------------------------------


def test_names_say_what_runs_of_one_strategy_differ_in():
    runs = [
        made_run([0.3], "ideas/break.py", parameters=[("buffer", 0.01), ("rule", "close")]),
        made_run([0.2], "ideas/break.py", parameters=[("buffer", 0.02), ("rule", "close")]),
        made_run([0.1], "other", parameters=[("buffer", 0.02)]),
    ]
    assert quick(*runs).names == ("break buffer=0.01", "break buffer=0.02", "other")
    assert quick(runs[0], runs[0]).names == ("break", "break (2)")


# --- which days --------------------------------------------------------------------------------------------------


def test_runs_of_different_spans_are_compared_on_the_days_that_both_cover():
    # one: days 0 to 4; two: days 2 to 6. Shared: 2, 3, 4, where one earns 10%, 0, -20% and two 0, 10%, 10%.
    one = made_run([0.5, 0.5, 0.1, 0.0, -0.2], "one")
    two = made_run([0.0, 0.1, 0.1, 0.9, 0.9], "two", first=2)
    found = quick(one, two)
    assert (found.days - START // DAY).tolist() == [2, 3, 4]
    assert found.names == ("two", "one")
    np.testing.assert_allclose(found.returns.T, [[0.0, 0.1, 0.1], [0.1, 0.0, -0.2]], atol=1e-12)
    assert found.figures["total_return"] == pytest.approx((0.21, 1.1 * 0.8 - 1), abs=1e-12)
    assert found.figures["max_drawdown"] == pytest.approx((0.0, -0.2), abs=1e-12)
    assert "of the 3 days that all of them cover, 2026-01-03 to 2026-01-06" in found.notes[0]
    assert "They share 3 days only" in found.notes[1]


def test_a_day_that_one_run_covers_in_part_is_no_shared_day():
    # one: 48 hours from midnight on; two: 36 hours from noon on. Only the second day is whole in both.
    one = made_run([0.001] * 48, "one", interval=HOUR)
    two = made_run([0.001] * 36, "two", first=12, interval=HOUR)
    found = quick(one, two)
    assert (found.days - START // DAY).tolist() == [1]
    assert found.overlap.together.shape == (2, 2)
    assert found.to_best == ()  # one day has no spread


def test_runs_of_the_same_span_keep_their_own_figures():
    one, two = made_run([0.001] * 36, "one", interval=HOUR), made_run([0.002] * 36, "two", interval=HOUR)
    found = quick(one, two)
    assert (found.days - START // DAY).tolist() == [0, 1]
    assert found.figures["sharpe"] == tuple(s.sharpe for s in found.summaries)
    assert not any("span" in note for note in found.notes)


def test_runs_that_share_no_day_are_not_ranked():
    found = quick(made_run([0.1, 0.1], "one"), made_run([0.2, 0.1], "two", first=9))
    assert found.ranks == (None, None)
    assert (found.best, found.to_best, found.to_hold, found.superior) == ({}, (), (), {})
    assert np.isnan(found.correlation[0, 1])
    assert np.isnan(found.overlap.together).all()
    assert "They share no day (2026-01-01T00:00Z to 2026-01-03T00:00Z, 2026-01-10T00:00Z to" in found.notes[0]
    assert "so they can't be compared" in found.notes[0]
    assert "so they can't be compared" in running(found)


def test_a_run_without_a_bar_shares_nothing():
    assert quick(made_run([], "empty"), made_run([0.1], "one")).ranks == (None, None)


def test_what_else_differs_is_said():
    one = made_run([0.1] * 40, "one")
    assert "different markets (made, other)" in quick(one, made_run([0.2] * 40, "two", market="other")).notes[0]
    assert "The data of made are not the same" in quick(one, made_run([0.2] * 40, "two", data="11")).notes[0]
    richer = replace(made_run([0.2] * 40, "two"), venue=make_venue(cash=500.0, leverage=20.0))
    assert "Their venues or accounts differ in leverage, cash." in quick(one, richer).notes
    assert "beside them; `backtest run buy_and_hold` makes one" in quick(one, made_run([0.2] * 40, "two")).notes[0]


# --- differences -------------------------------------------------------------------------------------------------


def test_the_difference_of_constant_runs_has_an_interval_without_width():
    found = quick(made_run([0.0, 0.0, 0.0], "flat"), made_run([0.01, 0.01, 0.01], "up"))
    (gain, sharpe) = found.to_best
    assert (gain.run, gain.other, gain.figure) == ("flat", "up", "total_return")
    assert (gain.value, gain.low, gain.high) == pytest.approx((-0.030301, -0.030301, -0.030301), abs=1e-12)
    assert gain.clear
    assert math.isnan(sharpe.value)  # neither of them has a Sharpe ratio
    assert not sharpe.clear


def test_a_planted_difference_is_clear_although_both_are_wild():
    noise = np.random.default_rng(1).normal(0.0, 0.05, 300)
    found = quick(made_run(noise, "noise"), made_run(noise + 0.003, "better"), replicates=500)
    gain, sharpe = found.to_best
    assert found.names == ("better", "noise")
    assert gain.clear
    assert gain.high < 0
    assert sharpe.clear
    # Both move together; of the Sharpe ratio only 0.003 / 0.05 * sqrt(365) a year is left, hardly with an interval.
    assert sharpe.value == pytest.approx(-0.003 / noise.std(ddof=1) * math.sqrt(365), rel=1e-9)
    assert sharpe.high - sharpe.low < 0.3


def test_two_noises_are_not_told_apart():
    draws = np.random.default_rng(4).normal(0.0, 0.02, (2, 250))
    found = quick(made_run(draws[0], "one"), made_run(draws[1], "two"), replicates=500)
    assert not any(one.clear for one in found.to_best)
    assert "no interval is clear of 0" in running(found)


def test_the_interval_turns_with_the_pair():
    draws = np.random.default_rng(2).normal(0.0, 0.02, (2, 60))
    one, held = made_run(draws[0], "one"), made_run(draws[1], "buy_and_hold")
    found = quick(one, held, replicates=999)
    if found.names[0] != "buy_and_hold":
        held_to_one, one_to_held = found.to_best[0], found.to_hold[0]
        assert held_to_one.value == pytest.approx(-one_to_held.value, rel=1e-12)
        assert (held_to_one.low, held_to_one.high) == pytest.approx((-one_to_held.high, -one_to_held.low), abs=0.02)
    assert {d.other for d in found.to_hold} == {"buy_and_hold"}


def test_the_same_seed_gives_the_same_intervals():
    draws = np.random.default_rng(3).normal(0.0, 0.02, (2, 60))
    runs = made_run(draws[0], "one"), made_run(draws[1], "two")
    assert quick(*runs).to_best == quick(*runs).to_best
    assert quick(*runs).to_best != quick(*runs, seed=1).to_best


# --- benchmarks --------------------------------------------------------------------------------------------------


def test_the_lot_is_held_against_flat_and_against_buying_and_holding():
    draws = np.random.default_rng(5).normal(0.0, 0.01, (3, 200))
    draws[1] += 0.006  # sixty standard errors of 0.01 / sqrt(200) would be 0.042; this is eight of them
    runs = [made_run(r, name) for r, name in zip(draws, ("noise", "edge", "buy_and_hold"), strict=True)]
    found = compare(runs, replicates=200)
    assert list(found.superior) == ["flat", "buy_and_hold"]
    assert (found.superior["flat"].strategies, found.superior["buy_and_hold"].strategies) == (3, 2)
    assert found.superior["flat"].p < 0.05
    assert found.sentences()[0].startswith("edge is better than flat")
    assert found.sentences()[1].startswith("edge is better than buy-and-hold")


def test_a_benchmark_from_outside_is_no_row():
    draws = np.random.default_rng(6).normal(0.0, 0.01, (3, 50))
    one, two, held = (made_run(r, n) for r, n in zip(draws, ("one", "two", "buy_and_hold"), strict=True))
    found = quick(one, two, benchmark=held)
    assert "buy_and_hold" not in found.names
    assert {(d.run, d.other) for d in found.to_hold} == {("one", "buy_and_hold"), ("two", "buy_and_hold")}
    expected = np.prod(1 + draws[0]) - np.prod(1 + draws[2])
    assert next(d for d in found.to_hold if d.run == "one").value == pytest.approx(expected, rel=1e-9)
    short = made_run(draws[2][:20], "buy_and_hold")
    assert quick(one, two, benchmark=short).notes == ("The run of buy_and_hold does not cover their days.",)


# --- alike -------------------------------------------------------------------------------------------------------


def test_the_correlation_of_short_series():
    # a = 0, 1, -1, 1, -1 tenths; b = 0, 1, 2, 3, 4 hundredths, deviations -2, -1, 0, 1, 2: sum of products
    # -1 + 0 + 1 - 2 = -2, of squares 4 and 10: -2 / sqrt(40) = -1 / sqrt(10). c = a / 2 + 0.05 is a straight line of a.
    a = made_run([0.0, 0.1, -0.1, 0.1, -0.1], "a")
    b = made_run([0.0, 0.01, 0.02, 0.03, 0.04], "b")
    c = made_run([0.05, 0.1, 0.0, 0.1, 0.0], "c")
    found = quick(a, b, c)
    at = {name: i for i, name in enumerate(found.names)}
    assert found.correlation[at["a"], at["b"]] == pytest.approx(-1 / math.sqrt(10), abs=1e-12)
    assert found.correlation[at["a"], at["c"]] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(found.correlation, found.correlation.T, rtol=1e-12)


def test_what_never_moved_and_what_shares_two_days_has_no_correlation():
    flat, moved = made_run([0.0] * 5, "flat"), made_run([0.1, 0.0, 0.2, 0.0, 0.1], "moved")
    found = quick(flat, moved)
    assert found.correlation[0, 0] == pytest.approx(1.0, abs=1e-12)
    assert np.isnan(found.correlation[1]).all()
    assert np.isnan(quick(moved, made_run([0.0, 0.1], "late", first=3)).correlation).all()


def test_the_overlap_of_trades():
    # Ten hours. one holds BTC long 1-4 and ETH short 6-8; two BTC short 3-5, BTC long 5-7; three BTC long 0 to the end.
    one = made_trades(("BTCUSDT", 1, 1, 4), ("ETHUSDT", -1, 6, 8))
    two = made_trades(("BTCUSDT", -1, 3, 5), ("BTCUSDT", 1, 5, 7))
    three = made_trades(("BTCUSDT", 1, 0, None))
    found = overlap([one, two, three], START, START + 10 * HOUR)
    assert found.together.tolist() == [[0.5, 0.2, 0.5], [0.2, 0.4, 0.4], [0.5, 0.4, 1.0]]
    assert found.trades.tolist() == [[1.0, 0.5, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, 1.0]]
    assert found.same_side.tolist() == [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [1.0, 1.0, 1.0]]


def test_trades_that_only_touch_do_not_overlap_and_a_moment_inside_does():
    one = made_trades(("BTCUSDT", 1, 2, 4))
    touching = made_trades(("BTCUSDT", 1, 4, 6))
    moment = made_trades(("BTCUSDT", 1, 3, 3))
    found = overlap([one, touching, moment], START, START + 10 * HOUR)
    assert found.trades[0].tolist() == [1.0, 0.0, 1.0]
    assert found.trades[2].tolist() == [1.0, 0.0, 1.0]
    assert found.together[0].tolist() == pytest.approx([0.2, 0.0, 0.0], abs=1e-12)


def test_trades_are_cut_at_the_shared_span():
    one = made_trades(("BTCUSDT", 1, 0, 6), ("BTCUSDT", 1, 8, 9))
    two = made_trades(("BTCUSDT", 1, 5, None))
    found = overlap([one, two], START + 4 * HOUR, START + 8 * HOUR)
    assert found.together.tolist() == [[0.5, 0.25], [0.25, 0.75]]
    assert found.trades.tolist() == [[1.0, 1.0], [1.0, 1.0]]  # the trade from 8 on is outside


def test_without_a_trade_a_share_of_trades_is_undefined():
    found = overlap([made_trades(), made_trades(("BTCUSDT", 1, 0, 5))], START, START + 10 * HOUR)
    assert found.together.tolist() == [[0.0, 0.0], [0.0, 0.5]]
    assert np.isnan(found.trades[0]).all()
    assert found.trades[1].tolist() == [0.0, 1.0]


TRADES = st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, 30), st.integers(0, 12)), max_size=6)


@given(TRADES, TRADES)
@settings(max_examples=150, deadline=None)
def test_the_overlap_is_what_counting_the_hours_gives(one, two):
    runs = [[("BTCUSDT", side, start, start + length) for side, start, length in rows] for rows in (one, two)]
    found = overlap([made_trades(*rows) for rows in runs], START, START + 50 * HOUR)
    held = [{h for *_, a, b in rows for h in range(a, b)} for rows in runs]
    assert found.together[0, 1] == pytest.approx(len(held[0] & held[1]) / 50, abs=1e-9)
    assert found.together[0, 1] == found.together[1, 0]
    if runs[0]:
        # in quarters of an hour, a moment being the first of them
        quarters = [[(s, set(range(4 * a, 4 * b)) or {4 * a}) for _, s, a, b in rows] for rows in runs]
        met = [any(mine & other for _, other in quarters[1]) for _, mine in quarters[0]]
        sided = [any(mine & other for d, other in quarters[1] if d == s) for s, mine in quarters[0]]
        assert found.trades[0, 1] == pytest.approx(sum(met) / len(met))
        assert found.same_side[0, 1] == pytest.approx(sum(sided) / len(sided))
