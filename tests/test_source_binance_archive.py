"""Binance's archive, against one on loopback: which files are asked for, what their oddities become, and what goes wrong."""

import hashlib
import io
import tracemalloc
import zipfile
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.binance_archive import (
    DAY,
    FUNDING_HEADER,
    HOUR,
    KLINE_HEADER,
    METRICS_HEADER,
    MINUTE,
    SNAPSHOT_HEADER,
    Archive,
    at,
    day_of,
    klines,
    zipped,
)

from backtest.errors import SourceError
from backtest.market.sources import COLUMNS, Request, get_source, http
from backtest.market.sources.binance_archive import BinanceArchive

NOW = at("2026-03-20T10:00")
FUTURES = "/data/futures/um"
KEPT = "what was fetched so far is kept"
UNREAD = "Binance's archive sent something that can't be read"
LATER = f"Run the command again later; {KEPT}, or use source bybit or okx."


@pytest.fixture
def server(monkeypatch):
    with Archive(until="2026-03-19") as server:  # the day before `NOW` is not there yet
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", server.url)
        monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0")
        yield server


def asked(start, end, kind="bars", interval=HOUR, symbol="BTCUSDT"):
    return Request("binance-archive", symbol, kind, 0 if kind == "funding" else interval, at(start), at(end))


def source(now=NOW):
    return BinanceArchive(now=lambda: now)


def fetch(request, now=NOW):
    """Return the pages of a whole plan."""
    archive = source(now)
    return [archive.page(part) for part in archive.plan(request)]


def day(date, kind="bars", **options):
    """Return the one page of a day."""
    (page,) = fetch(asked(date, day_of(at(date) + DAY), kind, **options))
    return page


def refused(request, now=NOW):
    with pytest.raises(SourceError) as caught:
        fetch(request, now)
    return caught.value


def spans(request, now=NOW):
    """Return the plan as texts: "2026-01" for a month, "2026-03-01" for a day."""
    return [
        f"{np.datetime64(p.start, 'ns').astype('M8[h]')}/{(p.end - p.start) // HOUR}" for p in source(now).plan(request)
    ]


def path(name, kind="klines", period="daily", interval="1h", root=FUTURES):
    symbol = name.split("-")[0]
    return f"{root}/{period}/{kind}/{symbol}/{f'{interval}/' if interval else ''}{name}.zip"


def times(page):
    return [str(np.datetime64(int(t), "ns").astype("M8[s]")) for t in page.columns["time"]]


# --- which files -----------------------------------------------------------------------------------------------------


def test_whole_months_come_from_monthly_files_and_the_rest_from_daily_ones(server):
    pages = fetch(asked("2026-01-30", "2026-03-02T06:00"))
    assert [p for p in server.paths if "CHECKSUM" not in p] == [
        f"{FUTURES}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-01-30.zip",
        f"{FUTURES}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-01-31.zip",
        f"{FUTURES}/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2026-02.zip",
        f"{FUTURES}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-03-01.zip",
        f"{FUTURES}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-03-02.zip",
    ]
    time = np.concatenate([p.columns["time"] for p in pages])
    assert time.tolist() == list(range(at("2026-01-30"), at("2026-03-02T06:00"), HOUR))
    assert (pages[0].start, pages[0].end) == (at("2026-01-30"), at("2026-01-31"))
    assert all(a.end == b.start for a, b in pairwise(pages))


def test_every_file_is_followed_by_its_checksum(server):
    day("2026-02-03")
    assert server.paths[1] == server.paths[0] + ".CHECKSUM"


@pytest.mark.parametrize(
    ("kind", "symbol", "place"),
    [
        ("bars", "BTCUSDT", f"{FUTURES}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-02-03.zip"),
        ("mark", "BTCUSDT", f"{FUTURES}/daily/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2026-02-03.zip"),
        ("premium", "BTCUSDT", f"{FUTURES}/daily/premiumIndexKlines/BTCUSDT/1h/BTCUSDT-1h-2026-02-03.zip"),
        ("funding", "BTCUSDT", f"{FUTURES}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-02.zip"),
        ("open_interest", "BTCUSDT", f"{FUTURES}/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-02-03.zip"),
        ("long_short_ratio", "BTCUSDT", f"{FUTURES}/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-02-03.zip"),
        ("bars", "spot/BTCUSDT", "/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-02-03.zip"),
    ],
)
def test_each_kind_has_its_place(server, kind, symbol, place):
    page = day("2026-02-03", kind, symbol=symbol)
    assert server.paths[0] == place
    assert set(COLUMNS[kind]) <= set(page.columns)
    assert all(values.dtype == np.float64 for name, values in page.columns.items() if name not in ("time", "known_at"))
    assert page.columns["time"].dtype == np.int64
    assert page.columns["time"].size == (3 if kind == "funding" else 24)


