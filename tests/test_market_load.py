"""Loading a declared market: findings that stop it, findings that land in the passport, gaps, funding and feeds."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtest.errors import MarketError
from backtest.market import load_market
from backtest.market.scenario import Simulated
from backtest.model import Feed, Funding

HOUR = 3_600_000_000_000
T0 = 1_709_251_200_000_000_000  # 2024-03-01T00:00Z
THREE = "2024-03-01T03:00Z."
TOP = 'interval = "1h"\nstart = "2024-03-01"\nend = "2024-03-02"\n'
BTC = '[BTC]\nbars = "btc.csv"\nfunding = "none"\n'
NO_FUNDING = (
    'BTC declares no funding, and none is paid or received; only spot has none, which funding = "spot" would say.'
)


def rows(hours=range(24), change=None):
    """Return CSV lines of bars 10, 12, 9, 11 with volume 5 at the hours; change: {hour: line after the time}."""
    change = change or {}
    lines = [f"{(T0 + int(h * HOUR)) // 10**9},{change.get(h, '10,12,9,11,5')}" for h in hours]
    return "\n".join(["time,open,high,low,close,volume", *lines]) + "\n"


def stamps(pairs, header="time,funding_rate"):
    return "\n".join([header, *(f"{(T0 + int(h * HOUR)) // 10**6},{value}" for h, value in pairs)]) + "\n"


def load(folder: Path, text: str = TOP + BTC, *, seed=None, assume_funding=None, **files):
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return load_market(str(folder / "mine.toml"), seed=seed, assume_funding=assume_funding)


def refused(folder: Path, text: str = TOP + BTC, **files) -> str:
    with pytest.raises(MarketError) as error:
        load(folder, text, **files)
    return str(error.value)


def series(market, name):
    return next(s for s in market.passport.series if s.name == name)


def test_a_clean_file(tmp_path):
    market = load(tmp_path, btc=rows())
    assert (market.name, market.symbols, len(market), market.interval) == ("mine", ("BTC",), 24, HOUR)
    assert market.time[0] == T0
    assert [getattr(market["BTC"], k)[5] for k in ("open", "high", "low", "close", "volume")] == [
        10.0,
        12.0,
        9.0,
        11.0,
        5.0,
    ]
    line = series(market, "BTC.bars")
    assert (line.origin, line.source, line.start, line.end, line.rows, line.gaps) == (
        "real", "btc.csv", T0, T0 + 24 * HOUR, 24, 0
    )  # fmt: skip
    assert line.findings == ()
    assert market.funding.none == {"BTC"}
    assert market.passport.findings == (NO_FUNDING,)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (rows([0, 2, 1, 3]), "btc.csv: BTC 1h has 1 bar out of order, the first at 2024-03-01T01:00Z; sort the file."),
        (rows([0, 1, 1, 2]), "btc.csv: BTC 1h has 1 duplicate bar, the first at 2024-03-01T01:00Z; keep one of each time."),
        (rows(change={3: "nan,12,9,11,5"}), "BTC 1h has 1 bar without a price (NaN), the first at " + THREE[:-1]),
        (rows(change={3: "10,9,12,11,5", 4: "10,9,12,11,5"}), "BTC 1h: 2 bars have high < low, the first at " + THREE),
        (rows(change={3: "10,12,9,13,5"}), "1 bar has its close outside its range low..high, the first at " + THREE),
        (rows(change={3: "8,12,9,11,5"}), "1 bar has its open outside its range low..high, the first at " + THREE),
        (rows(change={3: "10,12,0,11,5"}), "BTC 1h: 1 bar has a price that is not above zero, the first at " + THREE),
        (rows(change={3: "10,inf,9,11,5"}), "BTC 1h: 1 bar has an infinite price, the first at " + THREE),
        (rows(change={3: "10,12,9,11,-5"}), "BTC 1h: 1 bar has a volume below zero or infinite, the first at " + THREE),
        (rows(np.arange(96) / 4), "BTC 1h has bars 15m apart, not 1h as declared, from 2024-03-01T00:00Z on (96 bars)."),
        (rows(np.arange(0, 24, 4)), "BTC 1h has bars 4h apart, not 1h as declared, from 2024-03-01T00:00Z on (6 bars)."),
        (rows(np.arange(23) + 0.5), "BTC 1h has 23 bars off the 1h grid of UTC, the first at 2024-03-01T00:30Z, 30m"),
        (rows(range(48, 72)), "BTC 1h has no bar in the span 2024-03-01T00:00Z to 2024-03-02T00:00Z; the source"),
        (rows([*range(6), *range(9, 24)]),
         'btc.csv: BTC 1h has a gap of 3 bars after 2024-03-01T05:00Z; complete the file or allow gaps with gaps = '
         '"forward_fill", "drop" or "halt".'),
        (rows([*range(6), *range(9, 20), 23]), "after 2024-03-01T05:00Z, the first of 2 gaps with 6 bars in all;"),
    ],
)  # fmt: skip
def test_fatal_findings_of_bars(tmp_path, content, told):
    assert told in refused(tmp_path, btc=content)


def test_the_fatal_findings_of_a_file_are_reported_together(tmp_path):
    wrong = rows(
        [0, 2, 1, 1, *range(3, 24)], {3: "10,9,12,11,5", 4: "10,12,9,13,5", 5: "-1,12,9,11,5", 6: "10,12,9,11,-5"}
    )
    told = refused(tmp_path, btc=wrong)
    assert told.startswith("btc.csv: BTC 1h has 1 bar out of order")
    assert "1 duplicate bar" in told
    assert told.endswith("; and 3 more problems.")


def test_a_missing_file_is_named_with_its_key(tmp_path):
    assert refused(tmp_path).startswith("BTC.bars: btc.csv: there is no such file")
    files = {"btc": rows(), "f": "time,x\n1709251200,1\n"}
    assert "BTC.funding: f.csv: it has no column `rate`; found: time, x." in refused(
        tmp_path, TOP + BTC.replace('"none"', '"f.csv"'), **files
    )
    told = refused(tmp_path, TOP + BTC.replace('"btc.csv"', '"store:binance"'))
    assert told.startswith("BTC.bars: The store has no entry binance/BTC_1h; run `backtest fetch ")
    assert told.endswith(", save it as data/store/binance/BTC_1h.parquet or give a path instead.")


def test_rounding_may_put_a_close_a_hair_outside_its_range(tmp_path):
    market = load(tmp_path, btc=rows(change={3: "10,12,9,12.00000000001,5"}))
    assert market.high[3, 0] == market.close[3, 0] == 12.00000000001


def test_jitter_of_a_stamp_is_snapped_and_noted(tmp_path):
    market = load(tmp_path, btc=rows([0, 1, 2 + 1 / 3600, 3]))
    assert market.time.tolist() == [T0, T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR]
    assert "BTC 1h has 1 bar with jitter in the time, snapped to the grid." in market.passport.findings


def test_local_times_need_their_zone(tmp_path):
    local = rows().replace("time,", "time,", 1)
    for hour in range(24):
        stamp = np.datetime64(T0 + hour * HOUR + 19_800_000_000_000, "ns").astype("datetime64[s]")
        local = local.replace(str((T0 + hour * HOUR) // 10**9), str(stamp))
    assert "30m past it; if its times are local, declare their zone" in refused(tmp_path, btc=local)
    zoned = BTC.replace('"btc.csv"', '{ file = "btc.csv", tz = "Asia/Kolkata" }')
    assert load(tmp_path, TOP + zoned, btc=local).time[0] == T0


GAP = rows([*range(6), *range(9, 24)])


def test_gaps_filled_forward(tmp_path):
    market = load(tmp_path, 'gaps = "forward_fill"\n' + TOP + BTC, btc=GAP)
    assert len(market) == 24
    assert [getattr(market, k)[6, 0] for k in ("open", "high", "low", "close", "volume")] == [
        11.0,
        11.0,
        11.0,
        11.0,
        0.0,
    ]
    line = series(market, "BTC.bars")
    assert line.gaps == 3
    told = "BTC 1h has a gap of 3 bars after 2024-03-01T05:00Z; filled with flat bars at the last close."
    assert told in line.findings


def test_gaps_dropped_for_all_symbols(tmp_path):
    text = 'gaps = "drop"\n' + TOP + BTC + BTC.replace("BTC", "ETH").replace("btc", "eth")
    market = load(tmp_path, text, btc=GAP, eth=rows())
    assert (market.time - T0).tolist() == [h * HOUR for h in (*range(6), *range(9, 24))]
    assert np.isfinite(market.close).all()
    assert series(market, "BTC.bars").gaps == 3
    assert series(market, "ETH.bars").gaps == 0


def test_gaps_kept_as_halts_and_nan_rows_count_as_such(tmp_path):
    market = load(
        tmp_path, 'gaps = "halt"\n' + TOP + BTC, btc=rows([*range(6), *range(9, 24)], {12: "nan,nan,nan,nan,nan"})
    )
    assert np.flatnonzero(np.isnan(market.close[:, 0])).tolist() == [6, 7, 8, 12]
    assert series(market, "BTC.bars").gaps == 4


def test_a_later_listing_and_an_earlier_end_are_not_trading(tmp_path):
    text = TOP + BTC + BTC.replace("BTC", "NEW").replace("btc", "new")
    market = load(tmp_path, text, btc=rows(), new=rows(range(4, 20)))
    assert np.flatnonzero(np.isnan(market.close[:, 1])).tolist() == [0, 1, 2, 3, 20, 21, 22, 23]
    assert series(market, "NEW.bars").findings == (
        "NEW 1h starts 4 bars into the span, at 2024-03-01T04:00Z.",
        "NEW 1h ends 4 bars before the span, after 2024-03-01T19:00Z.",
    )


def test_hours_in_which_nothing_trades_at_either_end_are_left_out(tmp_path):
    market = load(tmp_path, btc=rows(range(4, 20)))
    assert (len(market), market.time[0]) == (16, T0 + 4 * HOUR)
    late = 'trade_from = "2024-03-01T22:00Z"\n' + TOP + BTC
    assert "nothing could be traded" in refused(tmp_path, late, btc=rows(range(4, 20)))


def test_two_symbols_without_a_common_time(tmp_path):
    text = TOP + BTC + BTC.replace("BTC", "OLD").replace("btc", "old")
    told = refused(tmp_path, text, btc=rows(range(12, 24)), old=rows(range(12)))
    assert told == (
        "BTC (2024-03-01T12:00Z to 2024-03-01T23:00Z, 12 bars) and OLD (2024-03-01T00:00Z to 2024-03-01T11:00Z, "
        "12 bars) have no bar at a common time; load them as two markets."
    )


FUNDED = TOP + BTC.replace('"none"', '"f.csv"')
EIGHT = [(0, 0.0001), (8, 0.0002), (16, -0.0001), (24, 0.0003)]


def test_funding_as_events(tmp_path):
    content = "fundingTime,Funding Rate,markPrice\n" + "".join(
        f"{(T0 + h * HOUR) // 10**6 + 4},{r},{100 + h}\n" for h, r in [(-8, 9e-4), *EIGHT]
    )
    market = load(
        tmp_path,
        FUNDED.replace('"f.csv"', '{ file = "f.csv", columns = { rate = "Funding Rate" } }'),
        btc=rows(),
        f=content,
    )
    assert ((market.funding.time - T0) // HOUR).tolist() == [0, 8, 16, 24]
    assert market.funding.rate.tolist() == [0.0001, 0.0002, -0.0001, 0.0003]
    assert market.funding.mark.tolist() == [100.0, 108.0, 116.0, 124.0]
    assert series(market, "BTC.funding").findings == ("BTC funding has 4 stamps with jitter, snapped to the second.",)
    assert (market.passport.grade, market.passport.lacks) == ("B", ("BTC.mark",))


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([(0, 0.01), (8, 1.25), (16, 0.5)], '2 stamps with a rate above 0.05 in size, the first 1.25 at 2024-03-01T08:00Z; '
                                            'if the file holds percent, declare unit = "percent".'),
        ([(0, 0.0001), (8, "inf")], "1 stamp with a rate above 0.05"),
        ([(0, 0.0001), (0, 0.0001)], "BTC funding has 1 duplicate stamp, the first at 2024-03-01T00:00Z; keep one of each time."),
        ([(8, 0.0001), (0, 0.0001)], "BTC funding has 1 stamp out of order"),
        ([(5.5, 0.0001), (13.5, 0.0001)], "2 stamps off the whole hour, the first at 2024-03-01T05:30Z, 30m past it; "
                                          "are its times in another zone?"),
        ([(0, "none")], "row 1 of `funding_rate` holds 'none', not a number"),
    ],
)  # fmt: skip
def test_fatal_findings_of_funding(tmp_path, pairs, told):
    assert told in refused(tmp_path, FUNDED, btc=rows(), f=stamps(pairs))


def test_percent_is_declared(tmp_path):
    text = FUNDED.replace('"f.csv"', '{ file = "f.csv", unit = "percent" }')
    market = load(tmp_path, text, btc=rows(), f=stamps([(0, 0.01), (8, 2.5), (16, -0.02), (24, 0.01)]))
    assert market.funding.rate.tolist() == [0.0001, 0.025, -0.0002, 0.0001]


def test_odd_funding_is_noted(tmp_path):
    hourly = [(h, 0.0001) for h in range(1, 31)]
    wide = FUNDED.replace("2024-03-02", "2024-03-03")
    same = load(tmp_path, wide, btc=rows(range(48)), f=stamps([*hourly, *((h, 0.0001) for h in range(31, 49))]))
    told = "BTC funding is 0.0001 at each of its 48 stamps from 2024-03-01T01:00Z on: a placeholder?"
    assert told in same.passport.findings
    high = load(tmp_path, wide, btc=rows(range(48)), f=stamps([(h, 0.01 + h / 1e5) for h in range(1, 49)]))
    assert any("median size of 0.010245 over 48 stamps" in f for f in high.passport.findings)


def test_a_hole_lands_in_the_passport_and_is_filled_only_on_demand(tmp_path):
    holed = stamps([(0, 0.0001), (2, 0.0001), (4, 0.0001), (10, 0.0001), (12, 0.0001), (14, 0.0001)])
    market = load(tmp_path, FUNDED, btc=rows(), f=holed)
    assert series(market, "BTC.funding").findings == (
        "BTC has no funding between 2024-03-01T04:00Z and 2024-03-01T10:00Z.",
        "BTC has no funding between 2024-03-01T14:00Z and 2024-03-02T00:00Z.",
    )
    assert market.funding.assumed == 0
    filled = load(tmp_path, FUNDED, assume_funding=-0.0003)
    assert ((filled.funding.time - T0) // HOUR).tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    assert filled.funding.rate[[3, 4, 8]].tolist() == [-0.0003, -0.0003, -0.0003]
    assert filled.funding.assumed == 6
    assert filled.funding_holes == ()
    line = series(filled, "BTC.funding")
    assert (line.origin, line.rows) == ("assumed", 12)
    assert line.findings[-1] == "BTC.funding misses 6 stamps, assumed at -0.0003 each."
    assert filled.passport.grade == "C"


def test_holes_before_the_first_stamp_and_without_any(tmp_path):
    late = load(tmp_path, FUNDED, btc=rows(), f=stamps([(13, 0.0001), (17, 0.0001), (21, 0.0001)]), assume_funding=0.0)
    assert ((late.funding.time - T0) // HOUR).tolist() == [1, 5, 9, 13, 17, 21]
    none = load(tmp_path, FUNDED, f=stamps([(100, 0.0001)]))
    assert series(none, "BTC.funding").origin == "missing"
    assert len(none.funding_holes) == 1
    filled = load(tmp_path, FUNDED, assume_funding=0.0)
    assert ((filled.funding.time - T0) // HOUR).tolist() == [8, 16]
    assert filled.funding_holes == ()
    with pytest.raises(MarketError, match=r"must be a fraction of at most 0\.05"):
        load(tmp_path, FUNDED, assume_funding=1.0)


def test_funding_by_proxy_and_by_assumption(tmp_path):
    text = FUNDED + '[SOL]\nbars = "btc.csv"\nfunding = { proxy = "BTC" }\n'
    market = load(tmp_path, text, btc=rows(), f=stamps(EIGHT))
    assert market.funding.symbol.tolist() == [0, 1] * 4
    assert market.funding.rate[1::2].tolist() == [0.0001, 0.0002, -0.0001, 0.0003]
    assert (series(market, "SOL.funding").origin, market.passport.grade) == ("proxy", "B")
    text = TOP + BTC.replace('"none"', '{ assume = 0.0001, every = "8h" }')
    market = load(tmp_path, text)
    assert ((market.funding.time - T0) // HOUR).tolist() == [8, 16, 24]
    assert (market.funding.assumed, market.passport.grade) == (3, "C")
    assert series(market, "BTC.funding").source == "0.0001 every 8h"


@pytest.mark.parametrize(
    ("lender", "told"),
    [("BTCC", "which is not a symbol of the market"), ("SOL", "which borrows itself"), ("BTC", "which has no funding")],
)
def test_a_proxy_must_have_funding_of_its_own(tmp_path, lender, told):
    text = TOP + BTC + f'[SOL]\nbars = "btc.csv"\nfunding = {{ proxy = "{lender}" }}\n'
    assert told in refused(tmp_path, text, btc=rows())


OI = 'oi = { file = "oi.csv", column = "oi", unit = "usd", interval = "4h" }\n'
OPEN_INTEREST = stamps([(-4, 90), (0, 100), (4, 110), (8, ""), (16, 130)], "time,oi")


def test_a_feed_is_known_at_the_close_of_its_bar(tmp_path):
    market = load(tmp_path, TOP + BTC + OI, btc=rows(), oi=OPEN_INTEREST)
    feed = market.feeds["BTC.oi"]
    assert (feed.unit, ((feed.known_at - T0) // HOUR).tolist(), feed.value.tolist()) == (
        "usd",
        [0, 4, 8, 20],
        [90.0, 100.0, 110.0, 130.0],
    )
    assert market.feed("BTC.oi")[[2, 3, 6, 7, 18, 19]].tolist() == [90.0, 100.0, 100.0, 110.0, 110.0, 130.0]
    assert series(market, "BTC.oi").findings == (
        "BTC.oi has no value at 1 stamp, the first at 2024-03-01T08:00Z.",
        "BTC.oi misses 1 value in 1 gap, the first after 2024-03-01T08:00Z; the last known value stands in them.",
    )


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ('known_at = "open"', [-4, 0, 4, 16]),
        ('known_at = "at"', [-4, 0, 4, 16]),
        ('known_at = "close", lag = "30m"', [0.5, 4.5, 8.5, 20.5]),
    ],
)
def test_when_else_a_feed_may_be_known(tmp_path, more, known):
    market = load(tmp_path, TOP + BTC + OI.replace(" }", f", {more} }}"), btc=rows(), oi=OPEN_INTEREST)
    assert ((market.feeds["BTC.oi"].known_at - T0) / HOUR).tolist() == known


def test_feeds_late_short_missing_borrowed_and_assumed(tmp_path):
    text = TOP + BTC + OI + (
        '[ETH]\nbars = "btc.csv"\nfunding = "none"\noi = { proxy = "BTC" }\n[feeds]\nrate = { assume = 4.5 }\n'
        'gone = { file = "gone.csv", known_at = "at" }\nkind = { proxy = "rate" }\n'
    )  # fmt: skip
    short = stamps([(4, 1), (8, 2), (12, 3)], "time,oi")
    market = load(tmp_path, text, btc=rows(), oi=short, gone=stamps([(99, 1)], "time,x"))
    assert series(market, "BTC.oi").findings == (
        "BTC.oi starts late: its first of 3 values is known at 2024-03-01T08:00Z.",
        "BTC.oi ends early: its last of 3 values is known at 2024-03-01T16:00Z.",
    )
    assert sorted(market.feeds) == ["BTC.oi", "ETH.oi", "kind", "rate"]
    assert [series(market, n).origin for n in ("BTC.oi", "ETH.oi", "rate", "kind", "gone")] == [
        "real", "proxy", "assumed", "assumed", "missing"
    ]  # fmt: skip
    assert market.feed("rate").tolist() == [4.5] * 24


def test_a_feed_of_another_interval_is_refused(tmp_path):
    told = refused(tmp_path, TOP + BTC + OI.replace("4h", "1h"), btc=rows(), oi=OPEN_INTEREST)
    assert told == "oi.csv: BTC.oi has values 4h apart, not 1h as declared, from 2024-02-29T20:00Z on (5 values)."


def test_marks_of_four_prices_and_of_one(tmp_path):
    text = TOP + BTC + 'mark = "mark.csv"\n'
    market = load(tmp_path, text, btc=rows(), mark=rows(range(20), {3: "10.5,11.5,9.5,11,0"}))
    assert market.mark is not None
    assert [getattr(market.mark, k)[3, 0] for k in ("open", "high", "low", "close")] == [10.5, 11.5, 9.5, 11.0]
    assert np.isnan(market.mark.close[20:, 0]).all()
    assert "BTC mark 1h misses 4 bars of the span; they count as without a mark." in market.passport.findings
    market = load(tmp_path, text, mark=stamps([(h, 10 + h) for h in range(24)], "time,markPrice"))
    assert market.mark is not None
    assert (market.mark.low[3, 0], market.mark.high[3, 0]) == (13.0, 13.0)
    assert "BTC.mark has one price a bar, taken for all of the bar (24 bars)." in market.passport.findings


def test_finer_bars(tmp_path):
    text = (
        'symbols = ["BTC", "ETH"]\n'
        + TOP
        + BTC
        + BTC.replace("[BTC]", "[ETH]")
        + '[fine]\ninterval = "30m"\nBTC = "fine.csv"\n'
    )
    market = load(tmp_path, text, btc=rows(), fine=rows(np.arange(-2, 60) / 2, {1.5: "10,13,9,11,5"}))
    assert market.fine is not None
    assert (len(market.fine), market.fine.interval, market.fine.symbols) == (48, HOUR // 2, ("BTC", "ETH"))
    assert market.fine.high[3, 0] == 13.0
    assert np.isnan(market.fine.close[:, 1]).all()
    assert series(market, "BTC.fine").findings[-1] == (
        "BTC has 1 bar whose finer bars leave its range, the first at 2024-03-01T01:00Z; are they of another source?"
    )


def test_the_checksum_is_of_the_values_not_of_the_file(tmp_path):
    plain = series(load(tmp_path, btc=rows()), "BTC.bars").sha256
    assert series(load(tmp_path, btc=rows().replace("10,12,9", "10.0,12.00,9e0")), "BTC.bars").sha256 == plain
    assert series(load(tmp_path, btc=rows(change={3: "10,12,9,11.5,5"})), "BTC.bars").sha256 != plain
    assert len(plain) == 64


def simulated(name, seed=None):
    n, grid = 48, T0 - 24 * HOUR + np.arange(48) * HOUR
    price = np.column_stack([np.full(n, 10.0 + (seed or 0)), np.full(n, 20.0)])
    funding = Funding(grid[::8], np.ones(6, np.int32), np.full(6, 0.0002), np.full(6, np.nan), frozenset({"BTC"}))
    feeds = {n: Feed(n, grid + HOUR, np.arange(48.0)) for n in ("ETH.oi", "XRP.oi", "vix")}
    return Simulated(
        name,
        seed or 0,
        int(grid[0]),
        HOUR,
        grid,
        ("BTC", "ETH"),
        price,
        price + 1,
        price - 1,
        price,
        price,
        None,
        funding,
        feeds,
    )


@pytest.fixture
def scenario(monkeypatch):
    calls = []

    def simulate(name, seed=None):
        calls.append((name, seed))
        return simulated(name, seed)

    monkeypatch.setattr("backtest.market.scenario.simulate", simulate)
    return calls


def test_everything_from_a_scenario(tmp_path, scenario):
    market = load(tmp_path, 'scenario = "crash"\ntrade_from = "2024-03-01T08:00Z"\nend = "2024-03-01T12:00Z"\n', seed=7)
    assert scenario == [("crash", 7)]
    assert (market.symbols, len(market), market.close[0].tolist()) == (("BTC", "ETH"), 36, [17.0, 20.0])
    assert market.start_bar == 32
    assert market.funding.none == {"BTC"}
    assert market.funding.symbol.tolist() == [1] * 5
    assert sorted(market.feeds) == ["ETH.oi", "XRP.oi", "vix"]
    assert market.feeds["vix"].known_at[-1] == T0 + 12 * HOUR
    assert market.passport.grade == "D"
    assert series(market, "ETH.bars").source == "scenario:crash"


def test_single_series_from_a_scenario(tmp_path, scenario):
    text = TOP + '[ETH]\nbars = "scenario:crash"\nfunding = "scenario:crash"\noi = { scenario = "crash" }\n' + BTC
    market = load(tmp_path, text, btc=rows())
    assert scenario == [("crash", None)]
    assert market.symbols == ("ETH", "BTC")
    assert [series(market, n).origin for n in ("ETH.bars", "ETH.funding", "BTC.bars", "ETH.oi")] == [
        "simulated", "simulated", "real", "simulated"
    ]  # fmt: skip
    told = refused(tmp_path, text.replace("[ETH]", "[ETHER]"))
    assert "The scenario crash has no symbol 'ETHER'. Did you mean 'ETH'?" in told


def test_seventy_thousand_bars_load_quickly(tmp_path):
    n = 70_000
    flat = pa.array(np.full(n, 10.0))
    stamp = pa.array(np.arange(n) * HOUR + 1_451_606_400_000_000_000, pa.timestamp("ns", "UTC"))
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), flat)
    pq.write_table(pa.table({"time": stamp, **columns}), tmp_path / "long.parquet")
    text = 'interval = "1h"\nstart = "2016-01-01"\nend = "2023-12-01"\n[BTC]\nbars = "long.parquet"\nfunding = "none"\n'
    load(tmp_path, text)
    began = time.perf_counter()
    market = load(tmp_path, text)
    assert time.perf_counter() - began < 0.3
    assert len(market) == 69_384  # 2016-01-01 to 2023-12-01: 2,891 days
