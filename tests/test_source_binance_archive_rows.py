"""Rows of the archive's files: the oddities of klines, funding, metrics and liquidations."""

import numpy as np
from binance_archive_made import FUTURES, asked, day, fetch, path, refused, server, times
from servers.binance_archive import (
    DAY,
    FUNDING_HEADER,
    HOUR,
    KLINE_HEADER,
    METRICS_HEADER,
    MINUTE,
    SNAPSHOT_HEADER,
    at,
    klines,
)

__all__ = ["server"]


# --- oddities of klines ----------------------------------------------------------------------------------------------


def test_the_header_may_be_there_or_not(server):
    name = path("BTCUSDT-1h-2026-02-03")
    with_header = klines("BTCUSDT", HOUR, at("2026-02-03"), at("2026-02-04"))
    assert with_header.startswith(KLINE_HEADER)
    server.files[name] = with_header
    first = day("2026-02-03")
    server.files[name] = with_header.removeprefix(KLINE_HEADER + "\n")
    second = day("2026-02-03")
    server.files[name] = "\ufeff" + with_header.replace("\n", "\r\n")
    third = day("2026-02-03")
    for page in (second, third):
        assert {k: v.tolist() for k, v in page.columns.items()} == {k: v.tolist() for k, v in first.columns.items()}
    assert first.columns["time"].size == 24


def test_spot_stamps_are_microseconds_from_2025_on(server):
    rows = "1735686000000,93548.8,93600.0,93500.0,93576.0,12.5,1735689599999,0,1,0,0,0\n"  # 2024-12-31T23:00Z
    server.files[path("BTCUSDT-1h-2024-12-31", root="/data/spot")] = rows
    server.files[path("BTCUSDT-1h-2025-01-01", root="/data/spot")] = (
        "1735689600000000,93576.0,94509.42,93489.03,94401.14,755.99,1735693199999999,0,1,0,0,0\n"
    )
    old, new = fetch(asked("2024-12-31", "2025-01-02", symbol="spot/BTCUSDT"))[:2]
    assert times(old) == ["2024-12-31T23:00:00"]
    assert times(new) == ["2025-01-01T00:00:00"]
    assert {k: v.tolist() for k, v in new.columns.items() if k != "time"} == {
        "open": [93576.0], "high": [94509.42], "low": [93489.03], "close": [94401.14], "volume": [755.99],
    }  # fmt: skip


def test_rows_come_sorted_and_once(server):
    line = "{},100,101,99,{},5,0,0,0,0,0,0\n"
    t = at("2026-02-03") // 10**6
    hours = [t, t + 7_200_000, t + 3_600_000, t + 3_600_000]
    server.files[path("BTCUSDT-1h-2026-02-03")] = "".join(line.format(h, 100) for h in hours)
    page = day("2026-02-03")
    assert times(page) == ["2026-02-03T00:00:00", "2026-02-03T01:00:00", "2026-02-03T02:00:00"]
    assert page.notes == ("The source repeats 1 row, first at 2026-02-03T01:00Z; they are the same.",)
    server.files[path("BTCUSDT-1h-2026-02-03")] = "".join(line.format(h, 100 + i / 10) for i, h in enumerate(hours))
    page = day("2026-02-03")
    assert page.columns["close"].tolist() == [100.0, 100.3, 100.1]
    assert page.notes[0].endswith("1 of them differ, and the last is kept.")


def test_a_number_that_is_missing_is_nan(server):
    t = at("2026-02-03") // 10**6
    server.files[path("BTCUSDT-1h-2026-02-03")] = (
        f'{t},100,101,99,100,,0,0,0,0,0,0\n{t + 3_600_000},1,1,1,1,"",0,0,0,0,0,0\n'
    )
    assert np.isnan(day("2026-02-03").columns["volume"]).tolist() == [True, True]


