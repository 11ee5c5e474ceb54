"""Yahoo through yfinance, against a server on loopback that answers as Yahoo's charts do."""

from datetime import date

import numpy as np
import pytest
from yahoo_places import IN_COINS, NOW, T, at

from backtest.errors import SourceError
from backtest.market.sources import Request
from backtest.model.arrays import DAY, HOUR, SECOND
from tests.servers.yahoo import Symbol

__all__ = ["at"]


MINUTE = 60 * SECOND


def days(*texts: str) -> list[int]:
    return [T(text) for text in texts]


# --- days -----------------------------------------------------------------------------------------------------------


def test_days_of_crypto_are_utc_s(at):
    # 2024-03-04 is day 63 after 2024-01-01: it opens at 103.
    page = at.page("BTC-USD", "2024-03-04", "2024-03-06")
    found = page.columns
    assert list(found) == ["time", "open", "high", "low", "close", "volume"], "known a day after its opening"
    assert found["time"].tolist() == days("2024-03-04", "2024-03-05")
    assert found["time"].dtype == np.int64
    assert found["open"].tolist() == [103.0, 104.0]
    assert found["high"].tolist() == [105.0, 106.0]
    assert found["low"].tolist() == [102.0, 103.0]
    assert found["close"].tolist() == [104.0, 105.0]
    # Yahoo's 1,000 are dollars: 1,000 / ((105 + 102 + 104) / 3), and of the next day's 106, 103 and 105.
    assert found["volume"].tolist() == pytest.approx([3000 / 311, 3000 / 314], rel=1e-15)
    assert page.notes == (IN_COINS,)
    assert (page.start, page.end, page.notes) == (T("2024-03-04"), T("2024-03-06"), (IN_COINS,))


def test_a_market_s_own_name_is_read_as_a_pair_with_the_dollar(at):
    page = at.page("BTCUSDT", "2024-03-04", "2024-03-06")
    assert page.columns["open"].tolist() == [103.0, 104.0]
    assert page.notes == (IN_COINS, "BTCUSDT was read as Yahoo's BTC-USD, in dollars.")


def test_a_day_of_macro_is_known_at_the_close_of_its_session(at):
    # New York went from UTC-5 to UTC-4 on Sunday 2024-03-10: the close moves from 21:00 to 20:00 UTC, the date does not.
    found = at.page("^GSPC", "2024-03-07", "2024-03-13").columns
    assert found["time"].tolist() == days("2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12")
    assert found["known_at"].tolist() == days(
        "2024-03-07T21:00Z", "2024-03-08T21:00Z", "2024-03-11T20:00Z", "2024-03-12T20:00Z"
    )
    assert found["volume"].tolist() == [0.0] * 4, "an index has none"


def test_the_volatility_index_closes_at_a_quarter_past_three_in_chicago(at):
    found = at.page("^VIX", "2024-03-08", "2024-03-12").columns
    assert found["time"].tolist() == days("2024-03-08", "2024-03-11")
    assert found["known_at"].tolist() == days("2024-03-08T21:15Z", "2024-03-11T20:15Z")


@pytest.mark.parametrize(
    ("symbol", "known"),
    [
        (Symbol(end=13.0), "2024-03-05T21:00Z"),  # today is a half day: the others were not
        (Symbol(end=16.25), "2024-03-05T21:15Z"),
        (Symbol(session=(0.0, 23.99)), "2024-03-06T05:00Z"),  # trades around the clock: its next midnight
        (Symbol(zone="Europe/London", session=(8.0, 16.5)), "2024-03-06T00:00Z"),  # no usual close on record
        (Symbol(metadata={"currentTradingPeriod": {}}), "2024-03-06T05:00Z"),
    ],
)
def test_when_a_day_was_known_is_never_said_too_early(at, symbol, known):
    at.server.symbols["DX-Y.NYB"] = symbol
    found = at.page("DX-Y.NYB", "2024-03-05", "2024-03-06").columns
    assert (found["time"].tolist(), found["known_at"].tolist()) == (days("2024-03-05"), days(known))


