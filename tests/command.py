"""The command line as a user has it: calls in this process or in one of their own, and small markets as files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from backtest import cli

COMMAND = [sys.executable, "-c", "from backtest.cli import main; main()"]

# Twelve hours of a fall and a recovery; the close of 05:00 is the first below 95, those of 06:00 and 07:00 follow.
CLOSES = (100, 99, 98, 97, 96, 94, 93, 92, 96, 97, 98, 99)
FIRST = 1_767_225_600  # 2026-01-01T00:00Z in seconds, a Thursday

MARKET = """interval = "1h"
start = "2026-01-01"
end = "2026-01-01T12:00Z"

[BTCUSDT]
bars = "bars.csv"
funding = "funding.csv"
"""

FUNDING = f"time,funding_rate\n{FIRST},0.0001\n{FIRST + 8 * 3600},0.001\n"


def bars_csv(closes=CLOSES, first=FIRST, step=3600):
    """Return hourly bars as CSV text: each runs from the close before to its own, with half a unit of wick."""
    lines = ["time,open,high,low,close,volume"]
    for i, (a, b) in enumerate(zip((closes[0], *closes[:-1]), closes, strict=True)):
        lines.append(f"{first + step * i},{a},{max(a, b) + 0.5},{min(a, b) - 0.5},{b},10")
    return "\n".join(lines) + "\n"


def write_market(folder, bars=None, funding=FUNDING, market=MARKET):
    """Write market.toml and its files into a folder, and return the market's path as a user would type it."""
    for name, content in (("bars.csv", bars_csv() if bars is None else bars), ("funding.csv", funding)):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "market.toml").write_text(market)
    return "./market.toml"


def call(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def process(*arguments, cwd, **environment):
    """Run the command in a process of its own, on a terminal of 80 columns."""
    env = {**os.environ, "COLUMNS": "80", **environment}
    env.pop("BACKTEST_RESULTS", None)
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)


def document(done):
    """Return the JSON document that a command printed, once it has succeeded."""
    assert done.returncode == 0 if isinstance(done, subprocess.CompletedProcess) else done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def tree(folder):
    """Return every file below a folder, hidden ones included, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in Path(folder).rglob("*")}


def tables(folder):
    """Return ledger, trades, equity and rejections of a run's folder."""
    return tuple(pd.read_parquet(Path(folder, f"{n}.parquet")) for n in ("ledger", "trades", "equity", "rejections"))


def assert_books_balance(folder, summary):
    """Check the laws of money on a run's own files."""
    ledger, trades, equity, _ = tables(folder)
    cash, figures = summary["cash"], summary["metrics"]
    money = ledger[ledger.kind != "slippage"]
    wallet = figures["final_equity"] - figures["unrealised"]
    close = {"rtol": 0, "atol": 1e-6 * cash / 1000}
    np.testing.assert_allclose(cash + money.amount.sum(), wallet, **close)
    insurance = money[money.kind == "insurance"].amount.sum()
    np.testing.assert_allclose(trades.pnl.sum() + insurance, wallet - cash, **close)
    np.testing.assert_allclose(
        trades.fees.sum(), money[money.kind.isin(["fee", "liquidation_fee"])].amount.sum(), **close
    )
    np.testing.assert_allclose(trades.funding.sum(), money[money.kind == "funding"].amount.sum(), **close)
    np.testing.assert_allclose(equity.equity.iloc[-1], figures["final_equity"], **close)
    own = money[money.kind != "insurance"].groupby("trade").amount.sum()
    np.testing.assert_allclose(own.reindex(trades.trade, fill_value=0.0), trades.pnl, **close)
