"""Benchmark a sweep of the reference strategy against three peers, and print figures and ratios from one run.

    python tests/bench_sweep.py            # builds an environment for the peers once, then takes about five minutes
    python tests/bench_sweep.py --no-peers # our own figures only

The work is the reference strategy on 100,000 bars: support is the lowest low of the previous bars; a close below it sells short at
the next open; out on a close above the entry's support, at a stop or at a target; 5 bps a side; metrics included. Ours is an
ordinary strategy in a file, run by `backtest.sweep.sweep` with its rows on the disk, and keeps full accounts (isolated or cross
margin, dated tiers). vectorbt gets all combinations in one call, its fastest way, and can't hold the support of the open trade; the
other two run one combination after another. One thread, warm, each in a process of its own; peak memory is that of the process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from bench_engine import HOUR, walk

BARS = 100_000
PEERS = ("vectorbt==1.2.0", "vectorbt-rust==1.2.0", "backtesting==0.6.6", "backtrader==1.9.78.123")
GRID = {
    1_000: ("24:240:24", "0,0.001,0.002,0.005", "lin:0.02:0.1:5", "lin:0.04:0.2:5"),
    10_000: ("24:240:24", "0,0.001,0.002,0.005,0.01", "lin:0.01:0.1:10", "lin:0.02:0.2:20"),
}
NAMES = ("lookback", "buffer", "stop_fraction", "target_fraction")

STRATEGY = '''"""The reference strategy."""

from dataclasses import dataclass

from backtest import Market, Plan
from backtest.levels import donchian


@dataclass(frozen=True)
class Reference:
    symbol: str = "BTCUSDT"
    lookback: int = 48
    buffer: float = 0.001
    stop_fraction: float = 0.05
    target_fraction: float = 0.10

    def plan(self, market: Market) -> Plan:
        bars = market[self.symbol]
        support = donchian(bars, self.lookback)
        return Plan.short(
            self.symbol,
            at=bars.close < support * (1 - self.buffer),
            close_stop=support,
            stop_fraction=self.stop_fraction,
            target_fraction=self.target_fraction,
        )
'''

OURS = """
import json, resource, sys, tempfile, time
from backtest.sweep import make_space, sweep
grid, jobs, markets = json.loads(sys.argv[1]), int(sys.argv[2]), ["./walk.toml"]
def once(texts, folder):
    began = time.perf_counter()
    found = sweep(make_space("./reference.py", texts, markets=markets), folder, jobs=jobs)
    took = time.perf_counter() - began
    assert found.failed == 0 and found.done == found.space.count
    return took / found.space.count
with tempfile.TemporaryDirectory() as folder:
    once(["lookback=20:60:1"], folder)  # compiled, and the workers there
    found = once(grid, folder)
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"seconds": found, "peak": own}))
"""

VECTORBT = """
import itertools, json, resource, sys, time
import numpy as np, pandas as pd, vectorbt as vbt
vbt.settings["engine"] = "rust"
p = np.load("walk.npz")
index = pd.date_range("2000", periods=len(p["close"]), freq="h")
frame = pd.DataFrame({k: p[k] for k in ("open", "high", "low", "close")}, index=index)
def once(lookbacks, buffers, stops, targets):
    began = time.perf_counter()
    supports = {n: frame.low.rolling(n).min().shift(1).to_numpy()[:, None] for n in lookbacks}
    close = frame.close.to_numpy()[:, None]
    cases = list(itertools.product(lookbacks, buffers, stops, targets))
    entries = np.hstack([close < supports[n] * (1 - b) for n, b, _, _ in cases])
    exits = np.hstack([close > supports[n] for n, _, _, _ in cases])
    pf = vbt.Portfolio.from_signals(frame.close, short_entries=entries, short_exits=exits, open=frame.open, high=frame.high,
        low=frame.low, sl_stop=np.array([[s for _, _, s, _ in cases]]), tp_stop=np.array([[t for *_, t in cases]]), fees=0.0005,
        freq="h", init_cash=10_000.0, engine="rust")
    found = (pf.total_return(), pf.annualized_return(), pf.sharpe_ratio(), pf.sortino_ratio(), pf.max_drawdown(), pf.calmar_ratio(),
        pf.trades.count(), pf.trades.win_rate(), pf.position_coverage(), pf.annualized_volatility(), pf.final_value())
    return (time.perf_counter() - began) / len(cases)