def test_the_dates_of_a_zone_east_of_utc_stay(at):
    at.server.symbols["^N225"] = Symbol(zone="Asia/Tokyo", session=(9.0, 15.0))
    found = at.page("^N225", "2024-03-04", "2024-03-06").columns
    assert found["time"].tolist() == days("2024-03-04", "2024-03-05")
    assert found["known_at"].tolist() == days("2024-03-04T15:00Z", "2024-03-05T15:00Z")


def test_rows_without_prices_are_left_out_and_said(at):
    at.server.symbols["^GSPC"].blank = (date(2024, 3, 5), date(2024, 3, 6))
    page = at.page("^GSPC", "2024-03-04", "2024-03-08")
    assert page.columns["time"].tolist() == days("2024-03-04", "2024-03-07")
    assert page.notes == ("Rows without prices, left out: 2 (2024-03-05, 2024-03-06).",)
    assert page.end == T("2024-03-08"), "covered: asking again brings nothing"


def test_a_span_that_begins_before_the_listing(at):
    at.server.symbols["BTC-USD"].first = date(2024, 2, 1)
    page = at.page("BTC-USD", "2024-01-01", "2024-02-03")
    assert page.columns["time"].tolist() == days("2024-02-01", "2024-02-02")
    assert page.start == T("2024-01-01")
    assert page.notes == (IN_COINS, "Yahoo has no bars of BTC-USD before 2024-02-01T00:00Z.")


# --- now ------------------------------------------------------------------------------------------------------------


def test_today_is_left_out_though_yahoo_gives_it(at):
    at.now = T("2024-03-14T12:00Z")
    at.server.symbols["BTC-USD"].now = at.now // SECOND
    page = at.page("BTC-USD", "2024-03-11", "2024-03-20")
    assert page.columns["time"].tolist() == days("2024-03-11", "2024-03-12", "2024-03-13")
    assert page.end == T("2024-03-14")


def test_the_latest_quote_is_no_second_row_of_its_day(at):
    at.now = T("2024-03-14T19:00Z")
    stock = at.server.symbols["^GSPC"]
    stock.now, stock.live = at.now // SECOND, T("2024-03-14T18:59:31Z") // SECOND
    page = at.page("^GSPC", "2024-03-12", "2024-03-20")
    assert page.columns["time"].tolist() == days("2024-03-12", "2024-03-13")


