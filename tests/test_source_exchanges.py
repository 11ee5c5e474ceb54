"""Binance, Bybit and OKX through ccxt, against servers on loopback that answer as each of them documents."""

from itertools import pairwise

import numpy as np
import pytest
from exchange_places import MINUTE, START, at, quick, venue

from backtest.errors import SourceError
from backtest.model.arrays import DAY, HOUR, SECOND
from tests.servers import book as made
from tests.servers.book import JULY

__all__ = ["at", "quick"]


# --- rows, worked by hand -------------------------------------------------------------------------------------------

# 2025-07-01T00:00Z is hour 486,480 and day 20,270 of the epoch; see tests/servers/book.py for a bar's numbers.


def test_bars(at):
    found = at.columns("bars", HOUR, 0, 3 * HOUR)
    assert found["time"].tolist() == [START, START + HOUR, START + 2 * HOUR]
    assert found["time"].dtype == np.int64
    assert found["open"].tolist() == [100.0, 101.0, 102.0]
    assert found["high"].tolist() == [102.0, 103.0, 104.0]
    assert found["low"].tolist() == [99.0, 100.0, 101.0]
    assert found["close"].tolist() == [101.0, 102.0, 103.0]
    assert found["volume"].tolist() == [0.5, 1.5, 2.5], "coins, not contracts"


def test_mark_has_no_volume(at):
    found = at.columns("mark", HOUR, 0, 2 * HOUR)
    assert list(found) == ["time", "open", "high", "low", "close"]
    assert found["close"].tolist() == [101.0, 102.0]
    assert all("ark" in path for path in at.data_paths())


@pytest.mark.parametrize("at", ["binance", "bybit"], indirect=True)
def test_premium(at):
    assert at.columns("premium", HOUR, 0, HOUR)["open"].tolist() == [100.0]
    assert all("remium" in path for path in at.data_paths())


@venue("okx")
def test_okx_has_no_premium(at):
    with pytest.raises(SourceError, match=r"OKX has no premium\."):
        at.pages("premium", HOUR, 0, HOUR)


def test_funding(at):
    # 8-hourly number 60,810 of the epoch is that of 2025-07-01T00:00Z; 60,810 % 3 = 0.
    found = at.columns("funding", 0, 0, DAY)
    assert found["time"].tolist() == [START, START + 8 * HOUR, START + 16 * HOUR]
    assert found["rate"].tolist() == pytest.approx([0.0, 0.0001, 0.0002])


@venue("binance")
def test_funding_carries_the_mark_price_where_binance_gives_it(at):
    found = at.columns("funding", 0, 0, DAY)
    assert np.isnan(found["mark"][0])
    assert found["mark"][1:].tolist() == [50_000.5, 50_000.5]


@venue("okx")
def test_okx_funding_is_the_realized_rate(at):
    # The server gives 0.0005 more as the predicted one.
    assert at.columns("funding", 0, 8 * HOUR, 9 * HOUR)["rate"].tolist() == pytest.approx([0.0001])


def test_open_interest(at):
    # 486,480 + 24 * 20 = 486,960 hours, and 486,960 % 7 = 5.
    found = at.columns("open_interest", HOUR, 20 * DAY, 20 * DAY + 2 * HOUR)
    assert found["coins"].tolist() == [1005.0, 1006.0]
    usd = [np.nan, np.nan] if at.source.name == "bybit" else [50_250_000.0, 50_300_000.0]
    np.testing.assert_array_equal(found["usd"], usd)
    assert list(found) == ["time", "coins", "usd"], "known one interval after its stamp, which needs no column"


def test_days_open_at_midnight_utc(at):
    bars = at.columns("bars", DAY, 0, 2 * DAY)
    assert bars["time"].tolist() == [START, START + DAY]
    interest = at.columns("open_interest", DAY, 20 * DAY, 22 * DAY)
    assert interest["time"].tolist() == [START + 20 * DAY, START + 21 * DAY]


@venue("okx")
def test_okx_days_are_asked_for_in_utc(at):
    at.pages("bars", DAY, 0, DAY)
    at.pages("open_interest", DAY, 20 * DAY, 21 * DAY)
    asked = [q.query.get("bar") or q.query.get("period") for q in at.server.asked if "instruments" not in q.path]
    assert asked == ["1Dutc", "1Dutc"], "1D opens at 16:00 UTC"


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "kind", "interval", "days", "pages"),
    [
        ("binance", "bars", HOUR, 50, 2),  # 1,200 rows in pages of 998
        ("bybit", "mark", HOUR, 50, 2),
        ("okx", "bars", HOUR, 50, 5),  # of 298
        ("okx", "mark", HOUR, 8, 2),  # 192 rows in pages of 98
        ("binance", "open_interest", 5 * MINUTE, 2, 2),  # 576 rows in pages of 498
        ("bybit", "open_interest", HOUR, 10, 2),  # 240 rows in pages of 198
        ("bybit", "funding", 0, 70, 2),  # 210 rows in pages of 66 days
        ("binance", "funding", 0, 70, 1),
    ],
    indirect=["at"],
)
def test_a_span_is_cut_by_the_limit_of_the_call(at, kind, interval, days, pages):
    start = 30 * DAY - days * DAY if kind != "open_interest" else 15 * DAY
    parts = at.source.plan(at.request(kind, interval, start, start + days * DAY))
    assert len(parts) == pages
    assert parts[0].start == START + start
    assert parts[-1].end == START + start + days * DAY
    assert all(a.end == b.start for a, b in pairwise(parts))
    found = at.columns(kind, interval, start, start + days * DAY)
    every = interval or 8 * HOUR
    assert found["time"].tolist() == list(range(START + start, START + start + days * DAY, every))
    assert len(at.data_paths()) == pages, "one call a page"


