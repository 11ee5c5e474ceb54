"""Ctrl-C at any moment of a fetch: what arrived is kept, and the command ends as it should, also while pages are read."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from servers.binance_archive import Archive

from backtest.market.store.verify import verify

COMMAND = [sys.executable, "-c", "from backtest.cli import main; main()", "fetch"]
MARKET = """interval = "1h"
start = "2025-10-20"
end = "2026-02-23"

[BTCUSDT]
bars = "store:binance-archive"
mark = "store:binance-archive"
funding = "store:binance-archive"
open_interest = { store = "binance-archive", interval = "5m" }
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_an_interruption_while_pages_are_read_ends_with_130(tmp_path, monkeypatch):
    """A day of 5m values takes longer to read than this server takes to send it: there is always a thread that reads."""
    path, chance = tmp_path / "mine.toml", random.Random(11)
    path.write_text(MARKET)
    monkeypatch.setenv("BACKTEST_RETRY_SECONDS", "0.01")
    with Archive() as archive:
        monkeypatch.setenv("BACKTEST_URL_BINANCE_ARCHIVE", archive.url)
        archive.work = 0.02
        for k in range(10):
            monkeypatch.setenv("BACKTEST_DATA", str(tmp_path / f"kept{k}"))
            archive.asked.clear()
            child = subprocess.Popen([*COMMAND, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            pages = chance.randrange(2, 40)
            while len(archive.asked) < pages:
                time.sleep(0.005)
            child.send_signal(signal.SIGINT)
            said, errors = child.communicate(timeout=60)
            assert (child.returncode, errors) == (130, "")
            assert "Interrupted; what had arrived is kept" in said
            assert "nothing was missing" not in said
            assert [f for f in verify(tmp_path / f"kept{k}" / "store") if f.bad] == []
