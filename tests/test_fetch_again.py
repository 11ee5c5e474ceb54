"""What is stored and asked for once more: next to what is new, where that is wanted, and where nothing came at first."""

import pytest
from fake_source import DAY, HOUR
from test_fetch import LATER, MARKET, T0, by_key, fake, market

from backtest.market.fetching.fetch import fetch

__all__ = ["fake"]


def test_an_earlier_start_fetches_what_is_new_and_the_day_after_it_once_more(tmp_path, fake):
    fetch(market(tmp_path), now=LATER)
    fake.asked = []
    fetch(market(tmp_path), since="2025-06-29", now=LATER)
    assert {r.start for r in fake.asked if r.kind == "bars"} == {T0 - 2 * DAY, T0 - DAY, T0}


def test_no_more_is_asked_again_than_is_stored(tmp_path, fake):
    fetch(market(tmp_path), now=T0 + 3 * HOUR)
    fake.asked = []
    fetch(market(tmp_path), now=T0 + 30 * HOUR)
    assert sorted({(r.start, r.end) for r in fake.asked if r.kind == "bars"}) == [
        (T0, T0 + DAY), (T0 + DAY, T0 + 30 * HOUR)
    ]  # fmt: skip


def test_what_is_too_old_by_now_is_not_asked_again(tmp_path, fake):
    fetch(market(tmp_path), now=LATER)
    fake.asked, fake.oldest = [], T0 + 10 * DAY
    report = fetch(market(tmp_path, MARKET.replace("07-11", "07-13")), now=LATER)
    assert (report.exit_code, min(r.start for r in fake.asked if r.kind == "bars")) == (0, T0 + 10 * DAY)


def test_revised_history_is_told(tmp_path, fake):
    fetch(market(tmp_path, MARKET.replace("07-11", "07-03")), now=LATER)
    fake.revise = 1.0
    found = by_key(fetch(market(tmp_path), now=LATER))["BTCUSDT.bars"]
    assert (found.revised, found.added) == (24, 8 * 24)
    assert found.largest == pytest.approx(1 / 95, rel=0.1)  # 1 more at prices of 95 to 105, or 100 or so
    assert any("fake has revised rows" in told for told in found.quality.findings)


def test_what_is_stored_is_asked_for_again_where_that_is_wanted(tmp_path, fake):
    fetch(market(tmp_path), now=LATER)
    fake.revise, fake.asked = 1.0, []
    report = fetch(market(tmp_path), since="2025-07-08", again=True, now=LATER)
    found = by_key(report)["ETHUSDT.bars"]
    assert (found.added, found.revised, len(fake.asked)) == (0, 3 * 24, 3 + 2 + 3)  # three days; funding has 24 a page
    assert [s.revised for s in fetch(market(tmp_path), again=True, now=LATER).series] == [7 * 24, 0, 7 * 24]
    assert fetch(market(tmp_path), now=LATER).exit_code == 0


def test_bad_rows_are_mended_by_asking_again(tmp_path, fake):
    answer = fake.answer

    def spoilt(request):
        page = answer(request)
        page.columns["low"][page.columns["time"] == T0 + 5 * DAY] = -5.0
        return page

    fake.answer = lambda request: spoilt(request) if request.kind == "bars" else answer(request)
    path = market(tmp_path)
    assert fetch(path, now=LATER).notes == (
        "Bad rows stay as they came; `backtest fetch mine --again --since 2025-07-01` asks for them once more and says "
        "which the source has revised.",
    )
    fake.answer = answer
    report = fetch(path, since="2025-07-06", again=True, now=LATER)
    assert ([s.revised for s in report.series], report.notes) == ([1, 0, 1], ())


def test_a_series_without_a_row_is_a_failure_and_asked_for_again(tmp_path, fake):
    answer = fake.answer

    def nothing(request):
        page = answer(request)
        gone = request.symbol == "ETHUSDT" or request.kind == "funding"
        return type(page)({k: v[:0] if gone else v for k, v in page.columns.items()}, page.start, page.end)

    fake.answer = nothing
    for _ in range(2):  # the second one does not take the first one's answer for the last word
        report = fetch(market(tmp_path), now=LATER)
        failed = by_key(report)["ETHUSDT.bars"]
        assert (report.exit_code, failed.cause, failed.arrived) == (1, "empty", 10)
        assert failed.error.startswith("fake has given no row of ETHUSDT bars, 2025-07-01T00:00Z to 2025-07-11T00:00Z.")
        assert failed.missing == ((T0, T0 + 10 * DAY),)
        assert by_key(report)["BTCUSDT.funding"].cause == "empty"  # no stamp in ten days
    fake.answer = answer
    assert fetch(market(tmp_path), now=LATER).exit_code == 0