def test_a_page_keeps_to_its_span(server):
    (page,) = fetch(asked("2026-02-03T05:00", "2026-02-03T08:00"))
    assert times(page) == ["2026-02-03T05:00:00", "2026-02-03T06:00:00", "2026-02-03T07:00:00"]
    assert (page.start, page.end) == (at("2026-02-03T05:00"), at("2026-02-03T08:00"))


# --- oddities of funding ---------------------------------------------------------------------------------------------


def test_funding_stamps_lose_their_jitter_and_keep_their_interval(server):
    stamps = [("2026-02-01T00:00:00.000", 8), ("2026-02-01T08:00:00.011", 8), ("2026-02-01T15:59:59.998", 8),
              ("2026-02-01T20:00:00.004", 4), ("2026-02-02T00:00:00.000", 4), ("2026-02-02T01:00:00.001", 1)]  # fmt: skip
    rows = [f"{at(t) // 10**6},{hours},{0.0001 * (i - 1):.8f}" for i, (t, hours) in enumerate(stamps)]
    server.files[f"{FUTURES}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-02.zip"] = "\n".join(
        [FUNDING_HEADER, *rows]
    )
    (page,) = fetch(asked("2026-02-01", "2026-03-01", "funding"))
    assert times(page) == ["2026-02-01T00:00:00", "2026-02-01T08:00:00", "2026-02-01T16:00:00",
                           "2026-02-01T20:00:00", "2026-02-02T00:00:00", "2026-02-02T01:00:00"]  # fmt: skip
    assert page.columns["rate"].tolist() == [-0.0001, 0.0, 0.0001, 0.0002, 0.0003, 0.0004]
    assert set(page.columns) == {"time", "rate"}
    assert page.notes == (
        "BTCUSDT is funded each 4 h from 2026-02-01T20:00Z, each 8 h before.",
        "BTCUSDT is funded each 1 h from 2026-02-02T01:00Z, each 4 h before.",
    )


def test_funding_may_lack_its_header(server):
    rows = f"{at('2026-02-01') // 10**6},8,0.00010000\n"
    server.files[f"{FUTURES}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-02.zip"] = rows
    (page,) = fetch(asked("2026-02-01", "2026-03-01", "funding"))
    assert page.columns["rate"].tolist() == [0.0001]


# --- oddities of metrics ---------------------------------------------------------------------------------------------


def metrics_day(server, date, *rows):
    """Put a file of metrics there: each row a stamp and its open interest in coins."""
    lines = [f"{stamp},BTCUSDT,{coins},{coins * 70_000},1.1,1.2,{coins / 100},0.9" for stamp, coins in rows]
    server.files[path(f"BTCUSDT-metrics-{date}", "metrics", interval="")] = "\n".join([METRICS_HEADER, *lines])


def known(page):
    return [str(np.datetime64(int(t), "ns").astype("M8[s]")) for t in page.columns["known_at"]]


def test_metrics_bore_the_end_of_their_period_and_now_bear_its_start(server):
    server.until = "2026-08-01"
    metrics_day(server, "2026-06-24", ("2026-06-24 00:05:00", 100), ("2026-06-25 00:00:00", 200))
    metrics_day(server, "2026-06-25", ("2026-06-25 00:00:00", 300), ("2026-06-25 23:55:00", 400))
    old, new = fetch(asked("2026-06-24", "2026-06-26", "open_interest", 5 * MINUTE), now=at("2026-07-10"))
    assert times(old) == ["2026-06-24T00:00:00", "2026-06-24T23:55:00"]
    assert known(old) == ["2026-06-24T00:05:00", "2026-06-25T00:00:00"]
    assert times(new) == ["2026-06-25T00:00:00", "2026-06-25T23:55:00"]
    assert known(new) == ["2026-06-25T00:05:00", "2026-06-26T00:00:00"], "not five minutes before it was known"
    assert old.columns["coins"].tolist() + new.columns["coins"].tolist() == [100, 200, 300, 400]
    assert old.columns["usd"].tolist() == [7_000_000, 14_000_000]


