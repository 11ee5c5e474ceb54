"""The folder of a sweep: a kill in its middle loses nothing that was written, and the same call goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from sweep_made import as_bytes, make_files

from backtest.catalogue.trials import read_trials
from backtest.errors import ResultsError
from backtest.sweep import FIGURES, load_sweep, make_space, sweep
from backtest.sweep.limit import late_words
from backtest.sweep.rows import schema_of
from backtest.sweep.store import open_store, parts_in
from backtest.sweep.sweep import Progress

CHILD = """
import sys
from backtest.sweep import make_space, sweep
space = make_space("./shorter.py", ["entry=0:9", "hold=1:8", "mode=slow"], markets=["./market.toml"])
sweep(space, "results", jobs=int(sys.argv[1]), progress=lambda now: print(now.done, flush=True))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


def slow_space():
    return make_space("./shorter.py", ["entry=0:9", "hold=1:8", "mode=slow"], markets=["./market.toml"])


def interrupted(here: Path, jobs: int, how: signal.Signals) -> int:
    """Start a sweep of 80 points in a process, end it in its middle, and return how many points it had reported."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(jobs)], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    said = 0
    while said < 12:
        said = int(child.stdout.readline())
    below = descendants(child.pid)
    child.send_signal(how)
    child.wait(timeout=60)
    child.stdout.close()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{process}").exists() for process in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [process for process in below if Path(f"/proc/{process}").exists()], "workers outlive their sweep"
    return said


def descendants(parent: int) -> list[int]:
    """Return the processes that a process started, and those that they started; none where the system does not say."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except (OSError, IndexError, ValueError):
            continue
    return found + [below for process in found for below in descendants(process)]


def trials_of(folder) -> set[str]:
    return {trial.identity for trial in read_trials(folder) if trial.kind == "sweep"}


@pytest.mark.parametrize(("jobs", "how"), [(1, signal.SIGKILL), (1, signal.SIGINT), (2, signal.SIGKILL)])
def test_what_a_kill_leaves_is_kept_and_the_same_call_goes_on(here, jobs, how):
    """Same rows as of a sweep that nobody stopped, nothing twice, nothing made again, and every point one trial."""
    whole = sweep(slow_space(), "whole")
    said = interrupted(here, jobs, how)
    left = load_sweep("last", "results")
    kept = left.table()["point"].to_pylist()
    assert said <= len(kept) < 80
    before = {path.name: path.read_bytes() for path in parts_in(left.folder)}
    reports: list[Progress] = []
    again = sweep(slow_space(), "results", progress=reports.append)
    assert again.folder == left.folder
    assert reports[0].done > len(kept)  # those of the first start count
    assert as_bytes(again.table()) == as_bytes(whole.table())
    rows = sum(parquet.read_metadata(path).num_rows for path in parts_in(again.folder))
    assert rows == 80
    assert all((again.folder / name).read_bytes() == content for name, content in before.items())
    assert not list(again.folder.glob(".writing-*"))
    assert trials_of("results") == trials_of("whole")
    assert len(trials_of("results")) == 80


def test_ctrl_c_keeps_the_points_that_are_finished_of_the_last_chunk(here, monkeypatch):
    """The seventh point is interrupted; the six before it are rows, recorded as trials."""
    from backtest.sweep.point import Scorer

    real, asked = Scorer.row, []

    def until_the_seventh(self, config):
        asked.append(config)
        if len(asked) == 7:
            raise KeyboardInterrupt
        return real(self, config)

    monkeypatch.setattr(Scorer, "row", until_the_seventh)
    space = make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"])
    with pytest.raises(KeyboardInterrupt):
        sweep(space)
    assert load_sweep("last").table()["point"].to_pylist() == [0, 1, 2, 3, 4, 5]
    assert len(trials_of(None)) == 6
    assert sweep(space).done == 10
    assert len(trials_of(None)) == 10


def test_a_finished_sweep_is_not_made_again(here):
    space = make_space("./shorter.py", ["entry=0:4"], markets=["./market.toml"])
    sweep(space)
    reports: list[Progress] = []
    assert sweep(space, progress=reports.append).done == 5
    assert reports == []


def test_trials_are_counted_even_when_the_count_itself_was_killed(here):
    space = make_space("./shorter.py", ["entry=0:4"], markets=["./market.toml"])
    found = sweep(space)
    (here / "results" / "trials.parquet").unlink()
    (found.folder / ".counted").unlink()
    sweep(space)
    assert len(trials_of(None)) == 5


def test_another_strategy_text_another_market_or_venue_is_another_sweep(here):
    space = make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])
    folders = {sweep(space).folder}
    (here / "shorter.py").write_text((here / "shorter.py").read_text() + "\n# changed\n")
    folders.add(sweep(space).folder)
    folders.add(sweep(replace(space, base=replace(space.base, venue="paper"))).folder)
    (here / "funding.csv").write_text((here / "funding.csv").read_text().replace("0.001", "0.002"))
    folders.add(sweep(space).folder)
    assert len(folders) == 4
    assert all(f.name.startswith("sweep_shorter_market_") for f in folders)


def test_two_processes_do_not_run_one_sweep_at_once(here):
    space = make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])
    found = sweep(space)
    identity = found.folder.name.rpartition("_")[2]
    with open_store(None, space, identity), pytest.raises(ResultsError, match="Another process is running this sweep"):
        sweep(space)


