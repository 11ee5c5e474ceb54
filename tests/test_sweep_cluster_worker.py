"""What a worker of a cluster does on its machine: files of markets that others may be using, and processes that come and go."""

import pickle
import threading
from collections import Counter, OrderedDict
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sweep_made import make_files

from backtest.errors import ConfigError, LevelbreakError, StrategyError
from backtest.market import load_market
from backtest.sweep import Chunk, make_space, make_task
from backtest.sweep.child import Child, answered, finished, market_file, serve
from backtest.sweep.pack import pack_market, put_together, taken_apart
from backtest.sweep.work import warm


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKTEST_RESULTS", raising=False)
    make_files(tmp_path)
    return tmp_path


@pytest.fixture
def space(here):
    return make_space("./shorter.py", ["entry=0:9"], markets=["./market.toml"])


def test_a_process_that_dies_before_it_begins_is_replaced_three_times(here, space, monkeypatch):
    monkeypatch.setattr("backtest.sweep.child.BEGIN", "raise SystemExit(1)")
    pack_market(load_market("./market.toml"), here / "market-0")
    task = make_task(space)
    with pytest.raises(RuntimeError, match="dies before it begins"):
        list(finished(task, (str(here / "market-0"),), [0], lambda: False))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """No file of a market yet; they are made in a folder of their own."""
    (tmp_path / "files").mkdir()
    monkeypatch.setattr("backtest.sweep.child.FILES", OrderedDict())
    monkeypatch.setattr("backtest.sweep.child.USERS", Counter())
    monkeypatch.setattr("backtest.sweep.child.space_for_files", lambda: str(tmp_path / "files"))
    return tmp_path / "files"


def test_the_file_of_a_market_stays_as_long_as_a_thread_uses_it(files, space):
    """Four markets at once, the first by two threads; two files are kept when nobody uses them."""
    task = make_task(space)
    with ExitStack() as first, ExitStack() as others:
        path = first.enter_context(market_file(task, 0, {}))
        with market_file(task, 0, {}) as again:
            assert again == path
        made = [others.enter_context(market_file(task, position, {})) for position in (1, 2, 3)]
        assert [file.exists() for file in [path, *made]] == [True] * 4
        others.close()
        assert [file.exists() for file in [path, *made]] == [True, False, True, True]
        first.close()
    assert [file.exists() for file in [path, *made]] == [False, False, True, True]
    with market_file(task, 1, {}) as back:
        assert back.exists()
    assert [file.exists() for file in [made[1], made[2], back]] == [False, True, True]
    assert len(list(files.iterdir())) == 2


def test_a_worker_that_can_t_write_says_so_by_name(files, space, monkeypatch):
    def full(plain, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backtest.sweep.child.pack_plain", full)
    said = r"^The worker [^ ]+:\d+ can't go on: \[Errno 28\] No space left on device\.$"
    with pytest.raises(LevelbreakError, match=said):
        serve(({"task": pickle.dumps(make_task(space)), "market": {}}, 0, [0]))
    assert not list(files.iterdir())


def test_a_process_outlives_the_thread_that_asked_for_it(here, space):
    """The system would end it with the thread that started it; it is still there to answer another one."""
    pack_market(load_market("./market.toml"), here / "market-0")
    made = []
    thread = threading.Thread(target=lambda: made.append(Child()))
    thread.start()
    thread.join()
    (child,) = made
    try:
        question = make_task(space), (str(here / "market-0"),), Chunk([0, 1]), str(here / "at"), "me"
        assert child.ask(question, lambda: False).rows.num_rows == 2
    finally:
        child.end()


def test_a_process_that_can_t_be_started_is_an_error_at_once(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        Child()


def test_a_process_is_ended_when_nobody_waits_for_its_rows(here, monkeypatch):
    pack_market(load_market("./market.toml"), here / "market-0")
    task = make_task(make_space("./shorter.py", ["entry=0:2", "mode=wait"], markets=["./market.toml"]), None)
    child = Child()
    with pytest.raises(InterruptedError):
        child.ask((task, (str(here / "market-0"),), Chunk([0]), str(here / "at"), "me"), lambda: True)
    assert not child.lives


@pytest.mark.parametrize(
    ("other", "kind", "sentence"),
    [
        (
            {"sources": ("0" * 64,)},
            StrategyError,
            "has another text of ./shorter.py than the sweep began with; copy the file",
        ),
        ({"version": "9.9"}, ConfigError, "has version 0.1.0 of levelbreak, the sweep 9.9; install the same."),
    ],
)
def test_a_refusal_is_an_answer(here, space, other, kind, sentence):
    task = replace(make_task(space), **other)
    said = answered((task, (str(here / "market-0"),), Chunk([0]), str(here / "at"), "there:7"))
    assert type(said) is kind
    assert str(said).startswith(f"The worker there:7 {sentence}")
    again = pickle.loads(pickle.dumps(said))
    assert (type(again), str(again)) == (type(said), str(said))


def test_the_engine_is_compiled_before_the_time_of_a_point_runs(here, space, monkeypatch):
    scored = []
    monkeypatch.setattr("backtest.engines.fast.score", lambda market, plan, venue: scored.append(market.symbols))
    warm(make_task(space))
    assert scored == [("FLAT",)]


def test_a_market_survives_being_taken_apart():
    market = load_market("deleveraging-2026")
    plain = taken_apart(market)
    assert type(plain["funding"]) is dict
    assert {type(feed) for feed in plain["feeds"].values()} <= {dict}
    back = put_together(pickle.loads(pickle.dumps(plain)))
    assert back.close.tobytes() == market.close.tobytes()
    assert back.passport == market.passport