def test_metrics_of_a_bar_are_the_last_in_it_and_known_when_that_was(server):
    metrics_day(
        server, "2026-02-03", ("2026-02-03 00:30:00", 1), ("2026-02-03 01:00:00", 2), ("2026-02-03 01:40:00", 3),
        ("2026-02-03 03:05:00", 4), ("2026-02-04 00:00:00", 5),
    )  # fmt: skip
    page = day("2026-02-03", "open_interest")
    assert times(page) == ["2026-02-03T00:00:00", "2026-02-03T01:00:00", "2026-02-03T03:00:00", "2026-02-03T23:00:00"]
    assert known(page) == ["2026-02-03T01:00:00", "2026-02-03T01:40:00", "2026-02-03T03:05:00", "2026-02-04T00:00:00"]
    assert page.columns["coins"].tolist() == [2, 3, 4, 5], "a hole is a hole: no bar for 02:00"
    ratio = day("2026-02-03", "long_short_ratio", interval=DAY)
    assert (times(ratio), ratio.columns["value"].tolist()) == (["2026-02-03T00:00:00"], [0.05])


def test_metrics_written_some_seconds_late_stand_on_their_grid(server):
    metrics_day(
        server, "2026-02-03", ("2026-02-03 00:05:01", 1), ("2026-02-03 00:11:40", 2), ("2026-02-04 00:00:00", 3)
    )
    page = day("2026-02-03", "open_interest", interval=5 * MINUTE)
    assert times(page) == ["2026-02-03T00:00:00", "2026-02-03T00:05:00", "2026-02-03T23:55:00"]
    assert known(page) == ["2026-02-03T00:05:00", "2026-02-03T00:11:40", "2026-02-04T00:00:00"]


def test_metrics_of_the_last_minutes_may_lie_in_the_next_file(server):
    metrics_day(server, "2026-02-03", ("2026-02-03 00:00:00", 1), ("2026-02-03 23:55:00", 2))
    metrics_day(server, "2026-02-04", ("2026-02-04 00:00:00", 3), ("2026-02-04 00:05:00", 4))
    page = day("2026-02-03", "open_interest", interval=5 * MINUTE)
    assert times(page) == ["2026-02-03T23:50:00", "2026-02-03T23:55:00"]
    assert page.columns["coins"].tolist() == [2, 3]
    server.files[path("BTCUSDT-metrics-2026-02-04", "metrics", interval="")] = None
    assert times(day("2026-02-03", "open_interest", interval=5 * MINUTE)) == ["2026-02-03T23:50:00"]


def test_an_old_day_of_metrics_from_midnight_on_is_known_five_minutes_later(server):
    stamps = [str(np.datetime64(at("2026-02-03") + n * 5 * MINUTE, "ns").astype("M8[s]")) for n in range(289)]
    metrics_day(server, "2026-02-03", *[(stamp.replace("T", " "), 1) for stamp in stamps[:288]])  # 00:00 to 23:55
    server.files[path("BTCUSDT-metrics-2026-02-04", "metrics", interval="")] = None
    page = day("2026-02-03", "open_interest", interval=5 * MINUTE)
    assert (times(page)[0], known(page)[0]) == ("2026-02-03T00:00:00", "2026-02-03T00:10:00")
    assert page.notes == (
        "Metrics whose stamps may be the starts of their five minutes rather than the ends, since a whole day of them begins "
        "at 00:00, are taken as known five minutes later.",
    )
    metrics_day(server, "2026-02-03", *[(stamp.replace("T", " "), 1) for stamp in stamps[1:]])  # 00:05 to 24:00
    page = day("2026-02-03", "open_interest", interval=5 * MINUTE)
    assert (times(page)[0], known(page)[0], page.notes) == ("2026-02-03T00:00:00", "2026-02-03T00:05:00", ())


