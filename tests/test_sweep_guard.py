"""What ends a process in which a point hangs: where it watches, when it rests, and what it writes down."""

import subprocess
import sys
import threading

import pytest

from backtest.errors import ConfigError
from backtest.model import RunConfig
from backtest.sweep.guard import Guard, guarded, late_points, words

HANGS = """
import itertools, sys, time
from pathlib import Path
from backtest.model import RunConfig
from backtest.sweep.guard import guarded

with guarded(0.1, Path("late")) as note:
    note(RunConfig("s", parameters=(("k", 1),)))
with guarded(0.1, Path("late")) as note:
    note(RunConfig("s", parameters=(("k", 2), ("text", "{a}\\nb"))))
    if sys.argv[1] == "hang":
        sum(itertools.repeat(1, 10**12))
time.sleep(3)  # longer than 0.1 s and the grace of 2 s
"""


def start(folder, how):
    command = [sys.executable, "-c", HANGS, how]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def test_the_point_that_hangs_is_said_and_written_down(tmp_path):
    done = start(tmp_path, "hang")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "The point k=2, text={a} b took longer than 0.1 s in code that can't be interrupted, so this process had to end; what "
        "was tried is kept, and the same command goes on without that point.\n"
    )
    assert late_points(tmp_path / "late") == {"k=2, text={a} b"}
    assert words(RunConfig("s", parameters=(("k", 2), ("text", "{a}\nb")))) == "k=2, text={a} b"


def test_behind_the_last_point_nothing_is_watched(tmp_path):
    done = start(tmp_path, "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert late_points(tmp_path / "late") == frozenset()


def test_without_a_limit_or_in_another_thread_there_is_no_guard():
    seen = []

    def look(limit):
        with guarded(limit) as note:
            seen.append(isinstance(note, Guard))

    thread = threading.Thread(target=look, args=(5.0,))
    thread.start()
    thread.join()
    look(None)
    look(5.0)
    assert seen == [False, False, True]
    with pytest.raises(ConfigError, match="The time limit of a point must be above 0 s, got 0"):
        look(0.0)
