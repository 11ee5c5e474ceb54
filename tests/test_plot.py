"""Equity and drawdown drawn with characters: every extreme, dates and money, at any width and in a pipe."""

import doctest
import io

import numpy as np
import pytest
from compared_runs import made_run
from hypothesis import given, settings
from hypothesis import strategies as st
from made_result import HOUR, START
from rich.console import Console

from backtest.report import plot
from backtest.report.html import view_of
from backtest.report.plot import Panel, characters, plot_run, print_plot


def drawn(returns, width=80, **options):
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    plot_run(view_of(made_run(returns, **options)), console)
    return console.file.getvalue()


def test_every_example_of_the_docstrings_holds():
    tried = doctest.testmod(plot)
    assert tried.failed == 0
    assert tried.attempted


def test_dots_become_the_characters_of_braille():
    dots = np.zeros((4, 6), np.bool_)
    dots[:, 0] = True  # the left column of the first character: dots 1, 2, 3 and 7
    dots[0, 2] = dots[3, 3] = True  # dots 1 and 8 of the second
    assert characters(dots, plain=False) == ["\u2847\u2881 "]
    assert characters(dots, plain=True) == ["** "]


def test_a_line_through_values_keeps_every_extreme():
    # Eight bars in four columns of dots: lowest and highest of each are both drawn, and joined with the column before.
    panel = Panel(np.array([0.0, 3.0, 7.0, 7.0, 7.0, 7.0, 0.0, 0.0]), 2, 0.0, 7.0)
    dots = panel.dots(2, dotted=0.0)
    assert [np.flatnonzero(column).tolist() for column in dots.T] == [
        [4, 5, 6, 7],  # from 0 (row 7) to 3 (row 4)
        [0, 1, 2, 3, 4],  # 7 (row 0), joined with the 3 before it
        [0],
        [0, 1, 2, 3, 4, 5, 6, 7],  # down to 0
    ]


def test_the_drawdown_hangs_from_the_top():
    panel = Panel(np.array([0.0, -3.0, -7.0, 0.0]), 2, -7.0, 0.0)
    assert panel.filled(2).sum(axis=0).tolist() == [0, 4, 8, 0]


def test_equity_money_and_dates_are_on_the_axes():
    lines = drawn([0.1, -0.2, 0.5] + [0.0] * 57).splitlines()
    assert lines[1].startswith("Equity, quote units")
    assert any(line.startswith(" 1,300 ┤") for line in lines)
    assert any(line.startswith("  0.0% ┤") for line in lines)
    assert any("-20.0% ┤" in line for line in lines)
    assert "└┬" in lines[-2]
    assert lines[-1].split()[0] == "2026-01-01"
    assert lines[-1].split()[-1] == "2026-03-01"


def test_a_short_run_has_times_of_the_day():
    text = drawn([0.01] * 30, interval=HOUR)
    stamps = text.splitlines()[-1].split()
    assert stamps[:2] == ["2026-01-01", "00:00"]
    assert stamps[-2:] == ["2026-01-02", "05:00"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120, 200, 400])
@pytest.mark.parametrize("bars", [1, 2, 7, 60, 1000])
def test_no_line_is_wider_than_the_terminal(width, bars):
    lines = drawn(np.random.default_rng(bars).normal(0, 0.02, bars), width).splitlines()
    assert max(map(len, lines)) <= width
    assert max(map(len, lines[2:14])) <= 160
    assert sum("│" in line or "┤" in line for line in lines) == plot.EQUITY_ROWS + plot.DRAWDOWN_ROWS


@pytest.mark.parametrize("returns", [[0.0] * 50, [-1.0, 0.0, 0.0], [0.0, -0.5, -1.0, 0.0], [1e-12] * 9, [1e6, -0.5]])
def test_what_is_flat_ruined_or_extreme_is_drawn(returns):
    text = drawn(returns)
    assert "nan" not in text
    assert "┤" in text


def test_a_run_without_a_bar_says_so():
    assert "There is no bar to draw." in drawn([])


def test_a_terminal_without_unicode_gets_letters():
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii", write_through=True), width=80)
    plot_run(view_of(made_run([0.1, -0.2, 0.3] * 20)), console)
    text = raw.getvalue().decode("ascii")
    assert "*" in text
    assert "+-" in text


def test_there_is_no_colour_in_a_pipe():
    assert "\x1b" not in drawn([0.1, -0.1] * 10)


@given(
    values=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=80),
    columns=st.integers(24, 150),
)
@settings(max_examples=60, deadline=None)
def test_highest_and_lowest_are_always_drawn(values, columns):
    equity = 1000.0 * np.cumprod(1.0 + np.array(values))
    low, high = plot.span_of(equity, 1000.0)
    dots = Panel(equity, plot.EQUITY_ROWS, low, high).dots(columns, 1000.0)
    assert dots.shape == (4 * plot.EQUITY_ROWS, 2 * columns)
    flat = np.ptp(equity) < 1e-6 and abs(equity[0] - 1000.0) < 1e-6
    assert (dots[0].any() and dots[-1].any()) or flat
    assert dots.any(axis=0).all()  # no column is empty
    ticks = Panel(equity, plot.EQUITY_ROWS, low, high).ticks
    assert all(low - 1e-6 * abs(low) <= tick <= high + 1e-6 * abs(high) for tick in ticks)
    assert 1 <= len(ticks) <= plot.EQUITY_ROWS


def test_a_million_bars_are_drawn_at_once():
    n = 1_000_000
    equity = 1000.0 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 1e-4, n)))
    console = Console(file=io.StringIO(), width=100)
    time = START + HOUR * np.arange(n, dtype=np.int64)
    print_plot(time, equity, equity / np.maximum.accumulate(equity) - 1.0, 1000.0, console)
    assert console.file.getvalue().count("\n") > plot.EQUITY_ROWS + plot.DRAWDOWN_ROWS
