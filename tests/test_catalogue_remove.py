"""Notes and removals: what they write and delete, and what they never touch."""

import os
import shutil
from pathlib import Path

import pytest
from made_result import make_result

from backtest.analysis import analyze
from backtest.catalogue import find_doomed, read_index, read_note, remove_runs, save_run, write_note
from backtest.catalogue import remove as remove_module
from backtest.errors import ConfigError, ResultsError


def save(results, strategy="support_break"):
    result = make_result(strategy=strategy)
    return save_run(result, analyze(result).to_dict(), results)


def names(folder):
    """Return what is in a folder, without the record of trials and its lock, which no removal touches."""
    return sorted(p.name for p in folder.iterdir() if "trials" not in p.name)


# --- notes -------------------------------------------------------------------------------------------------------


def test_a_note_is_a_line_in_the_runs_own_folder(tmp_path):
    folder = save(tmp_path)
    assert read_note(folder) == ""
    assert write_note(folder, "  looks good,\n\tbut luck? ") == "looks good, but luck?"
    assert (folder / "note.txt").read_bytes() == b"looks good, but luck?\n"
    assert write_note(folder, "second") == read_note(folder) == "second"
    assert len(names(folder)) == 7


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_note_removes_the_file(tmp_path, text):
    folder = save(tmp_path)
    for _ in range(2):
        assert write_note(folder, text) == ""
        assert not (folder / "note.txt").exists()
        write_note(folder, "again")
    assert read_note(folder) == "again"


def test_the_same_run_again_keeps_its_note(tmp_path):
    folder = save(tmp_path)
    write_note(folder, "mine")
    assert save(tmp_path) == folder
    assert read_note(folder) == "mine"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"\xff\xfe!", "\N{REPLACEMENT CHARACTER}" * 2 + "!"),
        (b"a" * 9000, "a" * 500),
        (b"\n\n", ""),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_a_note_written_by_something_else(tmp_path, data, note):
    (tmp_path / "note.txt").write_bytes(data)
    assert read_note(tmp_path) == note


def test_a_folder_in_the_place_of_the_note_is_none(tmp_path):
    (tmp_path / "note.txt").mkdir()
    assert read_note(tmp_path) == ""
    with pytest.raises(ResultsError, match="can't be written: Is a directory"):
        write_note(tmp_path, "text")
    assert names(tmp_path) == ["note.txt"]


def test_a_note_may_be_500_characters(tmp_path):
    assert write_note(tmp_path, "é" * 500) == read_note(tmp_path) == "é" * 500
    with pytest.raises(ConfigError, match=r"A note has up to 500 characters, got 1,001\."):
        write_note(tmp_path, "é" * 1001)
    assert read_note(tmp_path) == "é" * 500


def test_half_a_character_of_the_command_line_does_no_harm(tmp_path):
    assert write_note(tmp_path, "a\udcffb") == read_note(tmp_path) == "a?b"


def test_a_note_for_a_folder_that_went(tmp_path):
    with pytest.raises(ResultsError, match="The note of none can't be written: No such file"):
        write_note(tmp_path / "none", "text")


# --- removals ----------------------------------------------------------------------------------------------------


def test_a_run_is_measured_then_removed(tmp_path):
    one, two = save(tmp_path), save(tmp_path, "ladder")
    doomed = find_doomed([one.name, one.name[:-3], str(one)], tmp_path)
    assert [d.path for d in doomed] == [one]
    assert doomed[0].files == 6
    assert doomed[0].size == sum(p.stat().st_size for p in one.iterdir())
    remove_runs(doomed)
    assert names(tmp_path) == ["catalogue.sqlite", two.name]
    assert [run.path for run in read_index(tmp_path).runs] == [two]


def test_the_record_of_trials_stays(tmp_path):
    folder = save(tmp_path)
    (tmp_path / "trials.parquet").write_bytes(b"trials")
    remove_runs(find_doomed([folder.name], tmp_path))
    assert (tmp_path / "trials.parquet").read_bytes() == b"trials"


