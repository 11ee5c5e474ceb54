"""The store: names of series, what a page adds, what is not stored yet, revised history, gaps, and where it lies."""

from pathlib import Path

import numpy as np
import pytest
from store_made import DAY, HOUR, JULY, LATER, MINUTE, NOW, bars, cut, files, pages, same

from backtest.errors import MarketError
from backtest.market.sources.base import COLUMNS, Page
from backtest.market.store.entry import Entry, entry_name, list_entries, open_entry, store_root
from backtest.market.store.manifest import read_manifest


def hourly(root: Path) -> Entry:
    return open_entry(root, "binance", "BTCUSDT", "bars", HOUR)


def put(entry: Entry, page: Page, closed_before: int = LATER, at: int = NOW):
    return entry.write(page, closed_before=closed_before, retrieved_at=at)


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "name"),
    [
        (("BTCUSDT", "bars", HOUR), "BTCUSDT_1h"),
        (("BTCUSDT", "mark", HOUR), "BTCUSDT_mark_1h"),
        (("BTCUSDT", "funding", 0), "BTCUSDT_funding"),
        (("BTCUSDT", "open_interest", DAY), "BTCUSDT_open_interest_1d"),
        (("BTC-USD", "bars", MINUTE), "BTC-USD_1m"),
        (("BTCUSDT_PERP.A", "liquidations", DAY), "BTCUSDT_PERP.A_liquidations_1d"),
    ],
)
def test_a_series_has_a_name_that_can_be_read(series, name):
    assert entry_name(*series) == name


def test_names_that_would_collide_stay_apart():
    symbols = ["BTC/USDT", "BTC:USDT", "BTC USDT", "BTC_USDT", "^VIX", "_VIX", "$VIX", "..", ".", "a/../b", "é", "è"]
    symbols += ["BTC_mark", "BTC", "x" * 300, "x" * 301, "-rf", "_rf", ".hidden"]
    names = {entry_name(s, kind, HOUR) for s in symbols for kind in COLUMNS}
    assert len(names) == len(symbols) * len(COLUMNS)
    assert all(len(name) < 120 and name.isascii() and not {"/", "\\", ":", " "} & set(name) for name in names)
    assert not any(name.startswith((".", "-")) for name in names)


def test_names_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(MarketError, match="needs a symbol"):
        entry_name("", "bars", HOUR)
    with pytest.raises(MarketError, match=r"The bars of BTC need an interval"):
        entry_name("BTC", "bars", 0)
    with pytest.raises(MarketError, match=r"no kind of series named 'bar'. Did you mean 'bars'\?"):
        entry_name("BTC", "bar", HOUR)
    for source in ("", "../up", ".hidden", "a b"):
        with pytest.raises(MarketError, match="can't be the name of a store"):
            open_entry(tmp_path, source, "BTC", "bars", HOUR)


def test_a_folder_that_is_another_series_is_not_mixed_up(tmp_path):
    # What a file system that ignores case makes of "btcusdt" and "BTCUSDT".
    put(hourly(tmp_path), cut(bars(3), JULY, JULY + 3 * HOUR))
    (tmp_path / "binance" / "BTCUSDT_1h").rename(tmp_path / "binance" / "btcusdt_1h")
    with pytest.raises(MarketError, match=r"binance/btcusdt_1h holds the bars of 'BTCUSDT', not those of 'btcusdt'"):
        open_entry(tmp_path, "binance", "btcusdt", "bars", HOUR)


def test_where_fetched_data_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / "home" / name)
    assert store_root() == tmp_path / "home" / "levelbreak" / "store"
    (tmp_path / "data").mkdir()
    assert store_root() == tmp_path / "home" / "levelbreak" / "store", "some folder named data is no checkout"
    (tmp_path / "pyproject.toml").touch()
    assert store_root() == Path("data/store")
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "mine"))
    assert store_root() == tmp_path / "mine" / "store"


