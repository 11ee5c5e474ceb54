"""Fetching: what is missing and only that, side by side, resumed, stopped, and reported on."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from fake_source import DAY, HOUR, FakeSource

from backtest.errors import MarketError, SourceError
from backtest.market.fetching.fetch import fetch
from backtest.market.store import entry as store

T0 = 1_751_328_000_000_000_000  # 2025-07-01T00:00Z
LATER = T0 + 400 * DAY
MARKET = """interval = "1h"
start = "2025-07-01"
end = "2025-07-11"

[BTCUSDT]
bars = "store:fake"
funding = "store:fake"

[ETHUSDT]
bars = "store:fake"
funding = "none"
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A source that the market files of these tests name, and a store of its own."""
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    source = FakeSource()
    serve(monkeypatch, source)
    return source


def serve(monkeypatch, *sources):
    """Let these be the sources that there are."""
    by_name = {source.name: source for source in sources}

    def find(name):
        if name not in by_name:
            raise SourceError(f"No source named {name!r}.", "refused")
        return by_name[name]

    monkeypatch.setattr("backtest.market.fetching.fetch.get_source", find)


def market(tmp_path, text=MARKET):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def partitions(root):
    """Return the bytes of every stored Parquet file, by its place; what only says when it was fetched is left out."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(Path(root).rglob("*.parquet"))}


def by_key(report):
    return {series.of[0]: series for series in report.series}


# --- what is fetched -------------------------------------------------------------------------------------------------


def test_a_fetch_stores_every_series_of_the_market(tmp_path, fake):
    report = fetch(market(tmp_path), now=LATER)
    assert (report.exit_code, report.market, report.root) == (0, "mine", tmp_path / "kept" / "store")
    found = {key: (s.added, s.arrived, s.pages, s.missing) for key, s in by_key(report).items()}
    assert found == {
        "BTCUSDT.bars": (240, 10, 10, ()),
        "BTCUSDT.funding": (31, 3, 3, ()),  # every 8 hours for ten days, and the one due at the very end
        "ETHUSDT.bars": (240, 10, 10, ()),
    }
    rows = store.open_entry(report.root, "fake", "BTCUSDT", "bars", HOUR).read()
    assert (rows["time"][0], rows["time"][-1], rows["time"].size) == (T0, T0 + 239 * HOUR, 240)
    assert rows["close"][7] == pytest.approx(100.5 + 5 * np.sin((T0 + 7 * HOUR) / (50 * HOUR)))


def test_a_second_fetch_asks_for_nothing(tmp_path, fake):
    fetch(market(tmp_path), now=LATER)
    before, fake.asked = partitions(tmp_path), []
    report = fetch(market(tmp_path), now=LATER)
    assert (fake.asked, report.exit_code) == ([], 0)
    assert partitions(tmp_path) == before
    assert all(s.quality.rows for s in report.series)


def test_a_longer_market_fetches_what_is_new_and_the_day_before_it_once_more(tmp_path, fake):
    fetch(market(tmp_path), now=LATER)
    fake.asked = []
    report = fetch(market(tmp_path, MARKET.replace("07-11", "07-13")), now=LATER)
    assert {r.start for r in fake.asked if r.kind == "bars"} == {T0 + 9 * DAY, T0 + 10 * DAY, T0 + 11 * DAY}
    assert (by_key(report)["ETHUSDT.bars"].added, by_key(report)["ETHUSDT.bars"].revised) == (48, 0)


def test_bars_that_are_not_closed_are_not_stored_and_come_with_a_later_fetch(tmp_path, fake):
    now = T0 + 30 * HOUR + 60_000_000_000
    first = by_key(fetch(market(tmp_path), now=now))
    assert first["BTCUSDT.bars"].end == T0 + 30 * HOUR
    rows = store.open_entry(tmp_path / "kept" / "store", "fake", "BTCUSDT", "bars", HOUR).read()
    assert int(rows["time"][-1]) + HOUR <= now
    later = by_key(fetch(market(tmp_path), now=LATER))
    assert first["BTCUSDT.bars"].added + later["BTCUSDT.bars"].added == 240


def test_a_market_that_lies_ahead_needs_nothing_yet(tmp_path, fake):
    report = fetch(market(tmp_path), now=T0 - DAY)
    assert (report.exit_code, fake.asked) == (0, [])
    assert report.notes == (
        "The span of BTCUSDT.bars, BTCUSDT.funding, ETHUSDT.bars has not begun; there is nothing to fetch of it yet.",
    )


