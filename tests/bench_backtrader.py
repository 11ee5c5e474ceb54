"""Benchmark the backtrader engine against plain backtrader, and the fast engine against it; figures and ratios from one run.

    python tests/bench_backtrader.py              # about three minutes
    python tests/bench_backtrader.py --rounds 3

The work is the reference strategy on 100,000 bars: support is the lowest low of the previous bars; a close below it sells short at
the next open; out on a close above the entry's support, at a stop or at a target. `plain` is backtrader with its own broker, feed
and percentage commission; `ours` is the same class on our feeds and broker, with a ledger, margin, tiers and liquidation (and no
funding, which plain backtrader has not); `replay` is the plan of the strategy through backtrader; `fast` the same plan on the fast
engine. Each round runs each in a process of its own, one after the other; a time is that from prices in memory to the result,
imports left out; the memory is the process's peak. Ratios are those of the medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

WORK = r"""
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
mode, bars, lookback = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
import numpy as np
import bench_engine as b
import backtrader as bt

prices = b.walk(bars)

class Reference(bt.Strategy):
    params = (("lookback", 48), ("buffer", b.BUFFER), ("stop", b.STOP), ("target", b.TARGET))

    def __init__(self):
        self.support = bt.ind.Lowest(self.data.low(-1), period=self.p.lookback)
        self.entry = self.brackets = None
        self.trades = 0

    def notify_order(self, order):
        if order.alive():
            return
        if self.entry is not None and order.ref == self.entry.ref:
            self.entry = None
            if order.status == order.Completed:
                size, price = abs(order.executed.size), order.executed.price
                stop = self.buy(size=size, exectype=bt.Order.Stop, price=price * (1 + self.p.stop))
                target = self.buy(size=size, exectype=bt.Order.Limit, price=price * (1 - self.p.target), oco=stop)
                self.brackets = (stop, target)

    def notify_trade(self, trade):
        self.trades += trade.isclosed

    def next(self):
        close = self.data.close[0]
        if self.position:
            if close > self.held:
                if self.brackets:
                    self.cancel(self.brackets[0])
                    self.brackets = None
                self.close()
        elif self.entry is None and close < self.support[0] * (1 - self.p.buffer):
            self.held = self.support[0]
            self.entry = self.sell(size=self.broker.getvalue() / close)

if mode == "plain":
    import pandas as pd
    frame = pd.DataFrame({**prices, "volume": 1.0}, index=pd.date_range("1970", periods=bars, freq="h"))
    def work():
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.addobserver(bt.observers.Broker)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.broker.setcash(10_000.0)
        cerebro.broker.setcommission(commission=0.0005)
        cerebro.broker.set_checksubmit(False)  # else it cannot cancel an order in the bar that sent it
        cerebro.addstrategy(Reference, lookback=lookback)
        strategy, = cerebro.run()
        return strategy.trades, cerebro.broker.getvalue()
else:
    from dataclasses import replace
    market, plan, venue = b.our_case(prices, lookback)
    from backtest.model import Funding
    market = replace(market, funding=Funding.empty(frozenset(market.symbols)))
    venue = replace(venue, maker=venue.taker)
    if mode == "ours":
        from backtest.engines.bt import make_cerebro
        def work():
            cerebro = make_cerebro(market, venue)
            cerebro.addstrategy(Reference, lookback=lookback)
            strategy, = cerebro.run()
            return strategy.trades, float(cerebro.result().equity[-1])
    else:
        if mode == "replay":
            from backtest.engines.bt import execute
        else:
            from backtest.engines.fast import execute
            execute(market, plan, venue)
        def work():
            result = execute(market, plan, venue)
            return len(result.trades_table), float(result.equity_values[-1])
best = float("inf")
for _ in range(200 if mode == "fast" else 1):
    start = time.perf_counter()
    trades, value = work()
    best = min(best, time.perf_counter() - start)
print(json.dumps([best, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, trades, value]))
"""
MODES = ("plain", "ours", "replay", "fast")


def measure(mode: str, bars: int, lookback: int) -> list[float]:
    """Seconds, MiB, trades and final equity of one process."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-W", "ignore", "-c", WORK, here, mode, str(bars), str(lookback)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return list(json.loads(done.stdout))


def main() -> None:
    """Parse the arguments, measure in interleaved rounds, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bars", type=int, default=100_000)
    parser.add_argument("--lookback", type=int, default=48)
    options = parser.parse_args()
    found: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
    for _ in range(options.rounds):
        for mode in MODES:
            found[mode].append(measure(mode, options.bars, options.lookback))
    middle = {mode: [statistics.median(column) for column in zip(*rows, strict=True)] for mode, rows in found.items()}
    print(f"{options.bars:,} bars, lookback {options.lookback}, medians of {options.rounds} rounds")
    for mode, (seconds, memory, trades, value) in middle.items():
        print(f"  {mode:8} {seconds:10.4f} s {memory:8.0f} MiB {trades:7.0f} trades, final equity {value:,.2f}")
    print(f"  ours / plain    {middle['ours'][0] / middle['plain'][0]:.2f}x the time (at most 1.5)")
    print(f"  ours / plain    {middle['ours'][1] / middle['plain'][1]:.2f}x the memory (at most 1.5)")
    print(f"  ours / fast     {middle['ours'][0] / middle['fast'][0]:,.0f}x the time (at least 3,000)")
    print(f"  replay / fast   {middle['replay'][0] / middle['fast'][0]:,.0f}x the time")


if __name__ == "__main__":
    main()
