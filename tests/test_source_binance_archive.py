"""Binance's archive, against one on loopback: which files are asked for, and what becomes of those that are not there."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from binance_archive_made import FUTURES, NOW, asked, day, fetch, path, server, source, times
from hypothesis import given
from hypothesis import strategies as st
from servers.binance_archive import (
    DAY,
    HOUR,
    at,
    day_of,
)

from backtest.market.sources import COLUMNS

__all__ = ["server"]


def spans(request, now=NOW):
    """Return the plan as texts: "2026-01" for a month, "2026-03-01" for a day."""
    return [
        f"{np.datetime64(p.start, 'ns').astype('M8[h]')}/{(p.end - p.start) // HOUR}" for p in source(now).plan(request)
    ]


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
