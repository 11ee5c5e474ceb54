"""Workers of an existing Dask cluster: the market is sent to them once, chunks follow, and rows come back.

What goes out is plain data: the task, a market taken apart, and the numbers of points. Strategies and venues are loaded by the
workers themselves, and so is what scores them: the scheduler, which reads what is to be called, knows nothing of this package.
Workers may come and go: what a lost one had in hand is done again by another.
"""

import logging
import operator
import pickle
import pkgutil
import re
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from importlib import import_module, metadata
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any

from backtest.errors import ConfigError, LevelbreakError
from backtest.model import Market
from backtest.sweep.pack import taken_apart
from backtest.sweep.watch import given_up
from backtest.sweep.work import Chunk, ChunkDone, Task

__all__ = ["Fleet", "check_address", "cluster", "load_distributed"]

TIMEOUT = 10.0  # seconds in which the scheduler has to answer
PATIENCE = 60.0  # seconds without any worker after which the sweep ends
AHEAD = 2  # chunks on their way for each thread of a worker
LOOK = 0.5  # seconds between two looks at who is there
TRIES = 5  # times that a chunk may get lost
SERVE = "backtest.sweep.child:serve"  # what a worker calls
ADDRESS = re.compile(r"[a-z]+://(\[[0-9a-fA-F:.%]+\]|[^\s/:\[\]]+):(\d{1,5})")
SAME = (
    "python",
    "dask",
    "distributed",
    "numpy",
)  # what must not differ between this process, the scheduler and the workers


@contextmanager
def cluster(address: str, task: Task, market_of: Callable[[int], Market]) -> Iterator["Fleet"]:
    """Give the executor of a Dask cluster.

    address: of its scheduler, such as tcp://127.0.0.1:8786; market_of: returns a market of the task by its position. A
    scheduler that does not answer, or a cluster that has other versions than this process, is a ConfigError.
    """
    check_address(address)
    with quiet(), connected(address) as client:
        check_cluster(address, client, task.version)
        fleet = Fleet(client, address, task, market_of)
        try:
            yield fleet
        finally:
            fleet.call_off()


def check_address(address: str) -> None:
    """Raise a ConfigError for what is no address of a scheduler."""
    found = ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ConfigError(
            f"The cluster must be given by the address of its scheduler, such as tcp://127.0.0.1:8786, got {address!r}."
        )


