"""The files of the record of trials: full ones go aside, a batch costs itself, and what is there twice counts once."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_result import make_result
from pyarrow import parquet

import backtest.catalogue.record as record_module
from backtest.analysis import analyze
from backtest.catalogue import find_doomed, read_index, save_run, scan_runs
from backtest.catalogue.record import ASIDE, FULL, LOCK, TRIALS, Known, full_files
from backtest.catalogue.trials import (
    Trial,
    load_trials,
    merge_trials,
    read_trials,
    record_trial,
    record_trials,
    table_of,
)
from backtest.errors import ResultsError

HASH = "d" * 64


def points(count, *, start=0, strategy="break", data=HASH, sharpe=0.001):
    return [Trial(strategy, data, f"{i:010x}", "sweep", sharpe=i * sharpe) for i in range(start, start + count)]


def names(numbers):
    return tuple(f"{i:010x}" for i in numbers)


@pytest.fixture
def small(monkeypatch):
    """Files that are full with five rows."""
    monkeypatch.setattr(record_module, "FULL", 5)


def rows_in(folder):
    """Return the rows of each file: of those aside, and of the open one."""
    return [parquet.read_metadata(path).num_rows for path in (*full_files(folder), folder / TRIALS)]


def save(folder):
    result = make_result()
    return save_run(result, analyze(result).to_dict(), folder)


def trials_of(folder, strategy="break", data=HASH):
    return load_trials(folder, strategy, data).identities


# --- files -------------------------------------------------------------------------------------------------------


def test_a_full_file_goes_aside_and_never_changes_again(tmp_path, small):
    """Batches of 2: the third does not fit beside four rows, so those go aside."""
    for first in (0, 2, 4, 6, 8):
        record_trials(tmp_path, points(2, start=first))
        if first == 4:
            (early,) = full_files(tmp_path)
            before = early.read_bytes()
    assert rows_in(tmp_path) == [4, 4, 2]
    assert full_files(tmp_path)[0] == early
    assert early.read_bytes() == before
    assert [path.name[:11] for path in full_files(tmp_path)] == ["part-000001", "part-000002"]
    assert trials_of(tmp_path) == names(range(10))
    assert [trial.sharpe for trial in read_trials(tmp_path)] == [i * 0.001 for i in range(10)]


def test_a_batch_larger_than_a_file_is_one_file(tmp_path, small):
    record_trials(tmp_path, points(1))
    record_trials(tmp_path, points(12, start=1))
    record_trials(tmp_path, points(1, start=13))
    assert rows_in(tmp_path) == [1, 12, 1]
    assert trials_of(tmp_path) == names(range(14))


def test_what_is_aside_and_written_again_counts_once_as_it_was_first(tmp_path, small):
    record_trials(tmp_path, points(5))
    record_trials(tmp_path, points(5, sharpe=9.0))
    record_trials(tmp_path, [*points(1, start=5), *points(1, sharpe=7.0), *points(1, start=5, sharpe=7.0)])
    found = load_trials(tmp_path, "break", HASH)
    assert (found.count, found.identities) == (6, names(range(6)))
    assert found.sharpes.tolist() == [i * 0.001 for i in range(6)]
    assert [(t.identity, t.sharpe) for t in read_trials(tmp_path)] == [(f"{i:010x}", i * 0.001) for i in range(6)]


@settings(deadline=None, max_examples=25)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from(["break", "bounce", "brake"]), st.integers(0, 9)), max_size=6), max_size=7
    )
)
def test_every_key_counts_once_under_its_strategy(tmp_path_factory, batches):
    results, seen = tmp_path_factory.mktemp("results"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_module, "FULL", 3)
        for batch in batches:
            record_trials(results, [Trial(strategy, HASH, f"id-{i}") for strategy, i in batch])
            seen |= dict.fromkeys(batch)
        for strategy in ("break", "bounce", "brake"):
            assert trials_of(results, strategy) == tuple(f"id-{i}" for name, i in seen if name == strategy)
        assert [t.key for t in read_trials(results)] == [(name, HASH, f"id-{i}") for name, i in seen]


def test_ids_of_any_length_and_script_are_told_apart(tmp_path, small):
    ids = ["", "a", "ab", "é", "日本", "x" * 64, "a" * 63, "0", "00"]
    record_trials(tmp_path, [Trial("stütze", HASH, one) for one in ids])
    record_trials(tmp_path, [Trial("stütze", HASH, one) for one in ids])
    assert trials_of(tmp_path, "stütze") == tuple(ids)
    assert trials_of(tmp_path, "stutze") == ()


def test_the_record_of_an_earlier_version_counts(tmp_path, small):
    """It was one file of any length, written with other settings; it goes aside as it is."""
    parquet.write_table(table_of(points(30)), tmp_path / TRIALS, compression="zstd", write_page_checksum=True)
    before = (tmp_path / TRIALS).read_bytes()
    assert trials_of(tmp_path) == names(range(30))
    record_trials(tmp_path, points(2, start=29))
    assert full_files(tmp_path)[0].read_bytes() == before
    assert trials_of(tmp_path) == names(range(31))


def test_folders_that_are_copied_together_are_one_record(tmp_path, small):
    """No file of one takes the place of one of the other."""
    here, there = tmp_path / "here", tmp_path / "there"
    for first in (0, 5, 10):
        record_trials(here, points(5, start=first))
        record_trials(there, points(5, start=first + 100))
    shutil.copytree(there / ASIDE, here / ASIDE, dirs_exist_ok=True)
    assert set(trials_of(here)) == {*names(range(15)), *names(range(100, 110))}


def test_the_record_of_another_machine_is_merged_with_all_its_files(tmp_path, small):
    here, there = tmp_path / "here", tmp_path / "there"
    for first in (0, 4):
        record_trials(here, points(4, start=first))
    for first in (6, 9, 12, 6):
        record_trials(there, points(3, start=first))
    assert merge_trials(here, full_files(there)[0]) == 1
    assert merge_trials(here, there) == 6
    assert merge_trials(here, there) == 0
    assert set(trials_of(here)) == set(names(range(15)))
    assert sum(rows_in(here)) == 15


# --- kills and other processes -----------------------------------------------------------------------------------

WRITER = """
import os, sys
import backtest.catalogue.record as record
from backtest.catalogue.trials import Trial, record_trials
record.FULL = 5
results, name, moment = sys.argv[1:]
for i in range(15):
    if moment and i == 8:
        setattr(record, moment, lambda *a: os._exit(9))
    record_trials(results, [Trial("break", "d" * 64, f"{name}-{i}"), Trial("break", "d" * 64, f"both-{i}")])
