"""Everything that is said of a run: worked by hand, on runs where nothing happens, and of a million bars in a second."""

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_result import HOUR, START, make_result, make_trades, make_venue
from markets_made import candles, closes
from signal_markets import drawn

from backtest import Market, Passport
from backtest.analysis import Assessment, analyze, assess, metrics
from backtest.analysis.round_trips import TRADE_FIGURES, RoundTrips
from backtest.analysis.summary import METRICS
from backtest.engines import get_engine
from backtest.levels import fixed
from backtest.model import Feed, Funding, Plan
from backtest.model.result import EXIT_REASONS
from backtest.model.trials import Trials

NAN = math.nan
FREE = {"maker": 0.0, "taker": 0.0}


def run(market, plan, **venue):
    return get_engine("fast")(market, plan, make_venue(**venue))


def test_the_figures_of_a_result_worked_by_hand():
    m = assess(make_result(), luck=False).metrics
    assert {name: m[name] for name in METRICS} == {name: getattr(analyze(make_result()), name) for name in METRICS}
    assert (m["exposure_long"], m["exposure_short"]) == (0.4, 0.4)
    assert m["traded_notional"] == 2 * 100 + 2 * 90 + 5 * 10
    assert m["turnover"] == pytest.approx(430 / 1009.054 * 8760 / 5)  # mean equity 5045.27 / 5
    assert m["ulcer"] == pytest.approx(math.sqrt((0.0001**2 + (5 / 1020.085) ** 2) / 5))
    assert m["martin"] == pytest.approx(m["cagr"] / m["ulcer"])
    assert m["time_under_water"] == 0.4
    assert m["longest_under_water_hours"] == 1.0
    assert (m["drawdowns"], m["max_drawdown_quote"]) == (2.0, pytest.approx(5.0))
    assert (m["days"], m["best_day"], m["winning_days"]) == (1.0, pytest.approx(0.015085), 1.0)
    assert m["trades"] == 2.0  # the headline counts the open one


def test_the_drawdowns_are_the_deepest_first():
    first, second = assess(make_result(), luck=False).drawdowns
    assert (first.start, first.trough, first.recovery) == (START + 3 * HOUR, START + 4 * HOUR, None)
    assert (first.depth, first.fall, first.bars) == (pytest.approx(-5 / 1020.085), pytest.approx(5.0), 1)
    assert (second.start, second.trough, second.recovery) == (START, START + HOUR, START + 2 * HOUR)


def test_trades_by_side():
    stats = assess(make_result(), luck=False).trade_stats
    assert list(stats) == ["side"]
    everything, long, short = (stats["side"][name] for name in ("all", "long", "short"))
    assert (short["trades"], short["open_trades"], short["pnl"], short["win_rate"]) == (1.0, 0.0, 20.11, 1.0)
    assert (long["trades"], long["open_trades"], long["pnl"]) == (0.0, 1.0, 0.0)
    assert everything["mean_return"] == pytest.approx(20.11 / 200)
    assert everything["mean_holding_hours"] == 2.0
    assert [math.isnan(everything[name]) for name in ("payoff", "profit_factor", "average_loss", "mae", "mfe")] == [
        True
    ] * 5
    assert all(tuple(row) == TRADE_FIGURES for row in stats["side"].values())


def test_months_attribution_and_luck():
    found = assess(make_result())
    assert found.months == [(2026, 1, pytest.approx(0.015085))]
    assert found.attribution.change == pytest.approx(15.085)
    assert found.luck.verdict == "not enough trades"
    assert assess(make_result(), luck=False).luck is None


def test_the_trials_reach_the_judge():
    assert assess(make_result(), trials=Trials(np.array([0.1, 0.2, 0.3]))).luck.trials == 3


