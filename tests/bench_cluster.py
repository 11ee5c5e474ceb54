"""Benchmark one process, two processes and a Dask cluster of two workers on this machine, and print the ratios from one run.

    python tests/bench_cluster.py              # 10,000 combinations, three rounds
    python tests/bench_cluster.py --rounds 5

The work is that of bench_sweep.py: the reference strategy on 100,000 bars, metrics included, rows on the disk. The rounds are
interleaved, each sweep in a process of its own; a small one before it has started the workers and loaded the engine.
A figure is the wall time of the whole sweep; beside it stands the processor time of everything that worked on it, since a machine
with other work to do says nothing by its clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_engine import walk
from bench_sweep import BARS, GRID, NAMES, market_file
from cluster_made import RealCluster

SWEEP = """
import json, os, sys, tempfile, time
import psutil
from backtest.sweep import make_space, sweep
grid, jobs, dask, others = json.loads(sys.argv[1])
def used():
    mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
    theirs = [q for pid in others for p in [psutil.Process(pid)] for q in [p, *p.children(recursive=True)]]
    return sum(t.user + t.system for p in (*mine, *theirs) for t in [p.cpu_times()])
def once(texts, folder):
    before, began = used(), time.perf_counter()
    space = make_space("./reference.py", texts, markets=["./walk.toml"])
    found = sweep(space, folder, jobs=jobs, dask=dask)
    took, spent = time.perf_counter() - began, used() - before
    assert (found.done, found.failed) == (space.count, 0)
    return {"wall": took, "processor": spent, "points": space.count}
with tempfile.TemporaryDirectory() as folder:
    once(["lookback=20:60:1", "buffer=0,0.001,0.002"], folder)
    print(json.dumps(once(grid, folder)))
"""


def measured(folder: Path, points: int, jobs: int = 1, cluster: RealCluster | None = None) -> dict[str, float]:
    """Run one sweep in a process of its own and return its wall and processor seconds."""
    texts = [f"{name}={values}" for name, values in zip(NAMES, GRID[points], strict=True)]
    others = [] if cluster is None else [process.pid for process in cluster.processes]
    asked = json.dumps([texts, jobs, cluster and cluster.address, others])
    done = subprocess.run([sys.executable, "-c", SWEEP, asked], cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a process that was measured failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=10_000, choices=sorted(GRID))
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market_file(folder, walk(BARS))
        measured(folder, 1_000)  # compiled
        cluster = RealCluster(folder)
        try:
            cluster.add(2)
            ways = ((1, None), (2, None), (1, cluster))
            rounds = [[measured(folder, options.points, *way) for way in ways] for _ in range(options.rounds)]
        finally:
            cluster.close()
    one = statistics.median(found["wall"] for found, *_ in rounds)
    print(
        f"{options.points:,} combinations of {BARS:,} bars, medians of {options.rounds} rounds, load {os.getloadavg()[0]:.1f}"
    )
    for place, what in enumerate(("1 job", "2 jobs", "Dask, 2 workers on loopback")):
        wall, processor = (statistics.median(found[place][key] for found in rounds) for key in ("wall", "processor"))
        print(f"  {what:28} {wall:7.2f} s  {processor:7.2f} s of processor  {one / wall:5.2f}x one job")


if __name__ == "__main__":
    main()