# --- pages -----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(tmp_path):
    made = bars(2_000)
    entry = hourly(tmp_path)
    assert entry.missing(JULY, JULY + DAY) == [(JULY, JULY + DAY)]
    assert not entry.folder.exists(), "nothing is on the disk before the first write"
    for page in pages(made, HOUR, 700):
        assert put(entry, page).added == page.columns["time"].size
    fresh = hourly(tmp_path)
    assert same(fresh.read(), made)
    assert same(fresh.read(JULY + DAY, JULY + 40 * DAY), cut(made, JULY + DAY, JULY + 40 * DAY).columns)
    assert fresh.read(JULY - DAY, JULY)["time"].size == 0
    assert [name.split(".")[0] for name in files(fresh.folder)] == ["2025-07", "2025-08", "2025-09"]
    assert fresh.missing(JULY - DAY, JULY + 2_001 * HOUR) == [
        (JULY - DAY, JULY),
        (JULY + 2_000 * HOUR, JULY + 2_001 * HOUR),
    ]
    assert [m.symbol for m in list_entries(tmp_path)] == ["BTCUSDT"]


def test_the_manifest_says_what_is_there(tmp_path):
    entry = hourly(tmp_path)
    made = bars(800)
    put(entry, cut(made, JULY, JULY + 400 * HOUR))
    put(entry, cut(made, JULY + 400 * HOUR, JULY + 800 * HOUR, ("The page was late.",)), at=NOW + DAY)
    m = read_manifest(entry.folder)
    assert m == entry.manifest
    assert (m.source, m.symbol, m.kind, m.interval, m.rows, m.gaps) == ("binance", "BTCUSDT", "bars", HOUR, 800, 0)
    assert (m.request.start, m.request.end) == m.span == m.covered[0] == (JULY, JULY + 800 * HOUR)
    assert [p.rows for p in m.partitions.values()] == [744, 56]
    assert [(f.retrieved_at, f.rows, f.notes) for f in m.fetches] == [
        ("2026-03-01T00:00:00Z", 400, ()),
        ("2026-03-02T00:00:00Z", 400, ("The page was late.",)),
    ]


def test_pages_in_a_row_are_one_line_of_the_manifest(tmp_path):
    entry = hourly(tmp_path)
    made = pages(bars(50), HOUR, 10)
    for i in (3, 0, 4, 1, 2):
        put(entry, made[i], at=NOW + i * 1_000_000_000)
    assert [(f.start, f.end, f.rows) for f in entry.manifest.fetches] == [(JULY, JULY + 50 * HOUR, 50)]


def test_days_and_stamps_are_kept_by_year(tmp_path):
    daily = open_entry(tmp_path, "yahoo", "^VIX", "bars", DAY)
    put(daily, cut(bars(400, step=DAY), JULY, JULY + 400 * DAY))
    assert [name.split(".")[0] for name in files(daily.folder)] == ["2025", "2026"]
    stamps = {"time": JULY + 8 * HOUR * np.arange(5), "rate": np.full(5, 1e-4)}
    funding = open_entry(tmp_path, "binance", "BTCUSDT", "funding", 0)
    put(funding, Page(stamps, JULY, JULY + DAY * 2))
    assert [name.split(".")[0] for name in files(funding.folder)] == ["2025"]
    assert same(funding.read(), stamps)
    assert funding.manifest.span == (JULY, JULY + 32 * HOUR)


def test_what_a_page_must_not_be(tmp_path):
    entry, made = hourly(tmp_path), bars(3)
    without = {k: v for k, v in made.items() if k != "close"}
    with pytest.raises(MarketError, match=r"binance/BTCUSDT_1h: the page has no column `close`\."):
        put(entry, Page(without, JULY, JULY + DAY))
    with pytest.raises(MarketError, match="a column `funding` that bars don't have"):
        put(entry, Page(made | {"funding": made["close"]}, JULY, JULY + DAY))
    with pytest.raises(MarketError, match=r"columns of different lengths \(time 3, open 3, .*volume 2\)"):
        put(entry, Page(made | {"volume": made["volume"][:2]}, JULY, JULY + DAY))
    assert files(entry.folder) == {}