@given(st.integers(0, 24 * 90), st.integers(1, 24 * 90))
def test_a_plan_covers_its_span_once_and_no_page_crosses_a_file(start, length):
    a = at("2025-11-20") + start * HOUR
    request = replace(asked("2026-01-01", "2026-01-02"), start=a, end=min(a + length * HOUR, NOW))
    plan = source().plan(request)
    assert (plan[0].start, plan[-1].end) == (request.start, request.end)
    assert all(p.end == q.start for p, q in pairwise(plan))
    for part in plan[:-1]:
        months = {str(np.datetime64(t, "ns"))[:7] for t in (part.start, part.end - 1)}
        assert len(months) == 1
        assert part.end - part.start <= DAY or (str(np.datetime64(part.start, "ns"))[8:13] == "01T00")


def test_the_month_that_runs_comes_by_days_and_today_not_at_all(server):
    plan = spans(asked("2026-03-01", "2026-04-01"))
    assert plan[:2] == ["2026-03-01T00/24", "2026-03-02T00/24"]
    assert plan[-2:] == ["2026-03-19T00/24", "2026-03-20T00/288"]
    last = source().page(source().plan(asked("2026-03-01", "2026-04-01"))[-1])
    assert (last.start, last.end) == (at("2026-03-20"), at("2026-03-20")), "covers nothing, so it is asked for again"
    assert last.notes == (
        "BTCUSDT bars from 2026-03-20 on is not published yet: the file of a day comes on the next. Source binance has it already.",
    )
    assert server.asked == []


def test_funding_comes_by_months_whatever_the_span(server):
    pages = fetch(asked("2026-01-10T04:00", "2026-02-02", "funding"))
    assert [p for p in server.paths if "CHECKSUM" not in p] == [
        f"{FUTURES}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-0{m}.zip" for m in (1, 2)
    ]
    assert times(pages[0])[:2] == ["2026-01-10T08:00:00", "2026-01-10T16:00:00"]
    assert times(pages[1]) == ["2026-02-01T00:00:00", "2026-02-01T08:00:00", "2026-02-01T16:00:00"]


def test_funding_of_the_month_that_runs_is_not_published_yet(server):
    *_, last = fetch(asked("2026-02-01", "2026-03-10", "funding"))
    assert (last.start, last.end) == (at("2026-03-01"), at("2026-03-01"))
    assert "a month's file comes after its end. Source binance has it already." in last.notes[0]


# --- what is not there -----------------------------------------------------------------------------------------------


def test_a_missing_day_is_a_hole_with_a_note(server):
    server.files[path("BTCUSDT-1h-2026-02-03")] = None
    page = day("2026-02-03")
    assert (page.start, page.end) == (at("2026-02-03"), at("2026-02-04"))
    assert page.columns["time"].size == 0
    assert set(page.columns) == {"time", *COLUMNS["bars"]}
    assert page.notes == ("BTCUSDT bars: Binance's archive has no file of 2026-02-03.",)


def test_a_day_that_is_not_published_yet_is_asked_for_again(server):
    page = day("2026-03-19")  # ended ten hours ago
    assert (page.start, page.end) == (at("2026-03-19"), at("2026-03-19"))
    assert "not published yet" in page.notes[0]
    server.until = "2026-03-20"
    assert day("2026-03-19").columns["time"].size == 24


def test_a_month_that_is_late_comes_by_its_days(server):
    server.files[path("BTCUSDT-1h-2026-02", period="monthly")] = None
    (page,) = fetch(asked("2026-02-01", "2026-03-01"), now=at("2026-03-02T10:00"))
    assert page.columns["time"].tolist() == list(range(at("2026-02-01"), at("2026-03-01"), HOUR))
    assert page.notes == ("The monthly file of BTCUSDT for 2026-02 is missing: its daily files were taken.",)


