"""A point's row: worked by hand, the figures of the run of the same configuration, and both orders inside a bar."""

import math

import pytest
from sweep_made import config, flat_market, make_files

from backtest.analysis import analyze
from backtest.analysis.summary import METRICS
from backtest.catalogue import run_id
from backtest.errors import MarketError
from backtest.market import load_market
from backtest.model import RunConfig
from backtest.plugins import describe_strategy
from backtest.runner import run
from backtest.sweep import FIGURES, Scorer, make_space, score_point

HOUR = 3_600_000_000_000


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


def test_a_row_worked_by_hand(here):
    """1,000 sells 10 at the open of bar 1, 100; out after 2 bars at the open of bar 3, 90: 100 won."""
    closes = [100.0, 95.0, 90.0, 90.0]
    opens = [100.0, 100.0, 95.0, 90.0]
    row = score_point(
        flat_market(opens, [100.0, 100.0, 95.0, 90.0], [100.0, 95.0, 90.0, 90.0], closes), config(entry=0, hold=2)
    )
    assert row["error"] == ""
    assert row["final_equity"] == pytest.approx(1100.0)
    assert row["total_return"] == pytest.approx(0.1)
    assert (row["trades"], row["open_trades"], row["win_rate"], row["liquidations"], row["rejections"]) == (
        1,
        0,
        1.0,
        0,
        0,
    )
    assert row["exposure"] == 0.5
    assert (row["fees"], row["funding_paid"], row["ambiguous_bars"]) == (0.0, 0.0, 0)
    assert row["total_return_worst"] == row["total_return_best"] == row["total_return"]
    assert set(FIGURES) | {"ambiguous_bars", "rejections", "run", "seconds", "error"} == set(row)


def test_worst_and_best_where_a_bar_holds_stop_and_target(here):
    """Short 10 at 100; bar 2 trades from 85 to 115: the stop at 110 first loses 100, the target at 90 first wins 100."""
    bars = ([100, 100, 100, 100], [100, 100, 115, 100], [100, 100, 85, 100], [100, 100, 100, 100])
    found = {
        o: dict(config(entry=0, hold=0, stop=0.1, target=0.1).account) | {"intrabar": o} for o in ("worst", "best")
    }
    for order, account in found.items():
        row = score_point(
            flat_market(*bars),
            RunConfig(
                "./shorter.py",
                parameters=(("entry", 0), ("hold", 0), ("stop", 0.1), ("target", 0.1)),
                account=tuple(account.items()),
            ),
        )
        assert row["ambiguous_bars"] == 1
        assert row["total_return_worst"] == pytest.approx(-0.1)
        assert row["total_return_best"] == pytest.approx(0.1)
        assert row["total_return"] == row[f"total_return_{order}"]
        assert (row["win_rate_worst"], row["win_rate_best"]) == (0.0, 1.0)


def test_the_best_order_is_only_run_where_a_bar_was_ambiguous(here, monkeypatch):
    orders = []
    real = Scorer.run

    def noting(self, strategy, plan, engine, place):
        orders.append(place.venue.intrabar)
        return real(self, strategy, plan, engine, place)

    monkeypatch.setattr(Scorer, "run", noting)
    score_point(flat_market(*[[100.0, 100.0, 100.0, 100.0]] * 4), config(entry=0))
    assert orders == ["worst"]
    bars = ([100, 100, 100, 100], [100, 100, 115, 100], [100, 100, 85, 100], [100, 100, 100, 100])
    score_point(flat_market(*bars), config(entry=0, hold=0, stop=0.1, target=0.1))
    assert orders == ["worst", "worst", "best"]


def assert_like_the_run(row, one: RunConfig) -> None:
    """The figures are those of the run in full to 1e-9, and the id is that of its folder."""
    result = run(one)
    summary = analyze(result)
    assert row["error"] == ""
    for name in METRICS:
        full = getattr(summary, name)
        both_undefined = math.isnan(full) and math.isnan(row[name])
        assert both_undefined or row[name] == pytest.approx(full, rel=1e-9, abs=1e-12), name
    assert row["rejections"] == len(result.rejections_table)
    assert row["run"] == run_id(result, describe_strategy(one.strategy).source_sha256)


@pytest.mark.parametrize(
    ("strategy", "grid"),
    [
        ("donchian_break", ["lookback=24,55,100", "buffer=0,0.003", "account.leverage=2,20"]),
        ("support_break", ["kinds=none,fractal(k=3)", "buffer=0,0.003", "rule=close,wick"]),
        ("crowded_long_break", []),
        ("deleveraging_short", []),
    ],
)
def test_a_row_is_what_the_run_of_that_configuration_says(strategy, grid):
    """On the shipped market: every figure, the number of rejected rows, and the id."""
    space = make_space(strategy, grid, markets=["deleveraging-2026"])
    scorer = Scorer(load_market("deleveraging-2026"))
    for index in range(len(space)):
        assert_like_the_run(scorer.row(space.config(index)), space.config(index))


def test_a_strategy_of_backtrader_can_be_swept():
    """Its two points are the two runs."""
    space = make_space("ma_cross", ["fast=10,20"], markets=["deleveraging-2026"])
    scorer = Scorer(load_market("deleveraging-2026"))
    rows = [scorer.row(space.config(index)) for index in range(2)]
    assert_like_the_run(rows[0], space.config(0))
    assert rows[0]["total_return"] != rows[1]["total_return"]


def test_a_market_without_bars_is_the_reason_of_every_point(here):
    market = flat_market(*[[100.0, 100.0]] * 4).head(0)
    assert "has no bars to trade" in score_point(market, config(entry=0))["error"]
    with pytest.raises(MarketError):
        run("./shorter.py", market="nowhere.toml")