def load_distributed() -> Any:
    """Return the package distributed; ConfigError where it is not installed."""
    try:
        return import_module("distributed")
    except ImportError:
        raise ConfigError(
            "A sweep on a Dask cluster needs the package distributed: pip install 'levelbreak[distributed]'."
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Dask's log off the terminal; what matters of it is said in a sentence."""
    load_distributed()
    loggers = (logging.getLogger("distributed"), logging.getLogger("distributed.client"))
    before = [(handler, handler.level) for one in loggers for handler in one.handlers]
    for handler, _ in before:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in before:
            handler.setLevel(level)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give a client of the scheduler."""
    package = load_distributed()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions that differ, which are refused in a sentence of their own
            client = within(
                TIMEOUT + 1.0,
                lambda: package.Client(address, timeout=TIMEOUT, set_as_default=False, name="levelbreak"),
            )
    except Exception as error:
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ConfigError(
            f"No scheduler of Dask answers at {address} ({why.rstrip('.')}); start one with `dask scheduler`, or correct the "
            "address."
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=TIMEOUT)


def within(seconds: float, question: Callable[[], Any]) -> Any:
    """Return an answer, or raise TimeoutError: some questions of Dask's wait for ever for a server that says nothing."""
    answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put((question(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer


def check_cluster(address: str, client: Any, version: str) -> None:
    """Raise a ConfigError where the scheduler or a worker that is there has other versions than this process."""
    try:
        check_versions(address, within(TIMEOUT, client.get_versions))
        there = within(TIMEOUT, lambda: client.run(metadata.version, "levelbreak", on_error="return"))
    except (OSError, TimeoutError) as error:
        raise ConfigError(
            f"The cluster {address} does not say which versions it has ({error}); is a worker stuck?"
        ) from error
    check_package(there, version)


def check_versions(address: str, found: Mapping[str, Any]) -> None:
    """Raise a ConfigError where a scheduler or a worker has another Python or another Dask; found: of `Client.get_versions`."""
    here = versions_in(found["client"])
    workers = [(f"The worker {name}", one) for name, one in found["workers"].items()]
    for name, one in [(f"The scheduler {address}", found["scheduler"]), *workers]:
        there = versions_in(one)
        other = next((package for package in SAME if there[package] != here[package]), None)
        if other is not None:
            raise ConfigError(
                f"{name} has {other} {there[other]}, this process {here[other]}; install the same on both sides."
            )


def versions_in(found: Mapping[str, Any]) -> dict[str, str]:
    packages = {name: str(found["packages"].get(name) or "none") for name in SAME}
    return {**packages, "python": ".".join(packages["python"].split(".")[:2])}


def check_package(there: Mapping[str, Any], version: str) -> None:
    """Raise a ConfigError where a worker lacks this package or has another version of it; there: what each has."""
    for worker, found in there.items():
        if found != version:
            has = f"version {found} of levelbreak" if isinstance(found, str) else "no levelbreak"
            raise ConfigError(f"The worker {worker} has {has}, the sweep {version}; install the same.")


@dataclass(frozen=True)
class Flight:
    """A chunk on its way, and how often it was lost before."""

    future: Any
    chunk: Chunk
    lost: int


class Fleet:
    """The executor of a cluster: the workers that are there now, and what they have in hand."""

    def __init__(self, client: Any, address: str, task: Task, market_of: Callable[[int], Market]) -> None:
        self.client = client
        self.address = address
        self.task = task
        self.market_of = market_of
        self.waiting: deque[tuple[Chunk, int]] = deque()
        self.flying: dict[str, Flight] = {}
        self.landed: SimpleQueue[Any] = SimpleQueue()
        self.parcel: tuple[int, Any] | None = None
        self.looked = self.seen = time.monotonic()
        self.threads = self.count()

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[ChunkDone]:
        """Give what comes of the chunks, in the order in which it comes."""
        todo = by_market(self.task, chunks)
        try:
            while True:
                self.look()
                while len(self.flying) < AHEAD * self.threads and (found := self.next_of(todo)):
                    self.send(*found)
                if self.threads and not self.flying:
                    return
                yield from self.land()
        finally:
            self.call_off()

    # --- who is there ---

    def count(self) -> int:
        """Return how many threads the workers have together."""
        try:
            if self.client.status != "running":
                return 0
            return sum(self.client.sync(self.client.scheduler.ncores, callback_timeout=TIMEOUT).values())
        except (OSError, TimeoutError):
            return 0

    def look(self) -> None:
        """Count the workers again, when it is time; raise when none has been there for too long."""
        now = time.monotonic()
        if self.threads and now - self.looked < LOOK:
            return
        self.threads, self.looked = self.count(), now
        if self.client.status == "closed":
            raise LevelbreakError(f"The scheduler {self.address} is gone; {GOES_ON}")
        if self.threads:
            self.seen = now
        elif now - self.seen > PATIENCE:
            raise LevelbreakError(
                f"The scheduler {self.address} has had no worker for {PATIENCE:g} s; start some with `dask worker {self.address}`. "
                f"{GOES_ON.capitalize()}"
            )

    # --- there and back ---

    def next_of(self, todo: Iterator[Chunk]) -> tuple[Chunk, int] | None:
        """Return the next chunk and how often it was lost; None when there is none to send."""
        if self.waiting:
            return self.waiting.popleft()
        chunk = next(todo, None)
        return None if chunk is None else (chunk, 0)

    def send(self, chunk: Chunk, lost: int) -> None:
        """Send a chunk out, after the task and its market."""
        position = self.task.space.locate(chunk.indexes[0])[0]
        parcel = self.parcel_there(position)
        if parcel is None:
            self.threads = 0  # who is there is looked at again before anything is sent
            self.again(Flight(None, chunk, lost))
            return
        key = f"levelbreak-{self.task.id}-{uuid.uuid4().hex}"
        # resolve_name(SERVE)([parcel, ...]), made of what every Python has
        steps = [SERVE, [parcel, position, chunk.indexes]]
        future = self.client.submit(reduce, operator.call, steps, pkgutil.resolve_name, key=key, pure=False)
        self.flying[key] = Flight(future, chunk, lost)
        future.add_done_callback(self.landed.put)

    def parcel_there(self, position: int) -> Any:
        """Return the task and a market as the workers have them, sent to all that are there now; None where that did not work."""
        if self.parcel is None or self.parcel[0] != position or self.parcel[1].status != "finished":
            self.parcel = None
            plain = {"task": pickle.dumps(self.task), "market": taken_apart(self.market_of(position))}
            try:
                (there,) = self.client.scatter([plain], broadcast=True, hash=False, timeout=TIMEOUT)
            except (OSError, TimeoutError, KeyError, ValueError):
                return None  # the workers went away meanwhile
            except Exception as error:
                raise self.unfit(error) from error
            self.parcel = position, there
        return self.parcel[1]

    def land(self) -> Iterator[ChunkDone]:
        """Give what has come back, and take back what was lost on the way."""
        try:
            future = self.landed.get(timeout=LOOK)
        except Empty:
            for key in [key for key, flight in self.flying.items() if flight.future.status in ("cancelled", "lost")]:
                self.again(self.flying.pop(key))
            return
        flight = self.flying.pop(future.key, None)
        if flight is not None:
            yield from self.unloaded(flight)

    def unloaded(self, flight: Flight) -> Iterator[ChunkDone]:
        """Give what a chunk that came back brings; raise what its worker refuses by name."""
        package = load_distributed()
        try:
            yield flight.future.result(timeout=TIMEOUT)
        except LevelbreakError:
            raise
        except package.KilledWorker:
            yield from self.halved(flight)
        except InterruptedError:  # the worker was closed meanwhile
            self.again(flight)
        except (package.client.FutureCancelledError, TimeoutError, OSError) as error:
            if flight.future.status == "error":  # it is no matter of the way there and back: the worker raised it
                raise self.unfit(error) from error
            self.again(flight)
        except Exception as error:
            raise self.unfit(error) from error

    def unfit(self, error: BaseException) -> LevelbreakError:
        """Return what to say of an error that is none of a point's: the cluster lacks something."""
        while error.__cause__ is not None:
            error = error.__cause__
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        lacks = isinstance(error, ImportError | AttributeError)
        what = f"each worker needs levelbreak {self.task.version}." if lacks else GOES_ON
        return LevelbreakError(f"The cluster {self.address} can't work on the sweep ({why.rstrip('.')}); {what}")

    def again(self, flight: Flight) -> None:
        """Have a chunk done again that was lost together with its worker, its rows or its market."""
        if flight.lost == TRIES:
            raise LevelbreakError(f"The cluster {self.address} has lost the same points {TRIES} times; {GOES_ON}")
        self.waiting.append((flight.chunk, flight.lost + 1))

    def halved(self, flight: Flight) -> Iterator[ChunkDone]:
        """Look for the point of which workers die: send the halves of a chunk; a point alone is a row with the reason."""
        points = flight.chunk.indexes
        middle = len(points) // 2
        if middle == 0:
            yield given_up(self.task, points[0], 0.0)
            return
        self.waiting.extend((Chunk(half), 0) for half in (points[:middle], points[middle:]))

    def call_off(self) -> None:
        """Call off what is on its way."""
        futures = [flight.future for flight in self.flying.values()]
        self.flying.clear()
        self.parcel = None
        if futures and self.client.status == "running":
            self.client.cancel(futures, force=True)


GOES_ON = "what is finished is kept, and the same command goes on from there."


def by_market(task: Task, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Give the chunks, those that reach from one market into the next in pieces."""
    for chunk in chunks:
        first, last = (task.space.locate(chunk.indexes[at])[0] for at in (0, -1))
        if first == last:
            yield chunk
        else:
            for _, points in groupby(chunk.indexes, lambda index: task.space.locate(index)[0]):
                yield Chunk(list(points))
