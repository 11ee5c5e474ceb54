"""The catalogue's file: a copy of what the folders say, never more, whatever becomes of it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made_result import make_result

from backtest.analysis import analyze
from backtest.catalogue import index as index_module
from backtest.catalogue import read_index, save_run, write_note
from backtest.catalogue.trials import read_trials
from backtest.errors import ResultsError

SERIES = "[('BTCUSDT.bars', 'simulated', '00')]"  # name, origin and hash of the made result's one series


def save(results, strategy="support_break", day=1):
    result = make_result(strategy=strategy)
    made = datetime(2026, 1, day, tzinfo=UTC)
    return save_run(result, analyze(result).to_dict(), results, source="ab" * 32, created=made)


@pytest.fixture
def two(tmp_path):
    """Two runs, and the catalogue of them."""
    folders = save(tmp_path, "ladder", 2), save(tmp_path, day=1)
    assert read_index(tmp_path).problem == ""
    return folders


def strategies(results):
    return [run.strategy for run in read_index(results).runs]


def query(results, text):
    with closing(sqlite3.connect(results / "catalogue.sqlite")) as base:
        return base.execute(text).fetchall()


def change(results, *statements):
    with closing(sqlite3.connect(results / "catalogue.sqlite")) as base:
        for statement in statements:
            base.execute(statement)
        base.commit()


# --- what it holds -----------------------------------------------------------------------------------------------


def test_runs_are_oldest_first_with_their_figures(tmp_path, two):
    ladder, support = two
    runs = read_index(tmp_path).runs
    assert [run.path for run in runs] == [support, ladder]
    first = runs[0]
    assert (first.id, first.market, first.grade) == (support.name.rsplit("_", 1)[1], "made", "D")
    assert first.created == "2026-01-01T00:00:00.000+00:00"
    assert (first.metrics["trades"], first.metrics["final_equity"]) == (2, 1015.085)
    assert first.metrics["total_return"] == pytest.approx(0.015085, abs=1e-12)


def test_the_hash_of_the_data_is_that_of_its_series(tmp_path, two):
    import hashlib

    assert {run.market_hash for run in read_index(tmp_path).runs} == {hashlib.sha256(SERIES.encode()).hexdigest()}


def test_an_older_run_gets_the_hash_from_its_passport(tmp_path, two):
    new = read_index(tmp_path).runs[0].market_hash
    path = two[1] / "summary.json"
    data = json.loads(path.read_text())
    assert data.pop("market_hash") == new
    path.write_text(json.dumps(data))
    assert read_index(tmp_path).runs[0].market_hash == new
    del data["passport"]
    path.write_text(json.dumps(data))
    assert read_index(tmp_path).runs[0].market_hash == ""


def test_it_can_be_asked_in_sql(tmp_path, two):
    rows = query(tmp_path, "SELECT strategy, json_extract(metrics, '$.trades') FROM runs ORDER BY created")
    assert rows == [("support_break", 2), ("ladder", 2)]


def test_a_second_reading_opens_no_folder(tmp_path, two, monkeypatch):
    monkeypatch.setattr(index_module, "read_entry", lambda path: pytest.fail(f"{path} was read again"))
    assert strategies(tmp_path) == ["support_break", "ladder"]


# --- it follows the folders --------------------------------------------------------------------------------------


def test_without_its_file_nothing_is_lost(tmp_path, two):
    write_note(two[0], "keep me")
    before = read_index(tmp_path)
    (tmp_path / "catalogue.sqlite").unlink()
    assert read_index(tmp_path) == before
    assert before.runs[1].note == "keep me"


def test_a_folder_that_was_copied_here_is_picked_up(tmp_path, two):
    elsewhere = save(tmp_path / "other", "mine", 3)
    shutil.copytree(elsewhere, tmp_path / "from my laptop")
    shutil.rmtree(tmp_path / "other")
    assert strategies(tmp_path) == ["support_break", "ladder", "mine"]
    assert query(tmp_path, "SELECT strategy FROM runs WHERE folder = 'from my laptop'") == [("mine",)]


def trials(results):
    return [(trial.strategy, trial.identity) for trial in read_trials(results)]


def test_runs_that_the_record_of_trials_lacks_are_counted_when_they_are_read(tmp_path, two):
    everything = [(run.strategy, run.id) for run in read_index(tmp_path).runs]
    assert sorted(trials(tmp_path)) == sorted(everything)
    (tmp_path / "trials.parquet").unlink()
    (tmp_path / "catalogue.sqlite").unlink()
    assert read_index(tmp_path).problem == ""
    assert sorted(trials(tmp_path)) == sorted(everything)
    shutil.rmtree(two[0])
    (tmp_path / "catalogue.sqlite").unlink()
    assert len(read_index(tmp_path).runs) == 1
    assert len(trials(tmp_path)) == 2


def test_a_run_that_was_copied_here_is_a_trial_once(tmp_path):
    there, here = save(tmp_path / "there"), tmp_path / "here"
    shutil.copytree(there, here / "from elsewhere")
    for _ in range(2):
        assert len(read_index(here).runs) == 1
        assert len(trials(here)) == 1
    before = (here / "trials.parquet").stat().st_mtime_ns
    write_note(here / "from elsewhere", "seen")
    read_index(here)
    assert (here / "trials.parquet").stat().st_mtime_ns == before


def test_a_record_of_trials_that_can_not_be_read_is_said_and_hides_no_run(tmp_path, two):
    (tmp_path / "trials.parquet").write_bytes(b"no parquet")
    (tmp_path / "catalogue.sqlite").unlink()
    index = read_index(tmp_path)
    assert len(index.runs) == 2
    assert "trials.parquet can't be read as the record of trials" in index.problem
    assert (tmp_path / "trials.parquet").read_bytes() == b"no parquet"


def test_a_run_that_does_not_say_what_a_trial_needs_is_listed_and_not_counted(tmp_path):
    folder = save(tmp_path)
    data = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (folder / "summary.json").write_text(json.dumps({**data, "passport": None}), encoding="utf-8")
    assert len(read_index(tmp_path).runs) == 1
    assert trials(tmp_path) == []


def test_a_folder_that_went_is_gone(tmp_path, two):
    shutil.rmtree(two[0])
    assert strategies(tmp_path) == ["support_break"]
    assert query(tmp_path, "SELECT strategy FROM runs") == [("support_break",)]


def test_a_change_of_the_same_size_is_noticed(tmp_path, two):
    path = two[0] / "summary.json"
    before = path.stat()
    path.write_text(path.read_text().replace('"ladder"', '"leader"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert strategies(tmp_path) == ["support_break", "leader"]


def test_a_note_is_noticed_and_its_end_too(tmp_path, two):
    write_note(two[0], "good one")
    assert [run.note for run in read_index(tmp_path).runs] == ["", "good one"]
    (two[0] / "note.txt").unlink()
    assert [run.note for run in read_index(tmp_path).runs] == ["", ""]


def test_folders_that_are_no_runs_are_named(tmp_path, two):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "summary.json").write_text("{")
    for _ in range(2):  # read, then kept
        index = read_index(tmp_path)
        assert [(b.path.name, b.problem.split(" (")[0]) for b in index.broken] == [
            ("bad", "its summary.json can't be read"),
            ("empty", "it has no summary.json"),
        ]
        assert len(index.runs) == 2
    shutil.copy(two[0] / "summary.json", tmp_path / "bad")
    assert [b.path.name for b in read_index(tmp_path).broken] == ["empty"]


def test_no_file_is_made_where_there_is_no_run(tmp_path):
    assert read_index(tmp_path / "none") == index_module.Index()
    assert not (tmp_path / "none").exists()
    (tmp_path / "mine").mkdir()
    assert [b.path.name for b in read_index(tmp_path).broken] == ["mine"]
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_results_that_can_not_be_read_are_a_sentence(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(ResultsError, match="can't be read: Not a directory"):
        read_index(tmp_path / "results")


@pytest.mark.parametrize(
    ("figure", "found"), [("1e999", None), ("NaN", None), ('"high"', None), ("true", None), ("9" * 400, None), ("7", 7)]
)
def test_a_figure_that_is_no_number_is_undefined(tmp_path, figure, found):
    path = save(tmp_path) / "summary.json"
    text = path.read_text()
    path.write_text(text.replace('"trades": 2', f'"trades": {figure}'))
    for _ in range(2):
        assert read_index(tmp_path).runs[0].metrics["trades"] == found


@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000b", "é\\u202e"])
def test_odd_texts_do_no_harm(tmp_path, name):
    path = save(tmp_path) / "summary.json"
    path.write_text(path.read_text().replace('"strategy": "support_break"', f'"strategy": "{name}"'))
    assert len(read_index(tmp_path).runs) == len(read_index(tmp_path).runs) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_a_folder_named_with_stray_bytes_is_a_run_too(tmp_path, two):
    shutil.copytree(two[0], tmp_path / os.fsdecode(b"run\xff"))
    for _ in range(2):
        assert strategies(tmp_path) == ["support_break", "ladder", "ladder"]


# --- a file that is of no use ------------------------------------------------------------------------------------


def damage_bytes(results):
    (results / "catalogue.sqlite").write_bytes(b"no database at all" * 100)


def damage_end(results):
    path = results / "catalogue.sqlite"
    path.write_bytes(path.read_bytes()[:5000])


def damage_middle(results):
    path = results / "catalogue.sqlite"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x17" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        damage_bytes,
        damage_end,
        damage_middle,
        lambda results: change(results, "DROP TABLE runs"),
        lambda results: change(results, "ALTER TABLE runs DROP COLUMN note"),
        lambda results: change(results, "UPDATE runs SET metrics = 'x'"),
        lambda results: change(results, "UPDATE runs SET created = x'ff'"),
        lambda results: change(results, "UPDATE runs SET grade = CAST(x'ff' AS TEXT)"),
    ],
)
def test_a_damaged_file_is_made_again_and_said(tmp_path, two, damage):
    before = read_index(tmp_path)
    damage(tmp_path)
    index = read_index(tmp_path)
    assert index.problem == f"{tmp_path}/catalogue.sqlite was damaged and has been made again from the folders."
    assert (index.runs, index.broken) == (before.runs, before.broken)
    assert read_index(tmp_path) == before
    rest = [".trials.lock", "catalogue.sqlite", "trials.parquet"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*rest, *(p.name for p in two)])


@pytest.mark.parametrize(
    "damage", [lambda p: p.write_bytes(b""), lambda p: change(p.parent, "PRAGMA user_version = 99")]
)
def test_an_empty_file_and_one_of_another_format_are_made_again_quietly(tmp_path, two, damage):
    before = read_index(tmp_path)
    damage(tmp_path / "catalogue.sqlite")
    assert read_index(tmp_path) == before
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(2,)]


def test_somebody_elses_database_is_left_alone(tmp_path):
    save(tmp_path)
    change(tmp_path, "CREATE TABLE recipes (name TEXT)", "INSERT INTO recipes VALUES ('soup')")
    index = read_index(tmp_path)
    assert len(index.runs) == 1
    assert "is no catalogue of runs and was left as it is" in index.problem
    assert query(tmp_path, "SELECT * FROM recipes") == [("soup",)]


def test_a_folder_under_its_name_is_left_alone(tmp_path):
    (tmp_path / "catalogue.sqlite").mkdir()
    save(tmp_path)
    index = read_index(tmp_path)
    assert len(index.runs) == 1
    assert "can't be used (unable to open database file); the list was read from the folders" in index.problem


def test_a_file_that_may_not_be_written_is_read_and_the_rest_comes_from_the_folders(tmp_path, two, monkeypatch):
    @contextmanager
    def read_only(path):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as base:
            yield base

    monkeypatch.setattr(index_module, "connected", read_only)
    assert read_index(tmp_path).problem == ""  # nothing is to be written
    save(tmp_path, "third", 3)
    index = read_index(tmp_path)
    assert [run.strategy for run in index.runs] == ["support_break", "ladder", "third"]
    assert "can't be used (attempt to write a readonly database)" in index.problem


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_file_that_is_locked_is_worked_without(tmp_path, two, monkeypatch, lock):
    monkeypatch.setattr(index_module, "PATIENCE", 0.05)
    save(tmp_path, "third", 3)
    with closing(sqlite3.connect(tmp_path / "catalogue.sqlite", isolation_level=None)) as other:
        other.execute(lock)
        index = read_index(tmp_path)
    assert [run.strategy for run in index.runs] == ["support_break", "ladder", "third"]
    assert index.problem.endswith("is in use by another process; the list was read from the folders.")
    assert read_index(tmp_path).problem == ""


def test_an_interruption_while_writing_leaves_the_older_list(tmp_path, two, monkeypatch):
    save(tmp_path, "third", 3)

    def interrupted(row):
        raise KeyboardInterrupt

    monkeypatch.setattr(index_module, "values_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_index(tmp_path)
    monkeypatch.undo()
    assert query(tmp_path, "SELECT count(*) FROM runs") == [(2,)]
    assert len(read_index(tmp_path).runs) == 3


# --- several at once ---------------------------------------------------------------------------------------------

READER = """import sys
from backtest.catalogue import read_index
for _ in range(40):
    index = read_index(sys.argv[1])
    assert not index.problem, index.problem
    assert not index.broken, index.broken
