"""Several processes: the same rows byte for byte, and nothing lost when one of them dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sweep_made import as_bytes, make_files

from backtest.errors import LevelbreakError
from backtest.market import load_market
from backtest.model import Market
from backtest.sweep import make_space, make_task, sweep
from backtest.sweep.local import Crew, local
from backtest.sweep.pack import open_market, pack_market
from backtest.sweep.work import Chunk


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def no_workers_left():
    """End the workers that wait for another sweep."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def test_two_jobs_give_the_same_rows_byte_for_byte(here):
    grid = ["entry=0:9", "hold=0,2,13", "stop=0.005,0.5", "leverage=5,1000"]
    space = make_space("./shorter.py", grid, markets=["./market.toml"])
    one, two = sweep(space, "one"), sweep(space, "two", jobs=2)
    assert one.table().num_rows == 120
    assert 0 < one.failed < 120
    assert as_bytes(one.table()) == as_bytes(two.table())


def test_two_jobs_on_several_strategies_and_markets(here):
    (here / "second.toml").write_text((here / "market.toml").read_text().replace("12:00Z", "11:00Z"))
    (here / "other.py").write_text((here / "shorter.py").read_text().replace("hold: int = 4", "hold: int = 2"))
    grid = ["entry=0:5"]
    space = make_space(["./shorter.py", "./other.py"], grid, markets=["./market.toml", "./second.toml"])
    one, two = sweep(space, "one"), sweep(space, "two", jobs=2)
    assert as_bytes(one.table()) == as_bytes(two.table())
    table = one.table()
    assert table["market"].to_pylist() == ["./market.toml"] * 12 + ["./second.toml"] * 12
    assert table["strategy"].to_pylist()[:12] == ["./shorter.py"] * 6 + ["./other.py"] * 6
    assert table["run"].to_pylist() == list(dict.fromkeys(table["run"].to_pylist()))


def test_a_point_that_kills_its_worker_is_a_row_and_the_others_are_done(here):
    """Each point with entry 5 ends the process that plans it."""
    space = make_space("./shorter.py", ["entry=0:9", "hold=1,2", "mode=dies"], markets=["./market.toml"])
    found = sweep(space, jobs=2)
    errors = found.table(["error"])["error"].to_pylist()
    assert [i for i, sentence in enumerate(errors) if sentence] == [10, 11]
    assert errors[10] == "Its process died of it twice: it crashed, was killed, or needed more memory than there is."
    assert found.done == 20


def test_a_worker_that_is_killed_from_outside_costs_nothing(here):
    """Its points are retried; the rows are those of a sweep in which nobody was killed."""
    space = make_space("./shorter.py", ["entry=0:9", "hold=1:8", "mode=slow"], markets=["./market.toml"])
    killed = []

    def kill_one(now):
        if now.done > 10 and not killed:
            victim = next(p for p in children())
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    found = sweep(space, "two", jobs=2, progress=kill_one)
    assert killed
    assert (found.done, found.failed) == (80, 0)
    assert as_bytes(found.table()) == as_bytes(sweep(space, "one").table())


def children() -> list[int]:
    from joblib.externals.loky import get_reusable_executor

    told = os.getpid(), True
    return list(get_reusable_executor(max_workers=2, timeout=60, initializer=_initializer(), initargs=told)._processes)


def _initializer():
    from backtest.sweep.local import set_out

    return set_out


def test_a_point_that_can_t_be_interrupted_is_ended_with_its_process(here):
    """It holds the interpreter inside one call; the watch ends the process, and the second time it is a row."""
    code = (here / "shorter.py").read_text()
    stuck = 'if self.mode == "stuck" and self.entry == 3:\n            sum(itertools.repeat(1, 10**12))\n        '
    code = code.replace('if self.mode == "slow"', stuck + 'if self.mode == "slow"').replace(
        "import os\n", "import itertools\nimport os\n"
    )
    (here / "stuck.py").write_text(code)
    space = make_space("./stuck.py", ["entry=0:5", "mode=stuck"], markets=["./market.toml"])
    found = sweep(space, jobs=2, time_limit=1.0)
    errors = found.table(["error"])["error"].to_pylist()
    assert [bool(e) for e in errors] == [False, False, False, True, False, False]
    assert errors[3].startswith("It took longer than 1 s, in code that can't be interrupted")


def test_a_market_comes_back_from_its_file_as_it_was(tmp_path):
    market = load_market("deleveraging-2026")
    pack_market(market, tmp_path / "m")
    back = open_market(tmp_path / "m")
    assert isinstance(back, Market)
    for name in ("time", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(back, name), getattr(market, name))
        assert not getattr(back, name).flags.writeable
    np.testing.assert_array_equal(back.funding.rate, market.funding.rate)
    assert back.feeds.keys() == market.feeds.keys()
    assert (back.passport, back.symbols, back.trade_from, back.name) == (
        market.passport, market.symbols, market.trade_from, market.name,
    )  # fmt: skip