axes = json.loads(sys.argv[1])
once([20, 30], [0.0], [0.05], [0.1])
print(json.dumps({"seconds": once(*axes), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""

BACKTESTING = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from backtesting import Backtest, Strategy
p = np.load("walk.npz")
index = pd.date_range("2000", periods=len(p["close"]), freq="h")
frame = pd.DataFrame({k.title(): p[k] for k in ("open", "high", "low", "close")}, index=index)
class Reference(Strategy):
    lookback, buffer, stop, target = 48, 0.001, 0.05, 0.1
    def init(self):
        self.support = self.I(lambda low: pd.Series(low).rolling(self.lookback).min().shift(1).to_numpy(), self.data.Low)
        self.held = None
    def next(self):
        close = self.data.Close[-1]
        if self.position:
            if close > self.held:
                self.position.close()
        elif close < self.support[-1] * (1 - self.buffer):
            self.held = self.support[-1]
            self.sell(size=0.99, sl=close * (1 + self.stop), tp=close * (1 - self.target))
def once(n):
    bt = Backtest(frame, Reference, cash=1e6, commission=0.0005)
    began = time.perf_counter()
    bt.run(lookback=n)
    return time.perf_counter() - began
once(20)
fastest = min(once(n) for n in (24, 48, 96))
print(json.dumps({"seconds": fastest, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""

BACKTRADER = """
import json, resource, sys, time
import backtrader as bt, numpy as np, pandas as pd
p = np.load("walk.npz")
index = pd.date_range("2000", periods=len(p["close"]), freq="h")
frame = pd.DataFrame({k: p[k] for k in ("open", "high", "low", "close")}, index=index)
frame["volume"] = 1.0
class Reference(bt.Strategy):
    params = dict(lookback=48, buffer=0.001, stop=0.05, target=0.1)
    def __init__(self):
        self.support = bt.ind.Lowest(self.data.low(-1), period=self.p.lookback)
        self.held = None
    def next(self):
        close = self.data.close[0]
        if self.position:
            if close > self.held or close >= self.entry * (1 + self.p.stop) or close <= self.entry * (1 - self.p.target):
                self.close()
        elif close < self.support[0] * (1 - self.p.buffer):
            self.held, self.entry = self.support[0], close
            self.sell(size=0.99 * self.broker.getvalue() / close)
def once(n):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(1e6)
    cerebro.broker.setcommission(0.0005)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Reference, lookback=n)
    for analyzer in (bt.analyzers.DrawDown, bt.analyzers.TradeAnalyzer, bt.analyzers.SharpeRatio):
        cerebro.addanalyzer(analyzer)
    began = time.perf_counter()
    cerebro.run()
    return time.perf_counter() - began
print(json.dumps({"seconds": once(48), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""


def market_file(folder: Path, prices: dict[str, np.ndarray]) -> None:
    """Write the walk as a market, as arrays for the peers, and the strategy."""
    import pyarrow as pa
    from pyarrow import parquet

    np.savez(folder / "walk.npz", **prices)
    times = pa.array(np.arange(BARS) * HOUR, pa.timestamp("ns", "UTC"))
    columns = {name: pa.array(values) for name, values in prices.items()}
    parquet.write_table(
        pa.table({"time": times, **columns, "volume": pa.array(np.ones(BARS))}), folder / "walk.parquet"
    )
    end = np.datetime64(BARS * HOUR, "ns").astype("datetime64[s]")
    head = f'interval = "1h"\nstart = "1970-01-01"\nend = "{end}Z"\n'
    (folder / "walk.toml").write_text(f'{head}\n[BTCUSDT]\nbars = "walk.parquet"\nfunding = "none"\n')
    (folder / "reference.py").write_text(STRATEGY)


def peers(folder: Path) -> str:
    """Return the Python of the peers' environment, made where it is not there yet."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {' '.join(PEERS)} into {folder} ...", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
        (folder / "ready").touch()
    return str(python)


def measured(python: str, code: str, folder: Path, *arguments: str) -> dict[str, float]:
    """Run a child on one thread and return its seconds a combination and its peak memory, MiB."""
    command = [python, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a process that was measured failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(folder: Path, points: int, jobs: int = 1) -> dict[str, float]:
    """Measure our own sweep."""
    texts = [f"{name}={values}" for name, values in zip(NAMES, GRID[points], strict=True)]
    return measured(sys.executable, OURS, folder, json.dumps(texts), str(jobs))


def vectorbt(python: str, folder: Path) -> dict[str, float]:
    """Measure vectorbt on the same thousand combinations."""
    axes = [list(range(24, 241, 24)), [0.0, 0.001, 0.002, 0.005], np.linspace(0.02, 0.1, 5), np.linspace(0.04, 0.2, 5)]
    return measured(python, VECTORBT, folder, json.dumps([np.asarray(a).tolist() for a in axes]))


def line(name: str, found: dict[str, float], base: float) -> None:
    """Print one line: milliseconds a combination, the ratio to ours, the peak."""
    each = f"{found['seconds'] * 1e3:12.3f} ms a combination"
    print(f"  {name:34} {each}  {found['seconds'] / base:10,.0f}x  {found['peak']:7,.0f} MiB", flush=True)


def start_up(folder: Path) -> float:
    """Return the seconds of a whole process that sweeps one point, warm."""
    import time

    command = [
        str(Path(sys.executable).with_name("backtest")),
        "sweep",
        "./reference.py",
        "-m",
        "./walk.toml",
        "--results",
    ]
    took = []
    for turn in range(4):
        began = time.perf_counter()
        subprocess.run([*command, f"start-{turn}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return min(took[1:])


def compare_peers(folder: Path, python: str, rounds: int) -> None:
    """Print ours beside the peers; ours and vectorbt in interleaved rounds."""
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(ours(folder, 1_000))
        theirs.append(vectorbt(python, folder))
    base = statistics.median(one["seconds"] for one in mine)
    print(f"\n1,000 combinations of {BARS:,} bars, one thread, metrics included, medians of {rounds} rounds")
    for name, found in (("levelbreak, a Plan strategy", mine), ("vectorbt 1.2.0, Rust", theirs)):
        line(
            name,
            {"seconds": statistics.median(f["seconds"] for f in found), "peak": max(f["peak"] for f in found)},
            base,
        )
    line("backtesting.py 0.6.6, one by one", measured(python, BACKTESTING, folder), base)
    line("backtrader 1.9.78, one by one", measured(python, BACKTRADER, folder), base)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true", help="do not install or run the peers")
    parser.add_argument(
        "--peers",
        type=Path,
        default=Path(tempfile.gettempdir()) / "levelbreak-sweep-peers",
        help="the peers' environment",
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market_file(folder, walk(BARS))
        ours(folder, 1_000)  # compiled
        if not options.no_peers:
            compare_peers(folder, peers(options.peers), options.rounds)
        print("\n10,000 combinations, ours; the ratio is that of the time to one job's")
        one = ours(folder, 10_000)
        line("1 job", one, one["seconds"])
        two = ours(folder, 10_000, 2)
        line("2 jobs (the peak without workers)", two, one["seconds"])
        print(f"  2 jobs are {one['seconds'] / two['seconds']:.2f}x one job, workers started before")
        print(f"\nwhole process of a sweep of one point, warm: {start_up(folder):.2f} s")


if __name__ == "__main__":
    main()
