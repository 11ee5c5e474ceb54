"""Comparisons as text and as data: tables, matrices, verdicts, the document and the frame."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from compared_runs import made_run
from compared_texts import QUICK, quick, running, text_of, viewed

from backtest.analysis.compare import compare
from backtest.analysis.significance import Luck
from backtest.analysis.significance.verdict import FEW, LUCK
from backtest.model import RunConfig


def several(n):
    draws = np.random.default_rng(7).normal(0.0, 0.02, (n, 90))
    names = [f"strategy_{i}" for i in range(n - 1)] + ["buy_and_hold"]
    return [made_run(r, name, trades=[("BTCUSDT", 1, 5, 100)]) for r, name in zip(draws, names, strict=True)]


def test_sixteen_runs_take_two_tables_of_figures_at_80_columns():
    draws = np.random.default_rng(7).normal(0.0, 0.02, (16, 90))
    runs = [made_run(r, f"{'abcdefghijklmnop'[i]}_liquidation_exhaust") for i, r in enumerate(draws)]
    lines = text_of(quick(*runs)).splitlines()
    ranking = lines[: next(i for i, line in enumerate(lines) if line.startswith("Against"))]
    assert [line.split() for line in ranking if line.startswith("run ")] == [
        ["run", "#", "return", "CAGR", "Sharpe", "Sortino", "max", "DD", "Calmar"],
        ["run", "trades", "win", "rate", "exposure", "funding", "paid", "fees", "liq."],
    ]
    assert sum(line.startswith("a_liquidation_exhaust ") for line in ranking) == 2
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("count", [2, 3, 8, 14])
def test_no_line_is_wider_than_the_terminal(width, count):
    lines = text_of(quick(*several(count)), width).splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if "buy_and_hold" in line.split("  ")[0]]
    assert len(rows) >= 2


def test_the_best_of_a_column_is_marked():
    text = text_of(quick(made_run([0.01, -0.02, 0.05], "good"), made_run([0.01, -0.03, 0.01], "bad")), 200)
    good = next(line for line in text.splitlines() if line.startswith("good"))
    bad = next(line for line in text.splitlines() if line.startswith("bad"))
    assert "-2.0%*" in good
    assert "*" not in bad


def test_of_two_each_is_beside_the_best_and_of_three_there_are_matrices():
    assert "Correlation of daily returns" not in text_of(quick(*several(2)))
    assert "in common" in text_of(quick(*several(2)))
    assert "Correlation of daily returns" in text_of(quick(*several(3)))
    assert "How each of 9 runs moves with each other is on the page, and in what --json prints." in running(
        quick(*several(9))
    )


def test_a_name_too_long_for_a_row_is_said_below():
    runs = [made_run([0.1 * i], "break", parameters=[("buffer", 0.0123456), ("lookback", i)]) for i in (1, 2)]
    text = text_of(quick(*runs))
    assert "break lookback=2" in text
    runs = [made_run([0.1 * i], "break", parameters=[("levels", (75_000.0 + i, 70_000.0))]) for i in (1, 2)]
    text = text_of(quick(*runs))
    assert "1 break" in text
    assert "1 is break levels=75002.0,70000.0" in text


def test_each_market_says_what_its_data_are():
    text = text_of(quick(made_run([0.1] * 5, "one"), made_run([0.1] * 5, "two", market="other")))
    assert "Data of made" in text
    assert "Data of other" in text
    assert "Data of" not in text_of(quick(*several(2)))


def lucky(verdict, earned, sharpe, trades):
    numbers = dict.fromkeys((f.name for f in fields(Luck)), 0)
    intervals = {"total_return": earned, "sharpe": sharpe}
    return Luck(
        **{**numbers, "verdict": verdict, "sentence": "Said so.", "trades": trades, "trials": 7, "intervals": intervals}
    )


def test_verdicts_are_those_of_the_runs():
    views = [
        replace(
            viewed(several(2)[0]), assessment=SimpleNamespace(luck=lucky(FEW, (-0.25, 0.1), (math.nan, math.nan), 3))
        ),
        replace(viewed(several(2)[1]), assessment=SimpleNamespace(luck=lucky(LUCK, (-0.5, 0.0), (-1.25, 0.5), 12))),
    ]
    found = compare(views, **QUICK)
    names = [view.summary.strategy for view in views]
    assert dict(found.verdicts()) == dict.fromkeys(names, "Said so.")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in text_of(found, 200).splitlines() if " to " in line}
    assert rows[names[0]] == "not enough trades -25.0% to +10.0% \N{EN DASH} 7"
    assert rows[names[1]] == "not distinguishable from luck -50.0% to 0.0% -1.25 to 0.50 7"
    narrow = {line.split()[0]: " ".join(line.split()[1:]) for line in text_of(found, 80).splitlines() if "luck" in line}
    assert narrow[names[1]] == "not distinguishable from luck -50.0% to 0.0% 7"


def test_the_page_is_named_uncut():
    text = text_of(quick(*several(2)), 60, Path("/" + "a" * 90 + ".html"))
    assert "  /" + "a" * 90 + ".html\n" in text


def test_control_characters_do_no_harm():
    odd = "x\x1b[2J[red]y"
    runs = [made_run([0.1] * 5, odd, market=odd), made_run([0.2] * 5, "two", market=odd, parameters=[(odd, odd)])]
    assert "\x1b" not in text_of(quick(*runs), 200)


def test_the_document_is_plain_and_complete():
    runs = several(3)
    data = json.loads(json.dumps(compare(runs, replicates=50).to_dict(), allow_nan=False))
    assert [row["rank"] for row in data["runs"]] == [1, 2, 3]
    assert data["shared_days"] == ["2026-01-01", "2026-03-31"]
    assert data["days"] == 90
    assert {"correlation", "overlap", "to_best", "to_buy_and_hold", "superior", "sentences", "notes", "best"} <= set(
        data
    )
    assert len(data["correlation"]) == len(data["overlap"]["same_side"]) == 3
    assert data["runs"][0]["standing"]
    assert data["runs"][0]["figures"]["total_return"] == pytest.approx(
        max(r.equity_values[-1] / 1000 - 1 for r in runs)
    )


def test_the_frame_has_a_row_a_run():
    frame = quick(*several(3)).to_frame()
    assert frame.index.name == "run"
    assert frame["total_return"].is_monotonic_decreasing
    assert len(frame) == 3


def test_a_config_is_not_needed():
    bare = replace(made_run([0.1] * 4), config=None)
    assert quick(bare, made_run([0.2] * 4, "two")).names == ("two", "plan")
    assert isinstance(made_run([0.1]).config, RunConfig)
