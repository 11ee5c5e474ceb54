"""Comparisons made quickly, and what is printed of them, for their tests."""

import io

from rich.console import Console

from backtest.analysis import compare as comparing
from backtest.analysis.compare import compare
from backtest.report.compare import print_comparison

QUICK = {"superior": False, "replicates": 50}


def quick(*runs, **options):
    return compare(runs, **{**QUICK, **options})


def text_of(found, width=80, html=None):
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    print_comparison(found, console, html)
    return console.file.getvalue()


def running(found, width=80):
    """Return the text without line breaks."""
    return " ".join(text_of(found, width).split())


def viewed(run):
    return comparing.live(run)
