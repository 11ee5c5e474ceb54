"""The tables that end a fetch: nothing that matters is left out on a narrow terminal, and no line is longer than it."""

import io

import pytest
from rich.console import Console

from backtest.market.quality.assess import HEADERS
from backtest.report.fetching import print_fetch


def series(of, gaps="0", jumps="0", agreement=None, error=None):
    cells = [of, "61,344", "2020-11-30 to 2021-07-01", gaps, "0", "0", jumps, "0", "0", agreement or "\N{EN DASH}"]
    other = {"agreement": {"other": "yahoo:BTC-USD"} if agreement else None, "findings": []}
    span = {"start": "2020-11-30T00:00Z", "end": "2021-07-01T00:00Z"}
    told = {"of": [of], "cells": cells, "quality": other, "error": error, "notes": [], "added": 1, "arrived": 1}
    return told | span


def printed(width, *rows):
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    report = {"market": "m", "store": "s", "interrupted": False, "notes": [], "series": rows}
    print_fetch(report, HEADERS, console)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return lines


AGREES = "0 of 212 beyond 0.5%, most 0.31%"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_where_the_table_is_too_wide_the_second_sources_have_their_own(width):
    lines = printed(width, series("BTCUSDT.bars", agreement=AGREES), series("BTCUSDT.mark"))
    assert lines[0].split()[:4] == ["series", "rows", "span", "gaps"]
    assert "series         second source   agreement" in lines
    assert f"BTCUSDT.bars   yahoo:BTC-USD   {AGREES}" in lines
    assert sum("BTCUSDT.mark" in line for line in lines) == 1


def test_a_wide_terminal_has_one_table():
    lines = printed(160, series("BTCUSDT.bars", agreement=AGREES))
    assert lines[0].split() == list(HEADERS)
    assert lines[2].endswith(f"0     0   {AGREES}")


def test_columns_with_a_finding_stay_and_those_without_give_way():
    lines = printed(66, series("BTCUSDT.bars", jumps="12"), series("BTCUSDT.mark"))
    assert lines[0].split()[:4] == ["series", "rows", "span", "gaps"]
    assert "jumps" in lines[0].split()
    assert "stale" not in lines[0].split()


def test_what_does_not_fit_at_all_goes_on_below():
    lines = printed(50, series("BTCUSDT.open_interest_coins", gaps="120 (4,000)", jumps="12"))
    assert "12" in {word for line in lines for word in line.split()}
    assert sum("series" in line for line in lines) > 1
