"""A sweep on a real scheduler and real workers: the same rows byte for byte, whoever dies, and a sentence for what differs."""

import _thread
import re
import threading
import time
from dataclasses import replace
from importlib import import_module

import pytest
from cluster_made import RealCluster
from sweep_made import as_bytes, make_files

from backtest.errors import LevelbreakError, MarketError, StrategyError, VenueError
from backtest.market import load_market
from backtest.model import RunConfig
from backtest.places import shipped
from backtest.sweep import Chunk, make_space, make_task, sweep
from backtest.sweep.cluster import cluster

NAME = r"The worker [^ ]+:\d+ "


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A scheduler that lacks levelbreak, with two workers, whose home and folder are not those of the sweeps."""
    bare = tmp_path_factory.mktemp("bare")
    (bare / "backtest").mkdir()
    (bare / "backtest" / "__init__.py").write_text("raise ImportError('there is no levelbreak here')\n")
    made = RealCluster(tmp_path_factory.mktemp("cluster"), PYTHONPATH=str(bare))
    try:
        made.add(2)
        yield made
    finally:
        made.close()


def test_the_scheduler_of_these_tests_lacks_the_package(two):
    with pytest.raises(ImportError, match="there is no levelbreak here"):
        two.ask(lambda client: client.run_on_scheduler(import_module, "backtest"))


def test_the_rows_are_those_of_one_process_byte_for_byte(here, two, monkeypatch):
    """Two strategies on two markets, points that fail among them; each market is sent once."""
    import distributed

    sent = []
    scatter = distributed.Client.scatter
    monkeypatch.setattr(
        distributed.Client, "scatter", lambda self, data, **how: sent.append(how) or scatter(self, data, **how)
    )
    (here / "second.toml").write_text((here / "market.toml").read_text().replace("12:00Z", "11:00Z"))
    (here / "other.py").write_text((here / "shorter.py").read_text().replace("hold: int = 4", "hold: int = 2"))
    grid = ["entry=0:9", "hold=0,2,13", "stop=0.005,0.5"]
    space = make_space(["./shorter.py", "./other.py"], grid, markets=["./market.toml", "./second.toml"])
    one, many = sweep(space, "one"), sweep(space, "many", dask=two.address)
    assert as_bytes(one.table()) == as_bytes(many.table())
    assert (many.done, many.failed) == (240, one.failed)
    assert 0 < many.failed < 240
    assert [how["broadcast"] for how in sent] == [True, True]


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(here, two):
    """A third one is killed while it works; its points are done again, and the rows are those of one process."""
    (third,) = two.add()
    space = make_space("./shorter.py", ["entry=0:9", "hold=1:8", "mode=slow"], markets=["./market.toml"])

    def kill(now):
        if now.done > 20 and third.poll() is None:
            two.kill(third)

    found = sweep(space, "many", dask=two.address, progress=kill)
    assert third.poll() is not None
    assert (found.done, found.failed) == (80, 0)
    assert as_bytes(found.table()) == as_bytes(sweep(space, "one").table())


def test_points_that_crash_or_hang_are_rows_and_their_workers_live_on(here, two):
    """One ends its process, one never ends, and one hangs inside a single call, where no alarm reaches it."""
    code = (here / "shorter.py").read_text().replace("import os\n", "import itertools\nimport os\n")
    bad = """        if self.mode == "bad" and self.entry == 2:
            os._exit(9)
        while self.mode == "bad" and self.entry == 4:
            time.sleep(0.01)
        if self.mode == "bad" and self.entry == 6:
            sum(itertools.repeat(1, 10**12))
        if self.mode == "wait":"""
    (here / "bad.py").write_text(code.replace('        if self.mode == "wait":', bad, 1))
    before = two.ask(lambda client: sorted(client.nthreads()))
    space = make_space("./bad.py", ["entry=0:9", "mode=bad"], markets=["./market.toml"])
    found = sweep(space, dask=two.address, time_limit=1.0)
    errors = found.table(["error"])["error"].to_pylist()
    assert {entry: sentence for entry, sentence in enumerate(errors) if sentence} == {
        2: "Its process died of it twice: it crashed, was killed, or needed more memory than there is.",
        4: "It took longer than 1 s; give it more with --time-limit, or leave the point out.",
        6: "It took longer than 1 s, in code that can't be interrupted; give it more with --time-limit.",
    }
    assert two.ask(lambda client: sorted(client.nthreads())) == before


def test_ctrl_c_leaves_the_cluster_free_and_the_same_sweep_goes_on(here, two):
    """A point without a time limit waits for ever; when the sweep is stopped, its process ends and the worker is free."""
    space = make_space("./shorter.py", ["entry=0:3", "mode=wait"], markets=["./market.toml"])
    threading.Timer(2.0, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        sweep(space, "waits", dask=two.address, time_limit=None)
    space = make_space("./shorter.py", ["entry=0:9", "hold=1:4", "mode=slow"], markets=["./market.toml"])

    def stop(now):
        if now.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(space, dask=two.address, progress=stop)
    seen = []
    found = sweep(space, dask=two.address, progress=lambda now: seen.append(now.done))
    assert seen[0] > 8
    assert (found.done, found.failed) == (40, 0)


def test_a_worker_with_two_threads_works_on_two_points_at_once(here, two):
    (third,) = two.add(threads=2)
    try:
        space = make_space("./shorter.py", ["entry=0:9", "hold=1:4", "mode=slow"], markets=["./market.toml"])
        with cluster(two.address, make_task(space), lambda position: load_market("./market.toml")) as fleet:
            assert fleet.threads == 4
        found = sweep(space, "many", dask=two.address)
        assert as_bytes(found.table()) == as_bytes(sweep(space, "one").table())
    finally:
        two.kill(third)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_worker_with_another_text_of_the_strategy_refuses_by_name(here, two, monkeypatch):
    """The path starts from the home folder, which on the workers is another one."""
    monkeypatch.setenv("HOME", str(here))
    code = (here / "shorter.py").read_text()
    (here / "both.py").write_text(code)
    (two.folder / "both.py").write_text(code + "\n")
    space = make_space("~/both.py", ["entry=0:9"], markets=["./market.toml"])
    with pytest.raises(
        StrategyError, match=NAME + "has another text of ~/both.py than the sweep began with; copy the file"
    ):
        sweep(space, dask=two.address)
    (two.folder / "both.py").write_text(code)
    assert sweep(space, dask=two.address).done == 10


def test_a_worker_without_the_strategy_file_refuses_by_name(here, two, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    (here / "mine.py").write_text((here / "shorter.py").read_text())
    space = make_space("~/mine.py", ["entry=0:9"], markets=["./market.toml"])
    with pytest.raises(StrategyError, match=NAME + "can't load ~/mine.py: There is no strategy file ~/mine.py"):
        sweep(space, dask=two.address)


def test_a_worker_without_the_folder_says_so(here, two):
    space = make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"])
    task = replace(make_task(space), folder=str(here / "elsewhere"), id="away")
    where = re.escape(
        f"Relative paths start from {here / 'elsewhere'}, where the sweep was started, and there is no such"
    )
    with pytest.raises(StrategyError, match=NAME + r"can't load ./shorter.py: .*" + where):
        run(two, task)


def test_a_worker_with_other_data_refuses_by_name(here, two):
    space = make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"])
    task = replace(make_task(space), markets=("0" * 64,), id="data")
    with pytest.raises(MarketError, match=NAME + "has other data of ./market.toml than the sweep began with"):
        run(two, task)


def test_a_worker_with_other_numbers_of_the_venue_refuses_by_name(here, two, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    paper = (shipped("data/venues") / "paper.toml").read_text()
    (here / "own.toml").write_text(paper)
    (two.folder / "own.toml").write_text(paper.replace("cash = 10_000.0", "cash = 6_000.0"))
    base = RunConfig("", "", venue="~/own.toml")
    space = make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"], base=base)
    with pytest.raises(VenueError, match=NAME + "has other numbers of the venue ~/own.toml than the sweep began with"):
        sweep(space, dask=two.address)


def test_a_worker_with_another_version_is_refused_by_name(here, two, tmp_path_factory):
    folder = tmp_path_factory.mktemp("version")
    (folder / "levelbreak-9.9.dist-info").mkdir()
    (folder / "levelbreak-9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: levelbreak\nVersion: 9.9\n"
    )
    (third,) = two.add(PYTHONPATH=str(folder))
    try:
        space = make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"])
        there = (
            r"The worker tcp://127\.0\.0\.1:\d+ has version 9\.9 of levelbreak, the sweep 0\.1\.0; install the same\."
        )
        with pytest.raises(LevelbreakError, match=there):
            sweep(space, dask=two.address)
    finally:
        two.kill(third)


def run(two, task):
    """Score two points on the cluster, without a folder of results."""
    with cluster(two.address, task, lambda position: load_market("./market.toml")) as fleet:
        return list(fleet([Chunk([0, 1])]))


# --- nobody left -----------------------------------------------------------------------------------------------------


def test_when_all_workers_are_gone_it_waits_for_others_and_then_says_so(here, tmp_path_factory, monkeypatch):
    """The first two are killed in the middle, with the market; a third one gets it again. When that goes too, the sweep ends."""
    monkeypatch.setattr("backtest.sweep.cluster.PATIENCE", 1.5)
    own = RealCluster(tmp_path_factory.mktemp("own"))
    try:
        space = make_space("./shorter.py", ["entry=0:9", "hold=1:8", "mode=slow"], markets=["./market.toml"])
        nobody = f"The scheduler {own.address} has had no worker for 1.5 s; start some with `dask worker {own.address}`. What is"
        with pytest.raises(LevelbreakError, match=re.escape(nobody)):
            sweep(space, "many", dask=own.address)
        monkeypatch.setattr("backtest.sweep.cluster.PATIENCE", 60.0)
        monkeypatch.setattr("backtest.sweep.cluster.TIMEOUT", 4.0)  # for rows that are lost with their worker
        workers = own.add()
        newcomers = threading.Thread(target=lambda: (own.kill(*workers), time.sleep(0.5), own.add()))

        def change(now):
            if now.done > 10 and newcomers.ident is None:
                newcomers.start()

        found = sweep(space, "many", dask=own.address, progress=change)
        newcomers.join()
        assert (found.done, found.failed) == (80, 0)
        assert as_bytes(found.table()) == as_bytes(sweep(space, "one").table())
    finally:
        own.close()


def test_when_the_scheduler_goes_the_rows_stay(here, tmp_path_factory, monkeypatch):
    monkeypatch.setattr("backtest.sweep.cluster.TIMEOUT", 1.0)
    own = RealCluster(tmp_path_factory.mktemp("gone"))
    try:
        own.add()
        space = make_space("./shorter.py", ["entry=0:9", "hold=1:4", "mode=slow"], markets=["./market.toml"])

        def kill(now):
            if now.done > 8:
                own.kill(own.processes[0])

        began = time.monotonic()
        with pytest.raises(
            LevelbreakError, match=re.escape(f"The scheduler {own.address} is gone; what is finished is kept")
        ):
            sweep(space, dask=own.address, progress=kill)
        assert time.monotonic() - began < 20
    finally:
        own.close()
    seen = []
    assert sweep(space, progress=lambda now: seen.append(now.done)).done == 40
    assert seen[0] > 8
