"""The core types of a market: what `head` cuts, when a feed is known, how funding snaps, what counts as a hole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import MarketError
from backtest.model import Feed, Funding, Mark, Market, Passport, Series

HOUR = 3_600_000_000_000
SECOND = 1_000_000_000
T0 = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z


def stamps(hours, codes=None, rates=None, none=frozenset()):
    hours = np.asarray(hours, dtype=np.float64)
    n = hours.size
    time = T0 + np.round(hours * HOUR).astype(np.int64)
    codes = np.zeros(n, np.int32) if codes is None else codes
    return Funding(time, codes, np.full(n, 0.0001) if rates is None else rates, np.full(n, np.nan), none)


def market(n=24, funding=None, feeds=None, symbols=("BTC",), **other):
    m = len(symbols)
    close = np.arange(1.0, n * m + 1).reshape(n, m)
    return Market(
        time=T0 + np.arange(n) * HOUR,
        interval=HOUR,
        symbols=symbols,
        open=close,
        high=close + 0.5,
        low=close - 0.5,
        close=close,
        volume=np.ones((n, m)),
        funding=funding if funding is not None else stamps([0, 8, 16, 24]),
        passport=Passport(()),
        feeds=feeds or {},
        **other,
    )


def test_head_cuts_bars_funding_feeds_marks_and_the_finer_market():
    daily = Feed("oi", T0 + np.array([0, 6, 12, 18]) * HOUR, np.array([1.0, 2.0, 3.0, 4.0]))
    mark = Mark(*(np.full((24, 1), 5.0) for _ in range(4)))
    fine_time = T0 + np.arange(48) * HOUR // 2
    flat = np.ones((48, 1))
    fine = Market(fine_time, HOUR // 2, ("BTC",), flat, flat, flat, flat, flat, stamps([]), Passport(()))
    head = market(feeds={"oi": daily}, mark=mark, fine=fine).head(12)
    assert len(head) == 12
    assert head.close[-1, 0] == 12.0
    assert head.funding.time.tolist() == [T0, T0 + 8 * HOUR]
    assert head.feeds["oi"].value.tolist() == [1.0, 2.0, 3.0]  # the third is known exactly at the close of bar 11
    assert head.mark is not None
    assert head.mark.close.shape == (12, 1)
    assert head.fine is not None
    assert len(head.fine) == 24


def test_head_of_nothing_and_of_more_than_there_is():
    feed = Feed("x", np.array([T0]), np.array([1.0]))
    none = market(feeds={"x": feed}).head(0)
    assert (len(none), none.funding.time.size, none.feeds["x"].value.size) == (0, 0, 0)
    assert len(market().head(100)) == 24


@given(st.integers(0, 24), st.integers(0, 24))
def test_head_of_a_head_is_the_shorter_head(a, b):
    feed = Feed("x", T0 + np.arange(0, 24, 5) * HOUR, np.arange(5.0))
    whole = market(feeds={"x": feed})
    twice, once = whole.head(a).head(b), whole.head(min(a, b))
    assert np.array_equal(twice.time, once.time)
    assert np.array_equal(twice.feeds["x"].value, once.feeds["x"].value)
    assert np.array_equal(twice.funding.time, once.funding.time)
    assert np.array_equal(once.feed("x"), whole.feed("x")[: min(a, b)], equal_nan=True)


def test_a_feed_is_known_from_its_known_at_on_and_not_before():
    feed = Feed("oi", np.array([10, 20]), np.array([1.0, 2.0]))
    got = feed.at(np.array([9, 10, 19, 20, 99]))
    assert np.isnan(got[0])
    assert got[1:].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert np.isnan(Feed("empty", np.array([]), np.array([])).at(np.array([1, 2]))).all()


def test_feed_by_bar_is_what_is_known_at_the_close():
    feed = Feed("oi", np.array([T0 + HOUR, T0 + 2 * HOUR + 1]), np.array([7.0, 8.0]))
    assert market(n=3, feeds={"oi": feed}).feed("oi").tolist() == [7.0, 7.0, 8.0]
    with pytest.raises(MarketError, match="Did you mean 'oi'"):
        market(feeds={"oi": feed}).feed("ooi")


@pytest.mark.parametrize(("known_at", "value"), [([2, 1], [1.0, 2.0]), ([1], [1.0, 2.0])])
def test_a_feed_out_of_order_or_of_two_lengths_is_refused(known_at, value):
    with pytest.raises(MarketError, match="oi"):
        Feed("oi", np.array(known_at), np.array(value))


def test_funding_snaps_to_the_second_and_sorts_by_time_then_symbol():
    time = np.array([T0 + 8 * HOUR + 7_000_000, T0 + 3_000_000, T0 - 4_000_000])
    funding = Funding(time, np.array([0, 1, 0]), np.array([0.3, 0.2, 0.1]), np.full(3, np.nan))
    assert funding.time.tolist() == [T0, T0, T0 + 8 * HOUR]
    assert funding.symbol.tolist() == [0, 1, 0]
    assert funding.rate.tolist() == [0.1, 0.2, 0.3]


def test_a_rate_that_is_not_a_number_is_refused():
    with pytest.raises(MarketError, match="hole"):
        stamps([0, 8], rates=np.array([0.0001, np.nan]))


@pytest.mark.parametrize(
    ("hours", "holes"),
    [
        ([0, 8, 16, 24], []),
        ([4, 8, 16, 24], []),  # 4h, then 8h: a change of interval is no hole
        ([0, 8, 16, 20, 24], []),
        ([0, 4, 16, 20, 24], [(4, 16)]),
        ([8, 16, 24], []),
        ([9, 12, 15, 18, 21, 24], [(0, 9)]),
        ([0, 4, 8, 12], [(12, 24)]),
        ([], [(0, 24)]),
        ([-8, 0, 8], [(8, 24)]),
        ([30, 38], [(0, 24)]),
    ],
)
def test_funding_holes(hours, holes):
    found = market(funding=stamps(hours)).funding_holes
    assert [((h.start - T0) // HOUR, (h.end - T0) // HOUR) for h in found] == holes


def test_a_hole_names_the_symbol_and_spot_has_none():
    both = market(funding=stamps([0, 8, 16], none=frozenset({"SPOT"})), symbols=("BTC", "SPOT"))
    assert both.funding_holes == ()
    other = market(funding=stamps([0, 8, 16]), symbols=("BTC", "ETH")).funding_holes
    assert [str(h) for h in other] == ["ETH has no funding between 2025-01-01T00:00Z and 2025-01-02T00:00Z"]


def test_holes_count_only_while_the_symbol_trades():
    close = np.arange(1.0, 25.0).reshape(24, 1)
    close[:16] = np.nan
    late = Market(
        T0 + np.arange(24) * HOUR, HOUR, ("BTC",), close, close, close, close, close, stamps([16, 20, 24]), Passport(())
    )
    assert late.funding_holes == ()


@pytest.mark.parametrize(
    ("origins", "grade"),
    [
        (["real", "real"], "A"),
        (["real", "missing"], "A"),
        (["real", "proxy"], "B"),
        (["proxy", "assumed"], "C"),
        (["assumed", "simulated", "proxy"], "D"),
    ],
)
def test_the_grade_is_that_of_the_weakest_series(origins, grade):
    assert Passport(tuple(Series(f"s{i}", o, "x") for i, o in enumerate(origins))).grade == grade


def test_the_passport_lists_findings_in_order():
    lines = (Series("a", "real", "x", findings=("one.", "two.")), Series("b", "real", "x", findings=("three.",)))
    assert Passport(lines).findings == ("one.", "two.", "three.")


def test_arrays_are_read_only_and_start_bar_follows_trade_from():
    whole = market(trade_from=T0 + 5 * HOUR)
    assert whole.start_bar == 5
    assert market().start_bar == 0
    for values in (whole.time, whole.close, whole.funding.rate, whole["BTC"].close):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def test_an_unknown_symbol_gets_a_suggestion():
    with pytest.raises(MarketError, match="Did you mean 'BTC'"):
        market()["BTCC"]
