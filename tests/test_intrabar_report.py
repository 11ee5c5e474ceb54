"""Whole runs under worst, best and on the finer bars: their figures, where the truth ends outside and why, and what is printed."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intrabar_made import HOUR, QUARTER, QUIET, at, hours, random_hours, venue
from real_market import HISTORY, file, needs_history, write
from rich.console import Console

from backtest import Plan, RunConfig, load_market
from backtest.checks.intrabar import (
    CAUSES,
    FIGURES,
    REASONS,
    aggregated,
    compared,
    intrabar,
    totals,
    two_scales,
    whole_run,
    window,
    with_minutes,
)
from backtest.errors import ConfigError, MarketError, StrategyError
from backtest.model import Market
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
    assert (run.cause, run.since) == ("sizes", "")


def test_a_window_is_a_run_of_its_own():
    part = window(hours([QUIET, DOWN_FIRST, DOWN_FIRST]), 1, 2)
    assert (len(part), part.start_bar, len(part.fine)) == (2, 1, 8)


# --- two scales ----------------------------------------------------------------------------------------------------


def quarters():
    """Two hours as a market of quarters, the first quarter of the second hour without prices."""
    fine = hours(
        [
            [(1, 4, 1, 2), (2, 3, 0.5, 2), (2, 2, 2, 2), (2, 5, 2, 3)],
            [(3, 9, 3, 4), (4, 4, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)],
        ]
    ).fine
    columns = {name: getattr(fine, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[4] = np.nan
    return Market(
        fine.time, QUARTER, fine.symbols, *columns.values(), np.full((8, 1), 2.0), fine.funding, fine.passport
    )


def test_coarse_bars_have_the_first_open_the_extremes_and_the_last_close_of_what_traded():
    market = aggregated(quarters(), HOUR)
    assert [getattr(market, name)[:, 0].tolist() for name in ("open", "high", "low", "close", "volume")] == [
        [1.0, 4.0], [5.0, 4.0], [0.5, 3.0], [3.0, 3.0], [8.0, 8.0],
    ]  # fmt: skip
    assert market.time.tolist() == [at(0), at(1)]
    assert len(market.fine) == 7, "a quarter without prices is none"


def test_a_market_of_finer_bars_is_put_together_and_one_that_has_them_is_taken_as_it_is():
    assert two_scales(quarters()).interval == HOUR
    assert two_scales(quarters(), "30m").time.tolist() == [at(0), at(0, 2), at(1), at(1, 2)]
    market = hours([QUIET])
    assert two_scales(market) is market


@pytest.mark.parametrize(
    ("coarse", "sentence"),
    [
        ("40m", "`coarse` must be 15m, the interval of the market market, or a multiple of it; got '40m'."),
        ("soon", "`coarse` must be an interval like"),
    ],
)
def test_coarse_bars_that_can_not_be(coarse, sentence):
    with pytest.raises(ConfigError, match=sentence.replace("`", "`")):
        two_scales(quarters(), coarse)


def test_bars_that_nothing_is_finer_than_are_a_mistake():
    with pytest.raises(MarketError, match="bars of 15m and none finer, so nothing says what happened inside a bar"):
        two_scales(quarters(), "15m")


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
    assert told["outside"] == sum(told["causes"].values())


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
    rows = [{**one.to_dict(), "label": one.config.strategy, "values": {}} for one in found]
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


def test_what_was_not_run_is_named(simulated):
    text = printed(
        document([compared(simulated, CONFIG, 1)], failed=[{"strategy": "ma_cross", "error": "It has no plan."}])
    )
    assert "· ma_cross: It has no plan." in text
