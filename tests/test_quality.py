"""The quality of a series: each figure on rows that can be counted by hand, and the known defects of the real files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_market import HISTORY, needs_history

from backtest.errors import MarketError
from backtest.market.quality.agreement import agreement, resample
from backtest.market.quality.assess import HEADERS, NOTHING, Repair, assess
from backtest.market.quality.measures import (
    bad_rows,
    calendar_of,
    duplicates_of,
    jumps_of,
    missing_of,
    robust_sigma,
    stale_of,
    wicks_of,
)
from backtest.model.arrays import DAY, HOUR, utc_text

START = 1_770_076_800_000_000_000  # 2026-02-03T00:00Z, a Tuesday
MONDAY = START - DAY


def hours(*numbers):
    return START + HOUR * np.array(numbers, dtype=np.int64)


def flat(time, price=100.0, volume=1.0):
    """Bars of one price, which no test mistakes for anything."""
    prices = {k: np.full(time.size, price) for k in ("open", "high", "low", "close")}
    return {"time": time, **prices, "volume": np.full(time.size, volume)}


def zigzag(n, step=0.01):
    """Closes that go up and down by `step` (log) around 100, with wicks of nothing."""
    close = 100.0 * np.exp(step * (np.arange(n) % 2))
    before = np.concatenate(([close[0]], close[:-1]))
    prices = {"open": before, "high": np.maximum(before, close), "low": np.minimum(before, close), "close": close}
    return {"time": hours(*range(n)), **prices, "volume": np.ones(n)}


# --- gaps ------------------------------------------------------------------------------------------------------------


def test_no_gap():
    m = missing_of(hours(0, 1, 2), HOUR)
    assert (m.gaps, m.rows, m.first, m.longest, m.longest_at) == (0, 0, None, 0, None)


def test_two_gaps_and_the_longest_of_them():
    m = missing_of(hours(0, 1, 3, 4, 8, 9), HOUR)  # 2, then 5, 6 and 7
    assert (m.gaps, m.rows) == (2, 4)
    assert (utc_text(m.first), m.longest, utc_text(m.longest_at)) == ("2026-02-03T01:00Z", 3, "2026-02-03T04:00Z")


@given(st.sets(st.integers(1, 98), max_size=40))
def test_as_many_rows_are_missing_as_were_taken_away(gone):
    kept = np.array([i for i in range(100) if i not in gone])
    m = missing_of(hours(*kept), HOUR)
    assert m.rows == len(gone)
    assert m.gaps == len([i for i in gone if i - 1 not in gone])


def test_an_exchange_of_stocks_keeps_weekends():
    weekdays = np.array([MONDAY + DAY * d for d in range(28) if d % 7 < 5])
    assert calendar_of(weekdays, DAY) == "weekdays"
    assert missing_of(weekdays, DAY).rows == 0
    holiday = np.delete(weekdays, 7)  # a Wednesday
    assert (missing_of(holiday, DAY).gaps, missing_of(holiday, DAY).rows) == (1, 1)
    week = np.delete(weekdays, slice(5, 10))
    assert (missing_of(week, DAY).gaps, missing_of(week, DAY).rows) == (1, 5)


def test_a_holiday_is_no_finding_but_a_missing_week_is():
    weekdays = np.array([MONDAY + DAY * d for d in range(364) if d % 7 < 5])
    assert assess("vix", "bars", flat(np.delete(weekdays, [7, 40, 99])), DAY).findings == stood_still(257)
    found = assess("vix", "bars", flat(np.delete(weekdays, slice(5, 10))), DAY).findings
    assert "vix 1d misses 5 weekdays in 1 gap, the first after 2026-02-06T00:00Z." in found


def stood_still(n):
    """Flat bars repeat: the one finding that `flat` brings along."""
    return (
        f"vix 1d stands still in 1 run of {n - 1} repeated rows, the longest of {n - 1} from 2026-02-02T00:00Z on.",
    )


def test_crypto_trades_on_saturdays():
    assert calendar_of(START + DAY * np.arange(28), DAY) == "every"
    assert calendar_of(MONDAY + 7 * DAY * np.arange(28), 7 * DAY) == "every"  # weekly bars open on Mondays
    assert calendar_of(MONDAY + DAY * np.arange(5), DAY) == "every"  # too short to tell


def test_the_night_between_sessions_is_no_gap():
    days = [d for d in range(14) if d % 7 < 5]
    sessions = np.array([MONDAY + DAY * d + HOUR // 2 + HOUR * h for d in days for h in range(14, 21)])
    assert calendar_of(sessions, HOUR) == "sessions"
    assert missing_of(sessions, HOUR).rows == 0
    assert missing_of(np.delete(sessions, [2, 3]), HOUR).rows == 2


def test_funding_may_change_its_interval():
    eights, fours = 8 * np.arange(10), 72 + 4 * np.arange(1, 10)
    assert missing_of(hours(*eights, *fours), 0).rows == 0
    m = missing_of(hours(0, 8, 16, 40, 48, 56), 0)  # 24 and 32
    assert (m.gaps, m.rows, utc_text(m.first)) == (1, 2, "2026-02-03T16:00Z")
    assert missing_of(hours(0, 8), 0).rows == 0
    assert missing_of(hours(), 0).rows == 0


# --- duplicates ------------------------------------------------------------------------------------------------------


def test_duplicates_are_rows_beyond_the_first():
    d = duplicates_of(hours(0, 2, 1, 2, 2, 1))
    assert (d.rows, utc_text(d.first)) == (3, "2026-02-03T01:00Z")
    assert duplicates_of(hours(2, 0, 1)) == duplicates_of(hours())


# --- jumps -----------------------------------------------------------------------------------------------------------


def test_the_robust_sigma_by_hand():
    assert robust_sigma(np.array([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])) == pytest.approx(1.4826)  # deviations 2 1 0 1 97
    assert robust_sigma(np.array([0.0, 0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.2 * 1.2533141)  # a MAD of nothing
    assert np.isnan(robust_sigma(np.zeros(5)))
    assert np.isnan(robust_sigma(np.empty(0)))


def test_a_jump_and_what_the_next_bar_takes_back():
    # Returns of +-1% have a median of -1% or 1%, a MAD of at most 2%: sigma 0.0148 to 0.0297. A rise of 1 (log) is far beyond.
    close = zigzag(101)["close"]
    close[50] *= np.e
    j = jumps_of(hours(*range(101)), close, HOUR, limit=20.0)
    assert [utc_text(t) for t in j.times] == ["2026-02-05T02:00Z", "2026-02-05T03:00Z"]
    assert j.undone == 1  # the fall after the rise is not undone itself
    assert (utc_text(j.at), j.relative) == ("2026-02-05T02:00Z", True)  # as large as the next: the first of them
    assert j.size == pytest.approx(np.exp(0.99) - 1)


def test_a_step_that_stays_is_not_undone():
    close = zigzag(101)["close"]
    close[50:] *= 3
    j = jumps_of(hours(*range(101)), close, HOUR, limit=20.0)
    assert (j.count, j.undone, j.size) == (1, 0, pytest.approx(3 / np.exp(0.01) - 1))


def test_a_return_across_a_gap_is_measured_by_the_time_it_took():
    close = 100.0 * np.exp(np.concatenate((0.01 * (np.arange(50) % 2), 0.21 + 0.01 * (np.arange(50) % 2))))
    together = hours(*range(100))
    apart = hours(*range(50), *range(49 + 400, 499))  # 400 hours, so a twentieth of the change in sigmas
    assert jumps_of(together, close, HOUR, limit=5.0).count == 1
    assert jumps_of(apart, close, HOUR, limit=5.0).count == 0


def test_values_that_may_be_negative_jump_by_their_difference():
    value = np.where(np.arange(40) % 2, 1.0, -1.0)
    value[20] = 300.0
    j = jumps_of(hours(*range(40)), value, HOUR)
    assert (j.count, j.relative, j.size, utc_text(j.at)) == (2, False, 299.0, "2026-02-03T20:00Z")


@pytest.mark.parametrize("closes", [[], [1.0], [1.0, 1.0, 1.0], [1.0, 2.0]])
def test_too_little_to_have_a_jump(closes):
    assert jumps_of(hours(*range(len(closes))), np.array(closes), HOUR).count == 0


def test_a_wick_that_stands_alone():
    bars = zigzag(60)
    bars["low"][30] = 20.0
    w = wicks_of(bars["time"], bars, HOUR, limit=20.0)
    assert [utc_text(t) for t in w.times] == ["2026-02-04T06:00Z"]
    bars["low"][31] = 21.0  # the neighbour was there too: a fall, not a stray price
    assert wicks_of(bars["time"], bars, HOUR, limit=20.0).count == 0


# --- stale -----------------------------------------------------------------------------------------------------------


def test_bars_that_repeat_the_one_before():
    bars = zigzag(12)
    for k in ("open", "high", "low", "close"):
        bars[k][4:8] = 100.0  # four equal bars: three repeats
    s = stale_of(bars["time"], bars, least=3)
    assert (s.runs, s.rows, s.longest, utc_text(s.at)) == (1, 3, 3, "2026-02-03T04:00Z")
    assert stale_of(bars["time"], bars, least=4).runs == 0


def test_an_equal_close_is_stale_only_without_volume():
    bars = zigzag(12)
    bars["close"][4:9] = bars["close"][4]
    assert stale_of(bars["time"], bars).runs == 0
    bars["volume"][5:9] = 0.0
    assert (stale_of(bars["time"], bars).rows, stale_of(bars["time"], bars).runs) == (4, 1)


def test_open_interest_that_does_not_move_in_coins_or_in_usd():
    time = hours(*range(6))
    columns = {"time": time, "coins": np.full(6, 5.0), "usd": np.arange(6.0)}
    assert stale_of(time, columns).runs == 0  # the value moves with the price
    assert stale_of(time, columns | {"usd": np.full(6, 7.0)}).rows == 5


# --- bad rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"high": 99.0},
        {"low": 101.0},
        {"close": 103.0},
        {"open": 97.0},
        {"low": 0.0},
        {"low": -1.0},
        {"high": np.inf},
        {"volume": -1.0},
    ],
)
def test_a_bar_that_contradicts_itself(change):
    bars = flat(hours(0, 1, 2)) | {"high": np.full(3, 102.0), "low": np.full(3, 98.0)}
    assert bad_rows("bars", bars["time"], bars).rows == 0
    for name, value in change.items():
        bars[name][1] = value
    b = bad_rows("bars", bars["time"], bars)
    assert (b.rows, utc_text(b.first), b.years, b.partial) == (1, "2026-02-03T01:00Z", ((2026, 1),), 0)


def test_a_rounding_error_is_no_contradiction():
    bars = flat(hours(0))
    bars["close"][0] += 1e-9
    assert bad_rows("bars", bars["time"], bars).rows == 0


def test_a_close_without_its_bar_is_partial():
    bars = flat(hours(0, 1))
    bars["open"][1] = bars["high"][1] = bars["low"][1] = np.nan
    assert (bad_rows("bars", bars["time"], bars).rows, bad_rows("bars", bars["time"], bars).partial) == (0, 1)


@pytest.mark.parametrize(
    ("kind", "columns", "wrong", "partial"),
    [
        ("funding", {"rate": [0.0001, -0.03, 0.06, np.nan, np.inf], "mark": [np.nan] * 5}, 2, 1),
        ("open_interest", {"coins": [1, np.nan, np.nan, 2, -1], "usd": [5, 5, np.nan, np.nan, 5]}, 1, 1),
        ("liquidations", {"long_usd": [0, -5, 1, 1, 1], "short_usd": [0, 1, np.nan, 1, 1]}, 1, 1),
        ("long_short_ratio", {"value": [1.5, 0, -1, 2, np.nan]}, 1, 1),
        ("value", {"value": [-5.0, 0, 1, np.inf, np.nan]}, 1, 1),
        ("premium", {k: [-0.001, 0.0, 0.001, 0.5, -1] for k in ("open", "high", "low", "close")}, 0, 0),
    ],
)
def test_what_can_not_be_differs_by_kind(kind, columns, wrong, partial):
    found = bad_rows(kind, hours(*range(5)), {k: np.array(v, dtype=float) for k, v in columns.items()})
    assert (found.rows, found.partial) == (wrong, partial)


# --- agreement -------------------------------------------------------------------------------------------------------


def days_of(closes, start=START, hours_each=24):
    """Hourly closes that end each day at the given one."""
    close = np.repeat(np.array(closes, dtype=float), hours_each)
    close[np.arange(close.size) % hours_each != hours_each - 1] += 1000.0  # only the last hour's close is the day's
    return {"time": start + HOUR * np.arange(close.size), "close": close}


def daily(closes, start=START):
    return {"time": start + DAY * np.arange(len(closes)), "close": np.array(closes, dtype=float)}


def test_hours_become_a_day_by_hand():
    columns = {
        "time": hours(22, 23, 24, 25),
        "open": np.array([10.0, 11.0, 12.0, 13.0]),
        "high": np.array([20.0, 15.0, 14.0, 16.0]),
        "low": np.array([9.0, 8.0, 11.0, 12.0]),
        "close": np.array([11.0, 12.0, 13.0, 14.0]),
        "volume": np.array([1.0, 2.0, 3.0, 4.0]),
    }
    two, complete = resample(columns, HOUR, 2 * HOUR)
    assert complete.all()
    assert {k: v.tolist() for k, v in two.items()} == {
        "time": hours(22, 24).tolist(),
        "open": [10.0, 12.0],
        "high": [20.0, 16.0],
        "low": [8.0, 11.0],
        "close": [12.0, 14.0],
        "volume": [3.0, 7.0],
    }
    assert resample(columns, HOUR, DAY)[1].tolist() == [False, False]
    assert resample({"time": hours(), "close": np.empty(0)}, HOUR, DAY)[1].size == 0


def test_weekly_bars_open_on_mondays():
    bars, complete = resample(daily(range(14), MONDAY), DAY, 7 * DAY)
    assert (bars["time"].tolist(), complete.all()) == ([MONDAY, MONDAY + 7 * DAY], True)


def test_two_sources_compared_by_their_days():
    a = agreement(days_of([100, 102, 101, 105]), HOUR, daily([100, 102, 102, 105]), DAY, "yahoo:BTC-USD")
    assert (a.compared, a.beyond, a.interval, a.incomplete) == (4, 1, DAY, 0)
    assert (a.largest, utc_text(a.at)) == (pytest.approx(1 / 102), "2026-02-05T00:00Z")
    assert (np.isnan(a.correlation), a.lag) == (True, 0)  # three returns say nothing


def test_a_day_with_a_missing_hour_is_not_compared():
    ours = days_of([100, 102, 101, 105])
    a = agreement({k: np.delete(v, 30) for k, v in ours.items()}, HOUR, daily([100, 999, 101, 105]), DAY)
    assert (a.compared, a.incomplete, a.beyond) == (3, 1, 0)


def test_a_price_that_is_not_there_is_not_compared():
    theirs = daily([100, np.nan, 101, 105])
    assert agreement(days_of([100, 102, 101, 105]), HOUR, theirs, DAY).compared == 3


def walk(n=60):
    return 100 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.02, n)))


@pytest.mark.parametrize(("moved", "lag"), [(0, 0), (1, -1), (-1, 1)])
def test_a_second_source_that_stamps_by_the_close_is_seen(moved, lag):
    closes = walk()
    a = agreement(days_of(closes), HOUR, daily(closes, START + moved * DAY), DAY, "the other")
    assert (a.lag, a.lag_correlation) == (lag, pytest.approx(1.0))
    told = assess("BTCUSDT.bars", "bars", days_of(closes), HOUR, agrees=a).findings
    assert any("it seems to stamp bars by their close" in f for f in told) == (lag == -1)
    assert any("are ours stamped by their close?" in f for f in told) == (lag == 1)


def test_sources_without_a_common_bar():
    a = agreement(days_of([1, 2]), HOUR, daily([1, 2], START + 9 * DAY), DAY, "yahoo:BTC-USD")
    assert (a.compared, a.at, np.isnan(a.largest)) == (0, None, True)
    q = assess("BTCUSDT.bars", "bars", days_of([1, 2]), HOUR, agrees=a)
    assert q.cells[-1] == "none compared"
    assert "BTCUSDT.bars 1h has no complete 1d bar in common with yahoo:BTC-USD." in q.findings


def test_intervals_that_do_not_nest():
    with pytest.raises(MarketError, match="Bars of 9h do not add up to bars of 1d"):
        agreement({"time": hours(0, 9), "close": np.ones(2)}, 9 * HOUR, daily([1]), DAY)


# --- the line and the sentences --------------------------------------------------------------------------------------


def test_a_series_without_fault_says_nothing():
    q = assess("BTCUSDT.bars", "bars", zigzag(30), HOUR)
    assert q.findings == ()
    assert dict(zip(HEADERS, q.cells, strict=True)) == {
        "series": "BTCUSDT.bars",
        "rows": "30",
        "span": "2026-02-03 to 2026-02-04",
        "gaps": "0",
        "duplicates": "0",
        "repairs": "0",
        "jumps": "0",
        "stale": "0",
        "bad": "0",
        "agreement": NOTHING,
    }


def test_every_fault_at_once():
    bars = zigzag(60)
    bars["close"][40], bars["high"][40] = 500.0, 500.0
    bars["high"][50] = 1.0
    for k in ("open", "high", "low", "close"):
        bars[k][20:25] = 100.0
    keep = np.delete(np.arange(60), [5, 6])
    rows = np.concatenate((keep, [10]))  # one row again, at the end
    other = agreement({k: bars[k][keep] for k in ("time", "close")}, HOUR, daily([50.0, 51.0]), DAY, "yahoo:BTC-USD")
    repairs = [Repair("stamps snapped to the grid", 4), Repair("rows left out", 0)]
    q = assess("BTCUSDT.bars", "bars", {k: v[rows] for k, v in bars.items()}, HOUR, repairs=repairs, agrees=other)
    assert q.cells[3:-1] == ("1 (2)", "1", "4", "2", "1", "1")
    assert q.findings == (
        "BTCUSDT.bars 1h misses 2 bars in 1 gap, the first after 2026-02-03T04:00Z.",
        "BTCUSDT.bars 1h has 1 duplicate row, the first at 2026-02-03T10:00Z.",
        "BTCUSDT.bars 1h: stamps snapped to the grid (4 rows).",
        q.findings[3],
        "BTCUSDT.bars 1h stands still in 1 run of 4 repeated rows, the longest of 4 from 2026-02-03T20:00Z on.",
        "BTCUSDT.bars 1h has 1 row that contradicts itself, in 2026; first 2026-02-05T02:00Z.",
        q.findings[6],
    )
    assert q.findings[3].startswith("BTCUSDT.bars 1h has 2 jumps beyond 20 robust sigmas, the largest of ")
    assert q.findings[3].endswith("; the next row undoes 1: wrong prices?")
    assert q.findings[6].startswith("BTCUSDT.bars 1h is over 0.50% from yahoo:BTC-USD in 1 of 1 1d bar, the largest ")


def test_no_row_at_all():
    for kind, names in (("bars", ("open", "high", "low", "close", "volume")), ("funding", ("rate",))):
        columns = {"time": np.empty(0, np.int64)} | {k: np.empty(0) for k in names}
        q = assess("X", kind, columns, HOUR if kind == "bars" else 0)
        assert q.findings == (("X 1h has no row.",) if kind == "bars" else ("X has no row.",))
        assert q.cells[1:3] == ("0", NOTHING)


def test_jumps_and_rest_mean_nothing_for_funding_and_liquidations():
    columns = {"time": hours(0, 8, 16, 24), "rate": np.full(4, 0.0001)}
    assert assess("X", "funding", columns, 0).cells[6:8] == (NOTHING, NOTHING)
    columns = {"time": hours(0, 1, 2, 3), "long_usd": np.zeros(4), "short_usd": np.zeros(4)}
    assert assess("X", "liquidations", columns, HOUR).findings == ()


def test_open_interest_is_measured_in_the_column_that_has_numbers():
    time = hours(*range(40))
    usd = zigzag(40)["close"]
    usd[20:] *= 5
    q = assess("X", "open_interest", {"time": time, "coins": np.full(40, np.nan), "usd": usd}, HOUR)
    assert (q.jumps.count, q.bad.partial) == (1, 0)


def test_the_record_is_json():
    q = assess("X", "bars", flat(hours(0, 1, 2)), HOUR)
    record = json.loads(json.dumps(q.record()))
    assert (record["rows"], record["jumps"]["largest"], record["missing"]["calendar"]) == (3, None, "every")


# --- the real files ----------------------------------------------------------------------------------------------------


def history(name):
    import pyarrow.parquet as pq

    table = pq.read_table(HISTORY / f"{name}.parquet")
    time = table["time"].cast("int64").to_numpy()
    return {"time": time} | {k: table[k].to_numpy() for k in table.column_names if k != "time"}


@needs_history
@pytest.mark.parametrize("coin", ["btc", "eth", "sol", "xrp", "bnb"])
def test_the_perpetuals_have_no_gap(coin):
    q = assess(coin, "bars", history(f"{coin}usdt_perp_1h_binance"), HOUR)
    assert (q.missing.rows, q.duplicates.rows, q.bad.rows, q.bad.partial, q.stale.runs) == (0, 0, 0, 0, 0)


@needs_history
def test_spot_misses_128_bars_in_28_gaps():
    q = assess("spot", "bars", history("btcusdt_spot_1h_binance"), HOUR)
    assert (q.rows, q.missing.gaps, q.missing.rows, q.missing.longest) == (78_246, 28, 128, 33)


@needs_history
def test_vix_has_47_bad_rows_before_2007():
    q = assess("vix", "bars", history("vix_1d_cboe"), DAY)
    assert q.bad.rows == sum(n for _, n in q.bad.years) == 47
    assert max(year for year, _ in q.bad.years) == 2006
    assert (
        "vix 1d has 47 rows that contradict themselves, in 1992-1996, 1998-1999, 2002, 2004, 2006; "
        "first 1992-02-11T00:00Z." in q.findings
    )
    assert q.missing.calendar == "weekdays"
    assert not any("misses" in f for f in q.findings)  # 303 holidays in 36 years


@needs_history
def test_the_sp500_file_is_close_only_before_2024():
    q = assess("sp500", "bars", history("sp500_1d"), DAY)
    assert (q.bad.rows, q.bad.partial) == (0, 2_123)


@needs_history
def test_four_hours_of_liquidations_are_missing():
    q = assess("liquidations", "liquidations", history("btc_liquidations_1h_coinglass"), HOUR)
    assert (q.missing.gaps, q.missing.rows) == (4, 4)


@needs_history
@pytest.mark.parametrize("coin", ["btc", "eth", "xrp"])
def test_funding_has_no_gap(coin):
    columns = history(f"{coin}usdt_funding_8h_binance")
    q = assess(coin, "funding", {"time": columns["time"], "rate": columns["funding_rate"]}, 0)
    assert (q.missing.rows, q.bad.rows) == (0, 0)


@needs_history
def test_the_largest_jumps_of_the_perpetual_are_of_black_thursday():
    q = assess("BTC", "bars", history("btcusdt_perp_1h_binance"), HOUR)
    assert (q.jumps.count, utc_text(q.jumps.at)) == (22, "2020-03-12T10:00Z")


@needs_history
def test_spot_and_perpetual_agree():
    spot, perp = history("btcusdt_spot_1d_binance"), history("btcusdt_perp_1h_binance")
    a = agreement(perp, HOUR, spot, DAY, "spot")
    assert (a.compared, a.incomplete, a.beyond, a.lag) == (2_180, 2, 0, 0)
    assert (a.largest, utc_text(a.at)) == (pytest.approx(0.003109, abs=1e-6), "2020-06-01T00:00Z")
    assert a.correlation == pytest.approx(0.99996, abs=1e-5)
    same = agreement(history("btcusdt_spot_1h_binance"), HOUR, spot, DAY)
    assert (same.compared, same.largest) == (2_291, 0.0)  # the same venue's own days
    hourly = agreement(perp, HOUR, history("btcusdt_spot_1h_binance"), HOUR)
    assert (hourly.compared, hourly.beyond, utc_text(hourly.at)) == (57_320, 20, "2019-09-08T17:00Z")


@needs_history
def test_days_stamped_by_their_close_are_seen_in_the_real_files():
    spot, perp = history("btcusdt_spot_1d_binance"), history("btcusdt_perp_1h_binance")
    a = agreement(perp, HOUR, spot | {"time": spot["time"] + DAY}, DAY)
    assert (a.lag, a.lag_correlation) == (-1, pytest.approx(0.99996, abs=1e-5))
