"""Fetching from a server on loopback, from the command to the run: offline afterwards, killed, resumed, and twice at once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from servers.binance_archive import Archive

from backtest.market import load_market
from backtest.market.fetching.fetch import fetch
from backtest.market.store.entry import list_entries
from backtest.market.store.verify import verify

COMMAND = [sys.executable, "-c", "from backtest.cli import main; main()"]
CHILD = "import sys\nfrom backtest.market.fetching.fetch import fetch\nprint('go', flush=True)\nfetch(sys.argv[1])\nprint('done')"
MARKET = """interval = "1h"
start = "2026-01-20"
end = "2026-03-08"

[BTCUSDT]
bars = "store:binance-archive"
mark = "store:binance-archive"
funding = "store:binance-archive"
open_interest = { store = "binance-archive", interval = "5m" }
long_liquidations = { proxy = "open_interest" }

[ETHUSDT]
bars = "store:binance-archive"
mark = { proxy = "last" }
funding = "store:binance-archive"
"""


@pytest.fixture
def archive(monkeypatch):
    with Archive() as server:
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", server.url)
        monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.01")
        yield server


@pytest.fixture
def market(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MARKET)
    return path


def keep_in(monkeypatch, folder):
    monkeypatch.setenv("BACKTEST_DATA", str(folder))
    return folder / "store"


def partitions(root):
    """Return the bytes of every stored Parquet file, by its place: all that does not say when it was fetched."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(Path(root).rglob("*.parquet"))}


def spans(root):
    """Return what is covered and stored, by series."""
    return {(m.symbol, m.kind, m.interval): (m.covered, m.rows, m.partitions) for m in list_entries(root)}


@pytest.fixture
def undisturbed(archive, market, tmp_path, monkeypatch):
    """The store of a fetch that nothing disturbed."""
    root = keep_in(monkeypatch, tmp_path / "undisturbed")
    assert fetch(market).exit_code == 0
    return root


def same_market(a, b):
    names = ("time", "open", "high", "low", "close", "volume")
    assert all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in names)
    assert [(s.name, s.origin, s.sha256) for s in a.passport.series] == [
        (s.name, s.origin, s.sha256) for s in b.passport.series
    ]


# --- from the command to the run -------------------------------------------------------------------------------------


def test_what_was_fetched_runs_offline_ever_after(archive, market, tmp_path, monkeypatch):
    keep_in(monkeypatch, tmp_path / "kept")

    def command(*arguments):
        return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)

    before = command("run", "support_break", "--market", "./mine.toml")
    assert before.returncode == 2
    assert "run `backtest fetch ./mine.toml`" in before.stderr
    fetched = command("fetch", "./mine.toml")
    assert (fetched.returncode, fetched.stderr) == (0, "")
    for told in ("BTCUSDT.bars", "1,128", "2026-01-20 to 2026-03-08", "new rows in"):
        assert told in fetched.stdout
    archive.stop()
    arguments = ("--set", "levels=61000,59000", "--json")
    runs = [json.loads(command("run", "support_break", "--market", "./mine.toml", *arguments).stdout) for _ in range(2)]
    first, second = (run["runs"][0] for run in runs)
    assert first["grade"] == "B"  # the liquidations and one mark are declared proxies
    assert first["metrics"] == second["metrics"]
    assert first["metrics"]["trades"] > 0
    again = command("fetch", "./mine.toml")
    assert again.returncode == 0
    assert "nothing was missing" in again.stdout


def test_the_market_has_what_the_server_gave(archive, market, tmp_path, monkeypatch):
    keep_in(monkeypatch, tmp_path / "kept")
    fetch(market)
    found = load_market(str(market))
    assert (len(found), found.symbols) == (47 * 24, ("BTCUSDT", "ETHUSDT"))
    lines = {s.name: s for s in found.passport.series}
    assert {name: line.origin for name, line in lines.items()} == {
        "BTCUSDT.bars": "real", "BTCUSDT.mark": "real", "BTCUSDT.funding": "real", "BTCUSDT.open_interest": "real",
        "BTCUSDT.long_liquidations": "proxy", "ETHUSDT.bars": "real", "ETHUSDT.mark": "proxy", "ETHUSDT.funding": "real",
    }  # fmt: skip
    assert lines["BTCUSDT.bars"].source.startswith("store:binance-archive/BTCUSDT_1h, retrieved ")
    interest = found.feeds["BTCUSDT.open_interest"]
    assert interest.unit == "usd"
    assert interest.known_at[0] == found.time[0] - 24 * found.interval + found.interval // 12
    assert not np.isnan(interest.at(found.time[:1])[0])  # known at the first bar already


