"""The order of two events inside one bar: every summary has its figures with the worse and with the better one."""

import json

import numpy as np
import pytest
from sweep_made import config, flat_market, make_files

from backtest.analysis import analyze
from backtest.analysis.summary import METRICS, Summary
from backtest.model import Market, Passport
from backtest.report.terminal import order_words
from backtest.runner import ran_on, run_on


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


def both_in_one_bar() -> Market:
    """A short from the open of bar 1, 100: bar 2 reaches 110 and 90."""
    return flat_market(
        [100.0, 100.0, 100.0, 100.0], [100.0, 100.0, 110.0, 100.0], [100.0, 100.0, 90.0, 100.0], [100.0] * 4
    )


def settings(intrabar: str):
    made = config(entry=0, hold=3, stop=0.05, target=0.08)
    return type(made)(made.strategy, parameters=made.parameters, account=(*made.account, ("intrabar", intrabar)))


@pytest.mark.parametrize("intrabar", ["worst", "best"])
def test_both_orders_worked_by_hand(here, intrabar):
    """1,000 sells 10 at 100: the stop at 105 costs 50, the target at 92 earns 80."""
    summary = analyze(run_on(both_in_one_bar(), settings(intrabar)))
    assert summary.worst["final_equity"] == pytest.approx(950.0)
    assert summary.best["final_equity"] == pytest.approx(1080.0)
    assert summary.final_equity == pytest.approx({"worst": 950.0, "best": 1080.0}[intrabar])
    assert tuple(summary.worst) == tuple(summary.best) == METRICS
    assert order_words(summary) == (
        "The order of events inside bars, open in 1 bar: return -5.0% with the worse, +8.0% with the better."
    )


def test_finer_bars_say_which_order_it_was(here):
    """Half-hours of bar 2: first down to 90, then up to 110, so the target came first; both orders are said all the same."""
    market = both_in_one_bar()
    half = market.interval // 2
    highs = np.array([100.0, 100.0, 100.0, 100.0, 100.0, 110.0, 100.0, 100.0])
    lows = np.array([100.0, 100.0, 100.0, 100.0, 90.0, 100.0, 100.0, 100.0])
    flat = np.full(8, 100.0)
    fine = Market(
        np.arange(8) * half, half, market.symbols, flat, highs, lows, flat, np.ones(8), market.funding, Passport(())
    )
    whole = {name: getattr(market, name) for name in ("time", "interval", "symbols", "open", "high", "low", "close")}
    seen = Market(**whole, volume=np.ones(4), funding=market.funding, passport=Passport(()), fine=fine)
    summary = analyze(run_on(seen, settings("fine")))
    assert summary.final_equity == pytest.approx(1080.0)
    assert (summary.worst["total_return"], summary.best["total_return"]) == pytest.approx((-0.05, 0.08))
    assert order_words(summary).startswith("The order of events inside bars: return -5.0%")


def test_where_no_bar_was_open_both_orders_are_the_run(here):
    still = flat_market(*[[100.0, 100.0, 96.0, 97.0]] * 4)
    ran = ran_on(still, settings("worst"))
    summary = analyze(ran.result)
    assert not ran.result.orders
    assert summary.worst == summary.best == {name: getattr(summary, name) for name in METRICS}
    assert order_words(summary) == ""


def test_a_result_whose_other_order_was_not_run_does_not_claim_it(here):
    result = ran_on(both_in_one_bar(), settings("worst")).result
    alone = type(result)(**{**vars_of(result), "orders": {}})
    summary = analyze(alone)
    assert summary.best == {}
    assert summary.worst["total_return"] == pytest.approx(-0.05)
    assert order_words(summary) == ""


def vars_of(result):
    return {name: getattr(result, name) for name in type(result).__dataclass_fields__}


def test_a_summary_says_them_in_its_file_and_an_old_one_is_read_without(here):
    summary = analyze(run_on(both_in_one_bar(), settings("worst")))
    plain = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert plain["best"]["total_return"] == pytest.approx(0.08)
    assert Summary.from_dict(plain).worst["final_equity"] == pytest.approx(950.0)
    old = {name: value for name, value in plain.items() if name not in ("worst", "best")}
    assert Summary.from_dict(old).worst == {}