def test_a_page_that_ends_early_is_asked_again_from_its_last_row(at):
    at.book.most = 7
    found = at.columns("bars", HOUR, 0, DAY)
    assert found["time"].tolist() == list(range(START, START + DAY, HOUR))
    assert found["open"].tolist() == [100.0 + k % 10 for k in range(24)]
    assert len(at.data_paths()) == 4, "7 + 7 + 7 + 3 rows"
    assert not at.pages("bars", HOUR, 0, DAY)[0].notes


def test_funding_by_the_hour_is_complete_though_a_page_counts_on_eight(at):
    at.book.funding_every = made.HOUR
    start = 0 if at.source.name == "okx" else -20 * DAY
    found = at.columns("funding", 0, start, 35 * DAY)
    assert found["time"].tolist() == list(range(START + start, START + 35 * DAY, HOUR))


def test_stamps_that_jitter_are_moved_to_the_grid_and_fundings_to_the_second(at):
    at.book.jitter = lambda k: (k % 3 - 1) * 4  # -4, 0 or 4 ms
    assert at.columns("bars", HOUR, 0, 3 * DAY)["time"].tolist() == list(range(START, START + 3 * DAY, HOUR))
    start = 15 * DAY
    for kind, every in (("funding", 8 * HOUR), ("open_interest", HOUR)):
        interval = 0 if kind == "funding" else every
        ends = range(start, start + 3 * DAY, DAY)
        pages = [p for a in ends for p in at.pages(kind, interval, a, a + DAY)]
        times = np.concatenate([p.columns["time"] for p in pages])
        assert times.tolist() == list(range(START + start, START + start + 3 * DAY, every)), (
            "none lost between two pages"
        )


def test_funding_off_the_hour_keeps_its_second(at):
    at.book.jitter = lambda k: 1_383_085  # OKX has had fundings at such times
    assert at.columns("funding", 0, 0, 8 * HOUR)["time"].tolist() == [START + 1_383 * SECOND]


def test_a_row_off_the_grid_is_left_out_and_said(at):
    at.book.jitter = lambda k: made.HOUR // 2 if k == 486_481 else 0
    page = at.pages("bars", HOUR, 0, 3 * HOUR)[0]
    assert page.columns["time"].tolist() == [START, START + 2 * HOUR]
    assert page.notes == ("Rows of 1h bars of BTCUSDT off the grid, left out: 1.",)


def test_a_hole_is_covered_and_said(at):
    at.book.holes = [(JULY + 6 * made.HOUR, JULY + 30 * made.HOUR)]
    first, second = (at.pages("bars", HOUR, a, a + DAY)[0] for a in (0, DAY))
    title = at.source.terms.title
    assert first.columns["time"].tolist() == list(range(START, START + 6 * HOUR, HOUR))
    assert (first.start, first.end) == (START, START + DAY)
    said = f"{title} has no 1h bars of BTCUSDT from 2025-07-01T06:00Z to 2025-07-02T00:00Z."
    assert first.notes == (said,)
    assert second.notes == (f"{title} has no 1h bars of BTCUSDT from 2025-07-02T00:00Z to 2025-07-02T06:00Z.",)


def test_a_span_before_the_listing_is_covered_without_rows(at):
    at.book.listed = JULY
    page = at.pages("bars", HOUR, -2 * DAY, -DAY)[0]
    assert page.columns["time"].size == 0
    assert (page.start, page.end) == (START - 2 * DAY, START - DAY)
    assert page.notes[0].endswith("has no 1h bars of BTCUSDT from 2025-06-29T00:00Z to 2025-06-30T00:00Z.")
    assert at.columns("bars", HOUR, -DAY, HOUR)["time"].tolist() == [START]


# --- now ------------------------------------------------------------------------------------------------------------


def test_a_bar_that_is_open_is_not_asked_for(at):
    at.now[0] = START + 5 * HOUR + 30 * MINUTE
    parts = at.source.plan(at.request("bars", HOUR, 0, DAY))
    assert [(p.start, p.end) for p in parts] == [(START, START + 5 * HOUR)]
    assert at.columns("bars", HOUR, 0, DAY)["time"][-1] == START + 4 * HOUR
    assert at.source.plan(at.request("bars", HOUR, 5 * HOUR, DAY)) == []
    assert at.source.plan(at.request("bars", HOUR, 2 * DAY, 3 * DAY)) == []


def test_a_bar_that_is_late_is_not_covered(at):
    at.now[0] = START + 5 * HOUR + SECOND
    at.book.holes = [(JULY + 4 * made.HOUR, JULY + 9 * made.HOUR)]
    page = at.pages("bars", HOUR, 0, DAY)[0]
    assert (page.end, page.notes) == (START + 4 * HOUR, ())
    page = at.pages("bars", HOUR, 4 * HOUR, DAY)[0]
    assert (page.start, page.end, page.columns["time"].size) == (START + 4 * HOUR, START + 4 * HOUR, 0)


def test_a_funding_that_is_not_published_yet_is_not_covered(at):
    at.now[0] = START + 8 * HOUR + SECOND
    page = at.pages("funding", 0, 0, DAY)[0]
    assert page.columns["time"].tolist() == [START]
    assert page.end == START + 8 * HOUR + SECOND - 10 * MINUTE


def test_hours_between_two_fundings_are_no_fault(at):
    at.now[0] = START + 30 * DAY
    page = at.pages("funding", 0, HOUR, 7 * HOUR)[0]
    assert page.columns["time"].size == 0
    assert page.end == START + 7 * HOUR