def test_workers_get_plain_data_only(here):
    """A strategy's class is in no message: the task is pickled without the strategy's file in sight."""
    import pickle

    task = make_task(make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"]))
    assert pickle.loads(pickle.dumps(task)) == task
    assert b"Shorter" not in pickle.dumps(task)


def test_a_chunk_takes_half_a_second_whatever_a_point_costs():
    from backtest.sweep.sweep import CHUNK, Pace

    pace = Pace(10**6, lambda: 2)
    for _ in range(12):
        pace.measured(pace.take(), pace.size * 0.001)
    assert pace.size == round(CHUNK / 0.001)
    pace = Pace(100, lambda: 2)
    pace.measured(4, 0.0)
    taken = []
    while pace.left:
        taken.append(pace.take())
    assert sum(taken) == 100
    assert taken[-1] == 1  # towards the end small ones, so that no worker waits for another
    slow = Pace(100, lambda: 1)
    slow.measured(1, 30.0)
    assert slow.take() == 1


def test_a_chunk_follows_the_workers_that_are_there():
    """A chunk is at most what is left over twice the threads that are there when it is asked for."""
    from backtest.sweep.sweep import Pace

    there = [10]
    pace = Pace(80, lambda: there[0])
    pace.size = 1000  # points of half a second
    assert pace.take() == 4  # 80 // 20
    there[0] = 2
    assert pace.take() == 19  # 76 // 4
    there[0] = 0
    assert pace.take() == 57  # nobody is there: as for one worker, all that is left


def test_processes_that_die_before_they_begin_are_a_sentence(here):
    from joblib.externals.loky.process_executor import BrokenProcessPool

    ended = []

    class Dead:
        def submit(self, *what):
            raise BrokenProcessPool

        def shutdown(self, **how):
            ended.append(how)

    crew = Crew(make_task(make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])), (here / "m",), 2)
    crew.pool = Dead
    with pytest.raises(LevelbreakError, match=r"^The 2 processes that score the points die before they begin, 3 times"):
        crew.send(Chunk([0]))
    assert len(ended) == 3


def test_a_pool_that_another_thread_replaced_is_asked_for_again(here):
    from joblib.externals.loky.process_executor import ShutdownExecutorError

    said = [ShutdownExecutorError()]

    class Pool:
        def submit(self, *what):
            if said:
                raise said.pop()
            return "sent"

    crew = Crew(make_task(make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])), (here / "m",), 2)
    crew.pool = Pool
    crew.send(Chunk([0]))
    assert list(crew.flying) == ["sent"]


def test_only_workers_that_the_main_thread_starts_are_ended_with_it(here, monkeypatch):
    """Another thread may be gone while its workers wait for the next sweep."""
    told = []
    monkeypatch.setattr("joblib.externals.loky.get_reusable_executor", lambda **how: told.append(how["initargs"]))
    crew = Crew(make_task(make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])), (here / "m",), 2)
    crew.pool()
    thread = threading.Thread(target=crew.pool)
    thread.start()
    thread.join()
    assert told == [(os.getpid(), True), (os.getpid(), False)]


HOLDS = """
import itertools, os, subprocess, sys, time
WORKER = "import itertools, os, sys; from backtest.sweep.local import set_out; set_out(int(sys.argv[1]), True); "
WORKER += "print('set out', flush=True); sum(itertools.repeat(1, 10**12))"
worker = subprocess.Popen([sys.executable, "-c", WORKER, str(os.getpid())], stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process together with its parent")
def test_a_worker_that_holds_the_interpreter_ends_with_a_process_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE) as parent:
        worker = int(parent.stdout.readline())
        time.sleep(0.2)  # it is inside the call by now
        assert running(worker)
        parent.kill()
    deadline = time.monotonic() + 10
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        assert not running(worker)
    finally:
        if running(worker):
            os.kill(worker, signal.SIGKILL)


def running(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_executor_that_is_closed_early_ends_its_workers(here, tmp_path):
    space = make_space("./shorter.py", ["entry=0:9", "mode=slow"], markets=["./market.toml"])
    task = make_task(space)
    pack_market(load_market("./market.toml"), tmp_path / "market-0")
    before = threading.active_count()
    rows = local(task, (tmp_path / "market-0",), 2)(Chunk([i]) for i in range(10))
    assert next(rows).rows.num_rows == 1
    rows.close()
    assert not multiprocessing.active_children()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
