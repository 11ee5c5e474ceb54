"""Several folders of data: one order for writing, reading and telling what is here; what is no folder, or can't be read."""

import json
import os
import stat

import numpy as np
import pytest
from fake_source import DAY, HOUR, FakeSource

from backtest.errors import MarketError
from backtest.market import load_market, store_entry, store_folders
from backtest.market.fetching.fetch import fetch
from backtest.market.fetching.inventory import inventory
from backtest.market.sources.base import Page
from backtest.market.store.entry import open_entry, store_root
from backtest.market.store.imports import import_file
from backtest.market.store.manifest import read_manifest
from backtest.market.store.verify import verify

T0 = 1_751_328_000_000_000_000  # 2025-07-01T00:00Z
LATER = T0 + 400 * DAY
MARKET = """interval = "1h"
start = "2025-07-{}"
end = "2025-07-{}"

[ETHUSDT]
bars = "store:fake"
funding = "none"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working folder that is no checkout, and a user's folder of data beside it; data are fetched from a made source."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("BACKTEST_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", lambda *names: tmp_path / "own")
    source = FakeSource()
    monkeypatch.setattr("backtest.market.fetching.fetch.get_source", lambda name: source)
    return tmp_path


def market(home, first, last):
    path = home / "mine.toml"
    path.write_text(MARKET.format(first, last))
    return str(path)


def test_what_is_written_to_is_read_first(home, monkeypatch):
    assert store_folders() == (home / "own" / "store", store_folders()[1])
    assert store_folders()[0] == store_root()
    monkeypatch.setenv("BACKTEST_DATA", "there")
    assert [str(folder) for folder in store_folders()] == ["there/store", "data/store", str(home / "own" / "store")]


def test_a_part_in_another_folder_does_not_hide_the_whole(home, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("BACKTEST_DATA", "data")
        fetch(market(home, "01", "04"), now=LATER)  # three days in ./data
    path = market(home, "01", "11")
    assert [h.state for h in inventory(path, LATER)] == ["part"]
    report = fetch(path, now=LATER)
    assert (report.root, report.series[0].added) == (home / "own" / "store", 240)
    assert [h.state for h in inventory(path, LATER)] == ["here"]
    assert len(load_market(path)) == 240


def test_the_folder_that_has_more_of_the_markets_span_is_read(home, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("BACKTEST_DATA", "data")
        fetch(market(home, "01", "04"), now=LATER)
    fetch(market(home, "08", "21"), now=LATER)  # thirteen other days in the user's folder
    for first, last, days in (("01", "04", 3), ("08", "21", 13)):
        path = market(home, first, last)
        assert [h.state for h in inventory(path, LATER)] == ["here"]
        assert len(load_market(path)) == days * 24


def test_a_folder_that_may_not_be_read_is_a_sentence(home, monkeypatch):
    fetch(market(home, "01", "04"), now=LATER)
    folder = home / "own" / "store" / "fake" / "ETHUSDT_1h"

    def closed(self, **options):
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:  # as any user but root meets it
        patch.setattr("pathlib.Path.is_file", closed)
        with pytest.raises(MarketError, match=r"ETHUSDT_1h can't be read \(Permission denied\)"):
            store_entry("fake", "ETHUSDT_1h", "mine")
    if os.geteuid() if hasattr(os, "geteuid") else False:
        folder.chmod(0)
        with pytest.raises(MarketError, match="can't be read"):
            load_market(market(home, "01", "04"))
        folder.chmod(stat.S_IRWXU)


def test_a_store_that_is_a_file_is_a_sentence(home):
    (home / "file").write_text("x")
    for root in (home / "file", home / "file" / "store"):
        with pytest.raises(MarketError, match=r"can't be read as a store \(Not a directory\); name another folder"):
            verify(root)
    assert verify(home / "nothing") == []


def test_an_import_does_not_take_the_name_of_a_source(home):
    (home / "x.csv").write_text("time,open,high,low,close,volume\n2025-07-01,1,1,1,1,1\n2025-07-02,1,1,1,1,1\n")
    for source in ("binance-archive", "yahoo"):
        with pytest.raises(MarketError, match=rf"called {source} comes from there by `backtest fetch`; choose another"):
            import_file(home / "x.csv", source, "BTCUSDT", "bars", DAY, None, home / "own" / "store")
    assert not (home / "own").exists()


def test_a_server_that_stands_in_for_a_source_is_remembered(home, monkeypatch):
    """Two hours from the source's own servers, then two from another one: the manifest keeps both apart."""
    entry = open_entry(home / "own" / "store", "fake", "ETHUSDT", "bars", HOUR)

    def put(hour):
        time = T0 + np.arange(hour, hour + 2) * HOUR
        columns = dict.fromkeys(("open", "high", "low", "close", "volume"), np.ones(2))
        entry.write(Page({"time": time, **columns}, T0 + hour * HOUR, T0 + (hour + 2) * HOUR), closed_before=LATER)

    put(0)
    monkeypatch.setenv("BACKTEST_URL_FAKE", "http://me:pass/word@127.0.0.1:8123/mirror/")
    put(2)
    assert [(f.rows, f.address) for f in read_manifest(entry.folder).fetches] == [(2, ""), (2, "http://127.0.0.1:8123")]
    monkeypatch.delenv("BACKTEST_URL_FAKE")
    fetch(market(home, "01", "02"), now=LATER)
    lines = [line for line in load_market(market(home, "01", "02")).passport.series if line.name == "ETHUSDT.bars"]
    told = "fake/ETHUSDT_1h came from http://127.0.0.1:8123, not from the servers of fake."
    assert told in lines[0].findings
    assert "pass" not in json.dumps(read_manifest(entry.folder).model_dump())