def test_rows_twice_out_of_order_or_outside_are_told(tmp_path):
    made, entry = bars(6), hourly(tmp_path)
    mixed = {k: v[[5, 3, 3, 0, 1, 2]].copy() for k, v in made.items()}
    mixed["close"][1] = 1.0  # the first of the two at the same time; the last one stands
    wrote = put(entry, Page(mixed, JULY, JULY + 5 * HOUR))
    assert (wrote.added, wrote.duplicates, wrote.strangers) == (4, 1, 1)
    assert same(entry.read(), {k: v[:4] for k, v in made.items()})
    assert entry.manifest.fetches[0].notes == (
        "1 row came twice with the same time; the last one was kept.",
        "1 row outside the requested span came along; left out.",
    )


def test_the_same_page_again_changes_no_file(tmp_path):
    entry, page = hourly(tmp_path), cut(bars(900), JULY, JULY + 900 * HOUR)
    put(entry, page)
    before = files(entry.folder)
    wrote = put(entry, page, at=NOW + DAY)
    assert (wrote.added, wrote.repeated, wrote.revised) == (0, 900, 0)
    assert files(entry.folder) == before
    assert entry.manifest.revisions == ()
    assert entry.manifest.retrieved_at == "2026-03-02T00:00:00Z"


def test_optional_columns_come_and_go(tmp_path):
    entry = open_entry(tmp_path, "binance", "BTCUSDT", "funding", 0)
    time = JULY + 8 * HOUR * np.arange(4)
    put(entry, Page({"time": time[:2], "rate": np.full(2, 1e-4)}, JULY, int(time[2])))
    assert list(entry.read()) == ["time", "rate"]
    put(
        entry,
        Page({"time": time[2:], "rate": np.full(2, 2e-4), "mark": np.array([7.0, 8.0])}, int(time[2]), JULY + DAY * 2),
    )
    assert same(
        entry.read(),
        {"time": time, "rate": np.array([1e-4, 1e-4, 2e-4, 2e-4]), "mark": np.array([np.nan, np.nan, 7, 8])},
    )
    wrote = put(entry, Page({"time": time[2:], "rate": np.full(2, 2e-4)}, int(time[2]), JULY + DAY * 2))
    assert wrote.repeated == 2, "a page without an optional column says nothing about it"
    assert entry.read()["mark"][3] == 8.0


def test_when_a_row_became_known_is_kept_where_it_is_not_its_end(tmp_path):
    entry = open_entry(tmp_path, "yahoo", "^VIX", "bars", DAY)
    made = bars(300, step=DAY)
    known = made["time"] + 21 * HOUR
    put(entry, Page(made | {"known_at": known}, JULY, JULY + 300 * DAY))
    assert same(entry.read(), made | {"known_at": known})
    plain = open_entry(tmp_path, "yahoo", "BTC-USD", "bars", DAY)
    put(plain, Page(made | {"known_at": made["time"] + DAY}, JULY, JULY + 300 * DAY))
    assert "known_at" not in plain.read(), "said by the interval already"
    mixed = np.where(made["time"] < JULY + 200 * DAY, made["time"] + DAY, known)
    entry = open_entry(tmp_path, "yahoo", "^GSPC", "bars", DAY)
    put(entry, Page(made | {"known_at": mixed}, JULY, JULY + 300 * DAY))
    assert entry.read()["known_at"].tolist() == mixed.tolist()


# --- bars that are not closed ----------------------------------------------------------------------------------------


def test_a_bar_that_is_not_closed_is_not_stored(tmp_path):
    entry, made = hourly(tmp_path), bars(5)
    wrote = put(entry, cut(made, JULY, JULY + 5 * HOUR), closed_before=JULY + 4 * HOUR + 30 * MINUTE)
    assert (wrote.added, wrote.open) == (4, 1)
    assert entry.missing(JULY, JULY + 5 * HOUR) == [(JULY + 4 * HOUR, JULY + 5 * HOUR)]
    put(entry, cut(made, JULY + 4 * HOUR, JULY + 5 * HOUR), closed_before=JULY + 5 * HOUR)
    assert same(entry.read(), made)
    assert entry.missing(JULY, JULY + 5 * HOUR) == []


