"""Markets that read the store: what the passport says of a kept series, and what must not be read."""

from pathlib import Path

import numpy as np
import pytest
from store_made import DAY, HOUR, JULY, LATER, NOW, bars, cut

from backtest.errors import MarketError
from backtest.market import load_market
from backtest.market.obtain import Sources
from backtest.market.sources.base import Page
from backtest.market.store.entry import Entry, open_entry

MARKET = """interval = "1h"
start = "2025-07-01"
end = "2025-07-03"
[BTCUSDT]
bars = "store:mine"
funding = "none"
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "kept" / "store"


def kept(root: Path, columns=None, at: int = NOW, symbol: str = "BTCUSDT") -> Entry:
    entry = open_entry(root, "mine", symbol, "bars", HOUR)
    page = cut(bars(48) if columns is None else columns, JULY, JULY + 48 * HOUR)
    entry.write(page, closed_before=LATER, retrieved_at=at)
    return entry


def line(folder: Path):
    """Load the market and return its passport line on the bars."""
    path = folder / "m.toml"
    path.write_text(MARKET, encoding="utf-8")
    return next(s for s in load_market(path).passport.series if s.name == "BTCUSDT.bars")


def by_hand(root: Path) -> None:
    made = bars(48)
    rows = [",".join(made), *(",".join(str(v[i]) for v in made.values()) for i in range(48))]
    import pyarrow.csv
    import pyarrow.parquet

    (root / "mine").mkdir(parents=True, exist_ok=True)
    table = pyarrow.csv.read_csv(pyarrow.py_buffer("\n".join(rows).encode()))
    pyarrow.parquet.write_table(table, root / "mine" / "BTCUSDT_1h.parquet")


def test_the_passport_says_where_from_and_when(tmp_path, root):
    kept(root)
    found = line(tmp_path)
    assert (found.origin, found.source, found.rows) == ("real", "store:mine/BTCUSDT_1h, retrieved 2026-03-01", 48)
    assert found.findings == ()
    kept(root, at=NOW + 3 * DAY)
    assert line(tmp_path).source == "store:mine/BTCUSDT_1h, retrieved 2026-03-01 to 2026-03-04"
    assert line(tmp_path).sha256 == found.sha256, "the hash is of the bars, whenever they came"


def test_a_single_file_reads_the_same_and_says_that_nobody_checks_it(tmp_path, root):
    by_hand(root)
    single = line(tmp_path)
    assert single.findings == (
        "mine/BTCUSDT_1h.parquet was placed in the store by hand; nothing shows whether it was changed.",
    )
    kept(root)
    assert line(tmp_path).findings == (), "what has a manifest comes first"
    assert line(tmp_path).sha256 == single.sha256


def test_revised_history_is_a_finding(tmp_path, root):
    kept(root)
    made = bars(48)
    made["high"][7] *= 1.25
    entry = kept(root, made, at=NOW + DAY)
    (revision,) = entry.manifest.revisions
    assert line(tmp_path).findings == (
        "mine/BTCUSDT_1h: the source has revised 1 row since they were first stored; the largest change is 25.00%, in high; "
        f"SHA-256 of 2025-07 {revision.before_sha256[:12]} before and {revision.after_sha256[:12]} after.",
    )


def test_notes_of_the_fetch_are_findings(tmp_path, root):
    entry = kept(root)
    nothing = {k: v[:0] for k, v in bars(1).items()}
    for day in (3, 4):
        page = Page(nothing, JULY + day * DAY, JULY + (day + 1) * DAY, (f"2025-07-0{day + 1} is not in the archive.",))
        entry.write(page, closed_before=LATER, retrieved_at=NOW)
    assert line(tmp_path).findings == (
        "mine/BTCUSDT_1h: 2 notes when it was stored, the first: 2025-07-04 is not in the archive.",
    )


def test_a_changed_byte_stops_the_run_with_file_and_series(tmp_path, root):
    (path,) = kept(root).folder.glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(MarketError) as caught:
        line(tmp_path)
    assert str(caught.value) == (
        f"BTCUSDT.bars: mine/BTCUSDT_1h: the file {path.name} of the series was changed after it was stored; its SHA-256 is "
        f"not that of the manifest. Delete the series' folder and fetch it again, or put the original file back ({path.parent})."
    )


def test_a_series_that_has_only_empty_spans_is_not_there_yet(tmp_path, root):
    nothing = {k: v[:0] for k, v in bars(1).items()}
    entry = open_entry(root, "mine", "BTCUSDT", "bars", HOUR)
    entry.write(Page(nothing, JULY, JULY + DAY), closed_before=LATER, retrieved_at=NOW)
    with pytest.raises(MarketError, match=r"BTCUSDT\.bars: mine/BTCUSDT_1h: nothing of it is stored yet"):
        line(tmp_path)


def test_a_series_is_found_as_its_source_spells_it_and_opened_once(tmp_path, root):
    kept(root, symbol="BTC/USDT:USDT")
    sources = Sources(tmp_path, "m")
    table = sources.stored("mine", "BTC/USDT:USDT", "bars", HOUR)
    assert table.name.startswith("store:mine/BTC_USDT_USDT-")
    assert table.data.column_names == list(bars(1))
    assert sources.stored("mine", "BTC/USDT:USDT", "bars", HOUR) is table
    with pytest.raises(MarketError, match="The store has no entry mine/BTC_USDT_USDT_mark_1h"):
        sources.stored("mine", "BTC/USDT:USDT", "mark", HOUR)


def test_only_a_source_that_can_be_fetched_is_said_to_be(tmp_path, root):
    with pytest.raises(MarketError, match=r"The store has no entry yahoo/X_1h; run `backtest fetch 'a b'`, save it as"):
        Sources(tmp_path, "a b").stored("yahoo", "X", "bars", HOUR)
    with pytest.raises(MarketError, match=r"The store has no entry mine/X_1h; save it as"):
        Sources(tmp_path, "a b").stored("mine", "X", "bars", HOUR)


def test_when_values_were_known_comes_along_as_times(tmp_path, root):
    entry = open_entry(root, "mine", "^VIX", "bars", DAY)
    made = bars(5, step=DAY)
    entry.write(
        Page(made | {"known_at": made["time"] + HOUR}, JULY, JULY + 5 * DAY), closed_before=LATER, retrieved_at=NOW
    )
    data = Sources(tmp_path, "m").stored("mine", "^VIX", "bars", DAY).data
    assert [str(data.schema.field(n).type) for n in ("time", "known_at")] == ["timestamp[ns, tz=UTC]"] * 2
    assert (np.array(data.column("known_at").cast("int64")) == made["time"] + HOUR).all()
