"""The list of runs and a run made again, as a terminal shows them."""

import doctest
import io
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from backtest.catalogue import Again, BrokenRun, Change, RunLine
from backtest.report import again as again_module
from backtest.report import print_runs
from backtest.report import runs as runs_module
from backtest.report.again import print_again

DASH = "\N{EN DASH}"


def line(id="0123456789", strategy="support_break", market="deleveraging-2026", note="", **metrics):
    metrics = {"total_return": -0.1429, "sharpe": -3.668, "max_drawdown": -0.164, "trades": 7, **metrics}
    return RunLine(Path(id), id, "2026-03-01T12:30:15.250+00:00", strategy, market, "D", note, "", metrics)


def printed(runs, width=80, broken=(), **options):
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    print_runs(runs, broken, Path("results"), console, **options)
    return console.file.getvalue()


def test_every_example_of_the_docstrings_holds():
    assert doctest.testmod(runs_module).failed == doctest.testmod(again_module).failed == 0


def test_the_list_of_80_columns():
    runs = [line(), line("ab", "ideas/ladder.py:Mine", note="mind the 3rd month", sharpe=None)]
    assert printed(runs, of=12) == (
        "run         made (UTC)  strategy       market             return  Sharpe  grade\n"
        "───────────────────────────────────────────────────────────────────────────────\n"
        "0123456789  2026-03-01  support_break  deleveraging-2026  -14.3%   -3.67  D\n"
        f"ab          2026-03-01  ladder:Mine    deleveraging-2026  -14.3%       {DASH}  D\n"
        "            mind the 3rd month\n"
        "2 of 12 runs\n"
    )


def test_the_list_of_120_columns_has_every_column():
    header, _, row = printed([line()], 120).splitlines()
    assert " ".join(header.split()) == "run made (UTC) strategy market return Sharpe max DD trades grade"
    assert (
        " ".join(row.split()) == "0123456789 2026-03-01 12:30 support_break deleveraging-2026 -14.3% -3.67 -16.4% 7 D"
    )


@pytest.mark.parametrize("width", [20, 40, 50, 60, 80, 120, 200])
@pytest.mark.parametrize("key", ["created", "max_drawdown", "funding_paid"])
def test_no_line_is_wider_than_the_terminal_and_the_figure_is_there(width, key):
    runs = [
        line(f"{i:010d}", "s" * (2 + 9 * i), "東京 market" * i, "a note 東京 " * 30, funding_paid=-5.5)
        for i in range(5)
    ]
    text = printed(runs, width, [BrokenRun(Path("results/bad"), "it has no summary.json")], key=key)
    assert max(cell_len(one) for one in text.splitlines()) <= width
    assert all(run.id in text for run in runs)
    if key == "max_drawdown" and width >= 40:
        assert "max DD" in text
    if key == "funding_paid" and width >= 40:
        assert "funding paid" in text
        assert "-5.50" in text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("volatility", 0.1234, "12.3%"),
        ("cagr", 0.5, "+50.0%"),
        ("final_equity", 12345.678, "12,346"),
        ("calmar", 1.234, "1.23"),
        ("liquidations", 1234, "1,234"),
        ("depth", 0.0123456, "0.01235"),
        ("depth", None, DASH),
    ],
)
def test_a_figure_is_written_as_in_the_report(key, value, text):
    assert text in printed([line(**{key: value})], 120, key=key).splitlines()[2].split()


def test_control_characters_do_no_harm():
    text = printed([line("\x1b[2J", "a\x07.py", "[bold]\u202e", "note\x1b]0;x\x07")], 120)
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert "[bold]?" in text
    assert "note?]0;x?" in text


def test_a_long_list_is_printed_at_once():
    runs = [line(f"{i:010d}") for i in range(5_000)]
    before = time.perf_counter()
    text = printed(runs)
    assert time.perf_counter() - before < 2.0  # a table of rich takes ten times that
    assert len(text.splitlines()) == 5_002


# --- a run made again --------------------------------------------------------------------------------------------

SAME = dict.fromkeys(("ledger", "trades", "equity", "rejections"), "bytes")


def told(tables, writers=("w 1", "w 1"), changes=(), unknown=(), figures=None, first="", width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    print_again("mine", Again(tables, writers, changes, unknown, figures or {}, first), console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("tables", "writers", "sentence"),
    [
        (SAME, ("w 1", "w 1"), "identical: ledger, trades, equity and rejections of mine, byte for byte.\n"),
        (
            SAME | {"ledger": "content"},
            ("w 1", "w 2"),
            "identical: every row of ledger of mine; the bytes differ, as they were written by w 1 and w 2; trades, "
            "equity and rejections byte for byte.\n",
        ),
        (
            dict.fromkeys(SAME, "content"),
            ("w 1", "w 1"),
            "identical: every row of ledger, trades, equity and rejections of mine; the bytes differ.\n",
        ),
        (SAME | {"equity": "different"}, ("w 1", "w 1"), "different: equity of mine is not the same.\n"),
        (
            SAME | {"ledger": "different", "equity": "different"},
            ("w 1", "w 1"),
            "different: ledger and equity of mine are not the same.\n",
        ),
    ],
)
def test_the_verdict(tables, writers, sentence):
    assert " ".join(told(tables, writers).split()).startswith(sentence.rstrip())


def test_what_changed_and_by_how_much():
    changes = [Change("data BTCUSDT.bars", "real " + "a" * 64, "real " + "b" * 64), Change("parameter closes", None, 2)]
    figures = {"total_return": (0.25, 0.5), "win_rate": (None, 0.5), "final_equity": (1_000_000.0, 1_250_000.0)}
    text = told(SAME | {"ledger": "different"}, changes=changes, figures=figures, first="row 2 of 9")
    assert "  · ledger: row 2 of 9\n" in text
    assert "  · data BTCUSDT.bars: was real aaaaaaaaaaaa, is real bbbbbbbbbbbb\n" in text
    assert "  · parameter closes: was nothing, is 2\n" in text
    rows = [one.split() for one in text.splitlines()[-3:]]
    assert rows == [
        ["total", "return", "0.25", "0.5", "+0.25"],
        ["win", "rate", DASH, "0.5", DASH],
        ["final", "equity", "1,000,000", "1,250,000", "+2.5e+05"],
    ]


def test_many_changes_are_cut_short():
    text = told(SAME, changes=[Change(f"data {i}", 1, 2) for i in range(20)])
    assert "data 11" in text
    assert "data 12" not in text
    assert "and 8 more; `--json` names them all" in text


def test_what_is_not_known_is_said_only_of_a_difference():
    unknown = ("the venue's numbers",)
    assert "not recorded" not in told(SAME, unknown=unknown)
    text = told(SAME | {"ledger": "different"}, unknown=unknown)
    assert "nothing of what the first run recorded" in text
    assert "not recorded by the first run, so it may have changed: the venue's numbers" in text
