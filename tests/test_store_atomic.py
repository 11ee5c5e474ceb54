"""A write that is cut short at any point leaves the store whole, and done again it leaves what an undisturbed one leaves."""

import builtins
import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from store_child import BARS, ROWS
from store_made import HOUR, JULY, LATER, NOW, bars, cut, files, pages, same

from backtest.errors import MarketError
from backtest.market.store.entry import Entry, open_entry
from backtest.market.store.manifest import read_manifest
from backtest.market.store.verify import verify

MADE = bars(BARS)
OLD, NEW = JULY + 800 * HOUR, JULY + BARS * HOUR  # stored before; stored by the write that is disturbed


class Killed(BaseException):
    """What stands for a kill in the same process: nothing that comes after it reaches the disk either."""


def hourly(root: Path) -> Entry:
    return open_entry(root, "binance", "BTCUSDT", "bars", HOUR)


def put(entry: Entry, start: int, end: int) -> None:
    entry.write(cut(MADE, start, end), closed_before=LATER, retrieved_at=NOW)


def undisturbed(root: Path) -> dict[str, bytes]:
    put(hourly(root), JULY, OLD)
    put(hourly(root), OLD - 100 * HOUR, NEW)
    return files(hourly(root).folder)


class Faults:
    """Counts the operations on files, and has one of them fail: `kill` and all that follow, or with an OSError alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, number: int | None) -> None:
        self.at, self.number, self.seen = at, number, 0
        for module, name in (
            (os, "replace"),
            (os, "fsync"),
            (os, "open"),
            (os, "unlink"),
            (os, "mkdir"),
            (builtins, "open"),
        ):
            monkeypatch.setattr(module, name, self.counted(getattr(module, name), name))

    def counted(self, work, name):
        def call(*args, **options):
            self.step()
            done = work(*args, **options)
            writes = name == "open" and work is not os.open and "w" in str(args[1:2])
            return Slow(done, self) if writes else done

        return call

    def step(self) -> None:
        self.seen += 1
        if self.number is None and self.seen >= self.at:
            raise Killed
        if self.number is not None and self.seen == self.at:
            raise OSError(self.number, os.strerror(self.number))


class Slow:
    """A file that writes in two halves, each of which may fail."""

    def __init__(self, file, faults) -> None:
        self.file, self.faults = file, faults

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.faults.step()
        self.file.write(data[len(data) // 2 :])

    def __getattr__(self, name):
        return getattr(self.file, name)


def disturbed(root: Path, at: int, number: int | None) -> tuple[bool, BaseException | None]:
    """Do the write with a fault at one operation; return whether that was reached, and what came out."""
    put(hourly(root), JULY, OLD)
    entry, caught = hourly(root), None
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch, at, number)
        try:
            put(entry, OLD - 100 * HOUR, NEW)
        except (Killed, MarketError) as error:
            caught = error
    return faults.seen >= at, caught


def check_whole(root: Path) -> None:
    """The store reads as before the disturbed write or as after it."""
    found = Entry(hourly(root).folder, hourly(root).manifest).read()
    assert same(found, cut(MADE, JULY, OLD).columns) or same(found, MADE)
    assert [f.text for f in verify(root) if f.bad or f.state == "foreign"] == []


@pytest.mark.parametrize("number", [None, errno.ENOSPC, errno.EIO], ids=["killed", "disk full", "disk broken"])
def test_a_fault_at_any_operation_of_a_write(tmp_path, number):
    aim = undisturbed(tmp_path / "undisturbed")
    for at in range(1, 100):
        root = tmp_path / f"fault-{at}"
        reached, caught = disturbed(root, at, number)
        check_whole(root)
        put(hourly(root), OLD - 100 * HOUR, NEW)
        assert files(hourly(root).folder) == aim
        assert [f.state for f in verify(root)] == ["ok"]
        if not reached:
            assert caught is None
            break
    assert 15 < at < 99, "every operation was disturbed once"


def test_a_kill_in_the_last_write_leaves_nothing_behind_once_it_is_resumed(tmp_path):
    # After the manifest was replaced nothing is missing, so no write follows; opening the series tidies up.
    aim = undisturbed(tmp_path / "undisturbed")
    for at in range(1, 100):
        root = tmp_path / f"fault-{at}"
        reached, _ = disturbed(root, at, None)
        entry = hourly(root)
        for start, end in entry.missing(JULY, NEW):
            put(entry, start, end)
        assert files(entry.folder) == aim
        assert not list(entry.folder.glob("*.tmp"))
        if not reached:
            break


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_done(tmp_path):
    put(hourly(tmp_path), JULY, OLD)
    folder, told = tmp_path / "binance" / "BTCUSDT_1h", set()
    before = files(folder)
    for at in range(3, 15):  # from the lock to the new manifest; the first two make the folder, which is there
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, at, errno.ENOSPC)
            with pytest.raises(MarketError) as caught:
                put(hourly(tmp_path), OLD, NEW)
        told.add(str(caught.value))
        assert files(folder) == before, "new files without a manifest take no room on a full disk"
        assert not list(folder.glob(".*.tmp"))
    assert told == {
        f"binance/BTCUSDT_1h could not be stored: the disk of {folder} is full. What was stored before is intact; free "
        "some space or choose another folder (--data DIR), then fetch again."
    }


def test_a_folder_that_may_not_be_written_to_is_a_sentence(tmp_path, monkeypatch):
    Faults(monkeypatch, 1, errno.EACCES)
    with pytest.raises(
        MarketError, match=r"could not be stored: .* may not be written to; choose another folder \(--data DIR\)"
    ):
        put(hourly(tmp_path), JULY, OLD)


# --- processes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nursery():
    """A process that forks writers on demand."""
    script = Path(__file__).with_name("store_child.py")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        yield lambda *words: ask(process, *words)
        process.stdin.close()


def ask(process, *words) -> int:
    process.stdin.write(" ".join(str(word) for word in words) + "\n")
    return int(process.stdout.readline())


def resume(root: Path) -> None:
    """Store what is missing, page by page, as the next fetch does."""
    entry = hourly(root)
    for page in pages(MADE, HOUR, ROWS):
        if entry.missing(page.start, page.end):
            entry.write(page, closed_before=LATER, retrieved_at=NOW)


def test_a_killed_process_leaves_the_store_whole(tmp_path, nursery, request):
    resume(tmp_path / "undisturbed")
    aim, dice, between = files(hourly(tmp_path / "undisturbed").folder), random.Random(11), 0
    for trial in range(200 if request.config.getoption("--full") else 20):
        root = tmp_path / f"trial-{trial}"
        pid = nursery("write", root, 0, 1)
        wait_for(root, dice.randrange(BARS - ROWS))
        time.sleep(dice.uniform(0, 0.02))  # about a page
        os.kill(pid, signal.SIGKILL)
        nursery("wait", pid)
        entry = hourly(root)
        stored = entry.read()
        done = stored["time"].size
        between += 0 < done < BARS
        assert same(stored, {k: v[:done] for k, v in MADE.items()})
        assert done % ROWS == 0
        assert entry.missing(JULY, NEW) == ([(JULY + done * HOUR, NEW)] if done < BARS else [])
        resume(root)
        assert files(entry.folder) == aim
        assert [f.state for f in verify(root)] == ["ok"]
    assert between > 10, "most kills hit a process between its first page and its last"


def wait_for(root: Path, rows: int) -> None:
    """Wait until more than so many rows are stored, or for a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        manifest = read_manifest(root / "binance" / "BTCUSDT_1h")
        if manifest is not None and manifest.rows > rows:
            return
        time.sleep(0.001)