def test_many_small_parts_become_one(here, monkeypatch):
    """Each of 150 points is a part of its own, as with a slow strategy; a kill between merging and deleting shows nothing twice."""
    from backtest.sweep.sweep import Pace

    monkeypatch.setattr(Pace, "take", lambda self: 1)
    space = make_space("./shorter.py", ["entry=0:9", "hold=0:14"], markets=["./market.toml"])
    found = sweep(space)
    parts = parts_in(found.folder)
    assert len(parts) < 70
    assert sum(parquet.read_metadata(path).num_rows for path in parts) == 150
    table = found.table()
    (found.folder / "part-000000000-copy.parquet").write_bytes(parts[0].read_bytes())
    assert as_bytes(load_sweep("last").table()) == as_bytes(table)
    assert table["point"].to_pylist() == list(range(150))


def test_a_sweep_is_found_by_folder_name_or_id(here):
    found = sweep(make_space("./shorter.py", ["entry=0:2", "hold=1,2"], markets=["./market.toml"]))
    identity = found.folder.name.rpartition("_")[2]
    for name in (found.folder, found.folder.name, identity, identity[:4], "last"):
        again = load_sweep(name)
        assert (again.folder.name, again.space) == (found.folder.name, found.space)
    assert found.table(["entry", "trades"]).column_names == ["entry", "trades"]
    assert "seconds" not in found.table().column_names
    assert all(s > 0 for s in found.table(["seconds"])["seconds"].to_pylist())


def test_the_best_points_come_first(here):
    """Closes 100, 99, 98, 97, 96, 94, 93, 92, 96, 97, 98, 99: a short of four bars from the open of bar 5 (96) covers at
    bar 9's (96); from bar 2's (99) at bar 6's (94), a gain of 5.05%; from bar 7's (93) at bar 11's (98), a loss of 5.4%."""
    free = ["maker=0", "taker=0", "slippage=0"]
    space = make_space("./shorter.py", ["entry=1,4,6", *free], markets=["./market.toml"])
    found = sweep(space)
    assert found.best("total_return") == [0, 1, 2]
    assert found.best("total_return", 1) == [0]
    returns = found.table(["total_return"])["total_return"].to_pylist()
    assert returns[0] == pytest.approx(5 / 99, abs=2e-3)
    assert returns[2] == pytest.approx(-5 / 93, abs=2e-3)
    losses = found.table(["max_drawdown"])["max_drawdown"].to_pylist()
    assert found.best("max_drawdown") == sorted(range(3), key=lambda i: -losses[i])
    swings = found.table(["volatility"])["volatility"].to_pylist()
    assert found.best("volatility") == sorted(range(3), key=lambda i: swings[i])


MEMORY = """
import sys
from backtest.sweep import make_space, sweep
grid = ["entry=0:9", "hold=0:8", "stop=lin:0.1:0.5:" + sys.argv[1]]
found = sweep(make_space("./shorter.py", grid, markets=["./market.toml"]), "results")
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # of this process alone
print(int(peak) // 1024)
"""


def test_memory_does_not_grow_with_the_points(here):
    """4,500 points need at most 20 MiB more than 180."""
    peaks = []
    for count in (2, 50):
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        command = [sys.executable, "-c", MEMORY, str(count)]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True, env=environment)
        peaks.append(json.loads(done.stdout))
    assert peaks[1] - peaks[0] < 20


def test_progress_says_rate_and_time_left(here):
    reports: list[Progress] = []
    began = time.perf_counter()
    sweep(slow_space(), progress=reports.append)
    took = time.perf_counter() - began
    assert [r.done for r in reports] == sorted({r.done for r in reports})
    assert reports[-1].done == reports[-1].total == 80
    assert reports[-1].left == 0.0
    assert 80 / took <= reports[-1].rate < 20.0  # each point waits 50 ms
    middle = next(r for r in reports if r.done > 20)
    assert middle.left == pytest.approx((80 - middle.done) / middle.rate)


def test_a_point_that_was_over_its_time_is_run_again_with_more(here):
    """Of two points the second is made one that was over 1 s; with 1 s it stays so, with 2 s it is run, and only it."""
    space = make_space("./shorter.py", ["entry=1,4"], markets=["./market.toml"])
    whole = sweep(space)
    expected = as_bytes(whole.table())
    (part,) = parts_in(whole.folder)
    rows = parquet.read_table(part).to_pylist()
    rows[1] |= dict.fromkeys(FIGURES) | {"error": late_words(1.0), "seconds": 7.0}
    rows[0]["seconds"] = 3.0
    parquet.write_table(pa.Table.from_pylist(rows, schema_of(space)), part)
    assert sweep(space, time_limit=1.0).failed == 1
    again = sweep(space, time_limit=2.0)
    assert (again.done, again.failed) == (2, 0)
    assert as_bytes(again.table()) == expected
    seconds = again.table(["seconds"])["seconds"].to_pylist()
    assert seconds[0] == 3.0
    assert seconds[1] != 7.0


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"error": [""]}, "no column 'point'"),
        ({"point": [10**6], "error": [""]}, "points that the sweep does not have"),
    ],
)
def test_a_part_that_is_none_of_the_sweep_is_said(here, columns, why):
    space = make_space("./shorter.py", ["entry=1,4"], markets=["./market.toml"])
    folder = sweep(space).folder
    parquet.write_table(pa.table(columns), folder / "part-000000099-abcdef01.parquet")
    (folder / next(p.name for p in folder.glob("part-000000000*"))).unlink()
    with pytest.raises(ResultsError, match=f"{why}.*delete it and start the sweep again"):
        sweep(space)


def test_a_limit_beyond_a_year_is_none(here):
    space = make_space("./shorter.py", ["entry=1"], markets=["./market.toml"])
    assert sweep(space, time_limit=float("inf")).failed == 0
