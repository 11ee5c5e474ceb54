"""The command line: each command reads its options, calls the function of the same name, and prints."""

import sys

from backtest.cli.app import app
from backtest.cli.catalogue import list_, note, rerun, rm, show
from backtest.cli.compare import compare
from backtest.cli.data import fetch
from backtest.cli.forward import forward
from backtest.cli.intrabar import intrabar
from backtest.cli.levels import levels
from backtest.cli.listings import markets, strategies, venues
from backtest.cli.new import new
from backtest.cli.optimise import optimise
from backtest.cli.runs import check, run
from backtest.cli.study import study
from backtest.cli.sweep import sweep
from backtest.cli.tiers import tiers

__all__ = [
    "app",
    "check",
    "compare",
    "fetch",
    "forward",
    "intrabar",
    "levels",
    "list_",
    "main",
    "markets",
    "new",
    "note",
    "optimise",
    "rerun",
    "rm",
    "run",
    "show",
    "strategies",
    "study",
    "sweep",
    "tiers",
    "venues",
]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app()
