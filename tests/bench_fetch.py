"""How busy a fetch keeps its source, and what memory it takes: `python tests/bench_fetch.py [--years 4] [--latency 0.03]`.

Four years of hourly bars of five symbols with funding come from the archive's server on loopback, in a process of its own,
each answer after a latency as over a network. Printed: pages and requests a second, how many requests the server had at
once (the source allows so many), the share of the time in which it had none, and the memory of the fetching process.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from servers.binance_archive import Archive

from backtest.market.fetching.fetch import fetch
from backtest.market.sources import get_source

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
BEAT = 0.002


def serve(pipe: Connection, latency: float) -> None:
    """Serve until told to stop; answer with what was under way every 2 ms from the first request to the last."""
    seen: list[tuple[float, int]] = []
    with Archive() as server:
        server.work = latency
        pipe.send(server.url)
        while not pipe.poll(BEAT):
            seen.append((time.monotonic(), server.under_way))
        first, last = server.asked[0].when, server.asked[-1].when
        pipe.send((len(server.asked), server.busiest, [n for when, n in seen if first <= when <= last]))


def market(folder: Path, years: int) -> Path:
    """Write the market of the benchmark."""
    lines = ['interval = "1h"', f'start = "{2026 - years}-01-01"', 'end = "2026-01-01"']
    for symbol in SYMBOLS:
        lines += [f"[{symbol}]", 'bars = "store:binance-archive"', 'funding = "store:binance-archive"']
    path = folder / "bench.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def resident() -> float:
    """Return the memory of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def watch_memory(stop: threading.Event, found: list[float]) -> None:
    while not stop.wait(0.05):
        found.append(resident())


def main() -> None:
    """Run the benchmark and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=4)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds that each answer takes")
    options = parser.parse_args()
    near, far = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=serve, args=(far, options.latency), daemon=True)
    child.start()
    os.environ["BACKTEST_URL_BINANCE_ARCHIVE"] = near.recv()
    memory: list[float] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BACKTEST_DATA"] = folder
        path = market(Path(folder), options.years)
        fetch(path, dry_run=True)
        for name in (
            "requests",
            "filelock",
            "pyarrow.csv",
            "pyarrow.parquet",
        ):  # what has to be imported is not the fetch's
            import_module(name)
        watcher = threading.Thread(target=watch_memory, args=(stop, memory), daemon=True)
        watcher.start()
        began = time.monotonic()
        report = fetch(path)
        seconds = time.monotonic() - began
        stop.set()
        watcher.join()
    near.send("stop")
    asked, busiest, under_way = near.recv()
    child.join()
    assert report.exit_code == 0, report.failed
    pages, rows = sum(s.arrived for s in report.series), sum(s.added for s in report.series)
    allowed = get_source("binance-archive").concurrency
    print(f"{rows:,} rows in {pages:,} pages, {asked:,} requests, {seconds:.1f} s ({asked / seconds:.0f} requests/s)")
    idle = float(np.mean(np.array(under_way) == 0))
    print(
        f"at once: {busiest} at most ({allowed} allowed), {np.mean(under_way):.1f} on average; server idle {idle:.1%}"
    )
    parts = [f"{np.mean(part):.0f}" for part in np.array_split(np.array(memory), min(10, len(memory)))]
    print(f"memory over time, MB: {' '.join(parts)}; at most {max(memory):.0f}")


if __name__ == "__main__":
    main()