# --- disturbed -------------------------------------------------------------------------------------------------------


def test_after_an_error_in_the_middle_the_same_command_completes(archive, market, tmp_path, monkeypatch, undisturbed):
    root = keep_in(monkeypatch, tmp_path / "kept")
    archive.fail("status", times=1000, match="ETHUSDT-1h-2026-03-0", status=500)
    broken = fetch(market)
    assert broken.exit_code == 1
    assert [s.of[0] for s in broken.failed] == ["ETHUSDT.bars"]
    archive.faults.clear()
    archive.asked.clear()
    assert fetch(market).exit_code == 0
    assert all("ETHUSDT-1h" in path for path in archive.paths)
    assert partitions(root) == partitions(undisturbed)
    assert spans(root) == spans(undisturbed)


def test_an_incomplete_fetch_is_said_when_it_is_run(archive, market, tmp_path, monkeypatch):
    keep_in(monkeypatch, tmp_path / "kept")
    archive.fail("status", times=1000, match="ETHUSDT-1h-2026-03-0", status=500)
    fetch(market)
    with pytest.raises(Exception, match=r"ETHUSDT.bars was not fetched for 2026-03-0.* run `backtest fetch"):
        load_market(str(market))


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_a_fetch_killed_at_any_moment_leaves_a_whole_store_and_resumes(
    archive, market, tmp_path, monkeypatch, undisturbed, request
):
    kills = 200 if request.config.getoption("--full") else 20
    chance, expected, covered = random.Random(7), partitions(undisturbed), spans(undisturbed)
    archive.work = 0.002
    length, killed, round_ = 1.0, 0, 0
    while killed < kills:
        root, round_ = keep_in(monkeypatch, tmp_path / f"kept{round_}"), round_ + 1
        for _ in range(4):  # killed again and again, each time a little later in the work
            child = subprocess.Popen([sys.executable, "-c", CHILD, str(market)], stdout=subprocess.PIPE, text=True)
            assert child.stdout.readline() == "go\n"
            began = time.monotonic()
            try:
                rest, _ = child.communicate(timeout=chance.uniform(0.0, 1.0) * length)
                assert rest == "done\n"
                length = max(0.1, time.monotonic() - began)
                break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.communicate()
                killed += 1
            assert [f.text for f in verify(root) if f.bad] == []
            assert set(partitions(root)) >= {
                f"binance-archive/{folder.parent.name}/{name}"
                for m, folder in manifests(root)
                for name in m["partitions"]
            }
        assert fetch(market).exit_code == 0
        assert partitions(root) == expected
        assert spans(root) == covered
        assert not [f for f in verify(root) if f.state != "ok"]


def manifests(root):
    """Return every manifest of a store as plain data, with its path."""
    return [(json.loads(path.read_text()), path) for path in root.glob("*/*/manifest.json")]


def test_two_fetches_at_once_do_not_disturb_each_other(archive, market, tmp_path, monkeypatch, undisturbed):
    root = keep_in(monkeypatch, tmp_path / "kept")
    archive.work = 0.003
    both = [
        subprocess.Popen([*COMMAND, "fetch", str(market), "--json"], stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    told = [json.loads(child.communicate(timeout=120)[0]) for child in both]
    assert [child.returncode for child in both] == [0, 0]
    assert all(series["error"] is None and not series["missing"] for report in told for series in report["series"])
    assert partitions(root) == partitions(undisturbed)
    assert spans(root) == spans(undisturbed)


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_ctrl_c_keeps_what_arrived_and_says_so(archive, market, tmp_path, monkeypatch, undisturbed):
    root = keep_in(monkeypatch, tmp_path / "kept")
    archive.work = 0.05
    archive.asked.clear()
    child = subprocess.Popen(
        [*COMMAND, "fetch", str(market)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(archive.asked) < 12:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    said, errors = child.communicate(timeout=60)
    assert (child.returncode, "Traceback" in errors) == (130, False)
    assert "Interrupted; what had arrived is kept" in said
    assert [f for f in verify(root) if f.bad] == []
    archive.work = 0.0
    assert fetch(market).exit_code == 0
    assert partitions(root) == partitions(undisturbed)
