"""A point that hangs where no alarm reaches it, in the process that sweeps: the process ends, and the next start goes on."""

import os
import re
import subprocess
import sys
import time

import pytest
from sweep_made import as_bytes, make_files

from backtest.market import load_market
from backtest.sweep import Worker, make_space, make_task, sweep
from backtest.sweep.watch import NOBODY, Noting, noted, patience

SWEEP = """
import sys
from backtest.sweep import make_space, sweep
space = make_space("./stuck.py", ["entry=0:9", "mode=stuck"], markets=["./market.toml"])
found = sweep(space, "out", time_limit=float(sys.argv[1]))
print(found.done, found.failed)
"""
HANGS = """        if self.mode == "stuck" and self.entry == 3:
            sum(itertools.repeat(1, 10**12))
        if self.mode == "wait":"""
SAID = (
    "Point 3 took longer than 1 s in code that can't be interrupted, so this process had to end; what is finished is kept, and "
    "the same command makes that point a row with its reason and goes on.\n"
)

DEAD = (
    "The process ended while it was at point {}; what is finished is kept, and the same command goes on. Should it end at that "
    "point again, the start after that makes it a row.\n"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    code = (tmp_path / "shorter.py").read_text().replace("import os\n", "import itertools\nimport os\n")
    (tmp_path / "stuck.py").write_text(code.replace('        if self.mode == "wait":', HANGS, 1))
    return tmp_path


def start(limit=1.0):
    command = [sys.executable, "-c", SWEEP, str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_process_ends_with_a_sentence_and_the_next_start_makes_the_point_a_row(here):
    """Ten points, of which the fourth holds the interpreter inside one call."""
    first = start()
    assert (first.returncode, first.stdout, first.stderr) == (1, "", SAID)
    second = start()
    assert (second.returncode, second.stdout, second.stderr) == (0, "10 1\n", "")
    (folder,) = (here / "out").glob("sweep_*")
    space = make_space("./stuck.py", ["entry=0:9", "mode=stuck"], markets=["./market.toml"])
    found = sweep(space, "out", time_limit=1.0)
    errors = found.table(["error"])["error"].to_pylist()
    assert {point: sentence for point, sentence in enumerate(errors) if sentence} == {
        3: "It took longer than 1 s, in code that can't be interrupted; give it more with --time-limit."
    }
    assert not (folder / ".at").exists()
    assert not (folder / ".late").exists()
    (here / "free.py").write_text((here / "stuck.py").read_text().replace("self.entry == 3", "False"))
    free = sweep(make_space("./free.py", ["entry=0:9", "mode=stuck"], markets=["./market.toml"]), "free")
    others = [point for point in range(10) if point != 3]
    columns = ["entry", "total_return", "final_equity", "trades"]
    assert as_bytes(found.table(columns).take(others)) == as_bytes(free.table(columns).take(others))


def test_a_process_that_is_killed_makes_no_row_of_the_point_that_it_was_at(here):
    """One kill is none of the point's doing; the small process beside says where it was, and nothing before the first point."""
    command = [sys.executable, "-c", SWEEP.replace("mode=stuck", "mode=slow"), "60"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list((here / "out").glob("sweep_*/.at")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        assert re.fullmatch(rf"({DEAD.format('[0-9]')})?", process.stderr.read().decode())
    space = make_space("./stuck.py", ["entry=0:9", "mode=slow"], markets=["./market.toml"])
    found = sweep(space, "out")
    assert (found.done, found.failed) == (10, 0)


def test_a_point_of_which_the_process_dies_twice_is_a_row(here):
    """Of ten points the sixth ends the process without a word: two starts end there, the third goes on behind it."""
    code = SWEEP.replace("./stuck.py", "./shorter.py").replace("mode=stuck", "mode=dies")
    command = [sys.executable, "-c", code, "60"]
    ran = [subprocess.run(command, capture_output=True, text=True, check=False, timeout=120) for _ in range(3)]
    assert [done.returncode for done in ran] == [9, 9, 0]
    assert [done.stderr for done in ran] == [DEAD.format(5), DEAD.format(5), ""]
    assert ran[2].stdout == "10 1\n"
    space = make_space("./shorter.py", ["entry=0:9", "mode=dies"], markets=["./market.toml"])
    found = sweep(space, "out")
    errors = found.table(["error"])["error"].to_pylist()
    assert [point for point, sentence in enumerate(errors) if sentence] == [5]
    assert errors[5] == "Its process died of it twice: it crashed, was killed, or needed more memory than there is."
    assert not [name for name in os.listdir(found.folder) if name in (".at", ".late", ".died")]


def test_a_sweep_without_a_time_limit_or_in_another_thread_is_not_watched(here):
    import threading

    from backtest.sweep.store import open_store
    from backtest.sweep.watch import watched

    space = make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])
    seen = []
    with open_store(None, space, "id") as store:
        with watched(make_task(space, None), store) as (late, note):
            seen.append((late, note))

        def elsewhere():
            with watched(make_task(space, 5.0), store) as (late, note):
                seen.append((late, note))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert seen == [([], None)] * 2
        assert not [name for name in os.listdir(store.folder) if name in (".at", ".late")]


def test_what_is_noted_is_read_by_another_process(tmp_path):
    path = tmp_path / "note"
    assert noted(path) == NOBODY
    with Noting(str(path), None) as noting:
        assert noted(path) == NOBODY
        noting(2**40)
        assert noted(path) == 2**40


def test_nothing_is_watched_until_the_first_point_and_while_a_market_is_opened(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("faulthandler.dump_traceback_later", lambda seconds, **how: said.append(seconds))
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", lambda: said.append("off"))
    with Noting(str(tmp_path / "note"), 60.0) as noting:
        assert said == []
        noting(3)
        noting(NOBODY)
        assert said == [65.0, "off"]
        noting(4)
    assert said == [65.0, "off", 65.0, "off"]


def test_a_market_is_opened_before_the_first_of_its_points_is_noted(here):
    (here / "second.toml").write_text((here / "market.toml").read_text().replace("12:00Z", "11:00Z"))
    names = ["./market.toml", "./second.toml"]
    seen = []
    worker = Worker(
        make_task(make_space("./shorter.py", ["entry=0,1"], markets=names)),
        lambda position: seen.append(names[position]) or load_market(names[position]),
    )
    assert worker.rows([0, 1, 2, 3], seen.append).rows.num_rows == 4
    assert seen == [NOBODY, "./market.toml", 0, 1, NOBODY, "./second.toml", 2, 3]


def test_the_grace_is_as_long_as_the_time_but_two_to_five_seconds():
    assert [patience(limit) for limit in (0.1, 1.0, 3.0, 60.0)] == [2.1, 3.0, 6.0, 65.0]
