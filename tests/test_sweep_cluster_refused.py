"""What a sweep on a cluster says when there is none, or not the right one; and what it sends there."""

import io
import operator
import pickle
import pkgutil
import re
import socket
import sys
import time
from functools import reduce

import pytest
from sweep_made import make_files

from backtest.errors import ConfigError, LevelbreakError
from backtest.market import load_market
from backtest.sweep import Chunk, make_space, make_task, sweep
from backtest.sweep.cluster import Fleet, check_package, check_versions
from backtest.sweep.pack import put_together
from backtest.sweep.work import Worker


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


@pytest.fixture
def space(here):
    return make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"])


# --- the address ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["", "here", "127.0.0.1:8786", "tcp://127.0.0.1", "tcp://:1", "tcp://a:0", "tcp://a:70000"]
)
def test_what_is_no_address_is_refused_before_anything_is_loaded(here, address):
    space = make_space("./shorter.py", ["entry=0:2"], markets=["./market.toml"])
    (here / "market.toml").unlink()
    said = f"The cluster must be given by the address of its scheduler, such as tcp://127.0.0.1:8786, got {address!r}."
    with pytest.raises(ConfigError, match=re.escape(said)):
        sweep(space, dask=address)


def test_jobs_and_a_cluster_are_one_too_many(space):
    with pytest.raises(ConfigError, match=r"^The workers of the cluster tcp://a:1 do the work; leave --jobs 2 out\.$"):
        sweep(space, dask="tcp://a:1", jobs=2)


def test_without_the_package_it_says_what_to_install(space, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"needs the package distributed: pip install 'levelbreak\[distributed\]'"):
        sweep(space, dask="tcp://127.0.0.1:1")


