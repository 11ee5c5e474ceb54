"""Every mistake in a market's files is a sentence on stderr with exit code 2, and leaves results/ as it was."""

import numpy as np
import pandas as pd
import pytest
from command import CLOSES, FIRST, MARKET, bars_csv, call, document, write_market
from spoilt import assert_refused, cell, edited, here, run

__all__ = ["here"]


def test_the_market_is_good_before_it_is_spoilt(here):
    assert run().exit_code == 0


# --- files of bars ---------------------------------------------------------------------------------------------------


BARS = {
    "empty": ("", ("bars.csv", "the file is empty")),
    "only a header": ("time,open,high,low,close,volume\n", ("bars.csv", "no rows")),
    "no column names": (bars_csv().split("\n", 1)[1], ("bars.csv", "the first line must name the columns")),
    "a column missing": (
        "\n".join(line.rsplit(",", 2)[0] for line in bars_csv().splitlines()),
        ("bars.csv", "no column `close`", "found: time, open, high, low"),
    ),
    "text among numbers": (cell(3, 4, "n.a."), ("bars.csv", "row 3 of `close`", "'n.a.'", "not a number")),
    "cut in half": (bars_csv()[: len(bars_csv()) // 2 + 5], ("bars.csv", "line 7", "cut off")),
    "no text at all": (b"\x89PNG\r\n\x1a\n\x00\xff", ("bars.csv", "not UTF-8 text")),
    "times that are none": (
        cell(2, 0, "yesterday"),
        ("bars.csv", "row 2", "'yesterday'", "not an epoch time like the other rows"),
    ),
    "times in two units": (cell(2, 0, str((FIRST + 3600) * 1000)), ("bars.csv", "mixed units", "ms from row 2")),
    "a wrong zone": (
        bars_csv(first=FIRST + 1800),
        ("BTCUSDT 1h", "12 bars off the 1h grid of UTC", "2026-01-01T00:30Z", "declare their zone"),
    ),
    "duplicates": (
        edited(lambda lines: [*lines[:4], lines[3], *lines[4:]]),
        ("BTCUSDT 1h has 1 duplicate bar", "the first at 2026-01-01T02:00Z"),
    ),
    "out of order": (
        edited(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
        ("BTCUSDT 1h has 1 bar out of order, the first at 2026-01-01T00:00Z; sort the file.\n",),
    ),
    "a gap": (
        edited(lambda lines: lines[:5] + lines[7:]),
        ("BTCUSDT 1h has a gap of 2 bars after 2026-01-01T03:00Z", 'gaps = "forward_fill"'),
    ),
    "another interval": (
        bars_csv(step=900),
        ("BTCUSDT 1h has bars 15m apart, not 1h as declared", "12 bars"),
    ),
    "a price missing": (
        cell(5, 4, ""),
        ("BTCUSDT 1h has 1 bar without a price (NaN), the first at 2026-01-01T04:00Z; complete the file",),
    ),
    "high below low": (cell(4, 2, "90"), ("BTCUSDT 1h: 1 bar has high < low", "2026-01-01T03:00Z")),
    "a close outside": (cell(4, 4, "120"), ("BTCUSDT 1h: 1 bar has its close outside its range", "2026-01-01T03:00Z")),
    "a price of zero": (cell(6, 3, "0"), ("BTCUSDT 1h: 1 bar has a price that is not above zero", "2026-01-01T05:00Z")),
    "a price below zero": (cell(6, 3, "-5"), ("BTCUSDT 1h: 1 bar has a price that is not above zero",)),
    "an infinite price": (cell(6, 2, "inf"), ("BTCUSDT 1h: 1 bar has an infinite price", "2026-01-01T05:00Z")),
    "a negative volume": (cell(2, 5, "-1"), ("BTCUSDT 1h: 1 bar has a volume below zero", "2026-01-01T01:00Z")),
    "other years": (
        bars_csv(first=FIRST - 86_400 * 365),
        ("BTCUSDT 1h has no bar in the span 2026-01-01T00:00Z", "the source covers 2025-01-01T00:00Z"),
    ),
}


@pytest.mark.parametrize("what", BARS)
def test_bars_that_must_not_be_used(here, what):
    bars, phrases = BARS[what]
    write_market(here, bars)
    assert_refused(run(), "bars.csv", *phrases)


def test_several_mistakes_of_a_file_are_told_together(here):
    write_market(here, edited(lambda lines: [lines[0], *(line.rsplit(",", 1)[0] + ",-1" for line in lines[1:])]))
    assert_refused(run(), "12 bars have a volume below zero or infinite", "the first at 2026-01-01T00:00Z")


def test_a_file_that_is_not_there(here):
    (here / "bars.csv").unlink()
    assert_refused(run(), "BTCUSDT.bars", "bars.csv", "there is no such file in")


def test_a_folder_in_place_of_a_file(here):
    (here / "bars.csv").unlink()
    (here / "bars.csv").mkdir()
    assert_refused(run(), "BTCUSDT.bars", "bars.csv")


def test_a_parquet_file_cut_in_half(here):
    frame = pd.read_csv(here / "bars.csv")
    frame.to_parquet(here / "bars.parquet")
    whole = (here / "bars.parquet").read_bytes()
    write_market(here, market=MARKET.replace("bars.csv", "bars.parquet"))
    assert run("--results", "elsewhere").exit_code == 0
    (here / "bars.parquet").write_bytes(whole[: len(whole) // 2])
    assert_refused(run(), "bars.parquet", "cut off or broken")
    (here / "bars.parquet").write_bytes(whole[: len(whole) // 2] + whole[-200:])
    assert_refused(run(), "bars.parquet", "broken")


def test_a_parquet_file_with_a_damaged_name(here):
    pd.read_csv(here / "bars.csv").to_parquet(here / "bars.parquet")
    write_market(here, market=MARKET.replace("bars.csv", "bars.parquet"))
    whole = (here / "bars.parquet").read_bytes()
    (here / "bars.parquet").write_bytes(whole.replace(b"volume", b"\xffolume"))
    assert_refused(run(), "bars.parquet", "cut off or broken")


def test_a_kind_of_file_that_is_not_known(here):
    write_market(here, market=MARKET.replace("bars.csv", "bars.xlsx"))
    (here / "bars.xlsx").write_bytes(b"PK")
    assert_refused(run(), "bars.xlsx", "only .parquet and .csv files")


def test_two_symbols_that_never_meet(here):
    market = MARKET.replace("T12:00Z", "T23:00Z") + '\n[ETHUSDT]\nbars = "late.csv"\nfunding = "none"\n'
    write_market(here, market=market)
    (here / "late.csv").write_text(bars_csv(CLOSES[:6], FIRST + 15 * 3600))
    assert_refused(run(), "BTCUSDT", "ETHUSDT", "no bar at a common time", "12 bars", "6 bars")


# --- funding ---------------------------------------------------------------------------------------------------------


STAMPS = {
    "percent": (f"time,rate\n{FIRST},0.01\n{FIRST + 28800},0.3\n", ("1 stamp with a rate above 0.05", 'unit = "percent"')),
    "text": (f"time,rate\n{FIRST},none\n", ("funding.csv", "row 1 of `rate`", "'none'")),
    "no rate": (f"time,price\n{FIRST},1\n", ("funding.csv", "no column `rate`", "found: time, price")),
    "empty": ("", ("funding.csv", "the file is empty")),
    "twice": (f"time,rate\n{FIRST},0\n{FIRST},0\n", ("BTCUSDT funding has 1 duplicate stamp", "2026-01-01T00:00Z")),
    "a wrong zone": (f"time,rate\n{FIRST + 1800},0\n{FIRST + 30600},0\n", ("2 stamps off the whole hour", "30m past")),
}  # fmt: skip


@pytest.mark.parametrize("what", STAMPS)
def test_funding_that_must_not_be_used(here, what):
    funding, phrases = STAMPS[what]
    write_market(here, funding=funding)
    assert_refused(run(), "BTCUSDT", *phrases)


def test_funding_that_is_not_there_is_never_nothing(here):
    write_market(here, bars_csv(np.linspace(100, 90, 40).round(2)), f"time,rate\n{FIRST},0.0001\n{FIRST + 28800},0.0001\n",
                 MARKET.replace("01T12:00Z", "02T16:00Z"))  # fmt: skip
    assert_refused(run(), "BTCUSDT has no funding between 2026-01-01T08:00Z and 2026-01-02T16:00Z", "--assume-funding")
    one = document(run("--assume-funding", "0.0002", "--json"))["runs"][0]
    assert (one["grade"], one["assumptions"]["assumed_funding"]) == ("C", 3)


@pytest.mark.parametrize("rate", ["5", "-5", "0.06", "nan", "inf"])
def test_an_assumed_rate_that_is_no_fraction(here, rate):
    assert_refused(run("--assume-funding", rate), "at most 0.05", f"got {float(rate)}")


# --- market files ----------------------------------------------------------------------------------------------------


MARKETS = {
    "no TOML": (MARKET.replace('"1h"', '"1h'), ("market.toml", "not a readable TOML file", "line 1")),
    "an unknown key": (MARKET.replace("start =", "begin ="), ("market.toml", "`begin` is not a key of a market")),
    "an unknown key of bars": (
        MARKET.replace('"bars.csv"', '{ file = "bars.csv", columms = {} }'),
        ("market.toml", "`BTCUSDT.bars.columms`", "Did you mean 'columns'?"),
    ),
    "no funding": (
        MARKET.replace('funding = "funding.csv"', ""),
        ("market.toml", "`BTCUSDT.funding` is missing", 'funding = "none"'),
    ),
    "no bars": (MARKET.replace('bars = "bars.csv"', ""), ("market.toml", "`BTCUSDT.bars` is missing")),
    "no interval": (MARKET.replace('interval = "1h"', ""), ("market.toml", "`interval` is missing")),
    "an odd interval": (MARKET.replace('"1h"', '"1 hour"'), ("market.toml", "`interval` must be an interval", "'1 hour'")),
    "an odd time": (MARKET.replace('"2026-01-01"', '"01.01.2026"'), ("market.toml", "`start` must be a time", "'01.01.2026'")),
    "backwards": (MARKET.replace('"2026-01-01"', '"2026-02-01"'), ("market.toml", "`start` must lie before `end`")),
    "trade_from outside": (
        'trade_from = "2027-01-01"\n' + MARKET,
        ("market.toml", "`trade_from` must lie between `start` and `end`"),
    ),
    "an odd gap policy": ('gaps = "fill"\n' + MARKET, ("market.toml", "`gaps` must be one of", "'fill'")),
    "an unknown proxy": (
        MARKET.replace('"funding.csv"', '{ proxy = "BTCUSD" }'),
        ("BTCUSDT.funding.proxy", "'BTCUSD'", "not a symbol of the market"),
    ),
    "an assumed rate in percent": (
        MARKET.replace('"funding.csv"', '{ assume = 1, every = "8h" }'),
        ("market.toml", "`BTCUSDT.funding.assume`"),
    ),
    "no symbol": (MARKET.split("[")[0], ("market.toml", "the market has no symbol")),
    "an unknown scenario": ('scenario = "crash"\n', ("'crash'", "deleveraging-2026")),
    "a store that was not fetched": (MARKET.replace("bars.csv", "store:binance"), ("binance/BTCUSDT_1h", "save it as data/store")),
}  # fmt: skip


@pytest.mark.parametrize("what", MARKETS)
def test_a_market_file_that_is_wrong(here, what):
    text, phrases = MARKETS[what]
    write_market(here, market=text)
    assert_refused(run(), *phrases)


def test_a_market_there_is_not(here):
    assert_refused(call("run", "-m", "deleveraging2026"), "No market named 'deleveraging2026'", "'deleveraging-2026'?")
    assert_refused(call("run", "-m", "mine.toml"), "There is no market file 'mine.toml'")
    assert_refused(call("run", "-m", "."), "'.'")
