"""Benchmark the fast engine against vectorbt's Rust engine, and print figures and ratios from one run.

    python tests/bench_engine.py            # builds an environment for the peer once, then takes about two minutes
    python tests/bench_engine.py --no-peer  # our own figures only

The work is the reference strategy: support is the lowest low of the previous bars; a close below it sells short at the next open;
out on a close above the entry's support, at a stop or at a target. Ours runs it with full accounting (funding every 8 hours,
isolated margin, dated tiers, brackets). The peer's `from_signals` can't hold the support of the open trade, has no funding and no
margin, and so does less; it is timed twice, asked for those of our figures that it knows and asked for its own `stats()`. Rounds
are interleaved, one thread, warm; the two ratios are those of the medians of one run, in that order.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HOUR = 3_600_000_000_000
PEERS = ("vectorbt==1.2.0", "vectorbt-rust==1.2.0")
SIZES = {100_000: 48, 1_000_000: 420}  # bars -> lookback, chosen for about 2,400 trades on the longer one
BUFFER, STOP, TARGET = 0.001, 0.05, 0.10


def walk(bars: int) -> dict[str, np.ndarray]:
    """A seeded geometric random walk of hourly bars without drift."""
    rng = np.random.default_rng(2026)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, bars)))
    opens = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opens, close) * np.exp(np.abs(rng.normal(0.0, 0.001, bars)))
    low = np.minimum(opens, close) * np.exp(-np.abs(rng.normal(0.0, 0.001, bars)))
    return {"open": opens, "high": high, "low": low, "close": close}


def our_case(prices: dict[str, np.ndarray], lookback: int) -> tuple[Any, Any, Any]:
    """The market with funding, the reference strategy's plan, and a venue with tiers."""
    from backtest.levels import donchian
    from backtest.model import Funding, Instrument, Market, Passport, Plan, TierTable, Venue

    n = prices["close"].size
    times = np.arange(n) * HOUR
    stamps = np.arange(0, n, 8)
    rates = np.full(stamps.size, 0.0001)
    funding = Funding(times[stamps], np.zeros(stamps.size, np.int32), rates, np.full(stamps.size, np.nan))
    columns = (prices["open"], prices["high"], prices["low"], prices["close"], np.ones(n))
    market = Market(times, HOUR, ("BTCUSDT",), *columns, funding, Passport(()), name="walk")
    bars = market["BTCUSDT"]
    support = donchian(bars, lookback)
    broken = bars.close < support * (1 - BUFFER)
    plan = Plan.short("BTCUSDT", at=broken, close_stop=support, stop_fraction=STOP, target_fraction=TARGET)
    floors, rates_by_tier = (0.0, 50_000.0, 250_000.0, 1_000_000.0), (0.004, 0.005, 0.01, 0.025)
    old = TierTable("bench-1970", 0, "benchmark", floors, rates_by_tier, (125.0, 100.0, 50.0, 20.0))
    new = TierTable("bench-1980", int(times[n // 2]), "benchmark", floors, rates_by_tier, (100.0, 75.0, 50.0, 20.0))
    venue = Venue("bench", Instrument(1e-6, 5.0, (old, new)), taker=0.0005, leverage=5.0, margin_mode="isolated")
    return market, plan, venue


PEER = """
import json, sys, time
import numpy as np, pandas as pd, vectorbt as vbt
vbt.settings["engine"] = "rust"
jobs = json.loads(sys.argv[1])
cases = {}
for bars, (path, lookback, buffer, stop, target) in jobs.items():
    p = np.load(path)
    index = pd.date_range("2000", periods=int(bars), freq="h")
    frame = pd.DataFrame({k: p[k] for k in ("open", "high", "low", "close")}, index=index)
    support = frame.low.rolling(lookback).min().shift(1)
    cases[bars] = (frame, frame.close < support * (1 - buffer), frame.close > support, stop, target)
def once(metrics, frame, entries, exits, stop, target):
    pf = vbt.Portfolio.from_signals(frame.close, short_entries=entries, short_exits=exits, open=frame.open, high=frame.high,
        low=frame.low, sl_stop=stop, tp_stop=target, fees=0.0005, freq="h", init_cash=10_000.0, engine="rust")
    if metrics == "stats":
        return pf.stats()
    found = (pf.total_return(), pf.annualized_return(), pf.sharpe_ratio(), pf.sortino_ratio(), pf.max_drawdown(), pf.calmar_ratio(),
        pf.trades.count(), pf.trades.win_rate(), pf.position_coverage(), pf.orders.fees.sum(), pf.annualized_volatility(),
        pf.trades.open.count(), pf.final_value())
    return int(found[6])
trades = {bars: once("figures", *case) for bars, case in cases.items()}
for case in cases.values():
    once("stats", *case)
print(json.dumps({"version": vbt.__version__, "trades": trades}), flush=True)
for line in sys.stdin:
    bars, metrics = line.split()
    t = time.perf_counter()
    once(metrics, *cases[bars])
    print(time.perf_counter() - t, flush=True)
"""


class Peer:
    """vectorbt in an environment of its own, asked for one run at a time."""

    def __init__(self, folder: Path, jobs: dict[str, Any]) -> None:
        python = folder / "bin" / "python"
        if not python.exists():
            print(f"installing {' '.join(PEERS)} into {folder} ...", flush=True)
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
        command = [str(python), "-c", PEER, json.dumps(jobs)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.answer())

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the peer stopped; see its message above")
        return line

    def seconds(self, bars: int, metrics: str) -> float:
        """One warm run, with those of our figures that it knows, or with its own table of metrics ("stats")."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{bars} {metrics}\n")
        self.process.stdin.flush()
        return float(self.answer())


def seconds(work: Callable[[], Any], repeat: int) -> float:
    """The fastest of a few runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def rounds_of(bars: int, lookback: int, prices: dict[str, np.ndarray], peer: Peer | None, rounds: int) -> None:
    """Interleave ours and the peer's, and print the medians and their ratios."""
    from backtest.analysis import analyze, figures
    from backtest.engines import get_engine
    from backtest.engines.fast import score

    market, plan, venue = our_case(prices, lookback)
    execute = get_engine("fast")
    result = execute(market, plan, venue)
    summary = analyze(result)
    forms: dict[str, Callable[[], Any]] = {
        "full": lambda: analyze(execute(market, plan, venue)),
        "summary": lambda: figures(score(market, plan, venue)),
    }
    found: dict[str, list[float]] = {"full": [], "summary": [], "figures": [], "stats": []}
    for _ in range(rounds):
        for name, work in forms.items():
            work()
            found[name].append(seconds(work, 5))
        if peer:
            for metrics in ("figures", "stats"):
                found[metrics].append(min(peer.seconds(bars, metrics) for _ in range(2)))
    print(f"\n{bars:,} bars, lookback {lookback}: {len(plan):,} rows, {summary.trades:,} trades,", end=" ")
    print(f"{len(result.ledger_table):,} ledger rows, {summary.exposure:.0%} of the bars in a position")
    for name, values in found.items():
        if values:
            middle, fastest = statistics.median(values), min(values)
            label = {"figures": "vectorbt, our figures", "stats": "vectorbt, its stats()"}.get(name, name)
            ratio = (
                " and ".join(f"{statistics.median(found[p]) / middle:.1f}x" for p in ("figures", "stats"))
                if peer
                else ""
            )
            ratio = "" if name in ("figures", "stats") else ratio
            each = f"{middle / bars * 1e9:7.2f} ns a bar (fastest {fastest / bars * 1e9:.2f})"
            print(f"  {label:22} {middle * 1e3:9.3f} ms  {each}  {ratio}")


MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import bench_engine as b
from backtest.analysis import analyze
from backtest.engines import get_engine
market, plan, venue = b.our_case(b.walk(1_000_000), b.SIZES[1_000_000])
analyze(get_engine("fast")(market, plan, venue))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def whole_processes() -> None:
    """Start-up, first result and peak memory of processes of their own, compile cache warm."""
    command = [str(Path(sys.executable).with_name("backtest"))]
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        first = [*command, "run", "support_break"]
        subprocess.run(first, **quiet)  # type: ignore[call-overload]
        start_up = seconds(lambda: subprocess.run([*command, "--help"], **quiet), 7)  # type: ignore[call-overload]
        result = seconds(lambda: subprocess.run(first, **quiet), 5)  # type: ignore[call-overload]
        every = seconds(lambda: subprocess.run([*command, "run"], **quiet), 3)  # type: ignore[call-overload]
    here = str(Path(__file__).parent)
    peak = subprocess.run(
        [sys.executable, "-c", MEMORY, here], capture_output=True, text=True, check=True
    ).stdout.strip()
    print("\nwhole processes, compile cache warm")
    print(f"  backtest --help                    {start_up:.2f} s")
    print(f"  backtest run support_break         {result:.2f} s")
    print(f"  backtest run (every strategy)      {every:.2f} s")
    print(f"  peak memory of the 1M-bar run      {peak} MiB")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peer", action="store_true", help="do not install or run vectorbt")
    parser.add_argument(
        "--peers", type=Path, default=Path(tempfile.gettempdir()) / "levelbreak-peers", help="the peer's environment"
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        data = {bars: walk(bars) for bars in SIZES}
        jobs = {}
        for bars, lookback in SIZES.items():
            path = Path(folder) / f"{bars}.npz"
            np.savez(path, **data[bars])
            jobs[str(bars)] = (str(path), lookback, BUFFER, STOP, TARGET)
        peer = None if options.no_peer else Peer(options.peers, jobs)
        if peer:
            print(f"peer: vectorbt {peer.about['version']}, Rust engine, {peer.about['trades']} trades by bars")
        for bars, lookback in SIZES.items():
            rounds_of(bars, lookback, data[bars], peer, options.rounds)
    whole_processes()
    print(f"  this process                       {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