def test_how_far_price_went_for_and_against_a_trade():
    # bought at the open of bar 1 at 100, sold at the open of bar 3 at 104: a low of 95 and a high of 108 between
    rows = [(100, 100, 100, 100), (100, 106, 95, 102), (102, 108, 99, 104), (104, 150, 50, 104)]
    market = candles(rows)
    result = run(market, Plan.long("BTCUSDT", at=[0], exposure=0.5, max_bars=2), **FREE)
    m = assess(result, market, luck=False).metrics
    assert (m["mae"], m["mfe"], m["mean_holding_hours"]) == (pytest.approx(0.05), pytest.approx(0.08), 2.0)


def test_an_open_trade_is_not_in_the_means_but_its_range_is_the_whole_way():
    market = closes([100.0, 100.0, 90.0, 120.0])
    result = run(market, Plan.long("BTCUSDT", at=[0], exposure=0.5), **FREE)
    m = assess(result, market, luck=False)
    assert (m.metrics["open_trades"], math.isnan(m.metrics["mae"])) == (1.0, True)


def test_by_level_and_by_rung():
    market = closes([101, 101, 99, 99, 94, 80, 80, 80])
    plan = Plan.short("BTCUSDT", at=[2, 4, 5], exposure=0.1, max_bars=1)
    found = assess(run(market, plan, **FREE), market, fixed([100.0, 95.0, 90.0]), luck=False)
    assert list(found.trade_stats["level"]) == ["BTCUSDT fixed 100", "BTCUSDT fixed 95", "BTCUSDT fixed 90"]
    assert {rung: row["trades"] for rung, row in found.trade_stats["rung"].items()} == {"1": 1.0, "2": 1.0, "3": 1.0}
    assert list(found.attribution.by_rung) == ["1", "2", "3"]
    assert found.trade_stats["rung"]["1"]["pnl"] == pytest.approx(found.attribution.by_rung["1"]["price"])
    assert sum(row["price"] for row in found.attribution.by_level.values()) == pytest.approx(found.attribution.change)


def test_it_is_json_and_comes_back():
    market = closes([101, 101, 99, 99, 94, 80, 80, 80])
    result = run(market, Plan.short("BTCUSDT", at=[2, 4], exposure=0.1, max_bars=1))
    found = assess(result, market, fixed([100.0, 95.0]))
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = Assessment.from_dict(json.loads(text))
    assert json.dumps(back.to_dict(), allow_nan=False) == text
    assert math.isnan(back.trade_stats["side"]["long"]["win_rate"])
    assert back.attribution == found.attribution
    assert [tuple(month) for month in back.months] == found.months


# --- runs in which little or nothing happens -------------------------------------------------------------------------


def halted(n, symbols=("BTCUSDT",), live=()):
    """Hourly bars; symbols that are not `live` have no price at all, and every feed is NaN."""
    time = START + HOUR * np.arange(n)
    price = np.full((n, len(symbols)), NAN)
    for symbol in live:
        price[:, symbols.index(symbol)] = 100.0 + np.arange(n) % 3
    names = [f"{s}.{f}" for s in symbols for f in ("open_interest_coins", "long_liquidations", "short_liquidations")]
    feeds = {name: Feed(name, time + HOUR, np.full(n, NAN), "coins") for name in names}
    none = Funding.empty(none=frozenset(symbols))
    volume = np.zeros_like(price)
    return Market(time, HOUR, symbols, price, price, price, price, volume, none, Passport(()), feeds=feeds)


def ruined():
    """An isolated long of everything at 50x whose first bar falls by half: the margin, all that there is, is gone."""
    market = candles([(100, 100, 100, 100), (100, 100, 50, 50), (50, 51, 49, 50), (50, 51, 49, 50)])
    market = replace(market, trade_from=int(market.time[1]))
    return market, run(
        market, Plan.long("BTCUSDT", at=[0], exposure=50.0), leverage=50.0, margin_mode="isolated", **FREE
    )


FIVE = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")


def flat(*plans, bars=6, **venue):
    market = closes([100.0] * bars)
    return market, run(market, sum(plans, Plan.empty()), **venue)