def test_since_takes_another_start(tmp_path, fake):
    report = fetch(market(tmp_path), since="2025-07-09", now=LATER)
    assert by_key(report)["ETHUSDT.bars"].start == T0 + 8 * DAY
    assert by_key(report)["ETHUSDT.bars"].added == 48
    assert fetch(market(tmp_path), since="2025-06-30T00:30", now=LATER).series[0].start == T0 - DAY
    with pytest.raises(MarketError, match=r"`since` 2025-08-01T00:00Z must lie before the end"):
        fetch(market(tmp_path), since="2025-08-01", now=LATER)
    with pytest.raises(MarketError, match=r'`since` must be a time like "2025-07-01"'):
        fetch(market(tmp_path), since="soon", now=LATER)


def test_another_exchange_stands_in_where_it_can(tmp_path, monkeypatch, fake):
    serve(monkeypatch, fake, *(FakeSource(n) for n in ("binance", "bybit", "coinalyze")))
    path = market(
        tmp_path, MARKET.replace("fake", "binance").replace('bars = "store:binance"', 'bars = "store:fake"', 1)
    )
    report = fetch(path, source="bybit", now=LATER)
    assert [s.series.source for s in report.series] == ["fake", "bybit", "bybit"]
    (told,) = report.notes
    assert told == (
        "A run still reads BTCUSDT.funding, ETHUSDT.bars from binance, as the market file declares; "
        'say store = "bybit" there to use what was fetched.'
    )
    with pytest.raises(MarketError, match="Source coinalyze spells its symbols in its own way"):
        fetch(path, source="coinalyze", now=LATER)
    with pytest.raises(SourceError, match="No source named 'kraken'"):
        fetch(path, source="kraken", now=LATER)


def test_a_dry_run_asks_for_nothing(tmp_path, fake):
    report = fetch(market(tmp_path), dry_run=True, now=LATER)
    assert fake.asked == []
    assert [(s.of[0], s.pages, s.arrived) for s in report.series] == [
        ("BTCUSDT.bars", 10, 0), ("BTCUSDT.funding", 3, 0), ("ETHUSDT.bars", 10, 0)
    ]  # fmt: skip
    assert not (tmp_path / "kept").exists()


def test_keys_that_share_a_series_fetch_it_once(tmp_path, fake):
    text = MARKET.replace(
        'funding = "none"', 'funding = "none"\nlong_liquidations = "store:fake"\nshort_liquidations = "store:fake"'
    )
    report = fetch(market(tmp_path, text), now=LATER)
    shared = by_key(report)["ETHUSDT.long_liquidations"]
    assert shared.of == ("ETHUSDT.long_liquidations", "ETHUSDT.short_liquidations")
    assert len([r for r in fake.asked if r.kind == "liquidations"]) == shared.pages == 11  # a day ahead of the bars


def test_a_market_of_files_needs_nothing(tmp_path, fake):
    report = fetch(market(tmp_path, MARKET.replace("store:fake", "bars.csv")), now=LATER)
    assert (report.series, report.exit_code, fake.asked) == ((), 0, [])


# --- side by side ----------------------------------------------------------------------------------------------------


def test_as_many_pages_are_under_way_as_the_source_allows_and_no_more(tmp_path, monkeypatch, fake):
    busy = FakeSource(concurrency=4, work=0.01)
    serve(monkeypatch, busy)
    fetch(market(tmp_path), now=LATER)
    assert busy.busiest == 4
    one = FakeSource("fake", concurrency=1)
    serve(monkeypatch, one)
    fetch(market(tmp_path, MARKET.replace("2025", "2024")), now=LATER)
    assert one.busiest == 1
    starts = [r.start for r in one.asked if (r.symbol, r.kind) == ("BTCUSDT", "bars")]
    assert starts == sorted(starts)


def test_two_sources_are_asked_at_the_same_time(tmp_path, monkeypatch, fake):
    together = threading.Barrier(2)
    fake.faults["BTCUSDT"] = lambda request: together.wait(10) if request.start == T0 else None
    other = FakeSource("other")
    other.faults["ETHUSDT"] = lambda request: together.wait(10) if request.start == T0 else None
    serve(monkeypatch, fake, other)
    text = MARKET.replace('[ETHUSDT]\nbars = "store:fake"', '[ETHUSDT]\nbars = "store:other"').replace(
        'funding = "store:fake"', 'funding = "none"'
    )
    assert fetch(market(tmp_path, text), now=LATER).exit_code == 0