def test_a_month_that_is_late_ends_where_its_days_are_not_published_yet(server):
    server.files[path("BTCUSDT-1h-2026-02", period="monthly")] = None
    server.until = "2026-02-28"
    (page,) = fetch(asked("2026-02-01", "2026-03-01"), now=at("2026-03-01T03:00"))
    assert (page.start, page.end) == (at("2026-02-01"), at("2026-02-28"))
    assert times(page)[-1] == "2026-02-27T23:00:00"
    assert "not published yet" in page.notes[-1]


def test_an_old_month_without_its_file_comes_by_the_days_that_are_listed(server):
    server.files[path("BTCUSDT-1h-2021-02", period="monthly")] = None
    server.files[path("BTCUSDT-1h-2021-02-10")] = None
    (page,) = fetch(asked("2021-02-01", "2021-03-01"))
    assert page.columns["time"].size == 27 * 24
    assert (page.start, page.end) == (at("2021-02-01"), at("2021-03-01"))
    assert page.notes == (
        "The monthly file of BTCUSDT for 2021-02 is missing: its daily files were taken, of which 1 are missing, too.",
    )
    assert not any("2021-02-10" in p for p in server.paths), "the listing says which days there are"


def test_an_old_month_without_any_file_is_a_hole(server):
    server.since = "2020-09-14"
    for pages in (
        fetch(asked("2020-08-01", "2020-09-01")),
        fetch(asked("2020-08-01", "2020-09-01"), now=at("2020-09-06")),
    ):
        assert pages[0].columns["time"].size == 0
        assert pages[0].end == at("2020-09-01")
        assert pages[0].notes == ("BTCUSDT bars: Binance's archive has no file of 2020-08.",)


def test_without_the_listing_days_are_tried_and_what_is_missing_is_not_covered(server):
    server.lists = False
    server.files[path("BTCUSDT-1h-2026-02", period="monthly")] = None
    (page,) = fetch(asked("2026-02-01", "2026-03-01"), now=at("2026-03-02T10:00"))
    assert page.columns["time"].size == 28 * 24
    unknown = day("2026-02-03", symbol="NOSUCHUSDT")
    assert unknown.notes == (
        "data/futures/um/daily/klines/NOSUCHUSDT/1h has no file of 2026-02-03, and whether it has any can't be found out; "
        "it is asked for again next time.",
    )
    assert unknown.end == unknown.start
    server.files[path("BTCUSDT-1h-2021-02", period="monthly")] = None
    (page,) = fetch(asked("2021-02-01", "2021-03-01"))
    assert (page.end, page.columns["time"].size) == (page.start, 0)


def test_what_is_older_than_all_files_is_covered_without_asking(server):
    pages = fetch(asked("2020-08-30", "2020-09-02", "open_interest"))
    assert [(day_of(p.start), day_of(p.end)) for p in pages] == [
        ("2020-08-30", "2020-09-01"),
        ("2020-09-01", "2020-09-02"),
    ]
    assert pages[0].notes == ("BTCUSDT open_interest: Binance's archive has no files before 2020-09-01.",)
    assert set(pages[0].columns) == {"time", "coins", "usd", "known_at"}


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


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_is_tried_once_more(server):
    name = path("BTCUSDT-1h-2026-02-03")
    server.fail("body", match=".CHECKSUM", body=b"0" * 64 + b"  BTCUSDT-1h-2026-02-03.zip\n")
    assert day("2026-02-03").columns["time"].size == 24
    assert server.paths.count(name) == 2


def test_a_checksum_that_stays_wrong_is_a_sentence(server):
    name = path("BTCUSDT-1h-2026-02-03")
    body = zipped("BTCUSDT-1h-2026-02-03.csv", klines("BTCUSDT", HOUR, at("2026-02-03"), at("2026-02-04")))
    server.files[name], server.sums[name] = body, f"{'ab' * 32}  BTCUSDT-1h-2026-02-03.zip\n"
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (
        "checksum",
        "Binance's archive sent a file that does not match its published SHA-256 (BTCUSDT-1h-2026-02-03.zip has "
        f"{hashlib.sha256(body).hexdigest()[:12]}..., published is abababababab..., 2 tries). {LATER}",
    )
    assert server.paths.count(name) == 2


def test_a_file_without_a_checksum_is_taken_and_noted(server):
    server.sums[path("BTCUSDT-1h-2026-02-03")] = None
    page = day("2026-02-03")
    assert page.columns["time"].size == 24
    assert page.notes == ("BTCUSDT-1h-2026-02-03.zip has no published SHA-256; it was not checked against one.",)