def test_one_wrong_name_and_nothing_goes(tmp_path):
    folder = save(tmp_path)
    with pytest.raises(ResultsError, match="No run named 'nothing'"):
        find_doomed([folder.name, "nothing"], tmp_path)
    assert len(names(folder)) == 6


@pytest.mark.parametrize(
    "name", ["mine", "..", ".", "../outside", "/", "catalogue.sqlite", "trials.parquet", ".git", ""]
)
def test_what_is_no_run_is_never_found(tmp_path, name):
    results = tmp_path / "results"
    save(results)
    for folder in (results / "mine", results / ".git", tmp_path / "outside"):
        folder.mkdir()
        (folder / "thesis.txt").write_text("years of work")
    (results / "trials.parquet").write_bytes(b"trials")
    with pytest.raises(ResultsError):
        find_doomed([name], results)


def test_a_run_outside_of_the_results_is_not_found(tmp_path):
    save(tmp_path / "results")
    other = save(tmp_path / "other", "ladder")
    with pytest.raises(ResultsError, match="No run named"):
        find_doomed([str(other)], tmp_path / "results")


def test_a_broken_run_can_go_but_no_other_broken_folder(tmp_path):
    save(tmp_path, "ladder")
    folder = save(tmp_path)
    (folder / "summary.json").write_text("{")
    doomed = find_doomed([folder.name], tmp_path)
    assert [d.path for d in doomed] == [folder]
    (folder / "ledger.parquet").unlink()
    with pytest.raises(ResultsError, match=r"is no run .* and was left as it is"):
        find_doomed([folder.name], tmp_path)


def test_links_are_not_followed(tmp_path):
    results = tmp_path / "results"
    outside = save(tmp_path / "elsewhere", "ladder")
    folder = save(results)
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "summary.json")
    (results / "linked").symlink_to(outside)
    with pytest.raises(ResultsError, match="linked is a link to another folder; remove the link itself"):
        find_doomed(["linked"], results)
    remove_runs(find_doomed([folder.name], results))
    assert not folder.exists()
    assert len(names(outside)) == 6


def test_results_that_are_themselves_behind_a_link(tmp_path):
    folder = save(tmp_path / "real")
    (tmp_path / "results").symlink_to(tmp_path / "real")
    remove_runs(find_doomed([folder.name], tmp_path / "results"))
    assert names(tmp_path / "real") == ["catalogue.sqlite"]


def test_a_run_that_went_meanwhile_is_a_sentence(tmp_path):
    doomed = find_doomed([save(tmp_path).name], tmp_path)
    shutil.rmtree(doomed[0].path)
    with pytest.raises(ResultsError, match="is gone already"):
        remove_runs(doomed)


def test_a_removal_that_was_interrupted_is_out_of_the_list_and_finished_by_the_next(tmp_path, monkeypatch):
    one, two = save(tmp_path), save(tmp_path, "ladder")

    def interrupted(path, **options):
        (Path(path) / "config.toml").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(remove_module.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        remove_runs(find_doomed([one.name], tmp_path))
    monkeypatch.undo()
    index = read_index(tmp_path)
    assert ([run.path for run in index.runs], index.broken) == ([two], ())
    remove_runs(find_doomed([two.name], tmp_path))
    assert names(tmp_path) == ["catalogue.sqlite"]


def test_what_the_system_will_not_delete_is_said(tmp_path, monkeypatch):
    folder = save(tmp_path)
    doomed = find_doomed([folder.name], tmp_path)

    def refused(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(ResultsError, match="can't be removed: Permission denied"):
        remove_runs(doomed)
    monkeypatch.undo()
    assert len(names(folder)) == 6
    monkeypatch.setattr(remove_module.shutil, "rmtree", lambda path, **options: None)
    with pytest.raises(ResultsError, match=r"some of its files can't be deleted: .*\.removed-"):
        remove_runs(doomed)
    assert read_index(tmp_path).runs == ()
