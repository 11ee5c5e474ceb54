"""The record of trials: what counts once, what is never lost, and what is never written over."""

import doctest
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_result import make_result
from pyarrow import parquet

import backtest.catalogue.record as record_module
import backtest.catalogue.trials as trials_module
from backtest.catalogue import run_id, save_run, scan_runs
from backtest.catalogue.record import LOCK, TRIALS
from backtest.catalogue.trials import (
    Trial,
    load_trials,
    market_hash,
    merge_trials,
    read_trials,
    record_trial,
    record_trials,
    trial_of,
    trial_of_entry,
)
from backtest.errors import ResultsError
from backtest.model import Passport, Series


def points(count, *, start=0, strategy="break", data="data"):
    return [Trial(strategy, data, f"id-{i}", "sweep", sharpe=i / 1000) for i in range(start, start + count)]


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(trials_module).failed == 0
    assert doctest.testmod(record_module).failed == 0


# --- what counts -----------------------------------------------------------------------------------------------------


def test_nothing_was_tried_yet(tmp_path):
    found = load_trials(tmp_path / "nowhere", "break", "data")
    assert (found.count, found.strategy, found.market_hash) == (0, "break", "data")
    assert read_trials(tmp_path / "nowhere") == []
    assert not (tmp_path / "nowhere").exists()


def test_every_run_and_sweep_point_of_the_name_on_the_data_counts(tmp_path):
    run = Trial("break", "data", "abc", "run", "2026-01-01T00:00:00+00:00", 0.05, 120, 2880)
    record_trial(tmp_path, run)
    record_trials(tmp_path, [*points(3), *points(2, strategy="bounce"), *points(4, data="other")])
    found = load_trials(tmp_path, "./my strategies/break.py", "data")
    assert found.count == 4
    assert found.identities == ("abc", "id-0", "id-1", "id-2")
    assert found.sharpes.tolist() == [0.05, 0.0, 0.001, 0.002]
    assert load_trials(tmp_path, "bounce", "data").count == 2
    assert load_trials(tmp_path, "break", "other").count == 4
    assert read_trials(tmp_path)[0] == run


def test_the_same_run_again_counts_once_and_the_first_stays(tmp_path):
    first = Trial("break", "data", "abc", created="2026-01-01", sharpe=0.1)
    again = Trial("break", "data", "abc", created="2026-02-01", sharpe=0.1)
    for trial in (first, again):
        record_trial(tmp_path, trial)
    record_trials(tmp_path, [again, *points(1), *points(1)])
    assert [t.created for t in read_trials(tmp_path)] == ["2026-01-01", ""]


def test_a_trial_without_a_ratio_counts_too(tmp_path):
    record_trial(tmp_path, Trial("break", "data", "abc"))
    found = load_trials(tmp_path, "break", "data")
    assert found.count == 1
    assert math.isnan(found.sharpes[0])


@settings(deadline=None, max_examples=30)
@given(batches=st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=6))
def test_the_record_only_grows_and_holds_each_once(tmp_path_factory, batches):
    results, seen = tmp_path_factory.mktemp("results"), []
    for batch in batches:
        fresh = [i for i in dict.fromkeys(batch) if i not in seen]
        record_trials(results, [points(1, start=i)[0] for i in batch])
        seen += fresh
        assert [t.identity for t in read_trials(results)] == [f"id-{i}" for i in seen]


def test_the_hash_of_the_data_does_not_depend_on_when_it_was_fetched():
    def passport(**changes):
        return Passport((Series("BTC.bars", "real", "a file", sha256="12", **changes), Series("vix", "proxy", "b")))

    same = market_hash(passport(findings=("a gap",), rows=5))
    assert same == market_hash(passport())
    assert same != market_hash(
        Passport((Series("BTC.bars", "real", "a file", sha256="13"), Series("vix", "proxy", "b")))
    )
    assert len(same) == 64


# --- runs ------------------------------------------------------------------------------------------------------------


def summary(**luck):
    figures = {"sharpe": 1.5, "total_return": 0.1}
    head = {"strategy": "support_break", "market": "made", "grade": "D", "start": 0, "end": 120 * 86_400_000_000_000}
    return head | {"bars": 2880, "metrics": figures} | luck


def test_a_rebuild_finds_the_same_trial_in_the_saved_run(tmp_path):
    result = make_result()
    trial = trial_of(result, 0.07, 5, source="abc", created="2026-01-01")
    assert trial.identity == run_id(result, "abc")
    assert trial.market_hash == market_hash(result.passport)
    record_trial(tmp_path, trial)
    save_run(result, summary(luck={"sharpe": 0.07 * math.sqrt(365), "days": 5}), tmp_path, source="abc")
    found = trial_of_entry(scan_runs(tmp_path)[0][0])
    assert found.key == trial.key
    assert (found.sharpe, found.periods, found.bars) == (pytest.approx(0.07), 5, 2880)
    record_trial(tmp_path, found)
    assert len(read_trials(tmp_path)) == 1


def test_a_run_that_was_not_judged_gives_its_yearly_ratio(tmp_path):
    save_run(make_result(), summary(), tmp_path)
    found = trial_of_entry(scan_runs(tmp_path)[0][0])
    assert (found.sharpe, found.periods) == (pytest.approx(1.5 / math.sqrt(365)), 120)
    save_run(make_result(), summary(metrics={"sharpe": None}), tmp_path)
    assert math.isnan(trial_of_entry(scan_runs(tmp_path)[0][0]).sharpe)