@pytest.mark.parametrize("text", ["<html>no</html>", "", "zzzz  BTCUSDT-1h-2026-02-03.zip"])
def test_a_checksum_that_is_none_is_a_sentence(server, text):
    server.sums[path("BTCUSDT-1h-2026-02-03")] = text
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert error.cause == "malformed"
    assert "checksum" in str(error)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"PK\x03\x04 broken", "a broken zip file"),
        (zipped("a.csv", "x" * 999)[:-30], "a broken zip file"),
        (zipped("a.txt", "1,2\n"), "a zip file of 0 CSV files"),
        (zipped("a.csv", "open_time,open\n1770076800000,1\n"), "no column high, low, close, volume; it has open_time, open"),
        (zipped("a.csv", "1770076800000,1,2\n"), "its CSV can't be read"),
        (zipped("a.csv", "1770076800000,a,1,1,1,1,0,0,0,0,0,0\n"), "its CSV can't be read"),
        (zipped("a.csv", "soon,1,1,1,1,1,0,0,0,0,0,0\n"), "no column open_time"),
        (zipped("a.csv", "17700,1,1,1,1,1,0,0,0,0,0,0\n"), "a stamp that is neither in ms nor in us: 17700"),
        (zipped("a.csv", "1767225600000,1,1,1,1,1,0,0,0,0,0,0\n"), "has rows of 2026-01-01, none of its own time"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_documented_is_a_sentence(server, body, why):
    server.files[path("BTCUSDT-1h-2026-02-03")] = body
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert error.cause == "malformed"
    assert str(error).startswith("Binance's archive sent something that can't be read (BTCUSDT-1h-2026-02-03.zip")
    assert why in str(error)
    assert str(error).endswith(LATER)


def test_a_file_without_rows_is_a_sentence(server):
    server.files[path("BTCUSDT-1h-2026-02-03")] = KLINE_HEADER + "\n"
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (
        "empty",
        "Binance's archive answered without a row of BTCUSDT (BTCUSDT-1h-2026-02-03.zip). "
        "Check the symbol and the span, or use source bybit or okx.",
    )


@pytest.mark.parametrize(
    ("kind", "options", "cause", "sentence"),
    [
        ("html", {}, "malformed", f"{UNREAD} (HTML in place of a zip file, 2 tries). {LATER}"),
        ("half", {}, "malformed", f"{UNREAD} (half an answer: the connection ended "
         f"before the whole was there, 2 tries). {LATER}"),
        ("empty", {}, "malformed", f"{UNREAD} (0 bytes that are no zip file, 2 tries). {LATER}"),
        ("status", {"status": 451}, "geo_blocked",
         "Binance's archive does not answer from this country (451). Use source bybit or okx."),
        ("status", {"status": 403}, "refused", "Binance's archive refused the request (HTTP 403). "
         "Check the symbol and the span, or use source bybit or okx."),
        ("status", {"status": 429, "headers": {"Retry-After": "900"}}, "rate_limited", "Binance's archive allows no more requests "
         f"for now (HTTP 429, and asks to wait 900 s). Run the command again later; {KEPT}."),
        ("status", {"status": 503}, "offline", "Binance's archive can't be reached (HTTP 503, 5 tries). "
         f"Check the network and run the command again; {KEPT}."),
        ("reset", {}, "offline", "Binance's archive can't be reached (127.0.0.1 closed the connection, 5 tries). "
         f"Check the network and run the command again; {KEPT}."),
        ("hang", {}, "timeout", f"Binance's archive did not answer in time (127.0.0.1 sent nothing for 0.3 s, 5 tries). {LATER}"),
    ],
)  # fmt: skip
def test_every_fault_of_the_connection_is_a_sentence(server, monkeypatch, kind, options, cause, sentence):
    monkeypatch.setitem(http.ask.__kwdefaults__, "timeout", 0.3)
    server.fail(kind, times=99, **options)
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (cause, sentence)


def test_half_a_zip_file_fails_its_checksum(server):
    name = path("BTCUSDT-1h-2026-02-03")
    whole = server.file(name)
    server.files[name], server.sums[name] = whole[: len(whole) // 2], hashlib.sha256(whole).hexdigest()
    assert refused(asked("2026-02-03", "2026-02-04")).cause == "checksum"


def test_offline_is_a_sentence(server):
    server.stop()
    error = refused(asked("2026-02-03", "2026-02-04"))
    assert (error.cause, str(error)) == (
        "offline",
        "Binance's archive can't be reached (127.0.0.1 refused the connection, 5 tries). "
        f"Check the network and run the command again; {KEPT}.",
    )


@pytest.mark.parametrize("kind", ["bars", "funding", "open_interest"])
def test_a_symbol_that_there_is_not_is_a_sentence(server, kind):
    error = refused(asked("2026-01-01", "2026-02-01", kind, symbol="BTCUSD"))
    assert error.cause == "unknown_symbol"
    assert str(error).startswith("Binance's archive has no symbol 'BTCUSD' (there is no data/futures/um/")
    assert str(error).endswith("Symbols look like BTCUSDT, or spot/BTCUSDT.")


@pytest.mark.parametrize(
    ("symbol", "like"),
    [("btcusdt", "BTCUSDT"), ("BTC/USDT:USDT", "BTCUSDT"), ("BTCUSDT_PERP.A", "BTCUSDT"), ("Spot/BTCUSDT", "BTCUSDT")],
)
def test_a_symbol_spelled_as_elsewhere_is_told_how_it_is_here(server, symbol, like):
    error = refused(asked("2026-02-01", "2026-02-02", symbol=symbol))
    assert str(error) == (
        f"Binance's archive has no symbol {symbol!r}. Symbols look like BTCUSDT, or spot/BTCUSDT. Did you mean {like!r}?"
    )
    assert server.asked == []


def test_spot_has_bars_alone():
    assert str(refused(asked("2026-02-01", "2026-02-02", "funding", symbol="spot/BTCUSDT"))) == (
        "Binance's archive has no funding of spot/BTCUSDT: spot has bars alone. Use the perpetual, BTCUSDT."
    )


def test_a_span_before_all_files_is_a_sentence():
    error = refused(asked("2017-01-01", "2019-01-01"))
    assert (error.cause, str(error)) == (
        "too_old",
        "Binance's archive has nothing that old (bars of BTCUSDT begin 2019-09-01; the span starts 2017-01-01). "
        "Use a later start, or another source.",
    )


def test_pages_are_fetched_side_by_side(server):
    from concurrent.futures import ThreadPoolExecutor

    server.work = 0.05
    archive = get_source("binance-archive")
    plan = archive.plan(asked("2026-02-03", "2026-02-19"))
    with ThreadPoolExecutor(archive.concurrency) as pool:
        pages = list(pool.map(archive.page, plan))
    assert sum(p.columns["time"].size for p in pages) == 16 * 24
    assert server.busiest == archive.concurrency == 8


# --- a server that has nothing, and one that has too much --------------------------------------------------------------


def test_404_on_everything_covers_nothing(server):
    server.lists, server.symbols = False, ()
    for kind in ("bars", "funding", "open_interest"):
        pages = fetch(asked("2025-12-30", "2026-03-02", kind))
        assert all(page.end == page.start and not page.columns["time"].size for page in pages)
        assert "whether it has any can't be found out" in pages[0].notes[0]


@pytest.mark.parametrize("period", ["daily", "monthly"])
def test_a_hole_is_one_where_any_other_file_was_seen(server, period):
    server.lists = False
    server.files[path("BTCUSDT-1h-2026-02-04")] = None
    archive = source()
    seen = asked("2026-02-05", "2026-02-06") if period == "daily" else asked("2026-01-01", "2026-02-01")
    assert archive.page(seen).columns["time"].size
    page = archive.page(asked("2026-02-04", "2026-02-05"))
    assert (page.start, page.end) == (at("2026-02-04"), at("2026-02-05"))
    assert page.notes == ("BTCUSDT bars: Binance's archive has no file of 2026-02-04.",)


def test_a_zip_file_that_grows_beyond_measure_is_not_unpacked(server):
    name = "BTCUSDT-1h-2026-02-03"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed, packed.open(f"{name}.csv", "w") as file:
        for _ in range(129):
            file.write(bytes(1 << 20))
    honest = out.getvalue()
    lying = honest.replace((129 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert (len(honest) < 200_000, lying != honest) == (True, True)
    for body in (honest, lying):
        server.files[path(name)] = body
        tracemalloc.start()
        error = refused(asked("2026-02-03", "2026-02-04"))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (error.cause, most < 64 << 20) == ("malformed", True)
        why = "where there is one of at most 128 MiB" if body is honest else "a broken zip file"
        assert why in str(error)