"""


def writer(results, name, moment=""):
    return subprocess.Popen([sys.executable, "-c", WRITER, results, name, moment])


def test_writers_in_several_processes_lose_nothing_while_files_go_aside(tmp_path):
    writers = [writer(tmp_path, name) for name in ("a", "b", "c")]
    while any(one.poll() is None for one in writers):
        found = trials_of(tmp_path)  # a reader in between sees each once
        assert len(found) == len(set(found))
    assert [one.wait(120) for one in writers] == [0, 0, 0]
    assert set(trials_of(tmp_path)) == {f"{name}-{i}" for name in ("a", "b", "c", "both") for i in range(15)}
    assert len(full_files(tmp_path)) > 10
    assert sorted(os.listdir(tmp_path)) == [LOCK, ASIDE, TRIALS]


@pytest.mark.parametrize("moment", ["put_aside", "to_disk", "put"])
def test_a_kill_on_the_way_aside_loses_nothing(tmp_path, moment):
    """The ninth batch of two finds four rows; it is killed before these go aside, when they are, or before it is written."""
    assert writer(tmp_path, "a", moment).wait(120) == 9
    assert set(trials_of(tmp_path)) == {f"{name}-{i}" for name in ("a", "both") for i in range(8)}
    assert writer(tmp_path, "a").wait(120) == 0
    assert set(trials_of(tmp_path)) == {f"{name}-{i}" for name in ("a", "both") for i in range(15)}


def test_a_reader_misses_nothing_that_goes_aside_meanwhile(tmp_path, small, monkeypatch):
    """The writer comes between the reader's opening of the open file and its look at the full ones."""
    record_trials(tmp_path, points(5))
    real = record_module.full_files

    def meanwhile(results):
        monkeypatch.setattr(record_module, "full_files", real)
        record_trials(tmp_path, points(3, start=5))
        return real(results)

    monkeypatch.setattr(record_module, "full_files", meanwhile)
    assert trials_of(tmp_path) == names(range(5))
    assert trials_of(tmp_path) == names(range(8))


# --- what can't be read ------------------------------------------------------------------------------------------


