"""What a run says of its data: the line of the tiers from a venue, and how each subject stands for each symbol."""

import pytest

from backtest.market.tiers import tier_lines
from backtest.model import Instrument, TierTable, Venue
from backtest.model.passport import Passport, Series
from backtest.model.standing import SUBJECTS, Standing, standing
from backtest.venues import load_venue

JAN, FEB, MAR = 1_767_225_600_000_000_000, 1_769_904_000_000_000_000, 1_772_323_200_000_000_000  # of 2026


def table(name, date, assumed=False, rate=0.01):
    return TierTable(name, date, f"origin of {name}", (0.0, 100.0), (rate, 0.02), (50.0, 25.0), assumed)


def venue(*tables, default=None):
    return Venue("made", Instrument(1, 0, (default or table("default", 0),)), {"BTC": Instrument(1, 0, tables)})


def line(*tables, start=FEB, end=MAR):
    return tier_lines(venue(*tables), ["BTC"], start, end)[0]


def test_published_tiers_from_before_the_start_are_real():
    found = line(table("old", JAN), table("older", 0))
    assert (found.name, found.origin, found.source) == ("BTC.tiers", "real", "old (origin of old)")
    assert (found.start, found.end, found.rows, found.findings) == (FEB, MAR, 2, ())


def test_every_table_that_was_in_force_is_named():
    found = line(table("old", JAN), table("new", FEB + 1), table("later", MAR))
    assert found.source == "old (origin of old); new (origin of new)"
    assert (found.origin, found.rows) == ("real", 4)


def test_tiers_dated_after_the_start_stand_in_for_those_before():
    found = line(table("new", FEB + 1))
    assert found.origin == "proxy"
    assert found.findings == (
        "BTC.tiers: new, which came into force on 2026-02-01, stands in from 2026-02-01 on.",
    )  # fmt: skip
    assert line(table("future", MAR + 1)).origin == "proxy"  # not in force at any time, but the first there is


def test_tiers_that_are_not_published_are_assumed():
    found = line(table("old", JAN), table("new", FEB + 1, assumed=True))
    assert (found.origin, found.findings) == ("assumed", ("BTC.tiers: not published, assumed: new.",))
    assert line(table("old", 0, assumed=True), table("new", JAN)).origin == "real"  # no longer in force


def test_a_symbol_without_tiers_of_its_own_has_the_default_assumed():
    found = tier_lines(venue(table("own", 0)), ["ETH"], FEB, MAR)[0]
    assert (found.origin, found.name) == ("assumed", "ETH.tiers")
    assert found.findings == ("ETH.tiers: made has no table for ETH; its default (default) is assumed.",)


def test_the_hash_is_of_the_figures():
    assert line(table("a", JAN)).sha256 == line(table("b", JAN)).sha256
    assert line(table("a", JAN)).sha256 != line(table("a", JAN, rate=0.015)).sha256


@pytest.mark.parametrize(
    ("symbol", "origin"), [("BTCUSDT", "real"), ("SOLUSDT", "real"), ("AXLUSDT", "assumed")]
)  # fmt: skip
def test_a_shipped_venue_in_2026(symbol, origin):
    assert tier_lines(load_venue("binance-usdm"), [symbol], FEB, MAR)[0].origin == origin


def test_a_shipped_venue_in_2020():
    found = tier_lines(load_venue("binance-usdm"), ["BTCUSDT"], 1_583_020_800_000_000_000, 1_586_995_200_000_000_000)[0]
    assert found.origin == "proxy"
    assert "came into force on 2021-03-18, stands in from 2020-03-01 on" in found.findings[0]


def test_every_subject_of_every_symbol_is_told():
    passport = Passport(
        (
            Series("BTC.bars", "real", "a"),
            Series("BTC.fine", "simulated", "b"),
            Series("BTC.mark", "proxy", "BTC.bars"),
            Series("BTC.funding", "real", "c"),
            Series("BTC.long_liquidations", "proxy", "BTC.open_interest"),
            Series("BTC.short_liquidations", "missing", "BTC.open_interest"),
            Series("BTC.open_interest_coins", "real", "d"),
            Series("BTC.basis", "assumed", "e"),
            Series("ETH.bars", "real", "f"),
            Series("vix", "real", "g"),
        )
    )
    tiers = tier_lines(venue(table("own", 0)), ["BTC", "ETH"], FEB, MAR)
    found = {(s.symbol, s.subject): s for s in standing(passport, ["BTC", "ETH"], tiers)}
    assert len(found) == 2 * 6 + 1
    assert {subject for _, subject in found} == set(SUBJECTS)
    assert [found["BTC", s].origin for s in SUBJECTS[:-1]] == [
        "simulated", "proxy", "real", "real", "missing", "real"
    ]  # fmt: skip
    assert [found["ETH", s].origin for s in SUBJECTS[:-1]] == [
        "real", "missing", "missing", "missing", "missing", "assumed"
    ]  # fmt: skip
    assert found["", "macro"] == Standing("", "macro", "real", passport.series[-1:])
    assert [s.name for s in found["BTC", "liquidations"].series] == ["BTC.long_liquidations", "BTC.short_liquidations"]


def test_without_a_feed_macro_is_missing():
    assert standing(Passport((Series("BTC.bars", "real", "a"),)), ["BTC"])[-1] == Standing("", "macro", "missing", ())