def test_a_bar_that_the_source_does_not_show_yet_is_asked_for_again(tmp_path):
    entry, made = hourly(tmp_path), bars(4)
    put(entry, cut(made, JULY, JULY + 5 * HOUR), closed_before=JULY + 5 * HOUR + MINUTE)
    assert entry.missing(JULY, JULY + 5 * HOUR) == [(JULY + 4 * HOUR, JULY + 5 * HOUR)]
    put(entry, cut(made, JULY + 4 * HOUR, JULY + 5 * HOUR), closed_before=JULY + 7 * HOUR)
    assert entry.missing(JULY, JULY + 5 * HOUR) == [], "hours later it is a gap of the source's"


def test_bars_off_the_grid_are_not_lost_at_the_edge(tmp_path):
    # Hourly bars of a stock exchange open at half past; at 14:10 the one of 13:30 is open.
    entry, made = open_entry(tmp_path, "yahoo", "^GSPC", "bars", HOUR), bars(3, start=JULY + 11 * HOUR + 30 * MINUTE)
    put(entry, cut(made, JULY + 11 * HOUR, JULY + 14 * HOUR), closed_before=JULY + 14 * HOUR + 10 * MINUTE)
    assert entry.missing(JULY + 11 * HOUR, JULY + 14 * HOUR) == [(JULY + 13 * HOUR + 30 * MINUTE, JULY + 14 * HOUR)]


def test_a_stamp_counts_from_its_time_and_a_value_from_when_it_is_known(tmp_path):
    funding = open_entry(tmp_path, "binance", "BTCUSDT", "funding", 0)
    stamps = {"time": JULY + 8 * HOUR * np.arange(3), "rate": np.full(3, 1e-4)}
    assert put(funding, Page(stamps, JULY, JULY + DAY), closed_before=JULY + 8 * HOUR).open == 1
    assert funding.missing(JULY, JULY + DAY) == [(JULY + 8 * HOUR + 1, JULY + DAY)]
    late = open_entry(tmp_path, "binance-archive", "BTCUSDT", "taker_ratio", HOUR)
    rows = {"time": stamps["time"], "value": np.ones(3), "known_at": stamps["time"] + 3 * HOUR}
    assert put(late, Page(rows, JULY, JULY + DAY), closed_before=JULY + 10 * HOUR).added == 1
    assert late.manifest.covered == ((JULY, JULY + HOUR),), (
        "up to what was seen, since the page reaches into the present"
    )


# --- revised history -------------------------------------------------------------------------------------------------


def test_revised_history_is_counted_measured_and_replaced(tmp_path):
    entry, made = hourly(tmp_path), bars(800)
    put(entry, cut(made, JULY, JULY + 800 * HOUR))
    before = read_manifest(entry.folder).partitions
    new = {k: v.copy() for k, v in made.items()}
    new["close"][[3, 4]] *= (1.01, 0.75)
    new["volume"][4] = 0.0
    new["high"][750] *= 1.5
    wrote = put(entry, cut(new, JULY, JULY + 800 * HOUR), at=NOW + DAY)
    assert (wrote.added, wrote.repeated, wrote.revised) == (0, 797, 3)
    assert wrote.largest == 1.0, "the volume that became 0"
    assert same(entry.read(), new)
    july, august = read_manifest(entry.folder).revisions
    assert (july.part, july.rows, july.columns, july.largest) == ("2025-07", 2, ("close", "volume"), 1.0)
    assert (august.part, august.rows, august.columns) == ("2025-08", 1, ("high",))
    assert august.largest == pytest.approx(0.5)
    after = read_manifest(entry.folder).partitions
    assert [july.before_sha256, august.before_sha256] == [p.sha256 for p in before.values()]
    assert [july.after_sha256, august.after_sha256] == [p.sha256 for p in after.values()]
    assert july.retrieved_at == "2026-03-02T00:00:00Z"


