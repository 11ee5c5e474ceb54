"""Results that can't be written, runs that are interrupted: nothing half-made is left."""

import errno
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from command import COMMAND, MARKET, call, process, tree, write_market
from spoilt import assert_refused, assert_untouched, cell, here, run, with_plan

__all__ = ["here"]


@pytest.mark.parametrize("writes", [0, 1, 3])  # the first is that of the record of trials
def test_a_full_disk_leaves_what_was_there(here, monkeypatch, writes):
    import pyarrow.parquet as pq

    write, written = pq.write_table, []

    def full(table, where, **options):
        if len(written) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, where, **options)
        written.append(where)

    monkeypatch.setattr(pq, "write_table", full)
    assert_refused(run(), "No result was written", "the disk of results is full", "--results", counted=writes > 0)
    assert len(written) == writes


def test_a_run_made_again_on_a_full_disk_keeps_the_old_folder(here, monkeypatch):
    assert run().exit_code == 0
    before = tree("results")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    done = run()
    assert done.exit_code == 2
    assert "is full" in done.stderr
    assert tree("results") == before


def test_results_that_are_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_market(tmp_path)
    (tmp_path / "results").write_text("mine")
    done = run()
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: No result was written: results is not writable (it is a file). Choose another `--results`.\n"
    )
    assert (tmp_path / "results").read_text() == "mine"
    done = run("--results", "results/deeper")
    assert done.exit_code == 2
    assert "results/deeper is not writable" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_ctrl_c_in_the_middle_leaves_nothing(here):
    (here / "slow.py").write_text(with_plan("import time; print('here', flush=True); time.sleep(60)"))
    command = [*COMMAND, "run", "buy_and_hold", "./slow.py", "--market", "./market.toml"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here)
    assert child.stdout.readline() == "here\n"
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=30)
    assert (child.returncode, out, said) == (130, "", "")
    assert tree("results") == {"kept": None, "kept/summary.json": b"{}"}


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_an_interruption_while_writing_leaves_nothing(here, monkeypatch, writes):
    import pyarrow.parquet as pq

    write, written = pq.write_table, []

    def interrupted(table, where, **options):
        if len(written) == writes:
            Path(where).write_bytes(b"half")
            raise KeyboardInterrupt
        write(table, where, **options)
        written.append(where)

    monkeypatch.setattr(pq, "write_table", interrupted)
    assert run().exit_code == 130
    assert_untouched(counted=writes > 0)


def test_the_process_shows_no_traceback_either(here):
    write_market(here, cell(4, 2, "90"))  # a high below its low
    done = process("run", "support_break", "--market", "./market.toml", "--set", "levels=95", cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: bars.csv: BTCUSDT 1h: 1 bar has high < low, the first at 2026-01-01T03:00Z.\n"


@pytest.mark.skipif(os.name == "nt", reason="there are no terminals of this kind")
def test_on_a_terminal_a_long_sentence_is_broken_between_words(here):
    import pty

    write_market(here, market=MARKET.replace('funding = "funding.csv"', ""))
    mine, theirs = pty.openpty()
    command = [*COMMAND, "run", "buy_and_hold", "--market", "./market.toml"]
    child = subprocess.run(command, stderr=theirs, cwd=here, env={**os.environ, "COLUMNS": "60"}, check=False)
    os.close(theirs)
    said = os.read(mine, 10_000).decode()
    os.close(mine)
    assert child.returncode == 2
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    assert lines[0] == "error: market.toml: `BTCUSDT.funding` is missing; declare a"
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60


def test_one_bad_strategy_among_several_does_not_take_the_others_with_it(here):
    (here / "idea.py").write_text(with_plan("return 1 / 0"))
    done = call("run", "buy_and_hold", "./idea.py", "--market", "./market.toml")
    assert done.exit_code == 1
    assert "Not run" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    names = sorted(n.split("_market_")[0] for n in os.listdir("results"))
    assert names == [".trials.lock", "buy_and_hold", "kept", "trials.parquet"]