def test_a_scheduler_that_is_not_there_is_a_sentence_soon(space, monkeypatch):
    monkeypatch.setattr("backtest.sweep.cluster.TIMEOUT", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(
        ConfigError, match=f"^No scheduler of Dask answers at {address} .*; start one with `dask scheduler`, or"
    ):
        sweep(space, dask=address)
    assert time.monotonic() - began < 10


def test_a_server_that_says_nothing_is_no_scheduler(space, monkeypatch):
    monkeypatch.setattr("backtest.sweep.cluster.TIMEOUT", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConfigError, match=f"^No scheduler of Dask answers at {address} "):
            sweep(space, dask=address)
        assert time.monotonic() - began < 10


# --- versions ---------------------------------------------------------------------------------------------------------


def told(**other):
    return {"packages": {"python": "3.11.7.final.0", "dask": "1.0", "distributed": "1.0", "numpy": "2.0", **other}}


@pytest.mark.parametrize(
    ("scheduler", "worker", "said"),
    [
        ({}, {"python": "3.12.1.final.0"}, "The worker tcp://b:2 has python 3.12, this process 3.11; install the same"),
        ({"distributed": "0.9"}, {}, "The scheduler tcp://a:1 has distributed 0.9, this process 1.0; install the same"),
        ({}, {"numpy": None}, "The worker tcp://b:2 has numpy none, this process 2.0; install the same"),
    ],
)
def test_another_python_or_dask_is_refused_by_name(scheduler, worker, said):
    found = {"client": told(), "scheduler": told(**scheduler), "workers": {"tcp://b:2": told(**worker)}}
    with pytest.raises(ConfigError, match="^" + said):
        check_versions("tcp://a:1", found)


def test_another_patch_of_python_is_none():
    workers = {"tcp://b:2": told(python="3.11.9.final.0")}
    assert check_versions("tcp://a:1", {"client": told(), "scheduler": told(), "workers": workers}) is None


class Here:
    """Stands for a client of a cluster: runs what it is sent in this process, and keeps it."""

    status = "running"

    def __init__(self, answers=None):
        self.sent = []
        self.answers = answers
        self.scheduler = self
        self.ncores = None

    def sync(self, function, **how):
        return {"one": 2}

    def scatter(self, data, **how):
        self.sent.append(pickle.dumps(data))
        return [Sent(value) for value in data]

    def submit(self, function, *arguments, key, pure):
        plain = [a.value if isinstance(a, Sent) else a for a in arguments]
        self.sent.append(pickle.dumps((function, arguments)))
        _, [name, asked], _ = plain
        assert name == "backtest.sweep.child:serve"
        return Landed(key, self.answers or answer_of, [a.value if isinstance(a, Sent) else a for a in asked])

    def cancel(self, futures, force):
        pass


def answer_of(parcel, position, indexes):
    return Worker(pickle.loads(parcel["task"]), lambda _: put_together(parcel["market"])).rows(indexes)


class Sent:
    status = "finished"

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return (str, ("a future",))


class Landed:
    status = "finished"

    def __init__(self, key, answer, arguments):
        self.key, self.answer, self.arguments = key, answer, arguments

    def add_done_callback(self, callback):
        callback(self)

    def result(self, timeout):
        return self.answer(*self.arguments)


def test_a_worker_without_the_package_is_refused_by_name():
    with pytest.raises(
        ConfigError, match=r"^The worker tcp://b:2 has no levelbreak, the sweep 1\.0; install the same\.$"
    ):
        check_package({"tcp://b:1": "1.0", "tcp://b:2": ModuleNotFoundError("x")}, "1.0")


# --- what is sent ---------------------------------------------------------------------------------------------------------


class Ours(pickle.Unpickler):
    """Refuses whatever does not belong to this package, to numpy or to Python itself."""

    names: set[str]

    def find_class(self, module, name):
        self.names.add(module.split(".")[0])
        ours = {"backtest", "numpy", "builtins", "collections", "_codecs", "_functools", "_operator", "pkgutil"}
        assert module.split(".")[0] in ours, (module, name)
        return super().find_class(module, name)


def test_nothing_that_a_user_wrote_is_sent(here, space):
    """What goes out is read with the strategy's file gone, and names nothing but this package and numpy."""
    client = Here()
    task = make_task(space)
    fleet = Fleet(client, "tcp://a:1", task, lambda position: load_market("./market.toml"))
    assert [done.rows.num_rows for done in fleet([Chunk(range(4)), Chunk(range(4, 10))])] == [4, 6]
    (here / "shorter.py").unlink()
    for name in [name for name in sys.modules if "shorter" in name]:
        del sys.modules[name]
    Ours.names = set()
    chunks = [Ours(io.BytesIO(message)).load() for message in client.sent[1:]]
    assert "backtest" not in Ours.names  # the scheduler reads this
    (parcel,) = Ours(io.BytesIO(client.sent[0])).load()
    assert type(parcel["market"]) is dict
    assert Ours(io.BytesIO(parcel["task"])).load() == task
    assert {"backtest", "numpy"} <= Ours.names
    steps = [["backtest.sweep.child:serve", ["a future", 0, points]] for points in (range(4), range(4, 10))]
    assert chunks == [(reduce, (operator.call, step, pkgutil.resolve_name)) for step in steps]
    assert not any(b"Shorter" in message or b"plan" in message for message in client.sent)


def test_a_chunk_of_which_workers_die_is_halved_until_the_point_is_found(here, space):
    """Dask gives up what has killed several workers; the fourth point does."""
    from distributed import KilledWorker

    def answer(parcel, position, indexes):
        if 3 in indexes:
            raise KilledWorker("key", "worker", 3)
        return answer_of(parcel, position, indexes)

    fleet = Fleet(Here(answer), "tcp://a:1", make_task(space), lambda position: load_market("./market.toml"))
    found = {point: done for done in fleet([Chunk(range(10))]) for point in done.indexes}
    assert sorted(found) == list(range(10))
    assert list(found[3].indexes) == [3]
    assert found[3].rows["error"].to_pylist() == [
        "Its process died of it twice: it crashed, was killed, or needed more memory than there is."
    ]


def test_points_that_get_lost_again_and_again_end_the_sweep(here, space):
    def answer(*arguments):
        raise TimeoutError

    fleet = Fleet(Here(answer), "tcp://a:1", make_task(space), lambda position: load_market("./market.toml"))
    with pytest.raises(
        LevelbreakError, match=r"^The cluster tcp://a:1 has lost the same points 5 times; what is finished"
    ):
        list(fleet([Chunk(range(10))]))


def test_a_cluster_that_lacks_the_package_says_so(here, space):
    def answer(*arguments):
        raise ModuleNotFoundError("No module named 'backtest'")

    fleet = Fleet(Here(answer), "tcp://a:1", make_task(space), lambda position: load_market("./market.toml"))
    said = r"^The cluster tcp://a:1 can't work on the sweep \(No module named 'backtest'\); each worker needs"
    with pytest.raises(LevelbreakError, match=said):
        list(fleet([Chunk(range(10))]))


def test_what_the_code_of_a_worker_raises_is_no_lost_worker(here, space, monkeypatch):
    asked = []

    def answer(*arguments):
        asked.append(arguments)
        raise FileNotFoundError("market-3 is gone")

    monkeypatch.setattr(Landed, "status", "error")
    fleet = Fleet(Here(answer), "tcp://a:1", make_task(space), lambda position: load_market("./market.toml"))
    said = r"^The cluster tcp://a:1 can't work on the sweep \(market-3 is gone\); what is finished is kept"
    with pytest.raises(LevelbreakError, match=said):
        list(fleet([Chunk(range(10))]))
    assert len(asked) == 1


def test_what_a_worker_that_is_closed_had_in_hand_is_done_again(here, space, monkeypatch):
    closed = [True]

    def answer(*arguments):
        if closed:
            closed.pop()
            raise InterruptedError("nobody waits for these points any more")
        return answer_of(*arguments)

    monkeypatch.setattr(Landed, "status", "error")
    fleet = Fleet(Here(answer), "tcp://a:1", make_task(space), lambda position: load_market("./market.toml"))
    assert [done.rows.num_rows for done in fleet([Chunk(range(10))])] == [10]


def test_a_sweep_that_starts_before_any_worker_waits_for_one(here, space):
    """The first two looks find nobody, then there is a worker of two threads."""
    client, looks = Here(), iter([{}, {}])
    client.sync = lambda function, **how: next(looks, {"one": 2})
    fleet = Fleet(client, "tcp://a:1", make_task(space), lambda position: load_market("./market.toml"))
    assert fleet.threads == 0
    assert sweep(space, executor=fleet).done == 10