def test_a_session_that_is_not_over_though_utc_s_day_is(at):
    # The dollar index trades until New York's midnight: at 01:00 UTC its day is open.
    at.server.symbols["DX-Y.NYB"] = Symbol(session=(0.0, 23.99), now=T("2024-03-14T01:00Z") // SECOND)
    at.now = T("2024-03-14T01:00Z")
    page = at.page("DX-Y.NYB", "2024-03-11", "2024-03-20")
    assert page.columns["time"].tolist() == days("2024-03-11", "2024-03-12")
    assert page.end == T("2024-03-13"), "the 13th is asked for again"


def test_days_that_may_still_come_are_not_covered(at):
    # Saturday: Friday is there; the weekend, which looks like two late days, is asked for again on Monday.
    at.now = T("2024-03-16T23:00Z")
    at.server.symbols["^GSPC"].now = at.now // SECOND
    assert at.page("^GSPC", "2024-03-11", "2024-03-20").end == T("2024-03-16")
    at.now = T("2024-03-17T23:00Z")
    weekend = at.page("^GSPC", "2024-03-16", "2024-03-20")
    assert weekend.columns["time"].size == 0
    assert (weekend.start, weekend.end) == (T("2024-03-16"), T("2024-03-16"))


def test_a_weekend_long_ago_is_covered_without_rows(at):
    page = at.page("^GSPC", "2024-03-02", "2024-03-04")
    assert (page.columns["time"].size, page.end) == (0, T("2024-03-04"))


def test_a_span_in_the_future_needs_no_request(at):
    assert at.source.plan(at.request("BTC-USD", "2024-03-21", "2024-04-01")) == []


# --- less than a day ------------------------------------------------------------------------------------------------


def test_hours_of_crypto(at):
    page = at.page("BTC-USD", "2024-03-04", "2024-03-05", HOUR)
    assert page.columns["time"].tolist() == list(range(T("2024-03-04"), T("2024-03-05"), HOUR))
    assert "known_at" not in page.columns


def test_hours_of_a_session_keep_its_half_hour_through_the_change_of_clocks(at):
    found = at.page("^GSPC", "2024-03-08", "2024-03-12", HOUR).columns["time"]
    assert found.tolist() == [
        *range(T("2024-03-08T14:30Z"), T("2024-03-08T21:00Z"), HOUR),
        *range(T("2024-03-11T13:30Z"), T("2024-03-11T20:00Z"), HOUR),
    ]


def test_half_hours_have_no_rows_at_night(at):
    # yfinance makes them of quarter hours, and a row without prices for each that there is not.
    page = at.page("^GSPC", "2024-03-07", "2024-03-09", 30 * MINUTE)
    assert page.columns["time"].size == 26
    assert page.notes == ()
    assert at.server.spans[-1]["interval"] == "15m"


def test_the_latest_quote_is_no_bar(at):
    at.now = T("2024-03-19T20:00Z")
    at.server.symbols["BTC-USD"].now = at.now // SECOND
    at.server.symbols["BTC-USD"].live = T("2024-03-19T19:10:07Z") // SECOND
    found = at.page("BTC-USD", "2024-03-19", "2024-03-20", HOUR).columns["time"]
    assert (found % HOUR == 0).all()
    assert found[-1] == T("2024-03-19T19:00Z")


def test_minutes_are_asked_for_seven_days_at_a_time(at):
    parts = at.source.plan(at.request("BTC-USD", "2024-03-12", "2024-03-20", MINUTE))
    assert [(p.start, p.end) for p in parts] == [
        (T("2024-03-12"), T("2024-03-19")),
        (T("2024-03-19"), T("2024-03-20")),
    ]
    assert sum(at.source.page(p).columns["time"].size for p in parts) == 8 * 1440


@pytest.mark.parametrize(
    ("symbol", "interval", "start", "said"),
    [
        ("BTC-USD", HOUR, "2022-01-01",
         "Yahoo limits 1h bars to the last 730 days; the span starts 2022-01-01. Use interval 1d, or source binance."),
        ("BTCUSDT", 5 * MINUTE, "2024-01-01",
         "Yahoo limits 5m bars to the last 60 days; the span starts 2024-01-01. "
         "Use interval 1h or 1d, or source binance."),
        ("^GSPC", 15 * MINUTE, "2022-01-01",
         "Yahoo limits 15m bars to the last 60 days; the span starts 2022-01-01. Use interval 1d."),
        ("^VIX", MINUTE, "2024-03-11",
         "Yahoo limits 1m bars to the last 8 days; the span starts 2024-03-11. Use interval 1h or 1d."),
    ],
)  # fmt: skip
def test_a_span_too_old_for_its_interval(at, symbol, interval, start, said):
    with pytest.raises(SourceError) as caught:
        at.source.plan(at.request(symbol, start, "2024-03-20", interval))
    assert (str(caught.value), caught.value.cause) == (said, "too_old")
    assert at.server.asked == [], "said before anything is asked"


@pytest.mark.parametrize(
    ("interval", "reach"), [(MINUTE, 8), (2 * MINUTE, 60), (5 * MINUTE, 60), (30 * MINUTE, 60), (HOUR, 730)]
)
def test_the_limits_are_days_back_from_now(at, interval, reach):
    def plan(start: int) -> list[Request]:
        return at.source.plan(Request("yahoo", "BTC-USD", "bars", interval, start, NOW))

    assert plan(NOW - reach * DAY)
    with pytest.raises(SourceError):
        plan(NOW - reach * DAY - SECOND)


def test_days_have_no_limit(at):
    assert len(at.source.plan(at.request("^GSPC", "1970-01-01", "2024-03-20"))) == 1


@pytest.mark.parametrize(
    ("kind", "interval", "said"),
    [
        ("funding", 0, r"Yahoo has no funding\."),
        ("bars", 4 * HOUR, r"Yahoo gives bars of 1m, 2m, 5m, 15m, 30m, 1h, 1d, not of 4h\."),
    ],
)
def test_what_yahoo_does_not_have(at, kind, interval, said):
    with pytest.raises(SourceError, match=said):
        at.source.plan(Request("yahoo", "BTC-USD", kind, interval, T("2024-03-01"), NOW))