"""


def test_two_processes_that_read_while_runs_come_and_go(tmp_path):
    kept = save(tmp_path, "kept", 1)
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, tmp_path], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    number = 0
    while any(reader.poll() is None for reader in readers):
        number += 1
        folder = save(tmp_path, f"run{number % 7}", 2)
        write_note(kept, f"note {number}")
        if number % 3 == 0:
            folder.rename(tmp_path / ".gone")  # as `rm` does: whole, at once
            shutil.rmtree(tmp_path / ".gone")
    assert [reader.communicate()[1] for reader in readers] == ["", ""]
    assert [reader.returncode for reader in readers] == [0, 0]
    folders = {p.name for p in Path(tmp_path).iterdir() if p.is_dir()}
    assert {run.path.name for run in read_index(tmp_path).runs} == folders
    assert {name for (name,) in query(tmp_path, "SELECT folder FROM runs")} == folders


def test_two_processes_that_find_the_file_damaged(tmp_path, two):
    code = "import sys; from backtest.catalogue import read_index; print(len(read_index(sys.argv[1]).runs))"
    for _ in range(3):
        damage_bytes(tmp_path)
        command = [sys.executable, "-c", code, tmp_path]
        readers = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
        ]
        assert [reader.communicate() for reader in readers] == [("2\n", "")] * 3
        assert len(read_index(tmp_path).runs) == 2