def test_a_run_that_does_not_say_its_bars_is_named(tmp_path):
    folder = save_run(make_result(), summary(), tmp_path)
    data = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    del data["bars"]
    (folder / "summary.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ResultsError, match="does not say what a trial needs: KeyError\\('bars'\\)"):
        trial_of_entry(scan_runs(tmp_path)[0][0])


def test_the_record_is_no_run(tmp_path):
    record_trials(tmp_path, points(3))
    save_run(make_result(), summary(), tmp_path)
    runs, broken = scan_runs(tmp_path)
    assert (len(runs), broken) == (1, [])


# --- other machines, other processes ---------------------------------------------------------------------------------


def test_the_record_of_another_machine_is_merged(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    record_trials(here, points(4))
    record_trials(there, points(4, start=2))
    assert merge_trials(here, there) == 2
    assert merge_trials(here, there / TRIALS) == 0
    assert load_trials(here, "break", "data").count == 6
    assert load_trials(there, "break", "data").count == 4


def test_there_is_nothing_to_merge(tmp_path):
    with pytest.raises(ResultsError, match=r"There are no trials to merge at .*gone"):
        merge_trials(tmp_path, tmp_path / "gone")


WRITER = """
import sys
from backtest.catalogue.trials import Trial, record_trials
results, name = sys.argv[1:]
for i in range(15):
    record_trials(results, [Trial("break", "data", f"{name}-{i}"), Trial("break", "data", f"both-{i}")])
"""


def test_writers_in_two_processes_lose_nothing(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, name]) for name in ("a", "b")]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    found = load_trials(tmp_path, "break", "data")
    assert found.count == 45
    assert set(found.identities) == {f"{name}-{i}" for name in ("a", "b", "both") for i in range(15)}
    assert sorted(os.listdir(tmp_path)) == [LOCK, TRIALS]


def test_a_writer_that_is_killed_leaves_the_record_whole(tmp_path):
    record_trials(tmp_path, points(5))
    before = (tmp_path / TRIALS).read_bytes()
    code = WRITER.replace("for i in range(15):", "import os\nos.replace = lambda *a: os._exit(9)\nfor i in range(15):")
    assert subprocess.run([sys.executable, "-c", code, tmp_path, "a"]).returncode == 9
    assert (tmp_path / TRIALS).read_bytes() == before
    record_trials(tmp_path, points(6))
    assert len(read_trials(tmp_path)) == 6


# --- what can't be read or written -----------------------------------------------------------------------------------


def damaged(kind: str, path: Path) -> None:
    whole = path.read_bytes()
    if kind == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("strategy,sharpe\nbreak,1.2\n", encoding="utf-8")
    elif kind == "flipped":
        middle = len(whole) // 4
        path.write_bytes(whole[:middle] + bytes(b ^ 0xFF for b in whole[middle : middle + 40]) + whole[middle + 40 :])
    elif kind == "other table":
        parquet.write_table(pa.table({"strategy": ["break"]}), path)
    elif kind == "holes":
        table = parquet.read_table(path)
        names = pa.array([None] * table.num_rows, pa.string())
        parquet.write_table(table.set_column(0, "strategy", names), path)
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "flipped", "other table", "holes"])
def test_a_damaged_record_is_named_and_left_as_it_is(tmp_path, kind):
    path = tmp_path / TRIALS
    record_trials(tmp_path, points(50))
    damaged(kind, path)
    before = path.read_bytes()
    sentence = "can't be read as the record of trials .*; it was left as it is. Put back a copy of it, or move it away"
    for attempt in (
        lambda: record_trials(tmp_path, points(1, start=99)),
        lambda: load_trials(tmp_path, "break", "data"),
        lambda: read_trials(tmp_path),
        lambda: merge_trials(tmp_path / "fresh", path),
    ):
        with pytest.raises(ResultsError, match=sentence):
            attempt()
    assert path.read_bytes() == before
    assert not (tmp_path / "fresh" / TRIALS).exists()


def test_a_folder_in_its_place_is_named(tmp_path):
    (tmp_path / TRIALS).mkdir()
    with pytest.raises(ResultsError, match="can't be read as the record of trials"):
        record_trials(tmp_path, points(1))


def test_a_results_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "results").write_text("mine", encoding="utf-8")
    with pytest.raises(ResultsError, match=r"not writable \(it is a file\)"):
        record_trials(tmp_path / "results", points(1))


def test_a_full_disk_is_named_and_leaves_the_old_record(tmp_path, monkeypatch):
    record_trials(tmp_path, points(2))
    before = (tmp_path / TRIALS).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_module, "to_disk", full)
    with pytest.raises(ResultsError, match="is full"):
        record_trials(tmp_path, points(3))
    assert (tmp_path / TRIALS).read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == [LOCK, TRIALS]


def test_a_lock_that_is_not_given_back_is_named(tmp_path, monkeypatch):
    import filelock

    monkeypatch.setattr(record_module, "PATIENCE", 0.05)
    with filelock.FileLock(tmp_path / LOCK), pytest.raises(ResultsError, match="Another process has been writing"):
        record_trials(tmp_path, points(1))


def test_counting_loads_no_pandas(tmp_path):
    record_trials(tmp_path, points(3))
    code = (
        "import sys; from backtest.catalogue.trials import Trial, load_trials, record_trial\n"
        f"record_trial({str(tmp_path)!r}, Trial('break', 'data', 'x'))\n"
        f"assert load_trials({str(tmp_path)!r}, 'break', 'data').count == 4\n"
        "assert 'pandas' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