def test_a_damaged_file_aside_is_named(tmp_path, small):
    for first in (0, 5):
        record_trials(tmp_path, points(5, start=first))
    (path,) = full_files(tmp_path)
    path.write_bytes(path.read_bytes()[:99])
    for attempt in (lambda: trials_of(tmp_path), lambda: read_trials(tmp_path), lambda: Known(tmp_path)):
        with pytest.raises(
            ResultsError, match=rf"{path.name} can't be read as the record of trials .*; it was left as"
        ):
            attempt()
    record_trials(tmp_path, points(1, start=10))
    assert len(path.read_bytes()) == 99


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path, small):
    (tmp_path / ASIDE).write_text("mine", encoding="utf-8")
    record_trials(tmp_path, points(5))
    with pytest.raises(ResultsError, match="not writable"):
        record_trials(tmp_path, points(1, start=5))
    assert len(parquet.read_table(tmp_path / TRIALS)) == 5


def test_a_folder_that_can_not_be_listed_is_named_and_not_taken_for_none(tmp_path, small, monkeypatch):
    for first in (0, 5):
        record_trials(tmp_path, points(5, start=first))

    def refused(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(record_module.os, "listdir", refused)
    with pytest.raises(ResultsError, match="trials with the record of trials can't be read: Permission denied"):
        trials_of(tmp_path)


def test_other_files_in_the_folder_do_no_harm(tmp_path, small):
    (tmp_path / ASIDE).mkdir()
    for name in ("part-x-y.parquet", "notes.txt", "part-1-ab.parquet"):
        (tmp_path / ASIDE / name).write_text("mine", encoding="utf-8")
    for first in (0, 5):
        record_trials(tmp_path, points(5, start=first))
    assert trials_of(tmp_path) == names(range(10))


# --- beside the runs ---------------------------------------------------------------------------------------------


def test_the_folder_of_the_record_is_no_run(tmp_path, small):
    for first in (0, 5):
        record_trials(tmp_path, points(5, start=first))
    assert scan_runs(tmp_path) == ([], [])
    index = read_index(tmp_path)
    assert (index.runs, index.broken, index.problem) == ((), (), "")
    for name in ("trials", str(tmp_path / "trials")):
        with pytest.raises(ResultsError, match="There are no runs in"):
            find_doomed([name], tmp_path)
    save(tmp_path)
    with pytest.raises(ResultsError, match="No run named 'trials'"):
        find_doomed(["trials"], tmp_path)


def test_a_run_that_is_aside_is_not_added_again_by_the_list(tmp_path, small):
    folder = save(tmp_path)
    read_index(tmp_path)
    for first in (0, 5):
        record_trials(tmp_path, points(5, start=first))
    before = rows_in(tmp_path)
    (tmp_path / "catalogue.sqlite").unlink()
    assert [run.path for run in read_index(tmp_path).runs] == [folder]
    assert rows_in(tmp_path) == before


# --- size --------------------------------------------------------------------------------------------------------


def test_only_files_that_may_hold_the_strategy_are_read(tmp_path, small, monkeypatch):
    """Full files of "break" on one market tell by their head that nothing else is in them."""
    for first in (0, 5, 10):
        record_trials(tmp_path, points(5, start=first))
    record_trials(tmp_path, [Trial("ladder", HASH, "x")])
    read, real = [], record_module.full
    monkeypatch.setattr(record_module, "full", lambda table: read.append(table.num_rows) or real(table))
    assert trials_of(tmp_path, "ladder") == ("x",)
    assert read == [1]


MEMORY = """
import sys
from backtest.catalogue.trials import Trial, record_trials
def batch(k):
    return [Trial("break", "d" * 64, f"{i:010x}", "sweep", "2026-01-01", i / 1e6) for i in range(k, k + 5_000)]
record_trials("results", batch(0))
for k in range(5_000, int(sys.argv[1]), 5_000):
    record_trials("results", batch(k))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))  # of this process alone
"""


def test_memory_does_not_grow_with_the_record(tmp_path):
    """150,000 trials need at most 10 MiB more than 30,000 to be recorded; each count is whole."""
    peaks = []
    for count in (30_000, 150_000):
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        command = [sys.executable, "-c", MEMORY, str(count)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
        peaks.append(int(done.stdout) / 1024)
        found = load_trials(tmp_path / "results", "break", HASH)
        assert (found.count, found.identities[-1]) == (count, f"{count - 1:010x}")
        assert rows_in(tmp_path / "results") == [FULL] * (count // FULL - (count % FULL == 0)) + [count % FULL or FULL]
    assert peaks[1] - peaks[0] < 10


def test_a_hundred_thousand_trials_are_counted_at_once(tmp_path):
    record_trials(tmp_path, points(100_000))
    record_trial(tmp_path, points(1, start=100_000)[0])
    found = load_trials(tmp_path, "break", HASH)
    assert found.count == 100_001
    assert np.isfinite(found.sharpes).all()
    assert full_files(tmp_path)[0].stat().st_size < 3_000_000