def test_pages_in_flight_are_bounded_however_slow_the_disk(tmp_path, monkeypatch, fake):
    done, most, write = [0], [0], store.Entry.write

    def slow(self, page, **options):
        threading.Event().wait(0.02)
        most.append(len(fake.asked) - done[-1])
        return write(self, page, **options)

    monkeypatch.setattr(store.Entry, "write", slow)
    fake.rows = 6
    fetch(market(tmp_path), now=LATER, progress=lambda step: done.append(step.done))
    assert done[-1] == 40 + 6 + 40
    # Those asked for, twice as many that arrived, and as many that are being written.
    assert 2 < max(most) <= (1 + 2 + 2) * fake.concurrency


def test_progress_counts_pages_and_rows(tmp_path, fake):
    steps = []
    fetch(market(tmp_path), now=LATER, progress=steps.append)
    assert (steps[0].done, steps[0].total) == (0, 23)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[-1].source, steps[-1].done, steps[-1].rows, steps[-1].failed) == ("fake", 23, 511, 0)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_series_that_fails_stops_alone_and_keeps_what_it_has(tmp_path, fake):
    fake.concurrency = 1
    fake.faults["BTCUSDT", T0 + 4 * DAY] = SourceError("fake knows no BTCUSDT.", "unknown_symbol")
    report = fetch(market(tmp_path), now=LATER)
    broken, whole = by_key(report)["BTCUSDT.bars"], by_key(report)["ETHUSDT.bars"]
    assert (broken.error, broken.cause, broken.added) == ("fake knows no BTCUSDT.", "unknown_symbol", 96)
    assert broken.missing == ((T0 + 4 * DAY, T0 + 10 * DAY),)
    assert (whole.error, whole.added, report.exit_code) == (None, 240, 1)


def test_a_fetch_goes_on_where_an_error_stopped_it(tmp_path, fake):
    fake.concurrency = 1
    fake.faults["BTCUSDT", T0 + 4 * DAY] = SourceError("gone", "timeout")
    fetch(market(tmp_path), now=LATER)
    fake.faults, fake.asked = {}, []
    report = fetch(market(tmp_path), now=LATER)
    assert sorted(r.start for r in fake.asked) == [T0 + k * DAY for k in range(3, 10)]  # one more than is missing
    assert (report.exit_code, by_key(report)["BTCUSDT.bars"].quality.missing.gaps) == (0, 0)


@pytest.mark.parametrize("cause", ["offline", "geo_blocked", "needs_key", "needs_extra"])
def test_what_stops_a_source_is_met_once(tmp_path, fake, cause):
    fake.concurrency = 1
    fake.faults["BTCUSDT"] = SourceError("fake does not answer.", cause)
    report = fetch(market(tmp_path), now=LATER)
    assert len(fake.asked) == 1
    assert {s.error for s in report.series} == {"fake does not answer."}
    assert report.exit_code == 2


def test_a_series_that_is_there_does_not_fail_with_its_source(tmp_path, fake):
    fetch(market(tmp_path, MARKET.split("[ETH")[0]), now=LATER)
    fake.faults["ETHUSDT"] = SourceError("fake does not answer.", "offline")
    report = fetch(market(tmp_path), now=LATER)
    assert [s.error for s in report.series] == [None, None, "fake does not answer."]


def test_a_source_that_there_is_not_fails_its_series(tmp_path, fake):
    report = fetch(
        market(tmp_path, MARKET.replace('[ETHUSDT]\nbars = "store:fake"', '[ETHUSDT]\nbars = "store:nowhere"')),
        now=LATER,
    )
    assert [s.error for s in report.series] == [None, None, "No source named 'nowhere'."]
    assert report.exit_code == 1


def test_where_only_the_lead_is_too_old_the_rest_is_fetched(tmp_path, fake):
    text = MARKET.replace('funding = "none"', 'funding = "none"\nopen_interest = "store:fake"')
    fake.oldest = T0
    report = fetch(market(tmp_path, text), now=LATER)
    interest = by_key(report)["ETHUSDT.open_interest"]
    assert (interest.error, interest.start, interest.added, interest.missing) == (None, T0 - DAY, 240, ())
    fake.oldest = T0 + HOUR
    report = fetch(
        market(tmp_path, MARKET.replace("2025-07-11", "2025-07-12").replace("2025-07-01", "2025-06-30")), now=LATER
    )
    assert by_key(report)["BTCUSDT.bars"].error == "fake has nothing so old for BTCUSDT."


