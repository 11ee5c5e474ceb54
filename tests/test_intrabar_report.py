"""Whole runs under worst, best and on the finer bars: their figures, where the truth ends outside and why, and what is printed."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intrabar_made import HOUR, QUIET, at, hours, random_hours, random_rows, random_venue, venue
from real_market import HISTORY, file, needs_history, write
from rich.console import Console

from backtest import Plan, RunConfig, load_market
from backtest.analysis import analyze
from backtest.checks.intrabar import (
    CAUSES,
    FIGURES,
    REASONS,
    compared,
    intrabar,
    totals,
    whole_run,
    window,
    with_minutes,
)
from backtest.errors import ConfigError, StrategyError
from backtest.report import intrabar as report
from backtest.report.intrabar import print_intrabar

STILL = [(100, 100, 100, 100)] * 4
DOWN_FIRST = [(100, 100, 94, 97), (97, 106, 97, 100), *STILL[:2]]
LONG = Plan.long("A", at=[0], stop=95.0, target=105.0)

# Entered at 102 in the second hour, after its low of 97; stopped at 98 in the third, before its high of 111. Worst stops it in the
# second hour already, so that the row read at the third finds it flat and goes long again.
SECOND = [(100, 100, 97, 100), (100, 103, 100, 102), (102, 102, 102, 102), (102, 102, 102, 102)]
THIRD = [(102, 102, 97, 100), (100, 111, 100, 105), (105, 105, 105, 105), (105, 105, 105, 105)]
AGAIN = Plan.long("A", at=[0], trigger=102.0, stop=98.0, target=110.0) + Plan.long("A", at=[1], stop=95.0, target=104.0)
PARTED = hours([QUIET, SECOND, THIRD])


def totals_of(run):
    """Return the totals of one run alone."""
    return totals([SimpleNamespace(runs=(run,), events=())])


def returns(run):
    return [round(getattr(run, side)["total_return"], 9) for side in ("worst", "truth", "best")]


# --- whole runs by hand ------------------------------------------------------------------------------------------------


def test_finer_bars_narrow_the_interval():
    # 10 at 100, 5 lost or won: 10 % apart on hours, nothing on quarters, where the stop came first
    run = whole_run(hours([QUIET, DOWN_FIRST]), LONG, venue())
    assert returns(run) == [-0.05, -0.05, 0.05]
    assert run.truth == run.truth_best
    assert run.ambiguous == (1, 0)
    assert (run.outside, run.cause, run.left, run.since) == ((), "", (), "")


def test_finer_bars_that_hold_both_events_narrow_nothing():
    run = whole_run(hours([QUIET, [(100, 106, 94, 100), *STILL[:3]]]), LONG, venue())
    assert (run.truth["total_return"], run.truth_best["total_return"]) == pytest.approx((-0.05, 0.05))
    assert run.ambiguous == (1, 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_finer_bars_never_widen_the_interval_of_a_single_trade(seed):
    rng = np.random.default_rng(seed)
    market = random_hours(rng, 12)
    make, how = (Plan.long, Plan.short)[seed % 2], {1: "limit", 2: "trigger"}.get(seed % 3)
    entry = {} if how is None else {how: float(market.close[0, 0]) * (1 + rng.uniform(-0.004, 0.004)), "valid_bars": 3}
    plan = make("A", at=[0], exposure=3, stop_fraction=0.01, target_fraction=0.01, **entry)
    run = whole_run(market, plan, venue())
    low, high, fine_low, fine_high = (
        getattr(run, side)["total_return"] for side in ("worst", "best", "truth", "truth_best")
    )
    assert low - 1e-9 <= fine_low <= fine_high + 1e-9 <= high + 2e-9
    assert run.ambiguous[1] <= 1


def test_after_an_event_that_went_another_way_another_trade_is_open():
    # 9.803 at 102: out at 98 for -39.212, worst then 9.419 at 102 to 104 for +18.838; best to 110 for +78.424
    run = whole_run(PARTED, AGAIN, venue())
    assert returns(run) == [-0.020374, -0.039212, 0.078424]
    assert [run.worst[name] for name in FIGURES[1:]] == [pytest.approx(-0.039212), 0, 2]
    assert [run.truth[name] for name in FIGURES[1:]] == [pytest.approx(-0.039212), 0, 1]
    assert run.cause == "trades"
    assert run.outside == ("total_return",)
    assert run.beyond("total_return") == pytest.approx(-0.018838)
    first, second = run.left
    assert (first.order, first.time, first.there, first.truth) == (
        "worst",
        at(1),
        "stop at 98",
        "the same at 2026-02-03T02:00Z",
    )
    assert (second.order, second.time, second.there, second.truth) == ("best", at(2), "target at 110", "stop at 98")
    assert run.since == "2026-02-03T02:00Z, a long of A under worst alone"


def test_a_fill_through_a_gap_ends_outside():
    run = whole_run(hours([QUIET, [(100, 100, 96, 96), (93, 106, 93, 100), *STILL[:2]]]), LONG, venue())
    assert returns(run) == [-0.05, -0.07, 0.05]
    assert (run.cause, run.since) == ("fills", "2026-02-03T01:00Z, the long of A: exit at 93, 95 to 105 under both")


def test_the_same_trades_in_other_sizes_end_outside():
    # B is sized on 1000 under both, on 1100 in truth: 100 + 10.526*10 against 100 + 11.578*10
    a = [(100, 111, 100, 110), *[(110, 110, 110, 110)] * 3]
    b = [(100, 100, 96, 96), (96, 96, 94, 96), (96, 106, 96, 104), (104, 104, 98, 98)]
    plan = Plan.long("A", at=[0], target=110.0) + Plan.long("B", at=[0], limit=95.0, target=105.0)
    run = whole_run(hours([QUIET, a], [QUIET, b]), plan, venue())
    assert returns(run) == [0.131578, 0.21578, 0.20526]
    assert (run.cause, run.since) == ("sizes", "2026-02-03T01:00Z, the long of B: a size of 11.578, 10.526 under both")


def test_funding_inside_a_bar_ends_outside():
    # 10*100*0.01 = 10 due half an hour into the bar; in truth the target was taken before: 50, not 40
    due = [(at(0, 2), 0, 0.0), (at(1, 2), 0, 0.01), (at(2, 2), 0, 0.0)]
    up_first = [(100, 106, 97, 98), (98, 100, 94, 100), *STILL[:2]]
    run = whole_run(hours([QUIET, up_first], funding=due), LONG, venue())
    assert returns(run) == [-0.06, 0.05, 0.04]
    assert (run.cause, run.since) == ("funding", "2026-02-03T01:00Z, the long of A: funding of 0, -10 under both")
    assert run.to_dict()["beyond"] == {"total_return": pytest.approx(0.01)}


def test_a_trade_that_ends_in_a_third_way_is_not_called_one_of_another_size():
    # 9.803 at 102: worst is stopped at 98 in the second hour, the truth in the third, after funding of 9.803*102*0.01
    due = [(at(k), 0, 0.01 * (k == 2)) for k in range(4)]
    plan = Plan.long("A", at=[0], trigger=102.0, stop=98.0, target=110.0)
    run = whole_run(hours([QUIET, SECOND, THIRD], funding=due), plan, venue())
    assert returns(run) == [-0.039212, -0.049211060, 0.068424940]
    assert run.since == "2026-02-03T01:00Z, the long of A: stop at 98 at 2026-02-03T02:00Z, as under neither"
    assert run.cause == "other"
    # the fall too is that deep: 49.21106 of 1000, against 39.212 and, from the peak of 1029.409 - 9.99906, nothing
    assert run.beyond("max_drawdown") == pytest.approx(-0.00999906)
    told = totals_of(run)
    assert (told["causes"]["other"], told["drawdown_causes"]["other"], told["outside"]) == (1, 1, 1)
    assert told["beyond"]["total_return"] == pytest.approx(0.00999906)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_lies_outside_in_return_or_drawdown_has_a_cause_and_nothing_else_has(seed):
    rng = np.random.default_rng(seed)
    market, where = random_hours(rng, 40, 2, 0.2), random_venue(rng)
    run = whole_run(market, random_rows(rng, market, 0.4 * where.leverage), where)
    assert bool(run.cause) is bool({"total_return", "max_drawdown"} & set(run.outside))
    assert run.cause in {"", *CAUSES}
    assert run.to_dict()["beyond"].keys() == set(run.outside)


def test_without_an_ambiguous_bar_the_orders_are_one():
    run = whole_run(hours([QUIET, [(100, 104, 96, 100), *STILL[:3]]]), LONG, venue())
    assert run.worst == run.best == run.truth == run.truth_best
    assert (run.ambiguous, returns(run)) == ((0, 0), [0.0, 0.0, 0.0])


def test_a_window_is_a_run_of_its_own():
    part = window(hours([QUIET, DOWN_FIRST, DOWN_FIRST]), 1, 2)
    assert (len(part), part.start_bar, len(part.fine)) == (2, 1, 4)
    assert part.fine.time.tolist() == [at(1, k) for k in range(4)]


@pytest.fixture(scope="module")
def simulated():
    """The first 400 traded hours of the embedded market, with minutes."""
    market = load_market("deleveraging-2026")
    return with_minutes(market.head(market.start_bar + 400))


# --- strategies -------------------------------------------------------------------------------------------------------

CONFIG = RunConfig("donchian_break", parameters=(("lookback", 6), ("stop_fraction", 0.003), ("target_fraction", 0.003)))


def test_a_strategy_on_simulated_minutes(simulated):
    found = compared(simulated, CONFIG, windows=4)
    assert (found.coarse, found.fine, found.bars, found.drawn) == (HOUR, HOUR // 60, (400, 24_000), True)
    assert len(found.events) == found.whole.ambiguous[0] > 0
    assert sum(found.answers.values()) == len(found.events)
    assert found.answers["outside"] == 0
    assert found.windows[0].start == found.whole.start
    assert found.windows[-1].end == found.whole.end
    assert [run.end for run in found.windows[:-1]] == [run.start for run in found.windows[1:]]
    assert found.notes == ()


def test_the_function_of_the_command_takes_what_a_run_takes():
    found = intrabar("donchian_break", windows=1, lookback=6, account={"cash": 500})
    assert found.windows == ()
    assert dict(found.config.parameters)["lookback"] == 6
    assert dict(found.config.account) == {"cash": 500}


@pytest.mark.parametrize("windows", [0, 401])
def test_windows_that_can_not_be(simulated, windows):
    with pytest.raises(ConfigError, match="`windows` must be 1 to the 400 bars that are traded, got"):
        compared(simulated, CONFIG, windows)


def test_a_strategy_of_backtrader_has_no_plan(simulated):
    with pytest.raises(StrategyError, match="ma_cross is a strategy of backtrader: it runs bar by bar and has no plan"):
        compared(simulated, RunConfig("ma_cross"))


def test_totals_add_up(simulated):
    found = [compared(simulated, CONFIG, windows=2), compared(simulated, RunConfig("donchian_break"), windows=2)]
    told = totals(found)
    assert told["runs"] == 6
    assert told["events"] == sum(len(one.events) for one in found) == sum(told["answers"].values())
    assert told["outside"] == told["figures"]["total_return"] == sum(told["causes"].values())
    assert told["figures"]["max_drawdown"] == sum(told["drawdown_causes"].values())


@needs_history
def test_whole_runs_on_real_minutes(tmp_path):
    assert HISTORY.is_dir()
    head = 'interval = "1m"\nstart = "2022-06-15T03:00Z"\nend = "2022-07-19T20:00Z"\ngaps = "halt"'
    bars = f"bars = {file('btcusdt_spot_1m_binance_202206_202207')}"
    path = write(tmp_path, "minutes", [head, "[BTCUSDT]", bars, 'funding = "none"'])
    found = intrabar("donchian_break", market=path, lookback=6, stop_fraction=0.003, target_fraction=0.003)
    assert (found.bars, found.drawn) == ((833, 49_980), False)
    assert found.grade != "D"
    assert len(found.events) > 10
    assert found.answers["worst"] > 0 < found.answers["best"]
    assert found.answers["outside"] == sum(event.reason == "gap" for event in found.events)
    assert not found.whole.cause or CAUSES[found.whole.cause]


# --- what is printed ---------------------------------------------------------------------------------------------------


def printed(told, width=80):
    stream = io.StringIO()
    print_intrabar(told, Console(file=stream, width=width, highlight=False, markup=False, emoji=False))
    return stream.getvalue()


def document(found, **more):
    """Return what the command prints, of some comparisons."""
    rows = [
        {**one.to_dict(), "summary": analyze(one.result).to_dict(), "label": one.config.strategy, "values": {}}
        for one in found
    ]
    return {"comparisons": rows, "total": totals(found), "failed": [], **more}


def test_the_words_of_the_report_are_those_of_the_check():
    assert report.CAUSES == CAUSES
    assert report.REASONS.keys() == REASONS.keys()


@pytest.mark.parametrize("width", [80, 120, 40])
def test_a_report_fits_and_says_that_it_is_simulated(simulated, width):
    text = printed(document([compared(simulated, CONFIG, windows=2)]), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.startswith(" SIMULATED MARKET ")
    assert "The finer bars are simulated" in " ".join(text.split())


def test_a_report_without_an_ambiguous_event_says_so(simulated):
    text = printed(document([compared(simulated, RunConfig("buy_and_hold"), windows=1)]))
    assert "none: no bar held two events whose order matters" in " ".join(text.split())
    assert "the return of 0 runs lies outside" in text


def test_strategies_that_no_order_makes_another_are_one_line(simulated):
    found = [
        compared(simulated, config, 1) for config in (RunConfig("buy_and_hold"), RunConfig("funding_carry"), CONFIG)
    ]
    text = " ".join(printed(document(found), 120).split())
    assert "2 without an ambiguous bar, the same as worst, truth and best: buy_and_hold; funding_carry" in text
    assert text.count("buy_and_hold") == 1
    assert "a narrow bracket makes some" not in text
    assert "a narrow bracket makes some" in " ".join(printed(document(found[:2])).split())


def test_a_drawdown_outside_is_told_by_how_much_and_why(simulated):
    one = compared(simulated, RunConfig("buy_and_hold"), 1)
    low, high = (
        {"total_return": r, "max_drawdown": d, "liquidations": 0, "trades": 3} for r, d in ((-0.1, -0.04), (0.1, -0.01))
    )
    truth = {**low, "total_return": 0.0, "max_drawdown": -0.055}
    run = replace(one.whole, worst=low, best=high, truth=truth, ambiguous=(2, 0), cause="trades", since="a trade")
    text = " ".join(printed(document([replace(one, whole=run)]), 120).split())
    assert "the return of 0 runs lies outside ·" in text
    assert (
        "the max drawdown of 1 run lies outside, by 1.5 percentage points · 1: an earlier event went another way"
        in text
    )
    assert (
        "truth 0.0%, worst -10.0%, best +10.0% · max drawdown: truth -5.5%, worst -4.0%, best -1.0%; 1.5 percentage"
        in text
    )
    assert "points deeper than both" in text


def test_what_was_not_run_is_named(simulated):
    text = printed(
        document(
            [compared(simulated, CONFIG, 1)],
            failed=[{"strategy": "ma_cross", "values": {}, "error": "It has no plan."}],
        )
    )
    assert "· ma_cross: It has no plan." in text