def silent():
    market = halted(60)
    return market, run(market, Plan.long("BTCUSDT", at=[1]))


def four_of_five():
    market = halted(60, FIVE, live=FIVE[:4])
    plans = [Plan.long(symbol, at=[3, 9], exposure=0.2, max_bars=4) for symbol in FIVE[:4]]
    return market, run(market, sum(plans, Plan.empty()))


TRADE = Plan.long("BTCUSDT", at=[1], exposure=1.0, max_bars=2)
EDGES = {
    "no trade": flat,
    "one trade": lambda: flat(TRADE),
    "one trade without costs": lambda: flat(TRADE, **FREE),
    "one open trade": lambda: flat(Plan.short("BTCUSDT", at=[1], exposure=1.0)),
    "refused": lambda: flat(Plan.long("BTCUSDT", at=[1], exposure=1e-9)),
    "one bar": lambda: flat(bars=1),
    "ruin on the first bar": ruined,
    "no price and no feed": silent,
    "one of five never traded": four_of_five,
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("judged", [False, True])
def test_nothing_is_divided_by_zero_and_no_nan_is_a_number(name, judged):
    market, result = EDGES[name]()
    levels = {symbol: fixed([100.0, 95.0]) for symbol in market.symbols}
    with np.errstate(divide="raise", over="raise"):
        whole, bare = assess(result, market, levels, luck=judged), assess(result, luck=judged)
    for found in (whole, bare):
        text = json.dumps(found.to_dict(), allow_nan=False)
        assert json.dumps(Assessment.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text
        assert not [key for key, value in found.metrics.items() if not isinstance(value, float)]
        assert sum(found.attribution.total.values()) == pytest.approx(found.attribution.change, abs=1e-9)


def test_ruin_on_the_first_bar_is_said_so():
    _, result = ruined()
    found = assess(result, luck=False)
    m = found.metrics
    assert result.equity_values.tolist() == [0.0, 0.0, 0.0]
    assert (m["total_return"], m["cagr"], m["max_drawdown"], m["liquidations"]) == (-1.0, -1.0, -1.0, 1.0)
    assert (found.drawdowns[0].depth, found.drawdowns[0].recovery, found.drawdowns[0].bars) == (-1.0, None, 3)
    assert found.months == [(2026, 2, -1.0)]
    assert math.isnan(m["turnover"])  # of an equity of 0


def test_a_run_without_a_trade_has_no_trade_figures():
    m = assess(run(closes([100.0] * 6), Plan.empty()), luck=False).metrics
    undefined = (
        "win_rate",
        "payoff",
        "profit_factor",
        "expectancy",
        "best",
        "mean_holding_hours",
        "mae",
        "sharpe",
        "calmar",
    )
    assert [name for name in undefined if not math.isnan(m[name])] == []
    assert (m["trades"], m["pnl"], m["turnover"], m["total_return"], m["ulcer"]) == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_symbol_that_never_traded_is_in_no_split():
    _, result = four_of_five()
    assert list(assess(result, luck=False).attribution.by_symbol) == list(FIVE[:4])


def test_no_bars_at_all():
    none = np.empty(0, np.int64)
    result = make_result(
        time=none, equity_values=np.empty(0), final_wallet=1000.0, position_bar=none, position_symbol=none,
        position_quantity=none, trades_table=make_trades_of_none(), ledger_table=replace(make_result().ledger_table, **no_rows()),
    )  # fmt: skip
    found = assess(result, luck=False)
    assert (found.months, found.drawdowns, found.metrics["days"]) == ([], [], 0.0)
    assert math.isnan(found.metrics["ulcer"])
    json.dumps(found.to_dict(), allow_nan=False)


def no_rows():
    ledger = make_result().ledger_table
    return {
        name: getattr(ledger, name)[:0] for name in ("time", "symbol", "trade", "kind", "amount", "position", "price")
    }


def make_trades_of_none():
    trades = make_trades()
    return replace(trades, **{name: getattr(trades, name)[:0] for name in vars(trades) if name != "symbols"})


# --- groups of trades ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 3), st.booleans()), max_size=30))
def test_the_figures_of_groups_are_the_metrics_of_their_trades(rows):
    code, pnl, closed = (
        np.array([row[k] for row in rows], dtype=kind) for k, kind in enumerate((np.int64, float, bool))
    )
    trips = RoundTrips(
        closed, closed & (pnl < -2), np.ones(pnl.size, np.int64), pnl, pnl / 7, pnl + 9, abs(pnl), abs(pnl) / 2
    )
    found = trips.figures(code, ["a", "b", "c"])
    for k, name in enumerate("abc"):
        mine = pnl[(code == k) & closed]
        for figure in ("win_rate", "payoff", "profit_factor", "expectancy", "average_win", "average_loss"):
            expected = getattr(metrics, figure)(mine)
            assert found[name][figure] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert (found[name]["trades"], found[name]["pnl"]) == (mine.size, pytest.approx(mine.sum()))
        assert found[name]["liquidations"] == np.count_nonzero(mine < -2)
        if mine.size:
            assert (found[name]["best"], found[name]["worst"]) == (mine.max(), mine.min())


# --- speed -----------------------------------------------------------------------------------------------------------


def million():
    """A million minutes with hourly liquidations, daily open interest, funding, and 5,000 trades on them."""
    n, minute, rng = 1_000_000, HOUR // 60, np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 5e-4, n)))
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, close) * 1.0002, np.minimum(opened, close) * 0.9998
    time = START + minute * np.arange(n)
    hours, days = time[::60], time[::1440]
    feeds = {
        "BTCUSDT.open_interest_coins": Feed(
            "oi", days, 1e5 * np.exp(np.cumsum(rng.normal(0, 0.03, days.size))), "coins"
        ),
        "BTCUSDT.long_liquidations": Feed("longs", hours, rng.exponential(1e6, hours.size), "usd"),
        "BTCUSDT.short_liquidations": Feed("shorts", hours, rng.exponential(1e6, hours.size), "usd"),
    }
    stamps = hours[8::8]
    funding = Funding(stamps, np.zeros(stamps.size), np.full(stamps.size, 1e-5), np.full(stamps.size, NAN))
    prices = (opened, high, low, close)
    market = Market(time, minute, ("BTCUSDT",), *prices, np.ones(n), funding, Passport(()), feeds=feeds)
    at = np.arange(100, n - 300, 199)[:5000]
    plan = Plan.long("BTCUSDT", at[::2], max_bars=100) + Plan.short("BTCUSDT", at[1::2], max_bars=100)
    return market, run(market, plan, leverage=3.0, **FREE)


def test_a_million_bars_are_assessed_in_less_than_a_second():
    market, result = million()
    assert (len(result), len(result.trades_table)) == (1_000_000, 5000)
    fastest = math.inf
    for _ in range(3):
        before = time.perf_counter()
        found = assess(result, market, luck=False)
        fastest = min(fastest, time.perf_counter() - before)
    assert fastest < 1.0  # about 0.25 on an idle machine
    assert set(found.attribution.by_regime) >= {"leveraged", "deleveraging", "unknown"}
    assert EXIT_REASONS[int(result.trades_table.reason[0])] == "max_bars"


def test_every_split_is_there_for_a_market_with_feeds():
    market = drawn(1, 3000, HOUR)
    market = replace(market, funding=Funding.empty(none=frozenset(market.symbols)))  # its own has holes
    result = run(market, Plan.long("BTCUSDT", at=np.arange(10, 2900, 97), exposure=0.1, max_bars=24))
    found = assess(result, market, luck=False).attribution
    assert set(found.by_regime) == {"deleveraging", "unknown"}
    assert sum(row["fees"] for row in found.by_regime.values()) == pytest.approx(found.total["fees"])
    assert found.total["fees"] < 0