def test_a_full_disk_stops_with_a_sentence_and_what_is_there_stays(tmp_path, monkeypatch, fake):
    fake.concurrency = 1
    write = store.Entry.write

    def full(self, page, **options):
        if page.start > T0:  # the first pages find room
            raise MarketError("fake/BTCUSDT_1h could not be stored: the disk is full.")
        return write(self, page, **options)

    monkeypatch.setattr(store.Entry, "write", full)
    report = fetch(market(tmp_path), now=LATER)
    assert report.exit_code == 2
    assert all("the disk is full" in s.error for s in report.failed)
    monkeypatch.setattr(store.Entry, "write", write)
    kept = sum(rows for s in report.series if s.quality for rows in [s.quality.rows])
    assert kept > 0
    assert fetch(market(tmp_path), now=LATER).exit_code == 0


def test_a_mistake_of_ours_is_not_dressed_up(tmp_path, fake):
    fake.faults["BTCUSDT"] = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        fetch(market(tmp_path), now=LATER)


def test_a_damaged_manifest_stops_its_series_alone(tmp_path, fake):
    fetch(market(tmp_path), now=LATER)
    manifest = tmp_path / "kept" / "store" / "fake" / "BTCUSDT_1h" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"BTCUSDT", b"BTCUSDC"))
    report = fetch(market(tmp_path, MARKET.replace("07-11", "07-12")), now=LATER)
    assert "was changed or cut off" in by_key(report)["BTCUSDT.bars"].error
    assert by_key(report)["ETHUSDT.bars"].added == 24
    assert report.exit_code == 1


def test_an_interruption_keeps_what_arrived(tmp_path, monkeypatch, fake):
    fake.concurrency = 1
    fake.faults["ETHUSDT", T0 + 3 * DAY] = lambda request: threading.Event().wait(30)  # a request that hangs
    seen = []
    monkeypatch.setattr("backtest.market.fetching.lanes.PATIENCE", 0.3)

    def stop(step):
        seen.append(step)

    join = threading.Thread.join

    def interrupted(self, timeout=None):
        if seen and seen[-1].done >= 8 and self.name == "write fake" and not hasattr(stop, "done"):
            stop.done = True
            raise KeyboardInterrupt
        return join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    report = fetch(market(tmp_path), now=LATER, progress=stop)
    assert (report.interrupted, report.exit_code) == (True, 130)
    assert sum(s.added for s in report.series) >= 8
    fake.faults = {}
    assert fetch(market(tmp_path), now=LATER).exit_code == 0


# --- what is told ----------------------------------------------------------------------------------------------------


def test_every_series_has_its_quality_and_the_second_source_is_compared(tmp_path, monkeypatch, fake):
    other = FakeSource("other")
    serve(monkeypatch, fake, other)
    text = MARKET.replace('bars = "store:fake"', 'bars = { store = "fake", check = "other:BTC-USD" }', 1)
    found = by_key(fetch(market(tmp_path, text), now=LATER))
    agrees = found["BTCUSDT.bars"].quality.agreement
    assert (agrees.other, agrees.interval, agrees.compared) == ("other:BTC-USD", DAY, 10)
    assert found["BTCUSDT.bars.check"].series == ("other", "BTC-USD", "bars", DAY)
    assert found["ETHUSDT.bars"].quality.agreement is None


def test_what_a_source_notes_is_told_once(tmp_path, fake):
    fake.notes = {T0: "The first day is short.", T0 + DAY: "The first day is short."}
    assert by_key(fetch(market(tmp_path), now=LATER))["ETHUSDT.bars"].notes == ("The first day is short.",)


def test_the_report_is_plain_data(tmp_path, fake):
    told = json.loads(json.dumps(fetch(market(tmp_path), now=LATER).to_dict(), allow_nan=False))
    bars = told["series"][0]
    assert (bars["of"], bars["start"], bars["added"], bars["error"]) == (
        ["BTCUSDT.bars"],
        "2025-07-01T00:00Z",
        240,
        None,
    )
    assert bars["quality"]["rows"] == 240