def test_metrics_of_one_row_a_day_are_that_of_its_midnight(server):
    for date, coins in (("2026-02-03", 1), ("2026-02-04", 2)):
        metrics_day(server, date, (date, coins))
    page = day("2026-02-03", "open_interest", interval=DAY)
    assert (times(page), known(page)) == (["2026-02-03T00:00:00"], ["2026-02-04T00:00:00"])
    assert page.columns["coins"].tolist() == [2]


def test_metrics_may_have_empty_cells_and_repeated_rows(server):
    lines = ['2026-02-03 00:05:00,BTCUSDT,100,7000,"","",1.5,0.9', "2026-02-03 00:05:00,BTCUSDT,100,7000,1.0,1.0,1.5,0.9",
             '2026-02-03 00:10:00,BTCUSDT,,"",,,,', "2026-02-04 00:00:00,BTCUSDT,5,6,7,8,9,10"]  # fmt: skip
    server.files[path("BTCUSDT-metrics-2026-02-03", "metrics", interval="")] = (
        "\n".join([METRICS_HEADER, *lines]) + "\n"
    )
    page = day("2026-02-03", "open_interest", interval=5 * MINUTE)
    np.testing.assert_array_equal(page.columns["coins"], [100, np.nan, 5])
    assert "repeats 1 row" in page.notes[0]
    taker = day("2026-02-03", "taker_ratio", interval=5 * MINUTE)
    np.testing.assert_array_equal(taker.columns["value"], [0.9, np.nan, 10])


def test_the_ratio_of_takers_is_not_made_up_for_longer_bars(server):
    assert str(refused(asked("2026-02-01", "2026-02-02", "taker_ratio"))) == (
        "Binance's archive gives taker_ratio of 5m, not of 1h."
    )


# --- liquidations ----------------------------------------------------------------------------------------------------


def test_liquidations_are_summed_by_bar_and_side(server):
    rows = [
        ("00:10:00", "SELL", 100.0, 2.0), ("00:50:00", "SELL", 90.0, 1.0), ("00:59:59.999", "BUY", 95.0, 4.0),
        ("05:00:00", "BUY", 80.0, 0.5), ("05:00:00", "BUY", 80.0, 0.5),
    ]  # fmt: skip
    lines = [f"{at(f'2024-03-30T{t}') // 10**6},{side},LIMIT,IOC,9,{p},{p},FILLED,{q},{q}" for t, side, p, q in rows]
    server.files[path("BTCUSDT-liquidationSnapshot-2024-03-30", "liquidationSnapshot", interval="")] = "\n".join(
        [SNAPSHOT_HEADER, *lines]
    )
    page = day("2024-03-30", "liquidations")
    assert page.columns["time"].size == 24, "an hour without liquidations is zero, not missing"
    columns = {name: values[[0, 1, 5]].tolist() for name, values in page.columns.items() if name != "time"}
    assert columns == {
        "long_usd": [290.0, 0.0, 0.0], "long_coins": [3.0, 0.0, 0.0],
        "short_usd": [380.0, 0.0, 40.0], "short_coins": [4.0, 0.0, 0.5],
    }  # fmt: skip
    assert page.notes == ("2024-03-30 repeats 1 liquidation; each is counted once.",)


def test_a_day_without_liquidations_is_zero(server):
    server.files[path("BTCUSDT-liquidationSnapshot-2024-03-30", "liquidationSnapshot", interval="")] = (
        SNAPSHOT_HEADER + "\n"
    )
    page = day("2024-03-30", "liquidations", interval=4 * HOUR)
    assert page.columns["long_usd"].tolist() == [0.0] * 6


def test_liquidations_end_with_march_2024(server):
    assert fetch(asked("2024-03-31", "2024-04-01", "liquidations"))[0].columns["time"].size == 24
    error = refused(asked("2024-03-01", "2026-03-15", "liquidations"))
    assert (error.cause, str(error)) == (
        "refused",
        "Binance's archive ends its liquidations on 2024-03-31; the span ends 2026-03-14. "
        'Use source coinalyze (recent ones), a file of your own, or declare a proxy: { proxy = "open_interest" }.',
    )
