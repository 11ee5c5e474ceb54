"""What was stored is what is read: a changed byte anywhere is found and named, and so is what is missing or foreign."""

import numpy as np
import pytest
from store_made import HOUR, JULY, LATER, NOW, bars, cut, files

from backtest.errors import MarketError
from backtest.market.store.entry import list_entries, open_entry, read_entry
from backtest.market.store.manifest import MANIFEST, manifest_text, read_manifest
from backtest.market.store.verify import verify


@pytest.fixture
def entry(tmp_path):
    found = open_entry(tmp_path, "binance", "BTCUSDT", "bars", HOUR)
    found.write(cut(bars(1_000), JULY, JULY + 1_000 * HOUR), closed_before=LATER, retrieved_at=NOW)
    return found


def flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_a_store_that_is_as_it_was_stored(tmp_path, entry):
    (found,) = verify(tmp_path)
    assert (found.series, found.state, found.bad) == ("binance/BTCUSDT_1h", "ok", False)
    assert found.text == "binance/BTCUSDT_1h: 1,000 rows in 2 files are as they were stored."
    assert verify(tmp_path / "nowhere") == []


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 1.0])
def test_a_changed_byte_of_a_file_is_found_and_named(tmp_path, entry, part, where):
    name = sorted(files(entry.folder))[part]
    flip(entry.folder / name, int(where * ((entry.folder / name).stat().st_size - 1)))
    told = f"binance/BTCUSDT_1h: the file {name} of the series was changed after it was stored"
    with pytest.raises(MarketError, match=told.replace(".", r"\.")):
        entry.read()
    with pytest.raises(
        MarketError, match=r"Delete the series' folder and fetch it again, or put the original file back"
    ):
        read_entry(entry.folder).read()
    with pytest.raises(MarketError, match="was changed after it was stored"):
        entry.write(cut(bars(1_000), JULY, JULY + 1_000 * HOUR), closed_before=LATER, retrieved_at=NOW)
    (found,) = verify(tmp_path)
    assert (found.state, found.file, found.bad) == ("changed", name, True)
    assert found.text.startswith(told)


def test_what_is_not_read_does_not_stop_the_rest(entry):
    first = sorted(files(entry.folder))[0]
    flip(entry.folder / first, 100)
    assert entry.read(JULY + 800 * HOUR)["time"].size == 200


def test_any_changed_byte_of_a_manifest_is_found(tmp_path, entry):
    path = entry.folder / MANIFEST
    original = path.read_bytes()
    for at in range(0, len(original), 7):
        flip(path, at)
        with pytest.raises(
            MarketError, match=r"binance/BTCUSDT_1h: the file manifest\.json of the series was changed or cut off"
        ):
            read_manifest(entry.folder)
        path.write_bytes(original)
    path.write_bytes(original[: len(original) // 2])
    assert [(f.state, f.file) for f in verify(tmp_path)] == [("changed", MANIFEST)]
    assert list_entries(tmp_path) == []
    with pytest.raises(MarketError, match="cut off"):
        open_entry(tmp_path, "binance", "BTCUSDT", "bars", HOUR)


def test_a_manifest_of_another_version_says_so(entry):
    data = manifest_text(entry.manifest)
    assert read_manifest(entry.folder) == entry.manifest
    newer = entry.manifest.model_copy(update={"version": 2})
    (entry.folder / MANIFEST).write_bytes(manifest_text(newer))
    with pytest.raises(MarketError, match=r"is of another version of the program \(`version` is not as expected\)"):
        read_manifest(entry.folder)
    assert data == manifest_text(entry.manifest)


def test_a_missing_file_is_named(tmp_path, entry):
    name = sorted(files(entry.folder))[1]
    (entry.folder / name).unlink()
    told = f"binance/BTCUSDT_1h: the file {name} of the series is missing"
    with pytest.raises(MarketError, match=told.replace(".", r"\.")):
        entry.read()
    with pytest.raises(MarketError, match="is missing"):
        entry.write(cut(bars(1_000), JULY, JULY + 1_000 * HOUR), closed_before=LATER, retrieved_at=NOW)
    assert [(f.state, f.file) for f in verify(tmp_path)] == [("missing", name)]


def test_a_series_that_was_deleted_is_fetched_anew(tmp_path, entry):
    for path in entry.folder.iterdir():
        path.unlink()
    wrote = entry.write(cut(bars(10), JULY, JULY + 10 * HOUR), closed_before=LATER, retrieved_at=NOW)
    assert (wrote.added, entry.manifest.rows) == (10, 10)
    with pytest.raises(MarketError, match=r"holds no stored series; it has no manifest\.json"):
        read_entry(tmp_path / "binance")


def test_foreign_files_and_what_was_left_behind(tmp_path, entry):
    (entry.folder / "notes.txt").write_text("mine")
    (entry.folder / "2025-07.0123456789ab.parquet").write_bytes(b"left by a kill")
    (entry.folder / ".manifest.json.17.99.tmp").write_bytes(b"left by a kill")
    (tmp_path / "readme.md").write_text("mine")
    (tmp_path / "binance" / "ETHUSDT_1h.parquet").write_bytes(b"placed by hand")
    (tmp_path / "binance" / "list.csv").write_text("mine")
    (tmp_path / "binance" / "made").mkdir()
    (tmp_path / "binance" / "made" / "bars.parquet").write_bytes(b"mine")
    found = {(f.series, f.state, f.file) for f in verify(tmp_path)}
    assert found == {
        ("binance/BTCUSDT_1h", "foreign", "notes.txt"),
        ("binance/BTCUSDT_1h", "leftover", "2025-07.0123456789ab.parquet"),
        ("binance/BTCUSDT_1h", "leftover", ".manifest.json.17.99.tmp"),
        ("binance/BTCUSDT_1h", "ok", ""),
        ("binance/ETHUSDT_1h.parquet", "unverified", "ETHUSDT_1h.parquet"),
        ("binance/list.csv", "foreign", "list.csv"),
        ("binance/made", "foreign", "bars.parquet"),
        ("readme.md", "foreign", "readme.md"),
    }
    open_entry(tmp_path, "binance", "BTCUSDT", "bars", HOUR)
    assert not any(f.state == "leftover" for f in verify(tmp_path))
    assert (entry.folder / "notes.txt").is_file(), "what is not ours is not deleted"


def test_a_folder_that_was_moved_is_named(tmp_path, entry):
    entry.folder.rename(tmp_path / "binance" / "ETHUSDT_1h")
    (found,) = verify(tmp_path)
    assert (found.state, found.text) == ("foreign", "binance/ETHUSDT_1h holds the bars of binance:BTCUSDT.")


def test_a_reader_follows_a_writer_that_replaced_its_files(entry):
    stale = read_entry(entry.folder)
    made = {k: v.copy() for k, v in bars(1_000).items()}
    made["close"][0] += 1
    entry.write(cut(made, JULY, JULY + 1_000 * HOUR), closed_before=LATER, retrieved_at=NOW)
    assert np.array_equal(stale.read()["close"], made["close"])
    assert stale.manifest == entry.manifest
