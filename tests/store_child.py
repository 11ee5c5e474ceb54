"""A process that writes series into a store when told to, in children that a test may kill.

Lines on its input: "write FOLDER FIRST STEP" forks a child that stores every STEP-th page from FIRST on, and answers with
its process id; "wait PID" answers with its exit status. Forking one warm process takes milliseconds, starting one a second.
"""

import os
import sys
from pathlib import Path

import filelock  # noqa: F401  imported here once, for all children
import pyarrow.parquet  # noqa: F401
from store_made import HOUR, LATER, NOW, bars, pages

from backtest.market.store.entry import open_entry

BARS, ROWS = 1_000, 100  # over the end of a month, ten pages


def work(folder: str, first: int, step: int) -> None:
    entry = open_entry(Path(folder), "binance", "BTCUSDT", "bars", HOUR)
    for page in pages(bars(BARS), HOUR, ROWS)[first::step]:
        if entry.missing(page.start, page.end):
            entry.write(page, closed_before=LATER, retrieved_at=NOW)


def main() -> None:
    for line in sys.stdin:
        what, *words = line.split()
        if what == "wait":
            print(os.waitpid(int(words[0]), 0)[1], flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work(words[0], int(words[1]), int(words[2]))
                status = 0
            finally:
                os._exit(status)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