@pytest.mark.parametrize(
    ("old", "new", "largest"),
    [(2.0, 3.0, 0.5), (-2.0, 2.0, 2.0), (0.0, 5.0, 1.0), (np.nan, 5.0, 1.0), (5.0, np.nan, 1.0), (1.0, np.inf, 1.0)],
)
def test_how_far_a_number_was_revised(tmp_path, old, new, largest):
    entry = open_entry(tmp_path, "mine", "X", "value", HOUR)
    for value, revised in ((old, 0), (old, 0), (new, 1)):
        page = Page({"time": np.array([JULY]), "value": np.array([value])}, JULY, JULY + HOUR)
        assert put(entry, page).revised == revised
    assert entry.manifest.revisions[0].largest == largest


def test_minus_zero_is_zero(tmp_path):
    entry = open_entry(tmp_path, "mine", "X", "value", HOUR)
    for value in (0.0, -0.0):
        assert put(entry, Page({"time": np.array([JULY]), "value": np.array([value])}, JULY, JULY + HOUR)).revised == 0
    assert len(entry.manifest.revisions) == 0


def test_a_stored_row_that_does_not_come_again_stays_and_is_told(tmp_path):
    entry, made = hourly(tmp_path), bars(10)
    put(entry, cut(made, JULY, JULY + 10 * HOUR))
    less = {k: np.delete(v, [2, 9]) for k, v in made.items()}
    assert put(entry, cut(less, JULY, JULY + 9 * HOUR)).vanished == 1
    assert same(entry.read(), made)
    assert entry.manifest.fetches[-1].notes == ("1 stored row did not come again from the source; kept.",)


# --- gaps ------------------------------------------------------------------------------------------------------------


def test_gaps_are_counted_where_the_source_was_asked(tmp_path):
    made, entry = bars(2_000), hourly(tmp_path)
    holes = {k: np.delete(v, [5, 6, 7, 100, *range(740, 750), 1_999]) for k, v in made.items()}
    put(entry, cut(holes, JULY, JULY + 400 * HOUR))
    assert (entry.manifest.gaps, entry.manifest.missing) == (2, 4)
    put(entry, cut(holes, JULY + 1_000 * HOUR, JULY + 2_000 * HOUR))
    assert (entry.manifest.gaps, entry.manifest.missing) == (2, 4), "what was not asked for is no gap"
    put(entry, cut(holes, JULY + 400 * HOUR, JULY + 1_000 * HOUR))
    assert (entry.manifest.gaps, entry.manifest.missing) == (3, 14), "one over the end of a month"
    put(entry, cut(made, JULY + 5 * HOUR, JULY + 7 * HOUR))
    assert (entry.manifest.gaps, entry.manifest.missing) == (3, 12)


def test_a_page_without_rows_covers_its_span_once_there_are_rows(tmp_path):
    entry, made = hourly(tmp_path), bars(30)
    nothing = {k: v[:0] for k, v in made.items()}
    wrote = put(entry, Page(nothing, JULY, JULY + 10 * HOUR, ("2025-07-01 is not in the archive.",)))
    assert wrote.added == 0
    assert (entry.manifest.covered, entry.manifest.rows, entry.manifest.span) == (
        ((JULY, JULY + 10 * HOUR),),
        0,
        (0, 0),
    )
    assert entry.missing(JULY, JULY + 10 * HOUR) == [(JULY, JULY + 10 * HOUR)]  # the source may have been mistaken
    assert entry.read()["time"].size == 0
    put(entry, cut(made, JULY + 10 * HOUR, JULY + 20 * HOUR))
    put(entry, cut(made, JULY + 25 * HOUR, JULY + 30 * HOUR))
    put(entry, Page(nothing, JULY + 20 * HOUR, JULY + 25 * HOUR))
    assert (entry.manifest.gaps, entry.manifest.missing) == (1, 5)