def test_two_processes_write_one_series_at_once(tmp_path, nursery):
    resume(tmp_path / "alone")
    pids = [nursery("write", tmp_path / "both", i, 2) for i in (0, 1)]
    pids.append(nursery("write", tmp_path / "both", 0, 3))
    seen = set()
    while not seen or max(seen) < BARS:  # a reader meanwhile, which takes no lock
        found = hourly(tmp_path / "both").read()
        at = ((found["time"] - JULY) // HOUR).astype(int)
        assert same(found, {k: v[at] for k, v in MADE.items()})
        seen.add(at.size)
    assert [nursery("wait", pid) for pid in pids] == [0, 0, 0]
    assert files(hourly(tmp_path / "both").folder) == files(hourly(tmp_path / "alone").folder)
    assert [f.state for f in verify(tmp_path / "both")] == ["ok"]


def test_threads_write_one_series_at_once(tmp_path):
    resume(tmp_path / "alone")
    entry, errors = hourly(tmp_path / "both"), list[BaseException]()

    def work(mine) -> None:
        try:
            for page in mine:
                entry.write(page, closed_before=LATER, retrieved_at=NOW)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(pages(MADE, HOUR, ROWS)[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert entry.manifest.rows == BARS
    assert files(entry.folder) == files(hourly(tmp_path / "alone").folder)


def test_a_writer_that_never_ends_is_named(tmp_path, monkeypatch):
    import filelock

    monkeypatch.setattr("backtest.market.store.disk.PATIENCE", 0.05)
    entry = hourly(tmp_path)
    entry.folder.mkdir(parents=True)
    with filelock.FileLock(entry.folder / ".lock"), pytest.raises(MarketError) as caught:
        put(entry, JULY, OLD)
    assert "binance/BTCUSDT_1h: another process has been writing it for 0 s; let it finish" in str(caught.value)
