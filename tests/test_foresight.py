"""The prefix test: what it finds and says on bars worked by hand, that no planted cheater gets past, that honest ones do."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import call, document, write_market
from hypothesis import given, settings
from hypothesis import strategies as st
from markets_made import HOUR, START, closes, walks

from backtest import Market, Plan, levels, load_market
from backtest.checks import CUT, OTHER_FUTURE, Glimpse, check_foresight
from backtest.checks.futures import changed_after, flat_like, walk_like
from backtest.checks.observe import first_change, observe
from backtest.errors import ConfigError, MarketError, StrategyError
from backtest.levels import Levels, breaks, donchian, fixed
from backtest.places import shipped
from backtest.plugins import strategy_names
from backtest.testing import assert_no_foresight

CHEATERS = sorted(p for p in (Path(__file__).parent / "cheaters").glob("*.py"))
NATIVE = ("native_indicator", "native_next_bar", "ma_cross", "rsi_rebound", "support_pyramid")
PRICES = ("open", "high", "low", "close")


@pytest.fixture(scope="module")
def market():
    """Two months of the embedded market, all of it traded."""
    return replace(load_market("deleveraging-2026").head(1500), trade_from=None)


def shipped_names():
    return [name for name in strategy_names() if (shipped("strategies") / f"{name}.py").is_file()]


# --- by hand -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FallsNext:
    """Short at each bar whose next close is lower, with the lower close as the target."""

    symbol: str = "BTCUSDT"

    def plan(self, market):
        close = market[self.symbol].close
        after = np.append(close[1:], np.inf)[: close.size]
        return Plan.short(self.symbol, at=after < close, target=after)


def test_a_row_that_comes_of_the_next_close_is_named():
    # 100 101 99 98: bar 1 knows 99, bar 2 knows 98. Cut behind bar 1, the row of bar 1 is not there.
    found = check_foresight(FallsNext(), closes([100.0, 101.0, 99.0, 98.0]), walks=0)
    row = ("plan", 1, START + HOUR, "BTCUSDT", "row", "enter BTCUSDT exposure -1 target 99", "no such row")
    assert found.glimpses[0] == Glimpse("market", CUT, 2, START + 2 * HOUR, *row)
    assert not found.passes
    assert [g.how for g in found.glimpses] == [CUT, OTHER_FUTURE]
    assert found.sentence() == (
        "FallsNext looks ahead: plan at bar 1 (2026-02-03T01:00Z) of BTCUSDT, row: enter BTCUSDT exposure -1 target 99 became "
        "no such row when the market ended after bar 1 (2026-02-03T02:00Z), on market."
    )


def test_a_column_that_changed_is_named_with_both_values():
    def lowest_of_all(market: Market) -> Plan:
        return Plan.short("BTCUSDT", at=np.arange(len(market)), target=np.full(len(market), market.low.min(initial=99)))

    found = check_foresight(lowest_of_all, closes([50.0, 40.0, 30.0]), walks=0)
    first = found.glimpses[0]
    assert (first.cut, first.bar, first.time, first.column) == (1, 0, START, "target")
    assert (first.with_future, first.without) == (30.0, 50.0)


def test_of_an_array_the_first_value_that_changed_is_named():
    def change(market: Market):
        return np.append(np.diff(market.close[:, 0]), 0.0)[: len(market)]

    found = check_foresight(change, closes([10.0, 11.0, 13.0]), walks=0)
    first = found.glimpses[0]
    assert (first.cut, first.bar, first.column, first.with_future, first.without) == (1, 0, "change", 1.0, 0.0)


def test_what_fails_on_a_shorter_market_is_a_change():
    @dataclass(frozen=True)
    class Impatient:
        def plan(self, market):
            return Plan.long("BTCUSDT", at=[1 if len(market) > 2 else 1 / 0])

    first = check_foresight(Impatient(), closes([1.0, 2.0, 3.0, 4.0]), walks=0).glimpses[0]
    assert (first.cut, first.column, first.with_future) == (1, "outcome", "it ran")
    assert "ZeroDivisionError: division by zero" in first.without


def test_what_was_decided_is_compared_and_not_what_is_decided_later():
    a, b = (Plan.long("BTCUSDT", at=at, stop=stop) for at, stop in (([1, 3], [5.0, 6.0]), ([1, 3], [5.0, 7.0])))
    (one,), (two,) = observe(a, closes([9.0] * 4)), observe(b, closes([9.0] * 4))
    assert first_change(one, two, 3) is None
    change = first_change(one, two, 4)
    assert (change.bar, change.column, change.first, change.second) == (3, "stop", 6.0, 7.0)


def test_rows_that_come_and_go_are_changes_of_the_earlier_bar():
    a, b = Plan.long("A", at=[1, 5]), Plan.long("A", at=[1, 4, 5])
    (one,), (two,) = (observe(p, closes([9.0] * 6)) for p in (a, b))
    change = first_change(one, two, 6)
    assert (change.bar, change.column, change.first, change.second) == (4, "row", "no such row", "enter A exposure 1")
    assert first_change(one, two, 4) is None
    assert first_change(one, one, 6) is None


# --- the cheaters, and the honest --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHEATERS, ids=lambda path: path.stem)
def test_a_cheater_is_caught(path, market):
    found = check_foresight(path, market)
    ways = {CUT} if path.stem == "knows_the_end" else {CUT, OTHER_FUTURE}
    assert {g.how for g in found.glimpses if g.market == market.name} == ways
    with pytest.raises(AssertionError, match=f"^{path.stem} looks ahead: (plan|orders|ledger) at bar "):
        assert_no_foresight(path, market)


def test_there_are_cheaters_of_every_kind():
    kinds = {"centred_window", "shifted", "whole_series", "future_level", "future_feed", "native_next_bar"}
    assert kinds < {path.stem for path in CHEATERS}


@pytest.mark.parametrize("seed", range(4))
def test_cheaters_are_caught_on_random_walks_too(market, seed):
    walk = walk_like(market, seed=100 + seed, bars=400)
    for path in CHEATERS:
        if path.stem not in NATIVE:
            assert not check_foresight(path, walk, walks=0, seed=seed).passes, path.stem


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_strategy_does_not_look_ahead(name, market):
    found = assert_no_foresight(name, market if name in NATIVE else None, at_least=1)
    assert all(one.cuts > 0 for one in found.looked)
    assert len(found.looked) == (2 if name in NATIVE else 4)


@pytest.mark.parametrize("name", ["buy_and_hold", "donchian_break", "support_bounce", "support_break"])
@settings(max_examples=15, deadline=None)
@given(market=walks(largest=80), seed=st.integers(0, 9))
def test_no_shipped_plan_looks_ahead_on_drawn_walks(name, market, seed):
    parameters = {"levels": (103.0, 100.0, 98.0)} if name.startswith("support") else {}
    assert check_foresight(name, market, parameters, walks=0, cuts=16, seed=seed).passes


# --- detectors and signals ---------------------------------------------------------------------------------------


def late_lows(market: Market, delay: int) -> Levels:
    """Local lows of one bar on each side; known one bar later, as they are, or `delay` bars later."""
    low = market.low[:, 0]
    at = np.flatnonzero((low[1:-1] < low[:-2]) & (low[1:-1] < low[2:])) + 1 if low.size > 2 else np.empty(0, np.int64)
    formed = market.known_at[at]
    empty = ((),) * at.size
    return Levels(low[at], np.zeros(at.size), ("low",) * at.size, formed, formed + delay * market.interval, empty)


def ended(market: Market, bars: int) -> Levels:
    """Local lows that end some bars after they are known."""
    found = late_lows(market, 1)
    return replace(found, until=found.known_at + bars * HOUR) if len(found) else found


DETECTORS = {
    "fractal": levels.fractal(k=3), "zigzag": levels.zigzag(), "donchian": levels.donchian(20), "prior": levels.prior(),
    "pivot": levels.pivot(), "avwap": levels.avwap(), "profile": levels.profile(), "cluster": levels.cluster(),
    "round": levels.round_numbers(), "fixed": levels.fixed([95_000.0]) | levels.fractal(k=5) | levels.round_numbers(),
}  # fmt: skip


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_of_levels_does_not_look_ahead(name, market):
    assert_no_foresight(DETECTORS[name], market, walks=1, cuts=12, at_least=1)


HONEST = {
    "a signal": lambda m: donchian(m["BTCUSDT"], 20),
    "a feed": lambda m: m.feed("vix"),
    "several signals": lambda m: {"channel": donchian(m["BTCUSDT"], 20), "vix": m.feed("vix")},
    "two of them": lambda m: (m.close.mean(axis=1), m.feed("vix") > 20),
    "levels": lambda m: late_lows(m, 1),
    "ends of levels": lambda m: ended(m, 10),
    "breaks": lambda m: breaks(m["BTCUSDT"], fixed([95_000.0, 94_000.0])),
    "all symbols": lambda m: m.close,
    "a market": lambda m: m["BTCUSDT"],
}
DISHONEST = {
    "a signal": lambda m: np.gradient(m.close[:, 0]) if len(m) > 1 else np.zeros(len(m)),
    "several signals": lambda m: {"good": m.close, "bad": m.close - m.close.mean(axis=0)},
    "a late one": lambda m: (m.close, m.volume / m.volume.max(initial=1.0)),
    "levels": lambda m: late_lows(m, 0),
    "ends of levels": lambda m: ended(m, 10 if m.close[-1:, 0].sum() > 95_000 else 20),
    "filled": lambda m: pd.Series(donchian(m["BTCUSDT"], 50)).bfill().to_numpy(),
}


@pytest.mark.parametrize("name", HONEST)
def test_functions_of_the_past_pass(name, market):
    assert assert_no_foresight(HONEST[name], market, walks=1, at_least=1).rows > 0


@pytest.mark.parametrize("name", DISHONEST)
def test_functions_of_the_future_fail(name, market):
    with pytest.raises(AssertionError, match="looks ahead"):
        assert_no_foresight(DISHONEST[name], market, walks=1)


# --- other markets -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(market=walks(), data=st.data())
def test_another_future_leaves_the_past_as_it_is(market, data):
    cut = data.draw(st.integers(0, len(market)))
    other = changed_after(market, cut, seed=3)
    for name in (*PRICES, "volume"):
        mine, theirs = getattr(market, name), getattr(other, name)
        np.testing.assert_array_equal(mine[:cut], theirs[:cut])
        assert (np.isnan(theirs) | (theirs != mine))[cut:].all()
    np.testing.assert_array_equal(np.isnan(market.close), np.isnan(other.close))


def test_another_future_has_other_feeds_and_funding(market):
    cut = 700
    other, close = changed_after(market, cut, seed=0), int(market.known_at[cut - 1])
    for name, feed in market.feeds.items():
        late = feed.known_at > close
        np.testing.assert_array_equal(feed.value[~late], other.feeds[name].value[~late])
        if np.any(feed.value[late]):
            assert np.any(feed.value[late] != other.feeds[name].value[late]), name
    late = market.funding.time > close
    np.testing.assert_array_equal(market.funding.rate[~late], other.funding.rate[~late])
    assert np.all(market.funding.rate[late] != other.funding.rate[late])
    assert np.all(other.mark.close[cut:] != market.mark.close[cut:])
    np.testing.assert_array_equal(other.mark.close[:cut], market.mark.close[:cut])


@settings(max_examples=25, deadline=None)
@given(market=walks(), seed=st.integers(0, 99))
def test_a_walk_keeps_the_clock_the_halts_and_the_size_of_the_bars(market, seed):
    walk = walk_like(market, seed, bars=50)
    n = min(len(market), 50)
    np.testing.assert_array_equal(walk.time, market.time[:n])
    np.testing.assert_array_equal(np.isnan(walk.close), np.isnan(market.close[:n]))
    size, own = (np.abs(np.log(m.close[:n] / m.open[:n])) for m in (walk, market))
    np.testing.assert_allclose(size, own, atol=1e-9)
    np.testing.assert_array_equal(walk.close, walk_like(market, seed, bars=50).close)


def test_walks_have_no_drift_and_the_feeds_of_the_market(market):
    made = [walk_like(market, seed) for seed in range(200)]
    moves = np.array([np.log(w.close[-1, 0] / w.open[0, 0]) for w in made])
    # The sum of n tossed moves: its mean over 200 walks is within four standard errors of zero.
    assert abs(moves.mean()) < 4 * moves.std() / np.sqrt(moves.size)
    assert made[0].feeds.keys() == market.feeds.keys()
    assert [len(f.value) for f in made[0].feeds.values()] == [len(f.value) for f in market.head(1500).feeds.values()]
    assert made[0].trade_from is None


def test_a_flat_market_is_flat():
    flat = flat_like(closes([5.0, 6.0, 7.0]))
    assert all((getattr(flat, name) == 5.0).all() for name in PRICES)
    assert len(flat_like(closes([]))) == 0


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "settings", "error", "sentence"),
    [
        ("buy_and_hold", {"cuts": 0}, ConfigError, "`cuts` must be a whole number from 1, got 0."),
        ("buy_and_hold", {"walks": -1}, ConfigError, "`walks` must be a whole number from 0, got -1."),
        ("buy_and_hodl", {}, StrategyError, "No strategy named 'buy_and_hodl'. Did you mean 'buy_and_hold'?"),
        (
            17,
            {},
            ConfigError,
            "A check needs a strategy (its name, its path, itself) or a function of a market, got 17.",
        ),
        (
            lambda m: 3.0,
            {},
            ConfigError,
            "A prefix test needs a Plan, levels, a table with `bar`, or one value a bar (3 bars), got float.",
        ),
    ],
)
def test_a_mistake_is_told(subject, settings, error, sentence):
    with pytest.raises(error) as refused:
        check_foresight(subject, closes([1.0, 2.0, 3.0]), **settings)
    assert str(refused.value) == sentence


def test_an_empty_market_has_no_future():
    with pytest.raises(MarketError, match="has no bars"):
        check_foresight("buy_and_hold", closes([]))


def test_parameters_belong_to_what_has_still_to_be_made():
    assert check_foresight("buy_and_hold", closes([1.0] * 4), {"exposure": 2.0}).passes
    with pytest.raises(ConfigError, match=r"^Parameters can be set on a name, a path or a class, not on FallsNext"):
        check_foresight(FallsNext(), closes([1.0] * 4), {"symbol": "BTCUSDT"})


def test_a_test_of_nothing_can_be_refused():
    with pytest.raises(AssertionError, match=r"^support_break said 0 rows, fewer than 1: there was nothing to test"):
        assert_no_foresight("support_break", closes([1.0, 2.0]), at_least=1)


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_market(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(strategy, *arguments):
    return call("check", strategy, "--foresight", "--market", "./market.toml", *arguments)


def test_the_command_passes_an_honest_strategy(here):
    done = command("buy_and_hold")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "buy_and_hold · no look-ahead" in done.stdout
    assert "No row changed when the future was taken away, or was another." in " ".join(done.stdout.split())
    assert not (here / "results").exists()


def test_the_command_says_which_row_changed(here):
    done = command(CHEATERS[0].with_name("shifted.py"))
    assert (done.exit_code, done.stderr) == (1, "")
    assert "It looks ahead." in done.stdout
    # The close of 01:00, 99, is below that of 00:00, 100: the row of bar 0 comes of it.
    assert "market: the market ended after bar 0 (2026-01-01T01:00Z)" in done.stdout
    assert "plan at bar 0 · 2026-01-01T00:00Z · BTCUSDT · row" in done.stdout
    assert "with the future  enter BTCUSDT exposure -1" in done.stdout
    assert "without it       no such row" in done.stdout


def test_with_json_it_is_one_document(here):
    done = command(CHEATERS[0].with_name("shifted.py"), "--json", "--cuts", "4")
    assert done.exit_code == 1
    done.exit_code = 0
    found = document(done)
    assert (found["check"], found["passes"], found["strategy"]) == ("foresight", False, "shifted")
    assert found["markets"][0] == {"market": "market", "bars": 12, "rows": 2, "cuts": found["markets"][0]["cuts"]}
    assert found["glimpses"][0]["cut_time"] == "2026-01-01T01:00Z"


def test_all_checks_are_made_without_a_name(here):
    found = document(call("check", "buy_and_hold", "--market", "./market.toml", "--json"))
    assert [c["check"] for c in found["checks"]] == ["conformance", "foresight", "engines"]
    assert (found["passes"], found["left_out"]) == (True, {})
    done = call("check", "buy_and_hold", "--market", "./market.toml")
    assert done.stdout.endswith("Every check passed.\n")
    failed = call("check", CHEATERS[0].with_name("shifted.py"), "--market", "./market.toml")
    assert failed.exit_code == 1
    assert failed.stdout.endswith("A check failed.\n")


def test_a_strategy_of_backtrader_is_spared_the_comparison(here):
    (here / "mine.py").write_text('"""Mine."""\n\nimport backtrader as bt\n\n\nclass Mine(bt.Strategy):\n    pass\n')
    done = call("check", "mine.py", "--market", "./market.toml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "The check of the engines was left out" in " ".join(done.stdout.split())


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal(here, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, command(CHEATERS[0].with_name("shifted.py")).stdout.splitlines())) <= width
